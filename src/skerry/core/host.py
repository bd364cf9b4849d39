"""A real core on one machine, put together: disk, keys, store, loops and the link listener.

``app.run_core`` serves the API beside it; the simulation composes the same parts on its own clock and network.
"""

import asyncio
import contextlib
import datetime
from pathlib import Path

import msgspec

from skerry.clock import Clock, Mint, Tasks
from skerry.core import doctor
from skerry.core.beside import Beside
from skerry.core.delivery import Delivery
from skerry.core.keeping import Diagnosis, count_absent_blobs
from skerry.core.link_desk import StoreDesk
from skerry.core.local import SOCKET, LocalSocket
from skerry.core.loops import flush_bytes
from skerry.core.runner import Runner
from skerry.core.service import Service
from skerry.core.sessions import Sessions
from skerry.core.state import Core
from skerry.keys.file import make_seed, read_seed
from skerry.link.relaying import read_seen, write_table
from skerry.link.server import LinkListener
from skerry.model.relay import RelayOffer
from skerry.safe.blobs import BlobDirectory
from skerry.safe.db import CORE_GROUP_S, Db
from skerry.safe.errors import StoreAway, StoreFailed, StoreFull
from skerry.safe.files import Reserve, settle
from skerry.safe.paths import RealDirectory
from skerry.store.blobs import BlobStore
from skerry.store.databases import find_place, keep_connection, open_backing
from skerry.store.migrations import STEPS
from skerry.trust.keys import trust_domain
from skerry.trust.x509 import ServerNames, make_server_certificate

#: Sites ignore a certificate's times (trust.md §7); tools that look at it see a wide span.
_NOT_BEFORE = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
_NOT_AFTER = datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC)
#: File, readable by the core's user alone, in which a first visitor finds the token that makes the first operator.
BOOTSTRAP_FILE = "bootstrap.token"
#: What the relay is told: a table of pairs, each time a new one.
RELAY_FILE = "relay.json"


class CoreConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Where a core lives and listens."""

    data: Path
    link_host: str
    link_port: int
    endpoints: tuple[str, ...]
    replica: str
    #: Where the database is; empty for a SQLite file in ``data`` (store/databases.py).
    database: str = ""
    #: The relay for sites that cannot reach each other, and the file by which it is told of them: where nothing is said
    #: ``data/relay.json``.
    relay: RelayOffer | None = None
    relay_table: Path | None = None


class CoreHost:
    """One running core process."""

    def __init__(self, config: CoreConfig, clock: Clock, mint: Mint) -> None:
        self._config = config
        self._clock = clock
        self._mint = mint
        self.tasks = Tasks()
        self._failed = asyncio.Event()
        config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        data = RealDirectory.open_root(config.data)
        settle(data)
        reserve = Reserve(data)
        reserve.hold()
        self._data = data
        self._db = Db(
            open_backing(find_place(config.database, config.data), clock),
            keep_connection,
            group_s=CORE_GROUP_S,
            make_room=reserve.release,
            on_failed=self._note_failure,
        )
        blobs = BlobDirectory(data.enter("blobs", create=True))
        blobs.settle()
        keys = data.enter("keys", create=True)
        seed = read_seed(keys, "delivery.key", "ed25519") or make_seed(keys, "delivery.key", "ed25519", mint)
        table = config.relay_table or config.data / RELAY_FILE
        self.core = Core(
            db=self._db,
            blobs=BlobStore(blobs),
            clock=clock,
            mint=mint,
            tasks=self.tasks,
            delivery=Delivery(seed),
            endpoints=config.endpoints,
            beside=Beside(),
            relay=config.relay,
            tell_relay=lambda pairs: write_table(table, pairs),
            see_relay=lambda: read_seen(table, clock.wall_us()),
        )
        self.service = Service(self.core)
        self._listener: LinkListener | None = None
        self._local = LocalSocket(config.data / SOCKET, {"snapshot": self._snapshot, "doctor": self._diagnose})

    def _note_failure(self, failure: StoreFailed) -> None:
        self._failed.set()

    async def start(self) -> None:
        """Load, start the loops, and listen for sites as soon as there is a root document that they can check."""
        await self.core.load()
        self.core.sites = Sessions(
            desk=StoreDesk(self.core),
            clock=self._clock,
            mint=self._mint,
            tasks=self.tasks,
            heartbeats_us=self.core.heartbeats,
        )
        await self._leave_bootstrap()
        Runner(self.core).start()
        self.tasks.start("link listener", self._listen())
        await self._local.start()

    async def _snapshot(self) -> dict[str, str]:
        """Make a snapshot of now, for whoever copies it (core/keeping.py)."""
        await self._db.snapshot()
        return {"store": self._db.file.name}

    async def _diagnose(self) -> Diagnosis:
        """Look at this core from inside."""
        found = await self._db.read(doctor.read_findings)
        absent = await self.core.blobs.work(lambda: count_absent_blobs(self._data, found.blobs))
        checks = doctor.judge_findings(found, self.core.delivery, absent, self._clock.wall_us())
        schema = doctor.judge_schema(self._db.file.schema_number, len(STEPS))
        return Diagnosis([doctor.check_disk(self._config.data), schema, *checks])

    async def _leave_bootstrap(self) -> None:
        token = await self.service.make_bootstrap()
        path = self._config.data / BOOTSTRAP_FILE
        path.unlink(missing_ok=True)
        if token is not None:
            path.touch(mode=0o600)
            path.write_text(token + "\n")

    async def _listen(self) -> None:
        """Listen once the first root document is here: the certificate's name is made from it."""
        while not self.core.roots:
            await self.core.events.wait(self.core.events.rings)
        sessions = self.core.sites
        assert isinstance(sessions, Sessions)
        domain = trust_domain(self.core.roots[0].payload)
        certificate, key = make_server_certificate(
            self.core.delivery.authority,
            ServerNames(f"spiffe://{domain}/core/{self._config.replica}"),
            _NOT_BEFORE,
            _NOT_AFTER,
            seed=self._mint.draw(32),
        )
        self._listener = LinkListener(
            certificate_pem=certificate,
            key_pem=key,
            host=self._config.link_host,
            port=self._config.link_port,
            read_roots=self.core.encode_roots,
            clock=self._clock,
            mint=self._mint,
            tasks=self.tasks,
        )
        await self._listener.serve(sessions.handle)

    async def wait_broken(self) -> BaseException:
        """Return what broke: a task of the core, or its store."""
        broken = asyncio.ensure_future(self.tasks.wait_failed())
        failed = asyncio.ensure_future(self._failed.wait())
        try:
            await asyncio.wait([broken, failed], return_when=asyncio.FIRST_COMPLETED)
            if self._db.failure is not None:
                return self._db.failure
            return broken.result()
        finally:
            broken.cancel()
            failed.cancel()

    async def stop(self) -> None:
        """Say goodbye to sites, end the loops, close the store."""
        await self._local.stop()
        if self._listener is not None:
            await self._listener.stop()
        await self.tasks.stop()
        if self._db.failure is None:
            with contextlib.suppress(StoreAway, StoreFull):
                # A minute of counts is lost when the database is away; stopping must not wait for it.
                await flush_bytes(self.core)
            await self._db.close()
        self.core.beside.close()
        self.core.blobs.close()


__all__ = ["BOOTSTRAP_FILE", "CoreConfig", "CoreHost"]
