"""Composition: the programs put together from their parts and their settings. No logic.

Each function imports what its program needs and nothing else, so that an agent never loads the core. A store that has
failed ends the process with code 74: the supervisor starts it again, and it opens, checks and recovers.
"""

import asyncio
import contextlib
import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Literal

import msgspec

from skerry import supervise
from skerry.clock import SystemClock, SystemMint
from skerry.model.errors import Invalid, SkerryError
from skerry.model.ids import NodeName
from skerry.model.network import OVERLAY_PORTS
from skerry.safe.errors import EXIT_STORE_FAILED, StoreFailed
from skerry.wire import LinkClass

#: Bytes in a second of a Mbit, and more of those than any relay carries.
_MBIT_BYTES = 125_000
_RELAY_MBIT_MAX = 1_000_000
_MIB = 1 << 20
#: A pool of a quarter GiB is the least that is worth its tables; no node has more than 64 TiB.
_POOL_MIB_MIN, _POOL_MIB_MAX = 256, 64 << 20
#: A request to the keeper of limits is one short line.
_REQUEST_BYTES_MAX = 128


class _Supervised(msgspec.Struct, frozen=True, kw_only=True):
    """What a supervisor says to every program of ours."""

    #: ``NOTIFY_SOCKET`` and ``WATCHDOG_USEC`` of systemd; empty and 0 without one.
    notify_socket: str = ""
    watchdog_us: int = 0
    #: Where the process writes its id, for ``skerry down``; empty for none.
    pid_file: str = ""


class CoreSettings(_Supervised, frozen=True, kw_only=True):
    """A core on one machine."""

    #: Blobs and the delivery key, and the database unless ``database_url`` says otherwise.
    data: Path
    #: ``postgresql://USER@HOST/NAME``, or the path of a SQLite file. Also read from ``SKERRY_DATABASE_URL``.
    database_url: str = ""
    #: Where people, CI and the console are served; plain HTTP, so loopback or behind a proxy that speaks TLS.
    api_host: str = "127.0.0.1"
    api_port: int = 7710
    #: Where sites are served.
    link_host: str = "0.0.0.0"
    link_port: int = 7711
    #: ``host:port`` under which sites reach the link listener, comma-separated, first the preferred one.
    endpoints: str = ""
    #: Name of this replica, in its certificate.
    replica: str = "one"
    #: ``ADDRESS:FIRST-LAST``: where sites find the relay (``python -m skerry relay``), and its UDP ports, two for each
    #: pair of sites that cannot reach each other. Empty for no relay.
    relay: str = ""
    #: The file by which the relay is told of its pairs; ``relay.json`` in ``data`` where nothing is said.
    relay_table: Path | None = None
    #: Mbit a second that the relay carries for one pair and for all of them, both ways together; 0 for no limit.
    relay_pair_mbit_s: int = 100
    relay_mbit_s: int = 0


class KeeperOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done with a core from outside its process (core/keeping.py)."""

    do: Literal["backup", "restore", "migrate", "doctor"]
    #: The backup to write or read.
    file: Path | None = None
    #: Where a core is moved to.
    to: str = ""
    overwrite: bool = False


class AgentSettings(_Supervised, frozen=True, kw_only=True):
    """An agent of one node."""

    #: Journal, keys, images and volumes: what must survive a reboot.
    state: Path
    #: The agent's own socket and what is gone with the power.
    run: Path
    #: Where podman is asked.
    podman_socket: str = "/run/podman/podman.sock"
    #: Name of this node at its site.
    node: str = "node-1"
    #: How dear the link is: says how often a heartbeat is sent.
    link_class: LinkClass = "wired"
    #: IPv4 ranges that apps may never reach, comma-separated, such as the network of the management boards.
    refused_ranges: str = ""
    #: First of the four UDP ports of tunnels to other sites; open only while an app has a network over several sites.
    overlay_port: int = 51_820
    #: How often a relayed pair looks for the direct way, in seconds; the same at both ends, or it is found by chance.
    overlay_look_s: int = 300
    #: Who answers when instances ask for names: ``unbound`` where it is installed, or the ``runtime``. What is there
    #: stays as it is.
    name_server: Literal["unbound", "runtime"] = "unbound"
    #: Where unbound's files are, gone with the power; empty for ``names`` in ``run``. Its own user must get there.
    names: str = ""
    #: Who makes networks and links of instances: podman, or Skerry itself. A change makes each instance anew, once.
    links: Literal["podman", "skerry"] = "podman"
    #: The authority that the site asks for certificates of host names (`tls: acme`), and whom that may write to.
    acme_directory: str = "https://acme-v02.api.letsencrypt.org/directory"
    acme_contact: str = ""
    #: `true` says that the operator has read and accepted the authority's terms; nothing is asked of it before.
    acme_terms_accepted: bool = False
    #: MiB of a file system of the site's own for volumes, so that limits hold and there are snapshots; 0 for none.
    #: It takes all its room from the disk at once; a larger number lets it grow.
    pool_mib: int = 0
    #: Seconds for which uplinks that an operator has changed are tried before the former ones hold again.
    confirm_s: int = 300


class PoolOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done with the pool of an agent's volumes from outside its process, which may not."""

    #: Make, grow and mount it; or answer the one request for a limit on the standard input.
    do: Literal["mount", "limit"] = "mount"


class FerrySettings(_Supervised, frozen=True, kw_only=True):
    """A ferry, which carries the link of a further site that `skerry up` has on this machine."""

    #: File of the network namespace of the site's berth.
    net: Path
    #: Where the site finds the core inside its berth: ``address:port``, comma-separated.
    listen: str
    #: The outer device of the pair that the link crosses.
    device: str
    #: Addresses of both ends of the pair.
    outer: str
    inner: str
    #: ``address:port`` of the core's link listener.
    core: str


class RelaySettings(_Supervised, frozen=True, kw_only=True):
    """A relay of datagrams for sites that cannot reach each other; it can read nothing of them."""

    #: The table of pairs that the core keeps: ``relay_table`` of its settings. What went over the relay is told beside
    #: it, in ``….seen.json``.
    table: Path
    #: The address to listen at: where ``relay`` of the core's settings leads.
    host: str = "0.0.0.0"


class SignerSettings(_Supervised, frozen=True, kw_only=True):
    """A signer, and the core it looks after."""

    #: Directory of the keys; nobody but the signer's user may enter it.
    keyring: Path
    #: The socket that people's programs use.
    socket: Path
    #: File with the core's address and an operator's token (signer/remote.py). It may come later.
    core: Path | None = None


def run_core(settings: CoreSettings) -> int:
    """Run a core until it is told to stop; return the process's exit code."""
    import uvloop

    # asyncio's own TLS keeps 256 KiB a connection; uvloop does not (decision 0012).
    return _run(settings, lambda ready: _core(settings, ready), uvloop.new_event_loop)


def run_keeper(settings: CoreSettings, order: KeeperOrder) -> int:
    """Do one thing with a core from outside, write the answer or the problem as JSON, and return the exit code."""
    from skerry.core.keeping import Keeper

    try:
        keeper = Keeper(settings.data, settings.database_url, SystemClock())
        match order.do:
            case "backup" if order.file is not None:
                answer = keeper.back_up(order.file)
            case "restore" if order.file is not None:
                answer = keeper.restore(order.file, overwrite=order.overwrite)
            case "migrate" if order.to:
                answer = keeper.move(order.to)
            case "doctor":
                answer = keeper.diagnose()
            case _:
                raise Invalid("E-SETTINGS", f"{order.do} needs to be told what with.")
    except SkerryError as error:
        problem = {"code": error.code, "detail": error.detail, "hint": error.hint}
        sys.stdout.write(msgspec.json.encode({"problem": problem}).decode() + "\n")
        return 1
    sys.stdout.write(msgspec.json.encode({"answer": answer}).decode() + "\n")
    return 0


def run_agent(settings: AgentSettings) -> int:
    """Run an agent until it is told to stop. uvloop never: it breaks netlink sockets and costs memory."""
    refused = _read_ranges(settings.refused_ranges)
    if not 10 <= settings.confirm_s <= 86_400:
        raise Invalid("E-SETTINGS", f"confirm_s: {settings.confirm_s} is not within 10 and 86400 seconds.")
    _check_pool(settings)
    if not settings.acme_directory.startswith("https://"):
        raise Invalid("E-SETTINGS", f"acme_directory: {settings.acme_directory[:80]!r} is no https:// address.")
    if not 20 <= settings.overlay_look_s <= 86_400:
        raise Invalid("E-SETTINGS", f"overlay_look_s: {settings.overlay_look_s} is not within 20 and 86400 seconds.")
    if not 0 < settings.overlay_port <= 65_536 - OVERLAY_PORTS:
        raise Invalid("E-SETTINGS", f"overlay_port: {settings.overlay_port} and the next three are not all ports.")

    async def main(ready: Callable[[], None]) -> None:
        from skerry.agent.host import AgentConfig, AgentHost
        from skerry.drivers.certificates import Authority

        config = AgentConfig(
            state=settings.state,
            run=settings.run,
            podman_socket=settings.podman_socket,
            node=NodeName(settings.node),
            link_class=settings.link_class,
            refused_ranges=refused,
            overlay_port=settings.overlay_port,
            look_every_us=settings.overlay_look_s * 1_000_000,
            patience_us=settings.confirm_s * 1_000_000,
            names=_find_names(settings),
            is_wired=settings.links == "skerry",
            pool_bytes=settings.pool_mib * _MIB,
            authority=Authority(
                directory=settings.acme_directory,
                contact=settings.acme_contact,
                accepted=settings.acme_terms_accepted,
            ),
        )
        await AgentHost(config, SystemClock(), SystemMint()).run(ready)

    return _run(settings, main, asyncio.new_event_loop)


def run_pool(settings: AgentSettings, order: PoolOrder) -> int:
    """Do one thing with the pool of an agent's volumes; return the process's exit code."""
    from skerry.drivers.volumes.asking import answer
    from skerry.drivers.volumes.pool import StatePool, ensure_pool
    from skerry.safe.paths import RealDirectory

    _check_pool(settings)
    state = RealDirectory.open_root(settings.state)
    try:
        if order.do == "mount":
            said = asyncio.run(ensure_pool(state, settings.pool_mib * _MIB))
        else:
            pool = StatePool(state).read()
            request = sys.stdin.buffer.readline(_REQUEST_BYTES_MAX)
            said = asyncio.run(answer(request, state.path_of("volumes" if pool is None else "pool")))
    except SkerryError as error:
        sys.stderr.write(f"skerry pool: {error.detail} {error.hint}\n")
        return 1
    sys.stdout.write(f"{said}\n")
    return 0


def _check_pool(settings: AgentSettings) -> None:
    if settings.pool_mib and not _POOL_MIB_MIN <= settings.pool_mib <= _POOL_MIB_MAX:
        span = f"{_POOL_MIB_MIN} and {_POOL_MIB_MAX}"
        raise Invalid("E-SETTINGS", f"pool_mib: {settings.pool_mib} is neither 0 nor within {span}.")


def _find_names(settings: AgentSettings) -> Path | None:
    from skerry.drivers.names import can_reach

    if settings.name_server == "runtime":
        return None
    if settings.names:
        return Path(settings.names)
    folder = settings.run / "names"
    # Below a person's home the server's own user reads nothing: the runtime answers there.
    return folder if can_reach(folder) else None


def run_signer(settings: SignerSettings) -> int:
    """Run a signer until it is told to stop."""

    async def main(ready: Callable[[], None]) -> None:
        from skerry.signer import process
        from skerry.signer.remote import RemoteCore

        settings.keyring.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings.socket.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        core = None if settings.core is None else RemoteCore(settings.core)
        await process.run_signer(
            process.SignerSettings(keyring=settings.keyring, socket=settings.socket),
            core,
            SystemClock(),
            SystemMint(),
            ready,
        )

    return _run(settings, main, asyncio.new_event_loop)


def run_ferry(settings: FerrySettings) -> int:
    """Run the ferry of a local site until it is told to stop."""

    async def main(ready: Callable[[], None]) -> None:
        from skerry.berths.ferry import Ferry, FerryConfig
        from skerry.link.ports import parse_endpoint

        try:
            *listen, core = [parse_endpoint(text) for text in (*settings.listen.split(","), settings.core)]
        except ValueError as error:
            raise Invalid("E-SETTINGS", f"{error}.") from error
        config = FerryConfig(
            net=settings.net,
            listen=tuple((each.host, each.port) for each in listen),
            device=settings.device,
            outer=settings.outer,
            inner=settings.inner,
            core=(core.host, core.port),
        )
        await Ferry(config).run(ready)

    return _run(settings, main, asyncio.new_event_loop)


def run_relay(settings: RelaySettings) -> int:
    """Run a relay until it is told to stop."""

    async def main(ready: Callable[[], None]) -> None:
        from skerry.link.relaying import Relay

        await Relay(settings.table, settings.host, SystemClock()).run(ready)

    return _run(settings, main, asyncio.new_event_loop)


def _read_ranges(text: str) -> tuple[str, ...]:
    """Read IPv4 ranges with commas between; they go into firewall rules, so each is written anew from its number."""
    try:
        return tuple(str(ipaddress.IPv4Network(part.strip())) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise Invalid("E-SETTINGS", f"refused_ranges: {error}.") from error


async def _core(settings: CoreSettings, ready: Callable[[], None]) -> None:
    from skerry.core.host import CoreConfig, CoreHost
    from skerry.core.logs import write_json_logs
    from skerry.model.relay import read_offer

    write_json_logs()
    try:
        relay = read_offer(settings.relay)
    except ValueError as error:
        raise Invalid("E-SETTINGS", f"relay: {error}.") from error
    for name in ("relay_pair_mbit_s", "relay_mbit_s"):
        if not 0 <= getattr(settings, name) <= _RELAY_MBIT_MAX:
            raise Invalid("E-SETTINGS", f"{name}: {getattr(settings, name)} is not within 0 and {_RELAY_MBIT_MAX}.")
    if relay is not None:
        rates = {
            "pair_bytes_s": settings.relay_pair_mbit_s * _MBIT_BYTES,
            "bytes_s": settings.relay_mbit_s * _MBIT_BYTES,
        }
        relay = msgspec.structs.replace(relay, **rates)
    config = CoreConfig(
        relay=relay,
        relay_table=settings.relay_table,
        data=settings.data,
        link_host=settings.link_host,
        link_port=settings.link_port,
        endpoints=tuple(text.strip() for text in settings.endpoints.split(",") if text.strip())
        or (f"127.0.0.1:{settings.link_port}",),
        replica=settings.replica,
        database=settings.database_url,
    )
    host = CoreHost(config, SystemClock(), SystemMint())
    await host.start()
    try:
        await _serve_api(host, settings, ready)
    finally:
        await host.stop()


async def _serve_api(host: Any, settings: CoreSettings, ready: Callable[[], None]) -> None:
    """Serve the API beside the link until a part of the core breaks or the process is told to stop."""
    import uvicorn

    from skerry.api.app import make_app

    up = asyncio.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: "list[socket.socket] | None" = None) -> None:
            await super().startup(sockets)
            up.set()

        def capture_signals(self) -> "contextlib.AbstractContextManager[None]":  # type: ignore[override]
            """Signals belong to the program."""
            return contextlib.nullcontext()

    config = uvicorn.Config(
        make_app(host.core, host.service),
        host=settings.api_host,
        port=settings.api_port,
        lifespan="off",
        log_config=None,
        access_log=False,
        # A client that keeps a stream open must not keep a core from stopping.
        timeout_graceful_shutdown=2,
        # Pings keep proxies from ending a quiet connection. Who reads nothing for a while, as when a terminal is
        # stopped, answers none of them meanwhile and has not gone.
        ws_ping_interval=20.0,
        ws_ping_timeout=300.0,
    )
    server = Server(config)
    serving = host.tasks.start("api", server.serve())
    started = asyncio.ensure_future(up.wait())
    await asyncio.wait([started, serving], return_when=asyncio.FIRST_COMPLETED)
    started.cancel()
    if serving.done():
        serving.result()
        raise OSError(f"the API listener ended at once: is port {settings.api_port} in use?")
    ready()
    try:
        raise await host.wait_broken()
    finally:
        server.should_exit = True


def _run(
    settings: _Supervised,
    main: Callable[[Callable[[], None]], Coroutine[Any, Any, None]],
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> int:
    """Run ``main`` with a supervisor's manners: ready, watchdog, stopping, and signals that end it in order."""

    async def supervised() -> int:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, task.cancel)
        watchdog = loop.create_task(
            supervise.keep_watchdog(settings.notify_socket, settings.watchdog_us, SystemClock(), lambda: True),
            name="watchdog",
        )

        def ready() -> None:
            if settings.pid_file:
                Path(settings.pid_file).write_text(f"{os.getpid()}\n")
            supervise.notify(settings.notify_socket, supervise.READY)

        try:
            await main(ready)
        except asyncio.CancelledError:
            supervise.notify(settings.notify_socket, supervise.STOPPING)
            return 0
        except StoreFailed as failure:
            sys.stderr.write(f"skerry: {failure.detail}\n")
            return EXIT_STORE_FAILED
        finally:
            watchdog.cancel()
        return 0

    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(supervised())
