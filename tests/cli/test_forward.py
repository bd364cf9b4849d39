"""``skerry forward``: local connections carried as signed calls, and how it ends."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys

import msgspec
import pytest
from tests.cli.town import Town

from skerry.cli.forward import CONNECTIONS_MAX, split_ports
from skerry.wire import CallReply, NonceReply, StreamData


class EchoSites:
    """Sites whose instances say everything again, and at its end how much it was."""

    def __init__(self):
        self.signed = []
        self.refusal = None
        self.open = 0

    def nudge(self, site):
        pass

    async def call(self, site, kind, body, allowed_us):
        if kind == "nonce":
            return EchoCall(CallReply("c", True, msgspec.msgpack.encode(NonceReply(b"n" * 32))), self)
        self.signed.append(body)
        return EchoCall(self.refusal or CallReply("c", True, stream=True), self)


class EchoCall:
    def __init__(self, reply, sites):
        self.reply = reply
        self._sites = sites
        self._said = asyncio.Queue(4)
        self._is_closed = False

    async def read(self):
        self._sites.open += 1
        count = 0
        while data := await self._said.get():
            count += len(data)
            yield StreamData("c", 1, data)
        if self._is_closed:
            return
        yield StreamData("c", 1, b" %d" % count)
        yield StreamData("c", 1, b"", end=True)
        self._sites.open -= 1

    async def write(self, data, *, channel=0, end=False):
        if data:
            await self._said.put(data)
        if end:
            await self._said.put(b"")

    async def close(self, reason=""):
        self._is_closed = True
        while not self._said.empty():
            self._said.get_nowait()
        self._said.put_nowait(b"")


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    town = Town(tmp_path_factory.mktemp("town"))
    town.open_shop()
    yield town
    town.close()


@pytest.fixture
def far(town):
    town.rig.core.sites = EchoSites()
    return town.rig.core.sites


@contextlib.contextmanager
def forwarding(town, ports="0:80"):
    """The command in a process of its own, and the local port it took."""
    argv = [sys.executable, "-m", "skerry", "forward", "shop/web", ports, "--site", "oslo"]
    environment = os.environ | town.environment | {"PYTHONUNBUFFERED": "1"}
    program = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        line = program.stdout.readline()
        found = re.match(r"http://127\.0\.0\.1:(\d+) leads to port 80 of shop/web\.0 at oslo", line)
        assert found, line + program.stderr.read()
        yield program, int(found[1])
    finally:
        program.kill()
        program.wait(10)
        program.stdout.close()
        program.stderr.close()


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def read_all(connection):
    pieces = []
    while data := connection.recv(65536):
        pieces.append(data)
    return b"".join(pieces)


def test_connections_are_carried_side_by_side_each_half_ending_by_itself(town, far):
    with forwarding(town) as (program, port):
        first, second = connect(port), connect(port)
        first.sendall(b"one")
        assert first.recv(10) == b"one"
        second.sendall(b"two")
        assert second.recv(10) == b"two"
        # We have said all, and the far end answers after that.
        first.shutdown(socket.SHUT_WR)
        assert read_all(first) == b" 3"
        second.sendall(b"more")
        assert second.recv(10) == b"more"
        first.close()
        second.close()
        assert len(far.signed) == 2
        assert b'"verb":"forward"' in far.signed[0]
        assert b'"port":80' in far.signed[0]
        program.send_signal(signal.SIGINT)
        assert program.wait(30) == 130
        assert "interrupted" in program.stderr.read()


def test_megabytes_come_whole_and_in_order(town, far):
    content = os.urandom(3_000_000)
    with forwarding(town) as (_, port), connect(port) as connection:
        pid = os.fork()
        if pid == 0:
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
            os._exit(0)
        said = read_all(connection)
        os.waitpid(pid, 0)
    assert said == content + b" %d" % len(content)


def test_a_connection_that_nobody_reads_holds_up_no_other(town, far):
    with forwarding(town) as (_, port), connect(port) as slow, connect(port) as quick:
        slow.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while True:
                slow.sendall(bytes(65536))
        quick.sendall(b"here")
        assert quick.recv(10) == b"here"


def test_what_is_refused_is_said_and_the_rest_goes_on(town, far):
    far.refusal = CallReply("c", ok=False, code="E-PORT-CLOSED", reason="nothing takes connections at port 80")
    with forwarding(town) as (program, port):
        with connect(port) as connection:
            assert read_all(connection) == b""
        far.refusal = None
        with connect(port) as connection:
            connection.sendall(b"now")
            assert connection.recv(10) == b"now"
        program.send_signal(signal.SIGINT)
        program.wait(30)
        said = program.stderr.read()
    assert "nothing takes connections at port 80 (E-PORT-CLOSED)" in said
    assert "Hint: skerry app show shop" in said
    assert "Traceback" not in said


def test_what_is_not_there_is_said_before_anything_listens(town, far):
    for where, site in (("shop/db", "oslo"), ("gone/web", "oslo"), ("shop/web", "gone")):
        result = town.run("forward", where, "0:80", "--site", site)
        assert (result.code, result.out) == (5, "")
        assert f"{where}, copy 0, at site {site}" in result.err
    assert town.run("forward", "shop", "80", "--site", "oslo").code == 64


def test_a_port_in_use_is_an_error_with_a_way_out(town, far):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = town.run("forward", "shop/web", f"{port}:80", "--site", "oslo")
    assert result.code == 1
    assert f"127.0.0.1:{port}" in result.err
    assert "Hint: " in result.err


@pytest.mark.parametrize(("text", "ports"), [("80", (80, 80)), ("8080:80", (8080, 80)), ("0:65535", (0, 65535))])
def test_ports_are_read(text, ports):
    assert split_ports(text) == ports


@pytest.mark.parametrize(
    "text", ["", "0", "80:", ":80", "65536", "1:65536", "80:0", "a", "1:2:3", "-1:80", "²", "000080"]
)
def test_what_is_no_port_is_refused(town, text):
    assert town.run("forward", "shop/web", "--site", "oslo", "--", text).code == 64


def test_more_connections_than_there_may_be_wait_to_be_taken(town, far):
    with forwarding(town) as (_, port), contextlib.ExitStack() as stack:
        taken = [stack.enter_context(connect(port)) for _ in range(CONNECTIONS_MAX)]
        for each in taken:
            each.sendall(b"a")
            assert each.recv(1) == b"a"
        assert far.open == CONNECTIONS_MAX
        late = stack.enter_context(connect(port))
        late.sendall(b"b")
        taken[0].close()
        assert late.recv(1) == b"b"
