"""Packets between networks over sites: who may, does, and a wrong firewall or a wrong tunnel is found."""

import asyncio
from collections.abc import Callable

import msgspec

from skerry.clock import SeededMint
from skerry.model.ids import SiteName
from skerry.sim.apps import AppWords
from skerry.sim.crossing import check_i27_packets_stay_in_their_network, list_crossings, list_reach
from skerry.sim.loop import SimLoop, run_virtual
from skerry.sim.weather import Weather
from skerry.sim.world import World

ONE, TWO = SiteName("site-1"), SiteName("site-2")


def in_world(check: Callable[[World], None]) -> Callable[[], None]:
    """Let a check look at two sites with a network of each of two tenants."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        world = World(loop, SeededMint("crossing"))
        weather = Weather(world)
        await world.begin(sites=2, tenants=2)
        for tenant in ("default", "tenant-1"):
            assert await world.apply("shop", AppWords(services={"web": "nginx"}, stretched=("mesh",)), tenant=tenant)
        assert await weather.converge() == ""
        await weather.advance(120)
        check(world)
        for site in world.sites.values():
            await site.kill()
        await world.core.kill()

    def test() -> None:
        run_virtual(SeededMint("crossing"), main())

    return test


@in_world
def test_members_reach_each_other_and_nobody_else_does(world: World):
    ways = "site-1 to site-2, site-2 to site-1"
    assert list_reach(world) == [f"default/shop/mesh: {ways}", f"tenant-1/shop/mesh: {ways}"]
    assert check_i27_packets_stay_in_their_network(world) == ""


@in_world
def test_a_firewall_that_lets_another_network_in_is_found(world: World):
    machine = world.sites[TWO].machine
    ours, theirs = (each for each in machine.guard if each.near)
    machine.guard = (msgspec.structs.replace(ours, far=(*ours.far, *theirs.far)), theirs)
    assert "came into default/shop/mesh at site-2" in check_i27_packets_stay_in_their_network(world)


@in_world
def test_a_site_that_the_tenant_was_never_admitted_at_is_found(world: World):
    holdings = world.sites[ONE].agent.holdings
    assert holdings is not None
    assert holdings.record is not None
    holdings.record = msgspec.structs.replace(holdings.record, tenants={})
    assert "does not admit" in check_i27_packets_stay_in_their_network(world)


@in_world
def test_without_tunnels_nothing_arrives(world: World):
    world.sites[ONE].tunnels.lose_power()
    assert list(list_crossings(world, lawless=True)) == []
