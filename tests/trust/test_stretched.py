"""Networks over several sites: what a document may bring in, and what a core in wrong hands may not."""

import msgspec
import pytest
from tests.trust import people
from tests.trust.people import assign, by_digest, key, pack, role, sign

from skerry.model.app import AppRevision, Network, NetworkWords, Placement, Service, Sites
from skerry.model.document import NetworkMember, NetworkPart, Peer, RelayDuty, RelayEnd, Through, Unit, unit_id
from skerry.model.ids import Digest, NetworkName, NodeName, SiteName, UnitId
from skerry.model.network import PeerHeld
from skerry.model.signed import Envelope, NodeRecord, OverlayKey, SiteRecord
from skerry.model.site_relay import SiteRelay
from skerry.trust.held import AcceptedDocument, Missing
from skerry.trust.keys import SigningKey
from skerry.trust.seal import sealing_public
from skerry.trust.verify import verify_document

BERGEN = SiteName("bergen")
MESH = NetworkName("mesh")
THEIRS = key("bergen's device")


def revise(number: int = 1, *, words: NetworkWords | None = None, sites: Sites = people.EVERYWHERE) -> Envelope:
    plain = people.make_revision(number)
    service: Service = msgspec.structs.replace(
        plain.services[people.WEB], networks={MESH: ()}, placement=Placement(sites=sites)
    )
    network = Network(words=NetworkWords(kind="overlay", scope="app") if words is None else words)
    revision: AppRevision = msgspec.structs.replace(plain, services={people.WEB: service}, networks={MESH: network})
    return sign("revision", revision, people.DEPLOY[people.ALPHA])


def record(number: int = 1, *, site: SiteName = BERGEN, by: SigningKey = people.REGISTRAR, **words: object) -> Envelope:
    nodes = {NodeName("two"): NodeRecord(device=THEIRS.public, sealing=sealing_public(people.seed("two")))}
    theirs = SiteRecord(
        site=site,
        number=number,
        labels={"tier": "store"},
        nodes=nodes,
        tenants={people.ALPHA: role(people.DEPLOY[people.ALPHA])},
    )
    return sign("site", msgspec.structs.replace(theirs, **words), by)


def overlay_key(number: int = 1, *, by: SigningKey = THEIRS, site: SiteName = BERGEN, node: str = "two") -> Envelope:
    payload = OverlayKey(site=site, node=NodeName(node), number=number, key=people.seed(f"overlay {number}"))
    return sign("overlay-key", payload, by)


PART = NetworkPart(people.ALPHA, people.SHOP, MESH, 7)
MEMBER = NetworkMember(people.ALPHA, people.SHOP, MESH, BERGEN, 8)


def peer(place: Envelope, *keys: Envelope, **words: object) -> Peer:
    return msgspec.structs.replace(Peer(BERGEN, people.name(place), tuple(map(people.name, keys))), **words)


class Site:
    """Follows documents and keeps what it accepts."""

    def __init__(self) -> None:
        self.held = people.hold()
        self.generation = 0

    def follow(self, units: list[Unit], *objects: Envelope) -> AcceptedDocument:
        self.generation += 1
        bodies = pack(units)
        verdict = verify_document(
            people.make_head(bodies, self.generation), bodies, by_digest(*objects), self.held, people.SITE
        )
        assert isinstance(verdict, AcceptedDocument), verdict
        self.held = people.hold_next(self.held, verdict)
        return verdict

    def codes(self, units: list[Unit], *objects: Envelope) -> dict[UnitId, str]:
        return {name: denied.code for name, denied in self.follow(units, *objects).refused.items()}


def test_a_member_is_taken_with_its_record_and_the_key_that_its_device_signed():
    revision, place, own = revise(), record(), overlay_key()
    units: list[Unit] = [assign(revision), PART, MEMBER, peer(place, own, endpoints=("192.0.2.7:51820",))]
    accepted = Site().follow(units, revision, place, own)
    assert accepted.refused == {}
    assert accepted.units == {unit_id(unit): unit for unit in units}
    (held,) = accepted.peers.values()
    assert (held.record.site, [one.number for one in held.keys]) == (BERGEN, [1])
    assert accepted.floors["site/bergen"].number == accepted.floors["overlay-key/bergen/two"].number == 1


def test_record_and_keys_of_a_peer_are_asked_for():
    revision, place, own = revise(), record(), overlay_key()
    bodies = pack([assign(revision), peer(place, own)])
    verdict = verify_document(people.make_head(bodies, 1), bodies, by_digest(revision), people.hold(), people.SITE)
    assert verdict == Missing(tuple(sorted((people.name(place), people.name(own)))))


@pytest.mark.parametrize(
    ("place", "own"),
    [
        (record(by=people.DELIVERY), overlay_key()),
        (record(), overlay_key(by=people.DELIVERY)),
        (record(), overlay_key(by=people.DEVICE)),
        (record(), overlay_key(site=people.SITE)),
        (record(), overlay_key(node="three")),
        (record(site=SiteName("voss")), overlay_key()),
    ],
    ids=["core's record", "core's key", "another device", "of another site", "unknown node", "another record"],
)
def test_a_core_in_wrong_hands_brings_no_peer_in(place: Envelope, own: Envelope):
    revision = revise()
    accepted = Site().follow([assign(revision), PART, MEMBER, peer(place, own)], revision, place, own)
    assert accepted.peers == {}
    assert set(accepted.refused) == {unit_id(MEMBER), UnitId("peer/bergen")}


def test_the_tenants_revision_says_which_sites_are_members():
    place, own = record(), overlay_key()
    for revision in (
        revise(sites=Sites(names=(people.SITE,))),
        revise(sites=Sites(exclude=(BERGEN,))),
        revise(words=NetworkWords()),
    ):
        codes = Site().codes([assign(revision), MEMBER, peer(place, own)], revision, place, own)
        assert codes.keys() == {unit_id(MEMBER)}
    stranger = record(tenants={people.BETA: role(people.DEPLOY[people.BETA])})
    revision = revise()
    codes = Site().codes([assign(revision), MEMBER, peer(stranger, own)], revision, stranger, own)
    assert codes == {unit_id(MEMBER): "E-TENANT"}


def test_a_member_that_a_new_revision_keeps_out_is_out_although_it_was_in():
    first, place, own = revise(1), record(), overlay_key()
    site = Site()
    assert site.codes([assign(first), PART, MEMBER, peer(place, own)], first, place, own) == {}
    second = revise(2, sites=Sites(names=(people.SITE,)))
    accepted = site.follow([assign(second), PART, MEMBER, peer(place, own)], second, place, own)
    assert unit_id(MEMBER) not in accepted.units
    assert accepted.kept == frozenset()


def test_a_part_stands_on_a_revision_here_and_two_never_share_addresses():
    revision, place, own = revise(), record(), overlay_key()
    assert Site().codes([PART]) == {unit_id(PART): "E-NETWORK"}
    clash = msgspec.structs.replace(MEMBER, index=PART.index)
    codes = Site().codes([assign(revision), PART, clash, peer(place, own)], revision, place, own)
    assert len(codes) == 1
    assert set(codes.values()) == {"E-NETWORK"}


def test_a_key_changes_by_two_that_live_side_by_side_and_an_old_one_never_comes_back():
    revision, place = revise(), record()
    keys = [overlay_key(number) for number in (1, 2, 3)]
    site = Site()
    for live in (keys[:1], keys[:2], keys[1:2], keys[1:]):
        accepted = site.follow([assign(revision), peer(place, *live)], revision, place, *keys)
        assert accepted.refused == {}
        assert [key.number for key in _held(accepted).keys] == [keys.index(one) + 1 for one in live]
    assert site.codes([assign(revision), peer(place, keys[0])], revision, place, *keys) == {
        UnitId("peer/bergen"): "E-STALE"
    }


def test_an_older_record_of_a_peer_is_refused_and_the_former_peer_stays():
    revision, own = revise(), overlay_key()
    old, new = record(1), record(2, labels={"tier": "depot"})
    site = Site()
    site.follow([assign(revision), peer(new, own)], revision, new, own)
    accepted = site.follow([assign(revision), peer(old, own)], revision, old, new, own)
    assert accepted.kept == {UnitId("peer/bergen")}
    assert _held(accepted).record.number == 2


@pytest.mark.parametrize(
    "words",
    [
        {"endpoints": ("core.example:51820",)},
        {"endpoints": ("0.0.0.0:51820",)},
        {"endpoints": ("192.0.2.7:0",)},
        {"endpoints": ("2001:db8::7:51820",)},
        {"endpoints": tuple(f"192.0.2.7:{port}" for port in range(1, 10))},
        {"relay": "-f"},
        {"keys": ()},
        {"keys": (Digest("x"),)},
        {"record": Digest("sha256:")},
    ],
)
def test_a_peer_that_is_not_well_formed_is_refused(words: dict[str, object]):
    place, own = record(), overlay_key()
    unit = peer(place, own, **words)
    assert Site().codes([unit], place, own) == {UnitId("peer/bergen"): "E-UNIT"}


def _held(accepted: AcceptedDocument) -> PeerHeld:
    return accepted.peers[BERGEN]


# --- sites that relay for others --------------------------------------------------------------------------------------

VOSS = SiteName("voss")
VOSS_DEVICE = key("voss's device")
LENT = SiteRelay(first=52_000, last=52_003)


def make_relay(relay: SiteRelay | None = LENT) -> Site:
    site = Site()
    mine = msgspec.structs.replace(site.held.site_record, relay=relay or msgspec.UNSET)
    site.held = msgspec.structs.replace(site.held, site_record=mine)
    return site


def ends(**words: object) -> tuple[RelayDuty, list[Envelope]]:
    """What a core says to relay for bergen and voss, and the objects it names."""
    places = [record(), record(site=VOSS, nodes={NodeName("two"): _node(VOSS_DEVICE)})]
    keys = [overlay_key(), overlay_key(site=VOSS, by=VOSS_DEVICE)]
    low, high = (
        RelayEnd(site, people.name(place), (people.name(own),), ("192.0.2.7",))
        for site, place, own in zip((BERGEN, VOSS), places, keys, strict=True)
    )
    return msgspec.structs.replace(RelayDuty((low, high), 1), **words), [*places, *keys]


def _node(device: SigningKey) -> NodeRecord:
    return NodeRecord(device=device.public, sealing=sealing_public(people.seed("three")))


def test_a_site_relays_for_two_others_where_its_own_record_lets_it():
    duty, objects = ends()
    accepted = make_relay().follow([duty], *objects)
    assert accepted.refused == {}
    (found,) = accepted.relayed.values()
    assert [(held.record.site, [one.number for one in held.keys]) for held in found] == [(BERGEN, [1]), (VOSS, [1])]
    # To relay for a site is not to have a tunnel to it.
    assert accepted.peers == {}
    assert accepted.floors["site/voss"].number == accepted.floors["overlay-key/voss/two"].number == 1


@pytest.mark.parametrize(
    ("relay", "slot", "code"),
    [(None, 1, "E-RELAY"), (LENT, 2, "E-RELAY"), (LENT, -1, "E-RELAY")],
    ids=["not signed", "beyond its ports", "before them"],
)
def test_no_site_relays_beyond_what_its_record_lends(relay: SiteRelay | None, slot: int, code: str):
    duty, objects = ends(slot=slot)
    assert make_relay(relay).codes([duty], *objects) == {unit_id(duty): code}


def test_a_core_in_wrong_hands_has_nobody_relayed_that_the_registrar_does_not_know():
    duty, objects = ends()
    bergen, voss, own, theirs = objects
    forged = [
        [record(by=people.DELIVERY), voss, own, theirs],
        [bergen, voss, overlay_key(by=people.DELIVERY), theirs],
        [bergen, record(site=VOSS), own, theirs],
    ]
    for each in forged:
        low, high = (
            msgspec.structs.replace(end, record=people.name(place), keys=(people.name(one),))
            for end, place, one in zip(duty.ends, each[:2], each[2:], strict=True)
        )
        wrong = msgspec.structs.replace(duty, ends=(low, high))
        accepted = make_relay().follow([wrong], *each)
        assert accepted.refused.keys() == {unit_id(wrong)}
        assert accepted.relayed == {}


def test_a_duty_with_itself_or_in_another_order_is_refused():
    duty, objects = ends()
    for pair in ((duty.ends[1], duty.ends[0]), (duty.ends[0], duty.ends[0])):
        wrong = msgspec.structs.replace(duty, ends=pair)
        assert make_relay().codes([wrong], *objects) == {unit_id(wrong): "E-UNIT"}
    mine = msgspec.structs.replace(duty.ends[1], site=people.SITE)
    wrong = msgspec.structs.replace(duty, ends=(duty.ends[0], mine))
    assert make_relay().codes([wrong], *objects) == {unit_id(wrong): "E-SITE"}


def test_what_a_peer_is_relayed_through_has_the_form_of_a_place():
    revision, place, own = revise(), record(), overlay_key()
    good = (Through(VOSS, "203.0.113.7:52000"),)
    assert Site().codes([assign(revision), peer(place, own, through=good)], revision, place, own) == {}
    for bad in ((Through(VOSS, "relay.example:1"),), (Through(SiteName("../x"), "203.0.113.7:1"),), good * 3):
        codes = Site().codes([assign(revision), peer(place, own, through=bad)], revision, place, own)
        assert codes == {UnitId("peer/bergen"): "E-UNIT"}
