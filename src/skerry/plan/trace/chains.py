"""Which service chains a packet passes, and what each of their steps says; pure."""

from collections.abc import Iterator

from skerry.model.app import AppRevision
from skerry.model.chain import WITH_PORTS, Chain, ChainEnd
from skerry.model.ids import ServiceName
from skerry.model.trace import TraceLine
from skerry.plan.trace.packet import Told, say
from skerry.plan.trace.wish import Wish


def at_service(service: ServiceName) -> ChainEnd:
    """Return a service as the end of a way."""
    return ChainEnd(kind="service", name=service)


#: What is beyond the site, as the end of a way.
BEYOND = ChainEnd(kind="uplink")


def find_chains(revision: AppRevision, start: ChainEnd, end: ChainEnd, wish: Wish) -> list[Chain]:
    """Return the chains that lie between two ends of a way: a service, a device of the node, what is beyond the site.

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


def _is(end: ChainEnd, place: ChainEnd, revision: AppRevision) -> bool:
    match end.kind:
        case "network":
            return place.kind == "service" and end.name in revision.services[ServiceName(place.name)].networks
        case "service" | "interface":
            return end == place
        case "uplink":
            return place.is_beyond
        case "users":
            return False


def _share_network(revision: AppRevision, start: ChainEnd, end: ChainEnd) -> bool:
    """Within a network packets do not pass the node, and so no chain."""
    if start.is_beyond or end.is_beyond:
        return False
    near, far = (revision.services[ServiceName(each.name)].networks.keys() for each in (start, end))
    return bool(near & far)


def find_chains_of_users(revision: AppRevision, service: ServiceName, wish: Wish) -> list[Chain]:
    """Return the chains that packets from beyond pass which a published port has led to a service."""
    return [
        chain
        for chain in revision.chains or ()
        if chain.start.kind in ("users", "uplink")
        and _is(chain.end, at_service(service), revision)
        and _wants(chain, wish)
    ]


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
    if fact.state == "closed" and all(fact.steps.get(step) for step in chain.through):
        yield say("chain", near, "stopped", f"{chain.name} leads nothing here: {fact.reason}")
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
