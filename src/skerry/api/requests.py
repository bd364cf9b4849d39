"""Reading a request as its operation declares it: headers, query, body, each with its limit.

Unknown parameters and fields are errors. A body is counted while it is read, so a lying or missing length costs
nothing; it also has to arrive in time.
"""

import re
import urllib.parse
from collections.abc import AsyncIterator, Iterable

import msgspec

from skerry.api.problems import malformed
from skerry.clock import SECOND_US, Clock, ClockTimeout, Tasks
from skerry.core.wishes import Expected
from skerry.model.errors import Refused
from skerry.model.signed import Envelope
from skerry.operations import Operation
from skerry.safe.errors import TooLarge
from skerry.trust.envelope import decode_envelope_json
from skerry.trust.verdict import Denied

#: A megabyte at 300 kbit/s.
BODY_US_MAX = 30 * SECOND_US
#: Longest pause inside an upload: a mobile link may be gone for a while.
CHUNK_US_MAX = 60 * SECOND_US
_QUERY_FIELDS_MAX = 32
_QUERY_CHARACTERS_MAX = 4096

_ETAG = re.compile(r'"([0-9]{1,15})"', re.ASCII)
_KEY = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)
_PLAN = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}", re.ASCII)


class _Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token: str


class Slow(Refused):
    """The body did not arrive in time."""

    status = 408


def read_token(header: str | None) -> str:
    """Return the bearer token of an ``Authorization`` header, empty when there is none."""
    scheme, _, token = (header or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def read_precondition(if_match: str | None, if_none_match: str | None, plan: str | None) -> Expected | None:
    """Return what a change expects to find; None when it does not say. Raises ``Refused`` when it cannot be read."""
    if if_match is not None and if_none_match is not None:
        raise Refused("E-PRECONDITION", "If-Match and If-None-Match exclude each other.")
    if plan is not None and _PLAN.fullmatch(plan) is None:
        raise Refused("E-PRECONDITION", "Skerry-Plan names a plan by its id.")
    if if_none_match is not None:
        if if_none_match.strip() != "*":
            raise Refused("E-PRECONDITION", "If-None-Match takes * only: create, do not replace.")
        return Expected(0, plan or "")
    if if_match is None:
        return None
    found = _ETAG.fullmatch(if_match.strip())
    if found is None:
        raise Refused("E-PRECONDITION", 'If-Match takes one strong ETag: a number in quotes, as in If-Match: "411".')
    return Expected(int(found[1]), plan or "")


def read_key(values: Iterable[str]) -> str:
    """Return the ``Idempotency-Key`` of a request, empty when there is none; raises ``Refused`` for one that is none.

    Its form is free: whoever quotes it, as the draft standard does, quotes it each time.
    """
    key = first_of(values)
    if key is not None and _KEY.fullmatch(key) is None:
        raise Refused("E-HEADER", "Idempotency-Key is 1 to 128 visible ASCII characters, such as a ULID.")
    return key or ""


def read_query(operation: Operation, text: str) -> msgspec.Struct | None:
    """Read the query string; parameters that are not declared, or come twice, are errors."""
    if len(text) > _QUERY_CHARACTERS_MAX:
        raise TooLarge("The query", _QUERY_CHARACTERS_MAX)
    try:
        pairs = urllib.parse.parse_qsl(
            text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=_QUERY_FIELDS_MAX, errors="strict"
        )
    except ValueError as error:
        raise malformed("query", error) from error
    values = dict(pairs)
    if len(values) != len(pairs):
        raise Refused("E-QUERY", "A query parameter is given twice.")
    if operation.query is None:
        if values:
            raise Refused("E-QUERY", f"There are no query parameters here, and {min(values)!r} was given.")
        return None
    try:
        return msgspec.convert(values, operation.query, strict=False)
    except msgspec.ValidationError as error:
        raise malformed("query", error) from error


def read_json(operation: Operation, content: bytes) -> object:
    """Read a JSON body as declared; an envelope has one accepted text."""
    if operation.body is None:
        raise Refused("E-BODY", "There is no body here.")
    if operation.body is Envelope:
        envelope = decode_envelope_json(content)
        if isinstance(envelope, Denied):
            raise Refused(envelope.code, f"The envelope cannot be read: {envelope.reason}.")
        return envelope
    try:
        return msgspec.json.decode(content, type=operation.body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise malformed("body", error) from error


def read_login(content: bytes) -> str:
    """Read the token that a person typed into the console."""
    try:
        return msgspec.json.decode(content, type=_Login).token
    except (msgspec.DecodeError, RecursionError) as error:
        raise malformed("body", error) from error


async def read_body(
    stream: AsyncIterator[bytes], declared: str | None, limit: int, clock: Clock, tasks: Tasks
) -> bytes:
    """Read a body of at most ``limit`` bytes; raises ``TooLarge`` or ``Slow``."""
    check_length(declared, limit)
    content = bytearray()
    try:
        async with ClockTimeout(clock, tasks, BODY_US_MAX):
            async for chunk in stream:
                content += chunk
                if len(content) > limit:
                    raise TooLarge("The body", limit)
    except TimeoutError:
        raise Slow("E-SLOW", "The body did not arrive in time.") from None
    return bytes(content)


async def limit_stream(
    stream: AsyncIterator[bytes], declared: str | None, limit: int, clock: Clock, tasks: Tasks
) -> AsyncIterator[bytes]:
    """Pass an upload on, counted, each piece in time."""
    check_length(declared, limit)
    size = 0
    pieces = aiter(stream)
    while True:
        try:
            async with ClockTimeout(clock, tasks, CHUNK_US_MAX):
                chunk = await anext(pieces)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise Slow("E-SLOW", "The upload stood still for too long.", hint="Go on from where it stopped.") from None
        size += len(chunk)
        if size > limit:
            raise TooLarge("The upload", limit)
        yield chunk


def check_length(declared: str | None, limit: int) -> None:
    """Refuse a body that announces too many bytes, before reading any."""
    if declared is not None and declared.isdecimal() and len(declared) < 20 and int(declared) > limit:
        raise TooLarge("The body", limit)


def first_of(values: Iterable[str]) -> str | None:
    """Return the only value of a header; raises ``Refused`` when it is given twice."""
    found = list(values)
    if len(found) > 1:
        raise Refused("E-HEADER", "A header is given twice.")
    return found[0] if found else None
