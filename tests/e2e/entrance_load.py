"""People at an entrance: as many requests as fit, over kept connections and fresh ones, each counted.

A kept connection that was closed while it lay idle is opened again, as every browser does (RFC 9112 §9.3.1); whatever
else is not an answer of 200 has failed.
"""

import asyncio
import contextlib
import json
import signal
import ssl
import sys
import time
from collections import Counter

ANSWER_S_MAX = 10.0


class Load:
    """So many people for so long; ``answers`` counts bodies, ``failed`` what else came."""

    def __init__(self, address: str, port: int, host: str, tls: ssl.SSLContext | None = None) -> None:
        self.address, self.port, self.host, self.tls = address, port, host, tls
        self.answers: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.reopened = 0
        self.slowest_s = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._is_over = False

    def start(self, kept: int, fresh: int, path: str = "/") -> None:
        """Let people come."""
        self._tasks += [asyncio.create_task(self._stay(path)) for _ in range(kept)]
        self._tasks += [asyncio.create_task(self._come_and_go(path)) for _ in range(fresh)]

    async def stop(self) -> None:
        """Let what is under way end."""
        self._is_over = True
        await asyncio.gather(*self._tasks)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        name = self.host if self.tls is not None else None
        return await asyncio.open_connection(self.address, self.port, ssl=self.tls, server_hostname=name)

    async def _stay(self, path: str) -> None:
        pair: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while not self._is_over:
            is_fresh = pair is None
            try:
                pair = pair or await self._open()
                is_kept = await self._ask(*pair, path, is_fresh=is_fresh)
            except EOFError:
                is_kept, self.reopened = False, self.reopened + 1
            except OSError as error:
                is_kept = False
                self._fail(error)
            if not is_kept and pair is not None:
                pair[1].close()
                pair = None
            await asyncio.sleep(0.002)

    async def _come_and_go(self, path: str) -> None:
        while not self._is_over:
            try:
                reader, writer = await self._open()
                await self._ask(reader, writer, path, is_fresh=True)
                writer.close()
            except (OSError, EOFError) as error:
                self._fail(error)
            await asyncio.sleep(0.002)

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, *, is_fresh: bool
    ) -> bool:
        """Ask once; say whether the connection is kept. ``EOFError`` where a kept one had been closed."""
        began = time.monotonic()
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode())
        async with asyncio.timeout(ANSWER_S_MAX):
            try:
                line = await reader.readline()
            except ConnectionError as error:
                if is_fresh:
                    raise
                raise EOFError from error
            if not line:
                if is_fresh:
                    raise ConnectionResetError("closed without an answer")
                raise EOFError
            length, is_kept = 0, True
            while (header := (await reader.readline()).lower()).strip():
                if header.startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
                is_kept = is_kept and header.strip() != b"connection: close"
            body = await reader.readexactly(length)
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        if b" 200 " in line:
            self.answers[body.decode()] += 1
        else:
            self.failed[line.decode().strip()] += 1
        return is_kept

    def _fail(self, error: BaseException) -> None:
        self.failed[f"{type(error).__name__}: {error}"] += 1


async def ask_once(
    address: str, port: int, host: str, path: str = "/", tls: ssl.SSLContext | None = None
) -> tuple[int, str, dict[str, str]]:
    """Return status, body and headers of one request; status 0 where nobody answers."""
    try:
        name = host if tls is not None else None
        reader, writer = await asyncio.open_connection(address, port, ssl=tls, server_hostname=name)
    except OSError as error:
        return 0, str(error), {}
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        async with asyncio.timeout(ANSWER_S_MAX):
            content = await reader.read()
    finally:
        with contextlib.suppress(OSError):
            writer.close()
    head, _, body = content.partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    headers = {word.lower(): value.strip() for word, _, value in (line.partition(":") for line in rest)}
    return int(first.split(" ")[1]) if first else 0, body.decode(), headers


async def main(address: str, port: int, host: str, seconds: float, path: str, trusted: str) -> dict[str, object]:
    """Ask once where there is no time, else let six people stay and four come and go, for so long or until SIGTERM."""
    tls = ssl.create_default_context(cafile=trusted) if trusted else None
    if not seconds:
        status, body, _ = await ask_once(address, port, host, path, tls)
        return {"status": status, "body": body}
    load = Load(address, port, host, tls)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    load.start(6, 4, path)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), seconds)
    await load.stop()
    return {
        "answers": sum(load.answers.values()),
        "failed": load.failed,
        "reopened": load.reopened,
        "slowest_s": round(load.slowest_s, 2),
    }


if __name__ == "__main__":
    address, port, host, seconds, *rest = sys.argv[1:]
    path, trusted = [*rest, "/", ""][:1] + [*rest[1:], ""][:1]
    print(json.dumps(asyncio.run(main(address, int(port), host, float(seconds), path, trusted))))
