"""Fake relays: what one passes on, without a datagram. ``FakeRelay`` is the program, its driver the agent's hand.

It keeps what the real one does of who may speak and where an answer goes (``link/relay.py``): a side is known for three
minutes after it was last heard, and what comes for a side that is not known goes nowhere. Keys are not modelled.
"""

from collections.abc import Iterator

from skerry.link.relay import SENDER_US
from skerry.model.ids import Digest, SiteName
from skerry.model.observed import Observation, RelayHere
from skerry.model.relay import RelayOffer, RelayPairSeen, RelayTable
from skerry.plan.actions import DONE, Action, ApplyRelay, Outcome, failed

#: The relay of the simulated core.
CORE_RELAY = RelayOffer("203.0.113.1", 52_000, 52_199)

#: What the core's is told has no name.
_NAMELESS = Digest("")


class FakeRelay:
    """A running relay, or none: it outlives the agent and ends with the power."""

    def __init__(self) -> None:
        self.table = RelayTable()
        self.digest = Digest("")
        #: Port to when its side was last heard, in the relay's own time.
        self.heard: dict[int, int] = {}
        self.passed: dict[tuple[SiteName, SiteName], int] = {}
        #: Nobody can begin anything towards it, or it was killed and nobody has made it again.
        self.dead = False

    def stop(self) -> None:
        """Nothing of it is left."""
        self.table, self.digest, self.heard, self.passed = RelayTable(), Digest(""), {}, {}

    def apply(self, table: RelayTable, digest: Digest = _NAMELESS) -> None:
        """Follow another table; what it knows of sides that stay is kept."""
        ports = {side.port for pair in table.pairs for side in pair.sides}
        self.table, self.digest = table, digest
        self.heard = {port: at_us for port, at_us in self.heard.items() if port in ports}

    def find_other(self, port: int) -> int:
        """Return the port of the other side of a pair; 0 for a port that is nobody's."""
        return next((there for here, there in self._list_ports() if here == port), 0)

    def hear(self, port: int, now_us: int) -> None:
        """Note that a side has spoken."""
        if self.find_other(port):
            self.heard[port] = now_us

    def knows(self, port: int, now_us: int) -> bool:
        """Say whether a side has spoken lately, so that what comes for it goes somewhere."""
        return not self.dead and now_us - self.heard.get(port, -SENDER_US) < SENDER_US

    def count(self, port: int) -> None:
        """Note that something of a side went on."""
        for pair in self.table.pairs:
            if port in (pair.sides[0].port, pair.sides[1].port):
                sites = pair.sides[0].site, pair.sides[1].site
                self.passed[sites] = self.passed.get(sites, 0) + 1

    def _list_ports(self) -> Iterator[tuple[int, int]]:
        for pair in self.table.pairs:
            low, high = (side.port for side in pair.sides)
            yield low, high
            yield high, low


class FakeRelayDriver:
    """The agent's hand on the machine's relay."""

    name = "relay"
    performs = (ApplyRelay,)

    def __init__(self, relay: FakeRelay) -> None:
        self._relay = relay

    async def observe(self) -> Observation:
        """See what it does."""
        pairs = (RelayPairSeen(sites, count, 0, 0) for sites, count in sorted(self._relay.passed.items()))
        return Observation(driver=self.name, relay=RelayHere(digest=self._relay.digest, pairs=tuple(pairs)))

    async def perform(self, action: Action) -> Outcome:
        """Make it what is wished."""
        if not isinstance(action, ApplyRelay):
            return failed("E-DRIVER", f"the relay driver does not do {type(action).__name__}")
        if action.digest:
            self._relay.apply(action.table, action.digest)
        else:
            self._relay.stop()
        return DONE
