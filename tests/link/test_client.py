import asyncio
import base64
import json
import subprocess
import sys

import pytest
from tests.link.rig import Answer, hostile_parent, make_dialer, make_identity, read_all

from skerry.clock import Tasks
from skerry.link.client import fetch_roots
from skerry.link.frames import Opcode, encode_frame
from skerry.link.ports import CloseReason, ConnectFailed, ConnectReason, LinkClosed, Patience
from skerry.model import limits

SECOND_US = 1_000_000
NONCE = base64.b64encode(bytes(32)).decode()


def make_upgrade(head: bytes, *, nonce: str = NONCE, accept: str | None = None, extra: str = "") -> bytes:
    """The 101 of a parent that answers ``head`` correctly but for what the test changes."""
    from websockets.utils import accept_key

    key = next(line.split(": ")[1] for line in head.decode().split("\r\n") if line.startswith("Sec-WebSocket-Key"))
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Accept: {accept or accept_key(key)}", f"Skerry-Nonce: {nonce}"]
    return ("\r\n".join([*lines, *([extra] if extra else [])]) + "\r\n\r\n").encode()


def answering(content: bytes) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(content)
        await writer.drain()
        writer.close()
        await read_all(reader)

    return answer


def upgrading(content: bytes = b"", **changes: str) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(make_upgrade(await reader.readuntil(b"\r\n\r\n"), **changes) + content)
        await read_all(reader)

    return answer


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await read_all(reader)


async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    for byte in b"HTTP/1.1 101 Switching Protocols\r\n":
        writer.write(bytes((byte,)))
        await writer.drain()
        await asyncio.sleep(0.05)


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\n")
    while True:
        writer.write(b"X-Filler: 0123456789abcdef\r\n" * 100)
        await writer.drain()


async def resetting(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def fail_to_dial(
    answer: Answer, identity: tuple[bytes, bytes] | None = None, *, plain: bool = False, dial_us: int = 20 * SECOND_US
) -> ConnectFailed:
    async with hostile_parent(answer, None if plain else identity or make_identity()) as endpoint:
        with pytest.raises(ConnectFailed) as caught:
            await make_dialer(patience=Patience(dial_us=dial_us)).dial(endpoint)
        assert caught.value.detail
        return caught.value


PAGE = b"Content-Type: text/html\r\nContent-Length: 24\r\n\r\n<html>Please log in</html>"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\n" + PAGE, ConnectReason.CAPTIVE),
        (b"HTTP/1.1 302 Found\r\nLocation: http://portal.example/\r\n\r\n", ConnectReason.CAPTIVE),
        (b"HTTP/1.1 511 Network Authentication Required\r\n" + PAGE, ConnectReason.CAPTIVE),
        (b"HTTP/1.1 404 Not Found\r\n" + PAGE, ConnectReason.BAD_UPGRADE),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", ConnectReason.BAD_UPGRADE),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", ConnectReason.BAD_UPGRADE),
        (b"\x00\xff\r\n\r\n", ConnectReason.BAD_UPGRADE),
        (b"", ConnectReason.RESET),
        (b"HTTP/1.1 101 Swit", ConnectReason.RESET),
    ],
)
async def test_what_answers_in_place_of_a_link_is_named(answer: bytes, reason: ConnectReason):
    assert (await fail_to_dial(answering(answer))).reason is reason


@pytest.mark.parametrize(
    ("retry_after", "wait_us"), [("17", 17 * SECOND_US), ("999999", 3600 * SECOND_US), ("soon", 0), ("-5", 0)]
)
async def test_a_busy_parent_may_ask_to_stay_away_within_reason(retry_after: str, wait_us: int):
    failure = await fail_to_dial(answering(f"HTTP/1.1 503 Busy\r\nRetry-After: {retry_after}\r\n\r\n".encode()))
    assert (failure.reason, failure.retry_after_us) == (ConnectReason.BUSY, wait_us)


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": ""},
        {"nonce": "AAAA"},
        {"nonce": "*" * 44},
        {"accept": "bm90IHRoZSBrZXk="},
        {"extra": "Sec-WebSocket-Extensions: permessage-deflate"},
        {"extra": "Sec-WebSocket-Protocol: chat"},
    ],
)
async def test_an_upgrade_that_is_not_ours_is_refused(changes: dict[str, str]):
    assert (await fail_to_dial(upgrading(**changes))).reason is ConnectReason.BAD_UPGRADE


async def test_a_head_without_end_is_cut():
    assert (await fail_to_dial(endless)).reason is ConnectReason.BAD_UPGRADE


@pytest.mark.parametrize("answer", [silent, dripping])
async def test_silence_and_drip_end_at_the_deadline(answer: Answer):
    assert (await fail_to_dial(answer, dial_us=SECOND_US // 3)).reason is ConnectReason.STALLED


async def test_silence_in_place_of_tls_ends_at_the_deadline():
    assert (await fail_to_dial(silent, plain=True, dial_us=SECOND_US // 3)).reason is ConnectReason.STALLED


async def test_plain_http_where_tls_should_be():
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n" + PAGE)
        await writer.drain()

    assert (await fail_to_dial(answer, plain=True)).reason is ConnectReason.TLS


async def test_a_reset_before_and_after_tls():
    assert (await fail_to_dial(resetting, plain=True)).reason is ConnectReason.RESET
    assert (await fail_to_dial(resetting)).reason is ConnectReason.RESET


@pytest.mark.parametrize(
    ("identity", "reason"),
    [
        (make_identity(2), ConnectReason.TLS_UNTRUSTED),
        (make_identity(1, "spiffe://td/site/oslo/node/a"), ConnectReason.TLS_NAME),
        (make_identity(1, "spiffe://elsewhere/core/one"), ConnectReason.TLS_NAME),
    ],
)
async def test_nothing_is_sent_to_a_server_that_is_not_the_pinned_one(
    identity: tuple[bytes, bytes], reason: ConnectReason
):
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        heard.append(await read_all(reader))

    assert (await fail_to_dial(listen, identity)).reason is reason
    assert b"".join(heard) == b""


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (encode_frame(Opcode.BINARY, b"masked", b"\x01\x02\x03\x04"), CloseReason.GARBAGE),
        (b"\xff" * 50, CloseReason.GARBAGE),
        (b"\x82\x7f" + (2**62).to_bytes(8, "big"), CloseReason.TOO_BIG),
        (b"\x82\x7f" + (limits.FRAME_BYTES_MAX).to_bytes(8, "big"), CloseReason.TOO_BIG),  # before it is proven
        (b"\x88\x02\x03\xe9", CloseReason.CLOSED),
    ],
)
async def test_a_parent_that_breaks_the_framing_is_left(content: bytes, reason: CloseReason):
    async with hostile_parent(upgrading(encode_frame(Opcode.BINARY, b"first") + content), make_identity()) as endpoint:
        child = await make_dialer().dial(endpoint)
        assert await child.receive() == b"first"
        with pytest.raises(LinkClosed) as caught:
            await child.receive()
        assert caught.value.reason is reason
        await child.close()


async def test_a_parent_that_never_says_goodbye_is_left_all_the_same():
    async with hostile_parent(upgrading(), make_identity()) as endpoint:
        child = await make_dialer(patience=Patience(close_us=SECOND_US // 5)).dial(endpoint)
        await child.close()
        with pytest.raises(LinkClosed):
            await child.receive()


async def test_a_parent_that_reads_nothing_is_given_up():
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(make_upgrade(await reader.readuntil(b"\r\n\r\n")))
        writer.transport.pause_reading()
        await asyncio.Event().wait()

    async with hostile_parent(deaf, make_identity()) as endpoint:
        child = await make_dialer(patience=Patience(stall_us=SECOND_US // 3)).dial(endpoint)

        async def flood() -> None:
            while True:
                await child.send(bytes(64 * 1024))

        with pytest.raises(LinkClosed) as caught:
            await flood()
        assert caught.value.reason is CloseReason.STALLED
        await child.close()


# --- roots -----------------------------------------------------------------------------------------------------------


async def test_roots_are_read_from_a_server_that_nobody_vouches_for():
    heads: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nroots")
        await read_all(reader)

    async with hostile_parent(answer, make_identity(9)) as endpoint:
        assert await fetch_roots(endpoint, 7) == b"roots"
    assert heads[0].startswith(b"GET /v1/roots?after=7 HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (answering(b"HTTP/1.1 200 OK\r\n" + PAGE), ConnectReason.CAPTIVE),
        (answering(b"HTTP/1.1 302 Found\r\n\r\n"), ConnectReason.CAPTIVE),
        (answering(b"HTTP/1.1 404 Not Found\r\n\r\n"), ConnectReason.BAD_UPGRADE),
        (answering(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(100)), ConnectReason.BAD_UPGRADE),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n"), ConnectReason.BAD_UPGRADE),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"), ConnectReason.RESET),
        (answering(b"nonsense\r\n\r\n"), ConnectReason.BAD_UPGRADE),
        (endless, ConnectReason.BAD_UPGRADE),
        (dripping, ConnectReason.STALLED),
        (resetting, ConnectReason.RESET),
    ],
)
async def test_roots_that_do_not_come_have_a_reason(answer: Answer, reason: ConnectReason):
    dial_us = SECOND_US // 3 if reason is ConnectReason.STALLED else 20 * SECOND_US
    async with hostile_parent(answer, make_identity(9)) as endpoint:
        with pytest.raises(ConnectFailed) as caught:
            await fetch_roots(endpoint, 1, patience=Patience(dial_us=dial_us))
        assert caught.value.reason is reason


# --- what it costs ---------------------------------------------------------------------------------------------------

HEAVY = ("cryptography", "uvloop", "rich", "click", "sqlalchemy", "litestar", "httpx2", "requests", "apsw", "zstandard")


def test_the_agents_end_imports_nothing_heavy():
    script = "import json, sys, skerry.link.client; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    loaded = {name.partition(".")[0] for name in json.loads(run.stdout)}
    assert loaded.isdisjoint(HEAVY)
    assert "skerry" in loaded


async def test_a_dial_that_is_cancelled_leaves_nothing_open():
    tasks = Tasks()
    async with hostile_parent(silent, make_identity()) as endpoint:
        dialling = tasks.start("dial", make_dialer().dial(endpoint))
        await asyncio.sleep(0.05)
        await tasks.stop()
    assert dialling.cancelled()
