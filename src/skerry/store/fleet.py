"""The planner's input, read in one transaction, and its result, written in another if nothing has moved since.

Every change of a wish raises the counter ``fleet``; a plan names the number it stands on (architecture.md §6).
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec
from sqlalchemy import Connection

from skerry.model.app import AppRevision, ImageRef
from skerry.model.document import Assignment, Unit, unit_id
from skerry.model.facts import AppFact, Fact, InstanceFact, NodeFact, OverlayFact, VolumeFact
from skerry.model.ids import (
    AppName,
    Digest,
    InstanceId,
    NodeName,
    SecretName,
    ServiceName,
    SiteName,
    TenantName,
    UnitId,
)
from skerry.model.signed import Envelope, Secret, Tombstone
from skerry.plan.fleet import FleetPlan, describe_yielded
from skerry.plan.placement.seat import assignment_of
from skerry.plan.report import Preempted, Refused
from skerry.plan.rollout import Progress
from skerry.plan.snapshot import AppWish, FleetSnapshot, SecretWish, SeedWish, SiteView
from skerry.store import apps, cordons, documents, events, facts, objects, rollouts, seeds, sites, things
from skerry.store.rows import count_up, read_counter
from skerry.store.scope import PLATFORM, Scope
from skerry.trust.keys import key_id

_REVISION: msgspec.json.Decoder[AppRevision] = msgspec.json.Decoder(AppRevision)
_TOMBSTONE: msgspec.json.Decoder[Tombstone] = msgspec.json.Decoder(Tombstone)
_SECRET: msgspec.json.Decoder[Secret] = msgspec.json.Decoder(Secret)


def touch_fleet(connection: Connection) -> int:
    """Note that a wish has changed."""
    return count_up(connection, "fleet")


def read_version(connection: Connection) -> int:
    """Return the number of the newest wish."""
    return read_counter(connection, "fleet")


def load_snapshot(
    connection: Connection,
    silent: frozenset[SiteName],
    now_us: int,
    round_trips: Mapping[SiteName, int] | None = None,
    away: Mapping[SiteName, int] | None = None,
) -> FleetSnapshot:
    """Read everything the planner looks at.

    ``silent`` is the core's present verdict on its sites, ``round_trips`` what their links measured, in microseconds,
    ``away`` for how long those have been that it does not hear.
    """
    measured = round_trips or {}
    units = documents.read_all_units(connection)
    reported = facts.read_all_facts(connection)
    states = sites.read_states(connection)
    kept_free, kept_nodes = cordons.read_cordons(connection), cordons.read_node_cordons(connection)
    views = tuple(
        _view(
            row,
            states[row.site],
            units.get(row.site, {}),
            reported.get(row.site, []),
            row.site in silent,
            kept_free.get(row.site),
            kept_nodes.get(row.site, {}),
            measured.get(row.site, 0),
            (away or {}).get(row.site),
        )
        for row in sites.list_sites(connection, PLATFORM)
    )
    rows = apps.list_all_apps(connection)
    named = {Digest(row.revision_digest) for row in rows if row.revision_number}
    named |= {unit.revision for view in views for unit in view.units.values() if isinstance(unit, Assignment)}
    stones = {Digest(row.tombstone_digest) for row in rows if row.tombstone_digest}
    secrets = things.list_all_secrets(connection)
    held = objects.read_objects(connection, named | stones | {row.digest for row in secrets})
    restarts = apps.read_all_restarts(connection)
    progress = rollouts.read_all_progress(connection)
    preempted = apps.read_preempted(connection)
    return FleetSnapshot(
        version=read_version(connection),
        now_us=now_us,
        apps=tuple(
            _wish(
                row,
                held,
                restarts.get((row.tenant, row.app), {}),
                progress.get((row.tenant, row.app)),
                preempted.get((row.tenant, row.app), ()),
            )
            for row in rows
        ),
        sites=views,
        revisions={digest: _REVISION.decode(held[digest].payload) for digest in sorted(named) if digest in held},
        secrets=_secret_wishes(secrets, held),
        seeds=_seed_wishes(connection),
    )


def record_plan(connection: Connection, plan: FleetPlan, now_us: int) -> tuple[SiteName, ...] | None:
    """Make the plan what is wished of each site and return the sites that changed; None when a wish has moved since."""
    if read_version(connection) != plan.version:
        return None
    for site in plan.understood:
        adopt_evidence(connection, site)
    documents.record_units(connection, {document.site: document.units for document in plan.documents})
    for progress in plan.rollouts:
        _record_rollout(connection, progress, now_us)
    for (site, instance), home in plan.replaced.items():
        _, _, service, ordinal = instance.split("/")
        message = f"{service} copy {ordinal} comes to {site} in place of the one at {home}, which is silent"
        _tell_of(connection, "placement.replaced", instance, message, now_us)
    for (site, instance), taken in plan.yielded.items():
        service = instance.split("/")[2]
        message = f"{service} leaves {site}: {describe_yielded(taken)}"
        _tell_of(connection, "placement.preempted", instance, message, now_us)
    for report in plan.reports:
        before = apps.read_reports(connection, report.tenant, report.app).get(report.app)
        if before == report:
            continue
        apps.record_report(connection, report)
        # What is told anew is another hindrance, not the same one with other numbers.
        known = {_name_refusal(each) for each in (before.refused if before is not None else ())}
        for refused in report.refused:
            if _name_refusal(refused) not in known:
                events.append_core_event(
                    connection,
                    "placement.refused",
                    time_us=now_us,
                    subject=f"app/{report.app}",
                    tenant=report.tenant,
                    message=f"{refused.service} {f'at {refused.site} ' if refused.site else ''}has no place: "
                    f"{refused.reason}",
                )
    return tuple(document.site for document in plan.documents)


def _name_refusal(refused: Refused) -> tuple[object, ...]:
    return (refused.service, refused.site, tuple(sorted({each.constraint for each in refused.rejections})))


def _tell_of(connection: Connection, what: str, instance: InstanceId, message: str, now_us: int) -> None:
    tenant, app, *_ = instance.split("/")
    events.append_core_event(
        connection, what, time_us=now_us, subject=f"app/{app}", tenant=TenantName(tenant), message=message
    )


def _record_rollout(connection: Connection, progress: Progress, now_us: int) -> None:
    """Keep how far a rollout has come; tell of it when it came to another stage or phase."""
    before = rollouts.find_progress(connection, progress.tenant, progress.app)
    rollouts.record_progress(connection, progress)
    is_same = before is not None and before.revision == progress.revision
    if is_same and before is not None and (before.phase, before.stage) == (progress.phase, progress.stage):
        return
    stage = "the canary" if progress.stage == 0 else f"wave {progress.stage}"
    how = "waits for a person" if progress.phase == "approval" else f"is {progress.phase}"
    events.append_core_event(
        connection,
        f"rollout.{progress.phase}",
        time_us=now_us,
        subject=f"app/{progress.app}",
        tenant=progress.tenant,
        message=f"revision {progress.number} {how} at {stage}, let in at {len(progress.admitted)} sites"
        + (f": {progress.reason}" if progress.reason else ""),
    )


def adopt_evidence(connection: Connection, site: SiteName) -> None:
    """End a site's learning: what it says it runs becomes what it was wished to run, for the next plan to build on.

    The next plan keeps of it what its owners still want and withdraws the rest, now in knowledge of their newest word.
    """
    found: dict[UnitId, Unit] = {}
    for _, fact in facts.list_instance_facts(connection, None, sites=(site,)):
        unit = assignment_of(fact)
        found[unit_id(unit)] = unit
    documents.record_units(connection, {site: found})
    sites.change_state(connection, site, learning=False)
    touch_fleet(connection)


def read_known_numbers(connection: Connection) -> dict[tuple[str, ...], int]:
    """Return the newest number known of each app, by tenant and app."""
    return {(row.tenant, row.app): row.known_number for row in apps.list_all_apps(connection)}


def raise_evidence(connection: Connection, tenant: str, app: str, number: int, now_us: int) -> None:
    """Note that a site reports a newer number of an app than the core knows (faults.md R9)."""
    row = apps.find_app(connection, TenantName(tenant), app) or apps.AppRow(tenant=TenantName(tenant), app=AppName(app))
    if number > row.number:
        apps.record_app(connection, msgspec.structs.replace(row, evidence_number=number, changed_us=now_us))


def decode_revision(envelope: Envelope) -> AppRevision:
    """Read a stored revision, which was verified before it was stored."""
    return _REVISION.decode(envelope.payload)


def read_newest_revisions(
    connection: Connection, scope: Scope, *, app: str = "", first: str = ""
) -> Iterator[AppRevision]:
    """Return the newest revision of each app of a scope by name, of one, or of those from ``first`` on."""
    for row in apps.list_apps(connection, scope):
        if row.revision_number and row.app >= first and app in ("", row.app):
            envelope = objects.read_object(connection, Digest(row.revision_digest))
            if envelope is not None:
                yield decode_revision(envelope)


def decode_secret(envelope: Envelope) -> Secret:
    """Read a stored secret, which was verified before it was stored."""
    return _SECRET.decode(envelope.payload)


def _view(
    row: sites.SiteRow,
    state: sites.SiteState,
    units: dict[UnitId, Unit],
    reported: Iterable[Fact],
    silent: bool,
    cordon: cordons.Cordon | None,
    node_cordons: dict[NodeName, cordons.NodeCordon],
    rtt_us: int,
    away_us: int | None,
) -> SiteView:
    known = list(reported)
    return SiteView(
        record=row.record,
        enrolment=row.enrolment,
        sealing={node: key_id(record.sealing) for node, record in row.record.nodes.items()},
        units=units,
        acknowledged=state.acknowledged,
        learning=state.learning,
        silent=silent,
        away_us=away_us,
        cordon="" if cordon is None else cordon.mode,
        node_cordons={node: each.mode for node, each in node_cordons.items() if node in row.record.nodes},
        link_class=state.link_class,
        seen_from=state.seen_from,
        rtt_us=rtt_us,
        record_digest=row.digest,
        overlays={fact.node: fact for fact in known if isinstance(fact, OverlayFact)},
        nodes={fact.node: fact for fact in known if isinstance(fact, NodeFact)},
        facts_current=state.facts_current,
        instances=tuple(fact for fact in known if isinstance(fact, InstanceFact)),
        volumes=tuple(fact for fact in known if isinstance(fact, VolumeFact)),
        gates=tuple(fact for fact in known if isinstance(fact, AppFact)),
    )


def _wish(
    row: apps.AppRow,
    held: dict[Digest, Envelope],
    restarts: dict[ServiceName, int],
    progress: Progress | None,
    preempted: tuple[Preempted, ...],
) -> AppWish:
    stone = held.get(Digest(row.tombstone_digest)) if row.tombstone_digest else None
    return AppWish(
        tenant=row.tenant,
        app=row.app,
        number=row.known_number,
        revision=Digest(row.revision_digest) if row.revision_number else None,
        revision_number=row.revision_number,
        held=row.held,
        restarts=restarts,
        tombstone=None if stone is None else _TOMBSTONE.decode(stone.payload),
        tombstone_digest=None if stone is None else Digest(row.tombstone_digest),
        rollout=progress,
        preempted=preempted,
    )


def _secret_wishes(
    rows: list[things.SecretRow], held: dict[Digest, Envelope]
) -> dict[tuple[TenantName, SecretName], SecretWish]:
    wishes: dict[tuple[TenantName, SecretName], SecretWish] = {}
    for row in rows:
        if row.digest in held:
            sealed = _SECRET.decode(held[row.digest].payload)
            wishes[row.tenant, row.name] = SecretWish(digest=row.digest, sealed_for=frozenset(sealed.boxes))
    return wishes


def _seed_wishes(connection: Connection) -> tuple[SeedWish, ...]:
    """Return what is wanted ahead of need, of images that their tenants still have."""
    found: list[SeedWish] = []
    for row in seeds.list_all_seeds(connection):
        image = things.find_image(connection, row.tenant, row.digest)
        if image is not None:
            named = ImageRef(name=image.name, digest=image.digest, config=image.config, size_bytes=image.size_bytes)
            found.append(SeedWish(tenant=row.tenant, image=named, sites=row.sites, ends_us=row.ends_us))
    return tuple(found)
