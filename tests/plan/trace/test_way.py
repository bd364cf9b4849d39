"""Whole ways: what the core knows and what nodes say, put together, and the line that decides."""

from typing import Any

import msgspec
import pytest
from tests.plan.trace.seats import MESH, SHOP, Scene, end

from skerry.model.app import AppRevision, Network, Port
from skerry.model.chain import Chain, ChainEnd
from skerry.model.entrance import Entrance
from skerry.model.facts import ChainFact
from skerry.model.ids import NetworkName, NodeName, SiteName
from skerry.model.trace import DoorLook, InstanceLook, NameLook, NetworkLook, TunnelLook
from skerry.plan.trace.way import choose_place
from skerry.plan.trace.wish import Wish

BACK = NetworkName("back")


def test_two_instances_of_a_network_over_sites_reach_each_other():
    trace = Scene().trace("web@oslo", "db@rome", port=5432)
    assert (trace.verdict, trace.reason) == ("passes", "nothing stops it")
    assert [line.hop for line in trace.lines if line.verdict == "passes"] == [
        "end",
        "end",
        "network",
        "rule",
        "tunnel",
        "tunnel",
        "rule",
        "port",
    ]


def test_nobody_claims_that_packets_pass_where_a_site_does_not_answer():
    trace = Scene().without("rome").trace("web@oslo", "db@rome")
    assert trace.verdict == "unknown"
    assert trace.reason == "it should be so: shop/db-0 is ready"
    assert trace.lines[0].text.startswith("rome does not answer, last heard 7 s ago")
    assert {line.age_s for line in trace.lines if line.source == "the core's document for rome"} == {7}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"hold": "db"}, "shop/db-0 is paused"),
        ({"unplaced": "db"}, "has no place: skerry why shop/db"),
        ({"silent": "db"}, "db-0 does not run there"),
        ({"exited": "db"}, "db-0 is exited"),
        ({"refused": "db"}, "db-0 is refused: no room"),
    ],
)
def test_an_end_that_is_not_there_decides(change: dict[str, str], why: str):
    trace = Scene(**change).trace("web@oslo", "db@rome")
    assert trace.verdict == "stopped"
    assert why in trace.reason
    assert not any(line.hop == "tunnel" for line in trace.lines)


def test_an_instance_that_is_not_well_is_reached_by_address_and_not_by_name():
    scene = Scene(unhealthy="db")
    scene.change("oslo", names=(NameLook(MESH, (), (), "nothing of it is well here"),))
    trace = scene.trace("web@oslo", "db@rome")
    assert trace.verdict == "passes"
    told = [line.text for line in trace.lines if line.verdict == "told"]
    assert any("names and entrances do not lead to it" in text for text in told)
    assert any("db in mesh leads to nowhere now: nothing of it is well here" in text for text in told)


def test_names_that_lead_elsewhere_are_told():
    scene = Scene()
    scene.change("oslo", names=(NameLook(MESH, ("10.64.0.9",), (SiteName("voss"),), "voss is nearer"),))
    assert any("is led to voss, not to rome" in line.text for line in scene.trace("web@oslo", "db@rome").lines)


def test_a_network_of_each_site_by_itself_ends_at_the_site():
    networks = {MESH: Network()}
    trace = Scene(revision=msgspec.structs.replace(SHOP, networks=networks)).trace("web@oslo", "db@rome")
    assert trace.verdict == "stopped"
    assert "one at each site by itself" in trace.reason


def _apart(**words: Any) -> AppRevision:
    db = msgspec.structs.replace(SHOP.services["db"], networks={BACK: ()})  # type: ignore[index]
    return msgspec.structs.replace(
        SHOP, services={**SHOP.services, "db": db}, networks={**SHOP.networks, BACK: Network()}, **words
    )


def test_services_of_no_common_network_do_not_meet_but_through_a_chain():
    trace = Scene(revision=_apart()).trace("web@oslo", "db@oslo")
    assert trace.verdict == "stopped"
    assert trace.reason == "no network in common: web is in mesh, db in back"
    chain = Chain(
        name="in",
        start=ChainEnd(kind="network", name="mesh"),
        through=("wall",),
        end=ChainEnd(kind="service", name="db"),  # type: ignore[arg-type]
    )
    scene = Scene(revision=_apart(chains=(chain,)))
    fact = ChainFact(
        tenant=SHOP.tenant,
        app=SHOP.app,
        chain="in",
        node=NodeName("n1"),
        state="whole",
        steps={"wall": "wall-0"},  # type: ignore[dict-item]
    )
    scene.change("oslo", chains=(fact,))
    trace = scene.trace("web@oslo", "db@oslo")
    assert trace.verdict == "passes"
    assert any("step wall: wall-0 has the traffic" in line.text for line in trace.lines)
    scene.change("oslo", chains=(msgspec.structs.replace(fact, steps={"wall": ""}),))
    assert "closed" in scene.trace("web@oslo", "db@oslo").reason


def test_other_apps_are_reached_by_what_they_have_open_alone():
    scene = Scene()
    blog = msgspec.structs.replace(
        SHOP,
        app="blog",
        services={"web": msgspec.structs.replace(SHOP.services["web"], ports=(Port(target=80, published=8080),))},  # type: ignore[index]
    )
    scene.add(blog, "web", "oslo")
    trace = scene.trace("web@oslo", end("blog", "web", "oslo"))
    assert trace.verdict == "stopped"
    assert "share no network" in trace.reason
    assert any("port 8080/tcp of its node" in line.text for line in trace.lines)


def test_one_of_several_networks_is_the_way_to_other_sites():
    web = msgspec.structs.replace(SHOP.services["web"], networks={MESH: (), BACK: ()})  # type: ignore[index]
    revision = msgspec.structs.replace(
        SHOP, services={**SHOP.services, "web": web}, networks={**SHOP.networks, BACK: Network()}
    )
    scene = Scene(revision=revision)
    looks = (*scene.told["oslo"].view.networks, NetworkLook(BACK, False, ("10.176.0.0/24",)))
    scene.change("oslo", networks=looks)
    trace = scene.trace("web@oslo", "db@rome")
    assert trace.verdict == "unknown"
    assert "by one of them" in trace.reason


def test_the_way_out_and_what_keeps_from_it():
    scene = Scene()
    trace = scene.trace("web@oslo", end(address="198.51.100.7"))
    assert trace.verdict == "passes"
    assert "uplinks of the site: fibre" in trace.lines[-1].text
    inside = msgspec.structs.replace(SHOP, networks={MESH: msgspec.structs.replace(SHOP.networks[MESH], internal=True)})
    assert "which is internal" in Scene(revision=inside).trace("web@oslo", end(address="198.51.100.7")).reason
    scene.change("oslo", target_is="node")
    assert "the node itself" in scene.trace("web@oslo", end(address="198.51.100.7")).reason


def _open_shop(**words: Any) -> AppRevision:
    web = msgspec.structs.replace(SHOP.services["web"], **words)  # type: ignore[index]
    return msgspec.structs.replace(SHOP, services={**SHOP.services, "web": web})


def test_the_way_in_is_a_published_port_or_an_entrance():
    outside = end(address="203.0.113.5")
    trace = Scene().trace(outside, "web@oslo")
    assert trace.verdict == "stopped"
    assert "give it a published port or an entrance" in trace.reason
    scene = Scene(revision=_open_shop(ports=(Port(target=80, published=8080),)), ports={"8080/tcp": 80})
    assert scene.trace(outside, "web@oslo").verdict == "passes"
    assert scene.trace(outside, "web@oslo", port=8080).verdict == "passes"
    assert scene.trace(outside, "web@oslo", port=443).verdict == "stopped"
    closed = Scene(revision=_open_shop(ports=(Port(target=80, published=8080),))).trace(outside, "web@oslo")
    assert "is not open for it" in closed.reason


def test_an_entrance_says_whether_it_is_open_and_who_answers_it():
    one = Entrance(port=80, host="shop.example", tls="secret", secret="cert")
    host = end("shop", "web", host="shop.example")
    scene = Scene(revision=_open_shop(entrance=(one,)))
    assert "is not at the entrance of oslo" in scene.trace(end(), host).reason
    door = DoorLook(one.place, host.service, "", 1, 2)
    scene.change("oslo", doors=(door,))
    trace = scene.trace(end(), host)
    assert trace.verdict == "passes"
    assert "open at port 443; 1 of 2 copies" in trace.lines[-1].text
    scene.change("oslo", doors=(msgspec.structs.replace(door, well=0),))
    assert scene.trace(end(), host).verdict == "stopped"
    # Its own site's entrance is the node, which an instance does not reach; another site's is the world outside.
    scene.change("oslo", doors=(door,))
    assert "reaches only names" in scene.trace("db@oslo", host).reason
    assert scene.trace("db@rome", host).verdict == "passes"


def test_nodes_and_instances():
    scene = Scene()
    assert scene.trace(end(site="oslo"), "web@oslo").verdict == "passes"
    assert "sends nothing into networks of other sites" in scene.trace(end(site="rome"), "web@oslo").reason
    assert "only names" in scene.trace("web@oslo", end(site="oslo")).reason
    assert scene.trace("web@oslo", end(site="rome")).verdict == "stopped"
    assert scene.trace(end(), end(site="oslo")).verdict == "stopped"
    assert scene.trace(end(site="oslo"), end()).verdict == "unknown"
    assert scene.trace(end(), end(address="192.0.2.1")).verdict == "unknown"


def test_two_sites_are_as_near_as_their_tunnels():
    scene = Scene()
    assert scene.trace(end(site="oslo"), end(site="rome")).verdict == "passes"
    assert scene.trace(end(site="oslo"), end(site="oslo")).verdict == "passes"
    gone = TunnelLook(True, ("10.64.0.64/26",), "192.0.2.9:51820", True, 400, True, 10, 20)
    scene.change("oslo", tunnels=(gone,))
    trace = scene.trace(end(site="oslo"), end(site="rome"))
    assert trace.verdict == "stopped"
    assert "by the relay at 192.0.2.9:51820, keys agreed 400 s ago; 10 bytes came, 20 went" in trace.reason
    scene.change("oslo", tunnels=())
    assert "no tunnel to rome" in scene.trace(end(site="oslo"), end(site="rome")).reason


def test_what_waits_at_a_node_is_told_beside_the_way():
    scene = Scene()
    scene.change("rome", waits=("overlay: wg is not there",), tunnels=(), tunnels_lack="wg is not there")
    trace = scene.trace("web@oslo", "db@rome")
    assert trace.verdict == "stopped"
    assert any(line.text == "waits there: overlay: wg is not there" for line in trace.lines)


def test_a_place_is_chosen_near_the_other_end_and_among_those_that_are_ready():
    scene = Scene()
    scene.add(SHOP, "db", "voss", phase="waiting")
    known = scene.known()
    assert [choose_place(known, end("shop", "db"), near).site for near in ((), ("voss",), ("mars",))] == [  # type: ignore[union-attr, arg-type]
        "oslo",
        "voss",
        "oslo",
    ]
    assert choose_place(known, end("shop", "db", "mars")) is None
    assert choose_place(known, end(site="oslo")) is None


def test_a_port_that_no_manifest_names_is_not_stopped_by_a_rule():
    line = Scene().trace("web@oslo", "db@oslo", port=9999).lines[-1]
    assert line.verdict == "told"
    assert "does not name 9999/tcp" in line.text
    assert str(Wish("udp", 53)) == "53/udp"


def test_an_instance_without_a_known_address_is_one_of_its_part():
    scene = Scene()
    look = scene.told["rome"].view.instances[0]
    scene.change("rome", instances=(InstanceLook(look.instance, "running", "ready", ""),))
    trace = scene.trace("web@oslo", "db@rome")
    assert trace.verdict == "stopped"
    assert "no address of" in trace.reason
