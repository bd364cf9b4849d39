"""``skerry site``: places where apps run. Records are signed by the operator's signer, the core only keeps them."""

import click

from skerry.cli.asking import confirm
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
    show_value,
    tell,
    with_output,
    write_pairs,
    write_section,
    write_value,
)
from skerry.cli.session import Session
from skerry.cli.views import CONDITIONS, EVENTS, INSTANCES
from skerry.cli.watching import show_again
from skerry.model.answers import LinkBytes, NodeView, SiteDetail, SiteSummary
from skerry.model.errors import Conflict, Refused
from skerry.model.ids import SiteName, is_name
from skerry.model.signed import Envelope, SiteRecord
from skerry.model.signing import SignSite
from skerry.sdk.client import Client
from skerry.sdk.signing import SignerClient
from skerry.sdk.verifying import read_record

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
_NODES: tuple[Column[NodeView], ...] = (
    Column("node", lambda node: node.node),
    Column("keys", lambda node: node.key_class),
    Column("cpu", lambda node: f"{node.cpu_m / 1000:g}" if node.reported else ""),
    Column("memory", lambda node: format_bytes(node.memory_bytes) if node.reported else ""),
    Column("disk free", lambda node: format_bytes(node.disk_free_bytes) if node.reported else ""),
    Column("arch", lambda node: node.arch),
    Column("agent", lambda node: node.agent),
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
@click.argument("site")
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
            ("unknown", detail.unknown),
        )
    )
    nodes: tuple[NodeView, ...] = detail.node_list
    link: tuple[LinkBytes, ...] = detail.link_bytes
    write_section("Nodes", nodes, _NODES)
    write_section("Instances", detail.instances, INSTANCES)
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
    latitude, longitude = _read_position(position)
    wanted = SignSite(
        site=_read_name(site),
        number=1,
        labels=dict(map(split_pair, labels)),
        region=region,
        country=country,
        latitude_udeg=latitude,
        longitude_udeg=longitude,
    )
    if dry_run:
        tell(f"would make site {site} and a join token good for {lifetime} s")
        return
    token = make_site(session.client, session.signer, wanted, lifetime)
    tell(f"site {site} is made")
    _show_line(session, wanted.site, token, lifetime, output)


@click.command("join-token")
@click.argument("site")
@click.option("--lifetime", type=DURATION, default="1h", show_default=True, help="How long it is good, up to 30d.")
@with_output
@pass_session
def join_token(session: Session, site: str, lifetime: int, output: str) -> None:
    """Mint another join token for a site: for one box, once."""
    session.client.sites.show(site)
    token = mint_token(session.client, session.signer, SiteName(site), lifetime)
    _show_line(session, SiteName(site), token, lifetime, output)


def make_site(client: Client, signer: SignerClient, wanted: SignSite, lifetime_s: int) -> str:
    """Make a site and return a join token for its first box."""
    _put(client, signer, wanted, expect=0)
    return mint_token(client, signer, wanted.site, lifetime_s)


def mint_token(client: Client, signer: SignerClient, site: SiteName, lifetime_s: int) -> str:
    """Mint a join token and let the core admit it."""
    minted = signer.mint_token(site, lifetime_s)
    client.join_tokens.create(token_id=minted.token_id, site=site, core_key=minted.core_key, lifetime_s=lifetime_s)
    return minted.token


def _show_line(session: Session, site: SiteName, token: str, lifetime_s: int, output: str) -> None:
    """Print the one line for the box."""
    endpoints = ",".join(session.client.core.show_core().endpoints)
    line = f"skerry agent join {token} --core {endpoints} --site {site}"
    if output in ("json", "yaml"):
        write_value({"site": site, "token": token, "core": endpoints, "command": line}, output)
        return
    tell(f"paste this on the box, within {lifetime_s // 60} minutes:")
    click.echo(line)


@click.command()
@click.argument("site")
@click.argument("changes", nargs=-1, required=True, metavar="KEY=VALUE|KEY-...")
@with_dry_run
@pass_session
def label(session: Session, site: str, changes: tuple[str, ...], dry_run: bool) -> None:
    """Set or remove labels of a site: KEY=VALUE sets, KEY- removes."""
    record, envelope = _read(session, site)
    labels = dict(record.labels)
    for change in changes:
        if change.endswith("-") and "=" not in change:
            labels.pop(change[:-1], None)
        else:
            key, value = split_pair(change)
            labels[key] = value
    if labels == record.labels:
        tell(f"site {site} has these labels already")
        return
    if dry_run:
        tell(f"would give site {site} the labels {labels}")
        return
    _put(
        session.client,
        session.signer,
        SignSite(site=record.site, number=record.number + 1, base=envelope, labels=labels),
        expect=record.number,
    )
    tell(f"site {site} is labelled")


@click.command()
@click.argument("site")
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


def _put(client: Client, signer: SignerClient, ask: SignSite, expect: int) -> None:
    """Sign a record and hand it in."""
    try:
        client.sites.put(ask.site, signer.sign_site(ask), expect=expect)
    except Conflict as error:
        raise type(error)(
            error.code, f"Site {ask.site} has been changed meanwhile, or is there already.", hint="skerry site list"
        ) from error


def _read(session: Session, site: str) -> tuple[SiteRecord, Envelope]:
    envelope = session.client.sites.read_record(site)
    return read_record(envelope, session.signer.read_status().root), envelope


def _read_name(site: str) -> SiteName:
    if not is_name(site):
        raise Refused("E-NAME", f"{site!r} is no name for a site: use a-z, 0-9 and -, at most 63.")
    return SiteName(site)


def _read_position(text: str) -> tuple[int | None, int | None]:
    if not text:
        return None, None
    try:
        latitude, longitude = (round(float(part) * 1_000_000) for part in text.split(","))
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{text!r} is no position: write it like 59.91,10.75.") from None
    return latitude, longitude
