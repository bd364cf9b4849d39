"""What becomes of one packet between two instances, by what both nodes have in force; pure.

Rules: each hop is judged by what is known of the node at which it is; what nobody can tell is ``unknown`` and never
assumed; and the first hop that stops the packet is the last one. Who reaches whom in a simulated world is the measure
of this file (``tests/sim/test_crossing_traced.py``).
"""

import ipaddress
from collections.abc import Iterable, Iterator

import msgspec

from skerry.model.ids import NetworkName, SiteName
from skerry.model.network import STRETCHED_V4
from skerry.model.trace import NetworkLook, NodeView, TraceLine, TraceVerdict, TunnelLook
from skerry.plan.overlay import FRESH_S


class Spot(msgspec.Struct, frozen=True):
    """One end: an address in a network at a site."""

    site: SiteName
    network: NetworkName
    address: str


class Told(msgspec.Struct, frozen=True):
    """A node's view, and where it is known from: from the node itself, or only from what it was to be."""

    view: NodeView
    source: str
    age_s: int | None = 0
    #: The node itself has looked.
    is_seen: bool = True


def trace_packet(start: Spot, end: Spot, near: Told, far: Told) -> Iterator[TraceLine]:
    """Give the hops between two spots, up to the one that stops it."""
    if start.site == end.site:
        yield _judge_at_home(start, end, near)
        return
    for line in (
        _judge_leaving(start, end, near),
        _judge_tunnel(start, end, near),
        _judge_arriving(start, end, far),
        _judge_entering(start, end, far),
    ):
        yield line
        if line.verdict == "stopped":
            return


def find_network(view: NodeView, name: NetworkName) -> NetworkLook | None:
    """Return a network of the app at a node."""
    return next((each for each in view.networks if each.network == name), None)


def covers(ranges: Iterable[str], address: str) -> bool:
    """Say whether an address lies in one of the ranges."""
    found = ipaddress.ip_address(address)
    return any(found in ipaddress.ip_network(each) for each in ranges)


def say(hop: str, told: Told, verdict: TraceVerdict, text: str) -> TraceLine:
    """Write a line of what is known of a node; that something should be open does not say that it is."""
    if verdict == "passes" and not told.is_seen:
        verdict, text = "unknown", f"it should be so: {text}"
    return TraceLine(hop=hop, site=told.view.site, verdict=verdict, text=text, source=told.source, age_s=told.age_s)


def judge_guard(told: Told) -> TraceLine | None:
    """Say that a node's firewall is not as planned, where it is not; nothing can be said of its rules then."""
    match told.view.guard:
        case "in force":
            return None
        case "changing":
            return say("rule", told, "unknown", "the firewall of the node is being made another one")
        case "missing":
            return say("rule", told, "stopped", "the firewall of the node is missing, so no network is used here")


def _judge_at_home(start: Spot, end: Spot, near: Told) -> TraceLine:
    if start.network == end.network:
        return say("rule", near, "passes", f"both are at the bridge of network {start.network}")
    if (line := judge_guard(near)) is not None:
        return line
    text = f"table inet skerry, forward: from {start.network} into {end.network} is from one network into another: drop"
    return say("rule", near, "stopped", text)


def _judge_leaving(start: Spot, end: Spot, near: Told) -> TraceLine:
    return _judge_parts(start, end, near, here=start, there=end, chain="into_tunnels")


def _judge_parts(start: Spot, end: Spot, told: Told, *, here: Spot, there: Spot, chain: str) -> TraceLine:
    """Say whether a node lets pass what one of its instances and one of another site say to each other."""
    if (line := judge_guard(told)) is not None:
        return line
    network = find_network(told.view, here.network)
    if network is None:
        return say("rule", told, "stopped", f"there is no network {here.network} at the node")
    if not network.near:
        return say("rule", told, "stopped", f"network {here.network} is one of this site by itself")
    rule = f"table inet skerry, {chain}:"
    if covers(network.near, here.address) and covers(network.far, there.address):
        text = f"{rule} {start.address} to {end.address} are both of {here.network}: accept"
        return say("rule", told, "passes", text)
    text = f"{rule} {there.address} is in no part of {here.network} that is known here: drop"
    return say("rule", told, "stopped", text)


def _judge_tunnel(start: Spot, end: Spot, near: Told) -> TraceLine:
    if near.view.tunnels_lack:
        return say("tunnel", near, "stopped", f"there are no tunnels: {near.view.tunnels_lack}")
    way = next((each for each in near.view.tunnels if each.used and covers(each.ranges, end.address)), None)
    if way is None and near.view.tunnels and not any(each.used for each in near.view.tunnels):
        return say("tunnel", near, "unknown", f"the tunnel to {end.site} is being made another one")
    if way is None:
        return say("tunnel", near, "stopped", f"no tunnel leads to {end.address} at {end.site}")
    heard = describe_tunnel(way, end.site)
    if way.heard_s is not None and way.heard_s < FRESH_S and not way.trying:
        return say("tunnel", near, "passes", heard)
    if way.heard_s is not None and way.heard_s < FRESH_S:
        return say("tunnel", near, "unknown", f"{heard}; what was sent since is not answered yet")
    if way.trying:
        return say("tunnel", near, "stopped", f"{heard}; what is sent finds nobody: {end.site} or the way is cut")
    rest = "nothing was sent since, so nobody has tried" if near.is_seen else "whether it is open only the sites know"
    return say("tunnel", near, "unknown", f"{heard}; {rest}")


def describe_tunnel(way: TunnelLook, other: str) -> str:
    """Say how a tunnel to another site is."""
    how = "by the relay" if way.relayed else "directly"
    at = f" at {way.place}" if way.place else ", which has to come by itself"
    heard = "never heard" if way.heard_s is None else f"keys agreed {way.heard_s} s ago"
    return f"WireGuard to {other} {how}{at}, {heard}"


def _judge_arriving(start: Spot, end: Spot, far: Told) -> TraceLine:
    if far.view.tunnels_lack:
        return say("tunnel", far, "stopped", f"there are no tunnels: {far.view.tunnels_lack}")
    if not far.view.tunnels:
        return say("tunnel", far, "stopped", f"no tunnel leads to {start.site}, so nothing comes from there")
    if any(covers(each.ranges, start.address) for each in far.view.tunnels):
        return say("tunnel", far, "passes", f"{start.address} is an address that {start.site} may speak by")
    text = f"WireGuard drops it: {start.address} is no address of the peer {start.site} here"
    return say("tunnel", far, "stopped", text)


def _judge_entering(start: Spot, end: Spot, far: Told) -> TraceLine:
    return _judge_parts(start, end, far, here=end, there=start, chain="from_tunnels")


def judge_out(start: Spot, target: str, near: Told) -> TraceLine:
    """Say whether an instance may call an address beyond its networks; ``target`` is empty for any."""
    if (line := judge_guard(near)) is not None:
        return line
    network = find_network(near.view, start.network)
    if network is None:
        return say("rule", near, "stopped", f"there is no network {start.network} at the node")
    drop = f"table inet skerry, forward: {target} "
    if near.view.target_is == "node":
        text = f"table inet skerry, input: {target} is the node itself, of which instances reach only names: drop"
        return say("rule", near, "stopped", text)
    if near.view.target_is == "network":
        return say("rule", near, "stopped", drop + "is in another network of the node: drop")
    if target and ipaddress.ip_address(target).is_link_local:
        return say("rule", near, "stopped", drop + "is link-local or a metadata address: drop")
    address = ipaddress.ip_address(target) if target else None
    if address is not None and network.near and address.version == 4 and address in STRETCHED_V4:
        return say("rule", near, "stopped", drop + f"lies in {STRETCHED_V4}, which networks over sites have: drop")
    if network.internal:
        return say("rule", near, "stopped", f"network {start.network} is internal: it has no way out")
    return say("rule", near, "passes", f"table inet skerry, forward: nothing stops {target or 'what goes out'}")
