"""Tenants, API tokens and the root document."""

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from skerry.model.asks import OperatorRole, TenantRole
from skerry.model.ids import TenantName, TokenId
from skerry.model.signed import Envelope, RoleKeys
from skerry.store.objects import pack_envelope, unpack_envelope
from skerry.store.schema import ROOTS, TENANTS, TOKENS
from skerry.store.scope import Scope, owned


class TokenRow(msgspec.Struct, frozen=True, kw_only=True):
    """An API token as stored: the secret's hash, never the secret."""

    token_id: TokenId
    tenant: TenantName
    name: str
    tenant_role: TenantRole
    operator_role: OperatorRole
    secret_hash: bytes
    created_us: int
    expires_us: int = 0
    revoked: bool = False
    used: bool = False
    bootstrap: bool = False


class TenantRow(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant and the deploy keys that speak for it."""

    tenant: TenantName
    deploy_keys: RoleKeys
    created_us: int


def record_token(connection: Connection, row: TokenRow) -> None:
    """Keep a new token."""
    connection.execute(insert(TOKENS).values(**msgspec.structs.asdict(row)))


def find_token(connection: Connection, token_id: str) -> TokenRow | None:
    """Return a token by its public half, whoever owns it: for authentication only."""
    row = connection.execute(select(TOKENS).where(TOKENS.c.token_id == token_id)).mappings().first()
    return None if row is None else TokenRow(**row)


def find_own_token(connection: Connection, scope: Scope, token_id: str) -> TokenRow | None:
    """Return a token of this scope; None when there is none."""
    query = owned(select(TOKENS), TOKENS.c.tenant, scope).where(TOKENS.c.token_id == token_id)
    row = connection.execute(query).mappings().first()
    return None if row is None else TokenRow(**row)


def list_tokens(connection: Connection, scope: Scope, after: str, limit: int) -> list[TokenRow]:
    """Return tokens in the order of their ids."""
    query = owned(select(TOKENS), TOKENS.c.tenant, scope).where(TOKENS.c.token_id > after)
    rows = connection.execute(query.order_by(TOKENS.c.token_id).limit(limit)).mappings()
    return [TokenRow(**row) for row in rows]


def mark_token_used(connection: Connection, token_id: TokenId) -> None:
    """Note that a token was presented for the first time."""
    connection.execute(update(TOKENS).where(TOKENS.c.token_id == token_id).values(used=True))


def revoke_token(connection: Connection, scope: Scope, token_id: str) -> TokenRow | None:
    """End a token of this scope; None when there is none."""
    if find_own_token(connection, scope, token_id) is None:
        return None
    connection.execute(update(TOKENS).where(TOKENS.c.token_id == token_id).values(revoked=True))
    return find_token(connection, token_id)


def revoke_bootstrap(connection: Connection) -> int:
    """End all tokens that the core made for its first visitor; return how many there were."""
    where = TOKENS.c.bootstrap.is_(True), TOKENS.c.revoked.is_(False)
    return connection.execute(update(TOKENS).where(*where).values(revoked=True)).rowcount


def revoke_unused(connection: Connection, tenant: TenantName) -> None:
    """End a tenant's tokens that nobody ever presented: their secret was lost on the way."""
    where = TOKENS.c.tenant == tenant, TOKENS.c.used.is_(False)
    connection.execute(update(TOKENS).where(*where).values(revoked=True))


def count_operators(connection: Connection) -> int:
    """Say how many operators' own tokens were ever presented and still stand."""
    query = (
        select(func.count())
        .select_from(TOKENS)
        .where(
            TOKENS.c.operator_role == "operator",
            TOKENS.c.used.is_(True),
            TOKENS.c.bootstrap.is_(False),
            TOKENS.c.revoked.is_(False),
        )
    )
    return connection.execute(query).scalar_one()


def record_tenant(connection: Connection, row: TenantRow) -> None:
    """Keep a new tenant."""
    connection.execute(
        insert(TENANTS).values(
            tenant=row.tenant, deploy_keys=msgspec.json.encode(row.deploy_keys), created_us=row.created_us
        )
    )


def list_tenants(connection: Connection, after: str = "", limit: int = 100_000) -> list[TenantRow]:
    """Return tenants in the order of their names."""
    query = select(TENANTS).where(TENANTS.c.tenant > after).order_by(TENANTS.c.tenant).limit(limit)
    return [
        TenantRow(
            tenant=TenantName(row.tenant),
            deploy_keys=msgspec.json.decode(row.deploy_keys, type=RoleKeys),
            created_us=row.created_us,
        )
        for row in connection.execute(query)
    ]


def find_tenant(connection: Connection, tenant: str) -> TenantRow | None:
    """Return one tenant."""
    row = connection.execute(select(TENANTS).where(TENANTS.c.tenant == tenant)).first()
    if row is None:
        return None
    keys = msgspec.json.decode(row.deploy_keys, type=RoleKeys)
    return TenantRow(tenant=TenantName(row.tenant), deploy_keys=keys, created_us=row.created_us)


def count_used_tokens(connection: Connection, tenant: TenantName) -> int:
    """Say how many tokens of a tenant were ever presented: a new tenant's first token may be made anew until then."""
    query = select(func.count()).select_from(TOKENS)
    return connection.execute(query.where(TOKENS.c.tenant == tenant, TOKENS.c.used.is_(True))).scalar_one()


def record_root(connection: Connection, number: int, digest: str, envelope: Envelope) -> None:
    """Keep a root document."""
    connection.execute(insert(ROOTS).values(number=number, digest=digest, envelope=pack_envelope(envelope)))


def list_roots(connection: Connection, after: int) -> list[Envelope]:
    """Return the root documents above ``after``, oldest first."""
    query = select(ROOTS).where(ROOTS.c.number > after).order_by(ROOTS.c.number)
    return [unpack_envelope(row.envelope, row.digest) for row in connection.execute(query)]
