"""How long nothing has happened to a simulated site: what has to follow from that is true some time later, not at once.

Only what others do to a site counts, never what its agent makes of it: one that changes its mind for ever is not still.
"""

from skerry.clock import SECOND_US
from skerry.model.ids import SiteName
from skerry.sim.machines import MachineFaults
from skerry.sim.parts import SimSite
from skerry.sim.world import World

#: Three health checks half a minute apart, what a firewall or a name server takes after them, and some looks.
STILL_S = 150


class Stillness:
    """Looks at a world, and knows since when each site is as it is."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._since_us: dict[SiteName, int] = {}
        self._before: dict[SiteName, tuple[object, ...]] = {}

    def look(self) -> None:
        """Take note of how all sites are now."""
        parted = frozenset(self._world.sea.parted)
        for name, site in self._world.sites.items():
            now = (parted, self._world.losses[name], *_describe(site))
            if self._before.get(name) != now:
                self._before[name] = now
                self._since_us[name] = self._world.loop.now_us

    def is_still(self, name: SiteName) -> bool:
        """Say whether a site's agent runs without trouble, and nothing has happened there for ``STILL_S``."""
        site = self._world.sites[name]
        lasts_us = self._world.loop.now_us - self._since_us.get(name, self._world.loop.now_us)
        is_well = site.running and site.machine.faults == MachineFaults()
        return is_well and lasts_us >= STILL_S * SECOND_US

    def since_us(self, name: SiteName) -> int:
        """Return when something happened to a site last: the same number is the same stillness."""
        return self._since_us.get(name, 0)


def _describe(site: SimSite) -> tuple[object, ...]:
    machine = site.machine
    stored = None if not site.starts or site.agent.holdings is None else site.agent.holdings.stored
    return (
        site.running,
        site.starts,
        machine.boots,
        site.tunnels.address,
        None if stored is None else (stored.epoch, stored.generation),
        site.running and site.agent.link.is_up,
        repr(machine.faults),
        frozenset((name, seen.state) for name, seen in machine.containers.items()),
        frozenset(machine.unhealthy),
        frozenset(machine.poison),
    )
