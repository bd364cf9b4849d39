import json

import pytest
from tests.cli.town import Town
from tests.sdk.image_bytes import Image, layout, tar

from skerry.model.profile import CAPABILITIES

KIOSK = """
apiVersion: skerry.dev/v1
kind: Profile
metadata: {name: kiosk}
spec:
  tenants: [default]
  sites: tier=store
  capabilities: [NET_ADMIN]
  devices: [/dev/net/tun]
"""
APP = """
services:
  vpn:
    image: web:1
    cap_add: [NET_ADMIN]
    devices: [/dev/net/tun]
"""


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """A town with one image, two stores and a depot."""
    town = Town(tmp_path_factory.mktemp("town"))
    archive = town.folder / "web.tar"
    archive.write_bytes(tar(layout(Image(), names=("docker.io/library/web:1",))))
    town.ok("image", "push", archive)
    for name, tier in (("oslo", "store"), ("bergen", "store"), ("depot", "depot")):
        town.add_site(name, labels={"tier": tier})
    yield town
    town.close()


@pytest.fixture
def kiosk(tmp_path):
    def write(**changes):
        text = KIOSK
        for old, new in changes.values():
            assert old in text
            text = text.replace(old, new)
        file = tmp_path / "kiosk.yaml"
        file.write_text(text)
        return file

    return write


@pytest.fixture
def vpn(tmp_path):
    def write(profile="kiosk"):
        folder = tmp_path / "vpn"
        folder.mkdir(exist_ok=True)
        (folder / "compose.yaml").write_text(f"{APP}x-skerry: {{profile: {profile}}}\n")
        return folder / "compose.yaml"

    return write


def list_own(town):
    listed = json.loads(town.ok("profile", "list", "-o", "json"))["items"]
    return [(each["profile"], each["own"]["sites"]) for each in listed if not each["built_in"]]


def test_profiles_are_listed_without_a_core(town):
    result = town.run("profile", "list", SKERRY_URL="http://127.0.0.1:1", SKERRY_TOKEN="x")
    assert result.code == 0
    assert "default" in result.out
    assert "no writable root" in result.out
    assert "are not known" in result.err


def test_a_profile_says_all_that_it_grants(town):
    default = json.loads(town.ok("profile", "show", "default", "-o", "json"))
    assert set(default["capabilities"]) == CAPABILITIES
    assert default["writable_root"]
    strict = json.loads(town.ok("profile", "show", "strict", "-o", "json"))
    assert (strict["capabilities"], strict["writable_root"]) == ([], False)
    shown = town.ok("profile", "show", "strict")
    assert "no new privileges" in shown
    assert "nothing of the node" in shown


def test_a_profile_that_is_not_there(town):
    result = town.run("profile", "show", "network-functions")
    assert result.code == 5
    assert "Hint: skerry profile list" in result.err


def test_a_profile_is_signed_into_the_records_of_its_sites_and_follows_its_file(town, kiosk):
    numbers = {each["site"]: each["number"] for each in json.loads(town.ok("site", "list", "-o", "json"))["items"]}
    result = town.run("profile", "set", "-f", kiosk())
    assert result.code == 0, result
    assert "site oslo has profile kiosk" in result.err
    assert list_own(town) == [("kiosk", ["bergen", "oslo"])]
    assert "NET_ADMIN" in town.ok("profile", "show", "kiosk")
    assert "/dev/net/tun" in town.ok("profile", "show", "kiosk")

    assert "all 2 sites have profile kiosk so already" in town.run("profile", "set", "-f", kiosk()).err
    found = {each["site"]: each["number"] for each in json.loads(town.ok("site", "list", "-o", "json"))["items"]}
    assert found == {"oslo": numbers["oslo"] + 1, "bergen": numbers["bergen"] + 1, "depot": numbers["depot"]}

    town.ok("profile", "set", "-f", kiosk(sites=("tier=store", "[site=oslo, tier=depot]")))
    assert list_own(town) == [("kiosk", ["depot", "oslo"])]
    refused = town.run("profile", "set", "-f", kiosk(sites=("tier=store", "tier=moon")))
    assert refused.code != 0
    assert "holds nowhere" in refused.err
    assert list_own(town) == []


def test_labels_and_tenants_of_a_record_keep_its_profiles(town, kiosk):
    town.ok("profile", "set", "-f", kiosk())
    town.ok("site", "label", "oslo", "painted=yes")
    assert list_own(town) == [("kiosk", ["bergen", "oslo"])]
    town.ok("profile", "remove", "kiosk", "--yes")


def test_what_reaches_deep_is_asked_about_and_taking_away_too(town, kiosk):
    deep = kiosk(more=("spec:", "spec:\n  privileged: true"))
    refused = town.run("profile", "set", "-f", deep)
    assert refused.code == 1
    assert "Add --yes" in refused.err
    assert list_own(town) == []
    town.ok("profile", "set", "-f", deep, "--yes")
    assert town.run("profile", "remove", "kiosk").code == 1
    town.ok("profile", "remove", "kiosk", "--yes")
    assert list_own(town) == []
    assert town.run("profile", "remove", "default", "--yes").code == 6


def test_dry_runs_sign_nothing(town, kiosk):
    assert "would grant tenants default by profile kiosk" in town.run("profile", "set", "-f", kiosk(), "--dry-run").err
    assert list_own(town) == []
    town.ok("profile", "set", "-f", kiosk())
    assert "would take profile kiosk from 2 sites" in town.run("profile", "remove", "kiosk", "--dry-run").err
    assert len(list_own(town)) == 1
    town.ok("profile", "remove", "kiosk", "--yes")


def test_what_is_wrong_with_the_file_is_told_with_its_place(town, kiosk):
    bad = kiosk(one=("NET_ADMIN", "SYS_TIME"), two=("/dev/net/tun", "/etc/shadow"))
    result = town.run("profile", "set", "-f", bad)
    assert result.code != 0
    assert "kiosk.yaml:8:18" in result.err
    assert "kiosk.yaml:9:13" in result.err
    assert list_own(town) == []
    assert town.run("profile", "set", "-f", "nowhere.yaml").code != 0


def test_an_app_uses_what_its_profile_grants(town, kiosk, vpn):
    file = vpn()
    refused = town.run("apply", "-f", file)
    assert "E-REFERENCE" in refused.err
    assert 'no site has a profile "kiosk"' in refused.err
    town.ok("profile", "set", "-f", kiosk())
    result = town.run("plan", "-f", file, "-o", "json")
    assert "profile" not in result.err
    town.ok("apply", "-f", file)
    town.ok("profile", "set", "-f", kiosk(less=("devices: [/dev/net/tun]", "devices: [/dev/fuse]")))
    refused = town.run("apply", "-f", file)
    assert 'profile "kiosk" does not grant "devices: /dev/net/tun"' in refused.err
    assert "ask the operator for devices in that profile" in refused.err
    town.ok("profile", "remove", "kiosk", "--yes")


def test_validate_needs_no_core_and_refuses_it_under_default(town, vpn):
    result = town.run("validate", "-f", vpn("default"))
    assert result.code != 0
    assert 'profile "default" does not grant "cap_add: NET_ADMIN"' in result.err
    assert 'profile "default" does not grant "devices: /dev/net/tun"' in result.err
    assert "skerry profile list" in result.err
    assert "which the core is asked at apply" in town.ok("validate", "-f", vpn())
