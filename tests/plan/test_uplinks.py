"""By which uplink a node dials."""

import msgspec
from tests.plan import scenery

from skerry.model.observed import QueuesSeen
from skerry.model.uplinks import Uplink
from skerry.plan.history import Traffic
from skerry.plan.uplinks import (
    RETRY_US,
    Ways,
    find_lacking,
    find_uplink,
    hold_bulk,
    is_worth_writing,
    list_ways,
    name_month,
    note_moved,
    order_ways,
)

UPLINKS = {
    "sky": Uplink(device="sat0", kind="satellite", price_micro=5_000_000, preference=50),
    "modem": Uplink(device="wwan0", kind="mobile", price_micro=1_000_000, preference=50),
    "fibre": Uplink(device="eth0"),
}
ALL = ("eth0", "wwan0", "sat0", "lan0")


def test_the_preferred_comes_first_and_among_equals_the_cheaper():
    assert list_ways(UPLINKS, ALL, "n") == Ways(("wwan0", "sat0", "eth0"), "n")


def test_what_is_not_here_is_no_way_and_without_any_the_routes_say_it():
    assert list_ways(UPLINKS, ("eth0",)).devices == ("eth0",)
    assert list_ways(UPLINKS, ("lan0",)).devices == ("",)
    assert list_ways({}, ALL).devices == ("",)


def test_what_failed_comes_last_for_a_while():
    ways, now_us = Ways(("wwan0", "sat0", "eth0")), 10**9
    assert order_ways(ways, {}, now_us) == ways.devices
    assert order_ways(ways, {"wwan0": now_us - 1}, now_us) == ("sat0", "eth0", "wwan0")
    assert order_ways(ways, dict.fromkeys(ways.devices, now_us), now_us) == ways.devices
    assert order_ways(ways, {"wwan0": now_us - RETRY_US}, now_us) == ways.devices
    assert order_ways(ways, {}, 0) == ways.devices


def test_an_uplink_is_found_by_its_device():
    assert (find_uplink(UPLINKS, "sat0"), find_uplink(UPLINKS, "lan0"), find_uplink({}, "")) == ("sky", "", "")


def test_uplinks_at_no_device_of_the_node_are_named_once_its_devices_are_known():
    assert find_lacking(UPLINKS, QueuesSeen(links=frozenset({"eth0", "lan0"}))) == {"sky": "sat0", "modem": "wwan0"}
    assert find_lacking(UPLINKS, QueuesSeen(links=frozenset(ALL))) == {}
    assert find_lacking(UPLINKS, QueuesSeen(reason="tc is not there")) == {}
    assert find_lacking(UPLINKS, None) == {}


def test_a_site_says_of_an_uplink_that_its_device_is_not_there():
    app = scenery.revision(1, web=scenery.service())
    held = scenery.hold(app, scenery.assign(app, "web"))
    record = msgspec.structs.replace(
        held.record, uplinks={"fibre": Uplink(device="eth0"), "sky": Uplink(device="sat0")}
    )
    world = scenery.World(msgspec.structs.replace(held, record=record))
    world.observed = msgspec.structs.replace(world.observed, queues=QueuesSeen(links=frozenset({"eth0"})))
    plan = world.look()
    assert [each.reason for each in plan.waits if each.subject == "uplink/sky"] == [
        "this node has no device sat0: nothing goes by this uplink"
    ]
    assert not [each for each in plan.waits if each.subject == "uplink/fibre"]
    assert plan.told["uplink-sky-lacks"] == "sat0"
    assert "uplink-fibre-lacks" not in plan.told


GB = 10**9


def test_what_a_device_counts_is_added_up_over_boots_and_begins_anew_each_month():
    one = note_moved(Traffic(), {"eth0": 5 * GB, "lan0": GB}, ["eth0"], "b1", "2026-11")
    assert one == Traffic(month="2026-11", used={"eth0": 0}, boot="b1", marks={"eth0": 5 * GB})
    two = note_moved(one, {"eth0": 7 * GB}, ["eth0"], "b1", "2026-11")
    assert two.used == {"eth0": 2 * GB}
    after = note_moved(two, {"eth0": GB}, ["eth0"], "b2", "")
    assert (after.used, after.month) == ({"eth0": 3 * GB}, "2026-11")
    made_anew = note_moved(after, {"eth0": GB // 2}, ["eth0"], "b2", "2026-11")
    assert made_anew.used == {"eth0": 3 * GB + GB // 2}
    december = note_moved(made_anew, {"eth0": GB}, ["eth0"], "b2", "2026-12")
    assert (december.used, december.month) == ({"eth0": GB // 2}, "2026-12")


def test_a_count_is_written_when_there_is_enough_of_it_or_its_frame_changed():
    kept = Traffic(month="2026-11", used={"eth0": GB}, boot="b1", marks={"eth0": GB})
    assert not is_worth_writing(kept, note_moved(kept, {"eth0": GB + 9_999_999}, ["eth0"], "b1", "2026-11"))
    assert is_worth_writing(kept, note_moved(kept, {"eth0": GB + 10_000_000}, ["eth0"], "b1", "2026-11"))
    assert is_worth_writing(kept, note_moved(kept, {"eth0": GB}, ["eth0"], "b1", "2026-12"))
    assert not is_worth_writing(Traffic(), note_moved(Traffic(), {"eth0": GB}, [], "b1", "2026-12"))


def test_an_uplink_whose_budget_is_spent_comes_last():
    uplinks = {"modem": Uplink(device="wwan0", budget_bytes=GB, preference=1), "fibre": Uplink(device="eth0")}
    assert list_ways(uplinks, ALL, used={"wwan0": GB - 1}).devices == ("wwan0", "eth0")
    assert list_ways(uplinks, ALL, used={"wwan0": GB}).devices == ("eth0", "wwan0")


def test_bulk_waits_while_the_link_goes_by_an_uplink_whose_budget_is_short():
    uplinks = {"modem": Uplink(device="wwan0", budget_bytes=GB), "fibre": Uplink(device="eth0")}
    assert hold_bulk(uplinks, "wwan0", {"wwan0": 79 * GB // 100}) == ""
    assert "80 % of this month's budget of uplink modem" in hold_bulk(uplinks, "wwan0", {"wwan0": 80 * GB // 100})
    assert hold_bulk(uplinks, "eth0", {"wwan0": 2 * GB, "eth0": 9 * GB}) == ""
    assert hold_bulk(uplinks, "", {"wwan0": 2 * GB}) == ""


def test_a_month_is_named_in_utc():
    assert (name_month(0), name_month(1_796_083_200_000_000)) == ("", "2026-12")
