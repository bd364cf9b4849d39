"""``skerry user`` and ``skerry role``: people who hold API tokens, and what roles let them do.

There are no passwords and no single sign-on: a person is a name under which tokens are held, and end together.
"""

from typing import get_args

import click

from skerry.cli.access import COLUMNS as TOKENS
from skerry.cli.access import show_made
from skerry.cli.asking import confirm
from skerry.cli.names import complete_roles, complete_users
from skerry.cli.options import DURATION, pass_session, with_dry_run, with_yes
from skerry.cli.output import (
    Column,
    format_time,
    show_list,
    show_value,
    tell,
    with_output,
    write_pairs,
    write_section,
)
from skerry.cli.session import Session
from skerry.model.answers import RoleView, UserDetail, UserView
from skerry.model.asks import OperatorRole, TenantRole
from skerry.model.errors import NotFound

_USERS: tuple[Column[UserView], ...] = (
    Column("user", lambda user: user.name),
    Column("tenant", lambda user: user.tenant or "operators"),
    Column("role", lambda user: user.tenant_role),
    Column("operator", lambda user: user.operator_role),
    Column("tokens", lambda user: user.tokens),
    Column("created", lambda user: format_time(user.created_us)),
)
_ROLES: tuple[Column[RoleView], ...] = (
    Column("role", lambda role: role.role),
    Column("of", lambda role: role.of),
    Column("permissions", lambda role: role.permissions),
    Column("operations", lambda role: len(role.operations)),
)


@click.command()
@with_output
@pass_session
def list_users(session: Session, output: str) -> None:
    """List the tenant's people, or the operator's own, and how many live tokens each holds."""
    show_list(session.client.users.list(page_size=1_000), _USERS, output, lambda user: f"user/{user.name}")


@click.command()
@click.argument("name", shell_complete=complete_users)
@with_output
@pass_session
def show_user(session: Session, name: str, output: str) -> None:
    """Show a person and the tokens they hold or held."""
    found = _show(session, name)
    show_value(found, output, f"user/{name}", lambda: _draw(found))


@click.command()
@click.argument("name")
@click.option(
    "--role", type=click.Choice(get_args(TenantRole)), default="viewer", help="The most they may do as a tenant's."
)
@click.option("--operator-role", type=click.Choice(get_args(OperatorRole)), default="", help="And as the operator's.")
@click.option(
    "--lifetime", type=DURATION, default="90d", show_default=True, help="How long the first token is good; 0s: no end."
)
@with_dry_run
@with_output
@pass_session
def create(
    session: Session,
    name: str,
    role: TenantRole,
    operator_role: OperatorRole,
    lifetime: int,
    dry_run: bool,
    output: str,
) -> None:
    """Note a person who holds API tokens, and make a first one; it is shown once and kept nowhere.

    The audit chain names the person with each token of theirs. `skerry token create --user` makes further ones.
    """
    if dry_run:
        tell(f"would note {name} with role {role or 'none'} and make a first token")
        return
    made = session.client.users.create(name=name, tenant_role=role, operator_role=operator_role, lifetime_s=lifetime)
    tell(f"{name} may do what {role or operator_role} may")
    show_made(made, made.first, output)


@click.command()
@click.argument("name", shell_complete=complete_users)
@with_yes
@with_dry_run
@with_output
@pass_session
def remove(session: Session, name: str, yes: bool, dry_run: bool, output: str) -> None:
    """Forget a person and end all their tokens at once."""
    found = _show(session, name).summary
    if dry_run:
        tell(f"would forget {name} and end {found.tokens} tokens")
        return
    confirm(session, f"Forget {name} and end {found.tokens} tokens? Whoever uses them is turned away at once.", yes=yes)
    removed = session.client.users.remove(name)
    tell(f"{name} is forgotten, {removed.ended} tokens are ended")
    if output != "table":
        show_value(removed, output, f"user/{name}", lambda: None)


@click.command()
@with_output
@pass_session
def list_roles(session: Session, output: str) -> None:
    """List roles and what each may do."""
    show_list(session.client.core.list_roles(), _ROLES, output, lambda role: f"role/{role.of}/{role.role}")


@click.command()
@click.argument("role", shell_complete=complete_roles)
@with_output
@pass_session
def show_role(session: Session, role: str, output: str) -> None:
    """Show every operation that a role may use; of a role that tenants and operators have, both."""
    found = [each for each in session.client.core.list_roles() if role in (each.role, f"{each.of}/{each.role}")]
    if not found:
        raise NotFound("E-NOT-FOUND", f"There is no role {role!r}.", hint="skerry role list")
    if output != "table":
        show_list(found, _ROLES, output, lambda each: f"role/{each.of}/{each.role}")
        return
    for each in found:
        write_pairs([(column.title, column.read(each)) for column in _ROLES if column.title != "operations"])
        for name in each.operations:
            click.echo(f"  {name}")


def _show(session: Session, name: str) -> UserDetail:
    try:
        return session.client.users.show(name)
    except NotFound as error:
        raise NotFound(error.code, f"There is no person {name!r}.", hint="skerry user list") from error


def _draw(found: UserDetail) -> None:
    write_pairs([(column.title, column.read(found.summary)) for column in _USERS])
    write_section("Tokens", found.tokens, TOKENS)
    tell(f"\nNext: skerry token create NAME --user {found.summary.name}")
