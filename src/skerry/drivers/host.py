"""The machine itself as a driver: what it has and what is left of it. It performs nothing."""

import fnmatch
import os
import platform
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import psutil

from skerry.model.ids import NodeName
from skerry.model.limits import DEVICES_TOLD_MAX
from skerry.model.observed import NodeSeen, Observation
from skerry.model.samples import HostUse
from skerry.model.uplinks import find_link_flaw
from skerry.plan.actions import Action, Outcome, failed
from skerry.safe.node_paths import find_devices

#: What Compose and OCI call the machine types that Python names otherwise.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


class HostDriver:
    """Reads processor, memory and the disk that holds images and volumes."""

    name = "host"
    performs: tuple[type, ...] = ()

    def __init__(
        self,
        node: NodeName,
        disk: Path,
        facts: Mapping[str, str],
        list_patterns: Callable[[], tuple[str, ...]] = tuple,
        probe: Callable[[], Awaitable[dict[str, str]]] | None = None,
    ) -> None:
        """``facts`` are further ones, as they are at each look, and ``probe`` finds those that last, once.

        ``list_patterns`` gives the devices to look for, as ``/dev/ttyUSB*`` or ``lan*``: those that the site's profiles
        name.
        """
        self._probe = probe
        self._lasting: dict[str, str] = {}
        self._node = node
        self._list_patterns = list_patterns
        self._disk = disk
        self._arch = _ARCHITECTURES.get(platform.machine(), platform.machine())
        self._facts = facts

    async def observe(self) -> Observation:
        """Read the present amounts."""
        if self._probe is not None:
            self._lasting, self._probe = await self._probe(), None
        patterns = self._list_patterns()
        memory = psutil.virtual_memory()
        disk = psutil.disk_usage(str(self._disk))
        return Observation(
            driver=self.name,
            node=NodeSeen(
                node=self._node,
                cpu_m=1000 * (psutil.cpu_count() or 1),
                memory_bytes=memory.total,
                memory_available_bytes=memory.available,
                disk_bytes=disk.total,
                disk_free_bytes=disk.free,
                arch=self._arch,
                kernel=platform.release(),
                facts={"arch": self._arch, "os": "linux", **self._lasting, **self._facts},
                devices=(*find_devices(each for each in patterns if each.startswith("/")), *find_links(patterns)),
            ),
        )

    async def read_use(self) -> HostUse:
        """Read what is in use now."""
        times = psutil.cpu_times()
        # Time that a guest ran is in ``user`` and ``nice`` already.
        working = times.user + times.nice + times.system + times.irq + times.softirq + times.steal
        memory = psutil.virtual_memory()
        room = os.statvfs(self._disk)
        return HostUse(
            cpu_us=int(working * 1_000_000),
            load_m=int(psutil.getloadavg()[0] * 1000),
            memory_bytes=memory.total - memory.available,
            disk_bytes=psutil.disk_usage(str(self._disk)).used,
            files=room.f_files,
            files_used=room.f_files - room.f_ffree,
            temperature_m=_read_hottest_m(),
        )

    async def perform(self, action: Action) -> Outcome:
        """Refuse: the host driver only looks."""
        return failed("E-DRIVER", f"the host driver does not do {type(action).__name__}")


def find_links(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the network devices of the node that patterns such as ``lan*`` mean, sorted and bounded."""
    wanted = [each for each in patterns if not each.startswith("/")]
    names = sorted(name for _, name in socket.if_nameindex()) if wanted else []
    found = [
        name for name in names if not find_link_flaw(name) and any(fnmatch.fnmatchcase(name, one) for one in wanted)
    ]
    return tuple(found[:DEVICES_TOLD_MAX])


def _read_hottest_m() -> int:
    """Return the highest temperature that a sensor shows; 0 without sensors, as in most virtual machines."""
    sensors = psutil.sensors_temperatures().values()
    return max((int(each.current * 1000) for chip in sensors for each in chip if each.current > 0), default=0)
