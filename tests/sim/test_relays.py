"""The fake relay keeps the contract of the real one, and the sea passes on what it would."""

import asyncio

import msgspec
import pytest
from tests.contract import overlay, relay
from tests.sim.test_overlays import FakeRig as Tunnels

from skerry.clock import SeededMint
from skerry.link.relay import SENDER_US
from skerry.model.ids import SiteName
from skerry.model.relay import RelayPair, RelaySide, RelayTable
from skerry.sim.loop import run_virtual
from skerry.sim.overlays import FakeTunnels
from skerry.sim.relays import CORE_RELAY, FakeRelay, FakeRelayDriver

PORTS = (52_000, 52_001)
TABLE = RelayTable(
    (RelayPair((RelaySide(SiteName("a"), PORTS[0]), RelaySide(SiteName("b"), PORTS[1]))),),
)


class FakeRig:
    def __init__(self) -> None:
        self.relay = FakeRelay()
        self.driver = self.make_next()

    def make_next(self) -> FakeRelayDriver:
        return FakeRelayDriver(self.relay)

    def kill(self) -> None:
        self.relay.stop()


@pytest.mark.parametrize("name", relay.CHECKS)
def test_a_fake_relay_keeps_the_contract(name: str):
    asyncio.run(relay.CHECKS[name](FakeRig()))


def test_a_side_is_known_while_it_was_heard_and_only_at_a_port_of_a_pair():
    found = FakeRelay()
    found.apply(TABLE)
    found.hear(PORTS[0], 0)
    found.hear(1, 0)
    assert found.find_other(PORTS[0]) == PORTS[1]
    assert found.find_other(1) == 0
    assert (found.knows(PORTS[0], SENDER_US - 1), found.knows(PORTS[0], SENDER_US)) == (True, False)
    assert not found.knows(1, 0)
    found.dead = True
    assert not found.knows(PORTS[0], 0)
    found.apply(RelayTable())
    assert found.heard == {}


@pytest.mark.parametrize("at", ["core", "third"])
def test_ends_that_never_meet_are_brought_together_once_both_have_spoken_to_the_relay(at: str):
    async def main() -> None:
        rig = Tunnels()
        third = FakeTunnels("192.0.2.9")
        rig.sea.join(third)
        host = CORE_RELAY.host if at == "core" else third.address
        passing = rig.sea.core_relay if at == "core" else third.relay
        passing.apply(TABLE, relay.wish(1).digest)
        keys = await overlay.connect(rig)
        rig.sea.hidden.update(each.born for each in rig.tunnels)
        target = overlay.ADDRESSES[1][0]
        assert not await rig.reaches(0, target)
        for node in (0, 1):
            way = overlay.tunnel(rig, node, keys[1 - node], endpoint=f"{host}:{PORTS[node]}")
            await overlay.do(rig, node, overlay.apply(way))
        # The other one has not spoken yet, so what comes for it goes nowhere.
        assert not await rig.reaches(0, target)
        assert await rig.reaches(1, overlay.ADDRESSES[0][0])
        assert await rig.reaches(0, target)
        assert overlay.find(await overlay.see(rig, 0), keys[1]).place == f"{host}:{PORTS[0]}"
        passing.dead = True
        assert not await rig.reaches(0, target)
        await rig.wait(60)
        lost = overlay.find(await overlay.see(rig, 0), keys[1])
        assert (lost.trying, lost.silent_s >= 60) == (True, True)
        passing.dead = False
        if at == "third":
            rig.sea.part(rig.tunnels[1], third)
            assert not await rig.reaches(0, target)

    run_virtual(SeededMint(at), main())


def test_a_peer_that_is_only_to_listen_forgets_where_it_was():
    async def main() -> None:
        rig = Tunnels()
        keys = await overlay.connect(rig)
        assert await rig.reaches(0, overlay.ADDRESSES[1][0])
        way = overlay.tunnel(rig, 0, keys[1], endpoint="")
        await overlay.do(rig, 0, overlay.apply(msgspec.structs.replace(way, used=True)))
        assert overlay.find(await overlay.see(rig, 0), keys[1]).heard_s is None
        # Whoever looks for it finds it.
        assert await rig.reaches(1, overlay.ADDRESSES[0][0])
        assert await rig.reaches(0, overlay.ADDRESSES[1][0])

    run_virtual(SeededMint("listen"), main())
