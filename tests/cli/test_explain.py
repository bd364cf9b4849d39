import json

import pytest

from skerry.cli.explain import find_topic
from skerry.manifest.fields import FIELDS
from skerry.manifest.words import HOMES
from skerry.manifest.words_kinds import KINDS


def test_a_word_says_what_it_takes_and_what_becomes_of_it(town):
    text = town.ok("explain", "replicas.per-site")
    assert "services.*.x-skerry.placement.replicas.per-site" in text
    assert "copies at each chosen site" in text
    assert "honoured" in text
    assert "not built yet" in town.ok("explain", "slo")


@pytest.mark.parametrize("topic", ["services.web.ports", "/services/web/ports", "services.ports", "ports"])
def test_a_field_is_found_however_it_is_written(town, topic):
    found = json.loads(town.ok("explain", topic, "-o", "json"))["items"]
    assert "services.*.ports" in [each["path"] for each in found]


def test_a_pointer_into_x_skerry_is_found(town):
    found = find_topic("/services/web/x-skerry/placement/sites/match")
    assert [each.path for each in found] == ["services.*.x-skerry.placement.sites.match"]


def test_what_is_built_and_stands_high_comes_first():
    assert find_topic("ports")[0].path == "services.*.ports"
    assert find_topic("restart")[0].path == "services.*.restart"


def test_codes_are_explained_too_and_nothing_needs_a_core(town):
    result = town.run("explain", "e-stale", SKERRY_URL="http://127.0.0.1:1")
    assert result.code == 0
    assert result.out.startswith("E-STALE\n")


def test_a_refused_field_says_why(town):
    assert "refused" in town.ok("explain", "services.web.cgroup_parent")
    assert "tree of control groups" in town.ok("explain", "cgroup_parent")


def test_a_slip_gets_one_command_that_works(town):
    result = town.run("explain", "placemnt")
    assert result.code == 5
    assert "Hint: skerry explain placement" in result.err
    assert town.run("explain", "x" * 5000).code == 5
    assert town.run("explain", "").code == 5


def test_every_word_and_field_has_an_entry():
    for path in FIELDS:
        assert path in [each.path for each in find_topic(path)], path
    for words in HOMES.values():
        for word in words:
            assert find_topic(word.name), word.name


def test_kinds_of_documents_say_what_becomes_of_them(town):
    area = town.run("explain", "Area")
    assert (area.code, area.out.splitlines()[0]) == (
        0,
        "Area: a kind of document: ground that geofence and residency name",
    )
    assert "1 to 100 points" in town.run("explain", "UserGroup.spec.points").out
    assert "skerry site add NAME" in town.run("explain", "Site").out
    for name, kind in KINDS.items():
        assert next(each.path for each in find_topic(name)) == name
        for word in kind.spec:
            assert find_topic(f"{name}.spec.{word.name}"), word.name
