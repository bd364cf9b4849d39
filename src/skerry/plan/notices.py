"""Which signed words of a tenant a site is shown although it runs nothing of them: tombstones, and newest revisions.

A site deletes volumes only by a tombstone, and lets go of what only its tenant may end only by a word of the tenant.
Both are shown where they may be about something, and no longer than that. Neighbour: ``fleet.py`` puts them into maps.
"""

from collections.abc import Iterable

from skerry.model.document import Assignment, RevisionNotice, TombstoneNotice, Unit
from skerry.model.site_match import site_unmet
from skerry.model.withdrawal import is_kept_from_core
from skerry.plan.snapshot import AppWish, FleetSnapshot, SiteView


def notify_tombstones(view: SiteView, snapshot: FleetSnapshot) -> Iterable[Unit]:
    """Show a tombstone to every admitted site that may still hold something it is about, and to no other."""
    for wish in sorted(snapshot.apps, key=lambda item: (item.tenant, item.app)):
        stone, digest = wish.tombstone, wish.tombstone_digest
        if stone is None or digest is None or wish.tenant not in view.record.tenants:
            continue
        if stone.number < wish.revision_number:
            continue  # a site refuses it: the app has spoken again since
        if not site_unmet(stone.sites, view.record) and _concerns(view, wish):
            yield TombstoneNotice(wish.tenant, wish.app, digest)


def notify_revisions(view: SiteView, seated: Iterable[Assignment], snapshot: FleetSnapshot) -> Iterable[Unit]:
    """Show the newest revision of an app to every site that may still have what only its tenant may end.

    ``seated`` is what the site is to have from now on; where that names the newest revision, nothing more is needed.
    """
    there = tuple(seated)
    named = {(each.tenant, each.app, each.revision) for each in there}
    kept: set[tuple[str, str, str, int]] = {(each.tenant, each.app, each.service, each.ordinal) for each in there}
    dropped: dict[tuple[str, str], bool] = {}
    told: set[tuple[str, str]] = set()
    for unit in view.units.values():
        if isinstance(unit, Assignment) and (unit.tenant, unit.app, unit.service, unit.ordinal) not in kept:
            revision = snapshot.revisions.get(unit.revision)
            is_kept = revision is None or is_kept_from_core(revision)
            dropped[unit.tenant, unit.app] = dropped.get((unit.tenant, unit.app), False) or is_kept
        elif isinstance(unit, RevisionNotice | TombstoneNotice):
            told.add((unit.tenant, unit.app))
    left = _list_left(view, kept)
    for app in sorted(dropped.keys() | told | left.keys()):
        wish = next((each for each in snapshot.apps if (each.tenant, each.app) == app), None)
        revision = None if wish is None or wish.revision is None else snapshot.revisions.get(wish.revision)
        if wish is None or wish.revision is None or revision is None or app[0] not in view.record.tenants:
            continue
        is_old = left.get(app, wish.number) < wish.revision_number
        is_ours = is_kept_from_core(revision) or dropped.get(app, False) or app in told
        is_due = app in dropped or is_old or (app in told and not view.acknowledged)
        if is_ours and is_due and (*app, wish.revision) not in named:
            yield RevisionNotice(wish.tenant, wish.app, wish.revision)


def _list_left(view: SiteView, kept: set[tuple[str, str, str, int]]) -> dict[tuple[str, str], int]:
    """Return the lowest number by which the site runs something of an app that it is not to have."""
    found: dict[tuple[str, str], int] = {}
    for fact in view.instances:
        tenant, app, service, ordinal = fact.instance.split("/")
        if (tenant, app, service, int(ordinal)) not in kept:
            found[tenant, app] = min(fact.number, found.get((tenant, app), fact.number))
    return found


def _concerns(view: SiteView, wish: AppWish) -> bool:
    stone = wish.tombstone
    assert stone is not None
    prefix = f"{wish.tenant}/{wish.app}/"
    volumes = {prefix + name for name in stone.volumes}
    if any(fact.volume in volumes and fact.born < stone.number for fact in view.volumes):
        return True
    if stone.ends_app and any(
        fact.instance.startswith(prefix) and fact.number < stone.number for fact in view.instances
    ):
        return True
    for unit in view.units.values():
        if isinstance(unit, TombstoneNotice) and unit.digest == wish.tombstone_digest and not view.acknowledged:
            return True
        if isinstance(unit, Assignment) and (unit.tenant, unit.app) == (wish.tenant, wish.app) and stone.ends_app:
            return wish.revision is None
    return False
