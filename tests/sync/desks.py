"""The disks of world.py behind the interfaces that the two shells ask (agent/desk.py, core/desk.py)."""

import asyncio
from collections.abc import AsyncIterator

from tests.sync.world import NODE, SITE, CoreDisk, SiteDisk

from skerry import wire
from skerry.agent.desk import CallAnswer, DocumentVerdict
from skerry.clock import SeededMint
from skerry.core.desk import Drawn, KnownSite, SessionGrant, SessionRefusal
from skerry.drivers.base import Typed
from skerry.model.event import Event
from skerry.model.ids import Digest, NodeName, SiteName
from skerry.model.samples import Sample
from skerry.model.signed import Envelope, NodeRecord, SiteRecord
from skerry.plan.uplinks import Ways
from skerry.sync import child_ports as cp
from skerry.sync import parent_ports as pp
from skerry.sync.facts import digest_facts
from skerry.trust.keys import SigningKey
from skerry.trust.proof import sign_proof

DEVICE = SigningKey.from_seed(bytes(32))


class AgentDisk:
    """Implements ``agent.desk.AgentDesk``."""

    def __init__(self, disk: SiteDisk | None = None) -> None:
        self.disk = disk or SiteDisk()
        self.link: list[tuple[str, str]] = []
        self.records: list[Envelope] = []
        self.calls: list[wire.CallRequest] = []
        self.typed: list[bytes] = []
        self.drawn_bytes = 0
        self.sample: Sample | None = None
        #: Raised by every write of the journal.
        self.trouble: Exception | None = None
        self.changed = asyncio.Event()
        self.ways = Ways()
        self.way = ""
        self.wants = False
        self.answers: list[int] = []
        self.device = DEVICE

    def _fill(self) -> None:
        if self.trouble is not None:
            raise self.trouble

    async def begin_session(self, above: int = 0) -> wire.HelloClaim:
        self._fill()
        return self.disk.begin_session(above)

    async def prove(self, nonce: bytes, server_digest: bytes, claim: bytes) -> bytes:
        return sign_proof(self.device, nonce, server_digest, claim)

    async def accept_site_record(self, envelope: Envelope) -> None:
        self.records.append(envelope)

    async def accept_document(self, patch: wire.DocumentPatch, objects: tuple[Envelope, ...]) -> DocumentVerdict:
        self._fill()
        judged = self.disk.accept(cp.ApplyDocument(patch, objects))
        return DocumentVerdict(
            state=judged.state,
            epoch=judged.epoch,
            generation=judged.generation,
            code=judged.code,
            reason=judged.reason,
            digests=judged.digests,
        )

    async def read_facts(self) -> dict[str, bytes]:
        return dict(self.disk.facts)

    async def read_sample(self) -> Sample | None:
        return self.sample

    async def read_outbox(self, after: int, limit: int) -> tuple[tuple[Event, ...], int]:
        return tuple(event for event in self.disk.outbox if event.sequence > after)[:limit], 0

    async def trim_outbox(self, through: int, mark: bytes = b"") -> None:
        self.disk.trim(through)

    async def raise_outbox(self, floor: int) -> None:
        self.disk.raise_numbers(floor)

    async def answer_call(self, request: wire.CallRequest, stdin: AsyncIterator[Typed]) -> CallAnswer:
        self.calls.append(request)
        match request.body:
            case b"stream":
                return CallAnswer(True, stream=self._count(request))
            case b"random":
                return CallAnswer(True, stream=self._draw(request))
            case b"echo":
                return CallAnswer(True, stream=self._echo(request, stdin))
            case b"hang":
                await asyncio.Event().wait()
                raise AssertionError
            case b"bug":
                raise ZeroDivisionError("no")
            case _:
                return CallAnswer(True, request.body)

    async def _count(self, request: wire.CallRequest) -> AsyncIterator[wire.StreamData]:
        for number in range(100):
            yield wire.StreamData(request.call, 1, b"%05d" % number * 2_000)
        yield wire.StreamData(request.call, 1, b"", end=True, exit_code=3)

    async def _draw(self, request: wire.CallRequest) -> AsyncIterator[wire.StreamData]:
        mint = SeededMint(request.call)
        for _ in range(40):
            self.drawn_bytes += 10_000
            yield wire.StreamData(request.call, 1, mint.draw(10_000))

    async def _echo(self, request: wire.CallRequest, stdin: AsyncIterator[bytes]) -> AsyncIterator[wire.StreamData]:
        async for data in stdin:
            self.typed.append(data)
            yield wire.StreamData(request.call, 1, data)

    def list_ways(self) -> Ways:
        return self.ways

    def note_way(self, device: str) -> None:
        self.way = device

    def wants_answer(self) -> bool:
        return self.wants

    def note_answer(self, asked_us: int) -> None:
        self.answers.append(asked_us)

    def note_link(self, state: str, reason: str) -> None:
        self.link.append((state, reason))

    async def wait_changed(self) -> None:
        await self.changed.wait()
        self.changed.clear()


class CoreDesk:
    """Implements ``core.desk.LinkDesk`` for one site and one box that joins."""

    def __init__(self, disk: CoreDisk | None = None) -> None:
        self.disk = disk or CoreDisk()
        node = NodeRecord(device=DEVICE.public, sealing=DEVICE.public)
        self.record = SiteRecord(site=SITE, number=1, nodes={NODE: node})
        self.envelope = Envelope("site", b"record 1", ())
        self.heard = 0
        self.opened: list[wire.HelloClaim] = []
        self.closed: list[tuple[int, str]] = []
        self.blobs: dict[Digest, bytes] = {}
        self.sent: dict[str, int] = {}
        self.received: dict[str, int] = {}
        #: While it is clear no blob is read; and how much was.
        self.blob_gate = asyncio.Event()
        self.blob_gate.set()
        self.read_bytes = 0
        self.samples: list[tuple[Sample, int]] = []
        self.joins: list[wire.JoinRequest] = []
        self.joined = asyncio.Event()
        #: Raised by the next write.
        self.trouble: Exception | None = None
        #: While it is clear the store takes no events, and so many batches wait for it.
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = 0

    def _stumble(self) -> None:
        trouble, self.trouble = self.trouble, None
        if trouble is not None:
            raise trouble

    async def read_roots(self, after: int) -> bytes:
        return b"[]"

    async def find_site(self, site: SiteName) -> KnownSite | None:
        return KnownSite(self.record, self.envelope) if site == SITE else None

    async def open_session(self, claim: wire.HelloClaim, peer: str) -> SessionGrant | SessionRefusal:
        self._stumble()
        if claim.session_epoch <= self.disk.session_epoch:
            return SessionRefusal("E-SESSION-OLD", "a later session was seen", self.disk.session_epoch)
        self.disk.session_epoch = claim.session_epoch
        self.opened.append(claim)
        return SessionGrant(self.disk.cursor, digest_facts(self.disk.facts))

    async def close_session(self, site: SiteName, session_epoch: int, reason: str) -> None:
        self.closed.append((session_epoch, reason))

    def hear(self, site: SiteName) -> None:
        self.heard += 1

    async def draw_patch(self, site: SiteName, base_epoch: int, base_generation: int) -> Drawn:
        return Drawn(self.disk.draw(base_epoch, base_generation).patch, await self.find_site(site))

    async def read_objects(self, site: SiteName, digests: tuple[Digest, ...]) -> dict[Digest, Envelope]:
        return {digest: self.disk.objects[digest] for digest in digests if digest in self.disk.objects}

    async def record_answer(
        self, site: SiteName, epoch: int, generation: int, *, accepted: bool, code: str, reason: str
    ) -> None:
        self.disk.answers.append(pp.RecordAnswer(epoch, generation, accepted, code, reason))

    async def ingest_events(self, site: SiteName, events: tuple[Event, ...], dropped: int) -> int:
        self._stumble()
        self.waiting += 1
        await self.gate.wait()
        return self.disk.ingest(pp.IngestEvents(events, dropped))

    async def ingest_facts(self, site: SiteName, patch: wire.FactsPatch) -> bool:
        return self.disk.ingest_facts(pp.IngestFacts(patch)).ok

    async def size_blob(self, site: SiteName, blob: Digest) -> int | None:
        return len(self.blobs[blob]) if blob in self.blobs else None

    async def read_blob(self, blob: Digest, offset: int, count: int) -> bytes:
        await self.blob_gate.wait()
        content = self.blobs[blob][offset : offset + count]
        self.read_bytes += len(content)
        return content

    async def join(self, request: wire.JoinRequest, nonce: bytes, server_digest: bytes, peer: str) -> wire.JoinAnswer:
        self.joins.append(request)
        return wire.JoinAnswer("pending")

    async def wait_joined(self, site: SiteName, node: NodeName, until_us: int) -> wire.JoinAnswer:
        await self.joined.wait()
        return wire.JoinAnswer("joined", site_record=self.envelope)

    def take_sample(self, site: SiteName, sample: Sample, rtt_us: int) -> None:
        self.samples.append((sample, rtt_us))

    async def count_bytes(self, site: SiteName, sent: dict[str, int], received: dict[str, int]) -> None:
        for total, more in ((self.sent, sent), (self.received, received)):
            for purpose, count in more.items():
                total[purpose] = total.get(purpose, 0) + count
