"""A real core on a database and disk in memory, with the keys of an operator and of tenants, and sites that speak."""

import hashlib
from typing import Any

import msgspec
from tests.clocks import ManualClock
from tests.store.stores import fresh_db

from skerry.clock import SeededMint, Tasks
from skerry.core.auth import Caller
from skerry.core.delivery import Delivery
from skerry.core.desk import SessionGrant, SessionRefusal
from skerry.core.link_desk import StoreDesk
from skerry.core.loops import Planner
from skerry.core.service import Service
from skerry.core.state import Core
from skerry.core.wishes import Expected
from skerry.model.answers import Applied
from skerry.model.app import AppRevision, ImageRef, Placement, Replicas, Sites
from skerry.model.app import Service as AppService
from skerry.model.asks import BlobQuery, CreateTenant, RegisterImage
from skerry.model.document import Assignment, Unit, decode_unit
from skerry.model.event import Event
from skerry.model.facts import Fact, InstanceFact, NodeFact, SiteFact, encode_fact, fact_key
from skerry.model.ids import (
    AppName,
    Digest,
    NodeName,
    ServiceName,
    SiteName,
    TenantName,
    UnitId,
    digest_of,
)
from skerry.model.signed import Envelope, Kind, NodeRecord, PublicKey, RoleKeys, Root, SiteRecord, Tombstone
from skerry.safe.blobs import BlobDirectory
from skerry.sim.disk import MemoryDisk
from skerry.store.apps import read_numbers
from skerry.store.blobs import BlobStore
from skerry.sync.facts import digest_facts
from skerry.trust.envelope import encode_payload, sign_payload
from skerry.trust.keys import SigningKey
from skerry.wire import DocumentPatch, FactsPatch, HelloClaim

GIB = 1024**3


def key(name: str) -> SigningKey:
    return SigningKey.from_seed(hashlib.sha256(name.encode()).digest())


def sealing(name: str) -> PublicKey:
    return PublicKey(type="x25519", key=hashlib.sha256(f"sealing {name}".encode()).digest())


def sign(kind: Kind, payload: msgspec.Struct, *by: SigningKey) -> Envelope:
    return sign_payload(kind, encode_payload(payload), by)


class Rig:
    """One core, its operator and tenant ``default``."""

    def __init__(self, db: Any = None, disk: MemoryDisk | None = None, seed: str = "rig") -> None:
        self.clock = ManualClock()
        self.tasks = Tasks()
        self.disk = disk or MemoryDisk()
        self.core = Core(
            db=db or fresh_db(),
            blobs=BlobStore(BlobDirectory(self.disk.root), inline=True),
            clock=self.clock,
            mint=SeededMint(seed),
            tasks=self.tasks,
            delivery=Delivery(hashlib.sha256(b"delivery").digest()),
            endpoints=("core.example:443",),
        )
        self.service = Service(self.core)
        self.desk = StoreDesk(self.core)
        self.planner = Planner(self.core)
        self.operator = Caller(token_id="operator", operator_role="operator")  # type: ignore[arg-type]
        self.admin = self.caller("default")
        self.records: dict[str, int] = {}

    def caller(self, tenant: str, role: str = "admin") -> Caller:
        return Caller(token_id=f"{tenant}-{role}", tenant=TenantName(tenant), tenant_role=role)  # type: ignore[arg-type]

    async def begin(self, *tenants: str) -> "Rig":
        """Give the core its root and its tenants."""
        await self.service.put_root(self.operator, body=sign("root", self.root(), key("root")))
        for tenant in tenants or ("default", "other"):
            keys = RoleKeys(keys=(key(f"deploy {tenant}").public,))
            await self.service.create_tenant(self.operator, body=CreateTenant(tenant=tenant, deploy_keys=keys))
        return self

    def root(self) -> Root:
        delivery = self.core.delivery
        return Root(
            number=1,
            root=RoleKeys(keys=(key("root").public,)),
            registrar=RoleKeys(keys=(key("registrar").public,)),
            delivery=RoleKeys(keys=(delivery.public,)),
            delivery_ca=delivery.authority.certificate_der,
            endpoints=self.core.endpoints,
        )

    async def close(self) -> None:
        await self.tasks.stop()
        await self.core.db.close()

    # --- what people do ----------------------------------------------------------------------------------------------

    def record(
        self, name: str, number: int, tenants: tuple[str, ...] = ("default", "other"), **words: Any
    ) -> SiteRecord:
        node = NodeRecord(device=key(f"device {name}").public, sealing=sealing(name))
        return SiteRecord(
            site=SiteName(name),
            number=number,
            nodes={NodeName("n1"): node},
            tenants={TenantName(each): RoleKeys(keys=(key(f"deploy {each}").public,)) for each in tenants},
            **words,
        )

    async def add_site(self, name: str, **words: Any) -> "FakeSite":
        number = self.records.get(name, 0) + 1
        record = self.record(name, number, **words)
        body = sign("site", record, key("registrar"))
        await self.service.put_site(self.operator, site=name, body=body, expect=Expected(number - 1))
        self.records[name] = number
        return FakeSite(self, name)

    async def put_blob(self, content: bytes, caller: Caller | None = None) -> Digest:
        async def body() -> Any:
            yield content

        query = BlobQuery(size=len(content))
        digest = digest_of(content)
        await self.service.put_blob(caller or self.admin, digest=digest, query=query, body=body())
        return digest

    async def push_image(self, name: str = "web:1", tenant: str = "default", layer: bytes = b"layer") -> ImageRef:
        caller = self.caller(tenant)
        layer_digest = await self.put_blob(layer + name.encode(), caller)
        config = msgspec.json.encode(
            {"architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [layer_digest]}}
        )
        manifest = msgspec.json.encode(
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {
                    "mediaType": "application/vnd.oci.image.config.v1+json",
                    "digest": await self.put_blob(config, caller),
                    "size": len(config),
                },
                "layers": [
                    {
                        "mediaType": "application/vnd.oci.image.layer.v1.tar",
                        "digest": layer_digest,
                        "size": len(layer + name.encode()),
                    }
                ],
            }
        )
        digest = await self.put_blob(manifest, caller)
        view = await self.service.register_image(caller, body=RegisterImage(name=name, digest=digest))
        return ImageRef(name=name, digest=view.digest, config=view.config, size_bytes=view.size_bytes)

    async def apply(
        self, app: str, number: int = 1, *, tenant: str = "default", envelope: Envelope | None = None, **words: Any
    ) -> Applied:
        if envelope is None:
            envelope = await self.sign_app(app, number, tenant=tenant, **words)
        return await self.service.apply_app(self.caller(tenant), app=app, body=envelope, expect=Expected(number - 1))

    async def sign_app(self, app: str, number: int = 1, *, tenant: str = "default", **words: Any) -> Envelope:
        made = self.revision(app, number, tenant=tenant, image=await self.push_image(tenant=tenant), **words)
        return sign("revision", made, key(f"deploy {tenant}"))

    def revision(
        self,
        app: str,
        number: int,
        *,
        image: ImageRef,
        tenant: str = "default",
        sites: Sites | None = None,
        total: int = 0,
        services: tuple[str, ...] = ("web",),
        **words: Any,
    ) -> AppRevision:
        replicas = Replicas(total=total) if total else Replicas(per_site=1, total=0)
        service = AppService(image=image, placement=Placement(sites=sites or Sites(), replicas=replicas))
        service = msgspec.structs.replace(service, **words)
        return AppRevision(
            tenant=TenantName(tenant),
            app=AppName(app),
            number=number,
            source=digest_of(b"manifest"),
            services={ServiceName(name): service for name in services},
        )

    async def delete(self, app: str, number: int, *, tenant: str = "default", **words: Any) -> Applied:
        stone = Tombstone(
            tenant=TenantName(tenant),
            app=AppName(app),
            number=number,
            **({"ends_app": True, "volumes": ()} | words),
        )
        body = sign("tombstone", stone, key(f"deploy {tenant}"))
        return await self.service.delete_app(self.caller(tenant), app=app, body=body, expect=Expected(number - 1))

    async def plan(self) -> None:
        await self.planner.turn()


class FakeSite:
    """A site of one node that keeps what it is told and reports what a test makes it report."""

    def __init__(self, rig: Rig, name: str) -> None:
        self.rig = rig
        self.name = SiteName(name)
        self.session = 0
        self.epoch = 0
        self.generation = 0
        self.bodies: dict[UnitId, bytes] = {}
        self.facts: dict[str, bytes] = {}
        self.sequence = 0
        self.acknowledged = 0
        self.patches = 0

    async def connect(self, **words: Any) -> SessionGrant | SessionRefusal:
        self.session += 1
        claim = HelloClaim(
            format=1,
            site=self.name,
            node=NodeName("n1"),
            session_epoch=self.session,
            document_epoch=self.epoch,
            document_generation=self.generation,
            facts_digest=digest_facts(self.facts),
            event_last=self.sequence,
            event_acknowledged=self.acknowledged,
            clock_s=0,
            agent="test",
        )
        return await self.rig.desk.open_session(msgspec.structs.replace(claim, **words), "test")

    async def fetch(self) -> DocumentPatch | None:
        """Draw the newest document, apply and acknowledge it."""
        patch = (await self.rig.desk.draw_patch(self.name, self.epoch, self.generation)).patch
        if patch is None:
            return None
        head = msgspec.json.decode(patch.head.payload)
        if patch.base_generation:
            assert (patch.base_epoch, patch.base_generation) == (self.epoch, self.generation)
            bodies = {name: body for name, body in self.bodies.items() if name not in patch.removed}
        else:
            bodies = {}
        self.bodies = bodies | patch.bodies
        self.epoch, self.generation = head["epoch"], head["generation"]
        self.patches += 1
        await self.rig.desk.record_answer(self.name, self.epoch, self.generation, accepted=True, code="", reason="")
        return patch

    @property
    def units(self) -> dict[UnitId, Unit]:
        return {name: decode_unit(body) for name, body in self.bodies.items()}

    async def report(self, *facts: Fact, removed: tuple[str, ...] = (), whole: bool = False) -> bool:
        changed = {fact_key(fact): encode_fact(fact) for fact in facts}
        kept = {} if whole else {name: body for name, body in self.facts.items() if name not in removed}
        self.facts = kept | changed
        patch = FactsPatch(1, whole, changed, removed, digest_facts(self.facts))
        return await self.rig.desk.ingest_facts(self.name, patch)

    async def report_ready(self, phase: str = "ready") -> None:
        """Report that everything wished runs, and that nothing else does."""
        numbers = self.rig.core.db
        facts: list[Fact] = [
            NodeFact(
                node=NodeName("n1"), cpu_m=4000, memory_bytes=8 * GIB, disk_bytes=100 * GIB, disk_free_bytes=90 * GIB
            ),
            SiteFact(epoch=self.epoch, generation=self.generation, settled=phase == "ready"),
        ]
        for unit in self.units.values():
            if isinstance(unit, Assignment):
                known = await numbers.read(lambda c, unit=unit: read_numbers(c, {unit.revision}))
                facts.append(self.instance(unit, known.get(unit.revision, 0), phase))
        await self.report(*facts, whole=True)

    def instance(self, unit: Assignment, number: int, phase: str = "ready") -> InstanceFact:
        return InstanceFact(
            instance=f"{unit.tenant}/{unit.app}/{unit.service}/{unit.ordinal}",  # type: ignore[arg-type]
            node=NodeName("n1"),
            revision=unit.revision,
            number=number,
            phase="held" if unit.state == "hold" and phase == "ready" else phase,  # type: ignore[arg-type]
        )

    def event(self, sequence: int, **words: Any) -> Event:
        return Event(**({"sequence": sequence, "time_us": 1, "type": "instance.started"} | words))

    async def send(self, *sequences: int, dropped: int = 0, **words: Any) -> int:
        events = tuple(self.event(sequence, **words) for sequence in sequences)
        return await self.rig.desk.ingest_events(self.name, events, dropped)
