"""What an owner's verified call says of a volume: keep what it holds, set it back, let a snapshot go.

A snapshot is taken while who asked waits; a restore is written down and the planner sees to it, for what uses the
volume has to stop first. Neighbours: ``plan/snapshots.py`` plans, ``agent/loop.py`` performs and remembers.
"""

from collections.abc import Callable

from skerry.agent import journal
from skerry.agent.desk import Refusal
from skerry.agent.loop import Reconciler
from skerry.clock import Clock
from skerry.model.ids import volume_id
from skerry.model.observed import VolumeSeen
from skerry.model.signed import Call
from skerry.model.volume import BEFORE_UPDATE, BY_TIME, SET_ASIDE, SNAPSHOTS_MAX, SnapshotName
from skerry.plan.actions import Action
from skerry.plan.history import Restoring
from skerry.plan.snapshots import aside_name, can_snapshot, drop, take

#: A snapshot that is under way is over within seconds; one who asks waits so long for their own to begin.
WAIT_S = 10.0
#: Names that the site gives itself.
_OWN = (BY_TIME, BEFORE_UPDATE, SET_ASIDE)


class VolumeDesk:
    """Answers calls about volumes for one node."""

    def __init__(self, reconciler: Reconciler, clock: Clock, read_trust_us: Callable[[], int]) -> None:
        self._reconciler = reconciler
        self._clock = clock
        self._read_trust_us = read_trust_us

    async def obey(self, call: Call) -> Refusal | None:
        """Do what the call says; return why not, None when it is done, or written down to be done."""
        name = volume_id(call.tenant, call.app, call.volume)
        seen = next((each for each in self._reconciler.observed.volumes if each.volume == name), None)
        if seen is None or seen.strange:
            return Refusal("E-NOT-FOUND", f"there is no sound volume {name} here")
        if not can_snapshot(seen):
            return Refusal("E-STORAGE", f"{name} is a plain folder here, which has no snapshots")
        match call.verb:
            case "snapshot":
                return await self._take(call, seen)
            case "drop-snapshot":
                return await self._drop(call, seen)
            case _:
                return await self._restore(call, seen)

    async def _take(self, call: Call, seen: VolumeSeen) -> Refusal | None:
        if call.snapshot.startswith(_OWN):
            return Refusal("E-CALL", f"names that begin with {', '.join(_OWN)} are the site's own")
        if _find(call, seen):
            return Refusal("E-CONFLICT", f"{seen.volume} has a snapshot {call.snapshot}")
        if len(seen.snapshots) >= SNAPSHOTS_MAX:
            return Refusal("E-LIMIT", f"{seen.volume} has {SNAPSHOTS_MAX} snapshots: let one go first")
        action = take(seen, SnapshotName(call.snapshot), self._read_trust_us())
        told = self._say(call, "volume.snapshot", f"was kept as snapshot {call.snapshot}")
        return await self._do(action, told)

    async def _drop(self, call: Call, seen: VolumeSeen) -> Refusal | None:
        if not _find(call, seen):
            return _missing(call, seen)
        restoring = self._reconciler.history.kept.restoring.get(seen.volume)
        if restoring is not None and restoring.snapshot == call.snapshot:
            return Refusal("E-BUSY", f"{seen.volume} is being set back to {call.snapshot}")
        told = self._say(call, "volume.snapshot-dropped", f"gave up snapshot {call.snapshot}")
        return await self._do(drop(seen, SnapshotName(call.snapshot)), told)

    async def _do(self, action: Action, told: journal.Draft) -> Refusal | None:
        outcome = await self._reconciler.do_asked(action, WAIT_S)
        if not outcome.ok:
            return Refusal(outcome.code, outcome.reason)
        await self._reconciler.tell(told)
        return None

    async def _restore(self, call: Call, seen: VolumeSeen) -> Refusal | None:
        if not _find(call, seen):
            return _missing(call, seen)
        if seen.volume in self._reconciler.history.kept.restoring:
            return Refusal("E-BUSY", f"{seen.volume} is being set back already")
        restoring = Restoring(
            snapshot=SnapshotName(call.snapshot), aside=aside_name(seen), by=call.by, reason=call.reason
        )
        why = f": {call.reason}" if call.reason else ""
        said = f"goes back to snapshot {call.snapshot}; what it held is kept as {restoring.aside}{why}"
        await self._reconciler.remember(
            journal.Changes(restoring={seen.volume: restoring}), self._say(call, "volume.restore", said)
        )
        return None

    def _say(self, call: Call, kind: str, what: str) -> journal.Draft:
        who = f"its owner ({call.by})" if call.by else "its owner"
        return journal.Draft(
            time_us=self._clock.wall_us(),
            type=kind,
            klass="security",
            subject=f"volume/{volume_id(call.tenant, call.app, call.volume)}",
            tenant=call.tenant,
            message=f"{who} had it so: volume {call.volume} of {call.app} {what}",
        )


def _find(call: Call, seen: VolumeSeen) -> bool:
    return any(each.name == call.snapshot for each in seen.snapshots)


def _missing(call: Call, seen: VolumeSeen) -> Refusal:
    return Refusal("E-NOT-FOUND", f"{seen.volume} has no snapshot {call.snapshot}")
