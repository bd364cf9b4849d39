"""What a plan of one node is made from and what it is: held wishes, the two times, and the plan being written.

Values only, and ``PlanDraft``, which the parts of the planner write on (``site.py`` puts them together, ``images.py``,
``networks.py``, ``volumes.py`` and ``instances.py`` each know one kind of thing).
"""

import msgspec

from skerry.model.app import AppRevision
from skerry.model.document import Unit
from skerry.model.facts import Fact, ImageFact, InstanceFact
from skerry.model.ids import Digest, InstanceId, NodeName, SecretName, SiteName, TenantName, UnitId, VolumeId
from skerry.model.network import PeerHeld
from skerry.model.samples import ChainUse, DoorUse
from skerry.model.signed import SiteRecord, Tombstone
from skerry.plan.actions import Action, CheckHealth, FetchImage, LoadImage, ObtainCertificate, ProbeChain, lane
from skerry.plan.confirm import PATIENCE_US
from skerry.plan.gate import Judged, Watch
from skerry.plan.history import AppId, Confirming, Contact, Ended, Grace, History, Led, Reach, Snapped, Traffic
from skerry.plan.report import Wait
from skerry.plan.ways import LOOK_EVERY_US

#: Phases of an instance that is not yet where it is wanted.
ON_ITS_WAY = ("waiting", "starting", "restarting")


class Now(msgspec.Struct, frozen=True):
    """The time a plan may depend on, in microseconds: that of the node's own boot-time clock, which nobody can move.

    Windows alone go by the time of day, as the site's trust clock has it.
    """

    boot_us: int
    #: Since 1970; 0 while the site has not heard a signed time since its agent was started.
    trust_us: int = 0
    #: What local time is ahead of UTC, by the site's signed label ``timezone``; None where that says nothing.
    offset_us: int | None = None


class HeldSite(msgspec.Struct, frozen=True, kw_only=True):
    """What a node holds durably and verified: its document's units and the signed objects they name."""

    site: SiteName
    node: NodeName
    record: SiteRecord
    #: Of the document; 0 while none is held.
    #: The parent is heard right now.
    linked: bool = True
    #: How long new wishes about its own network are tried without the parent.
    patience_us: int = PATIENCE_US
    #: How often relayed pairs look for the direct way.
    look_every_us: int = LOOK_EVERY_US
    #: Boot time since which it is heard without a break; 0 while it is not.
    linked_us: int = 0
    #: Boot time at which the newest question was asked that the parent has answered; 0 before that.
    answered_us: int = 0
    #: The device that the link is bound to; empty where the node's own routes say.
    way: str = ""
    #: Bytes that the agent's own link has carried since it began, by ``DEVICE/PURPOSE``.
    link_moved: dict[str, int] = {}
    epoch: int = 0
    generation: int = 0
    units: dict[UnitId, Unit] = {}
    revisions: dict[Digest, AppRevision] = {}
    #: Revisions that were proven here and that the document need not name: what a failed one gives way to.
    fallbacks: dict[Digest, AppRevision] = {}
    #: Apps that follow the revision before the one that is wished, because they gave that up.
    returned: frozenset[AppId] = frozenset()
    #: Apps whose networks cut the node off, that have no former ones to go back to; each with the reason.
    locked: dict[AppId, str] = {}
    #: Sealed secrets held: tenant and name to the digest of the newest version.
    secrets: dict[tuple[TenantName, SecretName], Digest] = {}
    tombstones: dict[Digest, Tombstone] = {}
    #: Sites to which tunnels may lead.
    peers: dict[SiteName, PeerHeld] = {}
    #: Of units by which this site relays for others: both ends.
    relayed: dict[UnitId, tuple[PeerHeld, ...]] = {}
    #: Images that a bundle at the box brings: fetching them costs the link nothing.
    carried: frozenset[Digest] = frozenset()
    #: Units refused when the document was verified: unit to (code, reason).
    refused: dict[UnitId, tuple[str, str]] = {}
    #: Units that the document would end and that stay, because only their tenant may end them; each with the reason.
    unsigned: dict[UnitId, str] = {}


class SitePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to do now, in order; what waits and why; what the site says of itself; what to remember first."""

    actions: tuple[Action, ...] = ()
    waits: tuple[Wait, ...] = ()
    facts: tuple[Fact, ...] = ()
    #: Uid ranges newly allocated: to be journaled before any action.
    uid_ranges: dict[TenantName, int] = {}
    #: Instances found to have ended for good: to be journaled.
    ended: dict[InstanceId, Ended] = {}
    #: Instances whose remembered start is void, to be journaled: it is stopped now by order, not by its own end.
    forget_starts: frozenset[InstanceId] = frozenset()
    #: How much of which tombstone's grace has passed: to be journaled.
    graces: dict[Digest, Grace] = {}
    #: Volumes that are here and were not known yet, with their births: to be journaled.
    volumes: dict[VolumeId, int] = {}
    #: Volumes that are gone and need not be missed any more: to be journaled.
    forget_volumes: frozenset[VolumeId] = frozenset()
    #: Deletions that are done although nobody saw their end, and those that are not wished any more.
    deleted: frozenset[VolumeId] = frozenset()
    #: Verdicts of health gates that are new: to be journaled; apps whose verdicts are void; what was seen meanwhile.
    judged: dict[AppId, Judged] = {}
    forget_judged: frozenset[AppId] = frozenset()
    watches: dict[AppId, Watch] = {}
    #: When the parent was heard, if that is new: to be journaled.
    contact: Contact | None = None
    #: What is tried or taken back of the wishes about the node's own network: to be journaled.
    confirming: Confirming | None = None
    #: What is known of the networks of apps, where that is new: to be journaled; and apps that are gone.
    reach: dict[AppId, Reach] = {}
    forget_reach: frozenset[AppId] = frozenset()
    stands: dict[AppId, int] = {}
    #: Whose traffic chains lead here: to be kept in mind.
    led: dict[InstanceId, Led] = {}
    #: A word of the parent is wanted now: its answer tells whether it can be reached under what was done.
    asks_parent: bool = False
    #: What went over the node's devices, once it is worth writing down.
    traffic: Traffic | None = None
    #: No image is fetched now: what is left of an uplink's budget is for the link itself.
    holds_bulk: bool = False
    #: Images that a bundle at the box brings, so that this does not hold them.
    carried: frozenset[Digest] = frozenset()
    #: What the node tells of itself beside what is seen of it.
    told: dict[str, str] = {}
    #: What the steps of its service chains were given.
    chains: tuple[ChainUse, ...] = ()
    #: What people asked of services over the entrance.
    doors: tuple[DoorUse, ...] = ()
    #: What a person at the box said and what is over: to be journaled.
    forget_said: frozenset[InstanceId] = frozenset()
    #: What is to be journaled of snapshots by time and of restores.
    snapped: dict[VolumeId, Snapped] = {}
    forget_snapped: frozenset[VolumeId] = frozenset()
    forget_restoring: frozenset[VolumeId] = frozenset()
    spared: frozenset[VolumeId] = frozenset()
    #: Boot time at which to plan again even if nothing happens; 0 for none.
    wake_us: int = 0
    #: Images that are held ahead of need: nothing that is wanted runs from them.
    ahead: frozenset[Digest] = frozenset()

    @property
    def settled(self) -> bool:
        """Nothing to do, nothing waited for, nothing on its way: the site is as its document wishes.

        Health checks and test packets of chains go on for ever and do not count, and neither do images that come ahead
        of need. A certificate is the business of an authority outside, which may say no for ever.
        """
        if self.waits or any(not self._is_aside(action) for action in self.actions):
            return False
        return not any(isinstance(fact, InstanceFact) and fact.phase in ON_ITS_WAY for fact in self.facts)

    @property
    def fetched(self) -> frozenset[Digest]:
        """Images whose fetching may go on; those ahead of need give way while one that runs here is fetched."""
        images = {fact.digest for fact in self.facts if isinstance(fact, ImageFact)}
        images &= self.carried if self.holds_bulk else images
        is_urgent = any(isinstance(each, FetchImage) and each.image not in self.ahead for each in self.actions)
        return frozenset(images - self.ahead if is_urgent else images)

    def _is_aside(self, action: Action) -> bool:
        if isinstance(action, FetchImage | LoadImage):
            return action.image in self.ahead
        return isinstance(action, CheckHealth | ObtainCertificate | ProbeChain)


class PlanDraft:
    """The plan being written; ``add`` honours the back-off of an action's lane."""

    def __init__(self, history: History, now: Now) -> None:
        self.history = history
        self.now = now
        self.actions: list[Action] = []
        self.waits: list[Wait] = []
        self.facts: list[Fact] = []
        #: Config digests of images for which there is no room, with their bytes.
        self.too_large: dict[Digest, int] = {}
        self.ahead: frozenset[Digest] = frozenset()
        self.chains: tuple[ChainUse, ...] = ()
        self.led: dict[InstanceId, Led] = {}
        self.doors: tuple[DoorUse, ...] = ()
        self.wake_us = 0

    def add(self, action: Action) -> bool:
        """Plan ``action`` unless its lane failed recently; say whether it is planned."""
        trouble = self.history.troubles.get(lane(action))
        if trouble is not None and trouble.not_before_us > self.now.boot_us:
            self.wait(
                lane(action), f"{trouble.reason} ({trouble.code}, tried {trouble.count} times)", trouble.not_before_us
            )
            return False
        self.actions.append(action)
        return True

    def wait(self, subject: str, reason: str, until_us: int = 0) -> None:
        """Note that something cannot go on, and when to look again."""
        self.waits.append(Wait(subject=subject, reason=reason, until_us=until_us))
        self.wake(until_us)

    def wake(self, at_us: int) -> None:
        """Plan again at ``at_us`` at the latest."""
        if at_us > 0 and (self.wake_us == 0 or at_us < self.wake_us):
            self.wake_us = at_us
