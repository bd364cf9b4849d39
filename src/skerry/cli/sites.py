"""``skerry site``: places where apps run. Records are signed by the operator's signer, the core only keeps them."""

import math

import click

from skerry.cli.asking import confirm
from skerry.cli.names import complete_sites
from skerry.cli.options import (
    DURATION,
    pass_session,
    split_pair,
    with_dry_run,
    with_watch,
    with_yes,
)
from skerry.cli.output import (
    Column,
    format_age,
    format_bytes,
    format_time,
    show_list,
    show_value,
    tell,
    with_output,
    write_pairs,
    write_section,
    write_value,
)
from skerry.cli.session import Session
from skerry.cli.uplinks import COLUMNS as UPLINKS
from skerry.cli.views import CONDITIONS, EVENTS, INSTANCES, NODES, STAYING
from skerry.cli.watching import show_again
from skerry.model.answers import JoinTokenView, LinkBytes, NodeView, SiteDetail, SiteSummary
from skerry.model.errors import NotFound
from skerry.sdk.policy import is_loopback
from skerry.sdk.siting import Joining, change_labels, read_site

_JOIN_TOKENS: tuple[Column[JoinTokenView], ...] = (
    Column("token", lambda each: each.token_id),
    Column("site", lambda each: each.site),
    Column("state", lambda each: each.state),
    Column("node", lambda each: each.node or ""),
    Column("ends", lambda each: format_time(each.expires_us)),
)
COLUMNS: tuple[Column[SiteSummary], ...] = (
    Column("site", lambda site: site.site),
    Column("state", lambda site: site.state),
    Column("ready", lambda site: f"{site.ready}/{site.instances}"),
    Column("heard", lambda site: format_age(site.heard_s_ago)),
    Column("labels", lambda site: site.labels),
    Column("conditions", lambda site: tuple(condition.kind for condition in site.conditions)),
    Column("nodes", lambda site: site.nodes, wide=True),
    Column("region", lambda site: site.region, wide=True),
    Column("country", lambda site: site.country, wide=True),
    Column("settled", lambda site: site.settled, wide=True),
    Column("record", lambda site: site.number, wide=True),
)
_LINK: tuple[Column[LinkBytes], ...] = (
    Column("purpose", lambda each: each.purpose),
    Column("sent", lambda each: format_bytes(each.sent)),
    Column("received", lambda each: format_bytes(each.received)),
)


@click.command()
@click.option("-l", "--selector", default="", help="Only sites whose labels match, for example tier=store.")
@with_output
@with_watch
@pass_session
def list_sites(session: Session, selector: str, output: str, watch: bool) -> None:
    """List sites with their state."""

    def read() -> list[SiteSummary]:
        return list(session.client.sites.list(page_size=1_000, label_selector=selector))

    show_again(read, COLUMNS, output, lambda site: f"site/{site.site}", watch=watch)


@click.command()
@click.argument("site", shell_complete=complete_sites)
@with_output
@pass_session
def show(session: Session, site: str, output: str) -> None:
    """Show a site: facts, conditions, events, link."""
    detail = session.client.sites.show(site)
    show_value(detail, output, f"site/{site}", lambda: _draw(detail))


def _draw(detail: SiteDetail) -> None:
    summary, document = detail.summary, detail.document
    refused = f", refused: {document.refused_code} {document.refused_reason}" if document.refused_code else ""
    write_pairs(
        (
            ("site", summary.site),
            ("state", summary.state),
            ("heard", format_age(summary.heard_s_ago)),
            ("labels", summary.labels),
            ("region", summary.region),
            ("country", summary.country),
            ("tenants", detail.tenants),
            ("document", f"{document.epoch}.{document.held} held of {document.epoch}.{document.wanted}{refused}"),
            ("settled", summary.settled),
            ("record", summary.number),
            ("link", detail.link_class),
            ("relays", f"by UDP ports {detail.relay}" if detail.relay else ""),
            ("unknown", detail.unknown),
        )
    )
    nodes: tuple[NodeView, ...] = detail.node_list
    link: tuple[LinkBytes, ...] = detail.link_bytes
    write_section("Nodes", nodes, NODES)
    write_section("Instances", detail.instances, INSTANCES)
    write_section("Still here", detail.staying, STAYING)
    write_section("Uplinks", detail.uplinks, UPLINKS)
    write_section("Link", link, _LINK)
    write_section("Conditions", summary.conditions, CONDITIONS)
    write_section("Events", detail.events, EVENTS)
    if detail.learning:
        tell("\nNext: apply its apps again; it holds a newer document than the core knows")
    elif not nodes:
        tell(f"\nNext: skerry site join-token {summary.site}")


@click.command()
@click.argument("site")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A label; may be repeated.")
@click.option("--region", default="", help="Region, for spreading.")
@click.option("--country", default="", help="Country, two letters.")
@click.option("--position", default="", metavar="LAT,LON", help="Where it is, in degrees.")
@click.option("--lifetime", type=DURATION, default="1h", show_default=True, help="How long the join token is good.")
@with_dry_run
@with_output
@pass_session
def add(
    session: Session,
    site: str,
    labels: tuple[str, ...],
    region: str,
    country: str,
    position: str,
    lifetime: int,
    dry_run: bool,
    output: str,
) -> None:
    """Make a site and print the one line to paste on its box."""
    where = _read_position(position)
    given = dict(map(split_pair, labels))
    if dry_run:
        tell(f"would make site {site} and a join token good for {lifetime} s")
        return
    joining = session.client.sites.add(
        site, labels=given, region=region, country=country, position=where, lifetime_s=lifetime
    )
    tell(f"site {site} is made")
    _show_line(joining, lifetime, output)


@click.command("join-token")
@click.argument("site", required=False, shell_complete=complete_sites)
@click.option("--lifetime", type=DURATION, default="1h", show_default=True, help="How long it is good, up to 30d.")
@click.option("--list", "listed", is_flag=True, help="List join tokens instead, of SITE or of all.")
@click.option("--revoke", metavar="TOKEN", help="End the join token of this id instead.")
@with_output
@pass_session
def join_token(
    session: Session, site: str | None, lifetime: int, listed: bool, revoke: str | None, output: str
) -> None:
    """Mint another join token for a site: for one box, once. Or list join tokens, or end one."""
    if listed:
        tokens = [each for each in session.client.join_tokens.list(page_size=1_000) if site in (None, each.site)]
        show_list(tokens, _JOIN_TOKENS, output, lambda each: f"join-token/{each.token_id}")
        return
    if revoke:
        _revoke(session, revoke)
        return
    if site is None:
        raise click.UsageError("Name a site, or say --list or --revoke.")
    session.client.sites.show(site)
    _show_line(session.client.sites.make_join_token(site, lifetime), lifetime, output)


def _revoke(session: Session, token: str) -> None:
    try:
        ended = session.client.join_tokens.revoke(token)
    except NotFound as error:
        raise NotFound(
            error.code, f"There is no join token {token!r}.", hint="skerry site join-token --list"
        ) from error
    tell(f"join token {ended.token_id} of site {ended.site} is {ended.state}: no box joins with it")


def reaches_only_here(endpoints: str) -> bool:
    """Say whether every address under which boxes would look for the core is a machine's own."""
    return all(is_loopback(f"//{endpoint}") for endpoint in endpoints.split(","))


def _show_line(joining: Joining, lifetime_s: int, output: str) -> None:
    """Print the one line for the box."""
    if output in ("json", "yaml"):
        write_value(joining, output)
        return
    tell(f"paste this on the box, within {lifetime_s // 60} minutes:")
    click.echo(joining.command)
    if reaches_only_here(joining.core):
        tell(
            "That address is this machine itself: another box cannot reach it. A core says at its first start where "
            "sites reach it: skerry up --listen 0.0.0.0 --endpoint NAME:7711"
        )


@click.command()
@click.argument("site", shell_complete=complete_sites)
@click.argument("changes", nargs=-1, required=True, metavar="KEY=VALUE|KEY-...")
@with_dry_run
@pass_session
def label(session: Session, site: str, changes: tuple[str, ...], dry_run: bool) -> None:
    """Set or remove labels of a site: KEY=VALUE sets, KEY- removes."""
    wanted: dict[str, str | None] = {}
    for change in changes:
        if change.endswith("-") and "=" not in change:
            wanted[change[:-1]] = None
        else:
            key, value = split_pair(change)
            wanted[key] = value
    if dry_run:
        record, _ = session.client.perform(read_site(site))
        tell(f"would give site {site} the labels {change_labels(record, wanted)}")
        return
    is_changed = session.client.sites.label(site, wanted)
    tell(f"site {site} is labelled" if is_changed else f"site {site} has these labels already")


@click.command()
@click.argument("site", shell_complete=complete_sites)
@with_yes
@with_dry_run
@pass_session
def remove(session: Session, site: str, yes: bool, dry_run: bool) -> None:
    """Forget a site: its link is refused from now on. What runs there goes on."""
    detail = session.client.sites.show(site)
    apps = {instance.app for instance in detail.instances}
    what = f"{len(detail.instances)} instances of {len(apps)} apps at {len(detail.node_list)} nodes"
    if dry_run:
        tell(f"would forget site {site} with {what}")
        return
    confirm(session, f"Forget site {site} with {what}? They go on running.", yes=yes)
    session.client.sites.remove(site, expect=detail.summary.number)
    tell(f"site {site} is forgotten")


def _read_position(text: str) -> tuple[float, float] | None:
    if not text:
        return None
    try:
        latitude, longitude = map(float, text.split(","))
    except ValueError:
        latitude = longitude = math.nan
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        raise click.BadParameter(f"{text!r} is no position: write it like 59.91,10.75.")
    return latitude, longitude
