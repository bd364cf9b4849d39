"""Where a node may be reached, from what ``ip`` says."""

import json

import msgspec
import pytest

from skerry.drivers.overlay.addresses import read_addresses, read_routes


def link(name: str, *addresses: str, scope: str = "global", **words: object) -> dict[str, object]:
    return {"ifname": name, "addr_info": [{"local": each, "scope": scope, **words} for each in addresses]}


def read(links: list[dict[str, object]], *routes: list[dict[str, str]]) -> tuple[str, ...]:
    return read_addresses(json.dumps(links).encode(), [json.dumps(each).encode() for each in routes])


def test_addresses_beside_the_default_route_come_first():
    links = [link("eth0", "192.0.2.1"), {}, link("wan0", "198.51.100.1", "2001:db8::1")]
    ways = [{"dst": "default", "dev": "wan0"}]
    assert read(links, ways, []) == ("198.51.100.1", "2001:db8::1", "192.0.2.1")


@pytest.mark.parametrize("name", ["lo", "skw0", "sk0123456789ab", "veth1", "podman0", "docker0", "br-12", "virbr0"])
def test_what_leads_to_instances_is_left_out(name: str):
    assert read([link(name, "192.0.2.1")]) == ()


@pytest.mark.parametrize("word", ["temporary", "deprecated", "tentative", "dadfailed"])
def test_what_passes_is_left_out(word: str):
    assert read([link("eth0", "2001:db8::1", **{word: True})]) == ()


def test_addresses_of_one_link_are_left_out():
    assert read([link("eth0", "fe80::1", scope="link")]) == ()


def test_ip_says_nothing_where_there_is_nothing():
    assert read_addresses(b"", [b"", b"\n"]) == ()
    assert read_routes(b"") == {}


def test_a_route_to_one_address_is_a_range_too():
    content = (
        b'[{"dst":"10.64.2.64/26","dev":"skw0"},{"dst":"10.64.9.1","dev":"skw2"},{"dst":"fd00::/64","dev":"skw0"}]'
    )
    assert read_routes(content) == {"10.64.2.64/26": "skw0", "10.64.9.1/32": "skw2", "fd00::/64": "skw0"}


def test_something_else_is_refused():
    with pytest.raises(msgspec.DecodeError):
        read_routes(b"Usage: ip")
