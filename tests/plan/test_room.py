"""Who runs at a node that has become too small, and who comes first."""

import msgspec
from tests.plan.scenery import World, assign, digest_revision, hold, image, revision, service

from skerry.model.app import Resources
from skerry.model.facts import InstanceFact
from skerry.model.ids import NodeName
from skerry.model.observed import NodeSeen
from skerry.model.policy import Policy, Priority
from skerry.plan.actions import FetchImage, StartContainer
from skerry.plan.room import SLACK

GIB = 1 << 30


def node(**services):
    """A node of 4 GiB and one app; each service is (priority or a whole one, GiB)."""
    made = {
        name: service(
            policy=Policy(priority=one if isinstance(one, Priority) else Priority(value=one)),
            image=image(name),
            reservations=Resources(memory_bytes=memory * GIB, cpu_m=100),
        )
        for name, (one, memory) in services.items()
    }
    app = revision(1, **made)
    world = World(hold(app, *(assign(app, name) for name in made), revisions={digest_revision(app): app}))
    grow(world, 4 * GIB)
    return world


def grow(world, memory):
    seen = NodeSeen(node=NodeName("n1"), cpu_m=4000, memory_bytes=memory, disk_bytes=GIB << 8, disk_free_bytes=GIB << 7)
    world.observed = msgspec.structs.replace(world.observed, node=seen)


def reasons(world):
    facts = (fact for fact in world.look().facts if isinstance(fact, InstanceFact))
    return {fact.instance.split("/")[2]: (fact.phase, fact.reason) for fact in facts}


def test_the_lowest_make_room_when_a_node_becomes_smaller_and_come_back_when_it_grows():
    world = node(ads=(300, 1), wall=(400, 1), till=(700, 2))
    world.settle()
    assert world.running() == ["ads", "till", "wall"]
    grow(world, 3 * GIB)
    world.settle()
    assert world.running() == ["till", "wall"]
    why = "there is too little room at n1: it makes room for default/shop/till/0, which has a higher priority"
    assert reasons(world)["ads"] == ("held", why)
    world.reboot()
    world.settle()
    assert world.running() == ["till", "wall"]
    grow(world, 4 * GIB)
    world.settle()
    assert world.running() == ["ads", "till", "wall"]


def test_what_only_its_tenant_may_end_yields_to_nobody_that_the_core_brings():
    world = node(ads=(300, 2), till=(700, 2))
    (digest, made), *_ = world.held.revisions.items()
    kept = msgspec.structs.replace(made, withdraw="tenant")
    world.held = msgspec.structs.replace(world.held, revisions={digest: kept})
    world.settle()
    grow(world, 3 * GIB)
    world.settle()
    assert world.running() == ["ads", "till"]


def test_among_equals_and_of_what_is_not_preemptible_nothing_is_held():
    for lower in (700, Priority(value=300, preemptible=False)):
        world = node(ads=(lower, 2), till=(700, 2))
        grow(world, 3 * GIB)
        world.settle()
        assert world.running() == ["ads", "till"]
    world = node(ads=(300, 2), till=(Priority(value=700, preempts="never"), 2))
    grow(world, 3 * GIB)
    world.settle()
    assert world.running() == ["ads", "till"]


def test_what_a_kernel_keeps_for_itself_is_no_shortage():
    world = node(ads=(300, 2), till=(700, 2))
    grow(world, 4 * GIB - 4 * GIB // SLACK // 2)
    world.settle()
    assert world.running() == ["ads", "till"]


def test_what_takes_no_room_that_is_short_is_left_alone():
    world = node(ads=(100, 0), wall=(200, 2), till=(700, 2))
    grow(world, 3 * GIB)
    world.settle()
    assert world.running() == ["ads", "till"]


def test_the_highest_is_fetched_and_started_first():
    world = node(ads=(300, 1), till=(700, 1), wall=(500, 1))
    fetches = [action for action in world.look().actions if isinstance(action, FetchImage)]
    assert [fetch.image for fetch in fetches] == [image(name).digest for name in ("till", "wall", "ads")]
    world.settle()
    world.reboot()
    world.step()
    world.step()
    starts = [action.spec.service for action in world.performed if isinstance(action, StartContainer)]
    assert starts[-3:] == ["till", "wall", "ads"]
