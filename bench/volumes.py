"""What volumes in a pool cost: snapshots and the way back, writes that a service waits for, and a look at many.

It runs the real driver over a real pool in a mount namespace of its own, on the disk that holds the temporary folder.
Processor time is that of this process and of the programs that it starts. ``--json FILE`` writes the rows, ``--page
FILE`` the same for people.
"""

import argparse
import asyncio
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from bench.rows import make_row, show, write_page
from tests.contract.storage import Named

from skerry.drivers.volumes import VolumesDriver
from skerry.drivers.volumes.pool import StatePool, ensure_pool
from skerry.model.ids import VolumeName
from skerry.plan.actions import Action
from skerry.safe.paths import RealDirectory

MIB, GIB = 1 << 20, 1 << 30
POOL_BYTES = 6 * GIB
SIZES = {"10mb": 10 * MIB, "1gb": GIB}
RUNS = 9
#: Writes of one page that are waited for, as a database does at each commit.
PAGE_BYTES, COMMITS, FILE_BYTES = 4096, 400, 64 * MIB
VOLUMES, SNAPSHOTS, LOOKS = 100, 24, 20
INTRO = (
    "Written by `./dev long bench-volumes`: the real driver over a pool in a preallocated file on ext4. The baseline "
    "of a row, a plain folder on the same disk, was measured in the same run; nobody set a goal for a row without one."
)


class Cost:
    """Wall and processor milliseconds of each of some runs."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []

    async def add(self, job: Callable[[], Awaitable[Any]]) -> None:
        """Do it once more."""
        began, used = time.perf_counter(), read_cpu_ms()
        await job()
        self.wall.append((time.perf_counter() - began) * 1000)
        self.cpu.append(read_cpu_ms() - used)

    def rows(self, name: str, what: str) -> Iterator[dict[str, Any]]:
        """Give a row of each."""
        yield make_row(f"{name}.wall", f"{what}: time", statistics.median(self.wall), "ms", None)
        yield make_row(f"{name}.cpu", f"{what}: processor", statistics.mean(self.cpu), "ms", None)


def read_cpu_ms() -> float:
    """Return the processor time of this process and its ended children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used) * 1000


def read_rss_mib() -> float:
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


async def do(driver: VolumesDriver, action: Action) -> None:
    outcome = await driver.perform(action)
    assert outcome.ok, outcome


async def measure_snapshots(driver: VolumesDriver) -> Iterator[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for label, size in SIZES.items():
        volume = Named(VolumeName(f"v{label}"))
        await do(driver, volume.create(2 * GIB))
        path = pathlib.Path(driver.data_path("alpha", "shop", volume.name))
        write_file(path / "data", size)
        take, back = Cost(), Cost()
        for number in range(RUNS):
            overwrite(path / "data", MIB)
            await take.add(lambda volume=volume, number=number: do(driver, volume.take(f"s{number}")))
        for number in range(RUNS):
            overwrite(path / "data", MIB)
            await back.add(lambda volume=volume, n=number: do(driver, volume.restore(f"s{n}", f"aside-{n}")))
        rows += take.rows(f"snapshot.{label}", f"a snapshot of {label.upper()}, 1 MB of it written since")
        rows += back.rows(f"restore.{label}", f"the way back to a snapshot of {label.upper()}")
        await do(driver, volume.delete())
    return iter(rows)


def write_file(path: pathlib.Path, size: int) -> None:
    with path.open("wb") as sink:
        for _ in range(size // MIB):
            sink.write(os.urandom(MIB))
        sink.flush()
        os.fsync(sink.fileno())


def overwrite(path: pathlib.Path, size: int) -> None:
    with path.open("r+b") as sink:
        sink.write(os.urandom(size))


def commit(path: pathlib.Path, *, is_append: bool) -> float:
    """Return milliseconds of one write of a page that is waited for, appended or in place."""
    write_file(path, FILE_BYTES)
    page, places = os.urandom(PAGE_BYTES), FILE_BYTES // PAGE_BYTES
    took: list[float] = []
    with path.open("r+b", buffering=0) as sink:
        for number in range(COMMITS):
            # Far apart, as the pages of a database are.
            sink.seek(0, os.SEEK_END) if is_append else sink.seek(number * 7919 % places * PAGE_BYTES)
            began = time.perf_counter()
            sink.write(page)
            os.fdatasync(sink.fileno())
            took.append((time.perf_counter() - began) * 1000)
    path.unlink()
    return statistics.median(took)


async def measure_commits(driver: VolumesDriver, plain: pathlib.Path) -> Iterator[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    volume = Named(VolumeName("commits"))
    await do(driver, volume.create(GIB))
    data = pathlib.Path(driver.data_path("alpha", "shop", volume.name))
    for name, what, is_append in (("append", "appended", True), ("in-place", "written in place", False)):
        # In turns, for the disk is shared: the medians of three each.
        pairs = [(commit(plain / "f", is_append=is_append), commit(data / "f", is_append=is_append)) for _ in range(3)]
        base, own = (statistics.median(column) for column in zip(*pairs, strict=True))
        rows.append(make_row(f"commit.{name}", f"a page {what} and waited for", own, "ms", None, baseline=base))
    await do(driver, volume.delete())
    return iter(rows)


async def measure_looks(driver: VolumesDriver, make: Callable[[], VolumesDriver]) -> Iterator[dict[str, Any]]:
    before = read_rss_mib()
    for number in range(VOLUMES):
        volume = Named(VolumeName(f"many-{number}"))
        await do(driver, volume.create(GIB))
        for snapshot in range(SNAPSHOTS):
            await do(driver, volume.take(f"auto-{snapshot}"))
    fresh, cold, warm = make(), Cost(), Cost()
    await cold.add(fresh.observe)
    for _ in range(LOOKS):
        await warm.add(fresh.observe)
    seen = await fresh.observe()
    assert sum(len(each.snapshots) for each in seen.volumes) == VOLUMES * SNAPSHOTS
    what = f"{VOLUMES} volumes with {SNAPSHOTS} snapshots each"
    return iter(
        [
            *cold.rows("look.first", f"the first look at {what}"),
            *warm.rows("look.next", f"each further look at {what}"),
            make_row("look.rss", f"memory more for {what}", read_rss_mib() - before, "MiB", None),
        ]
    )


async def measure(folder: pathlib.Path) -> list[dict[str, Any]]:
    state = RealDirectory.open_root(folder / "state")
    await ensure_pool(state, POOL_BYTES)
    plain = folder / "plain"
    plain.mkdir()

    def make() -> VolumesDriver:
        return VolumesDriver(state.enter("volumes", create=True), pool=StatePool(state))

    rows: list[dict[str, Any]] = []
    for part in (measure_snapshots(make()), measure_commits(make(), plain), measure_looks(make(), make)):
        for row in await part:
            rows.append(row)
            show(row)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--page", type=pathlib.Path, metavar="FILE", help="the rows for people, as Markdown")
    parser.add_argument("--here", type=pathlib.Path, metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here is None:
        # What is mounted goes with the program, however it ends.
        with tempfile.TemporaryDirectory(prefix="skerry-bench-", dir="/var/tmp") as folder:
            words = ["unshare", "--mount", sys.executable, "-m", "bench.volumes", *sys.argv[1:], "--here", folder]
            return subprocess.run(words, check=False).returncode
    rows = asyncio.run(measure(options.here))
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}, indent=2) + "\n")
    if options.page:
        options.page.write_text(write_page("Benchmarks of volumes", INTRO, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
