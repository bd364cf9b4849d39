"""Calls: nonces that are good once, commands only when signed, streams that end with their reader."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import msgspec
import pytest
from tests.trust import people

from skerry.agent import calls
from skerry.agent.calls import CallDesk
from skerry.agent.desk import CallAnswer, Refusal
from skerry.clock import SeededMint
from skerry.drivers.base import Chunk, ContainerStats, Exit, PortRefused, Typed
from skerry.model.errors import Unavailable
from skerry.model.ids import CallId, Digest, InstanceId
from skerry.model.observed import ChainProbed, ContainerSeen
from skerry.model.signed import Call, Window
from skerry.model.trace import NodeView, TraceAsk
from skerry.trust.verdict import Denied
from skerry.wire import CallRequest, LogsAsk, NonceAsk, NonceReply, StreamData

WEB = InstanceId("alpha/shop/web/0")
CALL = CallId("call-1")


class StillClock:
    """Time that stands until it is moved."""

    def __init__(self) -> None:
        self.now_us = 1_000_000

    def wall_us(self) -> int:
        return self.now_us

    def boot_us(self) -> int:
        return self.now_us

    async def sleep_until(self, boot_us: int) -> None:
        self.now_us = max(self.now_us, boot_us)


class Shell:
    """A console that says what it was asked, and whether its streams were closed."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.closed = 0
        self.line = Line()

    async def read_logs(self, container: str, *, tail: int, follow: bool) -> AsyncGenerator[Chunk]:
        self.asked.append((container, tail, follow))
        try:
            while True:
                yield Chunk(1, b"line\n")
                if not follow:
                    return
        finally:
            self.closed += 1

    async def run_command(
        self, container: str, argv: tuple[str, ...], stdin: AsyncIterator[Typed], terminal: Window | None = None
    ) -> AsyncGenerator[Chunk | Exit]:
        self.asked.append((container, argv) if terminal is None else (container, argv, terminal))
        async for data in stdin:
            yield Chunk(1, data if isinstance(data, bytes) else b"%dx%d" % (data.columns, data.rows))
        yield Chunk(2, b"no")
        yield Exit(7)

    async def open_port(self, container: str, port: int) -> "Line":
        self.asked.append((container, port))
        if port != 80:
            raise PortRefused(f"nothing at {port}")
        return self.line

    async def read_stats(self) -> tuple[ContainerStats, ...]:
        return (ContainerStats(container="c1", cpu_us=5, memory_bytes=6),)


class Line:
    """A connection whose far end says a word, ends its half, and goes on listening."""

    def __init__(self) -> None:
        self.heard: list[bytes | str] = []
        self.breaks = False

    async def read(self) -> AsyncGenerator[bytes]:
        yield b"word"
        if self.breaks:
            raise ConnectionResetError("reset by peer")

    async def write(self, data: bytes) -> None:
        self.heard.append(data)

    def end(self) -> None:
        self.heard.append("end")

    async def close(self) -> None:
        self.heard.append("closed")


async def give(*pieces: Typed) -> AsyncGenerator[Typed]:
    for piece in pieces:
        yield piece


class Scene:
    def __init__(self, state: str = "running") -> None:
        self.input: tuple[Typed, ...] = ()
        self.clock = StillClock()
        self.shell = Shell()
        self.signed: Call | Denied = Denied("E-SIGNATURE", "nobody signed this")
        container = ContainerSeen(
            container="c1",
            instance=WEB,
            tenant=people.ALPHA,
            app=people.SHOP,
            service=people.WEB,
            ordinal=0,
            spec=Digest(""),
            image_config=Digest(""),
            state=state,
        )
        self.desk = CallDesk(
            clock=self.clock,
            mint=SeededMint("calls"),
            console=self.shell,
            find_container=lambda instance: container if instance == WEB else None,
            verify_call=lambda envelope: self.signed,
            obey=self.obey,
            test_chain=self.test_chain,
            keep_volume=self.keep_volume,
            look=self.look,
        )
        self.obeyed: list[tuple[str, str]] = []
        self.full = False
        self.desk.node = people.NODE

    async def look(self, ask: TraceAsk) -> NodeView:
        if self.full:
            raise Unavailable("E-JOIN", "nothing is held")
        return NodeView(people.SITE, people.NODE, "in force", target_is="node" if ask.target else "")

    async def obey(self, call: Call) -> Refusal | None:
        if self.full:
            raise Unavailable("E-DISK-FULL", "there is no room")
        self.obeyed.append((call.verb, call.reason))
        return Refusal("E-NOT-FOUND", "it is not to run here") if call.ordinal else None

    async def test_chain(self, call: Call) -> ChainProbed | Refusal:
        self.obeyed.append((call.verb, call.chain))
        if call.chain != "out":
            return Refusal("E-CALL", "no such chain")
        return ChainProbed(sent=10, arrived=9, reason="1 was lost")

    async def keep_volume(self, call: Call) -> Refusal | None:
        self.obeyed.append((call.verb, f"{call.volume}@{call.snapshot}"))
        return None if call.volume == "data" else Refusal("E-NOT-FOUND", "no such volume")

    def ask(self, kind: str, body: msgspec.Struct | bytes) -> CallAnswer:
        content = body if isinstance(body, bytes) else msgspec.msgpack.encode(body)
        return asyncio.run(self.desk.answer(CallRequest(CALL, kind, content, 0), give(*self.input)))

    def draw(self) -> bytes:
        return msgspec.msgpack.decode(self.ask("nonce", NonceAsk(people.NODE)).body, type=NonceReply).nonce

    def sign(self, nonce: bytes, **words: object) -> None:
        said = {
            "tenant": people.ALPHA,
            "site": people.SITE,
            "node": people.NODE,
            "nonce": nonce,
            "app": people.SHOP,
            "service": people.WEB,
        }
        self.signed = Call(**(said | (words or {"verb": "exec", "argv": ("ls",)})))

    def exec(self) -> CallAnswer:
        return self.ask("exec", people.revise(1))

    def forward(self) -> CallAnswer:
        return self.ask("forward", people.revise(1))


def read(answer: CallAnswer, limit: int = 100) -> list[StreamData]:
    async def collect() -> list[StreamData]:
        found: list[StreamData] = []
        assert answer.stream is not None
        async for item in answer.stream:
            found.append(item)
            if len(found) == limit:
                await answer.stream.aclose()
        return found

    return asyncio.run(collect())


def test_a_malformed_body_is_an_answer():
    for kind in ("nonce", "logs", "exec"):
        answer = Scene().ask(kind, b"\xc1")
        assert (answer.ok, answer.code) == (False, "E-CALL")


def test_a_command_needs_a_signature_a_nonce_and_something_that_runs():
    scene = Scene()
    assert scene.exec().code == "E-SIGNATURE"
    scene.sign(b"not drawn here")
    assert scene.exec().code == "E-CALL"
    scene.sign(scene.draw())
    answer = scene.exec()
    assert [(item.channel, item.data, item.end, item.exit_code) for item in read(answer)] == [
        (2, b"no", False, None),
        (1, b"", True, 7),
    ]
    assert scene.exec().code == "E-CALL", "a nonce is good once"
    assert scene.shell.asked == [("c1", ("ls",))]


def test_a_test_of_a_chain_needs_a_signature_and_its_outcome_is_the_answer():
    scene = Scene()
    assert scene.ask("test-chain", people.revise(1)).code == "E-SIGNATURE"
    scene.sign(b"not drawn here", verb="test-chain", chain="out")
    assert scene.ask("test-chain", people.revise(1)).code == "E-CALL"
    assert scene.obeyed == []
    scene.sign(scene.draw(), verb="test-chain", chain="out")
    answer = scene.ask("test-chain", people.revise(1))
    assert msgspec.json.decode(answer.body, type=ChainProbed) == ChainProbed(sent=10, arrived=9, reason="1 was lost")
    scene.sign(scene.draw(), verb="test-chain", chain="in")
    assert (scene.ask("test-chain", people.revise(1)).code, scene.obeyed[-1]) == ("E-CALL", ("test-chain", "in"))


def test_a_word_about_a_volume_needs_a_signature_and_a_nonce():
    scene = Scene(state="exited")
    words = {"service": "", "snapshot": "noon"}
    for verb in ("snapshot", "restore", "drop-snapshot"):
        scene.signed = Denied("E-SIGNATURE", "nobody signed this")
        assert scene.ask(verb, people.revise(1)).code == "E-SIGNATURE"
        scene.sign(b"not drawn here", verb=verb, volume="data", **words)
        assert scene.ask(verb, people.revise(1)).code == "E-CALL"
        scene.sign(scene.draw(), verb=verb, volume="data", **words)
        assert scene.ask(verb, people.revise(1)).ok
        scene.sign(scene.draw(), verb=verb, volume="other", **words)
        assert scene.ask(verb, people.revise(1)).code == "E-NOT-FOUND"
        scene.sign(scene.draw(), verb=verb, volume="data", **words)
        assert scene.ask("stop", people.revise(1)).code == "E-SUBJECT"
    assert scene.obeyed[:2] == [("snapshot", "data@noon"), ("snapshot", "other@noon")]
    assert len(scene.obeyed) == 6


def test_a_word_about_an_instance_needs_a_signature_and_a_nonce_and_nothing_that_runs():
    scene = Scene(state="exited")
    assert scene.ask("stop", people.revise(1)).code == "E-SIGNATURE"
    scene.sign(b"not drawn here", verb="stop")
    assert scene.ask("stop", people.revise(1)).code == "E-CALL"
    scene.sign(scene.draw(), verb="stop", reason="it smokes")
    assert scene.ask("start", people.revise(1)).code == "E-SUBJECT", "a stop is not sent as a start"
    scene.sign(scene.draw(), verb="stop", reason="it smokes")
    assert scene.ask("stop", people.revise(1)).ok
    assert scene.ask("stop", people.revise(1)).code == "E-CALL", "a nonce is good once"
    scene.sign(scene.draw(), verb="start", ordinal=1)
    refused = scene.ask("start", people.revise(1))
    assert (refused.ok, refused.code) == (False, "E-NOT-FOUND")
    assert scene.obeyed == [("stop", "it smokes"), ("start", "")]
    assert scene.shell.asked == []


def test_a_word_that_cannot_be_written_down_is_refused():
    scene = Scene()
    scene.full = True
    scene.sign(scene.draw(), verb="stop")
    refused = scene.ask("stop", people.revise(1))
    assert (refused.ok, refused.code, refused.reason) == (False, "E-DISK-FULL", "there is no room")


def test_a_nonce_ends_with_its_minute():
    scene = Scene()
    scene.sign(scene.draw())
    scene.clock.now_us += calls.NONCE_LIFE_US
    assert scene.exec().code == "E-CALL"


def test_a_refused_call_uses_up_its_nonce_too():
    scene = Scene(state="exited")
    scene.sign(scene.draw())
    assert scene.exec().code == "E-NOT-FOUND"
    assert scene.exec().code == "E-CALL"


def test_nonces_are_for_this_node_and_not_without_end():
    scene = Scene()
    assert scene.ask("nonce", NonceAsk("other")).code == "E-CALL"
    drawn = {scene.draw() for _ in range(calls.NONCES_MAX)}
    assert len(drawn) == calls.NONCES_MAX
    assert scene.ask("nonce", NonceAsk(people.NODE)).code == "E-BUSY"
    scene.clock.now_us += calls.NONCE_LIFE_US
    assert scene.ask("nonce", NonceAsk(people.NODE)).ok


def test_logs_end_and_their_tail_is_bounded():
    scene = Scene()
    answer = scene.ask("logs", LogsAsk(instance=WEB, tail=10**9, follow=False))
    assert [item.end for item in read(answer)] == [False, True]
    assert scene.shell.asked == [("c1", calls.TAIL_LINES_MAX, False)]
    read(scene.ask("logs", LogsAsk(instance=WEB, tail=-5, follow=False)))
    assert scene.shell.asked[-1] == ("c1", 0, False)
    assert scene.ask("logs", LogsAsk(instance="alpha/shop/db/0", tail=1, follow=False)).code == "E-NOT-FOUND"


def test_a_reader_that_leaves_ends_the_runtimes_stream():
    scene = Scene()
    read(scene.ask("logs", LogsAsk(instance=WEB, tail=1, follow=True)), limit=3)
    assert scene.shell.closed == 1


def test_stats_are_a_plain_answer():
    answer = Scene().ask("stats", b"")
    assert msgspec.msgpack.decode(answer.body, type=calls.StatsReply).containers[0].memory_bytes == 6


def test_input_reaches_the_command_in_order():
    scene = Scene()
    scene.input = (b"one", b"two")
    scene.sign(scene.draw())
    items = read(scene.exec())
    assert [(item.channel, item.data) for item in items] == [(1, b"one"), (1, b"two"), (2, b"no"), (1, b"")]
    assert items[-1].exit_code == 7


def test_a_command_gets_the_terminal_that_was_signed_and_its_new_sizes():
    scene = Scene()
    scene.input = (b"one", Window(columns=132, rows=50))
    size = Window(columns=80, rows=24)
    scene.sign(scene.draw(), verb="exec", argv=("sh",), terminal=size)
    assert [item.data for item in read(scene.exec())] == [b"one", b"132x50", b"no", b""]
    assert scene.shell.asked == [("c1", ("sh",), size)]


def test_a_connection_needs_the_same_and_is_only_to_the_signed_port():
    scene = Scene()
    assert scene.forward().code == "E-SIGNATURE"
    scene.sign(scene.draw(), verb="forward", port=81)
    refused = scene.forward()
    assert (refused.ok, refused.code, refused.reason) == (False, "E-PORT-CLOSED", "nothing at 81")
    assert scene.forward().code == "E-CALL", "a nonce is good once"
    stopped = Scene(state="exited")
    stopped.sign(stopped.draw(), verb="forward", port=80)
    assert stopped.forward().code == "E-NOT-FOUND"
    assert (scene.shell.asked, stopped.shell.asked) == ([("c1", 81)], [])


def test_a_call_is_good_only_for_what_it_was_signed_for():
    scene = Scene()
    scene.sign(scene.draw(), verb="forward", port=80)
    assert scene.exec().code == "E-SUBJECT"
    scene.sign(scene.draw())
    assert scene.forward().code == "E-SUBJECT"
    assert scene.shell.asked == []


def test_each_half_of_a_connection_ends_by_itself():
    scene = Scene()
    scene.input = (b"one", b"two")
    scene.sign(scene.draw(), verb="forward", port=80)
    assert [(item.channel, item.data, item.end) for item in read(scene.forward())] == [
        (1, b"word", False),
        (1, b"", True),
    ]
    assert scene.shell.line.heard == [b"one", b"two", "end", "closed"]


def test_a_connection_that_breaks_is_no_end():
    scene = Scene()
    scene.shell.line.breaks = True
    scene.sign(scene.draw(), verb="forward", port=80)
    with pytest.raises(Unavailable, match="reset by peer"):
        read(scene.forward())
    assert scene.shell.line.heard[-1] == "closed"


def test_a_kind_of_a_later_release_is_refused_by_name():
    answer = Scene().ask("teleport", b"")
    assert (answer.ok, answer.code) == (False, "E-CALL")
    assert "teleport" in answer.reason


def test_a_trace_needs_a_session_and_no_signature():
    scene = Scene()
    answer = scene.ask("trace", TraceAsk(people.ALPHA, people.SHOP, target="192.0.2.7"))
    assert msgspec.msgpack.decode(answer.body, type=NodeView).target_is == "node"
    assert scene.ask("trace", b"\xc1").code == "E-CALL"
