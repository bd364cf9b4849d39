"""The one loop of a node: load, decide, perform, record.

It takes no input: it is woken by a nudge or a timer and reads what is held, seen and remembered. Actions of different
lanes run side by side; when one ends, the node is looked at and planned again. So a crash, a reboot, a drift and a new
document are the same pass.
"""

import asyncio
import contextlib
from collections.abc import Callable

import msgspec

from skerry.agent import journal
from skerry.agent.desk import Refusal
from skerry.agent.meter import VolumeMeter
from skerry.agent.perform import Performer
from skerry.agent.poison import CarefulPlanner
from skerry.agent.telling import (
    GROWN_BYTES,
    describe_change,
    is_verdict,
    node_fact,
    size_to_tell,
    tell_deleted,
    tell_grown,
    tell_networks_reverted,
    tell_obtained,
    tell_reverted,
    tell_verdict,
)
from skerry.clock import Clock, Tasks, read_offset_us
from skerry.model.document import Assignment, assignment_instance
from skerry.model.facts import (
    ChainFact,
    Fact,
    InstanceFact,
    NodeFact,
    SiteFact,
    UnitFact,
    VolumeFact,
    decode_fact,
    encode_fact,
    fact_key,
)
from skerry.model.ids import InstanceId, VolumeId, instance_id
from skerry.model.observed import ChainProbed, Observation
from skerry.model.signed import Call
from skerry.model.site_match import TIMEZONE_LABEL
from skerry.plan.actions import (
    FETCH_LANE,
    Action,
    CheckHealth,
    DeleteVolume,
    FetchImage,
    ObtainCertificate,
    Outcome,
    StartContainer,
    StopContainer,
    failed,
    instance_lane,
    lane,
)
from skerry.plan.by_hand import find_meant, refuse, say
from skerry.plan.chain_probes import PROBES_ASKED, probe_key
from skerry.plan.chains import find_probe
from skerry.plan.companions import find_companions
from skerry.plan.history import (
    Deleting,
    Ended,
    HandVerb,
    History,
    Kept,
    Started,
    forget_runs,
    note_observed,
    note_outcome,
    read_probe,
)
from skerry.plan.instances import Wanted
from skerry.plan.site import derive_wanted
from skerry.plan.site_plan import HeldSite, Now, SitePlan
from skerry.plan.volumes import find_lost_volumes
from skerry.plan.windows import find_followed
from skerry.safe.db import Db
from skerry.safe.errors import StoreFull
from skerry.safe.sqlite import Connection

#: Without any sign of change a node is looked at this often: finds drift that no runtime reports.
RESYNC_US = 30_000_000
#: Passes closer together than this are one: a burst of changes costs one look.
SETTLE_US = 50_000
#: Actions of one kind under way at once. What waits for something else (the link, an instance that takes its grace to
#: stop, a health command that hangs) never takes the place of what works without.
ACTIONS_MAX = {"fetch": 2, "stop": 8, "health": 4, "work": 4}
#: A probing of a chain that was begun is over after so many seconds (``drivers/chain_probes.py``).
PROBE_WAIT_S = 5.0
#: Events that wait in memory while the disk is full; the oldest ordinary ones go first.
UNTOLD_MAX = 500
#: Where an instance ends up when all is well: one that a new process finds there is no news.
_AT_REST = ("ready", "held", "done", "stopped")


class Reconciler:
    """Brings one node to what it holds. ``held`` is None until the node has joined and holds a document."""

    def __init__(
        self,
        *,
        clock: Clock,
        db: Db[Connection],
        performer: Performer,
        tasks: Tasks,
        history: History,
        read_held: Callable[[], HeldSite | None],
        read_trust_us: Callable[[], int] = lambda: 0,
        meter: VolumeMeter,
        agent_version: str,
        on_changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._db = db
        self._performer = performer
        self._tasks = tasks
        self._read_held = read_held
        self._read_trust_us = read_trust_us
        self._meter = meter
        self._agent_version = agent_version
        self._on_changed = on_changed
        self._nudge = asyncio.Event()
        self._busy: dict[str, tuple[str, asyncio.Task[None]]] = {}
        self._untold: list[journal.Draft] = []
        #: Keys of the facts whose changes are news: this process acted on what they tell of, or has seen it at rest or
        #: in trouble. What is missing here is being adopted, and told of by nobody: it was told when it came.
        self._followed: set[str] = set()
        self.history = history
        self.planner = CarefulPlanner(self._last_facts)
        #: The last plan, for ``skerry agent status``.
        self.plan = SitePlan()
        #: Present facts by key, encoded.
        self.facts: dict[str, bytes] = {}
        #: The last look at the world.
        self.observed = Observation(driver="node")
        self.passes = 0

    def nudge(self) -> None:
        """Something may have changed: make a pass soon."""
        self._nudge.set()

    async def run(self) -> None:
        """Pass after pass, until cancelled."""
        while True:
            self._nudge.clear()
            await self.reconcile()
            now_us = self._clock.boot_us()
            wake_us = now_us + RESYNC_US
            if self.plan.wake_us:
                wake_us = min(wake_us, max(self.plan.wake_us, now_us + SETTLE_US))
            timer = self._tasks.start("reconcile-timer", self._ring_at(wake_us))
            await self._nudge.wait()
            timer.cancel()
            await self._clock.sleep_until(self._clock.boot_us() + SETTLE_US)

    async def _ring_at(self, boot_us: int) -> None:
        await self._clock.sleep_until(boot_us)
        self._nudge.set()

    async def reconcile(self) -> None:
        """Make one pass."""
        if self._read_held() is None:
            return
        # What is under way while we look may end while we look: of these lanes nothing is concluded from this look.
        busy = frozenset(self._busy)
        observed = await self._performer.observe()
        if not observed.unavailable:
            self.observed = observed
        # Read after the look: a slow runtime is looked at for seconds, and a wish may come meanwhile.
        held = self._read_held()
        if held is None:
            return
        now = self._read_now(held)
        self.history = note_observed(self.history, observed, now.boot_us, busy)
        plan = self.planner.plan(held, observed, self.history, now, busy)
        self._follow(plan)
        try:
            await self._record_plan(held, plan, observed)
        except StoreFull:
            # What could not be remembered is not relied upon: actions wait, what runs goes on (faults.md D1).
            plan = msgspec.structs.replace(plan, actions=(), wake_us=now.boot_us + 5_000_000)
        if self._is_overtaken(held):
            # Nothing is stopped for what is not wanted any more: the next pass, at once, plans by the new wish.
            plan = msgspec.structs.replace(plan, actions=())
            self.nudge()
        self.plan = plan
        await self._report(held, plan, observed)
        if plan.asks_parent:
            self._on_changed()
        self._followed &= self.facts.keys() | busy | {lane(action) for action in plan.actions}
        for action in plan.actions:
            name = lane(action)
            kind = _kind(action)
            if name not in busy and name not in self._busy and self._count(kind) < ACTIONS_MAX[kind]:
                self._busy[name] = (kind, self._tasks.start(f"action {name}", self._do(name, action)))
        if not observed.unavailable:
            self._stop_fetches({f"{FETCH_LANE}{image}" for image in plan.fetched})
        self.passes += 1

    def _is_overtaken(self, held: HeldSite) -> bool:
        """A newer document came since ``held`` was read."""
        newest = self._read_held()
        return newest is None or (newest.epoch, newest.generation) != (held.epoch, held.generation)

    def _read_now(self, held: HeldSite) -> Now:
        trust_us, zone = self._read_trust_us(), held.record.labels.get(TIMEZONE_LABEL, "")
        offset_us = read_offset_us(zone, trust_us) if trust_us and zone else None
        return Now(self._clock.boot_us(), trust_us, offset_us)

    def _count(self, kind: str) -> int:
        return sum(kind == busy for busy, _ in self._busy.values())

    def _stop_fetches(self, wanted: set[str]) -> None:
        """End the fetching of images that nothing needs any more: it holds a place and the link, maybe for days."""
        for name, (kind, task) in self._busy.items():
            if kind == "fetch" and name not in wanted:
                task.cancel()

    def fetch_anew(self) -> None:
        """Another source of images is here: end what waits for the old one, forget its failures, and begin again."""
        kept = {name: each for name, each in self.history.troubles.items() if not name.startswith(FETCH_LANE)}
        self.history = msgspec.structs.replace(self.history, troubles=kept)
        self._stop_fetches(set())
        self.nudge()

    async def _record_plan(self, held: HeldSite, plan: SitePlan, observed: Observation) -> None:
        """Journal what later actions rely on, before any of them is started."""
        wanted = {assignment_instance(unit) for unit in held.units.values() if isinstance(unit, Assignment)}
        if not observed.unavailable:
            here = wanted | {seen.instance for seen in observed.containers}
            self.history = forget_runs(self.history, frozenset(here))
        fresh: dict[InstanceId, Ended] = {
            name: end for name, end in plan.ended.items() if self.history.kept.ended.get(name) != end
        }
        present = wanted | self.history.runs.keys()
        kept = self.history.kept
        changes = journal.Changes(
            uid_ranges=plan.uid_ranges,
            ended=fresh,
            void_starts=plan.forget_starts,
            gone=frozenset((kept.started.keys() | kept.ended.keys() | kept.said.keys()) - present),
            graces=plan.graces,
            volumes=plan.volumes,
            forget_volumes=plan.forget_volumes,
            judged=plan.judged,
            forget_judged=plan.forget_judged,
            contact=plan.contact,
            confirming=plan.confirming,
            reach=plan.reach,
            forget_reach=plan.forget_reach,
            traffic=plan.traffic,
            forget_said=plan.forget_said,
            snapped=plan.snapped,
            forget_snapped=plan.forget_snapped,
            forget_restoring=plan.forget_restoring,
        )
        self.history = msgspec.structs.replace(self.history, watches=plan.watches, stands=plan.stands, led=plan.led)
        if changes != journal.Changes():
            wall_us = self._clock.wall_us()
            drafts = [tell_verdict(fact, wall_us) for fact in plan.facts if is_verdict(fact, plan)]
            if plan.confirming is not None and plan.confirming.refused not in ("", kept.confirming.refused):
                drafts.append(tell_reverted(plan.confirming.reason, wall_us))
            drafts += [
                tell_networks_reverted(app, each.reason, wall_us) for app, each in plan.judged.items() if each.locked
            ]

            def record(connection: Connection) -> None:
                journal.record_changes(connection, changes)
                journal.append_events(connection, drafts)

            await self._db.run(record, soon=True)
            self._keep(journal.apply_changes(self.history.kept, changes))
        done = {
            volume: tell_deleted(volume, kept.deleting[volume], self._clock.wall_us())
            for volume in sorted(plan.deleted)
        }
        if done or plan.spared:
            await self._end_deletions({**done, **dict.fromkeys(sorted(plan.spared))})

    def _keep(self, kept: Kept) -> None:
        self.history = msgspec.structs.replace(self.history, kept=kept)

    async def _end_deletions(self, ended: dict[VolumeId, journal.Draft | None]) -> None:
        """Tell of deletions, or give them up, durably and once (journal.end_deletions)."""
        await self._db.run(lambda connection: journal.end_deletions(connection, ended), soon=True)
        kept = self.history.kept
        gone = {volume for volume, draft in ended.items() if draft is not None}
        self._keep(
            msgspec.structs.replace(
                kept,
                deleting={name: each for name, each in kept.deleting.items() if name not in ended},
                volumes={name: born for name, born in kept.volumes.items() if name not in gone},
            )
        )
        self._on_changed()

    async def accept_loss(self, volume: VolumeId) -> bool:
        """Miss a lost volume no more: it is made anew, empty. False when no such volume is missed."""
        if volume not in find_lost_volumes(self.observed, self.history):
            return False
        draft = journal.Draft(
            time_us=self._clock.wall_us(),
            type="volume.given-up",
            klass="security",
            subject=f"volume/{volume}",
            tenant=volume.split("/")[0],
            message=f"the loss of volume {volume} was accepted at the box: it is made anew, empty",
        )
        await self.remember(journal.Changes(forget_volumes=frozenset((volume,))), draft)
        return True

    async def remember(self, changes: journal.Changes, *drafts: journal.Draft) -> None:
        """Journal what a person has said, with its events, and plan anew."""

        def record(connection: Connection) -> None:
            journal.record_changes(connection, changes)
            journal.append_events(connection, drafts)

        await self._db.run(record, soon=True)
        self._keep(journal.apply_changes(self.history.kept, changes))
        self._on_changed()
        self.nudge()

    async def control(self, verb: HandVerb, what: str) -> tuple[InstanceId, ...] | Refusal:
        """Do what a person at the box says, durably and told of; refused whole where one owner does not allow it."""
        wanted = self._derive_wanted()
        meant = find_meant(wanted, what)
        said = self.history.kept.said
        if not meant:
            return Refusal("E-NOT-FOUND", f"nothing that is to run here is called {what[:200]!r}")
        for name in meant:
            why = refuse(verb, wanted[name], said.get(name))
            if why:
                return Refusal("E-LOCAL-CONTROL", f"{name}: {why}")
        if verb == "restart":
            others = find_companions(wanted, meant)
            meant += tuple(name for name in others if not refuse(verb, wanted[name], said.get(name)))
        return await self._take_word(verb, meant, wanted)

    async def obey(self, call: Call) -> Refusal | None:
        """Do what an owner's verified call says of one instance itself, durably and told of."""
        assert call.verb in ("restart", "stop", "start")
        wanted = self._derive_wanted()
        name = instance_id(call.tenant, call.app, call.service, call.ordinal)
        if name not in wanted:
            return Refusal("E-NOT-FOUND", f"{name} is not to run here")
        meant = (name,)
        if call.verb == "restart":
            meant += tuple(each for each in find_companions(wanted, meant) if each not in self.history.kept.said)
        await self._take_word(call.verb, meant, wanted, call)
        return None

    async def test_chain(self, call: Call) -> ChainProbed | Refusal:
        """Send test packets through a chain now, as its owner's verified call asks, and say what came of them."""
        key = probe_key(call.tenant, call.app, call.chain)
        action = find_probe(self._derive_wanted(), self.observed, self.history, key, PROBES_ASKED)
        if isinstance(action, str):
            return Refusal("E-CALL", f"{call.chain} cannot be tested here: {action}")
        outcome = await self.do_asked(action, PROBE_WAIT_S)
        if not outcome.ok:
            return Refusal(outcome.code, outcome.reason)
        return read_probe(action, outcome)

    async def do_asked(self, action: Action, wait_s: float) -> Outcome:
        """Perform an action that somebody asks for and waits for, once nothing else of its lane is under way."""
        name = lane(action)
        if name in self._busy:
            await asyncio.wait((self._busy[name][1],), timeout=wait_s)
        if name in self._busy:
            return failed("E-BUSY", f"something is under way here about {name}: ask again in a moment")
        doing = self._tasks.start(f"action {name}", self._performer.perform(action))
        self._busy[name] = ("work", doing)
        try:
            outcome: Outcome = await doing
        finally:
            self._busy.pop(name, None)
            self._nudge.set()
        return outcome

    def _derive_wanted(self) -> dict[InstanceId, Wanted]:
        held = self._read_held()
        if held is None:
            return {}
        return derive_wanted(find_followed(held, self.observed, self.history, self._read_now(held)))[0]

    async def _take_word(
        self, verb: HandVerb, meant: tuple[InstanceId, ...], wanted: dict[InstanceId, Wanted], call: Call | None = None
    ) -> tuple[InstanceId, ...]:
        who = "a person at the box" if call is None else f"its owner ({call.by})" if call.by else "its owner"
        why = f": {call.reason}" if call is not None and call.reason else ""
        drafts = [
            journal.Draft(
                time_us=self._clock.wall_us(),
                type="instance.by-hand" if call is None else "instance.by-owner",
                klass="security",
                subject=f"instance/{name}",
                tenant=wanted[name].assignment.tenant,
                message=f"{who} said: {verb} {name}{why}",
                data={"verb": verb},
            )
            for name in meant
        ]
        changes = journal.Changes(forget_said=frozenset(meant))
        if verb != "start":
            seen = self.observed.containers
            changes = journal.Changes(said={name: say(verb, wanted[name].assignment, seen, call) for name in meant})
        await self.remember(changes, *drafts)
        return meant

    async def _do(self, name: str, action: Action) -> None:
        """Perform one action and take in what came of it."""
        try:
            outcome = await self._perform(action)
            self.history = note_outcome(self.history, action, outcome, self._clock.boot_us())
            await self._tell(action, outcome)
        finally:
            del self._busy[name]
            self._nudge.set()

    async def _perform(self, action: Action) -> Outcome:
        if isinstance(action, StartContainer):
            try:
                await self._record_start(action)
            except StoreFull as full:
                if action.spec.restart.policy not in ("always", "unless-stopped"):
                    return failed("E-DISK-FULL", f"its start could not be remembered: {full.detail}")
                # Nothing is concluded from the start of one that is always started again: it need not wait for room.
        if isinstance(action, DeleteVolume) and action.volume not in self.history.kept.deleting:
            # Where there is no room to remember it, it is told from memory: the deletion itself makes room.
            with contextlib.suppress(StoreFull):
                await self._begin_deletion(action)
        return await self._performer.perform(action)

    async def _begin_deletion(self, action: DeleteVolume) -> None:
        """Remember the deletion before it happens, so that it is told once, whenever this process dies."""
        deleting = Deleting(
            tenant=action.tenant, app=action.app, name=action.name, tombstone=action.tombstone, cause=action.cause
        )
        await self._db.run(lambda connection: journal.begin_deletion(connection, action.volume, deleting), soon=True)
        kept = self.history.kept
        self._keep(msgspec.structs.replace(kept, deleting={**kept.deleting, action.volume: deleting}))

    async def _record_start(self, action: StartContainer) -> None:
        """Remember the start before it happens, so that an end in this boot is known as the instance's own."""
        kept = self.history.kept
        known = kept.started.get(action.instance)
        same = known is not None and (known.spec, known.boot) == (action.spec_digest, self.history.boot)
        if same and action.instance not in kept.ended:
            return
        before = (seen.started_us for seen in self.observed.containers if seen.container == action.container)
        started = Started(action.spec_digest, self.history.boot, next(before, 0))
        await self._db.run(lambda connection: journal.record_started(connection, action.instance, started), soon=True)
        kept = self.history.kept
        ended = {name: end for name, end in kept.ended.items() if name != action.instance}
        kept = msgspec.structs.replace(kept, started={**kept.started, action.instance: started}, ended=ended)
        self.history = msgspec.structs.replace(self.history, kept=kept)

    async def _tell(self, action: Action, outcome: Outcome) -> None:
        """Put what a person may want to know later into the outbox."""
        draft: journal.Draft | None = None
        if isinstance(action, DeleteVolume) and outcome.ok:
            deleting = self.history.kept.deleting.get(action.volume)
            if deleting is not None:
                # Without room it stays remembered, and the next look finds the volume gone.
                with contextlib.suppress(StoreFull):
                    await self._end_deletions(
                        {action.volume: tell_deleted(action.volume, deleting, self._clock.wall_us())}
                    )
                return
            draft = tell_deleted(action.volume, action, self._clock.wall_us())
        elif isinstance(action, ObtainCertificate) and outcome.ok:
            draft = tell_obtained(action, self._clock.wall_us())
        elif not outcome.ok and outcome.healthy is None:
            trouble = self.history.troubles.get(lane(action))
            if trouble is not None and trouble.count == 1:
                draft = journal.Draft(
                    time_us=self._clock.wall_us(),
                    type="action.failed",
                    subject=lane(action),
                    cause=action.cause,
                    message=f"{type(action).__name__}: {outcome.reason}",
                    data={"code": outcome.code},
                )
        if draft is not None:
            await self.tell(draft)

    async def tell(self, *drafts: journal.Draft) -> None:
        """Put events into the outbox; those for which the disk has no room wait in memory for the next call."""
        telling = [*self._untold, *drafts]
        self._untold = []
        if not telling:
            return
        try:
            await self._db.run(lambda connection: journal.append_events(connection, telling))
        except StoreFull:
            waiting = [*telling, *self._untold]
            excess = len(waiting) - UNTOLD_MAX
            doomed = [draft for draft in waiting if draft.klass == "event"][: max(excess, 0)]
            self._untold = [draft for draft in waiting if draft not in doomed]
        else:
            self._on_changed()

    async def _report(self, held: HeldSite, plan: SitePlan, observed: Observation) -> None:
        """Turn the plan's facts into the reported map, and changes worth telling into events."""
        facts: list[Fact] = [self._with_size(fact) if isinstance(fact, VolumeFact) else fact for fact in plan.facts]
        if observed.node is not None:
            volumes = frozenset(volume.volume for volume in observed.volumes if not volume.strange)
            self._meter.consider(observed.node.disk_free_bytes, volumes)
            body = self.facts.get(f"node/{observed.node.node}")
            told = None if body is None else decode_fact(body)
            free = told.disk_free_bytes if isinstance(told, NodeFact) else None
            fact = node_fact(observed.node, self._agent_version, free)
            facts.append(msgspec.structs.replace(fact, facts={**fact.facts, **plan.told}))
        if observed.unavailable:
            facts = self._keep_unseen(facts)
        instances = {fact.instance for fact in facts if isinstance(fact, InstanceFact)}
        conditions = {wait.subject: wait.reason for wait in plan.waits if wait.subject not in instances}
        previous = self.facts
        drafts = [
            tell_grown(fact, told, self._clock.wall_us())
            for fact in facts
            if isinstance(fact, VolumeFact) and 0 < (told := self._told_size(fact)) <= fact.size_bytes - GROWN_BYTES
        ]
        facts.append(
            SiteFact(epoch=held.epoch, generation=held.generation, settled=plan.settled, conditions=conditions)
        )
        self.facts = {fact_key(fact): encode_fact(fact) for fact in facts}
        drafts += [
            draft
            for fact in facts
            if previous.get(fact_key(fact)) != self.facts[fact_key(fact)] and self._is_news(fact, observed)
            for draft in describe_change(fact, previous.get(fact_key(fact)), self._clock.wall_us())
        ]
        await self.tell(*drafts)
        if previous != self.facts:
            self._on_changed()

    def _told_size(self, fact: VolumeFact) -> int:
        body = self.facts.get(fact_key(fact))
        told = None if body is None else decode_fact(body)
        return told.size_bytes if isinstance(told, VolumeFact) else 0

    def _with_size(self, fact: VolumeFact) -> VolumeFact:
        told = self._told_size(fact)
        return msgspec.structs.replace(fact, size_bytes=size_to_tell(self._meter.sizes.get(fact.volume, told), told))

    def _follow(self, plan: SitePlan) -> None:
        """From now on tell of what this plan changes; lanes of instances and volumes are the keys of their facts."""
        self._followed |= {lane(action) for action in plan.actions}
        ended = self.history.kept.ended
        self._followed |= {instance_lane(name) for name, end in plan.ended.items() if ended.get(name) != end}

    def _is_news(self, fact: Fact, observed: Observation) -> bool:
        """Say whether a change of this fact is to be told: adopting what is as it should be is silent."""
        key = fact_key(fact)
        if key in self._followed:
            return True
        if isinstance(fact, ChainFact):
            return True  # only its changes are told of, and none while it is made another
        if not isinstance(fact, InstanceFact) or observed.unavailable:
            return False  # nothing was seen of it yet
        if fact.phase == "starting":
            return False  # it runs, and this process has not checked its health yet
        self._followed.add(key)
        return fact.phase not in _AT_REST

    def _keep_unseen(self, facts: list[Fact]) -> list[Fact]:
        """While the runtime cannot be read, what was seen last stays reported: not seen is not gone."""
        kept = {fact_key(fact): fact for fact in self._last_facts()}
        return [*kept.values(), *(fact for fact in facts if fact_key(fact) not in kept)]

    def _last_facts(self) -> tuple[Fact, ...]:
        seen = (decode_fact(body) for body in self.facts.values())
        return tuple(fact for fact in seen if not isinstance(fact, SiteFact | UnitFact))


def _kind(action: Action) -> str:
    match action:
        case FetchImage():
            return "fetch"
        case StopContainer():
            return "stop"
        case CheckHealth():
            return "health"
        case _:
            return "work"
