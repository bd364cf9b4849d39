"""Why an instance may rest, and when it must: judged from signed words and the truth of the world."""

import pytest
from tests.sim.test_checkers import SITE, virtually

from skerry.clock import SECOND_US
from skerry.model.ids import InstanceId
from skerry.model.policy import Autonomy, Priority
from skerry.model.rollout import InSite
from skerry.plan.site import derive_wanted
from skerry.sim.apps import AppWords
from skerry.sim.rests import find_rest, has_to_yield, is_above, is_held_up, must_rest
from skerry.sim.script import Script
from skerry.sim.script_words import read_app

SHOP, TILL = InstanceId("default/shop/web/0"), InstanceId("default/till/web/0")


def wanted_at(script: Script):
    held = script.world.sites[SITE].followed()
    assert held is not None
    return derive_wanted(held)[0]


def wish(script: Script, autonomy: Autonomy):
    return script.world.apply("shop", AppWords(services={"web": "nginx"}, autonomy=autonomy))


@virtually
async def test_what_a_person_stopped_may_rest_and_must_run_again_after_start(script: Script):
    await wish(script, Autonomy(local_control="full"))
    assert await script.weather.converge() == ""
    site = script.world.sites[SITE]
    assert find_rest(script.world, site, SHOP, wanted_at(script)) == ""
    await script.world.say_at_box(SITE, "stop", SHOP)
    assert "a person" in find_rest(script.world, site, SHOP, wanted_at(script))
    await script.weather.advance(30)
    assert script.weather.find_idle(site) == ""
    await script.world.say_at_box(SITE, "start", SHOP)
    assert find_rest(script.world, site, SHOP, wanted_at(script)) == ""


@virtually
async def test_what_is_to_stop_when_cut_off_must_rest_then(script: Script):
    await wish(script, Autonomy(offline="stop-after", max_offline_us=120 * SECOND_US))
    assert await script.weather.converge() == ""
    site = script.world.sites[SITE]
    script.weather.cut(SITE)
    await script.weather.stop_agent(SITE, power=True)
    await script.weather.start_agent(SITE)
    await script.weather.advance(400)
    assert script.weather.find_idle(site) == ""
    assert "to stop" in must_rest(wanted_at(script)[SHOP], 121 * SECOND_US)
    assert must_rest(wanted_at(script)[SHOP], 119 * SECOND_US) == ""
    name = max(site.machine.containers)
    site.machine._set(name, "running", 0)
    assert "its owner wants it to stop" in script.weather.find_idle(site)


@virtually
async def test_what_is_to_wait_after_a_reboot_must_rest(script: Script):
    await wish(script, Autonomy(restart_offline=False))
    assert await script.weather.converge() == ""
    assert "after a reboot" in must_rest(wanted_at(script)[SHOP], 0)


@virtually
async def test_a_machine_with_less_memory_lets_the_lower_one_rest(script: Script):
    for app, value in (("shop", 300), ("till", 700)):
        words = AppWords(services={"web": "nginx"}, priority=Priority(value=value), memory_bytes=3 << 30)
        await script.world.apply(app, words)
    assert await script.weather.converge() == ""
    site, wanted = script.world.sites[SITE], wanted_at(script)
    assert not has_to_yield(site, SHOP, wanted)
    await script.weather.lose_memory(SITE, 0.5)
    assert has_to_yield(site, SHOP, wanted)
    assert not has_to_yield(site, TILL, wanted)
    await script.weather.advance(60)
    assert site.machine.running() == [TILL]
    assert script.checker.breaks == []


@pytest.mark.parametrize(
    ("one", "other", "may"),
    [
        (Priority(value=2), Priority(value=1), True),
        (Priority(value=1), Priority(value=1), False),
        (Priority(value=2, preempts="never"), Priority(value=1), False),
        (Priority(value=2), Priority(value=1, preemptible=False), False),
    ],
)
def test_who_may_take_whose_room(one, other, may):
    assert is_above(one, other) == may


@virtually
async def test_a_copy_waits_for_a_window_that_nobody_opens_any_more(script: Script):
    night = read_app({"web": "nginx", "rollout": "night", "volume": "no"})
    asked = read_app({"web": "better", "rollout": "asked", "volume": "no"})
    await script.world.add_site("site-2", {"tier": "store"})
    await script.world.apply("till", night)
    # The newest revision is what sites have to come to, so a window of it is for its owner to open.
    assert (await script.weather.converge(120)).startswith("I24")
    await script.world.apply("till", asked)
    assert await script.weather.converge(600) == ""
    sites = script.world.sites.values()
    assert [site.name for site in sites if "default/till/web/0" in site.machine.running()] == [SITE]


@virtually
async def test_a_copy_that_finds_no_room_beside_the_first_stays_as_it_was(script: Script):
    site = script.world.sites[SITE]
    order = InSite(order="start-first")
    words = AppWords(services={"web": "nginx"}, volume=False, memory_bytes=3 << 30, in_site=order)
    await script.world.apply("till", words)
    assert await script.weather.converge() == ""
    # Of 8 GiB there is room for another 3.
    assert not is_held_up(site, TILL, wanted_at(script))
    site.machine.memory_bytes = 5 << 30
    assert is_held_up(site, TILL, wanted_at(script))
    # Who does not wish for both at once has no such excuse.
    assert not is_held_up(site, SHOP, wanted_at(script))
