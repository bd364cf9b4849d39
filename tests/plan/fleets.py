"""Builders for tests of the fleet planner: sites, apps and what comes of planning them again and again."""

import msgspec
from tests.plan.scenery import image

from skerry.model.app import AppRevision, Placement, Port, Replicas, Resources, Service
from skerry.model.document import Assignment, Unit
from skerry.model.facts import NodeFact
from skerry.model.ids import (
    AppName,
    Digest,
    KeyId,
    NodeName,
    ServiceName,
    SiteName,
    TenantName,
    UnitId,
    digest_of,
)
from skerry.model.signed import NodeRecord, PublicKey, RoleKeys, SiteRecord
from skerry.plan.fleet import FleetPlan, plan_fleet
from skerry.plan.snapshot import AppWish, FleetSnapshot, SiteView

KEY = PublicKey(type="ed25519", key=b"k" * 32)
GIB = 1024**3
DEFAULT = TenantName("default")


def site(
    name: str,
    enrolment: int = 0,
    *,
    nodes: tuple[str, ...] = ("n1",),
    tenants: tuple[str, ...] = ("default", "other"),
    memory: int = 8 * GIB,
    reported: bool = True,
    region: str = "",
    country: str = "",
    at: tuple[int, int] | None = None,
    labels: dict[str, str] | None = None,
    **more: object,
) -> SiteView:
    record = SiteRecord(
        site=SiteName(name),
        number=1,
        labels=labels or {},
        region=region,
        country=country,
        latitude_udeg=None if at is None else at[0] * 1_000_000,
        longitude_udeg=None if at is None else at[1] * 1_000_000,
        nodes={NodeName(node): NodeRecord(device=KEY, sealing=KEY) for node in nodes},
        tenants={TenantName(tenant): RoleKeys(keys=(KEY,)) for tenant in tenants},
    )
    facts = {
        NodeName(node): NodeFact(
            node=NodeName(node),
            cpu_m=4000,
            memory_bytes=memory,
            disk_bytes=100 * GIB,
            disk_free_bytes=50 * GIB,
            arch="amd64",
            facts={"kvm": "true"},
        )
        for node in nodes
    }
    view = SiteView(
        record=record,
        enrolment=enrolment,
        sealing={NodeName(node): KeyId(f"{name}-{node}") for node in nodes},
        nodes=facts if reported else {},
    )
    return msgspec.structs.replace(view, **more)


def service(tag: str = "1", *, port: int = 0, memory: int = 0, cpu: int = 0, **words: object) -> Service:
    placement = Placement(
        **{key: words.pop(key) for key in ("sites", "replicas", "node", "spread", "rules") if key in words}
    )
    base = Service(
        image=image(tag),
        ports=(Port(target=80, published=port),) if port else (),
        reservations=Resources(memory_bytes=memory, cpu_m=cpu),
        placement=placement,
    )
    return msgspec.structs.replace(base, **words)


def per_site(count: int = 1) -> Replicas:
    return Replicas(per_site=count, total=0)


def total(count: int = 1) -> Replicas:
    return Replicas(total=count)


def revision(app: str, number: int = 1, *, tenant: str = "default", **services: Service) -> AppRevision:
    return AppRevision(
        tenant=TenantName(tenant),
        app=AppName(app),
        number=number,
        source=digest_of(b"text"),
        services={ServiceName(name): item for name, item in services.items()},
    )


def name_revision(made: AppRevision) -> Digest:
    return digest_of(msgspec.json.encode(made, order="deterministic"))


class Fleet:
    """A core in miniature: wishes and sites, planned until nothing changes, each plan fed back as what is wished."""

    def __init__(self, *sites: SiteView) -> None:
        self.sites = {view.site: view for view in sites}
        self.wishes: dict[tuple[str, str], AppWish] = {}
        self.revisions: dict[Digest, AppRevision] = {}
        self.secrets: dict[object, object] = {}

    def wish(self, made: AppRevision, **words: object) -> None:
        digest = name_revision(made)
        self.revisions[digest] = made
        wish = AppWish(
            tenant=made.tenant,
            app=made.app,
            number=made.number,
            revision=digest,
            revision_number=made.number,
        )
        self.wishes[made.tenant, made.app] = msgspec.structs.replace(wish, **words)

    def end(self, app: str, number: int, tenant: str = "default", **words: object) -> None:
        wish = AppWish(tenant=TenantName(tenant), app=AppName(app), number=number, revision=None)
        self.wishes[tenant, app] = msgspec.structs.replace(wish, **words)

    def change(self, name: str, **words: object) -> None:
        self.sites[SiteName(name)] = msgspec.structs.replace(self.sites[SiteName(name)], **words)

    def snapshot(self) -> FleetSnapshot:
        return FleetSnapshot(
            apps=tuple(self.wishes.values()),
            sites=tuple(self.sites.values()),
            revisions=self.revisions,
            secrets=self.secrets,  # type: ignore[arg-type]
        )

    def plan(self) -> FleetPlan:
        plan = plan_fleet(self.snapshot())
        for document in plan.documents:
            self.change(document.site, units=document.units, acknowledged=False)
        return plan

    def units(self, name: str) -> dict[UnitId, Unit]:
        return self.sites[SiteName(name)].units

    def places(self, app: str = "shop") -> list[str]:
        """All assignments of an app as ``site/node service.ordinal@revision number``, with ``hold`` when held."""
        found: list[str] = []
        for view in self.sites.values():
            for unit in view.units.values():
                if isinstance(unit, Assignment) and unit.app == app:
                    number = self.revisions[unit.revision].number
                    held = " hold" if unit.state == "hold" else ""
                    found.append(f"{view.site}/{unit.node} {unit.service}.{unit.ordinal}@{number}{held}")
        return sorted(found)
