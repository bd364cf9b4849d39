"""What the owners of a world like to say of networks: parts at all sites, ways in from outside, and chains of services.

As ``tastes.py``, but of a stream of its own: half of the worlds have none of it and are stormed on as if it were not.
"""

from collections.abc import Callable, Mapping

import msgspec

from skerry.model.app import Probe
from skerry.model.chain import Chain, ChainEnd, ChainMatch
from skerry.model.entrance import Entrance
from skerry.model.ids import ServiceName
from skerry.sim.apps import AppWords
from skerry.sim.dice import Dice

#: The share of worlds whose owners speak of networks.
TIED_SHARE = 0.4
#: Of those, the share in which sites have name servers: their questions are what costs most.
NAMED_SHARE = 0.35
#: And in which instances keep silent, so that tunnels grow old.
QUIET_SHARE = 0.3
_SAY_SHARE = 0.75
#: Services of a chain, in the order of its way out.
STEPS = (ServiceName("wall"), ServiceName("look"))
#: Names that owners like, of several tenants the same: the site gives each to one.
_HOSTS = ("shop.example", "shop.example", "till.example")


class Ties:
    """Draws what owners say of networks; ``sorts`` is what they speak of in this world."""

    def __init__(self, dice: Dice) -> None:
        self.dice = dice
        names = sorted(SORTS)
        is_tied = dice.chance(TIED_SHARE)
        self.sorts = tuple(sorted({dice.pick(names) for _ in range(1 + dice.below(3))})) if is_tied else ()
        self.with_names = bool(self.sorts) and dice.chance(NAMED_SHARE)
        self.is_quiet = bool(self.sorts) and dice.chance(QUIET_SHARE)

    def add(self, words: AppWords) -> AppWords:
        """Add to what an owner says of an app."""
        for sort in self.sorts:
            if self.dice.chance(_SAY_SHARE):
                words = SORTS[sort](self, words)
        return words

    def say_mesh(self, words: AppWords) -> AppWords:
        """Have one network over all sites, or two."""
        names = self.dice.pick((("mesh",), ("mesh",), ("mesh", "other")))
        return msgspec.structs.replace(words, stretched=names, **self._check(words))

    def say_doors(self, words: AppWords) -> AppWords:
        """Let people in by host name and path, by a TCP port, by a UDP port."""
        dice = self.dice
        ways = (
            Entrance(port=8080, host=dice.pick(_HOSTS), path=dice.pick(("/", "/", "/basket"))),
            Entrance(port=8080, tcp=2000 + dice.below(3)),
            Entrance(port=53, udp=3000 + dice.below(2)),
        )
        chosen = tuple(each for each in ways if dice.chance(0.6)) or ways[:1]
        name = dice.pick(sorted(words.services))
        return msgspec.structs.replace(words, entrances={name: chosen}, **self._check(words))

    def say_chain(self, words: AppWords) -> AppWords:
        """Let what leaves pass two services, of which each site with the app has its own."""
        dice = self.dice
        if words.total or words.placements:
            return words  # the steps would be at other sites
        chain = Chain(
            name="out",
            start=ChainEnd(kind="network", name="default"),
            through=STEPS[: 1 + dice.below(2)],
            end=ChainEnd(kind="uplink"),
            match=dice.pick((ChainMatch(), ChainMatch(), ChainMatch(protocol="tcp", ports=((80, 80),)))),
            symmetric=dice.chance(0.7),
            fail=dice.pick(("closed", "closed", "open")),
        )
        steps = {str(name): f"image-{dice.below(6)}" for name in chain.through}
        return msgspec.structs.replace(words, chain=chain, services={**words.services, **steps}, **self._check(words))

    def say_uplinks(self, words: AppWords) -> AppWords:
        """Say nothing in the app: of uplinks its operator speaks (``rifts.py``)."""
        return words

    def _check(self, words: AppWords) -> dict[str, object]:
        """Mostly ask instances whether they are well: what leads to them goes by that."""
        if words.health or words.ill or words.probe or not self.dice.chance(0.7):
            return {}
        return {"probe": Probe(port=8080)} if self.dice.chance(0.5) else {"health": True}


SORTS: Mapping[str, Callable[[Ties, AppWords], AppWords]] = {
    "chain": Ties.say_chain,
    "doors": Ties.say_doors,
    "mesh": Ties.say_mesh,
    "uplinks": Ties.say_uplinks,
}
