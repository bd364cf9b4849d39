import json


def test_a_tenant_is_made_and_its_token_works(town):
    result = town.run("tenant", "create", "acme")
    assert result.code == 0, result
    token = result.out.strip()
    assert token.startswith("skt_")
    assert f"Next: skerry context set acme --url {town.url} --tenant acme" in result.err
    mine = {"SKERRY_URL": town.url, "SKERRY_TOKEN": token, "SKERRY_TENANT": "acme"}
    assert town.run("app", "list", **mine).code == 0
    assert town.run("tenant", "list", **mine).code == 7
    assert "acme" in town.ok("tenant", "list")
    again = town.run("tenant", "create", "acme")
    assert again.code == 6
    assert "Hint: skerry tenant show acme" in again.err


def test_sites_that_exist_admit_it_when_asked(town):
    town.ok("site", "add", "oslo", "--label", "tier=store")
    town.ok("site", "add", "rome")
    town.ok("tenant", "create", "alpha", "--sites", "tier=store")
    shown = json.loads(town.ok("tenant", "show", "alpha", "-o", "json"))
    assert shown["sites"] == ["oslo"]
    town.ok("tenant", "create", "beta")
    assert "none" in town.ok("tenant", "show", "beta")
    town.ok("site", "add", "paris")
    assert json.loads(town.ok("tenant", "show", "beta", "-o", "json"))["sites"] == ["paris"]


def test_a_dry_run_makes_nothing(town):
    assert "would make tenant dry" in town.run("tenant", "create", "dry", "--dry-run").err
    assert "dry" not in town.ok("tenant", "list", "-o", "name")


def test_what_is_no_tenant(town):
    assert town.run("tenant", "create", "No").code == 1
    missing = town.run("tenant", "show", "nobody")
    assert missing.code == 5
    assert "Hint: skerry tenant list" in missing.err
