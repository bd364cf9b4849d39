"""The closed union of steps a driver performs at a site, and what comes of one.

An action is complete: the performer chooses nothing. ``lane`` names what an action is about: actions of one lane are
performed one after the other, of different lanes side by side. After each action the site is observed again, so an
action that was half done by a crash is simply planned again from what is there. What observation proves an action done
is said in its docstring.
"""

import hashlib

import msgspec

from skerry.model.app import HealthCheck, NetworkPlan
from skerry.model.ids import (
    AppName,
    CauseId,
    Digest,
    InstanceId,
    NetworkName,
    SecretName,
    SiteName,
    TenantName,
    VolumeId,
    VolumeName,
)
from skerry.model.instance import InstanceSpec


class _Action(msgspec.Struct, frozen=True, kw_only=True):
    #: Why: ties the action to the wish, in events and logs.
    cause: CauseId = CauseId("")


class FetchImage(_Action, frozen=True, kw_only=True, tag="fetch-image"):
    """Bring the image's blobs here, resumable. Proof: the blob store lists the image as complete."""

    image: Digest
    config: Digest
    size_bytes: int


class LoadImage(_Action, frozen=True, kw_only=True, tag="load-image"):
    """Give a complete image to the runtime. Proof: the runtime lists an image with this config digest."""

    image: Digest
    config: Digest


class DropBlobs(_Action, frozen=True, kw_only=True, tag="drop-blobs"):
    """Give up the blobs of an image that the runtime has by now. Proof: the blob store no longer lists it."""

    image: Digest
    config: Digest


class RemoveImage(_Action, frozen=True, kw_only=True, tag="remove-image"):
    """Evict an image that nothing needs. Proof: neither runtime nor blob store lists it."""

    image: Digest
    config: Digest


class CreateNetwork(_Action, frozen=True, kw_only=True, tag="create-network"):
    """Make an app's private network. Proof: the runtime lists it."""

    tenant: TenantName
    app: AppName
    name: NetworkName
    internal: bool
    plan: NetworkPlan = NetworkPlan()

    @property
    def plan_name(self) -> str:
        """Names the plan by its content; empty where the node is free."""
        if self.plan == NetworkPlan():
            return ""
        return hashlib.sha256(msgspec.json.encode(self.plan, order="deterministic")).hexdigest()[:16]


class RemoveNetwork(_Action, frozen=True, kw_only=True, tag="remove-network"):
    """Remove a network that no assignment uses. Proof: the runtime no longer lists it."""

    tenant: TenantName
    app: AppName
    name: NetworkName


class CreateVolume(_Action, frozen=True, kw_only=True, tag="create-volume"):
    """Make a volume with its identity file, owned by the tenant's uid range. Proof: it is seen with that identity."""

    volume: VolumeId
    tenant: TenantName
    app: AppName
    name: VolumeName
    uid_start: int
    born: int


class DeleteVolume(_Action, frozen=True, kw_only=True, tag="delete-volume"):
    """Delete a volume whose tombstone's grace has passed. Proof: it is no longer seen."""

    volume: VolumeId
    tenant: TenantName
    app: AppName
    name: VolumeName
    #: Digest of the tombstone's payload that permits it.
    tombstone: Digest


class CreateContainer(_Action, frozen=True, kw_only=True, tag="create-container"):
    """Make the instance's container, not started. Proof: a container with this spec digest in state ``created``."""

    spec: InstanceSpec
    spec_digest: Digest
    uid_start: int


class StartContainer(_Action, frozen=True, kw_only=True, tag="start-container"):
    """Start a container that exists, its memory-backed files laid out afresh. Proof: state ``running``."""

    container: str
    spec: InstanceSpec
    spec_digest: Digest
    uid_start: int

    @property
    def instance(self) -> InstanceId:
        """The instance it belongs to."""
        return self.spec.id


class StopContainer(_Action, frozen=True, kw_only=True, tag="stop-container"):
    """Ask it to stop, kill it after the grace. Proof: state ``exited``."""

    container: str
    instance: InstanceId
    #: 0 for what it was made with, where the wish that it came from is no longer held.
    grace_us: int
    signal: str = ""


class UnpauseContainer(_Action, frozen=True, kw_only=True, tag="unpause-container"):
    """Let a container go on that somebody froze by hand. Proof: state ``running``."""

    container: str
    instance: InstanceId


class RenewSecrets(_Action, frozen=True, kw_only=True, tag="renew-secrets"):
    """Write new versions into the files of a running container, then send it a signal. Proof: it is seen with them."""

    container: str
    spec: InstanceSpec
    spec_digest: Digest
    uid_start: int
    names: tuple[SecretName, ...]
    signal: str

    @property
    def instance(self) -> InstanceId:
        """The instance it belongs to."""
        return self.spec.id


class RemoveContainer(_Action, frozen=True, kw_only=True, tag="remove-container"):
    """Remove a stopped or surplus container; never its named volumes. Proof: it is no longer seen."""

    container: str
    instance: InstanceId


class CheckHealth(_Action, frozen=True, kw_only=True, tag="check-health"):
    """Run the instance's health command, or ask by its probe, once.

    Its outcome is the proof: ``healthy``, or not with the output's end or what the probe found.
    """

    container: str
    instance: InstanceId
    check: HealthCheck


class AppRules(msgspec.Struct, frozen=True, order=True):
    """One app network's openings, as the firewall needs them."""

    tenant: TenantName
    app: AppName
    network: NetworkName
    internal: bool
    #: Ranges of its part here and of its parts at other sites; both empty for a network of this site alone.
    near: tuple[str, ...] = ()
    far: tuple[str, ...] = ()


class Tunnel(msgspec.Struct, frozen=True, order=True):
    """An encrypted way to one key of another site, at the interface of one of the node's own keys."""

    #: Number of the node's own key.
    own: int
    #: At the second interface of that key, where a peer's next key stands beside its present one.
    aside: bool
    site: SiteName
    #: The peer's public key.
    key: bytes
    #: Where to look for the peer; empty to wait for it.
    endpoint: str
    #: Ranges of addresses that are at the peer.
    ranges: tuple[str, ...]
    #: Seconds after which a way that is quiet is kept open, as NAT needs it; 0 for never.
    keepalive_s: int = 0
    #: What goes to these ranges goes this way.
    used: bool = True


class ApplyOverlay(_Action, frozen=True, kw_only=True, tag="apply-overlay"):
    """Make the node's tunnels and the routes into them equal to this, whole. Proof: the overlay's digest is ``digest``.

    A peer that moved is not told its old place again: a place is set only where it is another than was set before.
    """

    tunnels: tuple[Tunnel, ...]
    digest: Digest


class MakeOverlayKey(_Action, frozen=True, kw_only=True, tag="make-overlay-key"):
    """Make the node's next overlay key and have its device key sign it. Proof: the key is seen."""

    number: int


class DropOverlayKey(_Action, frozen=True, kw_only=True, tag="drop-overlay-key"):
    """Forget an overlay key that no tunnel uses any more. Proof: the key is no longer seen."""

    number: int


class ApplyRules(_Action, frozen=True, kw_only=True, tag="apply-rules"):
    """Make the node's own firewall table equal to this, whole. Proof: the observed rules digest is ``digest``."""

    networks: tuple[AppRules, ...]
    digest: Digest


Action = (
    FetchImage
    | LoadImage
    | DropBlobs
    | RemoveImage
    | CreateNetwork
    | RemoveNetwork
    | CreateVolume
    | DeleteVolume
    | CreateContainer
    | StartContainer
    | StopContainer
    | UnpauseContainer
    | RenewSecrets
    | RemoveContainer
    | CheckHealth
    | ApplyRules
    | ApplyOverlay
    | MakeOverlayKey
    | DropOverlayKey
)


#: Begins the lane of every fetch.
FETCH_LANE = "fetch/"


def lane(action: Action) -> str:
    """Name what the action is about; at most one action of a lane is under way at any time."""
    match action:
        case FetchImage():
            return f"{FETCH_LANE}{action.image}"
        case LoadImage() | DropBlobs() | RemoveImage():
            return f"image/{action.config}"
        case CreateNetwork() | RemoveNetwork():
            return f"network/{action.tenant}/{action.app}/{action.name}"
        case CreateVolume() | DeleteVolume():
            return volume_lane(action.volume)
        case CreateContainer():
            return instance_lane(action.spec.id)
        case StartContainer() | StopContainer() | UnpauseContainer() | RenewSecrets() | RemoveContainer():
            return instance_lane(action.instance)
        case CheckHealth():
            return f"health/{action.instance}"
        case ApplyRules():
            return "rules"
        case ApplyOverlay() | MakeOverlayKey() | DropOverlayKey():
            return "overlay"


def instance_lane(instance: InstanceId) -> str:
    """Name the lane of everything done to the containers of one instance."""
    return f"instance/{instance}"


def volume_lane(volume: VolumeId) -> str:
    """Name the lane of everything done to one volume."""
    return f"volume/{volume}"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an action. Failure is a value: the next plan decides what to do about it."""

    ok: bool
    #: Stable word such as ``E-DISK-FULL``, ``E-RUNTIME``, ``E-UNREACHABLE``, ``E-PORT-IN-USE``; empty when ok.
    code: str = ""
    #: One sentence for people.
    reason: str = ""
    #: Result of ``CheckHealth``; None for all others.
    healthy: bool | None = None


DONE = Outcome(ok=True)


def failed(code: str, reason: str) -> Outcome:
    """Make the outcome of an action that did not succeed."""
    return Outcome(ok=False, code=code, reason=reason)
