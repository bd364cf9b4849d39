"""One agent: holdings, loop, calls and link session put together. It answers the session's desk (``agent/desk.py``).

Order of life: read the journal, reconcile at once from it (no core, no clock needed), then dial. Joining is a state
like any other: without an identity there is nothing to reconcile and nobody to prove.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

import msgspec

from skerry import __version__, wire
from skerry.agent import journal, mending, ways
from skerry.agent.calls import CallDesk
from skerry.agent.desk import CallAnswer, DocumentVerdict, Refusal
from skerry.agent.holdings import Accepted, Holdings, restore_holdings
from skerry.agent.looking import Looker
from skerry.agent.loop import Reconciler
from skerry.agent.meter import VolumeMeter
from skerry.agent.perform import Performer
from skerry.agent.sampler import Sampler
from skerry.agent.volumes import VolumeDesk
from skerry.clock import SECOND_US, Clock, Mint, Tasks
from skerry.drivers.base import Console, Driver, Gauge, Typed, VolumeGauge, Watcher
from skerry.model.event import Event
from skerry.model.ids import Digest, InstanceId, NodeName, SiteName
from skerry.model.lan import granted_device
from skerry.model.network import OVERLAY_KEYS_MAX
from skerry.model.observed import ContainerSeen
from skerry.model.samples import OutboxUse, Sample
from skerry.model.signed import Call, Envelope
from skerry.plan.actions import MakeOverlayKey
from skerry.plan.confirm import PATIENCE_US, judge_wishes
from skerry.plan.gates import list_needed
from skerry.plan.history import Grace, History
from skerry.plan.site_plan import HeldSite
from skerry.plan.uplinks import Ways, list_ways
from skerry.plan.ways import LOOK_EVERY_US
from skerry.safe.db import Db
from skerry.safe.sqlite import Connection, Origin
from skerry.sync.facts import digest_facts
from skerry.sync.outbox import mark_event
from skerry.trust import seal
from skerry.trust.keys import SigningKey
from skerry.trust.proof import sign_proof
from skerry.trust.verdict import Denied
from skerry.trust.verify import verify_envelope
from skerry.wire import LinkClass

#: Seconds since 1970 before which no agent of this release was built: the lowest value of any trust clock.
BUILD_TIME_S = 1_795_000_000
#: A watcher that returns at once for ever is not asked more often than this.
WATCH_PAUSE_US = 20_000


class LinkState(msgspec.Struct, frozen=True):
    """The link as the agent sees it."""

    state: str = "down"
    reason: str = "not dialled yet"
    since_us: int = 0

    @property
    def is_up(self) -> bool:
        """The parent is heard."""
        return self.state == "up"


class TrustClock:
    """Time that only grows: the durable floor, plus what the boot-time clock has counted since it was set."""

    def __init__(self, clock: Clock, floor_s: int) -> None:
        self._clock = clock
        self._base_us = max(floor_s, BUILD_TIME_S) * SECOND_US
        self._at_us = clock.boot_us()
        self._is_sure = False

    def read_sure_us(self) -> int:
        """The same, 0 while nobody has signed a time since this process began: how long it was off is not known."""
        return self.trust_us() if self._is_sure else 0

    def hear(self, time_s: int) -> None:
        """A document was made at this time, and is here now."""
        self.raise_to(time_s)
        self._is_sure = True

    def trust_us(self) -> int:
        """Microseconds since 1970, at least."""
        return self._base_us + (self._clock.boot_us() - self._at_us)

    def raise_to(self, floor_s: int) -> None:
        """A document's signed time raises the clock."""
        if floor_s * SECOND_US > self.trust_us():
            self._base_us, self._at_us = floor_s * SECOND_US, self._clock.boot_us()


class Agent:
    """See the module."""

    def __init__(
        self,
        *,
        clock: Clock,
        mint: Mint,
        db: Db[Connection],
        drivers: tuple[Driver, ...],
        console: Console,
        tasks: Tasks,
        device: SigningKey,
        sealing_seed: bytes,
        boot: str,
        link_class: LinkClass = "wired",
        patience_us: int = PATIENCE_US,
        look_every_us: int = LOOK_EVERY_US,
        list_carried: Callable[[], frozenset[Digest]] = frozenset,
    ) -> None:
        """``patience_us`` is how long new wishes about the node's own network are tried without the parent,
        ``look_every_us`` how often relayed pairs look for the direct way.

        ``list_carried`` names the images that a bundle at the box brings.
        """
        self._clock = clock
        self._db = db
        self._tasks = tasks
        self._device = device
        self._sealing_seed = sealing_seed
        self._link_class: LinkClass = link_class
        self._patience_us = patience_us
        self._look_every_us = look_every_us
        self._list_carried = list_carried
        #: Bytes that the link has carried, by ``DEVICE/PURPOSE``; whoever holds the session says it.
        self.read_link_moved: Callable[[], dict[str, int]] = dict
        #: The device by which the link was made.
        self._way = ""
        #: When the newest question was asked that the parent has answered.
        self._answered_us = 0
        self._drivers = drivers
        self.holdings: Holdings | None = None
        self.counters = journal.Counters()
        #: What the journal had lost when it was opened, a sentence each.
        self.mended: tuple[str, ...] = ()
        self.link = LinkState()
        self.joined = asyncio.Event()
        self._changed = asyncio.Event()
        #: Documents come over the link and by hand: each is judged by what the one before it left.
        self._judging = asyncio.Lock()
        self._identity: journal.Identity | None = None
        self.performer = Performer(drivers)
        self.trust = TrustClock(clock, 0)
        self.meter = VolumeMeter(clock, tasks, next((each for each in drivers if isinstance(each, VolumeGauge)), None))
        self.reconciler = Reconciler(
            clock=clock,
            db=db,
            performer=self.performer,
            tasks=tasks,
            history=History(boot=boot),
            read_held=self._read_held,
            read_trust_us=self.trust.read_sure_us,
            meter=self.meter,
            agent_version=__version__,
            on_changed=self._changed.set,
        )
        self._sampler = Sampler(clock, console, next((each for each in drivers if isinstance(each, Gauge)), None))
        self.calls = CallDesk(
            clock=clock,
            mint=mint,
            console=console,
            find_container=self._find_container,
            verify_call=self._verify_call,
            obey=self.reconciler.obey,
            test_chain=self.reconciler.test_chain,
            keep_volume=VolumeDesk(self.reconciler, clock, self.trust.read_sure_us).obey,
            look=Looker(clock, self.performer, self.reconciler, self._read_held, self.trust.read_sure_us).look,
        )

    # --- life --------------------------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Mend, read and verify the journal; what was wrong with it is told."""
        now_us = self._clock.wall_us()

        def mend(connection: Connection) -> tuple[str, ...]:
            found = mending.mend(connection)
            if self._db.file.origin in (Origin.snapshot, Origin.snapshot_before):
                found = ("a page was bad, and an older copy of it took its place", *found)
            journal.append_events(connection, [_tell_damage(line, now_us) for line in found])
            return found

        self.mended = await self._db.run(mend, soon=True)
        remembered = await self._db.read(journal.read_all)
        self.counters = remembered.counters
        self._identity = remembered.identity
        self.trust.raise_to(remembered.counters.time_floor_s)
        history = msgspec.structs.replace(self.reconciler.history, kept=remembered.kept)
        self.reconciler.history = history
        restored = restore_holdings(remembered)
        if restored is None:
            return
        self.holdings, problem = restored
        if self.mended:
            floors = self.holdings.floors
            await self._db.run(lambda connection: journal.raise_floors(connection, floors), soon=True)
        self.calls.node = self.holdings.node
        if problem is not None:
            await self._note_security("journal.refused", f"the journal no longer says all it said: {problem.reason}")
        self.joined.set()

    def start(self) -> None:
        """Reconcile, and listen to runtimes that can tell."""
        self._tasks.start("reconcile", self.reconciler.run())
        for driver in self._drivers:
            if isinstance(driver, Watcher):
                self._tasks.start(f"watch {driver.name}", self._watch(driver))

    async def _watch(self, driver: Watcher) -> None:
        while True:
            await driver.wait_changed()
            self.reconciler.nudge()
            await self._clock.sleep_until(self._clock.boot_us() + WATCH_PAUSE_US)

    async def adopt_identity(self, identity: journal.Identity) -> Denied | None:
        """Take the identity that joining gave, durably; refuse one that does not verify."""
        probe = restore_holdings(
            journal.Remembered(
                identity=identity,
                counters=self.counters,
                document=None,
                previous=None,
                objects={},
                floors={},
                kept=self.reconciler.history.kept,
            )
        )
        if probe is None:
            return Denied("E-JOIN", "the root document is not readable")
        holdings, problem = probe
        if problem is not None:
            return problem
        await self._db.run(lambda connection: journal.record_identity(connection, identity, {}), soon=True)
        self.holdings = holdings
        self._identity = identity
        self.calls.node = holdings.node
        self.joined.set()
        return None

    def read_durable(self) -> object:
        """Return what nobody else could give back, to see whether it changed; None before this node has joined."""
        stored = None if self.holdings is None else self.holdings.stored
        return None if self._identity is None else (self._identity, stored, self.reconciler.history.kept)

    def root_envelope(self) -> Envelope:
        """The pinned root document as it was signed; only for a node that has joined."""
        assert self._identity is not None, "a node that has not joined has no root"
        return self._identity.root

    def open_secret(self, version: Digest) -> bytes:
        """Return the value of a sealed secret, for a driver to show as a file; OSError when it cannot be opened."""
        document = None if self.holdings is None else self.holdings.document
        secret = None if document is None else document.secrets.get(version)
        if secret is None:
            raise OSError(f"secret version {version} is not held")
        value = seal.open_secret(secret, self._sealing_seed)
        if isinstance(value, Denied):
            raise OSError(value.reason)
        return value

    def _read_held(self) -> HeldSite | None:
        if self.holdings is None:
            return None
        self.holdings.proven = list_needed(self.reconciler.history.kept)
        held = self.holdings.as_site()
        if held is None:
            return None
        since_us = self.link.since_us if self.link.is_up else 0
        return msgspec.structs.replace(
            held,
            linked=self.link.is_up,
            linked_us=since_us,
            answered_us=self._answered_us,
            way=self._way,
            link_moved=self.read_link_moved(),
            patience_us=self._patience_us,
            look_every_us=self._look_every_us,
            carried=self._list_carried(),
        )

    def _find_container(self, instance: InstanceId) -> ContainerSeen | None:
        """Of the containers of an instance prefer the one that runs."""
        candidates = [seen for seen in self.reconciler.observed.containers if seen.instance == instance]
        return min(candidates, key=lambda seen: (seen.state != "running", seen.container), default=None)

    def _verify_call(self, envelope: Envelope) -> Call | Denied:
        if self.holdings is None:
            return Denied("E-JOIN", "this node has not joined")
        verified = verify_envelope(envelope, self.holdings.as_held(), expect="call", site=self.holdings.site)
        if isinstance(verified, Denied):
            return verified
        if verified.payload.node != self.holdings.node:
            return Denied("E-CALL", f"meant for node {verified.payload.node}", security=True)
        return verified.payload

    async def _note_security(self, kind: str, message: str) -> None:
        draft = journal.Draft(time_us=self._clock.wall_us(), type=kind, klass="security", message=message)
        await self.reconciler.tell(draft)

    # --- the session's desk ------------------------------------------------------------------------------------------

    async def begin_session(self, above: int = 0) -> wire.HelloClaim:
        """Raise the session epoch durably and say what is held."""
        holdings = self.holdings
        assert holdings is not None, "a session needs an identity"
        self.counters = await self._db.run(lambda connection: journal.begin_session(connection, above), soon=True)
        epoch, generation = holdings.claim()
        return wire.HelloClaim(
            format=wire.FORMAT,
            site=holdings.site,
            node=holdings.node,
            session_epoch=self.counters.session_epoch,
            document_epoch=epoch,
            document_generation=generation,
            facts_digest=digest_facts(self.reconciler.facts),
            event_last=self.counters.event_last,
            event_acknowledged=self.counters.event_acknowledged,
            clock_s=self._clock.wall_us() // SECOND_US,
            agent=__version__,
            features=(wire.SAMPLES_FEATURE,),
            root=holdings.root.number,
            link_class=self._link_class,
            site_record=0 if holdings.record is None else holdings.record.number,
        )

    @property
    def whose(self) -> tuple[SiteName, NodeName] | None:
        """Site and node that this is; None before it has joined."""
        return None if self.holdings is None else (self.holdings.site, self.holdings.node)

    async def change_overlay_key(self) -> int | Refusal:
        """Make the next key of this node's tunnels; peers move to it by themselves, and then the old one goes.

        Returns the number of the new key.
        """
        seen = self.reconciler.observed.overlay
        if seen is None or not seen.keys:
            return Refusal("E-NOT-FOUND", "no network of an app here goes over several sites, so there is no key")
        if len(seen.keys) >= OVERLAY_KEYS_MAX:
            return Refusal("E-CONFLICT", "the key is changing already: some peer was not heard by the next one yet")
        number = max(key.number for key in seen.keys) + 1
        outcome = await self.performer.perform(MakeOverlayKey(number=number))
        if not outcome.ok:
            return Refusal(outcome.code, outcome.reason)
        await self._note_security("overlay.rekeyed", f"overlay key {number} was asked for at the box")
        self.reconciler.nudge()
        return number

    def list_device_patterns(self) -> tuple[str, ...]:
        """Return the devices and links that this site's profiles name, as patterns; the core places by those here."""
        record = None if self.holdings is None else self.holdings.record
        profiles = (record.profiles or {}) if record is not None else {}
        links = {granted_device(grant) for profile in profiles.values() for grant in profile.interfaces}
        return tuple(sorted({pattern for profile in profiles.values() for pattern in profile.devices} | links))

    async def prove(self, nonce: bytes, server_digest: bytes, claim: bytes) -> bytes:
        """Sign the claim with the device key."""
        return sign_proof(self._device, nonce, server_digest, claim)

    async def accept_site_record(self, envelope: Envelope) -> None:
        """Keep a newer site record."""
        holdings, identity = self.holdings, self._identity
        if holdings is None or identity is None:
            return
        record = holdings.judge_record(envelope)
        if isinstance(record, Denied):
            if record.security:
                await self._note_security("record.refused", f"a site record was refused: {record.reason}")
            return
        if holdings.record is not None and record.number <= holdings.record.number:
            return
        fresh = msgspec.structs.replace(identity, record=envelope)
        floors = holdings.floors_with(record, envelope)
        await self._db.run(lambda connection: journal.record_identity(connection, fresh, floors), soon=True)
        self._identity = fresh
        holdings.record = record
        holdings.floors = {**holdings.floors, **floors}
        self.reconciler.nudge()

    async def accept_document(self, patch: wire.DocumentPatch, objects: tuple[Envelope, ...]) -> DocumentVerdict:
        """Keep a document whole or not at all."""
        async with self._judging:
            return await self._accept_document(patch, objects)

    async def _accept_document(self, patch: wire.DocumentPatch, objects: tuple[Envelope, ...]) -> DocumentVerdict:
        holdings = self.holdings
        if holdings is None:
            return DocumentVerdict(state="refused", code="E-JOIN", reason="this node has not joined")
        judged = holdings.judge_document(patch, (*patch.objects, *objects))
        match judged:
            case DocumentVerdict():
                return judged
            case Denied():
                if judged.security:
                    await self._note_security("document.refused", f"a document was refused: {judged.reason}")
                return DocumentVerdict(state="refused", code=judged.code, reason=judged.reason)
            case Accepted():
                await self._keep_document(holdings, judged)
                return DocumentVerdict(state="accepted", epoch=judged.stored.epoch, generation=judged.stored.generation)

    async def _keep_document(self, holdings: Holdings, accepted: Accepted) -> None:
        before = {} if holdings.stored is None else holdings.stored.bodies
        begin = Grace(0, self.reconciler.history.boot, self._clock.boot_us())
        tombstones = dict.fromkeys(accepted.document.tombstones, begin)
        holdings.proven = list_needed(self.reconciler.history.kept)
        needed = set(accepted.needed) | holdings.proven
        needed |= {digest for digest in holdings.objects if digest in holdings.named_now()}
        drafts = [
            journal.Draft(
                time_us=self._clock.wall_us(),
                type="document.accepted",
                subject=f"document/{accepted.stored.epoch}/{accepted.stored.generation}",
                message=f"generation {accepted.stored.generation} is held",
            )
        ]
        drafts += [
            journal.Draft(
                time_us=self._clock.wall_us(),
                type="unit.refused",
                klass="security" if denied.security else "event",
                subject=f"unit/{name}",
                message=denied.reason,
                data={"code": denied.code},
            )
            for name, denied in sorted(accepted.document.refused.items())
        ]

        def record(connection: Connection) -> journal.Counters:
            journal.record_document(
                connection,
                accepted.stored,
                accepted.objects,
                accepted.document.floors,
                tombstones,
                accepted.document.time_floor_s,
                holdings.stored,
            )
            journal.drop_objects(connection, needed)
            journal.append_events(connection, drafts)
            return journal.read_all(connection).counters

        self.counters = await self._db.run(record, soon=True)
        holdings.take_document(accepted)
        self.trust.hear(accepted.document.time_floor_s)
        kept = self.reconciler.history.kept
        kept = msgspec.structs.replace(kept, tombstones={**tombstones, **kept.tombstones})
        self.reconciler.history = msgspec.structs.replace(self.reconciler.history, kept=kept)
        after = accepted.stored.bodies
        changed = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
        self.reconciler.planner.forget_crashes(changed)
        self.reconciler.nudge()

    async def read_facts(self) -> dict[str, bytes]:
        """All present facts."""
        return dict(self.reconciler.facts)

    async def read_sample(self) -> Sample | None:
        """What this node and the instances on it use now."""
        outbox = OutboxUse(*await self._db.read(journal.measure_outbox))
        plan, observed, held = self.reconciler.plan, self.reconciler.observed, self._read_held()
        history, trust_us = self.reconciler.history, self.trust.read_sure_us()
        return await self._sampler.read(
            observed.containers,
            self.meter.sizes,
            outbox,
            plan.chains,
            plan.doors,
            ways.list_networks(observed),
            () if held is None else ways.list_peers(held, observed),
            () if held is None else ways.list_uplinks(held, observed, history, trust_us),
        )

    async def read_outbox(self, after: int, limit: int) -> tuple[tuple[Event, ...], int]:
        """The next events, and how many between were lost."""
        events = await self._db.read(lambda connection: journal.read_outbox(connection, after, limit))
        lost = 0 if not events else (events[-1].sequence - after) - len(events)
        return events, lost

    async def trim_outbox(self, through: int, mark: bytes = b"") -> None:
        """The parent has committed these; if its last one, named by ``mark``, is another than ours, raise instead."""
        notice = self._set_back_notice(through)

        def job(connection: Connection) -> None:
            ours = journal.read_outbox(connection, through - 1, 1) if mark else ()
            if ours and ours[0].sequence == through and mark_event(ours[0]) != mark:
                journal.raise_outbox(connection, through, notice)
            else:
                journal.trim_outbox(connection, through)

        await self._db.run(job)

    async def raise_outbox(self, floor: int) -> None:
        """Move what is unsent up, above what the parent holds: this disk was set back."""
        notice = self._set_back_notice(floor)
        await self._db.run(lambda connection: journal.raise_outbox(connection, floor, notice), soon=True)

    def _set_back_notice(self, floor: int) -> journal.Draft:
        return journal.Draft(
            time_us=self._clock.wall_us(),
            type="site.set-back",
            klass="security",
            message=f"the parent holds events up to {floor} that were not written here: an old disk was restored",
        )

    async def answer_call(self, request: wire.CallRequest, stdin: AsyncIterator[Typed]) -> CallAnswer:
        """Answer the parent; ``stdin`` is what it sends to a command."""
        return await self.calls.answer(request, stdin)

    def note_link(self, state: str, reason: str) -> None:
        """Show the link locally."""
        if (state, reason) != (self.link.state, self.link.reason):
            was_up, self.link = self.link.is_up, LinkState(state, reason, self._clock.boot_us())
            if was_up != self.link.is_up:
                self.reconciler.nudge()

    def list_ways(self) -> Ways:
        """Return by which devices to dial: those of the uplinks that hold now, as far as they are here."""
        record = None if self.holdings is None else self.holdings.record
        history = self.reconciler.history
        standing = judge_wishes(
            (record.uplinks or {}) if record is not None else {},
            history.kept.confirming,
            linked_us=self.link.since_us if self.link.is_up else 0,
            boot=history.boot,
            now_us=self._clock.boot_us(),
            patience_us=self._patience_us,
        )
        seen = self.reconciler.observed.queues
        links = seen.links if seen is not None else ()
        if self.holdings is not None and self.holdings.stored is not None and not self.reconciler.passes:
            # It is going to look which devices are here. A link by the node's own routes would prove the wrong thing.
            links = tuple(each.device for each in standing.uplinks.values())
        return list_ways(standing.uplinks, links, standing.name, history.kept.traffic.used)

    def note_way(self, device: str) -> None:
        """Show by which device the link was made."""
        if device != self._way:
            self._way = device
            self.reconciler.nudge()

    def wants_answer(self) -> bool:
        """Say whether it is to be asked now if the parent can be reached."""
        return self.reconciler.plan.asks_parent

    def note_answer(self, asked_us: int) -> None:
        """The parent has answered what was asked at this boot time."""
        self._answered_us = asked_us
        self.reconciler.nudge()

    async def wait_changed(self) -> None:
        """Return when there is something new to report."""
        await self._changed.wait()
        self._changed.clear()


def _tell_damage(line: str, now_us: int) -> journal.Draft:
    return journal.Draft(time_us=now_us, type="journal.mended", klass="security", message=f"in the journal, {line}")
