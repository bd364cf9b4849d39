"""Other sites are asked over real sockets; what counts, and until when."""

import asyncio
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from tests.clocks import ManualClock

from skerry.clock import SeededMint
from skerry.drivers.names.asking import PACES, TRIES, Asking
from skerry.model.ids import AppName, NetworkName, ServiceName, SiteName, TenantName
from skerry.model.observed import Heard
from skerry.plan.actions import Question

WIRED = PACES["wired"]
RANGES = ("10.64.0.64/26", "fd00::/64")
KEY = (TenantName("alpha"), AppName("shop"), NetworkName("mesh"), ServiceName("web"))


def question(server: str = "127.0.0.1", site: str = "bergen", *, often: bool = True, soon: bool = False) -> Question:
    return Question(*KEY, SiteName(site), server, "127.0.0.1", RANGES, often, soon)


def heard(*addresses: str, site: str = "bergen") -> Heard:
    return Heard(*KEY, SiteName(site), addresses)


class Server(asyncio.DatagramProtocol):
    """The name server of another site: ``code`` below 0 is silence."""

    def __init__(self, on_asked: Callable[[], None]) -> None:
        self.code = 0
        self.addresses: dict[int, list[bytes]] = {1: [b"\x0a\x40\x00\x45"], 28: []}
        self.asked: list[bytes] = []
        self._on_asked = on_asked
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked.append(data)
        self._on_asked()
        asked = data[12:-11]
        (kind,) = struct.unpack(">H", asked[-4:-2])
        found = self.addresses[kind]
        records = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 2, len(each)) + each for each in found)
        head = data[:2] + struct.pack(">HHHHH", 0x8180 | self.code, 1, len(found), 0, 0)
        if self.code >= 0 and self.transport is not None:
            self.transport.sendto(head + asked + records, addr)


class SpentClock(ManualClock):
    """Time passes where an answer takes it."""

    def spend(self, us: int) -> None:
        self._boot_us += us


class Rig:
    def __init__(self, clock: ManualClock, server: Server, asking: Asking) -> None:
        self.clock, self.server, self.asking = clock, server, asking

    async def pass_until_next(self) -> bool:
        """Let time pass until something is due, and ask it."""
        next_us = self.asking.next_us
        assert next_us is not None
        await self.clock.advance(max(next_us - self.clock.boot_us(), 0))
        return await self.asking.ask_due()


@asynccontextmanager
async def a_rig(rtt_us: int = 8_000) -> AsyncGenerator[Rig]:
    clock = SpentClock()

    def take_time() -> None:
        clock.spend(rtt_us // 2)  # both questions of a pair take half of it

    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Server(take_time), local_addr=("127.0.0.1", 0)
    )
    try:
        yield Rig(clock, server, Asking(clock, SeededMint("a"), "wired", transport.get_extra_info("sockname")[1]))
    finally:
        transport.close()


async def test_what_another_site_says_is_heard_and_how_far_away_it_is():
    async with a_rig() as rig:
        rig.asking.ask_from_now_on([question()])
        assert await rig.pass_until_next()
        assert rig.asking.heard == (heard("10.64.0.69"),)
        assert rig.asking.rtt_us == {"bergen": 8_000}
        assert not await rig.pass_until_next()


async def test_nothing_is_sent_where_nothing_is_asked():
    async with a_rig() as rig:
        assert rig.asking.next_us is None
        assert not await rig.asking.ask_due()
        assert rig.server.asked == []


async def test_an_address_outside_of_its_own_part_is_not_heard():
    async with a_rig() as rig:
        rig.server.addresses[1] = [b"\x0a\x40\x00\x05", b"\x0a\x40\x00\x46"]
        rig.asking.ask_from_now_on([question()])
        await rig.pass_until_next()
        assert rig.asking.heard == (heard("10.64.0.70"),)


async def test_one_that_knows_nothing_of_it_has_none():
    async with a_rig() as rig:
        rig.server.code, rig.server.addresses = 3, {1: [], 28: []}
        rig.asking.ask_from_now_on([question()])
        await rig.pass_until_next()
        assert rig.asking.heard == (heard(),)


async def test_a_silent_site_is_out_after_some_tries_and_back_when_it_speaks():
    async with a_rig() as rig:
        rig.asking.ask_from_now_on([question()])
        await rig.pass_until_next()
        rig.server.code = 2  # it cannot tell, and says so at once
        began_us = rig.clock.boot_us()
        for _ in range(TRIES - 1):
            assert not await rig.pass_until_next()
            assert rig.asking.heard != ()
        assert await rig.pass_until_next()
        assert rig.asking.heard == ()
        assert rig.clock.boot_us() - began_us < 2 * WIRED.period_us
        rig.server.code = 0
        assert await rig.pass_until_next()
        assert rig.asking.heard == (heard("10.64.0.69"),)


async def test_what_is_lost_of_all_that_was_asked_is_counted_for_as_long_as_it_is_asked():
    async with a_rig() as rig:
        rig.asking.ask_from_now_on([question()])
        await rig.pass_until_next()
        rig.server.code = 2
        for _ in range(3):
            await rig.pass_until_next()
        assert rig.asking.asked == {"bergen": (4, 3)}
        rig.asking.ask_from_now_on([])
        assert rig.asking.asked == {}


async def test_what_is_not_used_is_asked_seldom_and_at_once_when_it_is_needed():
    async with a_rig() as rig:
        rig.asking.ask_from_now_on([question(often=False)])
        await rig.pass_until_next()
        assert rig.asking.next_us is not None
        assert rig.asking.next_us - rig.clock.boot_us() > 5 * WIRED.period_us
        rig.asking.ask_from_now_on([question(often=True)])
        assert rig.asking.next_us == 0
        await rig.pass_until_next()
        assert rig.asking.next_us - rig.clock.boot_us() < 2 * WIRED.period_us
        rig.asking.ask_from_now_on([question(soon=True)])
        assert rig.asking.next_us == 0
        await rig.pass_until_next()
        assert rig.asking.next_us - rig.clock.boot_us() < 1_000_000


async def test_what_is_no_longer_asked_is_forgotten():
    async with a_rig() as rig:
        rig.asking.ask_from_now_on([question()])
        await rig.pass_until_next()
        rig.asking.ask_from_now_on([])
        assert (rig.asking.heard, rig.asking.rtt_us, rig.asking.next_us) == ((), {}, None)


async def test_a_new_process_goes_on_with_what_was_heard():
    async with a_rig() as rig:
        rig.asking.remember([heard("10.64.0.69")], {SiteName("bergen"): 8_000})
        rig.asking.ask_from_now_on([question()])
        assert rig.asking.heard == (heard("10.64.0.69"),)
        assert not await rig.pass_until_next()


async def test_an_address_that_is_not_there_is_a_question_without_an_answer():
    async with a_rig() as rig:
        rig.asking.ask_from_now_on([Question(*KEY, SiteName("bergen"), "127.0.0.1", "192.0.2.200", RANGES, True)])
        for _ in range(TRIES):
            assert not await rig.pass_until_next()
        assert rig.asking.heard == ()
