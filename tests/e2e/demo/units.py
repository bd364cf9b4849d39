"""Core and signer as the shipped units start them, under a supervisor of our own, on the core's machine of a lab.

The command lines and settings files are those of packaging/, read from there; only folders and the interpreter are the
lab's, because nothing of the machine itself may be changed. A program that ends is started again after ``RestartSec``,
as ``Restart=always`` says. That systemd does the same, with its sandbox and watchdog, is shown by tests/guest.
"""

import configparser
import subprocess
import sys
import threading
from pathlib import Path

from tests.e2e.fleet import LINK_PORT, Fleet, wait_until
from tests.e2e.lab import CHECKOUT, CORE_ADDRESS, Lab

PACKAGING = CHECKOUT / "packaging"
UNIT_PYTHON = "/usr/lib/skerry/bin/python"
STOP_S_MAX = 30


class Unit:
    """One shipped service: its own command line, started again whenever it ends."""

    def __init__(self, lab: Lab, name: str, *more: str) -> None:
        parser = configparser.RawConfigParser(strict=False)
        parser.read(PACKAGING / "systemd" / f"skerry-{name}.service")
        service = parser["Service"]
        assert service["Restart"] == "always"
        self._restart_s = float(service["RestartSec"])
        self._lab, self._name = lab, name
        settings = lab.core.disk / "etc" / f"{name}.toml"
        settings.parent.mkdir(exist_ok=True)
        text = (PACKAGING / "settings" / f"{name}.toml").read_text()
        settings.write_text("\n".join([move(lab, text), *more, ""]))
        words = service["ExecStart"].split()
        assert (words[0], words[-2:]) == (UNIT_PYTHON, ["--settings", f"/etc/skerry/{name}.toml"])
        self._command = [sys.executable, *words[1:-1], str(settings)]
        self._log = lab.core.disk / f"{name}.log"
        self._ended = threading.Event()
        self.process = self._start()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def _start(self) -> subprocess.Popen[bytes]:
        return self._lab.popen(self._lab.core, self._command, self._log)

    def _keep(self) -> None:
        while True:
            self.process.wait()
            if self._ended.wait(self._restart_s):
                return
            self.process = self._start()

    def read_log(self) -> str:
        """The end of what it wrote."""
        return self._log.read_text(errors="replace")[-1500:]

    def stop(self) -> None:
        """End it for good."""
        self._ended.set()
        self.process.terminate()
        self._keeper.join(STOP_S_MAX)


def move(lab: Lab, text: str) -> str:
    """Put what units keep below /var/lib and /run on the lab's own disk."""
    return text.replace("/var/lib/skerry", str(lab.core.disk / "lib")).replace("/run/skerry-signer", str(sockets(lab)))


def sockets(lab: Lab) -> Path:
    """Where the signer's socket is."""
    return lab.core.disk / "run"


def start_units(lab: Lab, fleet: Fleet) -> dict[str, Unit]:
    """Start both units and found the core, as ``skerry core install`` does it after the packages."""
    for folder in ("lib/core", "lib/signer", "run"):
        (lab.core.disk / folder).mkdir(parents=True, mode=0o700)
    endpoints = f'endpoints = "{CORE_ADDRESS}:{LINK_PORT}"'
    units = {"signer": Unit(lab, "signer"), "core": Unit(lab, "core", endpoints)}
    data, signer = lab.core.disk / "lib/core", lab.core.disk / "lib/signer/core.json"
    wait_until(lambda: (sockets(lab) / "signer.sock").exists(), "the signer's socket")
    places = ("--data", data, "--signer", sockets(lab) / "signer.sock", "--signer-core", signer)
    wait_until(lambda: fleet.cli("core", "install", *places).exit == 0, "founding of the core")
    return units
