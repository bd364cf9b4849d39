"""``skerry secret``: values that only the nodes of their sites can open. They come from a file, stdin or a prompt."""

import click

from skerry.cli.asking import confirm, read_secret
from skerry.cli.names import complete_secrets
from skerry.cli.options import pass_session, with_dry_run, with_yes
from skerry.cli.output import Column, format_time, show_list, show_value, tell, with_output, write_pairs
from skerry.cli.session import Session
from skerry.model.answers import SecretView
from skerry.model.errors import NotFound

COLUMNS: tuple[Column[SecretView], ...] = (
    Column("secret", lambda secret: secret.name),
    Column("version", lambda secret: secret.number),
    Column("keys", lambda secret: len(secret.sealed_for)),
    Column("used by", lambda secret: secret.used_by),
    Column("set", lambda secret: format_time(secret.recorded_us)),
)


@click.command()
@with_output
@pass_session
def list_secrets(session: Session, output: str) -> None:
    """List sealed secrets, without their values."""
    rows = session.client.secrets.list(page_size=1_000)
    show_list(rows, COLUMNS, output, lambda secret: f"secret/{secret.name}")


@click.command()
@click.argument("name", shell_complete=complete_secrets)
@with_output
@pass_session
def show(session: Session, name: str, output: str) -> None:
    """Show a secret without its value: its version, and for which keys of nodes it is sealed."""
    try:
        found = session.client.secrets.show(name)
    except NotFound as error:
        raise NotFound(error.code, f"There is no secret {name!r}.", hint="skerry secret list") from error
    show_value(found, output, f"secret/{name}", lambda: _draw(found))


def _draw(secret: SecretView) -> None:
    write_pairs([(column.title, column.read(secret)) for column in COLUMNS])
    for key in secret.sealed_for:
        click.echo(f"  sealed for {key}")


@click.command("set")
@click.argument("name", shell_complete=complete_secrets)
@click.option("--file", metavar="FILE", help="Read the value from here, byte for byte; - is stdin.")
@click.option("--sites", multiple=True, metavar="SELECTOR", help="Only for these sites, for example tier=store.")
@click.option("--again", is_flag=True, help="Make a new version although the value is as it was.")
@with_dry_run
@pass_session
def set_secret(
    session: Session, name: str, file: str | None, sites: tuple[str, ...], again: bool, dry_run: bool
) -> None:
    """Seal a value for the nodes at the tenant's sites; apps that use it are restarted with the new one."""
    value = read_secret(session, f"Value of {name}", file)
    if dry_run:
        tell(f"would seal {len(value)} bytes as secret {name}")
        return
    number = session.client.secrets.set(name, value, sites=sites, again=again)
    tell(f"secret {name}: version {number} is sealed" if number else f"secret {name} is so already")


@click.command()
@click.argument("name", shell_complete=complete_secrets)
@with_yes
@with_dry_run
@pass_session
def remove(session: Session, name: str, yes: bool, dry_run: bool) -> None:
    """Forget a secret that no app uses. Sites that hold it keep it as long as something there uses it."""
    found = session.client.secrets.show(name)
    what = f"secret {name}, version {found.number}, sealed for {len(found.sealed_for)} keys"
    if dry_run:
        tell(f"would forget {what}")
        return
    confirm(session, f"Forget {what}?", yes=yes)
    session.client.secrets.remove(name, expect=found.number)
    tell(f"secret {name} is forgotten")
