"""Documents as differences: made, fitted, applied whole or not at all; objects gathered; offers answered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sync.world import make_object

from skerry.model.document import digest_bodies, digest_units
from skerry.model.ids import Digest, UnitId, digest_of
from skerry.model.limits import FRAME_BYTES_MAX, OBJECTS_PER_MESSAGE_MAX, UNIT_BYTES_MAX
from skerry.model.signed import Envelope
from skerry.sync.child_ports import Judged
from skerry.sync.documents import (
    Gathering,
    Offering,
    PatchMismatch,
    apply_patch,
    fit_patch,
    make_patch,
    split_objects,
)
from skerry.wire import DocumentAnswer, Need, Objects

HEAD = make_object("head")
units = st.dictionaries(st.sampled_from("abcd").map(UnitId), st.binary(min_size=1, max_size=3), max_size=4)


def digest(bodies: dict[UnitId, bytes]) -> Digest:
    return digest_units(digest_bodies(bodies))


def unit_map(**bodies: bytes) -> dict[UnitId, bytes]:
    return {UnitId(name): body for name, body in bodies.items()}


@given(units, units)
def test_a_patch_makes_the_new_document_of_its_base(before: dict[UnitId, bytes], after: dict[UnitId, bytes]):
    patch = make_patch(HEAD, after, (1, 4, digest_bodies(before)))
    assert apply_patch((1, 4, before), patch, digest(after)) == after
    assert set(patch.bodies) == {name for name in after if before.get(name) != after[name]}
    whole = make_patch(HEAD, after, None)
    assert apply_patch(None, whole, digest(after)) == after
    assert apply_patch((9, 9, before), whole, digest(after)) == after


BEFORE, AFTER = unit_map(a=b"1", b=b"1"), unit_map(a=b"2", c=b"1")


@pytest.mark.parametrize("held", [None, (1, 3, BEFORE), (2, 4, BEFORE), (1, 4, unit_map(a=b"1"))])
def test_a_difference_on_another_base_asks_for_the_whole(held: tuple[int, int, dict[UnitId, bytes]] | None):
    patch = make_patch(HEAD, AFTER, (1, 4, digest_bodies(BEFORE)))
    if held == (1, 4, unit_map(a=b"1")):
        # The base has the right number and lost a unit that the difference does not touch.
        patch = make_patch(HEAD, unit_map(a=b"2", b=b"1"), (1, 4, digest_bodies(BEFORE)))
    result = apply_patch(held, patch, digest(AFTER))
    assert isinstance(result, PatchMismatch)
    assert result.whole


def test_a_whole_document_that_is_not_what_its_head_says_is_hopeless():
    result = apply_patch(None, make_patch(HEAD, AFTER, None), digest(BEFORE))
    assert result == PatchMismatch("the units are not those that the head names", whole=False)


def test_limits_of_a_document():
    big = unit_map(a=bytes(UNIT_BYTES_MAX + 1))
    assert isinstance(apply_patch(None, make_patch(HEAD, big, None), digest(big)), PatchMismatch)
    many = {UnitId(str(number)): b"" for number in range(10_001)}
    assert isinstance(apply_patch(None, make_patch(HEAD, many, None), digest(many)), PatchMismatch)


def test_a_patch_that_does_not_fit_goes_without_its_objects_or_not_at_all():
    objects = tuple(make_object(f"{number}" * 1_000_000) for number in range(5))
    patch = make_patch(HEAD, AFTER, None, objects)
    fitting = fit_patch(patch)
    assert fitting is not None
    assert (fitting.objects, fitting.bodies) == ((), patch.bodies)
    small = make_patch(HEAD, AFTER, None, objects[:1])
    assert fit_patch(small) is small
    huge = {UnitId(str(number)): bytes(UNIT_BYTES_MAX) for number in range(FRAME_BYTES_MAX // UNIT_BYTES_MAX + 1)}
    assert fit_patch(make_patch(HEAD, huge, None)) is None


def test_objects_go_in_as_many_messages_as_they_need():
    objects = [make_object(f"{number}" * 600_000) for number in range(4)]
    missing = (Digest("sha256:" + "0" * 64),)
    messages = list(split_objects(objects, missing))
    assert [len(message.objects) for message in messages] == [1, 1, 1, 1]
    assert [message.missing for message in messages] == [missing, (), (), ()]
    assert list(split_objects([], missing)) == [Objects((), missing)]
    assert list(split_objects([], ())) == []


# --- gathering -----------------------------------------------------------------------------------------------------


def gather() -> Gathering:
    return Gathering(make_patch(HEAD, AFTER, None))


def lack(*objects: Envelope) -> Judged:
    return Judged("missing", digests=tuple(digest_of(envelope.payload) for envelope in objects))


def test_verdicts_become_answers():
    assert gather().judge(Judged("accepted", 1, 5)) == DocumentAnswer(1, 5, True)
    assert gather().judge(Judged("refused", 1, 5, "E-X", "no")) == DocumentAnswer(1, 5, False, "E-X", "no")
    assert gather().judge(Judged("whole", 1, 5, "E-X", "no")) == DocumentAnswer(1, 5, False, "E-X", "no", True)


def test_missing_objects_are_asked_for_a_message_full_at_a_time():
    objects = [make_object(str(number)) for number in range(100)]
    gathering = gather()
    need = gathering.judge(lack(*objects))
    assert isinstance(need, Need)
    assert len(need.digests) == OBJECTS_PER_MESSAGE_MAX
    assert not gathering.is_complete
    assert gathering.add(Objects(tuple(objects[:40]))) is None
    assert not gathering.is_complete
    assert gathering.add(Objects(tuple(objects[40:64]))) is None
    assert gathering.is_complete
    need = gathering.judge(lack(*objects[64:]))
    assert isinstance(need, Need)
    assert gathering.add(Objects(tuple(objects[64:]))) is None
    assert gathering.objects == tuple(objects)


def test_what_was_not_asked_for_is_not_kept():
    gathering = gather()
    gathering.judge(lack(make_object("a")))
    gathering.add(Objects((make_object("b"), make_object("c"))))
    assert gathering.objects == ()
    assert not gathering.is_complete


@pytest.mark.parametrize("case", ["unavailable", "given", "nothing"])
def test_hopeless_documents_are_refused(case: str):
    gathering, wanted = gather(), make_object("a")
    gathering.judge(lack(wanted))
    gathering.add(Objects((), lack(wanted).digests) if case == "unavailable" else Objects((wanted,)))
    assert gathering.is_complete
    answer = gathering.judge(lack() if case == "nothing" else lack(wanted))
    assert isinstance(answer, DocumentAnswer)
    assert (answer.accepted, answer.code) == (False, "E-OBJECTS")


def test_endless_objects_are_given_up():
    gathering, answer, number = gather(), None, 0
    while answer is None:
        wanted = make_object(f"{number} " + "x" * 1_000_000)
        gathering.judge(lack(wanted))
        answer = gathering.add(Objects((wanted,)))
        number += 1
    assert answer.code == "E-OBJECTS"
    assert number < 70


# --- offering ------------------------------------------------------------------------------------------------------


def test_what_is_held_is_not_offered_and_what_is_newer_is():
    offering = Offering((1, 4))
    assert not offering.offer(1, 4)
    assert offering.offer(1, 5)
    offering.accept()
    assert offering.base == (1, 5)
    assert not offering.offer(1, 5)


def test_a_refused_document_waits_ever_longer_and_a_newer_one_does_not():
    offering = Offering((0, 0))
    waits: list[int] = []
    for _ in range(10):
        assert offering.offer(1, 5)
        waits.append(offering.refuse() // 1_000_000)
        assert not offering.offer(1, 5)
        offering.retry()
    assert waits[:4] == [60, 120, 240, 480]
    assert waits[-1] == 3_600
    assert offering.offer(1, 6)
    assert offering.refuse() == 60 * 1_000_000
