"""The story of the shipped units: systemd starts them, an app runs, and agent, podman, machine and power come and go.

Everything is done as an operator would: Skerry is installed offline, the units and settings of packaging/
are put where a package puts them, and ``skerry core install``, ``site add`` and ``agent join`` are typed. What runs is
watched from outside of Skerry: by its process and over HTTP. ``python -m tests.guest.units --json F`` tells it.
"""

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.demo.stage import Report, Stage, StepFailed
from tests.e2e.tiny_image import tiny_image
from tests.guest.disk import Disk, ensure_disk
from tests.guest.guest import Guest
from tests.guest.parcel import collect_packages, pack_parcel
from tests.tidy.sources import ROOT

#: What Skerry needs of Debian: its runtime, firewall and Python.
PACKAGES = (
    "aardvark-dns",
    "catatonit",
    "conmon",
    "crun",
    "golang-github-containers-common",
    "iptables",
    "netavark",
    "nftables",
    "podman",
    "python3-venv",
    "uidmap",
)
PROGRAMS = ("core", "signer", "agent")
#: As whom each runs; the agent hands out uid ranges.
USERS = {"core": "skerry-core", "signer": "skerry-signer", "agent": "root"}
IMAGE = "localhost/tiny:1"
PORT = 8080
SECRET = "a word that only the app may read"
HOME = "/usr/lib/skerry"
COMMAND = "from skerry.__main__ import main\nmain()\n"
#: Asks the app for its page, as a visitor at the box.
VISIT = f"import urllib.request as r; print(r.urlopen('http://127.0.0.1:{PORT}/', timeout=10).read().decode(), end='')"
PARCEL = "/var/tmp/parcel"
#: The watchdog of the units; a program that stands still is killed after it.
WATCHDOG_S = 30
INSTALL_S_MAX = 900
#: A command of ours loads Python on an emulated processor, and may ask for images.
APPLY_S_MAX = 600


class Units:
    """The story, step by step, on one guest."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.stage = stage
        self._folder = folder
        self.guest: Guest
        self._started: tuple[str, str] = ("", "")

    def tell(self) -> None:
        """All of it; raises ``StepFailed`` or what the guest raises at the first step that does not hold."""
        step = self.stage.step
        disk = self._make_disk()
        try:
            step("a Debian guest boots, emulated", lambda report: self._boot(report, disk))
            step("Skerry is installed offline, with its units", self._install)
            step("systemd starts core, signer and agent, and each says that it is ready", self._start)
            step("the core is founded, and the box joins a site", self._join)
            step("an app with a volume and a secret is applied and answers", self._apply)
            step("each watchdog is fed", self._watch)
            step("the agent is restarted: nothing else is", self._restart_agent)
            step("the agent is killed: systemd starts it, nothing else is restarted", self._kill_agent)
            step("the agent stands still: the watchdog replaces it", self._freeze_agent)
            step("podman is killed: the socket starts another, which knows the app", self._kill_podman)
            step("agent and podman are stopped: the app goes on, and is taken up again", self._stop_agent)
            step("the guest reboots without a core: the app comes back", self._reboot)
            step("the power is cut, still without a core: the app comes back", self._cut_power)
            step("the core is started again: the site is online and settled", self._start_core)
        except Exception:
            self._show_journal()
            raise
        finally:
            with contextlib.suppress(AttributeError):
                self.guest.stop()

    # Steps

    def _make_disk(self) -> Disk:
        made: list[Disk] = []

        def make(report: Report) -> None:
            made.append(ensure_disk(PACKAGES))
            blocks = made[0].image.stat().st_blocks
            report.detail = f"{blocks * 512 / 1e6:.0f} MB, made now or taken from the cache"

        self.stage.step("a root disk of Debian packages", make)
        return made[0]

    def _boot(self, report: Report, disk: Disk) -> None:
        own, others = collect_packages(self._folder)
        content = {"own": own, "others": others, "packaging": ROOT / "packaging", "tiny.tar": tiny_image(IMAGE)}
        parcel = pack_parcel(self._folder / "parcel.tar", content)
        self.guest = Guest(disk, self._folder, parcel=parcel)
        seconds = self.guest.boot()
        self.guest.wait_until(self._is_up, "the end of the boot")
        report.detail = f"{seconds:.0f} s until it could be asked; {self._ask('uname', '-r')}"

    def _install(self, report: Report) -> None:
        must = self.guest.must
        must("mkdir", "-p", PARCEL)
        must("tar", "-xf", "/dev/vdb", "-C", PARCEL, seconds=INSTALL_S_MAX)
        must("python3", "-m", "venv", "--without-pip", HOME)
        for part in ("others", "own"):
            must("cp", "-a", f"{PARCEL}/{part}/.", f"{HOME}/lib/python3.11/site-packages/", seconds=INSTALL_S_MAX)
        self.guest.write("/usr/bin/skerry", f"#!{HOME}/bin/python\n{COMMAND}", 0o755)
        for source, target in (
            ("systemd", "/usr/lib/systemd/system"),
            ("sysusers", "/usr/lib/sysusers.d"),
            ("podman", HOME),
            ("settings", "/etc/skerry"),
        ):
            must("mkdir", "-p", target)
            must("cp", "-r", f"{PARCEL}/packaging/{source}/.", target)
        must("systemd-sysusers")
        must("systemctl", "daemon-reload")
        must("skerry", "--help")
        report.detail = f"{self._ask(f'{HOME}/bin/python', '-V')}, from {PARCEL}"

    def _start(self, report: Report) -> None:
        units = [f"skerry-{name}.service" for name in PROGRAMS]
        # It returns when each has said READY, or has not in time.
        self.guest.must("systemctl", "enable", "--now", "skerry-podman.socket", *units)
        details: list[str] = []
        for name in PROGRAMS:
            self._expect_active(name)
            user = self._ask("ps", "-o", "user:32=", "-p", self._show(name, "MainPID"))
            self._expect(user == USERS[name], f"{name} runs as {user}")
            memory = int(self._show(name, "MemoryCurrent")) / 2**20
            details.append(f"{name} {memory:.0f} MiB")
        report.detail = ", ".join(details)

    def _join(self, report: Report) -> None:
        self.guest.must("skerry", "core", "install")
        given = json.loads(self._ask("skerry", "site", "add", "box", "--label", "tier=box", "-o", "json"))
        self.guest.must("skerry", "agent", "join", given["token"], "--core", given["core"], "--site", "box")
        self._wait_status(lambda found: found["link"] == "up", "the link")
        report.detail = f"link up to {given['core']}"

    def _apply(self, report: Report) -> None:
        self.guest.must("skerry", "image", "push", f"{PARCEL}/tiny.tar", IMAGE)
        web = {
            "image": IMAGE,
            "ports": [f"{PORT}:8080"],
            "restart": "always",
            "volumes": ["kept:/kept"],
            "secrets": ["word"],
        }
        # JSON is YAML.
        manifest = {"services": {"web": web}, "volumes": {"kept": {}}, "secrets": {"word": {"file": "./word"}}}
        self.guest.write("/srv/app/compose.yaml", json.dumps(manifest))
        self.guest.write("/srv/app/word", SECRET, 0o600)
        words = ("-f", "/srv/app/compose.yaml", "--name", "web", "--sites", "tier=box", "--yes", "--wait=8m")
        self.guest.must("skerry", "apply", *words, seconds=APPLY_S_MAX)
        self.guest.wait_until(self._answers, "an answer of the app")
        self._expect_inside("the secret", SECRET, "cat", "/run/secrets/word")
        self._inside("touch", "/kept/mark")
        self._started = self._find_process()
        report.detail = f"process {self._started[0]}; secret read, volume written"

    def _watch(self, report: Report) -> None:
        before = {name: int(self._show(name, "WatchdogTimestampMonotonic")) for name in PROGRAMS}
        time.sleep(WATCHDOG_S)
        for name in PROGRAMS:
            fed_us = int(self._show(name, "WatchdogTimestampMonotonic")) - before[name]
            self._expect(fed_us > 0, f"{name} has not fed its watchdog for {WATCHDOG_S} s")
            self._expect(self._show(name, "NRestarts") == "0", f"{name} was restarted")
        report.detail = f"after {WATCHDOG_S} s more"

    def _restart_agent(self, report: Report) -> None:
        before = self._show("agent", "MainPID")
        self.guest.must("systemctl", "restart", "skerry-agent")
        self._expect(self._show("agent", "MainPID") != before, "the agent is the same process")
        self._expect_untouched()
        report.detail = "same process of the app, by number and start"

    def _kill_agent(self, report: Report) -> None:
        before = self._show("agent", "MainPID")
        self.guest.must("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "skerry-agent")
        report.detail = f"back after {self._wait_replaced('agent', before):.0f} s"
        self._expect_untouched()

    def _freeze_agent(self, report: Report) -> None:
        before = self._show("agent", "MainPID")
        self.guest.must("systemctl", "kill", "--kill-whom=main", "--signal=STOP", "skerry-agent")
        report.detail = (
            f"back after {self._wait_replaced('agent', before):.0f} s, the watchdog's {WATCHDOG_S} s included"
        )
        self._expect_untouched()

    def _kill_podman(self, report: Report) -> None:
        before = self._show("podman", "MainPID")
        self._expect(before != "0", "podman does not run while the agent asks it")
        self.guest.must("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "skerry-podman.service")
        report.detail = f"asked again after {self._wait_replaced('podman', before):.0f} s"
        self._expect_untouched()

    def _stop_agent(self, report: Report) -> None:
        self.guest.must("systemctl", "stop", "skerry-agent", "skerry-podman.socket", "skerry-podman")
        self._expect(self._show("agent", "ActiveState") == "inactive", "the agent is not stopped")
        self._expect(self._answers(), "the app stopped with the agent")
        self.guest.must("systemctl", "start", "skerry-podman.socket", "skerry-agent")
        self._expect_untouched()
        report.detail = "adopted, not restarted"

    def _reboot(self, report: Report) -> None:
        self.guest.must("systemctl", "disable", "--now", "skerry-core", "skerry-signer")
        seconds = self.guest.reboot()
        report.detail = f"{seconds:.0f} s to boot, {self._wait_back():.0f} s more until the app answered"

    def _cut_power(self, report: Report) -> None:
        self.guest.cut_power()
        seconds = self.guest.boot()
        report.detail = f"{seconds:.0f} s to boot, {self._wait_back():.0f} s more until the app answered"

    def _start_core(self, report: Report) -> None:
        self._started = self._find_process()
        self.guest.must("systemctl", "enable", "--now", "skerry-core", "skerry-signer")
        self.guest.wait_until(self._is_online, "the site to be online and settled")
        self._expect_untouched()
        report.detail = "nothing was restarted for it"

    # Looking

    def _ask(self, *words: str) -> str:
        return self.guest.must(*words).strip()

    def _expect(self, holds: object, otherwise: str) -> None:
        if not holds:
            raise StepFailed(otherwise)

    def _is_up(self) -> bool:
        return self.guest.run("systemctl", "is-system-running").out.strip() in ("running", "degraded")

    def _show(self, name: str, key: str) -> str:
        """One property of a unit as systemd tells it."""
        return self._ask("systemctl", "show", "--value", "-p", key, f"skerry-{name}.service")

    def _expect_active(self, name: str) -> None:
        state = f"{self._show(name, 'Type')} {self._show(name, 'ActiveState')} {self._show(name, 'SubState')}"
        self._expect(state == "notify active running", f"{name} is {state}")

    def _wait_replaced(self, name: str, before: str) -> float:
        """Wait until another process than ``before`` runs, ready; the seconds."""
        started = time.monotonic()

        def is_replaced() -> bool:
            return self._show(name, "ActiveState") == "active" and self._show(name, "MainPID") not in ("0", before)

        self.guest.wait_until(is_replaced, f"another process of {name}")
        return time.monotonic() - started

    def _wait_status(self, holds: Callable[[dict[str, Any]], object], what: str) -> None:
        """Wait until the agent says so of itself."""

        def looks() -> object:
            done = self.guest.run("skerry", "agent", "status", "-o", "json")
            return done.out and holds(json.loads(done.out))

        self.guest.wait_until(looks, what)

    def _wait_settled(self) -> None:
        self._wait_status(
            lambda found: found["settled"] and [each["phase"] for each in found["instances"]] == ["ready"],
            "a settled site with one instance that is ready",
        )

    def _answers(self) -> bool:
        return self.guest.run("python3", "-c", VISIT).out == "hello\n"

    def _is_online(self) -> bool:
        """Whether the core shows the site as online and settled."""
        done = self.guest.run("skerry", "site", "show", "box", "-o", "json")
        summary = json.loads(done.out)["summary"] if done.exit == 0 else {}
        return summary.get("state") == "online" and summary["settled"]

    def _find_process(self) -> tuple[str, str]:
        """The app's process as the machine sees it: its number, and when it was started, in ticks since the boot."""
        number = self._ask("pgrep", "-x", "httpd")
        return number, self._ask("cat", f"/proc/{number}/stat").rpartition(")")[2].split()[19]

    def _expect_untouched(self) -> None:
        """Once the agent has looked around, the app is the process it was, and answers."""
        self._wait_settled()
        found = self._find_process()
        self._expect(found == self._started, f"the app was restarted: {self._started} became {found}")
        self._expect(self._answers(), "the app does not answer")

    def _wait_back(self) -> float:
        """Wait until the app is back after a boot, with what it had; the seconds."""
        started = time.monotonic()
        self.guest.wait_until(self._answers, "an answer of the app")
        seconds = time.monotonic() - started
        self._expect(self._show("core", "ActiveState") == "inactive", "the core runs")
        self._wait_settled()
        self._expect_inside("the secret", SECRET, "cat", "/run/secrets/word")
        self._expect_inside("the volume", "/kept/mark", "ls", "/kept/mark")
        return seconds

    def _inside(self, *words: str) -> str:
        """Run a program in the app's container, seen as the machine sees it."""
        return self._ask("nsenter", "-t", self._find_process()[0], "--mount", "--root", "/bin/busybox", *words)

    def _expect_inside(self, what: str, wanted: str, *words: str) -> None:
        found = self._inside(*words)
        self._expect(found == wanted, f"{what} is {found!r}")

    def _show_journal(self) -> None:
        """Say what systemd wrote of our units, to whoever looks for the reason."""
        with contextlib.suppress(Exception):
            for words in (("journalctl", "-b", "-n", "80", "-u", "skerry-*"), ("systemctl", "--failed")):
                print(self.guest.run(*words, "--no-pager", seconds=60).out)


def tell_story(kind: type[Units], title: str, words: list[str]) -> int:
    """Tell a story with a guest of its own; the exit code is 0 when all of it held."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the steps as JSON")
    given = parser.parse_args(words)
    stage = Stage(title)
    with tempfile.TemporaryDirectory(prefix="skerry-guest-") as folder:
        try:
            kind(stage, Path(folder)).tell()
        except Exception as failure:
            print(f"{type(failure).__name__}: {failure}", file=sys.stderr)
            return 1
        finally:
            if given.json is not None:
                keys = ("name", "ok", "seconds", "detail")
                steps = [{key: step[key] for key in keys} for step in stage.steps]
                given.json.write_text(json.dumps({"steps": steps}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(tell_story(Units, "The shipped units under a real systemd", sys.argv[1:]))
