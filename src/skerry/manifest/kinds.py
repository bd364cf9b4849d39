"""Documents of kinds: areas and groups of users as a tenant would sign them, in micro-degrees and metres.

Neighbours: ``words_kinds.py`` has their words, ``regions.py`` reads ground, ``stream.py`` sorts documents.
"""

from collections.abc import Mapping as Variables

from skerry.manifest.findings import Findings
from skerry.manifest.interpolate import interpolate
from skerry.manifest.nodes import Place, describe_node
from skerry.manifest.reading import Reading
from skerry.manifest.regions import read_point, read_region
from skerry.manifest.suggest import describe_unknown
from skerry.manifest.values import Content, Defined, read_nothing
from skerry.manifest.word_types import check_words
from skerry.manifest.words import find_homes
from skerry.manifest.words_kinds import API_VERSION, KINDS, words_of
from skerry.model.geography import Region, UserPoint
from skerry.model.limits import USER_POINTS_MAX, USER_WEIGHT_MAX


def read_kind(place: Place, variables: Variables[str, str], findings: Findings) -> Defined | None:
    """Read one document of a kind; None after a complaint. ``place`` is its top, where ``apiVersion`` stands."""
    place = interpolate(place, variables, findings)
    version, kind = place.find("apiVersion"), place.find("kind")
    if version is not None and version.value != API_VERSION:
        detail = f"{describe_node(version.node)} is not known. Write {API_VERSION}"
        findings.complain(version, "E-TYPE", detail)
    if kind is None or kind.value is None:
        findings.complain(place, "E-TYPE", '"kind" must be given at the top', at_key=True)
        return None
    words = KINDS.get(str(kind.value))
    if words is None:
        detail = describe_unknown(str(kind.value)[:80], KINDS).replace("unknown word", "unknown kind")
        findings.complain(kind, "E-UNKNOWN-WORD", detail)
        return None
    if words.signed is None:
        findings.not_yet(kind, f"a document of kind {kind.value}", hint=words.hint)
        return None
    check_words(place, words_of(words), findings, find_homes)
    reading = Reading(findings, variables, read_nothing)
    name = _demand(reading, place, "metadata", "name")
    spec = _demand(reading, place, "spec")
    if name is None or spec is None:
        return None
    content: Content = read_area(reading, spec) if words.signed == "area" else read_users(reading, spec)
    mark = place.node.mark
    return Defined(
        kind=words.signed,
        name=reading.text(name),
        content=content,
        report=findings.notes,
        file=mark.file,
        line=mark.line,
        column=mark.column,
    )


def read_area(reading: Reading, place: Place) -> Region:
    """Return the ground of an area."""
    region = read_region(reading, place)
    if region == Region() and reading.findings.is_sound(place):
        reading.findings.complain(place, "E-TYPE", "it says nothing: write countries: [NO, SE]", at_key=True)
    return region


def read_users(reading: Reading, place: Place) -> tuple[UserPoint, ...]:
    """Return where users are, in the order of GeoJSON: longitude and latitude; the same place twice is added up."""
    points = reading.texts(reading.find(place, "points"))
    if not 1 <= len(points) <= USER_POINTS_MAX:
        if reading.findings.is_sound(place):
            code = "E-LIMIT" if points else "E-TYPE"
            detail = f"a group of users has 1 to {USER_POINTS_MAX} points, this has {len(points)}"
            reading.findings.complain(place.find("points") or place, code, detail, at_key=True)
        return ()
    weights: dict[tuple[int, int], int] = {}
    for each in points:
        point = read_point(reading, each)
        weight = reading.whole(reading.find(each, "weight"), 1, USER_WEIGHT_MAX, 1)
        if point is not None:
            at = (point.longitude_udeg, point.latitude_udeg)
            weights[at] = min(USER_WEIGHT_MAX, weights.get(at, 0) + weight)
    return tuple((x, y, weight) for (x, y), weight in sorted(weights.items()))


def _demand(reading: Reading, place: Place, *path: str) -> Place | None:
    """Return what stands at a path; None after a complaint about the first word of it that is missing."""
    for word in path:
        found = reading.find(place, word)
        if found is None:
            if reading.findings.is_sound(place):
                reading.findings.complain(place, "E-TYPE", f'"{word}" must be given here', at_key=True)
            return None
        place = found
    return place
