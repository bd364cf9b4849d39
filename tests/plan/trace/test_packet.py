"""A trace says what packets do: in simulated worlds, and in small ones where each rule says no in turn."""

import asyncio
import ipaddress
import itertools

import msgspec
import pytest

from skerry import wire
from skerry.clock import SeededMint
from skerry.model.ids import AppName, CallId, NetworkName, NodeName, SiteName, TenantName
from skerry.model.trace import NetworkLook, NodeView, TraceAsk, TraceVerdict, TunnelLook
from skerry.plan.actions import AppRules
from skerry.plan.trace.packet import Spot, Told, judge_out, trace_packet
from skerry.sim.apps import AppWords
from skerry.sim.crossing import list_crossings, talk
from skerry.sim.loop import SimLoop, run_virtual
from skerry.sim.weather import Weather
from skerry.sim.world import World

MESH = NetworkName("mesh")
HERE, THERE = SiteName("here"), SiteName("there")

# In simulated worlds: who reaches whom is what ``sim/crossing.py`` finds by sending packets


async def _no_input():
    return
    yield


async def ask_site(world: World, site: SiteName, rules: AppRules, other: SiteName) -> Told:
    """Ask an agent as the core would, by the body of a call."""
    ask = TraceAsk(rules.tenant, rules.app, other=other)
    request = wire.CallRequest(CallId("c"), "trace", msgspec.msgpack.encode(ask), 15_000_000)
    answer = await world.sites[site].agent.answer_call(request, _no_input())
    assert answer.ok, answer.reason
    return Told(msgspec.msgpack.decode(answer.body, type=NodeView), "the node")


async def compare(world: World) -> dict[TraceVerdict, int]:
    """Trace between all networks of all sites in both families; return how often each verdict was given."""
    crossed = {
        (each.start, each.end, each.sent_in, each.let_into.network, each.let_into.app, each.let_into.tenant)
        for each in list_crossings(world)
    }
    counts: dict[TraceVerdict, int] = {"passes": 0, "stopped": 0, "unknown": 0, "told": 0}
    views: dict[tuple[SiteName, TenantName, AppName, SiteName], Told] = {}
    for start, end in itertools.permutations(sorted(world.sites), 2):
        for mine, theirs in itertools.product(world.sites[start].machine.guard, world.sites[end].machine.guard):
            if not (mine.near and theirs.near):
                continue
            for site, rules, other in ((start, mine, end), (end, theirs, start)):
                key = (site, rules.tenant, rules.app, other)
                if key not in views:
                    views[key] = await ask_site(world, site, rules, other)
            near = views[start, mine.tenant, mine.app, end]
            far = views[end, theirs.tenant, theirs.app, start]
            for family in (0, 1):
                spots = [
                    Spot(site, rules.network, _first_host(rules.near[family]))
                    for site, rules in ((start, mine), (end, theirs))
                ]
                verdict = judge([line.verdict for line in trace_packet(spots[0], spots[1], near, far)])
                arrives = (start, end, mine, theirs.network, theirs.app, theirs.tenant) in crossed
                assert verdict in ("unknown", "passes" if arrives else "stopped"), (spots, arrives, near, far)
                counts[verdict] += 1
    return counts


def judge(verdicts: list[TraceVerdict]) -> TraceVerdict:
    return "stopped" if "stopped" in verdicts else "unknown" if "unknown" in verdicts else "passes"


def _first_host(text: str) -> str:
    return str(ipaddress.ip_network(text)[2])


def test_the_verdict_is_what_packets_do():
    """Three sites, two tenants with three networks, and what befalls them one after the other."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        mint = SeededMint("trace")
        world = World(loop, mint.split("world"))
        weather = Weather(world)
        await world.begin(sites=3, tenants=2)
        for tenant, networks in (("default", ("mesh", "back")), ("tenant-1", ("mesh",))):
            assert await world.apply("shop", AppWords(services={"web": "nginx"}, stretched=networks), tenant=tenant)
        assert await weather.converge() == ""
        talk(world)
        # Of 3 sites' 6 ways and 2 families each of three networks reaches itself, and none of the two others.
        assert await compare(world) == {"passes": 3 * 12, "stopped": 6 * 12, "unknown": 0, "told": 0}
        one, two, three = sorted(world.sites)
        world.sites[one].tunnels.lose_power()
        await compare(world)
        machine = world.sites[two].machine
        machine.guard, machine.rules = (), ""
        await compare(world)
        await weather.stop_agent(three, power=True)
        await weather.start_agent(three)
        await compare(world)
        await weather.advance(120)
        cut(world, one, two)
        talk(world)
        assert (await compare(world))["unknown"] > 0
        # What was heard grows old, and who is spoken to in vain is known not to be there.
        for _ in range(4):
            await weather.advance(60)
            talk(world)
        assert await compare(world) == {"passes": 3 * 8, "stopped": 6 * 12 + 3 * 4, "unknown": 0, "told": 0}
        for site in world.sites.values():
            await site.kill()
        await world.core.kill()

    run_virtual(SeededMint("trace"), main())


def cut(world: World, one: SiteName, other: SiteName) -> None:
    world.sea.part(world.sites[one].tunnels, world.sites[other].tunnels)


# Each rule in turn

NEAR = NodeView(
    HERE,
    NodeName("n"),
    "in force",
    networks=(NetworkLook(MESH, False, ("10.64.0.0/26",), ("10.64.0.0/26",), ("10.64.0.64/26",)),),
    tunnels=(TunnelLook(True, ("10.64.0.64/26",), "203.0.113.9:51820", False, 5, False),),
)
FAR = NodeView(
    THERE,
    NodeName("n"),
    "in force",
    networks=(NetworkLook(MESH, False, ("10.64.0.64/26",), ("10.64.0.64/26",), ("10.64.0.0/26",)),),
    tunnels=(TunnelLook(True, ("10.64.0.0/26",), "203.0.113.8:51820", False, 5, False),),
)
START, END = Spot(HERE, MESH, "10.64.0.2"), Spot(THERE, MESH, "10.64.0.66")


def follow(near: NodeView = NEAR, far: NodeView = FAR, end: Spot = END) -> tuple[TraceVerdict, str]:
    """Return the verdict, and what is said by the last line that is not good news."""
    lines = list(trace_packet(START, end, Told(near, "the node"), Told(far, "the node")))
    bad = [line for line in lines if line.verdict != "passes"]
    return judge([line.verdict for line in lines]), (bad or lines)[-1].text


def change(view: NodeView, **values: object) -> NodeView:
    return msgspec.structs.replace(view, **values)


def test_a_packet_passes_four_hops():
    lines = list(trace_packet(START, END, Told(NEAR, "the node"), Told(FAR, "the node")))
    assert [(line.hop, line.site, line.verdict) for line in lines] == [
        ("rule", HERE, "passes"),
        ("tunnel", HERE, "passes"),
        ("tunnel", THERE, "passes"),
        ("rule", THERE, "passes"),
    ]


TUNNEL = NEAR.tunnels[0]


@pytest.mark.parametrize(
    ("near", "far", "verdict", "why"),
    [
        ({"guard": "missing"}, {}, "stopped", "firewall of the node is missing"),
        ({"guard": "changing"}, {}, "unknown", "is being made another one"),
        ({"networks": ()}, {}, "stopped", "no network mesh at the node"),
        ({"networks": (NetworkLook(MESH, False, ("10.176.0.0/24",)),)}, {}, "stopped", "one of this site by itself"),
        ({"networks": (change_far := NetworkLook(MESH, False, (), ("10.64.0.0/26",)),)}, {}, "stopped", "in no part"),
        ({"tunnels": ()}, {}, "stopped", "no tunnel leads to 10.64.0.66"),
        ({"tunnels_lack": "wg is not there"}, {}, "stopped", "wg is not there"),
        ({"tunnels": (msgspec.structs.replace(TUNNEL, used=False),)}, {}, "unknown", "being made another one"),
        ({"tunnels": (msgspec.structs.replace(TUNNEL, heard_s=None),)}, {}, "unknown", "nobody has tried"),
        (
            {"tunnels": (msgspec.structs.replace(TUNNEL, heard_s=200, trying=True),)},
            {},
            "stopped",
            "what is sent finds nobody",
        ),
        ({"tunnels": (msgspec.structs.replace(TUNNEL, trying=True),)}, {}, "unknown", "not answered yet"),
        ({}, {"tunnels": ()}, "stopped", "no tunnel leads to here"),
        ({}, {"tunnels_lack": "no /dev/net/tun"}, "stopped", "no /dev/net/tun"),
        ({}, {"tunnels": (msgspec.structs.replace(TUNNEL, ranges=()),)}, "stopped", "WireGuard drops it"),
        ({}, {"networks": ()}, "stopped", "no network mesh at the node"),
        ({}, {"networks": (change_far,)}, "stopped", "from_tunnels"),
        ({}, {"guard": "missing"}, "stopped", "firewall of the node is missing"),
    ],
)
def test_each_hop_may_say_no(near: dict[str, object], far: dict[str, object], verdict: TraceVerdict, why: str):
    found, text = follow(change(NEAR, **near), change(FAR, **far))
    assert found == verdict
    assert why in text


def test_what_only_a_document_says_is_not_claimed_to_be_open():
    near = Told(change(NEAR, tunnels=(msgspec.structs.replace(TUNNEL, heard_s=None),)), "a document", 9, is_seen=False)
    lines = list(trace_packet(START, END, near, Told(FAR, "the node")))
    assert [line.verdict for line in lines] == ["unknown", "unknown", "passes", "passes"]
    assert "only the sites know" in lines[1].text
    assert lines[0].source == "a document"
    assert lines[0].age_s == 9


def test_at_one_site_the_bridge_decides():
    there = Spot(HERE, MESH, "10.64.0.3")
    assert follow(end=there)[0] == "passes"
    verdict, text = follow(end=Spot(HERE, NetworkName("back"), "10.176.0.2"))
    assert verdict == "stopped"
    assert "from mesh into back" in text


@pytest.mark.parametrize(
    ("target", "view", "verdict", "why"),
    [
        ("", {}, "passes", "nothing stops what goes out"),
        ("198.51.100.7", {}, "passes", "nothing stops 198.51.100.7"),
        ("169.254.169.254", {}, "stopped", "metadata"),
        ("fe80::1", {}, "stopped", "link-local"),
        ("10.100.0.1", {}, "stopped", "10.64.0.0/10"),
        ("198.51.100.7", {"target_is": "node"}, "stopped", "the node itself"),
        ("10.176.9.9", {"target_is": "network"}, "stopped", "another network of the node"),
        ("198.51.100.7", {"networks": ()}, "stopped", "no network mesh"),
        ("198.51.100.7", {"networks": (NetworkLook(MESH, True, ()),)}, "stopped", "internal"),
        ("198.51.100.7", {"guard": "changing"}, "unknown", "another one"),
    ],
)
def test_the_way_out_has_rules(target: str, view: dict[str, object], verdict: TraceVerdict, why: str):
    line = judge_out(START, target, Told(change(NEAR, **view), "the node"))
    assert line.verdict == verdict
    assert why in line.text
