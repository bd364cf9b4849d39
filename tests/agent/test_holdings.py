"""What a node holds: read again from the journal, or left out, never invented."""

import msgspec
import pytest
from tests.trust import people

from skerry.agent import journal
from skerry.agent.desk import DocumentVerdict
from skerry.agent.holdings import Accepted, Holdings, restore_holdings
from skerry.model.document import Assignment
from skerry.model.ids import AppName, digest_of
from skerry.safe.sqlite import open_memory
from skerry.sync.documents import make_patch
from skerry.trust.verdict import Denied

ROOT = people.sign("root", people.make_root(), people.ROOT)
RECORD = people.sign("site", people.make_record(), people.REGISTRAR)
IDENTITY = journal.Identity(people.SITE, people.NODE, ROOT, RECORD)
REVISION = people.revise(1)
BODIES = people.pack([people.assign(REVISION)])
PATCH = make_patch(people.make_head(BODIES, 1), BODIES, None)


def fresh() -> Holdings:
    holdings = Holdings(people.SITE, people.NODE, people.make_root())
    holdings.record = people.make_record()
    return holdings


def accept(holdings: Holdings) -> Accepted:
    accepted = holdings.judge_document(PATCH, (REVISION,))
    assert isinstance(accepted, Accepted)
    holdings.take_document(accepted)
    return accepted


def remember(identity: journal.Identity | None = IDENTITY, **words: object) -> journal.Remembered:
    connection = open_memory(journal.OPTIONS).connection
    accepted = accept(fresh())
    if identity is not None:
        journal.record_identity(connection, identity, {})
    journal.record_document(
        connection, accepted.stored, accepted.objects, accepted.document.floors, {}, accepted.document.time_floor_s
    )
    return msgspec.structs.replace(journal.read_all(connection), **words)


def restored(remembered: journal.Remembered) -> tuple[Holdings, Denied | None]:
    answer = restore_holdings(remembered)
    assert answer is not None
    return answer


def test_what_was_accepted_is_held_again_from_the_journal():
    before = fresh()
    accept(before)
    holdings, problem = restored(remember())
    assert problem is None
    assert holdings.as_site() == before.as_site()
    assert holdings.as_held() == before.as_held()


def test_a_node_that_has_not_joined_holds_nothing():
    assert restore_holdings(remember(identity=None)) is None
    unreadable = msgspec.structs.replace(ROOT, payload=b"{}")
    assert restore_holdings(remember(msgspec.structs.replace(IDENTITY, root=unreadable))) is None


def test_a_record_nobody_vouched_for_leaves_the_document_out():
    forged = people.sign("site", people.make_record(), people.key("stranger"))
    holdings, problem = restored(remember(msgspec.structs.replace(IDENTITY, record=forged)))
    assert problem is not None
    assert holdings.as_site() is None


@pytest.mark.parametrize("damage", ["object", "body", "in_force", "head"])
def test_a_journal_that_was_altered_loses_wishes_and_invents_none(damage: str):
    remembered = remember()
    stored = remembered.document
    assert stored is not None
    name = next(iter(stored.bodies))
    other = people.pack([people.assign(people.revise(9))])
    match damage:
        case "object":
            remembered = msgspec.structs.replace(remembered, objects={})
        case "body":
            stored = msgspec.structs.replace(stored, bodies={name: next(iter(other.values()))})
        case "in_force":
            stored = msgspec.structs.replace(stored, in_force={name: b"\xc1"})
        case "head":
            head = people.make_head(BODIES, 1, keys=(people.key("stranger"),))
            stored = msgspec.structs.replace(stored, head=head)
    holdings, problem = restored(msgspec.structs.replace(remembered, document=stored))
    assert problem is not None
    site = holdings.as_site()
    assert site is None or (site.units == {} and damage == "object")


SECOND = people.revise(2)
SIDE = people.revise(1, app=AppName("side"))


def assign_side() -> Assignment:
    return people.assign(SIDE, app=AppName("side"))


def twice() -> journal.Remembered:
    """A journal with two documents: shop runs at 1 and then at 2, and the second has one more app."""
    connection = open_memory(journal.OPTIONS).connection
    holdings = fresh()
    journal.record_identity(connection, IDENTITY, {})
    for generation, objects in ((1, (REVISION,)), (2, (SECOND, SIDE))):
        bodies = people.pack([people.assign(objects[0]), *([assign_side()] if SIDE in objects else [])])
        accepted = holdings.judge_document(make_patch(people.make_head(bodies, generation), bodies, None), objects)
        assert isinstance(accepted, Accepted)
        document = accepted.document
        journal.record_document(
            connection, accepted.stored, accepted.objects, document.floors, {}, document.time_floor_s, holdings.stored
        )
        holdings.take_document(accepted)
    return journal.read_all(connection)


def running(holdings: Holdings) -> set[tuple[str, int]]:
    site = holdings.as_site()
    assert site is not None
    wanted = [unit.revision for name, unit in site.units.items() if name not in site.refused]
    return {(str(site.revisions[digest].app), site.revisions[digest].number) for digest in wanted}


def test_a_document_that_no_longer_verifies_gives_way_to_the_one_before_it():
    remembered = twice()
    assert remembered.document is not None
    forged = people.make_head(remembered.document.bodies, 2, keys=(people.key("stranger"),))
    bad = msgspec.structs.replace(remembered.document, head=forged)
    for damaged in (
        msgspec.structs.replace(remembered, document=bad),
        msgspec.structs.replace(remembered, document=None),
    ):
        holdings, problem = restored(damaged)
        assert problem is not None
        assert "1.1, the one before it, is in force" in problem.reason
        assert running(holdings) == {("shop", 1)}
        assert holdings.claim() == (1, 1)
        assert holdings.floors == remembered.floors, "no floor falls"


def test_what_came_before_is_followed_until_the_newest_is_sent_again():
    holdings, _ = restored(msgspec.structs.replace(twice(), document=None))
    bodies = people.pack([people.assign(SECOND), assign_side()])
    again = make_patch(people.make_head(bodies, 2), bodies, None)
    accepted = holdings.judge_document(again, (SECOND, SIDE))
    assert isinstance(accepted, Accepted)
    holdings.take_document(accepted)
    assert running(holdings) == {("shop", 2), ("side", 1)}
    assert holdings.damage is None
    other = people.pack([people.assign(SECOND)])
    stale = holdings.judge_document(make_patch(people.make_head(other, 1), other, None), ())
    assert isinstance(stale, Denied), "the floors still stand"


def test_a_lost_object_costs_its_own_unit_only_and_its_former_version_stands_in():
    remembered = twice()
    objects = {name: each for name, each in remembered.objects.items() if name != people.name(SECOND)}
    holdings, problem = restored(msgspec.structs.replace(remembered, objects=objects))
    assert problem is not None
    assert running(holdings) == {("shop", 1), ("side", 1)}
    assert holdings.claim() == (0, 0), "the parent is asked for the whole"
    bodies = people.pack([people.assign(SECOND), assign_side()])
    accepted = holdings.judge_document(make_patch(people.make_head(bodies, 2), bodies, None), (SECOND,))
    assert isinstance(accepted, Accepted)
    holdings.take_document(accepted)
    assert running(holdings) == {("shop", 2), ("side", 1)}
    assert holdings.claim() == (1, 2)


def test_an_app_that_its_tenant_has_ended_does_not_come_back_with_an_older_document():
    connection = open_memory(journal.OPTIONS).connection
    holdings = fresh()
    journal.record_identity(connection, IDENTITY, {})
    grave = people.bury(2)
    for generation, units, objects in (
        (1, [people.assign(REVISION), assign_side()], (REVISION, SIDE)),
        (2, [assign_side(), people.notice(grave)], (grave,)),
    ):
        bodies = people.pack(units)
        accepted = holdings.judge_document(make_patch(people.make_head(bodies, generation), bodies, None), objects)
        assert isinstance(accepted, Accepted)
        journal.record_document(
            connection, accepted.stored, accepted.objects, accepted.document.floors, {}, 0, holdings.stored
        )
        holdings.take_document(accepted)
    restored_holdings, _ = restored(msgspec.structs.replace(journal.read_all(connection), document=None))
    assert running(restored_holdings) == {("side", 1)}


def test_a_floor_whose_record_was_lost_stands_where_what_is_held_proves_it():
    remembered = twice()
    holdings, problem = restored(msgspec.structs.replace(remembered, floors={}))
    assert problem is None
    assert {line: floor.number for line, floor in holdings.floors.items()} == {
        line: floor.number for line, floor in remembered.floors.items()
    }


def test_a_document_asks_for_what_it_names_and_changes_nothing_before():
    holdings = fresh()
    verdict = holdings.judge_document(PATCH, ())
    assert isinstance(verdict, DocumentVerdict)
    assert (verdict.state, verdict.digests) == ("missing", (people.name(REVISION),))
    assert holdings.stored is None
    stranger = people.sign("revision", people.make_revision(1), people.key("stranger"))
    accepted = holdings.judge_document(PATCH, (stranger,))
    assert not isinstance(accepted, Accepted) or accepted.document.refused


def test_objects_that_no_document_names_any_more_are_given_up_one_document_later():
    holdings = fresh()
    accept(holdings)
    for generation, expected in ((2, {people.name(REVISION)}), (3, set())):
        bodies: dict = {}
        patch = make_patch(people.make_head(bodies, generation), bodies, None)
        accepted = holdings.judge_document(patch, ())
        assert isinstance(accepted, Accepted)
        holdings.take_document(accepted)
        assert set(holdings.objects) == expected
    assert digest_of(b"") not in holdings.objects


def test_what_only_its_tenant_may_end_is_kept_with_its_bytes_over_a_restart():
    made = msgspec.structs.replace(people.make_revision(1), withdraw="tenant")
    kept = people.sign("revision", made, people.DEPLOY[people.ALPHA])
    holdings, connection = fresh(), open_memory(journal.OPTIONS).connection
    journal.record_identity(connection, IDENTITY, {})
    for generation, units in enumerate(([people.assign(kept)], [], []), 1):
        bodies = people.pack(units)
        base = (0, 0, {}) if holdings.stored is None else (1, generation - 1, holdings.stored.bodies)
        patch = make_patch(people.make_head(bodies, generation), bodies, base if generation > 1 else None)
        accepted = holdings.judge_document(patch, (kept,) if generation == 1 else ())
        assert isinstance(accepted, Accepted)
        journal.record_document(
            connection,
            accepted.stored,
            accepted.objects,
            accepted.document.floors,
            {},
            accepted.document.time_floor_s,
            holdings.stored,
        )
        holdings.take_document(accepted)
    again, problem = restored(journal.read_all(connection))
    assert problem is None
    for each in (holdings, again):
        site = each.as_site()
        assert site is not None
        (name,) = site.units
        assert site.units[name] == people.assign(kept)
        assert site.revisions == {people.name(kept): made}
        assert "only its tenant may end it" in site.unsigned[name]
        assert site.refused == {}
