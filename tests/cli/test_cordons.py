import json
import os
import subprocess
import sys
import time

import pytest
from tests.cli.town import Town
from tests.sdk.image_bytes import Image, layout, tar

WALL = """
services:
  web:
    image: web:1
    x-skerry: {placement: {replicas: {total: 2}}}
  each:
    image: web:1
    x-skerry: {placement: {replicas: {per-site: 1}}}
"""


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    town = Town(tmp_path_factory.mktemp("town"))
    archive = town.folder / "web.tar"
    archive.write_bytes(tar(layout(Image(), names=("web:1",))))
    town.ok("image", "push", archive)
    town.sites = [town.add_site("oslo")]
    town.ok("apply", "-f", "-", "--name", "wall", "--yes", stdin=WALL.encode())
    town.settle(*town.sites)
    town.sites.append(town.add_site("rome"))
    town.settle(*town.sites)
    yield town
    town.close()


def places(town):
    instances = json.loads(town.ok("app", "show", "wall", "-o", "json"))["instances"]
    return sorted((each["service"], each["site"]) for each in instances if each["wanted"])


def test_a_cordon_is_shown_and_taken_back(town):
    assert "would place nothing new" in town.run("site", "cordon", "oslo", "--dry-run").err
    assert "cordoned" not in town.ok("site", "list")
    assert "Next: skerry site drain oslo" in town.run("site", "cordon", "oslo").err
    assert "cordoned" in town.ok("site", "list")
    assert "nothing new is placed here" in town.ok("site", "show", "oslo")
    assert "cordoned" in town.run("site", "uncordon", "oslo", "--dry-run").err
    town.ok("site", "uncordon", "oslo")
    assert "cordoned" not in town.ok("site", "list")
    again = town.run("site", "uncordon", "oslo")
    assert again.code == 6
    assert "Hint: skerry site show oslo" in again.err
    assert town.run("site", "cordon", "nowhere").code == 5


def test_a_drain_says_what_goes_and_what_stays(town):
    before = places(town)
    dry = town.run("site", "drain", "oslo", "--dry-run")
    assert dry.code == 0
    assert "Would move away" in dry.out
    assert "wall/web.0" in dry.out
    assert "at each site that it names" in dry.out
    assert "it goes later" in dry.out
    refused = town.run("site", "drain", "oslo")
    assert refused.code == 1
    assert "Move 2 instances away from oslo? 2 stay for now" in refused.err
    town.settle(*town.sites)
    assert places(town) == before
    done = json.loads(town.ok("site", "drain", "oslo", "--yes", "-o", "json"))
    assert [each["to"] for each in done["moving"]] == ["rome"]
    for _ in range(3):
        town.settle(*town.sites)
    assert places(town) == [("each", "oslo"), ("each", "rome"), ("web", "rome"), ("web", "rome")]
    shown = town.ok("site", "show", "oslo")
    assert "Still here" in shown
    assert "wall/each.0" in shown
    assert "drained" in town.ok("why", "wall/web", "--site", "oslo")
    assert "still at oslo" in town.ok("why", "wall/each", "--site", "oslo")
    assert town.run("site", "drain", "oslo", "--dry-run").code == 0
    town.ok("site", "uncordon", "oslo")


def test_a_drain_can_be_waited_for(town):
    town.run("site", "uncordon", "oslo")
    town.settle(*town.sites)
    town.ok("site", "cordon", "rome")
    town.ok("apply", "-f", "-", "--name", "late", "--yes", stdin=WALL.replace("total: 2", "total: 1").encode())
    town.settle(*town.sites)
    town.ok("site", "uncordon", "rome")
    # Nobody plans: it does not end, and says what is not so.
    late = town.run("site", "drain", "oslo", "--yes", "--wait=1s")
    assert late.code == 4, late
    assert "have yet to move" in late.err
    argv = [sys.executable, "-m", "skerry", "site", "drain", "oslo", "--yes", "--wait=60s"]
    with subprocess.Popen(argv, env=os.environ | town.environment, stdout=subprocess.PIPE) as waiting:
        while waiting.poll() is None:
            town.settle(*town.sites)
            time.sleep(0.2)  # the command, a real process, looks once a second
    assert waiting.returncode == 0
    assert ("web", "oslo") not in {
        (each["service"], each["site"])
        for each in json.loads(town.ok("instance", "list", "--app", "late", "-o", "json"))["items"]
        if each["wanted"]
    }


def test_instances_and_operations_are_listed_for_all_apps(town):
    assert "wall/each.0" in town.ok("instance", "list", "--site", "oslo")
    assert "rome" not in town.ok("instance", "list", "--site", "oslo")
    operations = json.loads(town.ok("operation", "list", "-o", "json"))["items"]
    shown = town.ok("operation", "show", operations[-1]["operation"])
    assert "apply" in shown
    assert operations[-1]["operation"] in shown
    assert town.run("operation", "show", "nothing").code == 5
