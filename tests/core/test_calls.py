"""Logs merged line by line, and commands that only a signed call for the node's nonce starts."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from tests.core.cores import Rig, key, sign

from skerry.core.calls import STREAMS_MAX, LineCutter
from skerry.model.asks import AuditQuery, ControlQuery, ExecQuery, ForwardQuery, LogQuery, VolumeControlQuery
from skerry.model.errors import Invalid, NotFound, Unavailable
from skerry.model.facts import VolumeFact
from skerry.model.ids import NodeName, SiteName, volume_id
from skerry.model.signed import Call, Envelope
from skerry.wire import WINDOW_CHANNEL, CallReply, LogsAsk, NonceAsk, NonceReply, StreamData

NONCE = b"n" * 32


class FakeCall:
    def __init__(self, reply: CallReply, items: list[StreamData]) -> None:
        self.reply = reply
        self.items = items
        self.written: list[tuple[int, bytes, bool]] = []
        self.closed = False

    async def read(self) -> AsyncIterator[StreamData]:
        for item in self.items:
            await asyncio.sleep(0)
            yield item

    async def write(self, data: bytes, *, channel: int = 0, end: bool = False) -> None:
        self.written.append((channel, data, end))

    async def close(self, reason: str = "") -> None:
        self.closed = True


class FakeSites:
    """Answers calls from a table: (site, kind) to a reply and its stream."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], tuple[CallReply, list[StreamData]]] = {}
        self.asked: list[tuple[str, str, bytes]] = []
        self.calls: list[FakeCall] = []

    def ask_samples(self, site: SiteName, every_us: int, span_us: int) -> None:
        pass

    def nudge(self, site: SiteName) -> None:
        pass

    async def call(self, site: SiteName, kind: str, body: bytes, allowed_us: int) -> FakeCall:
        self.asked.append((site, kind, body))
        if (site, kind) not in self.answers:
            raise Unavailable("E-SITE-AWAY", f"Site {site} has no link to this core now.")
        call = FakeCall(*self.answers[site, kind])
        self.calls.append(call)
        return call


def out(data: bytes, channel: int = 1, **words: Any) -> StreamData:
    return StreamData("c", channel, data, **words)  # type: ignore[arg-type]


OK = CallReply("c", ok=True, stream=True)  # type: ignore[arg-type]


@pytest.fixture
async def rig():
    rig = await Rig().begin()
    rig.core.sites = rig.fake = FakeSites()
    rig.oslo = await rig.add_site("oslo")
    await rig.add_site("rome")
    await rig.apply("shop", 1)
    await rig.plan()
    yield rig
    await rig.close()


async def _read(rig, **words: Any) -> list[tuple[str, str, str]]:
    lines = await rig.service.read_logs(rig.admin, app="shop", query=LogQuery(**words))
    return sorted([(line.site, line.stream, line.text) async for line in lines])


async def test_lines_of_all_sites_are_merged_and_an_absent_one_is_named(rig):
    rig.fake.answers["oslo", "logs"] = (OK, [out(b"one\ntw"), out(b"bad\n", 2), out(b"o\nthree")])
    assert await _read(rig, tail=5) == [
        ("oslo", "stderr", "bad"),
        ("oslo", "stdout", "one"),
        ("oslo", "stdout", "three"),
        ("oslo", "stdout", "two"),
        ("rome", "note", "Site rome has no link to this core now."),
    ]
    ask = msgspec.msgpack.decode(next(body for site, _, body in rig.fake.asked if site == "oslo"), type=LogsAsk)
    assert (ask.instance, ask.tail, ask.follow) == ("default/shop/web/0", 5, False)
    assert all(call.closed for call in rig.fake.calls)


async def test_a_sites_refusal_is_a_note(rig):
    refusal = CallReply("c", ok=False, code="E-NOT-FOUND", reason="there is no container")  # type: ignore[arg-type]
    rig.fake.answers["oslo", "logs"] = (refusal, [])
    assert await _read(rig, site="oslo") == [("oslo", "note", "there is no container (E-NOT-FOUND)")]


async def test_a_site_that_sends_nonsense_ends_its_own_stream_only(rig):
    rig.fake.answers["oslo", "logs"] = (OK, [None])
    rig.fake.answers["rome", "logs"] = (OK, [out(b"fine\n")])
    assert await _read(rig) == [
        ("oslo", "note", "the core could not read this output"),
        ("rome", "stdout", "fine"),
    ]
    assert rig.tasks.failed == []


async def test_foreign_missing_and_too_many_are_refused_before_anything_streams(rig):
    for app, caller in (("nothing", rig.admin), ("shop", rig.caller("other"))):
        with pytest.raises(NotFound):
            await rig.service.read_logs(caller, app=app, query=LogQuery())
    await rig.apply("wide", 1, total=STREAMS_MAX + 1)
    await rig.plan()
    with pytest.raises(Invalid):
        await rig.service.read_logs(rig.admin, app="wide", query=LogQuery())


def test_a_line_without_an_end_is_cut():
    cutter = LineCutter()
    lines = [line for _ in range(10) for line in cutter.feed(out(b"x" * 20_000))]
    assert [len(text) for _, text in lines] == [64 * 1024] * 3
    assert sum(len(text) for _, text in lines + cutter.rest()) == 200_000


class FakeSocket:
    """A client that signs what it is asked to."""

    def __init__(self, *typed: bytes, **changes: Any) -> None:
        self.typed = [(0, each) for each in typed]
        self.ends = 0
        self.leaves = False
        self.changes = changes
        self.by = key("deploy default")
        self.output: list[tuple[int, bytes]] = []
        self.exit: int | None = None

    async def send_nonce(self, site: SiteName, node: NodeName, nonce: bytes) -> None:
        words = {
            "tenant": "default",
            "site": site,
            "node": node,
            "nonce": nonce,
            "verb": "exec",
            "app": "shop",
            "service": "web",
            "argv": ("true",),
        }
        self.call = sign("call", Call(**(words | self.changes)), self.by)

    async def receive_call(self) -> Envelope:
        return self.call

    async def send_output(self, channel: int, data: bytes) -> None:
        self.output.append((channel, data))

    async def send_exit(self, code: int) -> None:
        self.exit = code

    async def send_end(self) -> None:
        self.ends += 1

    async def receive_input(self) -> AsyncIterator[tuple[int, bytes]]:
        for each in self.typed:
            yield each

    async def wait_left(self) -> None:
        if not self.leaves:
            await asyncio.Event().wait()


async def _run(rig, socket: FakeSocket, **words: Any) -> None:
    query = ExecQuery(**({"service": "web", "site": "oslo"} | words))
    await rig.service.run_command(rig.admin, app="shop", query=query, socket=socket)


def _ready(rig, *items: StreamData) -> None:
    nonce = CallReply("c", ok=True, body=msgspec.msgpack.encode(NonceReply(NONCE)))  # type: ignore[arg-type]
    rig.fake.answers["oslo", "nonce"] = (nonce, [])
    rig.fake.answers["oslo", "exec"] = (OK, list(items))


async def test_a_signed_command_runs_and_its_streams_are_passed_on(rig):
    _ready(rig, out(b"hello\n"), out(b"oops", 2), out(b"", end=True, exit_code=3))
    socket = FakeSocket(b"input")
    await _run(rig, socket)
    assert (socket.output, socket.exit) == ([(1, b"hello\n"), (2, b"oops")], 3)
    assert [(site, kind) for site, kind, _ in rig.fake.asked] == [("oslo", "nonce"), ("oslo", "exec")]
    assert msgspec.msgpack.decode(rig.fake.asked[0][2], type=NonceAsk).node == "n1"
    assert rig.fake.calls[1].written == [(0, b"input", False), (0, b"", True)]
    audit = (await rig.service.list_audit(rig.admin, query=AuditQuery())).items[-1]
    assert (audit.operation, audit.outcome) == ("run_command", "done")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"nonce": b"x" * 32}, "E-SUBJECT"),
        ({"service": "db"}, "E-SUBJECT"),
        ({"app": "blog"}, "E-SUBJECT"),
        ({"ordinal": 1}, "E-SUBJECT"),
        ({"site": "rome"}, "E-SITE"),
        ({"tenant": "other"}, "E-TENANT"),
    ],
)
async def test_a_call_about_something_else_never_reaches_the_site(rig, changes, code):
    _ready(rig)
    with pytest.raises(Invalid) as refused:
        await _run(rig, FakeSocket(**changes))
    assert refused.value.code == code
    assert [kind for _, kind, _ in rig.fake.asked] == ["nonce"]


async def test_a_call_signed_by_a_stranger_never_reaches_the_site(rig):
    _ready(rig)
    socket = FakeSocket()
    socket.by = key("stranger")
    with pytest.raises(Invalid):
        await _run(rig, socket)
    assert [kind for _, kind, _ in rig.fake.asked] == ["nonce"]


async def test_a_site_away_and_an_instance_that_is_not_there_are_told_apart(rig):
    with pytest.raises(Unavailable) as away:
        await _run(rig, FakeSocket())
    assert away.value.code == "E-SITE-AWAY"
    for words in ({"service": "db"}, {"ordinal": 1}, {"site": "bonn"}):
        with pytest.raises(NotFound):
            await _run(rig, FakeSocket(), **words)


async def test_the_size_of_a_terminal_goes_to_the_site_as_it_comes(rig):
    _ready(rig, out(b"", end=True, exit_code=0))
    socket = FakeSocket(b"one")
    socket.typed.append((WINDOW_CHANNEL, b"size"))
    await _run(rig, socket)
    assert rig.fake.calls[1].written[:2] == [(0, b"one", False), (WINDOW_CHANNEL, b"size", False)]


async def test_a_client_that_goes_away_after_its_last_word_ends_the_call(rig):
    _ready(rig)
    rig.fake.answers["oslo", "exec"] = (OK, [out(b"."), out(b".")])
    socket = FakeSocket()
    socket.leaves = True
    await _run(rig, socket)
    assert rig.fake.calls[1].closed


async def _control(rig, verb: str, socket: FakeSocket, **words: Any) -> None:
    query = ControlQuery(**({"service": "web", "site": "oslo", "verb": verb} | words))
    await rig.service.control_instance(rig.admin, app="shop", query=query, socket=socket)


async def test_an_instance_is_stopped_by_a_signed_call_and_that_is_written_down(rig):
    _ready(rig)
    rig.fake.answers["oslo", "stop"] = (OK, [])
    socket = FakeSocket(verb="stop", argv=(), by="ada", reason="it smokes")
    await _control(rig, "stop", socket)
    assert socket.exit == 0
    assert [(site, kind) for site, kind, _ in rig.fake.asked] == [("oslo", "nonce"), ("oslo", "stop")]
    assert all(call.closed for call in rig.fake.calls)
    audit = (await rig.service.list_audit(rig.admin, query=AuditQuery())).items[-1]
    assert audit.operation == "control_instance"
    assert audit.object.startswith("stop instance/default/shop/web/0@oslo sha256:")


async def test_a_call_to_stop_is_not_taken_for_another_and_the_sites_word_is_passed_on(rig):
    _ready(rig)
    with pytest.raises(Invalid) as other:
        await _control(rig, "start", FakeSocket(verb="stop", argv=()))
    assert other.value.code == "E-SUBJECT"
    assert [kind for _, kind, _ in rig.fake.asked] == ["nonce"]
    reason = "default/shop/web/0 is not to run here"
    rig.fake.answers["oslo", "stop"] = (CallReply("c", ok=False, code="E-NOT-FOUND", reason=reason), [])  # type: ignore[arg-type]
    with pytest.raises(Unavailable) as refused:
        await _control(rig, "stop", FakeSocket(verb="stop", argv=()))
    assert reason in refused.value.detail


async def _keep(rig, verb: str, socket: FakeSocket, **words: Any) -> None:
    query = VolumeControlQuery(**({"volume": "data", "snapshot": "noon", "site": "oslo", "verb": verb} | words))
    await rig.service.control_volume(rig.admin, app="shop", query=query, socket=socket)


VOLUME_CALL: dict[str, Any] = {"argv": (), "service": "", "volume": "data", "snapshot": "noon"}


@pytest.mark.parametrize("verb", ["snapshot", "restore", "drop-snapshot"])
async def test_a_word_about_a_volume_is_signed_written_down_and_passed_on(rig, verb):
    _ready(rig)
    await rig.oslo.report(VolumeFact(volume=volume_id("default", "shop", "data"), born=1))
    rig.fake.answers["oslo", verb] = (OK, [])
    socket = FakeSocket(verb=verb, **VOLUME_CALL)
    await _keep(rig, verb, socket)
    assert socket.exit == 0
    assert [(site, kind) for site, kind, _ in rig.fake.asked] == [("oslo", "nonce"), ("oslo", verb)]
    audit = (await rig.service.list_audit(rig.admin, query=AuditQuery())).items[-1]
    assert audit.operation == "control_volume"
    assert audit.object.startswith(f"{verb} noon volume/default/shop/data@oslo sha256:")


@pytest.mark.parametrize(
    "changes",
    [{"verb": "restore"}, {"snapshot": "night"}, {"volume": "cache"}, {"app": "blog"}, {"nonce": b"x" * 32}],
)
async def test_a_word_about_another_volume_never_reaches_the_site(rig, changes):
    _ready(rig)
    await rig.oslo.report(VolumeFact(volume=volume_id("default", "shop", "data"), born=1))
    with pytest.raises(Invalid) as other:
        await _keep(rig, "snapshot", FakeSocket(**({"verb": "snapshot"} | VOLUME_CALL | changes)))
    assert other.value.code == "E-SUBJECT"
    assert [kind for _, kind, _ in rig.fake.asked] == ["nonce"]


async def test_a_volume_that_the_site_does_not_report_is_not_there(rig):
    _ready(rig)
    await rig.oslo.report(VolumeFact(volume=volume_id("other", "shop", "data"), born=1))
    for words in ({}, {"site": "bonn"}, {"volume": "cache"}):
        with pytest.raises(NotFound):
            await _keep(rig, "snapshot", FakeSocket(verb="snapshot", **VOLUME_CALL), **words)
    assert rig.fake.asked == []


async def _forward(rig, socket: FakeSocket, **words: Any) -> None:
    query = ForwardQuery(**({"service": "web", "site": "oslo", "port": 80} | words))
    await rig.service.forward_port(rig.admin, app="shop", query=query, socket=socket)


def _connect(rig, *items: StreamData) -> None:
    _ready(rig)
    rig.fake.answers["oslo", "forward"] = (OK, list(items))


async def test_a_connection_is_carried_and_its_far_end_told(rig):
    _connect(rig, out(b"word"), out(b"", end=True))
    socket = FakeSocket(b"input", verb="forward", argv=(), port=80)
    await _forward(rig, socket)
    assert (socket.output, socket.ends, socket.exit) == ([(1, b"word")], 1, 0)
    assert rig.fake.calls[1].written == [(0, b"input", False), (0, b"", True)]
    audit = (await rig.service.list_audit(rig.admin, query=AuditQuery())).items[-1]
    assert (audit.operation, audit.outcome) == ("forward_port", "done")


async def test_a_connection_that_breaks_is_told_from_one_that_ends(rig):
    _connect(rig, out(b"wo"))
    socket = FakeSocket(verb="forward", argv=(), port=80)
    with pytest.raises(Unavailable) as broken:
        await _forward(rig, socket)
    assert (broken.value.code, socket.exit) == ("E-CUT", None)


@pytest.mark.parametrize("changes", [{"port": 81}, {"verb": "exec", "argv": ("ls",), "port": 0}, {"ordinal": 1}])
async def test_a_connection_that_was_not_signed_never_reaches_the_site(rig, changes):
    _connect(rig)
    with pytest.raises(Invalid) as refused:
        await _forward(rig, FakeSocket(**({"verb": "forward", "argv": (), "port": 80} | changes)))
    assert refused.value.code == "E-SUBJECT"
    assert [kind for _, kind, _ in rig.fake.asked] == ["nonce"]


async def test_what_the_site_refuses_is_told_with_what_to_look_at(rig):
    _connect(rig)
    refusal = CallReply("c", ok=False, code="E-PORT-CLOSED", reason="nothing at 80")  # type: ignore[arg-type]
    rig.fake.answers["oslo", "forward"] = (refusal, [])
    with pytest.raises(Unavailable) as refused:
        await _forward(rig, FakeSocket(verb="forward", argv=(), port=80))
    assert (refused.value.code, refused.value.hint) == ("E-PORT-CLOSED", "skerry app show shop")
