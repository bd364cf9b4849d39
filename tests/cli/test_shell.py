import json

import pytest

from skerry.cli.shell import read_topics


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_the_program(town, shell):
    script = town.ok("completion", shell)
    assert "_SKERRY_COMPLETE" in script
    assert "skerry" in script


def test_the_meaning_of_codes_is_told_offline(town):
    text = town.ok("help", "e-stale")
    assert text.startswith("E-STALE\n")
    result = town.run("help", "E-STAEL")
    assert result.code == 5
    assert "skerry help E-STALE" in result.err


def test_every_topic_has_something_to_say():
    topics = read_topics()
    assert len(topics) >= 50
    assert [code for code, text in topics.items() if len(text) < 40] == []


def test_versions_of_both_ends(town):
    assert json.loads(town.ok("version", "-o", "json")).keys() == {"client", "core", "format"}
    assert json.loads(town.ok("version", "--client", "-o", "json", SKERRY_URL="http://127.0.0.1:1")).keys() == {
        "client"
    }


def test_without_a_core_the_release_of_this_program_is_told(town, tmp_path):
    nowhere = town.run("version", "-o", "json", XDG_CONFIG_HOME=str(tmp_path))
    assert (nowhere.code, json.loads(nowhere.out).keys(), nowhere.err) == (0, {"client"}, "")
    away = town.run("version", "-o", "json", SKERRY_URL="http://127.0.0.1:1")
    assert (away.code, json.loads(away.out).keys()) == (8, {"client"})
    assert town.run("--context", "lost", "version").code == 5


def test_help_of_commands_is_theirs(town):
    assert "Commands:" in town.run("help").out
    assert "Usage: skerry site add" in town.run("help", "site", "add").out
    assert town.run("help", "site", "nothing").code == 5


def test_a_code_without_a_page_of_its_own_says_what_to_run(town):
    assert "E-UNITS" not in read_topics()
    assert "skerry agent logs" in town.ok("help", "e-units")
