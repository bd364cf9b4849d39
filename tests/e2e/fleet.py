"""Skerry on the lab's machines: a core, a signer and agents as real processes, started as people start them.

The core's machine runs ``skerry up``, each site ``python -m skerry agent``; sites join with what ``skerry site add``
says. Rules: nothing here imports the product, and processes are ended by id. Used by the demo, the end-to-end tests and
``bench/spine.py``.
"""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.lab import CORE_ADDRESS, Lab
from tests.e2e.lab_site import Site

API_PORT, LINK_PORT = 7710, 7711
COMMAND_S_MAX = 120
START_S_MAX = 60
POLL_S = 0.05
#: Labels that podman's containers of ours carry.
INSTANCE_LABEL = "dev.skerry.instance"


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command of the command line said."""

    exit: int
    out: str
    err: str


class Ended(Exception):
    """A program of ours ended instead of getting ready; the message has the end of its log."""


def wait_until(look: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Wait until ``look`` gives something true; what it raises while nothing answers yet counts as false.

    A look that takes long, as a command does, leaves the machine to what it waits for as long again.
    """
    deadline = time.monotonic() + seconds
    problem = ""
    while True:
        began = time.monotonic()
        try:
            if look():
                return
        except (OSError, http.client.HTTPException, subprocess.SubprocessError) as error:
            problem = f": {error}"
        now = time.monotonic()
        if now > deadline:
            raise TimeoutError(f"{what} did not happen within {seconds:g} s{problem}")
        time.sleep(max(POLL_S, now - began))


class Fleet:
    """The programs of a lab, from ``start`` to ``stop``."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        home = lab.core.disk / "operator"
        self.run_folder = home / "run" / "skerry"
        self.state_folder = home / "state" / "skerry"
        self._core_env = {
            **lab.core.env,
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_STATE_HOME": str(home / "state"),
            "XDG_RUNTIME_DIR": str(home / "run"),
            "NO_COLOR": "1",
        }
        self._agents: dict[str, subprocess.Popen[bytes]] = {}
        #: Settings of agents and cores that start from now on, as environment has them.
        self.agent_env: dict[str, str] = {}
        self.core_env: dict[str, str] = {}

    # The core's machine

    def start_core(self) -> None:
        """Start core and signer as ``skerry up`` does; those that run already are left alone."""
        port = ("--listen", CORE_ADDRESS, "--link-port", str(LINK_PORT), "--endpoint", f"{CORE_ADDRESS}:{LINK_PORT}")
        done = self.cli("up", "--sites", "0", "--detach", *port)
        if done.exit != 0:
            raise OSError(f"skerry up: {done.exit}: {done.err}\n{self.read_log('core')}")

    def core_pid(self, program: str = "core") -> int:
        """The id of the core's (or the ``signer``'s) process."""
        return int((self.run_folder / f"{program}.pid").read_text())

    def kill_core(self, program: str = "core") -> None:
        """SIGKILL the core (or the ``signer``)."""
        pid = self.core_pid(program)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not _is_running(pid), f"the end of {program}", 10)

    def read_log(self, program: str) -> str:
        """The end of what core or signer wrote."""
        with contextlib.suppress(OSError):
            return (self.state_folder / "log" / f"{program}.log").read_text(errors="replace")[-3000:]
        return ""

    def program(self, name: str) -> tuple[str, ...]:
        """The first words of a program of ours, or of a command."""
        return (sys.executable, "-m", "skerry", name)

    def cli_argv(self, *arguments: object) -> tuple[list[str], dict[str, str]]:
        """The words and the environment of a skerry command on the core's machine."""
        env = {**self._core_env, **self.core_env}
        return self.lab.core.argv(sys.executable, "-m", "skerry", *arguments), env

    def cli(self, *arguments: object, stdin: bytes = b"", timeout_s: float = COMMAND_S_MAX) -> Ran:
        """Run the skerry command line on the core's machine, to its end."""
        argv, env = self.cli_argv(*arguments)
        return run_command(argv, env, stdin, timeout_s)

    def must(self, *arguments: object, timeout_s: float = COMMAND_S_MAX) -> str:
        """``cli`` that must succeed; its output."""
        done = self.cli(*arguments, timeout_s=timeout_s)
        if done.exit != 0:
            raise OSError(f"skerry {' '.join(map(str, arguments))}: {done.exit}: {done.err.strip()} {done.out.strip()}")
        return done.out

    def ask(self, *arguments: object) -> Any:
        """``must`` with JSON output, read."""
        return json.loads(self.must(*arguments, "-o", "json"))

    # Sites

    def agent_socket(self, name: str) -> Path:
        """The agent's socket as the site sees it; it is gone with the power."""
        return Path("/run/skerry/agent.sock")

    def spawn_agent(self, name: str) -> int:
        """Start a site's agent and do not wait for it; its process id."""
        site = self.lab.sites[name]
        command = [
            *(sys.executable, "-m", "skerry", "agent"),
            *("--state", site.agent_folder, "--run", "/run/skerry"),
            *("--podman-socket", site.podman_socket),
        ]
        process = site.popen(command, site.log_folder / "agent.log", {**site.env, **self.agent_env})
        self._agents[name] = process
        return process.pid

    def start_agent(self, name: str) -> int:
        """Start a site's agent and wait until its socket answers; its process id."""
        self.spawn_agent(name)
        process, log = self._agents[name], self.lab.sites[name].log_folder / "agent.log"

        def answers() -> bool:
            if process.poll() is not None:
                raise Ended(f"the agent of {name} ended: {log.read_text(errors='replace')[-3000:]}")
            return bool(self.agent_status(name))

        wait_until(answers, f"an answer of the agent of {name}", START_S_MAX)
        return process.pid

    def agent_pid(self, name: str) -> int:
        """The id of a site's agent."""
        return self._agents[name].pid

    def kill_agent(self, name: str, how: int = signal.SIGKILL) -> int:
        """End a site's agent and wait for it; its exit code."""
        process = self._agents.pop(name)
        process.send_signal(how)
        return process.wait(30)

    def ask_agent(self, name: str, path: str) -> dict[str, Any]:
        """Ask a site's agent over its own socket, from this machine."""
        place = Path("/proc", str(self._agents[name].pid), "root", "run", "skerry", "agent.sock")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as opened:
            opened.settimeout(10)
            opened.connect(str(place))
            opened.sendall(f"GET {path} HTTP/1.1\r\nHost: agent\r\nContent-Length: 0\r\n\r\n".encode())
            content = b"".join(iter(lambda: opened.recv(65536), b""))
        try:
            return json.loads(content.partition(b"\r\n\r\n")[2])
        except ValueError as error:
            raise OSError(f"the agent of {name} said {content[:200]!r}") from error

    def agent_status(self, name: str) -> dict[str, Any]:
        """What a site's agent says of itself."""
        return self.ask_agent(name, "/status")

    def agent_cli(self, name: str, *arguments: object, timeout_s: float = COMMAND_S_MAX) -> Ran:
        """Run ``skerry agent ...`` at a site."""
        site = self.lab.sites[name]
        env = {**site.env, "SKERRY_AGENT_SOCKET": "/run/skerry/agent.sock", "NO_COLOR": "1"}
        return run_command(site.argv(sys.executable, "-m", "skerry", "agent", *arguments), env, b"", timeout_s)

    def add_site(self, name: str, *labels: str) -> dict[str, str]:
        """Make a site; ``token`` and ``core`` for its box."""
        return self.ask("site", "add", name, *(word for label in labels for word in ("--label", label)))

    def join(self, name: str, given: dict[str, str]) -> Ran:
        """Let a site's box join with what ``add_site`` gave."""
        return self.agent_cli(name, "join", given["token"], "--core", given["core"], "--site", given["site"])

    def start_site(self, name: str, *labels: str) -> None:
        """Make a site, start its agent, and let it join."""
        given = self.add_site(name, *labels)
        self.start_agent(name)
        done = self.join(name, given)
        if done.exit != 0:
            raise OSError(f"{name} did not join: {done.err} {done.out}\n{self.read_log('core')}")
        wait_until(lambda: self.agent_status(name)["link"] == "up", f"the link of {name}")

    def reboot_site(self, name: str) -> None:
        """Take a site's power away and give it back; its agent is not started."""
        self._agents.pop(name, None)
        self.lab.reboot_site(name)

    def tracked(self, name: str) -> tuple[int, int]:
        """Number of this site's document that it holds: (epoch, generation)."""
        status = self.agent_status(name)
        return status["epoch"], status["generation"]

    def instances(self, name: str) -> dict[str, dict[str, Any]]:
        """A site's instances by id, as its agent sees them."""
        return {each["instance"]: each for each in self.agent_status(name)["instances"]}

    def stop(self) -> None:
        """Stop agents, core and signer; what runs at sites goes on until the lab ends."""
        for process in self._agents.values():
            process.terminate()
        for process in self._agents.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
        self._agents.clear()
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            self.cli("down")

    def __enter__(self) -> "Fleet":
        try:
            self.start_core()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def list_containers(site: Site) -> dict[str, dict[str, Any]]:
    """Our containers at a site by the name of their instance: podman's own words."""
    found = site.podman.do("GET", "/containers/json", all="true")
    return {each["Labels"][INSTANCE_LABEL]: each for each in found or () if INSTANCE_LABEL in (each["Labels"] or {})}


def list_started(site: Site) -> dict[str, tuple[str, str, int]]:
    """For each instance: its container's id, when that was started, and its process. Nothing restarted: equal."""
    started: dict[str, tuple[str, str, int]] = {}
    for name, each in list_containers(site).items():
        state = site.podman.do("GET", f"/containers/{each['Id']}/json")["State"]
        started[name] = (each["Id"], state["StartedAt"], state["Pid"])
    return started


def write_image(folder: Path, name: str, archive: bytes) -> Path:
    """Write an image archive where the core's machine can read it."""
    path = folder / f"{name}.tar"
    path.write_bytes(archive)
    return path


def run_command(argv: Sequence[str], env: dict[str, str], stdin: bytes = b"", timeout_s: float = COMMAND_S_MAX) -> Ran:
    """Run a command to its end; what it said."""
    done = subprocess.run(argv, env=env, input=stdin, capture_output=True, timeout=timeout_s, check=False)
    return Ran(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
