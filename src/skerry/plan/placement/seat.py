"""A seat: an instance that has a place, and what is read off it."""

from typing import NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from skerry.model.document import Assignment
from skerry.model.facts import InstanceFact
from skerry.model.ids import AppName, InstanceId, NodeName, ServiceName, SiteName, TenantName
from skerry.plan.placement import drain
from skerry.plan.placement.estate import Slot
from skerry.plan.placement.request import Request
from skerry.plan.snapshot import AppWish


class Seat(NamedTuple):
    """An instance that has a place. ``request`` is None when the core does not have its revision."""

    assignment: Assignment
    site: SiteName
    slot: Slot | None
    request: Request | None


def assignment_of(fact: InstanceFact) -> Assignment:
    """Read an assignment off what a site reports: what it was once told to run."""
    tenant, app, service, ordinal = fact.instance.split("/")
    return Assignment(
        TenantName(tenant), AppName(app), ServiceName(service), int(ordinal), NodeName(fact.node), fact.revision
    )


def assign(
    wish: AppWish, request: Request, ordinal: int, slot: Slot, instead_of: SiteName | UnsetType = UNSET
) -> Assignment:
    """Return the assignment of a service of the newest revision to a slot."""
    unit = Assignment(wish.tenant, wish.app, request.service, ordinal, slot.node, request.digest)
    return msgspec.structs.replace(unit, instead_of=instead_of) if instead_of else unit


def dress(seat: Seat, wish: AppWish, *, paired: bool) -> Assignment:
    """Give the assignment its state and restart counter, also where the site stays at an older revision.

    A copy that stands in for nobody any more is one like any other.
    """
    found = seat.assignment
    restart = wish.restarts.get(ServiceName(""), 0) + wish.restarts.get(found.service, 0)
    state = "hold" if wish.held else "run"
    back = found.back if found.revision != wish.revision else True if seat.site in wish.back else UNSET
    instead_of = found.instead_of if paired else UNSET
    return msgspec.structs.replace(found, state=state, restart=restart, back=back, instead_of=instead_of)


def instance_of(seat: Seat) -> InstanceId:
    """Name the instance that sits there."""
    found = seat.assignment
    return InstanceId(f"{found.tenant}/{found.app}/{found.service}/{found.ordinal}")


def copy_of(seat: Seat) -> drain.Copy:
    """Say which copy of the app it is."""
    return (seat.assignment.service, seat.assignment.ordinal)


def seat_order(seat: Seat) -> tuple[ServiceName, int, int]:
    """Sort by service, ordinal and enrolment of the site."""
    return (seat.assignment.service, seat.assignment.ordinal, -1 if seat.slot is None else seat.slot.order)
