"""How things are, and why: one screen of status, and the reasons of a placement."""

import click

from skerry.cli.apps import COLUMNS as APPS
from skerry.cli.names import complete_services, complete_sites
from skerry.cli.options import pass_session, split_service
from skerry.cli.output import Column, show_value, tell, with_output, write_pairs, write_section
from skerry.cli.session import Session
from skerry.cli.views import CONDITIONS, EVENTS, UNPLACED
from skerry.model.answers import PlaceView, RejectionView, SiteCounts, Status, Why

_PLACES: tuple[Column[PlaceView], ...] = (
    Column("instance", lambda each: f"{each.service}.{each.ordinal}"),
    Column("site", lambda each: each.site),
    Column("node", lambda each: each.node),
    Column("score", lambda each: each.score),
    Column("kept", lambda each: each.kept),
)
_REJECTIONS: tuple[Column[RejectionView], ...] = (
    Column("service", lambda each: each.service),
    Column("site", lambda each: each.site),
    Column("node", lambda each: each.node or ""),
    Column("constraint", lambda each: each.constraint),
    Column("detail", lambda each: each.detail),
)
_DEGRADED = 3


@click.command()
@with_output
@pass_session
def status(session: Session, output: str) -> int:
    """Show core, sites by state, apps not as wanted and the last warnings. Exit code 3 when something is not well."""
    found = session.client.core.show_status()
    show_value(found, output, "status", lambda: _draw_status(found))
    return _DEGRADED if is_degraded(found) else 0


def is_degraded(found: Status) -> bool:
    """Say whether a person should look."""
    return bool(found.not_as_wanted or found.conditions or found.sites.silent or found.sites.learning)


def _draw_status(found: Status) -> None:
    counts: SiteCounts = found.sites
    states = [(name, getattr(counts, name)) for name in counts.__struct_fields__]
    sites = ", ".join(f"{count} {name}" for name, count in states if count)
    as_wanted = len(found.apps) - found.not_as_wanted
    write_pairs(
        (
            ("core", found.version),
            ("sites", sites or "none"),
            ("apps", f"{as_wanted} of {len(found.apps)} as wanted"),
        )
    )
    write_section("Apps", found.apps, APPS)
    write_section("Conditions", found.conditions, CONDITIONS)
    write_section("Last warnings", found.warnings, EVENTS)
    if not found.root:
        tell("\nNext: skerry up")
    elif not sites:
        tell("\nNext: skerry site add NAME")


@click.command()
@click.argument("app", metavar="APP[/SERVICE]", shell_complete=complete_services)
@click.option("--site", default="", help="Explain this site.", shell_complete=complete_sites)
@with_output
@pass_session
def why(session: Session, app: str, site: str, output: str) -> None:
    """Say why an app is placed where it is, or not: each filter in order, and what failed first."""
    name, service = split_service(app)
    found = session.client.apps.explain(name, service=service, site=site)
    show_value(found, output, f"app/{name}", lambda: _draw_why(found, site))


def _draw_why(found: Why, site: str) -> None:
    where = f" at {site}" if site else ""
    write_pairs((("app", found.app), ("number", found.number)))
    write_section(f"Placed{where}", found.placed, _PLACES)
    write_section("Without a place", found.unplaced, UNPLACED)
    write_section("What is in the way", found.rejections, _REJECTIONS)
    for note in found.notes:
        click.echo(f"  {note}")
    if not (found.placed or found.unplaced or found.rejections or found.notes):
        tell(f"nothing is planned for {found.app}{where} yet")
