"""The public surface, declared once: name, verb and path, input, output, permission, audience, one line of help.

Routes, permission checks, OpenAPI, SDK methods and reference pages are built from ``OPERATIONS``; a route that is not
here does not exist. Each built operation is one method of the same name in ``core/service.py``. The tenant is never in
a path or body: it comes from the credential.
"""

import re
from typing import Any, Literal

import msgspec

from skerry.model import answers, asks, limits
from skerry.model.app import AppRevision
from skerry.model.asks import OperatorRole, TenantRole
from skerry.model.signed import Envelope

#: What a role may grant. ``read`` sees; ``deploy`` also hands in signed objects, acts on apps, reads logs and requests
#: calls; ``admin`` also manages tokens; ``operate`` manages sites, joining, tenants and the root.
Permission = Literal["public", "read", "deploy", "admin", "operate"]
#: Whose role must grant it. ``either``: a tenant's or an operator's role; the answer shows what that role may see.
Audience = Literal["public", "tenant", "operator", "either"]
#: ``json``: JSON in, JSON out. ``raw``: the body's exact bytes are kept. ``upload``: a stream in. ``events``: SSE out.
#: ``lines``: JSON lines out. ``text``: OpenMetrics text out. ``bytes``: bytes out, their number first.
#: ``socket``: a WebSocket.
Style = Literal["json", "raw", "upload", "events", "lines", "text", "bytes", "socket"]
Method = Literal["GET", "PUT", "POST", "DELETE"]

TENANT_ROLES: dict[TenantRole, frozenset[Permission]] = {
    "": frozenset(),
    "viewer": frozenset(("read",)),
    "deployer": frozenset(("read", "deploy")),
    "admin": frozenset(("read", "deploy", "admin")),
}
OPERATOR_ROLES: dict[OperatorRole, frozenset[Permission]] = {
    "": frozenset(),
    "viewer": frozenset(("read",)),
    "operator": frozenset(("read", "operate", "admin")),
}

#: Bytes of a JSON body unless an operation says otherwise (interfaces.md §2).
BODY_BYTES_MAX = 1024 * 1024
#: A signed payload of the largest size, base64 and its frame of JSON.
ENVELOPE_BYTES_MAX = limits.PAYLOAD_BYTES_MAX * 4 // 3 + 16 * 1024
#: One blob of an image: a layer of a large machine-learning image; the disk's own limit comes first on small cores.
BLOB_BYTES_MAX = 16 * 1024**3

_PARAMETER = re.compile(r"\{([a-z_]+)\}", re.ASCII)


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One route of the API and one method of the service."""

    name: str
    method: Method
    path: str
    permission: Permission
    audience: Audience
    help: str
    query: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    result: Any = None
    style: Style = "json"
    status: int = 200
    #: ``If-Match`` or ``If-None-Match: *`` must be sent: 428 without, 412 when stale.
    guarded: bool = False
    #: Field path of the result that is the object's number and therefore its ETag.
    etag: str = ""
    body_bytes_max: int = BODY_BYTES_MAX
    #: The answer is packed for clients that take gzip: for the few that are large and asked for over slow lines.
    zipped: bool = False
    #: Does no more when it is sent again, although it is no read: it needs no ``Idempotency-Key``.
    repeatable: bool = False
    built: bool = True

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the path's parameters, in order."""
        return tuple(_PARAMETER.findall(self.path))

    @property
    def keyed(self) -> bool:
        """Say whether it is a change, and so done once for each ``Idempotency-Key``."""
        return self.method != "GET" and self.style in ("json", "raw") and not self.repeatable


def _make(name: str, route: str, permission: Permission, audience: Audience, line: str, **more: Any) -> Operation:
    method, _, path = route.partition(" ")
    return Operation(
        name=name,
        method=method,  # type: ignore[arg-type]
        path=path,
        permission=permission,
        audience=audience,
        help=line,
        **more,
    )


def _signed(name: str, route: str, permission: Permission, audience: Audience, line: str, **more: Any) -> Operation:
    """Declare an operation whose body is an envelope and which replaces a numbered object."""
    return _make(
        name,
        route,
        permission,
        audience,
        line,
        body=Envelope,
        guarded=True,
        etag="number",
        body_bytes_max=ENVELOPE_BYTES_MAX,
        **more,
    )


# One operation in two or three lines: read as a table.
# fmt: off
_APPS = (
    _make("list_apps", "GET /v1/apps", "read", "tenant", "List apps.",
          query=asks.PageQuery, result=answers.Page[answers.AppSummary]),
    _make("show_app", "GET /v1/apps/{app}", "read", "tenant", "Show an app, its instances and what is wrong.",
          result=answers.AppDetail, etag="summary.number"),
    _signed("apply_app", "PUT /v1/apps/{app}", "deploy", "tenant", "Record the next signed revision of an app.",
            result=answers.Applied),
    _signed("delete_app", "PUT /v1/apps/{app}/tombstone", "deploy", "tenant",
            "Record a signed tombstone: it ends the app, or permits the deletion of its volumes.",
            result=answers.Applied),
    _make("plan_app", "POST /v1/apps/{app}:plan", "read", "tenant", "Say what applying an unsigned payload would do.",
          body=AppRevision, style="raw", result=answers.AppPlan, etag="number",
          body_bytes_max=limits.PAYLOAD_BYTES_MAX, repeatable=True),
    _make("plan_manifest", "POST /v1/manifests:plan", "deploy", "tenant",
          "Say what applying a manifest's text would do; the plan holds for the same text in a file.",
          body=asks.PlanManifest, result=answers.ManifestPlan, body_bytes_max=asks.MANIFEST_TEXT_MAX * 4,
          repeatable=True),
    _make("list_revisions", "GET /v1/apps/{app}/revisions", "read", "tenant", "List an app's revisions, newest first.",
          query=asks.PageQuery, result=answers.Page[answers.RevisionSummary]),
    _make("read_revision", "GET /v1/apps/{app}/revisions/{number}", "read", "tenant",
          "Return one revision as it was signed, byte for byte.", result=Envelope),
    _make("pause_app", "POST /v1/apps/{app}:pause", "deploy", "tenant", "Stop an app's instances and keep everything.",
          result=answers.AppChanged),
    _make("resume_app", "POST /v1/apps/{app}:resume", "deploy", "tenant", "Let a paused app run again.",
          result=answers.AppChanged),
    _make("restart_app", "POST /v1/apps/{app}:restart", "deploy", "tenant", "Start an app's instances afresh.",
          body=asks.RestartApp, result=answers.AppChanged),
    _make("explain_app", "GET /v1/apps/{app}/why", "read", "tenant", "Say why instances are where they are.",
          query=asks.WhyQuery, result=answers.Why),
    _make("read_logs", "GET /v1/apps/{app}/logs", "deploy", "tenant", "Stream the output of an app's instances.",
          query=asks.LogQuery, result=answers.LogLine, style="lines"),
    _make("run_command", "GET /v1/apps/{app}/exec", "deploy", "tenant",
          "Run a command in an instance: the node's nonce comes first, a signed call answers it.",
          query=asks.ExecQuery, style="socket", status=101),
    _make("list_instances", "GET /v1/instances", "read", "tenant", "List instances: what is wanted beside what is.",
          query=asks.InstanceQuery, result=answers.Page[answers.InstanceView]),
    _make("show_instance", "GET /v1/sites/{site}/instances/{app}/{service}/{ordinal}", "read", "tenant",
          "Show one instance: where and why there, image, health, restarts, use and events.",
          result=answers.InstanceDetail),
    _make("list_operations", "GET /v1/operations", "read", "tenant", "List long work, newest first.",
          query=asks.PageQuery, result=answers.Page[answers.OperationView]),
    _make("show_operation", "GET /v1/operations/{operation}", "read", "tenant", "Show how far long work has come.",
          result=answers.OperationView),
    _make("cancel_operation", "POST /v1/operations/{operation}:cancel", "deploy", "tenant", "Stop long work.",
          built=False),
    _make("forward_port", "GET /v1/apps/{app}/forward", "deploy", "tenant",
          "Make one connection to a port of an instance: the node's nonce comes first, a signed call answers it.",
          query=asks.ForwardQuery, style="socket", status=101),
    _make("control_instance", "GET /v1/apps/{app}/control", "deploy", "tenant",
          "Restart, stop or start one instance: the node's nonce comes first, a signed call answers it.",
          query=asks.ControlQuery, style="socket", status=101),
    _make("test_chain", "GET /v1/apps/{app}/chain-test", "deploy", "tenant",
          "Send test packets through a chain at a site: the node's nonce comes first, a signed call answers it.",
          query=asks.ChainTestQuery, style="socket", status=101),
    _make("control_volume", "GET /v1/apps/{app}/volume-control", "deploy", "tenant",
          "Take a snapshot of a volume at a site, go back to one or let one go: the node's nonce comes first, a signed"
          " call answers it.", query=asks.VolumeControlQuery, style="socket", status=101),
    _make("list_rollouts", "GET /v1/rollouts", "read", "tenant", "List the newest rollout in waves of each app.",
          query=asks.PageQuery, result=answers.Page[answers.RolloutView]),
    _make("show_rollout", "GET /v1/apps/{app}/rollout", "read", "tenant",
          "Show how far an app's newest rollout has come, site by site.", result=answers.RolloutView),
    _make("promote_rollout", "POST /v1/apps/{app}/rollout:promote", "deploy", "tenant",
          "Let a rollout go on past its bake, the approval it waits for, or what stopped it.",
          result=answers.RolloutView),
    _make("pause_rollout", "POST /v1/apps/{app}/rollout:pause", "deploy", "tenant",
          "Let no further site have the revision; those that have it keep it.", result=answers.RolloutView),
    _make("abort_rollout", "POST /v1/apps/{app}/rollout:abort", "deploy", "tenant",
          "End a rollout; sites that have the revision go back where its owner allows it.",
          result=answers.RolloutView),
)

_THINGS = (
    _make("list_images", "GET /v1/images", "read", "tenant", "List registered images.",
          query=asks.PageQuery, result=answers.Page[answers.ImageView]),
    _make("show_image", "GET /v1/images/{digest}", "read", "tenant", "Show a registered image.",
          result=answers.ImageView),
    _make("read_image_config", "GET /v1/images/{digest}/config", "read", "tenant",
          "Read the configuration that an image brings along, as its bytes are.", result=answers.ImageConfigView),
    _make("register_image", "POST /v1/images", "deploy", "tenant", "Name an image whose blobs were uploaded.",
          body=asks.RegisterImage, result=answers.ImageView, status=201),
    _make("list_image_sites", "GET /v1/images/{digest}/sites", "read", "tenant",
          "List the sites where an image is used or seeded, and how much of it each has.",
          query=asks.PageQuery, result=answers.Page[answers.ImageAtSite]),
    _make("seed_image", "POST /v1/images/{digest}/seed", "deploy", "tenant",
          "Have an image at sites ahead of need, for some time; what was wished of it before is replaced.",
          body=asks.SeedImage, result=answers.SeedView),
    _make("show_seed", "GET /v1/images/{digest}/seed", "read", "tenant", "Show how far a seeded image has come.",
          result=answers.SeedView),
    _make("end_seed", "DELETE /v1/images/{digest}/seed", "deploy", "tenant",
          "Want an image ahead of need no more; sites keep it until they lack room.", result=answers.SeedView),
    _make("list_seeds", "GET /v1/seeds", "read", "tenant", "List images that are wanted at sites ahead of need.",
          query=asks.PageQuery, result=answers.Page[answers.SeedView]),
    _make("prune_images", "POST /v1/images:prune", "deploy", "tenant",
          "Remove images that no site should have and no newer revision runs, or say which.",
          body=asks.PruneImages, result=answers.ImagesPruned),
    _make("show_blob", "GET /v1/blobs/{digest}", "deploy", "tenant", "Say how much of a blob is here; HEAD works too.",
          result=answers.BlobState),
    _make("put_blob", "PUT /v1/blobs/{digest}", "deploy", "tenant", "Upload a blob, or go on from an offset.",
          query=asks.BlobQuery, result=answers.BlobState, style="upload", body_bytes_max=BLOB_BYTES_MAX),
    _make("read_blob", "GET /v1/blobs/{digest}/content", "deploy", "tenant",
          "Return the bytes of a blob, or what follows an offset.", query=asks.ReadBlob, style="bytes"),
    _make("list_volumes", "GET /v1/volumes", "read", "tenant", "List volumes, as their sites report them.",
          query=asks.VolumeQuery, result=answers.Page[answers.VolumeView]),
    _make("list_networks", "GET /v1/networks", "read", "tenant", "List the networks of apps.",
          query=asks.NetworkQuery, result=answers.Page[answers.NetworkView]),
    _make("show_network", "GET /v1/networks/{app}/{network}", "read", "tenant",
          "Show a network, and its part at each site where it is one over sites.", result=answers.NetworkDetail),
    _make("trace_network", "GET /v1/networks:trace", "read", "tenant",
          "Follow packets from one end to another: every hop, rule and verdict, and why not.",
          query=asks.TraceQuery, result=answers.TraceAnswer),
    _make("list_chains", "GET /v1/chains", "read", "tenant", "List the service chains of apps.",
          query=asks.ChainQuery, result=answers.Page[answers.ChainView]),
    _make("show_chain", "GET /v1/chains/{app}/{chain}", "read", "tenant",
          "Show a service chain, and which instance has the traffic of each step at each node.",
          result=answers.ChainDetail),
    _make("list_secrets", "GET /v1/secrets", "read", "tenant", "List sealed secrets, without their values.",
          query=asks.PageQuery, result=answers.Page[answers.SecretView]),
    _make("show_secret", "GET /v1/secrets/{secret}", "read", "tenant", "Show who a secret is sealed for.",
          result=answers.SecretView, etag="number"),
    _signed("put_secret", "PUT /v1/secrets/{secret}", "deploy", "tenant", "Record the next sealed version of a secret.",
            result=answers.Recorded),
    _make("remove_secret", "DELETE /v1/secrets/{secret}", "deploy", "tenant", "Forget a secret that no app uses.",
          result=answers.Recorded, guarded=True),
    _make("list_areas", "GET /v1/areas", "read", "tenant", "List areas: ground that manifests name.",
          query=asks.PageQuery, result=answers.Page[answers.AreaView]),
    _make("show_area", "GET /v1/areas/{area}", "read", "tenant", "Show an area, and what its tenant signed.",
          result=answers.AreaDetail, etag="summary.number"),
    _signed("put_area", "PUT /v1/areas/{area}", "deploy", "tenant", "Record the next signed version of an area.",
            result=answers.Recorded),
    _make("remove_area", "DELETE /v1/areas/{area}", "deploy", "tenant",
          "Forget an area; revisions that were signed with it keep its ground.",
          result=answers.Recorded, guarded=True),
    _make("list_user_groups", "GET /v1/user-groups", "read", "tenant", "List groups of users: where they are.",
          query=asks.PageQuery, result=answers.Page[answers.UserGroupView]),
    _make("show_user_group", "GET /v1/user-groups/{user_group}", "read", "tenant",
          "Show a group of users, and what its tenant signed.",
          result=answers.UserGroupDetail, etag="summary.number"),
    _signed("put_user_group", "PUT /v1/user-groups/{user_group}", "deploy", "tenant",
            "Record the next signed version of a group of users.", result=answers.Recorded),
    _make("remove_user_group", "DELETE /v1/user-groups/{user_group}", "deploy", "tenant",
          "Forget a group of users; revisions that were signed with it keep its points.",
          result=answers.Recorded, guarded=True),
)

_SITES = (
    _make("list_sites", "GET /v1/sites", "read", "either", "List sites with their state.",
          query=asks.SiteQuery, result=answers.Page[answers.SiteSummary]),
    _make("show_site", "GET /v1/sites/{site}", "read", "either", "Show a site: facts, conditions, events, link bytes.",
          result=answers.SiteDetail, etag="summary.number"),
    _make("map_sites", "GET /v1/sites:map", "read", "either", "Return all sites as points.",
          result=answers.SiteMap, zipped=True),
    _make("list_site_records", "GET /v1/site-records", "read", "either",
          "Return signed site records, whose sealing keys a client seals secrets to.",
          query=asks.SiteQuery, result=answers.Page[Envelope]),
    _make("read_site_record", "GET /v1/sites/{site}/record", "read", "either", "Return a site's signed record.",
          result=Envelope),
    _signed("put_site", "PUT /v1/sites/{site}", "operate", "operator", "Record the next signed record of a site.",
            result=answers.Recorded),
    _make("remove_site", "DELETE /v1/sites/{site}", "operate", "operator",
          "Forget a site: its link is refused from now on. What runs there goes on.",
          result=answers.Recorded, guarded=True),
    _make("adopt_site", "POST /v1/sites/{site}:adopt", "operate", "operator",
          "End a site's learning state: publish to it although it holds what the core does not know.",
          result=answers.Recorded),
    _make("cordon_site", "POST /v1/sites/{site}:cordon", "operate", "operator",
          "Place nothing new at a site; what runs there stays, and new revisions still reach it.",
          result=answers.Recorded),
    _make("uncordon_site", "POST /v1/sites/{site}:uncordon", "operate", "operator", "Place instances at a site again.",
          result=answers.Recorded),
    _make("export_site", "POST /v1/sites/{site}:export", "operate", "operator",
          "Return a site's record and newest document with all that it names, to be carried to its box.",
          style="bytes", repeatable=True),
    _make("drain_site", "POST /v1/sites/{site}:drain", "operate", "operator",
          "Cordon a site and move away what may move; say what stays and why.",
          body=asks.DrainSite, result=answers.SiteDrain),
    _make("list_profiles", "GET /v1/profiles", "read", "either",
          "List what operators grant beyond the built-in profiles, as the signed records of sites have it.",
          query=asks.PageQuery, result=answers.Page[answers.ProfileView]),
    _make("show_profile", "GET /v1/profiles/{profile}", "read", "either",
          "Show a profile of operators, once for each way in which sites have it.", result=answers.ProfileDetail),
    _make("list_nodes", "GET /v1/nodes", "read", "either", "List the machines of sites, as they report themselves.",
          query=asks.NodeQuery, result=answers.Page[answers.NodeSummary]),
    _make("show_node", "GET /v1/sites/{site}/nodes/{node}", "read", "either",
          "Show a machine of a site: what it has, what it said last, what runs on it.", result=answers.NodeDetail),
    _make("cordon_node", "POST /v1/sites/{site}/nodes/{node}:cordon", "operate", "operator",
          "Place nothing new on a machine; what runs there stays, and new revisions still reach it.",
          result=answers.Recorded),
    _make("uncordon_node", "POST /v1/sites/{site}/nodes/{node}:uncordon", "operate", "operator",
          "Place instances on a machine again.", result=answers.Recorded),
    _make("drain_node", "POST /v1/sites/{site}/nodes/{node}:drain", "operate", "operator",
          "Cordon a machine and move away what may move; say what stays and why.",
          body=asks.DrainSite, result=answers.NodeDrain),
    _make("create_join_token", "POST /v1/join-tokens", "operate", "operator",
          "Let one box join one site once; the signer has minted the token.",
          body=asks.CreateJoinToken, result=answers.JoinTokenView, status=201),
    _make("list_join_tokens", "GET /v1/join-tokens", "read", "operator", "List join tokens.",
          query=asks.PageQuery, result=answers.Page[answers.JoinTokenView]),
    _make("revoke_join_token", "DELETE /v1/join-tokens/{token}", "operate", "operator", "End a join token.",
          result=answers.JoinTokenView),
    _make("list_join_requests", "GET /v1/join-requests", "read", "operator",
          "List boxes that wait for the signer's word.",
          query=asks.PageQuery, result=answers.Page[answers.JoinRequestView]),
    _make("reject_join", "POST /v1/join-requests/{request}:reject", "operate", "operator", "Turn a box away.",
          body=asks.RejectJoin, result=answers.JoinRequestView),
)

_ACCESS = (
    _make("show_session", "GET /v1/session", "read", "either", "Say who asks: tenant and roles of the credential.",
          result=answers.SessionView),
    _make("list_tokens", "GET /v1/tokens", "admin", "either", "List API tokens: the tenant's, or operators' own.",
          query=asks.PageQuery, result=answers.Page[answers.TokenView]),
    _make("show_token", "GET /v1/tokens/{token}", "admin", "either", "Show an API token, without its secret.",
          result=answers.TokenView),
    _make("create_token", "POST /v1/tokens", "admin", "either", "Make an API token; it is shown once.",
          body=asks.CreateToken, result=answers.TokenMade, status=201),
    _make("revoke_token", "DELETE /v1/tokens/{token}", "admin", "either", "End an API token at once.",
          result=answers.TokenView),
    _make("list_users", "GET /v1/users", "admin", "either", "List people: the tenant's, or the operator's own.",
          query=asks.PageQuery, result=answers.Page[answers.UserView]),
    _make("show_user", "GET /v1/users/{user}", "admin", "either", "Show a person and the tokens they hold or held.",
          result=answers.UserDetail),
    _make("create_user", "POST /v1/users", "admin", "either",
          "Note a person who holds tokens, and make a first one; it is shown once.",
          body=asks.CreateUser, result=answers.UserMade, status=201),
    _make("remove_user", "DELETE /v1/users/{user}", "admin", "either",
          "Forget a person; all their tokens end at once.", result=answers.UserRemoved),
    _make("list_tenants", "GET /v1/tenants", "read", "operator", "List tenants.",
          query=asks.PageQuery, result=answers.Page[answers.TenantView]),
    _make("create_tenant", "POST /v1/tenants", "operate", "operator", "Make a tenant and its first token.",
          body=asks.CreateTenant, result=answers.TenantMade, status=201),
    _make("list_audit", "GET /v1/audit", "read", "either", "Return an audit chain, oldest first.",
          query=asks.AuditQuery, result=answers.Page[answers.AuditEntry]),
    _make("list_roles", "GET /v1/roles", "read", "either", "List roles and what each may do.",
          result=tuple[answers.RoleView, ...]),
)

_PLATFORM = (
    _make("follow_events", "GET /v1/events", "read", "either",
          "Stream events in order as CloudEvents; Last-Event-ID resumes.",
          query=asks.EventQuery, result=answers.CloudEvent, style="events"),
    _make("show_status", "GET /v1/status", "read", "either", "One screen: core, sites by state, apps not as wanted.",
          result=answers.Status),
    _make("show_core", "GET /v1/core", "read", "operator", "Return what a signer needs to write the root document.",
          result=answers.CoreIdentity),
    _make("put_root", "PUT /v1/root", "operate", "operator", "Give the core its root document, once.",
          body=Envelope, result=answers.Recorded, body_bytes_max=ENVELOPE_BYTES_MAX),
    _make("read_roots", "GET /v1/roots", "public", "public", "Return root documents above a number.",
          query=asks.RootQuery, result=tuple[Envelope, ...]),
    _make("show_version", "GET /version", "public", "public", "Say which release answers.", result=answers.Version),
    _make("check_live", "GET /livez", "public", "public", "Say that the process answers.", result=answers.Health),
    _make("check_ready", "GET /readyz", "public", "public", "Say whether the core can do its work.",
          result=answers.Health),
    _make("read_metrics", "GET /metrics", "read", "either",
          "Metrics of the core and of visible sites as OpenMetrics text.",
          query=asks.MetricsQuery, result=str, style="text"),
    _make("list_scrape_targets", "GET /v1/metrics/http-sd", "read", "either",
          "Name the core and each visible site as a target, for Prometheus' http_sd_configs.",
          query=asks.TargetQuery, result=tuple[answers.ScrapeGroup, ...]),
    _make("list_site_use", "GET /v1/use/sites", "read", "either", "List what sites use of their machines.",
          query=asks.SiteUseQuery, result=answers.Page[answers.SiteUseView]),
    _make("list_links", "GET /v1/links", "read", "operator",
          "List the links of sites: to the core, to other sites, and what went over each uplink this month.",
          query=asks.LinkQuery, result=answers.Page[answers.SiteLinks]),
    _make("list_instance_use", "GET /v1/use/instances", "read", "tenant", "List what instances use.",
          query=asks.InstanceQuery, result=answers.Page[answers.InstanceUseView]),
    _make("read_use_history", "GET /v1/use/history", "read", "either",
          "Return an hour or a day of what a site or an instance used, in steps of two or of fifteen minutes.",
          query=asks.HistoryQuery, result=answers.UseHistory),
    _make("watch", "GET /v1/watch", "read", "either", "Stream the newest state per object, for screens.",
          query=asks.WatchQuery, result=answers.WatchDelta, style="events"),
    _make("list_machines", "GET /v1/machines", "read", "operator", "List bare-metal machines.", built=False),
    _make("list_leases", "GET /v1/leases", "read", "tenant", "List leases.", built=False),
    _make("list_alerts", "GET /v1/alerts", "read", "either", "List alerts.", built=False),
    _make("list_partners", "GET /v1/partners", "read", "operator", "List partners.", built=False),
)

# fmt: on
#: Every operation, built or not; the order is that of reference pages.
OPERATIONS: tuple[Operation, ...] = _APPS + _THINGS + _SITES + _ACCESS + _PLATFORM


def is_allowed(operation: Operation, tenant_role: TenantRole, operator_role: OperatorRole) -> bool:
    """Say whether a credential with these roles may use ``operation``; deny by default."""
    by_tenant = operation.permission in TENANT_ROLES.get(tenant_role, ())
    by_operator = operation.permission in OPERATOR_ROLES.get(operator_role, ())
    match operation.audience:
        case "public":
            return operation.permission == "public"
        case "tenant":
            return by_tenant
        case "operator":
            return by_operator
        case "either":
            return by_tenant or by_operator


def find_operation(name: str) -> Operation:
    """Return the operation called ``name``; raise ``KeyError`` when there is none."""
    for operation in OPERATIONS:
        if operation.name == name:
            return operation
    raise KeyError(name)
