import json


def test_a_person_is_noted_given_tokens_shown_and_removed_with_all_of_them(town):
    made = town.run("user", "create", "ada", "--role", "deployer")
    assert made.code == 0, made
    assert "ada may do what deployer may" in made.err
    text = made.out.strip()
    assert text.startswith("skt_")
    assert town.run("app", "list", SKERRY_URL=town.url, SKERRY_TOKEN=text).code == 0
    more = json.loads(town.ok("token", "create", "laptop", "--user", "ada", "-o", "json"))
    assert more["view"]["user"] == "ada"
    shown = town.ok("user", "show", "ada")
    assert "laptop" in shown
    assert text not in shown
    head, *lines = town.ok("user", "list").splitlines()
    assert head.split()[0] == "USER"
    (ada,) = [line.split() for line in lines if line.startswith("ada")]
    assert ada[1:4] == ["default", "deployer", "2"]
    assert "ada" in town.ok("token", "list")
    assert "ada" in town.ok("token", "show", "laptop")
    assert "would forget ada and end 2 tokens" in town.run("user", "remove", "ada", "--dry-run").err
    assert town.run("user", "remove", "ada").code == 1
    removed = town.run("user", "remove", "ada", "--yes", "-o", "json")
    assert json.loads(removed.out) == {"name": "ada", "ended": 2}
    assert town.run("app", "list", SKERRY_URL=town.url, SKERRY_TOKEN=text).code == 7
    assert json.loads(town.ok("token", "show", more["view"]["token_id"], "-o", "json"))["state"] == "revoked"


def test_a_person_for_programs_and_what_is_refused(town):
    made = json.loads(town.ok("user", "create", "bob", "-o", "json"))
    assert made["first"]["token"].startswith("skt_")
    again = town.run("user", "create", "bob")
    assert again.code == 6
    assert "skerry user show bob" in again.err
    assert "would note" in town.run("user", "create", "cyd", "--dry-run").err
    for verb in ("show", "remove"):
        gone = town.run("user", verb, "cyd")
        assert gone.code == 5
        assert "Hint: skerry user list" in gone.err
    grown = town.run("token", "create", "grown", "--user", "bob", "--role", "admin")
    assert grown.code == 1
    assert "skerry user show bob" in grown.err
    assert town.run("token", "show", "nobody").code == 5


def test_roles_are_listed_and_shown(town):
    rows = {tuple(line.split()[:2]) for line in town.ok("role", "list").splitlines()[1:]}
    assert {("viewer", "tenant"), ("viewer", "operator"), ("deployer", "tenant")} <= rows
    shown = town.ok("role", "show", "tenant/deployer")
    assert "  apply_app" in shown.splitlines()
    assert "  create_user" not in shown.splitlines()
    assert town.run("role", "show", "king").code == 5
