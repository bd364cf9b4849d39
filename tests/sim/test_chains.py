"""The fake chains keep the contract of the real ones."""

import asyncio

import pytest
from tests.contract import chains as contract
from tests.plan.chain_scene import INSIDE, OUTSIDE, PEOPLE, Town, address, bridge, mac

from skerry.model.chain import Chain
from skerry.model.observed import ChainHop, ChainProbed, ChainsSeen
from skerry.plan.actions import ProbeChain
from skerry.plan.chain_probes import judge_probe
from skerry.sim.chains import FakeChains, FakeChainsDriver, Packet

BEYOND = "198.51.100.9"


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

    def ping(self, *, far: bool = False, count: int = 4) -> int:
        number = PEOPLE["client"][0]
        target = address(OUTSIDE, PEOPLE["far"][0]) if far else BEYOND
        there = (bridge(OUTSIDE), mac(OUTSIDE, PEOPLE["far"][0])) if far else ("", "")
        answers = 0
        for _ in range(count):
            client = address(INSIDE, number)
            went = self.chains.walk(
                Packet(bridge=bridge(INSIDE), mac=mac(INSIDE, number), source=client, target=target)
            )
            if went.end not in ({"in"} if far else {"out", "aside"}):
                continue
            back = self.chains.walk(Packet(bridge=there[0], mac=there[1], source=target, target=client))
            answers += back.end == ("in" if self.chains.steers else "aside")
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
