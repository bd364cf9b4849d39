"""What sites use, as the core remembers it: the newest sample of each, an hour of each series in fine steps, and a day
in coarse ones.

Rules: (1) memory only, bounded: a core that starts knows nothing until sites tell, which is within their pace;
(2) times are the core's own, a site's clock may be wrong; (3) counters are kept as told, so a mean over any span is the
difference of its ends, and a counter that went down began anew.
"""

from array import array
from collections.abc import Iterable
from typing import Literal

import msgspec

from skerry.clock import SECOND_US
from skerry.model.ids import InstanceId, SiteName
from skerry.model.limits import SAMPLES_QUICK_US_MAX, USE_SERIES_MAX
from skerry.model.samples import InstanceUse, Sample

Span = Literal["hour", "day"]
#: One point of a series for each quarter of an hour, for a day.
STEP_S = 900
STEPS_KEPT = 96
#: For an hour one for each two minutes: as fine as samples come while a chart is open, and a third more memory.
HOUR_STEP_S = 120
HOUR_STEPS_KEPT = 30
STEPS_S: dict[Span, int] = {"hour": HOUR_STEP_S, "day": STEP_S}
#: Somebody who watches is served quicker samples for so long; asked for again at half of it.
QUICK_US = SAMPLES_QUICK_US_MAX // 2
#: How often samples come while a screen is open, and while a monitoring system reads all sites.
WATCHED_US = 30 * SECOND_US
SCRAPED_US = 60 * SECOND_US
#: Numbers of one point: time, processor time, memory, disk, bytes of networks or of the link.
_WIDTH = 5


class Point(msgspec.Struct, frozen=True):
    """One step of a series: ``cpu_m`` and ``bytes_moved`` since the point before, None where that cannot be said."""

    time_s: int
    cpu_m: int | None
    memory_bytes: int
    disk_bytes: int
    bytes_moved: int | None


class Newest(msgspec.Struct, frozen=True):
    """The last sample of a site, with what only two of them can say."""

    sample: Sample
    rtt_us: int
    #: Wall time in seconds and boot time in microseconds of its arrival.
    time_s: int
    boot_us: int
    #: By how much the site's clock was before the core's, in milliseconds; None when the site did not tell its time.
    clock_off_ms: int | None
    #: Thousandths of a processor in use since the sample before; None for what was not in that one.
    cpu_m: int | None
    instances: dict[InstanceId, InstanceUse]
    instances_cpu_m: dict[InstanceId, int | None]


class Series:
    """The last steps of one subject."""

    __slots__ = ("_kept", "_rows", "_step_s")

    def __init__(self, step_s: int, kept: int) -> None:
        self._step_s = step_s
        self._kept = kept
        self._rows = array("q")

    def note(self, time_s: int, cpu_us: int, memory_bytes: int, disk_bytes: int, moved_bytes: int) -> None:
        """Take the present numbers; the last ones of a step are the step's."""
        step = time_s // self._step_s
        if self._rows and self._rows[-_WIDTH] // self._step_s >= step:
            del self._rows[-_WIDTH:]
        self._rows.extend((time_s, cpu_us, memory_bytes, disk_bytes, moved_bytes))
        first = step - self._kept
        while self._rows[0] // self._step_s < first or len(self._rows) > (self._kept + 1) * _WIDTH:
            del self._rows[:_WIDTH]

    @property
    def newest_s(self) -> int:
        """Time of the last point."""
        return self._rows[-_WIDTH]

    def points(self) -> list[Point]:
        """Return the steps, oldest first."""
        rows = [self._rows[at : at + _WIDTH] for at in range(0, len(self._rows), _WIDTH)]
        found: list[Point] = []
        before: array[int] | None = None
        for row in rows:
            time_s, cpu_us, memory, disk, moved = row
            cpu_m = None if before is None else mean_m(cpu_us - before[1], (time_s - before[0]) * SECOND_US)
            more = None if before is None or moved < before[4] else moved - before[4]
            found.append(Point(time_s, cpu_m, memory, disk, more))
            before = row
        return found


class History:
    """One subject over both spans."""

    __slots__ = ("_day", "_hour")

    def __init__(self) -> None:
        self._hour = Series(HOUR_STEP_S, HOUR_STEPS_KEPT)
        self._day = Series(STEP_S, STEPS_KEPT)

    def note(self, time_s: int, cpu_us: int, memory_bytes: int, disk_bytes: int, moved_bytes: int) -> None:
        """Take the present numbers."""
        self._hour.note(time_s, cpu_us, memory_bytes, disk_bytes, moved_bytes)
        self._day.note(time_s, cpu_us, memory_bytes, disk_bytes, moved_bytes)

    @property
    def newest_s(self) -> int:
        """Time of the last point."""
        return self._day.newest_s

    def points(self, span: Span) -> list[Point]:
        """Return the steps of a span, oldest first."""
        return self._hour.points() if span == "hour" else self._day.points()


class SiteUse:
    """What is remembered of one site."""

    __slots__ = ("instances", "newest", "site")

    def __init__(self) -> None:
        self.newest: Newest | None = None
        self.site = History()
        self.instances: dict[InstanceId, History] = {}


class Use:
    """What is remembered of all sites."""

    def __init__(self) -> None:
        self._sites: dict[SiteName, SiteUse] = {}
        self._series = 0
        #: Bytes of links by site, counted since this core started: what history shows.
        self._link_bytes: dict[SiteName, int] = {}
        #: Boot time of the last wish for quicker samples, and how quick.
        self._asked: dict[SiteName, tuple[int, int]] = {}
        #: Samples taken since this core started.
        self.samples = 0

    def take(self, site: SiteName, sample: Sample, rtt_us: int, wall_us: int, boot_us: int) -> None:
        """Remember a sample that arrived now."""
        self.samples += 1
        time_s = wall_us // SECOND_US
        held = self._sites.get(site)
        if held is None:
            held = self._sites[site] = SiteUse()
            self._series += 1
        before, instances = held.newest, {use.instance: use for use in sample.instances}
        cpu_m, host = None, sample.host
        rates: dict[InstanceId, int | None] = dict.fromkeys(instances)
        if before is not None:
            span_us = boot_us - before.boot_us
            if host is not None and before.sample.host is not None:
                cpu_m = mean_m(host.cpu_us - before.sample.host.cpu_us, span_us)
            for name in instances.keys() & before.instances.keys():
                rates[name] = mean_m(instances[name].cpu_us - before.instances[name].cpu_us, span_us)
        # It was on its way for half a round trip, and longer behind other things: what is left is that waiting.
        off_ms = sample.clock_ms - (wall_us - rtt_us // 2) // 1_000 if sample.clock_ms else None
        held.newest = Newest(sample, rtt_us, time_s, boot_us, off_ms, cpu_m, instances, rates)
        if host is not None:
            held.site.note(time_s, host.cpu_us, host.memory_bytes, host.disk_bytes, self._link_bytes.get(site, 0))
        self._note_instances(held, instances, time_s)

    def _note_instances(self, held: SiteUse, instances: dict[InstanceId, InstanceUse], time_s: int) -> None:
        for name in [name for name, old in held.instances.items() if old.newest_s < time_s - STEP_S * STEPS_KEPT]:
            del held.instances[name]
            self._series -= 1
        for name, use in instances.items():
            series = held.instances.get(name)
            if series is None:
                if self._series >= USE_SERIES_MAX:
                    continue
                series = held.instances[name] = History()
                self._series += 1
            series.note(time_s, use.cpu_us, use.memory_bytes, 0, use.received_bytes + use.sent_bytes)

    def count_link(self, site: SiteName, count: int) -> None:
        """The site's link carried so many bytes more."""
        self._link_bytes[site] = self._link_bytes.get(site, 0) + count

    def newest(self, site: SiteName) -> Newest | None:
        """Return a site's last sample."""
        held = self._sites.get(site)
        return None if held is None else held.newest

    def history(self, site: SiteName, instance: InstanceId | None = None, span: Span = "day") -> list[Point]:
        """Return a span of a site, or of one of its instances; empty when nothing is remembered."""
        held = self._sites.get(site)
        if held is None:
            return []
        if instance is None:
            # A node whose machine cannot be read has instances and no series of its own.
            return held.site.points(span)
        series = held.instances.get(instance)
        return [] if series is None else series.points(span)

    def forget(self, site: SiteName) -> None:
        """Drop what is remembered of a site that was removed."""
        held = self._sites.pop(site, None)
        if held is not None:
            self._series -= 1 + len(held.instances)
        self._asked.pop(site, None)
        self._link_bytes.pop(site, None)

    def want(self, sites: Iterable[SiteName], every_us: int, boot_us: int) -> list[SiteName]:
        """Note that somebody watches; return the sites that have to be asked for quicker samples now."""
        found: list[SiteName] = []
        for site in sites:
            asked_us, quick_us = self._asked.get(site, (0, 0))
            running = bool(quick_us) and boot_us < asked_us + QUICK_US // 2
            if not running or every_us < quick_us:
                self._asked[site] = (boot_us, every_us)
                found.append(site)
        return found

    def renew(self, site: SiteName) -> None:
        """The site has a new session, which nobody asked for anything yet."""
        self._asked.pop(site, None)


def mean_m(spent_us: int, span_us: int) -> int | None:
    """Return thousandths of a processor that were busy; None when the counter began anew or no time passed."""
    return None if spent_us < 0 or span_us <= 0 else spent_us * 1000 // span_us
