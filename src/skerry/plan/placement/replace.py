"""Copies that stand in for those of a silent site (``replace-after``), and which of the two stays (``on-return``).

Silence is no proof of death, so only a service whose owner says that it bears two copies gets a second one, and never a
third: what stands in for another is not replaced itself. Both stay until the core hears the site of the original again
and the one that is to stay is well; then the other ends. Neighbour: ``stay.py`` lets go of it.
"""

from typing import Literal

from skerry.model.policy import Autonomy, Policy
from skerry.plan.placement.request import Request
from skerry.plan.snapshot import SiteView

#: Which of the two ends.
Ending = Literal["original", "replacement"]


def find_autonomy(request: Request) -> Autonomy:
    """Return what the owner of a service wishes of sites that are cut off."""
    return (request.wish.policy or Policy()).autonomy


def wait_us(request: Request, view: SiteView) -> int | None:
    """Say in how long a copy at ``view`` is replaced, 0 for now; None where it is not, or its site is heard."""
    after_us = find_autonomy(request).replace_after_us
    if not after_us or request.wish.placement.replicas.per_site:
        return None
    if view.learning or not view.silent or view.away_us is None:
        return None
    return max(0, after_us - view.away_us)


def find_ending(
    request: Request, original: SiteView, replacement: SiteView, *, original_up: bool, replacement_up: bool
) -> Ending | None:
    """Say which of a pair ends; None while both stay. ``up``: its site says that the copy is well."""
    if original.away_us is not None or original.silent or original.learning:
        return None
    if find_autonomy(request).on_return == "keep-replacement":
        return "original" if replacement_up and replacement.away_us is None and not replacement.silent else None
    return "replacement" if original_up else None
