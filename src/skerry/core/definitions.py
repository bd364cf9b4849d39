"""Areas and groups of users of tenants: signed, numbered, and kept for clients to put into the revisions they sign.

The core reads none of them for its own decisions: a fence is judged by the ground that its revision carries, so
whoever keeps this table cannot move one. Both kinds are kept in the same way.
"""

from collections.abc import Mapping

import msgspec

from skerry.core.auth import Caller
from skerry.core.refusals import Stale, denied, missing_precondition, not_found, unlike
from skerry.core.state import Part, Stamp
from skerry.core.wishes import Expected
from skerry.model.answers import AreaDetail, AreaView, Page, Recorded, UserGroupDetail, UserGroupView
from skerry.model.asks import PageQuery
from skerry.model.ids import Digest, TenantName, digest_of
from skerry.model.signed import Area, Definition, DefinitionKind, Envelope, UserGroup
from skerry.store import Connection, access, definitions, events, objects
from skerry.store.definitions import Defined, DefinitionRow
from skerry.store.rows import read_page_token, write_page_token
from skerry.trust.floors import Floor
from skerry.trust.held import hold_tenants
from skerry.trust.verdict import Denied
from skerry.trust.verify import verify_envelope


class DefinitionsPart(Part):
    """Operations on areas and on groups of users."""

    async def list_areas(self, caller: Caller, *, query: PageQuery) -> Page[AreaView]:
        """List areas by name."""
        rows, token = await self._list(caller, "area", query)
        return Page(items=tuple(map(_view_area, rows)), next_page_token=token)

    async def show_area(self, caller: Caller, *, area: str) -> AreaDetail:
        """Show an area."""
        found = await self._find(caller, "area", area)
        return AreaDetail(summary=_view_area(found), signed=found.envelope)

    async def put_area(self, caller: Caller, *, area: str, body: Envelope, expect: Expected | None) -> Recorded:
        """Record the next version of an area."""
        return await self._put(caller, "area", area, body, expect)

    async def remove_area(self, caller: Caller, *, area: str, expect: Expected | None) -> Recorded:
        """Forget an area; its number line goes on."""
        return await self._remove(caller, "area", area, expect)

    async def list_user_groups(self, caller: Caller, *, query: PageQuery) -> Page[UserGroupView]:
        """List groups of users by name."""
        rows, token = await self._list(caller, "user-group", query)
        return Page(items=tuple(map(_view_users, rows)), next_page_token=token)

    async def show_user_group(self, caller: Caller, *, user_group: str) -> UserGroupDetail:
        """Show a group of users."""
        found = await self._find(caller, "user-group", user_group)
        return UserGroupDetail(summary=_view_users(found), signed=found.envelope)

    async def put_user_group(
        self, caller: Caller, *, user_group: str, body: Envelope, expect: Expected | None
    ) -> Recorded:
        """Record the next version of a group of users."""
        return await self._put(caller, "user-group", user_group, body, expect)

    async def remove_user_group(self, caller: Caller, *, user_group: str, expect: Expected | None) -> Recorded:
        """Forget a group of users; its number line goes on."""
        return await self._remove(caller, "user-group", user_group, expect)

    async def _list(self, caller: Caller, kind: DefinitionKind, query: PageQuery) -> tuple[list[Defined], str]:
        position = read_page_token(query.page_token, 1)
        after = position[0] if position else ""
        rows = await self._core.db.read(
            lambda connection: definitions.list_definitions(connection, caller.scope, kind, after, query.page_size + 1)
        )
        shown = rows[: query.page_size]
        return shown, write_page_token(shown[-1].row.name) if len(rows) > len(shown) else ""

    async def _find(self, caller: Caller, kind: DefinitionKind, name: str) -> Defined:
        tenant = caller.owner()
        found = await self._core.db.read(lambda connection: definitions.read_definition(connection, tenant, kind, name))
        if found is None:
            raise not_found()
        return found

    async def _put(
        self, caller: Caller, kind: DefinitionKind, name: str, body: Envelope, expect: Expected | None
    ) -> Recorded:
        if expect is None:
            raise missing_precondition()
        tenant, digest = caller.owner(), digest_of(body.payload)

        def job(connection: Connection, stamp: Stamp) -> Recorded:
            row = definitions.find_definition(connection, tenant, kind, name)
            number = 0 if row is None or row.removed else row.number
            if row is not None and number and row.digest == digest and expect.number < number:
                return _record(connection, row, stamp)  # asked again after a lost answer
            _check_number(name, number, expect)
            floors = {} if row is None else {f"{kind}/{tenant}/{name}": Floor(row.number, Digest(""))}
            sealed = self._verify(connection, tenant, kind, body, floors)
            for pointer, said, meant in (("/tenant", sealed.tenant, tenant), ("/name", sealed.name, name)):
                if said != meant:
                    raise unlike(pointer, said, meant)
            objects.record_object(connection, tenant, kind, body, stamp.now_us)
            fresh = DefinitionRow(
                tenant=tenant,
                kind=kind,
                name=name,
                number=sealed.number,
                digest=digest,
                removed=False,
                recorded_us=stamp.now_us,
            )
            definitions.record_definition(connection, fresh)
            return _record(connection, fresh, stamp)

        return await self._core.change(caller, f"put_{_word(kind)}", f"{kind}/{name} {digest}", job, chain=tenant)

    def _verify(
        self,
        connection: Connection,
        tenant: TenantName,
        kind: DefinitionKind,
        body: Envelope,
        floors: Mapping[str, Floor],
    ) -> Definition:
        owner = access.find_tenant(connection, tenant)
        if owner is None:
            raise not_found()
        held = hold_tenants(self._core.root(), {tenant: owner.deploy_keys}, floors)
        verified = verify_envelope(body, held, expect=kind)
        if isinstance(verified, Denied):
            raise denied(verified)
        return verified.payload

    async def _remove(self, caller: Caller, kind: DefinitionKind, name: str, expect: Expected | None) -> Recorded:
        if expect is None:
            raise missing_precondition()
        tenant = caller.owner()

        def job(connection: Connection, stamp: Stamp) -> Recorded:
            row = definitions.find_definition(connection, tenant, kind, name)
            if row is None or row.removed:
                raise not_found()
            _check_number(name, row.number, expect)
            gone = msgspec.structs.replace(row, removed=True, recorded_us=stamp.now_us)
            definitions.record_definition(connection, gone)
            return _record(connection, gone, stamp)

        return await self._core.change(caller, f"remove_{_word(kind)}", f"{kind}/{name}", job, chain=tenant)


def _word(kind: DefinitionKind) -> str:
    """Return a kind as operations are called by it."""
    return kind.replace("-", "_")


def _check_number(name: str, number: int, expect: Expected) -> None:
    if number != expect.number:
        raise Stale(number, f"{name} is at number {number}, and was expected at {expect.number}.")


def _record(connection: Connection, row: DefinitionRow, stamp: Stamp) -> Recorded:
    newest = events.newest_event_id(connection)
    return Recorded(name=row.name, number=row.number, cause=stamp.cause, event_id=newest)


def _view_area(found: Defined) -> AreaView:
    row = found.row
    assert isinstance(found.payload, Area), "what a row of this kind names was verified as one"
    return AreaView(
        name=row.name,
        number=row.number,
        digest=row.digest,
        region=found.payload.region,
        recorded_us=row.recorded_us,
    )


def _view_users(found: Defined) -> UserGroupView:
    row = found.row
    assert isinstance(found.payload, UserGroup), "what a row of this kind names was verified as one"
    return UserGroupView(
        name=row.name,
        number=row.number,
        digest=row.digest,
        points=found.payload.points,
        recorded_us=row.recorded_us,
    )
