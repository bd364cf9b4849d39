"""Apps and images of simulated tenants: a few words of a scenario turned into what a client would sign and upload."""

import json
from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from skerry.clock import SECOND_US
from skerry.model.app import (
    AppRevision,
    FileMount,
    Further,
    HealthCheck,
    Hook,
    ImageRef,
    Mount,
    Network,
    NetworkWords,
    Placement,
    Port,
    Probe,
    Replicas,
    Resources,
    Restart,
    SecretUse,
    Service,
    Sites,
)
from skerry.model.chain import Chain
from skerry.model.entrance import Entrance
from skerry.model.geography import Region
from skerry.model.ids import AppName, NetworkName, SecretName, ServiceName, TenantName, VolumeName, digest_of
from skerry.model.placing import Apart, PlacementRules, Together
from skerry.model.policy import Autonomy, Policy, Priority, SecretPolicy
from skerry.model.rollout import InSite, Rollout
from skerry.model.volume import SnapshotPlan, Volume

_OCI = "application/vnd.oci.image."
#: Where the steps of an app's chain are.
STEPS_NETWORK = NetworkName("way")


class AppWords(msgspec.Struct, frozen=True, kw_only=True):
    """What a scenario says of an app; everything else is the usual."""

    #: Service to image name.
    services: Mapping[str, str]
    match: tuple[str, ...] = ()
    per_site: int = 1
    total: int = 0
    restart: Literal["no", "always", "on-failure", "unless-stopped"] = "always"
    port: int = 0
    volume: bool = True
    #: When sites keep what the volume holds, and how large it may grow; 0 where nothing is said.
    snapshots: SnapshotPlan | UnsetType = UNSET
    volume_bytes: int = 0
    health: bool = False
    #: Its health command always says no.
    ill: bool = False
    rollout: Rollout | None = None
    autonomy: Autonomy | None = None
    priority: Priority | None = None
    max_down: int = 0
    #: Who may end its instances where they are.
    withdraw: Literal["core", "tenant"] = "core"
    #: The service that all others wait for and start again with.
    follow: str = ""
    #: The service in whose network and among whose processes all others are.
    shares: str = ""
    #: What every service runs inside after a start, and before a stop; empty for nothing.
    after_start: str = ""
    before_stop: str = ""
    #: In which order the copies of each service change at a site.
    in_site: InSite | None = None
    #: Memory that each instance asks for.
    memory_bytes: int = 0
    command: tuple[str, ...] = ()
    #: Countries that it must not leave; empty for anywhere.
    fence: tuple[str, ...] = ()
    #: Services kept apart by site, and kept together on a node.
    apart: tuple[str, ...] = ()
    together: tuple[str, ...] = ()
    #: Most sites; 0 for any number.
    sites_max: int = 0
    #: Of a service all that is said of its places, instead of what is said above.
    placements: Mapping[str, Placement] = {}
    #: How every service is asked whether it is well, instead of a command.
    probe: Probe | None = None
    #: Networks over all its sites that every service is in.
    stretched: tuple[str, ...] = ()
    #: What people outside reach of the service of each name.
    entrances: Mapping[str, tuple[Entrance, ...]] = {}
    #: What leaves the app's sites passes the services that it names, which are in a network of their own.
    chain: Chain | None = None
    #: Secrets of the tenant that every service gets, and what its sites may do with them.
    secrets: tuple[str, ...] = ()
    secret_policy: SecretPolicy = SecretPolicy()

    @property
    def is_loose(self) -> bool:
        """The wish alone does not say what runs where: totals, waves, stops when cut off, short room, and company."""
        is_tied = bool(self.apart or self.together or self.sites_max or self.placements)
        return is_tied or bool(self.total or self.rollout or self.autonomy or self.memory_bytes)

    @property
    def is_kept(self) -> bool:
        """Only its tenant ends it; but where a copy that stands in may stay, the core ends the other one."""
        autonomy = self.autonomy or Autonomy()
        is_cores = bool(autonomy.replace_after_us) and autonomy.on_return != "keep-original"
        return self.withdraw == "tenant" and not is_cores

    @property
    def policy(self) -> Policy:
        """What is wished for when something is short or cut off."""
        return Policy(
            autonomy=self.autonomy or Autonomy(), priority=self.priority or Priority(), max_down=self.max_down
        )


def make_revision(
    tenant: TenantName, app: AppName, number: int, words: AppWords, images: Mapping[str, ImageRef]
) -> AppRevision:
    """Write a revision as a client would."""
    replicas = Replicas(total=words.total) if words.total else Replicas(per_site=words.per_site)
    services = {
        ServiceName(name): Service(
            image=images[image],
            command=words.command or None,
            restart=Restart(policy=words.restart),
            depends_on={
                ServiceName(other): "started" for other in (words.follow, words.shares) if other not in ("", name)
            },
            restart_with=(ServiceName(words.follow),) if words.follow not in ("", name) else UNSET,
            in_site=words.in_site or UNSET,
            networks=_list_networks(words, name),
            further=_make_further(words, name),
            mounts=(Mount(kind="volume", source="data", target="/data"),) if words.volume else (),
            ports=_list_ports(words, name),
            healthcheck=_make_check(words),
            reservations=Resources(memory_bytes=words.memory_bytes),
            policy=words.policy if words.policy != Policy() else UNSET,
            secrets=tuple(FileMount(source=secret, target=f"/run/secrets/{secret}") for secret in words.secrets),
            entrance=words.entrances.get(name) or UNSET,
            placement=words.placements.get(name)
            or Placement(sites=Sites(match=words.match), replicas=replicas, rules=_make_rules(words, name)),
        )
        for name, image in sorted(words.services.items())
    }
    return AppRevision(
        tenant=tenant,
        app=app,
        number=number,
        source=digest_of(b"a manifest"),
        services=services,
        networks=_make_networks(words),
        chains=(words.chain,) if words.chain else UNSET,
        # Devices are granted by an operator's own profile alone.
        profile="edge" if words.chain and words.chain.start.kind == "interface" else "default",
        volumes={VolumeName("data"): _make_volume(words)} if words.volume else {},
        secrets={secret: _use_secret(secret, words.secret_policy) for secret in words.secrets},
        withdraw="tenant" if words.is_kept else UNSET,
        rollout=words.rollout or UNSET,
    )


def _is_sharer(words: AppWords, name: str) -> bool:
    return words.shares not in ("", name)


def _is_step(words: AppWords, name: str) -> bool:
    return words.chain is not None and name in words.chain.through


def _list_ports(words: AppWords, name: str) -> tuple[Port, ...]:
    has_none = _is_sharer(words, name) or _is_step(words, name)
    return (Port(target=80, published=words.port),) if words.port and not has_none else ()


def _list_networks(words: AppWords, name: str) -> dict[NetworkName, tuple[str, ...]]:
    if _is_sharer(words, name):
        return {}
    if _is_step(words, name):
        return {STEPS_NETWORK: ()}
    return {NetworkName(each): () for each in ("default", *words.stretched)}


def _make_volume(words: AppWords) -> Volume:
    return Volume(size_bytes=words.volume_bytes or UNSET, snapshot=words.snapshots)


def _make_networks(words: AppWords) -> dict[NetworkName, Network]:
    over_sites = Network(words=NetworkWords(kind="overlay", scope="app"))
    found = {NetworkName(name): over_sites for name in words.stretched}
    return found | ({NetworkName("default"): Network(), STEPS_NETWORK: Network()} if words.chain else {})


def _make_further(words: AppWords, name: str) -> Further | UnsetType:
    def hooks(command: str) -> tuple[Hook, ...]:
        return (Hook(command=("sh", "-c", command)),) if command else ()

    target = ServiceName(words.shares)
    found = Further(
        post_start=hooks(words.after_start),
        pre_stop=hooks(words.before_stop),
        shares={"network": target, "pid": target} if _is_sharer(words, name) else {},
    )
    return found if found != Further() else UNSET


def _use_secret(name: str, policy: SecretPolicy) -> SecretUse:
    return SecretUse(name=SecretName(name), policy=policy if policy != SecretPolicy() else UNSET)


def _make_rules(words: AppWords, name: str) -> PlacementRules | UnsetType:
    company = tuple(each for each in words.together if each != name) if name in words.together else ()
    company += (words.shares,) if _is_sharer(words, name) and words.shares not in company else ()
    rules = PlacementRules(
        geofence=(Region(countries=words.fence),) if words.fence else (),
        apart=(Apart(by="site", services=words.apart),) if name in words.apart else (),
        together=(Together(by="node", services=company),) if company else (),
        sites_max=words.sites_max,
    )
    return rules if rules != PlacementRules() else UNSET


def _make_check(words: AppWords) -> HealthCheck | None:
    if words.probe is not None:
        return HealthCheck(test=(), interval_us=10 * SECOND_US, probe=words.probe)
    if words.ill:
        return HealthCheck(test=("CMD-SHELL", "echo ill; exit 1"), interval_us=10 * SECOND_US)
    return HealthCheck(test=("CMD", "true"), interval_us=30 * SECOND_US) if words.health else None


def make_image(name: str, size: int) -> tuple[ImageRef, tuple[bytes, ...]]:
    """Return what a revision names, and the blobs to upload, the manifest last. The name decides the content."""
    layer = (name.encode() * (size // len(name) + 1))[:size]
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest_of(layer)]}}
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": _OCI + "manifest.v1+json",
            "config": {"mediaType": _OCI + "config.v1+json", "digest": digest_of(config), "size": len(config)},
            "layers": [{"mediaType": _OCI + "layer.v1.tar", "digest": digest_of(layer), "size": len(layer)}],
        }
    ).encode()
    image = ImageRef(name=name, digest=digest_of(manifest), config=digest_of(config), size_bytes=len(layer))
    return image, (layer, config, manifest)
