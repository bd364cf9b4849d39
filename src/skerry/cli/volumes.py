"""``skerry volume``: durable storage, which nothing but a signed tombstone deletes, and snapshots of it."""

import click

from skerry.cli.asking import confirm
from skerry.cli.calls import check_reason, make_sign, name_caller
from skerry.cli.names import complete_apps, complete_sites, complete_volumes
from skerry.cli.options import DURATION, pass_session, split_owned, with_dry_run, with_wait, with_yes
from skerry.cli.output import Column, format_bytes, format_time, show_list, tell, with_output, write_section
from skerry.cli.session import Session
from skerry.cli.watching import tell_handed_in, wait_until
from skerry.clock import SystemClock
from skerry.model.answers import SnapshotView, VolumeView
from skerry.model.asks import VolumeControlQuery
from skerry.model.errors import NotFound
from skerry.model.ids import SiteName, is_name
from skerry.model.signed import VolumeVerb
from skerry.model.volume import SET_ASIDE, SnapshotName

COLUMNS: tuple[Column[VolumeView], ...] = (
    Column("volume", lambda volume: f"{volume.app}/{volume.volume}"),
    Column("site", lambda volume: volume.site),
    Column("state", lambda volume: volume.state),
    Column("size", lambda volume: format_bytes(volume.size_bytes) if volume.size_bytes else "< 64 KiB"),
    Column("limit", lambda volume: format_bytes(volume.limit_bytes) if volume.limit_bytes else "none"),
    Column("snapshots", lambda volume: volume.snapshots_count),
    Column("in use", lambda volume: volume.in_use),
    Column("storage", lambda volume: volume.driver, wide=True),
    Column("born", lambda volume: volume.born, wide=True),
)
_SNAPSHOTS: tuple[Column[tuple[SiteName, SnapshotView]], ...] = (
    Column("snapshot", lambda each: each[1].name),
    Column("site", lambda each: each[0]),
    Column("taken", lambda each: format_time(each[1].taken_us) or "time unknown"),
)


#: Sites named where one has to be chosen.
_SITES_NAMED = 3
_AT_SITE = click.option(
    "--site", help="At this site; needed where the volume is at several.", shell_complete=complete_sites
)


def _name(volume: VolumeView) -> str:
    return f"volume/{volume.app}/{volume.volume}@{volume.site}"


@click.command()
@click.option("--app", default="", help="Only volumes of this app.", shell_complete=complete_apps)
@click.option("--site", default="", help="Only volumes at this site.", shell_complete=complete_sites)
@with_output
@pass_session
def list_volumes(session: Session, app: str, site: str, output: str) -> None:
    """List volumes, as their sites report them."""
    show_list(session.client.volumes.list(page_size=1_000, app=app, site=site), COLUMNS, output, _name)


@click.command()
@click.argument("volume", metavar="APP/VOLUME", shell_complete=complete_volumes)
@with_output
@pass_session
def show(session: Session, volume: str, output: str) -> None:
    """Show a volume at each of its sites, and the snapshots there."""
    found = _find(session, volume)
    show_list(found, COLUMNS, output, _name)
    if output not in ("table", "wide"):
        return
    write_section("Snapshots", [(each.site, one) for each in found for one in each.snapshots], _SNAPSHOTS)
    for each in found:
        if each.snapshots_count > len(each.snapshots):
            tell(f"{each.site} has {each.snapshots_count - len(each.snapshots)} older ones")
        if each.reason:
            tell(f"{each.site}: {each.reason}")


@click.command()
@click.argument("volume", metavar="APP/VOLUME", shell_complete=complete_volumes)
@click.option(
    "--site", "sites", multiple=True, help="Only at this site; may be repeated.", shell_complete=complete_sites
)
@click.option("--grace", type=DURATION, default="0s", show_default=True, help="Time between a site's yes and the end.")
@with_yes
@with_dry_run
@pass_session
def remove(session: Session, volume: str, sites: tuple[str, ...], grace: int, yes: bool, dry_run: bool) -> None:
    """Delete a volume at its sites, by a tombstone that is signed now. There is no way back."""
    found = [each for each in _find(session, volume) if not sites or each.site in sites]
    if not found:
        raise NotFound("E-VOLUME", f"Volume {volume} is at none of these sites.", hint=f"skerry volume show {volume}")
    size = format_bytes(sum(each.size_bytes for each in found))
    used = sum(each.in_use for each in found)
    what = f"volume {volume} at {len(found)} sites ({size}, {used} in use)"
    if dry_run:
        tell(f"would delete {what}")
        return
    confirm(session, f"Delete {what} for good?", yes=yes)
    done = session.client.apps.delete_volumes(found[0].app, [found[0].volume], sites=sites, grace_s=grace)
    tell_handed_in(done)
    tell(f"the sites may delete {what}")


@click.command()
@click.argument("volume", metavar="APP/VOLUME", shell_complete=complete_volumes)
@click.argument("name", required=False, metavar="[SNAPSHOT]")
@_AT_SITE
@with_dry_run
@pass_session
def snapshot(session: Session, volume: str, name: str | None, site: str | None, dry_run: bool) -> None:
    """Keep what a volume holds now, on the same disk, under a name or under the time.

    It is what the disk would show after a power cut at this moment: what a database recovers from. It does not help
    when the disk is lost.
    """
    found = _choose(session, volume, site)
    chosen = name or f"at-{format_time(SystemClock().wall_us()).lower().replace(':', '-')}"
    where = f"{volume} at {found.site}"
    if dry_run:
        tell(f"would keep {where} as {chosen}")
        return
    _control(session, found, chosen, "snapshot")
    tell(f"{where} is kept as {chosen}")
    tell(f"Next: skerry volume restore {volume} {chosen} --site {found.site}")


@click.command()
@click.argument("volume", metavar="APP/VOLUME", shell_complete=complete_volumes)
@click.argument("name", metavar="SNAPSHOT")
@_AT_SITE
@click.option("--reason", default="", help="Why, in a line; it is shown wherever the volume is.")
@with_wait
@with_yes
@with_dry_run
@pass_session
def restore(
    session: Session,
    volume: str,
    name: str,
    site: str | None,
    reason: str,
    wait_s: int,
    yes: bool,
    dry_run: bool,
) -> None:
    """Set a volume back to a snapshot. What uses it stops meanwhile; what it held is kept as a snapshot too."""
    found = _choose(session, volume, site)
    where = f"{volume} at {found.site}"
    if dry_run:
        tell(f"would set {where} back to {name}")
        return
    stops = "; what uses it stops meanwhile" if found.in_use else ""
    confirm(session, f"Set {where} back to {name}{stops}?", yes=yes)
    before = {each.name for each in found.snapshots}
    _control(session, found, name, "restore", by=name_caller(session.client), reason=check_reason(reason))
    tell(f"{where} goes back to {name}; what it holds now becomes a snapshot whose name begins with {SET_ASIDE}")
    if wait_s:
        wait_until(lambda: _describe_restore(session, volume, found.site, before), wait_s, f"the restore of {where}")
    tell(f"Next: skerry volume show {volume}")


@click.command("drop-snapshot")
@click.argument("volume", metavar="APP/VOLUME", shell_complete=complete_volumes)
@click.argument("name", metavar="SNAPSHOT")
@_AT_SITE
@with_yes
@with_dry_run
@pass_session
def drop_snapshot(session: Session, volume: str, name: str, site: str | None, yes: bool, dry_run: bool) -> None:
    """Let a snapshot go. There is no way back to what it holds."""
    found = _choose(session, volume, site)
    what = f"snapshot {name} of {volume} at {found.site}"
    if dry_run:
        tell(f"would let {what} go")
        return
    confirm(session, f"Let {what} go for good?", yes=yes)
    _control(session, found, name, "drop-snapshot")
    tell(f"{what} is gone")


def _control(session: Session, found: VolumeView, name: str, verb: VolumeVerb, **words: str) -> None:
    if not is_name(name):
        raise click.BadParameter(f"{name[:80]!r} is no name of a snapshot: small letters, digits and -.")
    query = VolumeControlQuery(site=found.site, volume=found.volume, snapshot=name, verb=verb)
    session.client.control_volume(found.app, query, make_sign(session, found.app, query, verb=verb, **words))


def _describe_restore(session: Session, volume: str, site: str, before: set[SnapshotName]) -> str:
    """Say how a restore is not done yet; empty when it is."""
    now = next((each for each in _find(session, volume) if each.site == site), None)
    fresh = () if now is None else (each.name for each in now.snapshots if each.name not in before)
    return "" if any(name.startswith(SET_ASIDE) for name in fresh) else f"{site} has not told of it yet"


def _choose(session: Session, volume: str, site: str | None) -> VolumeView:
    """Return a volume at the site that is named, or at its only one."""
    found = [each for each in _find(session, volume) if site in (None, each.site)]
    if not found:
        raise NotFound("E-VOLUME", f"Volume {volume} is not at {site}.", hint=f"skerry volume show {volume}")
    if len(found) > 1:
        some = ", ".join(sorted(each.site for each in found)[:_SITES_NAMED])
        raise click.UsageError(f"{volume} is at {len(found)} sites: say --site, for example {some}.")
    return found[0]


def _find(session: Session, volume: str) -> list[VolumeView]:
    app, name = split_owned(volume, "VOLUME")
    found = [each for each in session.client.volumes.list(page_size=1_000, app=app) if each.volume == name]
    if not found:
        raise NotFound("E-VOLUME", f"No site reports a volume {volume}.", hint="skerry volume list")
    return found
