"""Who may take up a connection's worth of work, decided before TLS begins: pure counting, no I/O.

A source is an IPv4 address or an IPv6 /64, the least that a stranger holds alone. Identity never comes from it
(faults.md N19); it only bounds what one place can use up before anybody has proved anything.
"""

import enum
import ipaddress
from collections import OrderedDict

import msgspec

from skerry.model import limits

_SECOND_US = 1_000_000


class Verdict(enum.StrEnum):
    """What to do with a fresh TCP connection; also the names of the listener's counters."""

    ADMITTED = "admitted"
    TOO_FAST = "too-fast"
    SOURCE_FULL = "source-full"
    UNPROVEN_FULL = "unproven-full"


class Quota(msgspec.Struct, frozen=True):
    """The bounds, as settings of one listener."""

    arrivals_per_second: int = limits.LINK_ARRIVALS_PER_SECOND
    arrivals_burst: int = limits.LINK_ARRIVALS_BURST
    unproven: int = limits.LINK_UNPROVEN_MAX
    unproven_per_source: int = limits.LINK_UNPROVEN_PER_SOURCE_MAX
    sources: int = limits.LINK_SOURCES_MAX


class _Source:
    def __init__(self, now_us: int, burst: int) -> None:
        self.unproven = 0
        self.tokens = float(burst)
        self.seen_us = now_us


class Admission:
    """Counts arrivals and unproven connections per source. Each ADMITTED is followed by one ``release``."""

    def __init__(self, quota: Quota) -> None:
        self._quota = quota
        self._sources: OrderedDict[str, _Source] = OrderedDict()
        self.unproven = 0

    def admit(self, source: str, now_us: int) -> Verdict:
        """Decide on one arrival at ``now_us`` of a clock that never goes back."""
        if self.unproven >= self._quota.unproven:
            return Verdict.UNPROVEN_FULL
        entry = self._find(source, now_us)
        refill = (now_us - entry.seen_us) * self._quota.arrivals_per_second / _SECOND_US
        entry.tokens = min(entry.tokens + refill, self._quota.arrivals_burst)
        entry.seen_us = now_us
        if entry.unproven >= self._quota.unproven_per_source:
            return Verdict.SOURCE_FULL
        if entry.tokens < 1:
            return Verdict.TOO_FAST
        entry.tokens -= 1
        entry.unproven += 1
        self.unproven += 1
        return Verdict.ADMITTED

    def release(self, source: str) -> None:
        """One admitted connection of ``source`` has proved itself or is gone."""
        self.unproven -= 1
        if source in self._sources:
            self._sources[source].unproven -= 1

    def _find(self, source: str, now_us: int) -> _Source:
        entry = self._sources.get(source)
        if entry is None:
            self._forget_one()
            entry = self._sources[source] = _Source(now_us, self._quota.arrivals_burst)
        self._sources.move_to_end(source)
        return entry

    def _forget_one(self) -> None:
        """Make room: the source unheard for longest goes, but never one whose connections are still counted.

        At most ``unproven`` sources have any, so with more sources than that one without is always found soon.
        """
        if len(self._sources) < self._quota.sources:
            return
        for name, entry in self._sources.items():
            if not entry.unproven:
                del self._sources[name]
                return


def name_source(host: str) -> str:
    """Return the source that a peer's address counts for; the address itself when it is none."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
