"""The node's tunnels to other sites: which there are, by which keys, and where each looks for its peer.

Pure, from what is held and what is seen. Rules:

1. A way that works is left as it is: a peer that was heard keeps the place that its tunnel has.
2. A way that sends and hears nothing tries the known places in turn, the relay last.
3. Keys change without a packet lost: the next key stands beside the present one, with the same ranges, until the other
   end is heard by it; only then does what is sent go that way, and only what is quiet is taken away.
4. What nobody sends through costs nothing: no word goes over a tunnel that is not used, unless NAT or a relay needs it.
5. Nothing new is let in before the firewall table is as it should be; what goes, goes at once.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from skerry.model.document import NetworkMember, NetworkPart, Peer, Unit
from skerry.model.ids import Digest, SiteName
from skerry.model.network import OVERLAY_KEYS_MAX, part_ranges
from skerry.model.observed import OverlayFact, OverlaySeen, OwnKey, TunnelSeen
from skerry.plan.actions import ApplyOverlay, DropOverlayKey, MakeOverlayKey, Tunnel
from skerry.plan.site_plan import HeldSite, PlanDraft

#: A tunnel's keys are agreed anew every two minutes while it is used, and are void after three (WireGuard, section 6.1
#: of its paper): a peer that was heard within this is there.
FRESH_S = 180
#: How long one place is tried before the next: WireGuard begins again every five seconds.
TRY_US = 6_000_000
#: What holds a NAT's way open: most forget a quiet one after 30 s (RFC 4787 section 4.3 allows no less than 120).
KEEPALIVE_S = 25


def plan_overlay(draft: PlanDraft, held: HeldSite, seen: OverlaySeen | None, *, guarded: bool = True) -> None:
    """Make the tunnels that the document's networks need, and no others; ``guarded``: the firewall is in force."""
    ranges = list_ranges(held.units.values())
    if seen is None or not seen.mode:
        if ranges:
            reason = "this node has no tunnels" if seen is None else seen.reason
            draft.wait("overlay", f"networks over several sites are this site's alone: {reason}")
        return
    parts = any(isinstance(unit, NetworkPart) for unit in held.units.values())
    if not parts and not seen.digest:
        return
    if parts and not seen.keys:
        draft.add(MakeOverlayKey(number=1))
        return
    if parts:
        draft.facts.append(
            OverlayFact(
                node=held.node,
                keys=tuple(key.statement for key in seen.keys[-OVERLAY_KEYS_MAX:]),
                port=seen.port,
                addresses=seen.addresses,
            )
        )
    tunnels = _list_tunnels(held, ranges, seen, draft.now.boot_us)
    digest = overlay_digest(tunnels)
    known = {(each.own, each.aside, each.key) for each in seen.tunnels}
    if seen.digest != digest and (guarded or all((each.own, each.aside, each.key) in known for each in tunnels)):
        draft.add(ApplyOverlay(tunnels=tunnels, digest=digest))
    if any(each.trying and not _is_fresh(each) for each in seen.tunnels):
        draft.wake(draft.now.boot_us + TRY_US)
    for key in _list_over(seen):
        draft.add(DropOverlayKey(number=key.number))


def list_ranges(units: Iterable[Unit]) -> dict[SiteName, tuple[str, ...]]:
    """Return the ranges of addresses that are at each other site, by the members of this site's networks."""
    found: dict[SiteName, list[str]] = {}
    for unit in units:
        if isinstance(unit, NetworkMember):
            part = part_ranges(unit)
            found.setdefault(unit.site, []).extend((str(part.v4), str(part.v6)))
    return {site: tuple(sorted(ranges)) for site, ranges in sorted(found.items())}


def overlay_digest(tunnels: tuple[Tunnel, ...]) -> Digest:
    """Name a node's tunnels by what they are made from; nothing for none."""
    return Digest("sha256:" + hashlib.sha256(msgspec.json.encode(tunnels)).hexdigest()) if tunnels else Digest("")


def _list_tunnels(
    held: HeldSite, ranges: Mapping[SiteName, tuple[str, ...]], seen: OverlaySeen, now_us: int
) -> tuple[Tunnel, ...]:
    found = {(each.own, each.aside, each.key): each for each in seen.tunnels}
    tunnels: list[Tunnel] = []
    for name, unit in sorted(held.units.items()):
        if not isinstance(unit, Peer) or unit.site not in held.peers or name in held.refused:
            continue
        if unit.site not in ranges:
            continue
        numbers = {key.key: key.number for key in held.peers[unit.site].keys}
        ways = [way for own in seen.keys for way in _list_ways(own, list(numbers), found)]
        chosen = _choose_way(ways, found)
        for way in ways:
            own, at_second, key = way
            # A node's newer key is at a peer's second interface at first. A relay finds the interface by itself.
            beside = own > min(each.number for each in seen.keys)
            places = [
                shift_port(place, numbers[key], aside=aside)
                for place in unit.endpoints
                for aside in ((True, False) if beside else (False,))
            ]
            places += [unit.relay] if unit.relay else []
            tunnels.append(
                Tunnel(
                    own=own,
                    aside=at_second,
                    site=unit.site,
                    key=key,
                    endpoint=_choose_place(places, found.get(way), now_us),
                    ranges=ranges[unit.site],
                    keepalive_s=KEEPALIVE_S if unit.relay or way != chosen else 0,
                    used=way == chosen,
                )
            )
    return tuple(sorted(tunnels))


def shift_port(place: str, number: int, *, aside: bool = False) -> str:
    """Return where the key of a number is, of a node whose ports begin at that of ``place``.

    Each of two keys that live side by side has two ports, one for each interface: those of odd numbers come second.
    """
    host, _, port = place.rpartition(":")
    return f"{host}:{own_port(int(port), number, aside=aside)}"


def own_port(first: int, number: int, *, aside: bool = False) -> int:
    """Return the UDP port of an own key's interface, the ``first`` of the node's four given."""
    return first + 2 * (number % 2) + aside


_Way = tuple[int, bool, bytes]


def _list_ways(own: OwnKey, keys: Sequence[bytes], found: Mapping[_Way, TunnelSeen]) -> list[_Way]:
    """Return the ways of one own key to a peer: its present key at the first interface, its next one at the second.

    A peer's only key that stands at the second interface stays there too until it was heard at the first.
    """
    ways: list[_Way] = [(own.number, place > 0, key) for place, key in enumerate(keys)]
    if len(keys) == 1:
        beside = found.get((own.number, True, keys[0]))
        if beside is not None and _is_fresh(beside):
            ways.append((own.number, True, keys[0]))
    return ways


def _choose_way(ways: Sequence[_Way], found: Mapping[_Way, TunnelSeen]) -> _Way:
    """Send by the newest own key and the peer's newest key that was heard; by the oldest while none was.

    Of one key at both interfaces the first is better once it was heard.
    """
    heard = [way for way in ways if (tunnel := found.get(way)) is not None and _is_fresh(tunnel)]
    if not heard:
        return ways[0]
    places = {key: place for place, (_, _, key) in enumerate(ways)}
    return max(heard, key=lambda way: (way[0], places[way[2]], not way[1]))


def _choose_place(places: Sequence[str], tunnel: TunnelSeen | None, now_us: int) -> str:
    if not places:
        return ""
    if tunnel is None:
        return places[0]
    if tunnel.trying and not _is_fresh(tunnel):
        return places[(now_us // TRY_US) % len(places)]
    return tunnel.told if tunnel.told in places else places[0]


def _list_over(seen: OverlaySeen) -> list[OwnKey]:
    """Return own keys that every peer has left: each was heard by the newest key, and nothing is fresh at the others.

    A peer that was not heard yet may not know of the newest key; it may be cut off from the core for a year.
    """
    newest = max((key.number for key in seen.keys), default=0)
    left = [each for each in seen.tunnels if each.own == newest]
    if not left or any(each.heard_s is None for each in left if not each.aside):
        return []
    lasting = {each.own for each in seen.tunnels if _is_fresh(each)}
    return [key for key in seen.keys if key.number != newest and key.number not in lasting]


def _is_fresh(tunnel: TunnelSeen) -> bool:
    return tunnel.heard_s is not None and tunnel.heard_s < FRESH_S
