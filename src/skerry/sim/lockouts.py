"""The invariant of uplinks: no wish of an operator about a node's own network cuts its site off for good."""

from collections.abc import Iterator

from skerry.clock import SECOND_US
from skerry.model.ids import SiteName
from skerry.plan.confirm import PATIENCE_US
from skerry.plan.uplinks import RETRY_US
from skerry.sim.network import DEVICES
from skerry.sim.parts import SimSite
from skerry.sim.world import World
from skerry.sync.classes import LINK_PLANS

#: After the time that a wish is tried: a way that failed comes last for so long, then a wait between two dials, and as
#: much again for dials into silence and a look.
_DEADLINE_US = PATIENCE_US + RETRY_US + 2 * LINK_PLANS["wired"].backoff_us_max + 60 * SECOND_US
#: A line that is slower than this makes dials long; of those nothing is asked.
_DELAY_US_MAX = 300_000


class Lockouts:
    """Since when each site of one world has been able to reach its core by what was wished before, and has not."""

    def __init__(self, world: World) -> None:
        self.world = world
        #: How each site was, and since when.
        self.since: dict[SiteName, tuple[tuple[object, ...], int]] = {}
        #: How often there was something to judge.
        self.judged = 0

    def judge(self) -> Iterator[tuple[str, str]]:
        """Judge what is true now: pairs of invariant and complaint."""
        for name, site in sorted(self.world.sites.items()):
            complaint = check_i49_no_wish_cuts_a_site_off(self, name, site)
            if complaint:
                yield "I49", complaint

    def has_a_way(self, site: SimSite) -> bool:
        """Say whether the core can be reached by a device of every wish but the newest, each of which may hold."""
        alive = set(DEVICES) - site.link.dead
        wishes = [dict(record.uplinks or {}) for record, _ in self.world.registered.get(site.name, ())]
        ways = [{each.device for each in wish.values()} or {DEVICES[0]} for wish in [{}, *wishes]]
        faults = site.link.faults
        is_fair = (
            faults.up and faults.down and not faults.rate_bit_s and faults.delay_us + faults.jitter_us < _DELAY_US_MAX
        )
        running = site.running and self.world.core.running
        return running and is_fair and all(way & alive for way in (ways[:-1] if len(ways) > 1 else ways))


def check_i49_no_wish_cuts_a_site_off(lockouts: Lockouts, name: SiteName, site: SimSite) -> str:
    """A site whose newest uplinks do not reach its core takes them back by itself, within their time."""
    now_us = lockouts.world.loop.now_us
    if not lockouts.has_a_way(site) or site.agent.link.is_up:
        lockouts.since.pop(name, None)
        return ""
    state = (
        site.starts,
        lockouts.world.core.starts,
        frozenset(site.link.dead),
        len(lockouts.world.registered.get(name, ())),
    )
    before, since_us = lockouts.since.setdefault(name, (state, now_us))
    if before != state:
        lockouts.since[name] = (state, now_us)
        return ""
    lockouts.judged += 1
    if now_us - since_us > _DEADLINE_US:
        return (
            f"{name} has not reached its core for {(now_us - since_us) // SECOND_US} s, and could by its former uplinks"
        )
    return ""
