"""A site with a pool: what an app holds before its update can be had back, and who fills a volume fills only theirs."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.fleet import Fleet, wait_until, write_image
from tests.e2e.lab import Lab
from tests.e2e.tiny_image import tiny_image

pytestmark = pytest.mark.e2e

#: Appends a line to its volume all the time, and serves the volume.
BOOKS = """
name: books
services:
  web:
    image: books:1
    entrypoint: ["/bin/sh", "-c"]
    command: ["while echo $$VERSION >> /data/log; do sleep 0.1; done & exec httpd -f -p 8080 -h /data"]
    environment: {{VERSION: {version}}}
    ports: ["18080:8080"]
    volumes: ["data:/data"]
    stop_grace_period: 1s
volumes: {{data: {{}}}}
x-skerry: {{placement: {{replicas: {{per-site: 1}}}}}}
"""
#: Writes as much as it is let.
GREEDY = """
name: greedy
services:
  eater:
    image: books:1
    entrypoint: ["/bin/sh", "-c"]
    command: ["dd if=/dev/zero of=/data/big bs=64k count=4096; while true; do sleep 9; done"]
    volumes: ["data:/data"]
    stop_grace_period: 1s
volumes: {data: {x-skerry: {size: 32Mi}}}
x-skerry: {placement: {replicas: {per-site: 1}}}
"""
MIB = 1 << 20


@pytest.fixture
def fleet(tmp_path: Path) -> Generator[Fleet]:
    with Lab(["far"]) as lab, Fleet(lab) as fleet:
        fleet.agent_env["SKERRY_AGENT_POOL_MIB"] = "256"
        fleet.must("image", "push", write_image(tmp_path, "books", tiny_image("books:1")))
        fleet.start_site("far")
        yield fleet


def apply(fleet: Fleet, folder: Path, text: str) -> None:
    path = folder / "compose.yaml"
    path.write_text(text)
    fleet.must("apply", "-f", path)


def read_log(fleet: Fleet) -> list[str]:
    answer = fleet.lab.http_get("far", 18080, "/log")
    return answer.body.decode().split() if answer.status == 200 else []


def find_volume(fleet: Fleet, app: str) -> Path:
    """Return the folder of an app's volume in the pool, as this machine reaches it."""
    site = fleet.lab.sites["far"]
    place = Path(f"/proc/{fleet.agent_pid('far')}/root{site.agent_folder}/pool")
    (found,) = place.glob(f"*/{app}/data")
    return found


def ask_volume(fleet: Fleet, app: str) -> dict[str, Any]:
    (seen,) = fleet.ask("volume", "list", "--app", app)["items"]
    return seen


def names(seen: dict[str, Any], start: str) -> list[str]:
    return [each["name"] for each in seen.get("snapshots", ()) if each["name"].startswith(start)]


def test_a_volume_goes_back_to_before_its_update_while_another_one_is_full(fleet: Fleet, tmp_path: Path) -> None:
    apply(fleet, tmp_path, GREEDY)
    apply(fleet, tmp_path, BOOKS.format(version="one"))
    wait_until(lambda: "one" in read_log(fleet), "the first line")
    big = find_volume(fleet, "greedy") / "data/big"
    wait_until(lambda: 30 * MIB < big.stat().st_size <= 32 * MIB, "a volume that is full")
    before = len(read_log(fleet))
    wait_until(lambda: len(read_log(fleet)) > before, "another app that goes on")
    assert big.stat().st_size <= 32 * MIB
    doctor = {each["name"]: each for each in fleet.ask_agent("far", "/doctor")["checks"]}
    assert doctor["pool"]["verdict"] == "good", doctor["pool"]

    apply(fleet, tmp_path, BOOKS.format(version="two"))
    wait_until(lambda: "two" in read_log(fleet), "the new version's first line")
    wait_until(lambda: names(ask_volume(fleet, "books"), "update-"), "the snapshot before the update")
    (snapshot,) = names(ask_volume(fleet, "books"), "update-")
    folder = find_volume(fleet, "books")
    held = (folder / f"snapshots/{snapshot}/data/log").read_text()
    assert set(held.split()) == {"one"}
    (folder / "data/wrong-step").write_text("x")

    fleet.must("volume", "restore", "books/data", snapshot, "--site", "far", "--yes")
    wait_until(lambda: names(ask_volume(fleet, "books"), "aside-"), "what was held, aside")
    (aside,) = names(ask_volume(fleet, "books"), "aside-")
    assert not (folder / "data/wrong-step").exists()
    assert (folder / f"snapshots/{aside}/data/wrong-step").exists()
    wait_until(lambda: read_log(fleet)[-1:] == ["two"], "the service on what it went back to")
    log = (folder / "data/log").read_text()
    assert log.startswith(held)
    assert set(log.removeprefix(held).split()) == {"two"}
