"""No more copies of a service are down at a site by choice than its tenant signed."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plan.scenery import World, assign, digest_revision, hold, image, revision, service

from skerry.model.app import HealthCheck, Placement, Replicas
from skerry.model.facts import InstanceFact
from skerry.model.policy import Policy
from skerry.model.rollout import InSite, Rollout

CHECK = HealthCheck(test=("CMD", "true"), interval_us=10_000_000)


class Node(World):
    """A node with some copies of a service, all of them well; ``change`` wishes for another image."""

    def __init__(self, copies: int = 4, policy: Policy | None = None, replicas: Replicas | None = None) -> None:
        self.copies = copies
        self.words = {
            "placement": Placement(replicas=replicas or Replicas(per_site=copies)),
            "healthcheck": CHECK,
            "policy": policy or msgspec.UNSET,
        }
        super().__init__(self._holding(revision(1, web=service("1", **self.words))))
        for _ in range(20):
            self.settle()
            self.advance(5)

    def _holding(self, app):
        units = [assign(app, "web", ordinal=ordinal) for ordinal in range(self.copies)]
        return hold(app, *units, revisions={digest_revision(app): app})

    def change(self, number: int = 2, in_site: InSite | None = None) -> None:
        made = revision(number, web=service(str(number), **self.words))
        self.held = self._holding(
            msgspec.structs.replace(made, rollout=Rollout(in_site=in_site) if in_site else msgspec.UNSET)
        )

    def up(self) -> int:
        return sum(seen.state == "running" for seen in self.observed.containers)

    def watch(self, seconds: int = 200) -> int:
        """Return how many ran when the fewest did."""
        fewest = self.up()
        for _ in range(seconds):
            self.step()
            fewest = min(fewest, self.up())
            self.advance(1)
        return fewest

    def changed(self, number: int = 2) -> int:
        wanted = image(str(number)).config
        return sum(seen.image_config == wanted and seen.state == "running" for seen in self.observed.containers)

    def fail(self, ordinal: int) -> None:
        seen = next(each for each in self.observed.containers if each.ordinal == ordinal)
        self.observed = self._with_state(seen.container, "exited", 1)

    def reasons(self) -> list[str]:
        facts = self.look().facts
        return [fact.reason for fact in facts if isinstance(fact, InstanceFact) and fact.phase == "waiting"]


@pytest.mark.parametrize(
    ("policy", "fewest"),
    [
        (None, 3),
        (Policy(max_down=1), 3),
        (Policy(max_down=2), 2),
        (Policy(max_down_permille=500), 2),
        (Policy(max_down_permille=10), 3),
        (Policy(max_down=9), 0),
    ],
)
def test_so_many_are_down_during_an_update(policy, fewest):
    node = Node(policy=policy)
    node.change()
    assert node.watch() == fewest
    assert node.changed() == 4


@pytest.mark.parametrize(
    ("policy", "parallel", "fewest"),
    [(None, 3, 1), (Policy(max_down=1), 3, 3), (Policy(max_down=2), 3, 2), (Policy(max_down=3), 1, 3)],
)
def test_the_smaller_word_holds_and_without_max_down_that_of_the_rollout(policy, parallel, fewest):
    node = Node(policy=policy)
    node.change(in_site=InSite(parallel=parallel))
    assert node.watch() == fewest
    assert node.changed() == 4


def test_copies_that_stand_beside_their_successors_are_not_down():
    node = Node(policy=Policy(max_down=1))
    node.change(in_site=InSite(order="start-first", parallel=4))
    assert node.watch() >= 4
    assert node.changed() == 4


def test_a_revision_that_never_becomes_well_takes_no_more_copies_than_may_be_down():
    node = Node(policy=Policy(max_down=2))
    node.healthy = False
    node.change()
    node.watch()
    assert node.changed() == 2
    assert (
        node.reasons().count("2 of 4 copies of web here are down, and 2 may be; the previous version keeps running")
        == 2
    )
    # The next revision begins with those that are down already, and so it can be the cure.
    node.healthy = True
    node.change(3)
    assert node.watch() == 2
    assert node.changed(3) == 4


def test_a_copy_that_failed_by_itself_uses_the_budget_up_until_it_is_back():
    node = Node()
    node.words["placement"] = Placement(replicas=Replicas(per_site=4))
    node.fail(2)
    node.healthy = False
    node.change()
    node.watch(30)
    # The one that was down anyway is the only one that may be changed, and it is not well yet.
    assert node.changed() == 1
    assert sum(each.ordinal == 2 for each in node.observed.containers if each.image_config == image("2").config) == 1
    node.healthy = True
    assert node.watch() >= 3
    assert node.changed() == 4


def test_of_copies_over_many_sites_a_share_is_of_all_of_them():
    node = Node(2, Policy(max_down_permille=200), Replicas(total=10))
    node.change()
    assert node.watch() == 0
    node = Node(2, Policy(max_down_permille=100), Replicas(total=10))
    node.change()
    assert node.watch() == 1


@settings(max_examples=30, deadline=None)
@given(
    copies=st.integers(2, 5),
    allowed=st.integers(1, 5),
    changes=st.lists(st.tuples(st.integers(1, 40), st.booleans()), min_size=1, max_size=4),
)
def test_never_more_are_down_by_choice(copies, allowed, changes):
    """Revisions come in the middle of one another, some of them ill: what nobody but the planner stopped stays up."""
    node = Node(copies, Policy(max_down=allowed))
    for number, (seconds, healthy) in enumerate(changes, 2):
        node.healthy = healthy
        node.change(number)
        assert node.watch(seconds) >= copies - min(allowed, copies)
    node.healthy = True
    assert node.watch(300) >= copies - min(allowed, copies)
    assert node.changed(len(changes) + 1) == copies
