import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from tests.signer.office import Core, knock
from tests.trust import people

from skerry.clock import SeededMint, SystemClock
from skerry.model.ids import SiteName
from skerry.model.signed import Envelope, SiteRecord
from skerry.safe.errors import StoreLocked
from skerry.sdk.signing import SignerClient
from skerry.signer.process import SignerSettings, run_signer
from skerry.trust.join import JoinToken, parse_token


class WatchedCore(Core):
    """A core that tells when a record came."""

    def __init__(self) -> None:
        super().__init__()
        self.came = asyncio.Event()

    async def put_site_record(self, envelope: Envelope, record: SiteRecord) -> None:
        await super().put_site_record(envelope, record)
        self.came.set()


def settings(tmp_path: Path) -> SignerSettings:
    return SignerSettings(keyring=tmp_path / "keyring", socket=tmp_path / "s", poll_us=1_000)


@contextlib.asynccontextmanager
async def running(tmp_path: Path, core: Core | None = None) -> AsyncGenerator[None]:
    ready = asyncio.Event()
    work = asyncio.get_running_loop().create_task(
        run_signer(settings(tmp_path), core, SystemClock(), SeededMint("person"), ready.set)
    )
    waiting = asyncio.get_running_loop().create_task(ready.wait())
    await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if work.done():
        work.result()
    try:
        yield
    finally:
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work


def make_token(tmp_path: Path) -> JoinToken:
    with SignerClient(tmp_path / "s") as client:
        client.make_root(people.DELIVERY.public, b"der", ("core:443",))
        token = parse_token(client.mint_token(SiteName("oslo"), 3_600).token)
    assert isinstance(token, JoinToken)
    return token


async def test_a_signer_answers_people_and_vouches_for_boxes(tmp_path: Path):
    core = WatchedCore()
    async with running(tmp_path, core):
        token = await asyncio.to_thread(make_token, tmp_path)
        core.requests = [knock(token)]
        await asyncio.wait_for(core.came.wait(), 30)
    assert core.records[0].nodes.keys() == {"one"}
    assert not (tmp_path / "s").exists()


async def test_what_was_made_is_there_after_a_restart(tmp_path: Path):
    def read_tenants() -> object:
        with SignerClient(tmp_path / "s") as client:
            return client.read_status().tenants

    async with running(tmp_path):
        first = await asyncio.to_thread(read_tenants)
    async with running(tmp_path):
        assert await asyncio.to_thread(read_tenants) == first


async def test_one_keyring_has_one_signer(tmp_path: Path):
    async with running(tmp_path):
        with pytest.raises(StoreLocked):
            async with running(tmp_path):
                pass
        # The second one did not take the socket of the first one away.
        assert (tmp_path / "s").exists()


async def test_a_chore_that_breaks_ends_the_signer(tmp_path: Path):
    class BrokenCore(Core):
        async def list_join_requests(self):  # type: ignore[no-untyped-def]
            raise AssertionError("a promise was broken")

    with pytest.raises(AssertionError, match="promise"):
        await run_signer(settings(tmp_path), BrokenCore(), SystemClock(), SeededMint("person"))


async def test_a_signer_opens_no_port(tmp_path: Path):
    before = _own_sockets()
    async with running(tmp_path, Core()):
        own = _own_sockets() - before
        assert own
        assert not own & {inode for table in ("tcp", "tcp6", "udp", "udp6") for inode in _read_inodes(table)}


def _own_sockets() -> set[str]:
    """Inodes of this process's sockets."""
    owned: set[str] = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            kind, _, inode = str(entry.readlink()).partition(":[")
            if kind == "socket":
                owned.add(inode.removesuffix("]"))
    return owned


def _read_inodes(table: str) -> list[str]:
    path = Path("/proc/self/net") / table
    return [line.split()[9] for line in path.read_text().splitlines()[1:]] if path.exists() else []
