"""The dry run of an apply: the same planner on the same snapshot with one wish changed, and nothing recorded but an id.

A tenant sees the changes of its own app, and which of its other apps' instances make room for it, although the plan is
of the whole fleet.
"""

from collections.abc import Mapping

from skerry.clock import make_ulid
from skerry.core.auth import Caller
from skerry.core.places import list_clashes, list_nowhere, load_snapshot, with_wish
from skerry.core.profiles import find_profiles
from skerry.core.references import find_problems
from skerry.core.refusals import denied, unlike
from skerry.core.state import Part
from skerry.core.views import list_unplaced
from skerry.manifest.canonical import build_revision
from skerry.manifest.definitions import Known, list_wanted, read_content
from skerry.manifest.image_health import list_configs
from skerry.manifest.images import choose_images
from skerry.manifest.load import load_manifest
from skerry.manifest.values import Content, Manifest, Options, Rejected
from skerry.model.answers import AppPlan, ManifestPlan, PlannedChange, SiteBytes
from skerry.model.app import AppRevision, ImageRef
from skerry.model.asks import PlanManifest
from skerry.model.document import ImageHold, Unit
from skerry.model.errors import Problem
from skerry.model.grants import Profile
from skerry.model.ids import AppName, Digest, PlanId, SiteName, TenantName, UnitId, digest_of
from skerry.model.image import DOCUMENT_BYTES_MAX
from skerry.model.profile import PROFILES
from skerry.model.signed import DefinitionKind
from skerry.plan.fleet import FleetPlan, plan_fleet
from skerry.plan.snapshot import FleetSnapshot
from skerry.store import Connection, apps, things
from skerry.store.apps import AppRow
from skerry.store.definitions import find_definition, read_definition
from skerry.store.scope import Scope
from skerry.trust.envelope import encode_payload
from skerry.trust.parse import parse_payload
from skerry.trust.verdict import Denied

#: How located problems name a text that came without a file: as the command line would most often find it.
_TEXT_NAME = "compose.yaml"
#: Images of one tenant that are looked through for a name.
_IMAGES_MAX = 10_000


class PlanningPart(Part):
    """The operations ``plan_app`` and ``plan_manifest``."""

    async def plan_manifest(self, caller: Caller, *, body: PlanManifest) -> ManifestPlan:
        """Say what applying a text would do: read as ``skerry apply`` reads a file without variables and neighbours."""
        tenant = caller.owner()
        manifest = await self._core.beside.work(lambda: _read_text(body, {}))
        named = manifest.profiles if isinstance(manifest, Rejected) else (manifest.profile,)
        own = set(named) - set(PROFILES)
        if own:
            # Only the text says which profile, and only the sites' records what that grants.
            known = await self._core.db.read(lambda connection: _find_grants(connection, tenant))
            grants = {name: known.get(name, ()) for name in own}
            manifest = await self._core.beside.work(lambda: _read_text(body, grants))
        if isinstance(manifest, Rejected):
            return ManifestPlan(app=body.name, problems=manifest.problems)
        images = await self._core.db.read(lambda connection: _find_images(connection, tenant, manifest))
        configs = await self._read_configs(tenant, manifest, images)
        built = await self._core.db.read(lambda connection: _build(connection, tenant, manifest, images, configs))
        if isinstance(built, Rejected):
            return ManifestPlan(app=manifest.app, problems=built.problems)
        plan = await self.plan_app(caller, app=manifest.app, body=encode_payload(built))
        return ManifestPlan(app=manifest.app, problems=plan.problems, plan=plan)

    async def _read_configs(
        self, tenant: TenantName, manifest: Manifest, images: Mapping[str, ImageRef]
    ) -> dict[Digest, bytes]:
        """Return what a client would read; what is no longer here is as good as an image without a check of health."""
        found: dict[Digest, bytes] = {}
        for image in list_configs(manifest.health, images, manifest.images):
            content = await self._core.blobs.read(image.config, 0, DOCUMENT_BYTES_MAX)
            if content is not None:
                found[image.config] = content
        return found

    async def plan_app(self, caller: Caller, *, app: str, body: bytes) -> AppPlan:
        """Say what applying the payload ``body`` would do now."""
        tenant = caller.owner()
        revision = parse_payload(body, AppRevision)
        if isinstance(revision, Denied):
            raise denied(revision)
        if (revision.tenant, revision.app) != (tenant, app):
            raise unlike("/app", f"{revision.tenant}/{revision.app}", f"{tenant}/{app}")

        def job(connection: Connection) -> tuple[FleetSnapshot, AppRow, tuple[Problem, ...]]:
            row = apps.find_app(connection, tenant, app) or AppRow(tenant=tenant, app=AppName(app))
            problems = find_problems(connection, tenant, revision)
            return load_snapshot(self._core, connection), row, problems

        snapshot, row, problems = await self._core.db.read(job)
        if revision.number != row.number + 1:
            raise unlike("/number", revision.number, row.number + 1)
        wished = with_wish(snapshot, row, revision, body)
        plan = await self._core.beside.work(lambda: plan_fleet(wished))
        report = next((each for each in plan.reports if (each.tenant, each.app) == (tenant, row.app)), None)
        now_us = self._core.clock.wall_us()
        made = PlanId(make_ulid(self._core.mint, now_us))
        kept = apps.PlanRow(
            plan=made,
            tenant=tenant,
            app=row.app,
            version=snapshot.version,
            number=row.number,
            payload=digest_of(body),
            made_us=now_us,
        )
        await self._core.db.run(lambda connection: apps.record_plan(connection, kept), soon=True)
        return AppPlan(
            plan=made,
            app=row.app,
            number=row.number,
            changes=_list_changes(plan, tenant, row.app),
            unplaced=list_unplaced(report),
            pulls=_list_pulls(snapshot, plan, revision),
            notes=plan.notes,
            problems=(*problems, *list_nowhere(report, revision), *list_clashes(report, revision)),
        )


def _read_text(body: PlanManifest, grants: Mapping[str, tuple[Profile, ...]]) -> Manifest | Rejected:
    options = Options(project=body.name or None, grants=grants)
    return load_manifest(((_TEXT_NAME, body.text.encode()),), {}, options=options)


def _find_grants(connection: Connection, tenant: TenantName) -> dict[str, tuple[Profile, ...]]:
    found: dict[str, tuple[Profile, ...]] = {}
    for (name, _), view in sorted(find_profiles(connection, Scope(tenant=tenant), tenant).items()):
        found[name] = (*found.get(name, ()), view.grants)
    return found


def _find_images(connection: Connection, tenant: TenantName, manifest: Manifest) -> dict[str, ImageRef]:
    """Return the images that a client would find for this manifest now."""
    rows = things.list_images(connection, Scope(tenant=tenant), ("", ""), _IMAGES_MAX)
    known = (
        (
            each.registered_us,
            ImageRef(name=each.name, digest=each.digest, config=each.config, size_bytes=each.size_bytes),
        )
        for each in rows
    )
    return choose_images(manifest.images, known)


def _build(
    connection: Connection,
    tenant: TenantName,
    manifest: Manifest,
    images: Mapping[str, ImageRef],
    configs: Mapping[Digest, bytes],
) -> AppRevision | Rejected:
    """Make the revision that a client would sign for this manifest now."""
    row = apps.find_app(connection, tenant, manifest.app)
    return build_revision(
        manifest,
        tenant=tenant,
        number=1 if row is None else row.number + 1,
        images=images,
        definitions=_find_definitions(connection, tenant, manifest),
        configs=configs,
    )


def _find_definitions(
    connection: Connection, tenant: TenantName, manifest: Manifest
) -> dict[tuple[DefinitionKind, str], Known]:
    """Return what a text names: as it defines it itself, with the number that it would get, or as it is kept here."""
    found: dict[tuple[DefinitionKind, str], Known] = {}
    brought: dict[tuple[DefinitionKind, str], Content] = {
        (each.kind, each.name): each.content for each in manifest.brought
    }
    for kind, name in sorted({*list_wanted(manifest), *brought}):
        row = find_definition(connection, tenant, kind, name)
        kept = read_definition(connection, tenant, kind, name)
        content = None if kept is None else read_content(kept.payload)
        if (kind, name) in brought and brought[kind, name] != content:
            found[kind, name] = Known(1 if row is None else row.number + 1, brought[kind, name])
        elif kept is not None and content is not None:
            found[kind, name] = Known(kept.row.number, content)
    return found


def _list_changes(plan: FleetPlan, tenant: TenantName, app: AppName) -> tuple[PlannedChange, ...]:
    prefix = f"{tenant}/{app}/"
    # Where it makes room for this app, an instance of another app of the tenant is shown wherever it comes and goes.
    yielded = {instance for (_, instance), taken in plan.yielded.items() if taken.by.startswith(prefix)}
    return tuple(
        PlannedChange(kind=change.kind, site=change.site, instance=change.instance, detail=change.detail)
        for change in plan.changes
        if (change.instance.startswith(prefix) or change.instance in yielded) and change.kind != "keep"
    )


def _list_pulls(snapshot: FleetSnapshot, plan: FleetPlan, revision: AppRevision) -> tuple[SiteBytes, ...]:
    """Count bytes of the app's images that sites are not wished to hold yet."""
    images = {service.image.digest for service in revision.services.values()}
    before: dict[SiteName, dict[UnitId, Unit]] = {view.site: view.units for view in snapshot.sites}
    pulls: list[SiteBytes] = []
    for document in plan.documents:
        fresh = [
            unit.size_bytes
            for name, unit in document.units.items()
            if isinstance(unit, ImageHold) and unit.digest in images and name not in before[document.site]
        ]
        if fresh:
            pulls.append(SiteBytes(site=document.site, bytes=sum(fresh)))
    return tuple(pulls)
