"""The site's entrance as a driver: HAProxy by its socket, UDP by nftables.

Rules of this file:

1. HAProxy is a daemon of its own. It runs only while an entrance is wished, outlives the agent, and is adopted by the
   next one: what was applied stands in a file that is gone with the power, and the process is asked whether it is so.
2. A change of copies or of a certificate's bytes is told to the running process; ports, routes and backends need a
   reload: a new process takes the sockets over and the old one ends what it has begun.
3. Files and process are made from one wish. A port that something else has and a certificate that is none are left out
   and told (``flaws``): no tenant can shut another one's door.
4. A change that was begun and came to no end is known by its mark, also to the agent after a killed one, and is made
   again or taken back whole.
5. Certificates lie in memory only, readable by root. Ours are the folder, the process and table ``skerry_entrance``.

Who holds which place outlives the machine's power, so that a place does not change hands by a reboot.
"""

import contextlib
import os
import pwd
import signal
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import msgspec

from skerry.clock import SECOND_US, Clock
from skerry.drivers.base import run_program
from skerry.drivers.entrance import datagrams as udp
from skerry.drivers.entrance.control import ask
from skerry.drivers.entrance.haproxy import (
    CONFIG,
    QUESTIONS,
    SOCKET,
    Answers,
    Around,
    certificate_file,
    is_as_wished,
    list_words,
    read_answers,
    read_shape,
    write_files,
)
from skerry.model.entrance import HTTP_PORT, HTTPS_PORT
from skerry.model.ids import Digest
from skerry.model.observed import EntranceSeen, Observation, ServerSeen
from skerry.plan.actions import DONE, Action, ApplyEntrance, Certificate, Outcome, failed
from skerry.plan.entrance import list_holders
from skerry.safe.files import read_durable, write_durable
from skerry.safe.paths import Directory

PROGRAM = "haproxy"
#: The user that Debian's package makes; without it the process stays root.
_USER = "haproxy"
_APPLIED = "applied.json"
_HOLDERS = "holders.json"
#: The mark of a change under way.
_CHANGING = "changing"
#: A thousand copies and their states are 300 kB.
_APPLIED_BYTES_MAX = 16 * 1024 * 1024
#: Each reading of the table is a process, and nobody but a person changes it.
_BELIEVED_US = 25 * SECOND_US
#: How soon a port that was taken, or a certificate that was none, is tried again.
_AGAIN_US = 60 * SECOND_US
_V6 = Path("/proc/self/net/if_inet6")

Run = Callable[..., Awaitable[tuple[int, bytes]]]


class _Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What was applied last."""

    wish: ApplyEntrance
    around: Around
    #: ``BACKEND/SERVER`` to its state and the boot time since which it is in it.
    since: dict[str, tuple[str, int]] = {}
    #: Host to the version of the certificate that lies in its file.
    shown: dict[str, Digest] = {}
    flaws: dict[str, str] = {}
    applied_us: int = 0


class _Held(msgspec.Struct, frozen=True):
    local: str = ""


class _Device(msgspec.Struct, frozen=True):
    ifname: str = ""
    addr_info: tuple[_Held, ...] = ()


class _Change(msgspec.Struct, frozen=True):
    """A change that was begun: what it may have left behind."""

    #: The process that goes home once another has its sockets; 0 for none.
    former: int = 0
    #: Ports that the entrance may have by it.
    ports: frozenset[int] = frozenset()
    #: One before it came to no end either.
    again: bool = False


class EntranceDriver:
    """Driver over ``haproxy``, ``nft`` and ``conntrack``."""

    name = "entrance"
    performs = (ApplyEntrance,)

    def __init__(
        self,
        run: Path,
        state: Directory,
        open_secret: Callable[[Digest], bytes],
        clock: Clock,
        run_program: Run = run_program,
    ) -> None:
        """``run`` is a folder in memory, gone with the power; ``state`` one that stays."""
        self._folder = run
        self._state = state
        self._open_secret = open_secret
        self._clock = clock
        self._run = run_program
        self._applied: _Applied | None = None
        self._loaded = False
        self._holders: dict[str, str] | None = None
        self._table: tuple[int, bool] = (0, False)
        #: Of a change that has come to no end.
        self._change: _Change | None = None

    async def observe(self) -> Observation:
        """See what runs; a node that has no entrance starts no process and asks nobody."""
        return Observation(driver=self.name, entrance=await self._look())

    async def perform(self, action: Action) -> Outcome:
        """Make the entrance what is wished."""
        if not isinstance(action, ApplyEntrance):
            return failed("E-DRIVER", f"the entrance driver does not do {type(action).__name__}")
        self._load()
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._mark(_Change() if self._change is None else msgspec.structs.replace(self._change, again=True))
            outcome = await self._apply(action)
            if outcome.ok:
                (self._folder / _CHANGING).unlink(missing_ok=True)
                self._change = None
        except (OSError, ValueError) as error:
            return failed("E-ENTRANCE", f"the entrance cannot be made: {error}")
        return outcome

    def _mark(self, change: _Change) -> None:
        """Note what a change may leave behind, before it does."""
        self._write(_CHANGING, msgspec.json.encode(change))
        self._change = change

    async def _look(self) -> EntranceSeen:
        self._load()
        holders, applied = self._holders or {}, self._applied
        if applied is None:
            return EntranceSeen(holders=holders, left=self._change is not None)
        wish, answers, digest = applied.wish, None, str(applied.wish.digest)
        if _needs_proxy(wish):
            answers = await self._ask()
            shape = read_shape(wish, applied.around)
            if answers is None or answers.shape != shape or not is_as_wished(wish.backends, answers.copies):
                digest = ""
        if not await self._has_table(applied):
            digest = ""
        now_us = self._clock.boot_us()
        if applied.flaws and now_us - applied.applied_us > _AGAIN_US:
            digest = ""
        return EntranceSeen(
            digest=digest,
            left=self._change is not None,
            servers=_list_seen(applied, answers),
            holders=holders,
            flaws=dict(applied.flaws),
            shown=dict(applied.shown),
            counts=answers.counts if answers is not None else {},
        )

    async def _apply(self, action: ApplyEntrance) -> Outcome:
        before, change = self._applied, self._change or _Change()
        answers = await self._ask()
        if _is_ours(change.former, self._folder) and (answers is None or answers.pid != change.former):
            await self._send_home(change.former)
        if not action.digest:
            return await self._end(before, answers)
        flaws: dict[str, str] = {}
        shown = dict(before.shown) if before is not None else {}
        changed = self._lay_out_certificates(action, shown, flaws)
        around = Around(
            folder=str(self._folder),
            user=_find_user(),
            v6=_has_v6(),
            ports=self._find_taken(action, before if answers else None, change.ports if answers else (), flaws),
            hosts=frozenset(each.host for each in action.certificates if each.host not in shown),
        )
        self._mark(msgspec.structs.replace(change, ports=change.ports | (_list_ports(action) - around.ports)))
        if _needs_proxy(action):
            outcome = await self._make_proxy(action, around, answers, changed)
            if not outcome.ok:
                return outcome
        elif answers is not None:
            await self._send_home(answers.pid)
        outcome = await self._make_table(action, before)
        if not outcome.ok:
            return outcome
        self._note(action, around, shown, flaws)
        return DONE

    async def _make_proxy(
        self, action: ApplyEntrance, around: Around, answers: Answers | None, changed: list[Certificate]
    ) -> Outcome:
        for name, content in write_files(action, around).items():
            self._write(name, content)
        if answers is None or answers.shape != read_shape(action, around):
            return await self._start(answers)
        for each in changed:
            await self._show(each.host)
        words = list_words(action.backends, answers.copies)
        if words:
            # One that still has idle connections cannot be deleted yet and stays in maintenance until the next change.
            await ask(self._socket, ";".join(words).encode() + b"\n")
            answers = await self._ask()
            if answers is None or not is_as_wished(action.backends, answers.copies):
                return await self._start(answers)
        return DONE

    async def _start(self, running: Answers | None) -> Outcome:
        """Start a process with what the files say; one that runs gives its sockets over and ends what it has begun."""
        words = [PROGRAM, "-D", "-f", str(self._folder / CONFIG), "-p", str(self._folder / "haproxy.pid")]
        if running is not None:
            words += ["-x", self._socket]
            self._mark(msgspec.structs.replace(self._change or _Change(), former=running.pid))
        code, output = await self._run(*words)
        if code == 127:
            return failed("E-ENTRANCE", "haproxy is not installed on this node, so nothing leads people in")
        if code != 0:
            said = output[:300].decode("utf-8", "replace").strip()
            return failed("E-ENTRANCE", f"haproxy does not start: {said}")
        if running is not None:
            await self._send_home(running.pid)
        return DONE

    async def _show(self, host: str) -> None:
        """Have the running process show a host's new certificate; connections that stand keep the old one."""
        path = str(self._folder / certificate_file(host))
        content = (self._folder / certificate_file(host)).read_bytes().strip().replace(b"\n\n", b"\n")
        await ask(self._socket, f"set ssl cert {path} <<\n".encode() + content + b"\n\n")
        answer = await ask(self._socket, f"commit ssl cert {path}\n".encode())
        if b"Success" not in answer:
            raise OSError(f"the proxy does not take the certificate of {host}")

    def _lay_out_certificates(
        self, action: ApplyEntrance, shown: dict[str, Digest], flaws: dict[str, str]
    ) -> list[Certificate]:
        """Write what is new into memory; return what changed of hosts that had one. A bad one leaves the one before."""
        changed: list[Certificate] = []
        for each in action.certificates:
            is_there = (self._folder / certificate_file(each.host)).exists()
            if shown.get(each.host) == each.version and is_there:
                continue
            try:
                content = self._open_secret(each.version)
                self._check_certificate(content)
            except (OSError, ValueError) as error:
                reason = f"the certificate of {each.host} is none: {str(error)[:120]}"
                places = [f"http/{route.host}{route.path}" for route in action.routes if route.host == each.host]
                flaws |= dict.fromkeys(places, reason)
                continue
            self._write(certificate_file(each.host), content)
            if each.host in shown:
                changed.append(each)
            shown[each.host] = each.version
        wished = {each.host for each in action.certificates}
        for host in [host for host in shown if host not in wished]:
            del shown[host]
            (self._folder / certificate_file(host)).unlink(missing_ok=True)
        return changed

    def _check_certificate(self, content: bytes) -> None:
        """Raise ``ValueError`` unless the bytes are a chain and the key that belongs to it."""
        self._write("candidate.pem", content)
        candidate = self._folder / "candidate.pem"
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(candidate, password=lambda: "")
        except ssl.SSLError as error:
            raise ValueError(error.reason or "no chain and key in PEM") from error
        finally:
            candidate.unlink()

    def _find_taken(
        self, action: ApplyEntrance, before: _Applied | None, begun: Iterable[int], flaws: dict[str, str]
    ) -> frozenset[int]:
        """Return the ports that something else listens at; ``begun`` are those of a change that came to no end."""
        ours = set(begun) | (_list_ports(before.wish) - before.around.ports if before is not None else set[int]())
        taken = frozenset(port for port in _list_ports(action) - ours if not _is_free(port))
        for place, port in _list_places(action):
            if port in taken:
                flaws[place] = f"port {port} of the node is in use by another program"
        return taken

    async def _make_table(self, action: ApplyEntrance, before: _Applied | None) -> Outcome:
        old = before.wish.datagrams if before is not None else ()
        if not (action.datagrams or old or (self._change is not None and self._change.again)):
            return DONE
        self._table = (0, False)
        code, output = await self._run("nft", "-f", "-", given=udp.build_table(action.datagrams).encode())
        if code != 0:
            said = output[:300].decode("utf-8", "replace")
            return failed("E-NETWORK", f"nft refused the table of the entrance: {said}")
        for port, address in udp.list_left(old, action.datagrams):
            # Flows that stand would go on to a copy that is gone.
            await self._forget(port, "--reply-src", address)
        opened = {each.port for each in action.datagrams} - {each.port for each in old}
        for address in sorted(await self._list_own()) if opened else ():
            for port in sorted(opened):
                # Who has sent all the while was led nowhere, and would be for as long as he goes on.
                await self._forget(port, "--orig-dst", address, "--reply-src", address)
        return DONE

    async def _forget(self, port: int, *words: str) -> None:
        await self._run("conntrack", "-D", "-p", "udp", "--orig-port-dst", str(port), *words)

    async def _list_own(self) -> set[str]:
        """Return the addresses at which the node is spoken to from outside; none where they cannot be read."""
        code, output = await self._run("ip", "-json", "address", "show", "up")
        try:
            devices = msgspec.json.decode(output, type=list[_Device]) if code == 0 else []
        except msgspec.DecodeError:
            return set()
        return {held.local for each in devices if not each.ifname.startswith("sk") for held in each.addr_info}

    async def _has_table(self, applied: _Applied) -> bool:
        if not applied.wish.datagrams:
            return True
        now_us = self._clock.boot_us()
        if not self._table[1] or now_us - self._table[0] > _BELIEVED_US:
            code, output = await self._run("nft", "list", "chains", "inet")
            self._table = now_us, code == 0 and udp.mark_of(applied.wish.datagrams).encode() in output
        return self._table[1]

    async def _end(self, before: _Applied | None, answers: Answers | None) -> Outcome:
        if answers is not None:
            await self._send_home(answers.pid)
        outcome = await self._make_table(ApplyEntrance(digest=Digest("")), before)
        for path in self._folder.iterdir():
            if path.name != _CHANGING:
                path.unlink()
        self._applied = None
        self._remember({})
        return outcome

    async def _send_home(self, pid: int) -> None:
        """Ask a process to end when what it has begun is over; its own user may, where the agent's unit may not."""
        try:
            os.kill(pid, signal.SIGUSR1)
        except ProcessLookupError:
            pass
        except PermissionError:
            user = _find_user()
            await self._run(
                *("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "kill", "-USR1", str(pid))
            )

    async def _ask(self) -> Answers | None:
        try:
            return read_answers(await ask(self._socket, QUESTIONS))
        except (OSError, ValueError):
            return None

    @property
    def _socket(self) -> str:
        return str(self._folder / SOCKET)

    def _note(self, action: ApplyEntrance, around: Around, shown: dict[str, Digest], flaws: dict[str, str]) -> None:
        now_us = self._clock.boot_us()
        before = self._applied.since if self._applied is not None else {}
        since: dict[str, tuple[str, int]] = {}
        for name, state in _list_states(action):
            old, since_us = before.get(name, ("", 0))
            since[name] = (state, since_us if old == state else now_us)
        applied = _Applied(wish=action, around=around, since=since, shown=shown, flaws=flaws, applied_us=now_us)
        self._write(_APPLIED, msgspec.json.encode(applied))
        self._applied = applied
        self._remember(list_holders(action))

    def _remember(self, holders: dict[str, str]) -> None:
        if holders != self._holders:
            write_durable(self._state, _HOLDERS, msgspec.json.encode(holders, order="deterministic"))
            self._holders = holders

    def _load(self) -> None:
        if self._loaded:
            return
        stored = read_durable(self._state, _HOLDERS, limit=_APPLIED_BYTES_MAX)
        with contextlib.suppress(msgspec.DecodeError):
            self._holders = msgspec.json.decode(stored.content, type=dict[str, str]) if stored is not None else {}
        with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
            self._applied = msgspec.json.decode((self._folder / _APPLIED).read_bytes(), type=_Applied)
        with contextlib.suppress(FileNotFoundError):
            content = (self._folder / _CHANGING).read_bytes()
            self._change = _Change()
            with contextlib.suppress(msgspec.DecodeError):
                self._change = msgspec.json.decode(content, type=_Change)
        self._loaded = True

    def _write(self, name: str, content: bytes) -> None:
        """Put a file in its place at once, readable by root alone."""
        fresh = self._folder / f"{name}.new"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        fresh.rename(self._folder / name)


def _needs_proxy(wish: ApplyEntrance) -> bool:
    return bool(wish.routes or wish.listeners)


def _is_ours(pid: int, folder: Path) -> bool:
    """Say whether a process was started with our file: another one may have its number by now."""
    try:
        return str(folder / CONFIG).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _list_states(wish: ApplyEntrance) -> list[tuple[str, str]]:
    found = [(f"{backend.name}/{each.name}", str(each.state)) for backend in wish.backends for each in backend.servers]
    return found + [(f"u{each.port}/{server.name}", server.state) for each in wish.datagrams for server in each.servers]


def _list_seen(applied: _Applied, answers: Answers | None) -> tuple[ServerSeen, ...]:
    """Return copies as the process has them; who is asked over UDP is as the table says."""
    found: list[ServerSeen] = []
    for each in answers.copies if answers is not None else ():
        name = f"{each.backend}/{each.name}"
        if each.state != "maint" and name in applied.since:
            state = "up" if each.state == "up" else "drain"
            since_us = applied.since[name][1]
            found.append(
                ServerSeen(
                    backend=each.backend,
                    name=each.name,
                    state=state,
                    well=each.well,
                    sessions=each.sessions,
                    since_us=since_us,
                    port=each.port,
                )
            )
    for each in applied.wish.datagrams:
        for server in each.servers:
            since_us = applied.since[f"u{each.port}/{server.name}"][1]
            found.append(
                ServerSeen(
                    backend=f"u{each.port}",
                    name=server.name,
                    state=server.state,
                    well=True,
                    since_us=since_us,
                    port=server.port,
                )
            )
    return tuple(found)


def _list_places(wish: ApplyEntrance) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for route in wish.routes:
        place = f"http/{route.host}{route.path}"
        found += [(place, HTTP_PORT)] + ([(place, HTTPS_PORT)] if route.secure else [])
    return found + [(f"tcp/{each.port}", each.port) for each in wish.listeners]


def _list_ports(wish: ApplyEntrance) -> set[int]:
    return {port for _, port in _list_places(wish)}


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def _has_v6() -> bool:
    try:
        return bool(_V6.read_text().strip())
    except OSError:
        return False


def _find_user() -> str:
    try:
        pwd.getpwnam(_USER)
    except KeyError:
        return ""
    return _USER if os.geteuid() == 0 else ""
