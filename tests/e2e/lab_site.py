"""One site of the lab: a machine with a boot of its own, a podman of its own, and a link to the core.

A boot empties what a boot empties (/run, /dev/shm, podman's run root) and gives a new boot id; ``disk`` is kept.
``containers.conf`` is what Skerry asks of podman (decision 0010), with this site's paths. Used by ``lab.py``.
"""

import contextlib
import re
import subprocess
import uuid
from collections.abc import Collection
from pathlib import Path

from tests.e2e.namespaces import Place, wait_for
from tests.e2e.podman_http import PodmanHttp

#: The core's address, the same from every site.
CORE_ADDRESS = "10.99.0.1"
CGROUPS = Path("/sys/fs/cgroup")
#: Memory of a site's /run and the like, as a tmpfs there would be; nothing large lives in them.
RUN_TMPFS_BYTES = 64 * 1024 * 1024
#: Where podman keeps what it knows of layers, whatever its storage root is.
PODMAN_CACHE = Path("/var/lib/containers")
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
        own = {"TMPDIR": str(self.disk / "scratch"), "CONTAINERS_CONF": str(self.containers_conf)}
        return super().env | own

    def install(self) -> None:
        """Lay out an empty disk."""
        for folder in ("podman/cache", "agent", "log", "scratch", "run"):
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
        self.run("mkdir", "-p", "/run/netns", "/run/lock", PODMAN_CACHE)
        self.run("mount", "--bind", self.disk / "podman/cache", PODMAN_CACHE)
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
        wait_for(self.podman.ping, self._podman, self.log_folder / "podman.log")

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


def _remove_cgroups(container_ids: Collection[str]) -> None:
    """Remove the empty control groups that killed containers leave, under v1 controllers or the v2 tree."""
    for parent in (*CGROUPS.glob("*/libpod_parent"), CGROUPS / "libpod_parent"):
        groups = [parent / f"libpod-{container_id}" for container_id in container_ids]
        for group in (*groups, *(parent / f"libpod-conmon-{one}" for one in container_ids), parent / "conmon", parent):
            with contextlib.suppress(OSError):  # not there, or still used by another lab
                group.rmdir()


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
    effective = re.search(r"^CapEff:\s*(\w+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    return effective is not None and bool(int(effective[1], 16) >> capability & 1)
