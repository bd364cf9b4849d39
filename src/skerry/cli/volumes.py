"""``skerry volume``: durable storage, which nothing but a signed tombstone deletes."""

import click

from skerry.cli.asking import confirm
from skerry.cli.names import complete_apps, complete_sites, complete_volumes
from skerry.cli.options import DURATION, pass_session, split_owned, with_dry_run, with_yes
from skerry.cli.output import Column, format_bytes, show_list, tell, with_output
from skerry.cli.session import Session
from skerry.cli.watching import tell_handed_in
from skerry.model.answers import VolumeView
from skerry.model.errors import NotFound

COLUMNS: tuple[Column[VolumeView], ...] = (
    Column("volume", lambda volume: f"{volume.app}/{volume.volume}"),
    Column("site", lambda volume: volume.site),
    Column("state", lambda volume: volume.state),
    Column("size", lambda volume: format_bytes(volume.size_bytes) if volume.size_bytes else "< 64 KiB"),
    Column("in use", lambda volume: volume.in_use),
    Column("born", lambda volume: volume.born, wide=True),
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
    """Show a volume at each of its sites."""
    show_list(_find(session, volume), COLUMNS, output, _name)


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


def _find(session: Session, volume: str) -> list[VolumeView]:
    app, name = split_owned(volume, "VOLUME")
    found = [each for each in session.client.volumes.list(page_size=1_000, app=app) if each.volume == name]
    if not found:
        raise NotFound("E-VOLUME", f"No site reports a volume {volume}.", hint="skerry volume list")
    return found
