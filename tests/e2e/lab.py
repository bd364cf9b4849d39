"""The lab: a core and some sites on this machine, each a real place with its own network, podman and disk.

Every site reaches the core at ``CORE_ADDRESS`` through the link emulator and nothing else; what a site publishes is
reached from inside it. The lab plays the machines: it boots and reboots them and runs podman as systemd would; agents
and cores are started by whoever uses it. It needs root and no more. Rules: everything of a lab hangs off one locked
folder, so the next lab finds and removes what a crashed one left; processes are ended by id, found by their namespaces.
Used by ``./dev demo`` and the end-to-end tests.
"""

import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

from tests.e2e.lab_site import CORE_ADDRESS, Site, wait_for
from tests.e2e.link_emulator import KERNEL_QUEUE_PACKETS, WAYS, Counters, EmulatorClient, Way
from tests.e2e.site_http import Answer, RequestCounter, http_get

from skerry.berths.namespaces import Place, hold_folder, release_folder

WAN_DEVICE = "wan0"
#: Each has a /30 of 10.99.0.0/16; the first of these holds the core.
SITES_MAX = 255
SITE_NAME = re.compile(r"[a-z][a-z0-9-]{0,11}")

LABS = Path("/run/skl")
DISKS = Path("/var/tmp")
CHECKOUT = Path(__file__).resolve().parents[2]


class Lab:
    """A core and sites, from ``start`` to ``stop``; a context manager that does both.

    ``lab.core`` and ``lab.sites[NAME]`` are the places. A site's name is an RFC 1123 label of at most 12 characters.
    With ``podman=False`` sites have a link and no container runtime.
    """

    def __init__(self, sites: Sequence[str], *, disks: Path = DISKS, seed: int = 0, podman: bool = True) -> None:
        if not 0 < len(sites) <= SITES_MAX or len(set(sites)) != len(sites):
            raise ValueError(f"a lab has from 1 to {SITES_MAX} sites with different names")
        for name in sites:
            if not SITE_NAME.fullmatch(name) or name in ("core", "wan"):
                raise ValueError(f"not a name for a lab's site: {name!r}")
        self.name = f"skl-{secrets.token_hex(3)}"
        self.folder = LABS / self.name
        self.disk = disks / self.name
        self._seed = seed
        self._with_podman = podman
        self._lock: int | None = None
        self._emulator: subprocess.Popen[bytes] | None = None
        namespaces = self.folder / "ns"
        self.core = Place(namespaces, "core", self.disk / "core")
        #: Holds the emulator and nothing else, so that ending the core's processes does not end the links.
        self._wan = Place(namespaces, "wan", self.disk / "wan")
        self.sites = {name: Site(namespaces, name, self.disk / name, number) for number, name in enumerate(sites, 1)}
        self._links = EmulatorClient(self.folder / "emulator.sock")

    def start(self) -> "Lab":
        """Remove what crashed labs left, then boot everything: core, emulator, links, sites with podman."""
        remove_leftovers()
        self._lock = _lock(self.name)
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Remove the lab without a trace, its disks included. May be called twice."""
        if self._lock is not None:
            _remove(self.name, [self.core, self._wan, *self.sites.values()], self.disk)
            if self._emulator:
                self._emulator.wait()
            os.close(self._lock)
            self._lock = None

    def keep(self) -> None:
        """Leave everything running for a person to look at; the next lab to start removes it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> "Lab":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # Processes

    def popen(
        self, place: Place, command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a process in the core or at a site, with the place's environment and ``env`` added to it."""
        return place.popen(command, log, {**place.env, **(env or {})})

    # Links

    def set_link(
        self,
        site: str,
        *,
        delay_ms: float | None = None,
        jitter_ms: float | None = None,
        rate_bit_s: float | None = None,
        loss: float | None = None,
        duplicate: float | None = None,
        corrupt: float | None = None,
        reorder: float | None = None,
        ways: tuple[Way, ...] = WAYS,
    ) -> None:
        """Change a link from now on: the fields of ``Shape``, each for one way; None leaves a field as it is."""
        wanted = {
            "delay_ms": delay_ms,
            "jitter_ms": jitter_ms,
            "rate_bit_s": rate_bit_s,
            "loss": loss,
            "duplicate": duplicate,
            "corrupt": corrupt,
            "reorder": reorder,
        }
        self._links.shape(site, ways, **{name: value for name, value in wanted.items() if value is not None})

    def cut(self, site: str) -> None:
        """Let nothing through in either direction; devices stay up, as behind a dead modem."""
        self._links.shape(site, cut=True)

    def cut_one_way(self, site: str, way: Way) -> None:
        """Let nothing through from the site (``up``) or to it (``down``)."""
        self._links.shape(site, (way,), cut=True)

    def heal(self, site: str) -> None:
        """End a cut; delay, rate and loss stay as they were set."""
        self._links.shape(site, cut=False)

    def link_stats(self, site: str) -> dict[Way, Counters]:
        """Counters of both directions since the lab started; ``offered_bytes`` is what the sender put on the link."""
        return self._links.stats(site)

    def open_wan(self) -> None:
        """Let sites reach each other through the core's machine, as over the internet: both their links lie between."""
        self.core.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")

    # Machines

    def power_off_site(self, name: str) -> None:
        """Take a site's power away: all processes, mounts, interfaces and rules are gone, its disk is kept."""
        self._links.remove(name)
        self.sites[name].destroy()

    def boot_site(self, name: str) -> None:
        """Boot a site that is off: its link is as it was, cut or not; podman runs, no container does."""
        site = self.sites[name]
        site.boot_anew()
        self._connect(site)
        if self._with_podman:
            site.start_podman()

    def reboot_site(self, name: str) -> None:
        """Power off and boot."""
        self.power_off_site(name)
        self.boot_site(name)

    # Visitors

    def http_get(self, site: str, port: int, path: str = "/", *, timeout_s: float = 5.0) -> Answer:
        """GET a port that the site publishes, from inside the site."""
        return http_get(self.sites[site].net, port, path, timeout_s=timeout_s)

    def request_counter(self, site: str, port: int, path: str = "/", *, interval_s: float = 0.1) -> RequestCounter:
        """A visitor who keeps asking a port of the site; to be started and stopped by the caller."""
        return RequestCounter(self.sites[site].net, port, path, interval_s=interval_s)

    # Inside

    def _start(self) -> None:
        hold_folder(self.core.net.parent)
        (self.folder / "lab.json").write_text(json.dumps({"disk": str(self.disk), "sites": list(self.sites)}))
        for place in (self.core, self._wan):
            place.disk.mkdir(parents=True)
            place.create()
        self.core.run("ip", "address", "add", f"{CORE_ADDRESS}/32", "dev", "lo")
        self._start_emulator()
        for site in self.sites.values():
            site.install()
            self.boot_site(site.name)

    def _start_emulator(self) -> None:
        socket_path, log = self.folder / "emulator.sock", self.disk / "wan/emulator.log"
        command = [sys.executable, "-m", "tests.e2e.link_emulator", str(socket_path), str(self._seed)]
        # Only the network namespace: the emulator must see the namespace files of sites that boot later.
        enter = ["nsenter", f"--net={self._wan.net}", "--"]
        with log.open("ab") as output:
            self._emulator = subprocess.Popen(
                [*enter, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=CHECKOUT,
                start_new_session=True,
            )
        wait_for(socket_path.exists, self._emulator, log)

    def _connect(self, site: Site) -> None:
        far_device = f"to-{site.name}"
        self._links.add(site.name, (site.net, WAN_DEVICE), (self.core.net, far_device))
        ends = ((site, WAN_DEVICE, site.address), (self.core, far_device, site.gateway))
        for place, device, address in ends:
            # No IPv6 of its own: router solicitations would be counted as traffic.
            place.run("ip", "link", "set", device, "addrgenmode", "none", "txqueuelen", KERNEL_QUEUE_PACKETS)
            place.run("ip", "address", "add", f"{address}/30", "dev", device)
            place.run("ip", "link", "set", device, "up")
        site.run("ip", "route", "add", "default", "via", site.gateway)


def list_leftovers() -> list[str]:
    """Name the labs whose owner is gone: crashed, killed, or left with ``keep``."""
    found: list[str] = []
    for lock_file in sorted(LABS.glob("*.lock")):
        with _hold(lock_file) as is_ours:
            found += [lock_file.stem] if is_ours else []
    return found


def remove_leftovers() -> None:
    """Remove every lab whose owner is gone. Running ones are not touched."""
    for lock_file in sorted(LABS.glob("*.lock")):
        with _hold(lock_file) as is_ours:
            if is_ours:
                _remove(lock_file.stem, *_what_is_left(lock_file.stem))


@contextlib.contextmanager
def _hold(lock_file: Path) -> Generator[bool]:
    """Hold a lab's lock for a moment; False when its owner has it, or is just gone with it."""
    try:
        fd = os.open(lock_file, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_ours = os.fstat(fd).st_nlink > 0
        except BlockingIOError:
            is_ours = False
        yield is_ours
    finally:
        os.close(fd)


def _what_is_left(name: str) -> tuple[list[Place], Path | None]:
    """Rebuild the places and the disk of a crashed lab from its folder, as far as it came."""
    folder = LABS / name
    try:
        record = json.loads((folder / "lab.json").read_text())
    except (FileNotFoundError, ValueError):
        return [], None
    disk = Path(record["disk"])
    sites: list[Place] = [Site(folder / "ns", site, disk / site, 0) for site in record["sites"]]
    return [*sites, *(Place(folder / "ns", place, disk / place) for place in ("core", "wan"))], disk


def _remove(name: str, places: Sequence[Place], disk: Path | None) -> None:
    """Remove a lab whose lock is held: processes, namespaces, control groups, disks, and the folder last."""
    folder = LABS / name
    # The links' process first: it holds devices in all the others' namespaces.
    for place in sorted(places, key=lambda place: place.name != "wan"):
        place.destroy()
    if disk:
        shutil.rmtree(disk, ignore_errors=True)
    release_folder(folder / "ns")
    shutil.rmtree(folder, ignore_errors=True)
    folder.with_suffix(".lock").unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        LABS.rmdir()  # the last lab out


def _lock(name: str) -> int:
    """Make and hold the lab's lock file; the kernel lets go of it when this process ends, however it ends."""
    path = LABS / f"{name}.lock"
    while True:
        LABS.mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_nlink:
                return fd
            os.close(fd)  # somebody's ``remove_leftovers`` took the file between the two calls
