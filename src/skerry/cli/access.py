"""``skerry token`` and ``skerry audit``: who may ask, and who did what."""

import re
from typing import Literal, get_args

import click

from skerry.cli.asking import confirm
from skerry.cli.names import complete_tokens, complete_users
from skerry.cli.options import DURATION, pass_session, with_dry_run, with_yes
from skerry.cli.output import Column, format_time, short, show_list, show_value, tell, with_output, write_pairs
from skerry.cli.session import Session
from skerry.model.answers import AuditEntry, TokenMade, TokenView
from skerry.model.asks import OperatorRole, TenantRole
from skerry.model.errors import NotFound
from skerry.sdk.client import Client

COLUMNS: tuple[Column[TokenView], ...] = (
    Column("token", lambda token: token.token_id),
    Column("name", lambda token: token.name),
    Column("user", lambda token: token.user),
    Column("state", lambda token: token.state),
    Column("role", lambda token: token.tenant_role),
    Column("operator", lambda token: token.operator_role),
    Column("created", lambda token: format_time(token.created_us)),
    Column("ends", lambda token: format_time(token.expires_us) or "never"),
)
#: A digest in a line of the chain; its beginning is enough to recognise it.
_DIGEST = re.compile(r"sha256:([0-9a-f]{12})[0-9a-f]{52}")
_AUDIT: tuple[Column[AuditEntry], ...] = (
    Column("seq", lambda entry: entry.seq),
    Column("time", lambda entry: format_time(entry.time_us)),
    Column("actor", lambda entry: entry.actor),
    Column("operation", lambda entry: entry.operation),
    Column("object", lambda entry: _DIGEST.sub(r"\1", entry.object)),
    Column("outcome", lambda entry: entry.outcome),
    Column("cause", lambda entry: entry.cause, wide=True),
    Column("hash", lambda entry: short(entry.hash.hex()), wide=True),
)


@click.command()
@with_output
@pass_session
def list_tokens(session: Session, output: str) -> None:
    """List the tenant's API tokens."""
    show_list(session.client.tokens.list(page_size=1_000), COLUMNS, output, lambda token: f"token/{token.token_id}")


@click.command()
@click.argument("name")
@click.option("--role", type=click.Choice(get_args(TenantRole)), default="viewer", help="What it may do as a tenant.")
@click.option("--operator-role", type=click.Choice(get_args(OperatorRole)), default="", help="And as an operator.")
@click.option("--lifetime", type=DURATION, default="90d", show_default=True, help="How long it is good; 0s has no end.")
@click.option("--user", default="", help="The person who holds it; it ends with them.", shell_complete=complete_users)
@with_dry_run
@with_output
@pass_session
def create(
    session: Session,
    name: str,
    role: TenantRole,
    operator_role: OperatorRole,
    lifetime: int,
    user: str,
    dry_run: bool,
    output: str,
) -> None:
    """Make an API token; it is shown once and kept nowhere."""
    if dry_run:
        tell(f"would make a token {name} with role {role or 'none'}")
        return
    made = session.client.tokens.create(
        name=name, tenant_role=role, operator_role=operator_role, lifetime_s=lifetime, user=user
    )
    show_made(made, made, output)


def show_made(whole: object, made: TokenMade, output: str) -> None:
    """Show a token that is shown this once: in a terminal by itself, for a program in the whole answer."""
    if output in ("json", "yaml", "jsonl"):
        show_value(whole, output, "", lambda: None)
        return
    tell(f"token {made.view.token_id} is shown this once:")
    click.echo(made.token)


@click.command()
@click.argument("token", shell_complete=complete_tokens)
@with_output
@pass_session
def show_token(session: Session, token: str, output: str) -> None:
    """Show an API token by its id or name, without its secret: whose it is, what it may do, and until when."""
    found = find_token(session.client, token)
    pairs = [(column.title, column.read(found)) for column in COLUMNS]
    show_value(found, output, f"token/{found.token_id}", lambda: write_pairs(pairs))


def find_token(client: Client, text: str) -> TokenView:
    """Return the token of an id or of a name that only one has."""
    found = [each for each in client.tokens.list(page_size=1_000) if text in (each.token_id, each.name)]
    if len(found) != 1:
        detail = f"No token is called {text!r}." if not found else f"{len(found)} tokens are called {text!r}."
        raise NotFound("E-TOKEN", detail, hint="skerry token list")
    return found[0]


@click.command()
@click.argument("token", shell_complete=complete_tokens)
@with_yes
@with_dry_run
@pass_session
def revoke(session: Session, token: str, yes: bool, dry_run: bool) -> None:
    """End an API token at once."""
    found = find_token(session.client, token)
    what = f"token {found.token_id} ({found.name})"
    if dry_run:
        tell(f"would end {what}")
        return
    confirm(session, f"End {what}? Whoever uses it is turned away at once.", yes=yes)
    session.client.tokens.revoke(found.token_id)
    tell(f"{what} is ended")


@click.command()
@click.option("--chain", type=click.Choice(("tenant", "operator")), default="tenant", show_default=True)
@with_output
@pass_session
def list_audit(session: Session, chain: Literal["tenant", "operator"], output: str) -> None:
    """List the audit chain, oldest first."""
    entries = session.client.core.list_audit(page_size=1_000, chain=chain)
    show_list(entries, _AUDIT, output, lambda entry: f"audit/{entry.seq}")
