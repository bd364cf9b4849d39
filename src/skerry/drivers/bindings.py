"""What is kept at the links of instances that run: guards at their outer ends, and routes in their namespaces.

Rules of this file:

1. Guards are chains of the table ``netdev skerry_guards``, one for each link; ``wires.py`` writes those of the links
   that it makes. The outer end is found by the numbers that the kernel gives both ends, which no instance can forge.
2. Our routes in an instance's namespace have the protocol number of those of the node; others are left as they are.
3. What was done stands in a file that is gone with the power. A guard that somebody took away is made again.

A chain whose device has gone with its instance is taken away with the next one that is made.
"""

import contextlib
import os
import re
import socket
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import msgspec

from skerry.clock import SECOND_US, Clock
from skerry.drivers.base import run_program
from skerry.drivers.wires import GUARDS, OuterEnd, build_guards, end_name
from skerry.model.ids import Digest
from skerry.model.observed import Observation
from skerry.plan.actions import DONE, Action, BindLinks, InsideRoute, Link, Outcome, failed

#: Names our routes in the kernel, as those of the node's tunnels.
ROUTE_PROTOCOL = "217"
_FILE = "bindings.json"
#: A thousand instances.
_FILE_BYTES_MAX = 1024 * 1024
#: Reading the guards is a process, and nobody but a person changes them.
_BELIEVED_US = 25 * SECOND_US

#: One device, or several in braces where ``nft`` is newer.
_DEVICE = re.compile(r'hook ingress devices? (?:= \{ )?"?([^" ]+)"?')

Run = Callable[..., Awaitable[tuple[int, bytes]]]


class _Bound(msgspec.Struct, frozen=True):
    digest: Digest
    #: Chains that guard it, each with the outer end that it was made for.
    ends: dict[str, OuterEnd]


class _Held(msgspec.Struct):
    local: str = ""


class _Device(msgspec.Struct):
    ifname: str = ""
    ifindex: int = 0
    #: Number of the other end of a pair, in the other end's namespace.
    link_index: int = 0
    master: str = ""
    addr_info: list[_Held] = []


class _Route(msgspec.Struct):
    dst: str = ""
    gateway: str = ""
    dev: str = ""


class BindingsDriver:
    """Driver over ``ip``, ``nft`` and ``nsenter``."""

    name = "bindings"
    performs = (BindLinks,)

    def __init__(
        self,
        read_process: Callable[[str], Awaitable[int]],
        folder: Path,
        clock: Clock,
        run_program: Run = run_program,
        find_index: Callable[[str], int] = socket.if_nametoindex,
    ) -> None:
        """``read_process`` gives the first process of a container, 0 for none; ``folder`` is gone with the power.

        ``find_index`` gives the number of a device of the node and raises ``OSError`` for none.
        """
        self._read_process = read_process
        self._file = folder / _FILE
        self._clock = clock
        self._run = run_program
        self._find_index = find_index
        self._bound: dict[str, _Bound] | None = None
        self._chains: tuple[int, frozenset[str]] | None = None

    async def observe(self) -> Observation:
        """Say what was done at which container, as far as its guards are there."""
        bound = {name: each for name, each in self._read().items() if all(map(self._is_there, each.ends.values()))}
        if any(each.ends for each in bound.values()):
            now_us = self._clock.boot_us()
            if self._chains is None or now_us - self._chains[0] > _BELIEVED_US:
                self._chains = now_us, frozenset(name for name, device in (await self._list_chains()).items() if device)
            present = self._chains[1]
            return self._tell({name: each for name, each in bound.items() if present.issuperset(each.ends)})
        return self._tell(bound)

    def _is_there(self, end: OuterEnd) -> bool:
        """Say whether the device is still the same: an instance that starts again gets another, maybe by that name."""
        try:
            return self._find_index(end.device) == end.number
        except OSError:
            return False

    def _tell(self, bound: dict[str, _Bound]) -> Observation:
        return Observation(driver=self.name, bindings={name: each.digest for name, each in bound.items()})

    async def perform(self, action: Action) -> Outcome:
        """Bind the links of one container, and lay its routes."""
        if not isinstance(action, BindLinks):
            return failed("E-DRIVER", f"the bindings driver does not do {type(action).__name__}")
        self._chains = None
        process = await self._read_process(action.container)
        try:
            descriptor = os.open(f"/proc/{process}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return failed("E-RUNTIME", "the container has no process any more")
        try:
            if os.fstat(descriptor).st_ino == os.stat("/proc/self/ns/net").st_ino:  # noqa: PTH116 - no disk is asked
                return failed("E-RUNTIME", "the container has no network namespace of its own")
            if await self._read_process(action.container) != process:
                return failed("E-RUNTIME", "the container was started anew meanwhile")
            await self._bind(action, ("nsenter", f"--net=/proc/{os.getpid()}/fd/{descriptor}", "--"))
        except _RefusedError as refused:
            return failed("E-NETWORK", str(refused))
        finally:
            os.close(descriptor)
        return DONE

    async def _bind(self, action: BindLinks, enter: tuple[str, ...]) -> None:
        inside = await self._list_devices(*enter, "ip", "-json", "address", "show")
        ends = await self._guard(action.container, action.guards, inside) if action.guards else {}
        await self._lay_routes(action.routes, inside, enter)
        bound = {name: each for name, each in self._read().items() if name != action.container}
        if action.digest:
            bound[action.container] = _Bound(action.digest, ends)
        self._write(bound)

    async def _guard(self, container: str, guards: tuple[Link, ...], inside: list[_Device]) -> dict[str, OuterEnd]:
        outside = await self._list_devices("ip", "-json", "link")
        ends = {(each.ifindex, each.link_index): OuterEnd(each.ifname, each.ifindex) for each in outside}
        found: dict[str, OuterEnd] = {}
        for link in guards:
            device = _find_device(inside, link.addresses)
            end = None if device is None else ends.get((device.link_index, device.ifindex))
            if end is None:
                raise _RefusedError(f"the outer end of its link in network {link.network} is not found")
            found[link.network] = end
        present = {each.ifname: each.ifindex for each in outside}
        stale = {
            name
            for each in self._read().values()
            for name, end in each.ends.items()
            if present.get(end.device) != end.number
        }
        chains = await self._list_chains()
        gone = [name for name, device in chains.items() if name in stale or device not in present]
        text = "".join(f"delete chain netdev {GUARDS} {name}\n" for name in gone)
        await self._must("nft", "-f", "-", given=(text + build_guards(container, guards, found)).encode())
        return {end_name(container, link.network): found[link.network] for link in guards}

    async def _lay_routes(self, routes: tuple[InsideRoute, ...], inside: list[_Device], enter: tuple[str, ...]) -> None:
        wanted: dict[str, tuple[str, str]] = {}
        for route in routes:
            device = _find_device(inside, (route.source,))
            if device is None:
                raise _RefusedError(f"the container does not have its address {route.source} any more")
            wanted[route.range] = route.gateway, device.ifname
        for family in ("-4", "-6"):
            code, output = await self._run(*enter, "ip", "-json", family, "route", "show", "proto", ROUTE_PROTOCOL)
            present = msgspec.json.decode(output.strip() or b"[]", type=list[_Route]) if code == 0 else []
            held = {each.dst: (each.gateway, each.dev) for each in present}
            mine = {target: way for target, way in wanted.items() if (":" in target) == (family == "-6")}
            lines = [f"route delete {target} proto {ROUTE_PROTOCOL}" for target in sorted(held.keys() - mine.keys())]
            lines += [
                f"route replace {target} via {gateway} dev {device} proto {ROUTE_PROTOCOL}"
                for target, (gateway, device) in sorted(mine.items())
                if held.get(target) != (gateway, device)
            ]
            if lines:
                await self._must(*enter, "ip", family, "-batch", "-", given="\n".join([*lines, ""]).encode())

    async def _list_devices(self, *words: str) -> list[_Device]:
        code, output = await self._run(*words)
        try:
            return msgspec.json.decode(output, type=list[_Device]) if code == 0 else []
        except msgspec.DecodeError as error:
            raise _RefusedError(f"ip does not tell of the links as it should: {error}") from error

    async def _list_chains(self) -> dict[str, str]:
        code, output = await self._run("nft", "list", "chains", "netdev")
        return read_chains(output.decode("utf-8", "replace")) if code == 0 else {}

    async def _must(self, *words: str, given: bytes) -> None:
        code, output = await self._run(*words, given=given)
        if code != 0:
            raise _RefusedError(f"its links are not bound: {output[:300].decode('utf-8', 'replace').strip()}")

    def _read(self) -> dict[str, _Bound]:
        if self._bound is None:
            self._bound = {}
            with contextlib.suppress(OSError, msgspec.DecodeError):
                if self._file.stat().st_size <= _FILE_BYTES_MAX:
                    self._bound = msgspec.json.decode(self._file.read_bytes(), type=dict[str, _Bound])
        return self._bound

    def _write(self, bound: dict[str, _Bound]) -> None:
        self._bound = bound
        fresh = self._file.with_name(f"{_FILE}.new")
        fresh.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh.write_bytes(msgspec.json.encode(bound))
        fresh.replace(self._file)


class _RefusedError(Exception):
    """The node does not do it."""


def _find_device(inside: list[_Device], addresses: Iterable[str]) -> _Device | None:
    return next((each for each in inside if {held.local for held in each.addr_info} & set(addresses)), None)


def read_chains(text: str) -> dict[str, str]:
    """Return chain → device of the guards, from ``nft list chains netdev``; no device where it has gone.

    Its JSON does not name devices (1.0.6), and its text does.
    """
    found: dict[str, str] = {}
    table = chain = ""
    for line in text.splitlines():
        words = line.split()
        if words[:2] == ["table", "netdev"]:
            table, chain = words[2], ""
        elif words[:1] == ["chain"] and table == GUARDS:
            chain = words[1]
            found[chain] = ""
        elif chain and table == GUARDS and (device := _DEVICE.search(line)):
            found[chain] = device[1]
    return found
