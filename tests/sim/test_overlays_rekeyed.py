"""Two nodes that plan for themselves change keys while they talk, from whichever way their pair has just found."""

from collections.abc import Sequence

import msgspec
import pytest
from tests.contract import overlay, relay
from tests.plan import scenery
from tests.sim.test_overlays import FakeRig
from tests.sim.test_relays import PORTS, TABLE

from skerry.clock import SECOND_US, SeededMint
from skerry.drivers.overlay.wireguard import by_interface
from skerry.model.document import NetworkMember, Peer, Through, Unit, unit_id
from skerry.model.facts import OverlayFact
from skerry.model.ids import AppName, NetworkName, NodeName, SiteName, TenantName, digest_of
from skerry.model.network import PeerHeld
from skerry.model.observed import OverlaySeen
from skerry.model.signed import Envelope, OverlayKey, SiteRecord
from skerry.plan.actions import ApplyOverlay, MakeOverlayKey
from skerry.plan.history import History
from skerry.plan.overlay import plan_overlay
from skerry.plan.site_plan import HeldSite, Now, PlanDraft
from skerry.sim.loop import run_virtual
from skerry.sim.overlays import FIRST_PORT, FakeTunnels

SITES = (SiteName("s0"), SiteName("s1"))
THIRD = "192.0.2.9"
LOOK_EVERY_US = 20 * SECOND_US
#: How often each node looks, and plans, in tenths of a second, in each of which a packet is sent each way.
LOOK_EVERY, PLAN_EVERY = 10, 30


class Pair:
    """Two nodes whose documents come from each other's facts, and who talk all the time."""

    def __init__(self) -> None:
        self.rig = FakeRig()
        self.third = FakeTunnels(THIRD)
        self.rig.sea.join(self.third)
        self.third.relay.apply(TABLE, relay.wish(1).digest)
        #: Statements of each node's keys: those that it tells of, and those of which the other has heard.
        self.told: list[Sequence[Envelope]] = [(), ()]
        self.known: list[Sequence[Envelope]] = [(), ()]
        #: Whether the core tells each node what it hears of the other.
        self.has_core = [True, True]
        self.lost: list[tuple[int, int]] = []
        self.tenths = 0

    async def look(self, node: int) -> OverlaySeen:
        seen = (await self.rig.drivers[node].observe()).overlay
        assert seen is not None
        return seen

    def hold(self, node: int) -> HeldSite:
        other = 1 - node
        statements = self.known[other]
        keys = tuple(msgspec.json.decode(each.payload, type=OverlayKey) for each in statements)
        member = NetworkMember(
            TenantName("alpha"), AppName("shop"), NetworkName("mesh"), SITES[other], overlay.PARTS[other].index
        )
        peer = Peer(
            SITES[other],
            digest_of(b"record"),
            tuple(digest_of(each.payload) for each in statements),
            (f"{self.rig.places[other]}:{FIRST_PORT}",),
            "",
            (Through(SiteName("s2"), f"{THIRD}:{PORTS[node]}"),),
        )
        units: list[Unit] = [overlay.PARTS[node], member, *([peer] if keys else [])]
        base = scenery.hold(scenery.revision(1, web=scenery.service()), look_every_us=LOOK_EVERY_US)
        return msgspec.structs.replace(
            base,
            site=SITES[node],
            node=NodeName("n1"),
            units={unit_id(each): each for each in units},
            peers={SITES[other]: PeerHeld(SiteRecord(site=SITES[other], number=1), keys)} if keys else {},
        )

    async def plan(self, node: int) -> None:
        if self.has_core[node]:
            self.known[1 - node] = self.told[1 - node]
        draft = PlanDraft(History(boot="b"), Now(boot_us=self.rig.clock.boot_us()))
        plan_overlay(draft, self.hold(node), await self.look(node))
        self.told[node] = next((each.keys for each in draft.facts if isinstance(each, OverlayFact)), ())
        for action in draft.actions:
            if isinstance(action, ApplyOverlay):
                for tunnels in by_interface(action.tunnels).values():
                    ranges = [each for tunnel in tunnels.values() for each in tunnel.ranges]
                    assert len(set(ranges)) == len(ranges), "WireGuard has a range at one peer of an interface"
            assert (await self.rig.drivers[node].perform(action)).ok

    async def live(self, seconds: float) -> None:
        """Let time pass, with ten packets a second each way and their answers."""
        for _ in range(int(seconds * 10)):
            for node in (0, 1):
                if not await self.rig.reaches(node, overlay.ADDRESSES[1 - node][0]):
                    self.lost.append((self.tenths, node))
                if self.tenths % LOOK_EVERY == 0:
                    await self.look(node)
                if self.tenths % PLAN_EVERY == node * 7:
                    await self.plan(node)
            self.tenths += 1
            await self.rig.wait(0.1)

    async def reach(self, node: int, own: int, *, aside: bool) -> None:
        """Live until a node sends by an interface, for no longer than both take to find back to the first one."""
        for _ in range(900):
            if [(each.own, each.aside) for each in self.rig.tunnels[node].tunnels if each.used] == [(own, aside)]:
                return
            await self.live(1)
        raise AssertionError((node, own, aside))


@pytest.mark.parametrize("start", ["never relayed", "just back", "moved back"])
@pytest.mark.parametrize("late_s", [0, 7, 60], ids=lambda late_s: f"told after {late_s} s")
def test_keys_change_without_a_packet_lost_whatever_the_pair_went_through(start: str, late_s: int):
    async def main() -> None:
        pair = Pair()
        if start != "never relayed":
            pair.rig.sea.part(*pair.rig.tunnels)
            # Late in the seconds in which both look, so that they find the direct way and are done looking.
            await pair.live(69)
            pair.rig.sea.unite(*pair.rig.tunnels)
            await pair.reach(0, 1, aside=True)
            await pair.reach(1, 1, aside=True)
        if start != "just back":
            await pair.reach(0, 1, aside=False)
            await pair.reach(1, 1, aside=False)
            await pair.live(5)
        pair.lost.clear()
        pair.has_core[1] = not late_s
        assert (await pair.rig.drivers[0].perform(MakeOverlayKey(number=2))).ok
        await pair.live(late_s)
        pair.has_core[1] = True
        await pair.reach(0, 2, aside=False)
        await pair.live(400)
        assert pair.lost == []
        assert [key.number for key in (await pair.look(0)).keys] == [2]
        await pair.reach(1, 1, aside=False)
        assert pair.lost == []

    run_virtual(SeededMint(start), main())
