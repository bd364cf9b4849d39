"""The child's end as a table: (state, event) -> commands, and what an evil or broken parent gets."""

import msgspec
import pytest
from tests.golden.wire_messages import SAMPLES
from tests.sync.world import SECOND, SiteDisk, make_object

from skerry import wire
from skerry.model.event import Event
from skerry.model.ids import CallId, Digest, UnitId
from skerry.model.limits import INTEGER_MAX, STREAMS_PER_SITE_MAX
from skerry.sync import child_ports as cp
from skerry.sync import ports
from skerry.sync.child_end import ChildEnd, ChildState
from skerry.sync.documents import make_patch
from skerry.sync.facts import digest_facts

PATCH = make_patch(make_object("head"), {UnitId("a"): b"1"}, None)
NEWER = make_patch(make_object("newer head"), {UnitId("a"): b"2"}, None)
CALL = CallId("c")
LOST = Digest("sha256:" + "0" * 64)


def link(end: ChildEnd, disk: SiteDisk | None = None) -> list[cp.ChildCommand]:
    claim = (disk or SiteDisk()).begin_session(0)
    return end.handle(cp.Linked(claim, wire.encode_claim(claim), b"proof"), 0)


def welcome(
    acknowledged: int = 0, document: wire.DocumentPatch | None = None, facts: dict[str, bytes] | None = None
) -> wire.Welcome:
    return wire.Welcome(1, acknowledged, digest_facts(facts or {}), 30 * SECOND, document)


def up(disk: SiteDisk | None = None, hello: wire.Welcome | None = None) -> tuple[ChildEnd, list[cp.ChildCommand]]:
    """An end in a session, and what it said to Welcome."""
    end = ChildEnd()
    link(end, disk)
    commands = end.handle(ports.Received(hello or welcome()), 0)
    assert end.state is ChildState.UP
    return end, commands


def quiet() -> ChildEnd:
    """An end in a session with nothing to do."""
    end, _ = up()
    end.handle(cp.FactsRead({}), 0)
    end.handle(cp.OutboxRead(0, ()), 0)
    return end


def receive(end: ChildEnd, message: wire.Message | wire.Unknown, now: int = SECOND) -> list[cp.ChildCommand]:
    return [command for command in end.handle(ports.Received(message), now) if not isinstance(command, ports.WakeAt)]


def closes(commands: list[cp.ChildCommand]) -> str:
    return next((command.code for command in commands if isinstance(command, ports.Close)), "")


def test_hello_goes_out_at_once_and_waits_a_minute_for_its_answer():
    end = ChildEnd()
    disk = SiteDisk()
    commands = link(end, disk)
    assert isinstance(commands[0], ports.Send)
    assert isinstance(commands[0].message, wire.Hello)
    assert commands[1:] == [ports.WakeAt(60 * SECOND)]
    assert closes(end.handle(ports.Woke(), 60 * SECOND)) == "E-SILENT"


def test_a_sign_of_life_is_asked_for_once_and_told_with_the_time_of_its_question():
    end = quiet()
    assert ports.Send(wire.Beat(want=True)) in end.handle(cp.Asked(), 5 * SECOND)
    assert ports.Send(wire.Beat(want=True)) not in end.handle(cp.Asked(), 6 * SECOND)
    assert receive(end, wire.Beat(), 7 * SECOND) == [cp.NoteAnswer(5 * SECOND)]
    assert receive(end, wire.Beat(), 8 * SECOND) == []


def test_a_sign_of_life_that_does_not_come_ends_the_session_before_its_heartbeats_would():
    end, _ = up(hello=msgspec.structs.replace(welcome(), heartbeat_us=900 * SECOND))
    end.handle(cp.FactsRead({}), 0)
    end.handle(cp.OutboxRead(0, ()), 0)
    end.handle(cp.Asked(), SECOND)
    end.handle(ports.Woke(), 21 * SECOND)
    assert closes(end.handle(ports.Woke(), 81 * SECOND)) == "E-SILENT"
    assert ports.Send(wire.Beat(want=True)) not in end.handle(cp.Asked(), 82 * SECOND)


def test_welcome_starts_every_flow_documents_first():
    document = welcome(0, PATCH)
    _, commands = up(hello=document)
    assert commands == [
        cp.NoteLink("up"),
        cp.ApplyDocument(PATCH),
        cp.ReadFacts(),
        cp.ReadOutbox(0, 500),
        ports.WakeAt(30 * SECOND),
    ]


@pytest.mark.parametrize(
    ("acknowledged", "last", "parents", "command"),
    [
        (5, 9, 5, None),
        (5, 9, 7, cp.TrimOutbox(7)),
        (5, 9, 3, None),  # the core was restored: what it lost is gone here too, and will show as a gap
        (5, 9, 20, cp.RaiseOutbox(20)),
    ],
)
def test_welcome_says_what_of_the_outbox_is_the_parents(
    acknowledged: int, last: int, parents: int, command: cp.ChildCommand | None
):
    disk = SiteDisk()
    disk.acknowledged, disk.last = acknowledged, last
    _, commands = up(disk, welcome(parents))
    changes = [each for each in commands if isinstance(each, cp.TrimOutbox | cp.RaiseOutbox)]
    assert changes == ([] if command is None else [command])
    assert cp.ReadOutbox(parents, 500) in commands


def test_after_a_set_back_everything_unsent_is_numbered_afresh():
    """P8: the restored site wrote events of its own under numbers that the parent has others for."""
    end, disk = ChildEnd(), SiteDisk()
    disk.acknowledged, disk.last = 5, 90
    link(end, disk)
    assert closes(receive(end, wire.Rejected("E-SESSION-OLD", "", True, 40))) == "E-SESSION-OLD"
    link(end, disk)
    assert cp.RaiseOutbox(60) in receive(end, welcome(60))


def test_where_numbers_may_mean_two_things_the_parents_last_event_is_compared():
    """P8: the restored site went past the parent's number by itself, so its numbers alone do not show it."""
    disk = SiteDisk()
    disk.acknowledged, disk.last = 5, 90
    _, commands = up(disk, msgspec.structs.replace(welcome(60), event_mark=b"mark"))
    assert cp.TrimOutbox(60, b"mark") in commands


def test_a_parent_that_claims_the_impossible_is_left():
    end = ChildEnd()
    link(end)
    assert closes(receive(end, welcome(INTEGER_MAX))) == "E-PROTOCOL"


@pytest.mark.parametrize("name", SAMPLES)
def test_only_an_answer_to_hello_may_come_before_welcome(name: str):
    end = ChildEnd()
    link(end)
    code = closes(receive(end, SAMPLES[name]))
    expected = {"welcome": "", "busy": "E-BUSY", "rejected": "E-SESSION-OLD"}
    assert code == expected.get(name, "E-PROTOCOL")


@pytest.mark.parametrize(
    "name",
    ["hello", "join-request", "join-answer", "welcome", "document-answer", "need", "facts-patch", "events",
     "call-reply", "bulk-open", "bulk-more", "part"],
)  # fmt: skip
def test_what_a_parent_never_sends_ends_the_session(name: str):
    commands = receive(quiet(), SAMPLES[name])
    assert closes(commands) == "E-PROTOCOL"
    assert isinstance(commands[0], ports.Send)
    assert isinstance(commands[0].message, wire.Rejected)


def test_messages_of_a_later_release_are_refused_by_name_but_not_for_ever():
    end = quiet()
    for _ in range(8):
        assert receive(end, wire.Unknown("zz")) == [ports.Send(wire.Rejected("E-UNKNOWN-MESSAGE", "zz"))]
    assert closes(receive(end, wire.Unknown("zz"))) == "E-PROTOCOL"


def test_a_busy_parent_is_left_for_as_long_as_it_says():
    end = ChildEnd()
    link(end)
    assert ports.Close("E-BUSY", "the parent asks to come back later", 7 * SECOND) in receive(
        end, wire.Busy(7 * SECOND)
    )


def test_a_beat_is_answered_only_if_it_asks():
    end = quiet()
    assert receive(end, wire.Beat(True)) == [ports.Send(wire.Beat())]
    assert receive(end, wire.Beat()) == []


# --- documents -----------------------------------------------------------------------------------------------------


def test_a_document_is_applied_answered_and_only_then_the_next_one():
    end = quiet()
    assert receive(end, wire.DocumentOffer(PATCH)) == [cp.ApplyDocument(PATCH)]
    assert receive(end, wire.DocumentOffer(NEWER)) == []
    commands = end.handle(cp.Judged("accepted", 1, 1), 0)
    assert commands[:2] == [ports.Send(wire.DocumentAnswer(1, 1, True)), cp.ApplyDocument(NEWER)]


def test_a_site_record_goes_before_its_document():
    assert receive(quiet(), wire.DocumentOffer(PATCH, make_object("record"))) == [
        cp.KeepSiteRecord(make_object("record")),
        cp.ApplyDocument(PATCH),
    ]


def test_missing_objects_are_fetched_and_the_same_patch_is_applied_with_them():
    end, wanted = quiet(), make_object("revision")
    receive(end, wire.DocumentOffer(PATCH))
    commands = end.handle(cp.Judged("missing", digests=(LOST,)), 0)
    assert ports.Send(wire.Need((LOST,))) in commands
    assert receive(end, wire.Objects((wanted,))) == [], "that is not what was asked for"
    assert receive(end, wire.Objects((), (LOST,))) == [cp.ApplyDocument(PATCH, ())]
    commands = end.handle(cp.Judged("missing", digests=(LOST,)), 0)
    answer = wire.DocumentAnswer(0, 0, False, "E-OBJECTS", f"the parent does not have {LOST}")
    assert ports.Send(answer) in commands


def test_a_verdict_of_an_earlier_session_answers_nothing_and_the_next_document_is_not_lost():
    end = quiet()
    receive(end, wire.DocumentOffer(PATCH))
    end.handle(ports.Ended(), 0)
    link(end)
    assert cp.ApplyDocument(NEWER) not in receive(end, welcome(0, NEWER))
    commands = end.handle(cp.Judged("accepted", 1, 1), 0)
    assert cp.ApplyDocument(NEWER) in commands
    assert not any(isinstance(command, ports.Send) for command in commands)


# --- facts and events ----------------------------------------------------------------------------------------------


def test_facts_go_once_per_pace_with_what_changed_last():
    end = quiet()
    assert cp.ReadFacts() in end.handle(cp.Changed(), 2 * SECOND)
    commands = end.handle(cp.FactsRead({"a": b"1"}), 2 * SECOND)
    assert isinstance(commands[0], ports.Send)
    end.handle(cp.Changed(), 2 * SECOND)
    assert cp.ReadFacts() not in receive(end, wire.FactsAnswer(1), 2 * SECOND + 1)
    assert cp.ReadFacts() in end.handle(ports.Woke(), 3 * SECOND)


def test_events_are_trimmed_as_far_as_they_are_acknowledged():
    end, _ = up()
    sent = tuple(Event(sequence=number, time_us=0, type="t") for number in (1, 2, 3))
    assert ports.Send(wire.Events(sent, 0)) in end.handle(cp.OutboxRead(0, sent), 0)
    assert receive(end, wire.EventsAnswer(99)) == [cp.TrimOutbox(3), cp.ReadOutbox(3, 500)]


def test_a_parent_that_keeps_no_events_is_left():
    end, _ = up()
    end.handle(cp.OutboxRead(0, (Event(sequence=1, time_us=0, type="t"),)), 0)
    assert closes(receive(end, wire.EventsAnswer(0))) == "E-EVENTS"


# --- calls ---------------------------------------------------------------------------------------------------------


def ask(call: str = "c", allowed: int = 10 * SECOND) -> wire.CallRequest:
    return wire.CallRequest(CallId(call), "logs", b"", allowed)


def test_a_call_is_answered_and_its_stream_read():
    end = quiet()
    assert receive(end, ask()) == [cp.AnswerCall(ask())]
    assert end.handle(cp.CallAnswered(CALL, True, b"x", stream=True), SECOND)[:2] == [
        ports.Send(wire.CallReply(CALL, True, b"x", stream=True)),
        ports.ReadStream(CALL, 16 * 1024),
    ]


def test_a_call_too_late_is_answered_for_and_let_go():
    end = quiet()
    receive(end, ask())
    commands = end.handle(ports.Woke(), 11 * SECOND)
    assert commands[:2] == [
        ports.Send(wire.CallReply(CALL, False, code="E-DEADLINE", reason="the site was too slow")),
        ports.EndStream(CALL, "too late"),
    ]
    assert end.handle(cp.CallAnswered(CALL, True), 12 * SECOND)[0] == ports.EndStream(
        CALL, "nobody waits for it any more"
    )


def test_calls_are_bounded_and_their_ids_are_used_once():
    end = quiet()
    for number in range(STREAMS_PER_SITE_MAX):
        receive(end, ask(f"c{number}"))
    for request in (ask("one more"), ask("c0")):
        (command,) = receive(end, request)
        assert isinstance(command, ports.Send)
        assert isinstance(command.message, wire.CallReply)
        assert command.message.code == "E-BUSY"


def test_a_caller_that_gives_up_and_a_link_that_breaks_end_calls():
    end = quiet()
    receive(end, ask())
    assert receive(end, wire.StreamClose(CALL, "gone")) == [ports.EndStream(CALL, "gone")]
    receive(end, ask("d"))
    assert end.handle(ports.Ended(), 0) == [ports.EndStream(CallId("d"), "the link is down")]


def test_nothing_is_said_while_the_link_is_down():
    end = quiet()
    end.handle(ports.Ended(), 0)
    events: list[cp.ChildEvent] = [
        cp.Changed(),
        cp.FactsRead({"a": b"1"}),
        cp.OutboxRead(0, (Event(sequence=1, time_us=0, type="t"),)),
        cp.BlobWanted(LOST, 0),
        cp.BlobTaken(LOST, 1),
        cp.Judged("accepted", 1, 1),
        ports.Received(wire.Beat(True)),
        ports.Woke(),
    ]
    for event in events:
        assert end.handle(event, SECOND) == []
