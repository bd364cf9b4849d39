"""``skerry delete``: the end of an app, by a tombstone that is signed now. Volumes stay unless they are named."""

import click

from skerry.cli.asking import confirm
from skerry.cli.names import complete_apps
from skerry.cli.options import DURATION, pass_session, split_noun, with_dry_run, with_wait, with_yes
from skerry.cli.output import format_bytes, tell
from skerry.cli.session import Session
from skerry.cli.watching import tell_handed_in, wait_for_operation
from skerry.model.answers import VolumeView
from skerry.model.errors import Refused
from skerry.model.ids import VolumeName
from skerry.sdk.verifying import read_revision


@click.command()
@click.argument("what", required=False, metavar="APP", shell_complete=complete_apps)
@click.option("-f", "--file", "files", multiple=True, help="End the app of this manifest.")
@click.option("--volumes", "with_volumes", is_flag=True, help="Delete all its volumes too. There is no way back.")
@click.option("--grace", type=DURATION, default="0s", show_default=True, help="Time until volumes are deleted.")
@with_yes
@with_dry_run
@with_wait
@pass_session
def delete(
    session: Session,
    what: str | None,
    files: tuple[str, ...],
    with_volumes: bool,
    grace: int,
    yes: bool,
    dry_run: bool,
    wait_s: int,
) -> None:
    """End an app: its instances stop at every site, now or when a site is heard again."""
    app = _choose_app(session, what, files)
    summary = session.client.apps.show(app).summary
    if summary.state == "ended" and not with_volumes:
        tell(f"app {app} has ended already")
        return
    volumes: list[VolumeView] = list(session.client.volumes.list(page_size=1_000, app=app))
    doomed = None if with_volumes else _list_doomed(session, app, summary.revision)
    going = [volume for volume in volumes if doomed is None or volume.volume in doomed]
    size = format_bytes(sum(volume.size_bytes for volume in going or volumes))
    fate = f"are deleted, {len(volumes) - len(going)} kept" if going else "are kept"
    count = f"{summary.wanted} instances at {summary.sites} sites; {len(going or volumes)} volumes ({size}) {fate}"
    if dry_run:
        tell(f"would end app {app}: {count}")
        return
    confirm(session, f"End app {app}? {count}.", yes=yes)
    done = session.client.apps.delete(app, volumes=[volume.volume for volume in going], grace_s=grace)
    tell_handed_in(done)
    tell(f"app {app} ends with number {done.number}: {count}")
    if wait_s:
        wait_for_operation(session.client, done.operation, wait_s)


def _list_doomed(session: Session, app: str, number: int) -> set[VolumeName]:
    """Return the volumes of which the app's own signed revision says that they go with it (``on-delete``)."""
    if not number:
        return set()
    envelope = session.client.apps.read_revision(app, str(number))
    revision = read_revision(envelope, session.signer.read_status(), session.context.tenant)
    return {name for name, volume in revision.volumes.items() if volume.on_delete}


def _choose_app(session: Session, what: str | None, files: tuple[str, ...]) -> str:
    if bool(what) == bool(files):
        raise click.UsageError("Name an app, or a manifest with -f.")
    if what:
        noun, name = split_noun(what, "app", "volume", "site")
        if noun != "app":
            raise Refused("E-USAGE", f"A {noun} is not deleted here.", hint=f"skerry {noun} remove {name}")
        return name
    from skerry.cli.apply import read_app_name

    return read_app_name(session, files)
