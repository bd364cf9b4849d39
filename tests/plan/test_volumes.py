"""Volumes: when one may go, whose clock counts, what becomes of one that is gone."""

import msgspec
from tests.plan import scenery
from tests.plan.scenery import World, assign, hold, revision, service, volume_mount

from skerry.model.app import Sites
from skerry.model.document import TombstoneNotice
from skerry.model.facts import InstanceFact
from skerry.model.ids import Digest, VolumeName, digest_of, volume_id
from skerry.model.instance import implied_volume
from skerry.model.observed import VolumeSeen
from skerry.model.signed import Tombstone
from skerry.plan.actions import CreateVolume, DeleteVolume
from skerry.plan.history import Deleting, Grace
from skerry.plan.site import derive_wanted, plan_site
from skerry.plan.volumes import GRACE_MARK_US

HOUR = 3600
LEDGER = volume_id(scenery.TENANT, scenery.APP, "ledger")


def shop(number: int = 1) -> World:
    app = revision(number, db=service("d", mounts=(volume_mount("ledger"),)))
    return World(hold(app, assign(app, "db")))


def bury(world: World, number: int = 2, grace_s: int = HOUR) -> Digest:
    stone = Tombstone(
        tenant=scenery.TENANT,
        app=scenery.APP,
        number=number,
        ends_app=True,
        volumes=(VolumeName("ledger"),),
        sites=Sites(),
        grace_us=grace_s * scenery.SECOND,
    )
    digest = digest_of(msgspec.json.encode(stone))
    notice = TombstoneNotice(tenant=scenery.TENANT, app=scenery.APP, digest=digest)
    world.held = msgspec.structs.replace(
        world.held, units={"tombstone/default/shop": notice}, tombstones={digest: stone}
    )
    return digest


def live(world: World, seconds: int, step: int = 60) -> None:
    for _ in range(0, seconds, step):
        world.step()
        world.advance(step)
    world.step()


def lose(world: World) -> None:
    world.observed = msgspec.structs.replace(world.observed, volumes=())


def deletes(world: World) -> bool:
    return any(isinstance(action, DeleteVolume) for action in world.look().actions)


def test_a_grace_goes_on_over_reboots_from_its_last_mark():
    world = shop()
    world.settle()
    digest = bury(world)
    live(world, 2000)
    mark = world.history.kept.tombstones[digest].passed_us
    assert 2000 * scenery.SECOND - GRACE_MARK_US <= mark <= 2000 * scenery.SECOND
    world.reboot()
    world.advance(-world.now.boot_us / scenery.SECOND)
    world.look()
    assert world.history.kept.tombstones[digest] == Grace(mark, world.history.boot, 0)
    left_s = HOUR - mark // scenery.SECOND
    world.advance(left_s - 1)
    assert not deletes(world)
    world.advance(1)
    assert deletes(world)


def test_what_passes_while_the_agent_is_down_counts_and_the_machine_off_does_not():
    grace = Grace(5, "boot-1", 100)
    assert grace.until("boot-1", 160) == 65
    assert grace.until("boot-2", 10**9) == 5
    assert grace.until("boot-1", 90) == 5


def test_marks_are_few():
    world = shop()
    world.settle()
    bury(world)
    while world.observed.containers:
        world.step()
    marks = 0
    for _ in range(60):
        marks += bool(world.look().graces)
        world.advance(60)
    assert marks <= HOUR * scenery.SECOND // GRACE_MARK_US + 1


def test_a_volume_that_is_gone_is_not_made_anew_and_says_what_to_do():
    world = shop()
    world.settle()
    lose(world)
    world.crash("db")
    world.advance(600)
    plan = world.look()
    assert not any(isinstance(action, CreateVolume) for action in plan.actions)
    fact = next(fact for fact in plan.facts if isinstance(fact, InstanceFact))
    assert fact.phase == "waiting"
    assert fact.reason.endswith(f"skerry agent accept-loss {LEDGER}")
    assert not plan.settled


def test_what_runs_on_a_volume_that_is_gone_is_left_alone():
    world = shop()
    world.settle()
    lose(world)
    live(world, 300)
    assert world.running() == ["db"]


def test_a_volume_that_comes_back_with_its_disk_is_used_again():
    world = shop()
    world.settle()
    there = world.observed.volumes
    lose(world)
    world.crash("db")
    live(world, 600)
    assert world.running() == []
    world.observed = msgspec.structs.replace(world.observed, volumes=there)
    live(world, 600)
    assert world.running() == ["db"]
    assert world.observed.volumes == there


def test_an_accepted_loss_is_made_anew():
    world = shop()
    world.settle()
    lose(world)
    world.crash("db")
    kept = msgspec.structs.replace(world.history.kept, volumes={})
    world.history = msgspec.structs.replace(world.history, kept=kept)
    live(world, 600)
    assert world.running() == ["db"]


def test_a_tombstone_ends_a_loss_too_after_its_grace():
    world = shop()
    world.settle()
    lose(world)
    bury(world)
    live(world, HOUR - 120)
    assert LEDGER in world.history.kept.volumes
    live(world, 240)
    assert world.history.kept.volumes == {}
    app = revision(3, db=service("d", mounts=(volume_mount("ledger"),)))
    world.held = hold(app, assign(app, "db"))
    world.settle()
    assert [volume.born for volume in world.observed.volumes] == [3]


def test_an_image_s_own_volume_that_is_gone_keeps_its_service_from_starting_empty():
    world = shop()
    wanted, _ = derive_wanted(world.held)
    (item,) = wanted.values()
    implied = VolumeSeen(
        volume=volume_id(scenery.TENANT, scenery.APP, implied_volume(item.derived.spec, "/var/lib/data")),
        tenant=scenery.TENANT,
        app=scenery.APP,
        name=implied_volume(item.derived.spec, "/var/lib/data"),
        uid_start=200_000,
        born=0,
    )
    world.observed = msgspec.structs.replace(world.observed, volumes=(implied,))
    world.settle()
    lose_one = tuple(volume for volume in world.observed.volumes if volume != implied)
    world.observed = msgspec.structs.replace(world.observed, volumes=lose_one)
    world.crash("db")
    live(world, 600)
    assert world.running() == []
    assert f"accept-loss {implied.volume}" in "".join(wait.reason for wait in world.look().waits)


def test_a_deletion_that_nobody_saw_the_end_of_is_settled_once():
    world = shop()
    world.settle()
    digest = bury(world, grace_s=0)
    while world.observed.volumes:
        world.step()
        world.advance(1)
    deleting = Deleting(tenant=scenery.TENANT, app=scenery.APP, name=VolumeName("ledger"), tombstone=digest)
    assert world.history.kept.deleting == {LEDGER: deleting}
    assert world.look().deleted == {LEDGER}
    assert world.look().deleted == frozenset()
    assert world.history.kept.volumes == {}


def test_a_deletion_under_way_is_not_taken_for_done():
    world = shop()
    world.settle()
    bury(world, grace_s=0)
    while world.observed.volumes:
        world.step()
        world.advance(1)
    plan = plan_site(world.held, world.observed, world.history, world.now, frozenset((f"volume/{LEDGER}",)))
    assert plan.deleted == frozenset()


def test_a_begun_deletion_is_given_up_when_its_tombstone_is_no_longer_in_force():
    world = shop()
    world.settle()
    there = world.observed.volumes
    bury(world, grace_s=0)
    while world.observed.volumes:
        world.step()
        world.advance(1)
    world.observed = msgspec.structs.replace(world.observed, volumes=there)
    world.held = msgspec.structs.replace(world.held, units={})
    plan = world.look()
    assert (plan.deleted, plan.spared) == (frozenset(), {LEDGER})
