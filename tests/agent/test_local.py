import asyncio
import json
from pathlib import Path

import msgspec
import pytest

from skerry.agent.local import CLIENTS_MAX, LocalProblem, LocalServer
from skerry.safe.errors import StoreFailed


class Answer(msgspec.Struct):
    said: dict[str, str]


async def echo(given: dict[str, str]) -> Answer:
    return Answer(given)


async def refuse(given: dict[str, str]) -> LocalProblem:
    return LocalProblem("E-TOKEN", "damaged", "copy all of it")


async def fail(given: dict[str, str]) -> LocalProblem:
    raise StoreFailed("the journal's disk is gone")


@pytest.fixture
async def socket(tmp_path: Path):
    path = tmp_path / "agent.sock"
    path.touch()
    server = LocalServer(path, {"GET /echo": echo, "POST /echo": echo, "POST /no": refuse, "GET /logs": fail})
    await server.start()
    yield path
    await server.stop()
    assert not path.exists()


async def ask(path: Path, raw: bytes) -> tuple[int, dict]:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(raw)
    await writer.drain()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


async def test_get_and_post_reach_their_handlers(socket: Path):
    assert await ask(socket, b"GET /echo?a=1&a=2 HTTP/1.1\r\n\r\n") == (200, {"said": {"a": "2"}})
    post = b'POST /echo HTTP/1.1\r\ncontent-length: 13\r\n\r\n{"token":"x"}'
    assert await ask(socket, post) == (200, {"said": {"token": "x"}})


async def test_a_handlers_refusal_is_a_problem(socket: Path):
    status, body = await ask(socket, b"POST /no HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
    assert (status, body["code"], body["hint"]) == (400, "E-TOKEN", "copy all of it")


@pytest.mark.parametrize(
    "raw",
    [
        b"rubbish\r\n\r\n",
        b"GET //[ HTTP/1.1\r\n\r\n",
        b"DELETE /echo HTTP/1.1\r\n\r\n",
        b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nContent-Length: 999999\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nContent-Length: 4\r\n\r\n[1]\n",
        b"POST /echo HTTP/1.1\r\n\r\n",
    ],
)
async def test_garbage_is_a_clear_error(socket: Path, raw: bytes):
    status, body = await ask(socket, raw)
    assert (status, body["code"]) == (400, "E-REQUEST")


async def test_unknown_paths_name_the_known_ones(socket: Path):
    status, body = await ask(socket, b"GET /secrets HTTP/1.1\r\n\r\n")
    assert status == 404
    assert "GET /echo" in body["hint"]


async def test_only_its_owner_may_ask(socket: Path):
    assert socket.stat().st_mode & 0o777 == 0o600


async def test_a_crowd_is_turned_away_and_the_socket_lives_on(socket: Path):
    crowd = [await asyncio.open_unix_connection(socket) for _ in range(CLIENTS_MAX)]
    await asyncio.sleep(0.05)
    status, body = await ask(socket, b"GET /echo HTTP/1.1\r\n\r\n")
    assert (status, body["code"]) == (503, "E-BUSY")
    for _, writer in crowd:
        writer.close()
        await writer.wait_closed()
    await asyncio.sleep(0.05)
    assert (await ask(socket, b"GET /echo HTTP/1.1\r\n\r\n"))[0] == 200


async def test_a_journal_that_has_failed_is_a_problem_with_words(socket: Path):
    status, body = await ask(socket, b"GET /logs HTTP/1.1\r\n\r\n")
    assert (status, body["code"]) == (503, "E-STORE-FAILED")
