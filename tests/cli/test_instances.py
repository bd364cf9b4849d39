"""``skerry instance show``, through a real core and its API."""

import json

import msgspec
import pytest
from tests.cli.town import Town
from tests.sdk.image_bytes import Image, layout, tar

from skerry.model.ids import SiteName, UnitId
from skerry.model.samples import InstanceUse, Sample

SHOP = """
services:
  web: {image: web:1, x-skerry: {placement: {replicas: {per-site: 1}}}}
  worker: {image: web:1}
"""


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    town = Town(tmp_path_factory.mktemp("town"))
    archive = town.folder / "web.tar"
    archive.write_bytes(tar(layout(Image(), names=("web:1",))))
    town.ok("image", "push", archive)
    town.oslo, bergen = town.add_site("oslo"), town.add_site("bergen")
    town.ok("apply", "-f", "-", "--name", "shop", stdin=SHOP.encode())
    town.settle(town.oslo, bergen)
    yield town
    town.close()


def test_an_instance_is_shown_with_where_what_and_why(town):
    text = town.ok("instance", "show", "shop/web", "--site", "oslo")
    lines = [line.partition(":")[::2] for line in text.splitlines()]
    said = {name: value.strip() for name, value in lines}
    assert (said["instance"], said["site"], said["node"], said["phase"]) == ("shop/web.0", "oslo", "n1", "ready")
    assert said["image"].startswith("web:1 (")
    assert said["placed"].startswith("score ")
    found = json.loads(town.ok("instance", "show", "shop/web", "--site", "oslo", "-o", "json"))
    assert (found["ready"], found["wish"], found["image"]) == (True, "run", "web:1")
    assert found["summary"]["instance"] == "default/shop/web/0"
    name = town.ok("instance", "show", "shop/web", "--site", "oslo", "-o", "name")
    for written in ("shop/web.0", "shop/web:0"):
        assert town.ok("instance", "show", written, "--site", "oslo", "-o", "name") == name
    assert name in town.ok("instance", "list", "-o", "name").splitlines(keepends=True)


def test_an_instance_that_is_not_well_shows_its_health_output_and_what_to_run_next(town):
    unit = town.oslo.units[UnitId("assignment/default/shop/web/0")]
    fact = town.oslo.instance(unit, 1, "unhealthy")
    town.wait(town.oslo.report(msgspec.structs.replace(fact, reason="code 1: no route", restarts=2)))
    town.rig.desk.take_sample(SiteName("oslo"), Sample(None, (InstanceUse(fact.instance, 5, 3 << 20, 1, 2, 3, 4),)), 0)
    result = town.run("instance", "show", "shop/web", "--site", "oslo")
    assert result.code == 0, result
    assert "health output: code 1: no route" in result.out
    assert "memory:  3.0 MiB" in result.out
    assert "Next: skerry logs shop/web --site oslo" in result.err
    town.wait(town.oslo.report_ready())


def test_where_there_are_several_one_has_to_be_said(town):
    result = town.run("instance", "show", "shop/web")
    assert result.code == 64
    assert "2 instances of shop/web: say which, for example --site bergen --ordinal 0" in result.err
    assert "worker.0" in town.ok("instance", "show", "shop/worker")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("shop/web", "--site", "moss"), 5, "no instance shop/web at moss"),
        (("shop/web", "--ordinal", "7"), 5, "no instance shop/web.7"),
        (("shop/web.7", "--site", "oslo"), 5, "no instance shop/web.7 at oslo"),
        (("shop/web.x", "--site", "oslo"), 64, "write APP/SERVICE.N"),
        (("shop/web.1", "--ordinal", "2", "--site", "oslo"), 64, "is not copy 2"),
        (("shop/none",), 5, "Hint: skerry instance list --app shop"),
        (("shop",), 64, "write APP/SERVICE"),
        (("shop/web", "--ordinal", "-1"), 64, "not in the range"),
    ],
)
def test_what_is_not_there_is_told_with_where_to_look(town, words, code, said):
    result = town.run("instance", "show", *words)
    assert (result.code, result.out) == (code, "")
    assert said in result.err
