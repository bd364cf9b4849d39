"""What the API costs: a list of 1,000 sites against the same handler bare, and one apply to 10,000 sites.

The core is real; sites are rows that joined and reported, with nobody behind them. *Bare* is the service's method and
the encoding of its answer, without HTTP; the same request then goes through the whole application; both on a database
in memory. The apply works on a SQLite file in a temporary folder, committed as the product does it: the change is
accepted and planned, the plan is recorded, and for each site a document is numbered, signed, read back as a difference,
written as a message and compressed, which is all that publishing does before the socket. Times are of the processor,
both threads together; the wall is printed beside them. Run it by `./dev bench api`; `--json FILE` writes the rows.
"""

import argparse
import asyncio
import json
import pathlib
import random
import sys
import tempfile
import time
from typing import Any

import msgspec
from bench.console import _fill
from tests.api.http import Api
from tests.core.cores import Rig

from skerry import wire
from skerry.clock import SystemClock
from skerry.core.auth import Caller, make_token
from skerry.link.dictionary import link_compressor
from skerry.model.asks import SiteQuery
from skerry.model.ids import SiteName, TenantName
from skerry.plan.fleet import plan_fleet
from skerry.safe.db import CORE_GROUP_S, Db
from skerry.store import Connection, access, fleet
from skerry.store.databases import SqlitePlace, keep_connection, open_backing

SEED = 1
LISTED = 1_000
REPEATS = 7


class Timer:
    """Seconds of processor and of wall that a block takes."""

    def __enter__(self) -> "Timer":
        self._cpu, self._wall = time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        self.cpu_s = time.process_time() - self._cpu
        self.wall_s = time.perf_counter() - self._wall


async def fill(count: int, db: Db[Connection] | None = None) -> tuple[Api, str, Caller, list[SiteName]]:
    """Return a core with so many sites, and a token and caller that may do everything."""
    rig = await Rig(db).begin()
    text, identity, hashed = make_token(rig.core.mint)
    row = access.TokenRow(
        token_id=identity,
        tenant=TenantName("default"),
        name="bench",
        tenant_role="admin",
        operator_role="operator",
        secret_hash=hashed,
        created_us=0,
    )
    chance = random.Random(SEED)
    names = await rig.core.db.run(lambda connection: _fill(connection, row, count, chance))
    rig.core.heard.update({name: rig.core.clock.boot_us() for name in names})
    rig.core.link_classes.update(dict.fromkeys(names, "wired"))
    caller = Caller(token_id=identity, tenant=TenantName("default"), tenant_role="admin", operator_role="operator")
    return Api(rig), text, caller, names


async def measure_list(rows: dict[str, float]) -> None:
    """List 1,000 sites, bare and through the application; the best of a few."""
    api, token, caller, _ = await fill(LISTED)
    query = SiteQuery(page_size=LISTED)
    bare, whole = [], []
    for _ in range(REPEATS):
        with Timer() as timer:
            msgspec.json.encode(await api.rig.service.list_sites(caller, query=query))
        bare.append(timer.cpu_s)
        with Timer() as timer:
            answer = await api.ask("GET", f"/v1/sites?page_size={LISTED}", token=token)
        whole.append(timer.cpu_s)
        assert (answer.status, len(answer.json["items"])) == (200, LISTED)
    rows["list of 1,000 sites, whole application"] = 1 / min(whole)
    rows["list of 1,000 sites, handler bare"] = 1 / min(bare)
    rows["whole against bare"] = min(whole) / min(bare)
    await api.rig.close()


async def measure_apply(rows: dict[str, float], count: int, folder: pathlib.Path) -> None:
    """Apply one app to all sites, plan it, record it, and give each site its document."""
    backing = open_backing(SqlitePlace(folder), SystemClock())
    api, _, _, names = await fill(count, Db(backing, keep_connection, group_s=CORE_GROUP_S))
    rig = api.rig
    await rig.plan()
    with Timer() as total:
        with Timer() as timer:
            await rig.apply("shop")
        rows["accepted"] = timer.cpu_s
        now_us = rig.core.clock.wall_us()
        with Timer() as timer:
            snapshot = await rig.core.db.read(lambda c: fleet.load_snapshot(c, frozenset(), now_us))
        rows["snapshot read"] = timer.cpu_s
        with Timer() as timer:
            plan = plan_fleet(snapshot)
        rows["planned"] = timer.cpu_s
        assert len(plan.documents) == count
        with Timer() as timer:
            await rig.core.db.run(lambda c: fleet.record_plan(c, plan, now_us), soon=True)
        rows["recorded"] = timer.cpu_s
        with Timer() as timer:
            rows["bytes for each site"] = await publish(api, names) / len(names)
        rows["published: numbered, signed, written, compressed"] = timer.cpu_s
    rows["one apply, in all"], rows["one apply, wall"] = total.cpu_s, total.wall_s
    await rig.close()


async def publish(api: Api, names: list[SiteName]) -> int:
    """Give each site its document as its session does; return the bytes of all messages."""
    compressor, size = link_compressor(), 0

    async def offer(name: SiteName) -> None:
        nonlocal size
        patch = (await api.rig.desk.draw_patch(name, 0, 0)).patch
        assert patch is not None
        size += len(compressor.pack(wire.encode(wire.DocumentOffer(patch, None))))

    await asyncio.gather(*(offer(name) for name in names))
    return size


UNITS = {
    "list of 1,000 sites, whole application": "per CPU-s",
    "list of 1,000 sites, handler bare": "per CPU-s",
    "whole against bare": "times",
    "bytes for each site": "bytes",
    "one apply, wall": "s",
}
#: For both, on two quiet cores: beside other work only the processor's time says something.
GOALS = {"one apply, in all": 7.0, "one apply, wall": 7.0}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=10_000)
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE")
    options = parser.parse_args()
    found: dict[str, float] = {}
    asyncio.run(measure_list(found))
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure_apply(found, options.sites, pathlib.Path(folder)))
    rows: list[dict[str, Any]] = [
        {"row": name, "value": round(value, 3), "unit": UNITS.get(name, "CPU-s"), "goal": GOALS.get(name)}
        for name, value in found.items()
    ]
    print(f"{options.sites} sites")
    for row in rows:
        goal = f"  goal {row['goal']:g}" if row["goal"] else ""
        print(f"{row['row']:49} {row['value']:9.2f} {row['unit']}{goal}")
    if options.json:
        options.json.write_text(json.dumps({"sites": options.sites, "rows": rows}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
