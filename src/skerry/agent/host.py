"""The real agent of one node, put together: disk, keys, drivers, link and the socket at the box.

``app.run_agent`` gives it settings; the simulation composes the same parts on its own clock, network and drivers.
Order: journal and keys, then reconciling, then the socket, then the link. Nothing here waits for the core.
"""

import asyncio
import contextlib
import re
from collections import ChainMap
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec

from skerry.agent import journal
from skerry.agent.agent import Agent
from skerry.agent.bundles import BundleDesk
from skerry.agent.join import JoinFailed, join_site
from skerry.agent.local import LocalProblem, LocalServer
from skerry.agent.session import LinkSession
from skerry.agent.snapshots import keep_snapshots
from skerry.agent.status import Check, StatusDesk
from skerry.clock import Clock, Mint, Tasks
from skerry.drivers.bindings import BindingsDriver
from skerry.drivers.bundles import BundleSource
from skerry.drivers.certificates import Authority, CertificatesDriver
from skerry.drivers.chain_probes import ChainProbesDriver
from skerry.drivers.chains import ChainsDriver
from skerry.drivers.entrance import EntranceDriver
from skerry.drivers.flows import FlowsDriver
from skerry.drivers.host import HostDriver
from skerry.drivers.images import BlobSource, BlobUnavailable, ImagesDriver
from skerry.drivers.kernel import probe_kernel
from skerry.drivers.names import NamesDriver
from skerry.drivers.networks import NetworksDriver
from skerry.drivers.overlay import OverlayDriver
from skerry.drivers.podman import PodmanDriver
from skerry.drivers.podman.files import FileStage
from skerry.drivers.podman.wiring import Wiring
from skerry.drivers.queues import QueuesDriver
from skerry.drivers.relay import RelayDriver
from skerry.drivers.translation import TranslationDriver
from skerry.drivers.volumes import VolumesDriver
from skerry.drivers.volumes.asking import LIMITS_SOCKET, LimitAsker
from skerry.drivers.volumes.pool import StatePool, ensure_pool
from skerry.keys.file import open_node_keys
from skerry.keys.overlay import OverlayKeys
from skerry.link.client import LinkDialer, fetch_roots
from skerry.link.ports import Dialer, Endpoint, SpiffeName, Trust, parse_endpoint
from skerry.model.errors import SkerryError
from skerry.model.ids import Digest, NodeName
from skerry.model.signed import Envelope, Root
from skerry.plan.confirm import PATIENCE_US
from skerry.plan.ways import LOOK_EVERY_US
from skerry.safe.db import AGENT_GROUP_S, Db, plain
from skerry.safe.errors import StoreFailed
from skerry.safe.files import Reserve, settle
from skerry.safe.paths import RealDirectory
from skerry.safe.sqlite import open_sqlite
from skerry.trust.keys import trust_domain
from skerry.wire import LinkClass

#: How often the reserve is looked at: space returns when images go, which takes minutes.
RESERVE_US = 60_000_000
_STATUS = Path("/proc/self/status")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class AgentConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Where an agent lives, and what kind of link it has."""

    #: Journal, keys, images, volumes: everything that survives a reboot.
    state: Path
    #: Sockets and memory-backed files: gone with the power.
    run: Path
    podman_socket: str
    node: NodeName
    link_class: LinkClass = "wired"
    #: IPv4 ranges that instances may never reach, besides the fixed ones.
    refused_ranges: tuple[str, ...] = ()
    #: First of the four UDP ports of tunnels to other sites.
    overlay_port: int = 51_820
    look_every_us: int = LOOK_EVERY_US
    #: How long uplinks that an operator has changed are tried without the core.
    patience_us: int = PATIENCE_US
    #: Where the name server keeps its files; None where the runtime answers for names.
    names: Path | None = None
    #: Skerry makes networks and links of instances, not podman.
    is_wired: bool = False
    #: Bytes of the pool of volumes that is wished; 0 for none, and what is there is used all the same.
    pool_bytes: int = 0
    #: Whom the site asks for certificates.
    authority: Authority = Authority()


class _LateSource:
    """The link as a source of blobs; before there is a session every fetch says so."""

    def __init__(self) -> None:
        self.session: LinkSession | None = None

    async def fetch(self, blob: Digest, offset: int) -> AsyncIterator[bytes]:
        """Give a blob's bytes over the present session and the ones after it."""
        if self.session is None:
            raise BlobUnavailable("this box has not joined a core yet")
        async for content in self.session.fetch(blob, offset):
            yield content


class _LinkWay:
    """How a box reaches a core: the real link."""

    def __init__(self, mint: Mint) -> None:
        self._mint = mint

    async def fetch_roots(self, endpoint: Endpoint) -> bytes:
        """Ask for root documents, trusting nobody."""
        return await fetch_roots(endpoint, 0)

    def make_dialer(self, root: Envelope, payload: Root) -> Dialer:
        """Dial as the verified root says."""
        return LinkDialer(link_trust(root, payload.delivery_ca), self._mint)


class JoinAnswer(msgspec.Struct, frozen=True):
    """Answer of ``POST /join``."""

    site: str
    node: str
    state: str


class AgentHost:
    """One running agent process."""

    def __init__(self, config: AgentConfig, clock: Clock, mint: Mint, source: BlobSource | None = None) -> None:
        """Open the journal and the keys. ``source`` gives images in place of the link."""
        self._config = config
        self._clock = clock
        self._mint = mint
        self._tasks = Tasks()
        self._failed = asyncio.Event()
        self._source = _LateSource()
        self._joining = asyncio.Lock()
        for folder in (config.state, config.run):
            folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        state = RealDirectory.open_root(config.state)
        settle(state)
        reserve = self._reserve = Reserve(state)
        reserve.hold()
        self._db = Db(
            open_sqlite(state, "journal.db", journal.OPTIONS),
            plain,
            group_s=AGENT_GROUP_S,
            make_room=reserve.release,
            on_failed=self._note_failure,
        )
        self._keys = open_node_keys(state.enter("keys", create=True), mint)
        self._bundles = BundleSource((source or self._source).fetch, _open_folder, asyncio.to_thread)
        images = ImagesDriver(state.enter("images", create=True), self._bundles, asyncio.to_thread)
        self._state = state
        self._pool = StatePool(state, is_wished=config.pool_bytes > 0)
        volumes = self._volumes = VolumesDriver(
            state.enter("volumes", create=True),
            asyncio.to_thread,
            self._pool,
            ask=LimitAsker(LIMITS_SOCKET).ask,
        )
        podman = PodmanDriver(
            config.podman_socket,
            files=FileStage(config.run / "files", lambda version: self.agent.open_secret(version)),
            read_archive=images.read_archive,
            volume_path=volumes.data_path,
            keep_volume=volumes.perform,
            kept=(config.state, config.run, Path(config.podman_socket)),
            wiring=Wiring(config.run / "wires") if config.is_wired else None,
        )
        translation = TranslationDriver(is_used=config.is_wired)
        networks = NetworksDriver(podman.read_addresses, config.refused_ranges)
        overlay = OverlayDriver(
            OverlayKeys(state.enter("keys", create=True), mint, self._keys.device, lambda: self.agent.whose),
            RealDirectory.open_root(config.run / "overlay"),
            clock,
            config.overlay_port,
        )
        names = (NamesDriver(config.names, clock, mint.split("names"), config.link_class),) if config.names else ()
        chains = ChainsDriver()
        certificates = CertificatesDriver(
            config.run / "certificates", state.enter("certificates", create=True), config.authority, clock
        )
        entrance = EntranceDriver(
            config.run / "entrance",
            state.enter("entrance", create=True),
            lambda version: certificates.open_certificate(version) or self.agent.open_secret(version),
            clock,
        )
        host = HostDriver(
            config.node,
            config.state,
            ChainMap(podman.facts, volumes.facts),
            lambda: self.agent.list_device_patterns(),
            probe_kernel,
        )
        self.agent = Agent(
            clock=clock,
            mint=mint,
            db=self._db,
            drivers=(
                images,
                podman,
                volumes,
                networks,
                translation,
                overlay,
                RelayDriver(config.run / "relay"),
                BindingsDriver(podman.read_process, config.run, clock),
                *names,
                QueuesDriver(),
                FlowsDriver(),
                chains,
                ChainProbesDriver(clock, mint.split("chain-probes")),
                certificates,
                entrance,
                host,
            ),
            console=podman,
            tasks=self._tasks,
            device=self._keys.device,
            sealing_seed=self._keys.sealing_seed,
            boot=_BOOT_ID.read_text().strip(),
            link_class=config.link_class,
            patience_us=config.patience_us,
            look_every_us=config.look_every_us,
            list_carried=self._bundles.list_whole,
        )

    def _note_failure(self, failure: StoreFailed) -> None:
        self._failed.set()

    async def run(self, ready: Callable[[], None]) -> None:
        """Run until cancelled; raise when a part breaks, ``StoreFailed`` when the journal's disk does."""
        status = StatusDesk(self.agent, self._db, self._clock, lambda: Check("pool", *self._volumes.diagnose()))
        bundles = BundleDesk(self.agent, self._bundles, self._clock)
        server = LocalServer(
            self._config.run / "agent.sock",
            {
                "GET /status": status.status,
                "GET /doctor": status.doctor,
                "GET /logs": status.logs,
                "POST /accept-loss": status.accept_loss,
                "POST /rekey": status.rekey,
                "POST /restart": status.restart,
                "POST /stop": status.stop,
                "POST /start": status.start,
                "POST /join": self._join,
                "POST /apply-bundle": bundles.apply,
                "GET /bundle": bundles.show,
            },
        )
        try:
            await self._ensure_pool()
            await self.agent.load()
            self.agent.start()
            await server.start()
            ready()
            self._tasks.start("link", self._link())
            self._tasks.start("sweep volumes", self._volumes.sweep())
            self._tasks.start("hold reserve", self._hold_reserve())
            self._tasks.start("snapshots", keep_snapshots(self._db, self._clock, self.agent.read_durable))
            broken = self._tasks.start("watch tasks", self._tasks.wait_failed())
            failed = self._tasks.start("watch store", self._failed.wait())
            await asyncio.wait([broken, failed], return_when=asyncio.FIRST_COMPLETED)
            if self._db.failure is not None:
                raise self._db.failure
            raise broken.result()
        finally:
            with contextlib.suppress(OSError):
                await server.stop()
            await self._tasks.stop()
            if self._db.failure is None:
                await self._db.close()

    async def _ensure_pool(self) -> None:
        """Make and mount the pool where no unit of its own has done so, as with ``skerry up``."""
        if not _may_mount():
            return
        try:
            await ensure_pool(self._state, self._config.pool_bytes)
        except (SkerryError, OSError) as error:
            self._pool.trouble = str(error)

    async def _hold_reserve(self) -> None:
        """Take the reserve again once space has returned; where the journal gives it up, so that the two never meet."""
        while True:
            await self._clock.sleep_until(self._clock.boot_us() + RESERVE_US)
            await self._db.read(lambda _: self._try_reserve())

    def _try_reserve(self) -> None:
        with contextlib.suppress(StoreFailed):  # a bad disk is the journal's to find out
            self._reserve.hold()

    async def _link(self) -> None:
        """Hold the link for as long as the node has an identity."""
        await self.agent.joined.wait()
        holdings = self.agent.holdings
        assert holdings is not None
        root = holdings.root
        session = LinkSession(
            desk=self.agent,
            dialer=LinkDialer(link_trust(self.agent.root_envelope(), root.delivery_ca), self._mint),
            endpoints=list_endpoints(root),
            clock=self._clock,
            mint=self._mint,
            tasks=self._tasks,
            link_class=self._config.link_class,
        )
        self._source.session = session
        self.agent.read_link_moved = session.read_moved
        await session.run()

    async def _join(self, given: dict[str, str]) -> JoinAnswer | LocalProblem:
        """Join with a token; the answer comes when the signer has vouched, or with the reason why not."""
        async with self._joining:
            if self.agent.joined.is_set():
                return LocalProblem("E-JOINED", "this box has joined already", "skerry agent status")
            try:
                endpoints = [parse_endpoint(text) for text in given.get("core", "").split(",") if text]
                identity = await join_site(
                    token_text=given.get("token", ""),
                    site=given.get("site", ""),
                    node=self._config.node,
                    endpoints=tuple(endpoints),
                    keys=self._keys,
                    way=_LinkWay(self._mint),
                    clock=self._clock,
                    tasks=self._tasks,
                )
            except ValueError as error:
                return LocalProblem("E-REQUEST", str(error), "skerry agent join TOKEN --core HOST:PORT --site SITE")
            except JoinFailed as error:
                return LocalProblem(error.code, error.detail, error.hint)
            denied = await self.agent.adopt_identity(identity)
            if denied is not None:
                return LocalProblem(denied.code, denied.reason)
            self.agent.reconciler.nudge()
            return JoinAnswer(identity.site, identity.node, "joined")


def _may_mount() -> bool:
    """Say whether this process has CAP_SYS_ADMIN, which is bit 21."""
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", _STATUS.read_text(), re.MULTILINE)
    return found is not None and bool(int(found[1], 16) >> 21 & 1)


def _open_folder(folder: str) -> RealDirectory:
    return RealDirectory.open_given(Path(folder))


def link_trust(root: Envelope, delivery_ca: bytes) -> Trust:
    """Whom a site believes at the other end of its link: any replica of the core that its pinned root describes."""
    return Trust((delivery_ca,), SpiffeName(trust_domain(root.payload)))


def list_endpoints(root: Root) -> tuple[Endpoint, ...]:
    """Endpoints of the core in the root's order of preference."""
    return tuple(parse_endpoint(text) for text in root.endpoints)
