"""Time to plan and make the networks of 1,000 apps at one site, and those of one app at 1,000 sites.

At one site the real planner plans a thousand apps with a network each; in a network of its own (``net_plans`` as a
program) the drivers then make each bridge and the firewall table. At 1,000 sites the core's planner stretches one
network over all of them, and one site plans its own part of it. Times are of the processor, children included.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from typing import Any

import msgspec
from bench.rows import make_row
from tests.e2e.lab import CHECKOUT
from tests.plan import fleets, scenery

from skerry.drivers.networks import NetworksDriver, build_table
from skerry.drivers.wires import make_bridge, observe_wires
from skerry.model.app import AppRevision, Network, NetworkWords
from skerry.model.document import NetworkMember, Peer, Unit, unit_id
from skerry.model.facts import OverlayFact
from skerry.model.ids import AppName, NetworkName, NodeName, SiteName, digest_of
from skerry.model.network import PeerHeld
from skerry.model.observed import Observation, OverlaySeen, OwnKey
from skerry.model.signed import Envelope, OverlayKey, SiteRecord
from skerry.plan.actions import ApplyOverlay, ApplyRules, CreateNetwork
from skerry.plan.history import History
from skerry.plan.site import plan_site
from skerry.plan.site_plan import HeldSite, Now, SitePlan

APPS, SITES = 1_000, 1_000
DEFAULT = NetworkName("default")
NODE = NodeName("n1")
NOW = Now(boot_us=1_000_000_000)


class Spent:
    """Seconds of processor, of this process and of children that have ended, that a block takes."""

    def __enter__(self) -> "Spent":
        self._before, self._wall = _read_times(), time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu_s, self.wall_s = _read_times() - self._before, time.monotonic() - self._wall


def _read_times() -> float:
    """Its own time is known to the microsecond, that of children to a clock tick."""
    return time.process_time() + sum(os.times()[2:4])


def hold_apps() -> HeldSite:
    """Return a site that is to run an instance of each of so many apps, each in a network of its own."""
    plain = scenery.revision(1, web=scenery.service())
    apps = [msgspec.structs.replace(plain, app=AppName(f"app{number}")) for number in range(APPS)]
    units = [scenery.assign(app, "web") for app in apps]
    held = scenery.hold(apps[0], *units)
    return msgspec.structs.replace(held, revisions={scenery.digest_revision(app): app for app in apps})


def plan(held: HeldSite, observed: Observation) -> SitePlan:
    return plan_site(held, observed, History(boot="b"), NOW)


async def make_networks() -> list[dict[str, Any]]:
    """Plan and make the networks of all apps, here."""
    rows: list[dict[str, Any]] = []
    held = hold_apps()
    observed = Observation(driver="bench", translation="")
    with Spent() as spent:
        found = plan(held, observed)
    wished = [action for action in found.actions if isinstance(action, CreateNetwork)]
    assert len(wished) == APPS
    what = f"networks of {APPS:,} apps at one site: its plan"
    rows.append(make_row("apps-plan", what, spent.cpu_s, "CPU-s", None))
    with Spent() as bare:
        lines = [line for action in wished for line in _write_bare(action)]
        subprocess.run(["ip", "-batch", "-"], input="\n".join(lines).encode(), check=True)
    gone = "\n".join(f"link delete dev bare{number}" for number in range(APPS))
    subprocess.run(["ip", "-batch", "-"], input=gone.encode(), check=True)
    with Spent() as spent:
        for action in wished:
            outcome = await make_bridge(action)
            assert outcome.ok, outcome
    what = f"the same: {APPS:,} bridges made by the driver, wall; one call of ip for all of them is the baseline"
    rows.append(make_row("apps-bridges", what, spent.wall_s, "s", None, baseline=bare.wall_s))
    rows.append(make_row("apps-bridges-cpu", "the same, processor", spent.cpu_s, "CPU-s", None, baseline=bare.cpu_s))
    seen = await observe_wires()
    with Spent() as spent:
        found = plan(held, msgspec.structs.replace(observed, networks=seen.networks))
    rows.append(make_row("apps-plan-again", "the same: the plan once they are there", spent.cpu_s, "CPU-s", None))
    (rules,) = [action for action in found.actions if isinstance(action, ApplyRules)]
    assert len(rules.networks) == APPS

    async def no_addresses() -> set[str]:
        return set()

    with Spent() as spent:
        outcome = await NetworksDriver(no_addresses).perform(rules)
    assert outcome.ok, outcome
    size = len(build_table(rules).encode()) / 1e3
    what = f"the same: the firewall table, {size:.0f} kB in one transaction, until it is in force; wall"
    rows.append(make_row("apps-table", what, spent.wall_s, "s", None))
    return rows


def _write_bare(action: CreateNetwork) -> list[str]:
    name = f"bare{int(action.app.removeprefix('app'))}"
    ranges = [f"address add {each.gateway}/{each.subnet.partition('/')[2]} dev {name}" for each in action.ranges]
    return [f"link add name {name} type bridge", *ranges, f"link set dev {name} up"]


def make_app(*, stretched: bool) -> AppRevision:
    service = fleets.service(networks={DEFAULT: ()}, replicas=fleets.per_site())
    words = NetworkWords(kind="overlay", scope="app") if stretched else None
    network = Network(words=words) if words else Network()
    return msgspec.structs.replace(fleets.revision("shop", web=service), networks={DEFAULT: network})


def make_fleet() -> fleets.Fleet:
    """Return so many sites, each with a key of its own, on a grid."""
    views = [
        fleets.site(
            f"site{number}",
            number + 1,
            at=(number // 40, number % 40),
            record_digest=digest_of(str(number).encode()),
            overlays={
                NODE: OverlayFact(
                    node=NODE,
                    keys=(Envelope(type="t", payload=f"{number}".encode(), signatures=()),),
                    port=51820,
                    addresses=(f"198.51.{number // 250}.{number % 250 + 1}",),
                )
            },
        )
        for number in range(SITES)
    ]
    return fleets.Fleet(*views)


def plan_sites() -> list[dict[str, Any]]:
    """Plan one app over all sites at the core, with and without a network over them; then one site's part."""
    costs: dict[bool, tuple[float, float]] = {}
    fleet = make_fleet()
    for stretched in (False, True):
        fleet = make_fleet()
        app = make_app(stretched=stretched)
        fleet.wish(app)
        with Spent() as first:
            found = fleet.plan()
        assert len(found.documents) == SITES
        with Spent() as again:
            assert fleet.plan().documents == ()
        costs[stretched] = first.cpu_s, again.cpu_s
    units = list(fleet.sites[SiteName(f"site{SITES // 2}")].units.values())
    held, observed = hold_part(make_app(stretched=True), units), see_no_tunnels()
    # Tunnels are planned once the firewall table is in force.
    (rules,) = [action for action in plan(held, observed).actions if isinstance(action, ApplyRules)]
    observed = msgspec.structs.replace(observed, rules=rules.digest)
    with Spent() as spent:
        found = plan(held, observed)
    (tunnels,) = [action for action in found.actions if isinstance(action, ApplyOverlay)]
    members = sum(isinstance(unit, NetworkMember) for unit in units)
    assert len(tunnels.tunnels) == members > 0
    return [
        make_row(
            "sites-plan",
            f"one app over {SITES:,} sites with a network over all of them: the core's plan; the same app without such "
            "a network is the baseline",
            costs[True][0],
            "CPU-s",
            None,
            baseline=costs[False][0],
        ),
        make_row(
            "sites-plan-again",
            "the same: each later plan, when nothing changed",
            costs[True][1],
            "CPU-s",
            None,
            baseline=costs[False][1],
        ),
        make_row(
            "sites-one",
            f"the same: the plan of one of the sites, {members} tunnels",
            1000 * spent.cpu_s,
            "CPU-ms",
            None,
        ),
    ]


def hold_part(app: AppRevision, units: Iterable[Unit]) -> HeldSite:
    """Return what a site holds of its part: its units, and its peers as they were signed."""
    held = scenery.hold(app, *units)
    peers: dict[SiteName, PeerHeld] = {}
    for unit in held.units.values():
        if isinstance(unit, Peer):
            number = unit.site.removeprefix("site")
            key = OverlayKey(site=unit.site, node=NODE, number=1, key=number.rjust(32, "0").encode())
            peers[unit.site] = PeerHeld(SiteRecord(site=unit.site, number=1), (key,))
    by_id = {unit_id(unit): unit for unit in units}
    revisions = {fleets.name_revision(app): app}
    return msgspec.structs.replace(held, units=by_id, revisions=revisions, peers=peers)


def see_no_tunnels() -> Observation:
    own = OwnKey(1, Envelope(type="t", payload=b"", signatures=()))
    return Observation(driver="bench", overlay=OverlaySeen(mode="wireguard-go", keys=(own,), port=51820))


def measure() -> Iterable[dict[str, Any]]:
    """Plan here, and make networks in a network of its own; give the rows."""
    command = ["unshare", "--net", sys.executable, "-m", "bench.net_plans"]
    done = subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=True, timeout=900)
    yield from json.loads(done.stdout)
    yield from plan_sites()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(make_networks())))
