"""`skerry up --sites 2` on a machine of the lab: two sites, each with a network and a podman, and nothing left over."""

import contextlib
import http.client
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.e2e.fleet import Ran, list_started, run_command, wait_until
from tests.e2e.lab import Lab
from tests.e2e.lab_site import Site
from tests.e2e.podman_http import PodmanHttp
from tests.e2e.site_http import http_get
from tests.e2e.tiny_image import tiny_image

pytestmark = pytest.mark.e2e

PORT = 8080
#: Where site 2 publishes, as `up` says.
SECOND = "10.98.2.2"
COMPOSE = f"""services:
  web:
    image: tiny:1
    ports: ["{PORT}:8080"]
    stop_grace_period: 1s
"""


class Berth(NamedTuple):
    """The second site, as far as `list_started` asks of a site."""

    podman: PodmanHttp


class Laptop:
    """A machine with podman, and the command line on it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.home = site.disk / "home"
        self.state = self.home / "state/skerry"
        self.run_folder = self.home / "run/skerry"
        self.berth = self.state / "berths/local-2"
        places = {f"XDG_{name}": str(self.home / name.split("_")[0].lower()) for name in ("CONFIG_HOME", "STATE_HOME")}
        self._env = {**site.env, **places, "XDG_RUNTIME_DIR": str(self.home / "run"), "NO_COLOR": "1"}

    def give_podman(self) -> None:
        """Let podman be where `up` looks for it, until the next boot."""
        self.site.run("mkdir", "/run/podman")
        self.site.run("ln", "-s", self.site.podman_socket, "/run/podman/podman.sock")

    def skerry(self, *words: object) -> Ran:
        return run_command(self.site.argv(sys.executable, "-m", "skerry", *words), self._env)

    def must(self, *words: object) -> str:
        done = self.skerry(*words)
        assert done.exit == 0, done.err
        return done.out + done.err

    def ask(self, *words: object) -> Any:
        return json.loads(self.skerry(*words, "-o", "json").out)

    def up(self, sites: int) -> str:
        return self.must("up", "--detach", "--sites", sites)

    def serves(self, host: str = "127.0.0.1") -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            return http_get(self.site.net, PORT, host=host, timeout_s=2.0).body == b"hello\n"
        return False

    def started(self) -> dict[str, tuple[str, str, int]]:
        """What runs at the second site, as its own podman says."""
        return list_started(Berth(PodmanHttp(self.berth / "podman.sock")))

    def devices(self) -> set[str]:
        links = json.loads(self.site.run("ip", "-j", "link", "show"))
        return {each["ifname"] for each in links if each["ifname"].startswith("skerry")}

    def programs(self) -> list[int]:
        """Ids of the second site's programs that run."""
        found = [int(path.read_text()) for path in self.berth.glob("*.pid")]
        return [pid for pid in found if Path(f"/proc/{pid}").exists()]


@pytest.fixture
def laptop() -> Iterator[Laptop]:
    with Lab(["laptop"]) as lab:
        laptop = Laptop(lab.sites["laptop"])
        laptop.home.mkdir()
        laptop.give_podman()
        yield laptop


def test_two_sites_of_one_machine_are_apart_survive_down_and_leave_nothing(laptop: Laptop):
    assert f"site local-2 runs, and publishes at {SECOND}" in laptop.up(2)
    sites = {each["site"]: each["state"] for each in laptop.ask("site", "list")["items"]}
    assert sites == {"local": "online", "local-2": "online"}

    # The same app, published at the same port of both.
    (laptop.home / "tiny.tar").write_bytes(tiny_image("tiny:1"))
    (laptop.home / "compose.yaml").write_text(COMPOSE)
    laptop.must("image", "push", laptop.home / "tiny.tar")
    laptop.must("apply", "-f", laptop.home / "compose.yaml", "--name", "web", "--sites", "tier=local", "--wait=1m")
    wait_until(laptop.serves, "the app at the first site", 20)
    wait_until(lambda: laptop.serves(SECOND), "the app at the second site", 20)
    before = laptop.started()
    assert len(before) == 1
    assert not set(before.values()) & set(list_started(laptop.site).values())

    # The link of a site is a device that can be cut, and visitors come another way.
    laptop.site.run("ip", "link", "set", "skerry-2-link", "down")
    assert laptop.serves(SECOND)
    laptop.site.run("ip", "link", "set", "skerry-2-link", "up")

    # Fewer sites stop the second, which goes on serving; down stops all, up finds all again.
    assert len(laptop.programs()) == 3
    assert "site local-2 is stopped" in laptop.up(1)
    assert laptop.programs() == []
    assert laptop.serves(SECOND)
    assert "containers at local sites go on running" in laptop.must("down")
    assert laptop.serves()
    assert laptop.serves(SECOND)
    laptop.up(2)
    assert laptop.started() == before
    assert len(laptop.programs()) == 3

    # Switched off, nothing of it is left but its disk.
    assert "switched off: local-2" in laptop.must("down", "--power-off")
    assert not laptop.serves(SECOND)
    assert laptop.serves()
    assert laptop.devices() == set()
    assert list((laptop.run_folder / "berths").iterdir()) == []
    assert str(laptop.run_folder) not in laptop.site.run("cat", "/proc/self/mountinfo")
    assert not [process for process in Path("/proc").glob("[0-9]*") if str(laptop.berth) in read_mounts(process)]
    assert (laptop.berth / "agent/journal.db").exists()

    # It boots again, as after a power cut, and what it keeps starts by itself.
    laptop.up(2)
    wait_until(lambda: laptop.serves(SECOND), "the app after a boot", 20)
    assert laptop.started() != before


def read_mounts(process: Path) -> str:
    with contextlib.suppress(OSError):
        return (process / "mountinfo").read_text()
    return ""
