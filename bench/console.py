"""What the console costs in a browser without a GPU: first picture, panning, an update of many sites, bytes to load.

A core with `--sites` sites (ten thousand; in memory, filled through its store, nobody behind them) serves the built
console on loopback; Debian's Chromium without a GPU opens it and bench/console.mjs measures there. The goals are those
of interfaces.md; a heavier load fails. Run it by `./dev bench console`, which builds the console and brings the
browser; `--json FILE` writes the rows.
"""

import argparse
import asyncio
import json
import pathlib
import random
import subprocess
import sys
import threading
from typing import Any

import uvicorn
from tests.core.cores import GIB, Rig, key, sealing, sign

from skerry.api.app import make_app
from skerry.api.pages import BUILT
from skerry.core.auth import make_token
from skerry.model.facts import Fact, InstanceFact, NodeFact, SiteFact, encode_fact, fact_key
from skerry.model.ids import NodeName, SiteName, TenantName
from skerry.model.signed import NodeRecord, RoleKeys, SiteRecord
from skerry.store import Connection, access, facts, sites

SEED = 1
#: Middle of a country's sites, how far they lie apart in degrees, and their share: a retailer with many small shops.
PLACES = (
    (10.0, 51.0, 3.2, 26), (2.5, 47.0, 3.2, 20), (-1.8, 52.6, 1.6, 14), (12.5, 42.8, 2.6, 12), (-3.7, 40.2, 2.8, 9),
    (19.2, 52.0, 2.4, 7), (15.5, 60.0, 3.0, 5), (9.0, 61.0, 2.6, 4), (25.0, 45.8, 2.0, 3),
)  # fmt: skip
NODE = NodeName("n1")
LIMIT_S = 240


class Served:
    """The core and its API in a thread of their own."""

    def __init__(self, count: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        asyncio.run_coroutine_threadsafe(self._start(count), self.loop).result(LIMIT_S)

    async def _start(self, count: int) -> None:
        self.rig = await Rig().begin()
        core = self.rig.core
        text, identity, hashed = make_token(core.mint)
        self.token = text
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
        names = await core.db.run(lambda connection: _fill(connection, row, count, chance))
        # Those that fell silent were heard long ago, the others just now.
        early = [name for name in names if chance.random() < 0.03]
        core.heard.update(dict.fromkeys(early, core.clock.boot_us()))
        await self.rig.clock.advance(3_600_000_000)
        core.heard.update({name: core.clock.boot_us() for name in names if name not in core.heard})
        core.link_classes.update(dict.fromkeys(names, "wired"))
        config = uvicorn.Config(make_app(core, self.rig.service), port=0, lifespan="off", log_config=None)
        self.server = uvicorn.Server(config)
        self.server.install_signal_handlers = lambda: None  # type: ignore[method-assign]
        self.serving = asyncio.ensure_future(self.server._serve())
        while not self.server.started:
            await asyncio.sleep(0.01)
        self.url = f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"

    def close(self) -> None:
        """End the server, the core and the thread."""

        async def stop() -> None:
            self.server.should_exit = True
            self.server.force_exit = True
            await self.serving
            await self.rig.close()

        asyncio.run_coroutine_threadsafe(stop(), self.loop).result(30)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


def _fill(connection: Connection, token: access.TokenRow, count: int, chance: random.Random) -> list[SiteName]:
    """Write sites as they are after they joined and reported; return those that ever had a session."""
    access.record_token(connection, token)
    tenants = {TenantName("default"): RoleKeys(keys=(key("deploy default").public,))}
    node = NodeRecord(device=key("device").public, sealing=sealing("site"))
    registrar = key("registrar")
    heard: list[SiteName] = []
    for number in range(count):
        longitude, latitude, apart, _ = chance.choices(PLACES, [place[3] for place in PLACES])[0]
        name = SiteName(f"shop-{number:05}")
        record = SiteRecord(
            site=name,
            number=1,
            nodes={NODE: node},
            tenants=tenants,
            labels={"tier": "store", "wave": str(number % 8)},
            region=f"region {number % 40}",
            longitude_udeg=round(chance.gauss(longitude, apart) * 1e6),
            latitude_udeg=round(chance.gauss(latitude, apart * 0.6) * 1e6),
        )
        sites.record_site(connection, record, sign("site", record, registrar), 0)
        if chance.random() < 0.02:
            continue  # its box never came
        heard.append(name)
        sites.change_state(connection, name, session_epoch=1)
        ill = chance.random() < 0.03
        told: list[Fact] = [
            NodeFact(node=NODE, cpu_m=4_000, memory_bytes=8 * GIB, disk_bytes=64 * GIB, disk_free_bytes=50 * GIB),
            SiteFact(epoch=1, generation=0, settled=not ill, conditions={"disk-full": "97 % used"} if ill else {}),
            InstanceFact(
                instance="default/till/web/0",  # type: ignore[arg-type]
                node=NODE,
                revision="sha256:" + "0" * 64,  # type: ignore[arg-type]
                number=1,
                phase="ready",
            ),
        ]
        changed = {fact_key(fact): encode_fact(fact) for fact in told}
        labels = {each: facts.label_fact(each, body, tenants).label for each, body in changed.items()}
        facts.change_facts(connection, name, changed, labels, (), whole=False)
    return heard


#: Row: what it is, its unit, its goal.
ROWS = (
    ("first picture after script, land", "ms", 300),
    ("first picture after script, all sites", "ms", 300),
    ("of which the core's answer with all sites", "ms", None),
    ("frame while panning, median", "ms", 20),
    ("frame while panning, 95th of 100", "ms", None),
    ("drawing of such a frame, median", "ms", None),
    ("frame while zooming, median", "ms", None),
    ("update of 500 sites, drawn, median", "ms", 5),
    ("initial load, gzipped", "kB", 150),
    ("all sites as points, gzipped", "kB", None),
    ("table of all sites, first rows", "ms", None),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=10_000)
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE")
    options = parser.parse_args()
    if not (BUILT / "index.html").exists():
        print("the console is not built: run ./dev console", file=sys.stderr)
        return 1
    served = Served(options.sites)
    try:
        given = json.dumps({"url": served.url, "token": served.token, "sites": options.sites})
        driver = pathlib.Path(__file__).with_suffix(".mjs")
        done = subprocess.run(
            ["node", driver], input=given, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    finally:
        served.close()
    if done.returncode:
        sys.stderr.write(done.stderr)
        return 1
    found: dict[str, Any] = json.loads(done.stdout)
    print(f"{f'{options.sites} sites, no GPU':44} {'':>9} {'goal':>8} {'of goal':>8}")
    rows = [{"row": name, "unit": unit, "value": found[name], "goal": goal} for name, unit, goal in ROWS]
    for row in rows:
        goal = row["goal"]
        ratio = f"{goal:8} {row['value'] / goal:8.2f}" if goal else ""
        print(f"{row['row']:44} {row['value']:6.1f} {row['unit']:2} {ratio}")
    if options.json:
        options.json.write_text(json.dumps({"sites": options.sites, "rows": rows}, indent=2) + "\n")
    # Bytes are the same on every machine, so they are held to; times are what the reader makes of them.
    heavy = [row for row in rows if row["unit"] == "kB" and row["goal"] and row["value"] > row["goal"]]
    for row in heavy:
        print(f"too heavy: {row['row']}", file=sys.stderr)
    return int(bool(heavy))


if __name__ == "__main__":
    sys.exit(main())
