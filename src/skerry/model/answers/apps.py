"""What the API answers about apps: revisions, plans, rollouts, copies and long work."""

from typing import Literal

from skerry.model.answers.base import Answer, CloudEvent, Condition, SiteState
from skerry.model.errors import Problem
from skerry.model.ids import AppName, CauseId, Digest, InstanceId, NodeName, OperationId, PlanId, ServiceName, SiteName

AppState = Literal["run", "hold", "ended", "lost"]


class Applied(Answer, frozen=True, kw_only=True):
    """A wish was recorded durably: this number is now the app's newest."""

    app: AppName
    number: int
    digest: Digest
    state: AppState
    #: Follow it with ``operations/ID`` until every site has it.
    operation: OperationId
    cause: CauseId
    #: Newest event id before the change: read events after it to see what comes of it.
    event_id: int


class AppSummary(Answer, frozen=True, kw_only=True):
    """An app in one line."""

    app: AppName
    #: Newest number of the app's line, tombstones included: what ``If-Match`` must name.
    number: int
    #: Number of the current revision; 0 when the app has ended.
    revision: int
    state: AppState
    wanted: int
    ready: int
    refused: int
    sites: int
    changed_us: int


class InstanceView(Answer, frozen=True, kw_only=True):
    """One wanted or reported instance: the core's assignment beside the site's fact."""

    instance: InstanceId
    app: AppName
    service: ServiceName
    ordinal: int
    site: SiteName
    node: NodeName
    site_state: SiteState
    #: Revision number wanted; 0 when the core no longer wants the instance.
    wanted: int
    #: Revision number the site reported; 0 when it has not.
    reported: int
    #: The site's word; ``unknown`` until it has reported.
    phase: str
    health: str = "none"
    reason: str = ""
    restarts: int = 0
    ports: dict[str, int] = {}


class Unplaced(Answer, frozen=True, kw_only=True):
    """Instances without a place, and why in one sentence."""

    service: ServiceName
    site: SiteName | None
    reason: str


class AppDetail(Answer, frozen=True, kw_only=True):
    """An app with everything that ``skerry app show`` prints."""

    summary: AppSummary
    digest: Digest
    description: str
    labels: dict[str, str]
    services: tuple[ServiceName, ...]
    instances: tuple[InstanceView, ...]
    unplaced: tuple[Unplaced, ...]
    conditions: tuple[Condition, ...]
    events: tuple[CloudEvent, ...]


class RevisionSummary(Answer, frozen=True, kw_only=True):
    """One number of an app's line."""

    number: int
    kind: Literal["revision", "tombstone"]
    digest: Digest
    current: bool
    #: Digest of the manifest text; empty for tombstones.
    source: str
    description: str
    actor: str
    recorded_us: int


class SiteBytes(Answer, frozen=True, kw_only=True):
    """What a site must fetch before it can run the planned instances."""

    site: SiteName
    bytes: int


class PlannedChange(Answer, frozen=True, kw_only=True):
    """One difference that applying would make."""

    kind: Literal["add", "remove", "change", "keep"]
    site: SiteName
    instance: InstanceId
    detail: str


class AppPlan(Answer, frozen=True, kw_only=True):
    """A dry run: what applying this payload now would do. ``PUT`` with ``Skerry-Plan`` holds the core to it."""

    plan: PlanId
    app: AppName
    #: Number that the apply's ``If-Match`` must name; 0 for ``If-None-Match: *``.
    number: int
    changes: tuple[PlannedChange, ...]
    unplaced: tuple[Unplaced, ...]
    pulls: tuple[SiteBytes, ...]
    notes: tuple[str, ...]
    #: What would refuse the apply: unknown images, secrets or sites.
    problems: tuple[Problem, ...]


class ManifestPlan(Answer, frozen=True, kw_only=True):
    """What a manifest's text means here and now; ``plan`` is None while ``problems`` keep it from being planned."""

    #: Empty when the text does not even name an app.
    app: str
    problems: tuple[Problem, ...]
    plan: AppPlan | None = None


class PlaceView(Answer, frozen=True, kw_only=True):
    """Where an instance is and what its score was; lower is better."""

    service: ServiceName
    ordinal: int
    site: SiteName
    node: NodeName
    score: int
    kept: bool


class RejectionView(Answer, frozen=True, kw_only=True):
    """The first constraint that keeps an instance away from a site or node."""

    service: ServiceName
    site: SiteName
    node: NodeName | None
    constraint: str
    detail: str


class Why(Answer, frozen=True, kw_only=True):
    """The reasons of the newest plan for an app."""

    app: AppName
    number: int
    placed: tuple[PlaceView, ...]
    unplaced: tuple[Unplaced, ...]
    rejections: tuple[RejectionView, ...]
    notes: tuple[str, ...]


class AppChanged(Answer, frozen=True, kw_only=True):
    """An app was paused, resumed or restarted."""

    app: AppName
    number: int
    state: AppState
    operation: OperationId
    cause: CauseId
    event_id: int


class RolloutSite(Answer, frozen=True, kw_only=True):
    """How one site stands in a rollout; ``let-in`` may have the revision and has not begun with it."""

    site: SiteName
    standing: Literal["waiting", "let-in", "watching", "proven", "failed"]
    reason: str = ""


class RolloutView(Answer, frozen=True, kw_only=True):
    """How far the newest revision of an app has come in its waves; ``sites`` are listed where one app is shown."""

    app: AppName
    number: int
    digest: Digest
    phase: Literal["running", "baking", "approval", "paused", "halted", "rolled-back", "aborted", "done"]
    #: 0 is the canary; waves follow.
    stage: int
    waves: int
    let_in: int
    proven: int
    failed: int
    waiting: int
    reason: str
    sites: tuple[RolloutSite, ...] = ()


class LogLine(Answer, frozen=True, kw_only=True):
    """One line of output; ``stream`` is ``note`` when the core says something about the stream itself."""

    site: SiteName
    service: ServiceName
    ordinal: int
    stream: Literal["stdout", "stderr", "note"]
    text: str


class OperationView(Answer, frozen=True, kw_only=True):
    """Long work: running until the sites have done it. Its state is computed from their facts."""

    operation: OperationId
    kind: Literal["apply", "delete", "pause", "resume", "restart"]
    app: AppName
    number: int
    state: Literal["running", "done", "superseded"]
    wanted: int
    ready: int
    #: Instances at sites that are silent: they do not hold a wait up for ever, they are named.
    silent: int
    refused: int
    started_us: int
    cause: CauseId
