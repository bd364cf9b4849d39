"""What waits for a window is what it was: no check of what is led to it takes that for a fault."""

import msgspec
import pytest
from tests.sim.test_checkers import SITE, virtually
from tests.sim.town import broken, pass_time

from skerry.agent.status import Controlled
from skerry.model.entrance import Entrance
from skerry.model.ids import InstanceId
from skerry.model.policy import Autonomy
from skerry.model.rollout import TimeWindow
from skerry.plan.history import AppId
from skerry.plan.site import derive_wanted
from skerry.sim.apps import AppWords
from skerry.sim.detours import list_chains
from skerry.sim.parts import SimSite
from skerry.sim.rests import must_rest
from skerry.sim.script import Script
from skerry.sim.script_words import read_app
from skerry.sim.windows import list_former, list_meanings, list_shut_out, list_waiting

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


@pytest.mark.sim
@virtually
async def test_what_waits_rests_by_the_words_of_before(script: Script):
    site, name = script.world.sites[SITE], InstanceId("default/till/web/0")
    await script.world.apply("till", msgspec.structs.replace(DAY, per_site=1))
    assert await script.weather.converge() == ""
    asleep = msgspec.structs.replace(NIGHT, autonomy=Autonomy(restart_offline=False))
    await script.world.apply("till", asleep)
    await pass_time(script, 60)
    item = derive_wanted_at(site)[name]
    assert [must_rest(each, 0) != "" for each in list_meanings(script.world, site, item)] == [True, False]
    script.weather.cut(SITE)
    await script.weather.stop_agent(SITE, power=True)
    await script.weather.start_agent(SITE)
    await script.weather.advance(200)
    assert name in site.machine.running()
    assert script.weather.find_idle(site) == ""
    assert broken(script) == set()


def derive_wanted_at(site: SimSite):
    held = site.followed()
    assert held is not None
    return derive_wanted(held)[0]
