"""What the placements of an app's services say of each other, seen once all of them are read.

Who is kept together with one is kept together with all that it is kept together with. Neighbour: ``rules.py`` reads
what each service says by itself.
"""

import msgspec

from skerry.manifest.nodes import Place
from skerry.manifest.reading import Reading
from skerry.manifest.service import ReadService
from skerry.manifest.wishes import Wishes
from skerry.model.ids import ServiceName
from skerry.model.placing import PlacementRules, Together

#: Kept apart by one of these, services cannot be together at the other.
_CLASHES = {("node", "node"), ("site", "node"), ("region", "node"), ("site", "site"), ("region", "site")}


def settle_company(reading: Reading, read: list[ReadService], wishes: Wishes) -> list[ReadService]:
    """Return the services with all of their company; words that contradict each other are in the findings."""
    rules = {one.name: one.service.placement.rules or PlacementRules() for one in read}
    groups = {by: _join_groups(rules, by) for by in ("node", "site")}
    settled: list[ReadService] = []
    for one in read:
        place = _find_placement(one, wishes)
        _check_tiers(reading, one, read, wishes)
        _check_waves(reading, one, place, wishes)
        together = tuple(
            Together(by=by, services=tuple(sorted(names)))  # type: ignore[arg-type]
            for by, found in groups.items()
            if (names := found[one.name])
        )
        _check_company(reading, one, place, together, read)
        found = msgspec.structs.replace(rules[one.name], together=together)
        placement = msgspec.structs.replace(
            one.service.placement, rules=found if found != PlacementRules() else msgspec.UNSET
        )
        service = msgspec.structs.replace(one.service, placement=placement)
        settled.append(msgspec.structs.replace(one, service=service))
    _check_circles(reading, settled, wishes)
    return settled


def _join_groups(rules: dict[ServiceName, PlacementRules], by: str) -> dict[ServiceName, set[str]]:
    """Return for each service everything that it is kept together with, itself left out."""
    found: dict[ServiceName, set[str]] = {name: {name} for name in rules}
    for name, words in rules.items():
        for tie in words.together:
            if tie.by != by:
                continue
            joined = set(found[name]).union(*(found.get(ServiceName(other), {other}) for other in tie.services))
            for each in joined:
                if each in found:
                    found[ServiceName(each)] = joined
    return {name: names - {name} for name, names in found.items()}


def _find_placement(one: ReadService, wishes: Wishes) -> Place:
    """Return where a complaint about a service's placement belongs."""
    own = wishes.services.get(one.place.name, {})
    return own.get("placement") or wishes.top.get("placement") or one.place


def _find_tier(name: str, wishes: Wishes) -> str:
    place = wishes.services.get(name, {}).get("tier")
    return "" if place is None else str(place.value)


def _check_tiers(reading: Reading, one: ReadService, read: list[ReadService], wishes: Wishes) -> None:
    names = {each.name: each.place.name for each in read}
    tier = _find_tier(one.place.name, wishes)
    for dependency in one.dependencies:
        other = _find_tier(names[dependency.service], wishes)
        if other != tier:
            detail = f"{names[dependency.service]} is in another tier, and a service waits for those at its own site"
            reading.findings.refuse(dependency.place, detail)


def _check_waves(reading: Reading, one: ReadService, place: Place, wishes: Wishes) -> None:
    placement = one.service.placement
    rules = placement.rules
    if not rules or not placement.replicas.per_site or "rollout" not in wishes.top:
        return
    if rules.sites_max or rules.nearest is not None:
        reading.findings.not_yet(place, "a rollout in waves over the nearest sites, or at most some,")


def _check_company(
    reading: Reading, one: ReadService, place: Place, together: tuple[Together, ...], read: list[ReadService]
) -> None:
    rules = one.service.placement.rules or PlacementRules()
    names = {each.name: each for each in read}
    for tie in together:
        for name in tie.services:
            other = names.get(ServiceName(name))
            if any((words.by, tie.by) in _CLASHES and name in words.services for words in rules.apart):
                detail = f"it is kept at one {tie.by} with {name}, and apart from it"
                reading.findings.complain(place, "E-CONFLICT", detail, at_key=True)
            if other is not None and bool(other.service.placement.replicas.per_site) != bool(
                one.service.placement.replicas.per_site
            ):
                detail = f"it is kept together with {other.place.name}: both have copies per site, or both in total"
                reading.findings.complain(place, "E-CONFLICT", detail, at_key=True)


def _check_circles(reading: Reading, read: list[ReadService], wishes: Wishes) -> None:
    """Services are placed after those that they are near, so none may be near itself, by whatever way."""
    near = {one.name: _list_near(one) for one in read}
    for one in read:
        seen: set[str] = set()
        left = list(near[one.name])
        while left:
            name = left.pop()
            if name not in seen:
                seen.add(name)
                left += near.get(ServiceName(name), [])
        if one.name in seen:
            detail = f"{one.place.name} would be placed near itself"
            reading.findings.complain(_find_placement(one, wishes), "E-CONFLICT", detail, at_key=True)


def _list_near(one: ReadService) -> list[str]:
    rules = one.service.placement.rules
    if not rules:
        return []
    found = [wish.name for wish in rules.latency if wish.to == "service"]
    return found + ([] if rules.nearest is None else [rules.nearest.service])
