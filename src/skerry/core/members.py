"""Who may ask: tenants, API tokens, the audit chains, and the root document that everything signed stands on."""

import msgspec

from skerry import __version__
from skerry.clock import SECOND_US
from skerry.core.auth import ANYBODY, Caller, admit, make_token, split_token, within
from skerry.core.refusals import Clash, denied, forbidden, not_found, unproven
from skerry.core.state import Part, Stamp
from skerry.model.answers import (
    AuditEntry,
    CoreIdentity,
    Page,
    Recorded,
    SessionView,
    TenantMade,
    TenantView,
    TokenMade,
    TokenView,
)
from skerry.model.asks import AuditQuery, CreateTenant, CreateToken, CreateUser, PageQuery, RootQuery
from skerry.model.errors import Invalid, Refused
from skerry.model.ids import TenantName, TokenId, digest_of
from skerry.model.signed import Envelope, Root
from skerry.store import Connection, access, audit, events, users
from skerry.store.access import TenantRow, TokenRow
from skerry.store.audit import AuditRow
from skerry.store.rows import read_page_token, write_page_token
from skerry.trust.chain import AuditRecord
from skerry.trust.held import Held
from skerry.trust.parse import parse_payload
from skerry.trust.verdict import Denied
from skerry.trust.verify import verify_envelope

#: A first visitor has a week to give a new core its root document; each start of the core makes a fresh token.
_BOOTSTRAP_US = 7 * 86_400 * SECOND_US


class MembersPart(Part):
    """Operations on tenants, tokens, audit and root; and authentication itself."""

    async def authenticate(self, token: str) -> Caller:
        """Return the caller that a token stands for, ``ANYBODY`` for an empty one; raises ``Unproven``."""
        if not token:
            return ANYBODY
        parts = split_token(token)
        if parts is None:
            raise unproven()
        identity, presented = parts

        def find(connection: Connection) -> tuple[TokenRow | None, str]:
            return access.find_token(connection, identity), users.find_holder(connection, identity)

        row, user = await self._core.db.read(find)
        caller = admit(row, presented, self._core.clock.wall_us(), user)
        if row is not None and not row.used:
            await self._core.db.run(lambda connection: _note_first_use(connection, row), soon=True)
        return caller

    async def recheck(self, caller: Caller) -> None:
        """Raise ``Unproven`` when the caller's token has ended since: for streams that stay open (trust.md §11)."""
        row = await self._core.db.read(lambda connection: access.find_token(connection, caller.token_id))
        now_us = self._core.clock.wall_us()
        if row is None or row.revoked or (row.expires_us and row.expires_us <= now_us):
            raise unproven()

    async def make_bootstrap(self) -> str | None:
        """Return a fresh token for the core's first visitor; None once an operator has a token of their own."""
        text, identity, hashed = make_token(self._core.mint)
        now_us = self._core.clock.wall_us()
        row = TokenRow(
            token_id=identity,
            tenant=TenantName(""),
            name="bootstrap",
            tenant_role="",
            operator_role="operator",
            secret_hash=hashed,
            created_us=now_us,
            expires_us=now_us + _BOOTSTRAP_US,
            bootstrap=True,
        )

        def job(connection: Connection) -> bool:
            access.revoke_bootstrap(connection)
            if access.count_operators(connection):
                return False
            access.record_token(connection, row)
            return True

        return text if await self._core.db.run(job, soon=True) else None

    async def show_session(self, caller: Caller) -> SessionView:
        """Say who asks."""
        return SessionView(
            token_id=caller.token_id,
            tenant=caller.tenant or "",
            tenant_role=caller.tenant_role,
            operator_role=caller.operator_role,
            version=__version__,
            user=caller.user,
        )

    async def list_tokens(self, caller: Caller, *, query: PageQuery) -> Page[TokenView]:
        """List tokens by id."""
        position = read_page_token(query.page_token, 1)
        now_us = self._core.clock.wall_us()

        def job(connection: Connection) -> Page[TokenView]:
            after = position[0] if position else ""
            rows = access.list_tokens(connection, caller.scope, after, query.page_size + 1)
            shown = rows[: query.page_size]
            more = len(rows) > query.page_size
            token = write_page_token(shown[-1].token_id) if more else ""
            holders = users.read_holders(connection, caller.scope)
            items = tuple(view_token(row, now_us, holders.get(row.token_id, "")) for row in shown)
            return Page(items=items, next_page_token=token)

        return await self._core.db.read(job)

    async def show_token(self, caller: Caller, *, token: str) -> TokenView:
        """Show one token."""

        def job(connection: Connection) -> TokenView:
            row = access.find_own_token(connection, caller.scope, token)
            if row is None:
                raise not_found()
            return view_token(row, self._core.clock.wall_us(), users.find_holder(connection, token))

        return await self._core.db.read(job)

    async def create_token(self, caller: Caller, *, body: CreateToken) -> TokenMade:
        """Make a token that may do no more than the one that asks."""
        if not body.tenant_role and not body.operator_role:
            raise Invalid("E-ROLE", "A token needs a tenant's role, an operator's role, or both.")
        if not within(caller, body.tenant_role, body.operator_role):
            raise forbidden("admin")
        text, identity, hashed = make_token(self._core.mint)

        def job(connection: Connection, stamp: Stamp) -> TokenMade:
            tenant = caller.tenant or TenantName("")
            if body.user:
                holder = users.find_user(connection, caller.scope, body.user)
                if holder is None or holder.tenant != tenant:
                    raise not_found()
                if not within(holder, body.tenant_role, body.operator_role):
                    raise Invalid(
                        "E-ROLE", f"{body.user} has less than these roles.", hint=f"skerry user show {body.user}"
                    )
                users.give_token(connection, identity, tenant, body.user)
            row = make_token_row(body, tenant, identity, hashed, stamp.now_us)
            access.record_token(connection, row)
            return TokenMade(token=text, view=view_token(row, stamp.now_us, body.user))

        chain = caller.tenant or ""
        return await self._core.change(caller, "create_token", f"token/{identity}", job, chain=chain)

    async def revoke_token(self, caller: Caller, *, token: str) -> TokenView:
        """End a token at once."""

        def job(connection: Connection, stamp: Stamp) -> TokenView:
            row = access.revoke_token(connection, caller.scope, token)
            if row is None:
                raise not_found()
            return view_token(row, stamp.now_us, users.find_holder(connection, token))

        return await self._core.change(caller, "revoke_token", f"token/{token}", job, chain=caller.tenant or "")

    async def list_tenants(self, caller: Caller, *, query: PageQuery) -> Page[TenantView]:
        """List tenants by name."""
        position = read_page_token(query.page_token, 1)

        def job(connection: Connection) -> Page[TenantView]:
            rows = access.list_tenants(connection, position[0] if position else "", query.page_size + 1)
            shown = rows[: query.page_size]
            more = len(rows) > query.page_size
            token = write_page_token(shown[-1].tenant) if more else ""
            return Page(items=tuple(_view_tenant(row) for row in shown), next_page_token=token)

        return await self._core.db.read(job)

    async def create_tenant(self, caller: Caller, *, body: CreateTenant) -> TenantMade:
        """Make a tenant and its first token; asked again after a lost answer, it makes a new first token."""
        text, identity, hashed = make_token(self._core.mint)
        tenant = TenantName(body.tenant)

        def job(connection: Connection, stamp: Stamp) -> TenantMade:
            row = access.find_tenant(connection, tenant)
            if row is None:
                row = TenantRow(tenant=tenant, deploy_keys=body.deploy_keys, created_us=stamp.now_us)
                access.record_tenant(connection, row)
            elif row.deploy_keys != body.deploy_keys or access.count_used_tokens(connection, tenant):
                raise Clash("E-EXISTS", f"There is a tenant {tenant} already.")
            access.revoke_unused(connection, tenant)
            first = TokenRow(
                token_id=identity,
                tenant=tenant,
                name=body.token_name,
                tenant_role="admin",
                operator_role=caller.operator_role if body.with_operator_role else "",
                secret_hash=hashed,
                created_us=stamp.now_us,
            )
            access.record_token(connection, first)
            made = TokenMade(token=text, view=view_token(first, stamp.now_us))
            return TenantMade(tenant=_view_tenant(row), first=made)

        flaw = find_role_flaw(body)
        if flaw:
            raise Invalid("E-KEY", flaw)
        return await self._core.change(caller, "create_tenant", f"tenant/{tenant}", job, chain="")

    async def list_audit(self, caller: Caller, *, query: AuditQuery) -> Page[AuditEntry]:
        """Return a chain, oldest first."""
        operators = query.chain == "operator" or (not query.chain and not caller.tenant_role)
        if operators and not caller.operator_role:
            raise forbidden("read")
        chain = "" if operators else caller.owner()
        position = read_page_token(query.page_token, 1, 0)

        def job(connection: Connection) -> Page[AuditEntry]:
            rows = audit.list_audit(connection, chain, int(position[0]) if position else 0, query.page_size + 1)
            shown = rows[: query.page_size]
            more = len(rows) > query.page_size
            token = write_page_token(shown[-1].seq) if more else ""
            return Page(items=tuple(_view_record(row) for row in shown), next_page_token=token)

        return await self._core.db.read(job)

    async def show_core(self, caller: Caller) -> CoreIdentity:
        """Return what a signer needs to write the root document."""
        delivery = self._core.delivery
        return CoreIdentity(
            version=__version__,
            delivery=delivery.public,
            delivery_ca=delivery.authority.certificate_der,
            endpoints=self._core.endpoints,
            root=len(self._core.roots),
        )

    async def put_root(self, caller: Caller, *, body: Envelope) -> Recorded:
        """Take the root document, once; the same one may be sent again."""
        digest = digest_of(body.payload)
        root = parse_payload(body.payload, Root)
        if isinstance(root, Denied):
            raise denied(root)
        verified = verify_envelope(body, Held(root=root), expect="root")
        if isinstance(verified, Denied):
            raise denied(verified)
        if root.number != 1:
            raise Refused("E-NOT-YET", "Only root document 1 is understood yet; root chains are not built.")
        authority = self._core.delivery.authority.certificate_der
        if self._core.delivery.public not in root.delivery.keys or root.delivery_ca != authority:
            raise Invalid("E-DELIVERY", "The root document does not name this core's delivery key.")

        def job(connection: Connection, stamp: Stamp) -> Recorded:
            known = access.list_roots(connection, 0)
            if known and digest_of(known[-1].payload) != digest:
                raise Clash("E-EXISTS", "This core has another root document already.")
            if not known:
                access.record_root(connection, root.number, digest, body)
            newest = events.newest_event_id(connection)
            return Recorded(name="root", number=root.number, cause=stamp.cause, event_id=newest)

        done = await self._core.change(caller, "put_root", f"root {digest}", job, chain="")
        self._core.roots = (body,)
        self._core.records.ring()
        return done

    async def read_roots(self, caller: Caller, *, query: RootQuery) -> tuple[Envelope, ...]:
        """Return root documents above a number."""
        return self._core.roots[query.after :]


def find_role_flaw(body: CreateTenant) -> str:
    """Return what is wrong with a tenant's deploy keys, empty when they make sense."""
    keys = body.deploy_keys.keys
    if not keys or len(set(keys)) != len(keys):
        return "A tenant has at least one deploy key, each named once."
    if not 1 <= body.deploy_keys.threshold <= len(keys):
        return "No signatures can meet that threshold."
    if any(key.type != "ed25519" or len(key.key) != 32 for key in keys):
        return "A deploy key is an Ed25519 key of 32 bytes."
    return ""


def _note_first_use(connection: Connection, row: TokenRow) -> None:
    access.mark_token_used(connection, row.token_id)
    if row.operator_role == "operator" and not row.bootstrap:
        access.revoke_bootstrap(connection)


def make_token_row(
    body: CreateToken | CreateUser, tenant: TenantName, identity: TokenId, hashed: bytes, now_us: int
) -> TokenRow:
    """Make the row of a token that is asked for now; ``hashed`` is its secret's hash, as auth.make_token returns it."""
    return TokenRow(
        token_id=identity,
        tenant=tenant,
        name=body.name,
        tenant_role=body.tenant_role,
        operator_role=body.operator_role,
        secret_hash=hashed,
        created_us=now_us,
        expires_us=now_us + body.lifetime_s * SECOND_US if body.lifetime_s else 0,
    )


def view_token(row: TokenRow, now_us: int, user: str = "") -> TokenView:
    """Show a token, and whose it is."""
    ended = bool(row.expires_us) and row.expires_us <= now_us
    return TokenView(
        token_id=row.token_id,
        name=row.name,
        tenant=row.tenant,
        tenant_role=row.tenant_role,
        operator_role=row.operator_role,
        created_us=row.created_us,
        expires_us=row.expires_us,
        state="revoked" if row.revoked else "ended" if ended else "live",
        user=user,
    )


def _view_tenant(row: TenantRow) -> TenantView:
    return TenantView(tenant=row.tenant, deploy_keys=row.deploy_keys, created_us=row.created_us)


def _view_record(row: AuditRow) -> AuditEntry:
    record = msgspec.json.decode(row.payload, type=AuditRecord)
    return AuditEntry(
        seq=row.seq,
        previous=row.previous,
        hash=row.hash,
        payload=row.payload,
        time_us=record.time_us,
        actor=record.actor,
        operation=record.operation,
        object=record.object,
        outcome=record.outcome,
        cause=record.cause,
    )
