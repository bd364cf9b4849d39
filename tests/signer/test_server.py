import asyncio
import contextlib
import stat
from collections.abc import AsyncGenerator
from pathlib import Path

import msgspec
import pytest
from tests.signer.office import give_root, open_desk
from tests.trust import people

from skerry.clock import SystemClock, Tasks
from skerry.keys.keyring import FIRST_TENANT
from skerry.model.errors import Unavailable
from skerry.model.signing import SIGNER_LINE_BYTES_MAX, Answer, ReadStatus, Refusal, Signed, SignerStatus, SignRevision
from skerry.safe.errors import StoreFailed
from skerry.signer.desk import SignerDesk
from skerry.signer.server import CONNECTIONS_MAX, SignerServer
from skerry.trust.envelope import encode_payload


class Line:
    """One connection to the socket, by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def send(self, line: bytes) -> None:
        self.writer.write(line)
        # The signer may have ended the connection before it read all of a bad line.
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    async def read(self) -> Answer | None:
        try:
            line = await self._reader.readline()
        except ConnectionError:
            return None
        return msgspec.json.decode(line, type=Answer) if line else None

    async def ask(self, line: bytes) -> Answer | None:
        await self.send(line + b"\n")
        return await self.read()


class Door:
    """A signer that listens."""

    def __init__(self, path: Path, desk: SignerDesk, tasks: Tasks) -> None:
        self.path = path
        self.desk = desk
        self.tasks = tasks

    @contextlib.asynccontextmanager
    async def knock(self) -> AsyncGenerator[Line]:
        reader, writer = await asyncio.open_unix_connection(self.path, limit=SIGNER_LINE_BYTES_MAX)
        try:
            yield Line(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@pytest.fixture
async def door(tmp_path: Path) -> AsyncGenerator[Door]:
    desk = open_desk(tmp_path)
    give_root(desk)
    tasks = Tasks()
    path = tmp_path / "s"
    async with SignerServer(desk, SystemClock(), tasks).serve(path, 0o600):
        yield Door(path, desk, tasks)
    await tasks.stop()


STATUS = msgspec.json.encode(ReadStatus())
REVISION = msgspec.json.encode(SignRevision(payload=encode_payload(people.make_revision(1, tenant=FIRST_TENANT))))


async def test_asks_are_answered_in_order_on_one_connection(door: Door):
    async with door.knock() as line:
        assert isinstance(await line.ask(STATUS), SignerStatus)
        assert isinstance(await line.ask(REVISION), Signed)
        await line.send(STATUS + b"\n" + REVISION + b"\n")
        assert isinstance(await line.read(), SignerStatus)
        assert isinstance(await line.read(), Signed)


async def test_the_socket_is_for_its_owner_and_goes_when_the_signer_does(tmp_path: Path):
    desk, tasks, path = open_desk(tmp_path), Tasks(), tmp_path / "below" / "s"
    for mode in (0o600, 0o660):
        async with SignerServer(desk, SystemClock(), tasks).serve(path, mode):
            status = path.stat()
            assert stat.S_ISSOCK(status.st_mode)
            assert stat.S_IMODE(status.st_mode) == mode
        assert not path.exists()


async def test_a_socket_left_by_a_killed_signer_is_replaced(door: Door, tmp_path: Path):
    left = tmp_path / "left"
    left.write_bytes(b"")
    async with SignerServer(door.desk, SystemClock(), door.tasks).serve(left, 0o600):
        assert stat.S_ISSOCK(left.stat().st_mode)


async def test_a_path_that_no_socket_can_have_is_refused_with_words(door: Door, tmp_path: Path):
    for path in (tmp_path / ("x" * 120), door.path):
        if path == door.path:
            path = tmp_path / "folder"
            path.mkdir()
        with pytest.raises((Unavailable, OSError)):
            async with SignerServer(door.desk, SystemClock(), door.tasks).serve(path, 0o600):
                pass


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"x",
        b"[]",
        b"{}",
        b'{"ask":"sign-anything"}',
        b'{"ask":"status","more":1}',
        b'{"ask":"revision"}',
        b'{"ask":"revision","payload":7}',
        b'{"ask":"revision","payload":"\xff"}',
        b"[" * 100_000,
    ],
)
async def test_a_line_that_is_no_ask_is_refused_and_ends_the_connection(door: Door, line: bytes):
    async with door.knock() as bad:
        answer = await bad.ask(line)
        assert isinstance(answer, Refusal)
        assert answer.code == "E-ASK"
        assert await bad.read() is None
    async with door.knock() as good:
        assert isinstance(await good.ask(STATUS), SignerStatus)


async def test_an_endless_line_is_cut(door: Door):
    async with door.knock() as line:
        for _ in range(SIGNER_LINE_BYTES_MAX // 65_536 + 4):
            await line.send(b"x" * 65_536)
        answer = await line.read()
        assert answer is None or (isinstance(answer, Refusal) and answer.code == "E-SIZE")
    async with door.knock() as good:
        assert isinstance(await good.ask(STATUS), SignerStatus)


async def test_the_largest_payload_fits_a_line(door: Door):
    revision = people.make_revision(1, tenant=FIRST_TENANT)
    filled = msgspec.structs.replace(revision, description="x" * (1024 * 1024 - len(encode_payload(revision))))
    payload = encode_payload(filled)
    assert len(payload) == 1024 * 1024
    async with door.knock() as line:
        answer = await line.ask(msgspec.json.encode(SignRevision(payload=payload)))
        assert isinstance(answer, Signed)
        assert answer.envelope.payload == payload


async def test_more_connections_than_people_meet_a_shut_door(door: Door):
    async with contextlib.AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(door.knock()) for _ in range(CONNECTIONS_MAX)]
        for line in lines:
            assert isinstance(await line.ask(STATUS), SignerStatus)
        late = await stack.enter_async_context(door.knock())
        assert await late.ask(STATUS) is None
    # They have gone, but the signer hears of it a moment later.
    while True:
        async with door.knock() as again:
            if isinstance(await again.ask(STATUS), SignerStatus):
                return


async def test_a_client_that_leaves_in_the_middle_harms_nobody(door: Door):
    async with door.knock() as line:
        await line.send(REVISION[:10])
    async with door.knock() as line:
        await line.send(REVISION + b"\n")
    async with door.knock() as good:
        assert isinstance(await good.ask(STATUS), SignerStatus)


async def test_nothing_is_signed_after_the_disk_failed(door: Door):
    class FailingLedger:
        def __init__(self) -> None:
            self.floors: dict[str, object] = {}
            self.accepted = door.desk.ledger.accepted

        def raise_floors(self, raised: object) -> None:
            raise StoreFailed("the sync failed")

    door.desk.ledger = FailingLedger()  # type: ignore[assignment]
    async with door.knock() as line:
        answer = await line.ask(REVISION)
        assert isinstance(answer, Refusal)
        assert answer.code == "E-STORE-FAILED"
    assert isinstance(await door.tasks.wait_failed(), StoreFailed)
