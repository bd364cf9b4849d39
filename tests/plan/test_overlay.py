"""Tunnels: made for the networks of the document, left alone while they work, and moved to new keys without a gap."""

from collections.abc import Sequence

import msgspec
import pytest
from tests.plan import scenery

from skerry.model.document import NetworkMember, NetworkPart, Peer, Through, Unit, unit_id
from skerry.model.facts import OverlayFact
from skerry.model.ids import AppName, Digest, NetworkName, NodeName, SiteName, TenantName, UnitId, digest_of
from skerry.model.network import PeerHeld, part_ranges
from skerry.model.observed import OverlaySeen, OwnKey, TunnelSeen
from skerry.model.signed import Envelope, OverlayKey, SiteRecord
from skerry.plan.actions import Action, ApplyOverlay, DropOverlayKey, MakeOverlayKey, Tunnel
from skerry.plan.history import History
from skerry.plan.overlay import KEEPALIVE_S, overlay_digest, plan_overlay
from skerry.plan.site_plan import HeldSite, Now, PlanDraft
from skerry.plan.ways import FRESH_S, LOOK_EVERY_US, LOOK_US, LOST_S, NEVER_S, TRY_US

ALPHA, SHOP, MESH, BERGEN = TenantName("alpha"), AppName("shop"), NetworkName("mesh"), SiteName("bergen")
PART = NetworkPart(ALPHA, SHOP, MESH, 1)
MEMBER = NetworkMember(ALPHA, SHOP, MESH, BERGEN, 2)
RECORD = digest_of(b"record")
PLACES = ("192.0.2.7:51820", "198.51.100.7:51820")
K1, K2 = b"1" * 32, b"2" * 32


def peer(*keys: bytes, relay: str = "", endpoints: Sequence[str] = PLACES) -> tuple[Peer, PeerHeld]:
    signed = tuple(OverlayKey(site=BERGEN, node=NodeName("n1"), number=int(key[:1]), key=key) for key in keys)
    unit = Peer(BERGEN, RECORD, tuple(digest_of(key) for key in keys), tuple(endpoints), relay)
    return unit, PeerHeld(SiteRecord(site=BERGEN, number=1), signed)


def hold(*keys: bytes, relay: str = "", endpoints: Sequence[str] = PLACES) -> HeldSite:
    base = scenery.hold(scenery.revision(1, web=scenery.service()))
    unit, held = peer(*keys, relay=relay, endpoints=endpoints)
    units: list[Unit] = [PART, MEMBER, unit]
    return msgspec.structs.replace(base, units={unit_id(each): each for each in units}, peers={BERGEN: held})


def own(*numbers: int) -> tuple[OwnKey, ...]:
    return tuple(OwnKey(number, Envelope(type="t", payload=b"", signatures=())) for number in numbers)


def look(held: HeldSite, seen: OverlaySeen | None, now_us: int = 0) -> tuple[list[Action], PlanDraft]:
    draft = PlanDraft(History(boot="b"), Now(boot_us=now_us))
    plan_overlay(draft, held, seen)
    return list(draft.actions), draft


def tunnels(held: HeldSite, seen: OverlaySeen, now_us: int = 0) -> tuple[Tunnel, ...]:
    return next(action for action in look(held, seen, now_us)[0] if isinstance(action, ApplyOverlay)).tunnels


def seen(*tunnels: TunnelSeen, numbers: Sequence[int] = (1,), digest: str = "") -> OverlaySeen:
    return OverlaySeen(mode="wireguard-go", keys=own(*numbers), port=51820, digest=digest, tunnels=tunnels)


def tunnel(key: bytes = K1, heard_s: int | None = 5, **words: object) -> TunnelSeen:
    return msgspec.structs.replace(TunnelSeen(own=1, key=key, heard_s=heard_s), **words)


def used(found: Sequence[Tunnel]) -> list[tuple[int, bool, bytes]]:
    return [(each.own, each.aside, each.key) for each in found if each.used]


def test_a_node_makes_its_key_and_then_its_tunnels():
    assert look(hold(K1), seen(numbers=()))[0] == [MakeOverlayKey(number=1)]
    (made,) = tunnels(hold(K1), seen())
    ranges = part_ranges(MEMBER)
    assert made == Tunnel(1, False, BERGEN, K1, "192.0.2.7:51822", (str(ranges.v4), str(ranges.v6)))


def test_nobody_new_is_let_in_before_the_firewall_is_ready_and_who_goes_goes_at_once():
    def look_unguarded(held: HeldSite, found: OverlaySeen) -> list[Action]:
        draft = PlanDraft(History(boot="b"), Now(boot_us=0))
        plan_overlay(draft, held, found, guarded=False)
        return draft.actions

    assert look_unguarded(hold(K1), seen()) == []
    (fewer,) = look_unguarded(hold(K1), seen(tunnel(K1), tunnel(K2)))
    assert isinstance(fewer, ApplyOverlay)


def test_what_is_as_wished_is_left_alone():
    (made,) = (action for action in look(hold(K1), seen())[0] if isinstance(action, ApplyOverlay))
    assert look(hold(K1), seen(tunnel(told="192.0.2.7:51822"), digest=made.digest))[0] == []


def test_a_site_without_such_networks_has_no_tunnels_and_no_key():
    alone = scenery.hold(scenery.revision(1, web=scenery.service()))
    assert look(alone, seen(numbers=()))[0] == []
    (ended,) = look(alone, seen(tunnel(), digest="sha256:" + "0" * 64))[0]
    assert ended == ApplyOverlay(tunnels=(), digest=Digest(""))


@pytest.mark.parametrize("found", [None, OverlaySeen(reason="there is no wg")])
def test_a_node_that_can_make_none_says_so(found: OverlaySeen | None):
    actions, draft = look(hold(K1), found)
    assert actions == []
    assert "this site's alone" in draft.waits[0].reason


def test_a_peer_that_the_site_does_not_hold_gets_no_tunnel():
    held = msgspec.structs.replace(hold(K1), peers={})
    assert look(held, seen())[0] == []


def test_a_way_that_hears_nothing_tries_one_place_after_the_other_and_then_the_relay():
    held = hold(K2, relay="203.0.113.1:4000")
    silent = tunnel(K2, None, trying=True, told="192.0.2.7:51820")
    found = [tunnels(held, seen(silent), slot * TRY_US)[0].endpoint for slot in range(4)]
    assert found == ["192.0.2.7:51820", "198.51.100.7:51820", "203.0.113.1:4000", "192.0.2.7:51820"]
    _, draft = look(held, seen(silent), 10 * TRY_US)
    assert draft.wake_us == 11 * TRY_US


@pytest.mark.parametrize("words", [{"heard_s": 5}, {"heard_s": FRESH_S - 1, "trying": True}, {"heard_s": None}])
def test_a_way_that_works_or_that_nobody_uses_keeps_its_place(words: dict[str, object]):
    known = msgspec.structs.replace(tunnel(K2, told=PLACES[1]), **words)
    assert tunnels(hold(K2), seen(known), 7 * TRY_US)[0].endpoint == PLACES[1]


def test_a_place_that_is_no_longer_named_is_left():
    assert tunnels(hold(K2), seen(tunnel(K2, told="192.0.2.99:1")))[0].endpoint == PLACES[0]


def test_only_what_nat_needs_is_kept_open():
    assert tunnels(hold(K1), seen())[0].keepalive_s == 0
    assert tunnels(hold(K1, relay="203.0.113.1:4000"), seen())[0].keepalive_s == KEEPALIVE_S


def test_a_peers_next_key_stands_beside_the_present_one_and_is_used_once_it_was_heard():
    held = hold(K1, K2)
    before = seen(tunnel(K1))
    assert used(tunnels(held, before)) == [(1, False, K1)]
    assert [(each.aside, each.key) for each in tunnels(held, before)] == [(False, K1), (True, K2)]
    assert used(tunnels(held, seen(tunnel(K1), tunnel(K2, None, aside=True)))) == [(1, False, K1)]
    assert used(tunnels(held, seen(tunnel(K1), tunnel(K2, aside=True)))) == [(1, True, K2)]


def test_when_the_old_key_is_gone_the_new_one_moves_to_the_first_interface_and_leaves_the_second_last():
    held = hold(K2)
    moving = tunnels(held, seen(tunnel(K2, aside=True)))
    assert [(each.aside, each.used) for each in moving] == [(False, False), (True, True)]
    assert moving[0].keepalive_s == KEEPALIVE_S
    moved = tunnels(held, seen(tunnel(K2), tunnel(K2, aside=True)))
    assert used(moved) == [(1, False, K2)]
    quiet = tunnels(held, seen(tunnel(K2), tunnel(K2, FRESH_S, aside=True)))
    assert [(each.aside, each.used) for each in quiet] == [(False, True)]


def test_the_own_next_key_is_used_once_it_was_heard_and_the_old_one_goes_when_it_is_quiet():
    held = hold(K1)
    both = (1, 2)
    assert used(tunnels(held, seen(tunnel(), numbers=both))) == [(1, False, K1)]
    heard = seen(tunnel(), tunnel(own=2), numbers=both)
    assert used(tunnels(held, heard)) == [(2, False, K1)]
    assert not any(isinstance(action, DropOverlayKey) for action in look(held, heard)[0])
    quiet = seen(tunnel(heard_s=FRESH_S), tunnel(own=2), numbers=both)
    assert DropOverlayKey(number=1) in look(held, quiet)[0]


def test_an_old_key_stays_while_a_peer_was_not_heard_by_the_new_one():
    unheard = seen(tunnel(heard_s=None), tunnel(own=2, heard_s=None), numbers=(1, 2))
    assert not any(isinstance(action, DropOverlayKey) for action in look(hold(K1), unheard)[0])


def test_the_node_tells_its_keys_and_places_while_it_has_such_a_network():
    held = hold(K1)
    known = msgspec.structs.replace(seen(), addresses=("192.0.2.1",))
    _, draft = look(held, known)
    (fact,) = draft.facts
    assert fact == OverlayFact(node=held.node, keys=(known.keys[0].statement,), port=51820, addresses=("192.0.2.1",))
    alone = scenery.hold(scenery.revision(1, web=scenery.service()))
    assert look(alone, known)[1].facts == []


# --- relayed pairs, and their way back --------------------------------------------------------------------------------

RELAY, THIRD = "203.0.113.1:4000", "192.0.2.9:53001"
#: The second interface's place at the peer's first known address.
BESIDE = "192.0.2.7:51823"
DIRECT = "192.0.2.7:51822"


def hold_relayed(*keys: bytes, every_us: int = LOOK_EVERY_US) -> HeldSite:
    held = hold(*(keys or (K1,)), relay=RELAY)
    unit = held.units[UnitId("peer/bergen")]
    assert isinstance(unit, Peer)
    unit = msgspec.structs.replace(unit, through=(Through(SiteName("voss"), THIRD),))
    return msgspec.structs.replace(held, units={**held.units, unit_id(unit): unit}, look_every_us=every_us)


def relayed(place: str = THIRD, **words: object) -> TunnelSeen:
    return tunnel(told=place, place=place, **words)


def ways(held: HeldSite, found: OverlaySeen, now_us: int) -> dict[bool, Tunnel]:
    """The planned tunnels by whether they are the second interface's."""
    return {each.aside: each for each in tunnels(held, found, now_us)}


QUIET_US = LOOK_US
LOOKING_US = LOOK_EVERY_US


def test_relays_are_tried_after_the_direct_places_third_sites_first():
    silent = tunnel(heard_s=None, trying=True, told=DIRECT)
    found = [tunnels(hold_relayed(), seen(silent), slot * TRY_US)[0].endpoint for slot in range(4)]
    assert found == [DIRECT, "198.51.100.7:51822", THIRD, RELAY]


@pytest.mark.parametrize(("silent_s", "is_left"), [(LOST_S - 1, False), (LOST_S, True)])
def test_a_relay_that_is_lost_gives_way_although_it_was_heard_lately(silent_s: int, is_left: bool):
    lost = relayed(trying=True, silent_s=silent_s)
    found = {tunnels(hold_relayed(), seen(lost), slot * TRY_US)[0].endpoint for slot in range(4)}
    assert (RELAY in found) is is_left
    assert (found == {THIRD}) is not is_left


def test_a_place_to_which_the_tunnel_has_moved_by_itself_is_kept():
    moved = tunnel(told=DIRECT, place=RELAY)
    assert tunnels(hold_relayed(), seen(moved), QUIET_US)[0].endpoint == RELAY


def test_a_relayed_pair_listens_at_its_second_interface_and_speaks_there_in_its_seconds():
    quiet = ways(hold_relayed(), seen(relayed()), QUIET_US)
    assert (quiet[True].endpoint, quiet[True].keepalive_s, quiet[True].used) == ("", 0, False)
    assert (quiet[False].endpoint, quiet[False].used) == (THIRD, True)
    loud = [ways(hold_relayed(), seen(relayed()), LOOKING_US + at * TRY_US)[True] for at in (0, 1)]
    assert {each.endpoint for each in loud} == {BESIDE, "198.51.100.7:51823"}
    assert {each.keepalive_s for each in loud} == {KEEPALIVE_S}
    _, draft = look(hold_relayed(), seen(relayed()), QUIET_US)
    assert draft.wake_us == LOOKING_US
    _, draft = look(hold_relayed(), seen(relayed()), LOOKING_US)
    assert draft.wake_us == LOOKING_US + LOOK_US


def test_both_ends_speak_at_the_same_time_of_the_day_whenever_they_were_started():
    draft = PlanDraft(History(boot="b"), Now(boot_us=17, trust_us=LOOKING_US + 5))
    plan_overlay(draft, hold_relayed(), seen(relayed()))
    (action,) = (each for each in draft.actions if isinstance(each, ApplyOverlay))
    assert [each.endpoint != "" for each in action.tunnels if each.aside] == [True]


@pytest.mark.parametrize(
    "held",
    [hold(K1), hold_relayed(K1, K2)],
    ids=["has no relay", "changes its key"],
)
def test_nobody_else_has_a_second_interface_for_it(held: HeldSite):
    found = [each for each in tunnels(held, seen(relayed()), QUIET_US) if each.aside and each.key == K1]
    assert found == []


def test_what_answers_directly_is_used_at_once_and_the_relay_stays_warm():
    found = seen(relayed(), tunnel(aside=True, told=BESIDE, place=BESIDE))
    planned = ways(hold_relayed(), found, QUIET_US)
    assert (planned[True].used, planned[True].endpoint, planned[True].keepalive_s) == (True, BESIDE, KEEPALIVE_S)
    assert (planned[False].used, planned[False].endpoint, planned[False].keepalive_s) == (False, THIRD, KEEPALIVE_S)
    # Whoever was found by the other end, at a place that nobody had named, is left alone too.
    found = seen(relayed(), tunnel(aside=True, told="", place="198.51.100.99:7"))
    planned = ways(hold_relayed(), found, QUIET_US)
    assert (planned[True].used, planned[True].endpoint) == (True, "")


def test_a_direct_way_that_was_lost_gives_way_to_the_relay_until_it_is_heard_again():
    lost = tunnel(aside=True, told=BESIDE, place=BESIDE, trying=True, silent_s=LOST_S)
    planned = ways(hold_relayed(), seen(relayed(), lost), QUIET_US)
    assert [(aside, each.used) for aside, each in sorted(planned.items())] == [(False, True), (True, False)]
    assert planned[True].endpoint == ""


def test_a_direct_way_that_holds_takes_the_first_interface_back_and_frees_the_second():
    held, beside = hold_relayed(), tunnel(aside=True, told=BESIDE, place=BESIDE)
    planned = ways(held, seen(relayed(), beside), LOOKING_US)
    assert (planned[False].endpoint, planned[True].used) == (DIRECT, True)
    # It is used once something came from there, and not for having been told.
    told = tunnel(told=DIRECT, place=DIRECT, answered=False)
    planned = ways(held, seen(told, beside), QUIET_US)
    assert (planned[True].used, planned[True].endpoint, planned[True].keepalive_s) == (True, BESIDE, KEEPALIVE_S)
    trying = tunnel(told=DIRECT, place=DIRECT, trying=True, silent_s=LOST_S)
    assert ways(held, seen(trying, beside), QUIET_US)[True].used
    # The other end may still send by the second one: it stays as it is, and sends nothing by itself.
    back = tunnel(told=DIRECT, place=DIRECT)
    planned = ways(held, seen(back, beside), QUIET_US)
    assert (planned[False].used, planned[False].endpoint) == (True, DIRECT)
    assert (planned[True].used, planned[True].endpoint, planned[True].keepalive_s) == (False, BESIDE, 0)
    quiet = msgspec.structs.replace(beside, heard_s=FRESH_S)
    assert [each.aside for each in tunnels(held, seen(back, quiet), QUIET_US)] == [False]


@pytest.mark.parametrize(
    ("place", "is_back", "told"),
    [(BESIDE, False, (1,)), (BESIDE, True, (1, 2)), ("198.51.100.99:7", False, (1, 2))],
    ids=["sends by its second interface", "back at its first one", "cannot go back"],
)
def test_nobody_hears_of_the_next_key_while_a_pair_is_about_to_find_back(
    place: str, is_back: bool, told: Sequence[int]
):
    held, beside = hold_relayed(), tunnel(aside=True, told=BESIDE, place=place)
    first = tunnel(told=DIRECT, place=DIRECT) if is_back else relayed()
    found = seen(first, beside, numbers=(1, 2), digest="sha256:" + "0" * 64)
    if is_back:
        # First it does itself what it is to have done.
        alone = msgspec.structs.replace(found, keys=own(1))
        found = msgspec.structs.replace(found, digest=overlay_digest(tunnels(held, alone, QUIET_US)))
    assert {each.own for each in tunnels(held, found, QUIET_US)} == set(told)
    (fact,) = (each for each in look(held, found, QUIET_US)[1].facts if isinstance(each, OverlayFact))
    assert len(fact.keys) == len(told)


def test_what_was_left_is_not_kept_open():
    held = hold_relayed()
    found = seen(tunnel(told=DIRECT, place=DIRECT), tunnel(own=2), numbers=(1, 2))
    kept = {each.own: each.keepalive_s for each in tunnels(held, found, QUIET_US)}
    assert kept == {1: 0, 2: KEEPALIVE_S}


@pytest.mark.parametrize(
    ("found", "unheard"),
    [
        ((tunnel(told=DIRECT, place=DIRECT),), ()),
        ((tunnel(heard_s=None),), ()),
        ((tunnel(heard_s=None, trying=True, silent_s=NEVER_S - 1),), ()),
        ((tunnel(heard_s=None, trying=True, silent_s=NEVER_S),), (BERGEN,)),
        ((tunnel(heard_s=90, trying=True, silent_s=LOST_S - 1),), ()),
        ((tunnel(heard_s=90, trying=True, silent_s=LOST_S),), (BERGEN,)),
        ((relayed(),), (BERGEN,)),
        ((relayed(), tunnel(aside=True, told=BESIDE, place=BESIDE)), ()),
    ],
    ids=["direct", "unused", "just begun", "never heard", "still hoped for", "lost", "relayed", "relayed and found"],
)
def test_the_node_tells_whom_it_does_not_hear_directly(found: Sequence[TunnelSeen], unheard: Sequence[SiteName]):
    _, draft = look(hold_relayed(), seen(*found), QUIET_US)
    assert [each.unheard for each in draft.facts if isinstance(each, OverlayFact)] == [tuple(unheard)]
