"""Which pairs of sites get a relay, which one, and at which of its ports. Pure.

Rules:

1. A pair needs one where both ends sit behind NAT, or where an end says that it does not hear the other one directly.
   A site sits behind NAT where its link comes from an address that its node does not have. One end behind NAT needs no
   relay: the other one is found, and WireGuard follows whoever speaks from elsewhere.
2. A pair that has a relay keeps it while there is room: who has to know of it may be cut off from the core by then.
3. A third site relays where its own record lets it and both ends can see it; first those to which both have tunnels,
   then those with the fewest pairs. The core's own relay comes after it, for when no third site is left.
"""

import contextlib
import hashlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from skerry.model.document import Peer, RelayDuty, RelayEnd, Through, Unit
from skerry.model.ids import SiteName, UnitId, digest_of
from skerry.model.network import ENDPOINTS_MAX, OVERLAY_KEYS_MAX, RELAYS_MAX, is_endpoint
from skerry.model.relay import RelayOffer, RelayPair, RelaySide, RelayTable
from skerry.model.signed import OverlayKey
from skerry.plan.snapshot import FleetSnapshot, SiteView

Pair = tuple[SiteName, SiteName]
#: For one end of a pair: where it finds the core's relay, and those of third sites.
Places = tuple[str, tuple[Through, ...]]
_KEPT = "it had one"


class Relays(msgspec.Struct, frozen=True):
    """Who is relayed by whom."""

    #: (here, there) to where the end here finds its relays.
    places: dict[Pair, Places]
    #: What third sites have to do.
    duties: dict[SiteName, list[RelayDuty]]
    #: Of each pair, the lesser name first: why it has a relay, or why it needs one and has none.
    reasons: dict[Pair, str]


def is_behind(view: SiteView) -> bool:
    """Say whether a site is known to sit behind NAT."""
    told = [address for fact in view.overlays.values() for address in fact.addresses]
    return bool(view.seen_from and told) and view.seen_from not in told


def choose_relays(snapshot: FleetSnapshot, peers: Mapping[SiteName, Mapping[SiteName, SiteView]]) -> Relays:
    """Choose the relays of all pairs of sites that have a tunnel to each other; ``peers`` says whom each site sees."""
    views = {view.site: view for view in snapshot.sites}
    needs = _find_needs(views, peers)
    units = {site: view.units for site, view in views.items()}
    slots = choose_slots(snapshot.relay, needs, units)
    chosen = _Thirds(views, peers, needs)
    relays = Relays({}, chosen.duties, {})
    for pair, reason in needs.items():
        thirds = chosen.places.get(pair, {})
        for side, (here, there) in enumerate((pair, pair[::-1])):
            core = snapshot.relay.place(slots[pair], side) if snapshot.relay is not None and pair in slots else ""
            through = tuple(Through(site, place[side]) for site, place in thirds.items())
            if core or through:
                relays.places[here, there] = core, through
        relays.reasons[pair] = reason if thirds or pair in slots else f"{reason}, and no relay has room for it"
    return relays


def _find_needs(
    views: Mapping[SiteName, SiteView], peers: Mapping[SiteName, Mapping[SiteName, SiteView]]
) -> dict[Pair, str]:
    """Return the pairs that get a relay while there is room, those first that need one, each with the reason."""
    hidden = {site for site, view in views.items() if is_behind(view)}
    deaf = _list_deaf(views)
    needed: dict[Pair, str] = {}
    kept: dict[Pair, str] = {}
    for here, there in sorted({(min(site, other), max(site, other)) for site, seen in peers.items() for other in seen}):
        pair = here, there
        present = views[here].units.get(UnitId(f"peer/{there}"))
        if hidden.issuperset(pair):
            needed[pair] = "both sit behind NAT"
        elif there in deaf[here] or here in deaf[there]:
            one, other = (here, there) if there in deaf[here] else (there, here)
            needed[pair] = f"{one} does not hear {other} directly"
        elif isinstance(present, Peer) and present.relays:
            kept[pair] = _KEPT
    return {**needed, **kept}


def _list_deaf(views: Mapping[SiteName, SiteView]) -> dict[SiteName, frozenset[SiteName]]:
    """Return whom each site does not hear directly, as it says."""
    return {
        site: frozenset(each for fact in view.overlays.values() for each in fact.unheard)
        for site, view in views.items()
    }


def choose_slots(
    offer: RelayOffer | None, pairs: Iterable[Pair], units: Mapping[SiteName, Mapping[UnitId, Unit]]
) -> dict[Pair, int]:
    """Return the slot of each pair, the one that it has where it has one; beyond the last slot there is none.

    ``pairs`` are sites by name, the lesser first, who needs it most at the front; ``units`` are those wished so far.
    """
    if offer is None:
        return {}
    wanted = list(dict.fromkeys(pairs))[: offer.pairs_max]
    present = {pair: units.get(pair[0], {}).get(UnitId(f"peer/{pair[1]}")) for pair in wanted}
    had = {pair: offer.slot_of(unit.relay) for pair, unit in present.items() if isinstance(unit, Peer) and unit.relay}
    return _fill_slots(offer, wanted, had)


def _fill_slots(offer: RelayOffer, pairs: Sequence[Pair], had: Mapping[Pair, int | None]) -> dict[Pair, int]:
    chosen: dict[Pair, int] = {}
    taken: set[int] = set()
    for pair in pairs:
        slot = had.get(pair)
        if slot is not None and slot not in taken:
            chosen[pair] = slot
            taken.add(slot)
    for pair in pairs:
        if pair in chosen or len(taken) >= offer.pairs_max:
            continue
        first = _number(*pair) % offer.pairs_max
        steps = range(offer.pairs_max)
        chosen[pair] = next(slot for step in steps if (slot := (first + step) % offer.pairs_max) not in taken)
        taken.add(chosen[pair])
    return chosen


class _Thirds:
    """Third sites for pairs that need one."""

    def __init__(
        self,
        views: Mapping[SiteName, SiteView],
        peers: Mapping[SiteName, Mapping[SiteName, SiteView]],
        pairs: Iterable[Pair],
    ) -> None:
        self._views = views
        self._peers = peers
        self._deaf = _list_deaf(views)
        self._offers = {site: offer for site in sorted(views) if (offer := make_offer(views[site])) is not None}
        pairs_of: dict[SiteName, list[Pair]] = {site: [] for site in self._offers}
        sites_of: dict[Pair, list[SiteName]] = {}
        for pair in pairs:
            for site in self._choose(pair, pairs_of):
                pairs_of[site].append(pair)
                sites_of.setdefault(pair, []).append(site)
        #: Pair to third site to where each side finds it, the best one first.
        self.places: dict[Pair, dict[SiteName, tuple[str, str]]] = {pair: {} for pair in sites_of}
        self.duties: dict[SiteName, list[RelayDuty]] = {}
        slots = {site: self._fill(site, mine) for site, mine in pairs_of.items()}
        for pair, sites in sites_of.items():
            for site in sites:
                slot = slots[site].get(pair)
                if slot is None:
                    continue
                offer, ends = self._offers[site], [make_end(views[each]) for each in pair]
                self.places[pair][site] = offer.place(slot, 0), offer.place(slot, 1)
                self.duties.setdefault(site, []).append(RelayDuty((ends[0], ends[1]), slot))

    def _choose(self, pair: Pair, pairs_of: Mapping[SiteName, Sequence[Pair]]) -> list[SiteName]:
        here, there = pair
        # That both see a third site is thought while neither says that it does not hear it.
        away = {here, there, *self._deaf[here], *self._deaf[there]}
        free = [
            site for site, offer in self._offers.items() if site not in away and len(pairs_of[site]) < offer.pairs_max
        ]
        had = self._list_present(pair)

        def rank(site: SiteName) -> tuple[bool, bool, bool, int, int]:
            known = all(site in self._peers.get(end, {}) for end in pair)
            return self._is_gone(site), site not in had, not known, len(pairs_of[site]), _number(*pair, site)

        ranked = sorted((site for site in free if site in had or not self._is_gone(site)), key=rank)
        return ranked[:RELAYS_MAX]

    def _is_gone(self, site: SiteName) -> bool:
        """Say whether nobody hears it or it is drained: a pair keeps it, for it may be there, and no other gets it."""
        return self._views[site].silent or self._views[site].cordon == "drain"

    def _list_present(self, pair: Pair) -> list[SiteName]:
        present = self._views[pair[0]].units.get(UnitId(f"peer/{pair[1]}"))
        return [each.site for each in present.through or ()] if isinstance(present, Peer) else []

    def _fill(self, site: SiteName, pairs: Sequence[Pair]) -> dict[Pair, int]:
        units = self._views[site].units.values()
        had = {(each.ends[0].site, each.ends[1].site): each.slot for each in units if isinstance(each, RelayDuty)}
        most = self._offers[site].pairs_max
        return _fill_slots(self._offers[site], pairs, {pair: slot for pair, slot in had.items() if slot < most})


def make_offer(view: SiteView) -> RelayOffer | None:
    """Return where a site relays for others; None where it may not, or where nobody knows how it is reached.

    It is known where the operator says so, or where its link comes from an address that its node has itself.
    """
    relay = view.record.relay
    if not relay:
        return None
    told = [address for fact in view.overlays.values() for address in fact.addresses]
    # A site listens at every address of one family: that of IPv4 unless its operator names one of IPv6.
    own = view.seen_from if view.seen_from in told and ":" not in view.seen_from else ""
    host = relay.address or own
    return RelayOffer(host, relay.first, relay.last) if host else None


def make_end(view: SiteView) -> RelayEnd:
    """Say of an end of a pair what a third site needs to know: who it is, by which keys, and where it sends from."""
    overlay = view.overlays[min(view.overlays)]
    keys = tuple(digest_of(envelope.payload) for envelope in overlay.keys[-OVERLAY_KEYS_MAX:])
    sound = (each for each in list_addresses(view) if is_endpoint(f"[{each}]:1" if ":" in each else f"{each}:1"))
    return RelayEnd(view.site, view.record_digest, keys, tuple(sound)[:ENDPOINTS_MAX])


def list_addresses(view: SiteView) -> tuple[str, ...]:
    """Return the addresses that a site is known to send from."""
    told = (address for _, fact in sorted(view.overlays.items()) for address in fact.addresses)
    return tuple(each for each in dict.fromkeys((view.seen_from, *told)) if each)


def _number(*names: str) -> int:
    return int.from_bytes(hashlib.sha256("/".join(names).encode()).digest()[:4], "big")


def make_table(offer: RelayOffer, views: Sequence[SiteView]) -> RelayTable:
    """Return what the relay needs to know of the pairs that documents name."""
    known = {view.site: view for view in views}
    pairs: list[RelayPair] = []
    for view in views:
        for unit in view.units.values():
            if not isinstance(unit, Peer) or not unit.relay or view.site > unit.site or unit.site not in known:
                continue
            slot = offer.slot_of(unit.relay)
            if slot is not None:
                sides = [_make_side(each, offer, slot, number) for number, each in enumerate((view, known[unit.site]))]
                pairs.append(RelayPair((sides[0], sides[1])))
    return RelayTable(tuple(pairs), offer.pair_bytes_s, offer.bytes_s)


def _make_side(view: SiteView, offer: RelayOffer, slot: int, number: int) -> RelaySide:
    facts = [fact for _, fact in sorted(view.overlays.items())]
    # What the core keeps of a node's keys was verified when the node told them.
    keys: list[bytes] = []
    for key in (key for fact in facts for key in fact.keys):
        with contextlib.suppress(msgspec.DecodeError):
            keys.append(msgspec.json.decode(key.payload, type=OverlayKey).key)
    return RelaySide(view.site, offer.port(slot, number), list_addresses(view), tuple(keys))
