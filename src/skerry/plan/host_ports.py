"""Ports of the node that the site chooses: the same one again after every restart, never one that somebody asked for.

Pure: the choice follows from what is wanted at the node. A port begins its search at a place of its own in the range,
so one more instance seldom moves another; two that meet go in the order of their instances.
"""

import hashlib
from collections.abc import Iterator

import msgspec

from skerry.model.app import Port
from skerry.model.ids import InstanceId
from skerry.model.instance import spec_digest
from skerry.plan.derive import Derived, Underivable
from skerry.plan.instances import Wanted

_Key = tuple[str, int]


def settle_ports(wanted: dict[InstanceId, Wanted]) -> tuple[dict[InstanceId, Wanted], dict[InstanceId, Underivable]]:
    """Return ``wanted`` with a port of the node for each one that the site chooses, and what finds none."""
    if not any(port.among for item in wanted.values() for port in item.derived.spec.ports):
        return wanted, {}
    taken: set[_Key] = {
        (port.protocol, port.published)
        for item in wanted.values()
        for port in item.derived.spec.ports
        if port.published
    }
    settled: dict[InstanceId, Wanted] = {}
    refused: dict[InstanceId, Underivable] = {}
    for instance in sorted(wanted):
        item = wanted[instance]
        spec = item.derived.spec
        ports = tuple(_settle(instance, port, taken) for port in spec.ports)
        failed = next((port for port in ports if port.among and not port.published), None)
        if failed is not None and failed.among:
            first, last = failed.among
            reason = f"no port from {first} to {last} is free for {failed.target}/{failed.protocol}"
            refused[instance] = Underivable("E-PORT-IN-USE", reason)
            continue
        if ports != spec.ports:
            spec = msgspec.structs.replace(spec, ports=ports)
            item = msgspec.structs.replace(item, derived=Derived(spec, spec_digest(spec)))
        settled[instance] = item
    return settled, refused


def _settle(instance: InstanceId, port: Port, taken: set[_Key]) -> Port:
    if not port.among:
        return port
    for number in _candidates(instance, port, *port.among):
        if (port.protocol, number) not in taken:
            taken.add((port.protocol, number))
            return msgspec.structs.replace(port, published=number)
    return port


def _candidates(instance: InstanceId, port: Port, first: int, last: int) -> Iterator[int]:
    """Go round the range from a place that only this port of this instance has."""
    size = last - first + 1
    mark = hashlib.sha256(f"{instance}/{port.target}/{port.protocol}/{port.host_ip}".encode()).digest()
    start = int.from_bytes(mark[:8], "big") % size
    return (first + (start + step) % size for step in range(size))
