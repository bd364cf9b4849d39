"""Chains in storms: a packet that passes a step by, or starts before its chain, is noticed."""

import msgspec
import pytest
from tests.sim.test_checkers import SITE, virtually
from tests.sim.town import ONE, broken, freeze, in_town, pass_time

from skerry.clock import SeededMint
from skerry.model.chain import Chain, ChainEnd
from skerry.model.grants import Profile
from skerry.model.ids import InstanceId, ServiceName, TenantName
from skerry.model.observed import ChainsSeen
from skerry.plan.actions import StartContainer
from skerry.plan.chain_marks import PASS_OUT
from skerry.plan.history import AppId
from skerry.sim.apps import AppWords
from skerry.sim.detours import list_chains
from skerry.sim.loop import run_virtual
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


@pytest.mark.sim
def test_what_a_device_brings_passes_the_steps_by():
    mint = SeededMint("a device")

    async def story() -> None:
        script = Script()
        try:
            await script.world.begin(1)
            site = script.world.sites[ONE]
            site.machine.links.add("lan1")
            await script.world.sign_profile(ONE, Profile(tenants=(TenantName("default"),), interfaces=("lan1",)))
            steps = ServiceName("wall"), ServiceName("look")
            chain = Chain(
                name="out",
                start=ChainEnd(kind="interface", name="lan1"),
                through=steps,
                end=ChainEnd(kind="uplink"),
            )
            services = {"web": "nginx", "wall": "pf", "look": "dpi"}
            await script.world.apply("shop", AppWords(services=services, chain=chain))
            assert await script.weather.converge() == ""
            await pass_time(script, 60)
            assert script.checker.breaks == []
            steers = site.machine.steers
            for wrong in (
                tuple(each for each in steers if each.device != "lan1"),
                tuple(msgspec.structs.replace(each, mark=PASS_OUT) if each.device else each for each in steers),
                tuple(each for each in steers if each.target_by != "lan1"),
            ):
                machine_steers = site.machine.steers
                site.machine.steers = wrong
                assert broken(script) == {"I48"}
                site.machine.steers = machine_steers
                assert broken(script) == set()
        finally:
            await script.world.end()

    run_virtual(mint, story())


@pytest.mark.sim
@virtually
async def test_an_app_that_ends_because_it_cut_its_site_off_is_led_until_it_has_stopped(script: Script):
    await script.world.apply("hub", read_app({"web": "nginx", "chain": "wall:pf", "volume": "no"}))
    assert await script.weather.converge() == ""
    site = script.world.sites[SITE]
    assert [chain.name for _, chain in list_chains(script.world, site)] == ["out"]
    reconciler, hub = site.agent.reconciler, AppId("default/hub")
    kept = reconciler.history.kept
    locked = msgspec.structs.replace(kept.judged[hub], verdict="failed", locked=True, fallback=None, reason="cut off")
    kept = msgspec.structs.replace(kept, judged={**kept.judged, hub: locked})
    reconciler.history = msgspec.structs.replace(reconciler.history, kept=kept)
    assert [chain.name for _, chain in list_chains(script.world, site)] == ["out"]
    assert broken(script) == set()
    steers = site.machine.steers
    site.machine.steers = ()
    assert broken(script) == {"I48"}
    site.machine.steers = steers
    await pass_time(script, 60)
    assert (site.machine.steers, {each.app for each in site.machine.containers.values()}) == ((), {"shop"})
    assert broken(script) == set()


@pytest.mark.sim
@virtually
async def test_an_agent_keeps_in_mind_whom_it_leads_until_the_app_has_stopped(script: Script):
    await script.world.apply("hub", read_app({"web": "nginx", "chain": "wall:pf", "volume": "no"}))
    assert await script.weather.converge() == ""
    site = script.world.sites[SITE]
    assert set(site.agent.reconciler.history.led) == {"default/hub/web/0", "default/hub/wall/0"}
    assert await script.world.delete("hub")
    await pass_time(script, 60)
    assert site.agent.reconciler.history.led == {}
    assert (site.machine.steers, {each.app for each in site.machine.containers.values()}) == ((), {"shop"})
