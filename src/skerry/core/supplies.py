"""What apps are made of: blobs and images, sealed secrets, and the volumes that sites report.

The core never looks into a layer: it keeps bytes under their digest and reads the manifest for the list of parts.
"""

from collections.abc import AsyncIterator

import msgspec

from skerry.core.auth import Caller
from skerry.core.refusals import Clash, Stale, denied, missing_precondition, not_found, unlike
from skerry.core.state import Part, Stamp
from skerry.core.wishes import Expected
from skerry.model.answers import (
    BlobState,
    ImageConfigView,
    ImageView,
    Page,
    Recorded,
    SecretView,
    SnapshotView,
    VolumeView,
)
from skerry.model.asks import BlobQuery, PageQuery, RegisterImage, VolumeQuery
from skerry.model.errors import Invalid, Problem
from skerry.model.ids import AppName, Digest, SecretName, SiteName, TenantName, VolumeName, digest_of
from skerry.model.image import DOCUMENT_BYTES_MAX, check_own, read_manifest
from skerry.model.signed import Envelope
from skerry.operations import BLOB_BYTES_MAX
from skerry.store import Connection, access, apps, events, facts, fleet, objects, things
from skerry.store.rows import read_page_token, write_page_token
from skerry.store.scope import Scope
from skerry.store.things import UNFINISHED, ImageRow, SecretRow
from skerry.trust.floors import Floor
from skerry.trust.held import hold_tenants
from skerry.trust.verdict import Denied
from skerry.trust.verify import verify_envelope


class SuppliesPart(Part):
    """Operations on images, blobs, secrets and volumes."""

    async def show_blob(self, caller: Caller, *, digest: str) -> BlobState:
        """Say how much of a blob this tenant has sent."""
        tenant, name = caller.owner(), Digest(digest)
        size = await self._core.db.read(lambda connection: things.find_blob(connection, tenant, name))
        if size is None:
            raise not_found()
        if size != UNFINISHED:
            return BlobState(digest=name, have_bytes=size, complete=True)
        return BlobState(digest=name, have_bytes=await self._core.blobs.unfinished_size(name), complete=False)

    async def put_blob(self, caller: Caller, *, digest: str, query: BlobQuery, body: AsyncIterator[bytes]) -> BlobState:
        """Take bytes of a blob as they come; what came before a cut stays for the next upload."""
        tenant, name = caller.owner(), Digest(digest)
        if query.size > BLOB_BYTES_MAX or query.offset > query.size:
            raise Invalid("E-SIZE", f"A blob has at most {BLOB_BYTES_MAX} bytes, and offset is not beyond size.")
        known = await self._core.db.read(lambda connection: things.find_blob(connection, tenant, name))
        if known is None:
            if query.offset:
                raise Clash("E-OFFSET", f"The upload stands at byte 0, not at {query.offset}.")
            await self._note_blob(tenant, name, UNFINISHED)
        elif known != UNFINISHED:
            return BlobState(digest=name, have_bytes=known, complete=True)
        async with self._core.blobs.upload(name, query.offset, query.size) as upload:
            async for chunk in body:
                await upload.write(chunk)
            whole = await upload.finish()
        if whole:
            await self._note_blob(tenant, name, query.size)
        return BlobState(digest=name, have_bytes=upload.offset, complete=whole)

    async def _note_blob(self, tenant: TenantName, digest: Digest, size_bytes: int) -> None:
        await self._core.db.run(
            lambda connection: things.record_blob(connection, tenant, digest, size_bytes), soon=True
        )

    async def register_image(self, caller: Caller, *, body: RegisterImage) -> ImageView:
        """Name an image whose parts are all here."""
        tenant, digest = caller.owner(), Digest(body.digest)
        manifest = read_manifest(await self._read_part(tenant, digest))
        config = await self._read_part(tenant, manifest.config.digest)
        architecture = check_own(manifest, config).architecture

        def job(connection: Connection, stamp: Stamp) -> ImageView:
            problems: list[Problem] = []
            for place, part in enumerate(manifest.blobs):
                have = things.find_blob(connection, tenant, part.digest)
                if have is None or have == UNFINISHED:
                    problems.append(
                        Problem(code="E-BLOB", detail=f"{part.digest} was not uploaded", pointer=f"/{place}")
                    )
                elif have != part.size:
                    detail = f"{part.digest} has {have} bytes, the manifest says {part.size}"
                    problems.append(Problem(code="E-BLOB", detail=detail, pointer=f"/{place}"))
            if problems:
                raise Invalid("E-BLOB", "Parts of the image are missing.", problems=tuple(problems))
            row = ImageRow(
                tenant=tenant,
                digest=digest,
                name=body.name,
                config=manifest.config.digest,
                size_bytes=manifest.layer_bytes,
                architecture=architecture,
                registered_us=stamp.now_us,
            )
            things.record_image(connection, row, (digest, *(part.digest for part in manifest.blobs)))
            return view_image(connection, row)

        return await self._core.change(caller, "register_image", f"image/{body.name} {digest}", job, chain=tenant)

    async def _read_part(self, tenant: TenantName, digest: Digest) -> bytes:
        """Return a small blob that this tenant has sent."""
        size = await self._core.db.read(lambda connection: things.find_blob(connection, tenant, digest))
        if size is None or size == UNFINISHED:
            raise Invalid("E-BLOB", f"{digest} was not uploaded.", hint="Upload manifest, configuration and layers.")
        if size > DOCUMENT_BYTES_MAX:
            raise Invalid("E-IMAGE", f"A manifest or configuration has at most {DOCUMENT_BYTES_MAX} bytes.")
        content = await self._core.blobs.read(digest, 0, size)
        if content is None or len(content) != size:
            raise Invalid("E-BLOB", f"{digest} is no longer here.", hint="Upload it again.")
        return content

    async def list_images(self, caller: Caller, *, query: PageQuery) -> Page[ImageView]:
        """List images by name and digest."""
        position = read_page_token(query.page_token, 2)

        def job(connection: Connection) -> Page[ImageView]:
            after = (position[0], position[1]) if position else ("", "")
            rows = things.list_images(connection, caller.scope, after, query.page_size + 1)
            shown = rows[: query.page_size]
            more = len(rows) > query.page_size
            token = write_page_token(shown[-1].name, shown[-1].digest) if more else ""
            return Page(items=tuple(view_image(connection, row) for row in shown), next_page_token=token)

        return await self._core.db.read(job)

    async def show_image(self, caller: Caller, *, digest: str) -> ImageView:
        """Show one image."""

        def job(connection: Connection) -> ImageView:
            row = things.find_image(connection, caller.owner(), digest)
            if row is None:
                raise not_found()
            return view_image(connection, row)

        return await self._core.db.read(job)

    async def read_image_config(self, caller: Caller, *, digest: str) -> ImageConfigView:
        """Read the configuration of one image."""
        image = await self.show_image(caller, digest=digest)
        return ImageConfigView(content=await self._read_part(caller.owner(), image.config))

    async def list_volumes(self, caller: Caller, *, query: VolumeQuery) -> Page[VolumeView]:
        """List volumes by app, name and site."""
        position = read_page_token(query.page_token, 3)

        def job(connection: Connection) -> Page[VolumeView]:
            found = facts.list_volume_facts(connection, caller.scope, app=query.app, site=query.site)
            volumes = [_view_volume(site, fact) for site, fact in found]
            if position is not None:
                volumes = [each for each in volumes if _place(each) > tuple(position)]
            shown = volumes[: query.page_size]
            more = len(volumes) > query.page_size
            return Page(items=tuple(shown), next_page_token=write_page_token(*_place(shown[-1])) if more else "")

        return await self._core.db.read(job)

    async def list_secrets(self, caller: Caller, *, query: PageQuery) -> Page[SecretView]:
        """List secrets by name."""
        position = read_page_token(query.page_token, 1)

        def job(connection: Connection) -> Page[SecretView]:
            after = position[0] if position else ""
            rows = things.list_secrets(connection, caller.scope, after, query.page_size + 1)
            shown = rows[: query.page_size]
            users = _find_users(connection, caller.scope)
            items = tuple(_view_secret(connection, row, users) for row in shown)
            more = len(rows) > query.page_size
            return Page(items=items, next_page_token=write_page_token(shown[-1].name) if more else "")

        return await self._core.db.read(job)

    async def show_secret(self, caller: Caller, *, secret: str) -> SecretView:
        """Show who a secret is sealed for."""

        def job(connection: Connection) -> SecretView:
            row = things.find_secret(connection, caller.owner(), secret)
            if row is None or row.removed:
                raise not_found()
            return _view_secret(connection, row, _find_users(connection, caller.scope))

        return await self._core.db.read(job)

    async def put_secret(self, caller: Caller, *, secret: str, body: Envelope, expect: Expected | None) -> Recorded:
        """Record the next sealed version of a secret."""
        if expect is None:
            raise missing_precondition()
        tenant, digest = caller.owner(), digest_of(body.payload)

        def job(connection: Connection, stamp: Stamp) -> Recorded:
            row = things.find_secret(connection, tenant, secret)
            number = 0 if row is None else row.number
            if row is not None and number == expect.number + 1 and row.digest == digest and not row.removed:
                return _recorded(connection, secret, number, stamp)  # asked again after a lost answer
            _check_number(secret, number, expect)
            owner = access.find_tenant(connection, tenant)
            if owner is None:
                raise not_found()
            floors = {f"secret/{tenant}/{secret}": Floor(number, Digest(""))} if number else {}
            held = hold_tenants(self._core.root(), {tenant: owner.deploy_keys}, floors)
            verified = verify_envelope(body, held, expect="secret")
            if isinstance(verified, Denied):
                raise denied(verified)
            sealed = verified.payload
            for pointer, said, meant in (
                ("/tenant", sealed.tenant, tenant),
                ("/name", sealed.name, secret),
                ("/number", sealed.number, number + 1),
            ):
                if said != meant:
                    raise unlike(pointer, said, meant)
            objects.record_object(connection, tenant, "secret", body, stamp.now_us)
            things.record_secret(
                connection,
                SecretRow(
                    tenant=tenant,
                    name=sealed.name,
                    number=sealed.number,
                    digest=digest,
                    removed=False,
                    recorded_us=stamp.now_us,
                ),
            )
            fleet.touch_fleet(connection)
            return _recorded(connection, secret, sealed.number, stamp)

        done = await self._core.change(caller, "put_secret", f"secret/{secret} {digest}", job, chain=tenant)
        self._core.wishes.ring()
        return done

    async def remove_secret(self, caller: Caller, *, secret: str, expect: Expected | None) -> Recorded:
        """Forget a secret that no app uses; its number line goes on."""
        if expect is None:
            raise missing_precondition()
        tenant = caller.owner()

        def job(connection: Connection, stamp: Stamp) -> Recorded:
            row = things.find_secret(connection, tenant, secret)
            if row is None or row.removed:
                raise not_found()
            _check_number(secret, row.number, expect)
            users = _find_users(connection, Scope(tenant=tenant)).get(row.name, ())
            if users:
                raise Clash("E-IN-USE", f"The secret {secret} is used by {', '.join(users)}.")
            things.record_secret(connection, msgspec.structs.replace(row, removed=True, recorded_us=stamp.now_us))
            fleet.touch_fleet(connection)
            return _recorded(connection, secret, row.number, stamp)

        done = await self._core.change(caller, "remove_secret", f"secret/{secret}", job, chain=tenant)
        self._core.wishes.ring()
        return done


def view_image(connection: Connection, row: ImageRow) -> ImageView:
    """Show an image with its parts."""
    return ImageView(
        digest=row.digest,
        name=row.name,
        config=row.config,
        size_bytes=row.size_bytes,
        blobs=things.list_image_blobs(connection, row.tenant, row.digest),
        architecture=row.architecture,
        registered_us=row.registered_us,
    )


def _recorded(connection: Connection, name: str, number: int, stamp: Stamp) -> Recorded:
    return Recorded(name=name, number=number, cause=stamp.cause, event_id=events.newest_event_id(connection))


def _check_number(name: str, number: int, expect: Expected) -> None:
    if number != expect.number:
        raise Stale(number, f"{name} is at number {number}, and was expected at {expect.number}.")


def _find_users(connection: Connection, scope: Scope) -> dict[SecretName, tuple[AppName, ...]]:
    """Name the apps whose current revision uses each secret."""
    users: dict[SecretName, tuple[AppName, ...]] = {}
    rows = [row for row in apps.list_apps(connection, scope) if row.revision_number]
    held = objects.read_objects(connection, [Digest(row.revision_digest) for row in rows])
    for row in rows:
        envelope = held.get(Digest(row.revision_digest))
        for use in () if envelope is None else fleet.decode_revision(envelope).secrets.values():
            users[use.name] = (*users.get(use.name, ()), row.app)
    return users


def _view_secret(connection: Connection, row: SecretRow, users: dict[SecretName, tuple[AppName, ...]]) -> SecretView:
    envelope = objects.read_object(connection, row.digest)
    return SecretView(
        name=row.name,
        number=row.number,
        digest=row.digest,
        sealed_for=() if envelope is None else tuple(sorted(fleet.decode_secret(envelope).boxes)),
        used_by=users.get(row.name, ()),
        recorded_us=row.recorded_us,
    )


def _view_volume(site: SiteName, fact: facts.VolumeFact) -> VolumeView:
    _, app, volume = fact.volume.split("/", 2)
    return VolumeView(
        app=AppName(app),
        volume=VolumeName(volume),
        site=site,
        born=fact.born,
        size_bytes=fact.size_bytes,
        in_use=fact.in_use,
        state=fact.state,
        driver=fact.driver,
        limit_bytes=fact.limit_bytes,
        snapshots=tuple(SnapshotView(name=name, taken_us=taken_s * 1_000_000) for name, taken_s in fact.snapshots),
        snapshots_count=fact.snapshots_count,
        reason=fact.reason,
    )


def _place(view: VolumeView) -> tuple[str, str, str]:
    return (view.app, view.volume, view.site)
