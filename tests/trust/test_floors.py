from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.trust import people

from skerry.model.ids import digest_of
from skerry.model.limits import NUMBER_WINDOW
from skerry.model.signed import DocumentHead
from skerry.trust.envelope import encode_payload
from skerry.trust.floors import Floor, floor_key, judge_floor, number_of, raised_floors

NUMBERS = st.integers(1, 6) | st.integers(1, 3 * NUMBER_WINDOW)


def head(epoch: int, generation: int, tag: str = "") -> DocumentHead:
    return DocumentHead(
        site=people.SITE, epoch=epoch, generation=generation, parent="", time_s=0, units=digest_of(tag.encode())
    )


def accept(floors: dict[str, Floor], payload: Any) -> str:
    """Judge a payload, raise the floors when it is accepted, return the code of the refusal."""
    digest = digest_of(encode_payload(payload))
    denied = judge_floor(floors, payload, digest)
    if denied is None:
        floors.update(raised_floors(floors, [(payload, digest)]))
    return "" if denied is None else denied.code


def test_lines_are_apart():
    payloads = [
        people.make_root(),
        people.make_record(),
        people.make_revision(1),
        people.make_revision(1, tenant=people.BETA),
        people.make_tombstone(1, ends=False),
        people.make_secret(1),
        people.make_secret(1, secret="other"),
        head(1, 1),
        head(2, 1),
    ]
    assert len({floor_key(payload) for payload in payloads}) == len(payloads)
    assert floor_key(people.make_tombstone(1)) == floor_key(people.make_revision(1))
    assert floor_key(people.EVERYWHERE) is None
    with pytest.raises(TypeError):
        number_of(people.EVERYWHERE)


def test_numbers_rise_and_the_same_bytes_may_come_again():
    floors: dict[str, Floor] = {}
    assert accept(floors, people.make_revision(3)) == ""
    assert accept(floors, people.make_revision(3)) == ""
    assert accept(floors, people.make_revision(2)) == "E-STALE"
    assert accept(floors, people.make_revision(3, tag="other")) == "E-FORK"
    assert accept(floors, people.make_revision(4)) == ""
    assert accept(floors, people.make_revision(3)) == "E-STALE"


def test_the_window_holds_from_the_first_object_on():
    floors: dict[str, Floor] = {}
    assert accept(floors, people.make_revision(NUMBER_WINDOW + 1)) == "E-NUMBER"
    assert accept(floors, people.make_revision(2**52)) == "E-NUMBER"
    assert accept(floors, people.make_revision(NUMBER_WINDOW)) == ""
    assert accept(floors, people.make_revision(2 * NUMBER_WINDOW + 1)) == "E-NUMBER"
    assert accept(floors, people.make_revision(2 * NUMBER_WINDOW)) == ""


def test_an_ending_tombstone_shares_the_line_of_the_app():
    floors: dict[str, Floor] = {}
    assert accept(floors, people.make_revision(3)) == ""
    assert accept(floors, people.make_tombstone(3)) == "E-FORK"
    assert accept(floors, people.make_tombstone(2)) == "E-STALE"
    assert accept(floors, people.make_tombstone(4)) == ""
    assert accept(floors, people.make_revision(3)) == "E-STALE"
    assert accept(floors, people.make_revision(4)) == "E-FORK"
    assert accept(floors, people.make_revision(5)) == ""
    assert accept(floors, people.make_tombstone(4)) == "E-STALE"


def test_another_tombstone_has_a_line_of_its_own_and_ages_with_the_app():
    floors: dict[str, Floor] = {}
    assert accept(floors, people.make_revision(3)) == ""
    assert accept(floors, people.make_tombstone(3, ends=False)) == ""
    assert accept(floors, people.make_tombstone(5, ends=False)) == ""
    assert accept(floors, people.make_tombstone(4, ends=False)) == "E-STALE"
    assert accept(floors, people.make_revision(4)) == ""
    assert accept(floors, people.make_tombstone(5, ends=False)) == ""
    assert accept(floors, people.make_revision(6)) == ""
    assert accept(floors, people.make_tombstone(5, ends=False)) == "E-STALE"
    assert accept(floors, people.make_tombstone(6, ends=False)) == ""


def test_generations_never_fall_within_an_epoch_and_epochs_never_fall():
    floors: dict[str, Floor] = {}
    assert accept(floors, head(2, 7)) == ""
    assert accept(floors, head(2, 6)) == "E-STALE"
    assert accept(floors, head(1, 9)) == "E-STALE"
    assert accept(floors, head(2, 7, "other")) == "E-FORK"
    assert accept(floors, head(3, 1)) == ""
    assert accept(floors, head(2, 8)) == "E-STALE"
    assert accept(floors, head(3, 1)) == ""
    assert accept(floors, head(3 + NUMBER_WINDOW + 1, 1)) == "E-NUMBER"
    assert accept(floors, head(4, NUMBER_WINDOW + 1)) == "E-NUMBER"


@given(st.lists(st.tuples(NUMBERS, st.sampled_from(["a", "b"])), max_size=12))
def test_whatever_arrives_numbers_accepted_never_fall_and_one_number_is_one_content(arrivals: list[tuple[int, str]]):
    floors: dict[str, Floor] = {}
    contents: dict[int, str] = {}
    highest = 0
    for number, tag in arrivals:
        if accept(floors, people.make_revision(number, tag=tag)) == "":
            assert highest <= number <= highest + NUMBER_WINDOW
            assert contents.setdefault(number, tag) == tag
            highest = number
    assert floors.get("app/alpha/shop", Floor(0, digest_of(b""))).number == highest


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 5), st.sampled_from("ab")), max_size=12))
def test_whatever_arrives_documents_only_go_forward(arrivals: list[tuple[int, int, str]]):
    floors: dict[str, Floor] = {}
    last = (0, 0, "")
    for epoch, generation, tag in arrivals:
        if accept(floors, head(epoch, generation, tag)) == "":
            assert (epoch, generation) > last[:2] or (epoch, generation, tag) == last
            last = (epoch, generation, tag)


@given(st.lists(st.tuples(st.sampled_from(["revision", "end", "other"]), st.integers(1, 6)), max_size=14))
def test_no_tombstone_is_accepted_that_is_older_than_its_app(arrivals: list[tuple[str, int]]):
    floors: dict[str, Floor] = {}
    revisions = [0]
    ends = [0]
    for kind, number in arrivals:
        payload = (
            people.make_revision(number) if kind == "revision" else people.make_tombstone(number, ends=kind == "end")
        )
        if accept(floors, payload) != "":
            continue
        if kind == "revision":
            assert number > max(ends)
            revisions.append(number)
        else:
            assert number >= max(revisions)
            ends.append(number if kind == "end" else 0)
