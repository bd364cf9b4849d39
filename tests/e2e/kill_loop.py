"""SIGKILL an agent again and again, at moments of its life drawn from a seed, and see that no container notices.

Ten containers are watched: each has to be the same process, started at the same time, after every single kill. A
spare one beside them is ended or removed by force before some of the kills, so that the agent dies at real work too.
Most lives end in the first moments, where an agent opens its journal, adopts what runs and dials: that is where
something could go wrong, and it makes thousands of kills short. Kill number n is the same under the same seed, so a run
that was interrupted goes on where it was.
Run as ``python -m tests.e2e.kill_loop --kills N --seed S --json F --progress P``, by ``./dev long agent-kills``, by
``bench/spine.py``, and with 100 kills in CI.
"""

import argparse
import collections
import http.client
import json
import os
import random
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.fleet import Fleet, list_containers, list_started, wait_until, write_image
from tests.e2e.lab import Lab
from tests.e2e.tiny_image import tiny_image

SITE = "box"
IMAGE = "localhost/tiny:1"
WATCHED_APP, SPARE_APP = "ten", "spare"
WATCHED = 10
#: After so many kills the agent lives until it has settled, podman is asked about everything, and the result is kept.
KILLS_PER_LOOK = 100
STARTS = 5
#: What the agent gets to settle after a stretch of kills: pauses that its failures and the core's gate ask for too.
SETTLE_S = 180


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of an agent's life in which it is killed, in shares of the time that it takes to its first answer."""

    name: str
    weight: int
    from_share: float
    to_share: float
    #: The spare container is ended, or removed, when this life begins.
    harm: bool = False


STRETCHES = (
    Stretch("start-up", 20, 0.0, 0.7),
    Stretch("journal", 45, 0.7, 1.1),
    Stretch("adoption", 25, 1.1, 2.5),
    Stretch("reconcile", 9, 1.0, 4.0, harm=True),
    Stretch("idle", 1, 8.0, 20.0),
)


@dataclass(slots=True)
class Result:
    """What came of a loop; the file of a run holds it."""

    seed: int
    kills: int = 0
    #: Watched containers that were not what they had been; each is one line below.
    restarted: int = 0
    #: Containers of ours that nobody asked for, found when the agent had settled.
    strays: int = 0
    lives: dict[str, int] = field(default_factory=dict[str, int])
    spare_ended: int = 0
    #: Median seconds from an agent's start to its first answer, measured in this run.
    answer_s: float = 0.0
    problems: list[str] = field(default_factory=list[str])
    #: How often this run was begun or taken up again.
    parts: int = 0
    #: Seconds of all parts of the run.
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        return not self.problems


class KillLoop:
    """Kills the agent of ``site``, whose containers run and have settled, each time after starting it anew."""

    def __init__(self, fleet: Fleet, site: str, result: Result, note: Callable[[Result], None]) -> None:
        self._fleet = fleet
        self._site = site
        self._result = result
        self._note = note
        self._answer_s = 0.0
        self._ticks: dict[str, tuple[int, str]] = {}
        self._before: dict[str, tuple[str, str, int]] = {}

    def run(self, kills: int) -> None:
        """Go on to this many kills in all. The agent runs and has settled at the end."""
        fleet, site, result = self._fleet, self._site, self._result
        started, seconds = time.monotonic(), result.seconds
        wait_until(self._is_settled, "settling", SETTLE_S)
        if result.kills >= kills:
            return
        self._look_first()
        self._measure_starts()
        fleet.kill_agent(site)
        while result.kills < kills:
            self._live_and_die(result.kills)
            result.kills += 1
            if result.kills % KILLS_PER_LOOK == 0 or result.kills == kills:
                fleet.start_agent(site)
                wait_until(self._is_settled, f"settling after {result.kills} kills", SETTLE_S)
                self._look()
                result.seconds = round(seconds + time.monotonic() - started, 1)
                self._note(result)
                if result.kills < kills:
                    self._measure_starts()
                    fleet.kill_agent(site)

    def _live_and_die(self, number: int) -> None:
        """One life: start, wait for the moment, kill, and see that the watched processes are the same."""
        fleet, site = self._fleet, self._site
        luck = random.Random(f"{self._result.seed}/{number}")
        stretch = luck.choices(STRETCHES, [each.weight for each in STRETCHES])[0]
        share, how = luck.uniform(stretch.from_share, stretch.to_share), luck.choice(("end", "remove"))
        born = time.monotonic()
        fleet.spawn_agent(site)
        if stretch.harm:
            self._harm_spare(how)
        time.sleep(max(born + share * self._answer_s - time.monotonic(), 0.0))
        fleet.kill_agent(site)
        lives = self._result.lives
        lives[stretch.name] = lives.get(stretch.name, 0) + 1
        changed = [name for name, (pid, ticks) in self._ticks.items() if read_ticks(pid) != ticks]
        if changed:
            self._complain(
                changed, f"after kill {number} ({stretch.name}, {share * self._answer_s:.3f} s after its start)"
            )

    def _harm_spare(self, how: str) -> None:
        site = self._fleet.lab.sites[self._site]
        try:
            for name, each in list_containers(site).items():
                if f"/{SPARE_APP}/" in name and each["State"] == "running":
                    if how == "remove":
                        site.podman.do("DELETE", f"/containers/{each['Id']}", force="true")
                    else:
                        os.kill(each["Pid"], signal.SIGKILL)
                    self._result.spare_ended += 1
        except (OSError, http.client.HTTPException):
            pass  # it came or went between the look and the blow

    def _measure_starts(self) -> None:
        """How long an agent takes to its first answer now; the machine may have become slower or faster."""
        taken: list[float] = []
        for _ in range(STARTS):
            self._fleet.kill_agent(self._site)
            born = time.monotonic()
            self._fleet.start_agent(self._site)
            taken.append(time.monotonic() - born)
        self._answer_s = statistics.median(taken)
        self._result.answer_s = round(self._answer_s, 3)

    def _look_first(self) -> None:
        self._before = {name: one for name, one in list_started(self._where).items() if f"/{WATCHED_APP}/" in name}
        self._ticks = {name: (pid, read_ticks(pid)) for name, (_, _, pid) in self._before.items()}
        gone = [name for name, (_, ticks) in self._ticks.items() if not ticks]
        if gone or not self._before:
            raise OSError(f"nothing to watch, or it does not run: {gone}")

    def _look(self) -> None:
        """Ask podman about everything: ids, times and processes of the watched, and what is there beside them."""
        listed = self._where.podman.do("GET", "/containers/json", all="true") or ()
        ours = collections.Counter((each["Labels"] or {}).get("dev.skerry.instance", "") for each in listed)
        after = list_started(self._where)
        changed = [name for name, one in self._before.items() if after.get(name) != one]
        if changed:
            self._complain(changed, f"by podman's word, after {self._result.kills} kills")
        strays = [name for name, count in ours.items() if count > 1 or name not in self._wanted()]
        if strays:
            self._result.strays += len(strays)
            self._result.problems.append(f"after {self._result.kills} kills there is more than wanted: {strays}")

    def _wanted(self) -> Iterable[str]:
        return {each["instance"] for each in self._fleet.agent_status(self._site)["instances"]}

    def _complain(self, changed: list[str], when: str) -> None:
        self._result.restarted += len(changed)
        self._result.problems.append(f"{when}: {', '.join(sorted(changed))} is not what it was")
        wait_until(lambda: len(list_started(self._where)) >= len(self._before), "containers", SETTLE_S)
        self._look_first()

    def _is_settled(self) -> bool:
        status = self._fleet.agent_status(self._site)
        phases = [each["phase"] for each in status["instances"]]
        return bool(status["settled"]) and len(phases) > WATCHED and set(phases) == {"ready"}

    @property
    def _where(self) -> Any:
        return self._fleet.lab.sites[self._site]


def read_ticks(pid: int) -> str:
    """When a process was started, by the kernel's word; empty when it does not run."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if words[0] == "Z" else words[19]


def push_image(fleet: Fleet) -> None:
    """Hand the smallest image in."""
    fleet.must("image", "push", write_image(fleet.lab.core.disk, "tiny", tiny_image(IMAGE)), IMAGE)


def apply_app(fleet: Fleet, app: str, copies: int) -> None:
    """Have an app of so many containers of the smallest image, each with a volume, some with a health check."""
    check = {"test": ["CMD", "/bin/busybox", "true"], "interval": "30s"}
    services: dict[str, Any] = {}
    for name in (f"s{number}" for number in range(copies)):
        services[name] = {"image": IMAGE, "restart": "always", "volumes": [f"{name}:/data"]}
    for name in list(services)[::4]:
        services[name]["healthcheck"] = check
    manifest = fleet.lab.core.disk / f"{app}.yaml"
    manifest.write_text(json.dumps({"services": services, "volumes": {name: {} for name in services}}))
    fleet.must("apply", "-f", manifest, "--name", app, "--wait=3m", timeout_s=240)


def read_result(path: Path | None, seed: int) -> Result:
    """What an interrupted run with this seed has left; a new result where there is none."""
    if path is not None and path.exists():
        found = Result(**json.loads(path.read_text()))
        if found.seed == seed:
            return found
    return Result(seed)


def write_result(path: Path, result: Result) -> None:
    """Keep a result, whole or not at all."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(result), indent=1) + "\n")
    fresh.replace(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--progress", type=Path, metavar="FILE", help="kept each 100 kills; a run goes on from there")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    result = read_result(options.progress, options.seed)
    result.parts += 1

    def note(now: Result) -> None:
        print(
            f"{now.kills} of {options.kills} kills in {now.seconds:.0f} s: {now.restarted} containers restarted, "
            f"{now.spare_ended} times the spare one was ended, an agent answers after {now.answer_s} s",
            flush=True,
        )
        if options.progress:
            write_result(options.progress, now)

    with Lab([SITE]) as lab, Fleet(lab) as fleet:
        fleet.start_site(SITE, "tier=kills")
        push_image(fleet)
        apply_app(fleet, WATCHED_APP, WATCHED)
        apply_app(fleet, SPARE_APP, 1)
        KillLoop(fleet, SITE, result, note).run(options.kills)
        wait_until(lambda: fleet.agent_status(SITE)["link"] == "up", "the link", SETTLE_S)
        wait_until(lambda: fleet.agent_status(SITE)["outbox"] == 0, "an empty outbox", SETTLE_S)
    for problem in result.problems:
        print(problem)
    if options.json:
        write_result(options.json, result)
    if options.progress:
        options.progress.unlink(missing_ok=True)  # the next run is another one
    return 0 if result.holds else 1


if __name__ == "__main__":
    sys.exit(main())
