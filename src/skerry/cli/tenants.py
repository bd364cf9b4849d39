"""``skerry tenant``: owners of apps. Their deploy keys are made by the signer; sites admit them by signed records."""

import click
import msgspec

from skerry.cli.options import pass_session, with_dry_run
from skerry.cli.output import Column, format_time, show_list, show_value, tell, with_output, write_pairs, write_value
from skerry.cli.session import Session
from skerry.model.answers import TenantMade, TenantView
from skerry.model.errors import Conflict, NotFound, Refused
from skerry.model.ids import TenantName, is_name
from skerry.model.signed import SiteRecord
from skerry.sdk.siting import admit_tenant
from skerry.trust.keys import key_id
from skerry.trust.parse import parse_payload

COLUMNS: tuple[Column[TenantView], ...] = (
    Column("tenant", lambda each: each.tenant),
    Column("keys", lambda each: tuple(key_id(key)[:12] for key in each.deploy_keys.keys)),
    Column("created", lambda each: format_time(each.created_us)),
    Column("threshold", lambda each: each.deploy_keys.threshold, wide=True),
)


class TenantShown(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant and where it may run."""

    tenant: TenantView
    #: Ids of its deploy keys.
    keys: tuple[str, ...]
    #: Sites whose signed record admits it with these keys, sorted.
    sites: tuple[str, ...]


@click.command()
@with_output
@pass_session
def list_tenants(session: Session, output: str) -> None:
    """List tenants."""
    show_list(session.client.tenants.list(page_size=1_000), COLUMNS, output, lambda each: f"tenant/{each.tenant}")


@click.command()
@click.argument("tenant")
@with_output
@pass_session
def show(session: Session, tenant: str, output: str) -> None:
    """Show a tenant and the sites that admit it."""
    view = _find(session, tenant)
    if view is None:
        raise NotFound("E-NOT-FOUND", f"No tenant is called {tenant!r}.", hint="skerry tenant list")
    shown = TenantShown(
        tenant=view, keys=tuple(map(key_id, view.deploy_keys.keys)), sites=_list_admitting(session, view)
    )
    show_value(shown, output, f"tenant/{tenant}", lambda: _draw(shown))


def _draw(shown: TenantShown) -> None:
    view = shown.tenant
    write_pairs(
        (
            ("tenant", view.tenant),
            ("keys", shown.keys),
            ("threshold", view.deploy_keys.threshold),
            ("created", format_time(view.created_us)),
            ("sites", shown.sites or "none"),
        )
    )


@click.command()
@click.argument("tenant")
@click.option("--sites", default=None, metavar="SELECTOR", help='Admit it at these sites too; "" is all that exist.')
@with_dry_run
@with_output
@pass_session
def create(session: Session, tenant: str, sites: str | None, dry_run: bool, output: str) -> None:
    """Make a tenant: the signer makes its deploy key, the core its first token, which is shown once.

    Sites that are made later admit it unasked; those that exist need a new record, which --sites has signed.
    """
    if not is_name(tenant):
        raise Refused(
            "E-NAME", f"{tenant!r} is no name: use a-z, 0-9 and -, at most 63.", hint="skerry tenant create NAME"
        )
    if _find(session, tenant) is not None:
        raise Conflict("E-EXISTS", f"There is a tenant {tenant} already.", hint=f"skerry tenant show {tenant}")
    admitting = [] if sites is None else [each.site for each in _list_sites(session, sites)]
    if dry_run:
        tell(f"would make tenant {tenant} with a deploy key at the signer, admitted at {len(admitting)} sites")
        return
    name = TenantName(tenant)
    keys = session.signer.make_tenant(name).tenants[name]
    made = session.client.tenants.create(tenant=tenant, deploy_keys=keys)
    _show_made(session, made, output)
    for site in admitting:
        session.client.perform(admit_tenant(site, name, keys))
        tell(f"site {site} admits {tenant}")


def _show_made(session: Session, made: TenantMade, output: str) -> None:
    if output in ("json", "yaml"):
        write_value(made, output)
        return
    tenant, context = made.tenant.tenant, session.context
    tell(f"tenant {tenant} is made; its first token is shown this once:")
    click.echo(made.first.token)
    tell(f"Next: skerry context set {tenant} --url {context.url} --tenant {tenant} --signer {context.signer}")


def _find(session: Session, tenant: str) -> TenantView | None:
    return next((each for each in session.client.tenants.list(page_size=1_000) if each.tenant == tenant), None)


def _list_sites(session: Session, selector: str) -> list[SiteRecord]:
    """Return what the core says of the records; each is verified before it is signed anew."""
    found = [
        parse_payload(envelope.payload, SiteRecord)
        for envelope in session.client.sites.list_records(page_size=1_000, label_selector=selector)
    ]
    return [record for record in found if isinstance(record, SiteRecord)]


def _list_admitting(session: Session, view: TenantView) -> tuple[str, ...]:
    records = _list_sites(session, "")
    return tuple(sorted(each.site for each in records if each.tenants.get(view.tenant) == view.deploy_keys))
