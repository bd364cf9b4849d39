"""Recording what tenants want of their apps: signed revisions and tombstones, pause, resume and restart.

Verified here is all that can be: signature, tenant, number, and that what a revision names is here. Whether a site
obeys is for the site to say.
"""

import msgspec

from skerry.core.auth import Caller
from skerry.core.places import find_nowhere, list_nowhere
from skerry.core.references import find_problems
from skerry.core.refusals import Clash, Stale, denied, missing_precondition, not_found, unlike
from skerry.core.state import Part, Stamp
from skerry.model.answers import AppChanged, Applied, AppState
from skerry.model.app import AppRevision
from skerry.model.asks import RestartApp
from skerry.model.errors import Invalid
from skerry.model.ids import AppName, Digest, OperationId, TenantName, digest_of
from skerry.model.signed import Envelope, Kind, Tombstone
from skerry.model.withdrawal import is_kept_from_core
from skerry.plan.fleet import plan_fleet
from skerry.store import Connection, access, apps, events, fleet, objects
from skerry.store.apps import AppRow, OperationKind
from skerry.trust.floors import Floor
from skerry.trust.held import Held, hold_tenants
from skerry.trust.verdict import Denied
from skerry.trust.verify import verify_envelope


class Expected(msgspec.Struct, frozen=True):
    """What ``If-Match`` or ``If-None-Match: *`` (number 0) says that the object is at; ``plan`` is ``Skerry-Plan``."""

    number: int
    plan: str = ""


def app_state(row: AppRow) -> AppState:
    """Say in one word what is wished of an app."""
    if row.lost:
        return "lost"
    if not row.revision_number:
        return "ended"
    return "hold" if row.held else "run"


class WishesPart(Part):
    """Operations that change what is wished of an app."""

    async def apply_app(self, caller: Caller, *, app: str, body: Envelope, expect: Expected | None) -> Applied:
        """Record the next revision of an app; see ``operations.py``."""
        if expect is None:
            raise missing_precondition()
        tenant = caller.owner()
        digest = digest_of(body.payload)
        await self._demand_places(tenant, app, body)

        def job(connection: Connection, stamp: Stamp) -> Applied:
            row = apps.find_app(connection, tenant, app) or AppRow(tenant=tenant, app=AppName(app))
            again = self._find_repeated(connection, row, digest, expect, "apply")
            if again is not None:
                return again
            check_number(row, expect)
            revision = self._verify_revision(connection, row, body)
            problems = find_problems(connection, tenant, revision)
            if problems:
                raise Invalid("E-REFERENCE", "The revision names what is not here.", problems=problems)
            if expect.plan:
                check_plan(connection, caller, row, expect.plan, digest)
            objects.record_object(connection, tenant, "revision", body, stamp.now_us)
            row = msgspec.structs.replace(
                row,
                known_number=revision.number,
                revision_number=revision.number,
                revision_digest=digest,
                changed_us=stamp.now_us,
            )
            return self._record(connection, caller, row, digest, "revision", "apply", stamp)

        applied = await self._core.change(caller, "apply_app", f"app/{app} {digest}", job, chain=tenant)
        self._core.wishes.ring()
        return applied

    async def _demand_places(self, tenant: TenantName, app: str, body: Envelope) -> None:
        """Refuse an app that is not to be recorded without a place; all else of it is judged afterwards."""
        found = await self._core.db.read(
            lambda connection: find_nowhere(self._core, connection, tenant, app, body.payload)
        )
        if found is None:
            return
        revision, snapshot = found
        reports = (await self._core.beside.work(lambda: plan_fleet(snapshot))).reports
        report = next((each for each in reports if (each.tenant, each.app) == (tenant, app)), None)
        problems = list_nowhere(report, revision)
        if problems:
            hint = f"skerry plan says what is in the way; without if-none: fail, {app} waits for a place."
            raise Invalid("E-PLACEMENT", f"{app} has no place.", problems=problems, hint=hint)

    async def delete_app(self, caller: Caller, *, app: str, body: Envelope, expect: Expected | None) -> Applied:
        """Record a tombstone; see ``operations.py``."""
        if expect is None:
            raise missing_precondition()
        tenant = caller.owner()
        digest = digest_of(body.payload)

        def job(connection: Connection, stamp: Stamp) -> Applied:
            row = apps.find_app(connection, tenant, app)
            if row is None:
                raise not_found()
            again = self._find_repeated(connection, row, digest, expect, "delete")
            if again is not None:
                return again
            check_number(row, expect)
            stone = self._verify_tombstone(connection, row, body)
            objects.record_object(connection, tenant, "tombstone", body, stamp.now_us)
            row = msgspec.structs.replace(
                row, known_number=stone.number, tombstone_digest=digest, changed_us=stamp.now_us
            )
            if stone.ends_app:
                row = msgspec.structs.replace(row, revision_number=0, revision_digest="", held=False)
            return self._record(connection, caller, row, digest, "tombstone", "delete", stamp)

        applied = await self._core.change(caller, "delete_app", f"app/{app} {digest}", job, chain=tenant)
        self._core.wishes.ring()
        return applied

    async def pause_app(self, caller: Caller, *, app: str) -> AppChanged:
        """Stop an app's instances and keep everything."""
        return await self._switch(caller, app, "pause")

    async def resume_app(self, caller: Caller, *, app: str) -> AppChanged:
        """Let a paused app run again."""
        return await self._switch(caller, app, "resume")

    async def restart_app(self, caller: Caller, *, app: str, body: RestartApp) -> AppChanged:
        """Start the instances of a service, or of all, afresh."""
        return await self._switch(caller, app, "restart", body.service)

    async def _switch(self, caller: Caller, app: str, kind: OperationKind, service: str = "") -> AppChanged:
        tenant = caller.owner()

        def job(connection: Connection, stamp: Stamp) -> AppChanged:
            row = apps.find_app(connection, tenant, app)
            if row is None:
                raise not_found()
            if not row.revision_number:
                raise Clash("E-ENDED", f"The app {app} has ended.", hint="Apply it again first.")
            if service:
                self._check_service(connection, row, service)
            if kind == "pause" and is_kept_from_core(self._read_newest(connection, row)):
                detail = f"The manifest of {app} says withdraw: tenant: no core can stop its instances."
                raise Clash("E-WITHDRAW", detail, hint="Apply it with withdraw: core first, or delete it.")
            row = msgspec.structs.replace(row, changed_us=stamp.now_us)
            match kind:
                case "pause" | "resume":
                    row = msgspec.structs.replace(row, held=kind == "pause")
                case _:
                    apps.raise_restart(connection, tenant, AppName(app), service)
            apps.record_app(connection, row)
            fleet.touch_fleet(connection)
            before = events.newest_event_id(connection)
            self._begin(connection, row, kind, stamp, f"Every instance{f' of {service}' if service else ''}: {kind}.")
            return AppChanged(
                app=row.app,
                number=row.number,
                state=app_state(row),
                operation=OperationId(stamp.cause),
                cause=stamp.cause,
                event_id=before,
            )

        changed = await self._core.change(caller, f"{kind}_app", f"app/{app}", job, chain=tenant)
        self._core.wishes.ring()
        return changed

    def _check_service(self, connection: Connection, row: AppRow, service: str) -> None:
        if service not in self._read_newest(connection, row).services:
            raise not_found()

    def _read_newest(self, connection: Connection, row: AppRow) -> AppRevision:
        envelope = objects.read_object(connection, Digest(row.revision_digest))
        if envelope is None:
            raise not_found()
        return fleet.decode_revision(envelope)

    def _verify_revision(self, connection: Connection, row: AppRow, body: Envelope) -> AppRevision:
        verified = verify_envelope(body, self._held(connection, row), expect="revision")
        if isinstance(verified, Denied):
            raise denied(verified)
        self._check_subject(row, verified.payload)
        return verified.payload

    def _verify_tombstone(self, connection: Connection, row: AppRow, body: Envelope) -> Tombstone:
        verified = verify_envelope(body, self._held(connection, row), expect="tombstone")
        if isinstance(verified, Denied):
            raise denied(verified)
        self._check_subject(row, verified.payload)
        return verified.payload

    def _held(self, connection: Connection, row: AppRow) -> Held:
        tenant = access.find_tenant(connection, row.tenant)
        if tenant is None:
            raise not_found()
        # The number is checked to be exactly the next one; the line's window begins at what is known.
        floors = {f"app/{row.tenant}/{row.app}": Floor(row.number, Digest(""))} if row.number else {}
        return hold_tenants(self._core.root(), {row.tenant: tenant.deploy_keys}, floors)

    def _check_subject(self, row: AppRow, payload: AppRevision | Tombstone) -> None:
        for pointer, said, meant in (
            ("/tenant", payload.tenant, row.tenant),
            ("/app", payload.app, row.app),
            ("/number", payload.number, row.number + 1),
        ):
            if said != meant:
                raise unlike(pointer, said, meant)

    def _find_repeated(
        self, connection: Connection, row: AppRow, digest: Digest, expect: Expected, kind: OperationKind
    ) -> Applied | None:
        """Answer a request again whose answer was lost: same bytes, same expectation, already the newest."""
        if row.number != expect.number + 1 or row.known_number != row.number:
            return None
        known = apps.find_revision(connection, row.tenant, row.app, row.number)
        if known is None or known.digest != digest:
            return None
        return Applied(
            app=row.app,
            number=row.number,
            digest=digest,
            state=app_state(row),
            operation=OperationId(known.cause),
            cause=known.cause,
            event_id=events.newest_event_id(connection),
        )

    def _record(
        self,
        connection: Connection,
        caller: Caller,
        row: AppRow,
        digest: Digest,
        kind: Kind,
        operation: OperationKind,
        stamp: Stamp,
    ) -> Applied:
        apps.record_revision(
            connection,
            apps.RevisionRow(
                tenant=row.tenant,
                app=row.app,
                number=row.known_number,
                kind="revision" if kind == "revision" else "tombstone",
                digest=digest,
                actor=caller.actor,
                cause=stamp.cause,
                recorded_us=stamp.now_us,
            ),
        )
        apps.record_app(connection, row)
        fleet.touch_fleet(connection)
        before = events.newest_event_id(connection)
        self._begin(connection, row, operation, stamp, f"{kind.capitalize()} {row.known_number} was recorded.")
        return Applied(
            app=row.app,
            number=row.known_number,
            digest=digest,
            state=app_state(row),
            operation=OperationId(stamp.cause),
            cause=stamp.cause,
            event_id=before,
        )

    def _begin(self, connection: Connection, row: AppRow, kind: OperationKind, stamp: Stamp, message: str) -> None:
        """Keep that long work was begun, and tell."""
        apps.record_operation(
            connection,
            apps.OperationRow(
                operation=OperationId(stamp.cause),
                tenant=row.tenant,
                kind=kind,
                app=row.app,
                number=row.number,
                version=fleet.read_version(connection),
                cause=stamp.cause,
                started_us=stamp.now_us,
            ),
        )
        events.append_core_event(
            connection,
            f"app.{kind}",
            time_us=stamp.now_us,
            subject=f"app/{row.app}",
            tenant=row.tenant,
            cause=stamp.cause,
            message=message,
            data={"number": str(row.number)},
        )


def check_number(row: AppRow, expect: Expected) -> None:
    """Raise ``Stale`` unless the app is at the expected number."""
    if row.number != expect.number:
        was = f"expected at {expect.number}" if expect.number else "expected to be new"
        raise Stale(row.number, f"The app {row.app} is at number {row.number}, and was {was}.")


def check_plan(connection: Connection, caller: Caller, row: AppRow, plan: str, digest: Digest) -> None:
    """Raise ``Stale`` unless the plan still stands on what is."""
    found = apps.find_plan(connection, caller.scope, plan)
    if found is None or found.app != row.app:
        raise not_found()
    if found.payload != digest:
        raise unlike("", digest, f"plan {plan} of {found.payload}")
    if found.number != row.number or found.version != fleet.read_version(connection):
        raise Stale(row.number, f"Something has changed since plan {plan} was made.")
