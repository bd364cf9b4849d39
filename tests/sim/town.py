"""A simulated town of two sites whose apps have networks, names, an entrance and a chain: for tests of their checks."""

from collections.abc import Awaitable, Callable

from skerry.clock import SeededMint
from skerry.model.chain import Chain, ChainEnd
from skerry.model.entrance import Entrance
from skerry.model.ids import ServiceName, SiteName
from skerry.sim.apps import AppWords
from skerry.sim.loop import run_virtual
from skerry.sim.script import Script

ONE, TWO = SiteName("site-1"), SiteName("site-2")
_CHAIN = Chain(
    name="out",
    start=ChainEnd(kind="network", name="default"),
    through=(ServiceName("wall"), ServiceName("look")),
    end=ChainEnd(kind="uplink"),
)
SHOP = AppWords(
    services={"web": "nginx", "wall": "pf", "look": "dpi"},
    health=True,
    stretched=("mesh",),
    entrances={"web": (Entrance(port=80, host="shop.example"), Entrance(port=53, udp=3000))},
    chain=_CHAIN,
)


def in_town(test: Callable[[Script], Awaitable[None]]) -> Callable[[], None]:
    """Give a test a town in which all is as wished, and has been for a while.

    A town takes a second or two to build, so a test breaks one thing after the other in it.
    """

    def run() -> None:
        async def main() -> None:
            script = Script()
            script.world.with_names = True
            try:
                await script.world.begin(2, 2)
                await script.world.apply("shop", SHOP)
                await script.world.apply("till", AppWords(services={"desk": "apache"}, stretched=("mesh",)), "tenant-1")
                assert await script.weather.converge() == ""
                await pass_time(script, 200)
                assert script.checker.breaks == []
                await test(script)
            finally:
                await script.world.end()

        run_virtual(SeededMint("town"), main())

    run.__name__ = test.__name__
    return run


async def pass_time(script: Script, seconds: int) -> None:
    """Let time pass with looks in between."""
    for _ in range(seconds // 20):
        await script.weather.advance(20)
        script.checker.check_step()


async def freeze(script: Script, site: SiteName) -> None:
    """Let an agent run on that does nothing more: what is wrong from now on stays wrong."""
    agent = script.world.sites[site].agent

    async def stand_still() -> None:
        await script.world.core.clock.sleep_until(1 << 60)

    agent.reconciler.nudge = lambda: None
    await script.world.sites[site].tasks.stop()
    script.world.sites[site].tasks.start("nothing", stand_still())


def broken(script: Script) -> set[str]:
    """Look, name what is broken, and forget it."""
    script.checker.check_step()
    found = {each.invariant for each in script.checker.breaks}
    script.checker.breaks.clear()
    return found
