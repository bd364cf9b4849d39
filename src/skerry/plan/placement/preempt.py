"""Whose room an instance takes that found none: the fewest and lowest instances of its own tenant, at one node.

Rules of this file: (1) only a lower priority yields, only what its owner calls preemptible and lets the core end; (2) a
copy that is well yields only as far as its service's ``max-down`` allows; (3) a copy with a volume of its own yields
only where it comes back to the same volume; (4) what had to yield takes nobody's room in turn. Neighbour:
``newcomers.py`` asks and moves.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import msgspec

from skerry.model.ids import InstanceId, ServiceName, SiteName, TenantName, instance_id
from skerry.model.policy import Policy, Priority
from skerry.model.withdrawal import is_kept_from_core
from skerry.plan.budget import allow_down
from skerry.plan.placement.choose import ROOM, Secrets, reject_new, reject_room, reject_wish
from skerry.plan.placement.estate import Estate, Slot
from skerry.plan.placement.request import Request
from skerry.plan.report import Placed, Refused

#: Sets of victims that are tried at one node for the smallest; beyond it, what can be spared is put back one by one.
SETS_MAX = 2_000

#: The copies of a service that stand for one another: of one site where each site has its own, else of all.
Sisters = tuple[str, str, ServiceName, SiteName | None]


class Tenure(msgspec.Struct, frozen=True, kw_only=True):
    """An instance that has a place and might yield it."""

    request: Request
    ordinal: int
    slot: Slot
    #: Its site says that it is well.
    is_up: bool

    @property
    def priority(self) -> int:
        """What its owner wishes."""
        return find_priority(self.request).value

    @property
    def sisters(self) -> Sisters:
        """Whose copies it may not be missed with."""
        return find_sisters(self.request, self.slot.site)

    @property
    def instance(self) -> InstanceId:
        """Its id."""
        request = self.request
        return instance_id(request.tenant, request.app, request.service, self.ordinal)

    @property
    def has_data(self) -> bool:
        """Its volume is at its site."""
        return any(mount.kind == "volume" for mount in self.request.wish.mounts)


class Yielding(msgspec.Struct, frozen=True):
    """Who yields at a slot; ``cost`` is lower for better: highest priority, count, how many with data, sum, order."""

    slot: Slot
    victims: tuple[Tenure, ...]
    cost: tuple[int, ...]


def find_sisters(request: Request, site: SiteName) -> Sisters:
    """Name the copies that stand for one another."""
    at = site if request.wish.placement.replicas.per_site else None
    return (request.tenant, request.app, request.service, at)


def find_priority(request: Request) -> Priority:
    """Return the priority of a service's instances."""
    return (request.wish.policy or Policy()).priority


def may_yield(tenure: Tenure, to: Request) -> bool:
    """Say whether an instance yields to one of ``to`` at all, whatever that helps."""
    request, mine = tenure.request, find_priority(tenure.request)
    if request.tenant != to.tenant or not mine.preemptible or mine.value >= find_priority(to).value:
        return False
    if is_kept_from_core(request.revision):
        return False
    # A counted copy would begin elsewhere with an empty volume.
    return bool(request.wish.placement.replicas.per_site) or not tenure.has_data


class Yielders:
    """Everything that might yield in one run. What it takes the room of is released; its caller takes the seat away."""

    def __init__(self, estate: Estate, secrets: Secrets, tenures: Iterable[Tenure], missing: Iterable[Sisters]) -> None:
        self._estate = estate
        self._secrets = secrets
        self._here: dict[int, list[Tenure]] = {}
        #: How many copies are missing already, and the lowest priority of each tenant that might yield.
        self._down: Counter[Sisters] = Counter(missing)
        self._lowest: dict[TenantName, int] = {}
        for each in tenures:
            self._down[each.sisters] += not each.is_up
            if find_priority(each.request).preemptible:
                self._here.setdefault(each.slot.order, []).append(each)
                tenant = each.request.tenant
                self._lowest[tenant] = min(each.priority, self._lowest.get(tenant, each.priority))

    def make_room(
        self, request: Request, slots: Sequence[Slot], choose: Callable[[], Placed | Refused]
    ) -> tuple[Placed, tuple[Tenure, ...]] | None:
        """Release the room of who yields to an instance that found none; None when that helps nowhere.

        ``choose`` tries again, over all places: room is not all that a wish demands.
        """
        value = find_priority(request).value
        if self._lowest.get(request.tenant, value) >= value:
            return None
        options = (self._find_at(request, slot) for slot in slots if slot.order in self._here)
        for option in sorted(filter(None, options), key=lambda each: each.cost):
            for each in option.victims:
                self._estate.release(each.request, option.slot)
            found = choose()
            if isinstance(found, Placed):
                self._here[option.slot.order] = [
                    each for each in self._here[option.slot.order] if each not in option.victims
                ]
                self._down.update(each.sisters for each in option.victims if each.is_up)
                return found, option.victims
            for each in option.victims:
                self._estate.commit(each.request, option.slot, present=True)
        return None

    def _find_at(self, request: Request, slot: Slot) -> Yielding | None:
        if slot.silent or reject_wish(request, slot) or reject_new(slot):
            return None
        rejection = reject_room(request, slot, self._secrets)
        if rejection is None or rejection.constraint not in ROOM:
            return None

        def try_without(gone: Sequence[Tenure]) -> bool:
            for each in gone:
                self._estate.release(each.request, slot)
            fits = reject_room(request, slot, self._secrets) is None
            for each in gone:
                self._estate.commit(each.request, slot, present=True)
            return fits

        return find_yielding(request, slot, self._here[slot.order], self._down, try_without)


def find_yielding(
    request: Request,
    slot: Slot,
    tenures: Sequence[Tenure],
    down: Counter[Sisters],
    try_without: Callable[[Sequence[Tenure]], bool],
) -> Yielding | None:
    """Return who yields at ``slot``, None when that makes no room.

    ``tenures`` are the instances there, ``down`` how many copies are missing already, and ``try_without`` says whether
    there is room once some are gone.
    """
    able = sorted((each for each in tenures if may_yield(each, request)), key=_rank)
    if not able or not try_without(able):
        return None
    # The lowest priority up to which there is enough, and then as few as possible.
    levels = sorted({each.priority for each in able})
    for level in levels:
        among = [each for each in able if each.priority <= level]
        if try_without(among):
            chosen = _choose_few(among, down, try_without)
            if chosen is not None:
                return Yielding(slot, chosen, _cost(chosen, slot))
    return None


def _choose_few(
    among: Sequence[Tenure], down: Counter[Sisters], try_without: Callable[[Sequence[Tenure]], bool]
) -> tuple[Tenure, ...] | None:
    tried = 0
    for count in range(1, len(among) + 1):
        fitting: list[tuple[Tenure, ...]] = []
        for some in itertools.combinations(among, count):
            tried += 1
            if tried > SETS_MAX:
                return _spare(among, down, try_without)
            if _heeds_budgets(some, down) and try_without(some):
                fitting.append(some)
        if fitting:
            return min(fitting, key=lambda some: _cost(some, None))
    return None


def _spare(
    among: Sequence[Tenure], down: Counter[Sisters], try_without: Callable[[Sequence[Tenure]], bool]
) -> tuple[Tenure, ...] | None:
    """Begin with all and put back what can be spared: the highest first, and what helps least of those."""
    left = list(among)
    for each in sorted(among, key=lambda one: (-one.priority, not one.has_data, one.request.memory_bytes, _rank(one))):
        fewer = [one for one in left if one is not each]
        if try_without(fewer):
            left = fewer
    return tuple(left) if _heeds_budgets(left, down) else None


def _heeds_budgets(victims: Iterable[Tenure], down: Counter[Sisters]) -> bool:
    """Say whether every service keeps as many of its copies as its owner wishes."""
    more: Counter[Sisters] = Counter()
    requests: dict[Sisters, Request] = {}
    for each in victims:
        requests[each.sisters] = each.request
        more[each.sisters] += each.is_up
    for sisters, count in more.items():
        request = requests[sisters]
        replicas = request.wish.placement.replicas
        allowed = allow_down(request.wish.policy, replicas.per_site or replicas.total)
        if count and down[sisters] + count > allowed:
            return False
    return True


def _cost(victims: Sequence[Tenure], slot: Slot | None) -> tuple[int, ...]:
    priorities = [each.priority for each in victims]
    data = sum(each.has_data for each in victims)
    return (max(priorities), len(victims), data, sum(priorities), 0 if slot is None else slot.order)


def _rank(each: Tenure) -> tuple[int, bool, str, str, int]:
    return (each.priority, each.has_data, each.request.app, each.request.service, each.ordinal)
