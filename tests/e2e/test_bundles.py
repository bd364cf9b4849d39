"""A site whose link is cut before the bytes of a change came: a stick brings document and image, a bad one nothing."""

import shutil
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.e2e.fleet import Fleet, list_containers, wait_until, write_image
from tests.e2e.lab import Lab
from tests.e2e.tiny_image import tiny_image

pytestmark = pytest.mark.e2e

APP = """
name: kiosk
services:
  web:
    image: kiosk:{number}
    ports: ["18080:8080"]
    stop_grace_period: 1s
x-skerry: {{placement: {{replicas: {{per-site: 1}}}}}}
"""


@pytest.fixture
def fleet(tmp_path: Path) -> Generator[Fleet]:
    with Lab(["far"]) as lab, Fleet(lab) as fleet:
        for number in (1, 2):
            image = tiny_image(f"kiosk:{number}", page=b"page %d\n" % number)
            fleet.must("image", "push", write_image(tmp_path, f"kiosk-{number}", image))
        fleet.start_site("far")
        yield fleet


def apply(fleet: Fleet, folder: Path, number: int) -> None:
    path = folder / "compose.yaml"
    path.write_text(APP.format(number=number))
    fleet.must("apply", "-f", path)


def shows(fleet: Fleet, page: bytes) -> bool:
    answer = fleet.lab.http_get("far", 18080)
    return (answer.status, answer.body) == (200, page)


def count_delivered(fleet: Fleet) -> int:
    return sum(way.delivered_bytes for way in fleet.lab.link_stats("far").values())


def test_a_stick_brings_what_a_cut_link_did_not(fleet: Fleet, tmp_path: Path) -> None:
    apply(fleet, tmp_path, 1)
    wait_until(lambda: shows(fleet, b"page 1\n"), "the first page")
    fleet.lab.cut("far")
    before = count_delivered(fleet)
    apply(fleet, tmp_path, 2)
    stick = tmp_path / "stick"
    written = fleet.cli("export", "--site", "far", "--to", stick)
    assert written.exit == 0, written
    assert "it asks for 1 images" in written.err

    # A copy of it, one bit of the layer changed: nothing of it is used, and its place is named.
    bad = tmp_path / "bad"
    shutil.copytree(stick, bad)
    layer = max((bad / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
    with layer.open("r+b") as file:
        file.seek(layer.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes((byte[0] ^ 1,)))
    refused = fleet.agent_cli("far", "apply-bundle", bad)
    assert refused.exit == 1, refused
    assert "is in force" in refused.err, "its document is good"
    assert f"blobs/sha256/{layer.name}: it is not what its name says" in refused.err
    assert shows(fleet, b"page 1\n"), "what ran goes on"

    brought = fleet.agent_cli("far", "apply-bundle", stick)
    assert brought.exit == 0, brought
    assert "is here" in brought.out
    wait_until(lambda: shows(fleet, b"page 2\n"), "the second page")
    assert count_delivered(fleet) == before, "nothing came over the link"
    assert len(list_containers(fleet.lab.sites["far"])) == 1

    fleet.lab.heal("far")
    wait_until(lambda: fleet.agent_status("far")["link"] == "up", "the link")
    wait_until(lambda: fleet.ask("site", "show", "far")["summary"]["settled"], "the core's knowing of it")
    assert shows(fleet, b"page 2\n")
