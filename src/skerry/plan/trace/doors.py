"""The way into a site from outside: published ports and the site's entrance; everything else is denied. Pure."""

from collections.abc import Iterator, Mapping

from skerry.model.entrance import HTTP_PORT, HTTPS_PORT, Entrance
from skerry.model.ids import SiteName
from skerry.model.trace import TraceLine
from skerry.plan.trace.chains import find_chains_of_users, trace_chain
from skerry.plan.trace.ends import End
from skerry.plan.trace.known import Known, Placed
from skerry.plan.trace.packet import Told, say
from skerry.plan.trace.wish import Wish


def trace_doors(
    end: End, place: Placed | None, wish: Wish, known: Known, told: Mapping[SiteName, Told]
) -> Iterator[TraceLine]:
    """Give the ways in to an instance or a host name: open if one of those that are asked for is."""
    revision = known.revisions[end.app]
    service = revision.services[end.service]
    signed = f"revision {revision.number}"
    if place is None:
        text = f"{end.service} of {end.app} has no place, so {end.text} is at no site: skerry why {end.app}"
        yield TraceLine(hop="end", site="", verdict="stopped", text=text, source=signed)
        return
    seat = told[place.site]
    if end.host:
        text = f"where {end.host} leads in public DNS is up to its owner; it has to be an address of {place.site}"
        yield TraceLine(hop="name", site="", verdict="told", text=text, source="nobody")
    entrances = [each for each in service.entrance or () if _is_meant(each, end, wish)]
    published = [
        each
        for each in service.ports
        if not end.host and (each.published or each.among) and wish.port in (0, each.published, each.target)
    ]
    if not entrances and not published:
        what = f"{wish} of " if wish.port else ""
        text = f"nothing leads to {what}{end.service} from outside: give it a published port or an entrance"
        yield TraceLine(hop="entrance", site=place.site, verdict="stopped", text=text, source=signed)
        text = "table inet skerry, forward: what comes from outside and was not led in is dropped"
        yield say("rule", seat, "told", text)
        return
    open_ports = place.fact.ports if place.fact is not None else {}
    for port in published:
        given = next((key for key, target in sorted(open_ports.items()) if target == port.target), "")
        if given:
            text = f"port {given} of the node leads to {port.target}; table inet skerry, forward: ct status dnat accept"
            yield say("entrance", seat, "passes", text)
            asked = Wish("tcp" if port.protocol == "sctp" else port.protocol, port.target)
            for chain in find_chains_of_users(revision, end.service, asked):
                yield from trace_chain(chain, revision, seat)
        else:
            text = f"port {port.published or port.target}/{port.protocol} of the node is not open for it"
            yield say("entrance", seat, "stopped" if seat.is_seen else "unknown", text)
    for each in entrances:
        yield _judge_door(each, end, seat)


def _is_meant(one: Entrance, end: End, wish: Wish) -> bool:
    if end.host and one.host != end.host:
        return False
    listens = {one.udp} if one.udp else {*one.listens, one.port}
    protocol = "udp" if one.udp else "tcp"
    return not wish.port or (wish.port in listens and wish.protocol == protocol)


def _judge_door(one: Entrance, end: End, seat: Told) -> TraceLine:
    place = one.place.removeprefix("http/")
    door = next((each for each in seat.view.doors if each.place == one.place and each.service == end.service), None)
    if door is None:
        verdict = "stopped" if seat.is_seen else "unknown"
        return say("entrance", seat, verdict, f"{place} is not at the entrance of {seat.view.site}")
    if door.flaw:
        return say("entrance", seat, "stopped", f"{place} is not open: {door.flaw}")
    at = f" at port {HTTPS_PORT}" if one.tls != "none" else f" at port {HTTP_PORT}" if one.host else ""
    copies = f"{door.well} of {door.copies} copies of {end.service} here answer it"
    if not door.well:
        return say("entrance", seat, "stopped", f"{place} is open{at}, and {copies}")
    return say("entrance", seat, "passes", f"{place} is open{at}; {copies}")
