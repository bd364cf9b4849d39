"""Profiles of operators as the signed records of sites have them: the core keeps none of its own, and makes none.

Sites may have one name with different grants, as while a change is on its way through them; each way is told by itself.
"""

import msgspec

from skerry.core.auth import Caller
from skerry.core.refusals import not_found
from skerry.core.state import Part
from skerry.model.answers import Page, ProfileDetail, ProfileView
from skerry.model.asks import PageQuery
from skerry.model.grants import Profile
from skerry.model.ids import SiteName, TenantName
from skerry.store import Connection, sites
from skerry.store.rows import read_page_token, write_page_token
from skerry.store.scope import Scope

#: Sites that are named of one profile; beyond that their number says enough.
_SITES_NAMED = 100


class ProfilesPart(Part):
    """Operations on profiles."""

    async def list_profiles(self, caller: Caller, *, query: PageQuery) -> Page[ProfileView]:
        """List what operators grant, by name; a tenant sees what it is granted."""
        position = read_page_token(query.page_token, 2)
        after = tuple(position) if position else ("", "")
        found = await self._core.db.read(lambda connection: find_profiles(connection, caller.scope, caller.tenant))
        views = [(key, view) for key, view in sorted(found.items()) if key > after]
        shown = views[: query.page_size]
        token = write_page_token(*shown[-1][0]) if len(views) > len(shown) else ""
        return Page(items=tuple(view for _, view in shown), next_page_token=token)

    async def show_profile(self, caller: Caller, *, profile: str) -> ProfileDetail:
        """Show all ways in which sites have a profile."""
        found = await self._core.db.read(lambda connection: find_profiles(connection, caller.scope, caller.tenant))
        variants = tuple(view for (name, _), view in sorted(found.items()) if name == profile)
        if not variants:
            raise not_found()
        return ProfileDetail(profile=profile, variants=variants)


def find_profiles(
    connection: Connection, scope: Scope, tenant: TenantName | None
) -> dict[tuple[str, str], ProfileView]:
    """Return every way of every profile that the scope may see, by name and content.

    A tenant sees those that name it, and nothing of whom else they name.
    """
    where: dict[tuple[str, Profile], list[SiteName]] = {}
    for row in sites.list_sites(connection, scope):
        for name, profile in (row.record.profiles or {}).items():
            if not scope.platform:
                if tenant is None or tenant not in profile.tenants:
                    continue
                profile = msgspec.structs.replace(profile, tenants=(tenant,))
            where.setdefault((name, profile), []).append(row.site)
    return {
        (name, msgspec.json.encode(profile, order="deterministic").decode()): ProfileView(
            profile=name, grants=profile, site_count=len(names), sites=tuple(names[:_SITES_NAMED])
        )
        for (name, profile), names in where.items()
    }
