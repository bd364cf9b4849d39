"""Invariants of what volumes hold over time: snapshots are there until somebody lets them go, restores are asked for.

Judged from what owners signed and said, and from what is on the machine, not by the planner that is being tested.
"""

from collections.abc import Callable, Iterable

from skerry.model.app import AppRevision
from skerry.model.volume import BEFORE_UPDATE, BY_TIME
from skerry.plan.actions import Action, DropSnapshot, RestoreVolume
from skerry.plan.snapshots import UPDATES_KEPT
from skerry.sim.effects import Run
from skerry.sim.parts import SimSite
from skerry.sim.world import World


def check_i50_snapshots_go_by_word_or_plan(run: Run, site: SimSite, action: Action) -> str:
    """A snapshot goes only when its owner said so, or as one of the site's own beyond those that the owner keeps."""
    if not isinstance(action, DropSnapshot):
        return ""
    if (site.name, action.volume, "drop-snapshot", action.snapshot) in run.world.keepsakes.said:
        return ""
    seen = site.machine.volumes.get(action.volume)
    names = [] if seen is None else [each.name for each in seen.snapshots]
    for prefix, most in (
        (BY_TIME, _find_least_kept(run.world.revisions.values(), action)),
        (BEFORE_UPDATE, UPDATES_KEPT),
    ):
        own = [name for name in names if name.startswith(prefix)]
        if most and action.snapshot in own[: max(len(own) - most, 0)]:
            return ""
    if action.snapshot not in names:
        return ""  # it went before, and the answer was lost
    return f"{site.name} lets {action.snapshot} of {action.volume} go, and nobody asked for that"


def check_i51_restores_are_asked_for(run: Run, site: SimSite, action: Action) -> str:
    """A volume goes back to a snapshot only by its owner's word, and under nothing that runs."""
    if not isinstance(action, RestoreVolume):
        return ""
    if (site.name, action.volume, "restore", action.snapshot) not in run.world.keepsakes.said:
        return f"{site.name} sets {action.volume} back, and nobody asked for that"
    users = [
        seen.instance
        for seen in site.machine.containers.values()
        if (seen.tenant, seen.app) == (action.tenant, action.app)
        and action.name in seen.volumes
        and seen.state == "running"
    ]
    return f"{site.name} sets {action.volume} back under {users[0]}, which runs" if users else ""


def find_lost_snapshot(world: World) -> str:
    """I52: a snapshot that a site said yes to is there until somebody lets it go. Return one that is not."""
    for (name, volume, snapshot), born in sorted(world.keepsakes.kept.items()):
        seen = world.sites[name].machine.volumes.get(volume)
        is_let_go = (name, volume, "drop-snapshot", snapshot) in world.keepsakes.said
        if seen is None or seen.born != born or is_let_go:
            continue
        if all(each.name != snapshot for each in seen.snapshots):
            return f"{name} said that {volume} is kept as {snapshot}, and it is not there"
    return ""


def _find_least_kept(signed: Iterable[AppRevision], action: DropSnapshot) -> int:
    """Return the fewest snapshots by time that any revision of the app wishes to keep; 0 where none wishes any."""
    keeps = [
        volume.snapshot.keep
        for revision in signed
        if (revision.tenant, revision.app) == (action.tenant, action.app)
        for name, volume in revision.volumes.items()
        if name == action.name and volume.snapshot and volume.snapshot.keep
    ]
    return min(keeps, default=0)


EFFECT_CHECKS: tuple[Callable[[Run, SimSite, Action], str], ...] = (
    check_i50_snapshots_go_by_word_or_plan,
    check_i51_restores_are_asked_for,
)
