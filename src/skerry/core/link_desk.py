"""The store behind the link: what ``core/sessions.py`` asks, answered (core/desk.py).

Rules: (1) a site speaks for itself only; (2) what is acknowledged is committed; (3) a site that is ahead of the core is
evidence, and is listened to instead of overruled (faults.md R9, U2).
"""

import ipaddress
from collections.abc import Callable, Collection, Iterable

from skerry.clock import ClockTimeout, make_ulid
from skerry.core.changes import LinksOf
from skerry.core.desk import Drawn, KnownSite, SessionGrant, SessionRefusal
from skerry.core.drawing import Ask, Drawings
from skerry.core.state import Core
from skerry.model import limits
from skerry.model.event import Event
from skerry.model.facts import Fact, InstanceFact, OverlayFact, SiteFact
from skerry.model.ids import AppName, Digest, NodeName, SiteName, TenantName, UnitId
from skerry.model.network import OVERLAY_KEYS_MAX
from skerry.model.samples import Sample
from skerry.model.signed import Envelope, Root
from skerry.plan.windows import TIME_UNKNOWN
from skerry.store import Connection, access, documents, events, facts, fleet, joining, objects, sites, things
from skerry.store.joining import JoinRequestRow
from skerry.store.scope import PLATFORM
from skerry.sync.facts import FactsMismatch, apply_facts
from skerry.sync.outbox import mark_event
from skerry.trust.envelope import kind_of
from skerry.trust.held import Held
from skerry.trust.join import CoreToken, Session, admit_join
from skerry.trust.verdict import Denied
from skerry.trust.verify import verify_envelope
from skerry.wire import FactsPatch, HelloClaim, JoinAnswer, JoinRequest

#: A patch of facts this much below its limit was not cut, so it leaves the core with all of them.
_WHOLE_FACTS_BYTES = limits.FACTS_PATCH_BYTES // 2


class StoreDesk:
    """Implements ``core.desk.LinkDesk``."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._drawings = Drawings(core)

    async def read_roots(self, after: int) -> bytes:
        """See ``LinkDesk``."""
        return self._core.encode_roots(after)

    async def find_site(self, site: SiteName) -> KnownSite | None:
        """See ``LinkDesk``."""
        row = await self._core.db.read(lambda connection: sites.find_site(connection, site, PLATFORM))
        return None if row is None else KnownSite(row.record, row.envelope)

    def hear(self, site: SiteName) -> None:
        """See ``LinkDesk``."""
        self._core.heard[site] = self._core.clock.boot_us()

    # --- sessions ----------------------------------------------------------------------------------------------------

    async def open_session(self, claim: HelloClaim, peer: str) -> SessionGrant | SessionRefusal:
        """See ``LinkDesk``."""
        now_us = self._core.clock.wall_us()

        def job(connection: Connection) -> tuple[SessionGrant | SessionRefusal, bool]:
            before = sites.read_state(connection, claim.site).seen_from
            answer = _open_session(connection, claim, now_us, _read_host(peer))
            state = sites.read_state(connection, claim.site)
            return answer, state.learning or state.seen_from != before

        answer, is_news = await self._core.db.run(job, soon=True)
        if isinstance(answer, SessionGrant):
            self._core.link_classes[claim.site] = claim.link_class
            self.hear(claim.site)
            self._core.use.renew(claim.site)
            self._core.changes.touch(claim.site)
            self._core.events.ring()
            if is_news:
                self._core.wishes.ring()
        return answer

    async def close_session(self, site: SiteName, session_epoch: int, reason: str) -> None:
        """See ``LinkDesk``."""
        now_us = self._core.clock.wall_us()

        def job(connection: Connection) -> None:
            state = sites.read_state(connection, site)
            if state.session_epoch == session_epoch:
                _tell(connection, "site.disconnected", site, now_us, reason)

        await self._core.db.run(job)
        self._core.changes.touch(site)
        self._core.events.ring()

    async def count_bytes(self, site: SiteName, sent: dict[str, int], received: dict[str, int]) -> None:
        """See ``LinkDesk``. Kept in memory until the next ``flush_bytes``: a crash costs a minute of counts."""
        totals = self._core.link_bytes.setdefault(site, ({}, {}))
        for total, more in zip(totals, (sent, received), strict=True):
            for purpose, count in more.items():
                total[purpose] = total.get(purpose, 0) + count
        self._core.use.count_link(site, sum(sent.values()) + sum(received.values()))

    def take_sample(self, site: SiteName, sample: Sample, rtt_us: int) -> None:
        """See ``LinkDesk``."""
        clock = self._core.clock
        self._core.use.take(site, sample, rtt_us, clock.wall_us(), clock.boot_us())
        if sample.peers or sample.uplinks:
            self._core.changes.touch(LinksOf(site))

    # --- documents ---------------------------------------------------------------------------------------------------

    async def draw_patch(self, site: SiteName, base_epoch: int, base_generation: int) -> Drawn:
        """See ``LinkDesk``."""
        return await self._drawings.draw(Ask(site, base_epoch, base_generation))

    async def read_objects(self, site: SiteName, digests: tuple[Digest, ...]) -> dict[Digest, Envelope]:
        """See ``LinkDesk``."""

        def job(connection: Connection) -> dict[Digest, Envelope]:
            state = sites.read_state(connection, site)
            row = documents.find_document(connection, site, state.epoch, state.generation)
            named = () if row is None else [digest for digest in digests if digest in row.objects]
            return objects.read_objects(connection, named)

        return await self._core.db.read(job)

    async def record_answer(
        self, site: SiteName, epoch: int, generation: int, *, accepted: bool, code: str, reason: str
    ) -> None:
        """See ``LinkDesk``."""
        now_us = self._core.clock.wall_us()

        def job(connection: Connection) -> None:
            state = sites.read_state(connection, site)
            if (epoch, generation) > (state.epoch, state.generation):
                return  # nobody gave it that number
            if accepted:
                values = {"held_epoch": epoch, "held_generation": generation}
                sites.change_state(connection, site, refused_code="", refused_reason="", **values)
                return
            sites.change_state(connection, site, refused_code=code[:64], refused_reason=reason[:512])
            _tell(
                connection, "document.refused", site, now_us, f"Generation {generation}: {reason[:512]} ({code[:64]})"
            )

        await self._core.db.run(job)
        self._core.changes.touch(site)
        self._core.events.ring()
        self._core.wishes.ring()

    # --- what sites report -------------------------------------------------------------------------------------------

    async def ingest_events(self, site: SiteName, events: tuple[Event, ...], dropped: int) -> int:
        """See ``LinkDesk``."""
        now_us = self._core.clock.wall_us()
        through = await self._core.db.run(lambda connection: _ingest_events(connection, site, events, dropped, now_us))
        self._core.events.ring()
        return through

    async def ingest_facts(self, site: SiteName, patch: FactsPatch) -> bool:
        """See ``LinkDesk``."""
        now_us = self._core.clock.wall_us()
        root = self._core.root
        stored, matters, is_timeless = await self._core.db.run(
            lambda connection: _ingest_facts(connection, site, patch, root, now_us)
        )
        self._core.changes.touch(site, *_list_apps(patch))
        if matters:
            self._core.wishes.ring()
        if is_timeless and self._core.sites is not None:
            self._core.sites.nudge(site)
        return stored

    # --- blobs -------------------------------------------------------------------------------------------------------

    async def size_blob(self, site: SiteName, blob: Digest) -> int | None:
        """See ``LinkDesk``."""

        def job(connection: Connection) -> bool:
            wanted = documents.read_unit_digests(connection, site)
            images = things.list_images_with(connection, blob)
            return any(f"image/{image}" in wanted for image in images) or (
                bool(images) and not images.isdisjoint(_list_proven_images(connection, site, wanted))
            )

        return await self._core.blobs.size(blob) if await self._core.db.read(job) else None

    async def read_blob(self, blob: Digest, offset: int, count: int) -> bytes:
        """See ``LinkDesk``."""
        return await self._core.blobs.read(blob, offset, count) or b""

    # --- joining -----------------------------------------------------------------------------------------------------

    async def join(self, request: JoinRequest, nonce: bytes, server_digest: bytes, peer: str) -> JoinAnswer:
        """See ``LinkDesk``."""
        now_us = self._core.clock.wall_us()
        name = make_ulid(self._core.mint, now_us)

        def job(connection: Connection) -> JoinAnswer:
            return _join(connection, request, Session(nonce, server_digest), name, now_us)

        answer = await self._core.db.run(job, soon=True)
        self._core.records.ring()
        self._core.events.ring()
        return answer

    async def wait_joined(self, site: SiteName, node: NodeName, until_us: int) -> JoinAnswer:
        """See ``LinkDesk``."""
        while True:
            seen = self._core.records.rings
            answer = await self._core.db.read(lambda connection: _read_join(connection, site, node))
            left_us = until_us - self._core.clock.boot_us()
            if answer.state != "pending" or left_us <= 0:
                return answer
            try:
                async with ClockTimeout(self._core.clock, self._core.tasks, left_us):
                    await self._core.records.wait(seen)
            except TimeoutError:
                return answer


def _read_host(peer: str) -> str:
    """Return the address of a link's other end where other sites may use it; empty for this machine's own."""
    try:
        address = ipaddress.ip_address(peer.rpartition(":")[0].strip("[]"))
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return "" if address.is_loopback or (mapped and mapped.is_loopback) else str(mapped or address)


def _open_session(
    connection: Connection, claim: HelloClaim, now_us: int, seen_from: str
) -> SessionGrant | SessionRefusal:
    row = sites.find_site(connection, claim.site, PLATFORM)
    if row is None or claim.node not in row.record.nodes:
        return SessionRefusal("E-SITE", "this core knows no such node")
    state = sites.read_state(connection, claim.site)
    if claim.session_epoch <= state.session_epoch:
        reason = f"session {claim.session_epoch} is over, the newest is {state.session_epoch}"
        return SessionRefusal("E-SESSION-OLD", reason, floor=state.session_epoch)
    held = (claim.document_epoch, claim.document_generation)
    if max(held) > limits.INTEGER_MAX // 2 or claim.event_acknowledged > limits.INTEGER_MAX // 2:
        return SessionRefusal("E-NUMBER", "numbers beyond all that can be counted")
    changes: dict[str, object] = {
        "session_epoch": claim.session_epoch,
        "link_class": claim.link_class,
        "seen_from": seen_from,
        "agent": claim.agent[:64],
        "held_epoch": held[0],
        "held_generation": held[1],
        "facts_current": bool(state.facts_digest) and claim.facts_digest == state.facts_digest,
    }
    if held > (state.epoch, state.generation):
        changes |= {"epoch": held[0], "generation": held[1], "units_digest": "", "learning": True}
        message = f"It holds generation {held[1]}, the core knew {state.generation}: nothing is published to it."
        _tell(connection, "site.learning", claim.site, now_us, message)
        _raise_known_evidence(connection, claim.site, now_us)
    acknowledged = state.event_acknowledged
    if claim.event_acknowledged > acknowledged:
        # A core before this one acknowledged them; they are gone at the site and nobody can send them again.
        lost = claim.event_acknowledged - acknowledged
        acknowledged = claim.event_acknowledged
        changes["event_acknowledged"] = acknowledged
        _tell(connection, "events.dropped", claim.site, now_us, f"{lost} events were acknowledged by a core now lost.")
    sites.change_state(connection, claim.site, **changes)
    _tell(connection, "site.connected", claim.site, now_us, f"Session {claim.session_epoch}, agent {claim.agent[:64]}.")
    mark = b""
    if claim.event_acknowledged < acknowledged <= claim.event_last:
        # The site may know these numbers for other events: its disk was set back and it went on alone (faults.md P8).
        last = events.find_site_event(connection, claim.site, acknowledged)
        mark = b"" if last is None else mark_event(last)
    return SessionGrant(acknowledged, state.facts_digest, mark)


def _ingest_events(connection: Connection, site: SiteName, sent: tuple[Event, ...], dropped: int, now_us: int) -> int:
    state = sites.read_state(connection, site)
    row = sites.find_site(connection, site, PLATFORM)
    through, lost = state.event_acknowledged, 0
    for event in sent if row is not None else ():
        if event.sequence <= through:
            continue
        gap = event.sequence - through - 1
        if gap and (gap > dropped or lost):
            break  # something is missing that was not given up: it will be sent again from where we stand
        lost += gap
        assert row is not None
        events.append_site_event(connection, site, event, event.tenant if event.tenant in row.record.tenants else "")
        through = event.sequence
    if lost:
        message = f"{lost} events of {site} were dropped by the limit of its outbox."
        _tell(connection, "events.dropped", site, now_us, message)
    if through != state.event_acknowledged:
        total = state.events_dropped + lost
        sites.change_state(connection, site, event_acknowledged=through, events_dropped=total)
    return through


def _ingest_facts(
    connection: Connection, site: SiteName, patch: FactsPatch, root: Callable[[], Root], now_us: int
) -> tuple[bool, bool, bool]:
    """Store a patch; say whether it fitted, whether the planner should look, and whether the site lacks the time."""
    row = sites.find_site(connection, site, PLATFORM)
    if row is None or isinstance(apply_facts(facts.read_raw_facts(connection, site), patch), FactsMismatch):
        return False, False, False
    labelled = {key: facts.label_fact(key, body, row.record.tenants) for key, body in patch.changed.items()}
    for key, found in labelled.items():
        if isinstance(found.fact, OverlayFact) and not _keep_keys(
            connection, Held(root=root(), site_record=row.record), found.fact, now_us
        ):
            labelled[key] = facts.LabelledFact(facts.FactLabel("unknown"), None)
    labels = {key: found.label for key, found in labelled.items()}
    facts.change_facts(connection, site, patch.changed, labels, patch.removed, whole=patch.whole)
    state = sites.read_state(connection, site)
    whole = sum(map(len, patch.changed.values())) < _WHOLE_FACTS_BYTES
    sites.change_state(connection, site, facts_digest=patch.digest, facts_current=state.facts_current or whole)
    if state.learning:
        _raise_evidence(connection, (found.fact for found in labelled.values()), now_us)
    kinds = {label.kind for label in labels.values()} | {key.partition("/")[0] for key in patch.removed}
    # The first that is known anew of a site that was away may decide between its copies and those that stood in.
    is_news = state.learning or (whole and not state.facts_current) or bool(patch.removed)
    is_timeless = any(
        isinstance(found.fact, SiteFact) and TIME_UNKNOWN in found.fact.conditions for found in labelled.values()
    )
    if is_timeless:
        # The same wish under the next number: a document's signed time is the one that a site believes.
        sites.change_state(connection, site, units_digest="")
    return True, is_news or bool(kinds & {"node", "volume", "app", "overlay"}), is_timeless


def _list_proven_images(connection: Connection, site: SiteName, wanted: Collection[UnitId]) -> set[Digest]:
    """Return the images of what a site goes back to when it gives a revision up: its document does not name them.

    Only of apps that are assigned there, and only of revisions of the app for which the site says so.
    """
    here = {tuple(name.split("/")[1:3]) for name in wanted if name.startswith("assignment/")}
    told = [fact for fact in facts.list_fallbacks(connection, site) if (fact.tenant, fact.app) in here]
    held = objects.read_objects(connection, (fact.fallback for fact in told))
    found: set[Digest] = set()
    for fact in told:
        envelope = held.get(fact.fallback)
        if envelope is None or kind_of(envelope) != "revision":
            continue
        revision = fleet.decode_revision(envelope)
        if (revision.tenant, revision.app) == (fact.tenant, fact.app):
            found |= {service.image.digest for service in revision.services.values()}
    return found


def _keep_keys(connection: Connection, held: Held, fact: OverlayFact, now_us: int) -> bool:
    """Keep the overlay keys that a node says it has, for its peers; not one that its device did not sign.

    Old keys come no lower by this: peers hold floors of their own.
    """
    keys = [verify_envelope(envelope, held, expect="overlay-key") for envelope in fact.keys[:OVERLAY_KEYS_MAX]]
    if not keys or any(isinstance(key, Denied) or key.payload.node != fact.node for key in keys):
        return False
    for envelope in fact.keys[:OVERLAY_KEYS_MAX]:
        objects.record_object(connection, "", "overlay-key", envelope, now_us)
    return True


def _list_apps(patch: FactsPatch) -> set[tuple[TenantName, AppName]]:
    """Name the apps that a patch speaks of; a name that is none of ours is looked up in vain later."""
    parts = [key.split("/") for key in (*patch.changed, *patch.removed)]
    return {(TenantName(each[1]), AppName(each[2])) for each in parts if each[0] == "instance" and len(each) > 2}


def _raise_known_evidence(connection: Connection, site: SiteName, now_us: int) -> None:
    """Take what is stored of a site as evidence: it may be all that the site has to say."""
    known = (fact for _, fact in facts.list_instance_facts(connection, None, sites=(site,)))
    _raise_evidence(connection, known, now_us)


def _raise_evidence(connection: Connection, reported: Iterable[Fact | None], now_us: int) -> None:
    """Raise the number lines of apps of which a site reports newer revisions than the core knows.

    Never further than one window above what is known, so that no site can use up another's numbers (invariant I34).
    """
    numbers = fleet.read_known_numbers(connection)
    tenants = {row.tenant for row in access.list_tenants(connection)}
    for fact in reported:
        if not isinstance(fact, InstanceFact):
            continue
        tenant, app = fact.instance.split("/")[:2]
        known = numbers.get((tenant, app), 0)
        if tenant in tenants and known < fact.number <= known + limits.NUMBER_WINDOW:
            fleet.raise_evidence(connection, tenant, app, fact.number, now_us)


def _join(connection: Connection, request: JoinRequest, session: Session, name: str, now_us: int) -> JoinAnswer:
    row = joining.find_join_token(connection, request.token_id)
    token = None
    if row is not None and not row.revoked:
        token = CoreToken(
            id=row.token_id, site=row.site, core_key=row.core_key, expires_us=row.expires_us, device=row.device
        )
    burnt = admit_join(token, request, session, now_us)
    if isinstance(burnt, Denied):
        if row is not None:
            message = f"A box was refused: {burnt.reason} ({burnt.code})."
            klass = "security" if burnt.security else "event"
            events.append_core_event(
                connection,
                "site.join-refused",
                time_us=now_us,
                subject=f"site/{row.site}",
                klass=klass,
                message=message,
            )
        return JoinAnswer("refused", burnt.reason)
    joining.burn_join_token(connection, request.token_id, request.device, request.node)
    answer = _read_join(connection, request.site, request.node)
    if answer.state == "joined" and _is_listed(connection, request):
        return answer
    joining.record_join_request(
        connection,
        JoinRequestRow(
            request=name,
            token_id=request.token_id,
            site=request.site,
            node=request.node,
            body=request,
            nonce=session.nonce,
            server_digest=session.server_digest,
            state="pending",
            reason="",
            asked_us=now_us,
        ),
    )
    _tell(connection, "site.join-asked", request.site, now_us, f"Node {request.node} asks to join.")
    return JoinAnswer("pending")


def _is_listed(connection: Connection, request: JoinRequest) -> bool:
    row = sites.find_site(connection, request.site, PLATFORM)
    node = None if row is None else row.record.nodes.get(request.node)
    return node is not None and (node.device, node.sealing) == (request.device, request.sealing)


def _read_join(connection: Connection, site: SiteName, node: NodeName) -> JoinAnswer:
    request = joining.newest_join_request(connection, site, node)
    if request is None:
        return JoinAnswer("pending")
    row = sites.find_site(connection, site, PLATFORM)
    if request.state == "joined" and row is not None:
        return JoinAnswer("joined", site_record=row.envelope)
    if request.state == "refused":
        return JoinAnswer("refused", request.reason)
    return JoinAnswer("pending")


def _tell(connection: Connection, kind: str, site: SiteName, now_us: int, message: str) -> None:
    events.append_core_event(connection, kind, time_us=now_us, subject=f"site/{site}", message=message)
