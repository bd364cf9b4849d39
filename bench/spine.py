"""What the first milestone costs at a site: memory, bytes on the link, times against podman alone in the same run.

A core and one site of the end-to-end lab run as real processes; ten containers of the smallest image. Memory is read
from /proc, bytes from the link emulator's counters (whole packets) and the core's own count (payloads), times next to
what podman needs for the same containers by itself. `--json FILE` writes the rows, `--page FILE` the same for people,
`--kills N` sets how often the agent is killed.
"""

import argparse
import json
import os
import pathlib
import signal
import statistics
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any

from bench import cli
from bench.flights import Flights
from bench.rows import make_row, show, write_page
from tests.e2e.fleet import LINK_PORT, Fleet, list_containers, list_started, wait_until, write_image
from tests.e2e.kill_loop import SPARE_APP, KillLoop, Result, apply_app
from tests.e2e.lab import WAN_DEVICE, Lab
from tests.e2e.tiny_image import tiny_image

SITE = "box"
APP = "ten"
CONTAINERS = 10
IMAGE = "localhost/tiny:1"
IDLE_SLICES, IDLE_SLICE_S = 5, 60.0
#: One way; while a site comes back it is long, so that what is sent without waiting goes before the next answer.
DELAY_MS, RETURN_DELAY_MS = 20, 250
#: The core writes its counts of a link each minute.
COUNTED_S = 65.0
#: Programs of ours and of podman at a site; what runs inside containers is the app's.
PLATFORM = ("python", "podman", "conmon", "aardvark-dns", "netavark", "rootlessport")
REPEATS = 5
SEED = 1
INTRO = (
    f"Written by `./dev long bench-spine`: a core and one site with {CONTAINERS} containers of the smallest image, "
    "real processes on one machine. The baseline of a row was measured in the same run."
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--page", type=pathlib.Path, metavar="FILE", help="the rows for people, as Markdown")
    parser.add_argument("--kills", type=int, default=100)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    rows: list[dict[str, Any]] = []
    with Lab([SITE]) as lab, Fleet(lab) as fleet:
        lab.set_link(SITE, delay_ms=DELAY_MS)
        for measure in (
            measure_memory,
            measure_idle,
            measure_return,
            measure_killed_container,
            measure_boot,
            lambda fleet: measure_kills(fleet, options.kills),
        ):
            for row in measure(fleet):
                rows.append(row)
                show(row)
    for row in cli.measure():
        if row["id"] in ("cli-help", "cli-site-list", "cli-agent-status"):
            rows.append(row)
            show(row)
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}, indent=2) + "\n")
    if options.page:
        options.page.write_text(write_page("Benchmarks of the first milestone", INTRO, rows))
    return 0


def measure_memory(fleet: Fleet) -> Iterable[dict[str, Any]]:
    site = fleet.lab.sites[SITE]
    fleet.start_site(SITE, "tier=bench")
    time.sleep(5)
    pid = fleet.agent_pid(SITE)
    yield make_row("agent-rss-idle", "agent, joined, without an app: RSS", read_status(pid, "VmRSS") / 1e6, "MB", 45)
    image = write_image(fleet.lab.core.disk, "tiny", tiny_image(IMAGE))
    fleet.must("image", "push", image, IMAGE)
    services = {f"s{number}": {"image": IMAGE, "restart": "always"} for number in range(CONTAINERS)}
    manifest = fleet.lab.core.disk / "ten.yaml"
    manifest.write_text(json.dumps({"services": services}))
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")  # forget the peak
    fleet.must("apply", "-f", manifest, "--name", APP, "--wait=3m", timeout_s=240)
    wait_until(lambda: is_settled(fleet), "ten containers", 120)
    peak = read_status(pid, "VmHWM") / 1e6
    yield make_row("agent-rss-reconciling", f"agent, bringing up {CONTAINERS} containers: peak RSS", peak, "MB", 60)
    time.sleep(5)
    parts: dict[str, float] = {}
    for each in site.pids():
        name = read_name(each)
        if name.startswith(PLATFORM):
            parts[name] = parts.get(name, 0.0) + read_pss(each) / 1e6
    detail = ", ".join(f"{name} {value:.0f}" for name, value in sorted(parts.items()))
    yield make_row(
        "platform-pss",
        f"whole platform at a site with {CONTAINERS} containers: PSS ({detail})",
        sum(parts.values()),
        "MB",
        120,
    )


def measure_idle(fleet: Fleet) -> Iterable[dict[str, Any]]:
    """Each slice begins between two heartbeats and has exactly two; the median leaves out one with a changed fact."""
    time.sleep(20)
    before = sent(fleet)
    wait_until(lambda: sent(fleet) > before, "a heartbeat")
    time.sleep(5)
    slices: list[float] = []
    for _ in range(IDLE_SLICES):
        before, started = sent(fleet), time.monotonic()
        time.sleep(IDLE_SLICE_S)
        slices.append((sent(fleet) - before) / (time.monotonic() - started) * 3600)
    what = (
        f"idle link, both ways, heartbeats each 30 s, whole IP packets; median of {IDLE_SLICES} x {IDLE_SLICE_S:.0f} s "
        f"(from {min(slices):.0f} to {max(slices):.0f})"
    )
    yield make_row("link-idle-hour", what, statistics.median(slices), "bytes", 30_000)


def measure_return(fleet: Fleet) -> Iterable[dict[str, Any]]:
    """Coming back with one restart counter changed, on a connection of its own, over a link that makes turns plain."""
    lab, site = fleet.lab, fleet.lab.sites[SITE]
    lab.cut(SITE)
    fleet.kill_agent(SITE)
    fleet.start_agent(SITE)
    wait_until(lambda: is_settled(fleet), "settling")
    name, (_, _, pid) = min(list_started(site).items())
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: list_started(site)[name][2] not in (0, pid), "a new process")
    wait_until(lambda: is_settled(fleet), "settling")
    # The last session's bytes are counted when the core has given it up, those of the coming one when its agent dies.
    wait_until(lambda: fleet.ask("site", "show", SITE)["summary"]["state"] != "online", "the last session's end", 180)
    time.sleep(COUNTED_S)
    before, payload = sent(fleet), count_payload(fleet)
    lab.set_link(SITE, delay_ms=RETURN_DELAY_MS)
    with Flights(site.net, WAN_DEVICE, LINK_PORT) as flights:
        lab.heal(SITE)
        wait_until(lambda: fleet.agent_status(SITE)["link"] == "up", "the link", 120)
        wait_until(lambda: fleet.agent_status(SITE)["outbox"] == 0, "an empty outbox")
        time.sleep(3)
    whole = sent(fleet) - before
    fleet.kill_agent(SITE)
    time.sleep(COUNTED_S)
    counted = count_payload(fleet) - payload
    if not counted:
        raise OSError("the core has counted nothing of the session that came back")
    lab.set_link(SITE, delay_ms=DELAY_MS)
    fleet.start_agent(SITE)
    what = "coming back, one restart counter changed, revision held: payloads both ways, the events of it included"
    yield make_row("return-payload", what, counted, "bytes", 800)
    what = "the same: answers of the core, after TLS, that the site waited for before it had sent all that was new"
    yield make_row("return-round-trips", what, flights.count_round_trips(), "count", 2)
    yield make_row("return-packets", "the same as whole packets: TCP, TLS and HTTP with them", whole, "bytes", 12_000)


def measure_killed_container(fleet: Fleet) -> Iterable[dict[str, Any]]:
    """A container that died is running again, next to podman's own start of a stopped one."""
    site = fleet.lab.sites[SITE]
    ours: list[float] = []
    # Each time another one: who dies again and again is started after growing pauses.
    for number in range(REPEATS):
        _, (container, _, pid) = sorted(list_started(site).items())[1 + number]
        started = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda c=container, p=pid: inspect_pid(fleet, c) not in (0, p), "a new process")
        ours.append(time.monotonic() - started)
        wait_until(lambda: is_settled(fleet), "settling")
        time.sleep(1)
    fleet.kill_agent(SITE)
    alone: list[float] = []
    for number in range(REPEATS):
        _, (container, _, pid) = sorted(list_started(site).items())[1 + number]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda c=container: not inspect_running(fleet, c), "the end")
        started = time.monotonic()
        site.podman.do("POST", f"/containers/{container}/start")
        alone.append(time.monotonic() - started)
    fleet.start_agent(SITE)
    baseline = statistics.median(alone)
    what = f"a killed container runs again, median of {REPEATS}; podman's own start + 2 s is the goal"
    yield make_row("killed-container", what, statistics.median(ours), "s", baseline + 2.0, baseline=baseline)


def measure_boot(fleet: Fleet) -> Iterable[dict[str, Any]]:
    """From the agent's start after a power cut, cut off, to the last of ten; podman alone does it before and after."""
    lab, site = fleet.lab, fleet.lab.sites[SITE]
    lab.cut(SITE)

    def boot_alone() -> float:
        fleet.reboot_site(SITE)
        containers = [each["Id"] for each in list_containers(site).values()]
        started = time.monotonic()
        for container in containers:
            site.podman.do("POST", f"/containers/{container}/start")
        return time.monotonic() - started

    def boot_with_agent() -> float:
        fleet.reboot_site(SITE)
        started = time.monotonic()
        starting = threading.Thread(target=fleet.start_agent, args=(SITE,))
        starting.start()
        wait_until(lambda: count_running(fleet) == CONTAINERS, "the last container", 180)
        seconds = time.monotonic() - started
        starting.join()
        return seconds

    alone, ours = [boot_alone()], []
    for _ in range(2):
        ours.append(boot_with_agent())
        alone.append(boot_alone())
    fleet.reboot_site(SITE)
    fleet.start_agent(SITE)
    lab.heal(SITE)
    wait_until(lambda: fleet.agent_status(SITE)["link"] == "up", "the link", 120)
    baseline = statistics.median(alone)
    what = f"cold boot, cut off, to the last of {CONTAINERS} containers; podman one by one x 1.3 + 1 s is the goal"
    yield make_row("boot", what, statistics.median(ours), "s", 1.3 * baseline + 1.0, baseline=baseline)


def measure_kills(fleet: Fleet, kills: int) -> Iterable[dict[str, Any]]:
    """SIGKILL the agent at any moment of its work; count containers that are not what they were."""
    apply_app(fleet, SPARE_APP, 1)
    result = Result(SEED)
    KillLoop(fleet, SITE, result, lambda now: None).run(kills)
    what = f"containers restarted by {kills} SIGKILLs of the agent"
    yield make_row("agent-kills", what, result.restarted + result.strays, "count", 0)


def is_settled(fleet: Fleet) -> bool:
    status = fleet.agent_status(SITE)
    ready = sum(each["phase"] == "ready" for each in status["instances"])
    return bool(status["settled"]) and ready == CONTAINERS


def count_running(fleet: Fleet) -> int:
    return sum(each["State"] == "running" for each in list_containers(fleet.lab.sites[SITE]).values())


def inspect_pid(fleet: Fleet, container: str) -> int:
    return fleet.lab.sites[SITE].podman.do("GET", f"/containers/{container}/json")["State"]["Pid"]


def inspect_running(fleet: Fleet, container: str) -> bool:
    return fleet.lab.sites[SITE].podman.do("GET", f"/containers/{container}/json")["State"]["Running"]


def count_payload(fleet: Fleet) -> int:
    return sum(each["sent"] + each["received"] for each in fleet.ask("site", "show", SITE)["link_bytes"])


def sent(fleet: Fleet) -> int:
    return sum(counters.offered_bytes for counters in fleet.lab.link_stats(SITE).values())


def read_status(pid: int, word: str) -> int:
    """Bytes that /proc/PID/status gives in kB."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith(f"{word}:")).split()[1]) * 1024


def read_pss(pid: int) -> int:
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("Pss:")).split()[1]) * 1024


def read_name(pid: int) -> str:
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
