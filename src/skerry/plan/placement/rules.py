"""The further words of placement, judged for newcomers: company and distance, price, round trips, number of sites.

One ``Judge`` serves one call of ``choose``. It keeps newcomers out and adds to their score; what is seated stays
(model/placing.py). ``apart`` binds both sides: what is here and forbids the newcomer counts as much as what the
newcomer forbids. Neighbour: ``choose.py`` judges wishes and room.
"""

from collections.abc import Callable, Iterable

from skerry.model import selector
from skerry.model.app import AppRevision
from skerry.model.ids import ServiceName
from skerry.model.placing import Latency, PlacementRules, Together
from skerry.plan.placement.estate import Estate, Group, Slot, domain_of, group_of
from skerry.plan.placement.latency import UNKNOWN_US, find_rtt
from skerry.plan.placement.request import Request
from skerry.plan.placement.users import Audience
from skerry.plan.report import Rejection

#: Points of score: of 0.001 of the operator's unit for an hour, of a millisecond, of a label that is missing, and of a
#: millisecond where the nearest sites are meant, which a tenth of a copy elsewhere outweighs.
_MILLISECOND_US = 1_000
_LABEL_PENALTY = 100
_NEAREST_PENALTY = 1_000

Admit = Callable[[Request, Slot], Rejection | None]


def order_services(revision: AppRevision) -> list[ServiceName]:
    """Return the services in the order of their names, but each after those that it wants to be near."""
    left, ordered = sorted(revision.services), list[ServiceName]()
    targets = {name: _targets(revision, name) - {name} for name in left}
    if not any(targets.values()):
        return left
    while left:
        ready = next((name for name in left if targets[name].isdisjoint(left)), left[0])
        left.remove(ready)
        ordered.append(ready)
    return ordered


def _targets(revision: AppRevision, name: ServiceName) -> set[ServiceName]:
    rules = revision.services[name].placement.rules
    if not rules:
        return set()
    found = {ServiceName(wish.name) for wish in rules.latency if wish.to == "service"}
    return found | ({ServiceName(rules.nearest.service)} if rules.nearest is not None else set())


class Judge:
    """What the further words say of each slot for one newcomer; ``admit`` judges another request's wish and room."""

    def __init__(self, estate: Estate, request: Request, admit: Admit) -> None:
        self._estate = estate
        self._request = request
        self._admit = admit
        self._rules = request.wish.placement.rules or PlacementRules()
        self._audiences: dict[Latency, Audience] = {}

    def reject(self, slot: Slot) -> Rejection | None:
        """Return the first of the words that the slot does not fulfil."""
        for constraint, detail in self._complain(slot):
            if detail:
                return Rejection(site=slot.site, node=slot.node, constraint=constraint, detail=detail)
        return None

    def score(self, slot: Slot) -> int:
        """Return what the preferences add to a slot's score."""
        rules = self._rules
        score = 0
        for wish in rules.latency:
            if wish.to == "users":
                score += self._find_audience(wish).score(slot)
            if wish.weight and rules.prefer.latency:
                score += wish.weight * rules.prefer.latency * (self._rtt_us(wish, slot) // _MILLISECOND_US)
        if rules.nearest is not None:
            score += _NEAREST_PENALTY * self.rank(slot) // _MILLISECOND_US
        for wanted, weight in self._request.preferred:
            if selector.first_unmet(wanted, slot.labels) is not None:
                score += _LABEL_PENALTY * weight
        return score

    def rank(self, slot: Slot) -> int:
        """Return how far a slot is from the service that it should be near, in microseconds; 0 without such a word."""
        nearest = self._rules.nearest
        return 0 if nearest is None else self._rtt_us(Latency(to="service", name=nearest.service), slot)

    def _complain(self, slot: Slot) -> Iterable[tuple[str, str]]:
        yield "sites", self._judge_sites(slot)
        yield "price", self._judge_price(slot)
        yield "apart", self._judge_apart(slot)
        for tie in self._rules.together:
            yield f"same-{tie.by}", self._judge_together(tie, slot)
        if self._rules.nearest is not None:
            near = Latency(to="service", name=self._rules.nearest.service, max_rtt_us=self._rules.nearest.max_rtt_us)
            yield "nearest", self._judge_latency(near, slot, is_placed=True)
        for wish in self._rules.latency:
            if wish.max_rtt_us:
                yield "latency", self._judge_latency(wish, slot)

    def _judge_sites(self, slot: Slot) -> str:
        most = self._rules.sites_max
        if not most:
            return ""
        used = [site for site, count in self._estate.tally(self._request.group, "site").items() if count > 0]
        if len(used) < most or slot.site in used:
            return ""
        return f"it is at {len(used)} sites already, sites.max is {most}"

    def _judge_price(self, slot: Slot) -> str:
        most = self._rules.max_price_micro
        if most is None:
            return ""
        if slot.price_micro is None:
            return f"needs a price of at most {_unit(most)}, {slot.site} has no label price"
        short = f"needs a price of at most {_unit(most)}, {slot.site} costs {_unit(slot.price_micro)}"
        return short if slot.price_micro > most else ""

    def _judge_apart(self, slot: Slot) -> str:
        for words in self._rules.apart:
            domain = domain_of(slot, words.by)
            if not domain:
                return f"is kept apart by {words.by}, and {slot.site} names none"
            for name in words.services:
                if self._estate.tally(self._group(name), words.by)[domain] > 0:
                    return f"is kept apart from {name}, which is at {words.by} {domain}"
        other = self._estate.find_shunning(self._request.group, slot)
        return "" if other is None else f"{other[1]}/{other[2]} is here and is kept apart from it"

    def _judge_together(self, tie: Together, slot: Slot) -> str:
        for name in tie.services:
            group = self._group(name)
            if "/" in name and self._estate.tally(group, tie.by)[domain_of(slot, tie.by)] <= 0:
                return f"is kept with {name}, which is not at {tie.by} {domain_of(slot, tie.by)}"
        partners = [ServiceName(name) for name in tie.services if "/" not in name]
        if not partners:
            return ""
        members = (self._request.service, *partners)
        services = self._request.revision.services
        counts = [services[name].placement.replicas for name in members]
        limit = min(each.per_site or each.total for each in counts)
        opened, lacking = self._find_company(tie, members, slot)
        here, company = domain_of(slot, tie.by), " and ".join(partners)
        if lacking:
            return "" if here in lacking else f"is kept with {company}, which are at {tie.by} {_some(lacking)}"
        if here in opened:
            return ""
        if len(opened) >= limit:
            return f"is kept with {company}, which are at {tie.by} {_some(opened)}"
        return self._find_misfit(tie, partners, slot)

    def _find_company(
        self, tie: Together, members: tuple[ServiceName, ...], slot: Slot
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Return the domains where any member is, and those of them that have no copy of the newcomer's service."""
        tallies = {name: self._estate.tally(self._group(name), tie.by) for name in members}
        if self._request.wish.placement.replicas.per_site:
            domains: Iterable[str] = {domain_of(each, tie.by) for each in self._estate.by_site[slot.site]}
        else:
            domains = {domain for tally in tallies.values() for domain in tally}
        opened = frozenset(each for each in domains if any(tally[each] > 0 for tally in tallies.values()))
        return opened, frozenset(each for each in opened if tallies[self._request.service][each] <= 0)

    def _find_misfit(self, tie: Together, partners: list[ServiceName], slot: Slot) -> str:
        """Say which partner has no room beside the first of a group; empty when all seem to fit."""
        requests = [self._estate.partner(self._request, name) for name in partners]
        slots = [slot] if tie.by == "node" else self._estate.by_site[slot.site]
        for each in requests:
            misfits = [self._admit(each, candidate) for candidate in slots]
            if all(misfit is not None for misfit in misfits):
                first = misfits[0]
                assert first is not None
                return f"is kept with {each.service}, which cannot be there: {first.detail}"
        rates = [each.bandwidth for each in (self._request, *requests)]
        lack = slot.uplinks.find_lack(sum(each.up_bps for each in rates), sum(each.down_bps for each in rates))
        if lack:
            return f"together with {' and '.join(partners)} it {lack} of the uplinks of {slot.site}"
        if tie.by == "node":
            cpu_m = sum(each.cpu_m for each in (self._request, *requests))
            memory = sum(each.memory_bytes for each in (self._request, *requests))
            if slot.cpu_m is not None and slot.cpu_used_m + cpu_m > slot.cpu_m:
                return f"needs {cpu_m}m together with {' and '.join(partners)}, has {slot.cpu_m - slot.cpu_used_m}m"
            if slot.memory_bytes is not None and slot.memory_used_bytes + memory > slot.memory_bytes:
                return f"needs {memory} bytes of memory together with {' and '.join(partners)}, which are not free"
        return ""

    def _judge_latency(self, wish: Latency, slot: Slot, *, is_placed: bool = False) -> str:
        if wish.to == "users":
            return self._find_audience(wish).reject(slot)
        found = find_rtt(wish, slot, self._estate, self._group(wish.name))
        target = f"{wish.to} {wish.name}".rstrip() if wish.to != "place" else "the place"
        if found.us is None:
            needs = f"needs {_ms(wish.max_rtt_us)} to {target}, " if wish.max_rtt_us else f"is kept near {target}, "
            # Without a bound, a place that nobody knows the distance of is only the worst one.
            is_known = is_placed and not wish.max_rtt_us and self._has_place(wish)
            return "" if is_known else needs + found.source
        short = f"needs {_ms(wish.max_rtt_us)} to {target}, has {_ms(found.us)} {found.source}"
        return short if wish.max_rtt_us and found.us > wish.max_rtt_us else ""

    def _has_place(self, wish: Latency) -> bool:
        return any(count > 0 for count in self._estate.tally(self._group(wish.name), "site").values())

    def _rtt_us(self, wish: Latency, slot: Slot) -> int:
        if wish.to == "users":
            found = self._find_audience(wish).rtt(slot).us
        else:
            found = find_rtt(wish, slot, self._estate, self._group(wish.name)).us
        return UNKNOWN_US if found is None else found

    def _find_audience(self, wish: Latency) -> Audience:
        """Return the users of a wish as they are for this newcomer; copies that there are do not change meanwhile."""
        found = self._audiences.get(wish)
        if found is None:
            replicas = self._request.wish.placement.replicas
            found = self._audiences[wish] = Audience(wish, replicas, self._request.group, self._estate)
        return found

    def _group(self, name: str) -> Group:
        return group_of(self._request, name)


def _ms(us: int) -> str:
    return f"{us / 1000:.1f} ms"


def _unit(micro: int) -> str:
    return f"{micro / 1_000_000:g}"


def _some(domains: frozenset[str]) -> str:
    names = sorted(domains)
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
