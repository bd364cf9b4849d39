"""Sites: records signed by the registrar, and what is known of each: its nodes, document, conditions and events.

A record that lists a waiting box's very keys answers its join request (core/joining.py).
"""

from skerry.core import views
from skerry.core.auth import Caller
from skerry.core.cordons import list_staying, view_cordon
from skerry.core.mapping import SiteMaps, is_settled
from skerry.core.refusals import Clash, Stale, denied, missing_precondition, not_found, unlike
from skerry.core.state import Core, Part, Stamp
from skerry.core.wishes import Expected
from skerry.model.answers import (
    Condition,
    DocumentView,
    LinkBytes,
    Page,
    Recorded,
    SiteDetail,
    SiteMap,
    SiteSummary,
    UplinkView,
)
from skerry.model.asks import SiteQuery
from skerry.model.errors import Invalid
from skerry.model.facts import SiteFact
from skerry.model.ids import Digest, InstanceId, SiteName, digest_of
from skerry.model.selector import Selector, SelectorError, matches, parse_selector
from skerry.model.signed import Envelope, SiteRecord
from skerry.model.site_match import site_labels
from skerry.store import Connection, cordons, events, facts, fleet, joining, sites
from skerry.store.cordons import Cordon
from skerry.store.events import EventFilter
from skerry.store.rows import read_page_token, write_page_token
from skerry.store.sites import SiteRow, SiteState
from skerry.trust.floors import Floor
from skerry.trust.held import Held
from skerry.trust.verdict import Denied
from skerry.trust.verify import verify_envelope

#: Events shown at the end of a detail (interfaces.md §1.1).
_EVENTS_SHOWN = 10


class EnrolmentPart(Part):
    """Operations on sites."""

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._maps = SiteMaps(core)

    async def put_site(self, caller: Caller, *, site: str, body: Envelope, expect: Expected | None) -> Recorded:
        """Record the next signed record of a site; boxes that wait for it are told."""
        if expect is None:
            raise missing_precondition()
        digest = digest_of(body.payload)

        def job(connection: Connection, stamp: Stamp) -> Recorded:
            row = sites.find_site(connection, site)
            number = 0 if row is None else row.number
            if row is not None and number == expect.number + 1 and row.digest == digest and not row.removed:
                return _recorded(connection, site, number, stamp)  # asked again after a lost answer
            _check_number(site, number, expect)
            floors = {f"site/{site}": Floor(number, Digest(""))} if number else {}
            verified = verify_envelope(body, Held(root=self._core.root(), floors=floors), expect="site")
            if isinstance(verified, Denied):
                raise denied(verified)
            record = verified.payload
            for pointer, said, meant in (("/site", record.site, site), ("/number", record.number, number + 1)):
                if said != meant:
                    raise unlike(pointer, said, meant)
            sites.record_site(connection, record, body, stamp.now_us)
            fleet.touch_fleet(connection)
            _settle_requests(connection, record)
            _tell(connection, stamp, "site.recorded", record.site, f"Record {record.number} was signed.")
            return _recorded(connection, site, record.number, stamp)

        done = await self._core.change(caller, "put_site", f"site/{site} {digest}", job, chain="")
        self._core.changes.touch(SiteName(site))
        self._core.wishes.ring()
        self._core.records.ring()
        if self._core.sites is not None:
            self._core.sites.nudge(SiteName(site))
        return done

    async def remove_site(self, caller: Caller, *, site: str, expect: Expected | None) -> Recorded:
        """Forget a site; nothing at it is told to stop."""
        if expect is None:
            raise missing_precondition()

        def job(connection: Connection, stamp: Stamp) -> Recorded:
            row = sites.find_site(connection, site, caller.scope)
            if row is None:
                raise not_found()
            _check_number(site, row.number, expect)
            sites.remove_site(connection, row.site, stamp.now_us)
            fleet.touch_fleet(connection)
            _tell(connection, stamp, "site.removed", row.site, "The site was removed.")
            return _recorded(connection, site, row.number, stamp)

        done = await self._core.change(caller, "remove_site", f"site/{site}", job, chain="")
        self._core.forget(SiteName(site))
        self._core.changes.touch(SiteName(site))
        self._core.wishes.ring()
        if self._core.sites is not None:
            self._core.sites.nudge(SiteName(site))
        return done

    async def adopt_site(self, caller: Caller, *, site: str) -> Recorded:
        """End a site's learning by an operator's word."""

        def job(connection: Connection, stamp: Stamp) -> Recorded:
            row = sites.find_site(connection, site, caller.scope)
            if row is None:
                raise not_found()
            state = sites.read_state(connection, site)
            if not state.learning:
                raise Clash("E-NOT-LEARNING", f"The core knows all that {site} holds; there is nothing to adopt.")
            fleet.adopt_evidence(connection, row.site)
            _tell(connection, stamp, "site.adopted", row.site, "An operator ended its learning.")
            return _recorded(connection, site, row.number, stamp)

        done = await self._core.change(caller, "adopt_site", f"site/{site}", job, chain="")
        self._core.changes.touch(SiteName(site))
        self._core.wishes.ring()
        return done

    async def list_sites(self, caller: Caller, *, query: SiteQuery) -> Page[SiteSummary]:
        """List sites by name."""

        def job(connection: Connection) -> Page[SiteSummary]:
            rows, token = _page(connection, caller, query)
            return Page(items=summarise_sites(self._core, connection, caller, rows), next_page_token=token)

        return await self._core.db.read(job)

    async def map_sites(self, caller: Caller) -> SiteMap:
        """Return all sites as points, by name."""
        return SiteMap(points=await self._maps.read(caller.scope))

    async def list_site_records(self, caller: Caller, *, query: SiteQuery) -> Page[Envelope]:
        """Return signed site records by site name."""

        def job(connection: Connection) -> Page[Envelope]:
            rows, token = _page(connection, caller, query)
            return Page(items=tuple(row.envelope for row in rows), next_page_token=token)

        return await self._core.db.read(job)

    async def read_site_record(self, caller: Caller, *, site: str) -> Envelope:
        """Return a site's newest record as it was signed."""

        def job(connection: Connection) -> Envelope:
            row = sites.find_site(connection, site, caller.scope)
            if row is None:
                raise not_found()
            return row.envelope

        return await self._core.db.read(job)

    async def show_site(self, caller: Caller, *, site: str) -> SiteDetail:
        """Show one site."""

        def job(connection: Connection) -> SiteDetail:
            row = sites.find_site(connection, site, caller.scope)
            if row is None:
                raise not_found()
            state = sites.read_state(connection, site)
            nodes, _ = facts.read_site_facts(connection, (site,)).get(row.site, ([], None))
            reported = {fact.node: fact for fact in nodes}
            logged = events.last_events(connection, caller.scope, _EVENTS_SHOWN, EventFilter(about=row.site))
            instances = views.read_instances(self._core, connection, caller.scope, sites=(site,))
            platform = caller.scope.platform
            cordon = cordons.read_cordons(connection).get(row.site)
            drained = cordon is not None and cordon.mode == "drain"
            return SiteDetail(
                summary=summarise_sites(self._core, connection, caller, [row])[0],
                latitude_udeg=row.record.latitude_udeg,
                longitude_udeg=row.record.longitude_udeg,
                tenants=tuple(name for name in sorted(row.record.tenants) if platform or name == caller.tenant),
                node_list=tuple(
                    views.view_node(row.record, name, reported.get(name)) for name in sorted(row.record.nodes)
                ),
                document=_view_document(state),
                learning=state.learning,
                unknown=_list_unknown(connection, caller, row.site) if state.learning else (),
                session_epoch=state.session_epoch,
                link_class=state.link_class,
                link_bytes=tuple(
                    LinkBytes(purpose=purpose, sent=sent, received=received)
                    for purpose, sent, received in sites.read_link_bytes(connection, row.site)
                    if platform
                ),
                instances=tuple(each.view for each in instances),
                events=tuple(views.cloud_event(each) for each in logged),
                staying=list_staying(connection, caller, row.site) if drained else (),
                uplinks=_list_uplinks(row.record) if platform else (),
                relay=_name_relay(row.record) if platform else "",
            )

        return await self._core.db.read(job)


def _name_relay(record: SiteRecord) -> str:
    relay = record.relay
    return f"{relay.address}:{relay.first}-{relay.last}" if relay else ""


def _list_uplinks(record: SiteRecord) -> tuple[UplinkView, ...]:
    return tuple(
        UplinkView(
            uplink=name,
            device=each.device,
            kind=each.kind,
            price_micro=each.price_micro,
            budget_bytes=each.budget_bytes,
            up_bps=each.up_bps,
            down_bps=each.down_bps,
            preference=each.preference,
        )
        for name, each in sorted((record.uplinks or {}).items(), key=lambda item: (item[1].preference, item[0]))
    )


def summarise_sites(core: Core, connection: Connection, caller: Caller, rows: list[SiteRow]) -> tuple[SiteSummary, ...]:
    """Sum sites up, a line each; instances are those that the caller may see."""
    names = [row.site for row in rows]
    if not names:
        return ()
    states = sites.read_states(connection, names)
    told = facts.read_site_facts(connection, names)
    kept_free = cordons.read_cordons(connection)
    counts: dict[SiteName, list[views.Instance]] = {}
    for each in views.read_instances(core, connection, caller.scope, sites=names):
        counts.setdefault(each.view.site, []).append(each)
    now_us = core.clock.boot_us()
    found: list[SiteSummary] = []
    for row in rows:
        state, fact = states[row.site], told.get(row.site, ([], None))[1]
        here = [each for each in counts.get(row.site, []) if each.wanted]
        heard_us = core.heard.get(row.site)
        found.append(
            SiteSummary(
                site=row.site,
                number=row.number,
                state=views.site_state(core, state),
                labels=row.record.labels,
                region=row.record.region,
                country=row.record.country,
                nodes=len(row.record.nodes),
                instances=len(here),
                ready=sum(each.ready for each in here),
                conditions=list_conditions(state, fact, kept_free.get(row.site)),
                heard_s_ago=None if heard_us is None else (now_us - heard_us) // 1_000_000,
                settled=is_settled(state, fact),
            )
        )
    return tuple(found)


def list_conditions(state: SiteState, fact: SiteFact | None, cordon: Cordon | None) -> tuple[Condition, ...]:
    """Say what is worth a person's eye of a site: what its operator and the core say of it, then its own word."""
    found: list[Condition] = []
    if cordon is not None:
        found.append(view_cordon(cordon))
    if state.learning:
        reason = "it holds a newer document than the core knows: apply the apps again, or adopt it"
        found.append(Condition(kind="learning", reason=reason))
    if state.refused_code:
        reason = f"it refused its document: {state.refused_reason} ({state.refused_code})"
        found.append(Condition(kind="document-refused", reason=reason))
    for kind, reason in sorted({} if fact is None else fact.conditions.items()):
        found.append(Condition(kind=kind, reason=reason))
    return tuple(found)


def _page(connection: Connection, caller: Caller, query: SiteQuery) -> tuple[list[SiteRow], str]:
    """Return one page of visible sites that match the selector, and the token of the next one."""
    selector = read_selector(query)
    position = read_page_token(query.page_token, 1)
    after = position[0] if position else ""
    rows: list[SiteRow] = []
    while len(rows) <= query.page_size:
        found = sites.list_sites(connection, caller.scope, after, query.page_size + 1)
        rows += [row for row in found if matches_site(selector, row)]
        if len(found) <= query.page_size:
            break
        after = found[-1].site
    shown = rows[: query.page_size]
    return shown, write_page_token(shown[-1].site) if len(rows) > query.page_size else ""


def read_selector(query: SiteQuery) -> Selector:
    """Read which labels are asked for; raises ``Invalid``."""
    try:
        return parse_selector(query.label_selector)
    except SelectorError as error:
        raise Invalid("E-SELECTOR", f"The selector cannot be read: {error}.") from error


def matches_site(selector: Selector, row: SiteRow) -> bool:
    """Say whether a site's signed labels are those that are asked for."""
    return matches(selector, site_labels(row.record))


def _view_document(state: SiteState) -> DocumentView:
    return DocumentView(
        epoch=state.epoch,
        wanted=state.generation,
        held=state.held_generation,
        pending=state.pending,
        refused_code=state.refused_code,
        refused_reason=state.refused_reason,
    )


def _list_unknown(connection: Connection, caller: Caller, site: SiteName) -> tuple[InstanceId, ...]:
    """Name what a learning site runs of revisions that are not here."""
    reported = facts.list_instance_facts(connection, None if caller.scope.platform else caller.scope, sites=(site,))
    numbers = fleet.read_known_numbers(connection)
    return tuple(
        fact.instance for _, fact in reported if numbers.get(tuple(fact.instance.split("/")[:2]), 0) < fact.number
    )


def _settle_requests(connection: Connection, record: SiteRecord) -> None:
    """Mark requests as joined whose very keys the new record lists."""
    for name, node in record.nodes.items():
        request = joining.newest_join_request(connection, record.site, name)
        if request is None or request.state != "pending":
            continue
        if (request.body.device, request.body.sealing) == (node.device, node.sealing):
            joining.settle_join_request(connection, request.request, "joined")


def _check_number(name: str, number: int, expect: Expected) -> None:
    if number != expect.number:
        raise Stale(number, f"The site {name} is at number {number}, and was expected at {expect.number}.")


def _recorded(connection: Connection, name: str, number: int, stamp: Stamp) -> Recorded:
    return Recorded(name=name, number=number, cause=stamp.cause, event_id=events.newest_event_id(connection))


def _tell(connection: Connection, stamp: Stamp, kind: str, site: SiteName, message: str) -> None:
    events.append_core_event(
        connection, kind, time_us=stamp.now_us, subject=f"site/{site}", cause=stamp.cause, message=message
    )
