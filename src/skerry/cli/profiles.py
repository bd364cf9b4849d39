"""``skerry profile``: what apps may ask of the walls around them. Built in, so no core is asked."""

import click

from skerry.cli.options import pass_session
from skerry.cli.output import Column, show_list, show_value, with_output, write_pairs
from skerry.cli.session import Session
from skerry.model.errors import NotFound
from skerry.model.profile import PROFILES, Grants, describe_profile

COLUMNS: tuple[Column[Grants], ...] = (
    Column("profile", lambda each: each.profile),
    Column("capabilities", lambda each: len(each.capabilities) or "none"),
    Column("root", lambda each: "writable" if each.writable_root else "read only"),
)


def complete_profiles(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of a profile."""
    return [name for name in PROFILES if name.startswith(incomplete)]


@click.command()
@with_output
@pass_session
def list_profiles(session: Session, output: str) -> None:
    """List profiles; needs no core."""
    show_list(map(describe_profile, PROFILES), COLUMNS, output, lambda each: f"profile/{each.profile}")


@click.command()
@click.argument("profile", shell_complete=complete_profiles)
@with_output
@pass_session
def show(session: Session, profile: str, output: str) -> None:
    """Show all that a profile grants; needs no core."""
    try:
        grants = describe_profile(profile)
    except KeyError:
        raise NotFound("E-NOT-FOUND", f"No profile is called {profile!r}.", hint="skerry profile list") from None
    show_value(grants, output, f"profile/{profile}", lambda: _draw(grants))


def _draw(grants: Grants) -> None:
    write_pairs(
        (
            ("profile", grants.profile),
            ("capabilities", grants.capabilities or "none"),
            ("root", "writable" if grants.writable_root else "read only"),
            ("sysctls", grants.sysctls),
            ("mount options", grants.mount_options),
            ("ranges", grants.ranges),
            ("always", grants.walls),
        )
    )
