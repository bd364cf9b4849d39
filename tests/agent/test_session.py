"""The agent's link over a simulated WAN: against a real core's sessions, and against parents that misbehave."""

import asyncio
import itertools

import pytest
from tests.sync.scene import CORE, Scene, scene
from tests.sync.world import make_object

from skerry import wire
from skerry.clock import SECOND_US
from skerry.drivers.images import BlobUnavailable
from skerry.link.ports import CloseReason, Endpoint
from skerry.link.pump import Pump
from skerry.model.errors import Unavailable
from skerry.model.ids import CallId, Digest, UnitId, digest_of
from skerry.model.limits import LANE_BYTES_MAX, STREAM_WINDOW_BYTES
from skerry.safe.errors import StoreFull
from skerry.sim.network import FLIGHT_BYTES_MAX, SimConnection

MINUTE = 60 * SECOND_US


def is_up(scene: Scene) -> bool:
    return bool(scene.agent.link) and scene.agent.link[-1][0] == "up"


@scene
async def test_a_site_comes_up_with_document_facts_and_events(scene: Scene):
    scene.core.disk.publish({UnitId("a"): b"1"}, (make_object("revision"),))
    scene.agent.disk.facts = {"site": b"x"}
    for number in range(1_200):
        scene.agent.disk.write_event(f"e{number}")
    await scene.start()
    await scene.wait(10 * SECOND_US)
    assert is_up(scene)
    assert scene.agent.disk.document is not None
    assert scene.core.disk.facts == {"site": b"x"}
    assert len(scene.core.disk.log) == 1_200
    assert scene.agent.disk.outbox == []
    assert scene.agent.records == [scene.core.envelope]


@scene
async def test_changes_go_up_and_down_during_a_session(scene: Scene):
    await scene.start()
    await scene.wait(5 * SECOND_US)
    scene.agent.disk.write_event("instance.started")
    scene.agent.disk.facts["node/n"] = b"1"
    scene.agent.changed.set()
    scene.core.disk.publish({UnitId("a"): b"1"})
    scene.sessions.nudge(scene.core.record.site)
    await scene.wait(5 * SECOND_US)
    assert [event.type for event in scene.core.disk.log] == ["instance.started"]
    assert scene.core.disk.facts == {"node/n": b"1"}
    assert scene.agent.disk.document is not None


@scene
async def test_a_cut_link_is_noticed_named_and_dialled_again(scene: Scene):
    await scene.start()
    await scene.wait(MINUTE)
    moved = scene.link.read_moved()
    assert moved["/documents"] > 0
    assert moved["/reports"] > 0
    scene.wan.change(up=False, down=False)
    await scene.wait(3 * MINUTE)
    # What a session carried stays counted when it is over.
    assert all(scene.link.read_moved()[name] >= size for name, size in moved.items())
    assert scene.agent.link[-1][0] == "down"
    assert scene.agent.link[-1][1].startswith("timeout: ")
    scene.agent.disk.write_event("while cut")
    scene.wan.change(up=True, down=True)
    await scene.wait(2 * MINUTE)
    assert is_up(scene)
    assert [event.type for event in scene.core.disk.log] == ["while cut"]


@scene
async def test_a_parent_that_falls_silent_is_left_within_two_heartbeats(scene: Scene):
    """Half-open, found by the child alone: what it sends arrives, and nothing comes back (faults.md N6, N7)."""
    await scene.start()
    await scene.wait(5 * SECOND_US)
    scene.wan.change(down=False)
    await scene.wait_until(lambda: not is_up(scene), limit_us=61 * SECOND_US)
    assert scene.agent.link[-1][1].startswith("E-SILENT")


@scene
async def test_a_parent_that_asks_for_patience_gets_it(scene: Scene):
    times: list[int] = []

    async def act(connection: SimConnection, pump: Pump) -> None:
        times.append(scene.clock.boot_us())
        await pump.receive()
        pump.push(wire.Busy(100 * SECOND_US))
        await pump.part(scene.clock)

    await scene.listener.serve(scene.play(act))
    scene.start_agent()
    await scene.wait(220 * SECOND_US)
    assert scene.agent.link[-1][0] == "busy"
    assert len(times) == 3
    assert all(later - time >= 100 * SECOND_US for time, later in itertools.pairwise(times))


@scene
async def test_a_refusal_is_named_and_dials_back_off(scene: Scene):
    count = 0

    async def act(connection: SimConnection, pump: Pump) -> None:
        nonlocal count
        count += 1
        await pump.receive()
        pump.push(wire.Rejected("E-PROOF", "no such site", fatal=True))
        await pump.part(scene.clock)

    await scene.listener.serve(scene.play(act))
    scene.start_agent()
    await scene.wait(20 * MINUTE)
    assert scene.agent.link[-1] == ("down", "E-PROOF: no such site")
    assert 20 <= count <= 80, "full jitter below a minute's cap"


@scene
async def test_an_old_disk_takes_the_next_session_epoch_at_once_but_not_for_ever(scene: Scene):
    scene.core.disk.session_epoch = 5_000
    await scene.start()
    await scene.wait(5 * SECOND_US)
    assert is_up(scene)
    assert scene.core.opened[0].session_epoch == 5_001

    async def act(connection: SimConnection, pump: Pump) -> None:
        hello = await pump.receive()
        assert isinstance(hello, wire.Hello)
        pump.push(wire.Rejected("E-SESSION-OLD", "", fatal=True, number=wire.decode_claim(hello.claim).session_epoch))
        await pump.part(scene.clock)

    await scene.listener.stop()
    await scene.listener.serve(scene.play(act))
    before = scene.link.sessions
    await scene.wait(10 * MINUTE)
    assert scene.link.sessions - before < 200, "a parent that always says so gets no storm"


@scene
async def test_garbage_ends_the_session_and_names_it(scene: Scene):
    async def act(connection: SimConnection, pump: Pump) -> None:
        await pump.receive()
        await connection.send(b"\x00\xc1 no message")
        await asyncio.Event().wait()

    await scene.listener.serve(scene.play(act))
    scene.start_agent()
    await scene.wait(5 * SECOND_US)
    assert scene.agent.link[-1][1].startswith("garbage: ")


@scene
async def test_endpoints_are_tried_in_their_order_and_the_first_again_after_a_good_session(scene: Scene):
    dead = Endpoint("dead.sim")
    scene.link = scene.make_link(dead, CORE)
    await scene.start()
    await scene.wait(5 * SECOND_US)
    assert is_up(scene), "a dead endpoint does not delay the next one by its back-off"
    dialled = watch_dials(scene)
    await scene.wait(MINUTE)
    scene.listener.kill()
    await scene.listener.serve(scene.sessions.handle)
    await scene.wait(MINUTE)
    assert [endpoint.host for _, endpoint in dialled[:2]] == ["dead.sim", "core.sim"]
    assert is_up(scene)


def watch_dials(scene: Scene) -> list[tuple[int, Endpoint]]:
    """Note when which endpoint is dialled from now on."""
    dialled: list[tuple[int, Endpoint]] = []
    dial = scene.dialer.dial

    async def watch(endpoint: Endpoint) -> SimConnection:
        dialled.append((scene.clock.boot_us(), endpoint))
        return await dial(endpoint)

    scene.dialer.dial = watch
    return dialled


@scene
async def test_back_off_waits_after_a_round_of_endpoints_not_between_them(scene: Scene):
    scene.link = scene.make_link(Endpoint("dead.sim"), Endpoint("gone.sim"))
    dialled = watch_dials(scene)
    scene.start_agent()
    await scene.wait(20 * MINUTE)
    rounds = list(zip(dialled[::2], dialled[1::2], strict=False))
    assert all(gone - dead < SECOND_US for (dead, _), (gone, _) in rounds)
    assert len(rounds) < 100


@scene
async def test_a_good_session_forgets_the_failures_before_it(scene: Scene):
    scene.start_agent()
    await scene.wait(10 * MINUTE)
    await scene.start_core()
    await scene.wait_until(lambda: is_up(scene))
    for _ in range(5):
        await scene.wait(MINUTE)
        for connection in scene.dialer.open:
            connection.lose(CloseReason.LOST, "cut")
        await scene.wait_until(lambda: not is_up(scene))
        await scene.wait_until(lambda: is_up(scene), limit_us=2 * SECOND_US)


@scene
async def test_a_full_disk_refuses_the_document_and_takes_it_when_there_is_room(scene: Scene):
    """D1: the site stays reachable, says why, and is asked again."""
    await scene.start()
    await scene.wait(5 * SECOND_US)
    scene.agent.trouble = StoreFull("journal.db")
    scene.core.disk.publish({UnitId("a"): b"1"})
    scene.sessions.nudge(scene.core.record.site)
    await scene.wait(5 * SECOND_US)
    assert is_up(scene)
    assert [answer.code for answer in scene.core.disk.answers] == ["E-DISK-FULL"]
    scene.agent.trouble = None
    await scene.wait(MINUTE)
    assert scene.agent.disk.document is not None


@scene
async def test_a_disk_too_full_to_begin_a_session_is_named_and_tried_again(scene: Scene):
    scene.agent.trouble = StoreFull("journal.db")
    await scene.start()
    await scene.wait(10 * SECOND_US)
    assert scene.agent.link[-1] == ("down", "E-DISK-FULL: journal.db")
    scene.agent.trouble = None
    await scene.wait(MINUTE)
    assert is_up(scene)


# --- calls ---------------------------------------------------------------------------------------------------------


@scene
async def test_calls_are_answered_with_body_stream_and_exit_code(scene: Scene):
    await scene.start()
    await scene.wait(5 * SECOND_US)
    call = await scene.sessions.call(scene.core.record.site, "stats", b"body", 10 * SECOND_US)
    assert (call.reply.ok, call.reply.body, call.reply.stream) == (True, b"body", False)
    assert [item async for item in call.read()] == []
    call = await scene.sessions.call(scene.core.record.site, "logs", b"stream", 10 * SECOND_US)
    items = [item async for item in call.read()]
    assert b"".join(item.data for item in items) == b"".join(b"%05d" % number * 2_000 for number in range(100))
    assert items[-1].exit_code == 3
    assert max(len(item.data) for item in items) <= 16 * 1024


@scene
async def test_a_reader_that_stops_stops_the_writer(scene: Scene):
    await scene.start()
    await scene.wait(5 * SECOND_US)
    call = await scene.sessions.call(scene.core.record.site, "logs", b"stream", 10 * SECOND_US)
    await scene.wait(MINUTE)
    await call.close("enough")
    items = [item async for item in call.read()]
    assert sum(len(item.data) for item in items) == STREAM_WINDOW_BYTES
    assert items[-1].exit_code is None, "the rest was never sent"


@scene
async def test_input_reaches_the_call_and_comes_back(scene: Scene):
    await scene.start()
    await scene.wait(5 * SECOND_US)
    call = await scene.sessions.call(scene.core.record.site, "exec", b"echo", 10 * SECOND_US)
    typed = bytes(range(256)) * 300
    writing = scene.tasks.start("typing", call.write(typed, end=True))
    items = [item async for item in call.read()]
    await writing
    assert b"".join(item.data for item in items) == typed
    assert b"".join(scene.agent.typed) == typed


@scene
async def test_a_call_that_hangs_or_meets_a_bug_is_answered(scene: Scene):
    await scene.start()
    await scene.wait(5 * SECOND_US)
    call = await scene.sessions.call(scene.core.record.site, "stats", b"bug", 10 * SECOND_US)
    assert (call.reply.ok, call.reply.code) == (False, "E-BROKEN")
    assert "ZeroDivisionError" in call.reply.reason
    begun = scene.clock.boot_us()
    with pytest.raises(Unavailable) as caught:
        await scene.sessions.call(scene.core.record.site, "stats", b"hang", 10 * SECOND_US)
    assert caught.value.code == "E-DEADLINE"
    assert scene.clock.boot_us() - begun < 12 * SECOND_US
    assert is_up(scene)


@scene
async def test_more_calls_than_a_site_answers_at_once_are_refused(scene: Scene):
    async def act(connection: SimConnection, pump: Pump) -> None:
        await pump.receive()
        pump.push(wire.Welcome(1, 0, b"", 30 * SECOND_US))
        for number in range(70):
            pump.push(wire.CallRequest(CallId(f"c{number}"), "stats", b"hang", MINUTE))
        refused = 0
        while refused < 6:
            message = await pump.receive()
            if isinstance(message, wire.CallReply):
                assert (message.ok, message.code) == (False, "E-BUSY")
                refused += 1
        done.set()

    done = asyncio.Event()
    await scene.listener.serve(scene.play(act))
    scene.start_agent()
    await done.wait()
    assert len(scene.agent.calls) == 64


# --- blobs ---------------------------------------------------------------------------------------------------------


async def fetch(scene: Scene, blob: Digest, offset: int = 0) -> bytes:
    return b"".join([content async for content in scene.link.fetch(blob, offset)])


def make_blob(scene: Scene, size: int) -> tuple[Digest, bytes]:
    content = scene.mint.draw(size)
    blob = digest_of(content)
    scene.core.blobs[blob] = content
    return blob, content


@scene
async def test_a_blob_arrives_whole_from_any_offset_on(scene: Scene):
    blob, content = make_blob(scene, 3_000_000)
    await scene.start()
    assert await fetch(scene, blob) == content
    assert await fetch(scene, blob, 2_999_999) == content[-1:]
    assert await fetch(scene, blob, len(content)) == b""


@scene
async def test_a_fetch_outlives_cuts_and_asks_for_no_byte_twice(scene: Scene):
    blob, content = make_blob(scene, 2_000_000)
    scene.wan.change(rate_bit_s=4_000_000)
    await scene.start()
    fetching = scene.tasks.start("fetch", fetch(scene, blob))
    for _ in range(4):
        await scene.wait(2 * SECOND_US)
        for connection in scene.dialer.open:
            connection.lose(CloseReason.LOST, "cut")
        await scene.wait(4 * SECOND_US)
    assert await fetching == content
    assert scene.link.sessions >= 3
    # What was on its way when the link broke was lost; beyond these windows nothing came again.
    assert scene.wan.bytes_down < len(content) * 1.5


@scene
async def test_a_blob_that_the_core_does_not_give_is_refused_by_name(scene: Scene):
    await scene.start()
    with pytest.raises(BlobUnavailable, match="E-NOT-FOUND"):
        await fetch(scene, digest_of(b"unknown"))


@scene
async def test_two_fetches_of_one_blob_take_turns_and_one_that_ends_early_lets_the_other_go_on(scene: Scene):
    blob, content = make_blob(scene, 500_000)
    await scene.start()

    async def begin() -> bytes:
        async for first in scene.link.fetch(blob, 0):
            return first
        return b""

    early = scene.tasks.start("early", begin())
    whole = [scene.tasks.start("whole", fetch(scene, blob)) for _ in range(3)]
    assert content.startswith(await early)
    assert [await each for each in whole] == [content] * 3


@scene
async def test_many_streams_at_once_wait_for_room_and_break_nothing(scene: Scene):
    scene.wan.change(rate_bit_s=64_000)
    await scene.start()
    await scene.wait(5 * SECOND_US)
    calls = [
        scene.tasks.start("call", scene.sessions.call(scene.core.record.site, "logs", b"random", MINUTE))
        for _ in range(64)
    ]
    await scene.wait(MINUTE)
    assert is_up(scene)
    assert scene.link.sessions == 1
    for call in calls:
        assert (await call).reply.ok
    # Each stream may read one piece when there is room, all at once.
    assert scene.agent.drawn_bytes < FLIGHT_BYTES_MAX + LANE_BYTES_MAX + 64 * 2 * 10_000


@scene
async def test_a_heartbeat_waits_under_ten_seconds_beside_an_image_at_64_kbit_s(scene: Scene):
    """N9. The WAN queues what it is given, so whatever the sender has on its way delays a beat."""
    blob, _ = make_blob(scene, 1_000_000)
    scene.wan.change(rate_bit_s=64_000, delay_us=300_000)
    await scene.start()
    await scene.wait(20 * SECOND_US)
    scene.tasks.start("fetch", fetch(scene, blob))
    await scene.wait(30 * SECOND_US)
    worst = 0
    for _ in range(10):
        begun = scene.clock.boot_us()
        call = await scene.sessions.call(scene.core.record.site, "stats", b"", MINUTE)
        assert call.reply.ok
        worst = max(worst, scene.clock.boot_us() - begun)
        await scene.wait(3 * SECOND_US)
    assert worst < 10 * SECOND_US
    assert is_up(scene)


@scene
async def test_a_large_document_gets_through_a_thin_link_beside_an_image_in_one_session(scene: Scene):
    """E11: its parts are signs of life, so nobody takes two minutes of document for two heartbeats of silence."""
    blob, _ = make_blob(scene, 4_000_000)
    scene.wan.change(rate_bit_s=64_000, delay_us=1_000_000)
    await scene.start()
    await scene.wait(20 * SECOND_US)
    scene.tasks.start("fetch", fetch(scene, blob))
    await scene.wait(20 * SECOND_US)
    scene.core.disk.publish({UnitId(f"u{number}"): scene.mint.draw(10_000) for number in range(100)})
    scene.sessions.nudge(scene.core.record.site)
    await scene.wait_until(lambda: scene.agent.disk.document is not None, limit_us=6 * MINUTE)
    assert is_up(scene)
    assert scene.link.sessions == 1


@scene
async def test_a_link_that_flaps_makes_progress(scene: Scene):
    """N17: three seconds up, three seconds down; each session brings what it can and keeps it."""
    blob, content = make_blob(scene, 400_000)
    scene.wan.change(rate_bit_s=1_000_000)
    await scene.start_core()
    scene.start_agent()
    fetching = scene.tasks.start("fetch", fetch(scene, blob))

    async def flap() -> None:
        while True:
            await scene.wait(3 * SECOND_US)
            for connection in scene.dialer.open:
                connection.lose(CloseReason.LOST, "flap")
            scene.wan.change(up=False, down=False)
            await scene.wait(3 * SECOND_US)
            scene.wan.change(up=True, down=True)

    scene.tasks.start("flap", flap())
    await scene.wait_until(fetching.done, limit_us=15 * MINUTE)
    assert await fetching == content
