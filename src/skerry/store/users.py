"""People who hold API tokens, and which token is whose."""

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, update

from skerry.model.asks import OperatorRole, TenantRole
from skerry.model.ids import TenantName, TokenId
from skerry.store.schema import TOKEN_USERS, TOKENS, USERS
from skerry.store.scope import Scope, owned


class UserRow(msgspec.Struct, frozen=True, kw_only=True):
    """A person: a tenant's, or (with an empty tenant) one of the operator's; the most that their tokens may do."""

    tenant: TenantName
    name: str
    tenant_role: TenantRole
    operator_role: OperatorRole
    created_us: int


def record_user(connection: Connection, row: UserRow) -> None:
    """Keep a new person."""
    connection.execute(insert(USERS).values(**msgspec.structs.asdict(row)))


def find_user(connection: Connection, scope: Scope, name: str) -> UserRow | None:
    """Return a person whom the scope may see; a tenant's own before one of the operator's."""
    query = owned(select(USERS), USERS.c.tenant, scope).where(USERS.c.name == name).order_by(USERS.c.tenant.desc())
    row = connection.execute(query).mappings().first()
    return None if row is None else UserRow(**row)


def list_users(connection: Connection, scope: Scope, after: tuple[str, str], limit: int) -> list[UserRow]:
    """Return people in the order of name and tenant."""
    name, tenant = after
    behind = (USERS.c.name > name) | ((USERS.c.name == name) & (USERS.c.tenant > tenant))
    query = owned(select(USERS), USERS.c.tenant, scope).where(behind).order_by(USERS.c.name, USERS.c.tenant)
    return [UserRow(**row) for row in connection.execute(query.limit(limit)).mappings()]


def remove_user(connection: Connection, row: UserRow) -> int:
    """Forget a person and end all their tokens; return how many were still good for something."""
    theirs = select(TOKEN_USERS.c.token_id).where(TOKEN_USERS.c.tenant == row.tenant, TOKEN_USERS.c.name == row.name)
    where = TOKENS.c.token_id.in_(theirs), TOKENS.c.revoked.is_(False)
    ended = connection.execute(update(TOKENS).where(*where).values(revoked=True)).rowcount
    connection.execute(delete(USERS).where(USERS.c.tenant == row.tenant, USERS.c.name == row.name))
    return ended


def give_token(connection: Connection, token_id: TokenId, tenant: TenantName, name: str) -> None:
    """Note whose a new token is."""
    connection.execute(insert(TOKEN_USERS).values(token_id=token_id, tenant=tenant, name=name))


def list_held(connection: Connection, row: UserRow) -> list[TokenId]:
    """Return the ids of the tokens that a person holds or held."""
    query = select(TOKEN_USERS.c.token_id).where(TOKEN_USERS.c.tenant == row.tenant, TOKEN_USERS.c.name == row.name)
    return [TokenId(token) for token in connection.execute(query.order_by(TOKEN_USERS.c.token_id)).scalars()]


def find_holder(connection: Connection, token_id: str) -> str:
    """Return the name of the person who holds a token; empty for a token that is nobody's."""
    query = select(TOKEN_USERS.c.name).where(TOKEN_USERS.c.token_id == token_id)
    return connection.execute(query).scalar() or ""


def read_holders(connection: Connection, scope: Scope) -> dict[TokenId, str]:
    """Return whose each token is, of those that the scope may see."""
    query = owned(select(TOKEN_USERS.c.token_id, TOKEN_USERS.c.name), TOKEN_USERS.c.tenant, scope)
    return {TokenId(row.token_id): row.name for row in connection.execute(query)}


def count_tokens(connection: Connection, scope: Scope, now_us: int) -> dict[tuple[str, str], int]:
    """Count the live tokens of each person, by tenant and name."""
    live = TOKENS.c.revoked.is_(False), (TOKENS.c.expires_us == 0) | (TOKENS.c.expires_us > now_us)
    query = select(TOKEN_USERS.c.tenant, TOKEN_USERS.c.name, func.count()).where(
        TOKENS.c.token_id == TOKEN_USERS.c.token_id, *live
    )
    query = owned(query, TOKEN_USERS.c.tenant, scope).group_by(TOKEN_USERS.c.tenant, TOKEN_USERS.c.name)
    return {(tenant, name): count for tenant, name, count in connection.execute(query)}
