"""People reach an app by name while its copies are changed and die, and core and agent are away: real containers."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.certificates import make_certificate
from tests.e2e.fleet import Fleet, list_containers, wait_until, write_image
from tests.e2e.lab import CHECKOUT, Lab
from tests.e2e.tiny_image import tiny_image

pytestmark = pytest.mark.e2e

PAGE = CHECKOUT / "docs/how-to/let-people-reach-an-app.md"
APP = PAGE.read_text().partition("```yaml")[2].partition("\n")[2].partition("```")[0]
HOST = "shop.example"
#: A second name of the app, for which the site gets a certificate itself.
OWN = "own.example"
APP = APP.replace("        - {tcp: 2525", f"        - {{host: {OWN}, tls: acme, port: 8080}}\n        - {{tcp: 2525")


class Door:
    """A site with the app, and the people at its address."""

    def __init__(self, fleet: Fleet, folder: Path) -> None:
        self.fleet, self.folder = fleet, folder
        self.site = fleet.lab.sites["a"]

    def come(self, *words: object) -> subprocess.Popen[bytes]:
        """Let people ask at the site's own address."""
        command = [sys.executable, "-m", "tests.e2e.entrance_load", self.site.address, *map(str, words)]
        enter = ["nsenter", f"--net={self.site.net}", "--"]
        return subprocess.Popen([*enter, *command], cwd=CHECKOUT, stdout=subprocess.PIPE)

    def ask(self, port: int = 80, path: str = "/", trusted: Path | None = None, host: str = HOST) -> tuple[int, str]:
        words: list[object] = [port, host, 0, path, *([trusted] if trusted else [])]
        output, _ = self.come(*words).communicate(timeout=20)
        found = json.loads(output)
        return found["status"], found["body"]

    def answers(self) -> bool:
        return self.ask() == (200, "hello\n")

    def copies(self) -> dict[str, dict[str, Any]]:
        return {name: each for name, each in list_containers(self.site).items() if each["State"] == "running"}

    def apply(self, edition: int, tail: str = "") -> None:
        text = APP.replace('EDITION: "1"', f'EDITION: "{edition}"') + tail
        (self.folder / "compose.yaml").write_text(text)
        self.fleet.must("apply", "-f", self.folder / "compose.yaml", "--yes")


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Generator[Door]:
    folder = tmp_path_factory.mktemp("app") / "shop"
    folder.mkdir()
    (folder / "shop.pem").write_bytes(make_certificate(HOST))
    with Lab(["a"]) as lab, Fleet(lab) as fleet:
        site, authority = lab.sites["a"], folder / "authority"
        words = ["env", "-C", str(CHECKOUT), sys.executable, "-m", "tests.e2e.authority"]
        running = site.popen([*words, str(authority), site.address, OWN], folder / "authority.log")
        fleet.must("image", "push", write_image(folder, "tiny", tiny_image("tiny:1")))
        fleet.agent_env |= {
            "SKERRY_AGENT_ACME_DIRECTORY": f"https://{site.address}:14000/dir",
            "SKERRY_AGENT_ACME_TERMS_ACCEPTED": "true",
        }
        fleet.start_site("a")
        door = Door(fleet, folder)
        door.apply(1)
        wait_until(door.answers, "an answer at the entrance", 90)
        wait_until(lambda: len(door.copies()) == 2, "two copies", 60)
        yield door
        running.terminate()
        running.wait(10)


def end(people: subprocess.Popen[bytes]) -> dict[str, Any]:
    output, _ = people.communicate(timeout=150)
    found = json.loads(output)
    print(found)
    return found


def test_places_lead_to_the_app_and_others_to_nobody(door: Door):
    assert door.ask(path="/x")[0] == 404  # by the copy
    assert door.ask(2525) == (200, "hello\n")
    assert door.ask(path="/safe")[0] == 308
    assert door.ask(443, "/", door.folder / "shop.pem") == (200, "hello\n")


def test_the_site_has_got_a_certificate_by_itself_and_people_at_the_core_know(door: Door):
    root = door.folder / "authority" / "root.pem"
    wait_until(lambda: door.ask(443, "/", root, OWN) == (200, "hello\n"), "a certificate that the site got", 60)
    assert door.ask(80, "/", host=OWN)[0] == 308
    files = list(door.site.agent_folder.glob("certificates/*.pem"))
    assert len(files) == 2  # the account's key and the certificate with its own
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert not any(OWN in path.name for path in files)
    assert "certificate.obtained" in door.fleet.must("events", "--site", "a", "-o", "jsonl")


def test_an_update_of_both_copies_under_load_fails_nothing(door: Door):
    before = {each["Id"] for each in door.copies().values()}
    people = door.come(80, HOST, 120)
    time.sleep(1)  # what is asked before the change counts too
    door.apply(2)

    def changed() -> bool:
        now = {each["Id"] for each in door.copies().values()}
        return len(now) == 2 and not now & before

    wait_until(changed, "the change of both copies", 110)
    time.sleep(2)  # what is asked after the change counts too
    people.send_signal(signal.SIGTERM)
    found = end(people)
    assert found["answers"] > 200
    assert found["failed"] == {}


def test_one_copy_that_dies_is_no_matter(door: Door):
    people = door.come(80, HOST, 8)
    time.sleep(1.5)  # so that the copy dies under load
    dead = next(iter(door.copies().values()))
    door.site.podman.do("POST", f"/containers/{dead['Id']}/kill")
    assert end(people)["failed"] == {}
    wait_until(lambda: len(door.copies()) == 2, "the second copy", 60)


def test_it_goes_on_without_core_and_agent_and_the_next_agent_takes_it_over(door: Door):
    door.fleet.kill_core()
    door.fleet.kill_agent("a")
    people = door.come(80, HOST, 8)
    time.sleep(2)  # a while without either
    pid = _proxies(door)
    door.fleet.start_agent("a")
    assert end(people)["failed"] == {}
    assert _proxies(door) == pid
    assert len(pid) == 1
    door.fleet.start_core()
    wait_until(lambda: door.fleet.agent_status("a")["link"] == "up", "the link")


def _proxies(door: Door) -> list[str]:
    here = Path(door.site.net).stat().st_ino
    found: list[str] = []
    for process in Path("/proc").iterdir():
        # Some are not ours to look at, and some end meanwhile.
        with contextlib.suppress(OSError):
            if (process / "comm").read_text().strip() == "haproxy" and (process / "ns/net").stat().st_ino == here:
                found.append(process.name)
    return found


def test_it_ends_with_the_app_and_leaves_nothing(door: Door):
    (door.folder / "compose.yaml").write_text("services: {web: {image: tiny:1}}\n")
    door.fleet.must("apply", "-f", door.folder / "compose.yaml", "--yes")
    wait_until(lambda: not _proxies(door), "the end of the proxy", 60)
    assert door.ask()[0] == 0
