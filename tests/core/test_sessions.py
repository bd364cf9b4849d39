"""The core's end of links over a simulated WAN, against children of the test's own making."""

import asyncio

import msgspec
import pytest
from tests.sync.scene import Scene, scene
from tests.sync.world import NODE, SITE, make_object

from skerry import wire
from skerry.clock import SECOND_US
from skerry.link.ports import LinkClosed
from skerry.link.pump import Pump
from skerry.model.errors import Unavailable
from skerry.model.event import Event
from skerry.model.ids import Digest, UnitId, digest_of
from skerry.model.limits import BULK_CHUNK_BYTES, LANE_BYTES_MAX
from skerry.model.signed import PublicKey
from skerry.safe.errors import StoreFailed
from skerry.sim.network import FLIGHT_BYTES_MAX, SimConnection
from skerry.sync.admission import Admission

MINUTE = 60 * SECOND_US


async def greet(scene: Scene, **changes: object) -> tuple[SimConnection, Pump]:
    """Dial and say Hello as the site, with some of the claim changed."""
    connection, pump = await scene.dial()
    claim = msgspec.structs.replace(scene.agent.disk.begin_session(0), **changes)
    content = wire.encode_claim(claim)
    proof = await scene.agent.prove(connection.nonce, connection.server_digest, content)
    pump.push(wire.Hello(content, proof))
    return connection, pump


async def read_rest(pump: Pump) -> list[wire.Message | wire.Unknown]:
    """Return what comes until the connection is over."""
    messages: list[wire.Message | wire.Unknown] = []
    try:
        while True:
            messages.append(await pump.receive())
    except LinkClosed:
        return messages


@scene
async def test_welcome_carries_all_that_a_returning_site_needs(scene: Scene):
    scene.core.disk.publish({UnitId("a"): b"1"})
    scene.core.disk.cursor = 7
    await scene.start_core()
    _, pump = await greet(scene)
    welcome = await pump.receive()
    assert isinstance(welcome, wire.Welcome)
    assert welcome.event_acknowledged == 7
    assert welcome.document is not None
    assert welcome.site_record == scene.core.envelope
    assert scene.sessions.linked() == (SITE,)


@scene
async def test_a_site_record_that_is_held_is_not_sent_again_and_a_newer_one_is(scene: Scene):
    await scene.start_core()
    _, pump = await greet(scene, site_record=1)
    welcome = await pump.receive()
    assert isinstance(welcome, wire.Welcome)
    assert welcome.site_record is None
    scene.core.record = msgspec.structs.replace(scene.core.record, number=2)
    scene.sessions.nudge(SITE)
    assert await pump.receive() == wire.DocumentOffer(None, scene.core.envelope)
    scene.sessions.nudge(SITE)
    await scene.wait(5 * SECOND_US)
    pump.push(wire.Beat(want=True))
    assert await pump.receive() == wire.Beat()


# --- who is let in -------------------------------------------------------------------------------------------------


@scene
async def test_a_proof_by_another_key_another_site_or_for_another_connection_is_refused_alike(scene: Scene):
    await scene.start_core()
    answers: list[wire.Message | wire.Unknown] = []
    for changes in ({"site": "paris"}, {"site": "../etc"}, {"node": "other"}):
        _, pump = await greet(scene, **changes)
        answers.append(await pump.receive())
        await read_rest(pump)
    connection, pump = await scene.dial()
    content = wire.encode_claim(scene.agent.disk.begin_session(0))
    pump.push(wire.Hello(content, await scene.agent.prove(bytes(32), connection.server_digest, content)))
    answers.append(await pump.receive())
    connection, pump = await scene.dial()
    pump.push(wire.Hello(b"\xc1", bytes(64)))
    answers.append(await pump.receive())
    assert {type(answer) for answer in answers} == {wire.Rejected}
    assert len({wire.encode(answer) for answer in answers if isinstance(answer, wire.Rejected)}) == 1
    assert scene.core.opened == []


@scene
async def test_another_first_message_garbage_and_silence_get_nothing(scene: Scene):
    await scene.start_core()
    _, pump = await scene.dial()
    pump.push(wire.Beat())
    answer = await pump.receive()
    assert isinstance(answer, wire.Rejected)
    await read_rest(pump)
    connection, pump = await scene.dial()
    await connection.send(b"\x00\x93garbage")
    await read_rest(pump)
    _, pump = await scene.dial()
    begun = scene.clock.boot_us()
    await read_rest(pump)
    assert scene.clock.boot_us() - begun < MINUTE
    assert scene.core.opened == []


@scene
async def test_an_older_session_is_told_what_to_exceed(scene: Scene):
    scene.core.disk.session_epoch = 9
    await scene.start_core()
    _, pump = await greet(scene)
    answer = await pump.receive()
    assert isinstance(answer, wire.Rejected)
    assert (answer.code, answer.number, answer.fatal) == ("E-SESSION-OLD", 9, True)


@scene
async def test_a_newer_session_replaces_the_older_one(scene: Scene):
    await scene.start_core()
    _, older = await greet(scene)
    await older.receive()
    _, newer = await greet(scene)
    await newer.receive()
    await read_rest(older)
    await scene.wait(SECOND_US)
    assert scene.core.closed == [(1, "E-REPLACED: the site has a newer session")]
    newer.push(wire.Beat(want=True))
    assert await newer.receive() == wire.Beat()
    assert scene.sessions.linked() == (SITE,)


@scene
async def test_who_comes_too_soon_has_a_place_and_is_let_in_at_its_time(scene: Scene):
    scene.sessions = scene.make_sessions_with(Admission(1, 0, 100))
    await scene.start_core()
    _, pump = await greet(scene)
    assert isinstance(await pump.receive(), wire.Welcome)
    _, pump = await greet(scene)
    busy = await pump.receive()
    assert isinstance(busy, wire.Busy)
    assert 0 < busy.retry_after_us <= SECOND_US
    await scene.wait(busy.retry_after_us)
    _, pump = await greet(scene)
    assert isinstance(await pump.receive(), wire.Welcome)


@scene
async def test_a_store_in_trouble_says_come_back_and_the_core_lives(scene: Scene):
    await scene.start_core()
    scene.core.trouble = Unavailable("E-BUSY", "no room")
    _, pump = await greet(scene)
    assert isinstance(await pump.receive(), wire.Busy)
    scene.core.trouble = ZeroDivisionError("a bug")
    _, pump = await greet(scene)
    await read_rest(pump)
    _, pump = await greet(scene)
    assert isinstance(await pump.receive(), wire.Welcome)


# --- a session -----------------------------------------------------------------------------------------------------


def make_events(first: int, count: int) -> wire.Events:
    return wire.Events(tuple(Event(sequence=first + n, time_us=0, type="t") for n in range(count)))


@scene
async def test_events_are_acknowledged_after_commit_and_a_bug_ends_only_this_session(scene: Scene):
    await scene.start_core()
    _, pump = await greet(scene)
    await pump.receive()
    pump.push(make_events(1, 3))
    assert (await pump.receive(), await pump.receive()).count(wire.EventsAnswer(3)) == 1
    scene.core.trouble = ZeroDivisionError("a bug")
    pump.push(make_events(4, 3))
    await read_rest(pump)
    assert [event.sequence for event in scene.core.disk.log] == [1, 2, 3]
    _, pump = await greet(scene)
    welcome = await pump.receive()
    assert isinstance(welcome, wire.Welcome)
    assert welcome.event_acknowledged == 3


@scene
async def test_a_store_that_has_failed_ends_the_process_not_the_session(scene: Scene):
    await scene.start_core()
    _, pump = await greet(scene)
    await pump.receive()
    scene.core.trouble = StoreFailed("the disk under core.db failed")
    pump.push(make_events(1, 1))
    failure = await scene.tasks.wait_failed()
    assert isinstance(failure, StoreFailed)
    scene.tasks.failed.clear()


@scene
async def test_a_child_that_floods_is_cut_off(scene: Scene):
    await scene.start_core()
    _, pump = await greet(scene)
    await pump.receive()
    scene.core.gate.clear()
    for number in range(10):
        pump.push(make_events(1 + 500 * number, 500))
    answers = await read_rest(pump)
    assert any(isinstance(answer, wire.Rejected) and answer.code == "E-PROTOCOL" for answer in answers)
    assert scene.core.waiting == 1, "one batch waits for the store, however many were sent"


@scene
async def test_objects_come_in_pieces_and_missing_ones_are_named(scene: Scene):
    objects = tuple(make_object(f"{number} " + "x" * 100_000) for number in range(30))
    scene.core.disk.publish({UnitId("a"): b"1"}, objects)
    await scene.start_core()
    _, pump = await greet(scene)
    await pump.receive()
    known = [digest_of(envelope.payload) for envelope in objects]
    lost = Digest("sha256:" + "0" * 64)
    pump.push(wire.Need((*known, lost)))
    found: list[Digest] = []
    missing: list[Digest] = []
    while len(found) + len(missing) < 31:
        message = await pump.receive()
        if isinstance(message, wire.Objects):
            found += [digest_of(envelope.payload) for envelope in message.objects]
            missing += message.missing
    assert found == known
    assert missing == [lost]


@scene
async def test_a_silent_child_is_given_up_after_two_heartbeats_and_one_that_beats_is_not(scene: Scene):
    await scene.start_core()
    _, pump = await greet(scene)
    await pump.receive()
    for _ in range(5):
        await scene.wait(31 * SECOND_US)
        pump.push(wire.Beat(want=True))
        while await pump.receive() != wire.Beat():
            pass
    scene.wan.change(up=False)
    begun = scene.clock.boot_us()
    await scene.wait_until(lambda: bool(scene.core.closed))
    assert 55 * SECOND_US < scene.clock.boot_us() - begun < 66 * SECOND_US
    assert scene.sessions.linked() == ()


@scene
async def test_calls_to_a_site_that_is_away_or_goes_away_fail_at_once(scene: Scene):
    with pytest.raises(Unavailable, match="no link"):
        await scene.sessions.call(SITE, "stats", b"", MINUTE)
    await scene.start_core()
    connection, pump = await greet(scene)
    await pump.receive()
    calling = scene.tasks.start("calling", _call(scene))
    assert isinstance(await pump.receive(), wire.CallRequest)
    await connection.close()
    assert await calling == "E-LINK"


async def _call(scene: Scene) -> str:
    try:
        await scene.sessions.call(SITE, "stats", b"", MINUTE)
    except Unavailable as error:
        return error.code
    return ""


@scene
async def test_a_caller_that_goes_away_takes_its_call_along(scene: Scene):
    await scene.start_core()
    _, pump = await greet(scene)
    await pump.receive()
    calling = scene.tasks.start("calling", _call(scene))
    request = await pump.receive()
    assert isinstance(request, wire.CallRequest)
    calling.cancel()
    assert await pump.receive() == wire.StreamClose(request.call, "the caller has gone")


@scene
async def test_bytes_are_counted_by_purpose_while_a_session_lasts(scene: Scene):
    scene.core.disk.publish({UnitId("a"): b"1"})
    await scene.start()
    await scene.wait(5 * SECOND_US)
    scene.agent.disk.write_event("e")
    scene.agent.changed.set()
    await scene.wait(3 * MINUTE)
    assert {"heartbeat", "document", "events"} <= set(scene.core.sent)
    assert {"heartbeat", "document", "events"} <= set(scene.core.received)
    await scene.wait(10 * SECOND_US)  # no beat is on its way then
    await scene.listener.stop()
    await scene.wait(SECOND_US)
    counted = sum(scene.core.sent.values()) + sum(scene.core.received.values())
    assert counted == scene.link.meter_total, "both ends count the same bytes"


@scene
async def test_a_site_far_behind_delays_another_by_no_more_than_a_batch(scene: Scene):
    """R10: the desk is asked by both in turn, whatever one of them has waiting."""
    order: list[int] = []
    ingest = scene.core.disk.ingest

    def watch(command):
        order.append(len(command.events))
        return ingest(command)

    scene.core.disk.ingest = watch  # type: ignore[method-assign]
    for number in range(100_000 // 20):
        scene.agent.disk.write_event(f"e{number}")
    await scene.start()
    await scene.wait(MINUTE)
    assert max(order) <= 500
    assert len(scene.core.disk.log) == 5_000


@scene
async def test_an_image_that_is_read_slowly_holds_nothing_else_up(scene: Scene):
    blob = digest_of(b"blob")
    scene.core.blobs[blob] = b"blob"
    scene.core.blob_gate.clear()
    await scene.start_core()
    _, pump = await greet(scene)
    await pump.receive()
    pump.push(wire.BulkOpen(blob, 0))
    await scene.wait(SECOND_US)
    pump.push(make_events(1, 3))
    messages = [await pump.receive(), await pump.receive()]
    assert wire.EventsAnswer(3) in messages


@scene
async def test_blobs_are_read_no_further_ahead_than_their_lane_has_room(scene: Scene):
    """A link that was fast has a large window; when it slows down, what is read does not pile up in the core."""
    wanted = [digest_of(bytes([number])) for number in range(2)]
    for blob in wanted:
        scene.core.blobs[blob] = scene.mint.draw(40_000_000)
    await scene.start()
    arrived = 0

    async def fetch(blob: Digest) -> None:
        nonlocal arrived
        async for content in scene.link.fetch(blob, 0):
            arrived += len(content)

    for blob in wanted:
        scene.tasks.start("fetch", fetch(blob))
    await scene.wait(2 * SECOND_US)
    assert arrived > 3_000_000
    scene.wan.change(rate_bit_s=8_000)
    ahead = 0
    for _ in range(40):
        await scene.wait(SECOND_US // 10)
        ahead = max(ahead, scene.core.read_bytes - arrived)
    assert ahead < FLIGHT_BYTES_MAX + LANE_BYTES_MAX + 4 * BULK_CHUNK_BYTES


# --- joining -------------------------------------------------------------------------------------------------------


@scene
async def test_a_pending_box_waits_on_its_connection_for_the_signer(scene: Scene):
    await scene.start_core()
    connection, pump = await scene.dial()
    key = PublicKey(type="ed25519", key=bytes(32))
    request = wire.JoinRequest(SITE, NODE, "token", key, key, b"", b"", b"")
    pump.push(request)
    assert await pump.receive() == wire.JoinAnswer("pending")
    scene.core.joined.set()
    assert await pump.receive() == wire.JoinAnswer("joined", site_record=scene.core.envelope)
    await read_rest(pump)
    assert scene.core.joins == [request]
    assert connection.nonce


@scene
async def test_a_core_that_stops_lets_every_session_go(scene: Scene):
    await scene.start()
    await scene.wait(5 * SECOND_US)
    await scene.listener.stop()
    await scene.wait(SECOND_US)
    assert scene.sessions.linked() == ()
    assert len(scene.core.closed) == 1
    await asyncio.sleep(0)
