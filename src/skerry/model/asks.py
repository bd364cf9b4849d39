"""What clients send to the API besides signed envelopes: bodies and query parameters, all closed.

An unknown field or parameter is an error, so that a misspelt wish is never half obeyed (interfaces.md §2). Which
operation takes which struct is said in ``operations.py``.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from skerry.model.signed import RoleKeys, VolumeVerb

TenantRole = Literal["", "viewer", "deployer", "admin"]
OperatorRole = Literal["", "viewer", "operator"]

#: Objects on one page of a listing: more would hold the writer's connection and the client's screen too long.
PAGE_SIZE_MAX = 1_000
#: Lines of old output that one log request may ask for per instance.
LOG_TAIL_MAX = 10_000

#: Characters of a manifest that the core itself reads: its loop waits for that, 0.7 s of processor for the largest.
MANIFEST_TEXT_MAX = 64 * 1024

#: Highest number that a client may name: what 15 digits hold fits every database and every JSON reader.
NUMBER_MAX = 10**15 - 1

#: RFC 1123 label; the same words as ``model.ids.NAME_PATTERN``.
Name = Annotated[str, Meta(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$", max_length=63)]
#: A name, or nothing.
MaybeName = Annotated[str, Meta(pattern=r"^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)?$", max_length=63)]
#: One line of free text shown to people.
Line = Annotated[str, Meta(max_length=256, pattern=r"^[^\x00-\x1f\x7f]*$")]


class Ask(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything a client sends unsigned."""


# --- query parameters ------------------------------------------------------------------------------------------------


class PageQuery(Ask, frozen=True, kw_only=True):
    """Which part of a listing; ``page_token`` is opaque and comes from the answer before."""

    page_size: Annotated[int, Meta(ge=1, le=PAGE_SIZE_MAX)] = 50
    page_token: Annotated[str, Meta(max_length=512)] = ""


class SiteQuery(PageQuery, frozen=True, kw_only=True):
    """Sites whose signed labels match ``label_selector``."""

    label_selector: Annotated[str, Meta(max_length=1024)] = ""


class NodeQuery(SiteQuery, frozen=True, kw_only=True):
    """Nodes of one site, or of all sites that match."""

    site: MaybeName = ""


class InstanceQuery(PageQuery, frozen=True, kw_only=True):
    """Instances of an app, of a site, or of both."""

    app: MaybeName = ""
    site: MaybeName = ""


class VolumeQuery(PageQuery, frozen=True, kw_only=True):
    """Volumes of an app, of a site, or of both."""

    app: MaybeName = ""
    site: MaybeName = ""


class ChainQuery(PageQuery, frozen=True, kw_only=True):
    """Service chains of all apps, or of one."""

    app: MaybeName = ""


class NetworkQuery(PageQuery, frozen=True, kw_only=True):
    """Networks of all apps, or of one."""

    app: MaybeName = ""


class TraceQuery(Ask, frozen=True, kw_only=True):
    """From where to where, and what is sent.

    An end is ``APP/SERVICE[-ORDINAL][@SITE]``, ``APP/interface:DEVICE[@SITE]``, a site, ``internet``, an address, or a
    host name of an entrance; one that is not named is the internet.
    """

    start: Annotated[str, Meta(max_length=256, pattern=r"^[!-~]+$")] = "internet"
    end: Annotated[str, Meta(max_length=256, pattern=r"^[!-~]+$")] = "internet"
    protocol: Literal["tcp", "udp", "sctp", "icmp"] = "tcp"
    #: 0 for none in particular.
    port: Annotated[int, Meta(ge=0, le=65_535)] = 0


class SiteUseQuery(PageQuery, frozen=True, kw_only=True):
    """All sites, or one."""

    site: MaybeName = ""


class LinkQuery(PageQuery, frozen=True, kw_only=True):
    """Links of all sites, or of one; ``fresh`` asks the sites to tell of them more often for a while."""

    site: MaybeName = ""
    fresh: bool = True


class HistoryQuery(Ask, frozen=True, kw_only=True):
    """A site, or one instance at it, named as in listings: ``tenant/app/service/ordinal``; the last hour or day."""

    site: Name
    instance: Annotated[str, Meta(max_length=256)] = ""
    span: Literal["hour", "day"] = "day"


class MetricsQuery(Ask, frozen=True, kw_only=True):
    """Which part of the metrics: all, the core's own, or one site's."""

    only: Literal["", "core"] = ""
    site: MaybeName = ""


class TargetQuery(Ask, frozen=True, kw_only=True):
    """Host and port under which whoever scrapes reaches this core."""

    target: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:\[\]-]{1,261}$")]


class WhyQuery(Ask, frozen=True, kw_only=True):
    """Which part of an app's placement to explain; empty means all."""

    service: MaybeName = ""
    site: MaybeName = ""


class EventQuery(Ask, frozen=True, kw_only=True):
    """Events above the id ``after``; with ``follow`` the stream goes on, otherwise it ends when caught up."""

    after: Annotated[int, Meta(ge=0, le=NUMBER_MAX)] = 0
    follow: bool = True
    site: MaybeName = ""
    app: MaybeName = ""
    #: Beginning of the event's kind, for example ``instance.``.
    kind: Annotated[str, Meta(max_length=128)] = ""
    cause: Annotated[str, Meta(max_length=64)] = ""
    #: Begin with so many of the newest events instead of at ``after``.
    tail: Annotated[int, Meta(ge=0, le=PAGE_SIZE_MAX)] = 0


class WatchQuery(Ask, frozen=True, kw_only=True):
    """Which kinds of objects to watch, comma-separated."""

    kinds: Annotated[str, Meta(pattern=r"^(?:site|app|link)(?:,(?:site|app|link)){0,2}$")] = "site,app"


class LogQuery(Ask, frozen=True, kw_only=True):
    """Whose output: an app's, narrowed to a service, a site and an ordinal."""

    service: MaybeName = ""
    site: MaybeName = ""
    #: -1 means every ordinal.
    ordinal: Annotated[int, Meta(ge=-1, le=999)] = -1
    tail: Annotated[int, Meta(ge=0, le=LOG_TAIL_MAX)] = 100
    follow: bool = False


class ExecQuery(Ask, frozen=True, kw_only=True):
    """Which instance to run a command in."""

    service: Name
    site: Name
    ordinal: Annotated[int, Meta(ge=0, le=999)] = 0


class ForwardQuery(ExecQuery, frozen=True, kw_only=True):
    """Which port of which instance to connect to."""

    port: Annotated[int, Meta(ge=1, le=65_535)]


class ControlQuery(ExecQuery, frozen=True, kw_only=True):
    """Which instance is to be restarted, stopped or started."""

    verb: Literal["restart", "stop", "start"]


class ChainTestQuery(ExecQuery, frozen=True, kw_only=True):
    """Which chain of the app to test; the service is a step of it, at the site."""

    chain: Name


class VolumeControlQuery(Ask, frozen=True, kw_only=True):
    """Which snapshot of which volume of the app is to be taken, gone back to or let go, at one site."""

    site: Name
    volume: Name
    snapshot: Name
    verb: VolumeVerb


class BlobQuery(Ask, frozen=True, kw_only=True):
    """Where the sent bytes begin, and how long the whole blob is."""

    offset: Annotated[int, Meta(ge=0, le=NUMBER_MAX)] = 0
    size: Annotated[int, Meta(ge=0, le=NUMBER_MAX)]


class ReadBlob(Ask, frozen=True, kw_only=True):
    """From where on the bytes of a blob are wanted."""

    offset: Annotated[int, Meta(ge=0, le=NUMBER_MAX)] = 0


class AuditQuery(PageQuery, frozen=True, kw_only=True):
    """Which chain: the tenant's own, or the operator's; empty means the one that the credential is for."""

    chain: Literal["", "tenant", "operator"] = ""


class RootQuery(Ask, frozen=True, kw_only=True):
    """Root documents above this number."""

    after: Annotated[int, Meta(ge=0, le=NUMBER_MAX)] = 0


# --- bodies ----------------------------------------------------------------------------------------------------------


class PlanManifest(Ask, frozen=True, kw_only=True):
    """The text of a manifest that stands alone: no variables, no files beside it."""

    text: Annotated[str, Meta(max_length=MANIFEST_TEXT_MAX)]
    #: What the app is called where the text does not say it.
    name: MaybeName = ""


class RestartApp(Ask, frozen=True, kw_only=True):
    """Start instances afresh: those of one service, or all."""

    service: MaybeName = ""


class DrainSite(Ask, frozen=True, kw_only=True):
    """Move away what may move."""

    #: Say what would go and stay, and change nothing.
    dry_run: bool = False


class CreateToken(Ask, frozen=True, kw_only=True):
    """A further API token; its roles never exceed those of the token that asks. Its tenant is the asker's."""

    name: Name
    tenant_role: TenantRole = "viewer"
    operator_role: OperatorRole = ""
    #: Seconds until it ends; 0 means it does not.
    lifetime_s: Annotated[int, Meta(ge=0, le=10 * 365 * 86_400)] = 0
    #: The person who holds it, whose roles it does not exceed; empty for a token of no person.
    user: MaybeName = ""


class CreateUser(Ask, frozen=True, kw_only=True):
    """A person who holds tokens, the most that these may do, and a first one with all of it.

    The roles never exceed those of the token that asks; the tenant is the asker's.
    """

    name: Name
    tenant_role: TenantRole = "viewer"
    operator_role: OperatorRole = ""
    #: Seconds until the first token ends; 0 means it does not.
    lifetime_s: Annotated[int, Meta(ge=0, le=10 * 365 * 86_400)] = 0


class CreateTenant(Ask, frozen=True, kw_only=True):
    """A new owner of apps, the deploy keys that speak for it, and its first token (role admin)."""

    tenant: Name
    deploy_keys: RoleKeys
    token_name: Name = "first"
    #: Give the first token the asker's operator role too: for a person who is both, as after ``skerry up``.
    with_operator_role: bool = False


class CreateJoinToken(Ask, frozen=True, kw_only=True):
    """What the core may know of a join token that a signer minted (trust.md §8): enough to admit, not to vouch."""

    token_id: Annotated[str, Meta(pattern=r"^[a-z2-7]{8}$")]
    site: Name
    #: HKDF(secret, "core").
    core_key: Annotated[bytes, Meta(min_length=32, max_length=32)]
    #: One hour to 30 days, in seconds.
    lifetime_s: Annotated[int, Meta(ge=60, le=30 * 86_400)] = 3_600


class RejectJoin(Ask, frozen=True, kw_only=True):
    """Why a join request is turned down; the box shows it."""

    reason: Line = ""


class PruneImages(Ask, frozen=True, kw_only=True):
    """Which images may go: those that no site should have and none of an app's newest revisions runs."""

    #: Say what would go, and change nothing.
    dry_run: bool = False
    #: Newest revisions of each app whose images stay, for going back to them.
    revisions: Annotated[int, Meta(ge=1, le=PAGE_SIZE_MAX)] = 10
    #: Images registered less long ago stay, in seconds: a push comes before its apply.
    age_s: Annotated[int, Meta(ge=0, le=NUMBER_MAX)] = 86_400


class SeedImage(Ask, frozen=True, kw_only=True):
    """Have an image at sites ahead of need: those whose signed labels match, or those named, for some time."""

    label_selector: Annotated[str, Meta(max_length=1024)] = ""
    sites: Annotated[tuple[Name, ...], Meta(max_length=PAGE_SIZE_MAX)] = ()
    #: Seconds from now, at most a year: a wish that nobody ends is not for ever.
    lifetime_s: Annotated[int, Meta(ge=60, le=365 * 86_400)] = 7 * 86_400
    #: Say which sites are meant, and change nothing.
    dry_run: bool = False


class RegisterImage(Ask, frozen=True, kw_only=True):
    """Name an image whose manifest, configuration and layers were uploaded as blobs before."""

    name: Annotated[str, Meta(min_length=1, max_length=512, pattern=r"^[\x21-\x7e]+$")]
    digest: Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}$")]
