"""Names, name servers and ports of containers whose links Skerry makes."""

from pathlib import Path

import msgspec
import pytest
from tests.drivers.podman import specs

from skerry.drivers.podman.spec import container_body
from skerry.drivers.podman.wiring import (
    Known,
    Wiring,
    build_neighbours,
    build_resolv,
    find_port_clash,
    list_node_servers,
)
from skerry.model.app import Further, Port, Subnet
from skerry.model.ids import AppName, NetworkName, TenantName
from skerry.model.observed import NetworkSeen

DIGEST, UID = specs.DIGEST, 400_000
SPEC = msgspec.structs.replace(specs.SPEC, networks={NetworkName("default"): ()})


def network(*, names: bool) -> NetworkSeen:
    return NetworkSeen(
        tenant=TenantName("alpha"),
        app=AppName("shop"),
        name=NetworkName("default"),
        names=names,
        ranges=(Subnet(subnet="10.176.1.0/24", gateway="10.176.1.1"),),
    )


def test_podman_is_told_nothing_of_the_network(tmp_path: Path):
    spec = msgspec.structs.replace(SPEC, ports=(Port(target=80, published=8080),), dns=("192.0.2.53",))
    body = container_body(spec, DIGEST, UID, [])
    Wiring(tmp_path).dress(body, spec)
    assert body["netns"] == {"nsmode": "none"}
    assert not {"networks", "portmappings", "dns_server"} & body.keys()
    assert {mount["destination"] for mount in body["mounts"]} >= {"/etc/hosts", "/etc/resolv.conf"}
    assert '"published":8080' in body["labels"]["dev.skerry.ports"]
    alone = msgspec.structs.replace(spec, networks={})
    body = container_body(alone, DIGEST, UID, [])
    Wiring(tmp_path).dress(body, alone)
    assert "dev.skerry.wired" not in body["labels"]


def test_neighbours_are_named_and_nothing_else_gets_into_the_file():
    known = {
        "one": Known(("10.0.0.2", "fd00::2"), ("web", "ledger", "web")),
        "two": Known(("10.0.0.3",), ("bad name\n10.0.0.9", "db")),
        "three": Known(("10.0.0.4",), ("#",)),
    }
    assert build_neighbours([known]) == "10.0.0.2\tweb ledger\nfd00::2\tweb ledger\n10.0.0.3\tdb\n"


def test_the_node_is_asked_where_it_answers_and_then_the_services_own():
    spec = msgspec.structs.replace(
        SPEC, dns=("192.0.2.53",), further=Further(dns_options=("ndots:3",), dns_search=("shop.example",))
    )
    assert build_resolv(spec, [network(names=True)]).decode().splitlines() == [
        "search shop.example",
        "nameserver 10.176.1.1",
        "nameserver 192.0.2.53",
        "options ndots:3",
    ]
    assert build_resolv(msgspec.structs.replace(SPEC, dns=("192.0.2.53",)), [network(names=False)]) == (
        b"nameserver 192.0.2.53\n"
    )


def test_of_the_nodes_servers_only_those_count_that_are_reached(tmp_path: Path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("nameserver 127.0.0.53\nsearch example\n")
    second.write_text("# comment\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\nnameserver 2001:db8::1\n")
    assert list_node_servers((first, second)) == ["192.0.2.1", "2001:db8::1"]
    assert list_node_servers((tmp_path / "none",)) == []


@pytest.mark.parametrize(
    ("port", "meets"),
    [
        (Port(target=1, published=8080), True),
        (Port(target=1, published=8080, host_ip="127.0.0.1"), True),
        (Port(target=1, published=8080, protocol="udp"), False),
        (Port(target=1, published=8081), False),
    ],
)
def test_two_instances_do_not_share_a_port(port: Port, meets: bool):
    spec = msgspec.structs.replace(SPEC, ports=(Port(target=80, published=8080, protocol="sctp"),))
    spec = msgspec.structs.replace(spec, ports=(msgspec.structs.replace(spec.ports[0], protocol=port.protocol),))
    if not meets and port.protocol == "udp":
        spec = msgspec.structs.replace(spec, ports=(Port(target=80, published=8080, protocol="sctp"),))
    said = find_port_clash(spec, [("alpha/shop/other/0", (port,))])
    assert ("alpha/shop/other/0" in said) == meets
