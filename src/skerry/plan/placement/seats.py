"""Seating all instances: what has a place keeps it, then newcomers are placed.

Four passes over all apps, in the order of their names: (1) instances whose wish ended leave; (2) instances that stay
take up the newest revision, move if the new one does not fit, or else hold their site at the revision it has, all
services of the app together, because a site takes an app's revision whole or not at all; (3) instances leave sites
that are drained, as ``drain.py`` allows; (4) newcomers choose, services of the highest priority first, and where one
finds no room, others yield as ``preempt.py`` says.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from skerry.model.document import Assignment
from skerry.model.ids import AppName, Digest, InstanceId, NodeName, ServiceName, SiteName, TenantName, instance_id
from skerry.model.observed import InstanceFact
from skerry.plan.placement import drain, replace
from skerry.plan.placement.choose import choose, make_judge, reject_room, reject_wish
from skerry.plan.placement.estate import Estate, Slot
from skerry.plan.placement.preempt import Sisters, Tenure, Yielders, find_priority, find_sisters
from skerry.plan.placement.request import Request, make_request, same_room
from skerry.plan.placement.rules import order_services
from skerry.plan.report import AppReport, Placed, Preempted, Refused, Staying
from skerry.plan.snapshot import AppWish, FleetSnapshot

AppKey = tuple[TenantName, AppName]


class Seat(NamedTuple):
    """An instance that has a place. ``request`` is None when the core does not have its revision."""

    assignment: Assignment
    site: SiteName
    slot: Slot | None
    request: Request | None


class Seating:
    """One planning run. ``seated`` and ``reports`` are its result."""

    def __init__(self, snapshot: FleetSnapshot) -> None:
        self._snapshot = snapshot
        self._secrets = {(str(tenant), str(name)): wish for (tenant, name), wish in snapshot.secrets.items()}
        self._requests: dict[tuple[Digest, ServiceName], Request | None] = {}
        self.estate = Estate(snapshot.sites)
        self.learning = frozenset(view.site for view in snapshot.sites if view.learning)
        #: Seats of every app, sorted by service, ordinal and enrolment of the site.
        self._seats: dict[AppKey, list[Seat]] = {}
        self._frozen: dict[AppKey, dict[SiteName, Refused]] = {}
        #: Sites at which an app's instances are left as they are: no room for the newest revision, or not their turn.
        self._closed: dict[AppKey, frozenset[SiteName]] = {}
        self._refused: dict[AppKey, list[Refused]] = {}
        self._scores: dict[tuple[SiteName, InstanceId], Placed] = {}
        self._drained = frozenset(view.site for view in snapshot.sites if view.cordon == "drain")
        self._views = {view.site: view for view in snapshot.sites}
        #: Copies that two sites have, one in place of the other.
        self._paired: dict[AppKey, set[drain.Copy]] = {}
        #: What this run places in place of what a silent site has, each with that site.
        self.replaced: dict[tuple[SiteName, InstanceId], SiteName] = {}
        #: Wall time at which a silent site's copies are to be replaced; 0 for none.
        self.wake_us = 0
        self._known_up: frozenset[tuple[SiteName, InstanceId]] | None = None
        self._staying: dict[AppKey, list[Staying]] = {}
        self._yielders: Yielders | None = None
        #: Who yielded in this run, by app.
        self.yielded: dict[AppKey, list[Preempted]] = {}
        self._read_seats()

    def run(self) -> tuple[dict[SiteName, list[Assignment]], tuple[AppReport, ...]]:
        """Seat everything; return the assignments of each site and a report for each app."""
        wishes = sorted(self._snapshot.apps, key=lambda wish: (wish.tenant, wish.app))
        known = {(wish.tenant, wish.app): wish for wish in wishes}
        for key in sorted(self._seats):
            self._dismiss(key, known.get(key))
        for wish in wishes:
            self._settle(wish)
        for wish in wishes if self._drained else ():
            self._drain(wish)
        for wish, request in self._order_newcomers(wishes):
            self._place(wish, request)
        seated: dict[SiteName, list[Assignment]] = {}
        for key in sorted(self._seats):
            for seat in self._seats[key]:
                paired = _copy(seat) in self._paired.get(key, ())
                seated.setdefault(seat.site, []).append(_dress(seat, known[key], paired=paired))
        return seated, tuple(self._report(wish) for wish in wishes)

    def request(self, digest: Digest, service: ServiceName) -> Request | None:
        """Return what a service of a revision asks for; None when the core has no such revision or service."""
        if (digest, service) not in self._requests:
            revision = self._snapshot.revisions.get(digest)
            known = revision is not None and service in revision.services
            self._requests[digest, service] = make_request(revision, digest, service) if revision and known else None
        return self._requests[digest, service]

    def _read_seats(self) -> None:
        for view in sorted(self._snapshot.sites, key=lambda item: (item.enrolment, item.site)):
            present: Iterable[Assignment] = (unit for unit in view.units.values() if isinstance(unit, Assignment))
            if view.learning:
                present = (assignment_of(fact) for fact in view.instances)
            for assignment in present:
                slot = self.estate.find(view.site, assignment.node)
                request = self.request(assignment.revision, assignment.service)
                seat = Seat(assignment, view.site, slot, request)
                self._seats.setdefault((assignment.tenant, assignment.app), []).append(seat)
                if slot is not None and request is not None:
                    self.estate.commit(request, slot, present=True)
        for seats in self._seats.values():
            seats.sort(key=lambda seat: (seat.assignment.service, seat.assignment.ordinal))  # stable: enrolment decides

    def _dismiss(self, key: AppKey, wish: AppWish | None) -> None:
        """Let go of the instances that the newest wish no longer has, at sites whose facts are known."""
        kept: list[Seat] = []
        taken: set[tuple[ServiceName, int]] = set()
        over = self._end_pairs(key, wish)
        used: dict[ServiceName, set[SiteName]] = {}
        for seat in self._seats[key]:
            at = used.setdefault(seat.assignment.service, set())
            ends = (seat.site, _copy(seat)) in over
            if seat.site in self.learning or (not ends and self._is_wished(seat, wish, taken, at)):
                taken.add((seat.assignment.service, seat.assignment.ordinal))
                at.add(seat.site)
                kept.append(seat)
            elif seat.slot is not None and seat.request is not None:
                self.estate.release(seat.request, seat.slot)
        if wish is None:
            # Nobody wishes for the app, so only learning sites can still have it, and they get no document.
            del self._seats[key]
        else:
            self._seats[key] = kept

    def _end_pairs(self, key: AppKey, wish: AppWish | None) -> set[tuple[SiteName, drain.Copy]]:
        """Find the copies that stand in for others, and name those that end because the other one of the two stays."""
        over: set[tuple[SiteName, drain.Copy]] = set()
        seats = {(seat.site, _copy(seat)): seat for seat in self._seats[key] if not seat.assignment.instead_of}
        for seat in self._seats[key]:
            copy, home = _copy(seat), seat.assignment.instead_of
            if not home or (home, copy) not in seats or wish is None or wish.revision is None:
                continue
            request = self.request(wish.revision, copy[0])
            if request is None:
                continue
            ending = replace.find_ending(
                request,
                self._views[home],
                self._views[seat.site],
                original_up=(home, _instance(seat)) in self._up(),
                replacement_up=(seat.site, _instance(seat)) in self._up(),
            )
            if ending is None:
                self._paired.setdefault(key, set()).add(copy)
            else:
                over.add((home if ending == "original" else seat.site, copy))
        return over

    def _is_wished(
        self, seat: Seat, wish: AppWish | None, taken: set[tuple[ServiceName, int]], used: set[SiteName]
    ) -> bool:
        if wish is None or wish.revision is None or seat.slot is None:
            return False
        assignment = seat.assignment
        request = self.request(wish.revision, assignment.service)
        if request is None:
            return False
        replicas = request.wish.placement.replicas
        if assignment.ordinal >= (replicas.per_site or replicas.total):
            return False
        copy = (assignment.service, assignment.ordinal)
        if not replicas.per_site and copy in taken and copy not in self._paired.get((wish.tenant, wish.app), ()):
            return False
        rules = request.wish.placement.rules
        if rules and 0 < rules.sites_max <= len(used) and seat.site not in used:
            return False
        return reject_wish(request, seat.slot) is None

    def _settle(self, wish: AppWish) -> None:
        """Give the seats of one app the newest revision, site by site, whole or not at all."""
        key = (wish.tenant, wish.app)
        frozen: dict[SiteName, Refused] = {}
        before = self._seats.get(key, [])
        while True:
            closed = self.learning.union(wish.waiting, frozen)
            movable = [seat for seat in before if seat.site not in closed]
            after, stuck = self._try_settle(wish, movable, closed)
            if not stuck:
                break
            for seat in after:
                self._vacate(seat)
            for seat in movable:
                self._occupy(seat, present=True)
            frozen |= stuck
        staying = [seat for seat in before if seat.site in closed]
        self._seats[key] = sorted(staying + after, key=_seat_order)
        self._frozen[key] = frozen
        self._closed[key] = closed

    def _try_settle(
        self, wish: AppWish, movable: list[Seat], closed: frozenset[SiteName]
    ) -> tuple[list[Seat], dict[SiteName, Refused]]:
        """Release the seats and take them again for the newest revision; name the sites where that is impossible."""
        for seat in movable:
            self._vacate(seat)
        after: list[Seat] = []
        stuck: dict[SiteName, Refused] = {}
        for seat in movable:
            if wish.revision is None or seat.slot is None:
                continue
            request = self.request(wish.revision, seat.assignment.service)
            if request is None:
                continue
            slot = self._find_room(request, seat, closed)
            if isinstance(slot, Refused):
                stuck.setdefault(seat.site, slot)
                continue
            assignment = _assign(wish, request, seat.assignment.ordinal, slot, seat.assignment.instead_of)
            moved = Seat(assignment, slot.site, slot, request)
            self._occupy(moved, present=slot is seat.slot)
            after.append(moved)
        return after, stuck

    def _find_room(self, request: Request, seat: Seat, closed: frozenset[SiteName]) -> Slot | Refused:
        """Return where a seated instance may run the newest revision: where it is, or a node with room."""
        assert seat.slot is not None
        before = seat.request
        if before is not None and same_room(before, request) and set(request.secrets) <= set(before.secrets):
            return seat.slot
        rejection = reject_room(request, seat.slot, self._secrets)
        if rejection is None:
            return seat.slot
        rules = request.wish.placement.rules
        if any(mount.kind == "volume" for mount in request.wish.mounts) or (rules and rules.together):
            # Its data or its company is on that node: nothing but the owner's word takes it elsewhere.
            return Refused(service=request.service, site=seat.site, reason=rejection.detail, rejections=(rejection,))
        per_site = request.wish.placement.replicas.per_site
        slots = self.estate.by_site[seat.site] if per_site else self._open_slots(closed)
        at = seat.site if per_site else None
        found = choose(self.estate, request, seat.assignment.ordinal, slots, self._secrets, at=at)
        if isinstance(found, Refused):
            return Refused(
                service=request.service, site=seat.site, reason=rejection.detail, rejections=found.rejections
            )
        slot = self.estate.find(found.site, found.node)
        assert slot is not None
        return slot

    def _drain(self, wish: AppWish) -> None:
        """Move what may move away from sites that are drained; note why the rest is still there."""
        key = (wish.tenant, wish.app)
        seats = self._seats.get(key, [])
        down = {_copy(seat) for seat in seats if not wish.held and (seat.site, _instance(seat)) not in self._up()}
        for place, seat in enumerate(seats):
            if seat.site not in self._drained or seat.site in self.learning:
                continue
            moved, staying = self._try_drain(wish, seat, seats, down)
            if staying is not None:
                self._staying.setdefault(key, []).append(staying)
            elif moved is not None:
                seats[place] = moved
                down |= set() if wish.held else {_copy(moved)}
        seats.sort(key=_seat_order)

    def _try_drain(
        self, wish: AppWish, seat: Seat, seats: list[Seat], down: set[drain.Copy]
    ) -> tuple[Seat | None, Staying | None]:
        """Give one seat a place elsewhere, or say why it is still there."""
        key, request, slot = (wish.tenant, wish.app), seat.request, seat.slot
        closed = self._closed.get(key, frozenset())
        same = {_copy(each) for each in seats if each.assignment.service == seat.assignment.service}
        reason, waits = "what it asks for is not known here", False
        if request is not None and slot is not None:
            reason = drain.find_anchor(request, slot, is_closed=seat.site in closed)
            if not reason and _copy(seat) not in down:
                reason = drain.find_wait(request.wish.policy, len(same), len(same & down))
                waits = bool(reason)
            if not reason:
                self._vacate(seat)
                ordinal = seat.assignment.ordinal
                found = choose(self.estate, request, ordinal, self._open_slots(closed), self._secrets)
                if isinstance(found, Placed):
                    target = self.estate.find(found.site, found.node)
                    assert target is not None
                    unit = _assign(wish, request, ordinal, target, seat.assignment.instead_of)
                    moved = Seat(unit, target.site, target, request)
                    self._occupy(moved, present=False)
                    self._scores[target.site, _instance(moved)] = found
                    return moved, None
                self._occupy(seat, present=True)
                reason = f"there is no other place: {found.reason}"
        unit = seat.assignment
        return None, Staying(service=unit.service, ordinal=unit.ordinal, site=seat.site, reason=reason, waits=waits)

    def _order_newcomers(self, wishes: list[AppWish]) -> list[tuple[AppWish, Request]]:
        """Return every service that is wished for, the highest priority first: who yields comes after to whom."""
        found: list[tuple[AppWish, Request]] = []
        for wish in wishes:
            revision = self._snapshot.revisions.get(wish.revision) if wish.revision else None
            for service in order_services(revision) if revision else ():
                request = self.request(wish.revision, service) if wish.revision else None
                assert request is not None
                found.append((wish, request))
        return sorted(found, key=lambda each: -find_priority(each[1]).value)

    def _place(self, wish: AppWish, request: Request) -> None:
        """Place the instances of one service that have no place yet."""
        refused = self._refused.setdefault((wish.tenant, wish.app), [])
        if request.wish.placement.replicas.per_site:
            refused.extend(self._place_per_site(wish, request))
        else:
            refused.extend(self._place_total(wish, request))

    def _place_per_site(self, wish: AppWish, request: Request) -> list[Refused]:
        key = (wish.tenant, wish.app)
        present = {
            (seat.site, seat.assignment.ordinal)
            for seat in self._seats[key]
            if seat.assignment.service == request.service
        }
        refused: list[Refused] = []
        admitted = False
        rules = request.wish.placement.rules
        most = rules.sites_max if rules else 0
        used = {site for site, _ in present}
        for site, slots in self._order_sites(request):
            if not any(reject_wish(request, slot) is None for slot in slots):
                continue
            admitted = True
            if site in self._closed[key]:
                continue
            if most and site not in used and (len(used) >= most or slots[0].cordon):
                continue
            for ordinal in range(request.wish.placement.replicas.per_site):
                if (site, ordinal) not in present:
                    found = self._choose_new(wish, request, ordinal, slots, site)
                    refused.extend(self._seat_new(wish, request, found))
                    used |= {site} if isinstance(found, Placed) else set()
        if most and len(used) >= most:
            # Others were found in place of the sites that had no room.
            refused = [each for each in refused if each.site in used]
        if not admitted:
            nowhere = choose(self.estate, request, 0, self.estate.slots, self._secrets)
            refused.extend([nowhere] if isinstance(nowhere, Refused) else [])
        return refused

    def _order_sites(self, request: Request) -> Iterable[tuple[SiteName, list[Slot]]]:
        """Return the sites by enrolment, or the nearest ones first where the manifest wants them."""
        rules = request.wish.placement.rules
        judge = make_judge(self.estate, request, self._secrets) if rules and rules.nearest is not None else None
        if judge is None:
            return self.estate.by_site.items()
        known = [(site, slots) for site, slots in self.estate.by_site.items() if slots]
        return sorted(known, key=lambda each: judge.rank(each[1][0]))

    def _place_total(self, wish: AppWish, request: Request) -> list[Refused]:
        key = (wish.tenant, wish.app)
        present = {seat.assignment.ordinal for seat in self._seats[key] if seat.assignment.service == request.service}
        refused: list[Refused] = []
        for ordinal in range(request.wish.placement.replicas.total):
            if ordinal not in present:
                slots = self._open_slots(self._closed[key])
                refused.extend(self._seat_new(wish, request, self._choose_new(wish, request, ordinal, slots)))
        return refused + ([] if wish.held else self._replace_silent(wish, request))

    def _replace_silent(self, wish: AppWish, request: Request) -> list[Refused]:
        """Give copies of sites that have been silent for long a second one elsewhere, where their owner wishes it."""
        key, refused = (wish.tenant, wish.app), list[Refused]()
        paired = self._paired.setdefault(key, set())
        for seat in [seat for seat in self._seats[key] if seat.assignment.service == request.service]:
            left_us = replace.wait_us(request, self._views[seat.site])
            if left_us is None or _copy(seat) in paired:
                continue
            if left_us:
                self.wake_us = min(filter(None, (self.wake_us, self._snapshot.now_us + left_us)))
                continue
            slots = [slot for slot in self._open_slots(self._closed[key]) if not slot.silent]
            found = self._choose_new(wish, request, seat.assignment.ordinal, slots)
            if isinstance(found, Refused):
                reason = f"it is to stand in for the copy at {seat.site}, which is silent: {found.reason}"
                refused.append(msgspec.structs.replace(found, reason=reason))
            else:
                self._seat_new(wish, request, found, seat.site)
                self.replaced[found.site, _instance(seat)] = seat.site
                paired.add(_copy(seat))
        return refused

    def _choose_new(
        self, wish: AppWish, request: Request, ordinal: int, slots: list[Slot], site: SiteName | None = None
    ) -> Placed | Refused:
        """Choose for a newcomer; where there is no room, let others yield, but to none that had to yield itself."""

        def pick() -> Placed | Refused:
            return choose(self.estate, request, ordinal, slots, self._secrets, at=site)

        found = pick()
        if isinstance(found, Placed):
            return found
        before = (*self.yielded.get((wish.tenant, wish.app), ()), *wish.preempted)
        yielded = next((each for each in before if _is_of(each, request, ordinal, site)), None)
        if yielded is not None:
            reason = f"it made room for {yielded.by}, which has priority {yielded.over}: {found.reason}"
            return msgspec.structs.replace(found, reason=reason)
        if wish.held or find_priority(request).preempts == "never":
            return found
        if self._yielders is None:
            self._yielders = Yielders(self.estate, self._secrets, self._list_tenures(), self._list_missing())
        room = self._yielders.make_room(request, slots, pick)
        if room is None:
            return found
        for tenure in room[1]:
            self._take_seat(tenure, request, ordinal)
        return room[0]

    def _list_tenures(self) -> Iterable[Tenure]:
        """List what has a place that it might yield. What is placed in this run comes before all that could ask."""
        up = self._up()
        for (tenant, app), seats in sorted(self._seats.items()):
            for seat in seats:
                if seat.slot is not None and seat.request is not None and seat.site not in self._closed[tenant, app]:
                    is_up = (seat.site, _instance(seat)) in up and seat.assignment.state == "run"
                    yield Tenure(request=seat.request, ordinal=seat.assignment.ordinal, slot=seat.slot, is_up=is_up)

    def _list_missing(self) -> Iterable[Sisters]:
        for wish in self._snapshot.apps:
            for each in self._list_preempted(wish):
                request = self.request(wish.revision, each.service) if wish.revision else None
                assert request is not None
                yield find_sisters(request, each.site)

    def _take_seat(self, tenure: Tenure, by: Request, ordinal: int) -> None:
        key, site = (tenure.request.tenant, tenure.request.app), tenure.slot.site
        copy = (tenure.request.service, tenure.ordinal)
        self._seats[key] = [seat for seat in self._seats[key] if (seat.site, _copy(seat)) != (site, copy)]
        taken = Preempted(
            service=tenure.request.service,
            ordinal=tenure.ordinal,
            site=site,
            priority=tenure.priority,
            by=instance_id(by.tenant, by.app, by.service, ordinal),
            over=find_priority(by).value,
        )
        self.yielded.setdefault(key, []).append(taken)

    def _list_preempted(self, wish: AppWish) -> tuple[Preempted, ...]:
        """List who yielded, is still wished for and has no place since."""
        key, found = (wish.tenant, wish.app), list[Preempted]()
        for each in (*wish.preempted, *self.yielded.get(key, ())):
            request = self.request(wish.revision, each.service) if wish.revision else None
            replicas = None if request is None else request.wish.placement.replicas
            if replicas is None or each.ordinal >= (replicas.per_site or replicas.total):
                continue
            at = (seat.site for seat in self._seats.get(key, ()) if _copy(seat) == (each.service, each.ordinal))
            if not any(not replicas.per_site or site == each.site for site in at):
                found.append(each)
        return tuple(found)

    def _up(self) -> frozenset[tuple[SiteName, InstanceId]]:
        """Name what its site says is well; most runs never ask."""
        if self._known_up is None:
            self._known_up = drain.list_up(self._snapshot.sites)
        return self._known_up

    def _seat_new(
        self,
        wish: AppWish,
        request: Request,
        found: Placed | Refused,
        instead_of: SiteName | UnsetType = UNSET,
    ) -> list[Refused]:
        if isinstance(found, Refused):
            return [found]
        slot = self.estate.find(found.site, found.node)
        assert slot is not None
        seat = Seat(_assign(wish, request, found.ordinal, slot, instead_of), slot.site, slot, request)
        self._occupy(seat, present=False)
        self._seats[wish.tenant, wish.app].append(seat)
        self._scores[slot.site, _instance(seat)] = found
        return []

    def _open_slots(self, closed: frozenset[SiteName]) -> list[Slot]:
        return [slot for slot in self.estate.slots if slot.site not in closed]

    def _occupy(self, seat: Seat, *, present: bool) -> None:
        if seat.slot is not None and seat.request is not None:
            self.estate.commit(seat.request, seat.slot, present=present)

    def _vacate(self, seat: Seat) -> None:
        if seat.slot is not None and seat.request is not None:
            self.estate.release(seat.request, seat.slot)

    def _report(self, wish: AppWish) -> AppReport:
        key = (wish.tenant, wish.app)
        placed = [
            self._scores.get((seat.site, _instance(seat)))
            or Placed(
                service=seat.assignment.service,
                ordinal=seat.assignment.ordinal,
                site=seat.site,
                node=seat.assignment.node,
                kept=True,
            )
            for seat in sorted(self._seats.get(key, []), key=_seat_order)
        ]
        waiting = tuple(self._frozen.get(key, {}).values())
        return AppReport(
            tenant=wish.tenant,
            app=wish.app,
            number=wish.number,
            placed=tuple(placed),
            refused=waiting + tuple(self._refused.get(key, ())),
            waiting=wish.waiting,
            staying=tuple(self._staying.get(key, ())),
            preempted=self._list_preempted(wish),
        )


def assignment_of(fact: InstanceFact) -> Assignment:
    """Read an assignment off what a site reports: what it was once told to run."""
    tenant, app, service, ordinal = fact.instance.split("/")
    return Assignment(
        TenantName(tenant), AppName(app), ServiceName(service), int(ordinal), NodeName(fact.node), fact.revision
    )


def _assign(
    wish: AppWish, request: Request, ordinal: int, slot: Slot, instead_of: SiteName | UnsetType = UNSET
) -> Assignment:
    unit = Assignment(wish.tenant, wish.app, request.service, ordinal, slot.node, request.digest)
    return msgspec.structs.replace(unit, instead_of=instead_of) if instead_of else unit


def _dress(seat: Seat, wish: AppWish, *, paired: bool) -> Assignment:
    """Give the assignment its state and restart counter, also where the site stays at an older revision.

    A copy that stands in for nobody any more is one like any other.
    """
    found = seat.assignment
    restart = wish.restarts.get(ServiceName(""), 0) + wish.restarts.get(found.service, 0)
    state = "hold" if wish.held else "run"
    back = found.back if found.revision != wish.revision else True if seat.site in wish.back else UNSET
    instead_of = found.instead_of if paired else UNSET
    return msgspec.structs.replace(found, state=state, restart=restart, back=back, instead_of=instead_of)


def _instance(seat: Seat) -> InstanceId:
    found = seat.assignment
    return InstanceId(f"{found.tenant}/{found.app}/{found.service}/{found.ordinal}")


def _is_of(yielded: Preempted, request: Request, ordinal: int, site: SiteName | None) -> bool:
    """Say whether it was this copy that yielded; where each site has its own, there."""
    return (yielded.service, yielded.ordinal) == (request.service, ordinal) and site in (None, yielded.site)


def _copy(seat: Seat) -> drain.Copy:
    return (seat.assignment.service, seat.assignment.ordinal)


def _seat_order(seat: Seat) -> tuple[ServiceName, int, int]:
    return (seat.assignment.service, seat.assignment.ordinal, -1 if seat.slot is None else seat.slot.order)
