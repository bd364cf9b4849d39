"""Amounts of a node that a service takes at most or wants kept: processors, memory, processes, limits of its tree.

Compose has two places for most of them; saying the same thing twice is fine, different things are a conflict.
"""

from collections.abc import Callable

from skerry.manifest.nodes import Mapping, Place
from skerry.manifest.reading import Reading
from skerry.model.app import Resources, Ulimit
from skerry.model.limits import INTEGER_MAX
from skerry.model.profile import owns_sysctl

Parse = Callable[[Place | None], int]

_ULIMITS = (
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
)


def read_limits(reading: Reading, service: Place) -> Resources:
    """Return what an instance may take at most."""
    limits = reading.find(service, "deploy", "resources", "limits")
    return Resources(
        cpu_m=_read_either(reading, reading.find(service, "cpus"), reading.find(limits, "cpus"), reading.cpus),
        memory_bytes=_read_either(
            reading, reading.find(service, "mem_limit"), reading.find(limits, "memory"), reading.size
        ),
        pids=_read_either(
            reading, reading.find(service, "pids_limit"), reading.find(limits, "pids"), _pids_of(reading)
        ),
    )


def read_reservations(reading: Reading, service: Place) -> Resources:
    """Return what placement keeps free for an instance."""
    reserved = reading.find(service, "deploy", "resources", "reservations")
    return Resources(
        cpu_m=reading.cpus(reading.find(reserved, "cpus")),
        memory_bytes=_read_either(
            reading, reading.find(service, "mem_reservation"), reading.find(reserved, "memory"), reading.size
        ),
    )


def read_ulimits(reading: Reading, place: Place | None) -> tuple[Ulimit, ...]:
    """Return the limits of the process tree."""
    found: list[Ulimit] = []
    for name, item in place.entries() if place is not None else ():
        if name not in _ULIMITS:
            reading.findings.complain(item, "E-TYPE", f'"{name}" is none of {", ".join(_ULIMITS)}', at_key=True)
            continue
        is_pair = isinstance(item.node, Mapping)
        soft = _read_limit(reading, reading.find(item, "soft") if is_pair else item)
        hard = _read_limit(reading, reading.find(item, "hard")) if is_pair else soft
        if hard >= 0 and not 0 <= soft <= hard:
            reading.findings.complain(item, "E-RANGE", f"the soft limit {soft} is above the hard limit {hard}")
        found.append(Ulimit(name=name, soft=soft, hard=hard))
    return tuple(sorted(found, key=lambda one: one.name))


def read_sysctls(reading: Reading, place: Place | None) -> dict[str, str]:
    """Return kernel parameters; those that the whole node shares are refused."""
    found: dict[str, str] = {}
    for pair in reading.pairs(place):
        if owns_sysctl(pair.name):
            found[pair.name] = pair.text or ""
        else:
            reading.findings.refuse(pair.place, f'the whole node shares "{pair.name[:80]}"')
    return found


def _read_either(reading: Reading, one: Place | None, other: Place | None, parse: Parse) -> int:
    first, second = parse(one), parse(other)
    if one is not None and other is not None and first != second:
        reading.findings.complain(other, "E-CONFLICT", f"{one.name} says something else")
    return first if one is not None else second


def _pids_of(reading: Reading) -> Parse:
    def parse(place: Place | None) -> int:
        # -1 is Compose's word for without limit, which is 0 here.
        return max(reading.whole(place, -1, 2**22, 0), 0)

    return parse


def _read_limit(reading: Reading, place: Place | None) -> int:
    return reading.whole(place, -1, INTEGER_MAX, 0)
