"""Documents of kinds: what they come to in micro-degrees and metres, and what is told of bad ones."""

import re
import textwrap

import pytest
from tests.manifest.texts import DATA

from skerry.manifest.findings import Findings
from skerry.manifest.kinds import read_kind
from skerry.manifest.load import load_stream
from skerry.manifest.nodes import Place
from skerry.manifest.tree import read_documents
from skerry.manifest.values import Stream
from skerry.manifest.words_kinds import KINDS
from skerry.model.geography import Around, Point, Region
from skerry.model.limits import USER_POINTS_MAX

LABELLED = "apiVersion: skerry.dev/v1\nkind: Area\nmetadata: {name: a, labels: {b: c}}"
OSLO = Point(latitude_udeg=59_910_000, longitude_udeg=10_750_000)


def kind(text, **variables):
    """Read one document; return what it defines, and its problems as short lines."""
    documents, problems = read_documents(textwrap.dedent(text).encode(), "x.yaml")
    assert not problems
    findings = Findings()
    found = read_kind(Place(documents[0]), variables, findings)
    return found, [f"{one.line}:{one.column} {one.code} {one.pointer}: {one.detail}" for one in findings.problems]


def area(spec, **variables):
    return kind(f"{{apiVersion: skerry.dev/v1, kind: Area, metadata: {{name: a}}, spec: {{{spec}}}}}", **variables)


def users(points):
    head = "apiVersion: skerry.dev/v1, kind: UserGroup, metadata: {name: u}"
    return kind(f"{{{head}, spec: {{points: {points}}}}}")


def tell(found):
    assert found[1], found
    return [line.partition(" ")[2] for line in found[1]]


@pytest.mark.parametrize(
    ("spec", "region"),
    [
        ("countries: [SE, no]", Region(countries=("NO", "SE"))),
        (
            "around: {point: {lat: 59.91, lon: 10.75}, km: 2.5}",
            Region(around=Around(point=OSLO, metres=2500)),
        ),
        (
            "polygon: {type: Polygon, coordinates: [[[0, 0], [1, 0], [1, 1], [0, 0]]]}",
            Region(polygon=((((0, 0), (1_000_000, 0), (1_000_000, 1_000_000)),),)),
        ),
        (
            "countries: NO, not: {around: {point: {lat: 59.91, lon: 10.75}, km: 1}}",
            Region(countries=("NO",), outside=Region(around=Around(point=OSLO, metres=1000))),
        ),
    ],
)
def test_ground_of_an_area_in_every_form(spec, region):
    found, problems = area(spec)
    assert problems == []
    assert (found.kind, found.name, found.content) == ("area", "a", region)


def test_variables_are_put_in():
    found, problems = area('countries: ["${C}"]', C="NO")
    assert problems == []
    assert found.content == Region(countries=("NO",))
    assert tell(area('countries: ["${NO_SUCH}"]'))[0].startswith("E-INTERPOLATION /spec/countries/0")


def test_points_of_users_in_a_stated_order_each_place_once():
    found, problems = users(
        "[{lat: 60, lon: 11, weight: 3}, {lat: 59.33, lon: 18.07}, {lat: 60.0, lon: 11, weight: 4}]"
    )
    assert problems == []
    assert (found.kind, found.name) == ("user-group", "u")
    assert found.content == ((11_000_000, 60_000_000, 7), (18_070_000, 59_330_000, 1))
    assert users("{lat: 1, lon: 2}")[0].content == ((2_000_000, 1_000_000, 1),)


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("", "E-TYPE /spec: it says nothing: write countries: [NO, SE]"),
        ("countries: Norway", 'E-TYPE /spec/countries: "Norway" is not a country: write two letters, such as NO'),
        ("county: [NO]", "E-UNKNOWN-WORD /spec/county: unknown word"),
        (
            "areas: [b]",
            'E-UNKNOWN-WORD /spec/areas: unknown word here. It belongs to "geofence" or "not" or "residency"',
        ),
        ("not: {}", "E-TYPE /spec/not: it says nothing: write countries: [NO, SE]"),
    ],
)
def test_bad_areas(spec, problem):
    assert tell(area(spec)) == [problem]


@pytest.mark.parametrize(
    ("points", "problem"),
    [
        ("[]", "E-TYPE /spec/points: a group of users has 1 to 100 points, this has 0"),
        (
            str([{"lat": 1, "lon": 2}] * (USER_POINTS_MAX + 1)).replace("'", ""),
            "E-LIMIT /spec/points: a group of users has 1 to 100 points, this has 101",
        ),
        ("[{lat: 91, lon: 0}]", "E-RANGE /spec/points/0/lat: 91 is out of range: -90 to 90"),
        ("[{lat: 1}]", 'E-TYPE /spec/points/0: "lon" must be given here'),
        (
            "[{lat: 1, lon: 1, weight: 0}]",
            "E-TYPE /spec/points/0/weight: 0 is not a whole number from 1 to 100000000. Write 1",
        ),
    ],
)
def test_bad_groups_of_users(points, problem):
    assert tell(users(points)) == [problem]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            "apiVersion: skerry.dev/v2\nkind: Area\nmetadata: {name: a}\nspec: {countries: NO}",
            ['1:13 E-TYPE /apiVersion: "skerry.dev/v2" is not known. Write skerry.dev/v1'],
        ),
        ("apiVersion: skerry.dev/v1\nmetadata: {name: a}", ['1:1 E-TYPE : "kind" must be given at the top']),
        ("apiVersion: skerry.dev/v1\nkind: Zone", ["2:7 E-UNKNOWN-WORD /kind: unknown kind"]),
        ("apiVersion: skerry.dev/v1\nkind: Areas", ['2:7 E-UNKNOWN-WORD /kind: unknown kind. Did you mean "Area"?']),
        (
            "apiVersion: skerry.dev/v1\nkind: Area\nspec: {countries: NO}",
            ['1:1 E-TYPE : "metadata" must be given here'],
        ),
        (
            "apiVersion: skerry.dev/v1\nkind: Area\nmetadata: {}\nspec: {countries: NO}",
            ['3:1 E-TYPE /metadata: "name" must be given here'],
        ),
        ("apiVersion: skerry.dev/v1\nkind: Area\nmetadata: {name: a}", ['1:1 E-TYPE : "spec" must be given here']),
        (
            LABELLED + "\nspec: {countries: NO}\nstatus: {}",
            ['3:21 E-NOT-YET /metadata/labels: "labels" is not built yet', "5:1 E-UNKNOWN-WORD /status: unknown word"],
        ),
        (
            "apiVersion: skerry.dev/v1\nkind: Area\nmetadata: {name: ../a}\nspec: {countries: NO}",
            ['3:18 E-TYPE /metadata/name: "../a" is not a name. Write my-name'],
        ),
    ],
)
def test_what_stands_around_a_spec(text, problems):
    assert kind(text)[1] == problems


@pytest.mark.parametrize("name", [name for name, words in KINDS.items() if words.signed is None])
def test_a_kind_that_is_not_read_from_files_is_refused_by_name(name):
    documents, _ = read_documents(f"apiVersion: skerry.dev/v1\nkind: {name}\nspec: {{wibble: 1}}".encode(), "x.yaml")
    findings = Findings()
    assert read_kind(Place(documents[0]), {}, findings) is None
    (problem,) = findings.problems
    assert (problem.code, problem.line, problem.detail) == (
        "E-NOT-YET",
        2,
        f"a document of kind {name} is not built yet",
    )
    assert problem.hint == KINDS[name].hint


def test_what_another_command_makes_names_it():
    hints = {name: words.hint for name, words in KINDS.items() if words.hint}
    assert {name: hint.split(":")[0] for name, hint in hints.items()} == {
        "Site": "skerry site add NAME",
        "Tenant": "skerry tenant create NAME",
        "Secret": "skerry secret set NAME",
    }


def test_the_page_shows_the_files_that_it_gives():
    how_to = DATA.parent.parent / "docs" / "how-to"
    page = (how_to / "keep-to-an-area.md").read_text()
    blocks = re.findall(
        r"^```yaml no-run: tests/manifest/test_kinds.py reads it\n(.*?)^```$", page, re.MULTILINE | re.DOTALL
    )
    assert blocks == [(how_to / "places" / name).read_text() for name in ("places.yaml", "shop.yaml")]
    stream = load_stream([(str(place), text.encode()) for place, text in enumerate(blocks)], {})
    assert isinstance(stream, Stream)
    assert [each.name for each in stream.definitions] == ["nordics", "customers"]
    assert [(use.kind, use.name) for use in stream.apps[0].uses] == [("area", "nordics"), ("user-group", "customers")]
