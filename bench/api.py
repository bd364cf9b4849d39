"""What the API costs: a list of 1,000 sites against the same handler bare, and one apply to 10,000 sites.

The core is real and in memory; sites are rows that joined and reported, with nobody behind them. *Bare* is the
service's method and the encoding of its answer, without HTTP; the same request then goes through the whole
application. The apply is planned, recorded, and a document is numbered, signed and packed for each site, as publishing
does. Times are of the processor; the wall is printed beside them. Run it by `./dev bench api`; `--json FILE` writes the
rows.
"""

import argparse
import asyncio
import json
import pathlib
import random
import sys
import time
from typing import Any

import msgspec
from bench.console import _fill
from tests.api.http import Api
from tests.core.cores import Rig

from skerry.core.auth import Caller, make_token
from skerry.model.asks import SiteQuery
from skerry.model.ids import SiteName, TenantName
from skerry.plan.fleet import plan_fleet
from skerry.store import access, fleet

SEED = 1
LISTED = 1_000
REPEATS = 7
#: Sites that draw their document at a time.
AT_ONCE = 500


class Timer:
    """Seconds of processor and of wall that a block takes."""

    def __enter__(self) -> "Timer":
        self._cpu, self._wall = time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        self.cpu_s = time.process_time() - self._cpu
        self.wall_s = time.perf_counter() - self._wall


async def fill(count: int) -> tuple[Api, str, Caller, list[SiteName]]:
    """Return a core with so many sites, and a token and caller that may do everything."""
    rig = await Rig().begin()
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


async def measure_apply(rows: dict[str, float], count: int) -> None:
    """Apply one app to all sites, plan it, record it, and number and pack each site's document."""
    api, _, _, names = await fill(count)
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
            # As sessions do: many ask at once, and the store takes what has come into one transaction.
            for start in range(0, len(names), AT_ONCE):
                drawn = [rig.desk.draw_patch(name, 0, 0) for name in names[start : start + AT_ONCE]]
                assert None not in await asyncio.gather(*drawn)
        rows["numbered, signed and packed for each site"] = timer.cpu_s
    rows["one apply, in all"], rows["one apply, wall"] = total.cpu_s, total.wall_s
    await rig.close()


UNITS = {
    "list of 1,000 sites, whole application": "per CPU-s",
    "list of 1,000 sites, handler bare": "per CPU-s",
    "whole against bare": "times",
    "one apply, wall": "s",
}
GOALS = {"one apply, in all": 7.0}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=10_000)
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE")
    options = parser.parse_args()
    found: dict[str, float] = {}
    asyncio.run(measure_list(found))
    asyncio.run(measure_apply(found, options.sites))
    rows: list[dict[str, Any]] = [
        {"row": name, "value": round(value, 3), "unit": UNITS.get(name, "CPU-s"), "goal": GOALS.get(name)}
        for name, value in found.items()
    ]
    print(f"{options.sites} sites")
    for row in rows:
        goal = f"  goal {row['goal']:g}" if row["goal"] else ""
        print(f"{row['row']:44} {row['value']:9.2f} {row['unit']}{goal}")
    if options.json:
        options.json.write_text(json.dumps({"sites": options.sites, "rows": rows}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
