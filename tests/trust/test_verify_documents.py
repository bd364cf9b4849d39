import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.trust import people
from tests.trust.people import assign, bury, by_digest, hold_image, hold_secret, notice, pack, revise, seal

from skerry.model.app import Sites
from skerry.model.document import Assignment, Unit, unit_id
from skerry.model.ids import SiteName, UnitId
from skerry.model.limits import DOCUMENT_UNITS_MAX, NUMBER_WINDOW, UNIT_BYTES_MAX
from skerry.model.signed import Envelope, SiteRecord
from skerry.trust.held import AcceptedDocument, Held, Missing
from skerry.trust.verdict import Denied
from skerry.trust.verify import verify_document

WEB_0 = UnitId("assignment/alpha/shop/web/0")
WEB_1 = UnitId("assignment/alpha/shop/web/1")
GRAVE = UnitId("tombstone/alpha/shop")


class Site:
    """A site that follows documents and makes durable what it accepts."""

    def __init__(self, record: SiteRecord | None = None) -> None:
        self.held = people.hold(record)
        self.generation = 0

    def judge(self, units: list[Unit], *objects: Envelope) -> AcceptedDocument:
        """Verify the next document without keeping it."""
        bodies = pack(units)
        head = people.make_head(bodies, self.generation + 1)
        verdict = verify_document(head, bodies, by_digest(*objects), self.held, people.SITE)
        assert isinstance(verdict, AcceptedDocument), verdict
        return verdict

    def follow(self, units: list[Unit], *objects: Envelope) -> AcceptedDocument:
        """Verify the next document and keep it."""
        accepted = self.judge(units, *objects)
        self.generation += 1
        self.held = people.hold_next(self.held, accepted)
        return accepted

    def codes(self, units: list[Unit], *objects: Envelope) -> dict[UnitId, str]:
        return {name: denied.code for name, denied in self.judge(units, *objects).refused.items()}


def test_a_good_document_is_accepted_with_everything_it_names():
    revision, secret, tombstone = revise(3), seal(1), bury(1, tenant=people.BETA)
    units = [
        assign(revision),
        hold_secret(secret),
        hold_image("layer"),
        notice(tombstone, tenant=people.BETA),
    ]
    accepted = Site().judge(units, revision, secret, tombstone)
    assert accepted.refused == {}
    assert accepted.units == {unit_id(unit): unit for unit in units}
    assert list(accepted.units) == sorted(accepted.units)
    assert accepted.revisions == {people.name(revision): people.make_revision(3)}
    assert accepted.secrets == {people.name(secret): people.make_secret(1)}
    assert accepted.tombstones == {people.name(tombstone): people.make_tombstone(1, tenant=people.BETA)}
    assert {line: floor.number for line, floor in accepted.floors.items()} == {
        "document/oslo": 1,
        "document/oslo/1": 1,
        "app/alpha/shop": 3,
        "secret/alpha/till-key": 1,
        "app/beta/shop": 1,
    }
    assert accepted.time_floor_s == 1_700_000_000


def test_an_empty_document_is_a_document():
    assert Site().follow([]).units == {}


def test_the_same_document_again_changes_nothing():
    site = Site()
    revision = revise(1)
    bodies = pack([assign(revision)])
    head = people.make_head(bodies, 1)
    first = verify_document(head, bodies, by_digest(revision), site.held, people.SITE)
    assert isinstance(first, AcceptedDocument)
    again = verify_document(head, bodies, by_digest(revision), people.hold_next(site.held, first), people.SITE)
    assert isinstance(again, AcceptedDocument)
    assert again.units == first.units
    assert again.floors == {}


def test_what_is_not_at_hand_is_asked_for_and_nothing_else_is_said():
    revision, secret = revise(1), seal(1)
    bodies = pack([assign(revision), hold_secret(secret), hold_image("layer")])
    head = people.make_head(bodies, 1)
    verdict = verify_document(head, bodies, by_digest(revision), people.hold(), people.SITE)
    assert verdict == Missing((people.name(secret),))


@pytest.mark.parametrize("change", ["more", "less", "other"])
def test_units_that_are_not_those_of_the_head_refuse_the_whole(change: str):
    revision = revise(1)
    bodies = pack([assign(revision), assign(revision, ordinal=1)])
    head = people.make_head(bodies, 1)
    if change == "more":
        bodies |= pack([hold_image("more")])
    elif change == "less":
        del bodies[WEB_1]
    else:
        bodies[WEB_1] += b" "
    verdict = verify_document(head, bodies, by_digest(revision), people.hold(), people.SITE)
    assert isinstance(verdict, Denied)
    assert verdict.code == "E-UNITS"


def test_a_head_that_is_not_for_this_site_or_not_by_the_core_refuses_the_whole():
    for head in (
        people.make_head({}, 1, site=SiteName("bergen")),
        people.make_head({}, 1, keys=[people.REGISTRAR]),
        people.make_head({}, 1, keys=[people.DEPLOY[people.ALPHA]]),
        revise(1),
    ):
        assert isinstance(verify_document(head, {}, {}, people.hold(), people.SITE), Denied)


def test_a_site_without_a_record_follows_nothing():
    held = Held(root=people.make_root())
    verdict = verify_document(people.make_head({}, 1), {}, {}, held, people.SITE)
    assert isinstance(verdict, Denied)
    assert verdict.code == "E-SITE"


def test_older_documents_are_refused_and_a_new_epoch_is_not():
    site = Site()
    for _ in range(3):
        site.follow([])
    for generation, epoch, good in ((2, 1, False), (3, 1, True), (4, 1, True), (1, 2, True), (9, 1, True)):
        verdict = verify_document(people.make_head({}, generation, epoch=epoch), {}, {}, site.held, people.SITE)
        assert isinstance(verdict, AcceptedDocument) == good
    site.held = people.hold_next(site.held, _accept(people.make_head({}, 1, epoch=2), site.held))
    verdict = verify_document(people.make_head({}, 10, epoch=1), {}, {}, site.held, people.SITE)
    assert isinstance(verdict, Denied)


def _accept(head: Envelope, held: Held) -> AcceptedDocument:
    verdict = verify_document(head, {}, {}, held, people.SITE)
    assert isinstance(verdict, AcceptedDocument)
    return verdict


def test_the_time_floor_never_falls():
    site = Site()
    site.held = people.hold_next(site.held, _accept(people.make_head({}, 1, time_s=2_000), site.held))
    assert _accept(people.make_head({}, 2, time_s=1_000), site.held).time_floor_s == 2_000
    assert _accept(people.make_head({}, 2, time_s=3_000), site.held).time_floor_s == 3_000


def test_too_many_units_refuse_the_whole():
    bodies = {UnitId(f"image/{n}"): b"{}" for n in range(DOCUMENT_UNITS_MAX + 1)}
    verdict = verify_document(people.make_head(bodies, 1), bodies, {}, people.hold(), people.SITE)
    assert isinstance(verdict, Denied)
    assert verdict.code == "E-SIZE"


GOOD_BODY = pack([assign(revise(1))])[WEB_0]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"null",
        b'{"kind":"volume"}',
        b"[" * 10_000,
        b"\xff",
        b" " * (UNIT_BYTES_MAX + 1),
        GOOD_BODY.replace(b'"ordinal":0', b'"ordinal":-1'),
        GOOD_BODY.replace(b'"ordinal":0', b'"ordinal":1000'),
        GOOD_BODY.replace(b'"ordinal":0', b'"ordinal":1'),
        GOOD_BODY.replace(b'"restart":0', b'"restart":-1'),
        GOOD_BODY.replace(b'"service":"web"', b'"service":"../x"'),
        GOOD_BODY.replace(b'"node":"one"', b'"node":""'),
        GOOD_BODY.replace(b'"state":"run"', b'"state":"shell"'),
        GOOD_BODY.replace(b'"restart":0', b'"restart":0,"image":"evil"'),
        GOOD_BODY.replace(b"sha256:", b"sha512:"),
    ],
)
def test_a_bad_unit_is_refused_by_itself(body: bytes):
    revision = revise(1)
    bodies = pack([assign(revision, ordinal=1)]) | {WEB_0: body}
    verdict = verify_document(people.make_head(bodies, 1), bodies, by_digest(revision), people.hold(), people.SITE)
    assert isinstance(verdict, AcceptedDocument)
    assert verdict.refused.keys() == {WEB_0}
    assert verdict.refused[WEB_0].code == "E-UNIT"
    assert verdict.units.keys() == {WEB_1}


def test_a_bad_revision_refuses_the_units_that_name_it_and_no_other():
    good, bad = revise(1), people.sign("revision", people.make_revision(2), people.DELIVERY)
    units = [assign(good), assign(bad, ordinal=1), assign(bad, ordinal=2)]
    accepted = Site().judge(units, good, bad)
    assert accepted.units.keys() == {WEB_0}
    assert {denied.code for denied in accepted.refused.values()} == {"E-KEY"}
    assert accepted.revisions.keys() == {people.name(good)}
    assert accepted.floors["app/alpha/shop"].number == 1


def test_an_object_under_the_digest_of_another_is_refused():
    named, given = revise(1), revise(2)
    bodies = pack([assign(named)])
    verdict = verify_document(
        people.make_head(bodies, 1), bodies, {people.name(named): given}, people.hold(), people.SITE
    )
    assert isinstance(verdict, AcceptedDocument)
    assert verdict.refused[WEB_0].code == "E-DIGEST"


def test_units_speak_of_the_tenant_app_and_name_that_their_object_is_about():
    revision, secret, tombstone = revise(1), seal(1), bury(2)
    other = people.AppName("other")
    units = [
        assign(revision, tenant=people.BETA),
        assign(revision, app=other),
        hold_secret(secret, tenant=people.BETA),
        hold_secret(secret, called="another"),
        notice(tombstone, tenant=people.BETA),
        notice(tombstone, app=other),
        Assignment(
            tenant=people.ALPHA,
            app=people.SHOP,
            service=people.WEB,
            ordinal=0,
            node=people.NODE,
            revision=people.name(secret),
        ),
    ]
    codes = Site().codes(units, revision, secret, tombstone)
    assert set(codes) == {unit_id(unit) for unit in units}
    assert set(codes.values()) == {"E-TENANT", "E-KIND"}


def test_a_tombstone_counts_only_where_it_is_meant():
    for sites, good in (
        (Sites(), True),
        (Sites(names=(people.SITE,)), True),
        (Sites(match=("tier=store",)), True),
        (Sites(match=("tier=depot", "country=NO")), True),
        (Sites(names=(SiteName("bergen"),)), False),
        (Sites(exclude=(people.SITE,)), False),
        (Sites(match=("tier=depot",)), False),
    ):
        tombstone = bury(1, sites=sites)
        codes = Site().codes([notice(tombstone)], tombstone)
        assert codes == ({} if good else {GRAVE: "E-SITE"})


# --- numbers ---------------------------------------------------------------------------------------------------------


def test_a_lower_revision_is_no_rollback():
    site = Site()
    old, new = revise(4), revise(5)
    site.follow([assign(old)], old)
    site.follow([assign(new)], new)
    accepted = site.judge([assign(old)], old, new)
    assert accepted.refused[WEB_0].code == "E-STALE"
    # The instance goes on as it was: a refused unit is not a withdrawn one.
    assert accepted.kept == {WEB_0}
    assert accepted.units[WEB_0] == assign(new)
    back = people.sign(
        "revision", msgspec.structs.replace(people.make_revision(4), number=6), people.DEPLOY[people.ALPHA]
    )
    assert site.codes([assign(back)], back) == {}


def test_what_is_named_again_as_it_was_stays_good_while_the_app_moves_on():
    site = Site()
    old, new = revise(4), revise(5)
    site.follow([assign(old), assign(old, ordinal=1)], old)
    # A rollout reaches one instance first; the other one stays, is moved, restarted and paused.
    site.follow([assign(new), assign(old, ordinal=1)], old, new)
    moved = msgspec.structs.replace(assign(old, ordinal=1), restart=1, state="hold")
    site.follow([assign(new), moved], old, new)
    # Nothing new starts at the old revision, and what went forward does not go back.
    assert site.codes([assign(new), moved, assign(old, ordinal=2)], old, new) == {
        UnitId("assignment/alpha/shop/web/2"): "E-STALE"
    }
    assert site.codes([assign(old), moved], old, new) == {WEB_0: "E-STALE"}
    # Once left, the old revision is gone.
    site.follow([assign(new)], new)
    assert site.codes([assign(new), assign(old, ordinal=1)], old, new) == {WEB_1: "E-STALE"}


def test_a_unit_named_again_still_needs_a_signature_that_holds():
    # Whatever a store claims to have had in force, an unsigned revision does not pass by being named twice.
    forged = people.sign("revision", people.make_revision(1), people.DELIVERY)
    site = Site()
    site.held = msgspec.structs.replace(site.held, units={WEB_0: assign(forged)})
    accepted = site.judge([assign(forged)], forged)
    assert accepted.units == {}
    assert accepted.refused[WEB_0].code == "E-KEY"


def test_accepted_objects_outlive_the_key_that_signed_them():
    site = Site()
    revision, secret = revise(4), seal(1)
    site.follow([assign(revision), hold_secret(secret)], revision, secret)
    rotated = people.make_record(2, tenants={people.ALPHA: people.role(people.key("new"))})
    site.held = msgspec.structs.replace(site.held, site_record=rotated)
    units = [assign(revision), assign(revision, ordinal=1), hold_secret(secret)]
    assert site.codes(units, revision, secret) == {}
    newer = revise(5)
    accepted = site.judge([assign(newer), hold_secret(secret)], newer, revision, secret)
    assert accepted.refused[WEB_0].code == "E-KEY"
    assert accepted.units[WEB_0] == assign(revision)


def test_a_tenant_no_longer_admitted_keeps_nothing():
    site = Site()
    revision = revise(4)
    site.follow([assign(revision)], revision)
    record = people.make_record(2, tenants={people.BETA: people.role(people.DEPLOY[people.BETA])})
    site.held = msgspec.structs.replace(site.held, site_record=record)
    accepted = site.judge([assign(revision)], revision)
    assert accepted.refused[WEB_0].code == "E-TENANT"
    assert accepted.units == {}


def test_one_number_signed_twice_is_refused_for_both():
    one, two = revise(4, tag="one"), revise(4, tag="two")
    codes = Site().codes([assign(one), assign(two, ordinal=1)], one, two)
    assert codes == {WEB_0: "E-FORK", WEB_1: "E-FORK"}
    site = Site()
    site.follow([assign(one)], one)
    assert site.codes([assign(one), assign(two, ordinal=1)], one, two) == {WEB_1: "E-FORK"}


def test_a_huge_number_is_refused_and_reported():
    site = Site()
    huge = revise(NUMBER_WINDOW + 1)
    accepted = site.judge([assign(huge)], huge)
    assert accepted.refused[WEB_0].security
    assert "app/alpha/shop" not in accepted.floors


def test_a_secret_does_not_go_back():
    site = Site()
    old, new = seal(1), seal(2)
    site.follow([hold_secret(old)], old)
    site.follow([hold_secret(new)], new)
    accepted = site.judge([hold_secret(old)], old, new)
    name = UnitId("secret/alpha/till-key")
    assert accepted.refused[name].code == "E-STALE"
    assert accepted.units[name] == hold_secret(new)


# --- tombstones ------------------------------------------------------------------------------------------------------


def test_an_ending_tombstone_ends_every_older_revision_at_once():
    site = Site()
    old, grave = revise(4), bury(5)
    site.follow([assign(old)], old)
    accepted = site.judge([assign(old), notice(grave)], old, grave)
    assert accepted.refused[WEB_0].code == "E-ENDED"
    assert accepted.kept == frozenset()
    assert accepted.units.keys() == {GRAVE}
    site.follow([notice(grave)], grave)
    assert site.codes([assign(old), notice(grave)], old, grave) == {WEB_0: "E-STALE"}


def test_an_app_that_came_back_is_not_ended_by_its_former_tombstone():
    site = Site()
    grave, back = bury(5), revise(6)
    # Both arrive in one document, as after a long absence: the volumes belong to the app again.
    assert site.codes([assign(back), notice(grave)], back, grave) == {GRAVE: "E-STALE"}
    site.follow([assign(back)], back)
    assert site.codes([assign(back), notice(grave)], back, grave) == {GRAVE: "E-STALE"}


def test_a_tombstone_within_its_grace_falls_when_the_app_comes_back():
    site = Site()
    grave, back = bury(5), revise(6)
    site.follow([notice(grave)], grave)
    accepted = site.judge([notice(grave), assign(back)], grave, back)
    assert accepted.refused[GRAVE].code == "E-STALE"
    assert accepted.tombstones == {}


def test_a_refused_tombstone_does_not_keep_the_former_one_alive():
    site = Site()
    grave = bury(5, ends=False)
    site.follow([notice(grave)], grave)
    forged = people.sign("tombstone", people.make_tombstone(6), people.DELIVERY)
    accepted = site.judge([notice(forged)], forged, grave)
    assert accepted.tombstones == {}
    assert accepted.units == {}


def test_a_tombstone_that_ends_nothing_leaves_the_app_alone():
    site = Site()
    revision, grave = revise(4), bury(4, ends=False)
    site.follow([assign(revision)], revision)
    accepted = site.judge([assign(revision), notice(grave)], revision, grave)
    assert accepted.refused == {}
    assert "app/alpha/shop" not in accepted.floors
    assert accepted.floors["tombstone/alpha/shop"].number == 4


def test_a_revision_and_an_ending_tombstone_never_share_a_number():
    revision, grave = revise(5), bury(5)
    assert Site().codes([assign(revision), notice(grave)], revision, grave) == {WEB_0: "E-FORK", GRAVE: "E-FORK"}


@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from(["web0", "web1", "end", "part"]), st.integers(1, 5)),
            max_size=3,
            unique_by=lambda x: x[0],
        ),
        min_size=1,
        max_size=6,
    )
)
def test_whatever_documents_arrive_no_volume_is_in_danger_from_an_old_word(story: list[list[tuple[str, int]]]):
    """I11 at the level of acceptance: a tombstone in force is at least as new as every revision ever accepted."""
    site = Site()
    newest = 0
    for chapter in story:
        units: list[Unit] = []
        for what, number in chapter:
            if what.startswith("web"):
                units.append(assign(revise(number), ordinal=int(what[-1])))
            elif not any(unit_id(unit) == GRAVE for unit in units):
                units.append(notice(bury(number, ends=what == "end")))
        objects = [revise(n) for n in range(1, 6)] + [bury(n, ends=ends) for n in range(1, 6) for ends in (True, False)]
        before = {line: floor.number for line, floor in site.held.floors.items()}
        accepted = site.follow(units, *objects)
        newest = max(newest, *(revision.number for revision in accepted.revisions.values()), 0)
        for tombstone in accepted.tombstones.values():
            assert tombstone.number >= newest
        after = {line: floor.number for line, floor in site.held.floors.items()}
        assert all(after[line] >= number for line, number in before.items())
        assert accepted.units.keys() | accepted.refused.keys() >= {unit_id(unit) for unit in units}
