"""``skerry exec -t``: a terminal far away, as seen from a real one here."""

import asyncio
import os
import signal
import sys

import msgspec
import pytest
from tests.cli.town import Town
from tests.terminals import Terminal

from skerry.drivers.base import Exit
from skerry.model.signed import Call, Envelope, Window
from skerry.sim.consoles import read_terminal
from skerry.trust.envelope import decode_envelope_msgpack
from skerry.wire import WINDOW_CHANNEL, CallReply, NonceReply, StreamData, decode_window


class FarSites:
    """Sites whose instances answer an ``exec`` with the fake shell of the simulation."""

    def __init__(self):
        self.signed: Call | None = None
        self.calls: list[FarCall] = []

    def nudge(self, site):
        pass

    async def call(self, site, kind, body, allowed_us):
        if kind == "nonce":
            reply = CallReply("c", True, msgspec.msgpack.encode(NonceReply(b"n" * 32)))
            return FarCall(reply, None)
        envelope = decode_envelope_msgpack(body)
        assert isinstance(envelope, Envelope)
        self.signed = msgspec.json.decode(envelope.payload, type=Call)
        call = FarCall(CallReply("c", True, stream=True), self.signed.terminal)
        self.calls.append(call)
        return call


class FarCall:
    def __init__(self, reply, window: Window | None):
        self.reply = reply
        self._window = window
        self._typed = asyncio.Queue()
        self.closed = asyncio.Event()

    async def read(self):
        async for item in read_terminal(self._read_typed(), self._window):
            if isinstance(item, Exit):
                yield StreamData("c", 1, b"", end=True, exit_code=item.code)
                return
            yield StreamData("c", item.channel, item.data)
            if self.closed.is_set():
                return

    async def _read_typed(self):
        while (item := await self._typed.get()) is not None:
            yield item

    async def write(self, data, *, channel=0, end=False):
        if data:
            self._typed.put_nowait(decode_window(data) if channel == WINDOW_CHANNEL else data)

    async def close(self, reason=""):
        self.closed.set()
        self._typed.put_nowait(b"\n")


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    town = Town(tmp_path_factory.mktemp("town"))
    town.open_shop()
    town.far = FarSites()
    town.rig.core.sites = town.far
    yield town
    town.close()


@pytest.fixture
def start(town):
    started = []

    def begin(*words: str) -> Terminal:
        argv = [sys.executable, "-m", "skerry", "exec", *words, "shop/web", "--site", "oslo", "--", "sh"]
        started.append(Terminal(argv, os.environ | town.environment))
        return started[-1]

    yield begin
    for each in started:
        each.close()


def test_a_shell_has_our_size_follows_it_and_gets_every_key(town, start):
    terminal = start("-it")
    terminal.wait_for("30 100")
    assert town.far.signed.terminal == Window(columns=100, rows=30)
    assert terminal.is_raw()
    terminal.resize(132, 50)
    while terminal.wait_for("\r\n") != "50 132":
        terminal.type("\n")
    terminal.type("\x03")
    assert terminal.end() == 130
    assert "interrupted" not in terminal.shown


def test_a_terminal_without_input_keeps_ours_as_it_is_and_ctrl_c_ends_us(town, start):
    terminal = start("-t")
    terminal.wait_for("30 100")
    assert not terminal.is_raw()
    terminal.type("\x03")
    assert terminal.end() == 130
    town.wait(asyncio.wait_for(town.far.calls[-1].closed.wait(), 30))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_terminal_is_given_back_when_we_are_ended(town, start, number):
    terminal = start("-it")
    terminal.wait_for("30 100")
    assert terminal.is_raw()
    terminal.program.send_signal(number)
    assert terminal.end() == 128 + number
    town.wait(asyncio.wait_for(town.far.calls[-1].closed.wait(), 30))


def test_a_call_that_breaks_off_gives_the_terminal_back_and_says_so(town, start):
    terminal = start("-it")
    terminal.wait_for("30 100")
    town.wait(town.far.calls[-1].close())
    assert terminal.end() == 8
    assert "error: " in terminal.shown


def test_a_terminal_is_refused_where_we_have_none(town):
    result = town.run("exec", "-it", "shop/web", "--site", "oslo", "--", "sh")
    assert result.code == 64
    assert "wants a terminal" in result.err
