import json

import pytest
from tests.cli.town import Town
from tests.sdk.image_bytes import Image, layout, tar

from skerry.model.ids import AppName, NodeName, ServiceName, TenantName
from skerry.model.observed import ChainFact

SHOP = """
services:
  client: {image: web:1, networks: [inside]}
  wall: {image: web:1, networks: [inside, middle]}
  look: {image: web:1, networks: [middle]}
networks: {inside: {}, middle: {}}
x-skerry:
  placement: {replicas: {per-site: 1}}
  chain:
    - {name: out, from: "network:inside", through: [wall, look], to: uplink}
    - {name: in, from: uplink, through: [wall], to: "network:inside", fail: open, symmetric: false}
"""


def _told(state, **steps):
    return ChainFact(
        tenant=TenantName("default"),
        app=AppName("shop"),
        chain="out",
        node=NodeName("n1"),
        state=state,
        steps={ServiceName(name): instance for name, instance in steps.items()},
        reason="" if state == "whole" else "no copy of look is well",
    )


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    town = Town(tmp_path_factory.mktemp("town"))
    archive = town.folder / "web.tar"
    archive.write_bytes(tar(layout(Image(), names=("web:1",))))
    town.ok("image", "push", archive)
    town.ok("apply", "-f", "-", "--name", "shop", stdin=SHOP.encode())
    sites = [town.add_site("oslo"), town.add_site("bergen")]
    town.settle(*sites)
    wall, look = "default/shop/wall/0", "default/shop/look/0"
    town.wait(sites[0].report(_told("whole", wall=wall, look=look)))
    town.wait(sites[1].report(_told("closed", wall=wall, look="")))
    yield town
    town.close()


def test_chains_are_listed_with_their_path_and_what_nodes_say(town):
    assert town.ok("chain", "list", "-o", "name").split() == ["chain/shop/in", "chain/shop/out"]
    assert town.ok("chain", "list", "--app", "blog", "-o", "name").split() == []
    found = {each["chain"]: each for each in json.loads(town.ok("chain", "list", "-o", "json"))["items"]}
    assert (found["out"]["whole"], found["out"]["around"], found["out"]["closed"]) == (1, 0, 1)
    assert (found["in"]["fail"], found["in"]["symmetric"], found["in"]["whole"]) == ("open", False, 0)
    assert "network:inside → wall → look → uplink" in town.ok("chain", "list")


def test_a_chain_shows_who_has_its_traffic_at_each_node_and_why_nothing_passes(town):
    shown = json.loads(town.ok("chain", "show", "shop/out", "-o", "json"))
    nodes = {node["site"]: node for node in shown["nodes"]}
    assert list(nodes["oslo"]["steps"]) == ["wall", "look"]
    assert nodes["oslo"]["steps"]["look"].endswith("/shop/look/0")
    assert (nodes["bergen"]["state"], nodes["bergen"]["steps"]["look"]) == ("closed", "")
    text = town.run("chain", "show", "shop/out")
    assert "look: none" in text.out
    assert "no copy of look is well" in text.out
    assert "nothing passes" in text.err


def test_what_is_not_there_is_said_so(town):
    assert town.run("chain", "show", "shop/gone").code == 5
    assert town.run("chain", "show", "gone/out").code == 5
    assert town.run("chain", "show", "shop").code == 64
    assert town.run("chain", "test", "shop/out").code == 64
