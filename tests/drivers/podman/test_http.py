"""The HTTP client against servers that behave as a dying or broken podman does."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from skerry.drivers.podman import http
from skerry.drivers.podman.answers import ContainerItem
from skerry.drivers.podman.http import PodmanHttp, PodmanRefusal, PodmanUnavailable, split_frames

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def sized(body: bytes, length: int | None = None, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body) if length is None else length, body)


def chunked(*pieces: bytes, end: bool = True) -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return OK + b"Transfer-Encoding: chunked\r\n\r\n" + body + (b"0\r\n\r\n" if end else b"")


def against(tmp_path: Path, answer: bytes | Serve, use: Callable[[PodmanHttp], Awaitable[object]]) -> object:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if isinstance(answer, bytes):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer)
                await writer.drain()
            else:
                await answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def main() -> object:
        server = await asyncio.start_unix_server(serve, tmp_path / "podman.sock")
        try:
            return await use(PodmanHttp(str(tmp_path / "podman.sock")))
        finally:
            server.close()

    return asyncio.run(main())


def containers(podman: PodmanHttp) -> Awaitable[object]:
    return podman.read(list[ContainerItem], "/containers/json")


@pytest.mark.parametrize(
    "answer",
    [
        sized(b'[{"Id": "a"}]'),
        chunked(b'[{"Id"', b': "a"}]'),
        OK + b'\r\n[{"Id": "a"}]',
        b'HTTP/1.1 200 OK\nContent-Length: 13\n\n[{"Id": "a"}]',
    ],
    ids=["sized", "chunked", "until-the-end", "bare-newlines"],
)
def test_a_whole_answer_is_read_however_it_is_framed(tmp_path: Path, answer: bytes):
    (item,) = against(tmp_path, answer, containers)
    assert item.id == "a"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        OK,
        OK + b"Content-Length: 40\r\n\r\n",
        sized(b'[{"Id": "a"}]', 40),
        sized(b""),
        OK + b"\r\n",
        chunked(b'[{"Id": "a"}]', end=False),
        chunked(end=False),
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nff\r\n[]",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"\x00\xff" * 40_000,
        OK + b"X: y\r\n" * 200 + b"\r\n",
        sized(b'{"Id": "a"}'),
        sized(b'[{"Id": 7}]'),
        sized(b"[" * 5_000),
    ],
)
def test_anything_less_is_no_answer_and_never_an_empty_node(tmp_path: Path, answer: bytes):
    with pytest.raises(PodmanUnavailable):
        against(tmp_path, answer, containers)


@pytest.mark.parametrize("answer", [sized(b"null"), sized(b"[]\n")])
def test_an_empty_list_is_said_in_so_many_words(tmp_path: Path, answer: bytes):
    assert against(tmp_path, answer, containers) == []


@pytest.mark.parametrize("body", [b'{"message": "no such", "cause": "x"}', b"no such"])
def test_a_refusal_keeps_its_status_and_words(tmp_path: Path, body: bytes):
    with pytest.raises(PodmanRefusal, match="no such") as caught:
        against(tmp_path, sized(body, status=b"404 Not Found"), containers)
    assert caught.value.status == 404


def test_an_answer_without_end_is_given_up(tmp_path: Path):
    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            await writer.drain()

    with pytest.raises(PodmanUnavailable, match=f"more than {http.ANSWER_BYTES_MAX} bytes"):
        against(tmp_path, pour, containers)


def test_silence_ends_at_the_deadline_and_says_so(tmp_path: Path):
    async def sit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    with pytest.raises(PodmanUnavailable, match="within 0 s") as caught:
        against(tmp_path, sit, lambda podman: podman.call("GET", "/x", deadline_s=0.05))
    assert caught.value.late


def test_no_socket_is_told_apart_from_silence(tmp_path: Path):
    with pytest.raises(PodmanUnavailable) as caught:
        asyncio.run(PodmanHttp(str(tmp_path / "none.sock")).call("GET", "/x"))
    assert not caught.value.late


def test_an_upload_that_is_refused_half_way_says_why(tmp_path: Path):
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(1000)
        writer.write(sized(b'{"message": "no space left on device"}', status=b"500 X"))
        await writer.drain()
        writer.write_eof()
        while await reader.read(65536):
            pass

    pieces = (b"x" * 65536 if turn % 2 else b"" for turn in range(200))
    with pytest.raises(PodmanRefusal, match="no space left"):
        against(tmp_path, refuse, lambda podman: podman.call("POST", "/images/load", stream=pieces))


def test_an_upload_arrives_byte_by_byte(tmp_path: Path):
    got = bytearray()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        while size := int(await reader.readline(), 16):
            got.extend(await reader.readexactly(size))
            await reader.readline()
        writer.write(sized(b"{}"))

    against(tmp_path, take, lambda podman: podman.call("POST", "/x", stream=iter([b"ab", b"", b"c"])))
    assert bytes(got) == b"abc"


def test_words_of_a_query_cannot_end_the_request_line(tmp_path: Path):
    lines: list[bytes] = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.extend((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n"))
        writer.write(sized(b"{}"))

    query = {"filters": 'a b\r\nX: y&z="', "all": True}
    against(tmp_path, note, lambda podman: podman.call("GET", "/x", query=query))
    assert lines[0].endswith(b"/x?filters=a+b%0D%0AX%3A+y%26z%3D%22&all=true HTTP/1.1")
    assert not any(line.startswith(b"X:") for line in lines)


def test_frames_are_cut_where_they_end():
    buffer = bytearray(b"\x01\0\0\0\0\0\0\x02hi\x02\0\0\0\0\0\0\x03oh")
    assert split_frames(buffer) == [(1, b"hi")]
    buffer += b"!"
    assert split_frames(buffer) == [(2, b"oh!")]
    assert buffer == b""


def test_a_frame_of_gigabytes_is_not_waited_for():
    with pytest.raises(PodmanUnavailable):
        split_frames(bytearray(b"\x01\0\0\0\xff\xff\xff\xff"))


async def test_what_goes_upward_is_sent_after_the_answer_and_its_end_shuts_that_way(tmp_path):
    """As podman's exec wants it: one connection, input one way, output the other, each with an end of its own."""

    async def echo(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        writer.write(b"got " + await reader.read(-1))
        writer.close()

    async def typed():
        yield b"one "
        yield b"two"

    path = str(tmp_path / "podman.sock")
    async with await asyncio.start_unix_server(echo, path):
        pieces = [piece async for piece in PodmanHttp(path).stream("POST", "/exec/x/start", upward=typed())]
    assert b"".join(pieces) == b"got one two"
