"""The SDK's error tree is the product's own (model/errors.py); here it gets its public names and is read from answers.

Error:
├── Refused          yours (4xx): with ``code``, ``detail``, ``hint``, ``problems``
│   ├── NotFound     no such thing, or not yours
│   ├── Conflict     the state moved (412, ``number`` says where to) or contradicts (409)
│   ├── NotAllowed   the credential is missing (401) or may not do this (403)
│   └── Invalid      located problems in what was sent (422)
├── Unavailable      theirs or the world's: unreachable, too busy, answering nonsense
├── Timeout          what you waited for did not come in the time you gave
└── Broken           ours: a promise inside Skerry does not hold

"""

import msgspec

from skerry.model.answers import ProblemDocument
from skerry.model.errors import (
    Broken,
    Conflict,
    Invalid,
    NotAllowed,
    NotFound,
    Problem,
    Refused,
    SkerryError,
    Unavailable,
)

__all__ = [
    "Broken",
    "Conflict",
    "Error",
    "Invalid",
    "NotAllowed",
    "NotFound",
    "Problem",
    "Refused",
    "Timeout",
    "Unavailable",
    "read_problem",
]

Error = SkerryError


class Timeout(SkerryError):
    """The time given for a wait is over; what was wished still stands and goes on."""

    status = 504


_CLASSES: dict[int, type[SkerryError]] = {
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    412: Conflict,
    422: Invalid,
    429: Unavailable,
    500: Broken,
}


def read_problem(status: int, content: bytes, etag: str = "") -> SkerryError:
    """Turn an answer that is no success into an error; one without a problem document becomes an error too."""
    kind = _CLASSES.get(status) or (Unavailable if status >= 500 else Refused)
    try:
        document = msgspec.json.decode(content, type=ProblemDocument)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        error = kind("E-HTTP", f"The core answered {status} without saying why.")
    else:
        error = kind(document.code, document.detail or document.title, hint=document.hint, problems=document.errors)
        error.cause = document.cause
    error.status = status
    if isinstance(error, Conflict):
        error.number = read_etag(etag)
    return error


def read_etag(etag: str) -> int | None:
    """Return the number that a strong ETag says; None for any other."""
    digits = etag.strip().strip('"')
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 16 else None
