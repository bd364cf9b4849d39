"""``skerry app scale``: another number of copies, as a revision of its own, until the manifest is applied again."""

import click

from skerry.cli.asking import confirm
from skerry.cli.names import complete_services
from skerry.cli.options import pass_session, split_service, with_dry_run, with_wait, with_yes
from skerry.cli.output import tell
from skerry.cli.session import Session
from skerry.cli.watching import tell_handed_in, wait_for_operation


@click.command()
@click.argument("where", metavar="APP/SERVICE", shell_complete=complete_services)
@click.argument("count", type=click.IntRange(1), metavar="N")
@with_yes
@with_dry_run
@with_wait
@pass_session
def scale(session: Session, where: str, count: int, yes: bool, dry_run: bool, wait_s: int) -> None:
    """Sign the newest revision again with N copies of a service: at each site, or in all, as its manifest counts.

    The manifest is not changed: its next apply brings its own number back.
    """
    app, service = split_service(where)
    if not service:
        raise click.BadParameter(f"{where!r} names no service: write APP/SERVICE.")
    detail = session.client.apps.show(app)
    now = sum(each.service == service for each in detail.instances)
    if dry_run:
        tell(f"would sign app {app} with {count} copies of {service}, which has {now} instances now")
        return
    if count < now and service in detail.services:
        confirm(session, f"Have {count} copies of {where} where {now} instances are now?", yes=yes)
    done = session.client.apps.scale(app, service, count)
    tell_handed_in(done)
    if done.applied is None:
        tell(f"{where} has {count} copies already")
        return
    tell(f"app {app} is at revision {done.number}, with {count} copies of {service}")
    tell("Next: write the number into the manifest too; its next apply brings back what it says")
    if wait_s:
        wait_for_operation(session.client, done.operation, wait_s)
