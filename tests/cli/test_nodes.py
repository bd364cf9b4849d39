"""``skerry node``, through a real core and its API."""

import json

import pytest
from tests.cli.town import Town


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    town = Town(tmp_path_factory.mktemp("town"))
    town.add_site("oslo", labels={"tier": "store"})
    town.add_site("bergen")
    town.ok("site", "add", "moss")
    town.ok("site", "cordon", "bergen")
    yield town
    town.close()


def test_nodes_are_listed_with_what_they_report(town):
    head, bergen, oslo = town.ok("node", "list").splitlines()
    assert head.split() == [
        "SITE",
        "NODE",
        "STATE",
        "KEYS",
        "CPU",
        "MEMORY",
        "DISK",
        "FREE",
        "ARCH",
        "AGENT",
        "CONDITIONS",
    ]
    assert bergen.split()[:3] == ["bergen", "n1", "online"]
    assert bergen.endswith("cordoned")
    assert oslo.split()[4:] == ["4", "8.0", "GiB", "90.0", "GiB"]
    assert town.ok("node", "list", "-o", "name").split() == ["node/bergen/n1", "node/oslo/n1"]
    assert town.ok("node", "list", "--site", "oslo", "-o", "name").split() == ["node/oslo/n1"]
    assert town.ok("node", "list", "-l", "tier=store", "-o", "name").split() == ["node/oslo/n1"]
    found = json.loads(town.ok("node", "list", "-o", "json"))["items"][0]
    assert (found["site"], found["node"], found["cpu_m"], found["reported"]) == ("bergen", "n1", 4000, True)
    assert town.run("node", "list", "--site", "moss").err == "nothing here\n"


def test_a_node_is_shown(town):
    text = town.ok("node", "show", "bergen/n1")
    assert "processors: 4" in text
    assert "90.0 GiB free of 100 GiB" in text
    assert "nothing new is placed here" in text
    found = json.loads(town.ok("node", "show", "oslo/n1", "-o", "json"))
    assert (found["summary"]["site"], found["labels"], found["instances"]) == ("oslo", {"tier": "store"}, [])
    assert town.ok("node", "get", "oslo/n1", "-o", "name") == "node/oslo/n1\n"


@pytest.mark.parametrize("name", ["oslo/n2", "nowhere/n1", "oslo/../x", "oslo/N1"])
def test_a_node_that_is_not_there_is_told_with_where_to_look(town, name):
    result = town.run("node", "show", name)
    assert (result.code, result.out) == (5, "")
    assert f"no node {name}" in result.err
    assert "Hint: skerry node list" in result.err


@pytest.mark.parametrize("name", ["oslo", "oslo/", "/n1"])
def test_a_name_without_its_site_is_a_wrong_use(town, name):
    result = town.run("node", "show", name)
    assert result.code == 64
    assert "write SITE/NODE" in result.err
