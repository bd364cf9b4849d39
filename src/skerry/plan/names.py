"""What the node's name server answers: for each network of this site, where every name of it leads and why.

Pure, from what is held and what is seen. Rules of this file:

1. A service's names lead to its instances that run and, where they have a health check, are healthy: to those of this
   site as long as there is one, else to those of the nearest other site that has one, by measured round trips.
2. A name that the app's revision knows is never unknown: where nothing of it is well now, it leads nowhere for now.
3. A view holds addresses of its own network and no others. What another site says counts only for addresses of the part
   that this site has by the document.
4. An instance's own name (its hostname) says who it is, not who serves: it leads there while the instance runs, so that
   members of a cluster find each other before they are well.
5. What this process has not judged yet stays as it was answered: an agent that is started anew takes no name away.
6. Another site is asked only for services of networks over several sites that have nothing well here, and seldom for
   those with an entrance here: it is asked in their place where none of this site answers (``reserve.py``).
"""

import hashlib
import ipaddress
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec

from skerry.model.app import Service
from skerry.model.document import Assignment, NetworkMember, NetworkPart
from skerry.model.ids import AppName, Digest, InstanceId, NetworkName, ServiceName, SiteName, TenantName
from skerry.model.network import part_ranges
from skerry.model.observed import ContainerSeen, NamesSeen, NetworkSeen, Observation
from skerry.plan.actions import ApplyNames, Asker, Link, Named, PortNamed, Question, Zone
from skerry.plan.history import History
from skerry.plan.instances import Wanted
from skerry.plan.site_plan import HeldSite, PlanDraft

#: What other sites ask for lies below this name; only addresses of this site are given there.
OWN_SUFFIX = "own.skerry"
#: Addresses of each family of one service that another site is told: an answer of 24 IPv6 addresses fits into one
#: datagram of 1,232 bytes (28 bytes each).
TOLD_MAX = 24
#: Questions that a site asks other sites: 8 services at 32 neighbours each.
QUESTIONS_MAX = 256
#: RFC 1035 leaves 253 characters to a name; the server's own ends take up to 30 of them.
_NAME_MAX = 220
#: Labels as RFC 1123 has them, and with the underscores that Compose files have.
_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*", re.ASCII)

NetworkKey = tuple[TenantName, AppName, NetworkName]


class Lead(msgspec.Struct, frozen=True, kw_only=True):
    """Where one name of a network leads, and why there."""

    name: str
    #: The services that are called so.
    services: tuple[ServiceName, ...]
    addresses: tuple[str, ...]
    #: Sites at which these are; empty where it leads nowhere now.
    sites: tuple[SiteName, ...]
    why: str


class _Set(msgspec.Struct, frozen=True):
    """Where a service is served from, for this site."""

    addresses: tuple[str, ...]
    site: SiteName | None
    why: str


class _View(msgspec.Struct):
    """What is known of one network while its zone is being made."""

    seen: NetworkSeen
    shut: bool
    services: dict[ServiceName, list[Service]]
    part: NetworkPart | None
    members: dict[SiteName, NetworkMember]
    #: By service, addresses of this site's instances that are well.
    own: dict[ServiceName, list[str]]
    #: By hostname, addresses of instances of this site that run.
    hosts: dict[str, list[str]]


def plan_names(
    draft: PlanDraft,
    held: HeldSite,
    wanted: Mapping[InstanceId, Wanted],
    observed: Observation,
    links: Mapping[InstanceId, tuple[Link, ...]] = MappingProxyType({}),
) -> None:
    """Make the node's name server answer for the networks that ask it, and no server run where none does.

    ``links`` are those of instances that do not run yet, where their addresses are known before they start.
    """
    views = _list_views(held, wanted, observed, draft.history)
    seen = observed.names
    if seen is None or seen.reason:
        if views:
            reason = "this node has no name server" if seen is None else seen.reason
            draft.wait("names", f"instances find no names: {reason}")
        return
    sets = {key: _choose_sets(view, held, seen) for key, view in views.items()}
    zones = tuple(
        _make_zone(key, view, sets[key], _find_unsaid(key, views, wanted, observed, draft.history, links))
        for key, view in sorted(views.items())
    )
    askers = _list_askers(views, observed, links)
    questions = tuple(
        sorted(each for key, view in views.items() for each in _list_questions(key, view, sets[key], seen))
    )[:QUESTIONS_MAX]
    digest = names_digest(zones, askers, questions)
    if seen.digest != digest or (seen.left and not zones):
        draft.add(ApplyNames(zones=zones, askers=askers, questions=questions, digest=digest))


def explain_names(
    held: HeldSite, wanted: Mapping[InstanceId, Wanted], observed: Observation, history: History
) -> dict[NetworkKey, tuple[Lead, ...]]:
    """Return where each name of each network leads at this site, and why; for people."""
    seen = observed.names or NamesSeen()
    return {
        key: _list_leads(key[1], view, _choose_sets(view, held, seen))
        for key, view in sorted(_list_views(held, wanted, observed, history).items())
    }


def names_digest(zones: tuple[Zone, ...], askers: tuple[Asker, ...], questions: tuple[Question, ...]) -> Digest:
    """Name everything that a name server is told; nothing for none."""
    if not zones:
        return Digest("")
    return Digest("sha256:" + hashlib.sha256(msgspec.msgpack.encode((zones, askers, questions))).hexdigest())


def is_named_here(key: NetworkKey, observed: Observation) -> bool:
    """Say whether a network that is to be made asks the node's own server.

    All networks of one app do alike: an instance of two that did not would get two kinds of answer. In one that is at
    a device of the node there is no server to ask.
    """
    others = [
        each
        for each in observed.networks
        if (each.tenant, each.app) == key[:2] and each.name != key[2] and not each.lan
    ]
    return observed.names is not None and not observed.names.reason and all(each.names for each in others)


# What there is


def _list_views(
    held: HeldSite, wanted: Mapping[InstanceId, Wanted], observed: Observation, history: History
) -> dict[NetworkKey, _View]:
    views = {
        (each.tenant, each.app, each.name): _View(each, each.internal, {}, None, {}, {}, {})
        for each in observed.networks
        if each.names and _list_gateways(each)
    }
    if not views:
        return views
    for name, unit in sorted(held.units.items()):
        if name in held.refused:
            continue
        if isinstance(unit, NetworkPart | NetworkMember):
            view = views.get((unit.tenant, unit.app, unit.network))
            if view is not None and isinstance(unit, NetworkPart):
                view.part = unit
            elif view is not None and isinstance(unit, NetworkMember):
                view.members[unit.site] = unit
    digests = {unit.revision: (unit.tenant, unit.app) for unit in held.units.values() if isinstance(unit, Assignment)}
    for digest, (tenant, app) in sorted(digests.items()):
        revision = held.revisions.get(digest)
        if revision is None:
            continue
        for service_name, service in sorted(revision.services.items()):
            for network in service.networks:
                view = views.get((tenant, app, network))
                if view is not None:
                    view.services.setdefault(service_name, []).append(service)
        for network_name, network in revision.networks.items():
            view = views.get((tenant, app, network_name))
            if view is not None:
                view.shut = view.shut or network.internal
    answered = frozenset[str]() if observed.names is None else observed.names.answered
    for container in sorted(observed.containers, key=lambda each: (each.instance, each.container)):
        item = wanted.get(container.instance)
        if item is None or container.state != "running" or _is_to_stop(item):
            continue
        _add_instance(views, container, item, _is_well(container, item, history), answered)
    return views


def _list_gateways(seen: NetworkSeen) -> tuple[str, ...]:
    return _sorted(each.gateway for each in seen.ranges if each.gateway)


def _add_instance(
    views: dict[NetworkKey, _View],
    container: ContainerSeen,
    item: Wanted,
    judged: bool | None,
    answered: frozenset[str],
) -> None:
    spec = item.derived.spec
    for network, addresses in sorted(container.addresses.items()):
        view = views.get((container.tenant, container.app, network))
        if view is None:
            continue
        hostname = spec.hostname or f"{spec.service}-{spec.ordinal}"
        for name in {hostname, f"{hostname}.{spec.domainname}" if spec.domainname else hostname}:
            view.hosts.setdefault(name.lower(), []).extend(addresses)
        is_well = judged if judged is not None else any(each in answered for each in addresses)
        if is_well:
            view.own.setdefault(container.service, []).extend(addresses)


def _is_to_stop(item: Wanted) -> bool:
    return bool(item.held_why) or item.assignment.state == "hold"


def _is_well(container: ContainerSeen, item: Wanted, history: History) -> bool | None:
    """Say whether an instance that runs is well; None while this process cannot tell."""
    if item.derived.spec.healthcheck is None:
        return True
    run = history.runs.get(container.instance)
    if run is None or run.container != container.container or run.health in ("none", "starting"):
        return None
    return run.health == "healthy"


# Where names lead


def _choose_sets(view: _View, held: HeldSite, seen: NamesSeen) -> dict[ServiceName, _Set]:
    key = (view.seen.tenant, view.seen.app, view.seen.name)
    heard: dict[ServiceName, dict[SiteName, tuple[str, ...]]] = {}
    for each in seen.heard:
        member = view.members.get(each.site)
        if (each.tenant, each.app, each.network) == key and member is not None:
            heard.setdefault(each.service, {})[each.site] = keep_inside(member, each.addresses)
    sets: dict[ServiceName, _Set] = {}
    for service in view.services:
        own = tuple(sorted(set(view.own.get(service, ())), key=_order))
        if own:
            sets[service] = _Set(own, held.site, "it is well at this site")
            continue
        far = sorted((seen.rtt_us.get(site, 1 << 40), site) for site, where in heard.get(service, {}).items() if where)
        if far:
            rtt_us, site = far[0]
            others = f" of {len(far)} sites that have one" if len(far) > 1 else ""
            why = f"nothing of it is well here; {site} is the nearest{others}, {rtt_us / 1000:.1f} ms there and back"
            sets[service] = _Set(heard[service][site], site, why)
        else:
            sets[service] = _Set((), None, _explain_nothing(view, heard.get(service, {})))
    return sets


def _explain_nothing(view: _View, heard: Mapping[SiteName, tuple[str, ...]]) -> str:
    silent = sorted(view.members.keys() - heard.keys())
    parts = ["nothing of it is well here"]
    if heard:
        parts.append(f"{', '.join(sorted(heard))} has none")
    if silent:
        parts.append(f"{', '.join(silent)} did not answer")
    return "; ".join(parts)


def keep_inside(member: NetworkMember, addresses: Iterable[str]) -> tuple[str, ...]:
    """Return those addresses that are in a member's part: no site speaks for another one's."""
    ranges = part_ranges(member)
    found: list[str] = []
    for text in addresses:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        if address in (ranges.v4 if address.version == 4 else ranges.v6):
            found.append(str(address))
    return tuple(sorted(set(found), key=_order))


def _order(address: str) -> tuple[bool, bytes]:
    """IPv4 before IPv6, then by number."""
    parsed = ipaddress.ip_address(address)
    return parsed.version == 6, parsed.packed


def _list_leads(app: AppName, view: _View, sets: Mapping[ServiceName, _Set]) -> tuple[Lead, ...]:
    bearers: dict[str, set[ServiceName]] = {}
    for service, meanings in view.services.items():
        names = {str(service), f"{service}.{app}"}
        for each in meanings:
            names.update(alias.lower() for alias in each.networks.get(view.seen.name, ()))
        for name in names:
            if is_answerable(name):
                bearers.setdefault(name, set()).add(service)
    leads: list[Lead] = []
    for name, services in sorted(bearers.items()):
        found = [sets[service] for service in sorted(services)]
        leads.append(
            Lead(
                name=name,
                services=tuple(sorted(services)),
                addresses=tuple(sorted({each for one in found for each in one.addresses}, key=_order)),
                sites=tuple(sorted({one.site for one in found if one.site is not None})),
                why="; ".join(sorted({one.why for one in found})),
            )
        )
    for host, addresses in sorted(view.hosts.items()):
        if host not in bearers and is_answerable(host):
            why = "an instance of this site is called so, and runs"
            leads.append(Lead(name=host, services=(), addresses=_sorted(addresses), sites=(), why=why))
    return tuple(leads)


def is_answerable(name: str) -> bool:
    """Say whether a name can stand in a zone: host names, dots between, and not below the names that sites ask for."""
    reserved = name == "skerry" or name.endswith(".skerry")
    return len(name) <= _NAME_MAX and _NAME.fullmatch(name) is not None and not reserved


def _sorted(addresses: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(addresses), key=_order))


def _make_zone(key: NetworkKey, view: _View, sets: Mapping[ServiceName, _Set], unsaid: Iterable[str]) -> Zone:
    app = key[1]
    leads = _list_leads(app, view, sets)
    reverse = {
        address: f"{service}.{app}" for service, one in sorted(sets.items(), reverse=True) for address in one.addresses
    }
    known = {lead.name for lead in leads}
    return Zone(
        tenant=key[0],
        app=app,
        network=key[2],
        gateways=_list_gateways(view.seen),
        shut=view.shut,
        names=tuple(Named(lead.name, lead.addresses) for lead in leads),
        ports=_list_ports(app, view, sets),
        reverse=tuple(sorted(reverse.items())),
        own=tuple(Named(service, _limit(view.own.get(service, ()))) for service in sorted(view.services)),
        unsaid=tuple(sorted(set(unsaid) - known)),
    )


def _limit(addresses: Iterable[str]) -> tuple[str, ...]:
    found = _sorted(addresses)
    v4, v6 = ([each for each in found if (":" in each) == is_v6] for is_v6 in (False, True))
    return (*v4[:TOLD_MAX], *v6[:TOLD_MAX])


def _list_ports(app: AppName, view: _View, sets: Mapping[ServiceName, _Set]) -> tuple[PortNamed, ...]:
    ports = {
        PortNamed(name, port.target, port.protocol, f"{service}.{app}" if sets[service].addresses else "")
        for service, meanings in view.services.items()
        for each in meanings
        for port in each.ports
        for name in (str(service), f"{service}.{app}")
    }
    return tuple(sorted(ports))


# Instances of several networks


def _list_askers(
    views: Mapping[NetworkKey, _View], observed: Observation, links: Mapping[InstanceId, tuple[Link, ...]]
) -> tuple[Asker, ...]:
    askers: set[Asker] = set()
    for seen in observed.containers:
        addresses = dict(seen.addresses) if seen.state == "running" else {}
        if not addresses:
            coming = links.get(seen.instance, ())
            addresses = {each.network: tuple(one.partition("/")[0] for one in each.addresses) for each in coming}
        networks = tuple(sorted(name for name in addresses if (seen.tenant, seen.app, name) in views))
        if len(networks) > 1:
            askers.update(
                Asker(address, seen.tenant, seen.app, networks) for name in networks for address in addresses[name]
            )
    return tuple(sorted(askers))


def _find_unsaid(
    key: NetworkKey,
    views: Mapping[NetworkKey, _View],
    wanted: Mapping[InstanceId, Wanted],
    observed: Observation,
    history: History,
    links: Mapping[InstanceId, tuple[Link, ...]],
) -> set[str]:
    """Return names of other networks of those instances of this network that are about to start.

    Which address such an instance asks from is known only once it runs; until then its questions are left open and it
    asks again, where any answer would be a wrong one.
    """
    beginning = {each.instance for each in observed.containers if each.state in ("created", "exited")}
    names: set[str] = set()
    for instance in (beginning & wanted.keys()) - links.keys():
        spec = wanted[instance].derived.spec
        if (spec.tenant, spec.app) != key[:2] or key[2] not in spec.networks or len(spec.networks) == 1:
            continue
        if _is_to_stop(wanted[instance]) or instance in history.kept.ended:
            continue
        for network in spec.networks.keys() - {key[2]}:
            other = views.get((spec.tenant, spec.app, network))
            for service in other.services if other else ():
                names |= {str(service), f"{service}.{spec.app}"}
    return names


# Other sites


def _list_questions(
    key: NetworkKey, view: _View, sets: Mapping[ServiceName, _Set], seen: NamesSeen
) -> Iterable[Question]:
    if view.part is None:
        return
    source = str(part_ranges(view.part).v4[1])
    for service in sorted(view.services):
        has_door = any(each.entrance for each in view.services[service])
        if view.own.get(service) and not has_door:
            continue
        used = sets[service].site
        for site, member in sorted(view.members.items()):
            ranges = part_ranges(member)
            yield Question(
                tenant=key[0],
                app=key[1],
                network=key[2],
                service=service,
                site=site,
                server=str(ranges.v4[1]),
                source=source,
                ranges=(str(ranges.v4), str(ranges.v6)),
                often=used in (None, site),
                soon=has_door and used == site,
            )
