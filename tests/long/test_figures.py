"""The arithmetic of benchmarks: what holds, and what is read from the kernel and from other programs."""

import pytest
from bench.net_overlay import Carried, weigh
from bench.net_site import parse_group, parse_maps, parse_well
from bench.rows import make_row, parse_cpu_s, write_page


@pytest.mark.parametrize(
    ("value", "goal", "is_floor", "holds"),
    [
        (2.0, 2.0, False, True),
        (2.001, 2.0, False, False),
        (0.9, 0.9, True, True),
        (0.899, 0.9, True, False),
        (99.0, None, False, True),
    ],
)
def test_a_row_holds_up_to_its_goal_or_from_it_on(value: float, goal: float | None, is_floor: bool, holds: bool):
    assert make_row("id", "what", value, "s", goal, is_floor=is_floor)["holds"] is holds


def test_a_page_says_which_way_a_goal_goes_and_nothing_where_there_is_none():
    rows = [
        make_row("one", "first", 5, "s", 4, baseline=2.5),
        make_row("two", "second", 5, "Mbit/s", 4, is_floor=True),
        make_row("three", "third", 5, "s", None),
    ]
    assert rows[0]["ratio"] == 2
    assert write_page("Title", "Intro.", rows).splitlines()[-3:] == [
        "| first | 5 s | ≤ 4 s | 2.5 s | no |",
        "| second | 5 Mbit/s | ≥ 4 Mbit/s |  | yes |",
        "| third | 5 s |  |  |  |",
    ]


def test_the_overlay_is_held_to_nine_tenths_of_the_median_by_hand():
    bare = [Carried(125_000_000, 1.0, cpu_s) for cpu_s in (1.0, 2.0, 3.0)]  # 1,000 Mbit/s, 16 CPU-s/GB
    ours = [Carried(size, 1.0, 2.0) for size in (1, 113_000_000, 500_000_000)]
    speed, cost = weigh(ours, bare)
    assert (speed["value"], speed["baseline"], speed["goal"], speed["holds"]) == (904, 1000, 900, True)
    assert (cost["baseline"], cost["value"]) == (16, 17.699)
    assert not next(iter(weigh([Carried(112_000_000, 1.0, 2.0)], bare)))["holds"]


def test_the_processor_of_a_program_with_an_odd_name_is_read():
    assert parse_cpu_s("7 (odd) name) S 1 1 1 0 -1 4 0 0 0 0 150 50 9 9 20 0 1 0 5 0 0") == 2.0


def test_a_memory_group_is_found_among_the_others():
    assert parse_group("5:cpu,cpuacct:/a\n4:memory:/skerry-bench-1/b\n0::/c\n") == "/skerry-bench-1/b"
    assert parse_group("0::/c\n") == ""


SMAPS = """\
5-6 r-xp 00000000 08:01 77    /usr/bin/thing
Rss:                 100 kB
Pss:                  10 kB
Anonymous:             0 kB
VmFlags: rd ex
6-7 rw-p 00001000 08:01 77    /usr/bin/thing
Rss:                  20 kB
Pss:                  20 kB
Anonymous:            20 kB
7-8 rw-p 00000000 00:00 0     [heap]
Rss:                  40 kB
Pss:                  30 kB
Anonymous:            40 kB
"""


def test_a_file_s_pages_are_counted_as_if_nobody_else_had_them():
    own, files = parse_maps(SMAPS)
    assert own == (20 + 30) * 1024
    assert files == {"08:01/77/00000000": 100 * 1024}


def test_servers_that_are_up_are_counted_and_those_that_only_stand_by_are_not():
    head = "# pxname,svname,bck,status,\n"
    lines = (
        "b1,FRONTEND,,OPEN,",
        "b1,c1,0,UP,",
        "b1,c2,0,UP 1/2,",
        "b1,c3,0,DOWN,",
        "b1,far,1,UP,",
        "b1,BACKEND,0,UP,",
    )
    assert parse_well(head + "\n".join(lines)) == 2
