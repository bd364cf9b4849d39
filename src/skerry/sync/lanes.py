"""In which lane each message travels, and for what purpose its bytes are counted.

Lower lanes go first. Messages of one lane keep their order; messages of different lanes may overtake each other, so
whatever must arrive in order shares a lane: a call's reply, its stream's bytes and the end of the stream do.
"""

import enum

from skerry import wire
from skerry.wire import Message, Purpose


class Lane(enum.IntEnum):
    """Order of sending (link.md §1): what keeps the link alive first, images last."""

    CONTROL = 0
    DOCUMENT = 1
    FACTS = 2
    EVENTS = 3
    CALL = 4
    IMAGE = 5


_ROUTES: dict[type, tuple[Lane, Purpose]] = {
    wire.Hello: (Lane.CONTROL, "heartbeat"),
    wire.JoinRequest: (Lane.CONTROL, "join"),
    wire.JoinAnswer: (Lane.CONTROL, "join"),
    wire.Welcome: (Lane.CONTROL, "document"),
    wire.Busy: (Lane.CONTROL, "heartbeat"),
    wire.Rejected: (Lane.CONTROL, "heartbeat"),
    wire.Beat: (Lane.CONTROL, "heartbeat"),
    wire.DocumentOffer: (Lane.DOCUMENT, "document"),
    wire.DocumentAnswer: (Lane.DOCUMENT, "document"),
    wire.Need: (Lane.DOCUMENT, "document"),
    wire.Objects: (Lane.DOCUMENT, "document"),
    wire.FactsPatch: (Lane.FACTS, "facts"),
    wire.FactsAnswer: (Lane.FACTS, "facts"),
    wire.Events: (Lane.EVENTS, "events"),
    wire.EventsAnswer: (Lane.EVENTS, "events"),
    wire.SamplesAsk: (Lane.CALL, "samples"),
    wire.Samples: (Lane.CALL, "samples"),
    wire.CallRequest: (Lane.CALL, "call"),
    wire.CallReply: (Lane.CALL, "call"),
    wire.StreamData: (Lane.CALL, "logs"),
    wire.StreamWindow: (Lane.CALL, "logs"),
    wire.StreamClose: (Lane.CALL, "logs"),
    wire.BulkOpen: (Lane.IMAGE, "image"),
    wire.BulkData: (Lane.IMAGE, "image"),
    wire.BulkMore: (Lane.IMAGE, "image"),
    wire.BulkEnd: (Lane.IMAGE, "image"),
}


def lane_of(message: Message) -> Lane:
    """Return the lane of a message; parts are made below and have none of their own."""
    return _ROUTES[type(message)][0]


#: What parts count as: in each lane one kind of message is ever long.
_PART_PURPOSES: dict[Lane, Purpose] = {
    Lane.CONTROL: "document",
    Lane.DOCUMENT: "document",
    Lane.FACTS: "facts",
    Lane.EVENTS: "events",
    Lane.CALL: "call",
    Lane.IMAGE: "image",
}


def purpose_of(message: Message | wire.Unknown) -> Purpose:
    """Return what the bytes of a message are counted as; a message of a later release counts as control."""
    if isinstance(message, wire.Part):
        return _PART_PURPOSES[Lane(message.lane)] if 0 <= message.lane <= max(Lane) else "heartbeat"
    return _ROUTES[type(message)][1] if type(message) in _ROUTES else "heartbeat"
