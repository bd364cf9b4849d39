"""Which networks at devices of the node can be there, and why the others cannot.

Pure. Rules of this file: (1) what is there keeps its device, else the first by name has it. (2) A device, or a VLAN on
one, is one network's, but that networks of kind macvlan share a device, and so do those of kind ipvlan. (3) A reason
names what a person can change. (4) What an instance sends there does not cross the node, so nothing of the node leads
there: no port, no name, no chain, no entrance and no queue.
"""

from collections.abc import Mapping

import msgspec

from skerry.model.ids import AppName, InstanceId, NetworkName, TenantName
from skerry.model.lan import Lan, find_lan_lack
from skerry.model.observed import ContainerSeen, Observation
from skerry.plan.instances import Wanted

NetworkKey = tuple[TenantName, AppName, NetworkName]

#: Who has to make links so that one can stand at a device of the node.
NEEDS_OURS = 'set links = "skerry" in the settings of this node\'s agent'


class Lans(msgspec.Struct, frozen=True):
    """What is at which device of the node."""

    #: Those that can be there.
    found: dict[NetworkKey, Lan]
    lacking: dict[NetworkKey, str]

    @property
    def direct(self) -> frozenset[NetworkKey]:
        """Networks that are there without anything being made."""
        return frozenset(key for key, lan in self.found.items() if lan.is_direct)


def judge_lans(wanted: Mapping[InstanceId, Wanted], observed: Observation) -> Lans:
    """Judge each network of wanted instances that is to be at a device of the node."""
    wished: dict[NetworkKey, Lan] = {}
    for item in wanted.values():
        spec = item.derived.spec
        for name in spec.networks:
            plan = item.plans.get(name)
            if plan and plan.lan:
                wished[spec.tenant, spec.app, name] = plan.lan
    present = {(each.tenant, each.app, each.name) for each in observed.networks if each.lan}
    present |= {(seen.tenant, seen.app, name) for seen in observed.containers for name in seen.macs}
    lans = Lans({}, {})
    for key in sorted(wished, key=lambda key: (key not in present, key)):
        reason = _find_obstacle(wished[key], observed) or _find_clash(wished[key], lans.found)
        if reason:
            lans.lacking[key] = reason
        else:
            lans.found[key] = wished[key]
    return lans


def leave_out(wanted: Mapping[InstanceId, Wanted], observed: Observation) -> Observation:
    """Leave out what instances are called by in networks at devices of the node: there the node reaches nobody."""
    apart = {(each.tenant, each.app, each.name) for each in observed.networks if each.lan}
    apart |= judge_lans(wanted, observed).direct
    if not apart:
        return observed
    containers = tuple(_without(seen, apart) for seen in observed.containers)
    return msgspec.structs.replace(observed, containers=containers)


def _without(seen: ContainerSeen, apart: set[NetworkKey]) -> ContainerSeen:
    kept = {name for name in seen.addresses.keys() | seen.macs.keys() if (seen.tenant, seen.app, name) not in apart}
    addresses = {name: each for name, each in seen.addresses.items() if name in kept}
    macs = {name: each for name, each in seen.macs.items() if name in kept}
    return msgspec.structs.replace(seen, addresses=addresses, macs=macs)


def _find_obstacle(lan: Lan, observed: Observation) -> str:
    if observed.translation is None:
        return f"it is at {lan.parent}, a device of the node, and podman makes the links here: {NEEDS_OURS}"
    node = observed.node
    if node is None:
        return "nothing tells what this node has"
    if lan.parent not in node.devices:
        return f"this node has no network device {lan.parent}"
    lack = find_lan_lack(lan, node.facts)
    return f"it needs {lack}, which this node does not have" if lack else ""


def _find_clash(lan: Lan, found: Mapping[NetworkKey, Lan]) -> str:
    for key, other in found.items():
        if other.place == lan.place and not (other.kind == lan.kind and lan.is_direct):
            what = f"VLAN {lan.id} on {lan.parent}" if lan.id else lan.parent
            return f"{what} is network {'/'.join(key)}'s here, of kind {other.kind}"
    return ""
