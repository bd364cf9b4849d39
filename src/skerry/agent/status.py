"""What the on-site socket answers: the site as its own agent sees it, with a verdict on each part."""

from collections.abc import Callable
from typing import Literal

import msgspec

from skerry.agent import journal
from skerry.agent.agent import Agent
from skerry.agent.desk import Refusal
from skerry.agent.local import LocalProblem
from skerry.clock import SECOND_US, Clock
from skerry.model.event import Event
from skerry.model.facts import InstanceFact, decode_fact
from skerry.model.ids import VolumeId
from skerry.plan.history import HandVerb
from skerry.safe.db import Db
from skerry.safe.sqlite import Connection

#: Events that one answer carries.
EVENTS_MAX = 500


class InstanceStatus(msgspec.Struct, frozen=True):
    """One instance of this site."""

    instance: str
    phase: str
    health: str
    reason: str
    restarts: int
    ports: dict[str, int]


class AgentStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of ``/status``."""

    joined: bool
    site: str
    node: str
    link: str
    link_reason: str
    #: Seconds since the link changed to this state.
    link_since_s: int
    epoch: int
    generation: int
    settled: bool
    instances: tuple[InstanceStatus, ...]
    waits: tuple[str, ...]
    outbox: int
    passes: int
    boot: str


class Check(msgspec.Struct, frozen=True):
    """One line of ``/doctor``."""

    name: str
    verdict: Literal["good", "warning", "bad"]
    detail: str
    hint: str = ""


class DoctorAnswer(msgspec.Struct, frozen=True):
    """Answer of ``/doctor``."""

    checks: tuple[Check, ...]


class Accepted(msgspec.Struct, frozen=True):
    """Answer of ``/accept-loss``."""

    volume: str


class Rekeyed(msgspec.Struct, frozen=True):
    """Answer of ``/rekey``: the number of the new key."""

    number: int


class Controlled(msgspec.Struct, frozen=True):
    """Answer of ``/restart``, ``/stop`` and ``/start``: what it is done to."""

    instances: tuple[str, ...]


class LogsAnswer(msgspec.Struct, frozen=True):
    """Answer of ``/logs``: the site's own events that wait for the core, and those it may already have."""

    events: tuple[Event, ...]


class StatusDesk:
    """Answers questions at the box."""

    def __init__(
        self, agent: Agent, db: Db[Connection], clock: Clock, diagnose_volumes: Callable[[], Check] | None = None
    ) -> None:
        self._diagnose_volumes = diagnose_volumes
        self._agent = agent
        self._db = db
        self._clock = clock

    async def status(self, query: dict[str, str]) -> AgentStatus:
        """Say how the site is."""
        agent = self._agent
        holdings, plan = agent.holdings, agent.reconciler.plan
        stored = None if holdings is None else holdings.stored
        facts = [decode_fact(content) for _, content in sorted(agent.reconciler.facts.items())]
        return AgentStatus(
            joined=holdings is not None,
            site="" if holdings is None else holdings.site,
            node="" if holdings is None else holdings.node,
            link=agent.link.state,
            link_reason=agent.link.reason,
            link_since_s=(self._clock.boot_us() - agent.link.since_us) // SECOND_US,
            epoch=0 if stored is None else stored.epoch,
            generation=0 if stored is None else stored.generation,
            settled=plan.settled,
            instances=tuple(
                InstanceStatus(fact.instance, fact.phase, fact.health, fact.reason, fact.restarts, fact.ports)
                for fact in facts
                if isinstance(fact, InstanceFact)
            ),
            waits=tuple(f"{wait.subject}: {wait.reason}" for wait in plan.waits),
            outbox=await self._db.read(journal.count_outbox),
            passes=agent.reconciler.passes,
            boot=agent.reconciler.history.boot,
        )

    async def doctor(self, query: dict[str, str]) -> DoctorAnswer:
        """Check what a site needs, each with the next thing to do."""
        agent = self._agent
        seen = await agent.performer.observe()
        node = seen.node
        free = 0 if node is None else node.disk_free_bytes
        checks = [
            Check("runtime", "bad", seen.unavailable, "is the podman service running?")
            if seen.unavailable
            else Check("runtime", "good", f"{len(seen.containers)} containers, {len(seen.images)} images"),
            self._check_journal(),
            Check("disk", "good" if free > 2 << 30 else "warning", f"{free >> 20} MiB free"),
            Check("identity", "good", f"site {agent.holdings.site}, node {agent.holdings.node}")
            if agent.holdings is not None
            else Check("identity", "bad", "this box has not joined", "skerry agent join TOKEN --core HOST:PORT"),
            Check("link", "good" if agent.link.state == "up" else "warning", agent.link.reason or agent.link.state),
        ]
        if self._diagnose_volumes is not None:
            checks.append(self._diagnose_volumes())
        strange = [volume.volume for volume in seen.volumes if volume.strange]
        if strange:
            checks.append(Check("volumes", "bad", f"no sound identity: {', '.join(strange)}"))
        return DoctorAnswer(tuple(checks))

    def _check_journal(self) -> Check:
        agent = self._agent
        damage = None if agent.holdings is None else agent.holdings.damage
        found = [*agent.mended, *([] if damage is None else [damage.reason])]
        if found:
            return Check("journal", "bad" if damage else "warning", "; ".join(found), "look at the disk")
        return Check("journal", "good", f"opened from {self._db.file.origin.value}")

    async def accept_loss(self, given: dict[str, str]) -> Accepted | LocalProblem:
        """Miss a lost volume no more, so that its services start with an empty one."""
        volume = given.get("volume", "")
        if await self._agent.reconciler.accept_loss(VolumeId(volume)):
            return Accepted(volume)
        return LocalProblem("E-NOT-FOUND", f"no volume {volume[:200]!r} is missed here", "skerry agent status")

    async def rekey(self, given: dict[str, str]) -> Rekeyed | LocalProblem:
        """Begin a change of the key of the tunnels to other sites."""
        done = await self._agent.change_overlay_key()
        return LocalProblem(done.code, done.reason) if isinstance(done, Refusal) else Rekeyed(done)

    async def control(self, verb: HandVerb, given: dict[str, str]) -> Controlled | LocalProblem:
        """Restart, stop or start what ``what`` names, where its owner lets a person at the box do that."""
        done = await self._agent.reconciler.control(verb, given.get("what", ""))
        if isinstance(done, Refusal):
            hint = "skerry agent status" if done.code == "E-NOT-FOUND" else ""
            return LocalProblem(done.code, done.reason, hint)
        return Controlled(done)

    async def restart(self, given: dict[str, str]) -> Controlled | LocalProblem:
        """End what runs now and start it again."""
        return await self.control("restart", given)

    async def stop(self, given: dict[str, str]) -> Controlled | LocalProblem:
        """Stop it, until somebody here says start or its owner has it restarted."""
        return await self.control("stop", given)

    async def start(self, given: dict[str, str]) -> Controlled | LocalProblem:
        """Let it run again."""
        return await self.control("start", given)

    async def logs(self, query: dict[str, str]) -> LogsAnswer | LocalProblem:
        """Give the newest events that are still here."""
        count = query.get("tail", "100")
        if not count.isdigit():
            return LocalProblem("E-REQUEST", "tail is a number of events")
        events = await self._db.read(lambda connection: journal.read_newest(connection, min(int(count), EVENTS_MAX)))
        return LogsAnswer(events)
