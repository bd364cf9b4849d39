"""What a node holds: read again from the journal, or left out, never invented."""

import msgspec
import pytest
from tests.trust import people

from skerry.agent import journal
from skerry.agent.desk import DocumentVerdict
from skerry.agent.holdings import Accepted, Holdings, restore_holdings
from skerry.model.ids import digest_of
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
    assert holdings.as_site() is None


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
