"""Completion of names through the protocol of each shell, against a real core."""

import os
import socket
import subprocess
import sys
import threading

import pytest
from tests.cli.town import Town
from tests.sdk.image_bytes import Image, layout, tar

from skerry.__main__ import main
from skerry.cli import names

SHOP = "services:\n  web: {image: web:1}\n  worker: {image: web:1}\n"
PLACES = """
{apiVersion: skerry.dev/v1, kind: Area, metadata: {name: nordics}, spec: {countries: NO}}
---
{apiVersion: skerry.dev/v1, kind: UserGroup, metadata: {name: customers}, spec: {points: {lat: 60, lon: 11}}}
"""


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """A town with two sites and an app of two services."""
    town = Town(tmp_path_factory.mktemp("town"))
    archive = town.folder / "web.tar"
    archive.write_bytes(tar(layout(Image(), names=("web:1",))))
    town.ok("image", "push", archive)
    for name in ("oslo", "bergen"):
        town.add_site(name)
    (town.folder / "shop").mkdir()
    (town.folder / "shop" / "compose.yaml").write_text(SHOP)
    town.ok("apply", "-f", town.folder / "shop" / "compose.yaml")
    (town.folder / "places.yaml").write_text(PLACES)
    town.ok("apply", "-f", town.folder / "places.yaml")
    yield town
    town.close()


def ask(line, shell):
    """What a shell puts into the environment when TAB is pressed at the end of ``line``."""
    words = line.split(" ")
    asked = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)},
        "zsh": {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)},
        "fish": {"COMP_WORDS": line, "COMP_CWORD": words[-1]},
    }[shell]
    return asked | {"_SKERRY_COMPLETE": f"{shell}_complete"}


def complete(town, line, shell="bash", **environment):
    """What the program tells a shell."""
    done = subprocess.run(
        [sys.executable, "-m", "skerry"],
        env=os.environ | town.environment | ask(line, shell) | environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.split("\n")


@pytest.mark.parametrize(
    ("shell", "said"),
    [("bash", ["plain,oslo"]), ("zsh", ["plain", "oslo", "_"]), ("fish", ["plain,oslo"])],
)
def test_each_shell_is_told_the_names_of_sites(town, shell, said):
    assert [line for line in complete(town, "skerry site show o", shell) if line] == said


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("skerry site label ", ["bergen", "oslo"]),
        ("skerry site add ", []),
        ("skerry logs ", ["shop"]),
        ("skerry logs shop/w", ["shop/web", "shop/worker"]),
        ("skerry logs nothing/", []),
        ("skerry exec shop/web --site b", ["bergen"]),
        ("skerry events --app s", ["shop"]),
        ("skerry delete x", []),
        ("skerry wait si", ["site/"]),
        ("skerry wait app/", ["app/shop"]),
        ("skerry volume show ", []),
        ("skerry node show o", ["oslo/n1"]),
        ("skerry node list --site b", ["bergen"]),
        ("skerry instance show shop/w", ["shop/web", "shop/worker"]),
        ("skerry area show ", ["nordics"]),
        ("skerry user-group remove c", ["customers"]),
        ("skerry context use ", ["here"]),
        ("skerry --context h", ["here"]),
        ("skerry --context nowhere site show ", []),
    ],
)
def test_names_of_what_there_is(town, line, found, monkeypatch, capsys):
    for name, value in (town.environment | ask(line, "bash")).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["skerry"])
    with pytest.raises(SystemExit):
        main()
    said = capsys.readouterr()
    assert said.err == ""
    assert [each.removeprefix("plain,") for each in said.out.split("\n") if each] == found


def test_an_answer_is_kept_for_a_minute(town):
    assert "plain,oslo" in complete(town, "skerry site show ")
    kept = town.folder / "state" / "skerry" / "client" / "names.json"
    assert kept.stat().st_mode & 0o077 == 0
    town.add_site("fresh")
    assert "plain,fresh" not in complete(town, "skerry site show ")
    kept.write_text("[")
    assert "plain,fresh" in complete(town, "skerry site show ")


def test_no_core_no_context_and_a_core_that_says_nothing_are_silent(town, tmp_path):
    away = {"SKERRY_URL": "http://127.0.0.1:1"}
    assert complete(town, "skerry site show ", **away) == ["", ""]
    assert complete(town, "skerry site show ", XDG_CONFIG_HOME=str(tmp_path)) == ["", ""]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert complete(town, "skerry site show ", SKERRY_URL=url) == ["", ""]


def test_what_takes_too_long_is_left_alone():
    forever = threading.Event()
    assert names.run_shortly(lambda: [str(forever.wait(20))], 0.01) == []
    forever.set()


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("skerry image seed docker.io/library/w", "docker.io/library/web:1"),
        ("skerry image show docker", "docker.io/library/web:1"),
        ("skerry instance stop shop/wo", "shop/worker"),
        ("skerry node drain os", "oslo/n1"),
        ("skerry role show tenant/d", "tenant/deployer"),
        ("skerry key show deploy/", "deploy/default"),
        ("skerry user show ad", "ada"),
        ("skerry user remove ad", "ada"),
        ("skerry token create more --user ad", "ada"),
        ("skerry token revoke ad", "ada"),
    ],
)
def test_people_their_tokens_images_roles_and_keys_are_completed(town, line, wanted):
    if "ada" not in town.ok("user", "list"):
        town.ok("user", "create", "ada")
    assert any(wanted in each for each in complete(town, line)), complete(town, line)
