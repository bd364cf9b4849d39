"""The next step of one instance: from what is wanted and what containers there are, to actions, waits and a fact.

Order of a change of specification: the new container is made while the old one runs, then the old one stops, the new
one starts, the old one goes. So whatever cannot be made ready leaves the old one running.
"""

from collections.abc import Iterable

import msgspec
from msgspec import UNSET, UnsetType

from skerry.model.app import NetworkPlan, Resources
from skerry.model.chain import Chain
from skerry.model.document import Assignment
from skerry.model.entrance import Entrance
from skerry.model.facts import InstanceFact, InstancePhase
from skerry.model.ids import (
    Digest,
    InstanceId,
    NetworkName,
    NodeName,
    SecretName,
    ServiceName,
    VolumeId,
    VolumeName,
    volume_id,
)
from skerry.model.instance import InstanceSpec, is_implied_by, signal_of
from skerry.model.observed import ContainerSeen
from skerry.model.policy import Policy
from skerry.model.rollout import InSite
from skerry.model.uplinks import NO_BANDWIDTH, Bandwidth
from skerry.model.volume import Volume
from skerry.plan.actions import (
    Action,
    CheckHealth,
    CreateContainer,
    CreateVolume,
    Link,
    RemoveContainer,
    RenewSecrets,
    RunHooks,
    StartContainer,
    StopContainer,
    TakeSnapshot,
    UnpauseContainer,
)
from skerry.plan.derive import Derived
from skerry.plan.history import Ended, History, Run
from skerry.plan.hooks import judge_hooks
from skerry.plan.report import Wait
from skerry.plan.sharing import find_shared, find_unmet, is_cut_off, is_leaned_on

#: A first health check comes this long after the start, so that fast services are soon known to be well.
FIRST_CHECK_US = 1_000_000

#: A dying container is looked at again this soon: podman's clean-up takes 150 to 550 ms (decision 0010).
STOPPING_US = 200_000

#: States of a container in which it takes room.
LIVE = ("running", "paused", "stopping")


class Wanted(msgspec.Struct, frozen=True):
    """An assignment of this node and what follows from it."""

    assignment: Assignment
    derived: Derived
    #: Number of the app revision.
    number: int
    #: Networks of the app without a way out.
    internal: tuple[str, ...] = ()
    #: What the revision says of its networks, where it says anything.
    plans: dict[NetworkName, NetworkPlan | None] = {}
    #: What its owner wishes where nothing usual does, and why it is held here although the core does not say so.
    policy: Policy | UnsetType = UNSET
    held_why: str = ""
    #: How long a site that is cut off gives its secrets to what it starts; a secret without limit is not here.
    secret_limits: dict[SecretName, int] = {}
    #: In which order copies are changed at a site, where the tenant says so.
    in_site: InSite | UnsetType = UNSET
    #: What it takes of the node.
    room: Resources = Resources()
    #: What it may use of the uplinks of its site.
    bandwidth: Bandwidth = NO_BANDWIDTH
    #: How many copies of its service there are: at each site, or over all of them.
    copies: int = 1
    #: The service chains of its app.
    chains: tuple[Chain, ...] = ()
    #: The volumes of its app, as its revision wishes them.
    volumes: dict[VolumeName, Volume] = {}
    #: Only its tenant may end it (``withdraw: tenant``).
    is_kept: bool = False
    #: What people outside reach of it, and its own certificates that may be shown here (``places.find_certificates``).
    entrance: tuple[Entrance, ...] = ()
    certificates: dict[str, tuple[Digest, int]] = {}


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """All that the step of one instance may look at."""

    wanted: dict[InstanceId, Wanted]
    #: Containers of this instance, and of all instances.
    containers: tuple[ContainerSeen, ...]
    everyone: tuple[ContainerSeen, ...]
    #: Config digests of images that the runtime has.
    images: frozenset[Digest]
    #: Networks that exist: (tenant, app, name).
    networks: frozenset[tuple[str, str, str]]
    #: Ids of volumes that may be mounted, and of those that were here and are gone.
    volumes: frozenset[str]
    lost: frozenset[VolumeId] = frozenset()
    uid_start: int
    history: History
    now_us: int
    node: NodeName
    #: The node's firewall table is in force for all networks that are here.
    guarded: bool = True
    #: Its links, where Skerry makes them, and why it cannot have them; neither where the runtime does.
    links: tuple[Link, ...] = ()
    unlinked: str = ""
    #: What is to be kept of its volumes before it starts in place of an older one; None for nothing.
    snapshot: TakeSnapshot | None = None
    #: Why it is not its turn to be changed; empty when it is.
    turn: str = ""
    #: Why its secrets are not given out now; empty when they are.
    withheld: str = ""
    #: An action on this instance was under way during the look: what it shows may be older than that.
    busy: bool = False


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What to do about one instance now."""

    fact: InstanceFact
    actions: tuple[Action, ...] = ()
    waits: tuple[Wait, ...] = ()
    ended: dict[InstanceId, Ended] = {}
    #: The start that is remembered is to be forgotten: its coming end is not the instance's own.
    forget_start: bool = False
    wake_us: int = 0


def volume_action(spec: InstanceSpec, volume: str, uid_start: int, number: int, limit_bytes: int) -> CreateVolume:
    """Return the action that makes a volume which ``spec`` mounts."""
    return CreateVolume(
        volume=volume_id(spec.tenant, spec.app, volume),
        tenant=spec.tenant,
        app=spec.app,
        name=VolumeName(volume),
        uid_start=uid_start,
        born=number,
        limit_bytes=limit_bytes,
    )


def plan_instance(instance: InstanceId, scene: Scene) -> Step:
    """Plan the next step of ``instance``."""
    wanted = scene.wanted[instance]
    current, others = _choose_current(wanted.derived.digest, scene.containers)
    if wanted.assignment.state == "hold" or wanted.held_why:
        return _hold(wanted, scene)
    if current is None:
        return _make(wanted, others, scene)
    match current.state:
        case "running":
            return _watch(wanted, current, others, scene)
        case "paused":
            action = UnpauseContainer(container=current.container, instance=instance)
            return _step(wanted, scene, "restarting", "somebody froze it; it is set going again", actions=(action,))
        case "stopping":
            return _step(wanted, scene, "restarting", "it is stopping", wake_us=scene.now_us + STOPPING_US)
        case "created" | "exited":
            return _start(wanted, current, others, scene)


def _choose_current(
    digest: Digest, containers: tuple[ContainerSeen, ...]
) -> tuple[ContainerSeen | None, tuple[ContainerSeen, ...]]:
    """Pick the container to adopt: right specification, running before stopped, then by id; the rest is surplus."""
    rank = {"running": 0, "paused": 1, "stopping": 2, "exited": 3, "created": 4}
    ordered = sorted(containers, key=lambda seen: (rank[seen.state], seen.container))
    current = next((seen for seen in ordered if seen.spec == digest), None)
    return current, tuple(seen for seen in ordered if seen is not current)


def _hold(wanted: Wanted, scene: Scene) -> Step:
    instance = wanted.derived.spec.id
    kept = scene.history.kept
    actions = next(((_stop(seen, wanted),) for seen in scene.containers if seen.state in LIVE), ())
    step = _step(wanted, scene, "held", wanted.held_why or "the app is paused", actions=actions)
    # Resumed, it starts again whatever its restart policy says, unless it had ended by itself before.
    return msgspec.structs.replace(step, forget_start=instance in kept.started and instance not in kept.ended)


def _make(wanted: Wanted, others: tuple[ContainerSeen, ...], scene: Scene) -> Step:
    """No container of this specification: make one as soon as all it needs is here."""
    spec = wanted.derived.spec
    lacking = scene.turn or _lacking(wanted, scene) or _unready_dependency(wanted, scene)
    if lacking:
        note = "; the previous version keeps running" if any(seen.state in LIVE for seen in others) else ""
        return _step(wanted, scene, "waiting", lacking + note, waits=(Wait(subject=spec.id, reason=lacking),))
    action = CreateContainer(spec=spec, spec_digest=wanted.derived.digest, uid_start=scene.uid_start)
    return _step(wanted, scene, "starting", "", actions=(action,))


def _start(wanted: Wanted, current: ContainerSeen, others: tuple[ContainerSeen, ...], scene: Scene) -> Step:
    """A container that does not run: start it, unless it ended for good or its back-off runs."""
    instance = wanted.derived.spec.id
    history = scene.history
    run = history.runs.get(instance)
    started = history.kept.started.get(instance)
    this_boot = started is not None and started.spec == current.spec and started.boot == history.boot
    if started is not None and started.before_us and started.before_us == current.started_us:
        this_boot = False  # the agent died between remembering the start and making it
    if scene.busy:
        return _step(wanted, scene, "restarting" if this_boot else "starting", "")
    ended = history.kept.ended.get(instance)
    if ended is not None and ended.spec != current.spec:
        ended = None
    if ended is None and current.state == "exited" and this_boot and not _restarts(wanted, current, run):
        ended = Ended(current.spec, current.exit_code)
    if ended is not None:
        phase: InstancePhase = "done" if ended.exit_code == 0 else "stopped"
        reason = (
            "" if ended.exit_code == 0 else f"it ended with code {ended.exit_code} and its restart policy lets it be"
        )
        return _step(wanted, scene, phase, reason, actions=_clear(others, wanted, scene), ended={instance: ended})
    live = next((seen for seen in others if seen.state in LIVE), None)
    # Before each start: a volume's disk may have gone or been swapped while the instance ran (faults.md D12).
    unready = _lacking(wanted, scene, existing=True) or ("" if this_boot else _unready_dependency(wanted, scene))
    if unready:
        return _step(wanted, scene, "waiting", unready, waits=(Wait(subject=instance, reason=unready),))
    if live is not None and not stays(live, wanted):
        return _step(wanted, scene, "starting", "its previous version is stopping", actions=(_stop(live, wanted),))
    if run is not None and run.spec == current.spec and run.not_before_us > scene.now_us:
        reason = f"it ended with code {current.exit_code}, {run.failures} times in a row; next start after a pause"
        wait = Wait(subject=instance, reason=reason, until_us=run.not_before_us)
        return _step(wanted, scene, "restarting", reason, waits=(wait,))
    if scene.snapshot is not None:
        reason = f"what volume {scene.snapshot.name} holds is kept before the update"
        return _step(wanted, scene, "starting", reason, actions=(scene.snapshot,))
    action = StartContainer(
        container=current.container,
        spec=wanted.derived.spec,
        spec_digest=current.spec,
        uid_start=scene.uid_start,
        links=scene.links,
    )
    return _step(wanted, scene, "restarting" if this_boot else "starting", "", actions=(action,))


def _restarts(wanted: Wanted, current: ContainerSeen, run: Run | None) -> bool:
    """Say whether the restart policy starts an instance again that ended by itself."""
    restart = wanted.derived.spec.restart
    failures = run.failures if run is not None and run.spec == current.spec else 0
    match restart.policy:
        case "always" | "unless-stopped":
            return True
        case "on-failure":
            return current.exit_code != 0 and (restart.max_attempts == 0 or failures <= restart.max_attempts)
        case "no":
            return False


def _watch(wanted: Wanted, current: ContainerSeen, others: tuple[ContainerSeen, ...], scene: Scene) -> Step:
    """It runs: clear away what is surplus, check its health when due."""
    spec = wanted.derived.spec
    if is_cut_off(current, spec, scene.everyone):
        reason = f"service {find_shared(spec)}, whose namespaces it shares, has begun anew"
        step = _step(wanted, scene, "restarting", reason, actions=(_stop(current, wanted),))
        # It starts again whatever its restart policy says.
        return msgspec.structs.replace(step, forget_start=spec.id in scene.history.kept.started)
    run = scene.history.runs.get(spec.id)
    hooks = judge_hooks(spec, current, busy=scene.busy)
    if hooks.state == "due":
        action = RunHooks(container=current.container, spec=spec, spec_digest=current.spec, began_us=current.began_us)
        return _step(wanted, scene, "starting", hooks.reason, actions=(action,))
    if hooks.state != "done":
        actions = () if any(stays(seen, wanted) for seen in others) else _clear(others, wanted, scene)
        phase: InstancePhase = "unhealthy" if hooks.state == "failed" else "starting"
        return _step(wanted, scene, phase, hooks.reason, actions=actions)
    # An agent that was started anew in the middle of a change does not know yet how the new one is: it looks first.
    is_young = run is None or run.spec != current.spec or run.health != "healthy"
    waits = spec.healthcheck is not None and is_young and any(stays(seen, wanted) for seen in others)
    actions = [] if waits else list(_clear(others, wanted, scene)) or _renew(spec, current, scene)
    if spec.healthcheck is None or run is None or run.spec != current.spec:
        return _step(wanted, scene, "ready" if spec.healthcheck is None else "starting", "", actions=tuple(actions))
    first = run.since_us + min(spec.healthcheck.interval_us, FIRST_CHECK_US)
    due_us = run.next_check_us or first
    wake_us = due_us
    if due_us <= scene.now_us:
        actions.append(CheckHealth(container=current.container, instance=spec.id, check=spec.healthcheck))
        wake_us = 0
    phase = "ready" if run.health == "healthy" else "unhealthy" if run.health == "unhealthy" else "starting"
    reason = (
        run.health_output if phase == "unhealthy" else "" if phase == "ready" else "its health check has not passed yet"
    )
    return _step(wanted, scene, phase, reason, actions=tuple(actions), wake_us=wake_us)


def stays(old: ContainerSeen, wanted: Wanted) -> bool:
    """Say whether an old copy runs on until the new one is well: where nothing is in the way of two."""
    spec = wanted.derived.spec
    is_wished = bool(wanted.in_site) and wanted.in_site.order == "start-first"
    addresses = spec.further.addresses.values() if spec.further else ()
    is_fixed = any(each.ipv4 or each.ipv6 or each.mac for each in addresses)
    return is_wished and not is_fixed and not old.volumes and not any(port.published for port in spec.ports)


def _renew(spec: InstanceSpec, current: ContainerSeen, scene: Scene) -> list[Action]:
    """Tell what runs of new versions of its secrets, one signal at a time."""
    if scene.withheld:
        return []
    stale = [each for each in spec.secrets if signal_of(each) and current.secrets.get(each.name) != each.version]
    if not stale:
        return []
    names = sorted({each.name for each in stale if each.rotate == stale[0].rotate})
    action = RenewSecrets(
        container=current.container,
        spec=spec,
        spec_digest=current.spec,
        uid_start=scene.uid_start,
        names=tuple(names),
        signal=signal_of(stale[0]),
    )
    return [action]


def _lacking(wanted: Wanted, scene: Scene, *, existing: bool = False) -> str:
    """Say what the instance needs and does not have here; empty when all is here. A container has its image already."""
    spec = wanted.derived.spec
    if not existing and spec.image_config not in scene.images:
        return "its image is on its way"
    unmet = find_unmet(spec, scene.everyone, existing=existing)
    if unmet:
        return unmet
    for name in sorted(spec.networks):
        if (spec.tenant, spec.app, name) not in scene.networks:
            return scene.unlinked or f"its network {name} is being made"
    for mount in spec.mounts:
        name = volume_id(spec.tenant, spec.app, mount.source)
        if mount.kind == "volume" and name in scene.lost:
            return explain_loss(name)
        if mount.kind == "volume" and name not in scene.volumes:
            return f"its volume {mount.source} is not usable yet"
    for name in sorted(scene.lost):
        tenant, app, volume = name.split("/")
        if (tenant, app) == (spec.tenant, spec.app) and is_implied_by(VolumeName(volume), spec.service):
            return explain_loss(name)
    if scene.withheld:
        return scene.withheld
    if existing and spec.networks and not scene.guarded:
        return "the node's firewall is not in force yet"
    if existing and scene.unlinked:
        return scene.unlinked
    return ""


def explain_loss(volume: VolumeId) -> str:
    """Say why nothing is started over a volume that was here and is gone, and what to do."""
    return (
        f"volume {volume} was here with data and is gone: mount its disk,"
        f" or accept the loss at the box: skerry agent accept-loss {volume}"
    )


def _unready_dependency(wanted: Wanted, scene: Scene) -> str:
    """Say which service of the app it waits for; services with no instance on this node are not waited for."""
    spec = wanted.derived.spec
    for service in sorted(spec.depends_on):
        peers = find_peers(spec, service, scene.wanted.values())
        is_new = service in (spec.restart_with or ())
        if peers and not any(_fulfils(peer, spec.depends_on[service], scene, is_new=is_new) for peer in peers):
            return f"it waits for service {service} to be {spec.depends_on[ServiceName(service)]}"
    return ""


def find_peers(spec: InstanceSpec, service: ServiceName, wanted: Iterable[Wanted]) -> list[Wanted]:
    """Return the instances of another service of the same app."""
    units = ((item, item.assignment) for item in wanted)
    return [item for item, unit in units if (unit.tenant, unit.app, unit.service) == (spec.tenant, spec.app, service)]


def _fulfils(peer: Wanted, condition: str, scene: Scene, *, is_new: bool) -> bool:
    """Say whether a peer has come so far; ``is_new``: as it is wished now, and not as it was before a change."""
    instance, digest = peer.derived.spec.id, peer.derived.digest
    mine = [seen for seen in scene.everyone if seen.instance == instance and (seen.spec == digest or not is_new)]
    # One that is to stop is as good as gone.
    running = not peer.held_why and any(seen.state == "running" for seen in mine)
    ended = scene.history.kept.ended.get(instance)
    if condition == "completed":
        return ended is not None and ended.spec == digest and ended.exit_code == 0
    if condition == "healthy" and peer.derived.spec.healthcheck is not None:
        run = scene.history.runs.get(instance)
        return running and run is not None and run.health == "healthy" and (run.spec == digest or not is_new)
    return running or (ended is not None and (ended.spec == digest or not is_new))


def _clear(others: tuple[ContainerSeen, ...], wanted: Wanted, scene: Scene) -> tuple[Action, ...]:
    """Get rid of surplus containers of an instance, one step."""
    for seen in others:
        if seen.state in LIVE:
            return (_stop(seen, wanted),)
        if is_leaned_on(seen, scene.everyone):
            continue
        return (RemoveContainer(container=seen.container, instance=seen.instance),)
    return ()


def _stop(seen: ContainerSeen, wanted: Wanted) -> StopContainer:
    spec = wanted.derived.spec
    return StopContainer(
        container=seen.container, instance=seen.instance, grace_us=spec.stop_grace_us, signal=spec.stop_signal
    )


def _step(
    wanted: Wanted,
    scene: Scene,
    phase: InstancePhase,
    reason: str,
    *,
    actions: tuple[Action, ...] = (),
    waits: tuple[Wait, ...] = (),
    ended: dict[InstanceId, Ended] | None = None,
    wake_us: int = 0,
) -> Step:
    spec = wanted.derived.spec
    run = scene.history.runs.get(spec.id)
    run = run if run is not None and run.spec == wanted.derived.digest else None
    fact = InstanceFact(
        instance=spec.id,
        node=scene.node,
        revision=wanted.assignment.revision,
        number=wanted.number,
        phase=phase,
        health="none" if run is None else run.health,
        reason=reason,
        restarts=0 if run is None else run.restarts,
        exit_code=0 if run is None or run.running else run.exit_code,
        ports={f"{port.published}/{port.protocol}": port.target for port in spec.ports if port.published},
    )
    return Step(fact=fact, actions=actions, waits=waits, ended=ended or {}, wake_us=wake_us)
