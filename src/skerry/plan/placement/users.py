"""Round trips to a group of users: how far they are from their nearest copy if there were one more at a candidate.

Each point of the group counts with the estimated round trip to the nearest copy, and of all of them the weighted
quantile is taken: the smallest round trip that at least that part of the users have or undercut. It is the inverse of
the empirical distribution (Hyndman and Fan, "Sample Quantiles in Statistical Packages", 1996, definition 1) with
weights in place of counts, in integers, so it is one of the round trips and depends on no order.

Copies counted in all share the users: the last must make the bound hold, and each before it must bring somebody new
within it. Copies per site stand for themselves. Neighbours: ``latency.py`` estimates, ``rules.py`` asks.
"""

from collections.abc import Sequence

from skerry.model.app import Replicas
from skerry.model.geography import Point, unit_vector
from skerry.model.ids import SiteName
from skerry.model.placing import Latency
from skerry.plan.placement.estate import Estate, Group, Slot
from skerry.plan.placement.latency import Rtt, list_rtts

#: Points of score for each thousandth of the users that is missing within the bound: a tenth of a copy elsewhere, so
#: that copies which cannot do it alone are spread over the users before anything else.
_MISSING_PENALTY = 1_000
_PERMILLE = 1_000


class Audience:
    """The users of one wish, for one newcomer."""

    def __init__(self, wish: Latency, replicas: Replicas, group: Group, estate: Estate) -> None:
        self._wish = wish
        self._estate = estate
        self._weights = [weight for _, _, weight in wish.points]
        self._total = sum(self._weights)
        self._known = estate.user_rtts.setdefault(wish.points, {})
        points = (Point(latitude_udeg=y, longitude_udeg=x) for x, y, _ in wish.points)
        self._vectors = list(map(unit_vector, points))
        # The only copy is judged alone, also when it is to stand in for one at a silent site.
        placed = estate.tally(group, "site").items() if replicas.total > 1 else ()
        copies: dict[SiteName, int] = {SiteName(site): count for site, count in placed if count > 0}
        #: Copies that are still to come after this one.
        self._rest = max(0, replicas.total - sum(copies.values()) - 1)
        known = [rtts for site in sorted(copies) if isinstance(rtts := self._list(site), tuple)]
        #: Round trips to the nearest copy that there is; None without one.
        self._before: tuple[int, ...] | None = (
            tuple(map(min, *known)) if len(known) > 1 else known[0] if known else None
        )
        self._open = self._list_open()

    def reject(self, slot: Slot) -> str:
        """Say why a copy at the slot does not fulfil the bound; empty when it does."""
        rtts = self._list(slot.site)
        part = f"{self._wish.quantile_permille / 10:g}% of users {self._wish.name}"
        needs = f"needs {_ms(self._wish.max_rtt_us)} for {part}"
        if isinstance(rtts, str):
            return f"{needs}, {rtts}"
        gained = self._gain(rtts)
        if self._is_enough(gained) or (self._rest and gained):
            return ""
        if self._rest:
            return f"{needs}, and a copy here brings none of those within it who are missing"
        with_others = "" if self._before is None else " with the copies that there are"
        return f"{needs}, has {_ms(self._quantile(rtts))} estimated{with_others}"

    def rtt(self, slot: Slot) -> Rtt:
        """Return the weighted quantile with a copy at the slot."""
        rtts = self._list(slot.site)
        return Rtt(None, rtts) if isinstance(rtts, str) else Rtt(self._quantile(rtts), "estimated")

    def score(self, slot: Slot) -> int:
        """Return what is missing of the users within the bound, in points; 0 without a bound."""
        if not self._wish.max_rtt_us:
            return 0
        rtts = self._list(slot.site)
        covered = 0 if isinstance(rtts, str) else self._covered + self._gain(rtts)
        return _MISSING_PENALTY * max(0, self._wish.quantile_permille - _PERMILLE * covered // self._total)

    def _list(self, site: SiteName) -> tuple[int, ...] | str:
        """Return the round trips of a site to all points, or why nobody knows them."""
        found = self._known.get(site)
        if found is not None:
            return found
        view = self._estate.views.get(site)
        rtts = f"{site} is gone" if view is None else list_rtts(self._vectors, view)
        if isinstance(rtts, tuple):
            self._known[site] = rtts
        return rtts

    def _list_open(self) -> list[tuple[int, int]]:
        """Return place and weight of the points that no copy has within the bound, and count the others."""
        before, bound = self._before, self._wish.max_rtt_us
        far = [before is None or before[place] > bound for place in range(len(self._weights))]
        self._covered = sum(weight for weight, is_far in zip(self._weights, far, strict=True) if not is_far)
        return [(place, weight) for place, weight in enumerate(self._weights) if far[place]]

    def _gain(self, rtts: Sequence[int]) -> int:
        bound = self._wish.max_rtt_us
        return sum(weight for place, weight in self._open if rtts[place] <= bound)

    def _is_enough(self, gained: int) -> bool:
        return (self._covered + gained) * _PERMILLE >= self._wish.quantile_permille * self._total

    def _quantile(self, rtts: tuple[int, ...]) -> int:
        nearest = rtts if self._before is None else tuple(map(min, rtts, self._before))
        return find_quantile(nearest, self._weights, self._wish.quantile_permille)


def find_quantile(values: Sequence[int], weights: Sequence[int], permille: int) -> int:
    """Return the smallest value that at least ``permille`` thousandths of the weight have or undercut."""
    total, below = sum(weights), 0
    for value, weight in sorted(zip(values, weights, strict=True)):
        below += weight
        if below * _PERMILLE >= permille * total:
            return value
    raise ValueError("no part of nothing")


def _ms(us: int) -> str:
    return f"{us / 1000:.1f} ms"
