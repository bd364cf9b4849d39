"""The parent's end as a table: (state, event) -> commands, and what an evil or broken child gets."""

import msgspec
import pytest
from tests.golden.wire_messages import SAMPLES
from tests.sync.world import SECOND, SiteDisk, make_object

from skerry import wire
from skerry.model.event import Event
from skerry.model.ids import CallId, Digest, UnitId
from skerry.model.limits import FACTS_MAX, STREAMS_PER_SITE_MAX, UNIT_BYTES_MAX
from skerry.sync import parent_ports as pp
from skerry.sync import ports
from skerry.sync.documents import make_patch
from skerry.sync.parent_end import ParentEnd

PATCH = make_patch(make_object("head"), {UnitId("a"): b"1"}, None)
CALL = CallId("c")
RECORD = make_object("record")


def admit(end: ParentEnd, **claim: object) -> list[pp.ParentCommand]:
    claimed = msgspec.structs.replace(SiteDisk().begin_session(0), **claim)
    return end.handle(pp.Admitted(claimed, 7, b"facts"), 0)


def up(drawn: pp.PatchDrawn | None = None, **claim: object) -> ParentEnd:
    end = ParentEnd(0)
    admit(end, **claim)
    end.handle(drawn or pp.PatchDrawn(None), 0)
    return end


def receive(end: ParentEnd, message: wire.Message | wire.Unknown, now: int = SECOND) -> list[pp.ParentCommand]:
    return [command for command in end.handle(ports.Received(message), now) if not isinstance(command, ports.WakeAt)]


def closes(commands: list[pp.ParentCommand]) -> str:
    return next((command.code for command in commands if isinstance(command, ports.Close)), "")


def events(first: int, count: int = 1) -> wire.Events:
    return wire.Events(tuple(Event(sequence=first + n, time_us=0, type="t") for n in range(count)))


def test_the_document_is_drawn_against_what_the_child_holds_and_that_is_recorded():
    assert admit(ParentEnd(0), document_epoch=1, document_generation=4)[:2] == [
        pp.RecordAnswer(1, 4, accepted=True),
        pp.DrawPatch(1, 4),
    ]
    assert admit(ParentEnd(0))[0] == pp.DrawPatch(0, 0)


@pytest.mark.parametrize(
    ("drawn", "document", "record"),
    [
        (pp.PatchDrawn(None), None, None),
        (pp.PatchDrawn(PATCH, 1, 5), PATCH, None),
        (pp.PatchDrawn(PATCH, 1, 5, RECORD, 2), PATCH, None),
        (pp.PatchDrawn(None, 0, 0, RECORD, 3), None, RECORD),
    ],
)
def test_welcome_carries_what_is_newer(
    drawn: pp.PatchDrawn, document: wire.DocumentPatch | None, record: wire.Envelope | None
):
    end = ParentEnd(99)
    admit(end, site_record=2)
    assert end.handle(drawn, 0)[0] == ports.Send(wire.Welcome(1, 7, b"facts", 30 * SECOND, document, record, 99))


def test_the_heartbeat_is_the_one_of_the_links_class():
    end = ParentEnd(0, {"wired": 1, "mobile": 2, "satellite": 77 * SECOND})
    admit(end, link_class="satellite")
    (command, *_) = end.handle(pp.PatchDrawn(None), 0)
    assert isinstance(command, ports.Send)
    assert isinstance(command.message, wire.Welcome)
    assert command.message.heartbeat_us == 77 * SECOND


@pytest.mark.parametrize(
    "name",
    ["hello", "join-request", "join-answer", "welcome", "busy", "document-offer", "objects", "facts-answer",
     "events-answer", "call-request", "bulk-data", "part"],
)  # fmt: skip
def test_what_a_child_never_sends_ends_the_session(name: str):
    assert closes(receive(up(), SAMPLES[name])) == "E-PROTOCOL"


def test_nothing_is_handled_before_admission_or_after_the_end():
    end = ParentEnd(0)
    assert receive(end, wire.Beat(True)) == []
    end = up()
    end.handle(ports.Ended(), 0)
    for event in (ports.Received(events(1)), pp.Nudged(), ports.Woke(), pp.FactsStored(1, True)):
        assert end.handle(event, SECOND) == []
    assert end.handle(pp.CallWanted(CALL, "stats", b"", SECOND), 0) == [
        pp.ReplyCall(CALL, False, code="E-LINK", reason="the link is down")
    ]


# --- documents -----------------------------------------------------------------------------------------------------


def test_nudges_draw_once_and_not_while_an_answer_is_due():
    end = up()
    assert pp.DrawPatch(0, 0) in end.handle(pp.Nudged(), 0)
    assert end.handle(pp.Nudged(), 0) == [], "it is being drawn"
    commands = end.handle(pp.PatchDrawn(PATCH, 1, 1), 0)
    assert ports.Send(wire.DocumentOffer(PATCH)) in commands
    assert pp.DrawPatch(0, 0) not in commands, "it has not answered"
    answered = receive(end, wire.DocumentAnswer(1, 1, True))
    assert answered == [pp.RecordAnswer(1, 1, accepted=True), pp.DrawPatch(1, 1)]


def test_a_draw_that_finds_nothing_new_says_nothing():
    end = up()
    end.handle(pp.Nudged(), 0)
    assert end.handle(pp.PatchDrawn(None), 0) == []


def test_a_base_that_is_gone_is_drawn_whole_once():
    end = up(document_epoch=1, document_generation=4)
    end.handle(pp.Nudged(), 0)
    end.handle(pp.PatchDrawn(PATCH, 1, 5), 0)
    whole = wire.DocumentAnswer(1, 5, False, "E-UNITS", "base", True)
    assert receive(end, whole) == [pp.DrawPatch(0, 0)]
    end.handle(pp.PatchDrawn(PATCH, 1, 5), 0)
    assert receive(end, whole) == [pp.RecordAnswer(1, 5, accepted=False, code="E-UNITS", reason="base")]


@pytest.mark.parametrize("answer", [wire.DocumentAnswer(1, 1, True), wire.DocumentAnswer(0, 0, False, "E-X")])
def test_an_answer_to_nothing_and_one_to_another_document_break_the_protocol(answer: wire.DocumentAnswer):
    assert closes(receive(up(), answer)) == "E-PROTOCOL"
    end = up(pp.PatchDrawn(PATCH, 1, 2))
    if answer.accepted:
        assert closes(receive(end, answer)) == "E-PROTOCOL"


def test_a_document_that_never_fits_is_recorded_as_refused():
    huge = make_patch(make_object("head"), {UnitId(str(number)): bytes(UNIT_BYTES_MAX) for number in range(70)}, None)
    end = up()
    end.handle(pp.Nudged(), 0)
    (command, *_) = end.handle(pp.PatchDrawn(huge, 1, 1), 0)
    assert isinstance(command, pp.RecordAnswer)
    assert command.code == "E-DOCUMENT-TOO-LARGE"


def test_objects_are_read_a_few_at_a_time_for_the_document_on_its_way():
    digests = tuple(Digest(f"sha256:{number:064}") for number in range(20))
    assert closes(receive(up(), wire.Need(digests))) == "E-PROTOCOL"
    end = up(pp.PatchDrawn(PATCH, 1, 1))
    assert receive(end, wire.Need(digests)) == [pp.ReadObjects(digests[:8])]
    commands = end.handle(pp.ObjectsRead((make_object("a"),), digests[1:8]), SECOND)
    assert commands[:2] == [
        ports.Send(wire.Objects((make_object("a"),), digests[1:8])),
        pp.ReadObjects(digests[8:16]),
    ]


@pytest.mark.parametrize("count", [0, 65])
def test_too_many_objects_at_a_time_break_the_protocol(count: int):
    digests = tuple(Digest(f"sha256:{number:064}") for number in range(count))
    assert closes(receive(up(pp.PatchDrawn(PATCH, 1, 1)), wire.Need(digests))) == "E-PROTOCOL"


# --- facts and events ----------------------------------------------------------------------------------------------


def test_facts_and_events_are_acknowledged_after_they_are_stored():
    end = up()
    patch = wire.FactsPatch(3, False, {}, (), b"")
    assert receive(end, patch) == [pp.IngestFacts(patch)]
    assert end.handle(pp.FactsStored(3, False), 0)[0] == ports.Send(wire.FactsAnswer(3, True))
    assert receive(end, events(8)) == [pp.IngestEvents(events(8).events, 0)]
    assert end.handle(pp.EventsStored(8), 0)[0] == ports.Send(wire.EventsAnswer(8))


@pytest.mark.parametrize("message", [events(9), wire.FactsPatch(4, False, {}, (), b"")])
def test_one_message_of_each_flow_is_on_its_way(message: wire.Message):
    end = up()
    receive(end, message)
    assert closes(receive(end, message)) == "E-PROTOCOL"


@pytest.mark.parametrize(
    "message",
    [
        wire.Events(()),
        wire.Events(events(1).events + events(3).events),
        wire.FactsPatch(1, True, {}, tuple(str(number) for number in range(2 * FACTS_MAX + 1)), b""),
    ],
)
def test_what_is_out_of_order_or_bounds_ends_the_session(message: wire.Message):
    assert closes(receive(up(), message)) == "E-PROTOCOL"


# --- calls ---------------------------------------------------------------------------------------------------------


def wanted(call: str = "c") -> pp.CallWanted:
    return pp.CallWanted(CallId(call), "stats", b"", 10 * SECOND)


def test_a_call_goes_down_and_its_reply_comes_back_once():
    end = up()
    assert end.handle(wanted(), 0)[0] == ports.Send(wire.CallRequest(CALL, "stats", b"", 10 * SECOND))
    assert receive(end, wire.CallReply(CALL, True, b"x")) == [pp.ReplyCall(CALL, True, b"x")]
    assert receive(end, wire.CallReply(CALL, True, b"x")) == []


def test_a_call_before_welcome_fails_and_so_does_one_too_many():
    end = ParentEnd(0)
    admit(end)
    assert end.handle(wanted(), 0)[0] == pp.ReplyCall(
        CALL, False, code="E-LINK", reason="the session is just beginning"
    )
    end = up()
    for number in range(STREAMS_PER_SITE_MAX):
        end.handle(wanted(f"c{number}"), 0)
    (command,) = end.handle(wanted("one more"), 0)
    assert isinstance(command, pp.ReplyCall)
    assert command.code == "E-BUSY"


def test_a_call_ends_at_its_deadline_with_its_caller_or_with_the_link():
    end = up()
    end.handle(wanted(), 0)
    commands = end.handle(ports.Woke(), 10 * SECOND)
    assert commands[:2] == [
        ports.Send(wire.StreamClose(CALL, "too late")),
        pp.ReplyCall(CALL, False, code="E-DEADLINE", reason="the site did not answer in time"),
    ]
    end.handle(wanted("d"), 11 * SECOND)
    assert end.handle(pp.CallDropped(CallId("d"), "gone"), 11 * SECOND)[0] == ports.Send(
        wire.StreamClose(CallId("d"), "gone")
    )
    end.handle(wanted("e"), 11 * SECOND)
    assert end.handle(ports.Ended(), 12 * SECOND) == [
        pp.ReplyCall(CallId("e"), False, code="E-LINK", reason="the link is down")
    ]


def test_a_child_that_lives_and_owes_an_answer_is_left_after_a_quarter_of_an_hour():
    end = up(pp.PatchDrawn(PATCH, 1, 1))
    now, code = 0, ""
    while not code:
        now += 15 * SECOND
        receive(end, wire.Beat(), now)
        code = closes(end.handle(ports.Woke(), now))
    assert code == "E-STALLED"
    assert now == 900 * SECOND
