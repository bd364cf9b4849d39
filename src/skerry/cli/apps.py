"""``skerry app``: what a tenant runs. Rollback signs the old content again, as a higher revision."""

import click

from skerry.cli.asking import confirm
from skerry.cli.names import complete_apps, complete_services
from skerry.cli.options import pass_session, split_service, with_dry_run, with_wait, with_watch, with_yes
from skerry.cli.output import (
    Column,
    format_time,
    short,
    show_list,
    show_value,
    tell,
    with_output,
    write_pairs,
    write_section,
)
from skerry.cli.session import Session
from skerry.cli.views import CONDITIONS, EVENTS, INSTANCES, UNPLACED
from skerry.cli.watching import show_again, tell_handed_in, wait_for_operation
from skerry.model.answers import AppChanged, AppDetail, AppSummary, RevisionSummary
from skerry.sdk.publishing import choose_revision

COLUMNS: tuple[Column[AppSummary], ...] = (
    Column("app", lambda app: app.app),
    Column("state", lambda app: app.state),
    Column("ready", lambda app: f"{app.ready}/{app.wanted}"),
    Column("sites", lambda app: app.sites),
    Column("revision", lambda app: app.revision or ""),
    Column("refused", lambda app: app.refused or ""),
    Column("changed", lambda app: format_time(app.changed_us), wide=True),
)
_HISTORY: tuple[Column[RevisionSummary], ...] = (
    Column("number", lambda row: row.number),
    Column("kind", lambda row: row.kind),
    Column("current", lambda row: row.current),
    Column("recorded", lambda row: format_time(row.recorded_us)),
    Column("digest", lambda row: short(row.digest)),
    Column("description", lambda row: row.description),
    Column("by", lambda row: row.actor, wide=True),
    Column("source", lambda row: short(row.source), wide=True),
)


@click.command()
@with_output
@with_watch
@pass_session
def list_apps(session: Session, output: str, watch: bool) -> None:
    """List apps."""

    def read() -> list[AppSummary]:
        return list(session.client.apps.list(page_size=1_000))

    show_again(read, COLUMNS, output, lambda app: f"app/{app.app}", watch=watch)


@click.command()
@click.argument("app", shell_complete=complete_apps)
@with_output
@pass_session
def show(session: Session, app: str, output: str) -> None:
    """Show an app, its instances and what is wrong."""
    detail = session.client.apps.show(app)
    show_value(detail, output, f"app/{app}", lambda: _draw(detail))


def _draw(detail: AppDetail) -> None:
    summary = detail.summary
    write_pairs(
        (
            ("app", summary.app),
            ("state", summary.state),
            ("revision", summary.revision or ""),
            ("number", summary.number),
            ("digest", short(detail.digest)),
            ("description", detail.description),
            ("labels", detail.labels),
            ("services", detail.services),
            ("ready", f"{summary.ready} of {summary.wanted} at {summary.sites} sites"),
        )
    )
    write_section("Instances", detail.instances, INSTANCES)
    write_section("Without a place", detail.unplaced, UNPLACED)
    write_section("Conditions", detail.conditions, CONDITIONS)
    write_section("Events", detail.events, EVENTS)
    if detail.unplaced:
        tell(f"\nNext: skerry why {summary.app}")
    elif summary.state == "run" and summary.ready < summary.wanted:
        tell(f"\nNext: skerry logs {summary.app}")


@click.command()
@click.argument("app", shell_complete=complete_apps)
@with_output
@pass_session
def history(session: Session, app: str, output: str) -> None:
    """List an app's revisions, newest first."""
    rows = session.client.apps.list_revisions(app, page_size=1_000)
    show_list(rows, _HISTORY, output, lambda row: f"app/{app}/{row.number}")


@click.command()
@click.argument("app", shell_complete=complete_apps)
@click.option("--to", "number", type=int, help="Number of the revision; the one before the current by default.")
@with_yes
@with_dry_run
@with_wait
@pass_session
def rollback(session: Session, app: str, number: int | None, yes: bool, dry_run: bool, wait_s: int) -> None:
    """Sign an old revision again, as a higher one."""
    summary = session.client.apps.show(app).summary
    chosen = session.client.perform(choose_revision(app, number or 0))
    if dry_run:
        tell(f"would sign the content of revision {chosen} of {app} as revision {summary.number + 1}")
        return
    confirm(session, f"Bring the {summary.wanted} instances of {app} back to revision {chosen}?", yes=yes)
    done = session.client.apps.rollback(app, chosen)
    tell_handed_in(done)
    tell(f"app {app} is at revision {done.number}, with the content of {chosen}")
    if wait_s:
        wait_for_operation(session.client, done.operation, wait_s)


@click.command()
@click.argument("app", shell_complete=complete_apps)
@with_yes
@with_dry_run
@with_wait
@pass_session
def pause(session: Session, app: str, yes: bool, dry_run: bool, wait_s: int) -> None:
    """Stop an app's instances and keep everything."""
    summary = session.client.apps.show(app).summary
    what = f"{summary.wanted} instances of {app} at {summary.sites} sites"
    if dry_run:
        tell(f"would stop {what}")
        return
    confirm(session, f"Stop {what}?", yes=yes)
    _follow(session, session.client.apps.pause(app), wait_s)


@click.command()
@click.argument("app", shell_complete=complete_apps)
@with_dry_run
@with_wait
@pass_session
def resume(session: Session, app: str, dry_run: bool, wait_s: int) -> None:
    """Let a paused app run again."""
    if dry_run:
        summary = session.client.apps.show(app).summary
        tell(f"would start {summary.wanted} instances of {app} at {summary.sites} sites")
        return
    _follow(session, session.client.apps.resume(app), wait_s)


@click.command()
@click.argument("app", metavar="APP[/SERVICE]", shell_complete=complete_services)
@with_yes
@with_dry_run
@with_wait
@pass_session
def restart(session: Session, app: str, yes: bool, dry_run: bool, wait_s: int) -> None:
    """Start an app's instances afresh."""
    name, service = split_service(app)
    detail = session.client.apps.show(name)
    count = sum(service in ("", each.service) for each in detail.instances)
    if dry_run:
        tell(f"would restart {count} instances of {app}")
        return
    confirm(session, f"Restart {count} instances of {app}?", yes=yes)
    _follow(session, session.client.apps.restart(name, service=service), wait_s)


def _follow(session: Session, changed: AppChanged, wait_s: int) -> None:
    tell(f"app {changed.app} is to be {changed.state}; operation {changed.operation}")
    if wait_s:
        wait_for_operation(session.client, changed.operation, wait_s)
