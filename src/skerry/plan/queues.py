"""How the node shares its uplinks: classes of the uplinks themselves, and a cap for each instance that asks for one.

Pure. Rules of this file: (1) an instance's cap is what its tenant signed as ``bandwidth``, each way, for what crosses
the node; what stays inside a network is not limited. (2) An uplink that says what it carries has a class for the
agent's own link, before all others, one for each capped instance, and one for everything else. (3) An uplink without a
stated rate, and everything that is no uplink, is not queued: there a cap is kept by dropping. (4) Only devices that are
here are queued, and one that somebody else has given queues to is left alone. (5) On such an uplink the priority of an
instance says who has first what nobody has reserved: of the rest above ``HIGH`` before it, below ``LOW`` after it.
"""

import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from skerry.model.ids import Digest, InstanceId, NetworkName
from skerry.model.network import bridge_name
from skerry.model.observed import ContainerSeen, Observation, QueuesSeen
from skerry.model.uplinks import NO_BANDWIDTH, Uplink
from skerry.plan.actions import ApplyQueues, Cap, QueueClass, Rank, UplinkQueue
from skerry.plan.instances import Wanted
from skerry.plan.room import find_priority
from skerry.plan.site_plan import PlanDraft

#: Class of the agent's link to the core, which its socket names itself (``link/dialling.py``), and of the rest: of what
#: comes before it, of that itself, and of what comes after.
LINK_CLASS = 0x10
HIGH_CLASS = 0x18
OTHER_CLASS = 0x20
LOW_CLASS = 0x28
#: Priorities of a service (0 to 1000, 500 where nothing is said) from which and below which it has another class.
HIGH = 700
LOW = 300
#: Classes of instances are numbered from here to the end.
_FIRST_CLASS = 0x100
_CLASSES = 0x10000 - _FIRST_CLASS
#: A tenth of an uplink is kept for the agent's link, and a twentieth at least for what nobody has reserved.
_LINK_SHARE = 10
_OTHER_SHARE = 20
#: The kernel counts in bytes a second; a class has at least this much.
_RATE_BPS_MIN = 8_000


def plan_queues(
    draft: PlanDraft, wanted: Mapping[InstanceId, Wanted], observed: Observation, uplinks: Mapping[str, Uplink]
) -> None:
    """Make the node's queues say exactly what uplinks and capped instances need."""
    seen = observed.queues
    if seen is None:
        return
    action = make_queues(wanted, observed.containers, uplinks, seen)
    for device in sorted(seen.foreign.intersection(each.device for each in uplinks.values() if each.up_bps)):
        draft.wait(f"queues/{device}", f"{device} has queues that somebody else has made: it is left as it is")
    if seen.digest == action.digest and seen.devices == list_devices(action):
        return
    if seen.reason:
        if action.uplinks or action.caps:
            draft.wait("queues", seen.reason)
        return
    draft.add(action)


def make_queues(
    wanted: Mapping[InstanceId, Wanted],
    containers: Iterable[ContainerSeen],
    uplinks: Mapping[str, Uplink],
    seen: QueuesSeen,
) -> ApplyQueues:
    """Return what the queues have to be."""
    caps = _list_caps(wanted, containers)
    here = {each.device: each for each in uplinks.values() if each.up_bps and each.device in seen.links}
    ranks = _list_ranks(wanted, containers) if here.keys() - seen.foreign else ()
    queues = tuple(
        UplinkQueue(device=device, classes=_share(here[device].up_bps, caps, ranks))
        for device in sorted(here.keys() - seen.foreign)
    )
    content = msgspec.json.encode((queues, caps, ranks)) if queues or caps else b""
    digest = Digest("sha256:" + hashlib.sha256(content).hexdigest()) if content else Digest("")
    return ApplyQueues(uplinks=queues, caps=caps, ranks=ranks, digest=digest)


def list_devices(action: ApplyQueues) -> frozenset[str]:
    """Return the devices that have queues of ours once an action is done."""
    return frozenset(
        (
            *(each.device for each in action.uplinks),
            *(device for cap in action.caps if cap.down_bps for device in cap.devices),
        )
    )


def _rank(priority: int) -> tuple[int, int]:
    """Return the class of what nobody has capped, and the order of either, by the priority of its service."""
    return (HIGH_CLASS, 1) if priority > HIGH else (LOW_CLASS, 3) if priority < LOW else (OTHER_CLASS, 2)


def _list_ranks(wanted: Mapping[InstanceId, Wanted], containers: Iterable[ContainerSeen]) -> tuple[Rank, ...]:
    """Return who has another class than the rest, of those without a cap of what they send."""
    found: dict[int, set[str]] = {}
    bridges: dict[int, set[str]] = {}
    for seen in containers:
        item = wanted.get(seen.instance)
        if item is None or item.bandwidth.up_bps:
            continue
        number, _ = _rank(find_priority(item).value)
        if number != OTHER_CLASS:
            for name, addresses in seen.addresses.items():
                found.setdefault(number, set()).update(addresses)
                bridges.setdefault(number, set()).add(bridge_name(seen.tenant, seen.app, name))
    return tuple(
        Rank(number=number, devices=tuple(sorted(bridges[number])), addresses=tuple(sorted(addresses)))
        for number, addresses in sorted(found.items())
        if addresses
    )


def _list_caps(wanted: Mapping[InstanceId, Wanted], containers: Iterable[ContainerSeen]) -> tuple[Cap, ...]:
    places: dict[InstanceId, dict[NetworkName, set[str]]] = {}
    for each in containers:
        for network, addresses in each.addresses.items():
            places.setdefault(each.instance, {}).setdefault(network, set()).update(addresses)
    asking = {
        name: networks
        for name, networks in sorted(places.items())
        if name in wanted and wanted[name].bandwidth != NO_BANDWIDTH
    }
    numbers = _number(asking)
    return tuple(
        Cap(
            number=numbers[name],
            tenant=wanted[name].assignment.tenant,
            app=wanted[name].assignment.app,
            networks=tuple(sorted(networks)),
            addresses=tuple(sorted(address for found in networks.values() for address in found)),
            up_bps=wanted[name].bandwidth.up_bps,
            down_bps=wanted[name].bandwidth.down_bps,
            order=_rank(find_priority(wanted[name]).value)[1],
        )
        for name, networks in asking.items()
    )


def _number(names: Iterable[InstanceId]) -> dict[InstanceId, int]:
    """Number classes so that an instance keeps its own while others come and go, as far as can be."""
    numbers: dict[InstanceId, int] = {}
    taken: set[int] = set()
    for name in names:
        number = zlib.crc32(name.encode()) % _CLASSES
        while number in taken:
            number = (number + 1) % _CLASSES
        taken.add(number)
        numbers[name] = _FIRST_CLASS + number
    return numbers


def _share(up_bps: int, caps: Sequence[Cap], ranks: Sequence[Rank]) -> tuple[QueueClass, ...]:
    """Share an uplink out: everyone may have all that the others leave, an instance never more than its cap."""
    orders = {HIGH_CLASS: 1, LOW_CLASS: 3}
    sending = [cap for cap in caps if cap.up_bps]
    link = max(up_bps // _LINK_SHARE, _RATE_BPS_MIN)
    least = max(up_bps // _OTHER_SHARE, _RATE_BPS_MIN)
    # Classes get what is left by their order; where there are several, each has of its own just what keeps it going.
    other = least if ranks else max(up_bps - link - sum(cap.up_bps for cap in sending), least)
    return (
        QueueClass(number=LINK_CLASS, rate_bps=link, ceil_bps=up_bps, order=0),
        QueueClass(number=OTHER_CLASS, rate_bps=other, ceil_bps=up_bps, order=2),
        *(QueueClass(number=rank.number, rate_bps=least, ceil_bps=up_bps, order=orders[rank.number]) for rank in ranks),
        *(
            QueueClass(
                number=cap.number,
                rate_bps=min(cap.up_bps, up_bps),
                ceil_bps=min(cap.up_bps, up_bps),
                order=cap.order,
            )
            for cap in sending
        ),
    )
