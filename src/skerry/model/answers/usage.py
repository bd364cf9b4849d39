"""What the API answers about use: of sites, of instances, and what their links carried."""

from typing import Literal

from skerry.model.answers.apps import InstanceView, PlaceView
from skerry.model.answers.base import Answer, CloudEvent, Condition, SiteState
from skerry.model.ids import AppName, Digest, InstanceId, ServiceName, SiteName


class SiteUseView(Answer, frozen=True, kw_only=True):
    """What a site uses, as its newest sample says; ``sampled_s_ago`` is None while there is none."""

    site: SiteName
    state: SiteState
    sampled_s_ago: int | None = None
    #: Thousandths of processors: in use since the sample before, None before there are two; and what there is.
    cpu_used_m: int | None = None
    cpu_m: int = 0
    #: Run queue over a minute, in thousandths.
    load_m: int = 0
    memory_used_bytes: int = 0
    memory_bytes: int = 0
    disk_used_bytes: int = 0
    disk_bytes: int = 0
    #: Round trip of the last answered heartbeat in microseconds; 0 while it is not known.
    link_rtt_us: int = 0
    #: Files (inodes) that the disk can have and has; 0 where its file system does not count them.
    files: int = 0
    files_used: int = 0
    #: Hottest sensor in thousandths of a degree Celsius; 0 where there is none.
    temperature_m: int = 0
    #: Events that wait at the site for the core.
    outbox_events: int = 0
    #: By how much the site's clock is before the core's, in milliseconds; None when it was not told.
    clock_off_ms: int | None = None
    instances: int = 0
    ready: int = 0
    #: Conditions worth a person's eye, by name.
    conditions: tuple[str, ...] = ()


class InstanceUseView(Answer, frozen=True, kw_only=True):
    """What an instance uses; bytes are counted since its container started."""

    instance: InstanceId
    app: AppName
    service: ServiceName
    ordinal: int
    site: SiteName
    phase: str
    restarts: int
    sampled_s_ago: int | None = None
    cpu_used_m: int | None = None
    memory_bytes: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0
    read_bytes: int = 0
    written_bytes: int = 0


class InstanceDetail(Answer, frozen=True, kw_only=True):
    """An instance with everything that ``skerry instance show`` prints."""

    summary: InstanceView
    #: The site says of the wanted revision, on its newest document, that it is as wanted.
    ready: bool
    #: What the core wishes of it; empty when it no longer wants the instance.
    wish: Literal["", "run", "hold"]
    #: The rollout of the wanted revision was taken back: the site may run the one that it proved before.
    back: bool
    #: The silent site whose copy it stands in for; empty for none.
    instead_of: SiteName | Literal[""]
    #: Digests of the wanted and of the reported revision; empty where there is none.
    wanted_revision: Digest | Literal[""]
    reported_revision: Digest | Literal[""]
    #: Name and digest of the image of the wanted revision; of the reported one where none is wanted. Empty when the
    #: core does not have that revision.
    image: str
    image_digest: Digest | Literal[""]
    #: How it ended last, as its site says; 0 too while it never did.
    exit_code: int
    #: What it uses; ``sampled_s_ago`` is None when the core remembers no sample of it.
    use: InstanceUseView
    #: What the newest plan says of its place; None for one that this plan did not place there.
    place: PlaceView | None
    #: What is worth a person's eye: of the instance, of its app at this site, and of the site.
    conditions: tuple[Condition, ...]
    #: The newest of its events, newest last.
    events: tuple[CloudEvent, ...]


class UsePoint(Answer, frozen=True, kw_only=True):
    """One step of a history. ``cpu_used_m`` and ``bytes_moved`` are of the time since the point before, if known."""

    time_s: int
    cpu_used_m: int | None
    memory_bytes: int
    disk_bytes: int
    #: Over the link of a site, over the networks of an instance.
    bytes_moved: int | None


class UseHistory(Answer, frozen=True, kw_only=True):
    """What a site or one of its instances used over a span, oldest first; a core forgets it when it stops."""

    site: SiteName
    instance: str
    step_s: int
    points: tuple[UsePoint, ...]


class ScrapeGroup(Answer, frozen=True, kw_only=True):
    """One group of targets, as Prometheus reads it (``http_sd_configs``)."""

    targets: tuple[str, ...]
    labels: dict[str, str]


class LinkBytes(Answer, frozen=True, kw_only=True):
    """Bytes of a site's link for one purpose since the site joined, as the core counted them."""

    purpose: str
    sent: int
    received: int
