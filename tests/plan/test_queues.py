"""How uplinks are shared out and instances held to what they asked for."""

import msgspec
from tests.plan.scenery import World, assign, digest_revision, hold, revision, service

from skerry.drivers.queues import write_table
from skerry.model.ids import NetworkName
from skerry.model.observed import QueuesSeen
from skerry.model.policy import Policy, Priority
from skerry.model.uplinks import Bandwidth, Uplink
from skerry.plan.actions import ApplyQueues
from skerry.plan.queues import HIGH_CLASS, LINK_CLASS, LOW_CLASS, OTHER_CLASS, list_devices
from skerry.plan.site import plan_site

MBIT = 10**6
FIBRE = {"fibre": Uplink(device="eth0", up_bps=10 * MBIT), "sky": Uplink(device="sat0")}


HERE = QueuesSeen(links=frozenset({"eth0", "sat0"}))


def world(uplinks=FIBRE, seen=HERE, **rates):
    """A node on which each service runs at an address of its own."""
    made = {name: service(**({"bandwidth": rate} if rate else {})) for name, rate in rates.items()}
    app = revision(1, **made)
    held = hold(app, *(assign(app, name) for name in made), revisions={digest_revision(app): app})
    found = World(held)
    found.settle()
    record = msgspec.structs.replace(found.held.record, uplinks=uplinks)
    found.held = msgspec.structs.replace(found.held, record=record)
    containers = tuple(
        msgspec.structs.replace(each, addresses={NetworkName("default"): (f"10.176.0.{at}",)})
        for at, each in enumerate(found.observed.containers, 2)
    )
    found.observed = msgspec.structs.replace(found.observed, containers=containers, queues=seen)
    return found


def plan(found):
    return plan_site(found.held, found.observed, found.history, found.now)


def queues(found):
    return next((each for each in plan(found).actions if isinstance(each, ApplyQueues)), None)


def test_a_capped_instance_has_a_class_on_the_uplink_and_on_its_bridge():
    found = queues(world(web=Bandwidth(up_bps=2 * MBIT, down_bps=5 * MBIT), db=None))
    assert found is not None
    (cap,) = found.caps
    assert (cap.up_bps, cap.down_bps, len(cap.addresses)) == (2 * MBIT, 5 * MBIT, 1)
    (uplink,) = found.uplinks
    shares = {each.number: (each.rate_bps, each.ceil_bps, each.order) for each in uplink.classes}
    assert shares == {
        LINK_CLASS: (MBIT, 10 * MBIT, 0),
        OTHER_CLASS: (7 * MBIT, 10 * MBIT, 2),
        cap.number: (2 * MBIT, 2 * MBIT, 2),
    }
    assert list_devices(found) == {"eth0", *cap.devices}


def test_on_an_uplink_that_is_shared_out_priority_says_who_has_first_what_nobody_reserved():
    found = world(web=None, db=None, log=None)
    values = {"web": 900, "db": 500, "log": 100}
    app = next(iter(found.held.revisions.values()))
    services = {
        name: msgspec.structs.replace(each, policy=Policy(priority=Priority(value=values[name])))
        for name, each in app.services.items()
    }
    app = msgspec.structs.replace(app, services=services)
    held = hold(app, *(assign(app, name) for name in services), record=found.held.record)
    found.held = held
    action = queues(found)
    assert action is not None
    assert [(each.number, len(each.addresses)) for each in action.ranks] == [(HIGH_CLASS, 1), (LOW_CLASS, 1)]
    (uplink,) = action.uplinks
    assert [(each.number, each.order, each.rate_bps) for each in uplink.classes] == [
        (LINK_CLASS, 0, MBIT),
        (OTHER_CLASS, 2, MBIT // 2),
        (HIGH_CLASS, 1, MBIT // 2),
        (LOW_CLASS, 3, MBIT // 2),
    ]
    assert {each.ceil_bps for each in uplink.classes} == {10 * MBIT}
    lines = write_table(action)
    assert f"meta priority set 5e2f:{HIGH_CLASS:x}" in lines
    assert f"meta priority set 5e2f:{LOW_CLASS:x}" in lines


def test_what_is_as_it_should_be_is_left_alone_and_what_is_not_is_done_again():
    here = world(web=Bandwidth(up_bps=2 * MBIT, down_bps=5 * MBIT))
    found = queues(here)
    assert found is not None
    seen = msgspec.structs.replace(here.observed.queues, digest=found.digest, devices=list_devices(found))
    here.observed = msgspec.structs.replace(here.observed, queues=seen)
    assert queues(here) is None
    lost = msgspec.structs.replace(seen, devices=frozenset({"eth0"}))
    here.observed = msgspec.structs.replace(here.observed, queues=lost)
    assert queues(here) == found


def test_a_node_without_uplinks_and_caps_is_not_touched():
    assert queues(world(uplinks={}, web=None)) is None
    assert queues(world(uplinks={"sky": Uplink(device="sat0")}, web=None)) is None


def test_queues_go_when_nobody_wishes_them_any_more():
    seen = QueuesSeen(digest="sha256:" + "0" * 64, devices=frozenset({"eth0"}), links=frozenset({"eth0"}))
    found = queues(world(uplinks={}, seen=seen, web=None))
    assert found == ApplyQueues(uplinks=(), caps=(), digest="")


def test_a_device_that_is_not_here_or_is_somebody_elses_has_no_queue_of_ours():
    away = world(seen=QueuesSeen(links=frozenset({"sat0"})), web=None)
    assert queues(away) is None
    foreign = world(seen=QueuesSeen(links=frozenset({"eth0"}), foreign=frozenset({"eth0"})), web=None)
    assert queues(foreign) is None
    reasons = [each.reason for each in plan(foreign).waits if each.subject == "queues/eth0"]
    assert reasons == ["eth0 has queues that somebody else has made: it is left as it is"]


def test_a_kernel_without_queues_is_asked_once_and_the_reason_is_told():
    found = world(seen=QueuesSeen(links=frozenset({"eth0"}), reason="this kernel has none"), web=None)
    assert queues(found) is None
    assert [each.reason for each in plan(found).waits if each.subject == "queues"] == ["this kernel has none"]


def test_more_is_promised_than_an_uplink_carries_and_everyone_still_gets_something():
    rates = {f"s{at}": Bandwidth(up_bps=9 * MBIT) for at in range(3)}
    found = queues(world(**rates))
    assert found is not None
    shares = {each.number: each for each in found.uplinks[0].classes}
    assert shares[OTHER_CLASS].rate_bps == MBIT // 2
    assert shares[LINK_CLASS].rate_bps == MBIT
    assert len(shares) == len({each.number for each in found.caps}) + 2 == 5


def test_an_instance_keeps_its_class_when_others_come():
    few, many = (
        queues(world(**{name: Bandwidth(up_bps=MBIT) for name in names})) for names in (["web"], ["a", "web", "z"])
    )
    assert few is not None
    assert many is not None
    assert few.caps[0].number in {each.number for each in many.caps}
