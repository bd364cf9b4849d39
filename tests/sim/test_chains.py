"""The fake chains keep the contract of the real ones."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from tests.contract import chains as contract
from tests.plan.chain_scene import DESK, INSIDE, LAN, OUTSIDE, PEOPLE, UPLINK, Town, address, bridge, mac

from skerry.clock import SECOND_US, SeededMint
from skerry.model.asks import ChainTestQuery
from skerry.model.chain import Chain, ChainEnd
from skerry.model.errors import SkerryError
from skerry.model.ids import AppName, NodeName, ServiceName, SiteName, TenantName
from skerry.model.observed import ChainHop, ChainProbed, ChainsSeen
from skerry.model.signed import Call, Envelope
from skerry.plan.actions import ProbeChain
from skerry.plan.chain_probes import judge_probe
from skerry.sim.apps import AppWords
from skerry.sim.chains import FakeChains, FakeChainsDriver, Packet
from skerry.sim.loop import SimLoop, run_virtual
from skerry.sim.world import World

BEYOND = "198.51.100.9"
TENANT = TenantName("default")


class FakeRig:
    def __init__(self) -> None:
        self.town = Town()
        self.deaf: set[str] = set()
        self.chains = FakeChains(self._pass_on)
        self.driver = FakeChainsDriver(self.chains)

    def _pass_on(self, hop: ChainHop) -> tuple[str, str] | None:
        for name, (number, networks) in PEOPLE.items():
            if name not in self.deaf | self.town.down and any(hop.address == address(one, number) for one in networks):
                return bridge(networks[-1]), mac(networks[-1], number)
        return None

    def steer(self, *chains: Chain, down: frozenset[str] = frozenset()) -> None:
        self.town.chains, self.town.down = chains, set(down)
        for _ in range(2):
            self.town.seen = asyncio.run(self.driver.observe()).chains
            action = self.town.plan()
            if action is None:
                break
            assert asyncio.run(self.driver.perform(action)).ok
        assert self.town.plan() is None

    def ping(self, *, desk: bool = False, far: bool = False, count: int = 4) -> int:
        number = PEOPLE["client"][0]
        source, by = (DESK[0], LAN) if desk else (address(INSIDE, number), "")
        here = ("", "") if desk else (bridge(INSIDE), mac(INSIDE, number))
        target = address(OUTSIDE, PEOPLE["far"][0]) if far else BEYOND
        there = (bridge(OUTSIDE), mac(OUTSIDE, PEOPLE["far"][0])) if far else ("", "")
        answers = 0
        for _ in range(count):
            went = self.chains.walk(
                Packet(bridge=here[0], mac=here[1], device=by, source=source, source_by=by, target=target)
            )
            # What no chain wants goes its way, but from one network into another.
            if went.end not in ({"in"} if far else {"out", "aside"}):
                continue
            back = self.chains.walk(Packet(bridge=there[0], mac=there[1], source=target, target=source, target_by=by))
            answers += back.end in ("in", "out", "aside")
        return answers

    def look(self) -> ChainsSeen:
        seen = asyncio.run(self.driver.observe()).chains
        assert seen is not None
        return seen

    def probe(self) -> ChainProbed:
        self.town.seen = self.look()
        self.town.plan()
        (action,) = (each for each in self.town.draft.actions if isinstance(each, ProbeChain))
        outcome = asyncio.run(self.driver.perform(action))
        assert outcome.passes is not None
        return judge_probe(action, outcome.passes)

    def deafen(self, step: str, *, deaf: bool) -> None:
        (self.deaf.add if deaf else self.deaf.discard)(step)


@pytest.mark.parametrize("name", contract.CHECKS)
def test_the_fake_keeps_the_contract(name: str):
    contract.CHECKS[name](FakeRig())


def test_power_takes_what_steers_and_nobody_else_is_asked():
    rig = FakeRig()
    rig.steer(contract.make_chain())
    rig.chains.lose_power()
    assert rig.look() == ChainsSeen()
    stranger = Packet(bridge="br0", mac="02:00:00:00:00:99", source="192.0.2.9", target=BEYOND)
    assert rig.chains.walk(stranger).end == "aside"


class Owner:
    """An owner's end of a test: signs for the nonce that comes, and keeps what came of it."""

    def __init__(self, world: World, chain: str = "out") -> None:
        self._world = world
        self._chain = chain
        self._call: Call | None = None
        self.answer = b""

    async def send_nonce(self, site: SiteName, node: NodeName, nonce: bytes) -> None:
        self._call = Call(
            tenant=TENANT,
            site=site,
            node=node,
            nonce=nonce,
            verb="test-chain",
            app=AppName("shop"),
            service=ServiceName("wall"),
            chain=self._chain,
        )

    async def receive_call(self) -> Envelope:
        assert self._call is not None
        return self._world.people.sign_as(TENANT, "call", self._call)

    async def send_output(self, channel: int, data: bytes) -> None:
        self.answer += data

    async def send_end(self) -> None:
        """It carries no connection."""

    async def send_exit(self, code: int) -> None:
        assert code == 0

    async def receive_input(self) -> AsyncIterator[tuple[int, bytes]]:
        for nothing in ():
            yield nothing

    async def wait_left(self) -> None:
        """It stays to the end."""


@pytest.mark.sim
def test_an_owner_tests_a_chain_over_the_link_and_measuring_costs_the_link_nothing():
    mint = SeededMint("a chain that is tested")
    found: dict[str, Any] = {}

    async def story() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        world = World(loop, mint)
        await world.begin(1)
        clock, service = world.core.clock, world.core.service
        caller = world.as_tenant(TENANT)
        through = (ServiceName("wall"), ServiceName("look"))
        chain = Chain(name="out", start=ChainEnd(kind="network", name="default"), through=through, end=UPLINK)
        try:
            services = {"till": "till:1", "wall": "wall:1", "look": "look:1"}
            assert await world.apply("shop", AppWords(services=services, chain=chain))
            await clock.sleep_until(clock.boot_us() + 300 * SECOND_US)
            (site,) = world.sites.values()
            before, probes = dict(site.agent.reconciler.facts), site.machine.chains.counts["c0s1_out"]
            await clock.sleep_until(clock.boot_us() + 1200 * SECOND_US)
            found["changed"] = before != site.agent.reconciler.facts
            found["sent"] = site.machine.chains.counts["c0s1_out"] - probes
            owner = Owner(world)
            query = ChainTestQuery(service="wall", site=site.name, chain="out")
            await service.test_chain(caller, app="shop", query=query, socket=owner)
            found["probed"] = msgspec.json.decode(owner.answer, type=ChainProbed)
            found["node"] = (await service.show_chain(caller, app="shop", chain="out")).nodes[0]
            other = msgspec.structs.replace(query, chain="in")
            with pytest.raises(SkerryError, match="no chain default/shop/in"):
                await service.test_chain(caller, app="shop", query=other, socket=Owner(world, "in"))
        finally:
            await world.end()

    run_virtual(mint.split("loop"), story())
    assert not found["changed"]
    assert found["sent"] == 20 * 4
    assert (found["probed"].sent, found["probed"].arrived, found["probed"].reason) == (10, 10, "")
    assert [step.service for step in found["probed"].steps] == ["wall", "look"]
    node = found["node"]
    assert (node.state, node.late, set(node.latency_us)) == ("whole", False, {"wall", "look"})
