"""``skerry site relay``: what an operator signs, and what is refused before anything is."""

import json

import pytest
from tests.cli.town import Town

RELAY = ("site", "relay", "oslo")


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    town = Town(tmp_path_factory.mktemp("town"))
    town.add_site("oslo")
    yield town
    town.close()


def show(town):
    return json.loads(town.ok("site", "show", "oslo", "-o", "json"))


def test_a_site_relays_once_it_is_signed_and_no_more_when_that_is_taken_back(town):
    assert show(town)["relay"] == ""
    assert "would sign" in town.run(*RELAY, "--ports", "52000-52099", "--dry-run").err
    town.ok(*RELAY, "--ports", "52000-52099", "--address", "203.0.113.7", "--pair-rate", "5Mbit/s")
    number = show(town)["summary"]["number"]
    assert show(town)["relay"] == "203.0.113.7:52000-52099"
    assert "by UDP ports 203.0.113.7:52000-52099" in town.ok("site", "show", "oslo")
    same = town.run(*RELAY, "--ports", "52000-52099", "--address", "203.0.113.7", "--pair-rate", "5Mbit/s")
    assert "already" in same.err
    # What is signed of it otherwise stays.
    town.ok("site", "label", "oslo", "tier=far")
    assert (show(town)["relay"], show(town)["summary"]["number"]) == ("203.0.113.7:52000-52099", number + 1)
    town.ok(*RELAY, "--off")
    assert show(town)["relay"] == ""
    assert "already" in town.run(*RELAY, "--off").err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--ports"),
        (("--ports", "52000-52099", "--off"), "--off"),
        (("--ports", "52000"), "52000-52099"),
        (("--ports", "80-90"), "1024"),
        (("--ports", "52001-52000"), "no range"),
        (("--ports", "52000-52001", "--address", "relay.example"), "literal"),
        (("--ports", "52000-52001", "--address", "127.0.0.1"), "nobody else"),
        (("--ports", "52000-52001", "--rate", "1bit/s"), "--rate"),
    ],
)
def test_what_makes_no_relay_is_refused_and_nothing_is_signed(town, words, said):
    before = show(town)["summary"]["number"]
    refused = town.run(*RELAY, *words)
    assert refused.code != 0
    assert said in refused.err
    assert show(town)["summary"]["number"] == before
