"""Snapshots: by time, before an update, for a restore; whose clock counts, and what is never let go."""

import msgspec
import pytest
from tests.plan import scenery
from tests.plan.scenery import World, assign, hold, revision, service, volume_mount

from skerry.model.facts import InstanceFact, VolumeFact
from skerry.model.ids import NodeName, VolumeName, volume_id
from skerry.model.observed import NodeSeen
from skerry.model.volume import SnapshotName, SnapshotPlan, Volume
from skerry.plan.actions import CreateVolume, RestoreVolume, SizeVolume, TakeSnapshot
from skerry.plan.history import Restoring
from skerry.plan.site import plan_site
from skerry.plan.snapshots import MARK_US, UPDATES_KEPT, aside_name
from skerry.plan.volumes import LIMITS_FACT

LEDGER = volume_id(scenery.TENANT, scenery.APP, "ledger")
HOUR_US = 3600 * scenery.SECOND
AMOUNTS = ("cpu_m", "memory_bytes", "memory_available_bytes", "disk_bytes", "disk_free_bytes")
HOURLY = SnapshotPlan(every_us=HOUR_US, keep=3)


def wish(world: World | None, number: int, tag: str = "d", volume: Volume | None = None, **words: object) -> World:
    """Have an app with one volume at revision ``number``, in a new world or in one that is there."""
    app = revision(number, db=service(tag, mounts=(volume_mount("ledger"),), **words))
    app = msgspec.structs.replace(app, volumes={VolumeName("ledger"): volume or Volume()})
    held = hold(app, assign(app, "db"))
    if world is None:
        world = World(held)
        world.storage.driver = "btrfs"
    world.held = held
    return world


def names(world: World) -> list[str]:
    return [each.name for each in world.observed.volumes[0].snapshots]


def live(world: World, hours: float, step_s: int = 300) -> None:
    for _ in range(int(hours * 3600 / step_s)):
        world.step()
        world.advance(step_s)
    world.step()


def fact(world: World) -> VolumeFact:
    return next(each for each in world.look().facts if isinstance(each, VolumeFact))


def restore(world: World, snapshot: str) -> None:
    restoring = Restoring(snapshot=SnapshotName(snapshot), aside=aside_name(world.observed.volumes[0]), by="eva")
    kept = msgspec.structs.replace(world.history.kept, restoring={LEDGER: restoring})
    world.history = msgspec.structs.replace(world.history, kept=kept)


def test_a_volume_has_the_limit_that_its_owner_says_and_ten_gibibytes_without():
    world = wish(None, 1)
    world.settle()
    made = next(each for each in world.performed if isinstance(each, CreateVolume))
    assert made.limit_bytes == world.observed.volumes[0].limit_bytes == 10 << 30
    wish(world, 2, volume=Volume(size_bytes=20 << 30))
    world.settle()
    assert [each.limit_bytes for each in world.performed if isinstance(each, SizeVolume)] == [20 << 30]
    assert (fact(world).limit_bytes, fact(world).driver) == (20 << 30, "btrfs")


def test_a_limit_below_what_is_there_is_told_and_in_the_way_of_nothing():
    world = wish(None, 1)
    world.settle()
    world.storage.grown[LEDGER] = 5 << 30
    wish(world, 2, "e", volume=Volume(size_bytes=1 << 30, snapshot=HOURLY))
    for _ in range(12):
        plan = world.step()
        world.advance(1)
    assert world.running() == ["db"]
    assert names(world) == ["update-2"], "a snapshot is another lane's work"
    waits = {each.subject: each.reason for each in plan.waits}
    assert "holds more than" in waits[f"volume-size/{LEDGER}"]


def test_a_volume_from_before_limits_held_gets_its_own_once_they_do():
    world = wish(None, 1)
    world.settle()
    volume = msgspec.structs.replace(world.observed.volumes[0], limit_bytes=0)
    world.observed = msgspec.structs.replace(world.observed, volumes=(volume,))
    world.settle()
    assert "SizeVolume" not in world.kinds(), "nothing says that limits hold"
    node = NodeSeen(node=NodeName("n1"), facts={LIMITS_FACT: "true"}, **dict.fromkeys(AMOUNTS, 1 << 40))
    world.observed = msgspec.structs.replace(world.observed, node=node)
    world.settle()
    assert world.observed.volumes[0].limit_bytes == 10 << 30


def test_a_plain_folder_is_neither_sized_nor_copied_and_says_so():
    world = wish(None, 1, volume=Volume(size_bytes=1 << 30, snapshot=HOURLY))
    world.storage.driver = "directory"
    live(world, 3)
    wish(world, 2, "e", volume=Volume(size_bytes=2 << 30, snapshot=HOURLY))
    world.settle()
    assert not {"SizeVolume", "TakeSnapshot"} & set(world.kinds())
    assert "plain folder" in fact(world).reason
    assert fact(world).limit_bytes == 0


def test_snapshots_by_time_come_in_their_interval_and_the_newest_stay():
    world = wish(None, 1, volume=Volume(snapshot=HOURLY))
    live(world, 0.9)
    assert names(world) == []
    live(world, 5.5)
    assert names(world) == ["auto-3", "auto-4", "auto-5"]
    assert [name for name, _ in fact(world).snapshots] == names(world)
    assert fact(world).snapshots_count == 3


def test_time_is_counted_over_reboots_by_the_own_clock_and_at_most_one_mark_again():
    world = wish(None, 1, volume=Volume(snapshot=HOURLY))
    live(world, 0.75)
    world.now = msgspec.structs.replace(world.now, boot_us=scenery.SECOND)
    world.reboot()
    live(world, 0.25 + MARK_US / HOUR_US, step_s=60)
    assert names(world) == ["auto-1"]


def test_no_clock_but_the_own_makes_snapshots_due():
    world = wish(None, 1, volume=Volume(snapshot=HOURLY))
    live(world, 0.5)
    world.now = msgspec.structs.replace(world.now, trust_us=4_000_000_000_000_000)
    assert not any(isinstance(each, TakeSnapshot) for each in world.look().actions)
    live(world, 0.6)
    assert [each.taken_us for each in world.observed.volumes[0].snapshots] == [4_000_000_000_000_000]


def test_what_is_held_is_kept_before_an_update_and_the_newest_two_stay():
    world = wish(None, 1)
    world.settle()
    assert names(world) == []
    for number in (2, 3, 4):
        wish(world, number, f"d{number}")
        world.settle()
        kinds = world.kinds()
        assert kinds.index("TakeSnapshot", kinds.index("StopContainer")) < len(kinds) - kinds[::-1].index(
            "StartContainer"
        )
        world.performed.clear()
        assert world.running() == ["db"]
    assert names(world) == ["update-3", "update-4"]
    assert len(names(world)) == UPDATES_KEPT
    wish(world, 5, "d5", volume=Volume(snapshot=SnapshotPlan(before_update=False)))
    world.settle()
    assert names(world) == ["update-3", "update-4"], "its owner wishes none"


def test_a_snapshot_that_cannot_be_taken_keeps_no_service_down():
    world = wish(None, 1)
    world.settle()
    wish(world, 2, "e")
    for _ in range(12):
        for action in world.look().actions:
            if isinstance(action, TakeSnapshot):
                trouble = scenery.Outcome(ok=False, code="E-DISK-FULL", reason="no room")
                world.history = scenery.note_outcome(world.history, action, trouble, world.now.boot_us)
            else:
                world.do(action)
        world.advance(0.2)
    assert world.running() == ["db"]
    assert names(world) == []


def test_a_restore_waits_for_what_uses_the_volume_and_keeps_what_it_held():
    world = wish(None, 1, volume=Volume(snapshot=HOURLY))
    live(world, 1.1)
    world.storage.contents[LEDGER] = "newer"
    world.storage.kept[LEDGER, "auto-1"] = "older"
    restore(world, "auto-1")
    plan = world.look()
    held = next(each for each in plan.facts if isinstance(each, InstanceFact))
    assert (held.phase, "back to auto-1" in held.reason, "eva" in held.reason) == ("held", True, True)
    assert not any(isinstance(each, RestoreVolume) for each in plan.actions)
    world.settle()
    assert world.storage.contents[LEDGER] == "older"
    assert world.storage.kept[LEDGER, "aside-2"] == "newer"
    assert world.running() == ["db"]
    assert world.history.kept.restoring == {}
    live(world, 6)
    assert "aside-2" in names(world), "what a restore set aside is let go by a person alone"


def test_a_restore_whose_snapshot_is_gone_is_over():
    world = wish(None, 1)
    world.settle()
    restore(world, "noon")
    world.settle()
    assert world.running() == ["db"]
    assert world.history.kept.restoring == {}
    assert "RestoreVolume" not in world.kinds()


@pytest.mark.parametrize("is_strange", [True, False])
def test_a_volume_that_is_not_there_for_now_is_not_given_up(is_strange: bool):
    world = wish(None, 1, volume=Volume(snapshot=HOURLY))
    live(world, 1.1)
    restore(world, "auto-1")
    volume = world.observed.volumes[0]
    gone = (msgspec.structs.replace(volume, strange=True),) if is_strange else ()
    world.observed = msgspec.structs.replace(world.observed, volumes=gone)
    plan = plan_site(world.held, world.observed, world.history, world.now)
    assert not plan.forget_restoring
    assert not plan.forget_snapped


def test_without_the_word_what_was_taken_stays():
    world = wish(None, 1, volume=Volume(snapshot=HOURLY))
    live(world, 5.5)
    wish(world, 2, "e")
    live(world, 5.5)
    assert names(world) == ["auto-3", "auto-4", "auto-5", "update-2"]
    assert world.history.kept.snapped == {}
