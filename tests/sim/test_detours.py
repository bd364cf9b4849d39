"""Chains in storms: a packet that passes a step by, or starts before its chain, is noticed."""

import msgspec
import pytest
from tests.sim.test_checkers import SITE, virtually
from tests.sim.town import ONE, broken, freeze, in_town, pass_time

from skerry.model.ids import InstanceId
from skerry.model.observed import ChainsSeen
from skerry.plan.actions import StartContainer
from skerry.plan.chain_marks import PASS_OUT
from skerry.sim.detours import list_chains
from skerry.sim.script import Script
from skerry.sim.script_words import read_app


@pytest.mark.sim
@in_town
async def test_what_passes_the_steps_by(script: Script):
    site = script.world.sites[ONE]
    machine = site.machine
    chains, steers = machine.chains, machine.steers
    machine.steers = tuple(
        msgspec.structs.replace(each, mark=PASS_OUT) if each.bridge and not each.macs else each for each in steers
    )
    assert broken(script) == {"I48"}
    machine.steers = steers
    seen = next(each for each in machine.containers.values() if each.service == "web")
    spec = machine.specs[seen.container]
    start = StartContainer(container=seen.container, spec=spec, spec_digest=seen.spec, uid_start=200_000)
    script.checker.check_effect(site, start)
    await pass_time(script, 40)
    script.checker.check_effect(site, start)
    assert broken(script) == set()
    machine.chains, machine.steers = ChainsSeen(), ()
    script.checker.check_effect(site, start)
    assert broken(script) == {"I48"}
    machine.chains, machine.steers = chains, steers


@pytest.mark.sim
@in_town
async def test_a_step_that_is_not_well(script: Script):
    look = InstanceId("default/shop/look/0")
    before = script.checker.detours.judged
    script.weather.sicken(ONE, look)
    await pass_time(script, 260)
    assert broken(script) == set()
    assert script.checker.detours.judged > before
    await freeze(script, ONE)
    script.world.sites[ONE].machine.unhealthy.clear()
    await pass_time(script, 180)
    assert "I48" in broken(script)


@pytest.mark.sim
@virtually
async def test_steps_at_a_site_that_has_no_client_of_their_chain(script: Script):
    await script.world.apply("hub", read_app({"chain": "wall:pf", "volume": "no"}))
    await pass_time(script, 300)
    assert [chain.name for _, chain in list_chains(script.world, script.world.sites[SITE])] == ["out"]
    assert broken(script) == set()
