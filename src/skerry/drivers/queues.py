"""The node's queues, over ``tc`` and ``nft``: who may send how much over an uplink, and be sent how much.

Rules of this file:

1. Ours are the queue disciplines of our own handle and the table ``inet skerry_queues``; a device whose root somebody
   else has given a queue is never touched.
2. The class of a packet is set by nft where the node forwards it, before its addresses are translated: ``htb`` reads
   it off the packet, on the uplink for what an instance sends, on the bridge for what it is sent.
3. Where a packet of a capped instance leaves by something that has no queue of ours, as a tunnel or an uplink of
   unknown rate, what is above its rate is dropped.
4. The table is replaced last and whole; a chain named by the digest says what it was made from.

The disciplines are ``htb`` with ``pfifo``, which all kernels with traffic control have; more is not asked of them.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from skerry.drivers.base import run_program
from skerry.model.observed import Observation, QueuesSeen
from skerry.plan.actions import DONE, Action, ApplyQueues, Cap, Outcome, QueueClass, failed
from skerry.plan.queues import OTHER_CLASS

TABLE = "skerry_queues"
#: Major number of our queue disciplines.
HANDLE = "5e2f"
_OTHERS = ("0:", "")
#: The links of this process's own network, whatever /sys shows.
_DEVICES = Path("/proc/self/net/dev")
#: Links of instances come and go all the time, and no queue is ever at one of them.
_PASSING = ("veth", "lo")
#: What was read is believed for so long; only a person, or a network that is made anew, changes it.
_BELIEVED_S = 25.0
#: What may wait in a queue at its full rate, and be sent at once: a fifth and a fiftieth of a second.
_WAIT = 5
_BURST = 50
_PACKET_BYTES = 1_514
_PACKETS_MIN, _PACKETS_MAX = 16, 1_000
#: The most that one class sends in its turn.
_QUANTUM_BYTES_MAX = 60_000
_MARK = re.compile(rf'"table": "{TABLE}", "name": "made_from_([0-9a-f]{{64}})"')
_CLASS = re.compile(rf"^class htb {HANDLE}:([0-9a-f]+) .*?rate (\S+) ceil (\S+)", re.MULTILINE)
_UNKNOWN = "kind is unknown"

Run = Callable[..., Awaitable[tuple[int, bytes]]]


class _Discipline(msgspec.Struct):
    kind: str = ""
    handle: str = ""
    dev: str = ""
    root: bool = False


class QueuesDriver:
    """Driver over ``tc`` and ``nft``."""

    name = "queues"
    performs = (ApplyQueues,)

    def __init__(self, run_program: Run = run_program, read_devices: Callable[[], str] = _DEVICES.read_text) -> None:
        """``run_program`` and ``read_devices`` reach the node's network: for tests it may be another one's."""
        self._run = run_program
        self._read_devices = read_devices
        self._seen: tuple[float, QueuesSeen] | None = None
        self._reason = ""

    async def observe(self) -> Observation:
        """See what the queues were made from and which devices have any."""
        now = asyncio.get_running_loop().time()
        if self._seen is None or now - self._seen[0] > _BELIEVED_S:
            self._seen = now, await self._look()
        moved = self._count_moved()
        reason = self._reason or self._seen[1].reason
        seen = msgspec.structs.replace(self._seen[1], links=frozenset(moved), moved=moved, reason=reason)
        return Observation(driver=self.name, queues=seen)

    async def perform(self, action: Action) -> Outcome:
        """Make queues and table as they are to be."""
        if not isinstance(action, ApplyQueues):
            return failed("E-DRIVER", f"the queues driver does not do {type(action).__name__}")
        self._seen = None
        wanted = _list_wanted(action)
        present = await self._look()
        if present.foreign & wanted.keys():
            return failed("E-QUEUES", f"{min(present.foreign & wanted.keys())} has queues that somebody else has made")
        lines = [f"qdisc del dev {device} root" for device in sorted(present.devices - wanted.keys())]
        for device in sorted(wanted):
            is_uplink = any(each.device == device for each in action.uplinks)
            classes = await self._list_classes(device) if device in present.devices else {}
            lines += _write_device(device, wanted[device], classes, is_new=device not in present.devices, own=is_uplink)
        if lines:
            code, output = await self._run("tc", "-batch", "-", given=("\n".join(lines) + "\n").encode())
            if code != 0:
                return self._fail("tc", output)
        code, output = await self._run("nft", "-f", "-", given=write_table(action).encode())
        return DONE if code == 0 else self._fail("nft", output)

    def _fail(self, program: str, output: bytes) -> Outcome:
        text = output[:300].decode("utf-8", "replace").strip()
        if _UNKNOWN in text:
            self._reason = "this kernel has no queue discipline htb: nothing is limited and no uplink is shared out"
        return failed("E-QUEUES", f"{program} refused the queues: {text}")

    async def _look(self) -> QueuesSeen:
        code, output = await self._run("tc", "-json", "qdisc", "show")
        if code != 0:
            return QueuesSeen(
                reason=f"tc does not say which queues there are: {output[:100].decode('utf-8', 'replace')}"
            )
        try:
            found = [each for each in msgspec.json.decode(output, type=list[_Discipline]) if each.root]
        except msgspec.DecodeError:
            return QueuesSeen(reason="tc said what nobody understands")
        code, output = await self._run("nft", "-j", "list", "chains", "inet")
        mark = _MARK.search(output.decode("ascii", "replace")) if code == 0 else None
        return QueuesSeen(
            digest=f"sha256:{mark[1]}" if mark else "",
            devices=frozenset(each.dev for each in found if each.handle == f"{HANDLE}:"),
            foreign=frozenset(each.dev for each in found if each.handle not in (f"{HANDLE}:", *_OTHERS)),
        )

    async def _list_classes(self, device: str) -> dict[int, tuple[str, str]]:
        _, output = await self._run("tc", "class", "show", "dev", device)
        text = output.decode("ascii", "replace")
        return {int(number, 16): (rate, ceil) for number, rate, ceil in _CLASS.findall(text)}

    def _count_moved(self) -> dict[str, int]:
        try:
            lines = self._read_devices().splitlines()[2:]
        except OSError:
            return {}
        moved: dict[str, int] = {}
        for line in lines:
            name, _, numbers = line.partition(":")
            counts = numbers.split()
            # The first column is received bytes, the ninth sent ones.
            if not name.strip().startswith(_PASSING) and len(counts) > 8:
                moved[name.strip()] = int(counts[0]) + int(counts[8])
        return moved


def _list_wanted(action: ApplyQueues) -> dict[str, list[QueueClass]]:
    """Return the classes of each device: of uplinks as they are, of a bridge one for each instance that is capped."""
    wanted = {each.device: list(each.classes) for each in action.uplinks}
    for cap in action.caps:
        for device in cap.devices if cap.down_bps else ():
            one = QueueClass(number=cap.number, rate_bps=cap.down_bps, ceil_bps=cap.down_bps, order=1)
            wanted.setdefault(device, []).append(one)
    return wanted


def _write_device(
    device: str, classes: list[QueueClass], present: Mapping[int, tuple[str, str]], *, is_new: bool, own: bool
) -> list[str]:
    """Return lines for ``tc -batch``. What has no class passes on a bridge, and shares what is left of an uplink."""
    lines: list[str] = []
    root, top = f"{HANDLE}:", f"{HANDLE}:"
    if is_new:
        # The class of what has none: on an uplink ``OTHER_CLASS``; 0 lets it through unqueued.
        rest = OTHER_CLASS if own else 0
        lines.append(f"qdisc add dev {device} root handle {root} htb default {rest:x}")
    numbers = {each.number for each in classes}
    if own:
        top, most = f"{HANDLE}:1", max(each.ceil_bps for each in classes)
        lines.append(f"class replace dev {device} parent {root} classid {top} htb {_write_rates(most, most)}")
        numbers.add(1)
    for each in classes:
        name = f"{HANDLE}:{each.number:x}"
        words = f"{_write_rates(each.rate_bps, each.ceil_bps)} prio {each.order}"
        lines.append(f"class replace dev {device} parent {top} classid {name} htb {words}")
        if each.number not in present:
            packets = min(max(each.ceil_bps // 8 // _WAIT // _PACKET_BYTES, _PACKETS_MIN), _PACKETS_MAX)
            lines.append(f"qdisc add dev {device} parent {name} pfifo limit {packets}")
    lines += [f"class del dev {device} classid {HANDLE}:{number:x}" for number in sorted(present.keys() - numbers)]
    return lines


def _write_rates(rate_bps: int, ceil_bps: int) -> str:
    bursts = [max(bps // 8 // _BURST, 2 * _PACKET_BYTES) for bps in (rate_bps, ceil_bps)]
    quantum = min(max(rate_bps // 8 // _BURST, _PACKET_BYTES), _QUANTUM_BYTES_MAX)
    return f"rate {rate_bps}bit ceil {ceil_bps}bit burst {bursts[0]}b cburst {bursts[1]}b quantum {quantum}"


def write_table(action: ApplyQueues) -> str:
    """Return the table as nft's own text; every word in it is a constant, a number, an address or a device's name."""
    lines = [f"table inet {TABLE} {{}}", f"delete table inet {TABLE}"]
    if not action.digest:
        return "\n".join(lines) + "\n"
    bridges = sorted({device for each in (*action.caps, *action.ranks) for device in each.devices})
    queued = _set(f'"{each.device}"' for each in action.uplinks)
    ours = _set(f'"{name}"' for name in bridges)
    sending = [cap for cap in action.caps if cap.up_bps]
    lines += [f"table inet {TABLE} {{", f"  chain made_from_{action.digest.removeprefix('sha256:')} {{ }}"]
    for cap in sending:
        burst = max(cap.up_bps // 8 // _WAIT, 16 * _PACKET_BYTES)
        lines.append(
            f"  limit cap_{cap.number:x} {{ rate over {max(cap.up_bps // 8, 1)} bytes/second burst {burst} bytes }}"
        )
    lines += ["  chain classes {", "    type filter hook forward priority filter + 10; policy accept;"]
    for family, mark in (("ip", "."), ("ip6", ":")):
        down = _map(action.caps, mark, lambda cap: f"{HANDLE}:{cap.number:x}" if cap.down_bps else "")
        up = _map(action.caps, mark, lambda cap: f"{HANDLE}:{cap.number:x}" if cap.up_bps else "")
        limits = _map(action.caps, mark, lambda cap: f'"cap_{cap.number:x}"' if cap.up_bps else "")
        if down:
            lines.append(f"    oifname {ours} meta priority set {family} daddr map {down}")
        if up and action.uplinks:
            lines.append(f"    iifname {ours} oifname {queued} meta priority set {family} saddr map {up}")
        for rank in action.ranks if action.uplinks else ():
            if addresses := [each for each in rank.addresses if mark in each]:
                words = f"{family} saddr {_set(addresses)} meta priority set {HANDLE}:{rank.number:x}"
                lines.append(f"    iifname {ours} oifname {queued} {words}")
        if limits:
            others = _set(f'"{name}"' for name in (*(each.device for each in action.uplinks), *bridges))
            lines.append(f"    iifname {ours} oifname != {others} limit name {family} saddr map {limits} drop")
    return "\n".join([*lines, "  }", "}"]) + "\n"


def _map(caps: tuple[Cap, ...], mark: str, choose: Callable[[Cap], str]) -> str:
    pairs = [
        f"{address} : {choose(cap)}" for cap in caps if choose(cap) for address in cap.addresses if mark in address
    ]
    return "{ " + ", ".join(pairs) + " }" if pairs else ""


def _set(words: Iterable[str]) -> str:
    return "{ " + ", ".join(words) + " }"
