"""A core for tests: the real API, service, planner and signer over stores in memory, on loopback, in a thread.

    with FakeCore(sites=["oslo", "bergen"]) as core, core.client() as skerry:
        core.add_image("web:1")
        skerry.apps.apply("compose.yaml").rollout.wait()

Nothing of it is a second implementation; what is left out is the link and the machines (``sites.py``). It ends with
the block and leaves nothing behind. Signed objects are signed by a real signer whose keys live in memory.
"""

import asyncio
import contextlib
import socket
import tempfile
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import msgspec
import uvicorn

from skerry.api.app import make_app
from skerry.clock import Clock, Mint, SystemClock, SystemMint, Tasks
from skerry.core.auth import Caller
from skerry.core.delivery import Delivery
from skerry.core.runner import Runner
from skerry.core.service import Service
from skerry.core.state import Core
from skerry.core.wishes import Expected
from skerry.keys.keyring import open_keyring
from skerry.model.answers import ImageView
from skerry.model.asks import BlobQuery, CreateTenant, CreateToken, OperatorRole, RegisterImage, TenantRole
from skerry.model.errors import Broken
from skerry.model.ids import Digest, SiteName, TenantName, TokenId, digest_of
from skerry.model.signed import NodeRecord
from skerry.model.signing import MakeRoot, MakeTenant, Signed, SignerStatus
from skerry.safe.blobs import BlobDirectory
from skerry.safe.db import Db
from skerry.safe.sqlite import open_memory
from skerry.sdk.async_client import AsyncClient
from skerry.sdk.client import Client
from skerry.sdk.steps import Person
from skerry.signer.desk import SignerDesk, new_record
from skerry.signer.ledger import Ledger
from skerry.signer.server import SignerServer
from skerry.sim.disk import MemoryDisk
from skerry.store.apsw_dialect import core_connection
from skerry.store.blobs import BlobStore
from skerry.store.migrations import CORE_OPTIONS
from skerry.testing.sites import NODE, ObedientSites
from skerry.trust.keys import SigningKey
from skerry.trust.seal import sealing_public

T = TypeVar("T")

TENANT = TenantName("default")
#: Starting takes a third of a second on a quiet machine.
_START_S = 60.0
#: One request of a test to the fake's own thread.
_ANSWER_S = 60.0
#: Between two looks of a client that waits: a fake site obeys within milliseconds.
_LOOK_S = 0.02
_OPERATOR = Caller(token_id=TokenId("fake"), operator_role="operator")
_ADMIN = Caller(token_id=TokenId("fake"), tenant=TENANT, tenant_role="admin")


class FakeCore:
    """One core, one tenant called ``default``, and the sites that are named; more by ``add_site``.

    Raises what its parts raise; every method may be called from any thread.
    """

    def __init__(self, sites: Iterable[str] = (), *, clock: Clock | None = None, mint: Mint | None = None) -> None:
        self._names = tuple(sites)
        self._clock = clock or SystemClock()
        self._mint = mint or SystemMint()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake core", daemon=True)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._stack = contextlib.AsyncExitStack()
        #: Where the API is, on loopback, while the core runs.
        self.url = ""
        #: A token that may do everything: the tenant's admin and operator in one.
        self.token = ""

    def __enter__(self) -> "FakeCore":
        self._folder = tempfile.TemporaryDirectory(prefix="skerry-fake-")
        self._thread.start()
        try:
            self._run(self._start(Path(self._folder.name)), _START_S)
            for name in self._names:
                self.add_site(name)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the core, its thread and its folder."""
        if self._folder is None:
            return
        self._run(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._folder.cleanup()
        self._folder = None

    @property
    def signer(self) -> str:
        """The signer's socket, for whoever makes a client or a context of their own."""
        assert self._folder is not None, "the core runs in a with block"
        return str(Path(self._folder.name) / "signer.sock")

    def client(self, token: str = "") -> Client:
        """Return a client, by default one that may do everything; close it, or use it in ``with``."""
        return Client(self.url, token or self.token, person=Person(tenant=TENANT, signer=self.signer), rest=_rest)

    def async_client(self, token: str = "") -> AsyncClient:
        """Return an asynchronous client."""
        return AsyncClient(self.url, token or self.token, person=Person(tenant=TENANT, signer=self.signer))

    def make_token(self, *, tenant_role: TenantRole = "", operator_role: OperatorRole = "") -> str:
        """Return a token with just these roles."""
        caller = msgspec.structs.replace(_ADMIN, operator_role="operator")
        body = CreateToken(name="fake", tenant_role=tenant_role, operator_role=operator_role)
        return self._run(self._service.create_token(caller, body=body)).token

    def add_site(self, name: str, *, labels: Mapping[str, str] | None = None, region: str = "") -> None:
        """Let a site of one node join and come online."""
        self._run(self._add_site(SiteName(name), labels or {}, region))

    def cut_off(self, site: str) -> None:
        """Take a site's link away: it keeps what it has and hears nothing until ``reconnect``."""
        self._run(self._sites.cut_off(SiteName(site)))

    def reconnect(self, site: str) -> None:
        """Give a site its link back: it catches up at once."""
        self._run(self._sites.connect(SiteName(site)))

    def add_image(self, name: str) -> str:
        """Register an image of a few bytes under a name that manifests use; return its digest."""
        return self._run(self._add_image(name)).digest

    def _run(self, job: Coroutine[object, object, T], limit_s: float = _ANSWER_S) -> T:
        return asyncio.run_coroutine_threadsafe(job, self._loop).result(limit_s)

    async def _start(self, folder: Path) -> None:
        tasks = Tasks()
        db = Db(open_memory(CORE_OPTIONS), core_connection, group_s=0, inline=True)
        # Left in the opposite order: first nobody asks any more, then nothing works any more.
        self._stack.push_async_callback(db.close)
        self._stack.push_async_callback(tasks.stop)
        core = Core(
            db=db,
            blobs=BlobStore(BlobDirectory(MemoryDisk().root), inline=True),
            clock=self._clock,
            mint=self._mint,
            tasks=tasks,
            delivery=Delivery(self._mint.draw(32)),
            endpoints=("fake.invalid:443",),
        )
        self._service = Service(core)
        self._desk = SignerDesk(
            open_keyring(MemoryDisk().root, self._mint), Ledger(MemoryDisk().root), self._mint, self._clock
        )
        self._sites = ObedientSites(core)
        core.sites = self._sites
        await self._found(core)
        Runner(core).start()
        await self._stack.enter_async_context(
            SignerServer(self._desk, self._clock, tasks).serve(folder / "signer.sock", 0o600)
        )
        await self._stack.enter_async_context(self._serve(core))

    async def _found(self, core: Core) -> None:
        """Give the core its root and tenant, as ``skerry up`` does."""
        identity = await self._service.show_core(_OPERATOR)
        ask = MakeRoot(delivery=identity.delivery, delivery_ca=identity.delivery_ca, endpoints=identity.endpoints)
        root, status = self._desk.answer(ask), self._desk.answer(MakeTenant(tenant=TENANT))
        if not isinstance(root, Signed) or not isinstance(status, SignerStatus):
            raise Broken("E-SIGNER", "The signer of a fake core made no keys.")
        await self._service.put_root(_OPERATOR, body=root.envelope)
        body = CreateTenant(tenant=TENANT, deploy_keys=status.tenants[TENANT], with_operator_role=True)
        self.token = (await self._service.create_tenant(_OPERATOR, body=body)).first.token

    @contextlib.asynccontextmanager
    async def _serve(self, core: Core) -> AsyncGenerator[None]:
        config = uvicorn.Config(
            make_app(core, self._service),
            host="127.0.0.1",
            port=0,
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        server = _Server(config)
        serving = core.tasks.start("api", server.serve())
        await asyncio.wait([serving, core.tasks.start("api up", server.up.wait())], return_when="FIRST_COMPLETED")
        if serving.done():
            serving.result()
            raise Broken("E-START", "The API of a fake core ended at once.")
        self.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        try:
            yield
        finally:
            server.should_exit = True
            await serving

    async def _add_site(self, site: SiteName, labels: Mapping[str, str], region: str) -> None:
        node = NodeRecord(
            device=SigningKey.from_seed(self._mint.draw(32)).public, sealing=sealing_public(self._mint.draw(32))
        )
        record = msgspec.structs.replace(
            new_record(site, self._desk.keyring), nodes={NODE: node}, labels=dict(labels), region=region
        )
        envelope = self._desk.sign_record(record)
        await self._service.put_site(_OPERATOR, site=site, body=envelope, expect=Expected(0))
        await self._sites.connect(site)

    async def _add_image(self, name: str) -> ImageView:
        layer = await self._put_blob(f"layer of {name}".encode())
        config = msgspec.json.encode(
            {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [layer[0]]}}
        )
        parts = (await self._put_blob(config), layer)
        kinds = ("config.v1+json", "layer.v1.tar")
        of = [
            {"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest, "size": size}
            for kind, (digest, size) in zip(kinds, parts, strict=True)
        ]
        manifest = msgspec.json.encode(
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": of[0],
                "layers": of[1:],
            }
        )
        digest, _ = await self._put_blob(manifest)
        return await self._service.register_image(_ADMIN, body=RegisterImage(name=name, digest=digest))

    async def _put_blob(self, content: bytes) -> tuple[Digest, int]:
        async def body() -> AsyncGenerator[bytes]:
            yield content

        digest = digest_of(content)
        await self._service.put_blob(_ADMIN, digest=digest, query=BlobQuery(size=len(content)), body=body())
        return digest, len(content)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: "list[socket.socket] | None" = None) -> None:
        await super().startup(sockets)
        self.up.set()

    def capture_signals(self) -> "contextlib.AbstractContextManager[None]":  # type: ignore[override]
        """Signals belong to the test that runs."""
        return contextlib.nullcontext()


def _rest(seconds: float) -> None:
    threading.Event().wait(min(seconds, _LOOK_S))
