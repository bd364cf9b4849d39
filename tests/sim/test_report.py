"""Figures of a run: sums over seeds, and a page that shows all of them."""

import msgspec

from skerry.sim.checkers import Break
from skerry.sim.report import Figures, list_invariants, write_page
from skerry.sim.storms import StormResult


def result(seed: int, *breaks: Break, on_disk: bool = False) -> StormResult:
    return StormResult(
        seed=seed,
        breaks=breaks,
        site_hours=1.5,
        faults={"cut-both": seed},
        cpu_seconds=2.0,
        trace_hash="",
        story=("begin", "end"),
        on_disk=on_disk,
    )


def test_seeds_add_up():
    figures = Figures(1, 3)
    figures.add(result(1))
    figures.add(result(2, Break("I2", "lost", 7), on_disk=True))
    kept = figures.as_json()
    assert (kept["seeds"], kept["disk_seeds"], kept["site_hours"], kept["cpu_seconds"]) == (2, 1, 3.0, 4.0)
    assert kept["faults"] == {"cut-both": 3}
    assert kept["breaks"] == [{"seed": 2, "invariant": "I2", "detail": "lost", "story": ["begin", "end"]}]
    page = write_page(figures, ["the", "command"])
    for shown in ("2 of 3", "    the command", "| 2 | I2 | lost |", "| cut-both | 3 |", "| I11 | "):
        assert shown in page


def test_every_invariant_of_the_first_milestone_is_listed_with_its_sentence():
    listed = list_invariants()
    expected = {1, 2, 3, 4, 5, 6, 7, 8, 11, *range(14, 28), 32, 34} - {19, 20}
    assert set(listed) >= {f"I{number}" for number in expected}
    assert all(sentence.endswith(".") and when for sentence, when in listed.values())


def test_words_that_owners_said_are_counted_by_worlds():
    figures = Figures(1, 2)
    figures.add(msgspec.structs.replace(result(1), words=frozenset({"priority.value", "autonomy.offline"})))
    figures.add(msgspec.structs.replace(result(2), words=frozenset({"priority.value"})))
    assert figures.list_words() == [" 50.0 %  autonomy.offline", "100.0 %  priority.value"]
    assert figures.as_json()["words"] == {"autonomy.offline": 1, "priority.value": 2}
    assert "| `priority.value` | 2 |" in write_page(figures, ["the", "command"])
