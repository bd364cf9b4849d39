"""The site's entrance: which copies are asked, and how one leaves in peace. Pure.

Rules of this file:

1. Who has which host name and port is settled in ``places.py``. Copies of other sites are a reserve (``reserve.py``):
   they are asked only while none of this site answers.
2. A copy is asked while it runs and is not found unwell. One with a health check comes in when it has passed once.
3. A copy that is to stop is first asked nothing new (``drain``) and stops when nobody speaks with it any more, after
   half of its grace at the latest; the other half is left to its own stopping. Where a successor is on its way into the
   entrance the old copy stays until that one answers there, for ``YOUNG_US`` at most.
4. An entrance that does not work holds up no stop.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from skerry.model.facts import InstanceFact
from skerry.model.ids import AppName, Digest, InstanceId, ServiceName, TenantName
from skerry.model.limits import INTEGER_MAX
from skerry.model.observed import ContainerSeen, EntranceSeen, Observation, ServerSeen
from skerry.model.samples import DoorUse
from skerry.plan.actions import (
    Action,
    ApplyEntrance,
    Backend,
    Certificate,
    Challenge,
    Datagrams,
    Listener,
    Route,
    Server,
    StopContainer,
)
from skerry.plan.certificates import plan_certificates
from skerry.plan.history import History
from skerry.plan.instances import Wanted
from skerry.plan.places import Claim, Owner, Settled, owner_of
from skerry.plan.reserve import list_reserve
from skerry.plan.site_plan import HeldSite, PlanDraft

#: A successor that does not answer in the entrance for so long is not waited for: its app is judged elsewhere.
YOUNG_US = 10_000_000
#: How often it is looked whether a copy that leaves is still spoken with.
LOOK_US = 200_000
#: Grace of a container whose stop names none: Compose's default.
_GRACE_US = 10_000_000
#: Least that is left of a grace after draining.
_REST_US = 1_000_000


def plan_entrance(
    draft: PlanDraft,
    settled: Settled,
    wanted: Mapping[InstanceId, Wanted],
    observed: Observation,
    held: HeldSite,
) -> None:
    """Plan the entrance as a whole and its certificates, and hold back stops of copies that people still speak with."""
    seen = observed.entrance or EntranceSeen()
    trouble = draft.history.troubles.get("entrance")
    stops = {action.container: action for action in draft.actions if isinstance(action, StopContainer)}
    fitting: dict[Owner, list[ContainerSeen]] = {}
    for each in sorted(observed.containers, key=lambda each: (each.instance, each.container)):
        owner = (each.tenant, each.app, each.service)
        is_meant = each.instance in wanted or owner in settled.lingering
        if each.state == "running" and is_meant and _find_address(each):
            fitting.setdefault(owner, []).append(each)
    verdicts: dict[str, str] = {}
    for container, action in stops.items():
        rest = next((each for group in fitting.values() for each in group if each.container == container), None)
        if rest is None or trouble is not None or not seen.digest:
            continue
        verdicts[container] = _judge_stop(rest, action, fitting, stops, seen, draft)
    _hold_back(draft, {name for name, verdict in verdicts.items() if verdict != "go"}, seen)
    leaving = {name for name in stops if verdicts.get(name, "go") != "stay"}
    servers = [
        (
            *_list_servers(claim, fitting.get(claim.owner, ()), leaving, wanted, seen, draft.history),
            *list_reserve(claim, held.units, observed.names),
        )
        for claim in settled.claims
    ]
    certificates = observed.certificates
    thumbprint = certificates.thumbprint if certificates is not None else ""
    action = _build(settled.claims, servers, thumbprint)
    if action.digest != seen.digest or seen.left:
        draft.add(action)
    draft.doors = _count_doors(settled.claims, seen)
    hosts = {each.entrance.host for each in settled.claims if each.entrance.tls == "acme"}
    plan_certificates(draft, hosts, certificates, held.site, is_open=action.digest == seen.digest)


def _count_doors(claims: Sequence[Claim], seen: EntranceSeen) -> tuple[DoorUse, ...]:
    """Say what people asked of each service at each of its ports."""
    found: dict[str, DoorUse] = {}
    for claim in claims:
        name = _name_backend(claim)
        counts = seen.counts.get(name)
        if claim.entrance.udp or counts is None:
            continue
        tenant, app, service = claim.owner
        found[name] = DoorUse(
            tenant=TenantName(tenant),
            app=AppName(app),
            service=ServiceName(service),
            port=claim.entrance.port,
            kind="http" if claim.entrance.host else "tcp",
            connections=min(counts.connections, INTEGER_MAX),
            open=min(counts.open, INTEGER_MAX),
            received_bytes=min(counts.received_bytes, INTEGER_MAX),
            sent_bytes=min(counts.sent_bytes, INTEGER_MAX),
            answers=tuple(min(each, INTEGER_MAX) for each in counts.answers),
            answer_us=min(counts.answer_us, INTEGER_MAX),
        )
    return tuple(found[name] for name in sorted(found))


def explain_entrance(
    fact: InstanceFact, item: Wanted, settled: Settled, seen: EntranceSeen | None, history: History
) -> InstanceFact:
    """Let a ready instance say why not all of its entrance is open."""
    if not item.entrance or fact.phase != "ready" or fact.reason:
        return fact
    trouble = history.troubles.get("entrance")
    flaws = seen.flaws if seen is not None else {}
    flaw = next((flaws[one.place] for one in item.entrance if one.place in flaws), "")
    owner = owner_of(item)
    reason = settled.refused.get(owner, "") or flaw or (f"{trouble.reason} ({trouble.code})" if trouble else "")
    reason = reason or next((each.flaw for each in settled.claims if each.owner == owner and each.flaw), "")
    return msgspec.structs.replace(fact, reason=f"entrance: {reason}") if reason else fact


def server_name(container: str) -> str:
    """Name a container among the servers of a backend."""
    return container[:24]


def backend_name(owner: Owner, port: int) -> str:
    """Name the copies of a service at one of their ports."""
    return "b" + hashlib.sha256("/".join((*owner, str(port))).encode()).hexdigest()[:16]


def _name_backend(claim: Claim) -> str:
    """Name the backend of a claim; a port that is asked for in both ways has one for each."""
    return backend_name(claim.owner, claim.entrance.port) + ("" if claim.entrance.host else "t")


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


def _build(claims: Sequence[Claim], servers: Sequence[tuple[Server, ...]], thumbprint: str) -> ApplyEntrance:
    routes: list[Route] = []
    listeners: list[Listener] = []
    backends: dict[str, Backend] = {}
    datagrams: list[Datagrams] = []
    for claim, asked in zip(claims, servers, strict=True):
        one, holder = claim.entrance, "/".join(claim.owner)
        if one.udp:
            datagrams.append(Datagrams(port=one.udp, holder=holder, servers=asked))
            continue
        mode = "http" if one.host else "tcp"
        name = _name_backend(claim)
        backends[name] = Backend(name=name, mode=mode, page=claim.page if one.host else "", servers=asked)
        if one.tcp:
            listeners.append(Listener(port=one.tcp, backend=name, holder=holder))
        else:
            routes.append(Route(host=one.host, path=one.path, backend=name, secure=one.tls != "none", holder=holder))
    challenged = tuple(sorted({each.entrance.host for each in claims if each.entrance.tls == "acme"}))
    action = ApplyEntrance(
        routes=tuple(sorted(routes)),
        listeners=tuple(sorted(listeners)),
        backends=tuple(backends[name] for name in sorted(backends)),
        certificates=_list_certificates(claims),
        datagrams=tuple(sorted(datagrams)),
        challenge=Challenge(challenged, thumbprint) if challenged and thumbprint else Challenge(),
        digest=Digest(""),
    )
    return msgspec.structs.replace(action, digest=entrance_digest(action))


def _list_certificates(claims: Sequence[Claim]) -> tuple[Certificate, ...]:
    """Show each host with one certificate: the tenant's own where there are two kinds."""
    found: dict[str, Certificate] = {}
    for claim in sorted(claims, key=lambda each: each.entrance.tls != "secret"):
        host = claim.entrance.host
        if claim.certificate and host not in found:
            found[host] = Certificate(host=host, version=claim.certificate)
    return tuple(found[host] for host in sorted(found))


def entrance_digest(action: ApplyEntrance) -> Digest:
    """Name an entrance by what it is made from; empty for none at all."""
    if not (action.routes or action.listeners or action.datagrams):
        return Digest("")
    parts = (
        action.routes,
        action.listeners,
        action.backends,
        action.certificates,
        action.datagrams,
        action.challenge,
    )
    return Digest("sha256:" + hashlib.sha256(msgspec.json.encode(parts)).hexdigest())


def _list_servers(
    claim: Claim,
    containers: Iterable[ContainerSeen],
    leaving: set[str],
    wanted: Mapping[InstanceId, Wanted],
    seen: EntranceSeen,
    history: History,
) -> Iterable[Server]:
    known: dict[str, list[ServerSeen]] = {}
    for each in seen.servers:
        known.setdefault(each.name, []).append(each)
    for each in containers:
        is_leaving = each.container in leaving or _is_unwell(each, history)
        if not is_leaving and not _is_let_in(each, known, history):
            continue
        name = server_name(each.container)
        is_older = each.instance not in wanted or each.spec != wanted[each.instance].derived.digest
        # Datagrams keep their family; a connection is begun anew, by whichever address the node has for it.
        for address in _list_first(each) if claim.entrance.udp else (_find_address(each),):
            yield Server(
                name=name,
                address=address,
                port=_find_port(claim.entrance.port, known.get(name, ()) if is_older else ()),
                state="drain" if is_leaving else "up",
            )


def _find_port(wished: int, known: Iterable[ServerSeen]) -> int:
    """Return where a copy is asked: one of an older revision where it was asked before, if that is one port."""
    ports = {each.port for each in known if each.port}
    return ports.pop() if len(ports) == 1 else wished


def _find_address(seen: ContainerSeen) -> str:
    """Return where the node reaches a container: an IPv4 address where it has one."""
    return next(iter(_list_first(seen)), "")


def _list_first(seen: ContainerSeen) -> tuple[str, ...]:
    """Return a container's first address of each family, IPv4 before IPv6."""
    found = [address for name in sorted(seen.addresses) for address in seen.addresses[name]]
    firsts = (next((each for each in found if (":" in each) == is_v6), "") for is_v6 in (False, True))
    return tuple(filter(None, firsts))


def list_holders(action: ApplyEntrance) -> dict[str, str]:
    """Return who holds which place after this."""
    found = {f"http/{each.host}{each.path}": each.holder for each in action.routes}
    found |= {f"tcp/{each.port}": each.holder for each in action.listeners}
    return found | {f"udp/{each.port}": each.holder for each in action.datagrams}
