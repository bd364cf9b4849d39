"""What every driver of a node's relay does alike: run against the fake and against a process."""

from typing import Protocol

from skerry.drivers.base import Driver
from skerry.model.ids import Digest, SiteName
from skerry.model.observed import RelayHere
from skerry.model.relay import RelayPair, RelaySide, RelayTable
from skerry.plan.actions import ApplyRelay
from skerry.plan.passing import table_digest


class Rig(Protocol):
    driver: Driver

    def make_next(self) -> Driver:
        """Return the driver of the agent that comes after this one."""
        ...

    def kill(self) -> None:
        """End the relay as a crash does."""
        ...


def wish(*slots: int, host: str = "127.0.0.1") -> ApplyRelay:
    pairs = tuple(
        RelayPair((RelaySide(SiteName("a"), 53_000 + 2 * slot), RelaySide(SiteName(f"b{slot}"), 53_001 + 2 * slot)))
        for slot in slots
    )
    table = RelayTable(pairs)
    return ApplyRelay(table=table, host=host, digest=table_digest(table, host))


async def see(driver: Driver) -> RelayHere:
    seen = (await driver.observe()).relay
    assert seen is not None
    return seen


async def do(driver: Driver, action: ApplyRelay) -> None:
    outcome = await driver.perform(action)
    assert outcome.ok, outcome


async def check_a_node_without_pairs_has_no_relay(rig: Rig) -> None:
    assert (await see(rig.driver)) == RelayHere()
    await do(rig.driver, wish())
    assert (await see(rig.driver)) == RelayHere()


async def check_it_runs_as_wished_is_changed_and_ends(rig: Rig) -> None:
    for action in (wish(1), wish(1), wish(1, 2), wish(2, host="127.0.0.2")):
        await do(rig.driver, action)
        assert (await see(rig.driver)).digest == action.digest
    await do(rig.driver, wish())
    assert (await see(rig.driver)).digest == Digest("")


async def check_it_outlives_the_agent_and_is_adopted(rig: Rig) -> None:
    await do(rig.driver, wish(1))
    follower = rig.make_next()
    assert (await see(follower)).digest == wish(1).digest
    await do(follower, wish())
    assert (await see(rig.driver)).digest == ""


async def check_one_that_died_is_seen_and_made_again(rig: Rig) -> None:
    await do(rig.driver, wish(1))
    rig.kill()
    assert (await see(rig.driver)).digest == ""
    await do(rig.driver, wish(1))
    assert (await see(rig.driver)).digest == wish(1).digest
    await do(rig.driver, wish())


CHECKS = {name: item for name, item in sorted(globals().items()) if name.startswith("check_")}
