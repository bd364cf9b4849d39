"""What is remembered of samples: means between two, a bounded day, and who has to be asked."""

from itertools import pairwise

import msgspec
import pytest

from skerry.core import use as use_module
from skerry.core.use import (
    HOUR_STEP_S,
    HOUR_STEPS_KEPT,
    QUICK_US,
    SCRAPED_US,
    STEP_S,
    STEPS_KEPT,
    WATCHED_US,
    Use,
    mean_m,
)
from skerry.model.ids import InstanceId, SiteName
from skerry.model.samples import HostUse, InstanceUse, Sample

OSLO = SiteName("oslo")
WEB = InstanceId("default/shop/web/0")
SECOND = 1_000_000


def sample(cpu_s: float, memory: int = 100, web_s: float = 0.0) -> Sample:
    return Sample(
        HostUse(int(cpu_s * SECOND), 500, memory, 1_000),
        (InstanceUse(WEB, int(web_s * SECOND), 10, received_bytes=int(web_s * 1_000)),),
    )


def take(use: Use, each: Sample, at_s: int) -> None:
    use.take(OSLO, each, 40_000, at_s * SECOND, at_s * SECOND)


def test_the_mean_is_what_two_samples_differ_by():
    use = Use()
    take(use, sample(100), 1_000)
    newest = use.newest(OSLO)
    assert newest is not None
    assert newest.cpu_m is None
    assert newest.instances_cpu_m == {WEB: None}
    take(use, sample(160, web_s=3), 1_060)
    newest = use.newest(OSLO)
    assert newest is not None
    assert (newest.cpu_m, newest.instances_cpu_m[WEB], newest.rtt_us) == (1_000, 50, 40_000)


@pytest.mark.parametrize(
    ("spent", "span", "mean"), [(5, 10, 500), (-1, 10, None), (1, 0, None), (1, -1, None), (0, 10, 0)]
)
def test_a_counter_that_began_anew_has_no_mean(spent, span, mean):
    assert mean_m(spent, span) == mean


def test_a_history_has_one_point_for_a_step_however_many_samples_came():
    use = Use()
    for at_s in range(0, 4 * STEP_S, 30):
        use.count_link(OSLO, 10)
        take(use, sample(at_s / 2), at_s)
    points = use.history(OSLO)
    assert [point.time_s // STEP_S for point in points] == [0, 1, 2, 3]
    assert [point.cpu_m for point in points] == [None, 500, 500, 500]
    assert [point.bytes_moved for point in points] == [None, 300, 300, 300]
    assert use.history(OSLO, WEB)[-1].memory_bytes == 10


def test_the_last_hour_is_kept_in_finer_steps():
    use = Use()
    for at_s in range(0, 3 * 3600, 30):
        take(use, sample(at_s / 4), at_s)
    points = use.history(OSLO, span="hour")
    assert len(points) == HOUR_STEPS_KEPT + 1
    assert {after.time_s - before.time_s for before, after in pairwise(points)} == {HOUR_STEP_S}
    assert {point.cpu_m for point in points[1:]} == {250}
    assert len(use.history(OSLO)) == 12


def test_a_clock_is_off_by_what_a_samples_way_does_not_explain():
    use = Use()
    told = msgspec.structs.replace(sample(0), clock_ms=1_005_000)
    use.take(OSLO, told, 40_000, 1_000 * SECOND, 0)
    assert use.newest(OSLO).clock_off_ms == 5_020  # type: ignore[union-attr]
    take(use, sample(0), 1_001)
    assert use.newest(OSLO).clock_off_ms is None  # type: ignore[union-attr]


def test_a_history_is_a_day_and_forgets_instances_that_are_long_gone():
    use = Use()
    take(use, sample(0), 0)
    for step in range(1, 3 * STEPS_KEPT):
        use.take(OSLO, Sample(HostUse(0, 0, 0, 0)), 0, step * STEP_S * SECOND, step * STEP_S * SECOND)
    points = use.history(OSLO)
    assert len(points) == STEPS_KEPT + 1
    assert points[-1].time_s - points[0].time_s == STEPS_KEPT * STEP_S
    assert not use.history(OSLO, WEB)


def test_a_clock_that_was_set_back_makes_no_points_out_of_order():
    use = Use()
    for at_s in (10 * STEP_S, 2 * STEP_S, 3 * STEP_S, 11 * STEP_S):
        use.take(OSLO, sample(at_s), 0, at_s * SECOND, at_s * SECOND)
    times = [point.time_s for point in use.history(OSLO)]
    assert times == sorted(times)


def test_series_beyond_the_limit_have_newest_values_only(monkeypatch):
    monkeypatch.setattr(use_module, "USE_SERIES_MAX", 1)
    use = Use()
    take(use, sample(0), 0)
    newest = use.newest(OSLO)
    assert newest is not None
    assert WEB in newest.instances
    assert use.history(OSLO)
    assert not use.history(OSLO, WEB)


def test_whoever_watches_asks_a_site_again_at_half_of_the_span_and_not_before():
    use = Use()
    assert use.want([OSLO], SCRAPED_US, 0) == [OSLO]
    assert not use.want([OSLO], SCRAPED_US, QUICK_US // 2 - 1)
    assert use.want([OSLO], WATCHED_US, QUICK_US // 2 - 1) == [OSLO], "a screen wants more than a scrape"
    assert not use.want([OSLO], SCRAPED_US, QUICK_US // 2)
    assert use.want([OSLO], SCRAPED_US, QUICK_US) == [OSLO]
    use.renew(OSLO)
    assert use.want([OSLO], SCRAPED_US, QUICK_US) == [OSLO]


def test_what_was_removed_is_forgotten():
    use = Use()
    take(use, sample(0), 0)
    use.forget(OSLO)
    assert use.newest(OSLO) is None
    assert not use.history(OSLO)
