import json

import pytest
from tests.cli.test_control import FarSites
from tests.cli.town import Town
from tests.sdk.image_bytes import Image, layout, tar

from skerry.model.facts import VolumeFact
from skerry.model.ids import volume_id
from skerry.wire import CallReply

SHOP = """
services:
  web: {image: web:1, volumes: ["data:/data"], x-skerry: {placement: {replicas: {per-site: 1}}}}
volumes: {data: {}}
"""
NOTES = """
services:
  web: {image: web:1, volumes: ["data:/data", "cache:/cache"], x-skerry: {placement: {replicas: {per-site: 1}}}}
volumes: {data: {}, cache: {x-skerry: {on-delete: delete}}}
"""


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    town = Town(tmp_path_factory.mktemp("town"))
    archive = town.folder / "web.tar"
    archive.write_bytes(tar(layout(Image(), names=("web:1",))))
    town.ok("image", "push", archive)
    town.ok("apply", "-f", "-", "--name", "shop", stdin=SHOP.encode())
    sites = town.oslo, _ = [town.add_site("oslo"), town.add_site("bergen")]
    town.settle(*sites)
    town.rig.core.sites = town.far = FarSites()
    for site in sites:
        fact = VolumeFact(
            volume=volume_id("default", "shop", "data"),
            born=1,
            size_bytes=3 << 20,
            in_use=True,
            driver="btrfs",
            limit_bytes=10 << 30,
            snapshots=(("auto-7", 0), ("noon", 1_800_000_000)),
            snapshots_count=9,
        )
        town.wait(site.report(fact))
    yield town
    town.close()


def read_tombstone(town, number, app="shop"):
    async def read():
        from skerry.store import apps, objects

        def job(connection):
            row = apps.find_revision(connection, "default", app, number)
            return objects.read_object(connection, row.digest)

        return await town.rig.core.db.read(job)

    return json.loads(town.wait(read()).payload)


def test_volumes_are_listed_as_sites_report_them(town):
    assert town.ok("volume", "list", "-o", "name").split() == ["volume/shop/data@bergen", "volume/shop/data@oslo"]
    assert town.ok("volume", "list", "--site", "oslo", "-o", "name").split() == ["volume/shop/data@oslo"]
    shown = town.run("volume", "show", "shop/data")
    assert "3.0 MiB  10.0 GiB  9" in shown.out
    assert "noon      oslo    2027-01-15T08:00:00Z" in shown.out
    assert "auto-7    oslo    time unknown" in shown.out
    assert "oslo has 7 older ones" in shown.err
    first = json.loads(town.ok("volume", "show", "shop/data", "-o", "json"))["items"][0]
    assert first["snapshots"][1] == {"name": "noon", "taken_us": 1_800_000_000_000_000}
    assert town.run("volume", "show", "shop/gone").code == 5
    assert town.run("volume", "show", "shop").code == 64


def test_a_snapshot_and_a_restore_are_signed_for_the_nodes_nonce(town):
    assert town.run("volume", "snapshot", "shop/data").code == 64, "it is at two sites"
    done = town.run("volume", "snapshot", "shop/data", "noon", "--site", "oslo")
    assert "shop/data at oslo is kept as noon" in done.err
    assert "Next: skerry volume restore shop/data noon --site oslo" in done.err
    site, kind, call = town.far.signed[-1]
    assert (site, kind, call.verb, call.nonce) == ("oslo", "snapshot", "snapshot", b"n" * 32)
    assert (call.app, call.volume, call.snapshot, call.service) == ("shop", "data", "noon", "")
    town.ok("volume", "snapshot", "shop/data", "--site", "oslo")
    assert town.far.signed[-1][2].snapshot.startswith("at-20")
    words = ("volume", "restore", "shop/data", "noon", "--site", "oslo")
    asked = town.run(*words)
    assert (asked.code, "what uses it stops meanwhile" in asked.err) == (1, True)
    assert "would set" in town.run(*words, "--dry-run").err
    town.ok(*words, "--yes", "--reason", "bad import")
    call = town.far.signed[-1][2]
    assert (call.verb, call.snapshot, call.reason) == ("restore", "noon", "bad import")
    assert call.by.startswith("token ")
    town.ok("volume", "drop-snapshot", "shop/data", "noon", "--site", "oslo", "--yes")
    assert town.far.signed[-1][2].verb == "drop-snapshot"
    town.far.reply = CallReply("c", False, code="E-STORAGE", reason="a plain folder has no snapshots")
    refused = town.run("volume", "snapshot", "shop/data", "more", "--site", "oslo")
    assert refused.code != 0
    assert "a plain folder has no snapshots" in refused.err
    town.far.reply = CallReply("c", True)
    assert town.run("volume", "snapshot", "shop/data", "No Name", "--site", "oslo").code == 64
    assert town.run("volume", "snapshot", "shop/data", "noon", "--site", "moss").code == 5


def test_a_volume_ends_by_a_signed_tombstone_that_names_it(town):
    asked = town.run("volume", "remove", "shop/data")
    assert asked.code == 1
    assert "volume shop/data at 2 sites (6.0 MiB, 2 in use)" in asked.err
    town.ok("volume", "remove", "shop/data", "--site", "oslo", "--grace", "1h", "--yes")
    stone = read_tombstone(town, 2)
    assert (stone["volumes"], stone["ends-app"], stone["sites"]["names"]) == (["data"], False, ["oslo"])
    assert stone["grace-us"] == 3_600_000_000
    assert town.run("volume", "remove", "shop/data", "--site", "moss", "--yes").code == 5


def test_the_end_of_an_app_takes_volumes_of_which_its_owner_signed_so(town):
    town.ok("apply", "-f", "-", "--name", "notes", stdin=NOTES.encode())
    for name in ("data", "cache"):
        fact = VolumeFact(volume=volume_id("default", "notes", name), born=1, size_bytes=1 << 20)
        town.wait(town.oslo.report(fact))
    asked = town.run("delete", "notes", "--dry-run")
    assert "1 volumes (1.0 MiB) are deleted, 1 kept" in asked.err
    town.ok("delete", "notes", "--yes")
    assert read_tombstone(town, 2, "notes")["volumes"] == ["cache"]


def test_the_end_of_an_app_takes_volumes_only_when_it_is_said(town):
    asked = town.run("delete", "shop", "--volumes", "--dry-run")
    assert "2 volumes (6.0 MiB) are deleted" in asked.err
    town.ok("delete", "shop", "--yes")
    assert read_tombstone(town, 3)["volumes"] == []
    town.ok("delete", "shop", "--volumes", "--yes")
    assert read_tombstone(town, 4)["volumes"] == ["data"]
