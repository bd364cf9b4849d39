"""Compose's variable syntax: ``$V``, ``${V}`` with ``:-`` ``-`` ``:?`` ``?`` ``:+`` ``+``, and ``$$`` for a dollar.

One scanner for both times of use: the client resolves apply-time variables (manifest/), core and site expand the
``SKERRY_*`` ones where an instance runs (plan/derive.py). Values are put in as they are: nothing inside a value is
expanded again, so a label cannot inject a variable.
"""

import re
from collections.abc import Callable
from typing import Literal

import msgspec

Operator = Literal["", ":-", "-", ":?", "?", ":+", "+"]

#: Prefix of the variables that are known only where an instance runs.
INSTANCE_PREFIX = "SKERRY_"
#: Nested defaults (manifest.md §4).
NESTING_MAX = 8

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_OPERATOR = re.compile(r":-|:\?|:\+|-|\?|\+")


class VariableError(ValueError):
    """The text's variables are malformed, or one that must be set is not."""


class Reference(msgspec.Struct, frozen=True):
    """One use of a variable; ``argument`` stands behind the operator, itself unexpanded; ``source`` is verbatim."""

    name: str
    operator: Operator
    argument: str
    source: str


def scan(text: str) -> tuple[str | Reference, ...]:
    """Split ``text`` into literal parts (``$$`` already turned into ``$``) and references, in order.

    Raise ``VariableError`` for a lone ``$`` or an unfinished ``${``.
    """
    parts: list[str | Reference] = []
    at = 0
    while at < len(text):
        dollar = text.find("$", at)
        if dollar < 0:
            parts.append(text[at:])
            break
        if dollar > at:
            parts.append(text[at:dollar])
        if text.startswith("$$", dollar):
            parts.append("$")
            at = dollar + 2
        elif text.startswith("${", dollar):
            end = _closing_brace(text, dollar + 2)
            parts.append(_parse_braced(text[dollar + 2 : end], text[dollar : end + 1]))
            at = end + 1
        else:
            name = _NAME.match(text, dollar + 1)
            if name is None:
                raise VariableError(f"a lone $ at column {dollar + 1}; write $$ for a dollar sign")
            parts.append(Reference(name[0], "", "", text[dollar : name.end()]))
            at = name.end()
    return tuple(parts)


def expand(text: str, lookup: Callable[[str], str | None], depth: int = 0) -> str:
    """Replace every reference in ``text``; ``lookup`` returns None for an unset variable.

    Raise ``VariableError`` when a variable without default is unset, a required one is missing, or defaults nest too
    deep.
    """
    if "$" not in text:
        return text
    if depth > NESTING_MAX:
        raise VariableError(f"defaults are nested deeper than {NESTING_MAX}")
    parts = scan(text)
    return "".join(part if isinstance(part, str) else _resolve(part, lookup, depth) for part in parts)


def settle(use: Reference, lookup: Callable[[str], str | None], depth: int = 0) -> tuple[str, bool]:
    """Return the text that stands for ``use``, and whether that is its argument, still to be expanded.

    Raise ``VariableError`` when the variable must be set and is not.
    """
    value = lookup(use.name)
    is_present = value is not None and (value != "" or not use.operator.startswith(":"))
    match use.operator:
        case "":
            if value is None:
                raise VariableError(f"variable {use.name} is not set and has no default")
            return value, False
        case ":-" | "-":
            return (value, False) if is_present and value is not None else (use.argument, True)
        case ":?" | "?":
            if is_present and value is not None:
                return value, False
            message = expand(use.argument, lookup, depth + 1) or "it must be set"
            raise VariableError(f"variable {use.name}: {message}")
        case ":+" | "+":
            return (use.argument, True) if is_present else ("", False)


def _resolve(use: Reference, lookup: Callable[[str], str | None], depth: int) -> str:
    text, is_argument = settle(use, lookup, depth)
    return expand(text, lookup, depth + 1) if is_argument else text


def _closing_brace(text: str, start: int) -> int:
    depth = 1
    at = start
    while at < len(text):
        if text.startswith("$$", at):
            at += 2
            continue
        if text.startswith("${", at):
            depth += 1
            at += 2
            continue
        if text[at] == "}":
            depth -= 1
            if depth == 0:
                return at
        at += 1
    raise VariableError(f"${{ at column {start - 1} has no closing brace")


def _parse_braced(inside: str, source: str) -> Reference:
    name = _NAME.match(inside)
    if name is None:
        raise VariableError(f"{source} does not name a variable")
    rest = inside[name.end() :]
    if not rest:
        return Reference(name[0], "", "", source)
    operator = _OPERATOR.match(rest)
    if operator is None:
        raise VariableError(f"{source}: expected one of :- - :? ? :+ + behind {name[0]}")
    found: Operator = operator[0]  # type: ignore[assignment]
    return Reference(name[0], found, rest[operator.end() :], source)
