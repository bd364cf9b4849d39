import json

import msgspec
import pytest
from tests.cli.test_control import FarSites
from tests.cli.town import Town
from tests.sdk.image_bytes import Image, layout, tar

from skerry.model.facts import ChainFact
from skerry.model.ids import AppName, NodeName, ServiceName, TenantName
from skerry.model.observed import ChainProbed, ChainStepProbed
from skerry.model.samples import ChainUse, Sample, StepUse
from skerry.wire import CallReply


class WatchedSites(FarSites):
    """Sites that may be asked for quicker samples, too."""

    def ask_samples(self, site, every_us, span_us):
        pass


SHOP = """
services:
  client: {image: web:1, networks: [inside]}
  wall: {image: web:1, networks: [inside, middle]}
  look: {image: web:1, networks: [middle]}
networks: {inside: {}, middle: {}}
x-skerry:
  placement: {replicas: {per-site: 1}}
  chain:
    - {name: out, from: "network:inside", through: [wall, look], to: uplink, max-latency: 5ms}
    - {name: in, from: uplink, through: [wall], to: "network:inside", fail: open, symmetric: false,
       match: {protocol: icmp}}
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
        latency_us={ServiceName("wall"): 50, ServiceName("look"): 2_000} if state == "whole" else {},
        path_us=5_000 if state == "whole" else 0,
        late=state == "whole",
        flaw="it takes 5 ms" if state == "whole" else "",
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
    town.rig.core.sites = town.far = WatchedSites()
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


def test_a_chain_shows_latency_and_packets_of_each_step(town):
    use = ChainUse(
        TenantName("default"),
        AppName("shop"),
        "out",
        (StepUse(ServiceName("wall"), 17, 12), StepUse(ServiceName("look"), 16, 13)),
    )
    town.rig.desk.take_sample("oslo", Sample(None, chains=(use,)), 0)
    nodes = {node["site"]: node for node in json.loads(town.ok("chain", "show", "shop/out", "-o", "json"))["nodes"]}
    assert nodes["oslo"]["packets"] == {"wall": [17, 12], "look": [16, 13]}
    assert (nodes["bergen"]["packets"], nodes["bergen"].get("counted_s_ago")) == ({}, None)
    text = town.run("chain", "show", "shop/out").out
    for words in ("≤ 50 µs + 2 ms, all ≤ 5 ms", "17/12, 16/13", "whole, late", "it takes 5 ms", "5 ms"):
        assert words in text, words


def _answer(town, **words):
    steps = tuple(
        ChainStepProbed(
            service=name, instance=f"default/shop/{name}/0", given=10, passed=10, median_us=40, most_us=1_200
        )
        for name in ("wall", "look")
    )
    probed = ChainProbed(**{"sent": 10, "arrived": 10, "steps": steps, "median_us": 90, "what": "echo request"} | words)
    town.far.reply = CallReply("c", True, msgspec.json.encode(probed))


def test_a_chain_is_tested_by_a_signed_call_and_what_came_of_it_is_shown(town):
    _answer(town)
    done = town.run("chain", "test", "shop/out", "--site", "oslo")
    assert done.code == 0, done
    site, kind, call = town.far.signed[-1]
    assert (site, kind, call.verb, call.chain, call.service) == ("oslo", "test-chain", "test-chain", "out", "wall")
    for words in ("10 × echo request", "0 of 10", "90 µs", "passes", "1.2 ms", "default/shop/look/0"):
        assert words in done.out, words


def test_a_chain_that_does_not_pass_or_not_in_time_ends_with_3(town):
    _answer(town, arrived=0, reason="10 of 10 were not passed on by wall")
    lost = town.run("chain", "test", "shop/out", "--site", "oslo")
    assert (lost.code, "not passed on by wall" in lost.out) == (3, True)
    _answer(town, median_us=7_000)
    late = town.run("chain", "test", "shop/out", "--site", "oslo")
    assert (late.code, "late: its owner allows 5 ms" in late.out) == (3, True)


def test_a_chain_at_several_sites_needs_a_site_and_a_refusal_is_told(town):
    assert town.run("chain", "test", "shop/out").code == 64
    town.far.reply = CallReply("c", False, code="E-CALL", reason="out cannot be tested here: a step is missing")
    refused = town.run("chain", "test", "shop/out", "--site", "oslo")
    assert refused.code != 0
    assert "a step is missing" in refused.err


def test_what_is_not_there_is_said_so(town):
    assert town.run("chain", "show", "shop/gone").code == 5
    assert town.run("chain", "show", "gone/out").code == 5
    assert town.run("chain", "show", "shop").code == 64
    assert town.run("chain", "test", "shop/gone").code == 5
