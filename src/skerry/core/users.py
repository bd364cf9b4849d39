"""People who hold API tokens, and the roles that people and tokens have.

A person has a name, the roles that their tokens may have at most, and tokens; the audit chain names both. There are no
passwords: who may ask is proved by a token and by nothing else (core/auth.py).
"""

from skerry.core.auth import Caller, make_token, within
from skerry.core.members import make_token_row, view_token
from skerry.core.refusals import Clash, forbidden, not_found
from skerry.core.state import Part, Stamp
from skerry.model.answers import Page, RoleView, TokenMade, UserDetail, UserMade, UserRemoved, UserView
from skerry.model.asks import CreateUser, PageQuery
from skerry.model.errors import Invalid
from skerry.model.ids import TenantName
from skerry.operations import OPERATIONS, OPERATOR_ROLES, TENANT_ROLES, is_allowed
from skerry.store import Connection, access, users
from skerry.store.rows import read_page_token, write_page_token
from skerry.store.users import UserRow


class UsersPart(Part):
    """Operations on people and roles."""

    async def list_users(self, caller: Caller, *, query: PageQuery) -> Page[UserView]:
        """List people by name."""
        position = read_page_token(query.page_token, 2)
        now_us = self._core.clock.wall_us()

        def job(connection: Connection) -> Page[UserView]:
            after = (position[0], position[1]) if position else ("", "")
            rows = users.list_users(connection, caller.scope, after, query.page_size + 1)
            shown = rows[: query.page_size]
            counts = users.count_tokens(connection, caller.scope, now_us)
            items = tuple(_view(row, counts.get((row.tenant, row.name), 0)) for row in shown)
            more = len(rows) > query.page_size
            token = write_page_token(shown[-1].name, shown[-1].tenant) if more else ""
            return Page(items=items, next_page_token=token)

        return await self._core.db.read(job)

    async def show_user(self, caller: Caller, *, user: str) -> UserDetail:
        """Show a person and the tokens they hold or held."""
        now_us = self._core.clock.wall_us()

        def job(connection: Connection) -> UserDetail:
            row = _find(connection, caller, user)
            held = (access.find_token(connection, each) for each in users.list_held(connection, row))
            tokens = tuple(view_token(each, now_us, row.name) for each in held if each is not None)
            return UserDetail(summary=_view(row, sum(each.state == "live" for each in tokens)), tokens=tokens)

        return await self._core.db.read(job)

    async def create_user(self, caller: Caller, *, body: CreateUser) -> UserMade:
        """Note a person, and make a first token that may do all that they may."""
        if not body.tenant_role and not body.operator_role:
            raise Invalid("E-ROLE", "A person needs a tenant's role, an operator's role, or both.")
        if not within(caller, body.tenant_role, body.operator_role):
            raise forbidden("admin")
        text, identity, hashed = make_token(self._core.mint)
        tenant = caller.tenant or TenantName("")

        def job(connection: Connection, stamp: Stamp) -> UserMade:
            known = users.find_user(connection, caller.scope, body.name)
            if known is not None and known.tenant == tenant:
                raise Clash("E-EXISTS", f"There is a person {body.name} already.", hint=f"skerry user show {body.name}")
            person = UserRow(
                tenant=tenant,
                name=body.name,
                tenant_role=body.tenant_role,
                operator_role=body.operator_role,
                created_us=stamp.now_us,
            )
            first = make_token_row(body, tenant, identity, hashed, stamp.now_us)
            users.record_user(connection, person)
            access.record_token(connection, first)
            users.give_token(connection, identity, tenant, body.name)
            made = TokenMade(token=text, view=view_token(first, stamp.now_us, body.name))
            return UserMade(user=_view(person, 1), first=made)

        return await self._core.change(caller, "create_user", f"user/{body.name}", job, chain=tenant)

    async def remove_user(self, caller: Caller, *, user: str) -> UserRemoved:
        """Forget a person; in the same transaction all their tokens end."""

        def job(connection: Connection, stamp: Stamp) -> UserRemoved:
            row = _find(connection, caller, user)
            return UserRemoved(name=row.name, ended=users.remove_user(connection, row))

        return await self._core.change(caller, "remove_user", f"user/{user}", job, chain=caller.tenant or "")

    async def list_roles(self, caller: Caller) -> tuple[RoleView, ...]:
        """List the roles and what each may do, a tenant's before the operator's."""
        tenants = (
            RoleView(
                role=role,
                of="tenant",
                permissions=tuple(sorted(TENANT_ROLES[role])),
                operations=tuple(each.name for each in OPERATIONS if each.built and is_allowed(each, role, "")),
            )
            for role in TENANT_ROLES
            if role
        )
        operators = (
            RoleView(
                role=role,
                of="operator",
                permissions=tuple(sorted(OPERATOR_ROLES[role])),
                operations=tuple(each.name for each in OPERATIONS if each.built and is_allowed(each, "", role)),
            )
            for role in OPERATOR_ROLES
            if role
        )
        return (*tenants, *operators)


def _find(connection: Connection, caller: Caller, name: str) -> UserRow:
    row = users.find_user(connection, caller.scope, name)
    if row is None:
        raise not_found()
    return row


def _view(row: UserRow, tokens: int) -> UserView:
    return UserView(
        name=row.name,
        tenant=row.tenant,
        tenant_role=row.tenant_role,
        operator_role=row.operator_role,
        created_us=row.created_us,
        tokens=tokens,
    )
