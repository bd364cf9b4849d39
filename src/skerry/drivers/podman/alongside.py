"""What few instances ask for, as words of podman's create body: limits of disks, vendors' devices, hooks, sharing.

Each was tried with podman 4.3.1. An instance in another's namespaces is in its namespace of users too: without that it
has no rights there, not even to listen at a port below 1024. Both have the same range of users, their tenant's.
"""

from typing import Any

import msgspec

from skerry.drivers.podman.names import LABEL, name_container
from skerry.model.app import DiskLimit, Further, Hook
from skerry.model.instance import InstanceSpec
from skerry.plan.sharing import find_shared

#: Label with the commands before a stop: whoever stops a container may no longer hold what it was made from.
PRE_STOP = LABEL + "pre-stop"
JOINED = LABEL + "joined"
_NAMESPACES = {"network": "netns", "pid": "pidns", "ipc": "ipcns"}
_LIMITS = {
    "read_bytes": "throttleReadBpsDevice",
    "write_bytes": "throttleWriteBpsDevice",
    "read_count": "throttleReadIOPSDevice",
    "write_count": "throttleWriteIOPSDevice",
}


def add_alongside(body: dict[str, Any], spec: InstanceSpec) -> None:
    """Add to a create body what ``spec.further`` says of all this."""
    further = spec.further or Further()
    _limit_disks(body, further.disks)
    if further.vendor_devices:
        body["devices"] = [*body.get("devices", []), *({"path": name} for name in further.vendor_devices)]
    # Always said: an image may bring labels of its own, and what is not said here would be the image's.
    body["labels"][PRE_STOP] = msgspec.json.encode(further.pre_stop).decode() if further.pre_stop else ""
    body["labels"][JOINED] = spec.joined or ""
    if further.shares:
        _join(body, spec, further)


def read_pre_stop(labels: dict[str, str]) -> tuple[Hook, ...]:
    """Return the commands that a container's label says; none where it says nothing sound."""
    try:
        return msgspec.json.decode(labels.get(PRE_STOP, "[]"), type=tuple[Hook, ...])
    except msgspec.DecodeError:
        return ()


def _limit_disks(body: dict[str, Any], disks: tuple[DiskLimit, ...]) -> None:
    for field, word in _LIMITS.items():
        found = {disk.device: {"rate": rate} for disk in disks if (rate := getattr(disk, field))}
        if found:
            body[word] = found
    weights = {disk.device: {"weight": disk.weight} for disk in disks if disk.weight}
    if weights:
        body["weightDevice"] = weights


def name_pair(spec: InstanceSpec) -> str:
    """Name the container whose namespaces an instance shares."""
    service = find_shared(spec)
    if service is None or not spec.joined:
        raise ValueError(f"nothing is known of the instance whose namespaces {spec.id} shares")
    return name_container(spec.tenant, spec.app, service, spec.ordinal, spec.joined)


def _join(body: dict[str, Any], spec: InstanceSpec, further: Further) -> None:
    """Put an instance into namespaces of the one that its specification names."""
    name = name_pair(spec)
    for shared in ("user", *further.shares):
        body[_NAMESPACES.get(shared, "userns")] = {"nsmode": "container", "value": name}
    if "network" in further.shares:
        for word in ("networks", "portmappings"):
            body.pop(word, None)
