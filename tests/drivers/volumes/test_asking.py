"""The program that sets limits does one thing, and who asks it learns what came of it."""

import asyncio
from pathlib import Path

import pytest

from skerry.drivers.volumes.asking import LimitAsker, answer
from skerry.drivers.volumes.btrfs import NotPermitted


def serve(path: Path, said: bytes) -> str:
    got: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readline())
        writer.write(said)
        writer.close()

    async def main() -> str:
        async with await asyncio.start_unix_server(handle, path):
            return await LimitAsker(path).ask(257, 1 << 20)

    said_back = asyncio.run(main())
    assert got == [b"limit 257 1048576\n"]
    return said_back


@pytest.mark.parametrize(
    ("said", "reason"), [(b"ok\n", ""), (b"ERROR: no\n", "ERROR: no"), (b"", "setting a limit failed")]
)
def test_who_asks_learns_what_came_of_it(tmp_path: Path, said: bytes, reason: str):
    assert serve(tmp_path / "s", said) == reason


def test_where_nobody_answers_the_right_is_missing(tmp_path: Path):
    with pytest.raises(NotPermitted, match="nobody answers"):
        asyncio.run(LimitAsker(tmp_path / "none").ask(257, 1))


def test_a_request_becomes_one_command():
    seen: list[tuple[str, ...]] = []

    async def run(*words: str) -> tuple[int, bytes]:
        seen.append(words)
        return len(seen) - 1, b"ERROR: unable\nto do it\n"

    assert asyncio.run(answer(b"limit 300 5000\n", "/pool", run)) == "ok"
    assert asyncio.run(answer(b"limit 300 5000\n", "/pool", run)) == "ERROR: unable to do it"
    assert seen[0] == ("btrfs", "qgroup", "limit", "5000", "0/300", "/pool")


@pytest.mark.parametrize(
    "request_",
    [b"", b"limit 300 5000", b"limit 5 5000\n", b"limit 255 1\n", b"limit 300 none\n", b"limit 300 -1\n",
     b"limit 300 1 /etc\n", b"destroy 300\n", b"limit 300 0\n", b"limit 1e3 1\n", b"limit 300 1\nlimit 301 1\n"],
)  # fmt: skip
def test_what_is_no_request_does_nothing(request_: bytes):
    async def run(*words: str) -> tuple[int, bytes]:
        raise AssertionError(words)

    assert asyncio.run(answer(request_, "/pool", run)) == "this is no request"
