"""What a node remembers between two looks at the world, and the pure functions that keep it.

The planner needs more than one observation: how often something failed, since when an instance runs, what its last
health checks said. ``note_observed`` and ``note_outcome`` return a new history. The part in ``Kept`` must survive a
reboot and is journaled before any action that relies on it; the rest is boot-time knowledge and starts afresh.
"""

from typing import Literal, NewType

import msgspec

from skerry.model import limits
from skerry.model.chain import Chain
from skerry.model.document import Assignment
from skerry.model.ids import AppName, CauseId, Digest, InstanceId, TenantName, VolumeId, VolumeName
from skerry.model.instance import InstanceSpec
from skerry.model.observed import ChainProbed, ContainerSeen, Health, Observation
from skerry.model.uplinks import Uplink
from skerry.model.volume import SnapshotName
from skerry.plan.actions import Action, CheckHealth, Outcome, ProbeChain, StartContainer, instance_lane, lane
from skerry.plan.chain_probes import ProbeNote, forget_probes, judge_probe, note_probe, probe_key
from skerry.plan.gate import Judged, Watch
from skerry.plan.pace import start_delay_us


class Started(msgspec.Struct, frozen=True):
    """The last start of an instance: of which specification, in which boot of the machine.

    Written before the start happens, so it proves none by itself: ``before_us`` is what the runtime gave as the
    container's latest start until then (a mark to compare with, no time), 0 when it had none.
    """

    spec: Digest
    boot: str
    before_us: int = 0


class Ended(msgspec.Struct, frozen=True):
    """An instance that ended by itself and is not to be started again."""

    spec: Digest
    exit_code: int


class Grace(msgspec.Struct, frozen=True):
    """How much of a tombstone's grace this node has lived through since it saw the tombstone.

    Counted by the boot-time clock alone, which nobody else can move: the time in documents is the core's word. What
    passes while the machine is off does not count, nor what passed since the last mark before it went off.
    """

    passed_us: int
    #: The boot and its clock at which so much had passed.
    boot: str
    mark_us: int

    def until(self, boot: str, now_us: int) -> int:
        """Return the microseconds that have passed at ``now_us`` of ``boot``."""
        return self.passed_us + (max(now_us - self.mark_us, 0) if boot == self.boot else 0)


class Deleting(msgspec.Struct, frozen=True, kw_only=True):
    """The deletion of a volume, remembered before it happens so that it is told exactly once."""

    tenant: TenantName
    app: AppName
    name: VolumeName
    tombstone: Digest
    cause: CauseId = CauseId("")


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """When the parent was heard, for apps that wish something of a site that is cut off."""

    #: The boot in which it was heard last.
    heard_boot: str = ""
    #: How long it has not been heard; None while it is.
    away: Grace | None = None


class Confirming(msgspec.Struct, frozen=True, kw_only=True):
    """Which wishes about its own network a node has proved, tries, or has taken back (``plan/confirm.py``)."""

    #: Under these the parent was heard.
    good: dict[str, Uplink] = {}
    #: Name of the wishes that are being tried, how long they are, and since which moment of which boot.
    trying: str = ""
    since: Grace = Grace(0, "", 0)
    began_boot: str = ""
    began_us: int = 0
    #: Name of the wishes that were taken back, and why.
    refused: str = ""
    reason: str = ""


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """What a node knows of the networks of one app: whether the parent is heard under them (``plan/reach.py``)."""

    #: Name of what is proved or was never doubted, and the revision that last asked for it; None before there was one.
    good_name: str = ""
    good: Digest | None = None
    #: ``trying``: other networks come; ``doubt``: something was done for them and no answer came since; ``back``: they
    #: were taken back; ``blamed``: the parent was heard after that; ``cleared``: it was not heard after that either.
    stage: Literal["settled", "trying", "doubt", "back", "blamed", "cleared"] = "settled"
    #: Name of what is tried or was taken back, and how often it was.
    trying: str = ""
    tries: int = 0
    #: In ``doubt`` and ``back``: how long the parent has not been heard; None while it is.
    away: Grace | None = None


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that went over the node's devices in one month, both ways together (``plan/uplinks.py``)."""

    #: As ``2026-12``, by the site's trust clock in UTC; empty while it does not know the time.
    month: str = ""
    used: dict[str, int] = {}
    #: What each device had counted when it was last taken in, and in which boot of the machine.
    boot: str = ""
    marks: dict[str, int] = {}


#: What a person at the box, or its owner, says of an instance.
HandVerb = Literal["restart", "stop", "start"]


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a person at the box, or its owner by a signed call, wants of an instance (plan/by_hand.py)."""

    verb: HandVerb
    #: The assignment's restart counter then: a higher one is the owner's newer word.
    counter: int
    #: The run that is to end, by its container and by what the runtime gave as its start.
    container: str = ""
    started_us: int = 0
    #: Its owner said it, from afar; this person and for this reason, as the signed call has it.
    owner: bool = False
    by: str = ""
    reason: str = ""


class Snapped(msgspec.Struct, frozen=True):
    """When the newest snapshot by time was taken of a volume: how long ago by the node's own clock."""

    #: Its name; empty before the first.
    newest: str
    since: Grace


class Restoring(msgspec.Struct, frozen=True, kw_only=True):
    """A volume that its owner has set back to a snapshot, by a signed call, and that is not back yet."""

    snapshot: SnapshotName
    #: Name of the snapshot that what it holds now becomes.
    aside: SnapshotName
    by: str = ""
    reason: str = ""


#: ``TENANT/APP``.
AppId = NewType("AppId", str)


def app_id(unit: Assignment) -> AppId:
    """Name the app that an assignment is of."""
    return AppId(f"{unit.tenant}/{unit.app}")


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What the journal keeps over reboots."""

    #: First host uid of each tenant's range; never reused while a volume holds it.
    uid_ranges: dict[TenantName, int] = {}
    started: dict[InstanceId, Started] = {}
    ended: dict[InstanceId, Ended] = {}
    #: How much of each accepted tombstone's grace has passed here.
    tombstones: dict[Digest, Grace] = {}
    #: Volumes that were here, each with the number of the revision it was born with: one that is gone is not made anew.
    volumes: dict[VolumeId, int] = {}
    #: Deletions that were begun and of which nobody was told yet.
    deleting: dict[VolumeId, Deleting] = {}
    #: What each app's health gate has said here.
    judged: dict[AppId, Judged] = {}
    contact: Contact = Contact()
    confirming: Confirming = Confirming()
    #: Whether the parent is heard under the networks of each app.
    reach: dict[AppId, Reach] = {}
    traffic: Traffic = Traffic()
    #: What a person at the box, or its owner, has said of an instance.
    said: dict[InstanceId, Said] = {}
    snapped: dict[VolumeId, Snapped] = {}
    restoring: dict[VolumeId, Restoring] = {}


class Led(msgspec.Struct, frozen=True):
    """An instance as it was last wanted here, with the number of its revision and the chains of its app."""

    spec: InstanceSpec
    number: int
    chains: tuple[Chain, ...]


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One instance in this boot of the machine."""

    spec: Digest
    container: str = ""
    running: bool = False
    #: Boot time at which it was first seen running.
    since_us: int = 0
    restarts: int = 0
    failures: int = 0
    #: Boot time before which it is not started again.
    not_before_us: int = 0
    exit_code: int = 0
    health: Health = "none"
    health_failures: int = 0
    health_output: str = ""
    next_check_us: int = 0


class Trouble(msgspec.Struct, frozen=True):
    """A lane whose last action failed."""

    count: int
    code: str
    reason: str
    not_before_us: int


class History(msgspec.Struct, frozen=True, kw_only=True):
    """A node's memory. ``boot`` names this boot of the machine."""

    boot: str
    kept: Kept = Kept()
    runs: dict[InstanceId, Run] = {}
    #: What this process has seen of the revisions that are not judged yet.
    watches: dict[AppId, Watch] = {}
    #: Boot time since which this process sees nothing more to do for the networks of an app that are tried.
    stands: dict[AppId, int] = {}
    troubles: dict[str, Trouble] = {}
    #: Instances of apps with chains, while they are wanted and until nothing of their app runs any more.
    led: dict[InstanceId, Led] = {}
    #: What came of test packets, by chain.
    probes: dict[str, ProbeNote] = {}


def note_observed(history: History, observed: Observation, now_us: int, busy: frozenset[str] = frozenset()) -> History:
    """Take in one look at the containers: who came up, who went down by itself.

    Lanes in ``busy`` had an action under way during the look: what it shows of them may be older than their outcome.
    """
    if observed.unavailable:
        return history
    runs = dict(history.runs)
    here = {seen.container for seen in observed.containers}
    running = {seen.container for seen in observed.containers if seen.state == "running"}
    specs = {(seen.instance, seen.spec) for seen in observed.containers if seen.state == "running"}
    for seen in observed.containers:
        if instance_lane(seen.instance) in busy:
            continue
        before = runs.get(seen.instance)
        last = history.kept.started.get(seen.instance) if before is None else None
        if last is not None and last.spec != seen.spec and (seen.instance, last.spec) in specs:
            continue  # an agent before this one started another beside it
        twin = before is not None and before.spec == seen.spec and before.container != seen.container
        if twin and before is not None and before.container in here:
            continue  # a surplus copy of the same specification; the planner removes it
        is_other = before is not None and before.spec != seen.spec and before.running
        if before is not None and is_other and (seen.state != "running" or before.container in running):
            continue  # an old or coming copy beside the one that runs
        runs[seen.instance] = _advance(before, seen, now_us)
    present = {seen.instance for seen in observed.containers}
    for instance, run in list(runs.items()):
        if instance not in present and run.running and instance_lane(instance) not in busy:
            runs[instance] = msgspec.structs.replace(run, running=False, container="", health="none")
    troubles = {
        name: trouble
        for name, trouble in history.troubles.items()
        if now_us - trouble.not_before_us < limits.RESTART_RESET_US
    }
    return msgspec.structs.replace(history, runs=runs, troubles=troubles)


def forget_runs(history: History, present: frozenset[InstanceId]) -> History:
    """Drop what is known of instances that are neither wanted nor seen any more."""
    runs = {name: run for name, run in history.runs.items() if name in present}
    return history if len(runs) == len(history.runs) else msgspec.structs.replace(history, runs=runs)


def _advance(before: Run | None, seen: ContainerSeen, now_us: int) -> Run:
    running = seen.state in ("running", "paused", "stopping")
    if before is None or before.spec != seen.spec:
        before = Run(spec=seen.spec)
    if running and not before.running:
        return msgspec.structs.replace(
            before,
            container=seen.container,
            running=True,
            since_us=now_us,
            health="none",
            health_failures=0,
            next_check_us=0,
        )
    if before.running and not running:
        steady = now_us - before.since_us >= limits.RESTART_RESET_US
        failures = 1 if steady else before.failures + 1
        return msgspec.structs.replace(
            before,
            running=False,
            exit_code=seen.exit_code,
            failures=failures,
            not_before_us=now_us + start_delay_us(failures),
            health="none",
        )
    return msgspec.structs.replace(before, container=seen.container, exit_code=seen.exit_code)


def note_outcome(history: History, action: Action, outcome: Outcome, now_us: int) -> History:
    """Take in what came of an action: back-off for its lane, health of its instance, restarts of its container."""
    troubles = dict(history.troubles)
    name = lane(action)
    if outcome.ok:
        troubles.pop(name, None)
    else:
        count = troubles[name].count + 1 if name in troubles else 1
        troubles[name] = Trouble(count, outcome.code, outcome.reason, now_us + start_delay_us(count))
    history = msgspec.structs.replace(history, troubles=troubles)
    match action:
        case CheckHealth():
            return _note_health(history, action, outcome, now_us)
        case StartContainer() if outcome.ok:
            return _note_start(history, action, now_us)
        case ProbeChain() if outcome.ok:
            key = probe_key(action.tenant, action.app, action.chain)
            note = note_probe(history.probes.get(key), action, read_probe(action, outcome), now_us)
            return msgspec.structs.replace(history, probes={**forget_probes(history.probes, now_us), key: note})
        case _:
            return history


def read_probe(action: ProbeChain, outcome: Outcome) -> ChainProbed:
    """Say what came of test packets; the reason of an outcome is why none were sent."""
    if outcome.reason:
        return ChainProbed(sent=0, arrived=0, reason=outcome.reason)
    return judge_probe(action, outcome.passes or ())


def _note_start(history: History, action: StartContainer, now_us: int) -> History:
    """It ran, if only for a moment: an end before the next look is a failure too, with its back-off."""
    run = history.runs.get(action.instance)
    if run is None or run.spec != action.spec_digest:
        run = Run(spec=action.spec_digest)
    run = msgspec.structs.replace(
        run,
        container=action.container,
        running=True,
        since_us=now_us,
        restarts=run.restarts + (1 if run.failures else 0),
        health="none",
        health_failures=0,
        next_check_us=0,
    )
    return msgspec.structs.replace(history, runs={**history.runs, action.instance: run})


def _note_health(history: History, action: CheckHealth, outcome: Outcome, now_us: int) -> History:
    run = history.runs.get(action.instance)
    if run is None or not run.running or run.container != action.container:
        return history
    in_start_period = now_us - run.since_us < action.check.start_period_us
    interval = action.check.start_interval_us if in_start_period else action.check.interval_us
    interval = max(interval, limits.HEALTH_INTERVAL_US_MIN)
    if not outcome.ok:
        # The runtime could not run the check: that says nothing about the instance.
        run = msgspec.structs.replace(run, next_check_us=now_us + interval)
        return msgspec.structs.replace(history, runs={**history.runs, action.instance: run})
    if outcome.healthy:
        health: Health = "healthy"
        count = 0
    elif in_start_period and run.health != "healthy":
        health, count = "starting", 0
    else:
        count = run.health_failures + 1
        health = "starting" if run.health == "none" else run.health
        if count >= max(action.check.retries, 1):
            health = "unhealthy"
    run = msgspec.structs.replace(
        run,
        health=health,
        health_failures=count,
        health_output="" if outcome.healthy else outcome.reason,
        next_check_us=now_us + interval,
    )
    return msgspec.structs.replace(history, runs={**history.runs, action.instance: run})
