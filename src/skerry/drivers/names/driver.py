"""The node's name server, made to answer what a plan says.

Rules of this file:

1. No server runs where no network asks one.
2. What runs is adopted: the server outlives the agent, and what it answers is not touched by a new agent.
3. A changed network is one file, swapped whole, and one word to the server. When instances of several networks come or
   go it reads all of its settings. It binds addresses only as it starts, so when networks come or go another one is
   started beside it and takes its place. It answers all the while.
4. A server that died, hangs, or was told of resolvers that are no longer the node's is not as it should be, and the
   next plan makes it so.
"""

import asyncio
import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any

import msgspec

from skerry.clock import SECOND_US, Clock, Mint
from skerry.drivers.base import run_program
from skerry.drivers.names.asking import Asking
from skerry.drivers.names.server import RESIDENT_BYTES_MAX, NoServer, Process, Run, Server, find_program
from skerry.drivers.names.zones import list_answered, read_resolvers, write_settings, write_zones
from skerry.model.ids import SiteName
from skerry.model.observed import Heard, NamesSeen, Observation
from skerry.plan.actions import DONE, Action, ApplyNames, Outcome, Question, failed
from skerry.wire import LinkClass

#: A server that hangs is found within this; each look at it is a word and an answer.
_BELIEVED_US = 10 * SECOND_US
_KEPT_FILE = "kept.json"
_KEPT_BYTES_MAX = 4 * 1024 * 1024
_MISSING = "unbound is not there (package unbound)"


class _Kept(msgspec.Struct, frozen=True):
    """What was made, for the agent that comes after this one."""

    digest: str = ""
    process: Process | None = None
    resolvers: tuple[str, ...] = ()
    #: Addresses at which it listens.
    gateways: tuple[str, ...] = ()
    #: Digests of the settings and, by tag, of the zones that it answers from.
    settings: str = ""
    zones: dict[str, str] = {}
    answered: frozenset[str] = frozenset()
    questions: tuple[Question, ...] = ()
    heard: tuple[Heard, ...] = ()
    rtt_us: dict[SiteName, int] = {}


class NamesDriver:
    """Driver over unbound."""

    name = "names"
    performs = (ApplyNames,)

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        mint: Mint,
        link_class: LinkClass = "wired",
        run: Run = run_program,
        resolvers: Path = Path("/etc/resolv.conf"),
        resident_bytes_max: int = RESIDENT_BYTES_MAX,
    ) -> None:
        """``folder`` is gone with the power. ``run`` and ``resolvers`` reach the node: for tests another one."""
        self._folder = folder
        self._clock = clock
        self._server = Server(folder, run)
        self._asking = Asking(clock, mint, link_class)
        self._resolvers = resolvers
        self._resident_bytes_max = resident_bytes_max
        self._kept: _Kept | None = None
        self._asked_us = -_BELIEVED_US
        self._woken = asyncio.Event()
        self._watched: int | None = None
        self._is_alone = False

    # Looking

    async def observe(self) -> Observation:
        """Say whether the server is as it was told, and what other sites said."""
        kept = self._read_kept()
        digest = kept.digest if await self._is_good(kept) else ""
        return Observation(
            driver=self.name,
            names=NamesSeen(
                reason="" if find_program() else _MISSING,
                digest=digest,
                left=not digest and (self._folder / _KEPT_FILE).exists(),
                answered=kept.answered,
                heard=self._asking.heard,
                rtt_us=self._asking.rtt_us,
                asked=self._asking.asked,
            ),
        )

    async def _is_good(self, kept: _Kept) -> bool:
        process = kept.process
        if process is None:
            return not kept.digest
        if not process.is_alive() or kept.resolvers != self._read_resolvers():
            return False
        self._watch(process)
        if not self._is_alone:
            # An agent that was killed while one took the place of the other left two, and one of them knows less.
            await self._server.end_left(1 - process.place)
            self._is_alone = True
        now_us = self._clock.boot_us()
        if now_us - self._asked_us < _BELIEVED_US:
            return True
        if not await self._is_fit(process):
            return False
        self._asked_us = now_us
        return True

    def _read_resolvers(self) -> tuple[str, ...]:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return read_resolvers(self._resolvers.read_text())
        return ()

    def _watch(self, process: Process) -> None:
        """Be woken by its death."""
        if self._watched is not None:
            return
        with contextlib.suppress(OSError):
            self._watched = os.pidfd_open(process.pid)
            asyncio.get_running_loop().add_reader(self._watched, self._note_death)

    def _note_death(self) -> None:
        self._unwatch()
        self._woken.set()

    def _unwatch(self) -> None:
        if self._watched is not None:
            asyncio.get_running_loop().remove_reader(self._watched)
            os.close(self._watched)
            self._watched = None

    async def wait_changed(self) -> None:
        """Ask other sites what is due until what they say changes, or until the server dies."""
        self._read_kept()
        while True:
            if self._woken.is_set():
                self._woken.clear()
                kept = self._read_kept()
                if kept.process is not None and not kept.process.is_alive():
                    return
            if await self._asking.ask_due():
                self._keep(
                    msgspec.structs.replace(self._read_kept(), heard=self._asking.heard, rtt_us=self._asking.rtt_us)
                )
                return
            await self._wait_woken(self._asking.next_us)

    async def _wait_woken(self, until_us: int | None) -> None:
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._woken.wait())]
        if until_us is not None:
            waits.append(asyncio.ensure_future(self._clock.sleep_until(until_us)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    # Doing

    async def perform(self, action: Action) -> Outcome:
        """Make the server answer what the action says."""
        if not isinstance(action, ApplyNames):
            return failed("E-DRIVER", f"the names driver does not do {type(action).__name__}")
        try:
            await (self._apply(action) if action.zones else self._end())
        except NoServer as error:
            return failed("E-NETWORK", str(error))
        except OSError as error:
            return failed("E-DISK-FULL" if error.errno == 28 else "E-DISK", f"{type(error).__name__}: {error}")
        self._asking.ask_from_now_on(action.questions)
        self._woken.set()
        return DONE

    async def _end(self) -> None:
        kept = self._read_kept()
        self._unwatch()
        if kept.process is not None:
            await self._server.end(kept.process)
        for place in (0, 1):
            await self._server.end_left(place)
        self._server.clear()
        self._kept = _Kept()

    async def _apply(self, action: ApplyNames) -> None:
        before = self._read_kept()
        process = before.process if before.process is not None and before.process.is_alive() else None
        resolvers = self._read_resolvers()
        self._server.prepare()
        zones = write_zones(action)
        digests = {name: _digest(content) for name, content in zones.items()}
        # What is known to be answered is forgotten first: a step that fails leaves the whole to be done again.
        self._keep(msgspec.structs.replace(before, digest="", zones={}, settings=""))
        changed = [name for name in zones if before.zones.get(name) != digests[name]]
        for name in changed:
            self._server.write(f"{name}.zone", zones[name])
        place = process.place if process is not None else 0
        settings = write_settings(action, resolvers, self._server.paths(place))
        gateways = tuple(sorted(gateway for zone in action.zones for gateway in zone.gateways))
        if process is None or gateways != before.gateways or not await self._is_fit(process):
            process, settings = await self._replace(before.process, action, resolvers)
        elif _digest(settings) != before.settings:
            await self._server.reload(process, settings)
        else:
            for name in changed:
                await self._server.reload_zone(process, name)
        self._server.keep_only({f"{name}.zone" for name in zones})
        self._asked_us = self._clock.boot_us()
        self._keep(
            _Kept(
                digest=action.digest,
                process=process,
                resolvers=resolvers,
                gateways=gateways,
                settings=_digest(settings),
                zones=digests,
                answered=list_answered(action.zones),
                questions=action.questions,
                heard=self._asking.heard,
                rtt_us=self._asking.rtt_us,
            )
        )
        self._watch(process)

    async def _is_fit(self, process: Process) -> bool:
        is_small = process.resident_bytes() <= self._resident_bytes_max
        return is_small and await self._server.tell(process, "status")

    async def _replace(
        self, old: Process | None, action: ApplyNames, resolvers: tuple[str, ...]
    ) -> tuple[Process, str]:
        """Start another server beside the old one, if that is there, and end the old one once the new one answers."""
        place = 0 if old is None else 1 - old.place
        settings = write_settings(action, resolvers, self._server.paths(place))
        process = await self._server.start(settings, place)
        self._unwatch()
        if old is not None:
            await self._server.end(old)
        return process, settings

    # What was made

    def _read_kept(self) -> _Kept:
        if self._kept is None:
            self._kept = _Kept()
            with contextlib.suppress(OSError, msgspec.DecodeError):  # another release wrote it: all is made anew
                content = (self._folder / _KEPT_FILE).read_bytes()[:_KEPT_BYTES_MAX]
                self._kept = msgspec.json.decode(content, type=_Kept)
            self._asking.remember(self._kept.heard, self._kept.rtt_us)
            self._asking.ask_from_now_on(self._kept.questions)
        return self._kept

    def _keep(self, kept: _Kept) -> None:
        self._kept = kept
        if self._folder.exists():
            self._server.write(_KEPT_FILE, msgspec.json.encode(kept).decode(), mode=0o600)


def _digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()
