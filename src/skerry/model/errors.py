"""The one error tree. The class says whose fault it was; ``code`` is stable and documented.

    SkerryError
    ├── Refused          yours: the request is understood and will not be done (4xx)
    │   ├── NotFound     no such object, or not yours (404, always with the same words)
    │   ├── Conflict     the state moved, or contradicts (412 or 409)
    │   ├── NotAllowed   the credential may not do this (401 or 403)
    │   └── Invalid      located problems in what was sent (422)
    ├── Unavailable      theirs or the world's: unreachable, too busy, disk full (503)
    └── Broken           ours: a promise inside Skerry does not hold

Expected outcomes inside planners and protocols are values with reasons, not exceptions.
"""

import msgspec


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One located complaint: where, what, and what to do about it."""

    code: str
    detail: str
    #: JSON pointer into what was sent; empty means the whole.
    pointer: str = ""
    file: str = ""
    line: int = 0
    column: int = 0
    hint: str = ""


class SkerryError(Exception):
    """Base of every error that a person or program may see.

    ``code`` is a stable word such as ``E-CONFLICT``; ``detail`` one sentence; ``hint`` one thing to do next.
    """

    status: int = 500
    #: Id of the story it belongs to, where a core knows one.
    cause: str = ""

    def __init__(self, code: str, detail: str, *, hint: str = "", problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.hint = hint
        self.problems = problems


class Refused(SkerryError):
    """Understood and not done; nothing changed."""

    status = 400


class NotFound(Refused):
    """No such object for this credential; foreign and missing read the same."""

    status = 404


class Conflict(Refused):
    """The state moved since it was read (412), or the wish contradicts it (409)."""

    status = 412
    #: What ``If-Match`` must name now, where a core says so.
    number: int | None = None


class NotAllowed(Refused):
    """The credential is missing (401) or may not do this (403)."""

    status = 403


class Invalid(Refused):
    """What was sent breaks its schema or meaning; ``problems`` says where."""

    status = 422


class Unavailable(SkerryError):
    """It may work later: unreachable, too busy, out of room."""

    status = 503
    #: Seconds after which it is worth asking again, where the other side said so.
    retry_after_s: float | None = None


class Broken(SkerryError):
    """A promise inside Skerry does not hold; always a defect."""

    status = 500
