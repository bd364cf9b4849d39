"""Networks of a tenant's apps: what their newest revisions say, and which sites have which part of those over sites.

What is wished comes from the store, what has moved from the newest samples. Who sees an app sees its networks.
"""

from collections.abc import Iterator

from skerry.clock import SECOND_US
from skerry.core.auth import Caller
from skerry.core.refusals import not_found
from skerry.core.state import Core, Part
from skerry.model.answers import NetworkDetail, NetworkFlow, NetworkPartView, NetworkView, Page
from skerry.model.app import AppRevision, Network
from skerry.model.asks import NetworkQuery
from skerry.model.document import NetworkMember, NetworkPart
from skerry.model.ids import AppName, NetworkName, SiteName
from skerry.model.network import network_prefix, part_ranges
from skerry.store import Connection, documents
from skerry.store.fleet import read_newest_revisions
from skerry.store.rows import read_page_token, write_page_token
from skerry.store.scope import Scope

#: Parts that one answer lists, 200 bytes each; a larger network is looked at site by site.
PARTS_SHOWN_MAX = 1_000


class NetworksPart(Part):
    """Operations that show networks."""

    async def list_networks(self, caller: Caller, *, query: NetworkQuery) -> Page[NetworkView]:
        """List networks by app and name."""
        position = read_page_token(query.page_token, 2)

        def job(connection: Connection) -> Page[NetworkView]:
            sites = _count_sites(connection, caller)
            found: list[NetworkView] = []
            first = position[0] if position else ""
            for revision in read_newest_revisions(connection, caller.scope, app=query.app, first=first):
                for name, network in sorted(revision.networks.items()):
                    if position is None or (revision.app, name) > tuple(position):
                        found.append(_view(revision, name, network, sites))
                if len(found) > query.page_size:
                    break
            shown = found[: query.page_size]
            token = write_page_token(shown[-1].app, shown[-1].network) if len(found) > query.page_size else ""
            return Page(items=tuple(shown), next_page_token=token)

        return await self._core.db.read(job)

    async def show_network(self, caller: Caller, *, app: str, network: str) -> NetworkDetail:
        """Show one network of an app, and its part at each site."""

        def job(connection: Connection) -> NetworkDetail:
            owner = caller.owner()
            revision = next(read_newest_revisions(connection, Scope(tenant=owner), app=app), None)
            name = NetworkName(network)
            if revision is None or name not in revision.networks:
                raise not_found()
            said = revision.networks[name]
            parts = _read_parts(connection, revision, name) if said.stretched else []
            return NetworkDetail(
                network=_view(revision, name, said, _count_sites(connection, caller)),
                prefix=str(network_prefix(revision.tenant, revision.app, name)) if said.stretched else "",
                parts=tuple(parts[:PARTS_SHOWN_MAX]),
                more=max(len(parts) - PARTS_SHOWN_MAX, 0),
                flows=tuple(_list_flows(self._core, connection, revision, name))[:PARTS_SHOWN_MAX],
            )

        return await self._core.db.read(job)


def _count_sites(connection: Connection, caller: Caller) -> dict[tuple[AppName, str], set[SiteName]]:
    """Return the sites at which each service of the caller's apps is wished."""
    found: dict[tuple[AppName, str], set[SiteName]] = {}
    for site, unit in documents.list_assignments(connection, caller.scope):
        found.setdefault((unit.app, unit.service), set()).add(site)
    return found


def _view(
    revision: AppRevision, name: NetworkName, network: Network, sites: dict[tuple[AppName, str], set[SiteName]]
) -> NetworkView:
    services = tuple(sorted(each for each, service in revision.services.items() if name in service.networks))
    everywhere: set[SiteName] = set()
    for service in services:
        everywhere |= sites.get((revision.app, service), set())
    return NetworkView(
        app=revision.app,
        network=name,
        kind=network.words.kind if network.words else "bridge",
        scope="app" if network.stretched else "site",
        internal=network.internal,
        services=services,
        sites=len(everywhere),
    )


def _list_flows(core: Core, connection: Connection, revision: AppRevision, name: NetworkName) -> Iterator[NetworkFlow]:
    units = documents.list_assignments(connection, Scope(tenant=revision.tenant), app=revision.app)
    for site in sorted({site for site, _ in units}):
        newest = core.use.newest(site)
        for each in newest.sample.networks if newest is not None else ():
            if newest is not None and (each.tenant, each.app, each.network) == (revision.tenant, revision.app, name):
                yield NetworkFlow(
                    site=site,
                    sampled_s_ago=(core.clock.boot_us() - newest.boot_us) // SECOND_US,
                    sent_packets=each.sent_packets,
                    sent_bytes=each.sent_bytes,
                    received_packets=each.received_packets,
                    received_bytes=each.received_bytes,
                    dropped_packets=each.dropped_packets,
                    dropped_bytes=each.dropped_bytes,
                )


def _read_parts(connection: Connection, revision: AppRevision, name: NetworkName) -> list[NetworkPartView]:
    units = documents.list_network_units(connection, revision.tenant, revision.app)
    mine = {site: unit for site, unit in units if isinstance(unit, NetworkPart) and unit.network == name}
    seen: dict[SiteName, list[SiteName]] = {}
    for site, unit in units:
        if isinstance(unit, NetworkMember) and unit.network == name:
            seen.setdefault(site, []).append(unit.site)
    places = documents.find_peers(connection, mine.keys())
    parts: list[NetworkPartView] = []
    for site, part in sorted(mine.items()):
        ranges, peer = part_ranges(part), places.get(site)
        parts.append(
            NetworkPartView(
                site=site,
                ranges=(str(ranges.v4), str(ranges.v6)),
                sees=tuple(sorted(seen.get(site, ()))),
                endpoints=() if peer is None else peer.endpoints,
                relay="" if peer is None else peer.relay,
            )
        )
    return parts
