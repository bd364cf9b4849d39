import json

import pytest
from tests.cli.town import Town

SET = ("uplink", "set", "oslo", "fibre")


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    town = Town(tmp_path_factory.mktemp("town"))
    town.add_site("oslo")
    yield town
    town.close()


def show(town):
    return json.loads(town.ok("uplink", "list", "oslo", "-o", "json"))["items"]


def test_an_uplink_is_signed_changed_and_taken_away(town):
    town.ok(*SET, "--device", "eth0", "--up", "10Mbit/s", "--down", "40Mbit/s")
    town.ok("uplink", "set", "oslo", "sky", "--device", "sat0", "--class", "satellite", "--price", "1.5",
            "--budget", "20Gi", "--preference", "200")  # fmt: skip
    assert [(each["uplink"], each["device"], each["kind"]) for each in show(town)] == [
        ("fibre", "eth0", "wired"),
        ("sky", "sat0", "satellite"),
    ]
    assert (show(town)[1]["price_micro"], show(town)[1]["budget_bytes"]) == (1_500_000, 20 << 30)
    text = town.ok("site", "show", "oslo")
    assert "10 Mbit/s" in text
    assert "1.5/GB" in text
    number = json.loads(town.ok("site", "show", "oslo", "-o", "json"))["summary"]["number"]
    assert "already" in town.run(*SET, "--up", "10Mbit/s").err
    town.ok(*SET, "--up", "5Mbit/s")
    assert (show(town)[0]["up_bps"], show(town)[0]["down_bps"]) == (5_000_000, 40_000_000)
    assert json.loads(town.ok("site", "show", "oslo", "-o", "json"))["summary"]["number"] == number + 1
    refused = town.run("uplink", "remove", "oslo", "sky")
    assert "Add --yes" in refused.err
    town.ok("uplink", "remove", "oslo", "sky", "--yes")
    assert [each["uplink"] for each in show(town)] == ["fibre"]
    assert town.run("uplink", "remove", "oslo", "sky", "--yes").code == 5


def test_a_change_of_labels_keeps_the_uplinks(town):
    town.ok(*SET, "--device", "eth0")
    town.ok("site", "label", "oslo", "tier=store")
    assert [each["uplink"] for each in show(town)] == ["fibre"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--device", "a/b"), "--device"),
        (("--device", "skw0"), "leads to instances"),
        (("--device", "eth1", "--up", "10"), "--up"),
        (("--device", "eth1", "--up", "999999999Gbit/s"), "--up"),
        (("--device", "eth1", "--budget", "lots"), "--budget"),
        (("--device", "eth1", "--price", "-3"), "--price"),
        (("--device", "eth1", "--class", "pigeon"), "--class"),
        (("--device", "eth1", "--preference", "5000"), "--preference"),
        ((), "--device"),
    ],
)
def test_an_absurd_value_is_refused_by_its_word_and_changes_nothing(town, words, said):
    before = show(town)
    refused = town.run("uplink", "set", "oslo", "new", *words)
    assert refused.code == 64
    assert said in refused.err
    assert show(town) == before


def test_what_the_others_contradict_is_refused_with_both_names(town):
    town.ok(*SET, "--device", "eth0")
    refused = town.run("uplink", "set", "oslo", "spare", "--device", "eth0")
    assert "E-UPLINK" in refused.err
    assert "uplinks fibre and spare are both at eth0" in refused.err
    assert town.run("uplink", "set", "oslo", "No Name", "--device", "eth5").code == 1


def test_dry_runs_change_nothing(town):
    town.ok(*SET, "--device", "eth0")
    before = show(town)
    assert "would have" in town.run(*SET, "--device", "eth7", "--dry-run").err
    assert "would take" in town.run("uplink", "remove", "oslo", "fibre", "--dry-run").err
    assert show(town) == before
