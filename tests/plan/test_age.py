"""For how long a copy has run: told by those that are asked, seldom, and by the machine's own clock."""

import msgspec
import pytest
from msgspec import UNSET
from tests.plan.scenery import SECOND, World, assign, digest_revision, hold, revision, service

from skerry.model.facts import InstanceFact
from skerry.model.policy import Autonomy, Policy
from skerry.plan.age import round_age

DAY = 86_400


def test_an_age_is_told_to_an_eighth_and_some_150_times_a_year():
    told, at = [], 0
    while at < 365 * DAY:
        found, at = round_age(at)
        told.append(found)
    assert told[:4] == [0, 64, 72, 80]
    assert len(told) < 160
    for seconds in (64, 100, 3_600, 30 * DAY):
        found, following = round_age(seconds)
        assert found <= seconds < following
        assert seconds - found <= seconds / 8
        assert round_age(following)[0] == following


def world(on_return="newest", after=10):
    autonomy = Autonomy(replace_after_us=after * SECOND, on_return=on_return)
    app = revision(1, web=service(policy=Policy(autonomy=autonomy)))
    return World(hold(app, assign(app, "web"), revisions={digest_revision(app): app}))


def age_of(plan):
    (fact,) = [fact for fact in plan.facts if isinstance(fact, InstanceFact)]
    return fact.up_s


@pytest.mark.parametrize(
    ("words", "tells"), [({}, True), ({"after": 0}, False), ({"on_return": "keep-original"}, False)]
)
def test_only_those_tell_it_that_are_asked(words, tells):
    node = world(**words)
    assert age_of(node.look()) is UNSET
    node.settle()
    assert (age_of(node.look()) is not UNSET) == tells


def test_it_grows_with_the_machine_and_begins_again_with_the_process():
    node = world()
    plan = node.settle()
    assert age_of(plan) == 0
    node.advance(70)
    plan = node.look()
    assert age_of(plan) == 64
    assert 0 < plan.wake_us - node.now.boot_us <= 8 * SECOND
    node.crash("web")
    assert age_of(node.look()) is UNSET
    node.advance(60)
    node.settle()
    assert age_of(node.look()) == 0


def test_what_the_runtime_knows_holds_over_a_new_agent():
    """An agent that was started anew has seen nothing run; the machine knows when the process began."""
    node = world()
    node.settle()
    (seen,) = node.observed.containers
    began = msgspec.structs.replace(seen, began_us=node.now.boot_us - 1_000 * SECOND)
    node.observed = msgspec.structs.replace(node.observed, containers=(began,))
    node.history = msgspec.structs.replace(node.history, runs={})
    assert age_of(node.look()) == 960


def test_a_start_in_the_future_is_no_age():
    node = world()
    node.settle()
    (seen,) = node.observed.containers
    later = msgspec.structs.replace(seen, began_us=node.now.boot_us + 1_000 * SECOND)
    node.observed = msgspec.structs.replace(node.observed, containers=(later,))
    assert age_of(node.look()) == 0
