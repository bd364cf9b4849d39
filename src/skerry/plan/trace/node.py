"""What a node says when it is asked for the way of an app's packets: its tables as they are applied, pure.

Rule: what is in force is asked of the planners themselves. What they would make now is what is there exactly where the
digest of what is there is theirs; where it is another one, the view says ``changing`` and nothing is claimed. Of other
tenants nothing is told but that an address is some other network's.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from skerry.model.document import Peer
from skerry.model.facts import ChainFact, InstanceFact
from skerry.model.ids import InstanceId, ServiceName, UnitId
from skerry.model.observed import EntranceSeen, Observation
from skerry.model.trace import (
    PARTS_MAX,
    DoorLook,
    InstanceLook,
    NameLook,
    NetworkLook,
    NodeView,
    TraceAsk,
    TunnelLook,
)
from skerry.plan.actions import ApplyOverlay, ApplyRules, AppRules
from skerry.plan.chains import plan_chains
from skerry.plan.history import History
from skerry.plan.instances import Wanted
from skerry.plan.lans import leave_out
from skerry.plan.names import explain_names
from skerry.plan.networks import plan_rules
from skerry.plan.overlay import plan_overlay
from skerry.plan.places import find_lingering, settle_entrance
from skerry.plan.site import derive_wanted
from skerry.plan.site_plan import HeldSite, Now, PlanDraft, SitePlan
from skerry.plan.uplinks import find_uplink
from skerry.plan.ways import is_relayed
from skerry.plan.windows import find_followed

#: No digest is like this, so a planner that is shown it says all that it wishes.
_UNLIKE = "nothing"
_TEXT_MAX = 512
#: Characters of a container's id by which the entrance knows it (``plan/entrance.py``).
_SERVER_NAME = 24

_Guard = Literal["in force", "changing", "missing"]


def view_node(
    ask: TraceAsk, held: HeldSite, observed: Observation, history: History, now: Now, plan: SitePlan
) -> NodeView:
    """Say what the node has of an app's way; ``observed`` is a look of this moment, ``plan`` the node's last plan."""
    followed = find_followed(held, observed, history, now)
    wanted, refused = derive_wanted(followed)
    # Without troubles and back-off: what is asked is what is wished, not what is tried next.
    draft = PlanDraft(History(boot=history.boot, kept=history.kept, runs=history.runs), now)
    crossing = leave_out(wanted, observed)
    guard, rules = _find_rules(draft, wanted, refused, observed, followed)
    uplink = find_uplink(followed.record.uplinks or {}, followed.way)
    return NodeView(
        site=held.site,
        node=held.node,
        guard=guard,
        networks=tuple(_list_networks(ask, rules, observed))[:PARTS_MAX],
        instances=tuple(_list_instances(ask, observed, plan))[:PARTS_MAX],
        tunnels=tuple(_list_tunnels(ask, draft, followed, observed))[:PARTS_MAX],
        tunnels_lack=_find_lack(observed),
        names=tuple(_list_names(ask, followed, wanted, crossing, history))[:PARTS_MAX],
        names_lack="no name server is driven here" if observed.names is None else observed.names.reason,
        chains=tuple(_list_chains(ask, draft, wanted, crossing, history, held))[:PARTS_MAX],
        doors=tuple(_list_doors(ask, wanted, observed, plan))[:PARTS_MAX],
        waits=tuple(_list_waits(ask, followed, plan))[:PARTS_MAX],
        target_is=_whose(ask, observed),
        uplink=uplink,
        device=followed.way,
    )


def _find_rules(
    draft: PlanDraft,
    wanted: dict[InstanceId, Wanted],
    refused: Iterable[UnitId],
    observed: Observation,
    held: HeldSite,
) -> tuple[_Guard, tuple[AppRules, ...]]:
    doors = settle_entrance(wanted, observed.entrance, lingering=find_lingering(held, refused)).claims
    plan_rules(draft, wanted, msgspec.structs.replace(observed, rules=_UNLIKE), held.units, doors)
    wished = next(each for each in draft.actions if isinstance(each, ApplyRules))
    if wished.digest == observed.rules:
        return "in force", wished.networks
    return ("changing" if observed.rules else "missing"), wished.networks


def _list_networks(ask: TraceAsk, rules: Iterable[AppRules], observed: Observation) -> Iterator[NetworkLook]:
    seen = {(each.tenant, each.app, each.name): each for each in observed.networks}
    for each in rules:
        if (each.tenant, each.app) == (ask.tenant, ask.app):
            network = seen.get((each.tenant, each.app, each.network))
            ranges = tuple(one.subnet for one in network.ranges) if network is not None else ()
            yield NetworkLook(each.network, each.internal, ranges or each.near, each.near, each.far)


def _list_instances(ask: TraceAsk, observed: Observation, plan: SitePlan) -> Iterator[InstanceLook]:
    told = {fact.instance: fact for fact in plan.facts if isinstance(fact, InstanceFact)}
    for each in sorted(observed.containers, key=lambda each: (each.instance, each.state != "running", each.container)):
        if (each.tenant, each.app) == (ask.tenant, ask.app) and each.service in ask.services:
            fact = told.get(each.instance)
            phase, reason = (fact.phase, fact.reason) if fact is not None else ("unknown", "")
            yield InstanceLook(each.instance, each.state, phase, reason[:_TEXT_MAX], each.addresses)


def _list_tunnels(ask: TraceAsk, draft: PlanDraft, held: HeldSite, observed: Observation) -> Iterator[TunnelLook]:
    seen = observed.overlay
    if seen is None or not seen.mode:
        return
    plan_overlay(draft, held, msgspec.structs.replace(seen, digest=_UNLIKE))
    wished = next((each for each in draft.actions if isinstance(each, ApplyOverlay)), None)
    if wished is None:
        return
    found = {(each.own, each.aside, each.key): each for each in seen.tunnels}
    peer = held.units.get(UnitId(f"peer/{ask.other}"))
    # While a place is tried, the planned one is another every few seconds, and the ways are as they were.
    is_so = wished.digest == seen.digest or any(each.trying for each in seen.tunnels)
    for tunnel in wished.tunnels:
        there = found.get((tunnel.own, tunnel.aside, tunnel.key))
        if tunnel.site != ask.other or there is None:
            continue
        place = there.told or tunnel.endpoint
        yield TunnelLook(
            used=tunnel.used and is_so,
            ranges=tunnel.ranges,
            place=place,
            relayed=isinstance(peer, Peer) and is_relayed(there, peer),
            heard_s=there.heard_s,
            trying=there.trying,
            received_bytes=there.received_bytes,
            sent_bytes=there.sent_bytes,
        )


def _find_lack(observed: Observation) -> str:
    seen = observed.overlay
    if seen is None:
        return "this node has no tunnels"
    return "" if seen.mode else seen.reason


def _list_names(
    ask: TraceAsk, held: HeldSite, wanted: Mapping[InstanceId, Wanted], observed: Observation, history: History
) -> Iterator[NameLook]:
    if not ask.name:
        return
    for (tenant, app, network), leads in explain_names(held, wanted, observed, history).items():
        if (tenant, app) == (ask.tenant, ask.app):
            for lead in leads:
                if lead.name == ask.name.lower():
                    yield NameLook(network, lead.addresses, lead.sites, lead.why[:_TEXT_MAX])


def _list_chains(
    ask: TraceAsk,
    draft: PlanDraft,
    wanted: dict[InstanceId, Wanted],
    observed: Observation,
    history: History,
    held: HeldSite,
) -> Iterator[ChainFact]:
    before = len(draft.facts)
    plan_chains(draft, wanted, observed, history, held.node, {})
    for fact in draft.facts[before:]:
        if isinstance(fact, ChainFact) and (fact.tenant, fact.app) == (ask.tenant, ask.app):
            yield fact


def _list_doors(
    ask: TraceAsk, wanted: Mapping[InstanceId, Wanted], observed: Observation, plan: SitePlan
) -> Iterator[DoorLook]:
    seen = observed.entrance or EntranceSeen()
    told = {fact.instance: fact.reason for fact in plan.facts if isinstance(fact, InstanceFact)}
    reasons: dict[tuple[ServiceName, str], list[str]] = {}
    for instance, item in sorted(wanted.items()):
        unit = item.assignment
        if (unit.tenant, unit.app) == (ask.tenant, ask.app) and unit.service in ask.services:
            for one in item.entrance:
                reasons.setdefault((unit.service, one.place), []).append(told.get(instance, ""))
    for (service, place), why in sorted(reasons.items()):
        owner = (ask.tenant, ask.app, service)
        running = [
            each.container[:_SERVER_NAME]
            for each in observed.containers
            if (each.tenant, each.app, each.service) == owner and each.state == "running"
        ]
        servers = [each for each in seen.servers if each.name in running]
        well = {each.name for each in servers if each.well and each.state == "up"}
        is_held = seen.holders.get(place) == "/".join(owner)
        flaw = seen.flaws.get(place, "") if is_held else max(why) or "the entrance of the site does not have it"
        # Of datagrams nobody can tell whether they are answered.
        yield DoorLook(
            place, service, flaw[:_TEXT_MAX], len(running if place.startswith("udp/") else well), len(running)
        )


def _list_waits(ask: TraceAsk, held: HeldSite, plan: SitePlan) -> Iterator[str]:
    about = (f"network/{ask.tenant}/{ask.app}/", f"chain/{ask.tenant}/{ask.app}/")
    for wait in plan.waits:
        if wait.subject in ("overlay", "names", "rules", "entrance", "runtime") or wait.subject.startswith(about):
            yield f"{wait.subject}: {wait.reason}"[:_TEXT_MAX]
    members = (f"network/{ask.tenant}/{ask.app}/", f"member/{ask.tenant}/{ask.app}/")
    for name, (code, reason) in sorted(held.refused.items()):
        if name == f"peer/{ask.other}" or name.startswith(members):
            yield f"{name} is refused: {reason} ({code})"[:_TEXT_MAX]


def _whose(ask: TraceAsk, observed: Observation) -> Literal["", "node", "network"]:
    """Say whose an address is at this node, of what is not the app's own."""
    if not ask.target:
        return ""
    try:
        target = ipaddress.ip_address(ask.target)
    except ValueError:
        return ""
    own = set(observed.overlay.addresses) if observed.overlay is not None else set[str]()
    own |= {one.gateway for each in observed.networks for one in each.ranges}
    if str(target) in own:
        return "node"
    for each in observed.networks:
        is_other = (each.tenant, each.app) != (ask.tenant, ask.app)
        if is_other and any(target in ipaddress.ip_network(one.subnet) for one in each.ranges):
            return "network"
    return ""
