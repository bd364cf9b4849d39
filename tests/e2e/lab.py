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
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from tests.e2e.link_emulator import KERNEL_QUEUE_PACKETS, WAYS, Counters, EmulatorClient, Way
from tests.e2e.namespaces import Place, run
from tests.e2e.podman_http import PodmanHttp
from tests.e2e.site_http import Answer, RequestCounter, http_get

#: The core's address, the same from every site.
CORE_ADDRESS = "10.99.0.1"
WAN_DEVICE = "wan0"
#: One /30 a site in 10.99.0.0/16, the first of which holds the core.
SITES_MAX = 255
SITE_NAME = re.compile(r"[a-z][a-z0-9-]{0,11}")

LABS = Path("/run/skl")
DISKS = Path("/var/tmp")
CGROUPS = Path("/sys/fs/cgroup")
CHECKOUT = Path(__file__).resolve().parents[2]
START_S_MAX = 30.0
#: Memory of a site's /run and the like, as a tmpfs there would be; nothing large lives in them.
RUN_TMPFS_BYTES = 64 * 1024 * 1024
CAP_SYS_RESOURCE = 24


class Site(Place):
    """One site: a place with a link to the core and a podman of its own.

    ``disk`` outlives a reboot: ``disk/podman`` is podman's, ``disk/agent`` is for the agent, ``disk/log`` for output.
    """

    def __init__(self, folder: Path, name: str, disk: Path, number: int) -> None:
        super().__init__(folder, name, disk)
        self.address = f"10.99.{number}.2"
        self.gateway = f"10.99.{number}.1"
        self.agent_folder = disk / "agent"
        self.log_folder = disk / "log"
        self.podman_socket = disk / "podman.sock"
        self.containers_conf = disk / "containers.conf"
        self._podman: subprocess.Popen[bytes] | None = None

    @property
    def podman(self) -> PodmanHttp:
        """The site's podman, to be asked from anywhere on this machine."""
        return PodmanHttp(self.podman_socket)

    @property
    def env(self) -> dict[str, str]:
        """The whole environment of a process at this site."""
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.disk),
            "TMPDIR": str(self.disk / "scratch"),
            "CONTAINERS_CONF": str(self.containers_conf),
            "LANG": "C.UTF-8",
        }

    def install(self) -> None:
        """Lay out an empty disk."""
        for folder in ("podman", "agent", "log", "scratch", "run"):
            (self.disk / folder).mkdir(parents=True)
        self.containers_conf.write_text(_containers_conf(self.disk))
        # The site asks the core's address for names; nobody answers there, and while it is cut off nobody can.
        (self.disk / "resolv.conf").write_text(f"nameserver {CORE_ADDRESS}\noptions timeout:1 attempts:1\n")

    def boot(self) -> None:
        """Make the namespaces, with all that a boot empties empty and with a boot id of their own."""
        self.create()
        # /dev/shm holds podman's locks, which must be this site's own.
        for folder in ("/run", "/dev/shm", self.disk / "run"):
            self.run("mount", "-t", "tmpfs", "-o", f"size={RUN_TMPFS_BYTES},mode=755", "skl", folder)
        self.run("mkdir", "-p", "/run/netns", "/run/lock")
        resolv_conf = Path("/etc/resolv.conf").resolve()  # on many machines a link into /run
        self.run("mkdir", "-p", resolv_conf.parent)
        self.run("touch", "-a", resolv_conf)
        self.run("mount", "--bind", self.disk / "resolv.conf", resolv_conf)
        (self.disk / "boot_id").write_text(f"{uuid.uuid4()}\n")
        self.run("mount", "--bind", self.disk / "boot_id", "/proc/sys/kernel/random/boot_id")
        # A container with user ids of its own may mount /proc only where one exists that nothing covers.
        self.run("mkdir", "/run/proc")
        self.run("mount", "-t", "proc", "proc", "/run/proc")

    def start_podman(self) -> None:
        """Start the podman service, as the site's systemd would, and wait until it answers."""
        self.podman_socket.unlink(missing_ok=True)
        storage = ("--root", self.disk / "podman/root", "--runroot", self.disk / "run/containers")
        command = ("podman", *storage, "--storage-driver", "overlay", "--cgroup-manager", "cgroupfs")
        service = ("system", "service", "--time", "0", f"unix://{self.podman_socket}")
        self._podman = self.popen((*command, *service), self.log_folder / "podman.log", self.env)
        _wait_for(self.podman.ping, self._podman, self.log_folder / "podman.log")

    def kill_podman(self) -> None:
        """SIGKILL the podman service; the containers go on."""
        if self._podman:
            self._podman.kill()
            self._podman.wait()

    def container_ids(self) -> set[str]:
        """Ids of all containers that ever were at this site, without asking podman."""
        events = self.log_folder / "podman-events.log"
        return set(re.findall(r'"ID":"([0-9a-f]{64})"', events.read_text())) if events.exists() else set()

    def destroy(self) -> None:
        """Switch the site off: nothing of it runs or is mounted, its containers' control groups are gone."""
        super().destroy()
        _remove_cgroups(self.container_ids())


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
        """Start a process in the core or at a site; at a site with the site's environment, ``env`` added."""
        base = place.env if isinstance(place, Site) else {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        return place.popen(command, log, {**base, **(env or {})})

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

    # Machines

    def power_off_site(self, name: str) -> None:
        """Take a site's power away: all processes, mounts, interfaces and rules are gone, its disk is kept."""
        self._links.remove(name)
        self.sites[name].destroy()

    def boot_site(self, name: str) -> None:
        """Boot a site that is off: its link is as it was, cut or not; podman runs, no container does."""
        site = self.sites[name]
        site.boot()
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
        namespaces = self.core.net.parent
        namespaces.mkdir(parents=True)
        # Namespace files can only be kept on a private mount.
        run("mount", "--bind", namespaces, namespaces)
        run("mount", "--make-private", namespaces)
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
        _wait_for(socket_path.exists, self._emulator, log)

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


def remove_leftovers() -> None:
    """Remove every lab whose owner is gone: crashed, killed, or left with ``keep``. Running ones are not touched."""
    for lock_file in sorted(LABS.glob("*.lock")):
        name = lock_file.stem
        fd = os.open(lock_file, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            _remove(name, *_what_is_left(name))
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
    if f" {folder / 'ns'} " in Path("/proc/self/mountinfo").read_text():
        run("umount", folder / "ns")
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


def _remove_cgroups(container_ids: Collection[str]) -> None:
    """Remove the empty control groups that killed containers leave, under v1 controllers or the v2 tree."""
    for parent in (*CGROUPS.glob("*/libpod_parent"), CGROUPS / "libpod_parent"):
        groups = [parent / f"libpod-{container_id}" for container_id in container_ids]
        for group in (*groups, *(parent / f"libpod-conmon-{one}" for one in container_ids), parent / "conmon", parent):
            with contextlib.suppress(OSError):  # not there, or still used by another lab
                group.rmdir()


def _wait_for(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S_MAX
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise OSError(f"{process.args!r} did not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.02)


def _containers_conf(disk: Path) -> str:
    """The settings of runtimes.md §2; limits only where this machine may not set podman's own."""
    limits = "" if _may(CAP_SYS_RESOURCE) else 'default_ulimits = ["nofile=20000:20000","nproc=8192:8192"]\n'
    return f"""[containers]
{limits}log_driver = "k8s-file"
base_hosts_file = "none"
host_containers_internal_ip = "none"
[engine]
cgroup_manager = "cgroupfs"
exit_command_delay = 5
events_logger = "file"
events_logfile_path = "{disk}/log/podman-events.log"
events_logfile_max_size = "100m"
runtime = "crun"
static_dir = "{disk}/podman/libpod"
tmp_dir = "{disk}/run/libpod"
volume_path = "{disk}/podman/volumes"
helper_binaries_dir = ["/usr/lib/podman", "/usr/libexec/podman"]
[network]
network_backend = "netavark"
network_config_dir = "{disk}/podman/networks"
default_subnet = "10.80.0.0/24"
default_subnet_pools = [{{"base" = "10.81.0.0/16", "size" = 24}}]
"""


def _may(capability: int) -> bool:
    status = Path("/proc/self/status").read_text()
    effective = int(re.search(r"^CapEff:\s*(\w+)", status, re.MULTILINE)[1], 16)  # type: ignore[index]
    return bool(effective >> capability & 1)
