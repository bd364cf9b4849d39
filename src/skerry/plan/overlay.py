"""The node's tunnels to other sites: which there are, by which keys, and where each looks for its peer.

Pure, from what is held and what is seen. Rules:

1. A way that works is left as it is: a peer that was heard keeps the place that its tunnel has.
2. A way that sends and hears nothing tries the known places in turn, relays last; ``ways.py`` says how a relayed pair
   finds back.
3. Keys change without a packet lost: the next key stands beside the present one, with the same ranges, until the other
   end is heard by it; only then does what is sent go that way, and only what is quiet is taken away. Nobody is told of
   it while a pair sends by its second interfaces and is about to find back: that is where the next key stands.
4. What nobody sends through costs nothing: no word goes over a tunnel that is not used, unless NAT or a relay needs it.
5. Nothing new is let in before the firewall table is as it should be; what goes, goes at once.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from skerry.model.document import NetworkMember, NetworkPart, Peer, Unit
from skerry.model.facts import OverlayFact
from skerry.model.ids import Digest, SiteName
from skerry.model.network import OVERLAY_KEYS_MAX, part_ranges
from skerry.model.observed import OverlaySeen, OwnKey, TunnelSeen
from skerry.plan.actions import ApplyOverlay, DropOverlayKey, MakeOverlayKey, Tunnel
from skerry.plan.site_plan import HeldSite, Now, PlanDraft
from skerry.plan.ways import (
    FRESH_S,
    TRY_US,
    Looking,
    choose_place,
    choose_second_place,
    is_direct,
    is_heard,
    is_in_vain,
    is_relayed,
)

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
    seen = msgspec.structs.replace(seen, keys=_list_begun(held, ranges, seen, draft.now))
    if parts:
        draft.facts.append(
            OverlayFact(
                node=held.node,
                keys=tuple(key.statement for key in seen.keys[-OVERLAY_KEYS_MAX:]),
                port=seen.port,
                addresses=seen.addresses,
                unheard=_list_unheard(held, ranges, seen),
            )
        )
    tunnels = _list_tunnels(held, ranges, seen, draft.now)
    digest = overlay_digest(tunnels)
    known = {(each.own, each.aside, each.key) for each in seen.tunnels}
    if seen.digest != digest and (guarded or all((each.own, each.aside, each.key) in known for each in tunnels)):
        draft.add(ApplyOverlay(tunnels=tunnels, digest=digest))
    if any(each.trying and not is_heard(each) for each in seen.tunnels):
        draft.wake(draft.now.boot_us + TRY_US)
    if _is_any_relayed(held, seen):
        draft.wake(draft.now.boot_us + _find_looking(held, draft.now).left_us)
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
    held: HeldSite, ranges: Mapping[SiteName, tuple[str, ...]], seen: OverlaySeen, now: Now
) -> tuple[Tunnel, ...]:
    found = {(each.own, each.aside, each.key): each for each in seen.tunnels}
    looking = _find_looking(held, now)
    tunnels: list[Tunnel] = []
    for unit in _list_peers(held):
        if unit.site not in ranges:
            continue
        numbers = {key.key: key.number for key in held.peers[unit.site].keys}
        ways = [way for own in seen.keys for way in _list_ways(own, list(numbers), found)]
        second = _find_second(unit, seen.keys, list(numbers), found)
        ways += [second] if second is not None and second not in ways else []
        chosen = _choose_way(ways, found, unit)
        order = {way: (way[0], list(numbers).index(way[2]), not way[1]) for way in ways}
        for way in ways:
            own, at_second, key = way
            # A node's newer key is at a peer's second interface at first. A relay finds the interface by itself.
            beside = own > min(each.number for each in seen.keys)
            sides = (True,) if way == second else (True, False) if beside else (False,)
            places = [shift_port(place, numbers[key], aside=side) for place in unit.endpoints for side in sides]
            if way == second:
                is_over = is_direct(found.get((own, False, key)), unit)
                endpoint = choose_second_place(places, found.get(way), looking, is_over=is_over)
                is_kept_open = not is_over and (is_heard(found.get(way)) or looking.is_on)
            elif order[way] < order[chosen] and way in found:
                # It was left: it stays as it is while the other end still sends by it, and falls quiet by itself.
                endpoint, is_kept_open = found[way].told, False
            else:
                back = _find_way_back(unit, numbers[key], found, way) if looking.is_on and second is not None else ""
                endpoint = back or choose_place([*places, *unit.relays], found.get(way), now.boot_us)
                is_kept_open = bool(unit.relays) or way != chosen
            tunnels.append(
                Tunnel(
                    own=own,
                    aside=at_second,
                    site=unit.site,
                    key=key,
                    endpoint=endpoint,
                    ranges=ranges[unit.site],
                    keepalive_s=KEEPALIVE_S if is_kept_open else 0,
                    used=way == chosen,
                )
            )
    return tuple(sorted(tunnels))


def _list_begun(
    held: HeldSite, ranges: Mapping[SiteName, tuple[str, ...]], seen: OverlaySeen, now: Now
) -> tuple[OwnKey, ...]:
    """Return the own keys without one whose time has not come.

    At the other end the next key takes the place of the present one at the second interface. So a relayed pair that
    has just found its direct way there goes back to its first interface before anybody hears of that key; one that
    cannot go back, as it is heard at a place that nobody named, does not hold it up.
    """
    newest = max(seen.keys, key=lambda each: each.number, default=None)
    if newest is None or len(seen.keys) == 1 or any(each.own == newest.number for each in seen.tunnels):
        return seen.keys
    present = tuple(each for each in seen.keys if each is not newest)
    found = {(each.own, each.aside, each.key): each for each in seen.tunnels}
    tunnels = _list_tunnels(held, ranges, msgspec.structs.replace(seen, keys=present), now)
    used = {(each.own, each.aside, each.key) for each in tunnels if each.used}
    for unit in _list_peers(held):
        numbers = {key.key: key.number for key in held.peers[unit.site].keys}
        second = _find_second(unit, present, list(numbers), found)
        if second is None or not _find_way_back(unit, numbers[second[2]], found, second):
            continue
        if second in used or seen.digest != overlay_digest(tunnels):
            return present
    return seen.keys


def _list_peers(held: HeldSite) -> list[Peer]:
    return [
        unit
        for name, unit in sorted(held.units.items())
        if isinstance(unit, Peer) and unit.site in held.peers and name not in held.refused
    ]


def _find_looking(held: HeldSite, now: Now) -> Looking:
    return Looking(now.trust_us or now.boot_us, held.look_every_us)


def _is_any_relayed(held: HeldSite, seen: OverlaySeen) -> bool:
    return any(is_relayed(each, peer) for peer in _list_peers(held) if peer.relays for each in seen.tunnels)


def _list_unheard(
    held: HeldSite, ranges: Mapping[SiteName, tuple[str, ...]], seen: OverlaySeen
) -> tuple[SiteName, ...]:
    """Return the peers that do not answer directly: those that are relayed, and those into which one speaks in vain."""
    unheard: list[SiteName] = []
    for peer in _list_peers(held):
        keys = {key.key for key in held.peers[peer.site].keys}
        ways = [each for each in seen.tunnels if each.key in keys and peer.site in ranges]
        in_vain = any((is_relayed(each, peer) and is_heard(each)) or is_in_vain(each) for each in ways)
        if in_vain and not any(is_direct(each, peer) for each in ways):
            unheard.append(peer.site)
    return tuple(unheard)


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


def _find_second(
    peer: Peer, own: Sequence[OwnKey], keys: Sequence[bytes], found: Mapping[_Way, TunnelSeen]
) -> _Way | None:
    """Return the way at which a relayed pair looks for the direct one; none while a key of either end changes."""
    if not peer.relays or len(own) != 1 or len(keys) != 1:
        return None
    first, second = (own[0].number, False, keys[0]), (own[0].number, True, keys[0])
    if is_direct(found.get(first), peer):
        # The other end may still send by it.
        beside = found.get(second)
        return second if beside is not None and _is_fresh(beside) else None
    return second if is_heard(found.get(first)) or is_heard(found.get(second)) else None


def _find_way_back(peer: Peer, number: int, found: Mapping[_Way, TunnelSeen], way: _Way) -> str:
    """Return the direct place for the first interface: that at which the second one hears its peer."""
    own, _, key = way
    second = found.get((own, True, key))
    if second is None or not is_direct(second, peer):
        return ""
    heard = (each for each in peer.endpoints if shift_port(each, number, aside=True) == second.place)
    return next((shift_port(each, number) for each in heard), "")


def _choose_way(ways: Sequence[_Way], found: Mapping[_Way, TunnelSeen], peer: Peer) -> _Way:
    """Send by the newest own key and the peer's newest key that was heard; by the oldest while none was.

    Of one key at both interfaces the direct one is better, and the first one where both are.
    """
    heard = [way for way in ways if is_heard(found.get(way))]
    if not heard:
        return ways[0]
    places = {key: place for place, (_, _, key) in enumerate(ways)}
    return max(heard, key=lambda way: (way[0], places[way[2]], is_direct(found.get(way), peer), not way[1]))


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
