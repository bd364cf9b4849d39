"""Apps use what an operator's profile grants at one site, and nowhere else: a device, a network of the site."""

import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.e2e.fleet import Fleet, list_containers, wait_until, write_image
from tests.e2e.lab import Lab
from tests.e2e.tiny_image import tiny_image

pytestmark = pytest.mark.e2e

APP = """
services:
  vpn:
    image: tiny:1
    cap_add: [NET_ADMIN]
    devices: [/dev/net/tun]
    volumes: ["{folder}:/given"]
    stop_grace_period: 1s
x-skerry:
  profile: {profile}
  placement: {{replicas: {{per-site: 1}}}}
"""
PROFILE = """
apiVersion: skerry.dev/v1
kind: Profile
metadata: {{name: vpn}}
spec:
  tenants: [default]
  sites: tier=store
  capabilities: [NET_ADMIN]
  devices: [/dev/net/tun]
  binds: [{{path: {folder}, writable: true}}]
"""


PLANT = """
apiVersion: skerry.dev/v1
kind: Profile
metadata: {name: plant}
spec:
  tenants: [default]
  interfaces: [lan0, lan0/100-199]
"""
MAC = "02:00:00:00:09:20"
GATEWAY = """
services:
  gateway:
    image: tiny:1
    stop_grace_period: 1s
    x-skerry:
      interfaces:
        wan: uplink
        machines: {network: machines, address: 10.9.0.20, mac: "02:00:00:00:09:20"}
networks:
  machines:
    ipam: {config: [{subnet: 10.9.0.0/24, ip_range: 10.9.0.16/28}]}
    x-skerry: {%s, parent: lan0}
x-skerry:
  profile: plant
  placement: {replicas: {per-site: 1}}
"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Generator[Fleet]:
    with Lab(["shop", "depot"]) as lab, Fleet(lab) as fleet:
        fleet.start_core()
        fleet.must("image", "push", write_image(tmp_path_factory.mktemp("image"), "tiny", tiny_image("tiny:1")))
        fleet.start_site("shop", "tier=store")
        fleet.agent_env["SKERRY_AGENT_LINKS"] = "skerry"
        fleet.start_site("depot", "tier=depot")
        fleet.agent_env.clear()
        yield fleet


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def runs(fleet: Fleet, site: str) -> bool:
    found = list_containers(fleet.lab.sites[site]).values()
    return any(each["State"] == "running" for each in found)


@pytest.fixture
def given() -> Generator[Path]:
    """A folder of the node; below /var/tmp each app would have one for itself."""
    with tempfile.TemporaryDirectory(dir="/srv") as name:
        yield Path(name)


def test_a_profile_grants_a_device_at_its_sites_until_it_ends(fleet: Fleet, tmp_path: Path, given: Path) -> None:
    plain = write(tmp_path / "vpn", "plain.yaml", APP.format(profile="default", folder=given))
    app = write(tmp_path / "vpn", "compose.yaml", APP.format(profile="vpn", folder=given))
    profile = write(tmp_path, "profile.yaml", PROFILE.format(folder=given))

    refused = fleet.cli("validate", "-f", plain)
    assert refused.exit != 0
    for grant in ("cap_add: NET_ADMIN", "devices: /dev/net/tun", f"bind: {given}"):
        assert f'profile "default" does not grant "{grant}"' in refused.err
    assert 'no site has a profile "vpn"' in fleet.cli("apply", "-f", app).err

    fleet.must("profile", "set", "-f", profile, "--yes")
    fleet.must("apply", "-f", app)
    wait_until(lambda: runs(fleet, "shop"), "the start of the app")
    # A node tells of itself from its first document on.
    wait_until(lambda: _list_devices(fleet) == {"shop": ["/dev/net/tun"], "depot": []}, "the device being told")
    assert not list_containers(fleet.lab.sites["depot"])
    assert "has no profile vpn" in fleet.must("why", "vpn")

    def inside(command: str) -> str:
        return fleet.must("exec", "vpn/vpn", "--site", "shop", "--", "/bin/sh", "-c", command).strip()

    assert inside("exec 3<>/dev/net/tun && echo opened") == "opened"
    inside("ip addr add 10.250.0.1/32 dev lo")
    inside("echo kept > /given/file")
    assert (given / "file").read_text() == "kept\n"

    fleet.must("profile", "remove", "vpn", "--yes")
    wait_until(lambda: "E-PROFILE" in fleet.must("why", "vpn") or _is_refused(fleet), "the end of the grant")
    assert runs(fleet, "shop")
    fleet.reboot_site("shop")
    fleet.start_agent("shop")
    wait_until(lambda: _is_refused(fleet), "the refusal after the reboot")
    assert not runs(fleet, "shop")

    fleet.must("profile", "set", "-f", profile, "--yes")
    wait_until(lambda: runs(fleet, "shop"), "the start under the new grant")


def test_a_profile_grants_a_network_of_the_site(fleet: Fleet, tmp_path: Path) -> None:
    site = fleet.lab.sites["depot"]
    # The cable's far end is at the same machine: it stands for the LAN.
    site.run("ip", "link", "add", "lan0", "type", "veth", "peer", "name", "far0")
    for words in ("link set dev lan0 up", "link set dev far0 up", "address add 10.9.0.1/24 dev far0"):
        site.run("ip", *words.split())
    app = write(tmp_path / "gateway", "compose.yaml", GATEWAY % "kind: macvlan")
    assert 'no site has a profile "plant"' in fleet.cli("apply", "-f", app).err
    fleet.must("profile", "set", "-f", write(tmp_path, "plant.yaml", PLANT), "--yes")
    fleet.must("apply", "-f", app)
    wait_until(lambda: _phases(fleet, "gateway").get("depot") == "ready", "the gateway at the site that has the device")
    # A node that has told of itself is not considered; another is asked, and says that podman makes its links.
    reasons = ("needs lan0, which shop/node-1 does not have", 'set links = "skerry"')
    wait_until(lambda: any(each in fleet.must("why", "gateway") for each in reasons), "the reason of the other site")

    site.run("busybox", "ping", "-c", "1", "-W", "5", "10.9.0.20")
    assert MAC in site.run("ip", "neighbour", "show", "10.9.0.20")
    routes = fleet.must("exec", "gateway/gateway", "--site", "depot", "--", "/bin/sh", "-c", "ip route; ip link")
    (way,) = (line for line in routes.splitlines() if line.startswith("default"))
    assert "dev wan" in way
    assert "10.9.0.0/24 dev machines" in routes

    tagged = write(tmp_path / "tagged", "compose.yaml", GATEWAY % "kind: vlan, id: 120")
    fleet.must("apply", "-f", tagged)
    (node,) = (each for each in fleet.ask("node", "list")["items"] if each["site"] == "depot")
    if node["facts"].get("net.vlan") != "true":
        reason = "needs a kernel that has VLANs (802.1q), which depot/node-1 does not have"
        wait_until(lambda: reason in fleet.must("why", "tagged"), "the reason that this kernel gives")
    fleet.must("delete", "tagged", "--yes")
    fleet.must("delete", "gateway", "--yes")
    wait_until(lambda: not _phases(fleet, "gateway"), "the end of the gateway")
    assert "master" not in site.run("ip", "link", "show", "dev", "lan0")


def _phases(fleet: Fleet, app: str) -> dict[str, str]:
    return {each["site"]: each["phase"] for each in fleet.ask("instance", "list", "--app", app)["items"]}


def _list_devices(fleet: Fleet) -> dict[str, list[str]]:
    return {each["site"]: each["devices"] for each in fleet.ask("node", "list")["items"]}


def _is_refused(fleet: Fleet) -> bool:
    found = fleet.ask("instance", "list", "--app", "vpn")
    return any(each["phase"] == "refused" for each in found["items"])
