"""``skerry instance`` and ``skerry operation``: copies of services everywhere, and long work with what came of it."""

import click

from skerry.cli.calls import split_copy
from skerry.cli.names import complete_services, complete_sites
from skerry.cli.options import pass_session, with_watch
from skerry.cli.output import (
    Column,
    format_age,
    format_bytes,
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
from skerry.cli.views import CONDITIONS, EVENTS, INSTANCES
from skerry.cli.watching import show_again
from skerry.model.answers import InstanceDetail, InstanceUseView, InstanceView, OperationView
from skerry.model.errors import NotFound

_OPERATIONS: tuple[Column[OperationView], ...] = (
    Column("operation", lambda each: each.operation),
    Column("kind", lambda each: each.kind),
    Column("app", lambda each: each.app),
    Column("state", lambda each: each.state),
    Column("ready", lambda each: f"{each.ready} of {each.wanted}"),
    Column("silent", lambda each: each.silent),
    Column("refused", lambda each: each.refused),
    Column("started", lambda each: format_time(each.started_us)),
    Column("cause", lambda each: each.cause, wide=True),
)


@click.command()
@click.option("--app", default="", help="Only of this app.")
@click.option("--site", default="", help="Only at this site.", shell_complete=complete_sites)
@with_output
@with_watch
@pass_session
def list_instances(session: Session, app: str, site: str, output: str, watch: bool) -> None:
    """List instances: what is wanted beside what is."""

    def read() -> list[InstanceView]:
        return list(session.client.instances.list(page_size=1_000, app=app, site=site))

    show_again(read, INSTANCES, output, lambda each: f"instance/{each.instance}@{each.site}", watch=watch)


@click.command()
@click.argument("where", metavar="APP/SERVICE[.N]", shell_complete=complete_services)
@click.option("--site", default="", help="At this site; needed where there are several.", shell_complete=complete_sites)
@click.option("--ordinal", type=click.IntRange(0), help="This copy; needed where there are several.")
@with_output
@pass_session
def show_instance(session: Session, where: str, site: str, ordinal: int | None, output: str) -> None:
    """Show one instance: where and why there, image, health, restarts, use and events."""
    app, service, ordinal = split_copy(where, ordinal)
    found = _choose(session, app, service, site, ordinal)
    detail = session.client.instances.show(found.site, app, service, str(found.ordinal))
    show_value(detail, output, f"instance/{found.instance}@{found.site}", lambda: _draw(detail))


def _choose(session: Session, app: str, service: str, site: str, ordinal: int | None) -> InstanceView:
    """Return the only instance that is meant."""
    listed = session.client.instances.list(page_size=1_000, app=app, site=site)
    found = [each for each in listed if each.service == service and ordinal in (None, each.ordinal)]
    if not found:
        what = f"{app}/{service}" + ("" if ordinal is None else f".{ordinal}") + (f" at {site}" if site else "")
        raise NotFound("E-NOT-FOUND", f"There is no instance {what}.", hint=f"skerry instance list --app {app}")
    if len(found) > 1:
        first = f"--site {found[0].site} --ordinal {found[0].ordinal}"
        raise click.UsageError(f"There are {len(found)} instances of {app}/{service}: say which, for example {first}.")
    return found[0]


def _draw(detail: InstanceDetail) -> None:
    view, place = detail.summary, detail.place
    kept = ", kept from the plan before" if place is not None and place.kept else ""
    stands_in = f"in place of the one at {detail.instead_of}, which is silent" if detail.instead_of else ""
    write_pairs(
        [(column.title, column.read(view)) for column in INSTANCES if column.title != "reason"]
        + [
            ("health output" if view.phase == "unhealthy" else "reason", view.reason),
            ("node", view.node),
            ("site state", view.site_state),
            ("ready", detail.ready),
            ("wish", f"{detail.wish}, taken back" if detail.back else detail.wish or "none"),
            ("image", f"{detail.image} ({short(detail.image_digest)})" if detail.image else ""),
            ("exit code", detail.exit_code or ""),
            ("placed", "" if place is None else f"score {place.score}{kept}"),
            ("stands in", stands_in),
        ]
    )
    _draw_use(detail.use)
    write_section("Conditions", detail.conditions, CONDITIONS)
    write_section("Events", detail.events, EVENTS)
    if detail.ready or not detail.wish:
        return
    verb = "why" if view.phase in ("waiting", "refused", "unknown") else "logs"
    tell(f"\nNext: skerry {verb} {view.app}/{view.service} --site {view.site}")


def _draw_use(use: InstanceUseView) -> None:
    if use.sampled_s_ago is None:
        return
    click.echo("\nUse")
    write_pairs(
        (
            ("sampled", f"{format_age(use.sampled_s_ago)} ago"),
            ("cpu", "" if use.cpu_used_m is None else f"{use.cpu_used_m / 1000:g}"),
            ("memory", format_bytes(use.memory_bytes)),
            ("network", f"{format_bytes(use.received_bytes)} in, {format_bytes(use.sent_bytes)} out"),
            ("disk", f"{format_bytes(use.read_bytes)} read, {format_bytes(use.written_bytes)} written"),
        )
    )


@click.command()
@with_output
@pass_session
def list_operations(session: Session, output: str) -> None:
    """List long work, newest first."""
    found = session.client.operations.list(page_size=1_000)
    show_list(found, _OPERATIONS, output, lambda each: f"operation/{each.operation}")


@click.command()
@click.argument("operation")
@with_output
@pass_session
def show_operation(session: Session, operation: str, output: str) -> None:
    """Show how far long work has come."""
    found = session.client.operations.show(operation)
    pairs = [(column.title, column.read(found)) for column in _OPERATIONS]
    show_value(found, output, f"operation/{found.operation}", lambda: write_pairs(pairs))
