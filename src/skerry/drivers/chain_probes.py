"""Sends the test packets of a chain into a bridge, as an instance there would, and sees where the kernel has them.

Rules of this file:

1. The way in is a port of the bridge that is this process's alone (a TAP device that goes with its descriptor), so
   nothing of it is left behind by a death.
2. It changes nothing of the bridge: the port has the bridge's own MTU, and the highest hardware address, since a bridge
   may take the lowest of its ports.
3. Seeing costs little: sockets are open for one probing only, and the kernel hands over what has the token and nothing
   else. Times are the kernel's, so how busy this process is does not count.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import ipaddress
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path

import msgspec

from skerry.clock import Clock, Mint
from skerry.drivers.base import run_program
from skerry.model.observed import Observation, ProbePass
from skerry.plan.actions import Action, Outcome, ProbeChain, failed
from skerry.plan.chain_frames import build_frame, read_token, token_offset
from skerry.plan.chain_probes import PROBE_MAC

_TUN = Path("/dev/net/tun")
#: ``linux/if_tun.h``, ``linux/sockios.h``, ``linux/if_packet.h``, ``asm-generic/socket.h``, ``linux/if_ether.h``.
_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
_SIOCGIFMTU, _SIOCGIFHWADDR = 0x8921, 0x8927
_OUTGOING, _SO_ATTACH_FILTER, _SO_TIMESTAMPNS, _ETH_P_ALL = 4, 26, 35, 0x0003
_MAC = bytes.fromhex(PROBE_MAC.replace(":", ""))
_PORT = "skerry-probe"
#: Packets are so far apart that none meets the one before it, and the last one is waited for so long.
GAP_US = 20_000
LAST_S = 1.0
#: Longer than any frame that is looked at: only its beginning matters.
_FRAME = 128
#: A timestamp and what stands around it.
_ANCILLARY = 64

Run = Callable[..., Awaitable[tuple[int, bytes]]]


class _Address(msgspec.Struct):
    local: str = ""
    prefixlen: int = 0


class _Link(msgspec.Struct):
    """One row of ``ip -json address``."""

    addr_info: list[_Address] = []


class ChainProbesDriver:
    """Driver over a TAP device and packet sockets."""

    name = "chain-probes"
    performs = (ProbeChain,)

    def __init__(self, clock: Clock, mint: Mint, run: Run = run_program) -> None:
        self._clock = clock
        self._mint = mint
        self._run = run

    async def observe(self) -> Observation:
        """There is nothing to see: nothing of a probing is left when it ends."""
        return Observation(driver=self.name)

    async def perform(self, action: Action) -> Outcome:
        """Send and look; that a node cannot do so is no failure, and its reason is the outcome's."""
        if not isinstance(action, ProbeChain):
            return failed("E-DRIVER", f"the driver of test packets does not do {type(action).__name__}")
        try:
            with contextlib.ExitStack() as stack:
                return Outcome(ok=True, passes=await self._probe(action, stack))
        except OSError as error:
            return Outcome(ok=True, passes=(), reason=f"this node sends no test packets: {error}")

    async def _find_ends(self, action: ProbeChain) -> ProbeChain:
        """Choose an address at each end that has none: one that the range of its device there has."""
        found = {"source": action.source, "target": action.target}
        for end, device in (("source", action.source_by), ("target", action.target_by)):
            if device and not found[end]:
                found[end] = await self._find_address(device, action.family)
        return msgspec.structs.replace(action, **found)

    async def _find_address(self, device: str, family: str) -> str:
        words = ("ip", "-json", "-6" if family == "ip6" else "-4", "address", "show", "dev", device, "scope", "global")
        code, output = await self._run(*words)
        try:
            links = msgspec.json.decode(output, type=list[_Link]) if code == 0 else []
        except msgspec.DecodeError:
            links = []
        for one in (one for link in links for one in link.addr_info):
            own = ipaddress.ip_interface(f"{one.local}/{one.prefixlen}")
            others = [own.network[place] for place in (-2, 1) if own.network.num_addresses > 3]
            free = next((str(other) for other in others if other != own.ip), "")
            if free:
                return free
        raise OSError(f"{device} has no range of addresses to choose one of")

    async def _probe(self, action: ProbeChain, stack: contextlib.ExitStack) -> tuple[ProbePass, ...]:
        action = await self._find_ends(action)
        port = stack.enter_context(_open_port())
        target, mtu = _read_bridge(action.bridge)
        for words in (
            ("ip", "link", "set", "dev", _PORT, "address", _MAC.hex(":"), "mtu", str(mtu), "addrgenmode", "none"),
            ("ip", "link", "set", "dev", _PORT, "master", action.bridge, "up"),
        ):
            code, output = await self._run(*words)
            if code != 0:
                raise OSError(output.decode("utf-8", "replace").strip()[:200])
        prefix = int.from_bytes(self._mint.draw(3), "big") << 8
        bridges = sorted({action.bridge, *(bridge for hop in action.hops for bridge, _ in hop.links)})
        # Each passes the node once more often than there are steps, and is seen there coming and, but once, going.
        look = _Look(action, (action.count + 1) * (2 * len(action.hops) + 1))
        eyes = [_Eye(stack.enter_context(_open_eye(bridge, action, prefix)), bridge, look) for bridge in bridges]
        loop = asyncio.get_running_loop()
        for eye in eyes:
            loop.add_reader(eye.end, eye.look)
            stack.callback(loop.remove_reader, eye.end)
        for number in range(action.count + 1):
            os.write(port, build_frame(action, prefix | number, _MAC, target))
            await self._clock.sleep_until(self._clock.boot_us() + GAP_US)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_S):
                await look.all_seen.wait()
        return tuple(sorted(look.seen))


class _Look:
    """What all bridges showed."""

    def __init__(self, action: ProbeChain, wanted: int) -> None:
        self.action, self._wanted = action, wanted
        self.seen: list[ProbePass] = []
        self.all_seen = asyncio.Event()

    def add(self, one: ProbePass) -> None:
        self.seen.append(one)
        if len(self.seen) >= self._wanted:
            self.all_seen.set()


class _Eye:
    """What one bridge shows."""

    def __init__(self, end: socket.socket, bridge: str, look: _Look) -> None:
        self.end, self._bridge, self._look = end, bridge, look

    def look(self) -> None:
        """Take in what the kernel has."""
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, ancillary, _, place = self.end.recvmsg(_FRAME, _ANCILLARY)
                token = read_token(self._look.action, frame)
                stamps = [data for _, kind, data in ancillary if kind == _SO_TIMESTAMPNS]
                if token is None or not stamps:
                    continue
                seconds, nanoseconds = struct.unpack("@ll", stamps[0])
                inward = place[2] != _OUTGOING
                mac = frame[6:12] if inward else frame[:6]
                at_ns = seconds * 1_000_000_000 + nanoseconds
                self._look.add(ProbePass(at_ns, token & 0xFF, self._bridge, mac.hex(":"), inward))


@contextlib.contextmanager
def _open_port() -> Generator[int]:
    port = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(port, _TUNSETIFF, struct.pack("16sH22x", _PORT.encode(), _IFF_TAP | _IFF_NO_PI))
        yield port
    finally:
        os.close(port)


@contextlib.contextmanager
def _open_eye(bridge: str, action: ProbeChain, prefix: int) -> Generator[socket.socket]:
    """Open a socket that sees what has the token, coming or going; until it is bound it sees nothing."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as end:
        # Load the token, keep its upper 24 bits, and take the frame if they are ours (``linux/filter.h``).
        program = (
            (0x20, 0, 0, token_offset(action)),
            (0x54, 0, 0, 0xFFFF_FF00),
            (0x15, 0, 1, prefix),
            (0x06, 0, 0, _FRAME),
            (0x06, 0, 0, 0),
        )
        words = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *word) for word in program))
        filter_ = struct.pack("@HP", len(program), ctypes.addressof(words))
        end.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filter_)
        end.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        end.setblocking(False)
        end.bind((bridge, _ETH_P_ALL))
        yield end


def _read_bridge(name: str) -> tuple[bytes, int]:
    """Return hardware address and MTU of a device."""
    asked = struct.pack("16s16x", name.encode())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        mac = fcntl.ioctl(end, _SIOCGIFHWADDR, asked)[18:24]
        return mac, struct.unpack_from("@i", fcntl.ioctl(end, _SIOCGIFMTU, asked), 16)[0]
