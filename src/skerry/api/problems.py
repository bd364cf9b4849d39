"""Every error as RFC 9457 problem details; pure. The same words reach people through the command line."""

import http
import re

import msgspec

from skerry.core.refusals import Stale
from skerry.model.answers import ProblemDocument
from skerry.model.errors import Invalid, Problem, Refused, SkerryError, Unavailable
from skerry.model.next_steps import next_step

MEDIA_TYPE = "application/problem+json"

#: Codes whose status is not that of their class.
_STATUS_BY_CODE = {"E-TOO-LARGE": 413, "E-OFFSET": 409, "E-UPLOADING": 409}
#: Seconds after which something that was unavailable is worth another try.
_RETRY_AFTER_S = 5

_PATH = re.compile(r" - at (?:key in )?`\$([^`]*)`$")


def describe_error(error: SkerryError, *, instance: str = "", cause: str = "") -> ProblemDocument:
    """Write an error down for a client."""
    status = _STATUS_BY_CODE.get(error.code, error.status)
    return ProblemDocument(
        type=f"/help/{error.code}",
        title=http.HTTPStatus(status).phrase,
        status=status,
        detail=error.detail,
        code=error.code,
        instance=instance,
        hint=error.hint or next_step(error.code),
        cause=cause,
        errors=error.problems,
    )


def headers_of(error: SkerryError) -> dict[str, str]:
    """Return what an error says in headers: the newest number of what was stale, when to come back, how to prove."""
    if isinstance(error, Stale):
        return {"ETag": f'"{error.number}"'}
    if isinstance(error, Unavailable):
        return {"Retry-After": str(_RETRY_AFTER_S)}
    return {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}


def malformed(what: str, error: Exception) -> SkerryError:
    """Turn a decoder's complaint into a located problem: 422 for valid JSON of the wrong shape, 400 for the rest."""
    text = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return Refused("E-MALFORMED", f"The {what} cannot be read: {text}.")
    found = _PATH.search(text)
    pointer = write_pointer(found[1]) if found else ""
    detail = text[: found.start()] if found else text
    problem = Problem(code="E-FIELD", detail=detail, pointer=pointer)
    return Invalid("E-FIELD", f"The {what} is not as declared: {detail}.", problems=(problem,))


def write_pointer(path: str) -> str:
    """Turn ``.a[0].b`` into the JSON pointer ``/a/0/b``; ``[...]`` stands for any key."""
    parts = re.findall(r"\.([^.\[]+)|\[([^\]]*)\]", path)
    return "".join(f"/{(name or index).replace('~', '~0').replace('/', '~1')}" for name, index in parts)
