"""Several sites of one machine: a machine of the lab follows docs/how-to/try-several-sites.md, watched on the way."""

import contextlib
import http.client
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.docs.test_tutorials import follow, make_environment, typist
from tests.e2e.fleet import list_started, wait_until
from tests.e2e.lab import Lab
from tests.e2e.lab_site import Site
from tests.e2e.podman_http import PodmanHttp
from tests.e2e.site_http import http_get
from tests.tidy.sources import ROOT

pytestmark = pytest.mark.e2e

PAGE = ROOT / "docs/how-to/try-several-sites.md"
PORT = 8080
FIRST, SECOND, THIRD = "127.0.0.1", "10.98.2.2", "10.98.3.2"
FURTHER = {SECOND: "local-2", THIRD: "local-3"}


class Berth(NamedTuple):
    """A further site, as far as `list_started` asks of a site."""

    podman: PodmanHttp


class Laptop:
    """A machine with podman, a person's home on it, and what a bystander sees."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.home = site.disk / "home"
        self.home.mkdir()
        self.env = {**site.env, **make_environment(self.home, site.env["PATH"])}
        self.berths = Path(self.env["XDG_STATE_HOME"], "skerry/berths")
        self.run_folder = Path(self.env["XDG_RUNTIME_DIR"], "skerry")
        self.site.run("mkdir", "/run/podman")
        self.site.run("ln", "-s", self.site.podman_socket, "/run/podman/podman.sock")

    def serves(self, host: str) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            return http_get(self.site.net, PORT, host=host, timeout_s=2.0).status == 200
        return False

    def started(self, host: str) -> dict[str, tuple[str, str, int]]:
        """What runs at a site, as its own podman says."""
        name = FURTHER.get(host)
        return list_started(self.site if name is None else Berth(PodmanHttp(self.berths / name / "podman.sock")))

    def devices(self) -> set[str]:
        links = json.loads(self.site.run("ip", "-j", "link", "show"))
        return {each["ifname"] for each in links if each["ifname"].startswith("skerry")}

    def programs(self, host: str) -> list[int]:
        """Ids of a further site's programs that run."""
        found = [int(path.read_text()) for path in (self.berths / FURTHER[host]).glob("*.pid")]
        return [pid for pid in found if Path(f"/proc/{pid}").exists()]


class Watch:
    """What must be so after certain commands of the page."""

    def __init__(self, laptop: Laptop) -> None:
        self.laptop = laptop
        self.seen: list[str] = []
        self._before: dict[str, dict[str, tuple[str, str, int]]] = {}
        self.after: dict[str, Callable[[], None]] = {
            "skerry up --detach --sites 3": self.see_three,
            "skerry apply -f compose.yaml --name hello --sites tier=local --wait": self.wait_for_all,
            "skerry up --detach --sites 2": self.see_the_third_stopped,
            "skerry down": self.see_all_go_on,
            "skerry down --power-off": self.see_nothing_left,
        }

    def see_three(self) -> None:
        """Each site has programs of its own; whatever is placed there comes to run, again after a boot."""
        assert [len(self.laptop.programs(host)) for host in FURTHER] == [3, 3]
        if self._before:
            for host in FURTHER:
                wait_until(lambda host=host: self.laptop.serves(host), f"the app at {host} after a boot", 20)
            assert self.laptop.started(SECOND) != self._before[SECOND]
            assert self.laptop.started(FIRST) == self._before[FIRST]

    def wait_for_all(self) -> None:
        """What is ready without a health check may need a moment more until it listens."""
        for host in (FIRST, SECOND, THIRD):
            wait_until(lambda host=host: self.laptop.serves(host), f"the app at {host}", 20)

    def see_the_third_stopped(self) -> None:
        """The same app runs at all three at the same port; the third has no programs of ours and serves."""
        self._before = {host: self.laptop.started(host) for host in (FIRST, SECOND)}
        assert len({one for each in self._before.values() for one in each.values()}) == 2
        assert (len(self.laptop.programs(SECOND)), self.laptop.programs(THIRD)) == (3, [])
        assert self.laptop.serves(THIRD)

    def see_all_go_on(self) -> None:
        """Nothing of ours runs, and every site serves."""
        assert [self.laptop.programs(host) for host in FURTHER] == [[], []]
        assert all(map(self.laptop.serves, (FIRST, SECOND, THIRD)))

    def see_nothing_left(self) -> None:
        """Of the further sites there are their disks alone; the first one serves."""
        assert [self.laptop.serves(host) for host in (FIRST, SECOND, THIRD)] == [True, False, False]
        assert self.laptop.devices() == set()
        assert list((self.laptop.run_folder / "berths").iterdir()) == []
        assert str(self.laptop.run_folder) not in self.laptop.site.run("cat", "/proc/self/mountinfo")
        assert not [each for each in Path("/proc").glob("[0-9]*") if str(self.laptop.berths) in read_mounts(each)]
        assert all((self.laptop.berths / name / "agent/journal.db").exists() for name in FURTHER.values())


@pytest.fixture
def laptop() -> Iterator[Laptop]:
    with Lab(["laptop"]) as lab:
        yield Laptop(lab.sites["laptop"])


def test_several_sites_of_one_machine_are_apart_outlive_us_and_leave_nothing(laptop: Laptop):
    watch = Watch(laptop)
    type_in = typist(laptop.home, laptop.env, laptop.site.argv(), lambda command: command)

    def run(command: str):
        done = type_in(command)
        if done.returncode == 0 and command in watch.after:
            watch.after[command]()
            watch.seen.append(command)
        return done

    assert follow(PAGE, ("console e2e",), run) > 15
    assert set(watch.seen) == set(watch.after)


def read_mounts(process: Path) -> str:
    with contextlib.suppress(OSError):
        return (process / "mountinfo").read_text()
    return ""
