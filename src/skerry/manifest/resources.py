"""Amounts of a node that a service takes at most or wants kept: processors, memory, processes, limits of its tree.

Compose has two places for most of them; saying the same thing twice is fine, different things are a conflict.
"""

from collections.abc import Callable

from msgspec import UNSET, UnsetType

from skerry.manifest.node_use import is_in_node_network
from skerry.manifest.nodes import Mapping, Place
from skerry.manifest.reading import Reading
from skerry.model.app import Resources, Ulimit
from skerry.model.limits import INTEGER_MAX
from skerry.model.profile import owns_sysctl
from skerry.model.uplinks import NO_BANDWIDTH, RATE_BPS_MAX, RATE_BPS_MIN, Bandwidth, format_rate

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


def read_rates(reading: Reading, words: Place | None) -> Bandwidth:
    """Return what is said of ``up`` and ``down``, or of both at once by one rate."""
    rates: dict[str, int] = {}
    for name in ("up", "down"):
        place = reading.find(words, name) if words is not None and isinstance(words.node, Mapping) else words
        rates[name] = reading.rate(place)
        if place is not None and rates[name] and not RATE_BPS_MIN <= rates[name] <= RATE_BPS_MAX:
            detail = (
                f"{reading.text(place)} is out of range: {format_rate(RATE_BPS_MIN)} to {format_rate(RATE_BPS_MAX)}"
            )
            reading.findings.complain(place, "E-RANGE", detail)
        elif place is not None and not rates[name]:
            hint = "leave it out: then nothing is kept free for it and nothing limits it"
            reading.findings.complain(place, "E-RANGE", "a rate of 0 lets nothing through", hint=hint)
    return Bandwidth(up_bps=rates["up"], down_bps=rates["down"])


def read_bandwidth(reading: Reading, words: Place | None, service: Place) -> Bandwidth | UnsetType:
    """Return what an instance has of its site's uplinks; ``words`` is ``bandwidth`` of ``x-skerry``."""
    if words is None:
        return UNSET
    found = read_rates(reading, words)
    if found != NO_BANDWIDTH and is_in_node_network(reading, service):
        detail = "in the network of the node its packets cannot be told from the node's own"
        reading.findings.complain(words, "E-CONFLICT", detail, at_key=True, hint="leave out network_mode, or bandwidth")
    return found if found != NO_BANDWIDTH else UNSET


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
