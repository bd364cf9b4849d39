"""The core's end of all links: prove the child, admit it, and hand its site to a session (core/session.py).

One session per site: a newer one replaces the older, at once here and by its epoch in the store. Nobody who has not
proved itself reaches more than the first message and one read of its record; a door with places lets all sites of a
fleet come back at once without starving any (sync/admission.py).
"""

from collections.abc import Mapping

import structlog

from skerry import wire
from skerry.clock import SECOND_US, Clock, ClockTimeout, Mint, Tasks
from skerry.core.desk import LinkDesk, SessionGrant, SessionRefusal
from skerry.core.session import SiteSession, StreamedCall
from skerry.link.dictionary import link_compressor
from skerry.link.ports import Connection, LinkClosed
from skerry.link.pump import Pump
from skerry.model.errors import SkerryError, Unavailable
from skerry.model.ids import SiteName, is_name
from skerry.model.limits import LINK_FIRST_FRAME_US_MAX
from skerry.safe.errors import StoreFailed
from skerry.sync import ports
from skerry.sync.admission import Admission
from skerry.sync.classes import HEARTBEATS_US
from skerry.trust.proof import verify_proof
from skerry.wire import CallKind

#: Sessions admitted per second and at once: what a core of two cores proves, records and answers in that time.
ADMISSIONS_PER_S = 100
ADMISSIONS_BURST = 200
#: Children that are told when to come back: every site of the largest fleet of one core.
PLACES_MAX = 20_000
#: A pending box keeps its connection so long before it asks again; its token bounds the whole.
JOIN_WAIT_US = 60 * SECOND_US
#: When a store that is full or too busy may have room again.
_TROUBLE_US = 30 * SECOND_US

_log = structlog.get_logger("skerry.core")


class Sessions:
    """Implements ``core.state.Sites``; ``handle`` serves each connection of the link listener."""

    def __init__(
        self,
        *,
        desk: LinkDesk,
        clock: Clock,
        mint: Mint,
        tasks: Tasks,
        heartbeats_us: Mapping[wire.LinkClass, int] = HEARTBEATS_US,
        admission: Admission | None = None,
    ) -> None:
        self._desk = desk
        self._clock = clock
        self._mint = mint
        self._tasks = tasks
        self._heartbeats_us = heartbeats_us
        self._compressor = link_compressor()
        self._admission = admission or Admission(ADMISSIONS_PER_S, ADMISSIONS_BURST, PLACES_MAX)
        self._sessions: dict[SiteName, SiteSession] = {}

    # --- core.state.Sites --------------------------------------------------------------------------------------------

    def nudge(self, site: SiteName) -> None:
        """A site's document or record may have changed."""
        session = self._sessions.get(site)
        if session is not None:
            session.nudge()

    def ask_samples(self, site: SiteName, every_us: int, span_us: int) -> None:
        """Wish for quicker samples of a site for a while; nothing where it has no session here."""
        session = self._sessions.get(site)
        if session is not None:
            session.ask_samples(every_us, span_us)

    async def call(self, site: SiteName, kind: CallKind, body: bytes, allowed_us: int) -> StreamedCall:
        """Call a site; raise ``Unavailable`` when it has no session here or does not answer in time."""
        session = self._sessions.get(site)
        if session is None:
            raise Unavailable(
                "E-SITE-AWAY", f"Site {site} has no link to this core now.", hint=f"skerry site show {site}"
            )
        return await session.call(kind, body, allowed_us)

    def linked(self) -> tuple[SiteName, ...]:
        """Sites with a session here, sorted."""
        return tuple(sorted(self._sessions))

    # --- one connection ----------------------------------------------------------------------------------------------

    async def handle(self, connection: Connection) -> None:
        """Serve one connection: its first message says whether it is a site or a box that wants to join."""
        pump = Pump(connection, self._compressor, self._tasks, connection.peer)
        try:
            async with ClockTimeout(self._clock, self._tasks, LINK_FIRST_FRAME_US_MAX):
                first = await pump.receive()
            match first:
                case wire.Hello():
                    await self._greet(connection, pump, first)
                case wire.JoinRequest():
                    await self._join(connection, pump, first)
                case _:
                    pump.push(wire.Rejected("E-PROTOCOL", "a Hello or a JoinRequest comes first", fatal=True))
        except (LinkClosed, TimeoutError):
            pass  # it went, or never said a word
        except StoreFailed:
            raise  # the process ends (faults.md §3.4)
        except SkerryError as error:
            _log.warning("session refused", peer=connection.peer, code=error.code, detail=error.detail)
            pump.push(wire.Busy(_TROUBLE_US))
        except Exception:
            # What one peer sent must not end the core for all.
            _log.exception("connection failed", peer=connection.peer)
        finally:
            await pump.part(self._clock)

    async def _greet(self, connection: Connection, pump: Pump, hello: wire.Hello) -> None:
        """Let a site in, or tell it why not."""
        claim = await self._prove(connection, hello)
        if claim is None:
            reason = "this core knows no such site, or the proof is not by its device key"
            pump.push(wire.Rejected("E-PROOF", reason, fatal=True))
            return
        wait_us = self._admission.ask(claim.site, self._clock.boot_us())
        if wait_us:
            pump.push(wire.Busy(wait_us))
            return
        verdict = await self._desk.open_session(claim, connection.peer)
        if isinstance(verdict, SessionRefusal):
            pump.push(wire.Rejected(verdict.code, verdict.reason, fatal=True, number=verdict.floor))
            return
        pump.trust_size()
        await self._serve(claim, pump, verdict)

    async def _prove(self, connection: Connection, hello: wire.Hello) -> wire.HelloClaim | None:
        """Return the claim if its proof holds. Until then only the names in it are used: they say which key to try."""
        try:
            claim = wire.decode_claim(hello.claim)
        except wire.WireError:
            return None
        known = await self._desk.find_site(claim.site) if is_name(claim.site) else None
        node = None if known is None else known.record.nodes.get(claim.node)
        if node is None or not verify_proof(
            node.device, connection.nonce, connection.server_digest, hello.claim, hello.proof
        ):
            return None
        return claim

    async def _serve(self, claim: wire.HelloClaim, pump: Pump, grant: SessionGrant) -> None:
        site = claim.site
        older = self._sessions.get(site)
        if older is not None:
            if older.claim.session_epoch > claim.session_epoch:
                return  # two came at once, and this one is the older
            older.close(ports.Close("E-REPLACED", "the site has a newer session"))
        session = SiteSession(
            claim=claim,
            pump=pump,
            desk=self._desk,
            clock=self._clock,
            mint=self._mint,
            tasks=self._tasks,
            heartbeats_us=self._heartbeats_us,
        )
        self._sessions[site] = session
        try:
            await session.run(grant)
        finally:
            if self._sessions.get(site) is session:
                del self._sessions[site]
            await self._desk.close_session(site, claim.session_epoch, session.reason)

    async def _join(self, connection: Connection, pump: Pump, request: wire.JoinRequest) -> None:
        """Answer a box; while it is pending its connection is kept, up to a limit."""
        answer = await self._desk.join(request, connection.nonce, connection.server_digest, connection.peer)
        pump.push(answer)
        if answer.state == "pending":
            until_us = self._clock.boot_us() + JOIN_WAIT_US
            pump.push(await self._desk.wait_joined(request.site, request.node, until_us))
