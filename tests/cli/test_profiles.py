import json

from skerry.model.profile import CAPABILITIES


def test_profiles_are_listed_without_a_core(town):
    result = town.run("profile", "list", SKERRY_URL="http://127.0.0.1:1", SKERRY_TOKEN="x")
    assert result.code == 0
    assert "default" in result.out
    assert "read only" in result.out
    assert town.ok("profile", "list", "-o", "name").split() == ["profile/default", "profile/strict"]


def test_a_profile_says_all_that_it_grants(town):
    default = json.loads(town.ok("profile", "show", "default", "-o", "json"))
    assert set(default["capabilities"]) == CAPABILITIES
    assert default["writable_root"]
    strict = json.loads(town.ok("profile", "show", "strict", "-o", "json"))
    assert (strict["capabilities"], strict["writable_root"]) == ([], False)
    assert "no new privileges" in town.ok("profile", "show", "strict")


def test_a_profile_that_is_not_there(town):
    result = town.run("profile", "show", "network-functions")
    assert result.code == 5
    assert "Hint: skerry profile list" in result.err
