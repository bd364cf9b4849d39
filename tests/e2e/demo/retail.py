"""``./dev demo retail``: a chain of 42 shops, two of them real, from the core's installation to a mended bad revision.

Core and signer run with the shipped units' command lines and settings (``units.py``); forty shops are light (the
product's agent and link, containers pretended) and two have a machine, a podman and a WAN of their own. The app is
``pos.yaml`` beside this file. Every step says what must hold and looks from outside.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.checks import find_problems
from tests.e2e.demo.stage import Report, Stage, StepFailed, arguments, play
from tests.e2e.demo.stores import Stores
from tests.e2e.demo.units import Unit, start_units
from tests.e2e.fleet import Fleet, list_started, wait_until, write_image
from tests.e2e.lab import Lab, list_leftovers, remove_leftovers
from tests.e2e.site_http import RequestCounter, http_get
from tests.e2e.tiny_image import tiny_image

#: The shops with a machine of their own. The first is the canary, at the second the WAN is pulled.
CANARY, PULLED = "oslo", "goteborg"
LIGHT = tuple(f"store-{number:02}" for number in range(1, 41))
#: Light shops that are special: not open yet, abroad, and dark while everybody else gets the app.
SOON, ABROAD, DARK = LIGHT[-3:]
SERVICES, SHOPS = 2, 2 + len(LIGHT) - 2
PORT = 8443
FILE = Path(__file__).resolve().parent / "pos.yaml"
#: What a till's health command asks; one that asks where nobody serves is the wrong revision.
RIGHT, WRONG = '"http://127.0.0.1:8080/"], interval: 2s', '"http://127.0.0.1:8089/"], interval: 2s'
REQUEST_EVERY_S = 0.5
WATCH_S = 5.0
#: Only ends a step that hangs.
STEP_S_MAX = 300
#: Makes sites with the SDK, in one process: name, labels and country on its input, what boxes need on its output.
ADD_SITES = """
import json, sys
from skerry.sdk import Client
with Client.from_context() as skerry:
    for name, labels, country in json.load(sys.stdin):
        made = skerry.sites.add(name, labels=labels, country=country)
        print(json.dumps({"site": made.site, "token": made.token, "core": made.core}), flush=True)
"""


class Retail:
    """The story; ``run`` goes through it."""

    def __init__(self, stage: Stage, *, pause: Callable[[], None]) -> None:
        self.stage, self._pause = stage, pause
        self.lab = Lab((CANARY, PULLED))
        self.fleet = Fleet(self.lab)
        self.units: dict[str, Unit] = {}
        self._stores: Stores | None = None
        self._counter: RequestCounter | None = None
        self._sold = dict.fromkeys((CANARY, PULLED), 0)

    def run(self) -> None:
        """Tell the story; raises ``StepFailed`` at the first step that does not hold."""
        if list_leftovers():
            self.step("what an earlier demo left is removed", lambda _: remove_leftovers())
        for name, action in (
            ("core and signer start as the shipped units say, and are founded", self._install),
            (f"{len(LIGHT)} light shops and 2 real ones join", self._join),
            ("the core is killed: its supervisor starts it again", self._kill_core),
            ("one shop goes dark; the app is applied to tier=store", self._apply_first),
            ("tills sell in both real shops", self._open),
            (f"the WAN of {PULLED} is pulled", self._pull),
            (f"{PULLED} loses its power and boots, without the WAN", self._power),
            (f"the WAN of {PULLED} is back", self._plug),
            ("a wrong revision is applied", self._go_wrong),
            ("a right one follows", self._go_right),
            ("the dark shop comes back", self._come_back),
            ("everybody agrees", self._agree),
        ):
            self._pause()
            self.step(name, action)

    def step(self, name: str, action: Callable[[Report], None]) -> None:
        """One step with what it cost: bytes on the real shops' links, requests lost at the one that is visited."""
        self.stage.step_measured(name, action, self._sent, self._lost, self._let_requests_end)

    # The steps

    def _install(self, report: Report) -> None:
        self.lab.start()
        self.units = start_units(self.lab, self.fleet)
        report.detail = "the units' own command lines and settings, under a supervisor of the demo's"

    def _join(self, report: Report) -> None:
        self._stores = Stores(self.lab)
        real = [(CANARY, {"tier": "store", "canary": "yes", "currency": "NOK"}, "NO")]
        real += [(PULLED, {"tier": "store", "currency": "SEK"}, "SE")]
        light = [(name, {"tier": "store"}, "DK" if name == ABROAD else "NO") for name in LIGHT]
        light[LIGHT.index(SOON)][1]["opening"] = "soon"
        given = self._add_sites([*real, *light])
        self._stores.join([given[name] for name in LIGHT])
        for name in (CANARY, PULLED):
            self.fleet.start_agent(name)
            done = self.fleet.join(name, given[name])
            self._expect(done.exit == 0, f"{name} did not join: {done.err}")
        self._wait(lambda: self._states() == {"online": len(given)}, "all shops to be online")
        report.detail = f"{len(given)} tokens, each good once"

    def _kill_core(self, report: Report) -> None:
        unit = self.units["core"]
        old = unit.process.pid
        os.kill(old, signal.SIGKILL)
        self._wait(lambda: unit.process.pid != old, "another core")
        self._wait(lambda: self._states() == {"online": 2 + len(LIGHT)}, "all shops to be online again")
        report.detail = "all shops are back by themselves"

    def _apply_first(self, report: Report) -> None:
        assert self._stores is not None
        self._stores.stop(DARK)
        archive = write_image(self.lab.core.disk, "till", tiny_image("docker.io/library/till:1", b"open\n"))
        key = self.lab.core.disk / "till-key"
        key.write_text("a word for the tills of this chain")
        self.fleet.must("image", "push", archive)
        self.fleet.must("secret", "set", "till-key", "--file", key)
        self._apply(FILE.read_text())
        self._wait_ready(SHOPS - 1, 1)
        away = {each["site"] for each in self._instances()} & {SOON, ABROAD}
        self._expect(not away, f"instances at {away}")
        report.detail = f"{SHOPS - 1} of {SHOPS} shops run it; {SOON} opens later, {ABROAD} is abroad, {DARK} is dark"

    def _open(self, report: Report) -> None:
        told = [self._sell(name) for name in (CANARY, PULLED)]
        self._counter = self.lab.request_counter(PULLED, PORT, interval_s=REQUEST_EVERY_S).start()
        report.detail = "; ".join(told)

    def _pull(self, report: Report) -> None:
        before = list_started(self.lab.sites[PULLED])
        self.lab.cut(PULLED)
        time.sleep(WATCH_S)  # the till is watched while its link is down
        told = self._sell(PULLED)
        self._expect(self._lost() == 0, "requests were lost")
        self._expect(list_started(self.lab.sites[PULLED]) == before, "something was restarted")
        report.detail = f"the till serves and sells: {told}"

    def _power(self, report: Report) -> None:
        self.fleet.reboot_site(PULLED)
        self.fleet.start_agent(PULLED)
        started = time.monotonic()
        self._wait(lambda: self._is_open(PULLED), "an answer of the till")
        told = self._sell(PULLED)
        report.detail = f"{told}: the ledger is whole, {time.monotonic() - started:.1f} s after the agent's start"

    def _plug(self, report: Report) -> None:
        before = list_started(self.lab.sites[PULLED])
        self.lab.heal(PULLED)
        self._wait(lambda: self.fleet.agent_status(PULLED)["link"] == "up", "the link")
        self._wait(lambda: self.fleet.agent_status(PULLED)["outbox"] == 0, "what it had to tell")
        self._expect(list_started(self.lab.sites[PULLED]) == before, "something was restarted")
        report.detail = "it told what happened; nothing was restarted"

    def _go_wrong(self, report: Report) -> None:
        before = list_started(self.lab.sites[PULLED])
        self._apply(FILE.read_text().replace(RIGHT, WRONG, 1))
        self._wait(lambda: self._rollout()["phase"] == "rolled-back", "the end of the rollout")
        self._wait(lambda: self._revisions_at(CANARY) == {1}, f"the proven revision at {CANARY}")
        self._wait(lambda: self._is_open(CANARY), f"the till of {CANARY}")
        told = self._sell(CANARY)
        self._expect(list_started(self.lab.sites[PULLED]) == before, f"something was restarted at {PULLED}")
        seen = {each["reported"] for each in self._instances() if each["site"] not in (CANARY, DARK)}
        self._expect(seen == {1}, f"revisions {seen} at other shops")
        report.detail = f"{CANARY} alone had it and went back by itself: {told}"

    def _go_right(self, report: Report) -> None:
        self._apply(FILE.read_text().replace("{STORE:", '{RECEIPT: "thanks", STORE:'))
        self._wait_ready(SHOPS - 1, 3)
        self._wait(lambda: self._rollout()["phase"] == "done", "the end of the rollout")
        report.detail = f"revision 3 at {SHOPS - 1} shops in waves; {self._sell(CANARY)}, {self._sell(PULLED)}"

    def _come_back(self, report: Report) -> None:
        assert self._stores is not None
        self._stores.start(DARK)
        self._wait_ready(SHOPS, 3)
        report.detail = f"{DARK} took revision 3 at once; it never saw the wrong one"

    def _agree(self, report: Report) -> None:
        problems: list[str] = []

        def is_fine() -> bool:
            problems[:] = find_problems(self.fleet, "pos")
            return not problems

        try:
            self._wait(is_fine, "agreement")
        except StepFailed:
            raise StepFailed("; ".join(problems)) from None
        report.detail = "core and real shops agree field by field, and every shop is settled"

    # What is looked at

    def _add_sites(self, wanted: list[tuple[str, dict[str, str], str]]) -> dict[str, dict[str, str]]:
        _, env = self.fleet.cli_argv()
        argv = self.lab.core.argv(sys.executable, "-c", ADD_SITES)
        done = subprocess.run(argv, env=env, input=json.dumps(wanted).encode(), capture_output=True, timeout=STEP_S_MAX)
        self._expect(done.returncode == 0, done.stderr.decode(errors="replace")[-1500:])
        return {each["site"]: each for each in map(json.loads, done.stdout.splitlines())}

    def _apply(self, text: str) -> None:
        file = self.lab.core.disk / "pos.yaml"
        file.write_text(text)
        self.fleet.must("apply", "-f", file)

    def _states(self) -> dict[str, int]:
        listed = self.fleet.cli("site", "list", "-o", "json")
        states = [each["state"] for each in json.loads(listed.out)["items"]] if listed.exit == 0 else []
        return {state: states.count(state) for state in states}

    def _instances(self) -> list[dict[str, object]]:
        return self.fleet.ask("app", "show", "pos")["instances"]

    def _rollout(self) -> dict[str, object]:
        return self.fleet.ask("rollout", "show", "pos")

    def _revisions_at(self, name: str) -> set[object]:
        found = [each for each in self._instances() if each["site"] == name]
        return {each["reported"] if each["phase"] == "ready" else 0 for each in found}

    def _wait_ready(self, shops: int, revision: int) -> None:
        def look() -> bool:
            ready = [each for each in self._instances() if each["phase"] == "ready" and each["reported"] == revision]
            return len(ready) == shops * SERVICES

        self._wait(look, f"revision {revision} at {shops} shops")

    def _is_open(self, name: str) -> bool:
        return http_get(self.lab.sites[name].net, PORT).status == 200

    def _sell(self, name: str) -> str:
        """Sell once; the till answers with its shop, its currency and the number of sales in the ledger."""
        told = http_get(self.lab.sites[name].net, PORT, "/cgi-bin/sell", timeout_s=15).body.decode().strip()
        self._sold[name] += 1
        currency = {CANARY: "NOK", PULLED: "SEK"}[name]
        self._expect(told == f"{name} {currency} {self._sold[name]}", f"the till of {name} says {told!r}")
        return told

    def _sent(self) -> int:
        try:
            stats = [self.lab.link_stats(name) for name in (CANARY, PULLED)]
        except OSError:
            return 0
        return sum(counters.offered_bytes for each in stats for counters in each.values())

    def _let_requests_end(self) -> None:
        """Wait for good answers, so that a request lost late is counted in the step it belongs to."""
        if counter := self._counter:
            before = counter.count().ok
            self._wait(lambda: counter.count().ok > before + 1, f"answers of {PULLED}")

    def _lost(self) -> int:
        return self._counter.count().lost if self._counter else 0

    def _expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise StepFailed(otherwise)

    def _wait(self, look: Callable[[], object], what: str) -> None:
        try:
            wait_until(look, what, STEP_S_MAX)
        except TimeoutError as error:
            raise StepFailed(str(error)) from error

    # The end

    def stop(self, *, keep: bool) -> None:
        """End visitors; then all programs and machines, or nothing more with ``keep``."""
        if self._counter:
            self._counter.stop()
        if keep:
            argv, env = self.fleet.cli_argv("status")
            words = " ".join([*(f"{name}={value}" for name, value in env.items() if name.startswith("XDG_")), *argv])
            self.stage.note("the real shops run on, without a supervisor; the next demo removes it. To look:")
            self.stage.note(words)
            self.lab.keep()
            return
        try:
            if self._stores:
                self._stores.close()
            self.fleet.stop()
            for unit in self.units.values():
                unit.stop()
        finally:
            self.lab.stop()


def main() -> int:
    """The command line."""
    asked = arguments(__doc__ or "", interactive=False).parse_args()
    stage = Stage(f"Skerry: a chain of {2 + len(LIGHT)} shops")
    is_guided = not asked.unattended and sys.stdin.isatty()
    story = Retail(stage, pause=(lambda: input("    Enter goes on ")) if is_guided else (lambda: None))

    def read_logs() -> list[tuple[str, str]]:
        return [(name, unit.read_log()) for name, unit in story.units.items()]

    return play(stage, asked, story.run, lambda keep: story.stop(keep=keep), read_logs)


if __name__ == "__main__":
    sys.exit(main())
