"""A check that cannot fail checks nothing: each is shown a world in which its promise is broken."""

import asyncio

import msgspec
import pytest

from skerry.clock import SeededMint
from skerry.model.app import Mount
from skerry.model.ids import Digest, SiteName, TenantName, digest_of
from skerry.plan.actions import DeleteVolume, LoadImage, RemoveImage, StartContainer, StopContainer
from skerry.sim import checkers
from skerry.sim.apps import AppWords
from skerry.sim.loop import SimLoop, run_virtual
from skerry.sim.script import Script
from skerry.store import apps

SITE = SiteName("site-1")


def virtually(test):
    def run() -> None:
        async def main() -> None:
            assert isinstance(asyncio.get_running_loop(), SimLoop)
            script = Script()
            try:
                await script.world.begin(1, 2)
                await script.world.apply("shop", AppWords(services={"web": "nginx"}))
                assert await script.weather.converge() == ""
                script.checker.check_step()
                assert script.checker.breaks == []
                await test(script)
            finally:
                await script.world.end()

        run_virtual(SeededMint("checkers"), main())

    run.__name__ = test.__name__
    return run


def broken(script: Script) -> set[str]:
    return {each.invariant for each in script.checker.breaks}


def step(script: Script) -> set[str]:
    script.checker.check_step()
    return broken(script)


def effect(script: Script, action) -> set[str]:
    script.checker.check_effect(script.world.sites[SITE], action)
    return broken(script)


def a_start(script: Script) -> StartContainer:
    machine = script.world.sites[SITE].machine
    (name,) = machine.containers
    seen = machine.containers[name]
    return StartContainer(container=name, spec=machine.specs[name], spec_digest=seen.spec, uid_start=200_000)


@virtually
async def test_i01_a_confirmed_revision_that_is_gone(script: Script):
    key, known = next(iter(script.world.confirmed.items()))
    known.numbers[7] = digest_of(b"seven")
    assert apps.find_revision(script.world.core.view, *key, 7) is None
    assert step(script) == {"I1"}


@virtually
async def test_i02_an_event_that_never_reached_the_log(script: Script):
    seen = script.checker.look_at(SITE)
    seen.events[1] = ("sha256:another", True)
    await script.checker.check_calm()
    assert "I2" in broken(script)


@virtually
async def test_i03_a_generation_that_fell(script: Script):
    script.checker.look_at(SITE).held = (1, 99)
    assert step(script) == {"I3"}


@virtually
async def test_i05_an_image_that_nobody_named(script: Script):
    start = a_start(script)
    spec = msgspec.structs.replace(start.spec, image=digest_of(b"evil"))
    assert effect(script, msgspec.structs.replace(start, spec=spec)) == {"I5"}


@virtually
async def test_i06_half_a_document(script: Script):
    holdings = script.world.sites[SITE].agent.holdings
    assert holdings is not None
    assert holdings.stored is not None
    holdings.stored = msgspec.structs.replace(holdings.stored, bodies={}, generation=holdings.stored.generation + 1)
    assert step(script) == {"I6"}


@virtually
async def test_i08_a_session_epoch_used_twice(script: Script):
    script.checker.look_at(SITE).epoch_before = 99
    assert step(script) == {"I8"}


@virtually
async def test_i11_a_volume_that_goes_without_a_tombstone(script: Script):
    (volume,) = script.world.sites[SITE].machine.volumes.values()
    doom = DeleteVolume(
        volume=volume.volume,
        tenant=volume.tenant,
        app=volume.app,
        name=volume.name,
        tombstone=Digest("sha256:none"),
    )
    assert effect(script, doom) == {"I11"}


@virtually
async def test_i14_an_image_that_is_in_use(script: Script):
    start = a_start(script)
    assert effect(script, RemoveImage(image=start.spec.image, config=start.spec.image_config)) == {"I14"}


@virtually
async def test_i15_an_image_in_the_reserve(script: Script):
    machine = script.world.sites[SITE].machine
    machine.disk_bytes = 1 << 20
    machine.images = {}
    start = a_start(script)
    assert effect(script, LoadImage(image=start.spec.image, config=start.spec.image_config)) == {"I15"}


@virtually
async def test_i07_a_start_that_only_a_restart_of_the_programs_explains(script: Script):
    # What is still begun by a wish of a moment ago is no answer to the restart.
    await script.world.apply("till", AppWords(services={"web": "nginx"}))
    assert await checkers.check_i07_the_same_again_changes_nothing(script.checker) == ""
    machine, start = script.world.sites[SITE].machine, script.weather.start_agent

    async def start_and_end_an_instance(site: str) -> None:
        machine.crash("default/shop/web/0")
        await start(site)

    script.weather.start_agent = start_and_end_an_instance  # type: ignore[method-assign]
    assert "nothing but a restart" in await checkers.check_i07_the_same_again_changes_nothing(script.checker)


@virtually
async def test_i17_and_i18_a_stop_that_nobody_asked_for(script: Script):
    start = a_start(script)
    stop = StopContainer(container=start.container, instance=start.instance, grace_us=0)
    assert effect(script, stop) == {"I17", "I18"}


@virtually
async def test_i27_a_range_of_uids_for_two_tenants(script: Script):
    start = a_start(script)
    script.checker.run.uids[(SITE, start.uid_start)] = TenantName("tenant-1")
    assert effect(script, start) == {"I27"}
    mount = Mount(kind="volume", source="tenant-1/shop/data", target="/data")
    script.checker.breaks.clear()
    spec = msgspec.structs.replace(start.spec, mounts=(mount,))
    assert effect(script, msgspec.structs.replace(start, spec=spec)) == {"I27"}


@virtually
async def test_i27_an_old_disk_gives_back_ranges_that_nothing_on_it_has(script: Script):
    start, uids = a_start(script), script.checker.run.uids
    uids[(SITE, start.uid_start + 65_536)] = TenantName("tenant-1")
    script.weather.image_disk(SITE)
    await script.weather.set_back(SITE)
    assert script.checker.run.uids == {(SITE, start.uid_start): TenantName("default")}
    script.checker.run.uids[(SITE, start.uid_start)] = TenantName("tenant-1")
    assert effect(script, start) == {"I27"}


@virtually
async def test_i32_floors_that_fell(script: Script):
    seen = script.checker.look_at(SITE)
    seen.floors["app/default/shop"] = 99
    assert step(script) == {"I32"}


@virtually
async def test_crash_a_task_that_ended_with_an_error(script: Script):
    async def fail() -> None:
        raise RuntimeError("a bug")

    script.world.core.tasks.start("bad", fail())
    await script.weather.advance(1)
    assert step(script) == {"crash"}


@pytest.mark.parametrize(
    ("name", "late"),
    [("link", "I23"), ("hand", "I24"), ("facts", "I26"), ("wish", "I22")],
)
def test_liveness_is_asked_for(name: str, late: str):
    @virtually
    async def look(script: Script) -> None:
        site = script.world.sites[SITE]
        match name:
            case "link":
                script.weather.cut(SITE)
                await script.weather.advance(100)
            case "hand":
                site.machine.remove_by_hand(site.machine.running()[0])
            case "facts":
                site.agent.reconciler.facts = {}
            case _:
                script.weather.cut(SITE)
                site.agent.note_link("up", "")
                await script.world.apply("shop", AppWords(services={"web": "other"}))
                await script.weather.advance(0.2)
                site.agent.note_link("up", "")
        assert script.weather.find_late()[:3] == late

    look()
