import json

import pytest
from tests.cli.town import Town
from tests.sdk.image_bytes import Image, layout, tar

from skerry.cli.main import run
from skerry.cli.session import Session

SHOP = """
services:
  web:
    image: web:1
    x-skerry: {placement: {replicas: {%s: 1}}}
  side:
    image: web:1
"""


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    town = Town(tmp_path_factory.mktemp("town"))
    archive = town.folder / "web.tar"
    archive.write_bytes(tar(layout(Image(), names=("web:1",))))
    town.ok("image", "push", archive)
    town.sites = [town.add_site("oslo"), town.add_site("rome")]
    yield town
    town.close()


def apply(town, app, how):
    town.ok("apply", "-f", "-", "--name", app, "--yes", stdin=(SHOP % how).encode())
    town.settle(*town.sites)


def count(town, app):
    town.settle(*town.sites)
    instances = json.loads(town.ok("app", "show", app, "-o", "json"))["instances"]
    return sum(each["service"] == "web" for each in instances)


def read(town, app, number):
    envelope = town.wait(town.rig.service.read_revision(town.rig.admin, app=app, number=str(number)))
    return json.loads(envelope.payload)


def test_a_total_grows_and_shrinks_under_higher_numbers(town):
    apply(town, "wall", "total")
    assert count(town, "wall") == 1
    grown = town.run("app", "scale", "wall/web", 3)
    assert "revision 2, with 3 copies" in grown.err
    assert "brings back" in grown.err
    assert count(town, "wall") == 3
    refused = town.run("app", "scale", "wall/web", 2)
    assert refused.code == 1, "less is asked for, and nobody answers"
    town.ok("app", "scale", "wall/web", 2, "--yes")
    assert count(town, "wall") == 2
    first, third = read(town, "wall", 1), read(town, "wall", 3)
    assert third["services"]["side"] == first["services"]["side"]
    assert third["source"] == first["source"]


def test_copies_at_each_site_stay_counted_at_each_site(town):
    apply(town, "each", "per-site")
    assert count(town, "each") == 2
    town.ok("app", "scale", "each/web", 2)
    assert count(town, "each") == 4
    assert read(town, "each", 2)["services"]["web"]["placement"]["replicas"]["per-site"] == 2


def test_what_is_so_already_signs_nothing(town):
    apply(town, "same", "total")
    assert "already" in town.run("app", "scale", "same/web", 1).err
    assert json.loads(town.ok("app", "show", "same", "-o", "json"))["summary"]["number"] == 1
    assert "would sign" in town.run("app", "scale", "same/web", 9, "--dry-run").err
    assert json.loads(town.ok("app", "show", "same", "-o", "json"))["summary"]["number"] == 1


def test_what_cannot_be_scaled_is_said(town):
    apply(town, "odd", "total")
    missing = town.run("app", "scale", "odd/nothing", 2)
    assert missing.code == 5
    assert "Hint: skerry app show odd" in missing.err
    assert town.run("app", "scale", "gone/web", 2).code == 5
    assert town.run("app", "scale", "odd", 2).code == 64
    assert town.run("app", "scale", "odd/web", 0).code == 64
    many = town.run("app", "scale", "odd/web", 1_000_000)
    assert many.code == 1
    assert "Hint: skerry app pause odd" in many.err
    town.ok("delete", "app/odd", "--yes")
    ended = town.run("app", "scale", "odd/web", 2)
    assert ended.code == 5
    assert "has ended" in ended.err


def test_another_revision_of_the_same_owner_is_not_signed_again(town):
    """An evil core: it hands out what the owner did sign, and meant for something else."""
    apply(town, "mine", "total")
    apply(town, "other", "per-site")
    other = town.wait(town.rig.service.read_revision(town.rig.admin, app="other", number="1"))
    for words in (("scale", "mine/web", "3"), ("rollback", "mine", "--to", "1", "--yes")):
        session = Session(town.environment)
        send = session.client.send
        session.client.send = lambda asked, send=send: other if asked.operation.name == "read_revision" else send(asked)
        assert run(["app", *words], session) == 1
    for app in ("mine", "other"):
        assert json.loads(town.ok("app", "show", app, "-o", "json"))["summary"]["number"] == 1
