"""Which devices of the node service chains may lead the traffic of, and why not the others. Pure.

Rules of this file: (1) what comes from a device is one app's at a node, the first by its name, so that none finds its
packets in the steps of another. (2) Of a device that is a port of a network's bridge nothing comes to the node. (3) A
device that is missing bars nothing: the rules wait for it, so what comes from it is led from its first packet on.
"""

from collections.abc import Mapping

import msgspec

from skerry.model.chain import Chain
from skerry.model.ids import AppName, InstanceId, TenantName
from skerry.model.observed import Observation
from skerry.plan.instances import Wanted
from skerry.plan.lans import judge_lans

AppKey = tuple[TenantName, AppName]


class Obstacle(msgspec.Struct, frozen=True):
    """What is in the way of a chain, by its ends; ``bars``: there are no rules for it."""

    reason: str = ""
    bars: bool = False


CLEAR = Obstacle()


def find_obstacles(
    apps: Mapping[AppKey, tuple[Chain, ...]], wanted: Mapping[InstanceId, Wanted], observed: Observation
) -> dict[tuple[AppKey, str], Obstacle]:
    """Return what is in the way of which chain."""
    ports = {lan.parent: key for key, lan in judge_lans(wanted, observed).found.items() if lan.kind == "bridge"}
    owners: dict[str, AppKey] = {}
    found: dict[tuple[AppKey, str], Obstacle] = {}
    for app, chains in sorted(apps.items()):
        for chain in chains:
            devices = [end.name for end in (chain.start, chain.end) if end.kind == "interface"]
            for device in devices:
                owner = owners.setdefault(device, app)
                if owner != app:
                    found[app, chain.name] = Obstacle(
                        f"what comes from {device} is led by app {'/'.join(owner)} here", True
                    )
                elif device in ports:
                    reason = f"{device} is a port of the bridge of network {'/'.join(ports[device])} here"
                    found[app, chain.name] = Obstacle(reason, True)
                elif observed.node is not None and device not in observed.node.devices:
                    found.setdefault((app, chain.name), Obstacle(f"this node has no network device {device}"))
    return found
