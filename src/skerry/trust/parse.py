"""The one parser of signed payloads (trust.md §4).

Rule: verify, then parse. Whoever calls ``parse_payload`` has checked before that the bytes have authority: by
signature (``verify.py``), by a pinned digest, or because they come from one's own journal or keyring. The text is read
once, by one parser, with every ambiguity refused: duplicate keys, floats, big integers, lone surrogates.
"""

import json
import re
from typing import Any, NoReturn, TypeVar, cast

import msgspec

from skerry.model.limits import INTEGER_MAX, PAYLOAD_BYTES_MAX, PAYLOAD_DEPTH_MAX, PAYLOAD_KEYS_MAX
from skerry.trust.verdict import Denied
from skerry.trust.wellformed import find_flaw

T = TypeVar("T", bound=msgspec.Struct)

# Possessive, and it matches a string that never ends too: such a text costs one pass and not one pass per quote.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))
_INTEGER_DIGITS_MAX = len(str(INTEGER_MAX))


class _UnclearError(ValueError):
    """The text could be read differently by another parser, or breaks a limit."""


def parse_payload(payload: bytes, into: type[T]) -> T | Denied:
    """Read an authentic payload into its closed struct; refuse whatever is not exactly that."""
    try:
        value = msgspec.convert(read_json(payload), into)
    except (ValueError, msgspec.ValidationError, RecursionError) as error:
        return Denied("E-PAYLOAD", f"the payload is no {into.__name__}: {error}")
    flaw = find_flaw(value)
    return Denied("E-PAYLOAD", f"the payload is no sound {into.__name__}: {flaw}") if flaw else value


def read_json(payload: bytes) -> Any:
    """Read JSON that every parser reads alike; raise ValueError for all else."""
    text = _check_text(payload)
    tree = json.loads(text, object_pairs_hook=_pairs, parse_int=_integer, parse_float=_refuse, parse_constant=_refuse)
    if "\\u" in text:
        _check_strings(tree)
    return tree


def _check_text(payload: bytes) -> str:
    """Check size, encoding, depth and number of keys in passes that are linear whatever the bytes are."""
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise _UnclearError(f"{len(payload)} bytes, at most {PAYLOAD_BYTES_MAX} are allowed")
    text = payload.decode("utf-8")
    bare = _STRING.sub(b"", payload)
    if bare.count(b":") > PAYLOAD_KEYS_MAX:
        raise _UnclearError(f"more than {PAYLOAD_KEYS_MAX} keys")
    depth = 0
    for bracket in bare.translate(None, _NOT_BRACKETS):
        depth += 1 if bracket in b"{[" else -1
        if depth > PAYLOAD_DEPTH_MAX:
            raise _UnclearError(f"nested deeper than {PAYLOAD_DEPTH_MAX}")
    return text


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        raise _UnclearError("a key stands twice in one object")
    return tree


def _integer(text: str) -> int:
    # The length first: turning long digits into a number is not linear.
    if len(text) > _INTEGER_DIGITS_MAX + 1 or text == "-0" or abs(number := int(text)) > INTEGER_MAX:
        raise _UnclearError(f"{text[:20]} is beyond the integers that every reader reads alike")
    return number


def _refuse(text: str) -> NoReturn:
    raise _UnclearError(f"{text[:20]} is not an integer")


def _check_strings(tree: Any) -> None:
    """Refuse escapes that make half a character: Python keeps them, other readers do not."""
    left: list[Any] = [tree]
    while left:
        item = left.pop()
        if isinstance(item, str):
            item.encode("utf-8")
        elif isinstance(item, list):
            left.extend(cast("list[Any]", item))
        elif isinstance(item, dict):
            pairs = cast("dict[str, Any]", item)
            left.extend(pairs)
            left.extend(pairs.values())
