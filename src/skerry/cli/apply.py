"""From manifests to signed revisions: validate, plan, diff and apply.

All four read the files in the same way, and take everything that is in them: first what is defined, then app by app.
What is planned and what is put are the same bytes, so ``apply --plan`` holds the core to exactly what was shown.
"""

import difflib
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import click
import msgspec

from skerry.cli.asking import confirm
from skerry.cli.options import pass_session, split_pair, with_dry_run, with_wait, with_yes
from skerry.cli.output import Column, format_bytes, show_value, tell, with_output, write_section
from skerry.cli.session import Session
from skerry.cli.views import UNPLACED
from skerry.cli.watching import tell_handed_in, wait_for_newest_operation, wait_for_operation
from skerry.manifest.findings import FieldNote
from skerry.manifest.report import format_report
from skerry.manifest.values import Defined, Options, Stream
from skerry.model.answers import AppPlan, PlannedChange, SiteBytes
from skerry.model.app import AppRevision
from skerry.model.errors import Invalid
from skerry.model.geography import Region
from skerry.model.selector import SelectorError, parse_selector
from skerry.sdk.acts import Published, Rollout
from skerry.sdk.manifests import ManifestRefused, read_stream
from skerry.sdk.publishing import Draft
from skerry.sdk.siting import find_grants

F = TypeVar("F", bound=Callable[..., object])
T = TypeVar("T")

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

    def read(self, session: Session, *, asks_core: bool = True) -> Stream:
        """Read the files; raises ``ManifestRefused``. A core is asked only about images that are built."""
        for text in self.sites:
            try:
                parse_selector(text)
            except SelectorError as error:
                raise click.BadParameter(f"{error}. tier=store is one.", param_hint="'--sites'") from error
        return read_stream(
            self.files,
            environment=session.environment,
            given=dict(map(split_pair, self.given)),
            options=Options(project=self.name, sites=self.sites, profiles=frozenset(self.profiles)),
            stdin=sys.stdin.buffer.read(_STDIN_BYTES_MAX) if "-" in self.files else None,
            list_pushed=(lambda: (view.name for view in session.client.images.list())) if asks_core else None,
            find_grants=(lambda name: session.client.perform(find_grants(name))) if asks_core else None,
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
        stream = files.read(session, asks_core=False)
    except ManifestRefused as error:
        if output in ("json", "yaml", "jsonl"):
            show_value({"problems": error.problems, "report": error.report}, output, "", lambda: None)
            return 1
        raise
    reports = {f"{each.kind}/{each.name}": each.report for each in stream.definitions}
    reports |= {f"app/{each.app}": each.report for each in stream.apps}
    notes = tuple(note for report in reports.values() for note in report)
    names = {"app": stream.apps[0].app} if len(stream.apps) == 1 else {"apps": [each.app for each in stream.apps]}
    defined = [f"{each.kind}/{each.name}" for each in stream.definitions]
    found = {**names, "definitions": defined, "problems": (), "report": notes}
    show_value(found, output, "\n".join(reports), lambda: _draw_reports(reports))
    return 0


def _draw_reports(reports: Mapping[str, Sequence[FieldNote]]) -> None:
    for name, report in reports.items():
        if len(reports) > 1:
            click.echo(f"{name}:")
        click.echo("\n".join(format_report(report)))


@click.command()
@with_files
@with_output
@pass_session
def plan(session: Session, output: str, **chosen: object) -> int:
    """Say what applying would do: changes, placement, bytes to fetch. Exit code 2 when there are changes."""
    stream = _read(session, chosen)
    code = 0
    found: list[AppPlan] = []
    for draft in _look(session, stream):
        if draft.current is not None and not draft.is_new:
            tell(f"app {draft.revision.app} is so already, at revision {draft.current.number}")
            continue
        planned = _plan(session, draft)
        found.append(planned)
        is_change = any(change.kind != "keep" for change in planned.changes) or planned.number == 0
        code = _CHANGES if is_change or planned.unplaced else code
    _show_all(found, output, lambda each: each.plan, _draw_plan)
    for each in found:
        if each.problems:
            raise Invalid("E-PLAN", f"App {each.app} cannot be applied so.", problems=each.problems)
    return code


def _read(session: Session, chosen: dict[str, object]) -> Stream:
    return msgspec.convert(chosen, Files).read(session)


def _draft(session: Session, stream: Stream) -> list[Draft]:
    """Return what would be signed for each app; what is defined beside them is recorded with the first."""
    drafts = [session.client.apps.draft(manifest) for manifest in stream.apps]
    return [
        msgspec.structs.replace(draft, fresh=draft.fresh if place == 0 else ()) for place, draft in enumerate(drafts)
    ]


def _look(session: Session, stream: Stream) -> list[Draft]:
    """Return the drafts of those who only look, and say what applying them would do to definitions."""
    drafts = _draft(session, stream)
    for each in stream.definitions if not drafts else ():
        tell(f"{each.kind} {each.name}: no app here says what it would change")
    for draft in drafts:
        for fresh in draft.fresh:
            tell(f"{fresh.name}: version {fresh.payload.number} is recorded when this is applied")
        for sentence in draft.changed:
            tell(sentence)
    return drafts


def _show_all(items: Sequence[T], output: str, name: Callable[[T], str], draw: Callable[[T], None]) -> None:
    """Show what came of the apps: one as itself, several as a list, none as nothing."""
    if len(items) == 1:
        show_value(items[0], output, name(items[0]), lambda: draw(items[0]))
    elif items and output in ("json", "yaml"):
        show_value({"items": items}, output, "", lambda: None)
    else:
        for each in items:
            show_value(each, output, name(each), partial(draw, each))


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
    code = 0
    for draft in _look(session, _read(session, chosen)):
        current, revision = draft.current, draft.revision
        before = [] if current is None else _write_lines(msgspec.structs.replace(current, source=revision.source))
        name = "nothing" if current is None else f"revision {current.number}"
        lines = list(difflib.unified_diff(before, _write_lines(revision), name, "manifest", lineterm=""))
        if lines:
            click.echo("\n".join(lines))
            code = _CHANGES
    return code


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
    """Make it so: record what is defined, then sign the next revision of each app and hand it to the core.

    Repeating it changes nothing.
    """
    stream = _read(session, chosen)
    if plan_id and len(stream.apps) != 1:
        raise click.BadParameter(f"a plan is of one app, the files hold {len(stream.apps)}.", param_hint="'--plan'")
    if not stream.apps:
        for each in stream.definitions:
            _define(session, each, dry_run=dry_run)
    done: list[Published[Rollout]] = []
    for draft in _look(session, stream) if dry_run else _draft(session, stream):
        if dry_run:
            if draft.current is not None and not draft.is_new:
                tell(f"app {draft.revision.app} is so already, at revision {draft.current.number}")
            else:
                _draw_plan(_plan(session, draft))
            continue
        done.append(_apply(session, draft, plan_id, reseal=reseal, yes=yes))
    applied = [each.applied for each in done if each.applied is not None]
    _show_all(applied, output if output != "table" else "name", lambda each: f"app/{each.app}", lambda _: None)
    for each in done if wait_s else ():
        if each.applied is None:
            wait_for_newest_operation(session.client, each.app, wait_s)
        else:
            wait_for_operation(session.client, each.operation, wait_s)


def _define(session: Session, each: Defined, *, dry_run: bool) -> None:
    """Record what no app stands beside."""
    name = f"{each.kind} {each.name}"
    if dry_run:
        tell(f"would record {name}")
        return
    if isinstance(each.content, Region):
        number = session.client.areas.set(each.name, each.content)
    else:
        number = session.client.user_groups.set(each.name, each.content)
    tell(f"{name}: version {number} is recorded" if number else f"{name} is so already")


def _apply(session: Session, draft: Draft, plan_id: str, *, reseal: bool, yes: bool) -> Published[Rollout]:
    """Apply one app and say what became of it."""
    _confirm_removal(session, draft.current, draft.revision, yes=yes)
    _confirm_places(session, draft, yes=yes)
    for sentence in draft.changed:
        tell(sentence)
    done = session.client.apps.apply(draft, plan=plan_id, reseal=reseal)
    tell_handed_in(done)
    for each in done.defined:
        tell(f"{each} is recorded")
    sealed = f"; sealed: {', '.join(done.sealed)}" if done.sealed else ""
    if done.applied is None:
        tell(f"app {done.app} is so already, at revision {done.number}{sealed}")
    else:
        tell(f"app {done.app}: revision {done.number} is recorded{sealed}")
    return done


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
    """Return the name of the one app in a manifest."""
    apps = Files(files, (), None, (), ()).read(session).apps
    if len(apps) != 1:
        hint = "Name the app that is meant."
        raise Invalid("E-MANIFEST", f"One app is meant here, and the files hold {len(apps)}.", hint=hint)
    return apps[0].app
