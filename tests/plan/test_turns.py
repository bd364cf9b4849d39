"""Copies of a service are changed one after another, and a new one may stand beside the old until it is well."""

import msgspec
import pytest
from tests.plan.scenery import World, assign, digest_revision, hold, image, revision, service, volume_mount

from skerry.model.app import HealthCheck, Placement, Port, Replicas
from skerry.model.rollout import InSite, Rollout

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


def test_without_a_word_all_change_at_once() -> None:
    node = Node()
    node.change(None)
    seen = node.watch()
    assert min(map(sum, seen)) == 0
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


@pytest.mark.parametrize("words", [{"mounts": (volume_mount("data"),)}, {"ports": (Port(target=80, published=80),)}])
def test_where_two_cannot_be_the_old_one_is_stopped_first(words) -> None:
    node = Node(1, **words)
    node.change(InSite(order="start-first"))
    seen = node.watch()
    assert (1, 1) not in seen
    assert seen[-1] == (0, 1)
