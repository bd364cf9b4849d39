"""Sites that obey at once: they hold what is published and report that all of it runs. No containers, no link.

They speak to the core through the same desk as a link's sessions do, so the core cannot tell; what a site would check
or refuse (signatures, floors, room on a disk) is not checked here. Neighbour: ``fake.py`` starts them.
"""

import msgspec

from skerry.core.link_desk import StoreDesk
from skerry.core.state import Core, SiteCall
from skerry.model.document import Assignment, decode_unit
from skerry.model.errors import Unavailable
from skerry.model.event import Event
from skerry.model.facts import Fact, InstanceFact, InstancePhase, NodeFact, SiteFact, encode_fact, fact_key
from skerry.model.ids import Digest, NodeName, SiteName, UnitId
from skerry.store.apps import read_numbers
from skerry.sync.facts import digest_facts
from skerry.wire import FORMAT, FactsPatch, HelloClaim

#: What each site has: enough for a few dozen services.
CPU_M, MEMORY_BYTES, DISK_BYTES = 8_000, 16 * 1024**3, 256 * 1024**3
NODE = NodeName("node")


class _Held(msgspec.Struct):
    """What one site holds."""

    session: int = 0
    epoch: int = 0
    generation: int = 0
    bodies: dict[UnitId, bytes] = {}
    facts: dict[str, bytes] = {}
    sequence: int = 0
    started: frozenset[tuple[str, Digest]] = frozenset()
    online: bool = False
    busy: bool = False
    asked: bool = False


class ObedientSites:
    """Implements ``core.state.Sites`` for one core. All methods belong to one event loop."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._desk = StoreDesk(core)
        self._sites: dict[SiteName, _Held] = {}

    async def connect(self, site: SiteName) -> None:
        """Let a site come online, for the first time or again; it fetches what is wished by now."""
        held = self._sites.setdefault(site, _Held())
        held.session += 1
        claim = HelloClaim(
            format=FORMAT,
            site=site,
            node=NODE,
            session_epoch=held.session,
            document_epoch=held.epoch,
            document_generation=held.generation,
            facts_digest=digest_facts(held.facts),
            event_last=held.sequence,
            event_acknowledged=held.sequence,
            clock_s=self._core.clock.wall_us() // 1_000_000,
            agent="fake",
        )
        await self._desk.open_session(claim, "fake")
        held.online = True
        await self._report(site, held)
        self.nudge(site)

    async def cut_off(self, site: SiteName) -> None:
        """Let a site lose its link: it hears and tells nothing until it connects again."""
        held = self._sites[site]
        held.online = False
        await self._desk.close_session(site, held.session, "cut off")

    def nudge(self, site: SiteName) -> None:
        """See ``Sites``."""
        held = self._sites.get(site)
        if held is None or not held.online:
            return
        held.asked = True
        if not held.busy:
            held.busy = True
            self._core.tasks.start(f"fake site {site}", self._obey(site, held))

    def ask_samples(self, site: SiteName, every_us: int, span_us: int) -> None:
        """Do nothing: a fake site uses nothing."""

    async def call(self, site: SiteName, kind: str, body: bytes, allowed_us: int) -> SiteCall:
        """Refuse every call: there are no containers that could write a log or run a command."""
        raise Unavailable("E-SITE", f"{site} is a fake site, where nothing runs.")

    async def _obey(self, site: SiteName, held: _Held) -> None:
        try:
            while held.asked and held.online:
                held.asked = False
                patch = (await self._desk.draw_patch(site, held.epoch, held.generation)).patch
                if patch is None:
                    continue
                head = msgspec.json.decode(patch.head.payload, type=_Head)
                kept = {} if not patch.base_generation else held.bodies
                held.bodies = {unit: kept[unit] for unit in kept if unit not in patch.removed} | patch.bodies
                held.epoch, held.generation = head.epoch, head.generation
                await self._desk.record_answer(site, head.epoch, head.generation, accepted=True, code="", reason="")
                await self._report(site, held)
        finally:
            held.busy = False

    async def _report(self, site: SiteName, held: _Held) -> None:
        """Tell that all that is held runs, and what began to run since the last time."""
        units = [unit for unit in map(decode_unit, held.bodies.values()) if isinstance(unit, Assignment)]
        revisions = {unit.revision for unit in units}
        numbers = await self._core.db.read(lambda connection: read_numbers(connection, revisions))
        told: list[Fact] = [
            NodeFact(
                node=NODE,
                cpu_m=CPU_M,
                memory_bytes=MEMORY_BYTES,
                disk_bytes=DISK_BYTES,
                disk_free_bytes=DISK_BYTES * 3 // 4,
            ),
            SiteFact(epoch=held.epoch, generation=held.generation, settled=True),
        ]
        began: list[Event] = []
        now_us = self._core.clock.wall_us()
        for unit in units:
            name = f"{unit.tenant}/{unit.app}/{unit.service}/{unit.ordinal}"
            phase: InstancePhase = "held" if unit.state == "hold" else "ready"
            told.append(
                InstanceFact(
                    instance=name,  # type: ignore[arg-type]
                    node=NODE,
                    revision=unit.revision,
                    number=numbers.get(unit.revision, 0),
                    phase=phase,
                )
            )
            if phase == "ready" and (name, unit.revision) not in held.started:
                held.sequence += 1
                began.append(
                    Event(
                        sequence=held.sequence,
                        time_us=now_us,
                        type="instance.started",
                        subject=f"instance/{name}",
                        tenant=unit.tenant,
                    )
                )
        held.started = frozenset((f"{u.tenant}/{u.app}/{u.service}/{u.ordinal}", u.revision) for u in units)
        held.facts = {fact_key(fact): encode_fact(fact) for fact in told}
        patch = FactsPatch(1, True, held.facts, (), digest_facts(held.facts))
        await self._desk.ingest_facts(site, patch)
        if began:
            await self._desk.ingest_events(site, tuple(began), 0)


class _Head(msgspec.Struct, frozen=True):
    epoch: int
    generation: int
