"""What waits for a window is what it was: no check of what is led to it takes that for a fault."""

import msgspec
import pytest
from tests.sim.test_checkers import SITE, virtually
from tests.sim.town import broken, pass_time

from skerry.agent.status import Controlled
from skerry.model.entrance import Entrance
from skerry.model.policy import Autonomy
from skerry.model.rollout import TimeWindow
from skerry.plan.history import AppId
from skerry.sim.apps import AppWords
from skerry.sim.detours import list_chains
from skerry.sim.script import Script
from skerry.sim.script_words import read_app
from skerry.sim.windows import list_former, list_shut_out, list_waiting

TILL = AppId("default/till")
DAY = AppWords(
    services={"web": "nginx"},
    per_site=2,
    volume=False,
    entrances={"web": (Entrance(port=80, host="till.example"),)},
    autonomy=Autonomy(local_control="full"),
)
NIGHT = msgspec.structs.replace(
    read_app({"web": "better", "rollout": "night", "volume": "no", "chain": "wall:pf"}),
    entrances={"web": (Entrance(port=80, host="shop.example"),)},
)


@pytest.mark.sim
@virtually
async def test_a_place_and_a_chain_that_are_asked_for_from_a_window_on(script: Script):
    site = script.world.sites[SITE]
    await script.world.apply("till", DAY)
    assert await script.weather.converge() == ""
    assert list_waiting(site, site.followed()) == set()
    await script.world.apply("till", NIGHT)
    await pass_time(script, 300)
    held = site.followed()
    assert held is not None
    assert list_waiting(site, held) == {TILL}
    assert {each.place for item in list_former(held, {TILL}) for each in item.entrance} == {"http/till.example/"}
    assert list(site.machine.entrance.holders) == ["http/till.example/"]
    assert list(list_chains(script.world, site)) == []
    assert broken(script) == set()
    # A person at the box speaks of what is there.
    said = await script.world.say_at_box(SITE, "restart", "default/till/web/1")
    assert isinstance(said, Controlled)
    # Its owner can still open the window; nobody can that of a revision whose successor is kept from the site.
    assert list_shut_out(script.world, site, held) == set()
    rollout = NIGHT.rollout
    assert rollout is not None
    always = msgspec.structs.replace(rollout, windows=(TimeWindow(0, 1440, zone="utc"),))
    await script.world.apply("till", msgspec.structs.replace(NIGHT, rollout=always))
    assert await script.weather.converge() == ""
    assert list_waiting(site, site.followed()) == set()
    assert list(site.machine.entrance.holders) == ["http/shop.example/"]
    assert [chain.name for _, chain in list_chains(script.world, site)] == ["out"]
