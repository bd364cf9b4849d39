"""A berth: a place that is a machine of its own, with a boot, a disk and a podman.

A boot empties what a boot empties (/run, with podman's run root in it, and /dev/shm) and gives a new boot id; ``disk``
is kept. ``containers.conf`` is what Skerry asks of podman (decision 0010), with this berth's paths. Used by `up`
and by the lab of the end-to-end tests.
"""

import contextlib
import re
import socket
from collections.abc import Collection
from pathlib import Path

from skerry.berths.namespaces import Place, run

CGROUPS = Path("/sys/fs/cgroup")
#: Memory of a berth's /run and the like, as a tmpfs there would be; nothing large lives in them.
RUN_TMPFS_BYTES = 64 * 1024 * 1024
#: Where podman keeps what it knows of layers, whatever its storage root is.
PODMAN_CACHE = Path("/var/lib/containers")
#: Podman's run root as the berth sees it: podman takes 50 characters at most, and a disk may lie deeper.
RUN_ROOT = Path("/run/containers")
CAP_SYS_RESOURCE = 24
#: Podman answers a ping from memory, after a start within 0.2 s (decision 0010).
_PING_S = 2.0


class Berth(Place):
    """One machine beside others on the same one.

    ``disk`` outlives a reboot: ``disk/podman`` is podman's, ``disk/agent`` is for the agent, ``disk/log`` for output.
    ``name_server`` is whom it asks for names.
    """

    def __init__(self, folder: Path, name: str, disk: Path, name_server: str) -> None:
        super().__init__(folder, name, disk)
        self.agent_folder = disk / "agent"
        self.log_folder = disk / "log"
        self.podman_socket = disk / "podman.sock"
        self.containers_conf = disk / "containers.conf"
        self._name_server = name_server

    @property
    def env(self) -> dict[str, str]:
        """The whole environment of a process here."""
        own = {"TMPDIR": str(self.disk / "scratch"), "CONTAINERS_CONF": str(self.containers_conf)}
        return super().env | own

    def install(self) -> None:
        """Lay out the disk; what is there already stays, and settings are written anew."""
        for folder in ("podman/cache", "agent", "log", "scratch"):
            (self.disk / folder).mkdir(mode=0o711, parents=True, exist_ok=True)
        self.containers_conf.write_text(_containers_conf(self.disk))
        resolver = f"nameserver {self._name_server}\noptions timeout:1 attempts:1\n"
        (self.disk / "resolv.conf").write_text(resolver)

    def boot(self, boot_id: str) -> None:
        """Make the namespaces, with all that a boot empties empty and with this boot id."""
        self.create()
        # /dev/shm holds podman's locks, which must be this berth's own.
        for folder in ("/run", "/dev/shm"):
            self.run("mount", "-t", "tmpfs", "-o", f"size={RUN_TMPFS_BYTES},mode=755", "skl", folder)
        self.run("mkdir", "-p", "/run/netns", "/run/lock", PODMAN_CACHE)
        self.run("mount", "--bind", self.disk / "podman/cache", PODMAN_CACHE)
        resolv_conf = Path("/etc/resolv.conf").resolve()  # on many machines a link into /run
        self.run("mkdir", "-p", resolv_conf.parent)
        self.run("touch", "-a", resolv_conf)
        self.run("mount", "--bind", self.disk / "resolv.conf", resolv_conf)
        (self.disk / "boot_id").write_text(f"{boot_id}\n")
        self.run("mount", "--bind", self.disk / "boot_id", "/proc/sys/kernel/random/boot_id")
        # A container with user ids of its own may mount /proc only where one exists that nothing covers.
        self.run("mkdir", "/run/proc")
        self.run("mount", "-t", "proc", "proc", "/run/proc")

    def podman_command(self, *words: object) -> list[str]:
        """Return podman with this berth's storage and the given words, to be run inside with ``env``."""
        storage = ("--root", self.disk / "podman/root", "--runroot", RUN_ROOT)
        command = ("podman", *storage, "--storage-driver", "overlay", "--cgroup-manager", "cgroupfs", *words)
        return [str(word) for word in command]

    def podman_service(self) -> list[str]:
        """Return the command that serves podman's API on ``podman_socket`` until it is ended."""
        return self.podman_command("system", "service", "--time", "0", f"unix://{self.podman_socket}")

    def podman_answers(self) -> bool:
        """Whether the API answers."""
        try:
            with socket.socket(socket.AF_UNIX) as door:
                door.settimeout(_PING_S)
                door.connect(str(self.podman_socket))
                door.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b" 200 " in door.recv(64)
        except OSError:
            return False

    def stop_containers(self) -> None:
        """Stop all containers in their own way, each with its own time, as before a machine goes down."""
        run(*self.argv(*self.podman_command("stop", "--all", "--ignore")), env=self.env)

    def container_ids(self) -> set[str]:
        """Ids of all containers that ever were here, without asking podman."""
        events = self.log_folder / "podman-events.log"
        return set(re.findall(r'"ID":"([0-9a-f]{64})"', events.read_text())) if events.exists() else set()

    def destroy(self) -> None:
        """Switch it off: nothing of it runs or is mounted, its containers' control groups are gone."""
        super().destroy()
        _remove_cgroups(self.container_ids())


def _remove_cgroups(container_ids: Collection[str]) -> None:
    """Remove the empty control groups that killed containers leave, under v1 controllers or the v2 tree."""
    for parent in (*CGROUPS.glob("*/libpod_parent"), CGROUPS / "libpod_parent"):
        groups = [parent / f"libpod-{container_id}" for container_id in container_ids]
        for group in (*groups, *(parent / f"libpod-conmon-{one}" for one in container_ids), parent / "conmon", parent):
            with contextlib.suppress(OSError):  # not there, or still used by another berth
                group.rmdir()


def _containers_conf(disk: Path) -> str:
    """The settings of decision 0010; limits only where this machine may not set podman's own."""
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
tmp_dir = "/run/libpod"
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
