"""The site's entrance: who has which host name and port, which copies are asked, how one leaves in peace. Pure.

Rules of this file:

1. A host name belongs to one tenant of a site, a place (host and path, TCP port, UDP port) to one service. Who holds it
   keeps it; of several who ask at once the first by name has it, and the others are told so, but not who that is.
2. A copy is asked while it runs and is not found unwell. One with a health check comes in when it has passed once.
3. A copy that is to stop is first asked nothing new (``drain``) and stops when nobody speaks with it any more, after
   half of its grace at the latest; the other half is left to its own stopping. Where a successor is on its way into the
   entrance the old copy stays until that one answers there, for ``YOUNG_US`` at most.
4. An entrance that does not work holds up no stop.
"""

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from skerry.model.app import AppRevision, Service, Sites
from skerry.model.entrance import HTTP_PORT, HTTPS_PORT, Entrance
from skerry.model.ids import Digest, InstanceId, SecretName
from skerry.model.observed import ContainerSeen, EntranceSeen, InstanceFact, Observation, ServerSeen
from skerry.model.policy import SecretPolicy
from skerry.model.signed import SiteRecord
from skerry.model.site_match import site_unmet
from skerry.plan.actions import (
    Action,
    ApplyEntrance,
    Backend,
    Certificate,
    Datagrams,
    Listener,
    Route,
    Server,
    StopContainer,
)
from skerry.plan.history import History
from skerry.plan.instances import Wanted
from skerry.plan.site_plan import PlanDraft

#: A successor that does not answer in the entrance for so long is not waited for: its app is judged elsewhere.
YOUNG_US = 10_000_000
#: How often it is looked whether a copy that leaves is still spoken with.
LOOK_US = 200_000
#: Grace of a container whose stop names none: Compose's default.
_GRACE_US = 10_000_000
#: Least that is left of a grace after draining.
_REST_US = 1_000_000

#: Tenant, app and service.
Owner = tuple[str, str, str]


class Claim(msgspec.Struct, frozen=True):
    """What a service is given."""

    owner: Owner
    entrance: Entrance
    #: Version of its certificate; empty for none.
    certificate: Digest = Digest("")
    #: Page that a healthy copy answers; empty where it is enough that it takes a connection.
    page: str = ""


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """Who is given what, and who is not and why."""

    claims: tuple[Claim, ...] = ()
    refused: dict[Owner, str] = {}
    #: Instances that publish a port which the entrance has, each with the reason.
    portless: dict[InstanceId, str] = {}


def find_certificates(
    revision: AppRevision, service: Service, record: SiteRecord, held: Mapping[SecretName, Digest]
) -> dict[str, Digest]:
    """Return the versions of a service's certificates that may be shown at this site, by the revision's names."""
    found: dict[str, Digest] = {}
    for source in {each.secret for each in service.entrance or () if each.secret} & revision.secrets.keys():
        use = revision.secrets[source]
        policy = use.policy or SecretPolicy()
        if use.name in held and not site_unmet(Sites(match=policy.sites), record):
            found[source] = held[use.name]
    return found


def settle_entrance(wanted: Mapping[InstanceId, Wanted], seen: EntranceSeen | None) -> Settled:
    """Give places to services."""
    seen = seen or EntranceSeen()
    newest: dict[Owner, Wanted] = {}
    for item in wanted.values():
        owner = _owner(item)
        if item.entrance and (owner not in newest or newest[owner].number < item.number):
            newest[owner] = item
    refused: dict[Owner, str] = {}
    claims = [claim for owner in sorted(newest) for claim in _claim(owner, newest[owner], refused)]
    claims = _give(claims, seen, refused)
    published = _list_published(wanted)
    portless: dict[InstanceId, str] = {}
    kept: list[Claim] = []
    for claim in claims:
        taken = sorted(_list_needs(claim.entrance) & published.keys())
        lost = [each for each in taken if not _is_held(each, seen)]
        if lost:
            refused[claim.owner] = f"port {lost[0][1]} of the node is published by an instance here"
            continue
        for protocol, port in taken:
            reason = f"port {port}/{protocol} of the node belongs to the site's entrance"
            portless |= dict.fromkeys(published[protocol, port], reason)
        kept.append(claim)
    return Settled(claims=tuple(kept), refused=refused, portless=portless)


def _owner(item: Wanted) -> Owner:
    return item.assignment.tenant, item.assignment.app, item.assignment.service


def _claim(owner: Owner, item: Wanted, refused: dict[Owner, str]) -> list[Claim]:
    check = item.derived.spec.healthcheck
    probe = check.probe if check is not None else None
    found: list[Claim] = []
    for each in item.entrance:
        certificate = item.certificates.get(each.secret, Digest(""))
        if each.secret and not certificate:
            refused[owner] = f"the certificate of {each.host} (secret {each.secret}) is not sealed for this site"
            continue
        page = probe.path if probe and probe.port == each.port else ""
        found.append(Claim(owner, each, certificate, page))
    return found


def _give(claims: list[Claim], seen: EntranceSeen, refused: dict[Owner, str]) -> list[Claim]:
    """Leave of the claims those that are granted, in an order that follows from them alone."""
    tenants: dict[str, str] = {}
    owners: dict[str, Owner] = {}
    kinds: dict[int, str] = {}
    for claim in sorted(claims, key=lambda claim: (not _holds(claim, seen), claim.owner, claim.entrance.place)):
        one = claim.entrance
        kind = "host names" if one.host else one.place
        if one.host and tenants.setdefault(one.host, claim.owner[0]) != claim.owner[0]:
            refused[claim.owner] = f"{one.host} is given to another tenant of this site"
        elif owners.setdefault(one.place, claim.owner) != claim.owner:
            refused[claim.owner] = f"{one.place.removeprefix('http/')} is given to another service at this site"
        elif any(kinds.get(port, kind) != kind for port in one.listens):
            refused[claim.owner] = "its port of the node is given to something else of the entrance here"
        else:
            kinds |= dict.fromkeys(one.listens, kind)
            continue
        if owners.get(one.place) == claim.owner:
            del owners[one.place]
    return [claim for claim in claims if owners.get(claim.entrance.place) == claim.owner]


def _holds(claim: Claim, seen: EntranceSeen) -> bool:
    return seen.holders.get(claim.entrance.place) == "/".join(claim.owner)


def _list_published(wanted: Mapping[InstanceId, Wanted]) -> dict[tuple[str, int], list[InstanceId]]:
    found: dict[tuple[str, int], list[InstanceId]] = {}
    for name in sorted(wanted):
        for port in wanted[name].derived.spec.ports:
            if port.published:
                found.setdefault((port.protocol, port.published), []).append(name)
    return found


def _list_needs(one: Entrance) -> set[tuple[str, int]]:
    return {("udp", one.udp)} if one.udp else {("tcp", port) for port in one.listens}


def _is_held(need: tuple[str, int], seen: EntranceSeen) -> bool:
    """Say whether the entrance has that port already."""
    protocol, port = need
    if protocol == "tcp" and port in (HTTP_PORT, HTTPS_PORT):
        return any(place.startswith("http/") for place in seen.holders)
    return f"{protocol}/{port}" in seen.holders


def plan_entrance(
    draft: PlanDraft,
    settled: Settled,
    wanted: Mapping[InstanceId, Wanted],
    observed: Observation,
) -> None:
    """Plan the entrance as a whole, and hold back stops of copies that people still speak with."""
    seen = observed.entrance or EntranceSeen()
    trouble = draft.history.troubles.get("entrance")
    stops = {action.container: action for action in draft.actions if isinstance(action, StopContainer)}
    fitting: dict[Owner, list[ContainerSeen]] = {}
    for each in sorted(observed.containers, key=lambda each: (each.instance, each.container)):
        if each.state == "running" and each.instance in wanted and _find_address(each):
            fitting.setdefault((each.tenant, each.app, each.service), []).append(each)
    held: dict[str, str] = {}
    for container, action in stops.items():
        rest = next((each for group in fitting.values() for each in group if each.container == container), None)
        if rest is None or trouble is not None or not seen.digest:
            continue
        held[container] = _judge_stop(rest, action, fitting, stops, seen, draft)
    _hold_back(draft, {name for name, verdict in held.items() if verdict != "go"}, seen)
    leaving = {name for name in stops if held.get(name, "go") != "stay"}
    action = _build(settled, fitting, leaving, seen, draft.history)
    if action.digest != seen.digest:
        draft.add(action)


def explain_entrance(
    fact: InstanceFact, item: Wanted, settled: Settled, seen: EntranceSeen | None, history: History
) -> InstanceFact:
    """Let a ready instance say why not all of its entrance is open."""
    if not item.entrance or fact.phase != "ready" or fact.reason:
        return fact
    trouble = history.troubles.get("entrance")
    flaws = seen.flaws if seen is not None else {}
    flaw = next((flaws[one.place] for one in item.entrance if one.place in flaws), "")
    reason = settled.refused.get(_owner(item), "") or flaw or (f"{trouble.reason} ({trouble.code})" if trouble else "")
    return msgspec.structs.replace(fact, reason=f"entrance: {reason}") if reason else fact


def server_name(container: str) -> str:
    """Name a container among the servers of a backend."""
    return container[:24]


def backend_name(owner: Owner, port: int) -> str:
    """Name the copies of a service at one of their ports."""
    return "b" + hashlib.sha256("/".join((*owner, str(port))).encode()).hexdigest()[:16]


def _judge_stop(
    leaving: ContainerSeen,
    action: StopContainer,
    fitting: Mapping[Owner, list[ContainerSeen]],
    stops: Mapping[str, StopContainer],
    seen: EntranceSeen,
    draft: PlanDraft,
) -> str:
    """Return ``go``, ``drain`` while somebody speaks with it, or ``stay`` while its successor is not in yet."""
    now_us = draft.now.boot_us
    servers: dict[str, list[ServerSeen]] = {}
    for each in seen.servers:
        servers.setdefault(each.name, []).append(each)
    mine = servers.get(server_name(leaving.container), [])
    if not mine:
        return "go"
    if any(each.state == "up" for each in mine):
        others = [
            each
            for each in fitting[leaving.tenant, leaving.app, leaving.service]
            if each.container not in stops and _is_let_in(each, servers, draft.history)
        ]
        is_young = any(_is_young(servers.get(server_name(each.container), []), mine, now_us) for each in others)
        return "stay" if is_young else "drain"
    limit_us = (action.grace_us or _GRACE_US) // 2
    age_us = now_us - max(each.since_us for each in mine)
    return "drain" if any(each.sessions for each in mine) and age_us < limit_us else "go"


def _is_young(other: list[ServerSeen], mine: list[ServerSeen], now_us: int) -> bool:
    theirs = {each.backend: each for each in other}
    for each in mine:
        one = theirs.get(each.backend)
        if one is None or (not one.well and now_us - one.since_us < YOUNG_US):
            return True
    return False


def _hold_back(draft: PlanDraft, names: set[str], seen: EntranceSeen) -> None:
    """Take stops out of the plan, and shorten those that come after draining."""
    since = {each.name: each.since_us for each in seen.servers if each.state == "drain"}
    actions: list[Action] = []
    for action in draft.actions:
        if isinstance(action, StopContainer) and action.container in names:
            until_us = draft.now.boot_us + LOOK_US
            draft.wait(f"drain/{action.instance}", "the entrance still leads to it", until_us)
            continue
        if isinstance(action, StopContainer) and action.grace_us and server_name(action.container) in since:
            spent_us = max(draft.now.boot_us - since[server_name(action.container)], 0)
            rest_us = max(action.grace_us - spent_us, min(_REST_US, action.grace_us))
            action = msgspec.structs.replace(action, grace_us=rest_us)
        actions.append(action)
    draft.actions = actions


def _is_let_in(each: ContainerSeen, servers: Mapping[str, list[ServerSeen]], history: History) -> bool:
    run = history.runs.get(each.instance)
    if run is None or run.spec != each.spec or run.health in ("none", "healthy"):
        return True
    return run.health == "starting" and server_name(each.container) in servers


def _is_unwell(each: ContainerSeen, history: History) -> bool:
    run = history.runs.get(each.instance)
    return run is not None and run.spec == each.spec and run.health == "unhealthy"


def _build(
    settled: Settled,
    fitting: Mapping[Owner, list[ContainerSeen]],
    leaving: set[str],
    seen: EntranceSeen,
    history: History,
) -> ApplyEntrance:
    known: dict[str, list[ServerSeen]] = {}
    for each in seen.servers:
        known.setdefault(each.name, []).append(each)
    routes: list[Route] = []
    listeners: list[Listener] = []
    backends: dict[str, Backend] = {}
    certificates: dict[str, Certificate] = {}
    datagrams: list[Datagrams] = []
    for claim in settled.claims:
        one, holder = claim.entrance, "/".join(claim.owner)
        servers = tuple(_list_servers(claim, fitting.get(claim.owner, ()), leaving, known, history))
        if one.udp:
            datagrams.append(Datagrams(port=one.udp, holder=holder, servers=servers))
            continue
        # A port that is asked for in both ways has a backend for each.
        mode = "http" if one.host else "tcp"
        name = backend_name(claim.owner, one.port) + ("" if one.host else "t")
        backends[name] = Backend(name=name, mode=mode, page=claim.page if one.host else "", servers=servers)
        if one.tcp:
            listeners.append(Listener(port=one.tcp, backend=name, holder=holder))
            continue
        is_secure = one.tls != "none"
        routes.append(Route(host=one.host, path=one.path, backend=name, secure=is_secure, holder=holder))
        if is_secure and one.host not in certificates:
            certificates[one.host] = Certificate(host=one.host, version=claim.certificate)
    action = ApplyEntrance(
        routes=tuple(sorted(routes)),
        listeners=tuple(sorted(listeners)),
        backends=tuple(backends[name] for name in sorted(backends)),
        certificates=tuple(certificates[host] for host in sorted(certificates)),
        datagrams=tuple(sorted(datagrams)),
        digest=Digest(""),
    )
    return msgspec.structs.replace(action, digest=entrance_digest(action))


def entrance_digest(action: ApplyEntrance) -> Digest:
    """Name an entrance by what it is made from; empty for none at all."""
    if not (action.routes or action.listeners or action.datagrams):
        return Digest("")
    parts = (action.routes, action.listeners, action.backends, action.certificates, action.datagrams)
    return Digest("sha256:" + hashlib.sha256(msgspec.json.encode(parts)).hexdigest())


def _list_servers(
    claim: Claim,
    containers: Iterable[ContainerSeen],
    leaving: set[str],
    known: Mapping[str, list[ServerSeen]],
    history: History,
) -> Iterable[Server]:
    for each in containers:
        is_leaving = each.container in leaving or _is_unwell(each, history)
        if not is_leaving and not _is_let_in(each, known, history):
            continue
        yield Server(
            name=server_name(each.container),
            address=_find_address(each),
            port=claim.entrance.port,
            state="drain" if is_leaving else "up",
        )


def _find_address(seen: ContainerSeen) -> str:
    """Return where the node reaches a container: an IPv4 address where it has one."""
    found = [address for name in sorted(seen.addresses) for address in seen.addresses[name]]
    return min(found, key=lambda address: ":" in address, default="")


def list_holders(action: ApplyEntrance) -> dict[str, str]:
    """Return who holds which place after this."""
    found = {f"http/{each.host}{each.path}": each.holder for each in action.routes}
    found |= {f"tcp/{each.port}": each.holder for each in action.listeners}
    return found | {f"udp/{each.port}": each.holder for each in action.datagrams}
