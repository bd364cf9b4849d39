"""What ``plan_fleet`` looks at: every wish and every site, read in one transaction.

Values only; the core's store makes them (store/fleet.py), tests write them by hand. A snapshot of production can be
saved and planned again elsewhere.
"""

from typing import Literal

import msgspec

from skerry.model.app import AppRevision, ImageRef, Sites
from skerry.model.document import Unit
from skerry.model.facts import AppFact, InstanceFact, NodeFact, OverlayFact, VolumeFact
from skerry.model.ids import AppName, Digest, KeyId, NodeName, SecretName, ServiceName, SiteName, TenantName, UnitId
from skerry.model.relay import RelayOffer
from skerry.model.signed import SiteRecord, Tombstone
from skerry.plan.report import Preempted
from skerry.plan.rollout import Progress
from skerry.wire import LinkClass

#: What an operator says of a site: nothing new comes, or what may move goes, too.
CordonMode = Literal["cordon", "drain"]


class AppWish(msgspec.Struct, frozen=True, kw_only=True):
    """What a tenant wants of one app now."""

    tenant: TenantName
    app: AppName
    #: Newest number known of the app's line, tombstones included.
    number: int
    #: Digest and number of the current revision; None and 0 when the app has ended.
    revision: Digest | None
    revision_number: int = 0
    #: Paused: instances stay assigned in state ``hold``.
    held: bool = False
    #: Restart counters; the key "" counts for every service.
    restarts: dict[ServiceName, int] = {}
    #: Newest tombstone of the app, and the digest of its payload.
    tombstone: Tombstone | None = None
    tombstone_digest: Digest | None = None
    #: How far the newest rollout in waves has come; None when there was none.
    rollout: Progress | None = None
    #: What ``waves.py`` decided of it: sites that may not have the revision yet, and sites that go back.
    waiting: dict[SiteName, str] = {}
    back: frozenset[SiteName] = frozenset()
    #: Waiting sites fetch the images of the newest revision already.
    prefetch: bool = False
    #: Instances that made room for others by an earlier plan and had no place since: they take nobody's room in turn.
    preempted: tuple[Preempted, ...] = ()


class SecretWish(msgspec.Struct, frozen=True, kw_only=True):
    """The newest version of a sealed secret and the sealing keys it was sealed for."""

    digest: Digest
    sealed_for: frozenset[KeyId]


class SeedWish(msgspec.Struct, frozen=True, kw_only=True):
    """An image that a tenant wants at sites ahead of need, until a wall time of the core."""

    tenant: TenantName
    image: ImageRef
    sites: Sites
    ends_us: int


class SiteView(msgspec.Struct, frozen=True, kw_only=True):
    """One site: the registrar's word, what the core wished so far, what the site reported."""

    record: SiteRecord
    #: Order in which sites were enrolled; breaks ties for ever.
    enrolment: int
    #: Ids of the nodes' sealing keys.
    sealing: dict[NodeName, KeyId] = {}
    #: Units wished so far, as decoded from what is stored.
    units: dict[UnitId, Unit] = {}
    #: The site has acknowledged a document with exactly these units.
    acknowledged: bool = False
    #: The site holds a newer document than the core knows (faults.md U2): nothing is published to it.
    learning: bool = False
    #: Not heard for too long: no new instance goes there while another site can take it.
    silent: bool = False
    #: For how long this core has listened in vain; None while it hears the site.
    away_us: int | None = None
    #: Kept free by an operator's word; empty for most sites.
    cordon: CordonMode | Literal[""] = ""
    #: Nodes of it that are kept free by an operator's word, where the whole site is not.
    node_cordons: dict[NodeName, CordonMode] = {}
    #: Digest of the payload of the record: other sites are shown it.
    record_digest: Digest = Digest("")
    #: How its nodes are reached through tunnels, as they say.
    overlays: dict[NodeName, OverlayFact] = {}
    #: The address from which its link comes; empty while nobody knows.
    seen_from: str = ""
    link_class: LinkClass = "wired"
    #: Round trip to the core as its link measured it last; 0 while nobody knows.
    rtt_us: int = 0
    #: What follows was reported in the site's present or last session, and is not from before a restore of the core.
    facts_current: bool = True
    nodes: dict[NodeName, NodeFact] = {}
    instances: tuple[InstanceFact, ...] = ()
    volumes: tuple[VolumeFact, ...] = ()
    #: What the site's health gates say.
    gates: tuple[AppFact, ...] = ()

    def cordon_of(self, node: NodeName) -> CordonMode | Literal[""]:
        """Say how a node is kept free: by the word about its site or about itself, whichever says more."""
        said = self.cordon, self.node_cordons.get(node, "")
        return "drain" if "drain" in said else "cordon" if "cordon" in said else ""

    @property
    def is_closed(self) -> bool:
        """Nothing new is placed at any of its nodes."""
        return bool(self.cordon) or all(map(self.cordon_of, self.record.nodes))

    @property
    def site(self) -> SiteName:
        """Name of the site."""
        return self.record.site


class FleetSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The whole fleet at one moment."""

    #: Grows with every change of a wish; a plan is recorded only while it is still the same.
    version: int = 0
    #: The relay of this core, for pairs of sites that cannot reach each other.
    relay: RelayOffer | None = None
    #: Wall time of the core in microseconds: rollouts bake by it.
    now_us: int = 0
    apps: tuple[AppWish, ...] = ()
    sites: tuple[SiteView, ...] = ()
    #: Every revision that a wish or a present unit names and the core has.
    revisions: dict[Digest, AppRevision] = {}
    secrets: dict[tuple[TenantName, SecretName], SecretWish] = {}
    seeds: tuple[SeedWish, ...] = ()
