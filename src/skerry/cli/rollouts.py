"""``skerry rollout``: how far a new revision has come in its waves, and a person's word on it."""

from collections.abc import Callable

import click

from skerry.cli.asking import confirm
from skerry.cli.options import pass_session, with_dry_run, with_watch, with_yes
from skerry.cli.output import Column, show_value, tell, with_output, write_pairs, write_section
from skerry.cli.session import Session
from skerry.cli.watching import show_again
from skerry.model.answers import RolloutSite, RolloutView
from skerry.sdk.errors import NotFound

COLUMNS: tuple[Column[RolloutView], ...] = (
    Column("app", lambda row: row.app),
    Column("revision", lambda row: row.number),
    Column("phase", lambda row: row.phase),
    Column("stage", lambda row: name_stage(row)),
    Column("let in", lambda row: row.let_in),
    Column("proven", lambda row: row.proven),
    Column("failed", lambda row: row.failed or ""),
    Column("waiting", lambda row: row.waiting or ""),
    Column("reason", lambda row: row.reason, wide=True),
)
_SITES: tuple[Column[RolloutSite], ...] = (
    Column("site", lambda row: row.site),
    Column("standing", lambda row: row.standing),
    Column("reason", lambda row: row.reason),
)
#: Sites listed for people; ``-o json`` has all.
_SITES_SHOWN = 100


def name_stage(view: RolloutView) -> str:
    """Name the stage that a rollout is at."""
    return "canary" if view.stage == 0 else f"wave {view.stage} of {view.waves}"


@click.command("list")
@with_output
@with_watch
@pass_session
def list_rollouts(session: Session, output: str, watch: bool) -> None:
    """List the newest rollout of each app."""

    def read() -> list[RolloutView]:
        return list(session.client.rollouts.list(page_size=1_000))

    show_again(read, COLUMNS, output, lambda row: f"rollout/{row.app}", watch=watch)


@click.command()
@click.argument("app")
@with_output
@pass_session
def show(session: Session, app: str, output: str) -> None:
    """Show how far an app's newest rollout has come, site by site."""
    try:
        view = session.client.rollouts.show(app)
    except NotFound as error:
        # The app may well be there: a revision whose manifest says nothing of waves goes to all sites at once.
        detail = f"App {app} has no rollout: it is not there, or its manifest says nothing under x-skerry.rollout."
        raise NotFound(error.code, detail, hint=f"skerry app show {app}, skerry explain rollout") from error
    show_value(view, output, f"rollout/{app}", lambda: _draw(view))


@click.command()
@click.argument("app")
@with_output
@with_dry_run
@pass_session
def promote(session: Session, app: str, output: str, dry_run: bool) -> None:
    """Let a rollout go on past its bake, an approval, or what stopped it."""
    if dry_run:
        _tell_dry(session, app, "go on")
        return
    _answer(session.client.rollouts.promote(app), output)


@click.command()
@click.argument("app")
@with_output
@with_dry_run
@pass_session
def pause(session: Session, app: str, output: str, dry_run: bool) -> None:
    """Let no further site have the revision; those that have it keep it."""
    if dry_run:
        _tell_dry(session, app, "stand still")
        return
    _answer(session.client.rollouts.pause(app), output)


@click.command()
@click.argument("app")
@with_output
@with_yes
@with_dry_run
@pass_session
def abort(session: Session, app: str, output: str, yes: bool, dry_run: bool) -> None:
    """End a rollout; sites that have the revision go back where its owner allows it."""
    if dry_run:
        _tell_dry(session, app, "end")
        return
    view = session.client.rollouts.show(app)
    confirm(session, f"End the rollout of {app}, which {view.let_in} sites may have already?", yes=yes)
    _answer(session.client.rollouts.abort(app), output)


def _tell_dry(session: Session, app: str, what: str) -> None:
    view = session.client.rollouts.show(app)
    tell(f"the rollout of {app} would {what}: {view.phase} at {name_stage(view)}, let in at {view.let_in} sites")


def _answer(view: RolloutView, output: str) -> None:
    show_value(view, output, f"rollout/{view.app}", lambda: _draw(view))


def _draw(view: RolloutView) -> None:
    write_pairs(
        (
            ("app", view.app),
            ("revision", view.number),
            ("phase", view.phase),
            ("stage", name_stage(view)),
            ("sites", f"{view.let_in} let in, {view.proven} proven, {view.failed} failed, {view.waiting} waiting"),
            ("reason", view.reason),
        )
    )
    write_section("Sites", view.sites[:_SITES_SHOWN], _SITES)
    if len(view.sites) > _SITES_SHOWN:
        tell(f"\nand {len(view.sites) - _SITES_SHOWN} more: skerry rollout show {view.app} -o json")
    if view.phase in _NEXT:
        tell(f"\nNext: {_NEXT[view.phase](view)}")


_NEXT: dict[str, Callable[[RolloutView], str]] = {
    "approval": lambda view: f"skerry rollout promote {view.app}",
    "paused": lambda view: f"skerry rollout promote {view.app}",
    "halted": lambda view: f"skerry rollout abort {view.app}",
    "rolled-back": lambda _: "mend the manifest, then: skerry apply -f FILE",
}
