"""What the API answers about the core itself."""

from typing import Literal

from skerry.model.answers.apps import AppSummary
from skerry.model.answers.base import Answer, CloudEvent, Condition
from skerry.model.answers.networks import SiteLinks
from skerry.model.answers.sites import SiteSummary
from skerry.model.signed import PublicKey


class SiteCounts(Answer, frozen=True, kw_only=True):
    """Sites by state."""

    online: int = 0
    silent: int = 0
    joining: int = 0
    unheard: int = 0
    learning: int = 0


class Status(Answer, frozen=True, kw_only=True):
    """One screen: what ``skerry status`` prints."""

    version: str
    root: bool
    sites: SiteCounts
    apps: tuple[AppSummary, ...]
    #: Apps of ``apps`` that are not as wanted.
    not_as_wanted: int
    warnings: tuple[CloudEvent, ...]
    conditions: tuple[Condition, ...]


class WatchDelta(Answer, frozen=True, kw_only=True):
    """The newest state of one object that changed; without ``site`` and ``app`` it is gone."""

    kind: Literal["site", "app", "link"]
    name: str
    site: SiteSummary | None = None
    app: AppSummary | None = None
    #: Of ``link``: the links of the site of that name.
    links: SiteLinks | None = None


class CoreIdentity(Answer, frozen=True, kw_only=True):
    """What a signer needs to write the root document: the core's delivery key and where sites reach it."""

    version: str
    delivery: PublicKey
    #: DER of the delivery key's own certificate authority.
    delivery_ca: bytes
    endpoints: tuple[str, ...]
    #: Number of the root document held; 0 when there is none yet.
    root: int


class Version(Answer, frozen=True, kw_only=True):
    """Which release answers."""

    version: str
    format: int


class Health(Answer, frozen=True, kw_only=True):
    """Liveness or readiness; each check with its own word."""

    ok: bool
    checks: dict[str, str] = {}
