"""Small builders for planner tests: one site, one node, one app."""

import msgspec

from skerry.model.app import AppRevision, ImageRef, Mount, Placement, Replicas, Restart, Service
from skerry.model.document import Assignment, Unit, unit_id
from skerry.model.ids import (
    AppName,
    Digest,
    NetworkName,
    NodeName,
    ServiceName,
    SiteName,
    TenantName,
    VolumeName,
    digest_of,
    volume_id,
)
from skerry.model.instance import list_followed
from skerry.model.observed import ChainsSeen, ContainerSeen, ImageSeen, NetworkSeen, Observation
from skerry.model.signed import NodeRecord, PublicKey, RoleKeys, SiteRecord
from skerry.plan.actions import (
    Action,
    ApplyChains,
    ApplyRules,
    CheckHealth,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    DeleteVolume,
    DropBlobs,
    DropSnapshot,
    FetchImage,
    LoadImage,
    Outcome,
    RemoveContainer,
    RemoveImage,
    RemoveNetwork,
    RenewSecrets,
    RestoreVolume,
    SizeVolume,
    StartContainer,
    StopContainer,
    TakeSnapshot,
    UnpauseContainer,
)
from skerry.plan.history import Deleting, History, Started, note_observed, note_outcome
from skerry.plan.site import plan_site
from skerry.plan.site_plan import HeldSite, Now, SitePlan
from skerry.sim.volumes import FakeVolumes

KEY = PublicKey(type="ed25519", key=b"k" * 32)
TENANT = TenantName("default")
APP = AppName("shop")
SECOND = 1_000_000


def image(tag: str) -> ImageRef:
    return ImageRef(
        name=f"img:{tag}", digest=digest_of(b"m" + tag.encode()), config=digest_of(b"c" + tag.encode()), size_bytes=1000
    )


def service(tag: str = "1", **words: object) -> Service:
    base = Service(
        image=image(tag),
        networks={NetworkName("default"): ()},
        restart=Restart(policy="always"),
        placement=Placement(replicas=Replicas(per_site=2)),
    )
    return msgspec.structs.replace(base, **words)


def revision(number: int = 1, **services: Service) -> AppRevision:
    return AppRevision(
        tenant=TENANT,
        app=APP,
        number=number,
        source=digest_of(b"text"),
        services={ServiceName(name): item for name, item in services.items()},
    )


def record(**labels: str) -> SiteRecord:
    return SiteRecord(
        site=SiteName("oslo"),
        number=1,
        labels=labels,
        nodes={NodeName("n1"): NodeRecord(device=KEY, sealing=KEY)},
        tenants={TENANT: RoleKeys(keys=(KEY,))},
    )


def digest_revision(app: AppRevision) -> Digest:
    return digest_of(msgspec.json.encode(app))


def assign(wish: AppRevision, service_name: str, **words: object) -> Assignment:
    base = Assignment(
        tenant=wish.tenant,
        app=wish.app,
        service=ServiceName(service_name),
        ordinal=0,
        node=NodeName("n1"),
        revision=digest_revision(wish),
    )
    return msgspec.structs.replace(base, **words)


def hold(app: AppRevision, *units: Unit, **words: object) -> HeldSite:
    base = HeldSite(
        site=SiteName("oslo"),
        node=NodeName("n1"),
        record=record(),
        units={unit_id(unit): unit for unit in units},
        revisions={digest_revision(app): app},
    )
    return msgspec.structs.replace(base, **words)


def volume_mount(name: str) -> Mount:
    return Mount(kind="volume", source=name, target="/data")


class World:
    """A node that does what it is told: the smallest true runtime for planner tests."""

    #: Whether its parent answers at once what it is asked.
    is_answered = False

    def __init__(self, held: HeldSite, boot: str = "boot-1") -> None:
        self.held = held
        self.history = History(boot=boot)
        self.observed = Observation(driver="world")
        self.now = Now(boot_us=1000 * SECOND)
        self.performed: list[Action] = []
        self.healthy = True
        self.storage = FakeVolumes("directory")
        self._serial = 0

    def look(self) -> SitePlan:
        self.history = note_observed(self.history, self.observed, self.now.boot_us)
        plan = plan_site(self.held, self.observed, self.history, self.now)
        kept = self.history.kept
        kept = msgspec.structs.replace(
            kept,
            uid_ranges={**kept.uid_ranges, **plan.uid_ranges},
            started={name: start for name, start in kept.started.items() if name not in plan.forget_starts},
            ended={**kept.ended, **plan.ended},
            tombstones={**kept.tombstones, **plan.graces},
            volumes={
                name: born
                for name, born in {**kept.volumes, **plan.volumes}.items()
                if name not in plan.forget_volumes | plan.deleted
            },
            deleting={name: each for name, each in kept.deleting.items() if name not in plan.deleted | plan.spared},
            judged={
                name: each for name, each in {**kept.judged, **plan.judged}.items() if name not in plan.forget_judged
            },
            reach={name: each for name, each in {**kept.reach, **plan.reach}.items() if name not in plan.forget_reach},
            snapped={
                name: each for name, each in {**kept.snapped, **plan.snapped}.items() if name not in plan.forget_snapped
            },
            restoring={name: each for name, each in kept.restoring.items() if name not in plan.forget_restoring},
        )
        self.history = msgspec.structs.replace(self.history, kept=kept, watches=plan.watches, stands=plan.stands)
        if self.is_answered and plan.asks_parent and self.held.answered_us != self.now.boot_us:
            self.held = msgspec.structs.replace(self.held, answered_us=self.now.boot_us)
            return self.look()
        return plan

    def step(self) -> SitePlan:
        plan = self.look()
        for action in plan.actions:
            self.do(action)
        return plan

    def settle(self, rounds: int = 30) -> SitePlan:
        """Plan and perform until the site is as its document wishes."""
        for _ in range(rounds):
            plan = self.step()
            if plan.settled:
                return self.look()
            self.advance(1)
        raise AssertionError(f"did not settle: {plan.actions} {plan.waits}")

    def advance(self, seconds: float) -> None:
        self.now = msgspec.structs.replace(self.now, boot_us=self.now.boot_us + int(seconds * SECOND))

    def do(self, action: Action) -> None:
        self.performed.append(action)
        outcome = Outcome(ok=True)
        seen = self.observed
        change = msgspec.structs.replace
        match action:
            case FetchImage():
                seen = change(seen, blobs=(*seen.blobs, ImageSeen(action.image, action.config, action.size_bytes)))
            case LoadImage():
                seen = change(seen, images=(*seen.images, ImageSeen(action.image, action.config, 1000)))
            case DropBlobs():
                seen = change(seen, blobs=tuple(item for item in seen.blobs if item.digest != action.image))
            case RemoveImage():
                seen = change(seen, images=tuple(item for item in seen.images if item.config != action.config))
            case CreateNetwork():
                network = NetworkSeen(
                    tenant=action.tenant,
                    app=action.app,
                    name=action.name,
                    internal=action.internal,
                    plan=action.plan_name,
                )
                seen = change(seen, networks=(*seen.networks, network))
            case RemoveNetwork():
                seen = change(seen, networks=tuple(item for item in seen.networks if item.name != action.name))
            case CreateVolume() | SizeVolume() | TakeSnapshot() | DropSnapshot() | RestoreVolume():
                self.storage.seen = {str(volume.volume): volume for volume in seen.volumes}
                outcome = self.storage.do(action)
                seen = change(seen, volumes=tuple(self.storage.seen.values()))
            case DeleteVolume():
                deleting = Deleting(tenant=action.tenant, app=action.app, name=action.name, tombstone=action.tombstone)
                kept = self.history.kept
                self.history = change(
                    self.history, kept=change(kept, deleting={**kept.deleting, action.volume: deleting})
                )
                seen = change(seen, volumes=tuple(item for item in seen.volumes if item.volume != action.volume))
            case CreateContainer():
                self._serial += 1
                spec = action.spec
                container = ContainerSeen(
                    container=f"c{self._serial:03}",
                    instance=spec.id,
                    tenant=spec.tenant,
                    app=spec.app,
                    service=spec.service,
                    ordinal=spec.ordinal,
                    spec=action.spec_digest,
                    image_config=spec.image_config,
                    state="created",
                    volumes=tuple(VolumeName(mount.source) for mount in spec.mounts if mount.kind == "volume"),
                )
                seen = change(seen, containers=(*seen.containers, container))
            case StartContainer():
                started = {**self.history.kept.started, action.instance: Started(action.spec_digest, self.history.boot)}
                kept = change(self.history.kept, started=started)
                self.history = change(self.history, kept=kept)
                seen = self._with_state(action.container, "running", 0, secrets=list_followed(action.spec))
            case RenewSecrets():
                told = {name: list_followed(action.spec)[name] for name in action.names}
                seen = self._with_state(action.container, "running", 0, secrets=told)
            case StopContainer():
                seen = self._with_state(action.container, "exited", 143)
            case UnpauseContainer():
                seen = self._with_state(action.container, "running", 0)
            case RemoveContainer():
                rest = tuple(item for item in seen.containers if item.container != action.container)
                seen = change(seen, containers=rest)
            case CheckHealth():
                outcome = Outcome(ok=True, healthy=self.healthy, reason="" if self.healthy else "no answer")
            case ApplyRules():
                seen = change(seen, rules=action.digest)
            case ApplyChains():
                digest = action.digest if action.steers else ""
                seen = change(seen, chains=ChainsSeen(digest=digest, hops=action.hops))
        self.observed = seen
        self.history = note_outcome(self.history, action, outcome, self.now.boot_us)

    def crash(self, service_name: str, code: int = 1) -> None:
        for item in self.observed.containers:
            if item.service == service_name:
                self.observed = self._with_state(item.container, "exited", code)

    def reboot(self) -> None:
        containers = tuple(
            msgspec.structs.replace(item, state="exited", exit_code=0) if item.state == "running" else item
            for item in self.observed.containers
        )
        self.observed = msgspec.structs.replace(self.observed, containers=containers, rules="")
        self.history = History(boot=self.history.boot + "+", kept=self.history.kept)

    def _with_state(self, container: str, state: str, code: int, **words: object) -> Observation:
        change = {"state": state, "exit_code": code, **words}
        return msgspec.structs.replace(
            self.observed,
            containers=tuple(
                msgspec.structs.replace(item, **change) if item.container == container else item
                for item in self.observed.containers
            ),
        )

    def kinds(self) -> list[str]:
        return [type(action).__name__ for action in self.performed]

    def running(self) -> list[str]:
        return sorted(item.service for item in self.observed.containers if item.state == "running")


def a_volume(name: str) -> str:
    return volume_id(TENANT, APP, name)
