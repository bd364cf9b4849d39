"""What a core does with its database while tenants apply and sites report, in an order that dice decide."""

import random
from collections.abc import Sequence

from tests.powercut.reference import Job, StoreWorkload

from skerry.model.document import Assignment, Unit, unit_id
from skerry.model.event import Event
from skerry.model.ids import AppName, CauseId, Digest, NodeName, ServiceName, SiteName, TenantName, UnitId, digest_of
from skerry.model.signed import Envelope, RoleKeys, Signature, SiteRecord
from skerry.store import access, apps, audit, documents, events, facts, fleet, objects, sites
from skerry.store.apsw_dialect import core_connection
from skerry.store.migrations import CORE_OPTIONS
from skerry.trust.envelope import encode_payload

TENANT = TenantName("default")
SITES = tuple(SiteName(name) for name in ("bonn", "oslo", "rome"))


def _envelope(payload: bytes) -> Envelope:
    return Envelope("application/vnd.skerry.test", payload, (Signature("00" * 20, b"s" * 64),))


def _record_site(site: SiteName, number: int) -> Job:
    record = SiteRecord(site=site, number=number, tenants={TENANT: RoleKeys(keys=())})
    return lambda c: sites.record_site(c, record, _envelope(encode_payload(record)), number)


def _apply(dice: random.Random, app: AppName, number: int) -> Job:
    envelope = _envelope(dice.randbytes(dice.choice((300, 3000, 30_000))))
    digest = digest_of(envelope.payload)

    def job(c: object) -> None:
        objects.record_object(c, TENANT, "revision", envelope, number)  # type: ignore[arg-type]
        row = apps.RevisionRow(
            tenant=TENANT,
            app=app,
            number=number,
            kind="revision",
            digest=digest,
            actor="token t",
            cause=CauseId("c"),
            recorded_us=number,
        )
        # A number that is taken undoes the whole job, object and all.
        apps.record_revision(c, row)  # type: ignore[arg-type]
        apps.record_app(  # type: ignore[arg-type]
            c, apps.AppRow(tenant=TENANT, app=app, known_number=number, revision_number=number, revision_digest=digest)
        )
        fleet.touch_fleet(c)  # type: ignore[arg-type]
        audit.append_audit(  # type: ignore[arg-type]
            c,
            TENANT,
            time_us=number,
            actor="token t",
            operation="apply_app",
            subject=f"app/{app} {digest}",
            outcome="done",
            cause=CauseId("c"),
        )

    return job


def _plan(dice: random.Random) -> Job:
    site = dice.choice(SITES)
    units: dict[UnitId, Unit] = {}
    for number in range(dice.randint(0, 6)):
        revision = digest_of(b"%d" % dice.randint(0, 9))
        unit = Assignment(TENANT, AppName("shop"), ServiceName("web"), number, NodeName("n1"), revision)
        units[unit_id(unit)] = unit
    return lambda c: documents.record_units(c, {site: units})


def _number(dice: random.Random, generation: int) -> Job:
    site = dice.choice(SITES)
    digests: dict[UnitId, Digest] = {
        UnitId(f"assignment/default/shop/web/{number}"): digest_of(b"%d" % dice.randint(0, 9)) for number in range(4)
    }
    row = documents.DocumentRow(
        site=site, epoch=1, generation=generation, head=_envelope(dice.randbytes(200)), digests=digests, objects=()
    )
    return lambda c: documents.record_documents(c, (row,))


def _report(dice: random.Random) -> Job:
    site = dice.choice(SITES)
    keys = [f"instance/default/shop/web/{dice.randint(0, 9)}" for _ in range(dice.randint(1, 4))]
    changed = {key: dice.randbytes(dice.choice((20, 200))) for key in keys}
    labels = {key: facts.FactLabel("unknown", TENANT, "shop") for key in changed}
    whole = dice.random() < 0.2
    return lambda c: facts.change_facts(c, site, changed, labels, keys[:1] if not whole else (), whole=whole)


def _ingest(dice: random.Random, sequence: int) -> Job:
    site = dice.choice(SITES)
    event = Event(sequence=sequence, time_us=sequence, type="instance.started", message="x" * dice.choice((5, 500)))

    def job(c: object) -> None:
        events.append_site_event(c, site, event, "")  # type: ignore[arg-type]
        sites.change_state(c, site, event_acknowledged=sequence)  # type: ignore[arg-type]

    return job


def make_groups(dice: random.Random) -> Sequence[Sequence[Job]]:
    """Return a tenant and sites, and then wishes, plans, documents, facts and events as they come."""
    tenant = access.TenantRow(tenant=TENANT, deploy_keys=RoleKeys(keys=()), created_us=1)
    groups: list[list[Job]] = [
        [lambda c: access.record_tenant(c, tenant)],
        [_record_site(site, number) for number, site in enumerate(SITES, 1)],
    ]
    for number in range(1, 35):
        group: list[Job] = []
        for _ in range(dice.choice((1, 1, 2, 4))):
            kind = dice.random()
            if kind < 0.3:
                group.append(_apply(dice, AppName(dice.choice(("blog", "shop"))), dice.randint(1, 20)))
            elif kind < 0.45:
                group.append(_plan(dice))
            elif kind < 0.6:
                group.append(_number(dice, number))
            elif kind < 0.8:
                group.append(_report(dice))
            else:
                group.append(_ingest(dice, number))
        groups.append(group)
    return groups


CORE = StoreWorkload("core", CORE_OPTIONS, make_groups, core_connection)
