"""What all parts of one core share: its store, clock, keys and bells, and the little it keeps in memory.

Memory holds nothing that is not in the store or heard again within a heartbeat: a core may be killed at any time.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Protocol, TypeVar

import msgspec

from skerry.clock import SECOND_US, Clock, Mint, Tasks, make_ulid
from skerry.core.auth import Caller
from skerry.core.bell import Bell
from skerry.core.beside import Beside
from skerry.core.changes import Changes
from skerry.core.delivery import Delivery
from skerry.core.once import Repeats, record_once
from skerry.core.readers import Readers
from skerry.core.refusals import Clash, Stale, no_root
from skerry.core.use import QUICK_US, Use
from skerry.model.errors import NotFound, Refused, Unavailable
from skerry.model.ids import CauseId, SiteName
from skerry.model.relay import RelayOffer, RelaySeen, RelayTable
from skerry.model.signed import Envelope, Root
from skerry.plan.liveness import SiteLiveness, Watch, judge, listen_us, start_watch
from skerry.safe.db import Db
from skerry.store import Connection, access, sites
from skerry.store.audit import append_audit
from skerry.store.blobs import BlobStore
from skerry.sync.classes import HEARTBEATS_US
from skerry.trust.envelope import encode_envelope_json
from skerry.trust.parse import parse_payload
from skerry.trust.verdict import Denied
from skerry.wire import CallKind, CallReply, LinkClass, StreamData

T = TypeVar("T")
#: A round trip that was told longer ago is unknown; satellites tell of theirs every few hours.
RTT_AGE_US = 24 * 3600 * SECOND_US


class SiteCall(Protocol):
    """A call under way to a site: its one reply, and its stream if it has one."""

    reply: CallReply

    def read(self) -> AsyncIterator[StreamData]:
        """Give what the site sends, in order; ends with the call."""
        ...

    async def write(self, data: bytes, *, channel: int = 0, end: bool = False) -> None:
        """Send bytes to the far end: what a command reads, what a connection carries, or a terminal's new size."""
        ...

    async def close(self, reason: str = "") -> None:
        """Give the call up; idempotent."""
        ...


class Sites(Protocol):
    """The sessions of this core with its sites (core/sessions.py)."""

    def nudge(self, site: SiteName) -> None:
        """Say that a site's document or record may have changed."""
        ...

    def ask_samples(self, site: SiteName, every_us: int, span_us: int) -> None:
        """Wish for quicker samples of a site for a while."""
        ...

    async def call(self, site: SiteName, kind: CallKind, body: bytes, allowed_us: int) -> SiteCall:
        """Call a site; raises ``Unavailable`` when it has no session here or does not answer in time."""
        ...


class Stamp(msgspec.Struct, frozen=True):
    """What one change carries: its cause, and the wall time of its record."""

    cause: CauseId
    now_us: int


class Core:
    """One core. Composed by ``app.py`` and by the simulation."""

    def __init__(
        self,
        *,
        db: Db[Connection],
        blobs: BlobStore,
        clock: Clock,
        mint: Mint,
        tasks: Tasks,
        delivery: Delivery,
        endpoints: tuple[str, ...],
        heartbeats: dict[LinkClass, int] | None = None,
        beside: Beside | None = None,
        relay: RelayOffer | None = None,
        tell_relay: Callable[[RelayTable], None] = lambda _: None,
        see_relay: Callable[[], RelaySeen | None] = lambda: None,
    ) -> None:
        """``relay`` is for sites that cannot reach each other, ``tell_relay`` tells it of their pairs.

        ``see_relay`` returns what it tells of itself, None while it does not run.
        """
        self.relay = relay
        self.tell_relay = tell_relay
        self.see_relay = see_relay
        self.db = db
        #: Where what only computes is done; the loop itself where nothing is said.
        self.beside = beside or Beside(inline=True)
        self.blobs = blobs
        self.clock = clock
        self.mint = mint
        self.tasks = tasks
        self.delivery = delivery
        #: ``host:port`` at which sites reach the link listener, for the root document.
        self.endpoints = endpoints
        self.heartbeats = heartbeats or dict(HEARTBEATS_US)
        #: Rung when the log grew, when a wish changed, when a site record or join request changed.
        self.events = Bell()
        self.wishes = Bell()
        self.records = Bell()
        #: What screens that follow should look at again.
        self.changes = Changes()
        #: Who follows events and changes.
        self.readers = Readers(clock, tasks)
        #: Changes that their senders named.
        self.repeats = Repeats(db, clock, tasks, mint)
        #: Version of the wishes that the newest plan stands on; 0 until this core has planned once.
        self.planned = 0
        self.sites: Sites | None = None
        self.roots: tuple[Envelope, ...] = ()
        #: Site to the boot time at which it was last heard, and the class of its link.
        self.heard: dict[SiteName, int] = {}
        self.link_classes: dict[SiteName, LinkClass] = {}
        self.watch: Watch = start_watch(clock.boot_us())
        #: Bytes by purpose that are not in the store yet: site to (sent, received).
        self.link_bytes: dict[SiteName, tuple[dict[str, int], dict[str, int]]] = {}
        #: What sites use.
        self.use = Use()

    async def load(self) -> None:
        """Read what is kept in memory; raises ``Unavailable`` when the delivery key is not the one that sites trust."""
        self.roots = tuple(await self.db.read(lambda connection: access.list_roots(connection, 0)))
        if self.roots and self.delivery.public not in self.root().delivery.keys:
            raise Unavailable(
                "E-KEY-DAMAGED",
                "The delivery key is not the one that the root document names: no site would follow this core.",
                hint="Restore keys/delivery.key from a backup.",
            )
        self.link_classes = await self.db.read(sites.read_link_classes)

    def stamp(self) -> Stamp:
        """Begin a change."""
        now_us = self.clock.wall_us()
        return Stamp(CauseId(make_ulid(self.mint, now_us)), now_us)

    def root(self) -> Root:
        """Return the root document; raises ``Clash`` while there is none."""
        if not self.roots:
            raise no_root()
        root = parse_payload(self.roots[-1].payload, Root)
        assert not isinstance(root, Denied), "a stored root was verified before it was stored"
        return root

    def encode_roots(self, after: int) -> bytes:
        """Return the root documents above a number as JSON: numbers start at 1 and have no gaps."""
        return b"[" + b",".join(encode_envelope_json(envelope) for envelope in self.roots[max(0, after) :]) + b"]"

    def liveness(self, site: SiteName) -> SiteLiveness:
        """Judge a site by what this core has heard."""
        heartbeat_us = self.heartbeats[self.link_classes.get(site, "wired")]
        return judge(self.watch, self.heard.get(site), heartbeat_us, self.clock.boot_us())

    def forget(self, site: SiteName) -> None:
        """Drop what is in memory of a site that was removed."""
        for known in (self.heard, self.link_classes, self.link_bytes):
            known.pop(site, None)
        self.use.forget(site)

    def watch_use(self, sites: Iterable[SiteName], every_us: int) -> None:
        """Somebody looks at what these sites use: ask them to tell more often for a while."""
        if self.sites is not None:
            for site in self.use.want(sites, every_us, self.clock.boot_us()):
                self.sites.ask_samples(site, every_us, QUICK_US)

    def silent(self) -> frozenset[SiteName]:
        """Name the sites that were heard once and are silent now."""
        return frozenset(site for site in self.link_classes if self.liveness(site) == "silent")

    def away(self) -> dict[SiteName, int]:
        """Return for how long this core has listened in vain to each site that it does not hear, in microseconds."""
        now_us = self.clock.boot_us()
        unheard = (site for site in self.link_classes if self.liveness(site) != "online")
        return {site: listen_us(self.watch, self.heard.get(site), now_us) for site in unheard}

    def round_trips(self) -> dict[SiteName, int]:
        """Return what sites' links measured to this core and told within a day, in microseconds."""
        found: dict[SiteName, int] = {}
        for site in self.link_classes:
            newest = self.use.newest(site)
            if newest is not None and newest.rtt_us and self.clock.boot_us() - newest.boot_us <= RTT_AGE_US:
                found[site] = newest.rtt_us
        return found

    async def change(
        self,
        caller: Caller,
        operation: str,
        subject: str,
        job: Callable[[Connection, Stamp], T],
        *,
        chain: str,
    ) -> T:
        """Do ``job`` in one transaction with its audit record, and return once both are durable.

        A refusal for want of authority or soundness is recorded too; one that merely came too late is not.
        """
        stamp = self.stamp()

        def recorded(connection: Connection) -> T:
            result = job(connection, stamp)
            self._audit(connection, chain, caller, operation, subject, "done", stamp)
            if caller.once is not None:
                record_once(connection, caller.once, stamp.now_us)
            return result

        try:
            result = await self.db.run(recorded, soon=True)
        except (NotFound, Stale, Clash):
            raise
        except Refused as refusal:
            outcome = f"refused: {refusal.code}"
            await self.db.run(
                lambda connection: self._audit(connection, chain, caller, operation, subject, outcome, stamp), soon=True
            )
            raise
        self.events.ring()
        return result

    def _audit(
        self,
        connection: Connection,
        chain: str,
        caller: Caller,
        operation: str,
        subject: str,
        outcome: str,
        stamp: Stamp,
    ) -> None:
        append_audit(
            connection,
            chain,
            time_us=stamp.now_us,
            actor=caller.actor,
            operation=operation,
            subject=subject,
            outcome=outcome,
            cause=stamp.cause,
        )


class Part:
    """One part of the service: a face on the core for the operations of one noun."""

    def __init__(self, core: Core) -> None:
        self._core = core
