"""What plain text means: the core schema of YAML 1.2, which has no ``yes``, no octal ``0755`` and no dates.

Also how Compose writes a number or a truth value where text is wanted, since ``PORT: 80`` is common in environments.
"""

import math
import re
from decimal import Decimal

from skerry.manifest.nodes import Scalar, Value

_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_INFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)", re.ASCII)
_AMBIGUOUS = re.compile(r"[-+]?0[0-9_]+", re.ASCII)
_WORDS: dict[str, Value] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
#: Integers of more characters are read as floats: turning long digits into a number is not linear.
_INTEGER_CHARACTERS_MAX = 40


def resolve_plain(text: str) -> Value:
    """Return what ``text`` written without quotes stands for."""
    if text in _WORDS:
        return _WORDS[text]
    first = text[0]
    if not (first.isdigit() or first in "+-."):
        return text
    if _INTEGER.fullmatch(text):
        if len(text) > _INTEGER_CHARACTERS_MAX:
            return math.inf if first != "-" else -math.inf
        return int(text, 8 if text[:2] == "0o" else 16 if text[:2] == "0x" else 10)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INFINITE.fullmatch(text):
        return -math.inf if first == "-" else math.inf
    return text


def is_ambiguous(scalar: Scalar) -> bool:
    """Say whether programs disagree about the number: ``0755`` is 755 in YAML 1.2 and 493 for Compose."""
    return scalar.plain and _AMBIGUOUS.fullmatch(scalar.text) is not None


def to_text(scalar: Scalar) -> str:
    """Write a scalar where text is wanted, as Compose does: ``true``, ``8080``, ``1.5``."""
    match scalar.value:
        case None:
            return ""
        case bool():
            return "true" if scalar.value else "false"
        case int():
            return str(scalar.value)
        case float():
            return _write_float(scalar.value)
        case str():
            return scalar.value


def _write_float(value: float) -> str:
    """Write a float as Go does by default: shortest digits, an exponent from a million on."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    text = "".join(map(str, digits))
    point = len(text) + int(exponent)
    if not -4 <= point - 1 < 6:
        tail = f".{text[1:]}" if len(text) > 1 else ""
        plain = f"{text[0]}{tail}e{'-' if point < 1 else '+'}{abs(point - 1):02}"
    elif point <= 0:
        plain = f"0.{'0' * -point}{text}"
    elif point >= len(text):
        plain = text + "0" * (point - len(text))
    else:
        plain = f"{text[:point]}.{text[point:]}"
    return ("-" if sign else "") + plain
