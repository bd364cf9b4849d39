"""Copies of a service are changed one after another, and a new one may stand beside the old until it is well."""

import itertools

import msgspec
import pytest
from tests.plan.scenery import World, assign, digest_revision, hold, image, revision, service, volume_mount

from skerry.model.app import HealthCheck, Placement, Port, Replicas, Resources
from skerry.model.ids import NodeName
from skerry.model.observed import NodeSeen
from skerry.model.rollout import InSite, Rollout
from skerry.plan.site_plan import HeldSite

CHECK = HealthCheck(test=("CMD", "true"), interval_us=10_000_000)


class Node(World):
    """A node with three copies of a service; ``change`` wishes for a new revision with an order."""

    def __init__(self, copies: int = 3, **words: object) -> None:
        placement = Placement(replicas=Replicas(per_site=copies))
        self.copies = copies
        self.words = {"placement": placement, "healthcheck": CHECK, **words}
        super().__init__(self._holding(revision(1, web=service("1", **self.words))))
        self.settle()
        self.steady()

    def _holding(self, app):
        units = [assign(app, "web", ordinal=ordinal) for ordinal in range(self.copies)]
        return hold(app, *units, revisions={digest_revision(app): app})

    def steady(self) -> None:
        for _ in range(20):
            self.step()
            self.advance(5)

    def change(self, in_site: InSite | None) -> None:
        rollout = Rollout(in_site=in_site) if in_site else msgspec.UNSET
        app = msgspec.structs.replace(revision(2, web=service("2", **self.words)), rollout=rollout)
        self.held = self._holding(app)

    def watch(self, seconds: int = 200) -> list[tuple[int, int]]:
        """Return how many copies of the old and of the new kind ran, look after look."""
        found = []
        for _ in range(seconds):
            self.step()
            running = [seen.image_config for seen in self.observed.containers if seen.state == "running"]
            found.append((running.count(image("1").config), running.count(image("2").config)))
            self.advance(1)
        return found


def test_without_a_word_one_is_down_at_a_time() -> None:
    node = Node()
    node.change(None)
    seen = node.watch()
    assert min(map(sum, seen)) == 2
    assert seen[-1] == (0, 3)


@pytest.mark.parametrize("parallel", [1, 2])
def test_so_many_at_once_and_the_next_when_they_are_well(parallel: int) -> None:
    node = Node()
    node.change(InSite(parallel=parallel))
    seen = node.watch()
    assert min(map(sum, seen)) == 3 - parallel
    assert seen[-1] == (0, 3)


def test_one_that_does_not_become_well_holds_up_the_others_and_says_so() -> None:
    node = Node()
    node.healthy = False
    node.change(InSite())
    assert node.watch()[-1] == (2, 1)
    reasons = [fact.reason for fact in node.look().facts if type(fact).__name__ == "InstanceFact"]
    assert sum("another copy of web is changed first" in reason for reason in reasons) == 2


def test_a_copy_that_has_nothing_running_waits_for_nobody() -> None:
    node = Node()
    node.healthy = False
    node.change(InSite())
    node.watch()
    last = max(node.observed.containers, key=lambda seen: seen.ordinal)
    node.observed = node._with_state(last.container, "exited", 1)
    assert node.watch()[-1] == (1, 2)


def test_the_old_one_runs_until_the_new_one_is_well() -> None:
    node = Node(1)
    node.change(InSite(order="start-first"))
    seen = node.watch()
    assert min(map(sum, seen)) == 1
    assert (1, 1) in seen
    assert seen[-1] == (0, 1)


def test_one_that_never_becomes_well_leaves_the_old_one_running() -> None:
    node = Node(1)
    node.healthy = False
    node.change(InSite(order="start-first"))
    assert node.watch()[-1] == (1, 1)


@pytest.mark.parametrize("healthy", [True, False])
def test_an_agent_that_is_started_anew_in_between_looks_before_it_stops_the_old_one(healthy: bool) -> None:
    node = Node(1)
    node.healthy = False
    node.change(InSite(order="start-first"))
    node.watch()
    node.history = msgspec.structs.replace(node.history, runs={})
    node.healthy = healthy
    seen = node.watch()
    assert seen[-1] == ((0, 1) if healthy else (1, 1))
    assert set(seen) <= {(1, 1), (0, 1)}


@pytest.mark.parametrize("words", [{"mounts": (volume_mount("data"),)}, {"ports": (Port(target=80, published=80),)}])
def test_where_two_cannot_be_the_old_one_is_stopped_first(words) -> None:
    node = Node(1, **words)
    node.change(InSite(order="start-first"))
    seen = node.watch()
    assert (1, 1) not in seen
    assert seen[-1] == (0, 1)


def test_the_next_copy_waits_until_the_one_before_has_been_well_for_long_enough() -> None:
    node = Node()
    node.change(InSite(settle_us=60_000_000))
    seen = node.watch(400)
    changes = [index for index in range(1, 400) if seen[index][1] > seen[index - 1][1]]
    assert len(changes) == 3
    assert min(second - first for first, second in itertools.pairwise(changes)) >= 60
    assert seen[-1] == (0, 3)


def test_a_node_wakes_by_itself_when_the_time_of_watching_is_over() -> None:
    node = Node()
    node.change(InSite(settle_us=3_600_000_000))
    node.watch(60)
    assert node.look().wake_us
    node.advance(3_600)
    node.step()
    assert node.watch(60)[-1] == (1, 2)


@pytest.mark.parametrize(("permille", "stands"), [(0, (2, 1)), (333, (2, 1)), (334, (1, 2)), (1000, (0, 3))])
def test_so_many_copies_may_fail_before_the_others_wait(permille: int, stands: tuple[int, int]) -> None:
    node = Node()
    node.healthy = False
    node.change(InSite(failed_permille=permille))
    assert node.watch(400)[-1] == stands


def test_a_service_has_an_order_of_its_own_and_another_one_on_the_way_back() -> None:
    """The revision gone back to says how: whoever wrote it knew what it bears."""
    node = Node()
    app = revision(2, web=service("2", **node.words, in_site=InSite(), in_site_back=InSite(parallel=2)))
    node.held = node._holding(app)
    seen = node.watch()
    assert min(map(sum, seen)) == 2
    assert seen[-1] == (0, 3)
    again = revision(1, web=service("1", **node.words, in_site=InSite(), in_site_back=InSite(parallel=2)))
    units = [assign(again, "web", ordinal=ordinal, back=True) for ordinal in range(3)]
    node.held = hold(again, *units, revisions={digest_revision(again): again})
    assert min(map(sum, node.watch())) == 1
    assert node.running() == ["web"] * 3


MEMORY = 512 * 1024**2


def small(**words: int) -> NodeSeen:
    return NodeSeen(node=NodeName("n1"), disk_bytes=1 << 40, disk_free_bytes=1 << 40, **words)


@pytest.mark.parametrize(
    ("node", "is_enough"),
    [
        (None, True),
        (small(), True),
        (small(memory_bytes=2 * MEMORY), True),
        (small(memory_bytes=2 * MEMORY - 1), False),
        (small(memory_bytes=8 * MEMORY, memory_available_bytes=MEMORY), True),
        (small(memory_bytes=8 * MEMORY, memory_available_bytes=MEMORY - 1), False),
        (small(cpu_m=1999), False),
        (small(cpu_m=2000), True),
    ],
)
def test_a_second_copy_beside_the_first_needs_room_of_the_node(node: NodeSeen | None, is_enough: bool) -> None:
    world = Node(1, reservations=Resources(cpu_m=1000, memory_bytes=MEMORY))
    world.observed = msgspec.structs.replace(world.observed, node=node)
    world.change(InSite(order="start-first"))
    seen = world.watch(60)
    assert ((1, 1) in seen) == is_enough
    assert min(map(sum, seen)) == 1
    if not is_enough:
        plan = world.look()
        (fact,) = [fact for fact in plan.facts if type(fact).__name__ == "InstanceFact"]
        assert "its second copy, which is to stand beside the first, finds no room" in fact.reason
        assert plan.wake_us
        world.observed = msgspec.structs.replace(world.observed, node=small(memory_bytes=8 * MEMORY))
        assert world.watch(60)[-1] == (0, 1)


def test_second_copies_of_several_services_share_what_is_left() -> None:
    words = {
        "placement": Placement(replicas=Replicas(per_site=1)),
        "reservations": Resources(memory_bytes=MEMORY),
        "in_site": InSite(order="start-first"),
    }

    def wish(number: int) -> HeldSite:
        app = revision(number, **{name: service(str(number), **words) for name in ("a", "b")})
        return hold(app, assign(app, "a"), assign(app, "b"), revisions={digest_revision(app): app})

    world = World(wish(1))
    world.settle()
    world.observed = msgspec.structs.replace(world.observed, node=small(memory_bytes=3 * MEMORY))
    world.held = wish(2)
    most = 0
    for _ in range(60):
        world.step()
        most = max(most, len(world.running()))
        world.advance(1)
    assert most == 3
    assert world.running() == ["a", "b"]
    assert {seen.image_config for seen in world.observed.containers} == {image("2").config}
