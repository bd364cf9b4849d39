"""What a node looks up when the core traces a way: one look of its drivers, and what it makes of them (``plan/trace``).

The look is made when it is asked for, so its answer is of this moment. One at a time: a caller who asks again and again
costs the node no more than one look after the other.
"""

import asyncio
from collections.abc import Callable

from skerry.agent.loop import Reconciler
from skerry.agent.perform import Performer
from skerry.clock import Clock
from skerry.model.errors import Unavailable
from skerry.model.trace import NodeView, TraceAsk
from skerry.plan.site_plan import HeldSite, Now
from skerry.plan.trace.node import view_node


class Looker:
    """Answers the core's ``trace``."""

    def __init__(
        self,
        clock: Clock,
        performer: Performer,
        reconciler: Reconciler,
        read_held: Callable[[], HeldSite | None],
        read_trust_us: Callable[[], int],
    ) -> None:
        self._clock = clock
        self._performer = performer
        self._reconciler = reconciler
        self._read_held = read_held
        self._read_trust_us = read_trust_us
        self._gate = asyncio.Lock()

    async def look(self, ask: TraceAsk) -> NodeView:
        """Look, and say what is there; raises ``Unavailable`` where nothing is held or nothing can be seen."""
        async with self._gate:
            observed = await self._performer.observe()
        held = self._read_held()
        if held is None:
            raise Unavailable("E-JOIN", "This node holds no document yet.")
        if observed.unavailable:
            raise Unavailable("E-DRIVER", f"The node cannot be looked at: {observed.unavailable}")
        reconciler = self._reconciler
        now = Now(self._clock.boot_us(), self._read_trust_us())
        return view_node(ask, held, observed, reconciler.history, now, reconciler.plan)
