"""Types of the words of ``x-skerry``: what one looks like, and how to tell that a value is not of its type.

A type is a frozen value; ``check_words`` holds a mapping against its closed set of words. Units follow manifest.md §6:
durations ``90s 1h30m 30d``, sizes in ``Ki Mi Gi Ti`` or bytes, rates in ``kbit/s``, shares as a count or percent.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from skerry.manifest.findings import Findings
from skerry.manifest.nodes import Mapping, Place, Scalar, Sequence, describe_node
from skerry.manifest.suggest import describe_unknown
from skerry.model.ids import NAME_PATTERN
from skerry.model.selector import SelectorError, parse_selector


class Form(msgspec.Struct, frozen=True):
    """One scalar value: what it is called, an example, the test of its text, and what JSON Schema can say of that."""

    what: str
    example: str
    fits: Callable[[Scalar], bool]
    shape: dict[str, Any]


class Choice(msgspec.Struct, frozen=True):
    """One of some words."""

    words: tuple[str, ...]


class Many(msgspec.Struct, frozen=True):
    """A list; a single value stands for a list of one."""

    item: "Type"


class Named(msgspec.Struct, frozen=True):
    """A mapping from names that people choose."""

    item: "Type"


class Group(msgspec.Struct, frozen=True):
    """A mapping with a closed set of words."""

    words: "tuple[Word, ...]"


class Either(msgspec.Struct, frozen=True):
    """Any of some types."""

    types: "tuple[Type, ...]"


class Anything(msgspec.Struct, frozen=True):
    """A value whose inside is not ours, such as GeoJSON."""


Type = Form | Choice | Many | Named | Group | Either | Anything


class Word(msgspec.Struct, frozen=True):
    """One word of the vocabulary."""

    name: str
    type: Type
    about: str = ""
    #: What its absence means, as a person would write it.
    default: str = ""
    #: Order in which it is meant to be built; what is built says ``built`` alone.
    stage: int = 1
    built: bool = False


def _write(what: str, example: str, pattern: str, *, is_count: bool = False) -> Form:
    """Return the type of what has a form; ``is_count`` where a bare number may have it."""
    compiled = re.compile(pattern, re.ASCII)
    types = ["string", "integer"] if is_count else ["string"]
    shape = {"type": types, "pattern": f"^(?:{pattern})$"}
    return Form(what, example, lambda scalar: compiled.fullmatch(scalar.text) is not None, shape)


def _is_selector(scalar: Scalar) -> bool:
    try:
        parse_selector(scalar.text)
    except SelectorError:
        return False
    return isinstance(scalar.value, str)


def whole(low: int, high: int) -> Form:
    """Return the type of whole numbers from ``low`` to ``high``."""

    def fits(scalar: Scalar) -> bool:
        return isinstance(scalar.value, int) and not isinstance(scalar.value, bool) and low <= scalar.value <= high

    shape = {"type": "integer", "minimum": low, "maximum": high}
    return Form(f"a whole number from {low} to {high}", str(max(low, 1)), fits, shape)


TEXT = Form("text", '"…"', lambda scalar: isinstance(scalar.value, str), {"type": "string"})
#: Text where numbers and switches are common, such as values of labels.
LOOSE_TEXT = Form("text", "text", lambda scalar: scalar.value is not None, {"type": ["string", "number", "boolean"]})
NAME = _write("a name", "my-name", NAME_PATTERN.pattern, is_count=True)
SWITCH = Form("true or false", "true", lambda scalar: isinstance(scalar.value, bool), {"type": "boolean"})
NUMBER = Form(
    "a number",
    "1",
    lambda scalar: isinstance(scalar.value, int | float) and not isinstance(scalar.value, bool),
    {"type": "number"},
)
DURATION = _write("a duration", "90s, 1h30m or 30d", r"(?:[0-9]{1,9}(?:ms|[smhdw]))+")
SIZE = _write("a size", "512Mi or 20Gi", r"[0-9]{1,15}(?:[KMGT]i)?", is_count=True)
RATE = _write("a rate", "256kbit/s or 5Mbit/s", r"[0-9]{1,9}[kMG]bit/s")
BUDGET = _write("a budget", "256kbit/s or 2Gi/30d", r"[0-9]{1,9}[kMG]bit/s|[0-9]{1,15}(?:[KMGT]i)?/[0-9]{1,9}[smhdw]")
SHARE = _write("a count or percent", "5 or 10%", r"[0-9]{1,9}|[0-9]{1,3}(?:\.[0-9]{1,3})?%", is_count=True)
PERCENT = _write("a percentage", "99.5%", r"[0-9]{1,3}(?:\.[0-9]{1,6})?%")
_DAYS = "[a-z]{3}(?:-[a-z]{3})?"
_CLOCK = "[0-2][0-9]:[0-5][0-9]"
WINDOW = _write(
    "a window of time",
    '"mon-fri 02:00-05:00 site-local"',
    f"(?:{_DAYS}(?:,{_DAYS})* )?{_CLOCK}-{_CLOCK} (?:site-local|utc)",
)
SELECTOR = Form("a selector", "tier=store, opening!=soon", _is_selector, {"type": "string"})


def check_words(
    place: Place,
    words: tuple[Word, ...],
    findings: Findings,
    homes: Callable[[str], Iterable[str]],
    is_built: bool = True,
) -> None:
    """Hold a mapping against its words; ``homes`` names the places where a word exists.

    A word that is not built is told once, at the outermost; what stands below it is still checked for its form.
    """
    if not isinstance(place.node, Mapping):
        if not place.is_null:
            findings.complain(place, "E-TYPE", f"{describe_node(place.node)} is not a mapping")
        return
    known = {word.name: word for word in words}
    for name, child in place.entries():
        word = known.get(name)
        if word is None:
            findings.complain(child, "E-UNKNOWN-WORD", describe_unknown(name, known, homes(name)), at_key=True)
            continue
        if is_built and not word.built:
            findings.not_yet(child, f'"{name}"')
        elif is_built and not isinstance(word.type, Group):
            findings.note(child, "honoured")
        _check(child, word.type, findings, homes, is_built and word.built)


def _check(
    place: Place, wanted: Type, findings: Findings, homes: Callable[[str], Iterable[str]], is_built: bool
) -> None:
    match wanted:
        case Group():
            check_words(place, wanted.words, findings, homes, is_built)
        case Named():
            if not isinstance(place.node, Mapping):
                findings.complain(place, "E-TYPE", f"{describe_node(place.node)} is not a mapping")
            for _, child in place.entries():
                _check(child, wanted.item, findings, homes, is_built)
        case Many():
            items = list(place.elements()) if isinstance(place.node, Sequence) else [place]
            for item in items:
                _check(item, wanted.item, findings, homes, is_built)
        case Either():
            _check_either(place, wanted, findings, homes, is_built)
        case Anything():
            pass
        case Form() | Choice():
            fault = _find_fault(place, wanted)
            if fault:
                findings.complain(place, "E-TYPE", fault)


def _check_either(
    place: Place, wanted: Either, findings: Findings, homes: Callable[[str], Iterable[str]], is_built: bool
) -> None:
    """Check against the type that has the value's shape; of several plain ones, any will do."""
    fitting = [one for one in wanted.types if _has_shape(place, one)]
    plain = [one for one in fitting if isinstance(one, Form | Choice)]
    if isinstance(place.node, Scalar) and plain:
        faults = [_find_fault(place, one) for one in plain]
        if all(faults) and len(plain) == len(fitting):
            findings.complain(place, "E-TYPE", faults[0])
        elif all(faults):
            _check(place, next(one for one in fitting if one not in plain), findings, homes, is_built)
    elif fitting:
        _check(place, fitting[0], findings, homes, is_built)
    else:
        findings.complain(place, "E-TYPE", f"{describe_node(place.node)} does not fit here")


def _has_shape(place: Place, wanted: Type) -> bool:
    match wanted:
        case Group() | Named():
            return isinstance(place.node, Mapping)
        case Many():
            return isinstance(place.node, Sequence) or _has_shape(place, wanted.item)
        case Either():
            return any(_has_shape(place, one) for one in wanted.types)
        case Anything():
            return True
        case Form() | Choice():
            return isinstance(place.node, Scalar)


def _find_fault(place: Place, wanted: Form | Choice) -> str:
    scalar = place.node
    if isinstance(wanted, Choice):
        if isinstance(scalar, Scalar) and scalar.text in wanted.words:
            return ""
        return f"{describe_node(scalar)} is none of {', '.join(wanted.words)}"
    if isinstance(scalar, Scalar) and wanted.fits(scalar):
        return ""
    return f"{describe_node(scalar)} is not {wanted.what}. Write {wanted.example}"


def unbuilt_words(stage: int, **types: Type) -> tuple[Word, ...]:
    """Make words that are not built; ``_`` in a name stands for ``-``, one at its end for nothing."""
    return tuple(Word(name.rstrip("_").replace("_", "-"), one, stage=stage) for name, one in types.items())
