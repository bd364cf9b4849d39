"""What a manifest names instead of writing it out, put into the form that is signed: areas and groups of users.

The ground and the points themselves are signed, with the name beside them for people. So a core that keeps the
definitions can move no fence: sites judge by what their app's owner signed. Neighbour: ``canonical.py``.
"""

from collections.abc import Mapping

import msgspec

from skerry.manifest.values import Content, DefinitionUse, Manifest
from skerry.model.app import AppRevision, Service
from skerry.model.errors import Problem
from skerry.model.geography import NamedArea, Region, UserPoint, list_areas
from skerry.model.ids import ServiceName
from skerry.model.placing import Latency, PlacementRules
from skerry.model.signed import Area, Definition, DefinitionKind

#: What each kind is called in a sentence, and the noun of its commands.
NOUNS: dict[DefinitionKind, tuple[str, str]] = {
    "area": ("area", "area"),
    "user-group": ("group of users", "user-group"),
}


class Known(msgspec.Struct, frozen=True):
    """One version of a definition; number 0 is one that nobody recorded."""

    number: int
    content: Content


#: By kind and name.
Definitions = Mapping[tuple[DefinitionKind, str], Known]


def list_wanted(manifest: Manifest) -> tuple[tuple[DefinitionKind, str], ...]:
    """Return what a manifest names, each once and in order."""
    return tuple(sorted({(use.kind, use.name) for use in manifest.uses}))


def read_content(payload: Definition) -> Content:
    """Return what a signed definition says."""
    return payload.region if isinstance(payload, Area) else payload.points


def find_missing(manifest: Manifest, definitions: Definitions) -> tuple[Problem, ...]:
    """Return a located problem for each use of what is not there."""
    return tuple(_tell(use) for use in manifest.uses if (use.kind, use.name) not in definitions)


def fill_services(services: Mapping[ServiceName, Service], definitions: Definitions) -> dict[ServiceName, Service]:
    """Return the services with what they name put in; what is not there stays empty, and no signer signs that."""
    return {name: _fill(service, definitions) for name, service in services.items()}


def list_signed(revision: AppRevision) -> dict[tuple[DefinitionKind, str], Known]:
    """Return the definitions that a revision carries, as they were when it was signed."""
    found: dict[tuple[DefinitionKind, str], Known] = {}
    for service in revision.services.values():
        rules = service.placement.rules
        if not rules:
            continue
        for region in (*rules.geofence, *(words.region for words in rules.residency)):
            for area in list_areas(region):
                found["area", area.name] = Known(area.number, area.region)
        for wish in rules.latency:
            if wish.to == "users":
                found["user-group", wish.name] = Known(wish.number, wish.points)
    return found


def list_changed(before: AppRevision, after: AppRevision) -> tuple[str, ...]:
    """Say in sentences which definitions have changed between two revisions of an app."""
    old, new = list_signed(before), list_signed(after)
    return tuple(
        f"{NOUNS[kind][0]} {name} has changed since revision {before.number} was signed"
        f" (version {old[kind, name].number}, now {new[kind, name].number}): applying takes the new one"
        for kind, name in sorted(old.keys() & new.keys())
        if old[kind, name].content != new[kind, name].content
    )


def _tell(use: DefinitionUse) -> Problem:
    what, noun = NOUNS[use.kind]
    return Problem(
        code="E-REFERENCE",
        detail=f"there is no {what} {use.name}",
        pointer=use.pointer,
        file=use.file,
        line=use.line,
        column=use.column,
        hint=f"skerry {noun} list; skerry apply -f FILE makes one",
    )


def _fill(service: Service, definitions: Definitions) -> Service:
    rules = service.placement.rules
    if not rules:
        return service
    filled = msgspec.structs.replace(
        rules,
        geofence=tuple(_fill_region(region, definitions) for region in rules.geofence),
        residency=tuple(
            msgspec.structs.replace(words, region=_fill_region(words.region, definitions)) for words in rules.residency
        ),
        latency=tuple(_fill_latency(wish, definitions) for wish in rules.latency),
    )
    if filled == rules:
        return service
    return _replace_rules(service, filled)


def _replace_rules(service: Service, rules: PlacementRules) -> Service:
    placement = msgspec.structs.replace(service.placement, rules=rules)
    return msgspec.structs.replace(service, placement=placement)


def _fill_region(region: Region, definitions: Definitions) -> Region:
    return msgspec.structs.replace(
        region,
        areas=tuple(_fill_area(area, definitions) for area in region.areas),
        outside=None if region.outside is None else _fill_region(region.outside, definitions),
    )


def _fill_area(area: NamedArea, definitions: Definitions) -> NamedArea:
    known = definitions.get(("area", area.name))
    if known is None or not isinstance(known.content, Region):
        return area
    return NamedArea(name=area.name, number=known.number, region=known.content)


def _fill_latency(wish: Latency, definitions: Definitions) -> Latency:
    known = definitions.get(("user-group", wish.name)) if wish.to == "users" else None
    points: tuple[UserPoint, ...] = ()
    if known is None or isinstance(known.content, Region):
        return wish
    points = known.content
    return msgspec.structs.replace(wish, points=points, number=known.number)
