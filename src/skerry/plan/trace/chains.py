"""Which service chains a packet passes, and what each of their steps says; pure."""

from collections.abc import Iterator

from skerry.model.app import AppRevision
from skerry.model.chain import WITH_PORTS, Chain, ChainEnd
from skerry.model.ids import ServiceName
from skerry.model.trace import TraceLine
from skerry.plan.trace.packet import Told, say
from skerry.plan.trace.wish import Wish


def find_chains(revision: AppRevision, start: ServiceName, end: ServiceName | None, wish: Wish) -> list[Chain]:
    """Return the chains that lie between two services, or a service and what is beyond the site (``end`` None).

    A packet on its way back passes a symmetric chain as well. Ranges of addresses are not looked at: a chain that asks
    for some may be passed by.
    """
    found: list[Chain] = []
    for chain in revision.chains or ():
        ways = [(chain.start, chain.end), *([(chain.end, chain.start)] if chain.symmetric else [])]
        is_between = any(_is(a, start, revision) and _is(b, end, revision) for a, b in ways)
        if _wants(chain, wish) and is_between and not _share_network(revision, start, end):
            found.append(chain)
    return found


def _wants(chain: Chain, wish: Wish) -> bool:
    match = chain.match
    if match.protocol and match.protocol != wish.protocol:
        return False
    if not match.ports or not wish.port or wish.protocol not in WITH_PORTS:
        return True
    return any(first <= wish.port <= last for first, last in match.ports)


def _is(end: ChainEnd, service: ServiceName | None, revision: AppRevision) -> bool:
    if service is None:
        return end.kind == "uplink"
    match end.kind:
        case "network":
            return end.name in revision.services[service].networks
        case "service":
            return end.name == service
        case "uplink" | "interface" | "users":
            return False


def _share_network(revision: AppRevision, start: ServiceName, end: ServiceName | None) -> bool:
    """Within a network packets do not pass the node, and so no chain."""
    if end is None:
        return False
    return bool(revision.services[start].networks.keys() & revision.services[end].networks.keys())


def trace_chain(chain: Chain, revision: AppRevision, near: Told) -> Iterator[TraceLine]:
    """Give a line for the chain and one for each step, up to what stops."""
    path = " → ".join((str(chain.start), *chain.through, str(chain.end)))
    yield TraceLine(
        hop="chain",
        site="",
        verdict="told",
        text=f"chain {chain.name} takes it: {path}, fail: {chain.fail}",
        source=f"revision {revision.number}",
    )
    if chain.match.from_cidr or chain.match.to_cidr:
        yield say("chain", near, "unknown", f"{chain.name} takes only some addresses, which are not looked at here")
    fact = next((each for each in near.view.chains if each.chain == chain.name), None)
    if fact is None:
        yield say("chain", near, "unknown", f"{near.view.site} did not say where {chain.name} leads")
        return
    for step in chain.through:
        instance = fact.steps.get(step, "")
        if instance:
            yield say("chain", near, "passes", f"step {step}: {instance} has the traffic")
        elif chain.fail == "open":
            yield say("chain", near, "told", f"step {step}: no copy can take it, so it is gone around")
        else:
            yield say("chain", near, "stopped", f"step {step}: no copy can take it, and {chain.name} is closed then")
            return
    if fact.state == "changing":
        yield say("chain", near, "unknown", f"what steers {chain.name} is being made another one")
