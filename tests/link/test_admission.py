import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.link.admission import Admission, Quota, Verdict, name_source

QUOTA = Quota(arrivals_per_second=2, arrivals_burst=3, unproven=5, unproven_per_source=4, sources=8)


def test_a_burst_is_admitted_and_then_the_rate():
    admission = Admission(QUOTA)
    verdicts = [admission.admit("a", 0) for _ in range(4)]
    assert verdicts == [Verdict.ADMITTED] * 3 + [Verdict.TOO_FAST]
    for _ in range(3):
        admission.release("a")
    assert admission.admit("a", 400_000) is Verdict.TOO_FAST
    assert admission.admit("a", 500_000) is Verdict.ADMITTED
    assert admission.admit("a", 500_000) is Verdict.TOO_FAST


def test_one_source_cannot_use_up_what_others_need():
    admission = Admission(Quota(unproven=5, unproven_per_source=4))
    assert [admission.admit("a", 0) for _ in range(5)] == [Verdict.ADMITTED] * 4 + [Verdict.SOURCE_FULL]
    assert admission.admit("b", 0) is Verdict.ADMITTED
    assert admission.admit("c", 0) is Verdict.UNPROVEN_FULL
    admission.release("a")
    assert admission.admit("c", 0) is Verdict.ADMITTED


def test_the_memory_for_sources_is_bounded_and_keeps_those_with_connections():
    admission = Admission(QUOTA)
    assert admission.admit("stays", 0) is Verdict.ADMITTED
    for number in range(1000):
        assert admission.admit(f"s{number}", 0) is Verdict.ADMITTED
        admission.release(f"s{number}")
    assert len(admission._sources) == QUOTA.sources
    assert admission._sources["stays"].unproven == 1


@given(st.lists(st.tuples(st.sampled_from("abcdefghijk"), st.booleans(), st.integers(0, 10**6)), max_size=80))
def test_the_counts_never_pass_the_quota_and_come_back_to_nothing(steps: list[tuple[str, bool, int]]):
    admission = Admission(QUOTA)
    open_now: list[str] = []
    now_us = 0
    for source, arrives, passed_us in steps:
        now_us += passed_us
        if arrives:
            if admission.admit(source, now_us) is Verdict.ADMITTED:
                open_now.append(source)
        elif source in open_now:
            open_now.remove(source)
            admission.release(source)
        assert admission.unproven == len(open_now) <= QUOTA.unproven
        assert max((open_now.count(name) for name in open_now), default=0) <= QUOTA.unproven_per_source
        assert len(admission._sources) <= QUOTA.sources
    for source in open_now:
        admission.release(source)
    assert admission.unproven == 0


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("no address", "no address"),
    ],
)
def test_a_source_is_the_least_that_a_stranger_holds_alone(host: str, source: str):
    assert name_source(host) == source
