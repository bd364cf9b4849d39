"""Durations, sizes, rates, shares of processors, switches and whole numbers, as people write them, to integers.

Durations are Go's with days and weeks (``1m30s``), sizes are binary whatever their letters (``512m``, ``1.5GB``,
``64KiB``), processors are decimal (``0.5``) and become millicores, rounded up. Each function raises ``QuantityError``
with a sentence for people.
"""

import re
from decimal import ROUND_CEILING, Decimal

from skerry.manifest.nodes import Scalar
from skerry.model.limits import INTEGER_MAX

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|µs|μs|ms|s|m|h|d|w))+", re.ASCII)
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|μs|ms|s|m|h|d|w)", re.ASCII)
_UNITS_US = {
    "ns": Decimal("0.001"),
    "us": Decimal(1),
    "µs": Decimal(1),
    "μs": Decimal(1),
    "ms": Decimal(1_000),
    "s": Decimal(1_000_000),
    "m": Decimal(60_000_000),
    "h": Decimal(3_600_000_000),
    "d": Decimal(86_400_000_000),
    "w": Decimal(604_800_000_000),
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)i?b?", re.ASCII | re.IGNORECASE)
_SIZE_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_RATE = re.compile(r"([0-9]{1,9})([kMG])bit/s", re.ASCII)
_RATE_POWERS = {"k": 1, "M": 2, "G": 3}
_DECIMAL = re.compile(r"\d+(?:\.\d*)?|\.\d+", re.ASCII)
_WHOLE = re.compile(r"[-+]?\d+", re.ASCII)
_OCTAL = re.compile(r"(?:0o?)?[0-7]{1,5}", re.ASCII)
#: Longer texts are no quantity that any machine has.
_CHARACTERS_MAX = 40
_TRUE = ("true", "t", "1", "y", "yes", "on")
_FALSE = ("false", "f", "0", "n", "no", "off")


class QuantityError(ValueError):
    """The text is not of its kind; the message says what one looks like."""


def parse_duration(text: str) -> int:
    """Return microseconds; ``0`` needs no unit."""
    if text == "0":
        return 0
    if len(text) > _CHARACTERS_MAX or _DURATION.fullmatch(text) is None:
        raise QuantityError(f'"{_short(text)}" is not a duration: write 90s, 1m30s or 1h')
    total = sum((Decimal(number) * _UNITS_US[unit] for number, unit in _DURATION_PART.findall(text)), Decimal(0))
    if 0 < total < 1:
        raise QuantityError(f'"{text}" is shorter than a microsecond')
    return _bounded(int(total), text)


def parse_size(scalar: Scalar) -> int:
    """Return bytes; a bare number is bytes."""
    match scalar.value:
        case bool() | None:
            raise QuantityError(f'"{scalar.text}" is not a size: write 512m or 1g')
        case int():
            text = str(scalar.value)
        case _:
            text = scalar.text
    found = _SIZE.fullmatch(text) if len(text) <= _CHARACTERS_MAX else None
    if found is None:
        raise QuantityError(f'"{_short(text)}" is not a size: write 512m or 1g')
    return _bounded(int(Decimal(found[1]) * 1024 ** _SIZE_POWERS[found[2].lower()]), text)


def parse_rate(text: str) -> int:
    """Return bits per second; units are decimal, as lines are sold."""
    found = _RATE.fullmatch(text)
    if found is None:
        raise QuantityError(f'"{_short(text)}" is not a rate: write 256kbit/s or 5Mbit/s')
    return int(found[1]) * 1000 ** _RATE_POWERS[found[2]]


def parse_cpus(scalar: Scalar) -> int:
    """Return millicores."""
    text = scalar.text
    if len(text) > _CHARACTERS_MAX or _DECIMAL.fullmatch(text) is None:
        raise QuantityError(f'"{_short(text)}" is not a number of processors: write 0.5 or 2')
    return _bounded(int((Decimal(text) * 1000).to_integral_value(ROUND_CEILING)), text)


def parse_switch(scalar: Scalar) -> bool:
    """Return whether a switch is on; text counts as Compose counts it."""
    if isinstance(scalar.value, bool):
        return scalar.value
    text = scalar.text.lower()
    if isinstance(scalar.value, str) and text in _TRUE:
        return True
    if isinstance(scalar.value, str) and text in _FALSE:
        return False
    raise QuantityError(f'"{_short(scalar.text)}" is neither true nor false')


def parse_whole(scalar: Scalar) -> int:
    """Return a whole number, also one written as text."""
    if isinstance(scalar.value, int) and not isinstance(scalar.value, bool):
        return _bounded(scalar.value, scalar.text)
    if isinstance(scalar.value, float) and scalar.value.is_integer():
        return _bounded(int(scalar.value), scalar.text)
    text = scalar.text
    if not isinstance(scalar.value, str) or len(text) > _CHARACTERS_MAX or _WHOLE.fullmatch(text) is None:
        raise QuantityError(f'"{_short(text)}" is not a whole number')
    return _bounded(int(text), text)


def parse_mode(scalar: Scalar) -> int:
    """Return the permission bits of a file.

    Text and numbers that begin with 0 are octal (``0440``, ``"440"``), other numbers are what they say, as in Compose.
    """
    text = scalar.text
    is_octal = isinstance(scalar.value, str) or (text.startswith("0") and not text.startswith(("0x", "0X")))
    if is_octal and _OCTAL.fullmatch(text) is None:
        raise QuantityError(f'"{_short(text)}" is not a file mode: write 0440')
    bits = int(text.removeprefix("0o"), 8) if is_octal else parse_whole(scalar)
    if not 0 <= bits <= 0o7777:
        raise QuantityError(f'"{_short(text)}" is not a file mode: write 0440')
    return bits


def _bounded(number: int, text: str) -> int:
    if abs(number) > INTEGER_MAX:
        raise QuantityError(f'"{_short(text)}" is larger than any machine')
    return number


def _short(text: str) -> str:
    return text if len(text) <= _CHARACTERS_MAX else text[: _CHARACTERS_MAX - 1] + "…"
