"""Areas and groups of users on the command line: made by apply, put into what is signed, and changed by nobody else."""

import json

import msgspec
import pytest

from skerry.model.app import AppRevision
from skerry.model.signed import Envelope

NORDICS = """
apiVersion: skerry.dev/v1
kind: Area
metadata: {name: nordics}
spec: {countries: ["NO", "SE"]}
"""
CUSTOMERS = """
apiVersion: skerry.dev/v1
kind: UserGroup
metadata: {name: customers}
spec:
  points:
    - {lat: 59.91, lon: 10.75, weight: 3}
    - {lat: 59.33, lon: 18.07}
"""
FENCED = """
services:
  web:
    image: "web:1"
x-skerry:
  placement:
    geofence: {areas: [nordics]}
    latency: {of: web, to: {users: customers}, weight: 1}
"""


def overlay(app, image="web:1"):
    return f"""
app: {app}
compose: {{services: {{web: {{image: "{image}"}}}}}}
placement: {{geofence: {{areas: [nordics]}}}}
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="x"):
        file = tmp_path / name / "compose.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return file

    return write


@pytest.fixture(autouse=True)
def web(town):
    town.wait(town.rig.push_image("web:1"))


@pytest.fixture(autouse=True)
def none_left(town):
    yield
    for noun in ("area", "user-group"):
        for name in town.run(noun, "list", "-o", "name").out.split():
            town.run(noun, "remove", name.partition("/")[2], "--yes")


def regions_of(town, app):
    """Return the fences of the newest signed revision of an app."""
    number = json.loads(town.run("app", "show", app, "-o", "json").out)["summary"]["revision"]

    async def read():
        return await town.rig.service.read_revision(town.rig.admin, app=app, number=number)

    envelope: Envelope = town.wait(read())
    revision = msgspec.json.decode(envelope.payload, type=AppRevision)
    (service,) = revision.services.values()
    assert service.placement.rules
    return service.placement.rules


def test_a_file_of_definitions_alone_records_them_once(town, write):
    file = write(f"{NORDICS}---{CUSTOMERS}", "definitions")
    dry = town.run("apply", "-f", file, "--dry-run")
    assert (dry.code, dry.out) == (0, ""), dry
    assert "would record area nordics" in dry.err
    made = town.run("apply", "-f", file)
    assert made.code == 0, made
    assert made.err == "area nordics: version 1 is recorded\nuser-group customers: version 1 is recorded\n"
    again = town.run("apply", "-f", file)
    assert again.err == "area nordics is so already\nuser-group customers is so already\n"
    assert "nordics  1        NO, SE" in town.run("area", "list").out
    shown = json.loads(town.run("area", "show", "nordics", "-o", "json").out)
    assert (shown["number"], shown["region"]) == (1, {"countries": ["NO", "SE"]})
    group = town.run("user-group", "show", "customers")
    assert "59.910000  10.750000  3" in group.out, group
    assert "customers   1        2       4" in town.run("user-group", "list").out


def test_an_app_is_signed_with_the_ground_itself_and_moves_only_when_it_is_applied_again(town, write):
    file = write(FENCED, "shop")
    unknown = town.run("apply", "-f", file, "--name", "moving")
    assert unknown.code == 1
    assert "there is no area nordics" in unknown.err
    assert "there is no group of users customers" in unknown.err
    assert f"{file}:7:24" in unknown.err, unknown
    town.run("apply", "-f", write(f"{NORDICS}---{CUSTOMERS}", "definitions"))
    done = town.run("apply", "-f", file, "--name", "moving", "--yes")
    assert done.code == 0, done
    rules = regions_of(town, "moving")
    (area,) = rules.geofence[0].areas
    # Lines of numbers go on, whatever the tests before have forgotten.
    first = area.number
    assert (area.name, area.region.countries) == ("nordics", ("NO", "SE"))
    (wish,) = rules.latency
    assert (wish.name, wish.quantile_permille) == ("customers", 950)
    assert wish.points == ((10_750_000, 59_910_000, 3), (18_070_000, 59_330_000, 1))
    assert "is so already" in town.run("apply", "-f", file, "--name", "moving", "--yes").err

    town.run("apply", "-f", write(NORDICS.replace('"NO", ', ""), "definitions"))
    versions = f"(version {first}, now {first + 1})"
    told = f"area nordics has changed since revision 1 was signed {versions}: applying takes the new one"
    differs = town.run("diff", "-f", file, "--name", "moving")
    assert differs.code == 2
    assert told in differs.err
    assert '"NO",' in [line[1:].strip() for line in differs.out.splitlines() if line.startswith("-")], differs
    assert told in town.run("plan", "-f", file, "--name", "moving").err
    assert regions_of(town, "moving").geofence[0].areas == (area,)
    again = town.run("apply", "-f", file, "--name", "moving", "--yes")
    assert told in again.err
    (moved,) = regions_of(town, "moving").geofence[0].areas
    assert (moved.number, moved.region.countries) == (first + 1, ("SE",))


def test_forgetting_an_area_takes_nothing_from_what_was_signed_with_it(town, write):
    town.run("apply", "-f", write(f"{NORDICS}---{CUSTOMERS}", "definitions"))
    file = write(FENCED, "shop")
    town.run("apply", "-f", file, "--name", "staying", "--yes")
    before = regions_of(town, "staying")
    refused = town.run("area", "remove", "nordics")
    assert refused.code != 0, "nobody was there to be asked"
    dry = town.run("area", "remove", "nordics", "--dry-run")
    assert dry.err.startswith("would forget area nordics, version "), dry
    assert town.run("area", "remove", "nordics", "--yes").err == "area nordics is forgotten\n"
    gone = town.run("area", "show", "nordics")
    assert gone.code == 5
    assert "skerry area list" in gone.err
    assert regions_of(town, "staying") == before
    assert "there is no area nordics" in town.run("apply", "-f", file, "--name", "staying").err
    # Made again, it goes on where its line stood, so nobody can mistake the old one for it.
    made = town.run("apply", "-f", write(NORDICS, "definitions"))
    number = int(made.err.split("version ")[1].split()[0])
    assert number > before.geofence[0].areas[0].number


def test_a_stream_of_definitions_and_apps_is_applied_in_one_go(town, write):
    file = write(f"{overlay('one')}---{overlay('two')}---{NORDICS}", "all")
    valid = town.run("validate", "-f", file, XDG_CONFIG_HOME="/nowhere/at/all")
    assert valid.code == 0, valid
    assert "area/nordics:\n" in valid.out
    planned = town.run("plan", "-f", file, "-o", "json")
    assert [each["app"] for each in json.loads(planned.out)["items"]] == ["one", "two"], planned
    assert planned.err.count("is recorded when this is applied") == 1
    done = town.run("apply", "-f", file, "--yes")
    assert done.code == 0, done
    assert done.out == "app/one\napp/two\n"
    assert "area nordics: version" in done.err
    fences = [regions_of(town, app).geofence for app in ("one", "two")]
    assert fences[0] == fences[1]
    assert "one is so already" in town.run("apply", "-f", file, "--yes").err
    one = town.run("apply", "-f", file, "--plan", "01ARZ3NDEKTSV4RRFFQ69G5FAV")
    assert (one.code, "a plan is of one app" in one.err) == (64, True)
    assert "one app is meant here" in town.run("delete", "-f", file, "--yes").err


def test_nothing_is_done_when_one_document_of_a_stream_is_bad(town, write):
    file = write(f"{NORDICS}---{overlay('good')}---{overlay('bad', 'never:1')}", "half")
    result = town.run("apply", "-f", file, "--yes")
    assert result.code == 1
    assert "E-IMAGE" in result.err
    assert town.run("app", "show", "good").code == 5
    assert town.run("area", "list", "-o", "name").out == ""


def test_a_core_that_brings_other_ground_is_not_believed(town, write):
    town.run("apply", "-f", write(f"{NORDICS}---{CUSTOMERS}", "definitions"))
    file = write(FENCED, "shop")
    town.run("apply", "-f", file, "--name", "wary", "--yes")
    show = town.rig.service.show_area

    async def lie(caller, *, area):
        found = await show(caller, area=area)
        payload = found.signed.payload.replace(b'"SE"', b'"RU"')
        return msgspec.structs.replace(found, signed=msgspec.structs.replace(found.signed, payload=payload))

    town.rig.service.show_area = lie
    try:
        result = town.run("apply", "-f", file, "--name", "wary", "--yes")
    finally:
        del town.rig.service.show_area
    assert result.code == 1
    assert "an area that is not good" in result.err
