"""``skerry profile``: what apps may ask. Two are built in; an operator's own stand in the signed records of sites."""

from pathlib import Path

import click
import msgspec

from skerry.cli.asking import confirm
from skerry.cli.names import complete_profiles
from skerry.cli.options import pass_session, with_dry_run, with_yes
from skerry.cli.output import Column, show_list, show_value, tell, with_output, write_pairs, write_section
from skerry.cli.session import Session
from skerry.manifest.profiles import GivenProfile, read_profile
from skerry.manifest.values import Rejected
from skerry.model import limits
from skerry.model.answers import ProfileView
from skerry.model.errors import Conflict, Invalid, NotFound, Refused, SkerryError
from skerry.model.grants import BindGrant, Profile
from skerry.model.ids import is_name
from skerry.model.profile import PROFILES, Grants, describe_profile
from skerry.sdk.manifests import ManifestRefused
from skerry.sdk.siting import Granting


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A profile in a list: one that is built in, or one way in which sites have an operator's."""

    profile: str
    built_in: bool
    built: Grants | None = None
    own: ProfileView | None = None


COLUMNS: tuple[Column[Listed], ...] = (
    Column("profile", lambda each: each.profile),
    Column("sites", lambda each: "all" if each.own is None else each.own.site_count),
    Column("tenants", lambda each: "all" if each.own is None else each.own.grants.tenants),
    Column("grants", lambda each: "Docker's" if each.own is not None else _sum_up(each.built)),
    Column("and of the node", lambda each: "nothing" if each.own is None else _sum_up_own(each.own.grants)),
)


def _sum_up(grants: Grants | None) -> str:
    return "Docker's" if grants is not None and grants.capabilities else "no capability, no writable root"


def _sum_up_own(profile: Profile) -> str:
    return ", ".join(name for name, value in describe_own(profile) if value and name not in ("tenants", "description"))


def describe_own(profile: Profile) -> tuple[tuple[str, object], ...]:
    """Return what a profile of an operator's grants beyond ``default``, as words and values."""
    return (
        ("description", profile.description),
        ("tenants", profile.tenants),
        ("capabilities", profile.capabilities),
        ("devices", profile.devices),
        ("device rules", profile.device_rules),
        ("host", profile.host),
        ("binds", tuple(map(_write_bind, profile.binds))),
        ("privileged", "yes" if profile.privileged else ""),
        ("cpuset", "yes" if profile.cpuset else ""),
        ("security", profile.security),
    )


def _write_bind(grant: BindGrant) -> str:
    return f"{grant.path} (writable)" if grant.writable else grant.path


@click.command()
@with_output
@pass_session
def list_profiles(session: Session, output: str) -> None:
    """List profiles: those that are built in, and the operators' own."""
    found = [Listed(profile=name, built_in=True, built=describe_profile(name)) for name in PROFILES]
    try:
        own = list(session.client.profiles.list(page_size=1_000))
    except SkerryError as error:
        # The built-in ones are good to know without a core.
        tell(f"the operators' own are not known: {error.detail}")
        own = []
    found += [Listed(profile=each.profile, built_in=False, own=each) for each in own]
    show_list(found, COLUMNS, output, lambda each: f"profile/{each.profile}")


@click.command()
@click.argument("profile", shell_complete=complete_profiles)
@with_output
@pass_session
def show(session: Session, profile: str, output: str) -> None:
    """Show all that a profile grants; a built-in one needs no core."""
    if profile in PROFILES:
        grants = describe_profile(profile)
        show_value(grants, output, f"profile/{profile}", lambda: _draw(grants))
        return
    try:
        detail = session.client.profiles.show(profile)
    except NotFound:
        raise NotFound("E-NOT-FOUND", f"No profile is called {profile!r}.", hint="skerry profile list") from None

    def draw() -> None:
        for view in detail.variants:
            pairs = [("profile", profile), *((name, value) for name, value in describe_own(view.grants) if value)]
            write_pairs((*pairs, ("beside", "what profile default grants")))
            write_section("Sites", view.sites, (Column[str]("site", lambda each: each),))
            if view.site_count > len(view.sites):
                tell(f"and {view.site_count - len(view.sites)} sites more")

    show_value(detail, output, f"profile/{profile}", draw)


@click.command("set")
@click.option("-f", "--file", required=True, type=click.Path(path_type=Path), help="A document of kind Profile.")
@with_yes
@with_dry_run
@with_output
@pass_session
def set_profile(session: Session, file: Path, yes: bool, dry_run: bool, output: str) -> None:
    """Sign a profile into the records of the sites that its file names, and take it from all others."""
    given = _read(session, file)
    grants = _sum_up_own(given.profile) or "nothing"
    where = " or ".join(given.sites) or "every site"
    tenants = ", ".join(given.profile.tenants)
    if dry_run:
        tell(f"would grant tenants {tenants} by profile {given.name} at {where}: {grants}")
        return
    if given.profile.privileged or any(grant.writable for grant in given.profile.binds):
        question = f"Apps of {tenants} may then reach deep into the nodes of {where} ({grants}). Grant it?"
        confirm(session, question, yes=yes)
    found = session.client.profiles.grant(given.name, given.profile, given.sites)
    if not found.standing:
        hint = f"skerry site list -l '{given.sites[0]}'" if given.sites else "skerry site add NAME"
        raise Refused("E-SITE", f"No site is meant by {where}: profile {given.name} holds nowhere.", hint=hint)
    _tell_granting(found, given.name)
    show_value(found, output, f"profile/{given.name}", lambda: None)


@click.command()
@click.argument("profile", shell_complete=complete_profiles)
@with_yes
@with_dry_run
@pass_session
def remove(session: Session, profile: str, yes: bool, dry_run: bool) -> None:
    """Take a profile from every site: nothing starts under it any more. What runs goes on."""
    if profile in PROFILES:
        raise Conflict("E-CONFLICT", f"Profile {profile} is built in.", hint="skerry profile list")
    if not is_name(profile):
        raise Refused("E-NAME", f"{profile!r} is no name of a profile.", hint="skerry profile list")
    if dry_run:
        detail = session.client.profiles.show(profile)
        tell(f"would take profile {profile} from {sum(each.site_count for each in detail.variants)} sites")
        return
    confirm(session, f"Take profile {profile} from every site? What runs under it goes on.", yes=yes)
    found = session.client.profiles.end(profile)
    _tell_granting(found, profile)


def _read(session: Session, file: Path) -> GivenProfile:
    try:
        with file.open("rb") as source:
            content = source.read(limits.MANIFEST_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise Invalid("E-FILE", f"{file} cannot be read: {error.strerror}.") from error
    found = read_profile(content, str(file), session.environment)
    if isinstance(found, Rejected):
        raise ManifestRefused([str(file)], found)
    return found


def _tell_granting(found: Granting, name: str) -> None:
    for site in found.given:
        tell(f"site {site} has profile {name}")
    for site in found.taken:
        tell(f"site {site} has profile {name} no more")
    if not (found.given or found.taken):
        tell(f"all {len(found.standing)} sites have profile {name} so already")


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
