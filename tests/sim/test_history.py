"""The second checker: a good record is believed, and each promise is seen to be broken where it is."""

import msgspec
import pytest

from skerry import wire
from skerry.model.event import Event
from skerry.sim.history import TAGS, judge, peek_tag
from skerry.wire import HelloClaim

SAID = (5, "t", "s", "m")
SIGNED = (0, "signed", "default", "shop", "sha256:r", frozenset({"sha256:i"}), frozenset(), 0)
STONE = (0, "signed", "default", "shop", "sha256:t", frozenset(), frozenset({"data"}), 60_000_000)
DELETED = (90_000_000, "deleted", "a", "default", "shop", "data", "sha256:t")


def frame(message: wire.Message, *, up: bool, at_us: int = 0):
    return (at_us, "frame", "a", up, wire.encode(message))


def hello(session: int, generation: int = 0):
    claim = HelloClaim(
        format=1,
        site="a",
        node="n1",
        session_epoch=session,
        document_epoch=1,
        document_generation=generation,
        facts_digest=b"",
        event_last=0,
        event_acknowledged=0,
        clock_s=0,
        agent="",
    )
    return frame(wire.Hello(wire.encode_claim(claim), b""), up=True)


def welcome(kept: int):
    return frame(wire.Welcome(1, kept, b"", 1), up=False)


def sent(number: int, message: str = "m", dropped: int = 0):
    event = Event(sequence=number, time_us=5, type="t", subject="s", message=message)
    return frame(wire.Events((event,), dropped), up=True)


def kept(through: int):
    return frame(wire.EventsAnswer(through), up=False)


def log(*rows):
    return (99, "log", "a", tuple((number, number, said) for number, said in rows))


def written(number: int, message: str = "m", *, security: bool = False):
    return (0, "written", "a", number, security, other(message))


def other(message: str):
    return (*SAID[:3], message)


def test_a_run_in_which_every_promise_is_kept():
    record = [
        SIGNED,
        (1, "confirmed", "default", "shop", 1, "sha256:r"),
        (2, "read", "default", "shop", ((1, "sha256:r"),)),
        hello(1),
        welcome(0),
        (3, "started", "a", "default", "shop", "sha256:i"),
        written(1),
        sent(1),
        sent(1),
        kept(1),
        frame(wire.DocumentAnswer(1, 4, True), up=True),
        hello(2, 4),
        welcome(1),
        STONE,
        DELETED,
        log((1, SAID)),
    ]
    assert judge(record) == []


@pytest.mark.parametrize(
    ("invariant", "record"),
    [
        pytest.param(
            "I1",
            [(1, "confirmed", "default", "shop", 1, "x"), (2, "confirmed", "default", "shop", 1, "y")],
            id="two writes are confirmed as one number",
        ),
        pytest.param(
            "I1",
            [(1, "confirmed", "default", "shop", 1, "x"), (2, "read", "default", "shop", ())],
            id="a confirmed write is not shown",
        ),
        pytest.param(
            "I1",
            [(1, "read", "default", "shop", ((2, "x"),)), (2, "read", "default", "shop", ((1, "y"),))],
            id="an app is shown as it was before",
        ),
        pytest.param("I2", [sent(1), kept(1), log()], id="a kept event is not in the log"),
        pytest.param(
            "I2",
            [written(1), written(1, "x"), sent(1), kept(1), log((1, other("x")))],
            id="a kept event is another one in the log",
        ),
        pytest.param("I2", [sent(1), sent(1, "x")], id="two events have one number"),
        pytest.param("I2", [welcome(5), welcome(4)], id="the core keeps less than it said"),
        pytest.param("I2", [written(1), kept(1), log()], id="a written event is passed over unsent"),
        pytest.param("I34", [written(1), log((1, SAID), (2, SAID))], id="the log has what was never written"),
        pytest.param("I2", [written(1), log((1, SAID), (1, SAID))], id="one event stands in the log twice"),
        pytest.param(
            "I2",
            [written(1), written(2, "x"), (99, "log", "a", ((1, 2, other("x")), (2, 1, SAID)))],
            id="the log is out of order",
        ),
        pytest.param("I3", [hello(1, 7), hello(2, 6)], id="a site holds an older document"),
        pytest.param("I5", [SIGNED, (1, "started", "a", "default", "till", "sha256:i")], id="an image nobody named"),
        pytest.param("I8", [hello(2), hello(2)], id="a session twice"),
        pytest.param("I11", [DELETED], id="a volume goes without a word"),
        pytest.param("I11", [STONE, (5_000_000, *DELETED[1:])], id="a volume goes within its grace"),
        pytest.param("I11", [SIGNED, (*DELETED[:6], "sha256:r")], id="a volume goes by a revision"),
    ],
)
def test_a_broken_promise_is_seen(invariant, record):
    assert {name for name, _ in judge(record)} == {invariant}


def test_what_a_set_back_disk_and_a_restored_core_excuse():
    back = (1, "fault", "site-set-back", "a")
    gone = [written(1), back, written(1, "x"), sent(1, "x")]
    assert judge([hello(5, 7), *gone, hello(3, 2), kept(1), log((1, other("x")))]) == []
    restored = (1, "fault", "core-restored", "")
    write = (0, "confirmed", "default", "shop", 1, "x")
    assert judge([write, sent(1), kept(1), restored, (2, "read", "default", "shop", ()), welcome(0), log()]) == []


def test_drops_are_counted_and_never_of_the_class_security():
    lost = [written(1), written(2, "x")]
    passed = [sent(2, "x", dropped=1), kept(2), log((2, other("x")))]
    assert judge([*lost, *passed]) == []
    assert [name for name, _ in judge([written(1, security=True), written(2, "x"), *passed])] == ["I2"]


def test_tags_are_read_without_decoding():
    for message in (wire.Beat(), wire.EventsAnswer(3), wire.Welcome(1, 0, b"", 1)):
        assert peek_tag(wire.encode(message)) == message.__struct_config__.tag.encode()
    assert peek_tag(b"") == peek_tag(b"\x93\xa3abc") == b""
    assert peek_tag(msgspec.msgpack.encode(["ev", *range(20)])) in TAGS
