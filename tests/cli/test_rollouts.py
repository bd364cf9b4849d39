import json

import pytest
from tests.cli.town import Town
from tests.sdk.image_bytes import Image, layout, tar

SHOP = """
services:
  web:
    image: web:1
    hostname: %s
x-skerry:
  placement: {replicas: {per-site: 1}}
  rollout: {canary: 1, approve: each-wave}
"""


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    town = Town(tmp_path_factory.mktemp("town"))
    archive = town.folder / "web.tar"
    archive.write_bytes(tar(layout(Image(), names=("web:1",))))
    town.ok("image", "push", archive)
    town.sites = [town.add_site("oslo"), town.add_site("rome")]
    town.ok("apply", "-f", "-", "--name", "shop", "--yes", stdin=(SHOP % "one").encode())
    town.settle(*town.sites)
    yield town
    town.close()


def test_a_rollout_is_listed_and_shown(town):
    text = town.ok("rollout", "list")
    assert "shop" in text
    assert "canary" in text
    text = town.ok("rollout", "show", "shop")
    assert "1 let in, 0 proven, 0 failed, 1 waiting" in text
    assert "rome" in text
    assert "waiting" in text
    assert "revision 1 is at the canary" in text
    view = json.loads(town.ok("rollout", "show", "shop", "-o", "json"))
    assert (view["phase"], view["waiting"]) == ("running", 1)
    assert town.ok("rollout", "list", "-o", "name").split() == ["rollout/shop"]


def test_a_dry_run_changes_nothing(town):
    for verb in ("promote", "pause", "abort"):
        result = town.run("rollout", verb, "shop", "--dry-run")
        assert result.code == 0
        assert "would" in result.err + result.out
    assert json.loads(town.ok("rollout", "show", "shop", "-o", "json"))["phase"] == "running"


def test_it_is_paused_taken_up_again_and_ended(town):
    assert "Next: skerry rollout promote shop" in (paused := town.run("rollout", "pause", "shop")).out + paused.err
    town.ok("rollout", "promote", "shop")
    assert town.run("rollout", "abort", "shop").code == 1, "asked, and nobody answers"
    assert "aborted" in town.ok("rollout", "abort", "shop", "--yes")
    again = town.run("rollout", "abort", "shop", "--yes")
    assert again.code != 0
    assert "nothing to abort" in again.err


def test_an_app_without_a_rollout_has_none_to_show(town):
    result = town.run("rollout", "show", "nothing")
    assert result.code == 5
    assert "app nothing has no rollout" in result.err
    assert "skerry explain rollout" in result.err
