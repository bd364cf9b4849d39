"""The whole way between two ends, from what the core knows and what nodes said of themselves; pure.

Rule: the answer is the first line that stops; where none does and one is unknown, nobody claims that packets pass.
Neighbours: ``ends.py`` reads the ends, ``known.py`` has what is known, ``packet.py`` judges one packet, ``chains.py``
and ``doors.py`` what leads through a chain and into the site from outside.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from skerry.model.app import AppRevision
from skerry.model.document import assignment_instance
from skerry.model.ids import NetworkName, SiteName
from skerry.model.trace import InstanceLook, TraceLine, TraceVerdict
from skerry.plan.trace.chains import BEYOND, at_service, find_chains, trace_chain
from skerry.plan.trace.devices import list_device_places, trace_device
from skerry.plan.trace.doors import trace_doors
from skerry.plan.trace.ends import End
from skerry.plan.trace.known import Known, Placed
from skerry.plan.trace.packet import Spot, Told, describe_tunnel, find_network, judge_out, say, trace_packet
from skerry.plan.trace.wish import Wish

_READY = ("ready", "starting", "unhealthy")
#: Phases of an instance that names and balancers lead to.
_SERVING = ("ready", "done")


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """A trace: what becomes of packets, and why."""

    verdict: TraceVerdict
    reason: str
    lines: tuple[TraceLine, ...]


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked: the ends, as far as they have a place, and what is sent."""

    start: End
    end: End
    start_at: Placed | None = None
    end_at: Placed | None = None
    wish: Wish = Wish()


def choose_place(known: Known, end: End, near: Sequence[SiteName] = ()) -> Placed | None:
    """Return the place of an end that is a service: at one of ``near`` if it is there, a ready one if there is one.

    That of a device is one of a step of its chains.
    """
    if end.kind not in ("instance", "entrance", "device"):
        return None
    places = list_device_places(known, end) if end.kind == "device" else known.list_places(end.app, end.service)
    found = [each for each in places if end.ordinal in (-1, each.unit.ordinal) and end.site in ("", each.site)]

    def rank(each: Placed) -> tuple[int, bool]:
        place = near.index(each.site) if each.site in near else len(near)
        return place, each.fact is None or each.fact.phase != "ready"

    return min(found, key=rank, default=None)


def trace_way(way: Way, known: Known, told: Mapping[SiteName, Told]) -> Trace:
    """Follow the way; ``told`` has a view of each site at which an end is."""
    lines = tuple(_list_lines(way, known, told))
    stopped = next((each for each in lines if each.verdict == "stopped"), None)
    unknown = next((each for each in lines if each.verdict == "unknown"), None)
    if stopped is not None:
        return Trace(verdict="stopped", reason=stopped.text, lines=lines)
    if unknown is not None:
        return Trace(verdict="unknown", reason=unknown.text, lines=lines)
    return Trace(verdict="passes", reason="nothing stops it", lines=lines)


def _list_lines(way: Way, known: Known, told: Mapping[SiteName, Told]) -> Iterator[TraceLine]:
    for site in dict.fromkeys(_list_sites(way)):
        yield from _tell_standing(site, known, told[site])
    is_stopped = False
    for end, place in ((way.start, way.start_at), (way.end, way.end_at)):
        if end.kind == "instance":
            for line in _judge_place(end, place, known, told):
                yield line
                is_stopped = is_stopped or line.verdict == "stopped"
    if is_stopped:
        return
    match way.start.kind, way.end.kind:
        case "instance", "instance":
            yield from _between(way, known, told)
        case "instance", "outside":
            yield from _outwards(way, known, told)
        case "instance", "entrance":
            yield from _to_entrance(way, known, told)
        case "instance", "site":
            yield from _to_node(way, told)
        case "outside", "instance" | "entrance":
            yield from trace_doors(way.end, way.end_at, way.wish, known, told)
        case "device", "instance" | "outside" | "device":
            yield from trace_device(way.start, way.start_at, way.end, way.end_at, way.wish, known, told, leaves=True)
        case "instance" | "outside", "device":
            yield from trace_device(way.end, way.end_at, way.start, way.start_at, way.wish, known, told, leaves=False)
        case "site", "instance" | "entrance":
            yield from _from_node(way, known, told)
        case "site", "site":
            yield from _between_nodes(way, told)
        case _:
            yield from _without_instance(way, told)


def _list_sites(way: Way) -> Iterator[SiteName]:
    for end, place in ((way.start, way.start_at), (way.end, way.end_at)):
        if place is not None:
            yield place.site
        elif end.kind == "site":
            yield end.site


def list_sites(way: Way) -> tuple[SiteName, ...]:
    """Return the sites whose views the trace needs."""
    return tuple(dict.fromkeys(_list_sites(way)))


def _tell_standing(site: SiteName, known: Known, told: Told) -> Iterator[TraceLine]:
    standing = known.sites.get(site)
    if not told.is_seen:
        age_s = None if standing is None else standing.heard_s
        since = "it was not heard since this core began" if age_s is None else f"last heard {age_s} s ago"
        text = f"{site} does not answer, {since}: what is said of it is what it should have, not what it has"
        yield TraceLine(hop="end", site=site, verdict="told", text=text, source="the core's link", age_s=age_s)
    for wait in told.view.waits:
        yield say("end", told, "told", f"waits there: {wait}")


def _judge_place(end: End, place: Placed | None, known: Known, told: Mapping[SiteName, Told]) -> Iterator[TraceLine]:
    number = known.revisions[end.app].number
    source = f"revision {number} and the core's document"
    if place is None:
        text = f"{end.text} has no place: skerry why {end.app}/{end.service}"
        yield TraceLine(hop="end", site=end.site, verdict="stopped", text=text, source=source)
        return
    unit, name = place.unit, f"{place.unit.app}/{place.unit.service}-{place.unit.ordinal}"
    if unit.state == "hold":
        yield TraceLine(hop="end", site=place.site, verdict="stopped", text=f"{name} is paused", source=source)
        return
    among = {each.site for each in known.list_places(end.app, end.service)}
    others = f", of {len(among)} sites that have one" if len(among) > 1 and not end.site else ""
    text = f"{end.text} is {name} at {place.site}{others}"
    yield TraceLine(hop="end", site=place.site, verdict="told", text=text, source=source)
    seat = told[place.site]
    look = find_look(seat, place)
    if look is None:
        fact = place.fact
        why = f": {fact.reason}" if fact is not None and fact.reason else ""
        verdict: TraceVerdict = "stopped" if seat.is_seen else "unknown"
        yield say(
            "end", seat, verdict, f"{name} does not run there{why}" if seat.is_seen else f"{name} was not told of"
        )
        return
    if seat.is_seen and look.state != "running":
        yield say("end", seat, "stopped", f"{name} is {look.state}{f': {look.reason}' if look.reason else ''}")
        return
    if look.phase in _SERVING:
        yield say("end", seat, "passes", f"{name} is {look.phase}")
    elif look.phase in (*_READY, "unknown"):
        yield say("end", seat, "told", f"{name} runs and is {look.phase}: names and entrances do not lead to it")
    else:
        why = f": {look.reason}" if look.reason else ""
        yield say("end", seat, "stopped", f"{name} is {look.phase}{why}")


def find_look(told: Told, place: Placed) -> InstanceLook | None:
    """Return what a view says of an instance; one that runs before others."""
    name = assignment_instance(place.unit)
    return next((each for each in told.view.instances if each.instance == name), None)


# Between two instances


def _between(way: Way, known: Known, told: Mapping[SiteName, Told]) -> Iterator[TraceLine]:
    start, end = way.start_at, way.end_at
    assert start is not None
    assert end is not None
    revision = known.revisions[start.unit.app]
    signed = f"revision {revision.number}"
    if start.unit.app != end.unit.app:
        text = f"apps {start.unit.app} and {end.unit.app} share no network: the networks of an app are its own"
        yield TraceLine(hop="network", site="", verdict="stopped", text=text, source=signed)
        yield from _tell_openings(way, known)
        return
    yield from _tell_names(way, end, told[start.site])
    near, far = (set(revision.services[each.unit.service].networks) for each in (start, end))
    chains = find_chains(revision, at_service(start.unit.service), at_service(end.unit.service), way.wish)
    for chain in chains:
        yield from trace_chain(chain, revision, told[start.site])
    common = sorted(near & far, key=lambda name: (not revision.networks[name].stretched, name))
    if chains and not common:
        return
    if not common:
        text = f"no network in common: {start.unit.service} is in {_list(near)}, {end.unit.service} in {_list(far)}"
        yield TraceLine(hop="network", site="", verdict="stopped", text=text, source=signed)
        return
    name = common[0]
    if start.site != end.site and not revision.networks[name].stretched:
        text = f"network {name} is one at each site by itself; scope: app makes it one over all of them"
        yield TraceLine(hop="network", site="", verdict="stopped", text=text, source=signed)
        return
    over = " over all sites of the app" if revision.networks[name].stretched else ""
    text = f"both are in network {name}{over}"
    yield TraceLine(hop="network", site="", verdict="passes", text=text, source=signed)
    yield from _tell_choice(start, end, near, name, told[start.site])
    spots = [_find_spot(each, name, told[each.site]) for each in (start, end)]
    if spots[0] is None or spots[1] is None:
        lacking = start if spots[0] is None else end
        text = f"no address of {lacking.unit.service} in {name} is known"
        verdict: TraceVerdict = "stopped" if told[lacking.site].is_seen else "unknown"
        yield say("network", told[lacking.site], verdict, text)
        return
    for line in trace_packet(spots[0], spots[1], told[start.site], told[end.site]):
        yield line
        if line.verdict == "stopped":
            return
    yield judge_port(way.wish, revision, end)


def _find_spot(place: Placed, network: NetworkName, told: Told) -> Spot | None:
    """Return an address of an instance; of one whose node did not say, one of those that it may have."""
    look = find_look(told, place)
    addresses = look.addresses.get(network, ()) if look is not None else ()
    if not addresses and not told.is_seen:
        there = find_network(told.view, network)
        addresses = tuple(str(ipaddress.ip_network(each)[2]) for each in there.near) if there is not None else ()
    address = min(addresses, key=lambda each: ":" in each, default="")
    return Spot(place.site, network, address) if address else None


def _tell_names(way: Way, end: Placed, near: Told) -> Iterator[TraceLine]:
    name = str(end.unit.service)
    if near.view.names_lack:
        yield say("name", near, "told", f"names are the runtime's, for this site alone: {near.view.names_lack}")
    for each in near.view.names:
        where = ", ".join(each.addresses) or "nowhere now"
        verdict: TraceVerdict = "told"
        yield say("name", near, verdict, f"{name} in {each.network} leads to {where}: {each.why}")
        if each.sites and end.site not in each.sites:
            yield say("name", near, "told", f"so who asks for {name} is led to {_list(each.sites)}, not to {end.site}")


def _tell_choice(
    start: Placed, end: Placed, networks: set[NetworkName], name: NetworkName, near: Told
) -> Iterator[TraceLine]:
    leading = sorted(
        each.network for each in near.view.networks if each.network in networks and (each.near or not each.internal)
    )
    if start.site != end.site and len(leading) > 1:
        text = (
            f"{start.unit.service} is in {_list(leading)} and sends what is at no bridge of its own by one of them;"
            f" only by {name} does it come to {end.site}"
        )
        yield say("network", near, "unknown", text)


def judge_port(wish: Wish, revision: AppRevision, end: Placed) -> TraceLine:
    """Say whether the manifest names the port at which the end is spoken to."""
    service = revision.services[end.unit.service]
    named = {f"{each.target}/{each.protocol}" for each in service.ports}
    named |= {f"{each.port}/{'udp' if each.udp else 'tcp'}" for each in service.entrance or ()}
    source = f"revision {revision.number}"
    if not wish.port:
        text = f"ports that the manifest names: {_list(named) if named else 'none'}"
        return TraceLine(hop="port", site=end.site, verdict="told", text=text, source=source)
    if str(wish) in named:
        text = f"the manifest names {wish}; no rule stands between, and that it listens its health check says"
        return TraceLine(hop="port", site=end.site, verdict="passes", text=text, source=source)
    text = f"the manifest does not name {wish}: no rule stops it, and whether it listens {end.unit.service} alone knows"
    return TraceLine(hop="port", site=end.site, verdict="told", text=text, source=source)


def _tell_openings(way: Way, known: Known) -> Iterator[TraceLine]:
    revision = known.revisions[way.end.app]
    service = revision.services[way.end.service]
    found = [f"port {each.published}/{each.protocol} of its node" for each in service.ports if each.published]
    found += [each.place.removeprefix("http/") for each in service.entrance or ()]
    text = f"what {way.end.service} has open for everybody: {', '.join(found) or 'nothing'}"
    yield TraceLine(hop="entrance", site="", verdict="told", text=text, source=f"revision {revision.number}")


# Out of the site, and to and from the node itself


def _outwards(way: Way, known: Known, told: Mapping[SiteName, Told]) -> Iterator[TraceLine]:
    start = way.start_at
    assert start is not None
    revision, near = known.revisions[start.unit.app], told[start.site]
    networks = sorted(revision.services[start.unit.service].networks)
    leading = [name for name in networks if not revision.networks[name].internal]
    if not leading:
        text = f"{start.unit.service} is in {_list(networks)}, which {'is' if len(networks) == 1 else 'are'} internal"
        yield TraceLine(hop="network", site="", verdict="stopped", text=text, source=f"revision {revision.number}")
        return
    if len(leading) > 1:
        yield say(
            "network", near, "told", f"of {_list(leading)} it leaves by one, with links by Skerry by {leading[0]}"
        )
    for chain in find_chains(revision, at_service(start.unit.service), BEYOND, way.wish):
        for line in trace_chain(chain, revision, near):
            yield line
            if line.verdict == "stopped":
                return
    spot = _find_spot(start, leading[0], near) or Spot(start.site, leading[0], "")
    line = judge_out(spot, way.end.address, near)
    yield line
    if line.verdict != "stopped":
        yield _tell_way_out(start.site, known, near)


def _tell_way_out(site: SiteName, known: Known, near: Told) -> TraceLine:
    standing = known.sites.get(site)
    uplinks = sorted(standing.uplinks) if standing is not None else []
    by = f"the link to the core goes by {near.view.uplink} ({near.view.device})" if near.view.uplink else ""
    text = "it leaves with an address of the node, where the node's own routes lead"
    if uplinks:
        text += f"; uplinks of the site: {_list(uplinks)}"
    return say("way out", near, "passes", f"{text}; {by}" if by else text)


def _to_entrance(way: Way, known: Known, told: Mapping[SiteName, Told]) -> Iterator[TraceLine]:
    start, end = way.start_at, way.end_at
    assert start is not None
    if end is not None and start.site == end.site:
        text = "table inet skerry, input: its own site's entrance is the node, of which it reaches only names: drop"
        yield say("rule", told[start.site], "stopped", text)
        return
    is_stopped = False
    for line in _outwards(way, known, told):
        yield line
        is_stopped = is_stopped or line.verdict == "stopped"
    if not is_stopped:
        yield from trace_doors(way.end, end, way.wish, known, told)


def _to_node(way: Way, told: Mapping[SiteName, Told]) -> Iterator[TraceLine]:
    start = way.start_at
    assert start is not None
    near = told[start.site]
    if start.site == way.end.site:
        text = "table inet skerry, input: of the node an instance reaches only names (port 53) at its own bridge: drop"
        yield say("rule", near, "stopped", text)
        return
    text = f"{way.end.site} is reached by nothing but its entrance, published ports and its own link to the core"
    yield say("rule", near, "stopped", text)


def _from_node(way: Way, known: Known, told: Mapping[SiteName, Told]) -> Iterator[TraceLine]:
    end = way.end_at
    if end is None or way.end.kind == "entrance":
        yield from trace_doors(way.end, end, way.wish, known, told)
    elif end.site == way.start.site:
        yield say("rule", told[end.site], "passes", "the node reaches what is at its own bridges; no rule asks")
        yield judge_port(way.wish, known.revisions[end.unit.app], end)
    else:
        text = f"a node sends nothing into networks of other sites but questions for names to {end.site}"
        yield say("rule", told[way.start.site], "stopped", text)


def _between_nodes(way: Way, told: Mapping[SiteName, Told]) -> Iterator[TraceLine]:
    for site, other in ((way.start.site, way.end.site), (way.end.site, way.start.site)):
        seat = told[site]
        if site == other:
            yield say("end", seat, "passes", "both ends are this site")
            return
        if seat.view.tunnels_lack:
            yield say("tunnel", seat, "told", f"there are no tunnels: {seat.view.tunnels_lack}")
        if not seat.view.tunnels:
            text = f"no tunnel to {other}: no network over sites has parts at both that see each other"
            yield say("tunnel", seat, "stopped" if seat.is_seen else "unknown", text)
        for tunnel in seat.view.tunnels:
            is_open = tunnel.heard_s is not None and not tunnel.trying
            verdict: TraceVerdict = "passes" if is_open else "stopped" if tunnel.trying else "unknown"
            moved = f"{tunnel.received_bytes} bytes came, {tunnel.sent_bytes} went"
            yield say("tunnel", seat, verdict if tunnel.used else "told", f"{describe_tunnel(tunnel, other)}; {moved}")


def _without_instance(way: Way, told: Mapping[SiteName, Told]) -> Iterator[TraceLine]:
    if way.start.kind == "outside" and way.end.kind == "site":
        text = "a site has no port open but those of its entrance and those that are published: name a service"
        yield say("rule", told[way.end.site], "stopped", text)
    elif way.start.kind == "site":
        seat = told[way.start.site]
        by = f"; its link goes by {seat.view.uplink} ({seat.view.device})" if seat.view.uplink else ""
        yield say("way out", seat, "unknown", f"what the node itself may call its own routes say{by}")
    else:
        text = f"neither {way.start.text} nor {way.end.text} is at a site"
        yield TraceLine(hop="end", site="", verdict="unknown", text=text, source="nobody")


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
