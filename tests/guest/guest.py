"""The guest as a machine: it is booted, asked to run programs, rebooted, and has its power taken away.

Rule: it has no network card, so nothing in it reaches anything; QEMU is a child of this process, known by its id, and
ended in ``stop`` whatever happened. Emulation needs no KVM and is slow: limits are generous, and only end what hangs.
Neighbours: `disk.py` makes what it boots from, `agent.py` carries the words.
"""

import contextlib
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.guest.agent import GuestAgent, GuestRefused, GuestSilent, Ran
from tests.guest.disk import Disk

#: Boots took 20 to 60 s alone on two cores; others may be busy too.
BOOT_S_MAX = 600
COMMAND_S_MAX = 300
#: Between two knocks at a guest that boots, and how long each waits for an answer.
_KNOCK_S, _KNOCK_ANSWER_S = 1.0, 5.0
_CONSOLE_CHARACTERS = 3000


class GuestFailed(Exception):
    """The guest did not do what was asked of it; the message says what it said."""


class Guest:
    """One emulated machine with a disk of its own; ``with Guest(…) as guest`` boots it and ends it."""

    def __init__(
        self, disk: Disk, folder: Path, *, parcel: Path | None = None, memory_mib: int = 1024, processors: int = 2
    ) -> None:
        """``folder`` holds what is this machine's own; it sees the file ``parcel`` as its second disk, /dev/vdb."""
        self._disk = disk
        self._parcel = parcel
        self._memory_mib = memory_mib
        self._processors = processors
        self._image = disk.overlay(folder / "disk.qcow2")
        self._console = folder / "console.log"
        self._socket = folder / "agent.sock"
        self._agent = GuestAgent(self._socket)
        self._emulator: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Guest":
        try:
            self.boot()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # Power

    def boot(self) -> float:
        """Switch the machine on and wait until it can be asked something; the seconds that took."""
        started = time.monotonic()
        with self._console.open("ab") as log:
            self._emulator = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._wait_boot("")
        return time.monotonic() - started

    def reboot(self) -> float:
        """Let systemd reboot the machine; the seconds until it can be asked something again."""
        started, before = time.monotonic(), self.boot_id()
        # It may be gone before it has answered.
        with contextlib.suppress(GuestSilent):
            self.run("systemctl", "reboot")
        self._wait_boot(before)
        return time.monotonic() - started

    def cut_power(self) -> None:
        """Take the power away: what the guest has not written to its disk is lost. ``boot`` gives it back."""
        self.stop()

    def stop(self) -> None:
        """End the emulator at once."""
        self._agent.close()
        if self._emulator is not None:
            self._emulator.kill()
            self._emulator.wait()
            self._emulator = None

    # Words

    def run(self, *words: object, stdin: bytes = b"", seconds: float = COMMAND_S_MAX, **environment: str) -> Ran:
        """Run a program in the guest, as root, to its end."""
        settings = [f"{name}={value}" for name, value in environment.items()]
        return self._agent.run([str(word) for word in words], stdin, settings, seconds)

    def must(self, *words: object, stdin: bytes = b"", seconds: float = COMMAND_S_MAX, **environment: str) -> str:
        """``run`` that must succeed; its output. Raises ``GuestFailed``."""
        done = self.run(*words, stdin=stdin, seconds=seconds, **environment)
        if done.exit:
            said = (done.err + done.out).strip()[-2000:]
            raise GuestFailed(f"{' '.join(map(str, words))}: exit {done.exit}: {said}")
        return done.out

    def write(self, place: str, content: str | bytes, mode: int = 0o644) -> None:
        """Write a small file in the guest, and the folders above it."""
        given = content.encode() if isinstance(content, str) else content
        self.must("install", "-D", "-m", f"{mode:o}", "/dev/stdin", place, stdin=given)

    def boot_id(self) -> str:
        """The kernel's name for this boot."""
        return self.must("cat", "/proc/sys/kernel/random/boot_id").strip()

    def wait_until(self, look: Callable[[], object], what: str, seconds: float = COMMAND_S_MAX) -> None:
        """Wait until ``look`` gives something true; raises ``GuestFailed``."""
        deadline = time.monotonic() + seconds
        while not look():
            if time.monotonic() > deadline:
                raise GuestFailed(f"{what} did not happen within {seconds:g} s")
            time.sleep(_KNOCK_S)

    def read_console(self) -> str:
        """The end of what kernel and emulator wrote."""
        with contextlib.suppress(OSError):
            return self._console.read_text(errors="replace")[-_CONSOLE_CHARACTERS:]
        return ""

    def _wait_boot(self, before: str) -> None:
        """Wait for an answer of a boot other than ``before``."""
        assert self._emulator is not None
        deadline = time.monotonic() + BOOT_S_MAX
        while True:
            if self._emulator.poll() is not None:
                raise GuestFailed(f"the emulator ended with {self._emulator.returncode}:\n{self.read_console()}")
            with contextlib.suppress(GuestSilent, GuestRefused, GuestFailed):
                self._agent.ask("guest-ping", _KNOCK_ANSWER_S)
                if self.boot_id() != before:
                    return
            if time.monotonic() > deadline:
                raise GuestFailed(f"the guest has not booted within {BOOT_S_MAX} s:\n{self.read_console()}")
            time.sleep(_KNOCK_S)

    def _command(self) -> list[str]:
        words = ["nice", "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-nic", "none"]
        words += ["-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max"]
        words += ["-smp", str(self._processors), "-m", str(self._memory_mib)]
        words += ["-kernel", str(self._disk.kernel), "-initrd", str(self._disk.initramfs)]
        words += ["-append", "root=LABEL=root rw console=ttyS0 quiet"]
        words += ["-drive", f"file={self._image},format=qcow2,if=virtio"]
        if self._parcel is not None:
            words += ["-drive", f"file={self._parcel},format=raw,if=virtio,readonly=on"]
        words += ["-chardev", f"file,id=console,path={self._console},append=on", "-serial", "chardev:console"]
        words += ["-chardev", f"socket,id=agent,path={self._socket},server=on,wait=off"]
        words += ["-device", "virtio-serial-pci"]
        words += ["-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"]
        words += ["-object", "rng-random,id=random,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=random"]
        return words
