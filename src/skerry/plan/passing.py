"""What this node passes on between other sites: the table of its relay, from the duties that its own record allows.

Pure. The duties were weighed when the document was verified (``trust/verify.py``): each end is a site of the same
registrar, by its record, with keys that its devices signed. Neighbours: ``plan/relaying.py`` chose the pairs,
``drivers/relay.py`` runs the relay.
"""

from skerry.model.document import RelayDuty, RelayEnd
from skerry.model.ids import Digest, digest_of
from skerry.model.network import PeerHeld
from skerry.model.observed import RelayHere
from skerry.model.relay import RelayOffer, RelayPair, RelaySide, RelayTable, encode_table
from skerry.plan.actions import ApplyRelay
from skerry.plan.site_plan import HeldSite, PlanDraft


def plan_passing(draft: PlanDraft, held: HeldSite, seen: RelayHere | None) -> None:
    """Make the node's relay pass on for just the pairs of its document; it runs while there are any."""
    table, host = make_table(held)
    digest = table_digest(table, host)
    if seen is None:
        if table.pairs:
            draft.wait("relay", "this node has no relay for other sites")
        return
    if seen.taken and seen.digest == digest:
        ports = ", ".join(map(str, seen.taken))
        draft.wait("relay", f"UDP ports {ports}, which this site's record lends to other sites, are somebody else's")
    if seen.digest != digest:
        draft.add(ApplyRelay(table=table, host=host, digest=digest))


def make_table(held: HeldSite) -> tuple[RelayTable, str]:
    """Return what the relay is to do, and the address to listen at: every one of the family that others use."""
    word = held.record.relay
    if not word:
        return RelayTable(), ""
    offer = RelayOffer(word.address, word.first, word.last)
    pairs: list[RelayPair] = []
    for name, unit in sorted(held.units.items()):
        ends = held.relayed.get(name)
        if isinstance(unit, RelayDuty) and ends is not None and name not in held.refused:
            low, high = (
                _make_side(end, peer, offer, unit.slot, side)
                for side, (end, peer) in enumerate(zip(unit.ends, ends, strict=True))
            )
            pairs.append(RelayPair((low, high)))
    return RelayTable(tuple(pairs), word.pair_bps // 8, word.bps // 8), "::" if ":" in word.address else "0.0.0.0"


def table_digest(table: RelayTable, host: str) -> Digest:
    """Name what a relay does; nothing for none."""
    return digest_of(encode_table(table) + host.encode()) if table.pairs else Digest("")


def _make_side(end: RelayEnd, peer: PeerHeld, offer: RelayOffer, slot: int, side: int) -> RelaySide:
    return RelaySide(end.site, offer.port(slot, side), end.addresses, tuple(key.key for key in peer.keys))
