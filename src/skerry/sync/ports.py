"""What goes into an end of a link and what comes out: events in, commands out, all of them values.

A shell turns the world into events (a frame arrived, a read is done, the time asked for has come), gives each to
``handle`` and performs the commands in their order. Each ``Read…``, ``Draw…``, ``Size…``, ``Ingest…``, ``Apply…`` and
``Answer…`` is answered by exactly one event; an end never has more of them open than its rules allow, so shells need no
queues of their own. This file has what both ends share; ``child_ports.py`` and ``parent_ports.py`` have the rest.
"""

import msgspec

from skerry.model.ids import CallId
from skerry.wire import Message, Unknown


class Value(msgspec.Struct, frozen=True):
    """Events and commands compare by content, which is how tests read them."""


# --- events ----------------------------------------------------------------------------------------------------------


class Received(Value, frozen=True):
    """A message arrived."""

    message: Message | Unknown


class Woke(Value, frozen=True):
    """The time of the last ``WakeAt`` has come."""


class Ended(Value, frozen=True):
    """The connection is over, whoever closed it."""


class StreamRead(Value, frozen=True):
    """Answer to ``ReadStream``: the next bytes of one channel; ``end`` closes that channel."""

    call: CallId
    channel: int
    data: bytes
    end: bool = False
    exit_code: int | None = None


class StreamFinished(Value, frozen=True):
    """Answer to ``ReadStream``: this end has no more to say in any channel, or gives up with a reason."""

    call: CallId
    reason: str = ""


class StreamTaken(Value, frozen=True):
    """The reader at this end took so many bytes."""

    call: CallId
    count: int


# --- commands --------------------------------------------------------------------------------------------------------


class Send(Value, frozen=True):
    """Queue a message in its lane (``lanes.py``)."""

    message: Message


class Close(Value, frozen=True):
    """End the connection once the control lane is empty; ``code`` is a stable word for the journal."""

    code: str
    reason: str = ""
    #: The parent asked to stay away so long.
    retry_after_us: int = 0
    #: The session epoch that the next session must exceed.
    above: int = 0


class WakeAt(Value, frozen=True):
    """Give ``Woke`` at this boot time; a new ``WakeAt`` replaces the one before."""

    boot_us: int


class ReadStream(Value, frozen=True):
    """Read up to ``count`` bytes from the source of a call's stream at this end, once its lane has room."""

    call: CallId
    count: int


class DeliverStream(Value, frozen=True):
    """Hand bytes of a stream to its reader at this end."""

    call: CallId
    channel: int
    data: bytes
    end: bool = False
    exit_code: int | None = None


class EndStream(Value, frozen=True):
    """The call is over at this end, with its stream if it had one: let its source and its reader go."""

    call: CallId
    reason: str = ""


CommonEvent = Received | Woke | Ended | StreamRead | StreamFinished | StreamTaken
StreamCommand = Send | ReadStream | DeliverStream | EndStream
CommonCommand = StreamCommand | Close | WakeAt
