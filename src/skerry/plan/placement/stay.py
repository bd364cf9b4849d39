"""Those who have a place: who leaves, who takes up the newest revision, who moves away from a drained site.

Instances whose wish ended leave (``dismiss``). Those that stay take up the newest revision, move if the new one does
not fit, or else hold their site at the revision it has, all services of the app together, because a site takes an app's
revision whole or not at all (``settle``). They leave drained sites as ``drain.py`` allows (``drain_app``).
"""

from skerry.model.ids import ServiceName, SiteName
from skerry.model.withdrawal import find_end, is_kept_from_core
from skerry.plan.placement import drain, replace
from skerry.plan.placement.choose import choose, reject_room, reject_wish
from skerry.plan.placement.estate import Slot
from skerry.plan.placement.request import Request, same_room
from skerry.plan.placement.seat import Seat, assign, copy_of, instance_of, seat_order
from skerry.plan.placement.table import AppKey, Table
from skerry.plan.report import Placed, Refused, Staying
from skerry.plan.snapshot import AppWish


def dismiss(table: Table, key: AppKey, wish: AppWish | None) -> None:
    """Let go of the instances that the newest wish no longer has, at sites whose facts are known."""
    kept: list[Seat] = []
    taken: set[tuple[ServiceName, int]] = set()
    over = _end_pairs(table, key, wish)
    used: dict[ServiceName, set[SiteName]] = {}
    for seat in table.seats[key]:
        at = used.setdefault(seat.assignment.service, set())
        ends = (seat.site, copy_of(seat)) in over
        if seat.site in table.learning or (not ends and _is_wished(table, seat, wish, taken, at)):
            taken.add((seat.assignment.service, seat.assignment.ordinal))
            at.add(seat.site)
            kept.append(seat)
        elif seat.slot is not None and seat.request is not None:
            table.estate.release(seat.request, seat.slot)
    if wish is None:
        # Nobody wishes for the app, so only learning sites can still have it, and they get no document.
        del table.seats[key]
    else:
        table.seats[key] = kept


def _end_pairs(table: Table, key: AppKey, wish: AppWish | None) -> set[tuple[SiteName, drain.Copy]]:
    """Find the copies that stand in for others, and name those that end because the other one of the two stays."""
    over: set[tuple[SiteName, drain.Copy]] = set()
    seats = {(seat.site, copy_of(seat)): seat for seat in table.seats[key] if not seat.assignment.instead_of}
    for seat in table.seats[key]:
        copy, home = copy_of(seat), seat.assignment.instead_of
        if not home or (home, copy) not in seats or wish is None or wish.revision is None:
            continue
        request = table.request(wish.revision, copy[0])
        if request is None:
            continue
        original, replacement = (
            replace.Half(
                view=table.views[site],
                is_up=(site, instance_of(seat)) in table.up(),
                fact=next((fact for fact in table.views[site].instances if fact.instance == instance_of(seat)), None),
            )
            for site in (home, seat.site)
        )
        ending = replace.find_ending(request, original, replacement)
        if ending is None:
            table.paired.setdefault(key, set()).add(copy)
        else:
            over.add((home if ending == "original" else seat.site, copy))
    return over


def _is_wished(
    table: Table, seat: Seat, wish: AppWish | None, taken: set[tuple[ServiceName, int]], used: set[SiteName]
) -> bool:
    if wish is None or wish.revision is None or seat.slot is None:
        return False
    assignment = seat.assignment
    request = table.request(wish.revision, assignment.service)
    if request is None:
        return False
    if is_kept_from_core(request.revision):
        return not find_end(request.revision, assignment.service, assignment.ordinal, seat.slot.record)
    replicas = request.wish.placement.replicas
    if assignment.ordinal >= (replicas.per_site or replicas.total):
        return False
    copy = (assignment.service, assignment.ordinal)
    if not replicas.per_site and copy in taken and copy not in table.paired.get((wish.tenant, wish.app), ()):
        return False
    rules = request.wish.placement.rules
    if rules and 0 < rules.sites_max <= len(used) and seat.site not in used:
        return False
    return reject_wish(request, seat.slot) is None


def settle(table: Table, wish: AppWish) -> None:
    """Give the seats of one app the newest revision, site by site, whole or not at all."""
    key = (wish.tenant, wish.app)
    frozen: dict[SiteName, Refused] = {}
    before = table.seats.get(key, [])
    while True:
        closed = table.learning.union(wish.waiting, frozen)
        movable = [seat for seat in before if seat.site not in closed]
        after, stuck = _try_settle(table, wish, movable, closed)
        if not stuck:
            break
        for seat in after:
            table.vacate(seat)
        for seat in movable:
            table.occupy(seat, present=True)
        frozen |= stuck
    staying = [seat for seat in before if seat.site in closed]
    table.seats[key] = sorted(staying + after, key=seat_order)
    table.frozen[key] = frozen
    table.closed[key] = closed


def _try_settle(
    table: Table, wish: AppWish, movable: list[Seat], closed: frozenset[SiteName]
) -> tuple[list[Seat], dict[SiteName, Refused]]:
    """Release the seats and take them again for the newest revision; name the sites where that is impossible."""
    for seat in movable:
        table.vacate(seat)
    after: list[Seat] = []
    stuck: dict[SiteName, Refused] = {}
    wanted = [(seat, table.request(wish.revision, seat.assignment.service)) for seat in movable if wish.revision]
    # What takes the same room as before keeps it; only then the others look for theirs.
    for seat, request in sorted(wanted, key=lambda each: not _keeps_room(*each)):
        if request is None or seat.slot is None:
            continue
        slot = _find_room(table, request, seat, closed)
        if isinstance(slot, Refused):
            stuck.setdefault(seat.site, slot)
            continue
        assignment = assign(wish, request, seat.assignment.ordinal, slot, seat.assignment.instead_of)
        moved = Seat(assignment, slot.site, slot, request)
        table.occupy(moved, present=slot is seat.slot)
        after.append(moved)
    return after, stuck


def _keeps_room(seat: Seat, request: Request | None) -> bool:
    before = seat.request
    if before is None or request is None:
        return False
    return same_room(before, request) and set(request.secrets) <= set(before.secrets)


def _find_room(table: Table, request: Request, seat: Seat, closed: frozenset[SiteName]) -> Slot | Refused:
    """Return where a seated instance may run the newest revision: where it is, or a node with room."""
    assert seat.slot is not None
    if _keeps_room(seat, request):
        return seat.slot
    rejection = reject_room(request, seat.slot, table.secrets)
    if rejection is None:
        return seat.slot
    rules = request.wish.placement.rules
    if any(mount.kind == "volume" for mount in request.wish.mounts) or (rules and rules.together):
        # Its data or its company is on that node: nothing but the owner's word takes it elsewhere.
        return Refused(service=request.service, site=seat.site, reason=rejection.detail, rejections=(rejection,))
    # What only its tenant may end stays at its site, too.
    stays = request.wish.placement.replicas.per_site or is_kept_from_core(request.revision)
    slots = table.estate.by_site[seat.site] if stays else table.open_slots(closed)
    at = seat.site if stays else None
    found = choose(table.estate, request, seat.assignment.ordinal, slots, table.secrets, at=at)
    if isinstance(found, Refused):
        return Refused(service=request.service, site=seat.site, reason=rejection.detail, rejections=found.rejections)
    slot = table.estate.find(found.site, found.node)
    assert slot is not None
    return slot


def drain_app(table: Table, wish: AppWish) -> None:
    """Move what may move away from sites and nodes that are drained; note why the rest is still there."""
    key = (wish.tenant, wish.app)
    seats = table.seats.get(key, [])
    down = {copy_of(seat) for seat in seats if not wish.held and (seat.site, instance_of(seat)) not in table.up()}
    for place, seat in enumerate(seats):
        if seat.site not in table.drained or seat.site in table.learning:
            continue
        if seat.slot is not None and seat.slot.cordon != "drain":
            continue  # another node of its site is drained
        moved, staying = _try_drain(table, wish, seat, seats, down)
        if staying is not None:
            table.staying.setdefault(key, []).append(staying)
        elif moved is not None:
            seats[place] = moved
            down |= set() if wish.held else {copy_of(moved)}
    seats.sort(key=seat_order)


def _try_drain(
    table: Table, wish: AppWish, seat: Seat, seats: list[Seat], down: set[drain.Copy]
) -> tuple[Seat | None, Staying | None]:
    """Give one seat a place elsewhere, or say why it is still there."""
    key, request, slot = (wish.tenant, wish.app), seat.request, seat.slot
    closed = table.closed.get(key, frozenset())
    same = {copy_of(each) for each in seats if each.assignment.service == seat.assignment.service}
    reason, waits = "what it asks for is not known here", False
    if request is not None and slot is not None:
        reason = drain.find_anchor(request, slot, is_closed=seat.site in closed)
        if not reason and copy_of(seat) not in down:
            reason = drain.find_wait(request.wish.policy, len(same), len(same & down))
            waits = bool(reason)
        if not reason:
            table.vacate(seat)
            ordinal = seat.assignment.ordinal
            # A copy that is wanted at its site may only go to another node there.
            per_site = request.wish.placement.replicas.per_site
            slots = table.estate.by_site[seat.site] if per_site else table.open_slots(closed)
            found = choose(table.estate, request, ordinal, slots, table.secrets)
            if isinstance(found, Placed):
                target = table.estate.find(found.site, found.node)
                assert target is not None
                unit = assign(wish, request, ordinal, target, seat.assignment.instead_of)
                moved = Seat(unit, target.site, target, request)
                table.occupy(moved, present=False)
                table.scores[target.site, instance_of(moved)] = found
                return moved, None
            table.occupy(seat, present=True)
            reason = f"there is no other place: {found.reason}"
    unit = seat.assignment
    return None, Staying(service=unit.service, ordinal=unit.ordinal, site=seat.site, reason=reason, waits=waits)
