"""What every driver offers: look, and do one thing. Comparing wish and world is done once, in ``plan/``.

A driver never retries, orders or decides; it turns one action into calls of its runtime and says what came of it.
Actions are idempotent: performing one whose proof already holds is ``DONE``. A call that hangs is ended by the driver's
own deadline and reported as ``E-TIMEOUT``.
"""

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol, runtime_checkable

import msgspec

from skerry.model.ids import VolumeId
from skerry.model.network import SITE_V4
from skerry.model.network import bridge_name as bridge_name
from skerry.model.observed import Observation
from skerry.model.samples import HostUse
from skerry.model.signed import Window
from skerry.plan.actions import Action, Outcome


class Driver(Protocol):
    """One runtime of the node."""

    #: Short name used in logs, for example ``podman``.
    name: str
    #: Action types this driver performs.
    performs: tuple[type, ...]

    async def observe(self) -> Observation:
        """Read the runtime's present state; a runtime that cannot be read gives ``unavailable``, not an exception."""
        ...

    async def perform(self, action: Action) -> Outcome:
        """Do one step; expected failures are values."""
        ...


@runtime_checkable
class Watcher(Protocol):
    """A driver that can tell when its runtime changed by itself; others are looked at from time to time."""

    name: str

    async def wait_changed(self) -> None:
        """Return when something may have changed since the last return; never raises, may return too often."""
        ...


@runtime_checkable
class Gauge(Protocol):
    """A driver that can tell how much of the machine is in use; one of a node's drivers is."""

    async def read_use(self) -> HostUse:
        """Read the machine's present use; cheap enough for every half minute."""
        ...


class Measured(msgspec.Struct, frozen=True):
    """What one turn of measuring came to: volumes whose end was reached in it, and whether it was the round's last."""

    sizes: dict[VolumeId, int]
    ended: bool


@runtime_checkable
class VolumeGauge(Protocol):
    """A driver that can tell how much room each volume takes."""

    async def measure(self, entries_max: int) -> Measured:
        """Count bytes of disk for another ``entries_max`` files and folders; after the last volume a round ends.

        It reads whole trees a turn at a time, so it is asked for seldom. One turn at a time.
        """
        ...


#: Runs what may keep the disk busy for long (hashing, syncing, removing trees) where it does not hold up the event
#: loop: a thread in the product. The job must not touch what the loop changes meanwhile.
Offload = Callable[[Callable[[], Any]], Awaitable[Any]]


async def run_inline(job: Callable[[], Any]) -> Any:
    """Run a job at once: for tests and simulation."""
    return job()


#: Programs that ask the kernel for something answer in milliseconds; a locked table in seconds.
_PROGRAM_S = 20.0
_OUTPUT_BYTES_MAX = 8 * 1024 * 1024


async def run_program(*argv: str, given: bytes = b"", limit_s: float = _PROGRAM_S) -> tuple[int, bytes]:
    """Run a program with fixed words and return its exit code and output; 127 when it is not there, 124 too slow."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError as error:
        return 127, f"{argv[0]}: {error}".encode()
    try:
        async with asyncio.timeout(limit_s):
            output, _ = await process.communicate(given)
    except asyncio.CancelledError:
        process.kill()
        raise
    except TimeoutError:
        process.kill()
        await process.wait()
        return 124, f"{argv[0]} did not end within {limit_s:.0f} s".encode()
    return process.returncode or 0, output[:_OUTPUT_BYTES_MAX]


def is_ours(address: str) -> bool:
    """Whether an address can be one of an app network."""
    try:
        return ipaddress.IPv4Address(address) in SITE_V4
    except ValueError:
        return False


class Chunk(msgspec.Struct, frozen=True):
    """Bytes of a log or of a command: channel 1 is stdout, 2 is stderr."""

    channel: int
    data: bytes


class Exit(msgspec.Struct, frozen=True):
    """A command ended."""

    code: int


#: What goes into a command: bytes of its standard input, or the new size of its terminal.
Typed = bytes | Window


class PortRefused(Exception):
    """Nothing in the container takes connections at that port, or it has no address."""


class Pipe(Protocol):
    """One connection to a port of a container: bytes both ways, each way ended by itself."""

    def read(self) -> AsyncIterator[bytes]:
        """Give what the container sends, until it ends its half; raises ``OSError`` when the connection breaks."""
        ...

    async def write(self, data: bytes) -> None:
        """Send; return when there is room for more. Raises ``OSError`` when the connection is broken."""
        ...

    def end(self) -> None:
        """End our half; what the container sends still comes."""
        ...

    async def close(self) -> None:
        """Let the connection go; idempotent."""
        ...


class ContainerStats(msgspec.Struct, frozen=True, kw_only=True):
    """Use of one container: cumulative CPU time in microseconds, bytes of memory, bytes in and out."""

    container: str
    cpu_us: int
    memory_bytes: int
    received_bytes: int = 0
    sent_bytes: int = 0
    #: From and to block devices.
    read_bytes: int = 0
    written_bytes: int = 0


class Console(Protocol):
    """What a runtime offers for calls on what runs; kept apart from ``Driver`` because it streams."""

    def read_logs(self, container: str, *, tail: int, follow: bool) -> AsyncIterator[Chunk]:
        """Stream the container's output: the last ``tail`` lines, then what follows if asked."""
        ...

    def run_command(
        self, container: str, argv: tuple[str, ...], stdin: AsyncIterator[Typed], terminal: Window | None = None
    ) -> AsyncIterator[Chunk | Exit]:
        """Run a command inside the container and stream its output; the last item is ``Exit``.

        ``stdin`` is read as the command reads its standard input, which is closed where ``stdin`` ends. With
        ``terminal`` the command has a terminal of that size and all output is on channel 1; it is hung up on, with all
        that it started, when its reader goes away before it has ended.
        """
        ...

    async def open_port(self, container: str, port: int) -> Pipe:
        """Connect to a TCP port at the container's own address and nowhere else; raises ``PortRefused``."""
        ...

    async def read_stats(self) -> tuple[ContainerStats, ...]:
        """Read the use of all containers once."""
        ...
