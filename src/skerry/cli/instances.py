"""``skerry instance`` and ``skerry operation``: copies of services everywhere, and long work with what came of it."""

import click

from skerry.cli.names import complete_sites
from skerry.cli.options import pass_session, with_watch
from skerry.cli.output import Column, format_time, show_list, show_value, with_output, write_pairs
from skerry.cli.session import Session
from skerry.cli.views import INSTANCES
from skerry.cli.watching import show_again
from skerry.model.answers import InstanceView, OperationView

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
