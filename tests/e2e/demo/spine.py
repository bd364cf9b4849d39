"""``./dev demo``: an unmodified Compose file on three real sites that are cut off, killed, rebooted and healed.

A core, a signer and three agents run as real processes, each site with a network, a podman and a disk of its own. The
app is a real project's file, byte for byte; its images are the stand-ins of tests/images. Every step says what must
hold and looks from outside: HTTP from inside the site, podman's own words, bytes counted by the link emulator.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.checks import find_problems
from tests.e2e.demo.apps import APPS, DemoApp
from tests.e2e.demo.stage import Report, Stage, StepFailed, arguments, play
from tests.e2e.fleet import Fleet, list_started, wait_until
from tests.e2e.lab import Lab, list_leftovers, remove_leftovers
from tests.e2e.site_http import Count, RequestCounter
from tests.images import build

SITES = ("harbour", "market", "quarry")
#: The site that everything happens to.
CUT = "quarry"
#: What a shop's line is like, once images are there.
DELAY_MS, RATE_BIT_S = 40, 4_000_000
REQUEST_EVERY_S = 0.4
#: Only ends a step that hangs.
STEP_S_MAX = 120
#: How long everyone is watched while something is gone.
WATCH_S = 5.0


class Spine:
    """The demo: ``run`` goes through the story, ``play`` lets a visitor choose."""

    def __init__(self, stage: Stage, app: DemoApp, *, pause: Callable[[], None]) -> None:
        self.stage = stage
        self.app = app
        self._pause = pause
        self.lab = Lab(SITES)
        self.fleet = Fleet(self.lab)
        self._counters: dict[str, RequestCounter] = {}
        self._second = self.lab.core.disk / "second.yaml"
        self._changed = False
        self._cut = False

    # The beginning

    def prepare(self) -> None:
        """From nothing to an app that answers at three sites."""
        if list_leftovers():
            self.step("what an earlier demo left is removed", lambda _: remove_leftovers())
        self.step("images of the app, built or from the cache", self._build)
        self.step("a core and a signer start", self._start_core)
        self.step("three sites join, each with a token of its own", self._join)
        self.step("images are pushed to the core", self._push)
        self.step(f"{self.app.file.name} is applied, byte for byte", self._apply_first)
        self.step("the app answers over HTTP at each site", self._answer)
        self._count()

    def _build(self, report: Report) -> None:
        layouts = build.DEFAULT_CACHE / "layouts"
        total = 0
        for image in self.app.images:
            layout = build.build(image, self._layout(image), say=lambda _: None)
            total += build.size_of(layout)
        report.detail = f"{len(self.app.images)} images, {total / 1e6:.0f} MB in {layouts.name}/"

    def _layout(self, image: str) -> Path:
        folder = build.DEFAULT_CACHE / "layouts"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / image.replace("/", "_").replace(":", "_")

    def _start_core(self, report: Report) -> None:
        self.lab.start()
        self.fleet.start_core()
        report.detail = "skerry up"

    def _join(self, report: Report) -> None:
        for name in SITES:
            self.fleet.start_site(name, "tier=shop")
        report.detail = ", ".join(SITES)

    def _push(self, report: Report) -> None:
        for image in self.app.images:
            self.fleet.must("image", "push", self._layout(image), image)
        report.detail = "layers that images share are sent once"

    @property
    def _file(self) -> Path:
        return self._second if self._changed else self.app.file

    def _apply(self, *more: object) -> None:
        self.fleet.must("apply", "-f", self._file, "--name", self.app.name, "--sites", "tier=shop", *more)

    def _apply_first(self, report: Report) -> None:
        self._apply("--wait=4m")
        report.detail = "first delivery of images, link not throttled"

    def _answer(self, report: Report) -> None:
        for name in SITES:
            site = self.lab.sites[name]
            self._wait(lambda name=name: self.lab.http_get(name, self.app.port, timeout_s=15).status < 400, name)
            self.app.mark(site)
            self._wait(lambda site=site: self.app.shows(site), f"what was written at {name}")
            self.lab.set_link(name, delay_ms=DELAY_MS, rate_bit_s=RATE_BIT_S)
        report.detail = f"something of its own is written at each; links are {RATE_BIT_S // 1_000_000} Mbit/s from now"

    def _count(self) -> None:
        for name in SITES:
            counter = self.lab.request_counter(name, self.app.port, interval_s=REQUEST_EVERY_S)
            self._counters[name] = counter.start()

    # Sabotage

    def cut(self, report: Report) -> None:
        """Cut the link of one site."""
        self.lab.cut(CUT)
        self._cut = True
        self._watch()
        report.detail = f"{CUT} is alone and answers as before"

    def change(self, report: Report) -> None:
        """Change one service while a site is cut off."""
        self._changed = True
        self.app.write_second(self._second)
        before = {name: self._started(name) for name in SITES}
        lost = self._count_of(CUT)
        self._apply()
        for name in self._reached():
            self._wait(lambda name=name: self.app.is_changed(self.lab.sites[name]), f"the change at {name}")
            self._check_only_changed(name, before[name])
        if self._cut:
            self._same(CUT, before[CUT])
            self._expect(self._count_of(CUT).since(lost)[1] == 0, f"requests were lost at {CUT}")
        report.detail = f"only {self.app.changed} is replaced; {CUT} does not know yet, and lost nothing"

    def kill_container(self, report: Report) -> None:
        """Kill a container where nobody can reach it."""
        service = self.app.changed
        before = self._started(CUT)
        name = next(each for each in before if _service(each) == service)
        os.kill(before[name][2], signal.SIGKILL)
        started = time.monotonic()
        self._wait(lambda: self._started(CUT).get(name, before[name])[2] not in (0, before[name][2]), "a new process")
        self._wait(lambda: self.app.shows(self.lab.sites[CUT]), f"an answer of {CUT}")
        report.detail = f"{service} answers again after {time.monotonic() - started:.1f} s, nobody was asked"

    def kill_agent(self, report: Report) -> None:
        """Kill the agent; what it started does not notice."""
        before = self._started(CUT)
        self.fleet.kill_agent(CUT)
        self._watch()
        self._same(CUT, before)
        self.fleet.start_agent(CUT)
        self._wait(lambda: self.fleet.agent_status(CUT)["settled"], f"the agent of {CUT} to settle")
        self._same(CUT, before)
        report.detail = "0 containers restarted; the new agent adopted all of them"

    def reboot(self, report: Report) -> None:
        """Take the power away and give it back, without a core."""
        names = set(self._started(CUT))
        self.fleet.reboot_site(CUT)
        started = time.monotonic()
        self.fleet.start_agent(CUT)
        self._wait(lambda: self.app.shows(self.lab.sites[CUT]), f"an answer of {CUT}")
        seconds = time.monotonic() - started
        self._expect(set(self._started(CUT)) == names, "not everything is back")
        report.detail = f"all {len(names)} containers and their data are back {seconds:.1f} s after the agent's start"
        if self._cut:
            report.detail += ", without the core"

    def kill_core(self, report: Report) -> None:
        """Kill the core; sites do not notice."""
        before = {name: self._started(name) for name in SITES}
        counts = {name: self._count_of(name) for name in SITES}
        self.fleet.kill_core()
        self._watch()
        self.fleet.start_core()
        for name in self._reached():
            self._wait(lambda name=name: self.fleet.agent_status(name)["link"] == "up", f"the link of {name}")
        for name in SITES:
            self._same(name, before[name])
            self._expect(self._count_of(name).since(counts[name])[1] == 0, f"requests were lost at {name}")
        report.detail = "0 requests lost at any site; the core is back with all it acknowledged"

    def heal(self, report: Report) -> None:
        """Heal the link: the site takes the newest revision and keeps what it does not change."""
        before = self._started(CUT)
        self.lab.heal(CUT)
        self._cut = False
        self._wait(lambda: self.fleet.agent_status(CUT)["link"] == "up", f"the link of {CUT}")
        if self._changed:
            self._wait(lambda: self.app.is_changed(self.lab.sites[CUT]), f"the change at {CUT}")
            self._check_only_changed(CUT, before)
        self._wait(lambda: self.app.shows(self.lab.sites[CUT]), f"what was written at {CUT}")
        kept = len(self.app.services) - 1
        report.detail = f"{CUT} has the newest revision; {self.app.changed} replaced, {kept} adopted, data kept"

    def agree(self, report: Report) -> None:
        """Core and sites tell the same story, and there is nothing left to do."""
        problems: list[str] = []

        def fine() -> bool:
            problems[:] = find_problems(self.fleet, self.app.name)
            return not problems

        try:
            self._wait(fine, "agreement")
        except StepFailed:
            raise StepFailed("; ".join(problems)) from None
        self._apply()
        self._expect("so already" in self._plan_again(), "planning again finds something to do")
        report.detail = "core and sites agree field by field; planning again finds nothing to do"

    def _plan_again(self) -> str:
        done = self.fleet.cli("plan", "-f", self._file, "--name", self.app.name, "--sites", "tier=shop")
        return done.err + done.out

    # The two ways through

    def run(self) -> None:
        """Tell the story."""
        for name, action in (
            (f"the link of {CUT} is cut", self.cut),
            ("the app is changed meanwhile", self.change),
            (f"a container at {CUT} is killed", self.kill_container),
            (f"the agent of {CUT} is killed (SIGKILL)", self.kill_agent),
            (f"{CUT} loses its power and boots, still cut off", self.reboot),
            ("the core is killed (SIGKILL) and started again", self.kill_core),
            (f"the link of {CUT} is healed", self.heal),
            ("everybody agrees", self.agree),
        ):
            self._pause()
            self.step(name, action)

    def play(self) -> None:
        """Let a visitor choose, until there is nothing more to break."""
        choices: dict[str, tuple[str, Callable[[Report], None]]] = {
            "1": (f"cut the link of {CUT}", self.cut),
            "2": ("change the app", self.change),
            "3": (f"kill a container at {CUT}", self.kill_container),
            "4": (f"kill the agent of {CUT}", self.kill_agent),
            "5": (f"take the power of {CUT} away", self.reboot),
            "6": ("kill the core", self.kill_core),
            "7": (f"heal the link of {CUT}", self.heal),
        }
        while True:
            self.stage.note("")
            for key, (name, _) in choices.items():
                self.stage.note(f"{key}  {name}")
            self.stage.note("s  skerry status        q  heal, compare and leave")
            try:
                chosen = input("    > ").strip()
            except EOFError:
                chosen = "q"
            if chosen == "q":
                break
            if chosen == "s":
                self.stage.note("\n    ".join(self.fleet.cli("status").out.splitlines()))
            elif chosen in choices:
                try:
                    self.step(*choices[chosen])
                except StepFailed as failure:
                    self.stage.note(str(failure))
        self.step(f"the link of {CUT} is healed", self.heal)
        self.step("everybody agrees", self.agree)

    def step(self, name: str, action: Callable[[Report], None]) -> None:
        """One step with what it cost: bytes of all links, requests lost at all sites."""
        self.stage.step_measured(name, action, self._sent, self._lost, self._let_requests_end)

    def stop(self) -> None:
        """End counters, programs and machines."""
        for counter in self._counters.values():
            counter.stop()
        try:
            self.fleet.stop()
        finally:
            self.lab.stop()

    def keep(self) -> None:
        """Leave everything running and say how to look."""
        for counter in self._counters.values():
            counter.stop()
        argv, env = self.fleet.cli_argv("status")
        words = " ".join([*(f"{name}={value}" for name, value in env.items() if name.startswith("XDG_")), *argv])
        self.stage.note("everything runs on; the next demo removes it. To look:")
        self.stage.note(words)
        for name in SITES:
            net = self.lab.sites[name].net
            self.stage.note(f"nsenter --net={net} curl -i http://127.0.0.1:{self.app.port}/    # {name}")
        self.lab.keep()

    # What is looked at

    def _let_requests_end(self) -> None:
        """Wait for one good answer at each site, so that a request lost late is counted in the step it belongs to."""
        before = {name: counter.count().ok for name, counter in self._counters.items()}
        for name, counter in self._counters.items():
            self._wait(lambda name=name, counter=counter: counter.count().ok > before[name] + 1, f"answers of {name}")

    def _reached(self) -> list[str]:
        return [name for name in SITES if not (self._cut and name == CUT)]

    def _sent(self) -> int:
        try:
            stats = [self.lab.link_stats(name) for name in SITES]
        except OSError:
            return 0
        return sum(counters.offered_bytes for each in stats for counters in each.values())

    def _lost(self) -> int:
        return sum(counter.count().lost for counter in self._counters.values())

    def _count_of(self, name: str) -> Count:
        return self._counters[name].count()

    def _started(self, name: str) -> dict[str, tuple[str, str, int]]:
        return list_started(self.lab.sites[name])

    def _same(self, name: str, before: dict[str, tuple[str, str, int]]) -> None:
        now = self._started(name)
        self._expect(now == before, f"containers at {name} are not what they were: {before} now {now}")

    def _check_only_changed(self, name: str, before: dict[str, tuple[str, str, int]]) -> None:
        now = self._started(name)
        self._expect(set(now) == set(before), f"other instances than before at {name}")
        replaced = {each for each in now if now[each] != before[each]}
        wanted = {each for each in now if _service(each) == self.app.changed}
        self._expect(replaced == wanted, f"replaced at {name}: {sorted(replaced)}")

    def _watch(self) -> None:
        """Let requests run for a while."""
        time.sleep(WATCH_S)

    def _expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise StepFailed(otherwise)

    def _wait(self, look: Callable[[], object], what: str) -> None:
        wait_until(look, what, STEP_S_MAX)


def _service(instance: str) -> str:
    """The service of an instance TENANT/APP/SERVICE/ORDINAL."""
    return instance.split("/")[2]


def main() -> int:
    """The command line."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--app", choices=sorted(APPS), default="wordpress", help="which app")
    asked = parser.parse_args()
    app = APPS[asked.app]
    stage = Stage(f"Skerry: {app.file.name} on three sites")
    is_guided = not asked.unattended and not asked.interactive and sys.stdin.isatty()
    spine = Spine(stage, app, pause=(lambda: input("    Enter goes on ")) if is_guided else (lambda: None))

    def run() -> None:
        spine.prepare()
        if asked.interactive:
            spine.play()
        else:
            spine.run()

    def read_logs() -> list[tuple[str, str]]:
        return [(name, spine.fleet.read_log(name)[-1500:]) for name in ("core", "signer")]

    return play(stage, asked, run, lambda keep: spine.keep() if keep else spine.stop(), read_logs)


if __name__ == "__main__":
    sys.exit(main())
