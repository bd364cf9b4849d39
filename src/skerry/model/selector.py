"""Selectors over labels and facts: ``tier=store, opening!=soon, gpu.count>0, region in (north, south), !spare``.

Comma means and; a list of selectors means or. One grammar for manifests, the API's ``label_selector`` and the command
line. Parsing is linear; evaluation is total: a missing label fails every term but ``!k``, ``k!=v`` and ``notin``.
"""

import functools
import re
from typing import Literal

import msgspec

from skerry.model import limits

Operator = Literal["=", "!=", "in", "notin", "exists", "absent", ">", "<"]

_KEY = r"[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,253}[A-Za-z0-9])?"
_VALUE = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_TERM = re.compile(
    rf"\s*(?:(?P<absent>!)\s*(?P<k0>{_KEY})"
    rf"|(?P<k1>{_KEY})\s+(?P<set>in|notin)\s*\(\s*(?P<values>{_VALUE}(?:\s*,\s*{_VALUE})*)\s*\)"
    rf"|(?P<k2>{_KEY})\s*(?P<op>==|!=|=|>|<)\s*(?P<value>{_VALUE}|-?[0-9]+)"
    rf"|(?P<k3>{_KEY}))\s*(?:,|$)",
    re.ASCII,
)


class Term(msgspec.Struct, frozen=True, order=True):
    """One condition on one key; ``values`` is empty for exists and absent."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()


class Selector(msgspec.Struct, frozen=True):
    """All terms must hold; no terms selects everything."""

    terms: tuple[Term, ...] = ()


class SelectorError(ValueError):
    """The text is not a selector; the message says where."""


@functools.lru_cache(maxsize=4096)  # the same few are asked of each site by each plan
def parse_selector(text: str) -> Selector:
    """Parse ``text``; raise ``SelectorError`` with the column of the first character that does not fit."""
    if len(text) > limits.SELECTOR_CHARACTERS_MAX:
        raise SelectorError(f"a selector has at most {limits.SELECTOR_CHARACTERS_MAX} characters, this has {len(text)}")
    if not text.strip():
        return Selector()
    terms: list[Term] = []
    at = 0
    while at < len(text):
        found = _TERM.match(text, at)
        if found is None or found.end() == at:
            raise SelectorError(f"not a selector term at column {at + 1}: {text[at : at + 20]!r}")
        if found["absent"]:
            terms.append(Term(found["k0"], "absent"))
        elif found["set"]:
            values = tuple(sorted({value.strip() for value in found["values"].split(",")}))
            terms.append(Term(found["k1"], "in" if found["set"] == "in" else "notin", values))
        elif found["op"]:
            operator: Operator = "=" if found["op"] == "==" else found["op"]  # type: ignore[assignment]
            if operator in (">", "<") and _number(found["value"]) is None:
                raise SelectorError(f"{operator} compares whole numbers, {found['value']!r} is none")
            terms.append(Term(found["k2"], operator, (found["value"],)))
        else:
            terms.append(Term(found["k3"], "exists"))
        at = found.end()
    if text.rstrip().endswith(","):
        raise SelectorError("a selector does not end with a comma")
    return Selector(tuple(terms))


def matches(selector: Selector, labels: dict[str, str]) -> bool:
    """Say whether ``labels`` fulfil every term of ``selector``."""
    return first_unmet(selector, labels) is None


def first_unmet(selector: Selector, labels: dict[str, str]) -> Term | None:
    """Return the first term that ``labels`` do not fulfil, for explanations; None when all hold."""
    for term in selector.terms:
        if not _holds(term, labels.get(term.key)):
            return term
    return None


def describe_term(term: Term) -> str:
    """Write a term as a person would type it."""
    match term.operator:
        case "exists":
            return term.key
        case "absent":
            return "!" + term.key
        case "in" | "notin":
            return f"{term.key} {term.operator} ({', '.join(term.values)})"
        case _:
            return f"{term.key}{term.operator}{term.values[0]}"


def _holds(term: Term, value: str | None) -> bool:
    match term.operator:
        case "exists":
            return value is not None
        case "absent":
            return value is None
        case "=":
            return value == term.values[0]
        case "!=":
            return value != term.values[0]
        case "in":
            return value in term.values
        case "notin":
            return value not in term.values
        case ">" | "<":
            have, bound = _number(value), _number(term.values[0])
            if have is None or bound is None:
                return False
            return have > bound if term.operator == ">" else have < bound


def _number(text: str | None) -> int | None:
    if text is None or re.fullmatch(r"-?[0-9]{1,15}", text, re.ASCII) is None:
        return None
    return int(text)
