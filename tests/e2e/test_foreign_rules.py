"""Whatever other programs have at a node stays as it is while Skerry has, changes and loses all that it has there."""

import asyncio
import json
import subprocess
from collections.abc import Generator
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.e2e.test_isolation import APP, ENDS, make_rules

from skerry.berths.namespaces import Place, hold_folder, release_folder
from skerry.drivers.base import run_program
from skerry.drivers.chains import PROTOCOL, ChainsDriver
from skerry.drivers.entrance import datagrams
from skerry.drivers.networks import build_table
from skerry.drivers.translation import build_translation
from skerry.model.ids import Digest, NetworkName, TenantName
from skerry.model.observed import ChainHop
from skerry.plan.actions import (
    ApplyChains,
    ApplyRules,
    ApplyTranslation,
    Datagrams,
    OpenPort,
    Server,
    Steer,
    WayOut,
)
from skerry.plan.chain_marks import HOPS
from skerry.plan.networks import rules_digest

pytestmark = pytest.mark.e2e

_CHAIN = Digest("sha256:" + "c" * 64)
#: Names that are nearly ours.
_NAMES = ("filter", "skerry2", "skerry_", "xskerry", "docker", "nat", "mangle", "skerry_chain")
_RULES = (
    "drop",
    "accept",
    "counter accept",
    "tcp dport 53 drop",
    "meta mark 1397424144 accept",
    "ip saddr 10.64.0.0/10 drop",
)
_HOOKS = ("forward", "input", "output", "prerouting", "postrouting")


class Foreign(NamedTuple):
    """What another program has at the node."""

    tables: tuple[tuple[str, str, tuple[tuple[str, str, int, tuple[str, ...]], ...]], ...]
    links: tuple[str, ...]
    routes: tuple[tuple[str, int, int], ...]
    rules: tuple[tuple[int, int, int], ...]

    def write(self) -> str:
        lines: list[str] = []
        for family, name, chains in self.tables:
            lines.append(f"table {family} {name} {{")
            for chain, hook, priority, rules in chains:
                lines.append(f"chain {chain} {{ type filter hook {hook} priority {priority}; policy accept;")
                lines += rules
                lines.append("}")
            lines.append("}")
        return "\n".join(lines) + "\n"


_chains = st.lists(
    st.tuples(
        st.sampled_from(("made_from_us", "forward", "c1", "c2")),
        st.sampled_from(_HOOKS),
        st.integers(-400, 400),
        st.lists(st.sampled_from(_RULES), max_size=3).map(tuple),
    ),
    max_size=3,
    unique_by=lambda chain: chain[0],
).map(tuple)
_foreign = st.builds(
    Foreign,
    tables=st.lists(
        st.tuples(st.sampled_from(("inet", "ip")), st.sampled_from(_NAMES), _chains),
        max_size=4,
        unique_by=lambda each: each[:2],
    ).map(tuple),
    links=st.lists(st.sampled_from(("sk", "skx0", "docker0", "br-lan", "skw-mine")), max_size=3, unique=True).map(
        tuple
    ),
    routes=st.lists(
        st.tuples(
            st.sampled_from(("10.64.9.0/24", "10.180.77.0/24", "203.0.113.0/24")),
            st.sampled_from((254, 1397424145, 1397424160, 100)),
            st.sampled_from((4, 217, 219)),
        ),
        max_size=3,
        unique_by=lambda each: each[:2],
    ).map(tuple),
    rules=st.lists(
        st.tuples(st.sampled_from((21699, 21700, 100)), st.sampled_from((1397424160, 7)), st.sampled_from((100, 254))),
        max_size=3,
        unique=True,
    ).map(tuple),
)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Generator[Place]:
    """A node of its own with a bridge of ours, at which others have their things too."""
    folder = tmp_path_factory.mktemp("foreign")
    hold_folder(folder / "ns")
    place = Place(folder / "ns", "box", folder / "disk")
    try:
        place.disk.mkdir()
        place.create()
        place.run("ip", "link", "add", ENDS[2].bridge, "type", "bridge")
        place.run("ip", "address", "add", "10.180.3.1/24", "dev", ENDS[2].bridge)
        place.run("ip", "link", "set", "dev", ENDS[2].bridge, "up")
        yield place
    finally:
        place.destroy()
        release_folder(folder / "ns")


def look(place: Place) -> tuple[str, ...]:
    """Return everything at a node that is not ours by the names and numbers that the product documents."""
    listing = json.loads(place.run("nft", "-j", "list", "ruleset"))["nftables"]
    ours = {"skerry", "skerry_chains", "skerry_nat", "skerry_entrance"}
    rows = [row for item in listing for kind, row in item.items() if kind != "metainfo"]
    kept = [row for row in rows if row.get("table", row.get("name")) not in ours or row["family"] != "inet"]
    for row in kept:
        for expression in row.get("expr", ()):
            expression.pop("counter", None)
    found = [json.dumps(kept, sort_keys=True)]
    for words in (("route", "show", "table", "all"), ("rule",), ("link",)):
        rows = json.loads(place.run("ip", "-json", "-4", *words) or "[]")
        mine = [row for row in rows if str(row.get("protocol")) not in (PROTOCOL, "kernel")]
        found.append(json.dumps([{key: row[key] for key in row if key in _KEPT} for row in mine], sort_keys=True))
    return tuple(found)


_KEPT = (
    "dst",
    "table",
    "protocol",
    "dev",
    "gateway",
    "priority",
    "fwmark",
    "ifname",
    "address",
    "mtu",
    "operstate",
    "type",
)


def put(place: Place, foreign: Foreign) -> None:
    """Let another program have its things at a node."""
    for name in foreign.links:
        place.run("ip", "link", "add", name, "type", "bridge")
    subprocess.run(place.argv("nft", "-f", "-"), input=foreign.write().encode(), check=True, capture_output=True)
    for target, table, protocol in foreign.routes:
        place.run("ip", "route", "add", "unreachable", target, "table", table, "protocol", protocol)
    for priority, mark, table in foreign.rules:
        place.run("ip", "rule", "add", "priority", priority, "fwmark", mark, "lookup", table)


def take_away(place: Place, foreign: Foreign) -> None:
    """Leave nothing of it."""
    for priority, mark, table in foreign.rules:
        place.run("ip", "rule", "del", "priority", priority, "fwmark", mark, "lookup", table)
    for target, table, _ in foreign.routes:
        place.run("ip", "route", "del", "unreachable", target, "table", table)
    place.run("nft", "flush", "ruleset")
    for name in foreign.links:
        place.run("ip", "link", "del", name)


def work(place: Place) -> None:
    """Have and lose everything that Skerry has at a node: tables, marks, hops."""

    async def run(*words: str, given: bytes = b"") -> tuple[int, bytes]:
        return await run_program(*place.argv(*words), given=given)

    def nft(text: str) -> None:
        subprocess.run(place.argv("nft", "-f", "-"), input=text.encode(), check=True, capture_output=True)

    tenant, network = TenantName("alpha"), NetworkName("plain")
    way = WayOut(tenant, APP, network, ("10.180.3.0/24",), False)
    port = OpenPort("tcp", 8080, "", "10.180.3.2", 80)
    rules = make_rules(1)
    hop = ChainHop(HOPS, ENDS[2].bridge, "10.180.3.2")
    steer = Steer(family="ip", mark=HOPS, bridge=ENDS[2].bridge)
    server = Datagrams(port=3000, holder="alpha/shop/web", servers=(Server(name="a", address="10.180.3.2", port=53),))
    for _ in range(2):
        nft(build_table(rules))
        nft(build_translation(ApplyTranslation(networks=(way,), ports=(port,), digest=_CHAIN)))
        nft(datagrams.build_table((server,)))
        for action in (
            ApplyChains(hops=(hop,), steers=(steer,), digest=_CHAIN),
            ApplyChains(hops=(), steers=(), digest=_CHAIN),
        ):
            outcome = asyncio.run(ChainsDriver(run).perform(action))
            assert outcome.ok, outcome
    nft(build_table(ApplyRules(networks=(), digest=rules_digest(()))))
    nft(datagrams.build_table(()))


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(foreign=_foreign)
def test_nothing_of_other_programs_is_ever_touched(box: Place, foreign: Foreign):
    put(box, foreign)
    try:
        before = look(box)
        work(box)
        assert look(box) == before
    finally:
        take_away(box, foreign)
