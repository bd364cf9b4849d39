"""Who sees what: the one function that adds the tenant filter to a query, aggregates and counts included.

A tenant sees its own rows; an operator sees the platform's rows, whose tenant is empty; a credential that is both sees
both. Nobody sees another tenant's rows, and there is no way to ask for them.
"""

from typing import Any, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Select, false, select

from skerry.model.ids import TenantName
from skerry.store.schema import SITE_TENANTS, SITES

Query = TypeVar("Query", bound=Select[*tuple[Any, ...]])


class Scope(msgspec.Struct, frozen=True):
    """What a credential may see: one tenant's rows, the platform's rows, or both."""

    tenant: TenantName | None = None
    platform: bool = False


#: What the core itself sees of the platform: every standing site.
PLATFORM = Scope(platform=True)


def owned(query: Query, column: ColumnElement[str], scope: Scope) -> Query:
    """Restrict ``query`` to the rows whose tenant ``column`` the scope may see."""
    return query.where(_own(column, scope))


def visible_sites(query: Query, column: ColumnElement[str], scope: Scope) -> Query:
    """Restrict ``query`` to sites, named by ``column``, that are not removed and that the scope may see."""
    standing = select(SITES.c.site).where(SITES.c.removed.is_(False))
    query = query.where(column.in_(standing))
    if scope.platform:
        return query
    admitting = select(SITE_TENANTS.c.site).where(SITE_TENANTS.c.tenant == (scope.tenant or ""))
    return query.where(column.in_(admitting))


def _own(column: ColumnElement[str], scope: Scope) -> ColumnElement[bool]:
    tenants = [scope.tenant] if scope.tenant else []
    if scope.platform:
        tenants.append(TenantName(""))
    return column.in_(tenants) if tenants else false()
