"""One site of the lab: a berth with a link to the core, whose podman the lab starts as systemd would.

Used by ``lab.py``.
"""

import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from tests.e2e.podman_http import PodmanHttp

from skerry.berths.berth import Berth

#: The core's address, the same from every site.
CORE_ADDRESS = "10.99.0.1"
START_S_MAX = 30.0


def wait_for(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a process that was just started is ready; OSError with the end of its log if it never is."""
    deadline = time.monotonic() + START_S_MAX
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise OSError(f"{process.args!r} did not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.02)


class Site(Berth):
    """One site: a berth with a link to the core and a podman of its own."""

    def __init__(self, folder: Path, name: str, disk: Path, number: int) -> None:
        # The site asks the core's address for names; nobody answers there, and while it is cut off nobody can.
        super().__init__(folder, name, disk, CORE_ADDRESS)
        self.address = f"10.99.{number}.2"
        self.gateway = f"10.99.{number}.1"
        self._podman: subprocess.Popen[bytes] | None = None

    @property
    def podman(self) -> PodmanHttp:
        """The site's podman, to be asked from anywhere on this machine."""
        return PodmanHttp(self.podman_socket)

    def boot_anew(self) -> None:
        """Boot with a boot id that nobody had."""
        self.boot(str(uuid.uuid4()))

    def start_podman(self) -> None:
        """Start the podman service, as the site's systemd would, and wait until it answers."""
        self.podman_socket.unlink(missing_ok=True)
        self._podman = self.popen(self.podman_service(), self.log_folder / "podman.log", self.env)
        wait_for(self.podman_answers, self._podman, self.log_folder / "podman.log")

    def kill_podman(self) -> None:
        """SIGKILL the podman service; the containers go on."""
        if self._podman:
            self._podman.kill()
            self._podman.wait()
