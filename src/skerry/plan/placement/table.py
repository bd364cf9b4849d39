"""What one run of seating knows and decides: the room, the seats of every app, and why somebody has none.

Rule: whoever takes or leaves a seat does it here, so that the estate agrees with the seats. Neighbours: ``stay.py`` and
``newcomers.py`` decide who sits where.
"""

from collections.abc import Iterable

from msgspec import UNSET, UnsetType

from skerry.model.document import Assignment
from skerry.model.ids import AppName, Digest, InstanceId, ServiceName, SiteName, TenantName
from skerry.plan.placement import drain
from skerry.plan.placement.estate import Estate, Slot
from skerry.plan.placement.preempt import Yielders
from skerry.plan.placement.request import Request, make_request
from skerry.plan.placement.seat import Seat, assign, assignment_of, copy_of, instance_of
from skerry.plan.report import Placed, Preempted, Refused, Staying
from skerry.plan.snapshot import AppWish, FleetSnapshot

AppKey = tuple[TenantName, AppName]


class Table:
    """The state of one planning run."""

    def __init__(self, snapshot: FleetSnapshot) -> None:
        self.snapshot = snapshot
        self.secrets = {(str(tenant), str(name)): wish for (tenant, name), wish in snapshot.secrets.items()}
        self._requests: dict[tuple[Digest, ServiceName], Request | None] = {}
        self.estate = Estate(snapshot.sites)
        #: Sites of which the core knows too little to change anything there.
        self.learning = frozenset(view.site for view in snapshot.sites if view.learning)
        #: Seats of every app, sorted by service, ordinal and enrolment of the site.
        self.seats: dict[AppKey, list[Seat]] = {}
        #: Why a site stays at the revision that it has.
        self.frozen: dict[AppKey, dict[SiteName, Refused]] = {}
        #: Sites at which an app's instances are left as they are: no room for the newest revision, or not their turn.
        self.closed: dict[AppKey, frozenset[SiteName]] = {}
        self.refused: dict[AppKey, list[Refused]] = {}
        #: What was chosen in this run.
        self.scores: dict[tuple[SiteName, InstanceId], Placed] = {}
        #: Sites that are drained, or that have a node which is.
        self.drained = frozenset(
            view.site for view in snapshot.sites if "drain" in (view.cordon, *view.node_cordons.values())
        )
        self.views = {view.site: view for view in snapshot.sites}
        #: Copies that two sites have, one in place of the other.
        self.paired: dict[AppKey, set[drain.Copy]] = {}
        #: What this run places in place of what a silent site has, each with that site.
        self.replaced: dict[tuple[SiteName, InstanceId], SiteName] = {}
        #: Wall time at which a silent site's copies are to be replaced; 0 for none.
        self.wake_us = 0
        self._known_up: frozenset[tuple[SiteName, InstanceId]] | None = None
        self.staying: dict[AppKey, list[Staying]] = {}
        #: Found when somebody needs them for the first time.
        self.yielders: Yielders | None = None
        #: Who yielded in this run, by app.
        self.yielded: dict[AppKey, list[Preempted]] = {}
        self._read_seats()

    def request(self, digest: Digest, service: ServiceName) -> Request | None:
        """Return what a service of a revision asks for; None when the core has no such revision or service."""
        if (digest, service) not in self._requests:
            revision = self.snapshot.revisions.get(digest)
            known = revision is not None and service in revision.services
            self._requests[digest, service] = make_request(revision, digest, service) if revision and known else None
        return self._requests[digest, service]

    def _read_seats(self) -> None:
        for view in sorted(self.snapshot.sites, key=lambda item: (item.enrolment, item.site)):
            present: Iterable[Assignment] = (unit for unit in view.units.values() if isinstance(unit, Assignment))
            if view.learning:
                present = (assignment_of(fact) for fact in view.instances)
            for assignment in present:
                slot = self.estate.find(view.site, assignment.node)
                request = self.request(assignment.revision, assignment.service)
                seat = Seat(assignment, view.site, slot, request)
                self.seats.setdefault((assignment.tenant, assignment.app), []).append(seat)
                if slot is not None and request is not None:
                    self.estate.commit(request, slot, present=True)
        for seats in self.seats.values():
            seats.sort(key=lambda seat: (seat.assignment.service, seat.assignment.ordinal))  # stable: enrolment decides

    def list_preempted(self, wish: AppWish) -> tuple[Preempted, ...]:
        """List who yielded, is still wished for and has no place since."""
        key, found = (wish.tenant, wish.app), list[Preempted]()
        for each in (*wish.preempted, *self.yielded.get(key, ())):
            request = self.request(wish.revision, each.service) if wish.revision else None
            replicas = None if request is None else request.wish.placement.replicas
            if replicas is None or each.ordinal >= (replicas.per_site or replicas.total):
                continue
            at = (seat.site for seat in self.seats.get(key, ()) if copy_of(seat) == (each.service, each.ordinal))
            if not any(not replicas.per_site or site == each.site for site in at):
                found.append(each)
        return tuple(found)

    def up(self) -> frozenset[tuple[SiteName, InstanceId]]:
        """Name what its site says is well; most runs never ask."""
        if self._known_up is None:
            self._known_up = drain.list_up(self.snapshot.sites)
        return self._known_up

    def seat_new(
        self,
        wish: AppWish,
        request: Request,
        found: Placed | Refused,
        instead_of: SiteName | UnsetType = UNSET,
    ) -> list[Refused]:
        """Give a newcomer the seat that was found; return why there is none otherwise."""
        if isinstance(found, Refused):
            return [found]
        slot = self.estate.find(found.site, found.node)
        assert slot is not None
        seat = Seat(assign(wish, request, found.ordinal, slot, instead_of), slot.site, slot, request)
        self.occupy(seat, present=False)
        self.seats[wish.tenant, wish.app].append(seat)
        self.scores[slot.site, instance_of(seat)] = found
        return []

    def open_slots(self, closed: frozenset[SiteName]) -> list[Slot]:
        """Return the slots of all other sites."""
        return [slot for slot in self.estate.slots if slot.site not in closed]

    def occupy(self, seat: Seat, *, present: bool) -> None:
        """Take the room of a seat; ``present`` when its instance is there already."""
        if seat.slot is not None and seat.request is not None:
            self.estate.commit(seat.request, seat.slot, present=present)

    def vacate(self, seat: Seat) -> None:
        """Give the room of a seat back."""
        if seat.slot is not None and seat.request is not None:
            self.estate.release(seat.request, seat.slot)
