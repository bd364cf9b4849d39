"""Which WebSocket server should stand behind the link: CPU and memory per 1,000 idle TLS children.

Every candidate gets the same certificate, the same swarm in a process of its own and the same frames (200 bytes each);
frames come `--every` seconds instead of each 30 s, and the CPU time per frame is scaled back. `--json FILE` writes the
rows. Server and swarm are this same file with hidden arguments, so that neither's memory or CPU counts for the other.
"skerry" is the product's own listener; the others are libraries as they come, each handing frames to a coroutine per
child. docs/decisions/0012-link-websocket-server.md draws the conclusion.
"""

import argparse
import asyncio
import contextlib
import datetime
import gc
import importlib.util
import json
import os
import pathlib
import resource
import ssl
import subprocess
import sys
import tempfile
from typing import Any

from skerry.clock import SystemClock, SystemMint, Tasks
from skerry.link import tls
from skerry.link.admission import Quota
from skerry.link.ports import Connection
from skerry.link.server import LinkListener
from skerry.trust import x509

FRAME_BYTES = 200
FRAMES_PER_HOUR = 120  # one each 30 s
#: Goals of link.md §5, per 1,000 children.
GOAL_CPU_S_PER_HOUR = 15.0
GOAL_RSS_MB = 80.0
#: library/loop; "fastnet" is picows as it comes, on its author's replacement of asyncio's transports and TLS.
CANDIDATES = (
    "skerry/uvloop",
    "skerry/asyncio",
    "websockets/uvloop",
    "websockets/asyncio",
    "picows/uvloop",
    "picows/asyncio",
    "picows+fastnet/uvloop",
)
UPGRADE = (
    b"GET /v1/link HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
#: A masked binary frame of 200 bytes; the mask is all zero, which servers must accept.
FRAME = b"\x82\xfe" + FRAME_BYTES.to_bytes(2, "big") + bytes(4) + os.urandom(FRAME_BYTES)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--children", type=int, default=500)
    parser.add_argument("--every", type=float, default=3.0, help="seconds between frames of one child")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of the measured window")
    parser.add_argument("--only", action="append", choices=CANDIDATES)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    rows = [measure(name, options) for name in options.only or CANDIDATES if is_installed(name)]
    print(f"{'server':22} {'CPU-s/h':>8} {'of goal':>8} {'RSS MB':>8} {'of goal':>8} {'base MB':>8} {'connect ms':>11}")
    for row in rows:
        cpu, rss = row["cpu_s_per_hour"], row["rss_mb"]
        goals = f"{cpu:8.1f} {cpu / GOAL_CPU_S_PER_HOUR:8.2f} {rss:8.1f} {rss / GOAL_RSS_MB:8.2f}"
        print(f"{row['server']:22} {goals} {row['base_mb']:8.1f} {row['connect_cpu_ms']:11.2f}")
    if options.json:
        options.json.write_text(json.dumps({"children": options.children, "rows": rows}, indent=2) + "\n")
    return 0


def is_installed(name: str) -> bool:
    wanted = name.replace("fastnet", "aiofastnet").replace("+", "/").split("/")
    missing = [module for module in wanted if importlib.util.find_spec(module) is None]
    if missing:
        print(f"{name}: left out, {', '.join(missing)} is not installed", file=sys.stderr)
    return not missing


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run one candidate; all figures but ``base_mb`` and ``connect_cpu_ms`` are per 1,000 children."""
    me = [sys.executable, __file__]
    with tempfile.TemporaryDirectory() as folder:
        certificate = pathlib.Path(folder) / "server.pem"
        year = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
        pem, key = x509.make_server_certificate(
            x509.make_delivery_ca(bytes(32)),
            x509.ServerNames("spiffe://bench/core/one"),
            year,
            year.replace(year=2120),
            seed=bytes(32),
        )
        certificate.write_bytes(pem + key)
        server = subprocess.Popen([*me, "serve", name, str(certificate)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        swarm = None
        try:
            port = ask(server)["port"]
            base = ask(server, "measure")
            swarm = subprocess.Popen(
                [*me, "swarm", str(port), str(options.children), str(options.every)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            ask(swarm)  # everybody is connected and each has sent one frame
            connected = ask(server, "measure")
            ask(swarm, "go")
            begin = ask(server, "measure")
            ask(swarm, f"sleep {options.seconds}")
            end = ask(server, "measure")
        finally:
            for process in (swarm, server):
                if process is not None:
                    process.kill()
                    process.communicate()
    frames = end["frames"] - begin["frames"]
    per_thousand = 1000 / options.children
    return {
        "server": name,
        "frames": frames,
        "cpu_s_per_hour": (end["cpu_s"] - begin["cpu_s"]) / frames * FRAMES_PER_HOUR * 1000,
        "rss_mb": (end["rss_kib"] - base["rss_kib"]) / 1024 * per_thousand,
        "base_mb": base["rss_kib"] / 1024,
        "connect_cpu_ms": (connected["cpu_s"] - base["cpu_s"]) / options.children * 1000,
    }


def ask(process: subprocess.Popen[bytes], command: str = "") -> dict[str, float]:
    """Send one line, unless empty, and read the line of JSON that answers."""
    assert process.stdin is not None
    assert process.stdout is not None
    if command:
        process.stdin.write(command.encode() + b"\n")
        process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"the measured process ended with {process.wait()}")
    return json.loads(line)


def tell(**answer: float) -> None:
    print(json.dumps(answer), flush=True)


async def read_commands() -> asyncio.StreamReader:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def read_rss_kib() -> int:
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise SystemExit("no VmRSS in /proc/self/status")


frames_seen = 0


async def serve(library: str, certificate: str) -> None:
    pem = pathlib.Path(certificate).read_bytes()
    key_at = pem.index(b"-----BEGIN PRIVATE")
    context = tls.make_server_context(pem[:key_at], pem[key_at:])
    if library == "skerry":
        port = await serve_skerry(pem[:key_at], pem[key_at:])
    elif library == "websockets":
        port = await serve_websockets(context)
    else:
        port = await serve_picows(context, fastnet=library.endswith("fastnet"))
    tell(port=port)
    commands = await read_commands()
    while await commands.readline():
        gc.collect()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        tell(cpu_s=usage.ru_utime + usage.ru_stime, rss_kib=read_rss_kib(), frames=frames_seen)


async def serve_skerry(certificate_pem: bytes, key_pem: bytes) -> int:
    async def handle(connection: Connection) -> None:
        global frames_seen
        connection.raise_limit()
        while await connection.receive():
            frames_seen += 1

    listener = LinkListener(
        certificate_pem=certificate_pem,
        key_pem=key_pem,
        host="127.0.0.1",
        port=0,
        read_roots=lambda _after: b"",
        clock=SystemClock(),
        mint=SystemMint(),
        tasks=Tasks(),
        quota=Quota(arrivals_per_second=100_000, arrivals_burst=100_000),
    )
    await listener.serve(handle)
    return listener.port


async def serve_websockets(context: ssl.SSLContext) -> int:
    from websockets.asyncio.server import ServerConnection
    from websockets.asyncio.server import serve as listen
    from websockets.exceptions import ConnectionClosed

    async def handle(connection: ServerConnection) -> None:
        global frames_seen
        with contextlib.suppress(ConnectionClosed):
            while await connection.recv(decode=False):
                frames_seen += 1

    server = await listen(
        handle,
        "127.0.0.1",
        0,
        ssl=context,
        compression=None,
        ping_interval=None,
        backlog=1000,
        max_queue=2,
    )
    return server.sockets[0].getsockname()[1]


async def serve_picows(context: ssl.SSLContext, *, fastnet: bool) -> int:
    import picows

    class Child(picows.WSListener):
        """Hands each frame to a coroutine of its own, as a session is one; only then are the candidates alike."""

        def on_ws_connected(self, transport: picows.WSTransport) -> None:
            self.frames: asyncio.Queue[bytes] = asyncio.Queue()
            self.session = asyncio.create_task(self.handle())

        def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
            self.frames.put_nowait(frame.get_payload_as_bytes())

        async def handle(self) -> None:
            global frames_seen
            while await self.frames.get():
                frames_seen += 1

    server = await picows.ws_create_server(
        lambda _request: Child(),
        "127.0.0.1",
        0,
        ssl=context,
        backlog=1000,
        read_buffer_init_size=1024,
        use_aiofastnet=fastnet,
    )
    return server.sockets[0].getsockname()[1]


async def swarm(port: int, children: int, every_s: float) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connected: list[asyncio.StreamWriter] = []

    async def live(index: int) -> None:
        await asyncio.sleep(every_s * index / children)
        while True:
            connected[index].write(FRAME)
            await asyncio.sleep(every_s)

    for _ in range(children):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(FRAME)
        connected.append(writer)
    lives = [asyncio.create_task(live(index)) for index in range(children)]
    commands = await read_commands()
    tell()
    await commands.readline()
    await asyncio.sleep(every_s)  # one frame of each child before the window opens
    tell()
    await asyncio.sleep(float((await commands.readline()).split()[1]))
    tell()
    await asyncio.gather(*lives)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", candidate, certificate_path]:
            chosen_library, chosen_loop = candidate.split("/")
            if chosen_loop == "uvloop":
                import uvloop

                uvloop.run(serve(chosen_library, certificate_path))
            else:
                asyncio.run(serve(chosen_library, certificate_path))
        case ["swarm", port_text, children_text, every_text]:
            asyncio.run(swarm(int(port_text), int(children_text), float(every_text)))
        case _:
            raise SystemExit(main())
