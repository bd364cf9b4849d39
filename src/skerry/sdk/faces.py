"""One method per operation, for both clients. Made by ``./dev gen`` from ``operations.py``, never by hand.

A listing gives its items one by one and fetches further pages as they are asked for. What takes several requests and
a signature is inherited from ``acts.py``.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Literal

from skerry.model import answers, asks, signed
from skerry.sdk import acts
from skerry.sdk.requests import Request, make_request
from skerry.sdk.steps import AsyncNoun, AsyncSender, Noun, Sender


class Apps(acts.AppActs):
    """Operations on apps."""

    def list(self, *, page_size: int = 50) -> Iterator[answers.AppSummary]:
        """List apps."""
        return self._client.pages(make_request("list_apps", query=asks.PageQuery(page_size=page_size)))

    def show(self, app: str) -> answers.AppDetail:
        """Show an app, its instances and what is wrong."""
        asked: Request[answers.AppDetail] = make_request("show_app", parameters={"app": app})
        return self._client.send(asked)

    def put(self, app: str, envelope: signed.Envelope, *, expect: int, plan: str = "") -> answers.Applied:
        """Record the next signed revision of an app."""
        asked: Request[answers.Applied] = make_request(
            "apply_app", parameters={"app": app}, body=envelope, expect=expect, plan=plan
        )
        return self._client.send(asked)

    def put_tombstone(self, app: str, envelope: signed.Envelope, *, expect: int) -> answers.Applied:
        """Record a signed tombstone: it ends the app, or permits the deletion of its volumes."""
        asked: Request[answers.Applied] = make_request(
            "delete_app", parameters={"app": app}, body=envelope, expect=expect
        )
        return self._client.send(asked)

    def plan(self, app: str, payload: bytes) -> answers.AppPlan:
        """Say what applying an unsigned payload would do."""
        asked: Request[answers.AppPlan] = make_request("plan_app", parameters={"app": app}, body=payload)
        return self._client.send(asked)

    def list_revisions(self, app: str, *, page_size: int = 50) -> Iterator[answers.RevisionSummary]:
        """List an app's revisions, newest first."""
        return self._client.pages(
            make_request("list_revisions", parameters={"app": app}, query=asks.PageQuery(page_size=page_size))
        )

    def read_revision(self, app: str, number: str) -> signed.Envelope:
        """Return one revision as it was signed, byte for byte."""
        asked: Request[signed.Envelope] = make_request("read_revision", parameters={"app": app, "number": number})
        return self._client.send(asked)

    def pause(self, app: str) -> answers.AppChanged:
        """Stop an app's instances and keep everything."""
        asked: Request[answers.AppChanged] = make_request("pause_app", parameters={"app": app})
        return self._client.send(asked)

    def resume(self, app: str) -> answers.AppChanged:
        """Let a paused app run again."""
        asked: Request[answers.AppChanged] = make_request("resume_app", parameters={"app": app})
        return self._client.send(asked)

    def restart(self, app: str, *, service: str = "") -> answers.AppChanged:
        """Start an app's instances afresh."""
        asked: Request[answers.AppChanged] = make_request(
            "restart_app", parameters={"app": app}, body=asks.RestartApp(service=service)
        )
        return self._client.send(asked)

    def explain(self, app: str, *, service: str = "", site: str = "") -> answers.Why:
        """Say why instances are where they are."""
        asked: Request[answers.Why] = make_request(
            "explain_app", parameters={"app": app}, query=asks.WhyQuery(service=service, site=site)
        )
        return self._client.send(asked)


class Core(Noun):
    """Operations on the core itself."""

    def plan_manifest(self, *, text: str, name: str = "") -> answers.ManifestPlan:
        """Say what applying a manifest's text would do; the plan holds for the same text in a file."""
        asked: Request[answers.ManifestPlan] = make_request(
            "plan_manifest", body=asks.PlanManifest(text=text, name=name)
        )
        return self._client.send(asked)

    def show_session(self) -> answers.SessionView:
        """Say who asks: tenant and roles of the credential."""
        asked: Request[answers.SessionView] = make_request("show_session")
        return self._client.send(asked)

    def list_audit(
        self, *, page_size: int = 50, chain: Literal["", "tenant", "operator"] = ""
    ) -> Iterator[answers.AuditEntry]:
        """Return an audit chain, oldest first."""
        return self._client.pages(make_request("list_audit", query=asks.AuditQuery(page_size=page_size, chain=chain)))

    def list_roles(self) -> tuple[answers.RoleView, ...]:
        """List roles and what each may do."""
        asked: Request[tuple[answers.RoleView, ...]] = make_request("list_roles")
        return self._client.send(asked)

    def show_status(self) -> answers.Status:
        """One screen: core, sites by state, apps not as wanted."""
        asked: Request[answers.Status] = make_request("show_status")
        return self._client.send(asked)

    def show_core(self) -> answers.CoreIdentity:
        """Return what a signer needs to write the root document."""
        asked: Request[answers.CoreIdentity] = make_request("show_core")
        return self._client.send(asked)

    def put_root(self, envelope: signed.Envelope) -> answers.Recorded:
        """Give the core its root document, once."""
        asked: Request[answers.Recorded] = make_request("put_root", body=envelope)
        return self._client.send(asked)

    def read_roots(self, *, after: int = 0) -> tuple[signed.Envelope, ...]:
        """Return root documents above a number."""
        asked: Request[tuple[signed.Envelope, ...]] = make_request("read_roots", query=asks.RootQuery(after=after))
        return self._client.send(asked)

    def show_version(self) -> answers.Version:
        """Say which release answers."""
        asked: Request[answers.Version] = make_request("show_version")
        return self._client.send(asked)

    def check_live(self) -> answers.Health:
        """Say that the process answers."""
        asked: Request[answers.Health] = make_request("check_live")
        return self._client.send(asked)

    def check_ready(self) -> answers.Health:
        """Say whether the core can do its work."""
        asked: Request[answers.Health] = make_request("check_ready")
        return self._client.send(asked)

    def list_scrape_targets(self, *, target: str) -> tuple[answers.ScrapeGroup, ...]:
        """Name the core and each visible site as a target, for Prometheus' http_sd_configs."""
        asked: Request[tuple[answers.ScrapeGroup, ...]] = make_request(
            "list_scrape_targets", query=asks.TargetQuery(target=target)
        )
        return self._client.send(asked)


class Instances(Noun):
    """Operations on instances."""

    def list(self, *, page_size: int = 50, app: str = "", site: str = "") -> Iterator[answers.InstanceView]:
        """List instances: what is wanted beside what is."""
        return self._client.pages(
            make_request("list_instances", query=asks.InstanceQuery(page_size=page_size, app=app, site=site))
        )

    def show(self, site: str, app: str, service: str, ordinal: str) -> answers.InstanceDetail:
        """Show one instance: where and why there, image, health, restarts, use and events."""
        asked: Request[answers.InstanceDetail] = make_request(
            "show_instance", parameters={"site": site, "app": app, "service": service, "ordinal": ordinal}
        )
        return self._client.send(asked)

    def list_use(self, *, page_size: int = 50, app: str = "", site: str = "") -> Iterator[answers.InstanceUseView]:
        """List what instances use."""
        return self._client.pages(
            make_request("list_instance_use", query=asks.InstanceQuery(page_size=page_size, app=app, site=site))
        )


class Operations(acts.OperationActs):
    """Operations on operations."""

    def list(self, *, page_size: int = 50) -> Iterator[answers.OperationView]:
        """List long work, newest first."""
        return self._client.pages(make_request("list_operations", query=asks.PageQuery(page_size=page_size)))

    def show(self, operation: str) -> answers.OperationView:
        """Show how far long work has come."""
        asked: Request[answers.OperationView] = make_request("show_operation", parameters={"operation": operation})
        return self._client.send(asked)


class Rollouts(Noun):
    """Operations on rollouts."""

    def list(self, *, page_size: int = 50) -> Iterator[answers.RolloutView]:
        """List the newest rollout in waves of each app."""
        return self._client.pages(make_request("list_rollouts", query=asks.PageQuery(page_size=page_size)))

    def show(self, app: str) -> answers.RolloutView:
        """Show how far an app's newest rollout has come, site by site."""
        asked: Request[answers.RolloutView] = make_request("show_rollout", parameters={"app": app})
        return self._client.send(asked)

    def promote(self, app: str) -> answers.RolloutView:
        """Let a rollout go on past its bake, the approval it waits for, or what stopped it."""
        asked: Request[answers.RolloutView] = make_request("promote_rollout", parameters={"app": app})
        return self._client.send(asked)

    def pause(self, app: str) -> answers.RolloutView:
        """Let no further site have the revision; those that have it keep it."""
        asked: Request[answers.RolloutView] = make_request("pause_rollout", parameters={"app": app})
        return self._client.send(asked)

    def abort(self, app: str) -> answers.RolloutView:
        """End a rollout; sites that have the revision go back where its owner allows it."""
        asked: Request[answers.RolloutView] = make_request("abort_rollout", parameters={"app": app})
        return self._client.send(asked)


class Images(Noun):
    """Operations on images."""

    def list(self, *, page_size: int = 50) -> Iterator[answers.ImageView]:
        """List registered images."""
        return self._client.pages(make_request("list_images", query=asks.PageQuery(page_size=page_size)))

    def show(self, digest: str) -> answers.ImageView:
        """Show a registered image."""
        asked: Request[answers.ImageView] = make_request("show_image", parameters={"digest": digest})
        return self._client.send(asked)

    def read_image_config(self, digest: str) -> answers.ImageConfigView:
        """Read the configuration that an image brings along, as its bytes are."""
        asked: Request[answers.ImageConfigView] = make_request("read_image_config", parameters={"digest": digest})
        return self._client.send(asked)

    def register(self, *, name: str, digest: str) -> answers.ImageView:
        """Name an image whose blobs were uploaded."""
        asked: Request[answers.ImageView] = make_request(
            "register_image", body=asks.RegisterImage(name=name, digest=digest)
        )
        return self._client.send(asked)

    def list_sites(self, digest: str, *, page_size: int = 50) -> Iterator[answers.ImageAtSite]:
        """List the sites where an image is used or seeded, and how much of it each has."""
        return self._client.pages(
            make_request("list_image_sites", parameters={"digest": digest}, query=asks.PageQuery(page_size=page_size))
        )

    def seed(
        self,
        digest: str,
        *,
        label_selector: str = "",
        sites: tuple[str, ...] = (),
        lifetime_s: int = 604800,
        dry_run: bool = False,
    ) -> answers.SeedView:
        """Have an image at sites ahead of need, for some time; what was wished of it before is replaced."""
        asked: Request[answers.SeedView] = make_request(
            "seed_image",
            parameters={"digest": digest},
            body=asks.SeedImage(label_selector=label_selector, sites=sites, lifetime_s=lifetime_s, dry_run=dry_run),
        )
        return self._client.send(asked)

    def show_seed(self, digest: str) -> answers.SeedView:
        """Show how far a seeded image has come."""
        asked: Request[answers.SeedView] = make_request("show_seed", parameters={"digest": digest})
        return self._client.send(asked)

    def end_seed(self, digest: str) -> answers.SeedView:
        """Want an image ahead of need no more; sites keep it until they lack room."""
        asked: Request[answers.SeedView] = make_request("end_seed", parameters={"digest": digest})
        return self._client.send(asked)

    def list_seeds(self, *, page_size: int = 50) -> Iterator[answers.SeedView]:
        """List images that are wanted at sites ahead of need."""
        return self._client.pages(make_request("list_seeds", query=asks.PageQuery(page_size=page_size)))

    def prune(self, *, dry_run: bool = False, revisions: int = 10, age_s: int = 86400) -> answers.ImagesPruned:
        """Remove images that no site should have and no newer revision runs, or say which."""
        asked: Request[answers.ImagesPruned] = make_request(
            "prune_images", body=asks.PruneImages(dry_run=dry_run, revisions=revisions, age_s=age_s)
        )
        return self._client.send(asked)


class Blobs(Noun):
    """Operations on blobs."""

    def show(self, digest: str) -> answers.BlobState:
        """Say how much of a blob is here; HEAD works too."""
        asked: Request[answers.BlobState] = make_request("show_blob", parameters={"digest": digest})
        return self._client.send(asked)


class Volumes(Noun):
    """Operations on volumes."""

    def list(self, *, page_size: int = 50, app: str = "", site: str = "") -> Iterator[answers.VolumeView]:
        """List volumes, as their sites report them."""
        return self._client.pages(
            make_request("list_volumes", query=asks.VolumeQuery(page_size=page_size, app=app, site=site))
        )


class Networks(Noun):
    """Operations on networks."""

    def list(self, *, page_size: int = 50, app: str = "") -> Iterator[answers.NetworkView]:
        """List the networks of apps."""
        return self._client.pages(make_request("list_networks", query=asks.NetworkQuery(page_size=page_size, app=app)))

    def show(self, app: str, network: str) -> answers.NetworkDetail:
        """Show a network, and its part at each site where it is one over sites."""
        asked: Request[answers.NetworkDetail] = make_request(
            "show_network", parameters={"app": app, "network": network}
        )
        return self._client.send(asked)

    def trace(
        self,
        *,
        start: str = "internet",
        end: str = "internet",
        protocol: Literal["tcp", "udp", "sctp", "icmp"] = "tcp",
        port: int = 0,
    ) -> answers.TraceAnswer:
        """Follow packets from one end to another: every hop, rule and verdict, and why not."""
        asked: Request[answers.TraceAnswer] = make_request(
            "trace_network", query=asks.TraceQuery(start=start, end=end, protocol=protocol, port=port)
        )
        return self._client.send(asked)


class Chains(Noun):
    """Operations on chains."""

    def list(self, *, page_size: int = 50, app: str = "") -> Iterator[answers.ChainView]:
        """List the service chains of apps."""
        return self._client.pages(make_request("list_chains", query=asks.ChainQuery(page_size=page_size, app=app)))

    def show(self, app: str, chain: str) -> answers.ChainDetail:
        """Show a service chain, and which instance has the traffic of each step at each node."""
        asked: Request[answers.ChainDetail] = make_request("show_chain", parameters={"app": app, "chain": chain})
        return self._client.send(asked)


class Secrets(acts.SecretActs):
    """Operations on secrets."""

    def list(self, *, page_size: int = 50) -> Iterator[answers.SecretView]:
        """List sealed secrets, without their values."""
        return self._client.pages(make_request("list_secrets", query=asks.PageQuery(page_size=page_size)))

    def show(self, secret: str) -> answers.SecretView:
        """Show who a secret is sealed for."""
        asked: Request[answers.SecretView] = make_request("show_secret", parameters={"secret": secret})
        return self._client.send(asked)

    def put(self, secret: str, envelope: signed.Envelope, *, expect: int) -> answers.Recorded:
        """Record the next sealed version of a secret."""
        asked: Request[answers.Recorded] = make_request(
            "put_secret", parameters={"secret": secret}, body=envelope, expect=expect
        )
        return self._client.send(asked)

    def remove(self, secret: str, *, expect: int) -> answers.Recorded:
        """Forget a secret that no app uses."""
        asked: Request[answers.Recorded] = make_request("remove_secret", parameters={"secret": secret}, expect=expect)
        return self._client.send(asked)


class Areas(acts.AreaActs):
    """Operations on areas."""

    def list(self, *, page_size: int = 50) -> Iterator[answers.AreaView]:
        """List areas: ground that manifests name."""
        return self._client.pages(make_request("list_areas", query=asks.PageQuery(page_size=page_size)))

    def show(self, area: str) -> answers.AreaDetail:
        """Show an area, and what its tenant signed."""
        asked: Request[answers.AreaDetail] = make_request("show_area", parameters={"area": area})
        return self._client.send(asked)

    def put(self, area: str, envelope: signed.Envelope, *, expect: int) -> answers.Recorded:
        """Record the next signed version of an area."""
        asked: Request[answers.Recorded] = make_request(
            "put_area", parameters={"area": area}, body=envelope, expect=expect
        )
        return self._client.send(asked)

    def remove(self, area: str, *, expect: int) -> answers.Recorded:
        """Forget an area; revisions that were signed with it keep its ground."""
        asked: Request[answers.Recorded] = make_request("remove_area", parameters={"area": area}, expect=expect)
        return self._client.send(asked)


class UserGroups(acts.UserGroupActs):
    """Operations on user groups."""

    def list(self, *, page_size: int = 50) -> Iterator[answers.UserGroupView]:
        """List groups of users: where they are."""
        return self._client.pages(make_request("list_user_groups", query=asks.PageQuery(page_size=page_size)))

    def show(self, user_group: str) -> answers.UserGroupDetail:
        """Show a group of users, and what its tenant signed."""
        asked: Request[answers.UserGroupDetail] = make_request("show_user_group", parameters={"user_group": user_group})
        return self._client.send(asked)

    def put(self, user_group: str, envelope: signed.Envelope, *, expect: int) -> answers.Recorded:
        """Record the next signed version of a group of users."""
        asked: Request[answers.Recorded] = make_request(
            "put_user_group", parameters={"user_group": user_group}, body=envelope, expect=expect
        )
        return self._client.send(asked)

    def remove(self, user_group: str, *, expect: int) -> answers.Recorded:
        """Forget a group of users; revisions that were signed with it keep its points."""
        asked: Request[answers.Recorded] = make_request(
            "remove_user_group", parameters={"user_group": user_group}, expect=expect
        )
        return self._client.send(asked)


class Sites(acts.SiteActs):
    """Operations on sites."""

    def list(self, *, page_size: int = 50, label_selector: str = "") -> Iterator[answers.SiteSummary]:
        """List sites with their state."""
        return self._client.pages(
            make_request("list_sites", query=asks.SiteQuery(page_size=page_size, label_selector=label_selector))
        )

    def show(self, site: str) -> answers.SiteDetail:
        """Show a site: facts, conditions, events, link bytes."""
        asked: Request[answers.SiteDetail] = make_request("show_site", parameters={"site": site})
        return self._client.send(asked)

    def map(self) -> answers.SiteMap:
        """Return all sites as points."""
        asked: Request[answers.SiteMap] = make_request("map_sites")
        return self._client.send(asked)

    def list_records(self, *, page_size: int = 50, label_selector: str = "") -> Iterator[signed.Envelope]:
        """Return signed site records, whose sealing keys a client seals secrets to."""
        return self._client.pages(
            make_request("list_site_records", query=asks.SiteQuery(page_size=page_size, label_selector=label_selector))
        )

    def read_record(self, site: str) -> signed.Envelope:
        """Return a site's signed record."""
        asked: Request[signed.Envelope] = make_request("read_site_record", parameters={"site": site})
        return self._client.send(asked)

    def put(self, site: str, envelope: signed.Envelope, *, expect: int) -> answers.Recorded:
        """Record the next signed record of a site."""
        asked: Request[answers.Recorded] = make_request(
            "put_site", parameters={"site": site}, body=envelope, expect=expect
        )
        return self._client.send(asked)

    def remove(self, site: str, *, expect: int) -> answers.Recorded:
        """Forget a site: its link is refused from now on. What runs there goes on."""
        asked: Request[answers.Recorded] = make_request("remove_site", parameters={"site": site}, expect=expect)
        return self._client.send(asked)

    def adopt(self, site: str) -> answers.Recorded:
        """End a site's learning state: publish to it although it holds what the core does not know."""
        asked: Request[answers.Recorded] = make_request("adopt_site", parameters={"site": site})
        return self._client.send(asked)

    def cordon(self, site: str) -> answers.Recorded:
        """Place nothing new at a site; what runs there stays, and new revisions still reach it."""
        asked: Request[answers.Recorded] = make_request("cordon_site", parameters={"site": site})
        return self._client.send(asked)

    def uncordon(self, site: str) -> answers.Recorded:
        """Place instances at a site again."""
        asked: Request[answers.Recorded] = make_request("uncordon_site", parameters={"site": site})
        return self._client.send(asked)

    def drain(self, site: str, *, dry_run: bool = False) -> answers.SiteDrain:
        """Cordon a site and move away what may move; say what stays and why."""
        asked: Request[answers.SiteDrain] = make_request(
            "drain_site", parameters={"site": site}, body=asks.DrainSite(dry_run=dry_run)
        )
        return self._client.send(asked)

    def list_use(self, *, page_size: int = 50, site: str = "") -> Iterator[answers.SiteUseView]:
        """List what sites use of their machines."""
        return self._client.pages(
            make_request("list_site_use", query=asks.SiteUseQuery(page_size=page_size, site=site))
        )

    def list_links(self, *, page_size: int = 50, site: str = "", fresh: bool = True) -> Iterator[answers.SiteLinks]:
        """List the links of sites: to the core, to other sites, and what went over each uplink this month."""
        return self._client.pages(
            make_request("list_links", query=asks.LinkQuery(page_size=page_size, site=site, fresh=fresh))
        )

    def read_use_history(
        self, *, site: str, instance: str = "", span: Literal["hour", "day"] = "day"
    ) -> answers.UseHistory:
        """Return an hour or a day of what a site or an instance used, in steps of two or of fifteen minutes."""
        asked: Request[answers.UseHistory] = make_request(
            "read_use_history", query=asks.HistoryQuery(site=site, instance=instance, span=span)
        )
        return self._client.send(asked)


class Profiles(acts.ProfileActs):
    """Operations on profiles."""

    def list(self, *, page_size: int = 50) -> Iterator[answers.ProfileView]:
        """List what operators grant beyond the built-in profiles, as the signed records of sites have it."""
        return self._client.pages(make_request("list_profiles", query=asks.PageQuery(page_size=page_size)))

    def show(self, profile: str) -> answers.ProfileDetail:
        """Show a profile of operators, once for each way in which sites have it."""
        asked: Request[answers.ProfileDetail] = make_request("show_profile", parameters={"profile": profile})
        return self._client.send(asked)


class Nodes(Noun):
    """Operations on nodes."""

    def list(self, *, page_size: int = 50, label_selector: str = "", site: str = "") -> Iterator[answers.NodeSummary]:
        """List the machines of sites, as they report themselves."""
        return self._client.pages(
            make_request(
                "list_nodes", query=asks.NodeQuery(page_size=page_size, label_selector=label_selector, site=site)
            )
        )

    def show(self, site: str, node: str) -> answers.NodeDetail:
        """Show a machine of a site: what it has, what it said last, what runs on it."""
        asked: Request[answers.NodeDetail] = make_request("show_node", parameters={"site": site, "node": node})
        return self._client.send(asked)

    def cordon(self, site: str, node: str) -> answers.Recorded:
        """Place nothing new on a machine; what runs there stays, and new revisions still reach it."""
        asked: Request[answers.Recorded] = make_request("cordon_node", parameters={"site": site, "node": node})
        return self._client.send(asked)

    def uncordon(self, site: str, node: str) -> answers.Recorded:
        """Place instances on a machine again."""
        asked: Request[answers.Recorded] = make_request("uncordon_node", parameters={"site": site, "node": node})
        return self._client.send(asked)

    def drain(self, site: str, node: str, *, dry_run: bool = False) -> answers.NodeDrain:
        """Cordon a machine and move away what may move; say what stays and why."""
        asked: Request[answers.NodeDrain] = make_request(
            "drain_node", parameters={"site": site, "node": node}, body=asks.DrainSite(dry_run=dry_run)
        )
        return self._client.send(asked)


class JoinTokens(Noun):
    """Operations on join tokens."""

    def create(self, *, token_id: str, site: str, core_key: bytes, lifetime_s: int = 3600) -> answers.JoinTokenView:
        """Let one box join one site once; the signer has minted the token."""
        asked: Request[answers.JoinTokenView] = make_request(
            "create_join_token",
            body=asks.CreateJoinToken(token_id=token_id, site=site, core_key=core_key, lifetime_s=lifetime_s),
        )
        return self._client.send(asked)

    def list(self, *, page_size: int = 50) -> Iterator[answers.JoinTokenView]:
        """List join tokens."""
        return self._client.pages(make_request("list_join_tokens", query=asks.PageQuery(page_size=page_size)))

    def revoke(self, token: str) -> answers.JoinTokenView:
        """End a join token."""
        asked: Request[answers.JoinTokenView] = make_request("revoke_join_token", parameters={"token": token})
        return self._client.send(asked)


class JoinRequests(Noun):
    """Operations on join requests."""

    def list(self, *, page_size: int = 50) -> Iterator[answers.JoinRequestView]:
        """List boxes that wait for the signer's word."""
        return self._client.pages(make_request("list_join_requests", query=asks.PageQuery(page_size=page_size)))

    def reject(self, request: str, *, reason: str = "") -> answers.JoinRequestView:
        """Turn a box away."""
        asked: Request[answers.JoinRequestView] = make_request(
            "reject_join", parameters={"request": request}, body=asks.RejectJoin(reason=reason)
        )
        return self._client.send(asked)


class Tokens(Noun):
    """Operations on tokens."""

    def list(self, *, page_size: int = 50) -> Iterator[answers.TokenView]:
        """List API tokens: the tenant's, or operators' own."""
        return self._client.pages(make_request("list_tokens", query=asks.PageQuery(page_size=page_size)))

    def show(self, token: str) -> answers.TokenView:
        """Show an API token, without its secret."""
        asked: Request[answers.TokenView] = make_request("show_token", parameters={"token": token})
        return self._client.send(asked)

    def create(
        self,
        *,
        name: str,
        tenant_role: Literal["", "viewer", "deployer", "admin"] = "viewer",
        operator_role: Literal["", "viewer", "operator"] = "",
        lifetime_s: int = 0,
        user: str = "",
    ) -> answers.TokenMade:
        """Make an API token; it is shown once."""
        asked: Request[answers.TokenMade] = make_request(
            "create_token",
            body=asks.CreateToken(
                name=name, tenant_role=tenant_role, operator_role=operator_role, lifetime_s=lifetime_s, user=user
            ),
        )
        return self._client.send(asked)

    def revoke(self, token: str) -> answers.TokenView:
        """End an API token at once."""
        asked: Request[answers.TokenView] = make_request("revoke_token", parameters={"token": token})
        return self._client.send(asked)


class Users(Noun):
    """Operations on users."""

    def list(self, *, page_size: int = 50) -> Iterator[answers.UserView]:
        """List people: the tenant's, or the operator's own."""
        return self._client.pages(make_request("list_users", query=asks.PageQuery(page_size=page_size)))

    def show(self, user: str) -> answers.UserDetail:
        """Show a person and the tokens they hold or held."""
        asked: Request[answers.UserDetail] = make_request("show_user", parameters={"user": user})
        return self._client.send(asked)

    def create(
        self,
        *,
        name: str,
        tenant_role: Literal["", "viewer", "deployer", "admin"] = "viewer",
        operator_role: Literal["", "viewer", "operator"] = "",
        lifetime_s: int = 0,
    ) -> answers.UserMade:
        """Note a person who holds tokens, and make a first one; it is shown once."""
        asked: Request[answers.UserMade] = make_request(
            "create_user",
            body=asks.CreateUser(
                name=name, tenant_role=tenant_role, operator_role=operator_role, lifetime_s=lifetime_s
            ),
        )
        return self._client.send(asked)

    def remove(self, user: str) -> answers.UserRemoved:
        """Forget a person; all their tokens end at once."""
        asked: Request[answers.UserRemoved] = make_request("remove_user", parameters={"user": user})
        return self._client.send(asked)


class Tenants(Noun):
    """Operations on tenants."""

    def list(self, *, page_size: int = 50) -> Iterator[answers.TenantView]:
        """List tenants."""
        return self._client.pages(make_request("list_tenants", query=asks.PageQuery(page_size=page_size)))

    def create(
        self, *, tenant: str, deploy_keys: signed.RoleKeys, token_name: str = "first", with_operator_role: bool = False
    ) -> answers.TenantMade:
        """Make a tenant and its first token."""
        asked: Request[answers.TenantMade] = make_request(
            "create_tenant",
            body=asks.CreateTenant(
                tenant=tenant, deploy_keys=deploy_keys, token_name=token_name, with_operator_role=with_operator_role
            ),
        )
        return self._client.send(asked)


class Faces:
    """All operations, by noun."""

    def __init__(self, client: Sender) -> None:
        self.apps = Apps(client)
        self.core = Core(client)
        self.instances = Instances(client)
        self.operations = Operations(client)
        self.rollouts = Rollouts(client)
        self.images = Images(client)
        self.blobs = Blobs(client)
        self.volumes = Volumes(client)
        self.networks = Networks(client)
        self.chains = Chains(client)
        self.secrets = Secrets(client)
        self.areas = Areas(client)
        self.user_groups = UserGroups(client)
        self.sites = Sites(client)
        self.profiles = Profiles(client)
        self.nodes = Nodes(client)
        self.join_tokens = JoinTokens(client)
        self.join_requests = JoinRequests(client)
        self.tokens = Tokens(client)
        self.users = Users(client)
        self.tenants = Tenants(client)


class AsyncApps(acts.AsyncAppActs):
    """Operations on apps."""

    def list(self, *, page_size: int = 50) -> AsyncIterator[answers.AppSummary]:
        """List apps."""
        return self._client.pages(make_request("list_apps", query=asks.PageQuery(page_size=page_size)))

    async def show(self, app: str) -> answers.AppDetail:
        """Show an app, its instances and what is wrong."""
        asked: Request[answers.AppDetail] = make_request("show_app", parameters={"app": app})
        return await self._client.send(asked)

    async def put(self, app: str, envelope: signed.Envelope, *, expect: int, plan: str = "") -> answers.Applied:
        """Record the next signed revision of an app."""
        asked: Request[answers.Applied] = make_request(
            "apply_app", parameters={"app": app}, body=envelope, expect=expect, plan=plan
        )
        return await self._client.send(asked)

    async def put_tombstone(self, app: str, envelope: signed.Envelope, *, expect: int) -> answers.Applied:
        """Record a signed tombstone: it ends the app, or permits the deletion of its volumes."""
        asked: Request[answers.Applied] = make_request(
            "delete_app", parameters={"app": app}, body=envelope, expect=expect
        )
        return await self._client.send(asked)

    async def plan(self, app: str, payload: bytes) -> answers.AppPlan:
        """Say what applying an unsigned payload would do."""
        asked: Request[answers.AppPlan] = make_request("plan_app", parameters={"app": app}, body=payload)
        return await self._client.send(asked)

    def list_revisions(self, app: str, *, page_size: int = 50) -> AsyncIterator[answers.RevisionSummary]:
        """List an app's revisions, newest first."""
        return self._client.pages(
            make_request("list_revisions", parameters={"app": app}, query=asks.PageQuery(page_size=page_size))
        )

    async def read_revision(self, app: str, number: str) -> signed.Envelope:
        """Return one revision as it was signed, byte for byte."""
        asked: Request[signed.Envelope] = make_request("read_revision", parameters={"app": app, "number": number})
        return await self._client.send(asked)

    async def pause(self, app: str) -> answers.AppChanged:
        """Stop an app's instances and keep everything."""
        asked: Request[answers.AppChanged] = make_request("pause_app", parameters={"app": app})
        return await self._client.send(asked)

    async def resume(self, app: str) -> answers.AppChanged:
        """Let a paused app run again."""
        asked: Request[answers.AppChanged] = make_request("resume_app", parameters={"app": app})
        return await self._client.send(asked)

    async def restart(self, app: str, *, service: str = "") -> answers.AppChanged:
        """Start an app's instances afresh."""
        asked: Request[answers.AppChanged] = make_request(
            "restart_app", parameters={"app": app}, body=asks.RestartApp(service=service)
        )
        return await self._client.send(asked)

    async def explain(self, app: str, *, service: str = "", site: str = "") -> answers.Why:
        """Say why instances are where they are."""
        asked: Request[answers.Why] = make_request(
            "explain_app", parameters={"app": app}, query=asks.WhyQuery(service=service, site=site)
        )
        return await self._client.send(asked)


class AsyncCore(AsyncNoun):
    """Operations on the core itself."""

    async def plan_manifest(self, *, text: str, name: str = "") -> answers.ManifestPlan:
        """Say what applying a manifest's text would do; the plan holds for the same text in a file."""
        asked: Request[answers.ManifestPlan] = make_request(
            "plan_manifest", body=asks.PlanManifest(text=text, name=name)
        )
        return await self._client.send(asked)

    async def show_session(self) -> answers.SessionView:
        """Say who asks: tenant and roles of the credential."""
        asked: Request[answers.SessionView] = make_request("show_session")
        return await self._client.send(asked)

    def list_audit(
        self, *, page_size: int = 50, chain: Literal["", "tenant", "operator"] = ""
    ) -> AsyncIterator[answers.AuditEntry]:
        """Return an audit chain, oldest first."""
        return self._client.pages(make_request("list_audit", query=asks.AuditQuery(page_size=page_size, chain=chain)))

    async def list_roles(self) -> tuple[answers.RoleView, ...]:
        """List roles and what each may do."""
        asked: Request[tuple[answers.RoleView, ...]] = make_request("list_roles")
        return await self._client.send(asked)

    async def show_status(self) -> answers.Status:
        """One screen: core, sites by state, apps not as wanted."""
        asked: Request[answers.Status] = make_request("show_status")
        return await self._client.send(asked)

    async def show_core(self) -> answers.CoreIdentity:
        """Return what a signer needs to write the root document."""
        asked: Request[answers.CoreIdentity] = make_request("show_core")
        return await self._client.send(asked)

    async def put_root(self, envelope: signed.Envelope) -> answers.Recorded:
        """Give the core its root document, once."""
        asked: Request[answers.Recorded] = make_request("put_root", body=envelope)
        return await self._client.send(asked)

    async def read_roots(self, *, after: int = 0) -> tuple[signed.Envelope, ...]:
        """Return root documents above a number."""
        asked: Request[tuple[signed.Envelope, ...]] = make_request("read_roots", query=asks.RootQuery(after=after))
        return await self._client.send(asked)

    async def show_version(self) -> answers.Version:
        """Say which release answers."""
        asked: Request[answers.Version] = make_request("show_version")
        return await self._client.send(asked)

    async def check_live(self) -> answers.Health:
        """Say that the process answers."""
        asked: Request[answers.Health] = make_request("check_live")
        return await self._client.send(asked)

    async def check_ready(self) -> answers.Health:
        """Say whether the core can do its work."""
        asked: Request[answers.Health] = make_request("check_ready")
        return await self._client.send(asked)

    async def list_scrape_targets(self, *, target: str) -> tuple[answers.ScrapeGroup, ...]:
        """Name the core and each visible site as a target, for Prometheus' http_sd_configs."""
        asked: Request[tuple[answers.ScrapeGroup, ...]] = make_request(
            "list_scrape_targets", query=asks.TargetQuery(target=target)
        )
        return await self._client.send(asked)


class AsyncInstances(AsyncNoun):
    """Operations on instances."""

    def list(self, *, page_size: int = 50, app: str = "", site: str = "") -> AsyncIterator[answers.InstanceView]:
        """List instances: what is wanted beside what is."""
        return self._client.pages(
            make_request("list_instances", query=asks.InstanceQuery(page_size=page_size, app=app, site=site))
        )

    async def show(self, site: str, app: str, service: str, ordinal: str) -> answers.InstanceDetail:
        """Show one instance: where and why there, image, health, restarts, use and events."""
        asked: Request[answers.InstanceDetail] = make_request(
            "show_instance", parameters={"site": site, "app": app, "service": service, "ordinal": ordinal}
        )
        return await self._client.send(asked)

    def list_use(self, *, page_size: int = 50, app: str = "", site: str = "") -> AsyncIterator[answers.InstanceUseView]:
        """List what instances use."""
        return self._client.pages(
            make_request("list_instance_use", query=asks.InstanceQuery(page_size=page_size, app=app, site=site))
        )


class AsyncOperations(acts.AsyncOperationActs):
    """Operations on operations."""

    def list(self, *, page_size: int = 50) -> AsyncIterator[answers.OperationView]:
        """List long work, newest first."""
        return self._client.pages(make_request("list_operations", query=asks.PageQuery(page_size=page_size)))

    async def show(self, operation: str) -> answers.OperationView:
        """Show how far long work has come."""
        asked: Request[answers.OperationView] = make_request("show_operation", parameters={"operation": operation})
        return await self._client.send(asked)


class AsyncRollouts(AsyncNoun):
    """Operations on rollouts."""

    def list(self, *, page_size: int = 50) -> AsyncIterator[answers.RolloutView]:
        """List the newest rollout in waves of each app."""
        return self._client.pages(make_request("list_rollouts", query=asks.PageQuery(page_size=page_size)))

    async def show(self, app: str) -> answers.RolloutView:
        """Show how far an app's newest rollout has come, site by site."""
        asked: Request[answers.RolloutView] = make_request("show_rollout", parameters={"app": app})
        return await self._client.send(asked)

    async def promote(self, app: str) -> answers.RolloutView:
        """Let a rollout go on past its bake, the approval it waits for, or what stopped it."""
        asked: Request[answers.RolloutView] = make_request("promote_rollout", parameters={"app": app})
        return await self._client.send(asked)

    async def pause(self, app: str) -> answers.RolloutView:
        """Let no further site have the revision; those that have it keep it."""
        asked: Request[answers.RolloutView] = make_request("pause_rollout", parameters={"app": app})
        return await self._client.send(asked)

    async def abort(self, app: str) -> answers.RolloutView:
        """End a rollout; sites that have the revision go back where its owner allows it."""
        asked: Request[answers.RolloutView] = make_request("abort_rollout", parameters={"app": app})
        return await self._client.send(asked)


class AsyncImages(AsyncNoun):
    """Operations on images."""

    def list(self, *, page_size: int = 50) -> AsyncIterator[answers.ImageView]:
        """List registered images."""
        return self._client.pages(make_request("list_images", query=asks.PageQuery(page_size=page_size)))

    async def show(self, digest: str) -> answers.ImageView:
        """Show a registered image."""
        asked: Request[answers.ImageView] = make_request("show_image", parameters={"digest": digest})
        return await self._client.send(asked)

    async def read_image_config(self, digest: str) -> answers.ImageConfigView:
        """Read the configuration that an image brings along, as its bytes are."""
        asked: Request[answers.ImageConfigView] = make_request("read_image_config", parameters={"digest": digest})
        return await self._client.send(asked)

    async def register(self, *, name: str, digest: str) -> answers.ImageView:
        """Name an image whose blobs were uploaded."""
        asked: Request[answers.ImageView] = make_request(
            "register_image", body=asks.RegisterImage(name=name, digest=digest)
        )
        return await self._client.send(asked)

    def list_sites(self, digest: str, *, page_size: int = 50) -> AsyncIterator[answers.ImageAtSite]:
        """List the sites where an image is used or seeded, and how much of it each has."""
        return self._client.pages(
            make_request("list_image_sites", parameters={"digest": digest}, query=asks.PageQuery(page_size=page_size))
        )

    async def seed(
        self,
        digest: str,
        *,
        label_selector: str = "",
        sites: tuple[str, ...] = (),
        lifetime_s: int = 604800,
        dry_run: bool = False,
    ) -> answers.SeedView:
        """Have an image at sites ahead of need, for some time; what was wished of it before is replaced."""
        asked: Request[answers.SeedView] = make_request(
            "seed_image",
            parameters={"digest": digest},
            body=asks.SeedImage(label_selector=label_selector, sites=sites, lifetime_s=lifetime_s, dry_run=dry_run),
        )
        return await self._client.send(asked)

    async def show_seed(self, digest: str) -> answers.SeedView:
        """Show how far a seeded image has come."""
        asked: Request[answers.SeedView] = make_request("show_seed", parameters={"digest": digest})
        return await self._client.send(asked)

    async def end_seed(self, digest: str) -> answers.SeedView:
        """Want an image ahead of need no more; sites keep it until they lack room."""
        asked: Request[answers.SeedView] = make_request("end_seed", parameters={"digest": digest})
        return await self._client.send(asked)

    def list_seeds(self, *, page_size: int = 50) -> AsyncIterator[answers.SeedView]:
        """List images that are wanted at sites ahead of need."""
        return self._client.pages(make_request("list_seeds", query=asks.PageQuery(page_size=page_size)))

    async def prune(self, *, dry_run: bool = False, revisions: int = 10, age_s: int = 86400) -> answers.ImagesPruned:
        """Remove images that no site should have and no newer revision runs, or say which."""
        asked: Request[answers.ImagesPruned] = make_request(
            "prune_images", body=asks.PruneImages(dry_run=dry_run, revisions=revisions, age_s=age_s)
        )
        return await self._client.send(asked)


class AsyncBlobs(AsyncNoun):
    """Operations on blobs."""

    async def show(self, digest: str) -> answers.BlobState:
        """Say how much of a blob is here; HEAD works too."""
        asked: Request[answers.BlobState] = make_request("show_blob", parameters={"digest": digest})
        return await self._client.send(asked)


class AsyncVolumes(AsyncNoun):
    """Operations on volumes."""

    def list(self, *, page_size: int = 50, app: str = "", site: str = "") -> AsyncIterator[answers.VolumeView]:
        """List volumes, as their sites report them."""
        return self._client.pages(
            make_request("list_volumes", query=asks.VolumeQuery(page_size=page_size, app=app, site=site))
        )


class AsyncNetworks(AsyncNoun):
    """Operations on networks."""

    def list(self, *, page_size: int = 50, app: str = "") -> AsyncIterator[answers.NetworkView]:
        """List the networks of apps."""
        return self._client.pages(make_request("list_networks", query=asks.NetworkQuery(page_size=page_size, app=app)))

    async def show(self, app: str, network: str) -> answers.NetworkDetail:
        """Show a network, and its part at each site where it is one over sites."""
        asked: Request[answers.NetworkDetail] = make_request(
            "show_network", parameters={"app": app, "network": network}
        )
        return await self._client.send(asked)

    async def trace(
        self,
        *,
        start: str = "internet",
        end: str = "internet",
        protocol: Literal["tcp", "udp", "sctp", "icmp"] = "tcp",
        port: int = 0,
    ) -> answers.TraceAnswer:
        """Follow packets from one end to another: every hop, rule and verdict, and why not."""
        asked: Request[answers.TraceAnswer] = make_request(
            "trace_network", query=asks.TraceQuery(start=start, end=end, protocol=protocol, port=port)
        )
        return await self._client.send(asked)


class AsyncChains(AsyncNoun):
    """Operations on chains."""

    def list(self, *, page_size: int = 50, app: str = "") -> AsyncIterator[answers.ChainView]:
        """List the service chains of apps."""
        return self._client.pages(make_request("list_chains", query=asks.ChainQuery(page_size=page_size, app=app)))

    async def show(self, app: str, chain: str) -> answers.ChainDetail:
        """Show a service chain, and which instance has the traffic of each step at each node."""
        asked: Request[answers.ChainDetail] = make_request("show_chain", parameters={"app": app, "chain": chain})
        return await self._client.send(asked)


class AsyncSecrets(acts.AsyncSecretActs):
    """Operations on secrets."""

    def list(self, *, page_size: int = 50) -> AsyncIterator[answers.SecretView]:
        """List sealed secrets, without their values."""
        return self._client.pages(make_request("list_secrets", query=asks.PageQuery(page_size=page_size)))

    async def show(self, secret: str) -> answers.SecretView:
        """Show who a secret is sealed for."""
        asked: Request[answers.SecretView] = make_request("show_secret", parameters={"secret": secret})
        return await self._client.send(asked)

    async def put(self, secret: str, envelope: signed.Envelope, *, expect: int) -> answers.Recorded:
        """Record the next sealed version of a secret."""
        asked: Request[answers.Recorded] = make_request(
            "put_secret", parameters={"secret": secret}, body=envelope, expect=expect
        )
        return await self._client.send(asked)

    async def remove(self, secret: str, *, expect: int) -> answers.Recorded:
        """Forget a secret that no app uses."""
        asked: Request[answers.Recorded] = make_request("remove_secret", parameters={"secret": secret}, expect=expect)
        return await self._client.send(asked)


class AsyncAreas(acts.AsyncAreaActs):
    """Operations on areas."""

    def list(self, *, page_size: int = 50) -> AsyncIterator[answers.AreaView]:
        """List areas: ground that manifests name."""
        return self._client.pages(make_request("list_areas", query=asks.PageQuery(page_size=page_size)))

    async def show(self, area: str) -> answers.AreaDetail:
        """Show an area, and what its tenant signed."""
        asked: Request[answers.AreaDetail] = make_request("show_area", parameters={"area": area})
        return await self._client.send(asked)

    async def put(self, area: str, envelope: signed.Envelope, *, expect: int) -> answers.Recorded:
        """Record the next signed version of an area."""
        asked: Request[answers.Recorded] = make_request(
            "put_area", parameters={"area": area}, body=envelope, expect=expect
        )
        return await self._client.send(asked)

    async def remove(self, area: str, *, expect: int) -> answers.Recorded:
        """Forget an area; revisions that were signed with it keep its ground."""
        asked: Request[answers.Recorded] = make_request("remove_area", parameters={"area": area}, expect=expect)
        return await self._client.send(asked)


class AsyncUserGroups(acts.AsyncUserGroupActs):
    """Operations on user groups."""

    def list(self, *, page_size: int = 50) -> AsyncIterator[answers.UserGroupView]:
        """List groups of users: where they are."""
        return self._client.pages(make_request("list_user_groups", query=asks.PageQuery(page_size=page_size)))

    async def show(self, user_group: str) -> answers.UserGroupDetail:
        """Show a group of users, and what its tenant signed."""
        asked: Request[answers.UserGroupDetail] = make_request("show_user_group", parameters={"user_group": user_group})
        return await self._client.send(asked)

    async def put(self, user_group: str, envelope: signed.Envelope, *, expect: int) -> answers.Recorded:
        """Record the next signed version of a group of users."""
        asked: Request[answers.Recorded] = make_request(
            "put_user_group", parameters={"user_group": user_group}, body=envelope, expect=expect
        )
        return await self._client.send(asked)

    async def remove(self, user_group: str, *, expect: int) -> answers.Recorded:
        """Forget a group of users; revisions that were signed with it keep its points."""
        asked: Request[answers.Recorded] = make_request(
            "remove_user_group", parameters={"user_group": user_group}, expect=expect
        )
        return await self._client.send(asked)


class AsyncSites(acts.AsyncSiteActs):
    """Operations on sites."""

    def list(self, *, page_size: int = 50, label_selector: str = "") -> AsyncIterator[answers.SiteSummary]:
        """List sites with their state."""
        return self._client.pages(
            make_request("list_sites", query=asks.SiteQuery(page_size=page_size, label_selector=label_selector))
        )

    async def show(self, site: str) -> answers.SiteDetail:
        """Show a site: facts, conditions, events, link bytes."""
        asked: Request[answers.SiteDetail] = make_request("show_site", parameters={"site": site})
        return await self._client.send(asked)

    async def map(self) -> answers.SiteMap:
        """Return all sites as points."""
        asked: Request[answers.SiteMap] = make_request("map_sites")
        return await self._client.send(asked)

    def list_records(self, *, page_size: int = 50, label_selector: str = "") -> AsyncIterator[signed.Envelope]:
        """Return signed site records, whose sealing keys a client seals secrets to."""
        return self._client.pages(
            make_request("list_site_records", query=asks.SiteQuery(page_size=page_size, label_selector=label_selector))
        )

    async def read_record(self, site: str) -> signed.Envelope:
        """Return a site's signed record."""
        asked: Request[signed.Envelope] = make_request("read_site_record", parameters={"site": site})
        return await self._client.send(asked)

    async def put(self, site: str, envelope: signed.Envelope, *, expect: int) -> answers.Recorded:
        """Record the next signed record of a site."""
        asked: Request[answers.Recorded] = make_request(
            "put_site", parameters={"site": site}, body=envelope, expect=expect
        )
        return await self._client.send(asked)

    async def remove(self, site: str, *, expect: int) -> answers.Recorded:
        """Forget a site: its link is refused from now on. What runs there goes on."""
        asked: Request[answers.Recorded] = make_request("remove_site", parameters={"site": site}, expect=expect)
        return await self._client.send(asked)

    async def adopt(self, site: str) -> answers.Recorded:
        """End a site's learning state: publish to it although it holds what the core does not know."""
        asked: Request[answers.Recorded] = make_request("adopt_site", parameters={"site": site})
        return await self._client.send(asked)

    async def cordon(self, site: str) -> answers.Recorded:
        """Place nothing new at a site; what runs there stays, and new revisions still reach it."""
        asked: Request[answers.Recorded] = make_request("cordon_site", parameters={"site": site})
        return await self._client.send(asked)

    async def uncordon(self, site: str) -> answers.Recorded:
        """Place instances at a site again."""
        asked: Request[answers.Recorded] = make_request("uncordon_site", parameters={"site": site})
        return await self._client.send(asked)

    async def drain(self, site: str, *, dry_run: bool = False) -> answers.SiteDrain:
        """Cordon a site and move away what may move; say what stays and why."""
        asked: Request[answers.SiteDrain] = make_request(
            "drain_site", parameters={"site": site}, body=asks.DrainSite(dry_run=dry_run)
        )
        return await self._client.send(asked)

    def list_use(self, *, page_size: int = 50, site: str = "") -> AsyncIterator[answers.SiteUseView]:
        """List what sites use of their machines."""
        return self._client.pages(
            make_request("list_site_use", query=asks.SiteUseQuery(page_size=page_size, site=site))
        )

    def list_links(
        self, *, page_size: int = 50, site: str = "", fresh: bool = True
    ) -> AsyncIterator[answers.SiteLinks]:
        """List the links of sites: to the core, to other sites, and what went over each uplink this month."""
        return self._client.pages(
            make_request("list_links", query=asks.LinkQuery(page_size=page_size, site=site, fresh=fresh))
        )

    async def read_use_history(
        self, *, site: str, instance: str = "", span: Literal["hour", "day"] = "day"
    ) -> answers.UseHistory:
        """Return an hour or a day of what a site or an instance used, in steps of two or of fifteen minutes."""
        asked: Request[answers.UseHistory] = make_request(
            "read_use_history", query=asks.HistoryQuery(site=site, instance=instance, span=span)
        )
        return await self._client.send(asked)


class AsyncProfiles(acts.AsyncProfileActs):
    """Operations on profiles."""

    def list(self, *, page_size: int = 50) -> AsyncIterator[answers.ProfileView]:
        """List what operators grant beyond the built-in profiles, as the signed records of sites have it."""
        return self._client.pages(make_request("list_profiles", query=asks.PageQuery(page_size=page_size)))

    async def show(self, profile: str) -> answers.ProfileDetail:
        """Show a profile of operators, once for each way in which sites have it."""
        asked: Request[answers.ProfileDetail] = make_request("show_profile", parameters={"profile": profile})
        return await self._client.send(asked)


class AsyncNodes(AsyncNoun):
    """Operations on nodes."""

    def list(
        self, *, page_size: int = 50, label_selector: str = "", site: str = ""
    ) -> AsyncIterator[answers.NodeSummary]:
        """List the machines of sites, as they report themselves."""
        return self._client.pages(
            make_request(
                "list_nodes", query=asks.NodeQuery(page_size=page_size, label_selector=label_selector, site=site)
            )
        )

    async def show(self, site: str, node: str) -> answers.NodeDetail:
        """Show a machine of a site: what it has, what it said last, what runs on it."""
        asked: Request[answers.NodeDetail] = make_request("show_node", parameters={"site": site, "node": node})
        return await self._client.send(asked)

    async def cordon(self, site: str, node: str) -> answers.Recorded:
        """Place nothing new on a machine; what runs there stays, and new revisions still reach it."""
        asked: Request[answers.Recorded] = make_request("cordon_node", parameters={"site": site, "node": node})
        return await self._client.send(asked)

    async def uncordon(self, site: str, node: str) -> answers.Recorded:
        """Place instances on a machine again."""
        asked: Request[answers.Recorded] = make_request("uncordon_node", parameters={"site": site, "node": node})
        return await self._client.send(asked)

    async def drain(self, site: str, node: str, *, dry_run: bool = False) -> answers.NodeDrain:
        """Cordon a machine and move away what may move; say what stays and why."""
        asked: Request[answers.NodeDrain] = make_request(
            "drain_node", parameters={"site": site, "node": node}, body=asks.DrainSite(dry_run=dry_run)
        )
        return await self._client.send(asked)


class AsyncJoinTokens(AsyncNoun):
    """Operations on join tokens."""

    async def create(
        self, *, token_id: str, site: str, core_key: bytes, lifetime_s: int = 3600
    ) -> answers.JoinTokenView:
        """Let one box join one site once; the signer has minted the token."""
        asked: Request[answers.JoinTokenView] = make_request(
            "create_join_token",
            body=asks.CreateJoinToken(token_id=token_id, site=site, core_key=core_key, lifetime_s=lifetime_s),
        )
        return await self._client.send(asked)

    def list(self, *, page_size: int = 50) -> AsyncIterator[answers.JoinTokenView]:
        """List join tokens."""
        return self._client.pages(make_request("list_join_tokens", query=asks.PageQuery(page_size=page_size)))

    async def revoke(self, token: str) -> answers.JoinTokenView:
        """End a join token."""
        asked: Request[answers.JoinTokenView] = make_request("revoke_join_token", parameters={"token": token})
        return await self._client.send(asked)


class AsyncJoinRequests(AsyncNoun):
    """Operations on join requests."""

    def list(self, *, page_size: int = 50) -> AsyncIterator[answers.JoinRequestView]:
        """List boxes that wait for the signer's word."""
        return self._client.pages(make_request("list_join_requests", query=asks.PageQuery(page_size=page_size)))

    async def reject(self, request: str, *, reason: str = "") -> answers.JoinRequestView:
        """Turn a box away."""
        asked: Request[answers.JoinRequestView] = make_request(
            "reject_join", parameters={"request": request}, body=asks.RejectJoin(reason=reason)
        )
        return await self._client.send(asked)


class AsyncTokens(AsyncNoun):
    """Operations on tokens."""

    def list(self, *, page_size: int = 50) -> AsyncIterator[answers.TokenView]:
        """List API tokens: the tenant's, or operators' own."""
        return self._client.pages(make_request("list_tokens", query=asks.PageQuery(page_size=page_size)))

    async def show(self, token: str) -> answers.TokenView:
        """Show an API token, without its secret."""
        asked: Request[answers.TokenView] = make_request("show_token", parameters={"token": token})
        return await self._client.send(asked)

    async def create(
        self,
        *,
        name: str,
        tenant_role: Literal["", "viewer", "deployer", "admin"] = "viewer",
        operator_role: Literal["", "viewer", "operator"] = "",
        lifetime_s: int = 0,
        user: str = "",
    ) -> answers.TokenMade:
        """Make an API token; it is shown once."""
        asked: Request[answers.TokenMade] = make_request(
            "create_token",
            body=asks.CreateToken(
                name=name, tenant_role=tenant_role, operator_role=operator_role, lifetime_s=lifetime_s, user=user
            ),
        )
        return await self._client.send(asked)

    async def revoke(self, token: str) -> answers.TokenView:
        """End an API token at once."""
        asked: Request[answers.TokenView] = make_request("revoke_token", parameters={"token": token})
        return await self._client.send(asked)


class AsyncUsers(AsyncNoun):
    """Operations on users."""

    def list(self, *, page_size: int = 50) -> AsyncIterator[answers.UserView]:
        """List people: the tenant's, or the operator's own."""
        return self._client.pages(make_request("list_users", query=asks.PageQuery(page_size=page_size)))

    async def show(self, user: str) -> answers.UserDetail:
        """Show a person and the tokens they hold or held."""
        asked: Request[answers.UserDetail] = make_request("show_user", parameters={"user": user})
        return await self._client.send(asked)

    async def create(
        self,
        *,
        name: str,
        tenant_role: Literal["", "viewer", "deployer", "admin"] = "viewer",
        operator_role: Literal["", "viewer", "operator"] = "",
        lifetime_s: int = 0,
    ) -> answers.UserMade:
        """Note a person who holds tokens, and make a first one; it is shown once."""
        asked: Request[answers.UserMade] = make_request(
            "create_user",
            body=asks.CreateUser(
                name=name, tenant_role=tenant_role, operator_role=operator_role, lifetime_s=lifetime_s
            ),
        )
        return await self._client.send(asked)

    async def remove(self, user: str) -> answers.UserRemoved:
        """Forget a person; all their tokens end at once."""
        asked: Request[answers.UserRemoved] = make_request("remove_user", parameters={"user": user})
        return await self._client.send(asked)


class AsyncTenants(AsyncNoun):
    """Operations on tenants."""

    def list(self, *, page_size: int = 50) -> AsyncIterator[answers.TenantView]:
        """List tenants."""
        return self._client.pages(make_request("list_tenants", query=asks.PageQuery(page_size=page_size)))

    async def create(
        self, *, tenant: str, deploy_keys: signed.RoleKeys, token_name: str = "first", with_operator_role: bool = False
    ) -> answers.TenantMade:
        """Make a tenant and its first token."""
        asked: Request[answers.TenantMade] = make_request(
            "create_tenant",
            body=asks.CreateTenant(
                tenant=tenant, deploy_keys=deploy_keys, token_name=token_name, with_operator_role=with_operator_role
            ),
        )
        return await self._client.send(asked)


class AsyncFaces:
    """All operations, by noun."""

    def __init__(self, client: AsyncSender) -> None:
        self.apps = AsyncApps(client)
        self.core = AsyncCore(client)
        self.instances = AsyncInstances(client)
        self.operations = AsyncOperations(client)
        self.rollouts = AsyncRollouts(client)
        self.images = AsyncImages(client)
        self.blobs = AsyncBlobs(client)
        self.volumes = AsyncVolumes(client)
        self.networks = AsyncNetworks(client)
        self.chains = AsyncChains(client)
        self.secrets = AsyncSecrets(client)
        self.areas = AsyncAreas(client)
        self.user_groups = AsyncUserGroups(client)
        self.sites = AsyncSites(client)
        self.profiles = AsyncProfiles(client)
        self.nodes = AsyncNodes(client)
        self.join_tokens = AsyncJoinTokens(client)
        self.join_requests = AsyncJoinRequests(client)
        self.tokens = AsyncTokens(client)
        self.users = AsyncUsers(client)
        self.tenants = AsyncTenants(client)
