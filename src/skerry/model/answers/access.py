"""What the API answers about who may do what: tokens, people, roles, tenants, profiles and the audit trail."""

from typing import Literal

from skerry.model.answers.base import Answer
from skerry.model.asks import OperatorRole, TenantRole
from skerry.model.grants import Profile
from skerry.model.ids import CauseId, SiteName, TenantName, TokenId
from skerry.model.signed import RoleKeys


class TokenView(Answer, frozen=True, kw_only=True):
    """An API token without its secret."""

    token_id: TokenId
    name: str
    tenant: str
    tenant_role: TenantRole
    operator_role: OperatorRole
    created_us: int
    #: 0 means it does not end.
    expires_us: int
    state: Literal["live", "revoked", "ended"]
    #: The person who holds it; empty for a token of no person.
    user: str = ""


class SessionView(Answer, frozen=True, kw_only=True):
    """Who asks, as the credential says: what a screen shows of it and hides by it."""

    token_id: TokenId
    tenant: str
    tenant_role: TenantRole
    operator_role: OperatorRole
    version: str
    #: The person whose token it is; empty for a token of no person.
    user: str = ""


class TokenMade(Answer, frozen=True, kw_only=True):
    """A new token; ``token`` is shown this once and kept nowhere."""

    token: str
    view: TokenView


class UserView(Answer, frozen=True, kw_only=True):
    """A person who holds tokens: of a tenant, or (with an empty tenant) one of the operator's."""

    name: str
    tenant: str
    #: The most that their tokens may do.
    tenant_role: TenantRole
    operator_role: OperatorRole
    created_us: int
    #: Tokens of theirs that are good for something now.
    tokens: int


class UserDetail(Answer, frozen=True, kw_only=True):
    """A person with the tokens they hold or held."""

    summary: UserView
    tokens: tuple[TokenView, ...]


class UserMade(Answer, frozen=True, kw_only=True):
    """A new person and their first token, shown this once."""

    user: UserView
    first: TokenMade


class UserRemoved(Answer, frozen=True, kw_only=True):
    """A person who was removed, and how many tokens ended with that."""

    name: str
    ended: int


class RoleView(Answer, frozen=True, kw_only=True):
    """A role and what it may do."""

    role: str
    #: Of whom: of a tenant, or of the operator.
    of: Literal["tenant", "operator"]
    #: Words that operations ask for: read, deploy, admin, operate.
    permissions: tuple[str, ...]
    #: Names of the operations that it may use.
    operations: tuple[str, ...]


class TenantView(Answer, frozen=True, kw_only=True):
    """An owner of apps."""

    tenant: TenantName
    deploy_keys: RoleKeys
    created_us: int


class TenantMade(Answer, frozen=True, kw_only=True):
    """A new tenant and its first token, shown this once."""

    tenant: TenantView
    first: TokenMade


class AuditEntry(Answer, frozen=True, kw_only=True):
    """One record of a chain: hash = SHA-256("skerry-audit-v1", 0x00, previous hash, payload) (trust.md §12)."""

    seq: int
    previous: bytes
    hash: bytes
    payload: bytes
    time_us: int
    actor: str
    operation: str
    object: str
    outcome: str
    cause: CauseId


class ProfileView(Answer, frozen=True, kw_only=True):
    """One way in which sites have an operator's own profile."""

    profile: str
    #: As the registrar signed it; a tenant sees itself alone among the tenants.
    grants: Profile
    site_count: int
    #: The first of them by name.
    sites: tuple[SiteName, ...]


class ProfileDetail(Answer, frozen=True, kw_only=True):
    """All ways in which sites have a profile: several while a change is on its way."""

    profile: str
    variants: tuple[ProfileView, ...]
