"""One instance with everything that is known of it: the wish, its site's word, its use, why it is there, its events."""

import msgspec

from skerry.core import views
from skerry.core.auth import Caller
from skerry.core.enrolment import list_conditions
from skerry.core.metrics import view_instance_use
from skerry.core.reading import EVENTS_SHOWN
from skerry.core.refusals import not_found
from skerry.core.state import Part
from skerry.model.answers import Condition, InstanceDetail, PlaceView
from skerry.model.app import ImageRef
from skerry.model.document import Assignment, assignment_instance
from skerry.model.facts import InstanceFact
from skerry.model.ids import AppName, UnitId
from skerry.plan.report import AppReport
from skerry.store import Connection, apps, cordons, documents, events, facts, fleet, objects, sites
from skerry.store.events import EventFilter


class InstancesPart(Part):
    """Operations that show one instance."""

    async def show_instance(self, caller: Caller, *, site: str, app: str, service: str, ordinal: int) -> InstanceDetail:
        """Show an instance that is wanted at a site, or that the site still reports."""
        tenant = caller.owner()
        identity = f"{tenant}/{app}/{service}/{ordinal}"

        def job(connection: Connection) -> InstanceDetail:
            here = (site,)
            instances = views.read_instances(self._core, connection, caller.scope, app=app, sites=here)
            found = next((each for each in instances if each.view.instance == identity), None)
            if found is None:
                raise not_found()
            assignments = documents.list_assignments(connection, caller.scope, app=app, sites=here)
            unit = next((unit for _, unit in assignments if assignment_instance(unit) == identity), None)
            reported = facts.list_instance_facts(connection, caller.scope, app=app, sites=here)
            fact = next((fact for _, fact in reported if fact.instance == identity), None)
            report = apps.read_reports(connection, tenant, app).get(AppName(app))
            image = _find_image(connection, caller, found.view, unit, fact)
            logged = EventFilter(site=site, app=app, subject=f"instance/{identity}")
            return InstanceDetail(
                summary=found.view,
                ready=found.ready,
                wish="" if unit is None else unit.state,
                back=unit is not None and unit.back is True,
                instead_of=unit.instead_of if unit is not None and unit.instead_of else "",
                wanted_revision="" if unit is None else unit.revision,
                reported_revision="" if fact is None else fact.revision,
                image="" if image is None else image.name,
                image_digest="" if image is None else image.digest,
                exit_code=0 if fact is None else fact.exit_code,
                use=view_instance_use(self._core, found.view),
                place=_find_place(report, found.view),
                conditions=(
                    *_list_own(connection, caller, found),
                    *_list_planned(report, found.view),
                    *_list_of_site(connection, caller, site),
                ),
                events=tuple(
                    views.cloud_event(each)
                    for each in events.last_events(connection, caller.scope, EVENTS_SHOWN, logged)
                ),
            )

        return await self._core.db.read(job)


def _find_image(
    connection: Connection, caller: Caller, view: views.InstanceView, unit: Assignment | None, fact: InstanceFact | None
) -> ImageRef | None:
    """Look the image up in the tenant's own revisions: a site may report any digest, another tenant's too."""
    number, digest = (view.reported, fact and fact.revision) if unit is None else (view.wanted, unit.revision)
    row = apps.find_revision(connection, caller.owner(), view.app, number)
    if row is None or row.kind != "revision" or row.digest != digest:
        return None
    envelope = objects.read_object(connection, row.digest)
    service = None if envelope is None else fleet.decode_revision(envelope).services.get(view.service)
    return None if service is None else service.image


def _find_place(report: AppReport | None, view: views.InstanceView) -> PlaceView | None:
    wanted = (view.service, view.ordinal, view.site)
    placed = () if report is None else report.placed
    found = next((each for each in placed if (each.service, each.ordinal, each.site) == wanted), None)
    return None if found is None else PlaceView(**msgspec.structs.asdict(found))


def _list_own(connection: Connection, caller: Caller, found: views.Instance) -> list[Condition]:
    """Say what its site says of it besides its phase, and whether the site can say anything."""
    view = found.view
    said: list[Condition] = []
    if not found.wanted:
        said.append(
            Condition(kind="unwanted", reason="the core wants it here no longer; the site has yet to let it go")
        )
    if view.site_state == "silent":
        said.append(Condition(kind="silent", reason=f"not heard from {view.site}: this is what it said last"))
    unit = UnitId(f"assignment/{view.instance}")
    for site, refused in facts.list_unit_facts(connection, caller.scope, app=view.app):
        if (site, refused.unit) == (view.site, unit):
            said.append(Condition(kind="refused", reason=f"{refused.reason} ({refused.code})"))
    for site, gate in facts.list_gate_facts(connection, caller.scope, app=view.app):
        if (site, gate.node, gate.verdict) == (view.site, view.node, "failed"):
            reason = f"revision {gate.number} did not pass its health gate: {gate.reason}"
            said.append(Condition(kind="gate-failed", reason=reason))
    return said


def _list_planned(report: AppReport | None, view: views.InstanceView) -> list[Condition]:
    """Say what the newest plan holds back at this site, or leaves there."""
    if report is None:
        return []
    said: list[Condition] = []
    if view.site in report.waiting:
        said.append(Condition(kind="waiting", reason=report.waiting[view.site]))
    here = (view.service, view.ordinal, view.site)
    said += [
        Condition(kind="staying", reason=each.reason)
        for each in report.staying
        if (each.service, each.ordinal, each.site) == here
    ]
    return said


def _list_of_site(connection: Connection, caller: Caller, site: str) -> tuple[Condition, ...]:
    """Return the conditions of the site, for whoever may still see it."""
    row = sites.find_site(connection, site, caller.scope)
    if row is None:
        return ()
    fact = facts.read_site_facts(connection, (site,)).get(row.site, ([], None))[1]
    cordon = cordons.read_cordons(connection).get(row.site)
    return list_conditions(sites.read_state(connection, site), fact, cordon)
