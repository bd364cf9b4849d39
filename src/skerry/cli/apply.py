"""From a manifest to a signed revision: validate, plan, diff and apply.

All four read the files in the same way. What is planned and what is put are the same bytes, so ``apply --plan`` holds
the core to exactly what was shown.
"""

import difflib
import sys
from collections.abc import Callable
from typing import TypeVar

import click
import msgspec

from skerry.cli.asking import confirm
from skerry.cli.options import pass_session, split_pair, with_dry_run, with_wait, with_yes
from skerry.cli.output import Column, format_bytes, show_value, tell, with_output, write_section
from skerry.cli.session import Session
from skerry.cli.views import UNPLACED
from skerry.cli.watching import tell_handed_in, wait_for_newest_operation, wait_for_operation
from skerry.manifest.report import format_report
from skerry.manifest.values import Manifest, Options
from skerry.model.answers import AppPlan, PlannedChange, SiteBytes
from skerry.model.app import AppRevision
from skerry.model.errors import Invalid
from skerry.model.selector import SelectorError, parse_selector
from skerry.sdk.manifests import ManifestRefused, read_manifest
from skerry.sdk.publishing import Draft

F = TypeVar("F", bound=Callable[..., object])

_CHANGES = 2
_STDIN_BYTES_MAX = 1024 * 1024 + 1

_PLANNED: tuple[Column[PlannedChange], ...] = (
    Column("change", lambda each: each.kind),
    Column("site", lambda each: each.site),
    Column("instance", lambda each: each.instance),
    Column("detail", lambda each: each.detail),
)
_PULLS: tuple[Column[SiteBytes], ...] = (
    Column("site", lambda each: each.site),
    Column("to fetch", lambda each: format_bytes(each.bytes)),
)


class Files(msgspec.Struct, frozen=True):
    """What the options that all four commands share say."""

    files: tuple[str, ...]
    given: tuple[str, ...]
    name: str | None
    sites: tuple[str, ...]
    profiles: tuple[str, ...]

    def read(self, session: Session, *, asks_core: bool = True) -> Manifest:
        """Read the manifest; raises ``ManifestRefused``. A core is asked only about images that are built."""
        for text in self.sites:
            try:
                parse_selector(text)
            except SelectorError as error:
                raise click.BadParameter(f"{error}. tier=store is one.", param_hint="'--sites'") from error
        return read_manifest(
            self.files,
            environment=session.environment,
            given=dict(map(split_pair, self.given)),
            options=Options(project=self.name, sites=self.sites, profiles=frozenset(self.profiles)),
            stdin=sys.stdin.buffer.read(_STDIN_BYTES_MAX) if "-" in self.files else None,
            list_pushed=(lambda: (view.name for view in session.client.images.list())) if asks_core else None,
        )


def with_files(function: F) -> F:
    """Add the options that say which manifest."""
    options = (
        click.option("-f", "--file", "files", multiple=True, help="A manifest; - is stdin. Several are merged."),
        click.option("--set", "given", multiple=True, metavar="KEY=VALUE", help="A variable; may be repeated."),
        click.option("--name", help="What the app is called."),
        click.option("--sites", multiple=True, metavar="SELECTOR", help="Which sites, for example tier=store."),
        click.option("--profile", "profiles", multiple=True, help="Switch a Compose profile on."),
    )
    for option in reversed(options):
        function = option(function)
    return function


@click.command()
@with_files
@with_output
@pass_session
def validate(session: Session, output: str, **chosen: object) -> int:
    """Check a manifest: all errors at once, and how each field is taken. Needs no core."""
    files = msgspec.convert(chosen, Files)
    try:
        manifest = files.read(session, asks_core=False)
    except ManifestRefused as error:
        if output in ("json", "yaml", "jsonl"):
            show_value({"problems": error.problems, "report": error.report}, output, "", lambda: None)
            return 1
        raise
    found = {"app": manifest.app, "problems": (), "report": manifest.report}
    show_value(found, output, f"app/{manifest.app}", lambda: click.echo("\n".join(format_report(manifest.report))))
    return 0


@click.command()
@with_files
@with_output
@pass_session
def plan(session: Session, output: str, **chosen: object) -> int:
    """Say what applying would do: changes, placement, bytes to fetch. Exit code 2 when there are changes."""
    draft = _draft(session, chosen)
    if draft.current is not None and not draft.is_new:
        tell(f"app {draft.revision.app} is so already, at revision {draft.current.number}")
        return 0
    found = _plan(session, draft)
    show_value(found, output, found.plan, lambda: _draw_plan(found))
    if found.problems:
        raise Invalid("E-PLAN", f"App {found.app} cannot be applied so.", problems=found.problems)
    changes = any(change.kind != "keep" for change in found.changes) or found.number == 0
    return _CHANGES if changes or found.unplaced else 0


def _draft(session: Session, chosen: dict[str, object]) -> Draft:
    return session.client.apps.draft(msgspec.convert(chosen, Files).read(session))


def _plan(session: Session, draft: Draft) -> AppPlan:
    """Ask the core what a draft would do, and take out that secrets are missing which apply is going to seal."""
    found, manifest = session.client.apps.plan(draft.revision.app, draft.payload), draft.manifest
    brought = {need.name for need in manifest.secrets_needed if need.value is not None}
    forgiven = {f"/secrets/{alias}" for alias, use in manifest.secrets.items() if use.name in brought}
    problems = tuple(each for each in found.problems if each.pointer not in forgiven)
    notes = tuple(f"secret {name} is sealed when this is applied" for name in sorted(brought))
    return msgspec.structs.replace(found, problems=problems, notes=(*found.notes, *notes))


def _draw_plan(found: AppPlan) -> None:
    click.echo(f"app {found.app}: revision {found.number + 1}, plan {found.plan}")
    write_section("Changes", [each for each in found.changes if each.kind != "keep"], _PLANNED)
    kept = sum(each.kind == "keep" for each in found.changes)
    if kept:
        click.echo(f"\n{kept} instances stay as they are")
    write_section("To fetch", [each for each in found.pulls if each.bytes], _PULLS)
    write_section("Without a place", found.unplaced, UNPLACED)
    for note in found.notes:
        click.echo(f"  {note}")


@click.command()
@with_files
@pass_session
def diff(session: Session, **chosen: object) -> int:
    """Show how a manifest differs from what is applied, in its signed form. Exit code 2 when it does."""
    draft = _draft(session, chosen)
    current, revision = draft.current, draft.revision
    before = [] if current is None else _write_lines(msgspec.structs.replace(current, source=revision.source))
    name = "nothing" if current is None else f"revision {current.number}"
    lines = list(difflib.unified_diff(before, _write_lines(revision), name, "manifest", lineterm=""))
    if lines:
        click.echo("\n".join(lines))
    return _CHANGES if lines else 0


def _write_lines(revision: AppRevision) -> list[str]:
    encoded = msgspec.json.encode(msgspec.structs.replace(revision, number=0), order="deterministic")
    return msgspec.json.format(encoded, indent=2).decode().splitlines()


@click.command()
@with_files
@click.option("--plan", "plan_id", default="", metavar="ID", help="Only if this plan still holds.")
@click.option("--reseal", is_flag=True, help="Seal secrets again although they are as they were.")
@with_yes
@with_dry_run
@with_wait
@with_output
@pass_session
def apply(
    session: Session,
    plan_id: str,
    reseal: bool,
    yes: bool,
    dry_run: bool,
    wait_s: int,
    output: str,
    **chosen: object,
) -> None:
    """Make it so: sign the next revision of the app and hand it to the core. Repeating it changes nothing."""
    draft = _draft(session, chosen)
    if dry_run:
        if draft.current is not None and not draft.is_new:
            tell(f"app {draft.revision.app} is so already, at revision {draft.current.number}")
        else:
            _draw_plan(_plan(session, draft))
        return
    _confirm_removal(session, draft.current, draft.revision, yes=yes)
    _confirm_places(session, draft, yes=yes)
    done = session.client.apps.apply(draft, plan=plan_id, reseal=reseal)
    tell_handed_in(done)
    sealed = f"; sealed: {', '.join(done.sealed)}" if done.sealed else ""
    if done.applied is None:
        tell(f"app {done.app} is so already, at revision {done.number}{sealed}")
        if wait_s:
            wait_for_newest_operation(session.client, done.app, wait_s)
        return
    tell(f"app {done.app}: revision {done.number} is recorded{sealed}")
    show_value(done.applied, output if output != "table" else "name", f"app/{done.app}", lambda: None)
    if wait_s:
        wait_for_operation(session.client, done.operation, wait_s)


def _confirm_removal(session: Session, current: AppRevision | None, revision: AppRevision, *, yes: bool) -> None:
    """Ask before services go away; volumes stay in any case until a tombstone names them."""
    gone = sorted(set(current.services) - set(revision.services)) if current is not None else []
    if gone:
        confirm(session, f"Stop {len(gone)} services of {revision.app} ({', '.join(gone)}) at all sites?", yes=yes)


def _confirm_places(session: Session, draft: Draft, *, yes: bool) -> None:
    """Ask before new wishes about places leave nothing of an app anywhere: one wrong letter in a label does that."""
    current, revision = draft.current, draft.revision
    if current is not None and _list_places(current) == _list_places(revision):
        return
    found = _plan(session, draft)
    if found.problems or not found.unplaced or any(change.kind != "remove" for change in found.changes):
        return
    first = found.unplaced[0]
    if found.changes:
        question = f"No site takes {revision.app} any more ({first.reason}). Stop its {len(found.changes)} instances?"
        confirm(session, question, yes=yes)
    else:
        tell(f"no site takes {revision.app} yet: {first.reason}")


def _list_places(revision: AppRevision) -> dict[str, object]:
    return {name: service.placement for name, service in revision.services.items()}


def read_app_name(session: Session, files: tuple[str, ...]) -> str:
    """Return the name of the app in a manifest."""
    return Files(files, (), None, (), ()).read(session).app
