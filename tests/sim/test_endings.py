"""Checks of how instances end, each shown a world in which its promise is broken, and one in which it holds."""

import msgspec

from skerry.clock import SeededMint
from skerry.model.ids import SiteName
from skerry.plan.actions import StartContainer, StopContainer
from skerry.sim.apps import AppWords
from skerry.sim.endings import check_i41_only_its_tenant_ends_it, check_i42_no_more_are_down_by_choice
from skerry.sim.loop import run_virtual
from skerry.sim.script import Script

SITE = SiteName("site-1")


def virtually(test):
    def run() -> None:
        async def main() -> None:
            script = Script()
            try:
                await script.world.begin(1, 1)
                await test(script)
            finally:
                await script.world.end()

        run_virtual(SeededMint("endings"), main())

    run.__name__ = test.__name__
    return run


async def settle(script: Script, **words: object) -> None:
    await script.world.apply("shop", AppWords(services={"web": "nginx"}, volume=False, **words))  # type: ignore[arg-type]
    assert await script.weather.converge() == ""


def stops(script: Script) -> list[StopContainer]:
    seen = sorted(script.world.sites[SITE].machine.containers.values(), key=lambda each: each.instance)
    return [StopContainer(container=each.container, instance=each.instance, grace_us=0) for each in seen]


@virtually
async def test_i41_what_only_its_tenant_ends(script: Script):
    await settle(script, withdraw="tenant", per_site=2)
    run, site = script.checker.run, script.world.sites[SITE]
    first, second = stops(script)
    assert "without a word of its tenant" in check_i41_only_its_tenant_ends_it(run, site, first)
    # Fewer copies, a tombstone, or the tenant's leave: then it may.
    script.weather.cut(SITE)
    await script.world.apply("shop", AppWords(services={"web": "nginx"}, volume=False, withdraw="tenant"))
    assert check_i41_only_its_tenant_ends_it(run, site, first) != ""
    assert check_i41_only_its_tenant_ends_it(run, site, second) == ""
    await script.world.delete("shop")
    assert check_i41_only_its_tenant_ends_it(run, site, first) == ""


@virtually
async def test_i41_what_the_core_may_end(script: Script):
    await settle(script)
    run, site = script.checker.run, script.world.sites[SITE]
    assert check_i41_only_its_tenant_ends_it(run, site, stops(script)[0]) == ""


@virtually
async def test_i42_more_copies_than_may_be_down(script: Script):
    await settle(script, per_site=3, max_down=2)
    run, site = script.checker.run, script.world.sites[SITE]
    first, second, third = stops(script)
    machine = site.machine
    start = StartContainer(
        container=first.container,
        spec=machine.specs[first.container],
        spec_digest="",
        uid_start=1,  # type: ignore[arg-type]
    )
    # As long as each runs what is wished, a stop is no change.
    assert check_i42_no_more_are_down_by_choice(run, site, first) == ""
    assert run.stopped == set()
    for name, seen in machine.containers.items():
        machine.containers[name] = msgspec.structs.replace(seen, spec="sha256:other")  # type: ignore[arg-type]
    assert check_i42_no_more_are_down_by_choice(run, site, first) == ""
    assert check_i42_no_more_are_down_by_choice(run, site, second) == ""
    assert "and 2 may be" in check_i42_no_more_are_down_by_choice(run, site, third)
    run.stopped.discard((SITE, third.instance))
    assert check_i42_no_more_are_down_by_choice(run, site, start) == ""
    assert check_i42_no_more_are_down_by_choice(run, site, third) == ""
