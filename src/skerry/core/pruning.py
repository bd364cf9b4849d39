"""Removing images that nothing needs: registrations first, in one transaction, then bytes that nobody knows any more.

An image is needed while a site's wish names it, while it is seeded, while one of an app's newest revisions runs it, and
while it is young: a push comes before its apply. A blob's bytes are shared by all tenants and go when no tenant has a
row for it. A row stands from before the first byte of an upload, so an upload under way keeps its blob.
"""

from skerry.clock import SECOND_US
from skerry.core.auth import Caller
from skerry.core.state import Part, Stamp
from skerry.core.supplies import view_image
from skerry.model.answers import ImagesPruned, ImageView
from skerry.model.asks import PruneImages
from skerry.model.ids import Digest, TenantName
from skerry.store import Connection, apps, documents, fleet, objects, seeds, things
from skerry.store.scope import Scope
from skerry.store.things import ImageRow


class PruningPart(Part):
    """The operation that removes images."""

    async def prune_images(self, caller: Caller, *, body: PruneImages) -> ImagesPruned:
        """Remove images that nothing needs, or only name them."""
        tenant = caller.owner()

        def choose(connection: Connection, now_us: int) -> ImagesPruned:
            needed = _list_needed(connection, tenant, caller.scope, body.revisions)
            rows = things.list_all_images(connection, tenant)
            young_us = now_us - body.age_s * SECOND_US
            going = [row for row in rows if row.digest not in needed and row.registered_us <= young_us]
            return _describe(connection, going, len(rows) - len(going))

        if body.dry_run:
            now_us = self._core.clock.wall_us()
            return await self._core.db.read(lambda connection: choose(connection, now_us))

        def job(connection: Connection, stamp: Stamp) -> ImagesPruned:
            # Chosen again in the transaction that removes: an apply in between keeps what it names.
            chosen = choose(connection, stamp.now_us)
            things.remove_images(connection, tenant, tuple(view.digest for view in chosen.images))
            return chosen

        pruned = await self._core.change(caller, "prune_images", f"tenant/{tenant}", job, chain=tenant)
        await self._remove_unknown()
        return pruned

    async def _remove_unknown(self) -> None:
        """Remove the bytes of every blob that no tenant knows, also what an interrupted run left."""
        known = await self._core.db.read(things.list_known_blobs)
        for digest in await self._core.blobs.digests():
            if digest not in known:
                await self._core.blobs.forget(digest, self._is_known)

    async def _is_known(self, digest: Digest) -> bool:
        return await self._core.db.read(lambda connection: things.is_known_blob(connection, digest))


def _list_needed(connection: Connection, tenant: TenantName, scope: Scope, revisions: int) -> set[Digest]:
    """Name the images of a tenant that sites should have, or that one of an app's newest revisions runs."""
    wanted = {unit.revision for _, unit in documents.list_assignments(connection, scope)}
    for app in apps.list_apps(connection, scope):
        line = apps.list_revisions(connection, tenant, app.app, app.number + 1, revisions)
        wanted |= {row.digest for row in line if row.kind == "revision"}
    needed = documents.list_held_images(connection)
    needed |= {row.digest for row in seeds.list_seeds(connection, tenant)}
    for envelope in objects.read_objects(connection, sorted(wanted)).values():
        needed |= {service.image.digest for service in fleet.decode_revision(envelope).services.values()}
    return needed


def _describe(connection: Connection, going: list[ImageRow], kept: int) -> ImagesPruned:
    views: tuple[ImageView, ...] = tuple(view_image(connection, row) for row in going)
    freed = things.measure_images(connection, going[0].tenant, tuple(row.digest for row in going)) if going else 0
    return ImagesPruned(images=views, kept=kept, freed_bytes=freed)
