"""A hundred of the ten thousand kills that ``./dev long agent-kills`` makes, and what the core hears of them."""

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.fleet import Fleet, wait_until
from tests.e2e.kill_loop import (
    SITE,
    SPARE_APP,
    WATCHED,
    WATCHED_APP,
    KillLoop,
    Result,
    apply_app,
    push_image,
    read_result,
    write_result,
)
from tests.e2e.lab import Lab

pytestmark = pytest.mark.e2e

KILLS = 100


class Looped:
    """What the loop found, and what the core knows afterwards."""

    def __init__(self, fleet: Fleet, result: Result) -> None:
        self.result = result
        wait_until(lambda: fleet.agent_status(SITE)["link"] == "up", "the link", 180)
        wait_until(lambda: fleet.agent_status(SITE)["outbox"] == 0, "an empty outbox", 180)
        told = fleet.must("events", "--app", WATCHED_APP, "--tail", "2000", "-o", "jsonl")
        self.events: list[dict[str, Any]] = [json.loads(line) for line in told.splitlines()]

    def count(self, kind: str) -> int:
        return sum(f".{kind}." in event["type"] for event in self.events)


@pytest.fixture(scope="module")
def looped() -> Generator[Looped]:
    with Lab([SITE]) as lab, Fleet(lab) as fleet:
        fleet.start_site(SITE, "tier=kills")
        push_image(fleet)
        apply_app(fleet, WATCHED_APP, WATCHED)
        apply_app(fleet, SPARE_APP, 1)
        result = Result(seed=2)
        KillLoop(fleet, SITE, result, lambda now: None).run(KILLS)
        yield Looped(fleet, result)


def test_no_container_is_another_one(looped: Looped):
    assert looped.result.problems == []
    assert looped.result.kills == sum(looped.result.lives.values()) == KILLS
    assert looped.result.spare_ended > 0


def test_what_is_adopted_is_told_of_once(looped: Looped):
    assert looped.count("instance.ready") == WATCHED
    assert looped.count("volume.seen") == WATCHED


def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path):
    path = tmp_path / "kills.json"
    assert read_result(path, 5) == Result(5)
    write_result(path, Result(5, kills=300, lives={"idle": 300}))
    assert read_result(path, 5).kills == 300
    assert read_result(path, 6).kills == 0
