"""Seating all instances: what has a place keeps it, then newcomers are placed.

Four passes over all apps, in the order of their names: (1) instances whose wish ended leave; (2) instances that stay
take up the newest revision, move if the new one does not fit, or else hold their site at the revision it has, all
services of the app together, because a site takes an app's revision whole or not at all; (3) instances leave sites
that are drained, as ``drain.py`` allows; (4) newcomers choose, services of the highest priority first, and where one
finds no room, others yield as ``preempt.py`` says.
"""

from skerry.model.document import Assignment
from skerry.model.ids import SiteName
from skerry.plan.placement.newcomers import order_newcomers, place
from skerry.plan.placement.seat import copy_of, dress, instance_of, seat_order
from skerry.plan.placement.stay import dismiss, drain_app, settle
from skerry.plan.placement.table import Table
from skerry.plan.report import AppReport, Placed
from skerry.plan.snapshot import AppWish


def seat_all(table: Table) -> tuple[dict[SiteName, list[Assignment]], tuple[AppReport, ...]]:
    """Seat everything; return the assignments of each site and a report for each app."""
    wishes = sorted(table.snapshot.apps, key=lambda wish: (wish.tenant, wish.app))
    known = {(wish.tenant, wish.app): wish for wish in wishes}
    for key in sorted(table.seats):
        dismiss(table, key, known.get(key))
    for wish in wishes:
        settle(table, wish)
    for wish in wishes if table.drained else ():
        drain_app(table, wish)
    for wish, request in order_newcomers(table, wishes):
        place(table, wish, request)
    seated: dict[SiteName, list[Assignment]] = {}
    for key in sorted(table.seats):
        for seat in table.seats[key]:
            paired = copy_of(seat) in table.paired.get(key, ())
            seated.setdefault(seat.site, []).append(dress(seat, known[key], paired=paired))
    return seated, tuple(_report(table, wish) for wish in wishes)


def _report(table: Table, wish: AppWish) -> AppReport:
    key = (wish.tenant, wish.app)
    placed = [
        table.scores.get((seat.site, instance_of(seat)))
        or Placed(
            service=seat.assignment.service,
            ordinal=seat.assignment.ordinal,
            site=seat.site,
            node=seat.assignment.node,
            kept=True,
        )
        for seat in sorted(table.seats.get(key, []), key=seat_order)
    ]
    waiting = tuple(table.frozen.get(key, {}).values())
    return AppReport(
        tenant=wish.tenant,
        app=wish.app,
        number=wish.number,
        placed=tuple(placed),
        refused=waiting + tuple(table.refused.get(key, ())),
        waiting=wish.waiting,
        staying=tuple(table.staying.get(key, ())),
        preempted=table.list_preempted(wish),
    )
