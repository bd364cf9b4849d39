"""Images at sites ahead of need: a tenant's wish, its end, and how far each site has come.

The planner puts a seed into the documents of the sites that it means (plan/seeds.py); sites say what they have of it.
A tenant sees of a site only whether it has images that the tenant has a use for there.
"""

from collections.abc import Callable, Iterable

from skerry.clock import SECOND_US
from skerry.core.auth import Caller
from skerry.core.refusals import Clash, not_found
from skerry.core.state import Part, Stamp
from skerry.model.answers import ImageAtSite, Page, SeedView
from skerry.model.app import Sites
from skerry.model.asks import PageQuery, SeedImage
from skerry.model.errors import Invalid
from skerry.model.facts import ImageFact
from skerry.model.ids import Digest, SiteName, TenantName
from skerry.model.limits import SEEDS_MAX
from skerry.model.selector import SelectorError, parse_selector
from skerry.model.signed import SiteRecord
from skerry.model.site_match import site_unmet
from skerry.store import Connection, documents, events, facts, fleet, objects, seeds, sites, things
from skerry.store.rows import read_page_token, write_page_token
from skerry.store.scope import Scope
from skerry.store.seeds import SeedRow
from skerry.store.things import ImageRow


class SeedsPart(Part):
    """Operations on images ahead of need."""

    async def seed_image(self, caller: Caller, *, digest: str, body: SeedImage) -> SeedView:
        """Want an image at sites, in the place of what was wished of it before."""
        tenant = caller.owner()
        try:
            parse_selector(body.label_selector)
        except SelectorError as error:
            raise Invalid("E-SELECTOR", str(error)) from error
        match = (body.label_selector,) if body.label_selector.strip() else ()
        wanted = Sites(match=match, names=tuple(SiteName(name) for name in sorted(set(body.sites))))

        def choose(connection: Connection, now_us: int) -> tuple[SeedRow, SeedView]:
            image = _find_image(connection, tenant, digest)
            unknown = sorted(set(wanted.names) - {record.site for record in _read_records(connection, tenant)})
            if unknown:
                raise not_found()
            ends_us = now_us + body.lifetime_s * SECOND_US
            row = SeedRow(tenant=tenant, digest=image.digest, sites=wanted, since_us=now_us, ends_us=ends_us)
            view = _view(connection, row, image, _read_records(connection, tenant))
            if not view.sites:
                raise Invalid("E-SITE", "No site that admits this tenant is meant.", hint="skerry site list")
            return row, view

        if body.dry_run:
            now_us = self._core.clock.wall_us()
            return (await self._core.db.read(lambda connection: choose(connection, now_us)))[1]

        def job(connection: Connection, stamp: Stamp) -> SeedView:
            row, view = choose(connection, stamp.now_us)
            known = seeds.list_seeds(connection, tenant)
            if len(known) >= SEEDS_MAX and row.digest not in {each.digest for each in known}:
                detail = f"{len(known)} images are seeded already, at most {SEEDS_MAX} are at once."
                raise Clash("E-TOO-MANY", detail, hint="skerry image seed --list")
            seeds.record_seed(connection, row)
            ends = f"{body.lifetime_s} s" if body.lifetime_s % 3_600 else f"{body.lifetime_s // 3_600} h"
            _tell(connection, row, stamp, "image.seeded", f"{view.name} is wanted at {view.sites} sites for {ends}")
            return view

        return await self._change_seed(caller, "seed_image", digest, job)

    async def end_seed(self, caller: Caller, *, digest: str) -> SeedView:
        """Want an image ahead of need no more."""
        tenant = caller.owner()

        def job(connection: Connection, stamp: Stamp) -> SeedView:
            row, image = _find_seed(connection, tenant, digest)
            seeds.end_seed(connection, tenant, digest)
            _tell(connection, row, stamp, "image.seed-ended", "its owner wants it ahead of need no more")
            return _view(connection, row, image, _read_records(connection, tenant))

        return await self._change_seed(caller, "end_seed", digest, job)

    async def show_seed(self, caller: Caller, *, digest: str) -> SeedView:
        """Show how far a seeded image has come."""
        tenant = caller.owner()

        def job(connection: Connection) -> SeedView:
            row, image = _find_seed(connection, tenant, digest)
            return _view(connection, row, image, _read_records(connection, tenant))

        return await self._core.db.read(job)

    async def list_seeds(self, caller: Caller, *, query: PageQuery) -> Page[SeedView]:
        """List seeded images in the order of their digests."""
        tenant = caller.owner()
        position = read_page_token(query.page_token, 1)

        def job(connection: Connection) -> Page[SeedView]:
            rows = seeds.list_seeds(connection, tenant, position[0] if position else "", query.page_size + 1)
            shown = rows[: query.page_size]
            records = _read_records(connection, tenant) if shown else []
            known = ((row, things.find_image(connection, tenant, row.digest)) for row in shown)
            items = tuple(_view(connection, row, image, records) for row, image in known if image is not None)
            more = len(rows) > query.page_size
            return Page(items=items, next_page_token=write_page_token(shown[-1].digest) if more else "")

        return await self._core.db.read(job)

    async def list_image_sites(self, caller: Caller, *, digest: str, query: PageQuery) -> Page[ImageAtSite]:
        """List the sites where an image is used or seeded, in the order of their names."""
        tenant = caller.owner()
        position = read_page_token(query.page_token, 1)

        def job(connection: Connection) -> Page[ImageAtSite]:
            image = _find_image(connection, tenant, digest)
            seed = seeds.find_seed(connection, tenant, digest)
            seeded = () if seed is None else _list_meant(seed, _read_records(connection, tenant))
            used = _list_using(connection, tenant, image.digest)
            names = sorted({*seeded, *used})
            if position is not None:
                names = [name for name in names if name > position[0]]
            shown = names[: query.page_size]
            told = facts.read_image_facts(connection, digest)
            items = tuple(
                self._view_image_site(name, image, told.get(name), used=name in used, seeded=name in seeded)
                for name in shown
            )
            more = len(names) > query.page_size
            return Page(items=items, next_page_token=write_page_token(shown[-1]) if more else "")

        return await self._core.db.read(job)

    def _view_image_site(
        self, site: SiteName, image: ImageRow, fact: ImageFact | None, *, used: bool, seeded: bool
    ) -> ImageAtSite:
        return ImageAtSite(
            site=site,
            state=self._core.liveness(site),
            used=used,
            seeded=seeded,
            have_bytes=0 if fact is None else fact.have_bytes,
            size_bytes=image.size_bytes,
            held=fact is not None and fact.complete,
            reason=(fact.reason or "") if fact is not None else "",
        )

    async def _change_seed(
        self, caller: Caller, operation: str, digest: str, job: Callable[[Connection, Stamp], SeedView]
    ) -> SeedView:
        done = await self._core.change(caller, operation, f"image/{digest}", job, chain=caller.owner())
        self._core.wishes.ring()
        return done


def _find_image(connection: Connection, tenant: TenantName, digest: str) -> ImageRow:
    image = things.find_image(connection, tenant, digest)
    if image is None:
        raise not_found()
    return image


def _find_seed(connection: Connection, tenant: TenantName, digest: str) -> tuple[SeedRow, ImageRow]:
    row = seeds.find_seed(connection, tenant, digest)
    if row is None:
        raise not_found()
    return row, _find_image(connection, tenant, digest)


def _read_records(connection: Connection, tenant: TenantName) -> list[SiteRecord]:
    """Return the records of the sites that admit a tenant."""
    return [row.record for row in sites.list_sites(connection, Scope(tenant=tenant))]


def _list_meant(row: SeedRow, records: Iterable[SiteRecord]) -> frozenset[SiteName]:
    return frozenset(record.site for record in records if not site_unmet(row.sites, record))


def _list_using(connection: Connection, tenant: TenantName, image: Digest) -> frozenset[SiteName]:
    """Name the sites where something of a tenant runs from an image, or is to."""
    assigned = documents.list_assignments(connection, Scope(tenant=tenant))
    revisions = objects.read_objects(connection, {unit.revision for _, unit in assigned})
    services = {
        (digest, service)
        for digest, envelope in revisions.items()
        for service, each in fleet.decode_revision(envelope).services.items()
        if each.image.digest == image
    }
    return frozenset(site for site, unit in assigned if (unit.revision, unit.service) in services)


def _view(connection: Connection, row: SeedRow, image: ImageRow, records: Iterable[SiteRecord]) -> SeedView:
    meant = _list_meant(row, records)
    told = [fact for site, fact in facts.read_image_facts(connection, row.digest).items() if site in meant]
    return SeedView(
        digest=row.digest,
        name=image.name,
        size_bytes=image.size_bytes,
        label_selector=row.sites.match[0] if row.sites.match else "",
        names=tuple(SiteName(name) for name in row.sites.names),
        since_us=row.since_us,
        ends_us=row.ends_us,
        sites=len(meant),
        held=sum(fact.complete for fact in told),
        have_bytes=sum(min(fact.have_bytes, image.size_bytes) for fact in told),
    )


def _tell(connection: Connection, row: SeedRow, stamp: Stamp, kind: str, message: str) -> None:
    fleet.touch_fleet(connection)
    events.append_core_event(
        connection,
        kind,
        time_us=stamp.now_us,
        subject=f"image/{row.digest}",
        tenant=row.tenant,
        cause=stamp.cause,
        message=message,
    )
