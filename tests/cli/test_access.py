import json


def test_a_token_is_made_shown_once_used_and_ended(town):
    text = town.ok("token", "create", "ci", "--role", "deployer", "--lifetime", "1d").strip()
    assert text.startswith("skt_")
    assert text not in town.ok("token", "list", "-o", "json")
    assert town.run("app", "list", SKERRY_URL=town.url, SKERRY_TOKEN=text).code == 0
    assert town.run("token", "list", SKERRY_URL=town.url, SKERRY_TOKEN=text).code == 7
    assert town.run("token", "revoke", "ci").code == 1
    town.ok("token", "revoke", "ci", "--yes")
    assert town.run("app", "list", SKERRY_URL=town.url, SKERRY_TOKEN=text).code == 7


def test_roles_do_not_grow(town):
    viewer = town.ok("token", "create", "viewer").strip()
    result = town.run("token", "create", "more", "--role", "admin", SKERRY_URL=town.url, SKERRY_TOKEN=viewer)
    assert result.code == 7


def test_a_token_that_is_not_there(town):
    assert town.run("token", "revoke", "nobody", "--yes").code == 5


def test_dry_runs(town):
    before = town.ok("token", "list", "-o", "json")
    assert "would make" in town.run("token", "create", "dry", "--dry-run").err
    town.ok("token", "create", "kept")
    assert "would end" in town.run("token", "revoke", "kept", "--dry-run").err
    names = {each["name"] for each in json.loads(town.ok("token", "list", "-o", "json"))["items"]}
    assert names == {each["name"] for each in json.loads(before)["items"]} | {"kept"}


def test_the_audit_chain_says_who_did_what(town):
    town.ok("token", "create", "audited")
    town.ok("site", "add", "audited")
    tenant = json.loads(town.ok("audit", "list", "-o", "json"))["items"]
    assert tenant[-1]["operation"] == "create_token"
    operator = town.ok("audit", "list", "--chain", "operator")
    assert "put_site" in operator
    assert "done" in operator
