"""The fake entrance keeps the same contract as HAProxy with nftables (tests/e2e/test_entrance.py)."""

import asyncio

import pytest
from tests.contract import entrance

from skerry.model.observed import Observation
from skerry.plan.actions import DONE, Action, ApplyEntrance, Outcome
from skerry.sim.entrances import FakeEntrance


class FakeRig:
    """An entrance whose copies are names."""

    name = "fake"
    performs = (ApplyEntrance,)

    def __init__(self) -> None:
        self.entrance = FakeEntrance()
        self.alive: set[str] = set()
        self.driver = self
        self.now_us = 0

    async def observe(self) -> Observation:
        return Observation(driver=self.name, entrance=self.entrance.observe(self.alive))

    async def perform(self, action: Action) -> Outcome:
        assert isinstance(action, ApplyEntrance)
        self.entrance.apply(action, self.now_us)
        return DONE

    async def wait(self, seconds: float) -> None:
        self.now_us += int(seconds * 1_000_000)

    async def serve(self, copy: int) -> None:
        self.alive.add(f"c{copy}")

    async def kill(self, copy: int) -> None:
        self.alive.discard(f"c{copy}")

    async def ask(self, place: str, visitor: int = 0) -> str:
        return self.entrance.ask(place, self.alive, visitor)

    def restart_agent(self) -> None:
        pass


@pytest.mark.parametrize("name", entrance.CHECKS)
def test_the_fake_keeps_the_contract(name: str):
    asyncio.run(entrance.CHECKS[name](FakeRig()))


def test_people_who_stay_leave_one_by_one():
    fake = FakeEntrance()
    fake.sessions = {"c1": 2}
    fake.apply(entrance.entrance(entrance.server(1)), 0)
    assert [fake.observe({"c1"}).servers[0].sessions for _ in range(3)] == [2, 2, 2]
    fake.apply(entrance.entrance(entrance.server(1, "drain")), 7)
    seen = [fake.observe({"c1"}).servers[0] for _ in range(4)]
    assert [each.sessions for each in seen] == [2, 1, 0, 0]
    assert {each.since_us for each in seen} == {7}


def test_an_entrance_goes_with_the_power_and_who_holds_what_does_not():
    fake = FakeEntrance()
    fake.apply(entrance.entrance(entrance.server(1)), 0)
    fake.end()
    seen = fake.observe({"c1"})
    assert (seen.digest, seen.servers) == ("", ())
    assert seen.holders
