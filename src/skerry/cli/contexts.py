"""``skerry context``: which core to talk to, as whom, and which signer signs."""

from pathlib import Path

import click
import msgspec

from skerry.cli.asking import confirm, read_secret
from skerry.cli.names import complete_contexts
from skerry.cli.options import pass_session, with_yes
from skerry.cli.output import Column, show_list, show_value, tell, with_output, write_pairs
from skerry.cli.session import Session
from skerry.model.errors import Refused
from skerry.model.ids import TenantName
from skerry.sdk import contexts, policy
from skerry.sdk.contexts import Context


class Shown(msgspec.Struct, frozen=True):
    """A context without its token."""

    name: str
    current: bool
    url: str
    tenant: str
    signer: str
    has_token: bool


COLUMNS: tuple[Column[Shown], ...] = (
    Column("context", lambda each: each.name),
    Column("current", lambda each: "*" if each.current else ""),
    Column("core", lambda each: each.url),
    Column("tenant", lambda each: each.tenant),
    Column("signer", lambda each: each.signer, wide=True),
)


def _show(session: Session, name: str) -> Shown:
    config = session.places.config
    found = contexts.read_context(config, name)
    current = contexts.read_current(config) == name
    return Shown(name, current, found.url, found.tenant, found.signer, bool(found.token))


@click.command()
@with_output
@pass_session
def list_contexts(session: Session, output: str) -> None:
    """List contexts."""
    rows = [_show(session, name) for name in contexts.list_contexts(session.places.config)]
    show_list(rows, COLUMNS, output, lambda each: f"context/{each.name}")


@click.command()
@click.argument("name", shell_complete=complete_contexts, required=False)
@with_output
@pass_session
def show(session: Session, name: str | None, output: str) -> None:
    """Show a context, the current one without a name; never its token."""
    name = name or session.settings.context or contexts.read_current(session.places.config)
    if not name:
        raise Refused("E-CONTEXT", "No context is chosen.", hint="skerry context list")
    found = _show(session, name)
    pairs = (
        ("context", found.name),
        ("core", found.url),
        ("tenant", found.tenant),
        ("signer", found.signer),
        ("token", "yes" if found.has_token else "none"),
    )
    show_value(found, output, f"context/{name}", lambda: write_pairs(pairs))


@click.command()
@click.argument("name", shell_complete=complete_contexts)
@pass_session
def use(session: Session, name: str) -> None:
    """Choose the context that is used from now on."""
    contexts.use_context(session.places.config, name)
    tell(f"context {name} is used from now on")


@click.command("set")
@click.argument("name")
@click.option("--url", required=True, help="Address of the core's API.")
@click.option("--tenant", default="default", show_default=True, help="Whose apps.")
@click.option("--signer", default="", help="Path of the signer's socket.")
@click.option("--ca", type=click.Path(exists=True, dir_okay=False), help="File with the core's certificate authority.")
@click.option("--token-file", help="File with the token; - or a pipe is stdin, otherwise it is asked for.")
@click.option("--insecure", is_flag=True, help="Plain http to another machine: the network may be trusted.")
@pass_session
def set_context(
    session: Session,
    name: str,
    url: str,
    tenant: str,
    signer: str,
    ca: str | None,
    token_file: str | None,
    insecure: bool,
) -> None:
    """Make or change a context; its token is asked for, or read from a file or pipe, and never an argument."""
    token = read_secret(session, "Token", token_file).decode("ascii", "replace").strip()
    made = Context(
        url=policy.check_address(url, insecure=insecure),
        token=token,
        tenant=TenantName(tenant),
        signer=signer,
        ca=Path(ca).read_text(encoding="ascii", errors="replace") if ca else "",
        insecure=insecure,
    )
    contexts.write_context(session.places.config, name, made)
    if not contexts.read_current(session.places.config):
        contexts.use_context(session.places.config, name)
    tell(f"context {name} is set")


@click.command()
@click.argument("name", shell_complete=complete_contexts)
@with_yes
@pass_session
def remove(session: Session, name: str, yes: bool) -> None:
    """Forget a context."""
    contexts.read_context(session.places.config, name)
    confirm(session, f"Forget context {name} and its token?", yes=yes)
    contexts.remove_context(session.places.config, name)
    tell(f"context {name} is forgotten")
