"""Those who have no place yet: services of the highest priority first; where one finds no room, others yield.

Neighbours: ``choose.py`` finds the place, ``preempt.py`` says who yields, ``replace.py`` when a silent site's copy gets
a second one elsewhere.
"""

from collections.abc import Iterable

import msgspec

from skerry.model.ids import SiteName, instance_id
from skerry.plan.placement import replace
from skerry.plan.placement.choose import choose, make_judge, reject_wish
from skerry.plan.placement.estate import Slot
from skerry.plan.placement.preempt import Sisters, Tenure, Yielders, find_priority, find_sisters
from skerry.plan.placement.request import Request
from skerry.plan.placement.rules import order_services
from skerry.plan.placement.seat import copy_of, instance_of
from skerry.plan.placement.table import Table
from skerry.plan.report import Placed, Preempted, Refused
from skerry.plan.snapshot import AppWish


def order_newcomers(table: Table, wishes: list[AppWish]) -> list[tuple[AppWish, Request]]:
    """Return every service that is wished for, the highest priority first: who yields comes after to whom."""
    found: list[tuple[AppWish, Request]] = []
    for wish in wishes:
        revision = table.snapshot.revisions.get(wish.revision) if wish.revision else None
        for service in order_services(revision) if revision else ():
            request = table.request(wish.revision, service) if wish.revision else None
            assert request is not None
            found.append((wish, request))
    return sorted(found, key=lambda each: -find_priority(each[1]).value)


def place(table: Table, wish: AppWish, request: Request) -> None:
    """Place the instances of one service that have no place yet."""
    refused = table.refused.setdefault((wish.tenant, wish.app), [])
    if request.wish.placement.replicas.per_site:
        refused.extend(_place_per_site(table, wish, request))
    else:
        refused.extend(_place_total(table, wish, request))


def _place_per_site(table: Table, wish: AppWish, request: Request) -> list[Refused]:
    key = (wish.tenant, wish.app)
    present = {
        (seat.site, seat.assignment.ordinal) for seat in table.seats[key] if seat.assignment.service == request.service
    }
    refused: list[Refused] = []
    admitted = False
    rules = request.wish.placement.rules
    most = rules.sites_max if rules else 0
    used = {site for site, _ in present}
    for site, slots in _order_sites(table, request):
        if not any(reject_wish(request, slot) is None for slot in slots):
            continue
        admitted = True
        if site in table.closed[key]:
            continue
        if most and site not in used and (len(used) >= most or all(slot.cordon for slot in slots)):
            continue
        for ordinal in range(request.wish.placement.replicas.per_site):
            if (site, ordinal) not in present:
                found = _choose_new(table, wish, request, ordinal, slots, site)
                refused.extend(table.seat_new(wish, request, found))
                used |= {site} if isinstance(found, Placed) else set()
    if most and len(used) >= most:
        # Others were found in place of the sites that had no room.
        refused = [each for each in refused if each.site in used]
    if not admitted:
        nowhere = choose(table.estate, request, 0, table.estate.slots, table.secrets)
        refused.extend([nowhere] if isinstance(nowhere, Refused) else [])
    return refused


def _order_sites(table: Table, request: Request) -> Iterable[tuple[SiteName, list[Slot]]]:
    """Return the sites by enrolment, or the nearest ones first where the manifest wants them."""
    rules = request.wish.placement.rules
    judge = make_judge(table.estate, request, table.secrets) if rules and rules.nearest is not None else None
    if judge is None:
        return table.estate.by_site.items()
    known = [(site, slots) for site, slots in table.estate.by_site.items() if slots]
    return sorted(known, key=lambda each: judge.rank(each[1][0]))


def _place_total(table: Table, wish: AppWish, request: Request) -> list[Refused]:
    key = (wish.tenant, wish.app)
    present = {seat.assignment.ordinal for seat in table.seats[key] if seat.assignment.service == request.service}
    refused: list[Refused] = []
    for ordinal in range(request.wish.placement.replicas.total):
        if ordinal not in present:
            slots = table.open_slots(table.closed[key])
            refused.extend(table.seat_new(wish, request, _choose_new(table, wish, request, ordinal, slots)))
    return refused + ([] if wish.held else _replace_silent(table, wish, request))


def _replace_silent(table: Table, wish: AppWish, request: Request) -> list[Refused]:
    """Give copies of sites that have been silent for long a second one elsewhere, where their owner wishes it."""
    key, refused = (wish.tenant, wish.app), list[Refused]()
    paired = table.paired.setdefault(key, set())
    for seat in [seat for seat in table.seats[key] if seat.assignment.service == request.service]:
        left_us = replace.wait_us(request, table.views[seat.site])
        if left_us is None or copy_of(seat) in paired:
            continue
        if left_us:
            table.wake_us = min(filter(None, (table.wake_us, table.snapshot.now_us + left_us)))
            continue
        slots = [slot for slot in table.open_slots(table.closed[key]) if not slot.silent]
        found = _choose_new(table, wish, request, seat.assignment.ordinal, slots)
        if isinstance(found, Refused):
            reason = f"it is to stand in for the copy at {seat.site}, which is silent: {found.reason}"
            refused.append(msgspec.structs.replace(found, reason=reason))
        else:
            table.seat_new(wish, request, found, seat.site)
            table.replaced[found.site, instance_of(seat)] = seat.site
            paired.add(copy_of(seat))
    return refused


def _choose_new(
    table: Table, wish: AppWish, request: Request, ordinal: int, slots: list[Slot], site: SiteName | None = None
) -> Placed | Refused:
    """Choose for a newcomer; where there is no room, let others yield, but to none that had to yield itself."""

    def pick() -> Placed | Refused:
        return choose(table.estate, request, ordinal, slots, table.secrets, at=site)

    found = pick()
    if isinstance(found, Placed):
        return found
    before = (*table.yielded.get((wish.tenant, wish.app), ()), *wish.preempted)
    yielded = next((each for each in before if _is_of(each, request, ordinal, site)), None)
    if yielded is not None:
        reason = f"it made room for {yielded.by}, which has priority {yielded.over}: {found.reason}"
        return msgspec.structs.replace(found, reason=reason)
    if wish.held or find_priority(request).preempts == "never":
        return found
    if table.yielders is None:
        table.yielders = Yielders(table.estate, table.secrets, _list_tenures(table), _list_missing(table))
    room = table.yielders.make_room(request, slots, pick)
    if room is None:
        return found
    for tenure in room[1]:
        _take_seat(table, tenure, request, ordinal)
    return room[0]


def _list_tenures(table: Table) -> Iterable[Tenure]:
    """List what has a place that it might yield. What is placed in this run comes before all that could ask."""
    up = table.up()
    for (tenant, app), seats in sorted(table.seats.items()):
        for seat in seats:
            if seat.slot is not None and seat.request is not None and seat.site not in table.closed[tenant, app]:
                is_up = (seat.site, instance_of(seat)) in up and seat.assignment.state == "run"
                yield Tenure(request=seat.request, ordinal=seat.assignment.ordinal, slot=seat.slot, is_up=is_up)


def _list_missing(table: Table) -> Iterable[Sisters]:
    for wish in table.snapshot.apps:
        for each in table.list_preempted(wish):
            request = table.request(wish.revision, each.service) if wish.revision else None
            assert request is not None
            yield find_sisters(request, each.site)


def _take_seat(table: Table, tenure: Tenure, by: Request, ordinal: int) -> None:
    key, site = (tenure.request.tenant, tenure.request.app), tenure.slot.site
    copy = (tenure.request.service, tenure.ordinal)
    table.seats[key] = [seat for seat in table.seats[key] if (seat.site, copy_of(seat)) != (site, copy)]
    taken = Preempted(
        service=tenure.request.service,
        ordinal=tenure.ordinal,
        site=site,
        priority=tenure.priority,
        by=instance_id(by.tenant, by.app, by.service, ordinal),
        over=find_priority(by).value,
    )
    table.yielded.setdefault(key, []).append(taken)


def _is_of(yielded: Preempted, request: Request, ordinal: int, site: SiteName | None) -> bool:
    """Say whether it was this copy that yielded; where each site has its own, there."""
    return (yielded.service, yielded.ordinal) == (request.service, ordinal) and site in (None, yielded.site)
