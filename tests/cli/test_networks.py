import json

import pytest
from tests.cli.town import Town
from tests.core.cores import key, sign
from tests.sdk.image_bytes import Image, layout, tar

from skerry.model.facts import OverlayFact
from skerry.model.ids import AppName, NetworkName, NodeName, SiteName, TenantName, digest_of
from skerry.model.samples import NetworkUse, PeerUse, Sample
from skerry.model.signed import OverlayKey

SHOP = """
services:
  web: {image: web:1, networks: [mesh, inside], x-skerry: {placement: {replicas: {per-site: 1}}}}
networks: {mesh: {driver: overlay}, inside: {internal: true}}
"""


def _overlay(site: str) -> OverlayFact:
    public = digest_of(site.encode()).encode()[-32:]
    payload = OverlayKey(site=SiteName(site), node=NodeName("n1"), number=1, key=public)
    statement = sign("overlay-key", payload, key(f"device {site}"))
    return OverlayFact(node=NodeName("n1"), keys=(statement,), port=51820, addresses=("192.0.2.7",))


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    town = Town(tmp_path_factory.mktemp("town"))
    archive = town.folder / "web.tar"
    archive.write_bytes(tar(layout(Image(), names=("web:1",))))
    town.ok("image", "push", archive)
    town.ok("apply", "-f", "-", "--name", "shop", stdin=SHOP.encode())
    sites = [town.add_site("oslo"), town.add_site("bergen"), town.add_site("voss")]
    town.settle(*sites)
    for site in sites[:2]:
        town.wait(site.report(_overlay(site.name)))
    town.wait(town.rig.plan())
    yield town
    town.close()


def test_networks_are_listed_as_the_newest_revisions_say_them(town):
    assert town.ok("network", "list", "-o", "name").split() == ["network/shop/inside", "network/shop/mesh"]
    assert town.ok("network", "list", "--app", "blog", "-o", "name").split() == []
    table = town.ok("network", "list")
    assert "all sites of the app" in table
    assert "each site by itself" in table


def test_a_network_over_sites_shows_each_part_and_whom_it_sees(town):
    shown = json.loads(town.ok("network", "show", "shop/mesh", "-o", "json"))
    assert shown["network"]["sites"] == 3
    parts = {part["site"]: part for part in shown["parts"]}
    assert parts["oslo"]["sees"] == ["bergen"]
    assert parts["bergen"]["endpoints"] == ["192.0.2.7:51820"]
    assert parts["voss"]["endpoints"] == []
    assert len({part["ranges"][0] for part in parts.values()}) == 3
    text = town.run("network", "show", "shop/mesh")
    assert "192.0.2.7:51820" in text.out
    assert "sites see no other yet" not in text.err or "1 sites" in text.err


def test_a_network_of_each_site_has_no_parts(town):
    shown = json.loads(town.ok("network", "show", "shop/inside", "-o", "json"))
    assert (shown["parts"], shown["prefix"], shown["network"]["internal"]) == ([], "", True)


def test_what_is_not_there_is_said_so(town):
    assert town.run("network", "show", "shop/gone").code == 5
    assert town.run("network", "show", "shop").code == 64
    assert town.run("network", "create", "x").code == 64


def test_a_trace_says_what_is_known_of_sites_that_do_not_answer(town):
    found = json.loads(
        town.run("network", "trace", "shop/web@oslo", "shop/web@bergen", "--port", "80", "-o", "json").out
    )
    assert (found["start_site"], found["end_site"], found["port"]) == ("oslo", "bergen", "80/tcp")
    assert found["verdict"] == "unknown"
    assert {line["site"] for line in found["lines"] if "does not answer" in line["text"]} == {"oslo", "bergen"}
    text = town.ok("network", "trace", "shop/web@oslo", "shop/web@bergen")
    assert "verdict" in text
    assert "the core's document for oslo" in text


def test_a_trace_that_is_stopped_says_by_what(town):
    text = town.ok("network", "trace", "internet", "shop/web")
    assert "stopped: nothing leads to web from outside" in text
    assert "STOPS" in text


def test_what_is_no_end_or_no_port_is_said_before_anything_is_asked(town):
    assert "APP/SERVICE" in town.run("network", "trace", "shop", "internet").err
    for port in ("http", "0", "70000", "80/smtp", "/tcp"):
        refused = town.run("network", "trace", "shop/web", "internet", "--port", port)
        assert refused.code == 64
        assert "is no port: write 80, 53/udp or icmp" in refused.err
    assert "shop/web" in town.ok("network", "trace", "shop/web", "internet", "--port", "icmp")


def test_what_networks_links_and_uplinks_moved_is_shown_where_sites_have_told(town):
    assert "Moved" not in town.run("network", "show", "shop/mesh").out
    mesh = NetworkUse(TenantName("default"), AppName("shop"), NetworkName("mesh"), 10, 2_000_000, 5, 500, 2, 90)
    peers = (
        PeerUse(SiteName("bergen"), False, 5, False, 900, 800, 31_000, 40, 2),
        PeerUse(SiteName("voss"), True, 9, False, 1, 2),
    )
    town.rig.desk.take_sample(SiteName("oslo"), Sample(None, networks=(mesh,), peers=peers), 45_000)
    text = town.run("network", "show", "shop/mesh").out
    assert "1.9 MiB" in text
    assert "2 packets" in text
    table = town.ok("top", "links", "--once", "-o", "table")
    assert "1 direct, 1 relayed" in table
    assert "5.0 % to bergen" in table
    rows = [json.loads(line) for line in town.ok("top", "links", "--site", "oslo", "--once").splitlines()]
    assert [row["rtt_us"] for row in rows] == [45_000]
    assert town.ok("uplink", "use", "oslo", "-o", "name").split() == []
