"""Links of sites as their newest samples have them: to the core, to other sites, and the uplinks under all of these.

Nothing is kept here: a site whose sample is not here yet has its uplinks as they are signed and nothing counted.
"""

from skerry.core import use, views
from skerry.core.auth import Caller
from skerry.core.state import Core, Part
from skerry.model.answers import Page, PeerLink, SiteLinks, UplinkUseView
from skerry.model.asks import LinkQuery
from skerry.model.samples import PeerUse, UplinkUse
from skerry.model.uplinks import Uplink
from skerry.plan.overlay import FRESH_S
from skerry.store import Connection, sites
from skerry.store.rows import read_page_token, write_page_token
from skerry.store.sites import SiteRow, SiteState

_SECOND_US = 1_000_000
#: A gigabyte, as lines are sold.
_GIGABYTE = 10**9


class LinksPart(Part):
    """The operation that lists links."""

    async def list_links(self, caller: Caller, *, query: LinkQuery) -> Page[SiteLinks]:
        """List sites by name with their links."""
        position = read_page_token(query.page_token, 1)

        def job(connection: Connection) -> list[tuple[SiteRow, SiteState]]:
            if query.site:
                row = sites.find_site(connection, query.site, caller.scope)
                rows = [row] if row is not None else []
            else:
                after = position[0] if position else ""
                rows = sites.list_sites(connection, caller.scope, after, query.page_size + 1)
            states = sites.read_states(connection, [row.site for row in rows])
            return [(row, states[row.site]) for row in rows]

        found = await self._core.db.read(job)
        shown = found[: query.page_size]
        if query.fresh:
            self._core.watch_use([row.site for row, _ in shown], use.WATCHED_US)
        token = write_page_token(shown[-1][0].site) if len(found) > len(shown) else ""
        return Page(items=tuple(view_links(self._core, row, state) for row, state in shown), next_page_token=token)


def view_links(core: Core, row: SiteRow, state: SiteState) -> SiteLinks:
    """Return the links of one site."""
    newest = core.use.newest(row.site)
    peers = newest.sample.peers if newest is not None else ()
    used = {each.uplink: each for each in newest.sample.uplinks} if newest is not None else {}
    uplinks = sorted((row.record.uplinks or {}).items(), key=lambda item: (item[1].preference, item[0]))
    return SiteLinks(
        site=row.site,
        state=views.site_state(core, state),
        link_class=state.link_class,
        rtt_us=newest.rtt_us or None if newest is not None else None,
        sampled_s_ago=None if newest is None else (core.clock.boot_us() - newest.boot_us) // _SECOND_US,
        peers=tuple(_view_peer(each) for each in peers),
        uplinks=tuple(_view_uplink(name, each, used.get(name)) for name, each in uplinks),
    )


def _view_peer(each: PeerUse) -> PeerLink:
    heard_s = None if each.heard_s < 0 else each.heard_s
    if heard_s is not None and heard_s < FRESH_S:
        way = "relayed" if each.relayed else "direct"
    else:
        way = "cut" if each.trying else "quiet"
    return PeerLink(
        site=each.site,
        way=way,
        heard_s=heard_s,
        rtt_us=each.rtt_us or None,
        loss_m=min(each.unanswered, each.asked) * 1_000 // each.asked if each.asked else None,
        received_bytes=each.received_bytes,
        sent_bytes=each.sent_bytes,
    )


def _view_uplink(name: str, uplink: Uplink, used: UplinkUse | None) -> UplinkUseView:
    total = used.used_bytes if used is not None else 0
    purposes = dict(used.purposes) if used is not None else {}
    # Each is counted by somebody else: what is left over is everything that nobody claims.
    other = max(total - sum(purposes.values()), 0)
    if other:
        purposes["other"] = other
    return UplinkUseView(
        uplink=name,
        device=uplink.device,
        kind=uplink.kind,
        price_micro=uplink.price_micro,
        budget_bytes=uplink.budget_bytes,
        preference=uplink.preference,
        has_link=used is not None and used.has_link,
        month=used.month if used is not None else "",
        used_bytes=total,
        purposes=purposes,
        cost_micro=total * uplink.price_micro // _GIGABYTE,
    )
