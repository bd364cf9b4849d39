"""What every answer is made of: pages, conditions, events, and what was recorded."""

from typing import Generic, Literal, TypeVar

import msgspec

from skerry.model.errors import Problem
from skerry.model.ids import CauseId

T = TypeVar("T")


SiteState = Literal["online", "silent", "joining", "unheard"]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every answer."""


class Page(Answer, Generic[T], frozen=True, kw_only=True):
    """Part of a listing in a stated order; an empty ``next_page_token`` ends it."""

    items: tuple[T, ...]
    next_page_token: str = ""


class Condition(Answer, frozen=True, kw_only=True):
    """Something about an object that is worth a person's eye."""

    kind: str
    reason: str


class CloudEvent(Answer, frozen=True, kw_only=True):
    """An event as CloudEvents 1.0 has it. ``id`` is the number in the core's log, so it also orders and resumes."""

    specversion: str = "1.0"
    id: str
    #: ``/sites/NAME`` or ``/core``.
    source: str
    #: ``dev.skerry.`` kind ``.v1``
    type: str
    subject: str = ""
    #: RFC 3339, by the clock of whoever wrote the event.
    time: str = ""
    datacontenttype: str = "application/json"
    #: Extension attributes: the story it belongs to and its number at its site.
    cause: CauseId = CauseId("")
    sequence: int = 0
    data: dict[str, str] = {}


class Recorded(Answer, frozen=True, kw_only=True):
    """A change was recorded durably under ``number``."""

    name: str
    number: int
    cause: CauseId
    event_id: int


class ProblemDocument(Answer, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 9457 problem details, with Skerry's own code, hint, cause and located problems."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str = ""
    hint: str = ""
    cause: str = ""
    errors: tuple[Problem, ...] = ()
