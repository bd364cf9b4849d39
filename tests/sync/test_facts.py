"""Facts: digests, patches, and a sender that never guesses what the parent has."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.model.limits import FACTS_MAX, FACTS_PATCH_BYTES
from skerry.sync.facts import FactsMismatch, FactsSender, apply_facts, digest_facts, digest_lines, digest_value
from skerry.wire import FactsPatch

PACE = 1_000
maps = st.dictionaries(st.sampled_from("abcdef"), st.binary(max_size=4), max_size=6)


def make(facts: dict[str, bytes], parent: dict[str, bytes] | None = None) -> FactsSender:
    sender = FactsSender()
    sender.begin(b"" if parent is None else digest_facts(parent), 0, PACE)
    sender.start_reading()
    sender.learn(facts)
    return sender


def patch_of(sender: FactsSender, now: int = 0) -> FactsPatch:
    patch = sender.next_patch(now)
    assert patch is not None
    return patch


def test_the_digest_is_over_sorted_lines_of_key_and_digest():
    lines = f"a {hashlib.sha256(b'1').hexdigest()}\nb {hashlib.sha256(b'2').hexdigest()}\n"
    assert digest_facts({"b": b"2", "a": b"1"}) == hashlib.sha256(lines.encode()).digest()
    assert digest_lines({"a": digest_value(b"1"), "b": digest_value(b"2")}) == digest_facts({"a": b"1", "b": b"2"})


@given(st.lists(maps, min_size=1, max_size=8))
def test_whatever_changes_the_parent_follows(states: list[dict[str, bytes]]):
    sender, held = make(states[0]), dict[str, bytes]()
    for facts in states:
        sender.learn(facts)
        patch = sender.next_patch(0)
        if patch is not None:
            applied = apply_facts(held, patch)
            assert isinstance(applied, dict)
            held = applied
            sender.answer(patch.number, 0, again=False)
        assert held == facts
        assert sender.next_patch(0) is None, "and then there is nothing to do"


def test_only_what_changed_goes_and_once_with_its_newest_value():
    sender = make({"a": b"1", "b": b"1"}, {})
    first = patch_of(sender)
    sender.learn({"a": b"2", "b": b"1"})
    assert sender.next_patch(0) is None, "one patch is on its way"
    sender.learn({"a": b"3"})
    sender.answer(first.number, 0, again=False)
    second = patch_of(sender)
    assert (second.changed, second.removed, second.whole) == ({"a": b"3"}, ("b",), False)


@pytest.mark.parametrize(
    ("parent", "whole"),
    [
        ({"a": b"1"}, False),  # what it acknowledged
        ({"a": b"2"}, False),  # what was on its way: the answer was lost
        ({"a": b"9"}, True),  # something else
        ({}, True),
    ],
)
def test_a_new_session_begins_where_the_parents_digest_says(parent: dict[str, bytes], whole: bool):
    sender = make({"a": b"1"})
    sender.answer(patch_of(sender).number, 0, again=False)
    sender.learn({"a": b"2"})
    patch_of(sender)
    sender.begin(digest_facts(parent), 0, PACE)
    sender.learn({"a": b"2", "b": b"1"})
    patch = patch_of(sender)
    assert patch.whole is whole
    assert apply_facts(parent, patch) == {"a": b"2", "b": b"1"}


def test_a_restarted_agent_sends_nothing_to_a_parent_that_has_it_all():
    assert make({"a": b"1"}, {"a": b"1"}).next_patch(0) is None


def test_a_parent_that_asks_again_gets_all_and_one_that_never_agrees_is_asked_ever_less():
    sender = make({"a": b"1"}, {"a": b"0"})
    waits: list[int] = []
    now = 0
    for _ in range(12):
        patch = patch_of(sender, now)
        assert patch.whole
        sender.answer(patch.number, now, again=True)
        due = sender.read_due()
        assert due is not None
        waits.append(due - now)
        now = due
        sender.start_reading()
        sender.learn({"a": b"1"})
    assert waits[0] <= PACE
    assert waits[1:] == sorted(waits[1:])
    assert PACE * 1_000 < waits[-1] <= 300 * 1_000_000


def test_reads_are_paced_and_wait_for_the_answer():
    sender = make({"a": b"1"})
    patch = patch_of(sender, 50)
    sender.note_changed()
    assert sender.read_due() is None
    sender.answer(patch.number, 60, again=False)
    assert sender.read_due() == 50 + PACE


def test_an_answer_to_nothing_is_nothing():
    sender = make({"a": b"1"})
    sender.answer(7, 0, again=True)
    patch = patch_of(sender)
    sender.answer(patch.number + 1, 0, again=True)
    assert sender.is_waiting


def test_more_than_a_patch_holds_goes_in_several_that_all_verify():
    facts = {f"k{number:03}": bytes(100_000) for number in range(30)}
    sender, held, count = make(facts), dict[str, bytes](), 0
    while (patch := sender.next_patch(0)) is not None:
        assert sum(map(len, patch.changed.values())) <= FACTS_PATCH_BYTES
        applied = apply_facts(held, patch)
        assert isinstance(applied, dict)
        held, count = applied, count + 1
        sender.answer(patch.number, 0, again=False)
        assert (sender.read_due() is not None) is (held != facts), "the rest is not forgotten"
        sender.start_reading()
        sender.learn(facts)
    assert held == facts
    assert count == 3


def test_a_patch_on_another_base_and_too_many_facts_are_mismatches():
    patch = FactsPatch(1, False, {"a": b"1"}, (), digest_facts({"a": b"1"}))
    assert isinstance(apply_facts({"b": b"1"}, patch), FactsMismatch)
    crowd = {str(number): b"" for number in range(FACTS_MAX + 1)}
    assert isinstance(apply_facts({}, FactsPatch(1, True, crowd, (), digest_facts(crowd))), FactsMismatch)
