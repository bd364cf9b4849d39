"""What podman's lists say, in the words of the house: containers, networks and images that carry our labels."""

import os

from skerry.drivers.podman.alongside import JOINED
from skerry.drivers.podman.answers import ContainerItem, ImageItem, Inspected, NetworkItem
from skerry.drivers.podman.names import LABEL
from skerry.drivers.podman.spec import network_name
from skerry.model.app import Subnet
from skerry.model.ids import AppName, Digest, InstanceId, NetworkName, ServiceName, TenantName, VolumeName
from skerry.model.instance import InstanceSpec
from skerry.model.observed import ContainerSeen, ContainerState, ImageSeen, NetworkSeen

#: podman's words for a container's state, and what they mean for a planner: only ``created`` and ``exited`` may be
#: started; in ``stopped`` podman still clears away what the dead process left.
_STATES: dict[str, ContainerState] = {
    "created": "created",
    "configured": "created",
    "initialized": "created",
    "running": "running",
    "paused": "paused",
    "exited": "exited",
    "stopped": "stopping",
    "stopping": "stopping",
    "removing": "stopping",
}


def read_container(item: ContainerItem, *, stuck: bool = False) -> ContainerSeen | None:
    """Read one row of the container list; None for what is not ours. ``stuck``: nobody will bring it to its end."""
    labels = item.labels or {}
    parts = labels.get(LABEL + "instance", "").split("/")
    if len(parts) != 4 or not parts[3].isdigit():
        return None
    state = _STATES.get(item.state, "exited")
    spec = Digest(labels.get(LABEL + "spec", ""))
    if stuck or (state in ("running", "paused") and not _alive(item.pid)):
        # conmon was killed: podman would say "running" or "stopping" for ever, and only removal by force helps
        # (decision 0010). Without a specification it is surplus, and another one is made.
        state, spec = "exited", Digest("")
    return ContainerSeen(
        container=item.id,
        instance=InstanceId(labels[LABEL + "instance"]),
        tenant=TenantName(parts[0]),
        app=AppName(parts[1]),
        service=ServiceName(parts[2]),
        ordinal=int(parts[3]),
        spec=spec,
        image_config=Digest(f"sha256:{item.image_id}"),
        state=state,
        volumes=tuple(VolumeName(name) for name in labels.get(LABEL + "volumes", "").split(",") if name),
        joined=Digest(labels.get(JOINED, "")),
        exit_code=item.exit_code,
        started_us=max(item.started_at, 0) * 1_000_000,
        began_us=_read_began_us(item.pid) if state in ("running", "paused") else 0,
    )


def is_left_dying(item: ContainerItem) -> bool:
    """Say whether its process is dead and podman has not cleared up after it yet."""
    return _STATES.get(item.state) == "stopping" and not _alive(item.pid)


def _alive(pid: int) -> bool:
    words = _read_stat(pid)
    return bool(words) and words[0] != "Z"


def _read_began_us(pid: int) -> int:
    """Return the boot time at which a process began (proc(5), field 22 of stat); 0 where it is gone."""
    words = _read_stat(pid)
    return int(words[19]) * 1_000_000 // os.sysconf("SC_CLK_TCK") if len(words) > 19 else 0


def _read_stat(pid: int) -> list[str]:
    """Return what follows the name in a process's stat: its state and field 4 onwards; nothing where it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:  # noqa: PTH123 - a number, no path
            return stat.read().rsplit(")", 1)[-1].split()
    except OSError:
        return []


def read_addresses(inspected: Inspected) -> dict[NetworkName, tuple[str, ...]]:
    """Return the addresses that a running container has in each of its networks, IPv4 first."""
    networks = inspected.network_settings.networks or {}
    return {
        NetworkName(name.rpartition(".")[2]): found
        for name, item in sorted(networks.items())
        if (found := tuple(each for each in (item.ip, item.ip6) if each))
    }


def read_macs(inspected: Inspected) -> dict[NetworkName, str]:
    """Return the hardware address that a running container has in each of its networks."""
    networks = inspected.network_settings.networks or {}
    return {NetworkName(name.rpartition(".")[2]): item.mac for name, item in sorted(networks.items()) if item.mac}


def read_network(item: NetworkItem) -> NetworkSeen | None:
    """Read one row of the network list; None for what is not ours."""
    labels = item.labels or {}
    if LABEL + "network" not in labels:
        return None
    return NetworkSeen(
        tenant=TenantName(labels[LABEL + "tenant"]),
        app=AppName(labels[LABEL + "app"]),
        name=NetworkName(labels[LABEL + "network"]),
        internal=item.internal,
        plan=labels.get(LABEL + "plan", ""),
        names=LABEL + "names" in labels,
        ranges=tuple(Subnet(subnet=each.subnet, gateway=each.gateway) for each in item.subnets or ()),
    )


def read_image(item: ImageItem) -> ImageSeen | None:
    """Read one row of the image list; None for what is not ours."""
    for name in item.repo_tags or []:
        head, _, digits = name.rpartition(":")
        if head == "localhost/skerry/image":
            return ImageSeen(Digest(f"sha256:{digits}"), Digest(f"sha256:{item.id}"), item.size)
    return None


def list_name_servers(spec: InstanceSpec, items: list[NetworkItem]) -> tuple[str, ...]:
    """Return the addresses at which the node answers for names in an instance's networks; none where podman does."""
    own = {network_name(spec.tenant, spec.app, name) for name in spec.networks}
    seen = {item.name: found for item in items if item.name in own and (found := read_network(item)) is not None}
    if not all(network.names for network in seen.values()):
        return ()
    gateways = [[each.gateway for each in network.ranges if each.gateway] for _, network in sorted(seen.items())]
    return tuple(min(each, key=lambda address: ":" in address) for each in gateways if each)
