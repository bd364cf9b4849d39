"""The node's tunnels to other sites: WireGuard over ``wg`` and ``ip``.

Rules of this file:

1. What runs is adopted: interfaces outlive the agent, and an interface that is as wished is not touched.
2. Ours are the links ``skw0`` to ``skw3`` and the routes of our own protocol number; nothing else is read or changed.
3. Secret keys go to ``wg`` over a pipe, never in words that the machine's other users could see.
4. A node without such networks runs no process for them.

Where the kernel makes no WireGuard link, wireguard-go does: a process a link, which ends when its link is deleted. It
is let go of at once, so that it outlives the agent. What was applied last stands in a file that is gone with the power.
"""

import asyncio
import contextlib
import shutil
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from skerry.clock import SECOND_US, Clock
from skerry.drivers.base import run_program
from skerry.drivers.overlay.addresses import read_addresses, read_routes
from skerry.drivers.overlay.wireguard import (
    INTERFACES,
    InterfaceSeen,
    PeerSeen,
    by_interface,
    interface_name,
    list_calls,
    matches,
    read_dump,
    write_key,
)
from skerry.model.errors import SkerryError
from skerry.model.network import TUNNEL_MTU
from skerry.model.observed import Observation, OverlaySeen, OwnKey, TunnelSeen
from skerry.plan.actions import (
    DONE,
    Action,
    ApplyOverlay,
    DropOverlayKey,
    MakeOverlayKey,
    Outcome,
    Tunnel,
    failed,
)
from skerry.plan.overlay import own_port
from skerry.plan.ways import is_heard
from skerry.safe.files import read_durable, write_durable
from skerry.safe.paths import Directory

#: Names our routes in the kernel; from the range that ``rtnetlink(7)`` leaves to administrators.
ROUTE_PROTOCOL = "217"
#: The links of this process's own network, whatever /sys shows.
_DEVICES = Path("/proc/self/net/dev")
#: The way of both families.
_FAMILIES = ("-4", "-6")
#: Each look at tunnels is a process for each link, so what was seen is believed for some seconds.
_BELIEVED_S = 2.0
#: Routes and the node's addresses change when a person or a lease changes them.
_SLOW_BELIEVED_S = 25.0
#: How often it is looked whether something is sent into a tunnel that nobody answers; reads one small file a link.
_WATCH_US = 2 * SECOND_US
#: Tunnels of a node: 64 networks of 33 peers are 300 kB.
_APPLIED_BYTES_MAX = 16 * 1024 * 1024
_APPLIED_FILE = "overlay.json"
#: What an interface is called whose state is not what was applied: no digest, so it is applied again.
_UNLIKE = "unlike"
_SPARE_LINK = "skw-probe"
#: Of no network: each link has one, which nobody asks for.
_LINK_ADDRESSES = "169.254.217."
_TUN = Path("/dev/net/tun")

_Mode = Literal["kernel", "wireguard-go", ""]
Run = Callable[..., Awaitable[tuple[int, bytes]]]


class KeyRoom(Protocol):
    """Where the node's overlay keys are (``keys/overlay.py``)."""

    def list_own(self) -> tuple[OwnKey, ...]:
        """Return the keys with their statements, the oldest first."""
        ...

    def make(self, number: int) -> None:
        """Make a key, durably, unless it is there."""
        ...

    def drop(self, number: int) -> None:
        """Forget a key."""
        ...

    def public(self, number: int) -> bytes | None:
        """Return the public half."""
        ...

    def secret(self, number: int) -> bytes | None:
        """Return the secret half."""
        ...


class _Applied(msgspec.Struct, frozen=True):
    """What was applied last, and where each peer was told to look, by interface and key."""

    tunnels: tuple[Tunnel, ...] = ()
    digest: str = ""
    told: dict[str, dict[str, str]] = {}


class _Link(msgspec.Struct, frozen=True):
    flags: tuple[str, ...] = ()


class OverlayDriver:
    """Driver over ``wg``, ``ip`` and ``wireguard-go``."""

    name = "overlay"
    performs = (ApplyOverlay, MakeOverlayKey, DropOverlayKey)

    def __init__(
        self,
        keys: KeyRoom,
        run: Directory,
        clock: Clock,
        port: int,
        run_program: Run = run_program,
        read_devices: Callable[[], str] = _DEVICES.read_text,
    ) -> None:
        """``run`` is a folder that is gone with the power, ``port`` the first of the node's four UDP ports.

        ``run_program`` and ``read_devices`` reach the node's network: for tests it may be another one's.
        """
        self._keys = keys
        self._run_folder = run
        self._clock = clock
        self._port = port
        self._run = run_program
        self._read_devices = read_devices
        self._applied: _Applied | None = None
        self._mode: _Mode = ""
        self._seen: tuple[float, OverlaySeen] | None = None
        self._slow: tuple[float, tuple[str, ...], dict[str, str]] | None = None
        #: By interface and key: the last handshake and the boot time at which it was; bytes when something last came.
        self._heard: dict[tuple[str, bytes], tuple[int, int]] = {}
        #: … and when something was first sent after that; 0 while nothing was.
        self._quiet: dict[tuple[str, bytes], tuple[int, int, int]] = {}
        #: Bytes that had come when a peer's place was told last.
        self._told_at: dict[tuple[str, bytes], int] = {}
        self._changed = asyncio.Event()
        self._missed: set[str] = set()

    async def observe(self) -> Observation:
        """See the node's keys, tunnels and addresses; a node that has never had any is not looked at."""
        now = asyncio.get_running_loop().time()
        if self._seen is None or now - self._seen[0] > _BELIEVED_S:
            self._seen = now, await self._look(now)
        return Observation(driver=self.name, overlay=self._seen[1])

    async def perform(self, action: Action) -> Outcome:
        """Do one step."""
        self._seen = None
        match action:
            case MakeOverlayKey():
                self._keys.make(action.number)
                return DONE
            case DropOverlayKey():
                self._keys.drop(action.number)
                return DONE
            case ApplyOverlay():
                self._slow = None
                try:
                    await self._apply(action)
                except _Refused as refused:
                    return failed(refused.code, str(refused))
                finally:
                    self._changed.set()
                return DONE
            case _:
                return failed("E-DRIVER", f"the overlay driver does not do {type(action).__name__}")

    async def wait_changed(self) -> None:
        """Return when a link is gone, or something was sent into a tunnel whose other end is not known to be there."""
        counts: dict[str, int] = {}
        while True:
            if self._applied is None or not self._applied.tunnels:
                await self._changed.wait()
                self._changed.clear()
                continue
            await self._clock.sleep_until(self._clock.boot_us() + _WATCH_US)
            before, counts = counts, self._count_sent()
            seen = self._seen[1].tunnels if self._seen else ()
            silent = {interface_name(each.own, aside=each.aside) for each in seen if not is_heard(each)}
            # What stays gone is told once: whoever hears of it tries again by himself.
            gone, missed = by_interface(self._applied.tunnels).keys() - counts.keys(), self._missed
            self._missed = gone
            if gone - missed or any(counts.get(name) != before.get(name) for name in silent & before.keys()):
                self._seen = None
                return

    # Looking

    async def _look(self, now: float) -> OverlaySeen:
        applied = self._read_applied()
        try:
            keys = self._keys.list_own()
        except SkerryError as error:
            return OverlaySeen(reason=error.detail, digest=applied.digest)
        present = self._count_sent().keys()
        is_idle = not (keys or present or applied.digest)
        mode, reason = await self._find_mode(is_idle=is_idle)
        if not mode or is_idle:
            return OverlaySeen(mode=mode, reason=reason, keys=keys, port=self._port, digest=applied.digest)
        try:
            addresses, routes = await self._look_slowly(now)
        except (ValueError, msgspec.DecodeError) as error:
            return OverlaySeen(reason=f"ip said what nobody understands: {error}", keys=keys, digest=applied.digest)
        seen = {name: found for name in present if (found := await self._show(name)) is not None}
        return OverlaySeen(
            mode=mode,
            keys=keys,
            port=self._port,
            addresses=addresses,
            digest=self._judge(applied, present, seen, routes),
            tunnels=self._list_tunnels(applied, seen),
        )

    def _judge(
        self, applied: _Applied, present: Collection[str], seen: dict[str, InterfaceSeen], routes: dict[str, str]
    ) -> str:
        """Return the digest of what was applied while everything still is so."""
        wanted = by_interface(applied.tunnels)
        good = set(present) == wanted.keys() == seen.keys() and routes == _list_routes(applied.tunnels)
        for name, tunnels in wanted.items() if good else ():
            own, aside = _whose(tunnels)
            port = own_port(self._port, own, aside=aside)
            good = good and matches(tunnels, seen[name], self._keys.public(own) or b"", port)
        return applied.digest if good else _UNLIKE

    def _list_tunnels(self, applied: _Applied, seen: dict[str, InterfaceSeen]) -> tuple[TunnelSeen, ...]:
        wall_s, boot_us = self._clock.wall_us() // SECOND_US, self._clock.boot_us()
        found: list[TunnelSeen] = []
        heard: dict[tuple[str, bytes], tuple[int, int]] = {}
        quiet: dict[tuple[str, bytes], tuple[int, int, int]] = {}
        for name, tunnels in sorted(by_interface(applied.tunnels).items()):
            interface = seen.get(name)
            for key, tunnel in sorted(tunnels.items()):
                peer = interface.peers.get(key) if interface else None
                if peer is None:
                    continue
                place = name, key
                stamp, at_us = self._heard.get(place, (0, 0))
                if peer.heard_at_s != stamp:
                    # The wall clock may jump: it is asked once, for what this process did not see happen.
                    age_s = max(wall_s - peer.heard_at_s, 0) if place not in self._heard else 0
                    stamp, at_us = peer.heard_at_s, boot_us - age_s * SECOND_US
                heard[place] = stamp, at_us
                received, sent, since_us = self._quiet.get(place, (-1, 0, 0))
                if peer.received_bytes != received:
                    received, sent, since_us = peer.received_bytes, peer.sent_bytes, 0
                elif peer.sent_bytes > sent and not since_us:
                    since_us = boot_us
                quiet[place] = received, sent, since_us
                found.append(
                    TunnelSeen(
                        own=tunnel.own,
                        aside=tunnel.aside,
                        key=key,
                        told=applied.told.get(name, {}).get(write_key(key), ""),
                        heard_s=(boot_us - at_us) // SECOND_US if stamp else None,
                        place=peer.place,
                        answered=peer.received_bytes != self._told_at.get(place, -1),
                        trying=peer.sent_bytes > sent,
                        silent_s=(boot_us - since_us) // SECOND_US if since_us else 0,
                        received_bytes=peer.received_bytes,
                        sent_bytes=peer.sent_bytes,
                    )
                )
        self._heard, self._quiet = heard, quiet
        return tuple(found)

    async def _look_slowly(self, now: float) -> tuple[tuple[str, ...], dict[str, str]]:
        if self._slow is None or now - self._slow[0] > _SLOW_BELIEVED_S:
            links = await self._ask("ip", "-json", "address")
            ways = [await self._ask("ip", "-json", family, "route", "show", "default") for family in _FAMILIES]
            routes: dict[str, str] = {}
            for family in _FAMILIES:
                routes |= read_routes(
                    await self._ask("ip", "-json", family, "route", "show", "proto", ROUTE_PROTOCOL, "table", "main")
                )
            self._slow = now, read_addresses(links, ways), routes
        return self._slow[1], self._slow[2]

    async def _show(self, name: str) -> InterfaceSeen | None:
        code, output = await self._run("wg", "show", name, "dump")
        with contextlib.suppress(ValueError):
            return read_dump(output.decode()) if code == 0 else None
        return None

    def _count_sent(self) -> dict[str, int]:
        """Return the packets that were sent into each of our links that are there."""
        rows = (line.partition(":") for line in self._read_devices().splitlines())
        return {name: int(row.split()[9]) for each, _, row in rows if (name := each.strip()) in INTERFACES}

    async def _find_mode(self, *, is_idle: bool) -> tuple[_Mode, str]:
        """Say what makes a tunnel here. A link is tried only once tunnels are wished, or where nothing else would do.

        Whether the kernel can is found out by trying: its version says nothing.
        """
        if self._mode:
            return self._mode, ""
        if shutil.which("wg") is None or shutil.which("ip") is None:
            return "", "wg or ip is not there (packages wireguard-tools and iproute2)"
        other = _find_other_mode()
        if is_idle and other:
            return other, ""
        code, output = await self._run("ip", "link", "add", "dev", _SPARE_LINK, "type", "wireguard")
        if code == 0:
            await self._run("ip", "link", "delete", "dev", _SPARE_LINK)
        self._mode = "kernel" if code == 0 else other
        said = output.decode("utf-8", "replace").strip()[:200]
        return (
            self._mode,
            "" if self._mode else f"the kernel makes no WireGuard link ({said}) and wireguard-go is not there",
        )

    # Doing

    async def _apply(self, action: ApplyOverlay) -> None:
        wanted = by_interface(action.tunnels)
        mode, reason = await self._find_mode(is_idle=False)
        if wanted and not mode:
            raise _Refused("E-NETWORK", reason)
        before = self._read_applied()
        told = {name: dict(places) for name, places in before.told.items() if name in wanted}
        try:
            for name, tunnels in sorted(wanted.items()):
                await self._apply_interface(mode, name, tunnels, told.setdefault(name, {}))
            await self._apply_routes(_list_routes(action.tunnels))
            for name in INTERFACES:
                if name not in wanted and name in self._count_sent():
                    await self._must("ip", "link", "delete", "dev", name)
        except BaseException:
            # What was told was told; the rest is applied again from what is seen.
            self._keep_applied(msgspec.structs.replace(before, told=told))
            raise
        self._keep_applied(_Applied(action.tunnels, action.digest, told))

    async def _apply_interface(
        self, mode: _Mode, name: str, tunnels: dict[bytes, Tunnel], told: dict[str, str]
    ) -> None:
        own, aside = _whose(tunnels)
        secret, public, port = self._keys.secret(own), self._keys.public(own), own_port(self._port, own, aside=aside)
        if secret is None:
            raise _Refused("E-NETWORK", f"overlay key {own} is not there")
        seen = await self._show(name) if name in self._count_sent() else None
        if seen is None:
            await self._make_link(mode, name)
            told.clear()
            seen = InterfaceSeen(b"", 0, {})
        elif not await self._is_up(name):
            await self._prepare_link(name)  # an agent was killed over it
        if (seen.public, seen.port) != (public, port):
            words = ("wg", "set", name, "listen-port", str(port), "private-key", "/dev/stdin")
            await self._must(*words, given=write_key(secret).encode())
            seen = await self._show(name)
            if seen is None or seen.port != port:
                raise _Refused("E-PORT-IN-USE", f"UDP port {port} for tunnels is in use: set overlay_port to another")
        before = {key: told[text] for key in tunnels if (text := write_key(key)) in told}
        # A peer that was heard after the look on which the plan stands has a place that works: it keeps that one.
        heard = {key for key in before.keys() & seen.peers.keys() if self._is_heard_since(name, key, seen.peers[key])}
        tunnels = {
            key: msgspec.structs.replace(each, endpoint=before[key]) if key in heard and before[key] else each
            for key, each in tunnels.items()
        }
        for words, keys in list_calls(tunnels, seen, before):
            await self._must("wg", "set", name, *words)
            for key in keys:
                if key in tunnels and told.get(write_key(key)) != tunnels[key].endpoint:
                    told[write_key(key)] = tunnels[key].endpoint
                    self._told_at[name, key] = seen.peers[key].received_bytes if key in seen.peers else 0
        for gone in told.keys() - {write_key(key) for key in tunnels}:
            del told[gone]

    def _is_heard_since(self, name: str, key: bytes, peer: PeerSeen) -> bool:
        """Say whether something has come from a peer since the last look."""
        received, _, _ = self._quiet.get((name, key), (-1, 0, 0))
        return -1 < received < peer.received_bytes

    async def _make_link(self, mode: _Mode, name: str) -> None:
        if name in self._count_sent():
            await self._must("ip", "link", "delete", "dev", name)  # no WireGuard answers at it
        if mode == "kernel":
            await self._must("ip", "link", "add", "dev", name, "type", "wireguard")
        else:
            # It goes on by itself in the background, and its starter ends once the link is there.
            await self._must("setsid", "wireguard-go", name)
        await self._prepare_link(name)

    async def _is_up(self, name: str) -> bool:
        """Say whether a link is up, which it is once it was prepared whole."""
        try:
            links = msgspec.json.decode(await self._ask("ip", "-json", "link", "show", "dev", name), type=list[_Link])
        except msgspec.DecodeError:
            return False
        return any("UP" in each.flags for each in links)

    async def _prepare_link(self, name: str) -> None:
        mtu = str(TUNNEL_MTU)
        await self._must("ip", "link", "set", "dev", name, "mtu", mtu, "addrgenmode", "none", "txqueuelen", "1000")
        # While keys change a packet may come by one link and its answer go by another. The kernel's loose check of
        # sources lets that pass, but only at a link that has an address (fib_validate_source).
        address = f"{_LINK_ADDRESSES}{INTERFACES.index(name)}/32"
        await self._must("ip", "address", "replace", address, "dev", name, "scope", "link")
        await self._run("tee", f"/proc/sys/net/ipv4/conf/{name}/rp_filter", given=b"2")
        await self._must("ip", "link", "set", "dev", name, "up")

    async def _apply_routes(self, wanted: dict[str, str]) -> None:
        _, present = await self._look_slowly(asyncio.get_running_loop().time())
        lines: dict[str, list[str]] = {family: [] for family in _FAMILIES}
        for target, device in sorted(wanted.items()):
            if present.get(target) != device:
                lines[_family(target)].append(f"route replace {target} dev {device} proto {ROUTE_PROTOCOL}")
        for target, device in sorted(present.items()):
            if target not in wanted:
                lines[_family(target)].append(f"route delete {target} dev {device} proto {ROUTE_PROTOCOL}")
        self._slow = None
        for family, batch in lines.items():
            if batch:
                # A route is gone with its link, so one that cannot be deleted is no trouble: the next look tells.
                await self._must("ip", family, "-force", "-batch", "-", given="\n".join(batch).encode())

    async def _ask(self, *words: str) -> bytes:
        code, output = await self._run(*words)
        return output if code == 0 else b""

    async def _must(self, *words: str, given: bytes = b"") -> None:
        code, output = await self._run(*words, given=given)
        if code != 0:
            said = output.decode("utf-8", "replace").strip()[:300]
            raise _Refused("E-NETWORK", f"{' '.join(words[:3])}: {said}")

    # What was applied

    def _read_applied(self) -> _Applied:
        if self._applied is None:
            self._applied = _Applied()
            found = read_durable(self._run_folder, _APPLIED_FILE, limit=_APPLIED_BYTES_MAX)
            if found is not None:
                with contextlib.suppress(msgspec.DecodeError):  # another release wrote it: everything is applied anew
                    self._applied = msgspec.json.decode(found.content, type=_Applied)
        return self._applied

    def _keep_applied(self, applied: _Applied) -> None:
        self._applied = applied
        write_durable(self._run_folder, _APPLIED_FILE, msgspec.json.encode(applied))


def _find_other_mode() -> _Mode:
    return "wireguard-go" if shutil.which("wireguard-go") and _TUN.exists() else ""


class _Refused(Exception):
    """The node does not do it; ``code`` is a stable word."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def _whose(tunnels: dict[bytes, Tunnel]) -> tuple[int, bool]:
    """Return the own key of an interface and whether it is that key's second one."""
    one = next(iter(tunnels.values()))
    return one.own, one.aside


def _list_routes(tunnels: tuple[Tunnel, ...]) -> dict[str, str]:
    """Return range → interface: what goes to the ranges of a peer goes by the tunnel that is used."""
    used = (each for each in tunnels if each.used)
    return {target: interface_name(each.own, aside=each.aside) for each in used for target in each.ranges}


def _family(target: str) -> str:
    return "-6" if ":" in target else "-4"
