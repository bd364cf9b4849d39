"""What goes on: output of instances, and events."""

import collections
import datetime

import click

from skerry.cli.names import complete_apps, complete_services, complete_sites
from skerry.cli.options import DURATION, pass_session, split_service
from skerry.cli.output import Column, tell, with_output, write_table, write_value
from skerry.cli.session import Session
from skerry.cli.views import EVENTS
from skerry.clock import SECOND_US, SystemClock
from skerry.model.answers import CloudEvent
from skerry.model.asks import LOG_TAIL_MAX, EventQuery, LogQuery


@click.command()
@click.argument("app", metavar="APP[/SERVICE]", shell_complete=complete_services)
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes.")
@click.option("--site", default="", help="Only this site.", shell_complete=complete_sites)
@click.option("--ordinal", type=click.IntRange(0), help="Only this copy.")
@click.option("--tail", type=click.IntRange(0, LOG_TAIL_MAX), default=100, show_default=True, help="Old lines of each.")
@click.option("-o", "--output", type=click.Choice(("text", "jsonl")), default="text", show_default=True)
@pass_session
def logs(session: Session, app: str, follow: bool, site: str, ordinal: int | None, tail: int, output: str) -> None:
    """Show the output of an app's instances, merged as it comes."""
    import msgspec

    name, service = split_service(app)
    query = LogQuery(service=service, site=site, ordinal=-1 if ordinal is None else ordinal, tail=tail, follow=follow)
    for line in session.client.logs(name, query):
        if output == "jsonl":
            click.echo(msgspec.json.encode(line).decode())
            continue
        place = f"{line.site} {line.service}.{line.ordinal}"
        if line.stream == "note":
            tell(f"{place}: {line.text}")
        else:
            click.echo(f"{place} | {line.text}")


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes.")
@click.option("--site", default="", help="Only of this site.", shell_complete=complete_sites)
@click.option("--app", default="", help="Only of this app.", shell_complete=complete_apps)
@click.option("--kind", default="", help="Only kinds that begin so, for example instance.")
@click.option("--cause", default="", help="One story, from wish to outcome.")
@click.option("--since", "since_s", type=DURATION, help="Only as old as this.")
@click.option("--after", type=click.IntRange(0), default=0, help="Only events above this id.")
@click.option("--tail", type=click.IntRange(1), default=200, show_default=True, help="Only the newest of the old ones.")
@with_output
@pass_session
def events(
    session: Session,
    follow: bool,
    site: str,
    app: str,
    kind: str,
    cause: str,
    since_s: int | None,
    after: int,
    tail: int,
    output: str,
) -> None:
    """Show what happened, in order; CloudEvents with -o jsonl."""
    import msgspec

    query = EventQuery(after=after, follow=False, site=site, app=app, kind=kind, cause=cause)
    oldest = _time_before(since_s)
    kept: collections.deque[CloudEvent] = collections.deque(maxlen=tail)
    newest = after
    for event in session.client.events(query):
        newest = max(newest, int(event.id or 0))
        if event.type != "reset" and event.time >= oldest:
            kept.append(event)
    if output in ("json", "yaml"):
        write_value({"items": list(kept)}, output)
    elif output == "jsonl":
        for event in kept:
            _write_line(event, output)
    elif kept or not follow:
        write_table(list(kept), [column for column in EVENTS if output == "wide" or not column.wide])
    if follow:
        for event in session.client.events(msgspec.structs.replace(query, after=newest, follow=True)):
            _write_line(event, output)


def _write_line(event: CloudEvent, output: str) -> None:
    import msgspec

    if event.type == "reset":
        tell("some events are no longer kept: look at the state again")
    elif output in ("jsonl", "json"):
        click.echo(msgspec.json.encode(event).decode())
    else:
        columns: tuple[Column[CloudEvent], ...] = EVENTS
        click.echo("  ".join(str(column.read(event)) for column in columns if output == "wide" or not column.wide))


def _time_before(since_s: int | None) -> str:
    """Return the RFC 3339 time so long ago; empty for no limit. Times of sites are hints, as their clocks are."""
    if since_s is None:
        return ""
    then_us = SystemClock().wall_us() - since_s * SECOND_US
    return datetime.datetime.fromtimestamp(then_us / SECOND_US, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
