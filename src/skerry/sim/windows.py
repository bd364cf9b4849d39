"""Apps of simulated sites that may still be what they were, because their newest revision has windows.

Whether a window is open is not judged here: a site that does not know the time takes every window for closed, so that
an app waits rightly whenever nothing has been begun.
"""

from collections.abc import Collection

from skerry.model.app import AppRevision
from skerry.model.document import Assignment
from skerry.plan.gates import follow_instead
from skerry.plan.history import AppId, app_id
from skerry.plan.instances import Wanted
from skerry.plan.site import derive_wanted
from skerry.plan.site_plan import HeldSite
from skerry.sim.parts import SimSite
from skerry.sim.world import World


def list_waiting(site: SimSite, held: HeldSite | None) -> set[AppId]:
    """Name the apps at a site that may wait for a window; ``held`` is what it follows."""
    found: set[AppId] = set()
    if held is None:
        return found
    made = {seen.spec for seen in site.machine.containers.values()}
    for item in derive_wanted(held)[0].values():
        app, digest = app_id(item.assignment), item.assignment.revision
        if app in held.returned or not has_windows(held.revisions[digest]):
            continue
        judged = site.agent.reconciler.history.kept.judged.get(app)
        is_begun = (judged is not None and judged.verdict != "watching") or item.derived.digest in made
        if judged is None or judged.revision != digest or not is_begun:
            found.add(app)
    return found


def list_shut_out(world: World, site: SimSite, held: HeldSite) -> set[AppId]:
    """Name those whose windows nobody opens any more: their owners go on with a revision that has not come here yet."""
    waiting = list_waiting(site, held)
    units = [unit for unit in held.units.values() if isinstance(unit, Assignment) and app_id(unit) in waiting]
    newest = {app_id(unit) for unit in units if world.app_row((unit.tenant, unit.app)).revision_digest == unit.revision}
    return waiting - newest


def list_former(held: HeldSite, apps: Collection[AppId]) -> list[Wanted]:
    """Return what a site may make of apps that wait: all that its tenants signed and that was well here."""
    found: list[Wanted] = []
    for digest, former in held.fallbacks.items():
        app = AppId(f"{former.tenant}/{former.app}")
        if app in apps:
            wanted = derive_wanted(follow_instead(held, app, digest))[0].values()
            found += [item for item in wanted if app_id(item.assignment) == app]
    return found


def list_meanings(world: World, site: SimSite, item: Wanted) -> list[Wanted]:
    """Return what an instance may rightly be made from now: the newest words, and those of before while they wait."""
    unit, held = item.assignment, site.followed()
    revision = world.revisions.get(unit.revision)
    if held is None or revision is None or not has_windows(revision):
        return [item]
    former = list_former(held, list_waiting(site, held) & {app_id(unit)})
    return [item, *(each for each in former if each.derived.spec.id == item.derived.spec.id)]


def has_windows(revision: AppRevision) -> bool:
    """Say whether a revision is begun in windows only."""
    return bool(revision.rollout and revision.rollout.windows)
