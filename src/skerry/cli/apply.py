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
from skerry.cli.watching import wait_for_operation
from skerry.manifest.report import format_report
from skerry.manifest.values import Manifest, Options
from skerry.model.answers import Applied, AppPlan, PlannedChange, SiteBytes
from skerry.model.app import AppRevision
from skerry.model.errors import Conflict, Invalid, NotFound, Problem
from skerry.sdk.manifests import (
    ManifestRefused,
    is_same_content,
    make_revision,
    read_manifest,
    resolve_images,
)
from skerry.sdk.publishing import put_revision, read_number
from skerry.sdk.sealing import Sealer
from skerry.sdk.verifying import read_revision
from skerry.trust.envelope import encode_payload

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

    def read(self, session: Session) -> Manifest:
        """Read the manifest; raises ``ManifestRefused``."""
        return read_manifest(
            self.files,
            environment=session.environment,
            given=dict(map(split_pair, self.given)),
            options=Options(project=self.name, sites=self.sites, profiles=frozenset(self.profiles)),
            stdin=sys.stdin.buffer.read(_STDIN_BYTES_MAX) if "-" in self.files else None,
        )


def with_files(function: F) -> F:
    """Add the options that say which manifest."""
    options = (
        click.option("-f", "--file", "files", multiple=True, help="The manifest; - is stdin. An overlay may go along."),
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
        manifest = files.read(session)
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
    manifest = msgspec.convert(chosen, Files).read(session)
    revision = _make(session, manifest)
    current = _read_current(session, manifest.app)
    if current is not None and is_same_content(revision, current):
        tell(f"app {manifest.app} is so already, at revision {current.number}")
        return 0
    found = _forgive_secrets(session.client.apps.plan(manifest.app, encode_payload(revision)), manifest)
    show_value(found, output, found.plan, lambda: _draw_plan(found))
    if found.problems:
        raise Invalid("E-PLAN", f"App {found.app} cannot be applied so.", problems=found.problems)
    changes = any(change.kind != "keep" for change in found.changes) or found.number == 0
    return _CHANGES if changes or found.unplaced else 0


def _forgive_secrets(found: AppPlan, manifest: Manifest) -> AppPlan:
    """Take out that secrets are missing which apply is going to seal."""
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
    manifest = msgspec.convert(chosen, Files).read(session)
    revision = _make(session, manifest)
    current = _read_current(session, manifest.app)
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
    manifest = msgspec.convert(chosen, Files).read(session)
    revision = _make(session, manifest)
    current = _read_current(session, manifest.app)
    if current is not None and is_same_content(revision, current) and not plan_id and not reseal:
        sealed = [] if dry_run else _sealer(session).seal(manifest)
        tell(f"app {manifest.app} is so already, at revision {current.number}{_tell_sealed(sealed)}")
        return
    if dry_run:
        _draw_plan(_forgive_secrets(session.client.apps.plan(manifest.app, encode_payload(revision)), manifest))
        return
    _confirm_removal(session, current, revision, yes=yes)
    sealed = _sealer(session).seal(manifest, again=reseal)
    applied = _put(session, manifest, revision, plan_id)
    tell(f"app {applied.app}: revision {applied.number} is recorded{_tell_sealed(sealed)}")
    show_value(applied, output if output != "table" else "name", f"app/{applied.app}", lambda: None)
    if wait_s:
        wait_for_operation(session.client, applied.operation, wait_s)


def _put(session: Session, manifest: Manifest, revision: AppRevision, plan_id: str) -> Applied:
    try:
        return put_revision(session.client, session.signer, revision, plan_id)
    except Invalid as error:
        if plan_id and error.code == "E-SUBJECT":
            # The next revision is no longer the planned one, because another came before it or the files changed.
            detail = f"Plan {plan_id} is not about what would be signed now."
            raise Conflict("E-STALE", detail, hint="Plan again, then apply that plan.") from error
        raise _locate(error, manifest) from error


def _locate(error: Invalid, manifest: Manifest) -> Invalid:
    """Add lines of the manifest to problems that the core found in the signed form, where an image is meant."""
    uses = {f"/services/{use.service}/image": use for use in manifest.images}

    def place(problem: Problem) -> Problem:
        use = uses.get(problem.pointer)
        if use is None:
            return problem
        return msgspec.structs.replace(problem, file=use.file, line=use.line, column=use.column)

    located = Invalid(error.code, error.detail, hint=error.hint, problems=tuple(map(place, error.problems)))
    located.cause = error.cause
    return located


def _confirm_removal(session: Session, current: AppRevision | None, revision: AppRevision, *, yes: bool) -> None:
    """Ask before services go away; volumes stay in any case until a tombstone names them."""
    gone = sorted(set(current.services) - set(revision.services)) if current is not None else []
    if gone:
        confirm(session, f"Stop {len(gone)} services of {revision.app} ({', '.join(gone)}) at all sites?", yes=yes)


def _sealer(session: Session) -> Sealer:
    return Sealer(session.client, session.signer, session.context.tenant, session.places.state / "client")


def _tell_sealed(sealed: list[str]) -> str:
    return f"; sealed: {', '.join(sealed)}" if sealed else ""


def _make(session: Session, manifest: Manifest) -> AppRevision:
    """Return the next revision of a manifest's app, its images looked up at the core."""
    number = read_number(session.client, manifest.app)
    images = resolve_images(session.client, manifest)
    return make_revision(manifest, session.context.tenant, number + 1, images)


def _read_current(session: Session, app: str) -> AppRevision | None:
    """Return the app's current revision, checked; None when it has none."""
    try:
        summary = session.client.apps.show(app).summary
    except NotFound:
        return None
    if not summary.revision:
        return None
    envelope = session.client.apps.read_revision(app, str(summary.revision))
    return read_revision(envelope, session.signer.read_status(), session.context.tenant)


def read_app_name(session: Session, files: tuple[str, ...]) -> str:
    """Return the name of the app in a manifest."""
    return Files(files, (), None, (), ()).read(session).app
