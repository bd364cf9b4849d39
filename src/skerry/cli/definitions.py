"""``skerry area``, ``skerry user-group``: what manifests name instead of writing it out; ``apply`` makes them."""

import click

from skerry.cli.asking import confirm
from skerry.cli.names import complete_areas, complete_user_groups
from skerry.cli.options import pass_session, with_dry_run, with_yes
from skerry.cli.output import Column, format_time, show_list, show_value, tell, with_output, write_pairs, write_table
from skerry.cli.session import Session
from skerry.model.answers import AreaView, UserGroupView
from skerry.model.geography import Region, UserPoint, count_corners

AREAS: tuple[Column[AreaView], ...] = (
    Column("area", lambda each: each.name),
    Column("version", lambda each: each.number),
    Column("ground", lambda each: describe_region(each.region)),
    Column("set", lambda each: format_time(each.recorded_us)),
)
USER_GROUPS: tuple[Column[UserGroupView], ...] = (
    Column("user group", lambda each: each.name),
    Column("version", lambda each: each.number),
    Column("points", lambda each: len(each.points)),
    Column("users", lambda each: sum(weight for _, _, weight in each.points)),
    Column("set", lambda each: format_time(each.recorded_us)),
)
_POINTS: tuple[Column[UserPoint], ...] = (
    Column("north", lambda each: f"{each[1] / 1e6:.6f}"),
    Column("east", lambda each: f"{each[0] / 1e6:.6f}"),
    Column("users", lambda each: each[2]),
)
_KEPT = "Apps that were signed with it keep what it was, until they are applied again."


def describe_region(region: Region) -> str:
    """Say in one line what ground a region is."""
    parts = [", ".join(region.countries)] if region.countries else []
    if region.around is not None:
        point = region.around.point
        middle = f"{point.latitude_udeg / 1e6:.4f},{point.longitude_udeg / 1e6:.4f}"
        parts.append(f"{region.around.metres / 1000:g} km around {middle}")
    if region.polygon:
        own = Region(polygon=region.polygon)
        parts.append(f"{len(region.polygon)} polygons with {count_corners(own)} corners")
    if region.outside is not None:
        parts.append(f"not {describe_region(region.outside)}")
    return "; ".join(parts)


@click.command()
@with_output
@pass_session
def list_areas(session: Session, output: str) -> None:
    """List areas: ground that manifests name."""
    show_list(session.client.areas.list(page_size=100), AREAS, output, lambda each: f"area/{each.name}")


@click.command()
@click.argument("name", shell_complete=complete_areas)
@with_output
@pass_session
def show_area(session: Session, name: str, output: str) -> None:
    """Show the ground of an area; -o json has its corners, in millionths of a degree."""
    found = session.client.areas.show(name).summary

    def draw() -> None:
        pairs = (
            ("area", found.name),
            ("version", found.number),
            ("ground", describe_region(found.region)),
            ("set", format_time(found.recorded_us)),
        )
        write_pairs(pairs)

    show_value(found, output, f"area/{found.name}", draw)


@click.command()
@click.argument("name", shell_complete=complete_areas)
@with_yes
@with_dry_run
@pass_session
def remove_area(session: Session, name: str, yes: bool, dry_run: bool) -> None:
    """Forget an area. Apps that were signed with it stay where they are."""
    areas = session.client.areas
    number = areas.show(name).summary.number
    if _may_forget(session, f"area {name}, version {number}", yes=yes, dry_run=dry_run):
        areas.remove(name, expect=number)
        tell(f"area {name} is forgotten")


@click.command()
@with_output
@pass_session
def list_user_groups(session: Session, output: str) -> None:
    """List groups of users: where they are."""
    rows = session.client.user_groups.list(page_size=1_000)
    show_list(rows, USER_GROUPS, output, lambda each: f"user-group/{each.name}")


@click.command()
@click.argument("name", shell_complete=complete_user_groups)
@with_output
@pass_session
def show_user_group(session: Session, name: str, output: str) -> None:
    """Show where the users of a group are, and how many."""
    found = session.client.user_groups.show(name).summary

    def draw() -> None:
        write_pairs((("user group", found.name), ("version", found.number), ("set", format_time(found.recorded_us))))
        write_table(found.points, _POINTS)

    show_value(found, output, f"user-group/{found.name}", draw)


@click.command()
@click.argument("name", shell_complete=complete_user_groups)
@with_yes
@with_dry_run
@pass_session
def remove_user_group(session: Session, name: str, yes: bool, dry_run: bool) -> None:
    """Forget a group of users. Apps that were signed with it stay where they are."""
    groups = session.client.user_groups
    number = groups.show(name).summary.number
    if _may_forget(session, f"user group {name}, version {number}", yes=yes, dry_run=dry_run):
        groups.remove(name, expect=number)
        tell(f"user group {name} is forgotten")


def _may_forget(session: Session, what: str, *, yes: bool, dry_run: bool) -> bool:
    if dry_run:
        tell(f"would forget {what}")
        return False
    confirm(session, f"Forget {what}? {_KEPT}", yes=yes)
    return True
