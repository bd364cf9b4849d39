"""``skerry node cordon`` and its like, through a real core and its API."""

import json


def test_a_node_is_cordoned_drained_shown_and_let_go_again(town):
    site = town.add_site("keep")
    assert "would place nothing new on keep/n1" in town.run("node", "cordon", "keep/n1", "--dry-run").err
    done = town.run("node", "cordon", "keep/n1")
    assert "Next: skerry node drain keep/n1" in done.err
    assert "cordoned" in town.ok("node", "show", "keep/n1")
    town.settle(site)
    drained = json.loads(town.ok("node", "drain", "keep/n1", "--yes", "-o", "json"))
    assert (drained["site"], drained["node"], drained["moving"], drained["staying"]) == ("keep", "n1", [], [])
    assert "is empty" in town.run("node", "drain", "keep/n1", "--yes", "--wait=5s").err
    assert "drained" in town.ok("node", "list")
    assert "would let instances come" in town.run("node", "uncordon", "keep/n1", "--dry-run").err
    town.ok("node", "uncordon", "keep/n1")
    again = town.run("node", "uncordon", "keep/n1")
    assert again.code == 6
    assert "skerry node show keep/n1" in again.err


def test_the_only_node_of_a_site_is_not_removed_and_the_way_is_said(town):
    town.add_site("lone")
    assert "would take lone/n1" in town.run("node", "remove", "lone/n1", "--dry-run").err
    refused = town.run("node", "remove", "lone/n1", "--yes")
    assert refused.code == 6
    assert "n1 is the only node of lone" in refused.err
    assert "Hint: skerry site remove lone" in refused.err
    assert "lone" in town.ok("node", "list", "--site", "lone")


def test_a_node_that_is_not_there(town):
    for verb in ("cordon", "uncordon", "drain", "remove"):
        assert town.run("node", verb, "nowhere/n1").code == 5
        assert town.run("node", verb, "nowhere").code == 64
