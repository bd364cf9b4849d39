"""An app uses a device and a capability that an operator's profile grants at one site, and nowhere else."""

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


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Generator[Fleet]:
    with Lab(["shop", "depot"]) as lab, Fleet(lab) as fleet:
        fleet.start_core()
        fleet.must("image", "push", write_image(tmp_path_factory.mktemp("image"), "tiny", tiny_image("tiny:1")))
        fleet.start_site("shop", "tier=store")
        fleet.start_site("depot", "tier=depot")
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


def _list_devices(fleet: Fleet) -> dict[str, list[str]]:
    return {each["site"]: each["devices"] for each in fleet.ask("node", "list")["items"]}


def _is_refused(fleet: Fleet) -> bool:
    found = fleet.ask("instance", "list", "--app", "vpn")
    return any(each["phase"] == "refused" for each in found["items"])
