"""Ways from and to a device of a node: by the chains that lead what it brings, and what is told where none does."""

from typing import Any

import msgspec
import pytest
from tests.plan.trace.seats import MESH, SHOP, Scene, end

from skerry.model.app import Port
from skerry.model.chain import Chain, ChainEnd
from skerry.model.facts import ChainFact
from skerry.model.ids import NodeName, ServiceName

LAN = ChainEnd(kind="interface", name="lan1")
DESK = end("shop", "", "oslo", device="lan1")
FACT = ChainFact(
    tenant=SHOP.tenant,
    app=SHOP.app,
    chain="out",
    node=NodeName("n1"),
    state="whole",
    steps={ServiceName("db"): "db-0"},  # type: ignore[dict-item]
)


def make_scene(start: ChainEnd = LAN, to: ChainEnd | None = None, fact: ChainFact | None = FACT, **words: Any) -> Scene:
    chain = Chain(name="out", start=start, through=(ServiceName("db"),), end=to or ChainEnd(kind="uplink"), **words)
    web = msgspec.structs.replace(SHOP.services[ServiceName("web")], ports=(Port(target=80, published=8080),))
    services = {**SHOP.services, ServiceName("web"): web}
    scene = Scene(revision=msgspec.structs.replace(SHOP, services=services, chains=(chain,)), ports={"8080/tcp": 80})
    scene.change("oslo", chains=(fact,) if fact is not None else ())
    return scene


def test_what_a_device_brings_passes_its_chain_both_ways():
    for ends in ((DESK, end()), (end(), DESK), (DESK, end(address="192.0.2.7"))):
        trace = make_scene().trace(*ends)
        assert trace.verdict == "passes", trace
        texts = [line.text for line in trace.lines]
        assert "chain out takes it: interface:lan1 → db → uplink, fail: closed" in texts
        assert "step db: db-0 has the traffic" in texts
        assert [line.hop for line in trace.lines][-1] == "way out"


def test_an_alien_protocol_and_a_way_that_is_not_symmetric_are_in_no_chain():
    trace = make_scene(symmetric=False).trace(end(), DESK)
    assert trace.verdict == "passes"
    assert any("no chain of shop leads what goes from internet to lan1" in line.text for line in trace.lines)


@pytest.mark.parametrize(
    ("fact", "reason"),
    [
        (msgspec.structs.replace(FACT, steps={"db": ""}, state="closed"), "step db: no copy can take it"),
        (
            msgspec.structs.replace(FACT, state="closed", reason="this node has no network device lan1"),
            "out leads nothing here: this node has no network device lan1",
        ),
    ],
)
def test_what_is_in_the_way_of_a_chain_decides(fact: ChainFact, reason: str):
    trace = make_scene(fact=fact).trace(DESK, end())
    assert trace.verdict == "stopped"
    assert trace.reason.startswith(reason)


def test_nobody_knows_of_a_chain_of_which_the_site_did_not_say_anything():
    assert make_scene(fact=None).trace(DESK, end()).verdict == "unknown"


def test_between_a_device_and_an_instance_a_chain_leads_or_what_is_open_to_everybody():
    scene = make_scene(to=ChainEnd(kind="service", name="web"))
    trace = scene.trace(DESK, "web@oslo")
    assert trace.verdict == "passes"
    assert any("chain out takes it" in line.text for line in trace.lines)
    assert "not of one app at one site" in scene.trace(DESK, "web@rome").reason
    trace = make_scene().trace(DESK, "web@oslo")
    assert any("port 8080/tcp of the node leads to 80" in line.text for line in trace.lines), trace


def test_users_pass_their_chain_behind_a_published_port():
    scene = make_scene(ChainEnd(kind="users"), ChainEnd(kind="network", name=MESH))
    trace = scene.trace(end(), "web@oslo", port=8080)
    assert trace.verdict == "passes", trace
    assert "chain out takes it: users → db → network:mesh, fail: closed" in [line.text for line in trace.lines]
    scene.change("oslo", chains=(msgspec.structs.replace(FACT, steps={"db": ""}, state="closed"),))
    assert scene.trace(end(), "web@oslo", port=8080).verdict == "stopped"


def test_a_device_without_a_step_anywhere_is_at_no_site():
    scene = make_scene()
    scene.placed = [each for each in scene.placed if each.unit.service != "db"]
    trace = scene.trace(end("shop", device="lan1"), end())
    assert (trace.verdict, trace.reason) == (
        "stopped",
        "no step of a chain of shop from or to lan1 has a place: skerry why shop",
    )
