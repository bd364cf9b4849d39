"""Machines of sites: what the registrar signed of each beside what it reported, and how its site is.

A node is named within its site, so its address is both names. Who sees a site sees its nodes.
"""

from collections.abc import Iterator

import msgspec

from skerry.core import views
from skerry.core.auth import Caller
from skerry.core.cordons import view_cordon
from skerry.core.enrolment import list_conditions, matches_site, read_selector
from skerry.core.refusals import not_found
from skerry.core.state import Core, Part
from skerry.model.answers import NodeDetail, NodeSummary, Page
from skerry.model.asks import NodeQuery
from skerry.model.ids import NodeName
from skerry.store import Connection, cordons, facts, sites
from skerry.store.rows import read_page_token, write_page_token
from skerry.store.sites import SiteRow


class NodesPart(Part):
    """Operations that show nodes."""

    async def list_nodes(self, caller: Caller, *, query: NodeQuery) -> Page[NodeSummary]:
        """List nodes by site and name."""
        selector = read_selector(query)
        position = read_page_token(query.page_token, 2)
        site, node = position or ("", "")

        def job(connection: Connection) -> Page[NodeSummary]:
            found: list[tuple[SiteRow, NodeName]] = []
            for rows in _read_sites(connection, caller, query, site):
                chosen = (row for row in rows if matches_site(selector, row))
                found += [
                    (row, name)
                    for row in chosen
                    for name in sorted(row.record.nodes)
                    if (row.site, name) > (site, node)
                ]
                if len(found) > query.page_size:
                    break
            shown, more = found[: query.page_size], len(found) > query.page_size
            token = write_page_token(shown[-1][0].site, shown[-1][1]) if more else ""
            return Page(items=_summarise(self._core, connection, shown), next_page_token=token)

        return await self._core.db.read(job)

    async def show_node(self, caller: Caller, *, site: str, node: str) -> NodeDetail:
        """Show one node of a site's record."""

        def job(connection: Connection) -> NodeDetail:
            row = sites.find_site(connection, site, caller.scope)
            if row is None or node not in row.record.nodes:
                raise not_found()
            here = views.read_instances(self._core, connection, caller.scope, sites=(site,))
            return NodeDetail(
                summary=_summarise(self._core, connection, [(row, NodeName(node))])[0],
                labels=row.record.labels,
                instances=tuple(each.view for each in here if each.view.node == node),
            )

        return await self._core.db.read(job)


def _read_sites(connection: Connection, caller: Caller, query: NodeQuery, first: str) -> Iterator[list[SiteRow]]:
    """Read the sites whose nodes may be meant, from ``first`` on, few at a time."""
    if query.site or first:
        row = sites.find_site(connection, query.site or first, caller.scope)
        yield [] if row is None else [row]
    more, after = not query.site, first
    while more:
        rows = sites.list_sites(connection, caller.scope, after, query.page_size + 1)
        yield rows
        more, after = len(rows) > query.page_size, rows[-1].site if rows else ""


def _summarise(core: Core, connection: Connection, chosen: list[tuple[SiteRow, NodeName]]) -> tuple[NodeSummary, ...]:
    if not chosen:
        return ()
    names = {row.site for row, _ in chosen}
    states, told = sites.read_states(connection, names), facts.read_site_facts(connection, names)
    kept_free, kept_nodes = cordons.read_cordons(connection), cordons.read_node_cordons(connection)
    now_us = core.clock.boot_us()
    found: list[NodeSummary] = []
    for row, name in chosen:
        reported, fact = told.get(row.site, ([], None))
        said = next((each for each in reported if each.node == name), None)
        heard_us = core.heard.get(row.site)
        cordon = kept_nodes.get(row.site, {}).get(name)
        summary = NodeSummary(
            **msgspec.structs.asdict(views.view_node(row.record, name, said)),
            site=row.site,
            state=views.site_state(core, states[row.site]),
            heard_s_ago=None if heard_us is None else (now_us - heard_us) // 1_000_000,
            conditions=(
                *(() if cordon is None else (view_cordon(cordon),)),
                *list_conditions(states[row.site], fact, kept_free.get(row.site)),
            ),
        )
        found.append(summary)
    return tuple(found)
