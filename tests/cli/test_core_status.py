import json


def test_a_core_says_what_it_is_to_sites_and_whether_it_is_ready(town):
    shown = town.run("core", "status")
    assert shown.code == 0, shown
    assert town.url in shown.out
    assert "core.example:443" in shown.out
    assert "Next: skerry status" in shown.err
    whole = json.loads(town.ok("core", "status", "-o", "json"))
    assert (whole["url"], whole["identity"]["root"], whole["health"]["ok"]) == (town.url, 1, True)


def test_it_is_for_operators(town):
    token = town.ok("token", "create", "mere", "--role", "admin").strip()
    assert town.run("core", "status", SKERRY_URL=town.url, SKERRY_TOKEN=token).code == 7
