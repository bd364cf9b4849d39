"""A real core behind its real API on loopback, a real signer, and a command line that talks to both.

Core and signer run in an event loop of their own thread, on a database and a disk in memory; the command line runs in
the test's thread, as it does in life. Sites are the fakes of tests/core/cores.py and report what a test makes them.
"""

import asyncio
import hashlib
import threading
from pathlib import Path

import uvicorn
from click.testing import CliRunner
from tests.core.cores import Rig
from tests.sdk.image_bytes import Image, layout, tar

from skerry.api.app import make_app
from skerry.cli.main import run
from skerry.cli.session import Session
from skerry.clock import SystemClock, SystemMint
from skerry.keys.file import make_seed
from skerry.model.ids import TenantName
from skerry.safe.paths import RealDirectory
from skerry.sdk import contexts
from skerry.sdk.client import Client
from skerry.sdk.contexts import Context
from skerry.sdk.founding import found_core
from skerry.sdk.signing import SignerClient
from skerry.signer.process import SignerSettings, run_signer


class FixedMint(SystemMint):
    """Draws what it was given, so that the signer holds the keys that the fakes know."""

    def __init__(self, seed):
        self._seed = seed

    def draw(self, count):
        return self._seed[:count]


class Result:
    """What a command did."""

    def __init__(self, code, out, err):
        self.code = code
        self.out = out
        self.err = err

    def __repr__(self):
        return f"exit {self.code}\n{self.out}\n--- stderr\n{self.err}"


class Town:
    """Core, signer and command line."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.environment = {
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "HOME": str(folder),
        }
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.rig: Rig
        self.url = ""
        self.socket = folder / "signer.sock"
        self.wait(self._start())
        self._found()

    def wait(self, work):
        """Do something in the core's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    async def _start(self):
        self._make_keys()
        self.rig = Rig()
        config = uvicorn.Config(
            make_app(self.rig.core, self.rig.service), port=0, lifespan="off", log_config=None, access_log=False
        )
        self._server = uvicorn.Server(config)
        self._server.install_signal_handlers = lambda: None
        self._serving = asyncio.ensure_future(self._server._serve())
        while not self._server.started:
            await asyncio.sleep(0.005)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        ready = asyncio.Event()
        settings = SignerSettings(keyring=self.folder / "keyring", socket=self.socket)
        self._signing = asyncio.ensure_future(run_signer(settings, None, SystemClock(), SystemMint(), ready.set))
        await ready.wait()

    def _make_keys(self):
        """Give the signer the keys with which the fakes of the rig sign records."""
        keyring = RealDirectory.open_root(self.folder / "keyring")
        deploy = keyring.enter("deploy", create=True)
        for directory, file, name in (
            (keyring, "registrar.key", "registrar"),
            (deploy, "default", "deploy default"),
            (keyring, "root.key", "root"),
        ):
            make_seed(directory, file, "ed25519", FixedMint(hashlib.sha256(name.encode()).digest()))
        make_seed(keyring, "sealing.key", "x25519", FixedMint(hashlib.sha256(b"sealing signer").digest()))
        deploy.close()
        keyring.close()

    def _found(self):
        bootstrap = self.wait(self.rig.service.make_bootstrap())
        with SignerClient(self.socket) as signer, Client(self.url, bootstrap) as client:
            self.token = found_core(client, signer, TenantName("default"))
        context = Context(url=self.url, token=self.token, signer=str(self.socket))
        config = self.folder / "config" / "skerry"
        contexts.write_context(config, "here", context)
        contexts.use_context(config, "here")

    def run(self, *arguments, stdin: bytes | None = None, **environment) -> Result:
        """Run one command line."""
        runner = CliRunner()
        with runner.isolation(input=stdin) as (out, err, _):
            code = run([str(each) for each in arguments], Session(self.environment | environment))
            return Result(code, out.getvalue().decode(), err.getvalue().decode())

    def ok(self, *arguments, **more) -> str:
        """Run a command that must succeed and return what it printed."""
        result = self.run(*arguments, **more)
        assert result.code == 0, result
        return result.out

    def open_shop(self):
        """App ``shop`` with service ``web``, running at the one site ``oslo``."""
        archive = self.folder / "web.tar"
        archive.write_bytes(tar(layout(Image(), names=("web:1",))))
        self.ok("image", "push", archive)
        site = self.add_site("oslo")
        self.ok("apply", "-f", "-", "--name", "shop", stdin=b"services:\n  web:\n    image: web:1\n")
        self.settle(site)

    def add_site(self, name, **words):
        """A site whose node has joined and reports; its record is signed like one of the signer's."""
        words = {"tenants": ("default",)} | words

        async def add():
            site = await self.rig.add_site(name, **words)
            await site.connect()
            self.rig.desk.hear(site.name)
            await site.report_ready()
            return site

        return self.wait(add())

    def settle(self, *sites):
        """Let the planner plan and the sites obey."""

        async def turn():
            await self.rig.plan()
            for site in sites:
                await site.fetch()
                await site.report_ready()
                self.rig.desk.hear(site.name)
            await self.rig.plan()

        self.wait(turn())

    def close(self):
        """End everything."""

        async def stop():
            self._server.should_exit = True
            await self._serving
            self._signing.cancel()
            await asyncio.gather(self._signing, return_exceptions=True)
            await self.rig.close()

        self.wait(stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()
