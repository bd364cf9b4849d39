"""A real core on a real disk with its real listeners, loops and signer, whose sites obey as those of a fake core do."""

import asyncio
import contextlib
import threading
from pathlib import Path

import msgspec
import uvicorn

from skerry.api.app import make_app
from skerry.clock import SystemClock, SystemMint, Tasks
from skerry.core.host import BOOTSTRAP_FILE, CoreConfig, CoreHost
from skerry.core.wishes import Expected
from skerry.keys.keyring import open_keyring
from skerry.model.ids import SiteName, TenantName
from skerry.model.signed import NodeRecord
from skerry.safe.paths import RealDirectory
from skerry.sdk.async_client import AsyncClient
from skerry.sdk.client import Client
from skerry.sdk.founding import found_core
from skerry.sdk.signing import SignerClient
from skerry.sdk.steps import Person
from skerry.signer.desk import SignerDesk, new_record
from skerry.signer.ledger import Ledger
from skerry.signer.server import SignerServer
from skerry.testing import fake
from skerry.testing.sites import NODE, ObedientSites
from skerry.trust.keys import SigningKey
from skerry.trust.seal import sealing_public

LIMIT_S = 60


class RealCore:
    """Has of ``FakeCore`` what the suite uses."""

    def __init__(self, folder: Path, socket: Path) -> None:
        self.signer = str(socket)
        self._mint = SystemMint()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._stack = contextlib.AsyncExitStack()
        self._thread.start()
        self._run(self._start(folder))
        bootstrap = (folder / "core" / BOOTSTRAP_FILE).read_text().strip()
        with SignerClient(socket) as signer, Client(self.url, bootstrap) as client:
            self.token = found_core(client, signer, fake.TENANT)
        for name in ("bergen", "oslo"):
            self._run(self._add_site(SiteName(name)))

    def close(self) -> None:
        self._run(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def client(self, token: str = "") -> Client:
        return Client(self.url, token or self.token, person=self._person(), rest=fake._rest)

    def async_client(self, token: str = "") -> AsyncClient:
        return AsyncClient(self.url, token or self.token, person=self._person())

    def make_token(self, **roles: str) -> str:
        with self.client() as client:
            return client.tokens.create(name="contract", **{"tenant_role": "", **roles}).token

    def add_image(self, name: str) -> str:
        # The bytes are those of the fake core's images; they come in as its own do.
        return self._run(fake.FakeCore._add_image(self, name)).digest  # type: ignore[arg-type]

    async def _put_blob(self, content: bytes):
        return await fake.FakeCore._put_blob(self, content)  # type: ignore[arg-type]

    def cut_off(self, site: str) -> None:
        self._run(self._sites.cut_off(SiteName(site)))

    def reconnect(self, site: str) -> None:
        self._run(self._sites.connect(SiteName(site)))

    def _person(self) -> Person:
        return Person(tenant=TenantName(fake.TENANT), signer=self.signer)

    def _run(self, job):
        return asyncio.run_coroutine_threadsafe(job, self._loop).result(LIMIT_S)

    async def _start(self, folder: Path) -> None:
        config = CoreConfig(
            data=folder / "core", link_host="127.0.0.1", link_port=0, endpoints=("127.0.0.1:1",), replica="one"
        )
        host = CoreHost(config, SystemClock(), self._mint)
        await host.start()
        self._stack.push_async_callback(host.stop)
        self._service = host.service
        host.core.sites = self._sites = ObedientSites(host.core)
        tasks = Tasks()
        self._stack.push_async_callback(tasks.stop)
        (folder / "keyring").mkdir(mode=0o700)
        keyring = RealDirectory.open_root(folder / "keyring")
        self._stack.callback(keyring.close)
        self._desk = SignerDesk(open_keyring(keyring, self._mint), Ledger(keyring), self._mint, SystemClock())
        server = SignerServer(self._desk, SystemClock(), tasks)
        await self._stack.enter_async_context(server.serve(Path(self.signer), 0o600))
        made = uvicorn.Config(
            make_app(host.core, host.service), port=0, lifespan="off", log_config=None, timeout_graceful_shutdown=1
        )
        api = fake._Server(made)
        serving = asyncio.ensure_future(api.serve())
        await api.up.wait()

        async def stop() -> None:
            api.should_exit = True
            await serving

        self._stack.push_async_callback(stop)
        self.url = f"http://127.0.0.1:{api.servers[0].sockets[0].getsockname()[1]}"

    async def _add_site(self, site: SiteName) -> None:
        node = NodeRecord(
            device=SigningKey.from_seed(self._mint.draw(32)).public, sealing=sealing_public(self._mint.draw(32))
        )
        record = msgspec.structs.replace(new_record(site, self._desk.keyring), nodes={NODE: node})
        envelope = self._desk.sign_record(record)
        await self._service.put_site(fake._OPERATOR, site=site, body=envelope, expect=Expected(0))
        await self._sites.connect(site)
