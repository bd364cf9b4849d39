"""Queues of a simulated node: what was applied is kept until the power goes, and says how fast each way is."""

from collections.abc import Callable

from skerry.model.ids import Digest
from skerry.model.observed import Observation, QueuesSeen
from skerry.plan.actions import DONE, Action, ApplyQueues, Outcome, failed
from skerry.plan.queues import list_devices
from skerry.sim.network import DEVICES

_NONE = ApplyQueues(uplinks=(), caps=(), digest=Digest(""))


class FakeQueues:
    """What survives the agent."""

    def __init__(self, links: frozenset[str] = frozenset(DEVICES)) -> None:
        self.links = links
        #: Bytes over each link since the boot.
        self.moved: dict[str, int] = dict.fromkeys(links, 0)
        self.foreign: set[str] = set()
        self.applied = _NONE
        #: Why there can be no queues, as on a kernel without them.
        self.reason = ""

    def lose_power(self) -> None:
        """Forget all; nobody else's queues come back either."""
        self.applied = _NONE
        self.foreign.clear()
        self.moved = dict.fromkeys(self.links, 0)

    def find_rate(self, address: str, device: str, *, up: bool, line_bps: int) -> int:
        """Return how much an instance is sent, or sends by ``device``, where the line carries ``line_bps``."""
        found = line_bps
        for cap in self.applied.caps:
            if address in cap.addresses:
                found = min(found, (cap.up_bps if up else cap.down_bps) or found)
        for uplink in self.applied.uplinks if up else ():
            if uplink.device == device:
                found = min(found, max(each.ceil_bps for each in uplink.classes))
        return found


class FakeQueuesDriver:
    """The agent's hand on them."""

    name = "queues"
    performs = (ApplyQueues,)

    def __init__(self, queues: FakeQueues, fault: Callable[[], Outcome | None] = lambda: None) -> None:
        """``fault`` gives the outcome of an action that fails, None for one that does not."""
        self._queues = queues
        self._fault = fault

    async def observe(self) -> Observation:
        """Look at the queues."""
        queues = self._queues
        seen = QueuesSeen(
            digest=queues.applied.digest,
            devices=list_devices(queues.applied),
            foreign=frozenset(queues.foreign),
            links=queues.links,
            moved=dict(queues.moved),
            reason=queues.reason,
        )
        return Observation(driver=self.name, queues=seen)

    async def perform(self, action: Action) -> Outcome:
        """Apply."""
        if not isinstance(action, ApplyQueues):
            return failed("E-DRIVER", f"the queues driver does not do {type(action).__name__}")
        if (fault := self._fault()) is not None:
            return fault
        if self._queues.reason:
            return failed("E-QUEUES", self._queues.reason)
        foreign = self._queues.foreign & list_devices(action)
        if foreign:
            return failed("E-QUEUES", f"{min(foreign)} has queues that somebody else has made")
        self._queues.applied = action
        return DONE
