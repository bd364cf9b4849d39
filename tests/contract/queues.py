"""What every driver of queues does alike: run against the fake and against the kernel's own in a namespace.

Each check is a coroutine over a ``Rig``: a node with one instance behind a bridge, an uplink, and another way out.
"""

from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

from skerry.drivers.base import Driver
from skerry.model.ids import AppName, Digest, NetworkName, TenantName, digest_of
from skerry.model.network import bridge_name
from skerry.model.observed import QueuesSeen
from skerry.plan.actions import ApplyQueues, Cap, QueueClass, UplinkQueue

Way = Literal["up", "down", "aside"]
MBIT = 10**6
NAMES = (TenantName("alpha"), AppName("shop"), NetworkName("default"))
BRIDGE = bridge_name(*NAMES)
UPLINK, OTHER = "up0", "up1"
ADDRESS, FURTHER = "10.176.7.2", "fd00:7::2"
#: More than any cap of these checks, and what no rig falls below without one.
FREE_BPS = 60 * MBIT


class Rig(Protocol):
    driver: Driver

    async def measure(self, way: Way) -> float:
        """Bits per second that the instance gets through: out by the uplink, in by it, or out by the other way."""
        ...

    async def queue_foreign(self, device: str) -> None:
        """Let somebody else give a device a queue."""
        ...

    async def is_foreign(self, device: str) -> bool:
        """Whether that queue is still there."""
        ...


def make(up: int = 0, down: int = 0, line: int = 0) -> ApplyQueues:
    """An uplink of ``line`` and an instance with a cap, in Mbit/s."""
    caps: tuple[Cap, ...] = ()
    if up or down:
        tenant, app, network = NAMES
        cap = Cap(
            number=0x123,
            tenant=tenant,
            app=app,
            networks=(network,),
            addresses=(ADDRESS, FURTHER),
            up_bps=up * MBIT,
            down_bps=down * MBIT,
        )
        caps = (cap,)
    own = (QueueClass(number=0x123, rate_bps=up * MBIT, ceil_bps=up * MBIT, order=1),) if up else ()
    classes = (
        QueueClass(number=0x10, rate_bps=MBIT, ceil_bps=line * MBIT, order=0),
        QueueClass(number=0x20, rate_bps=MBIT, ceil_bps=line * MBIT, order=1),
        *own,
    )
    uplinks = (UplinkQueue(device=UPLINK, classes=classes),) if line else ()
    digest = digest_of(repr((uplinks, caps)).encode()) if uplinks or caps else Digest("")
    return ApplyQueues(uplinks=uplinks, caps=caps, digest=digest)


async def see(rig: Rig) -> QueuesSeen:
    seen = await rig.driver.observe()
    assert seen.queues is not None
    return seen.queues


async def do(rig: Rig, action: ApplyQueues) -> None:
    outcome = await rig.driver.perform(action)
    assert outcome.ok, outcome
    assert (await see(rig)).digest == action.digest


async def expect(rig: Rig, way: Way, mbit: int, *, least: float = 0.6) -> None:
    found = await rig.measure(way)
    assert least * mbit * MBIT <= found <= 1.25 * mbit * MBIT, f"{way}: {found / MBIT:.2f} of {mbit} Mbit/s"


async def check_a_node_begins_without_queues(rig: Rig) -> None:
    seen = await see(rig)
    assert (seen.digest, seen.devices, seen.reason) == ("", frozenset(), "")
    assert UPLINK in seen.links
    assert await rig.measure("up") > FREE_BPS


async def check_a_cap_holds_both_ways(rig: Rig) -> None:
    await do(rig, make(up=4, down=8, line=40))
    assert (await see(rig)).devices == {UPLINK, BRIDGE}
    await expect(rig, "up", 4)
    await expect(rig, "down", 8)


async def check_an_uplink_is_shared_by_who_has_no_cap(rig: Rig) -> None:
    await do(rig, make(line=20))
    assert (await see(rig)).devices == {UPLINK}
    await expect(rig, "up", 20)
    assert await rig.measure("down") > FREE_BPS


async def check_where_nothing_is_queued_what_is_above_the_cap_is_dropped(rig: Rig) -> None:
    await do(rig, make(up=4))
    assert (await see(rig)).devices == frozenset()
    # Who is dropped sends less for a while, how much less is his own affair.
    await expect(rig, "up", 4, least=0.2)
    await do(rig, make(up=4, line=40))
    await expect(rig, "aside", 4, least=0.2)


async def check_repeating_is_no_change_and_a_changed_cap_holds_at_once(rig: Rig) -> None:
    await do(rig, make(up=4, down=4, line=40))
    await do(rig, make(up=4, down=4, line=40))
    await do(rig, make(up=12, down=4, line=40))
    await expect(rig, "up", 12)
    await expect(rig, "down", 4)
    await do(rig, make(down=6, line=40))
    await expect(rig, "up", 40)
    await expect(rig, "down", 6)


async def check_what_is_no_longer_wished_is_gone(rig: Rig) -> None:
    await do(rig, make(up=4, down=4, line=40))
    await do(rig, make())
    seen = await see(rig)
    assert (seen.digest, seen.devices) == ("", frozenset())
    assert await rig.measure("up") > FREE_BPS
    assert await rig.measure("down") > FREE_BPS


async def check_what_somebody_else_has_queued_is_left_alone(rig: Rig) -> None:
    await rig.queue_foreign(UPLINK)
    outcome = await rig.driver.perform(make(up=4, line=40))
    assert (outcome.ok, outcome.code) == (False, "E-QUEUES")
    assert UPLINK in outcome.reason
    assert UPLINK in (await see(rig)).foreign
    assert await rig.is_foreign(UPLINK)
    await do(rig, make(up=4))
    await do(rig, make())
    assert await rig.is_foreign(UPLINK)


CHECKS: dict[str, Callable[[Rig], Awaitable[None]]] = {
    name: item for name, item in sorted(globals().items()) if name.startswith("check_")
}
