"""The relay of a node: made from its duties, and ended with the last of them."""

import msgspec
from tests.plan import scenery

from skerry.model.document import RelayDuty, RelayEnd, Unit, unit_id
from skerry.model.ids import Digest, NodeName, SiteName, digest_of
from skerry.model.network import PeerHeld
from skerry.model.observed import RelayHere
from skerry.model.relay import RelayTable
from skerry.model.signed import OverlayKey, SiteRecord
from skerry.model.site_relay import SiteRelay
from skerry.plan.actions import Action, ApplyRelay
from skerry.plan.history import History
from skerry.plan.passing import plan_passing
from skerry.plan.site_plan import HeldSite, Now, PlanDraft

NAMES = [SiteName("bergen"), SiteName("voss")]


def hold(*duties: RelayDuty, relay: SiteRelay | None = None) -> HeldSite:
    base = scenery.hold(scenery.revision(1, web=scenery.service()))
    record = msgspec.structs.replace(base.record, relay=relay or SiteRelay(first=53_000, last=53_009, bps=8_000_000))
    peers = tuple(
        PeerHeld(
            SiteRecord(site=name, number=1),
            (OverlayKey(site=name, node=NodeName("n1"), number=1, key=name[:1].encode() * 32),),
        )
        for name in NAMES
    )
    units: dict[str, Unit] = {unit_id(each): each for each in duties}
    return msgspec.structs.replace(
        base, record=record, units={**base.units, **units}, relayed=dict.fromkeys(units, peers)
    )


def duty(slot: int = 2) -> RelayDuty:
    low, high = (RelayEnd(name, digest_of(name.encode()), (), ("192.0.2.7",)) for name in NAMES)
    return RelayDuty((low, high), slot)


def look(held: HeldSite, seen: RelayHere | None) -> tuple[list[Action], PlanDraft]:
    draft = PlanDraft(History(boot="b"), Now(boot_us=0))
    plan_passing(draft, held, seen)
    return list(draft.actions), draft


def test_a_duty_is_two_of_the_ports_that_the_record_lends_and_the_keys_of_both_ends():
    (action,) = look(hold(duty()), RelayHere())[0]
    assert isinstance(action, ApplyRelay)
    (pair,) = action.table.pairs
    assert [(side.site, side.port, side.keys) for side in pair.sides] == [
        ("bergen", 53_004, (b"b" * 32,)),
        ("voss", 53_005, (b"v" * 32,)),
    ]
    assert (action.table.pair_bytes_s, action.table.bytes_s) == (1_250_000, 1_000_000)
    assert action.host == "0.0.0.0"
    assert look(hold(duty()), RelayHere(digest=action.digest))[0] == []


def test_where_others_find_it_by_ipv6_it_listens_there():
    relay = SiteRelay(first=53_000, last=53_009, address="2001:db8::1")
    (action,) = look(hold(duty(), relay=relay), RelayHere())[0]
    assert isinstance(action, ApplyRelay)
    assert action.host == "::"


def test_it_ends_with_its_last_duty_and_a_node_without_any_does_nothing():
    assert look(hold(), RelayHere())[0] == []
    (action,) = look(hold(), RelayHere(digest="sha256:" + "0" * 64))[0]
    assert isinstance(action, ApplyRelay)
    assert (action.table.pairs, action.digest) == ((), Digest(""))
    base = scenery.hold(scenery.revision(1, web=scenery.service()))
    assert look(base, None)[1].waits == []


def test_a_refused_duty_is_none():
    held = hold(duty())
    refused = {unit_id(duty()): ("E-RELAY", "not signed")}
    assert look(msgspec.structs.replace(held, refused=refused), RelayHere())[0] == []


def test_what_keeps_it_from_relaying_is_said():
    _, draft = look(hold(duty()), None)
    assert "no relay" in draft.waits[0].reason
    (action,) = look(hold(duty()), RelayHere())[0]
    assert isinstance(action, ApplyRelay)
    _, draft = look(hold(duty()), RelayHere(digest=action.digest, taken=(53_004, 53_005)))
    assert "53004, 53005" in draft.waits[0].reason


def test_a_site_whose_record_lends_nothing_has_an_empty_table():
    held = hold(duty())
    record = msgspec.structs.replace(held.record, relay=msgspec.UNSET)
    assert look(msgspec.structs.replace(held, record=record), RelayHere())[0] == []
    assert RelayTable().pairs == ()
