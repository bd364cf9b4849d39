"""Who asks, and what they may do: API tokens and their roles; deny by default.

    token = "skt_" id (10 characters) "_" secret (52 characters)         lower-case base32

The secret has 256 random bits and is kept as its SHA-256. A slow hash defends secrets that can be guessed; this one
cannot, and a slow hash would only let strangers burn our processor. The id finds the row, the hashes are compared in
constant time. The tenant comes from the token and from nowhere else.
"""

import base64
import hashlib
import hmac
import re
from typing import Protocol

import msgspec

from skerry.clock import Mint
from skerry.core.once import Once
from skerry.core.refusals import forbidden, unproven
from skerry.model.asks import OperatorRole, TenantRole
from skerry.model.ids import TenantName, TokenId
from skerry.operations import OPERATOR_ROLES, TENANT_ROLES, Operation, is_allowed
from skerry.store.access import TokenRow
from skerry.store.scope import Scope

_SECRET_BYTES = 32
_ID_BYTES = 6
_FORM = re.compile(r"skt_([a-z2-7]{10})_([a-z2-7]{52})", re.ASCII)


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever asks, as their token says."""

    token_id: TokenId = TokenId("")
    tenant: TenantName | None = None
    tenant_role: TenantRole = ""
    operator_role: OperatorRole = ""
    bootstrap: bool = False
    #: The person whose token it is; empty for a token of no person.
    user: str = ""
    #: Names the change that is asked for, where its sender did.
    once: Once | None = None

    @property
    def scope(self) -> Scope:
        """What the caller may see."""
        return Scope(tenant=self.tenant if self.tenant_role else None, platform=bool(self.operator_role))

    @property
    def actor(self) -> str:
        """How audit records name the caller."""
        return f"{self.user} (token {self.token_id})" if self.user else f"token {self.token_id}"

    def owner(self) -> TenantName:
        """Return the caller's tenant; raises ``NotAllowed`` for a caller that is no tenant's."""
        if self.tenant is None:
            raise forbidden("tenant")
        return self.tenant


#: Whoever asks without a token: may use public operations only.
ANYBODY = Caller()


def make_token(mint: Mint) -> tuple[str, TokenId, bytes]:
    """Return a new token's text, its public id, and what is stored of its secret."""
    identity = _encode(mint.draw(_ID_BYTES))
    secret = _encode(mint.draw(_SECRET_BYTES))
    return f"skt_{identity}_{secret}", TokenId(identity), hash_secret(secret)


def split_token(text: str) -> tuple[TokenId, bytes] | None:
    """Return a token's id and the hash of its secret; None for anything that is no token."""
    found = _FORM.fullmatch(text)
    return None if found is None else (TokenId(found[1]), hash_secret(found[2]))


def hash_secret(secret: str) -> bytes:
    """Return what is stored of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def admit(row: TokenRow | None, presented: bytes, now_us: int, user: str = "") -> Caller:
    """Return the caller a token stands for; raises the same ``Unproven`` for unknown, wrong, revoked and ended ones."""
    known = bytes(_SECRET_BYTES) if row is None else row.secret_hash
    right = hmac.compare_digest(known, presented)
    if row is None or not right or row.revoked or (row.expires_us and row.expires_us <= now_us):
        raise unproven()
    return Caller(
        token_id=row.token_id,
        tenant=row.tenant or None,
        tenant_role=row.tenant_role,
        operator_role=row.operator_role,
        bootstrap=row.bootstrap,
        user=user,
    )


def check_allowed(operation: Operation, caller: Caller) -> None:
    """Raise ``NotAllowed`` unless the caller's roles grant the operation."""
    if operation.audience == "public":
        return
    tenant_role = caller.tenant_role if caller.tenant else ""
    if not is_allowed(operation, tenant_role, caller.operator_role):
        raise forbidden(operation.permission)


class Roles(Protocol):
    """Whoever has roles: a caller, or a person who holds tokens."""

    @property
    def tenant_role(self) -> TenantRole:
        """What they may do as a tenant's."""
        ...

    @property
    def operator_role(self) -> OperatorRole:
        """What they may do as the operator's."""
        ...


def within(holder: Roles, tenant_role: TenantRole, operator_role: OperatorRole) -> bool:
    """Say whether roles grant nothing that the holder does not have."""
    return (
        TENANT_ROLES[tenant_role] <= TENANT_ROLES[holder.tenant_role]
        and OPERATOR_ROLES[operator_role] <= OPERATOR_ROLES[holder.operator_role]
    )


def _encode(content: bytes) -> str:
    return base64.b32encode(content).decode().rstrip("=").lower()
