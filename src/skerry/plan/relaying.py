"""Which pairs of sites get a relay, and at which of its ports: those of which both ends sit behind NAT.

A site sits behind NAT where its link comes from an address that its node does not have. One end behind NAT needs no
relay: the other one is found, and WireGuard follows whoever speaks from elsewhere. Pure.
"""

import contextlib
import hashlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from skerry.model.document import Peer, Unit
from skerry.model.ids import SiteName, UnitId
from skerry.model.relay import RelayOffer, RelayPair, RelaySide, RelayTable
from skerry.model.signed import OverlayKey
from skerry.plan.snapshot import SiteView

Pair = tuple[SiteName, SiteName]


def is_behind(view: SiteView) -> bool:
    """Say whether a site is known to sit behind NAT."""
    told = [address for fact in view.overlays.values() for address in fact.addresses]
    return bool(view.seen_from and told) and view.seen_from not in told


def choose_slots(
    offer: RelayOffer | None, pairs: Iterable[Pair], units: Mapping[SiteName, Mapping[UnitId, Unit]]
) -> dict[Pair, int]:
    """Return the slot of each pair, the one that it has where it has one; beyond the last slot there is none.

    ``pairs`` are sites by name, the lesser first; ``units`` are those wished so far.
    """
    if offer is None:
        return {}
    wanted = sorted(set(pairs))
    chosen: dict[Pair, int] = {}
    taken: set[int] = set()
    for pair in wanted:
        present = units.get(pair[0], {}).get(UnitId(f"peer/{pair[1]}"))
        slot = offer.slot_of(present.relay) if isinstance(present, Peer) and present.relay else None
        if slot is not None and slot not in taken:
            chosen[pair] = slot
            taken.add(slot)
    for pair in wanted:
        if pair in chosen or len(taken) >= offer.pairs_max:
            continue
        first = int.from_bytes(hashlib.sha256("/".join(pair).encode()).digest()[:4], "big") % offer.pairs_max
        steps = range(offer.pairs_max)
        chosen[pair] = next(slot for step in steps if (slot := (first + step) % offer.pairs_max) not in taken)
        taken.add(chosen[pair])
    return chosen


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
    port = int(offer.place(slot, number).rpartition(":")[2])
    facts = [fact for _, fact in sorted(view.overlays.items())]
    addresses = dict.fromkeys([view.seen_from, *(address for fact in facts for address in fact.addresses)])
    # What the core keeps of a node's keys was verified when the node told them.
    keys: list[bytes] = []
    for key in (key for fact in facts for key in fact.keys):
        with contextlib.suppress(msgspec.DecodeError):
            keys.append(msgspec.json.decode(key.payload, type=OverlayKey).key)
    return RelaySide(view.site, port, tuple(each for each in addresses if each), tuple(keys))
