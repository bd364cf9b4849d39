"""What goes wrong between sites, at their ways out, and with what leads to their instances; and what operators sign.

Drawn from a stream of its own, beside ``mischief.py``, in worlds whose owners speak of networks (``ties.py``).
"""

from collections.abc import Mapping, Sequence

from skerry.model.uplinks import Uplink
from skerry.sim.course import Course
from skerry.sim.dice import Dice
from skerry.sim.parts import SimSite
from skerry.sim.ties import Ties

#: By what a world speaks of; those of "" happen in each such world.
_KINDS: Mapping[str, Sequence[str]] = {
    "": ("sicken", "sicken", "sicken"),
    "mesh": ("part", "part", "move", "rekey", "tunnels-lost"),
    "doors": ("door-dead",),
    "chain": ("steers-lost",),
    "uplinks": ("uplinks", "uplinks", "device-dead", "lock-out"),
}
#: The devices of a node, and what an operator calls the uplinks there.
_WIRE, _MODEM = "eth0", "wwan0"
_UPLINKS: Sequence[Mapping[str, Uplink]] = (
    {},
    {"fibre": Uplink(device=_WIRE)},
    {"fibre": Uplink(device=_WIRE), "sky": Uplink(device=_MODEM, preference=200)},
    {"fibre": Uplink(device=_WIRE, up_bps=10_000_000), "sky": Uplink(device=_MODEM, preference=50)},
)
#: Addresses to which sites move: documentation's (RFC 5737), and one amid those of the parts of networks.
_PLACES = ("198.51.100.", "198.51.100.", "203.0.113.", "10.64.7.")


class Rifts:
    """The faults of one world's networks."""

    def __init__(self, course: Course, ties: Ties, dice: Dice) -> None:
        self.course = course
        self.world, self.weather = course.world, course.weather
        self.dice = dice
        sorts = ("", *ties.sorts) if ties.sorts else ()
        self.kinds = [kind for sort in sorts for kind in _KINDS[sort]]
        self.kinds += ["names-dead"] if ties.with_names else []
        #: At most once at a site: after it the modem stays dead until all is healed.
        self._locked_out: set[str] = set()
        self._moves = 0

    async def happen(self) -> None:
        """Let one of them happen somewhere."""
        names, dice = sorted(self.world.sites), self.dice
        site, kind = self.world.sites[dice.pick(names)], dice.pick(self.kinds)
        length = dice.pick((20, 120, 600)) * dice.unit() * (10 if self.course.is_long else 1)
        match kind:
            case "part":
                other = self.world.sites[dice.pick(names)]
                if other is not site:
                    self.weather.part(site.name, other.name)
                    self.course.later_now(length, lambda: self.weather.unite(site.name, other.name))
            case "move":
                self._moves += 1
                self.weather.move_site(site.name, dice.pick(_PLACES) + str(self._moves))
            case "rekey":
                if site.running:
                    await self.weather.change_key(site.name)
            case "sicken":
                self._sicken(site, length)
            case "lock-out" | "device-dead" | "uplinks":
                await self._change_uplinks(site, kind, length)
            case _:
                self.weather.lose(site.name, kind)

    def _sicken(self, site: SimSite, length: float) -> None:
        running = site.machine.running()
        if running:
            name = self.dice.pick(running)
            self.weather.sicken(site.name, name)
            self.course.later_now(length, lambda: site.machine.unhealthy.discard(name))

    async def _change_uplinks(self, site: SimSite, kind: str, length: float) -> None:
        if kind == "device-dead":
            self.weather.kill_device(site.name, _WIRE)
            self.course.later_now(length, lambda: self.weather.mend_device(site.name, _WIRE))
        elif kind == "uplinks":
            await self.world.sign_uplinks(site.name, self.dice.pick(_UPLINKS))
            self.world.tell(f"{site.name} is signed to have other uplinks")
        elif site.name not in self._locked_out:
            self._locked_out.add(site.name)
            self.weather.kill_device(site.name, _MODEM)
            await self.world.sign_uplinks(site.name, {"sky": Uplink(device=_MODEM)})
            self.world.tell(f"{site.name} is signed to have no uplink but a dead one")
