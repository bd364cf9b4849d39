import json

import pytest

from skerry.cli.sites import reaches_only_here


def test_a_site_is_made_and_its_box_gets_one_line(town):
    result = town.run("site", "add", "oslo", "--label", "tier=store", "--country", "no", "--position", "59.91,10.75")
    assert result.code == 0, result
    words = result.out.split()
    assert words[:3] == ["skerry", "agent", "join"]
    assert words[3].startswith("skj1.")
    assert words[4:] == ["--core", "core.example:443", "--site", "oslo"]
    shown = json.loads(town.ok("site", "show", "oslo", "-o", "json"))
    assert shown["summary"]["labels"] == {"tier": "store"}
    assert (shown["latitude_udeg"], shown["longitude_udeg"]) == (59_910_000, 10_750_000)
    assert shown["tenants"] == ["default"]


def test_an_address_that_only_this_machine_reaches_is_noticed():
    assert reaches_only_here("127.0.0.1:7711")
    assert reaches_only_here("localhost:7711,[::1]:7711")
    assert not reaches_only_here("127.0.0.1:7711,core.example.org:7711")


def test_a_site_is_not_made_twice(town):
    town.ok("site", "add", "twice")
    town.ok("site", "add", "twice")  # the same again, as after a lost answer: it gets one more token
    result = town.run("site", "add", "twice", "--label", "other=1")
    assert result.code == 6
    assert "is there already" in result.err
    assert "Hint: skerry site list" in result.err


def test_a_further_token_and_its_form_for_programs(town):
    town.ok("site", "add", "bergen")
    found = json.loads(town.ok("site", "join-token", "bergen", "-o", "json"))
    assert found["command"].startswith("skerry agent join skj1.")
    assert town.run("site", "join-token", "nowhere").code == 5


def test_labels_are_set_and_removed_by_a_signed_record(town):
    town.ok("site", "add", "moss", "--label", "tier=store", "--label", "old=1")
    town.ok("site", "label", "moss", "tier=depot", "new=2", "old-")
    found = json.loads(town.ok("site", "show", "moss", "-o", "json"))["summary"]
    assert found["labels"] == {"tier": "depot", "new": "2"}
    assert found["number"] == 2
    assert "already" in town.run("site", "label", "moss", "new=2").err
    assert json.loads(town.ok("site", "show", "moss", "-o", "json"))["summary"]["number"] == 2


def test_a_removed_site_is_gone_and_somebody_agreed(town):
    town.ok("site", "add", "gone")
    refused = town.run("site", "remove", "gone")
    assert refused.code == 1
    assert "Add --yes" in refused.err
    town.ok("site", "remove", "gone", "--yes")
    assert town.run("site", "show", "gone").code == 5


def test_dry_runs_change_nothing(town):
    assert "would make site dry" in town.run("site", "add", "dry", "--dry-run").err
    assert town.run("site", "show", "dry").code == 5
    town.ok("site", "add", "kept")
    town.run("site", "remove", "kept", "--dry-run")
    town.run("site", "label", "kept", "a=b", "--dry-run")
    assert json.loads(town.ok("site", "show", "kept", "-o", "json"))["summary"]["number"] == 1


def test_listings_choose_by_labels_and_come_in_every_form(town):
    town.ok("site", "add", "one", "--label", "form=yes")
    town.ok("site", "add", "two", "--label", "form=yes")
    chosen = ("site", "list", "-l", "form=yes")
    table = town.ok(*chosen).splitlines()
    assert table[0].split() == ["SITE", "STATE", "READY", "HEARD", "LABELS", "CONDITIONS"]
    assert [line.split()[0] for line in table[1:]] == ["one", "two"]
    assert "REGION" in town.ok(*chosen, "-o", "wide").splitlines()[0]
    assert town.ok(*chosen, "-o", "name").split() == ["site/one", "site/two"]
    assert [each["site"] for each in json.loads(town.ok(*chosen, "-o", "json"))["items"]] == ["one", "two"]
    assert [json.loads(line)["site"] for line in town.ok(*chosen, "-o", "jsonl").splitlines()] == ["one", "two"]
    assert '"site": "one"' in town.ok(*chosen, "-o", "yaml")


@pytest.mark.parametrize("name", ["Oslo", "a_b", "-x", "x" * 64])
def test_a_name_that_is_none_is_refused_before_anything_is_signed(town, name):
    result = town.run("site", "add", "--", name)
    assert result.code == 1
    assert "no name for a site" in result.err
    assert "E-NAME" in result.err


def test_a_record_that_the_registrar_did_not_sign_is_not_built_upon(town):
    """An evil core: the record that it brings is signed by a stranger."""
    from tests.core.cores import key, sign

    town.ok("site", "add", "evil")
    forged = sign("site", town.rig.record("evil", 1), key("stranger"))

    async def forge():
        from skerry.store import sites

        await town.rig.core.db.run(
            lambda connection: sites.record_site(connection, town.rig.record("evil", 1), forged, 0)
        )

    town.wait(forge())
    result = town.run("site", "label", "evil", "a=b")
    assert result.code == 1
    assert "not good" in result.err


def test_join_tokens_are_listed_and_ended(town):
    town.ok("site", "add", "tokens")
    made = json.loads(town.ok("site", "join-token", "tokens", "-o", "json"))
    rows = json.loads(town.ok("site", "join-token", "tokens", "--list", "-o", "json"))["items"]
    assert [(row["site"], row["state"]) for row in rows] == [("tokens", "open")] * 2
    ended = town.run("site", "join-token", "--revoke", rows[0]["token_id"])
    assert ended.code == 0, ended
    states = [row["state"] for row in json.loads(town.ok("site", "join-token", "--list", "-o", "json"))["items"]]
    assert "ended" in states
    gone = town.run("site", "join-token", "--revoke", "aaaaaaaa")
    assert gone.code == 5
    assert "skerry site join-token --list" in gone.err
    assert town.run("site", "join-token").code == 64
    assert made["token"]
