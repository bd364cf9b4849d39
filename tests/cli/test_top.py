import json

import pytest
from tests.cli.town import Town
from tests.sdk.image_bytes import Image, layout, tar

from skerry.cli.top import notes
from skerry.model.answers import SiteUseView
from skerry.model.ids import InstanceId
from skerry.model.samples import HostUse, InstanceUse, Sample

SHOP = """
services:
  web: {image: web:1, x-skerry: {placement: {replicas: {per-site: 1}}}}
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
    use = (InstanceUse(InstanceId("default/shop/web/0"), 1_000, 3 << 20),)

    async def tell():
        town.rig.desk.take_sample("oslo", Sample(HostUse(1_000, 1_500, 2 << 30, 5 << 30), use), 40_000)

    town.wait(tell())
    yield town
    town.close()


def test_sites_are_shown_with_what_they_use_and_those_without_a_sample_say_so(town):
    lines = town.ok("top", "--once", "-o", "table").splitlines()
    bergen, oslo = lines[1:]
    assert "never" in bergen
    assert all(word in oslo for word in ("oslo", "1.50", "2.0 GiB", "40 ms", "0 s ago", "1 of 1"))


def test_a_pipe_gets_json_lines(town):
    shown = [json.loads(line) for line in town.ok("top", "--once").splitlines()]
    assert [(each["site"], each["memory_used_bytes"]) for each in shown] == [("bergen", 0), ("oslo", 2 << 30)]


def test_instances_are_shown_by_app_and_site(town):
    lines = town.ok("top", "apps", "--once", "-o", "table", "--app", "shop", "--site", "oslo").splitlines()
    assert len(lines) == 2
    assert "shop/web.0" in lines[1]
    assert "3.0 MiB" in lines[1]
    assert town.run("top", "--app", "shop").code == 64


@pytest.mark.parametrize(
    ("free", "conditions", "noted"),
    [(5, (), ("disk-nearly-full",)), (15, (), ()), (5, ("disk-full",), ("disk-full",))],
)
def test_a_disk_that_is_soon_full_calls_for_a_person_once(free, conditions, noted):
    use = SiteUseView(
        site="oslo", state="online", sampled_s_ago=1, disk_bytes=100, disk_used_bytes=100 - free, conditions=conditions
    )
    assert notes(use) == noted
