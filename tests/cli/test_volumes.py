import json

import pytest
from tests.cli.town import Town
from tests.sdk.image_bytes import Image, layout, tar

from skerry.model.facts import VolumeFact
from skerry.model.ids import volume_id

SHOP = """
services:
  web: {image: web:1, volumes: ["data:/data"], x-skerry: {placement: {replicas: {per-site: 1}}}}
volumes: {data: {}}
"""


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    town = Town(tmp_path_factory.mktemp("town"))
    archive = town.folder / "web.tar"
    archive.write_bytes(tar(layout(Image(), names=("web:1",))))
    town.ok("image", "push", archive)
    town.ok("apply", "-f", "-", "--name", "shop", stdin=SHOP.encode())
    sites = [town.add_site("oslo"), town.add_site("bergen")]
    town.settle(*sites)
    for site in sites:
        fact = VolumeFact(volume=volume_id("default", "shop", "data"), born=1, size_bytes=3 << 20, in_use=True)
        town.wait(site.report(fact))
    yield town
    town.close()


def read_tombstone(town, number):
    async def read():
        from skerry.store import apps, objects

        def job(connection):
            row = apps.find_revision(connection, "default", "shop", number)
            return objects.read_object(connection, row.digest)

        return await town.rig.core.db.read(job)

    return json.loads(town.wait(read()).payload)


def test_volumes_are_listed_as_sites_report_them(town):
    assert town.ok("volume", "list", "-o", "name").split() == ["volume/shop/data@bergen", "volume/shop/data@oslo"]
    assert town.ok("volume", "list", "--site", "oslo", "-o", "name").split() == ["volume/shop/data@oslo"]
    assert "3.0 MiB" in town.ok("volume", "show", "shop/data")
    assert town.run("volume", "show", "shop/gone").code == 5
    assert town.run("volume", "show", "shop").code == 64


def test_a_volume_ends_by_a_signed_tombstone_that_names_it(town):
    asked = town.run("volume", "remove", "shop/data")
    assert asked.code == 1
    assert "volume shop/data at 2 sites (6.0 MiB, 2 in use)" in asked.err
    town.ok("volume", "remove", "shop/data", "--site", "oslo", "--grace", "1h", "--yes")
    stone = read_tombstone(town, 2)
    assert (stone["volumes"], stone["ends-app"], stone["sites"]["names"]) == (["data"], False, ["oslo"])
    assert stone["grace-us"] == 3_600_000_000
    assert town.run("volume", "remove", "shop/data", "--site", "moss", "--yes").code == 5


def test_the_end_of_an_app_takes_volumes_only_when_it_is_said(town):
    asked = town.run("delete", "shop", "--volumes", "--dry-run")
    assert "2 volumes (6.0 MiB) are deleted" in asked.err
    town.ok("delete", "shop", "--yes")
    assert read_tombstone(town, 3)["volumes"] == []
    town.ok("delete", "shop", "--volumes", "--yes")
    assert read_tombstone(town, 4)["volumes"] == ["data"]
