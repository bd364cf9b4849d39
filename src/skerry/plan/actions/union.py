"""The closed union of all steps, and the lane of each."""

from skerry.model.ids import InstanceId, VolumeId
from skerry.plan.actions.chains import ApplyChains, ProbeChain
from skerry.plan.actions.containers import (
    CheckHealth,
    CreateContainer,
    RemoveContainer,
    RenewSecrets,
    RunHooks,
    StartContainer,
    StopContainer,
    UnpauseContainer,
)
from skerry.plan.actions.entrance import ApplyEntrance, MakeAccount, ObtainCertificate
from skerry.plan.actions.images import DropBlobs, FetchImage, LoadImage, RemoveImage
from skerry.plan.actions.names import ApplyNames
from skerry.plan.actions.networks import (
    ApplyFlows,
    ApplyQueues,
    ApplyRules,
    ApplyTranslation,
    BindLinks,
    CreateNetwork,
    RemoveNetwork,
)
from skerry.plan.actions.overlay import ApplyOverlay, ApplyRelay, DropOverlayKey, MakeOverlayKey
from skerry.plan.actions.volumes import (
    CreateVolume,
    DeleteVolume,
    DropSnapshot,
    RestoreVolume,
    SizeVolume,
    TakeSnapshot,
)

Action = (
    FetchImage
    | LoadImage
    | DropBlobs
    | RemoveImage
    | CreateNetwork
    | RemoveNetwork
    | CreateVolume
    | SizeVolume
    | DeleteVolume
    | TakeSnapshot
    | DropSnapshot
    | RestoreVolume
    | CreateContainer
    | StartContainer
    | StopContainer
    | UnpauseContainer
    | RenewSecrets
    | RunHooks
    | RemoveContainer
    | CheckHealth
    | ApplyRules
    | ApplyTranslation
    | ApplyQueues
    | ApplyFlows
    | ApplyOverlay
    | ApplyRelay
    | BindLinks
    | ApplyChains
    | ProbeChain
    | MakeOverlayKey
    | DropOverlayKey
    | ApplyEntrance
    | MakeAccount
    | ObtainCertificate
    | ApplyNames
)


#: Begins the lane of every fetch.
FETCH_LANE = "fetch/"


#: One chain is probed at a time: another's packets would be in the way of what is measured.
PROBE_LANE = "chain-probe"


def lane(action: Action) -> str:
    """Name what the action is about; at most one action of a lane is under way at any time."""
    match action:
        case FetchImage():
            return f"{FETCH_LANE}{action.image}"
        case LoadImage() | DropBlobs() | RemoveImage():
            return f"image/{action.config}"
        case CreateNetwork() | RemoveNetwork():
            return f"network/{action.tenant}/{action.app}/{action.name}"
        case CreateVolume() | DeleteVolume() | TakeSnapshot() | DropSnapshot() | RestoreVolume():
            return volume_lane(action.volume)
        case SizeVolume():
            # Apart: a limit that is too small for what is there is in the way of nothing else.
            return f"volume-size/{action.volume}"
        case CreateContainer():
            return instance_lane(action.spec.id)
        case StartContainer() | StopContainer() | UnpauseContainer() | RenewSecrets() | RunHooks() | RemoveContainer():
            return instance_lane(action.instance)
        case CheckHealth():
            return f"health/{action.instance}"
        case ApplyRules():
            return "rules"
        case ApplyTranslation():
            return "translation"
        case ApplyChains():
            return "chains"
        case ProbeChain():
            return PROBE_LANE
        case ApplyQueues():
            return "queues"
        case ApplyFlows():
            return "flows"
        case ApplyOverlay() | MakeOverlayKey() | DropOverlayKey():
            return "overlay"
        case ApplyRelay():
            return "relay"
        case BindLinks():
            return f"links/{action.instance}"
        case ApplyEntrance():
            return "entrance"
        case MakeAccount() | ObtainCertificate():
            return "certificates"
        case ApplyNames():
            return "names"


def instance_lane(instance: InstanceId) -> str:
    """Name the lane of everything done to the containers of one instance."""
    return f"instance/{instance}"


def volume_lane(volume: VolumeId) -> str:
    """Name the lane of everything done to one volume."""
    return f"volume/{volume}"
