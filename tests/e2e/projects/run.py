"""Real projects end to end: ``python -m tests.e2e.projects.run [--json FILE] [PROJECT...]``.

For each: images built, a core and a site, the project's own file applied and waited for, the app asked for a real
answer, one container killed, the site's power taken away and given back, the app asked again, and core, agent and
podman compared. Every project has a lab of its own; one that fails is told and the next one is tried.
"""

import argparse
import http.client
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tests.e2e.checks import find_problems
from tests.e2e.fleet import Ended, Fleet, list_containers, list_started
from tests.e2e.lab import Lab
from tests.e2e.projects.cases import COMPOSE, PROJECTS, Project, lay_out
from tests.e2e.projects.visit import Visit
from tests.e2e.site_http import http_get
from tests.images import build, debian, recipes

T = TypeVar("T")
SITE = "harbour"
IMAGE_BYTES_MAX = 250_000_000
#: Images travel to the site in it, on a machine that may have other things to do.
APPLY_S_MAX = 480


@dataclass
class Result:
    """What one project showed."""

    name: str
    file: str
    #: What each image really is, and its unpacked bytes, base included.
    images: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    ok: bool = False
    seconds: float = 0.0
    detail: str = ""
    steps: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    problem: str = ""


class Story:
    """One project from its images to the last question."""

    def __init__(self, project: Project, result: Result, lab: Lab, cache: Path, say: Callable[[str], None]) -> None:
        self._project = project
        self._cache = cache.absolute()
        self._result = result
        self._lab = lab
        self._say = say
        self._fleet = Fleet(lab)
        self._site = lab.sites[SITE]
        self._visit = Visit(self._fleet, self._site, project.name)

    def tell(self) -> None:
        """Go through it; the first step that fails raises."""
        layouts = self._step("images built", self._build)
        self._step("core and site started", self._start)
        self._step("images pushed", lambda: self._push(layouts))
        self._step("file applied and ready", self._apply)
        self._step("asked", self._ask)
        self._step(f"{self._project.killed} killed and asked again", self._kill)
        self._step("site rebooted and asked again", self._reboot)
        self._step("core, agent and podman agree", self._agree)

    def stop(self) -> None:
        """End Skerry's programs."""
        self._fleet.stop()

    def _step(self, name: str, action: Callable[[], T]) -> T:
        began = time.monotonic()
        done = action()
        seconds = round(time.monotonic() - began, 1)
        self._result.steps.append({"name": name, "seconds": seconds})
        self._say(f"  ok  {name} ({seconds} s)")
        return done

    # The steps

    def _build(self) -> dict[str, Path]:
        layouts: dict[str, Path] = {}
        for name, made_as in {**{name: name for name in self._project.images}, **self._project.built}.items():
            place = self._cache / "layouts" / made_as.replace("/", "_").replace(":", "_")
            layouts[name] = build.build(made_as, place, self._cache, say=lambda text: self._say(f"      {text}"))
            size = build.size_of(layouts[name])
            self._result.images[name] = {"about": recipes.recipe_of(made_as).about, "bytes": size}
            assert size <= IMAGE_BYTES_MAX, f"{name} has {size} bytes"
        return layouts

    def _start(self) -> None:
        self._fleet.start_core()
        self._fleet.start_site(SITE)

    def _push(self, layouts: dict[str, Path]) -> None:
        for name, layout in layouts.items():
            self._fleet.must("image", "push", layout, name)

    def _apply(self) -> None:
        words: list[object] = []
        for path in lay_out(self._project, self._lab.core.disk / "project"):
            words += ["-f", path]
        words += ["--name", self._project.name, f"--wait={APPLY_S_MAX}s"]
        self._fleet.must("apply", *words, timeout_s=APPLY_S_MAX + 60)

    def _ask(self) -> None:
        self._visit.until(self._answers, "a first answer")
        self._project.mark(self._visit)
        self._shows()

    def _answers(self) -> None:
        status = http_get(self._site.net, self._project.port, timeout_s=20).status
        if status >= 400:
            raise OSError(f"status {status}")

    def _shows(self) -> None:
        self._visit.until(lambda: self._project.shows(self._visit), "a right answer")

    def _kill(self) -> None:
        name = next(each for each in list_started(self._site) if self._service(each) == self._project.killed)
        before = list_started(self._site)[name]
        os.kill(before[2], signal.SIGKILL)
        if not self._project.comes_back:
            self._visit.until(lambda: self._is_left_alone(name), "that it is left alone, as the file says")
            self._fleet.must("app", "restart", self._project.name, "--yes")
        self._visit.until(lambda: self._runs_anew(name, before[2]), "a new process")
        self._shows()

    def _is_left_alone(self, name: str) -> None:
        told = self._fleet.instances(SITE)[name]
        assert told["phase"] == "stopped", told

    def _runs_anew(self, name: str, old: int) -> None:
        process = list_started(self._site).get(name, ("", "", 0))[2]
        assert process not in (0, old), "there is none"

    def _reboot(self) -> None:
        before = set(list_containers(self._site))
        self._fleet.reboot_site(SITE)
        self._fleet.start_agent(SITE)
        self._shows()
        assert set(list_containers(self._site)) == before, "other containers than before"

    def _agree(self) -> None:
        self._visit.until(self._find_none, "agreement")

    def _find_none(self) -> None:
        problems = find_problems(self._fleet, self._project.name)
        # A job that ended well is no longer running, and is meant to be like that.
        problems = [each for each in problems if not (each.endswith("is exited") and self._is_job(each))]
        assert not problems, "; ".join(problems)

    def _is_job(self, problem: str) -> bool:
        return self._service(problem.split(" ")[0]) in self._project.jobs

    @staticmethod
    def _service(instance: str) -> str:
        """The service of an instance TENANT/APP/SERVICE/ORDINAL."""
        return instance.split("/")[2]

    def describe(self) -> str:
        """What a failure leaves for whoever reads it: the agent's words, and the last lines of each container."""
        said = [json.dumps(self._fleet.instances(SITE), indent=1)[:4000]]
        for name, each in list_containers(self._site).items():
            path = f"/containers/{each['Id']}/logs"
            answer = self._site.podman.call("GET", path, stdout="true", stderr="true", tail=15)[1]
            text = answer.decode(errors="replace") if isinstance(answer, bytes) else str(answer)
            said.append(f"--- {name}: {each['State']}\n{text}")
        return "\n".join(said)


def run_project(project: Project, cache: Path, say: Callable[[str], None]) -> Result:
    """Run one project in a lab of its own; a failure is in the result."""
    result = Result(project.name, project.file.relative_to(COMPOSE).as_posix(), detail=project.detail)
    say(f"{project.name}: {result.file}")
    began = time.monotonic()
    try:
        with Lab([SITE]) as lab:
            story = Story(project, result, lab, cache, say)
            try:
                story.tell()
                result.ok = True
            except BaseException:
                _say_what_is_known(story, say)
                raise
            finally:
                story.stop()
    except (AssertionError, OSError, TimeoutError, Ended, http.client.HTTPException, debian.ToolError) as error:
        result.problem = f"{type(error).__name__}: {error}"
        say(f"  NO  {result.problem}")
    result.seconds = round(time.monotonic() - began, 1)
    return result


def _say_what_is_known(story: Story, say: Callable[[str], None]) -> None:
    try:
        say(story.describe())
    except (OSError, KeyError, http.client.HTTPException) as error:
        say(f"  nothing more is known: {error}")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Run real projects on a lab's site.")
    parser.add_argument("--cache", type=Path, default=build.DEFAULT_CACHE, help="where layers are kept (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("projects", nargs="*", metavar="PROJECT", help=", ".join(PROJECTS))
    asked = parser.parse_args()
    unknown = sorted(set(asked.projects) - set(PROJECTS))
    if unknown:
        parser.error(f"there is no project {', '.join(unknown)}")
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    say = partial(print, flush=True)
    results = [run_project(PROJECTS[name], asked.cache, say) for name in asked.projects or PROJECTS]
    if asked.json:
        asked.json.write_text(json.dumps({"projects": [asdict(one) for one in results]}, indent=1) + "\n")
    print(f"{sum(one.ok for one in results)} of {len(results)} projects hold")
    return 0 if all(one.ok for one in results) else 1


if __name__ == "__main__":
    sys.exit(main())
