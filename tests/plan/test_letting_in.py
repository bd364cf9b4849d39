"""Sites get a new revision one after another: no more copies counted in all are down than their tenant signed."""

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.plan.fleets import Fleet, per_site, revision, service, site, total
from tests.plan.test_notices import report

from skerry.model.document import Assignment
from skerry.model.ids import InstanceId, SiteName
from skerry.model.policy import Policy
from skerry.model.rollout import Rollout, Share
from skerry.plan.letting_in import LOOK_US

WORDS = {"replicas": total(6)}


def app(number: int, tag: str = "", **words):
    return revision("shop", number, web=service(tag or str(number), **{**WORDS, **words}))


def start(made, sites: int = 3) -> Fleet:
    fleet = Fleet(*(site(f"s{index}", index) for index in range(sites)))
    fleet.wish(made)
    fleet.plan()
    report(fleet)
    return fleet


def let_in(fleet: Fleet, number: int = 2) -> list[str]:
    """The sites that are told to run a number."""
    return sorted({place.split("/")[0] for place in fleet.places() if f"@{number}" in place})


def spoil(fleet: Fleet, name: str, phase: str = "restarting") -> None:
    """The first copy at a site is down."""
    first, *rest = fleet.sites[SiteName(name)].instances
    fleet.change(name, instances=(msgspec.structs.replace(first, phase=phase), *rest))


def test_one_site_after_another_with_a_reason_and_a_time_to_look_again():
    fleet = start(app(1))
    fleet.wish(app(2))
    plan = fleet.plan()
    assert let_in(fleet) == ["s0"]
    assert plan.reports[0].waiting == dict.fromkeys(
        ("s1", "s2"), "1 of 6 copies of web are down or being changed, and 1 may be"
    )
    assert plan.wake_us == LOOK_US
    assert fleet.plan().documents == ()
    report(fleet, "s0")
    fleet.plan()
    assert let_in(fleet) == ["s0", "s1"]
    report(fleet, "s1")
    fleet.plan()
    report(fleet)
    plan = fleet.plan()
    assert let_in(fleet) == ["s0", "s1", "s2"]
    assert (plan.documents, plan.reports[0].waiting, plan.wake_us) == ((), {}, 0)


@pytest.mark.parametrize(
    ("policy", "first"),
    [
        (Policy(max_down=2), ["s0"]),
        (Policy(max_down=3), ["s0"]),
        (Policy(max_down=4), ["s0", "s1"]),
        (Policy(max_down_permille=1000), ["s0", "s1", "s2"]),
    ],
)
def test_as_many_sites_at_once_as_what_they_take_down_allows(policy, first):
    fleet = start(app(1, policy=policy))
    fleet.wish(app(2, policy=policy))
    fleet.plan()
    assert let_in(fleet) == first


def test_what_is_down_by_itself_uses_the_budget_up_but_may_be_replaced():
    fleet = start(app(1))
    spoil(fleet, "s1")
    fleet.wish(app(2))
    fleet.plan()
    # Its own site gets the cure, and keeps the copy that is well until the other one is back.
    assert let_in(fleet) == ["s1"]
    report(fleet, "s1")
    spoil(fleet, "s1")
    fleet.plan()
    assert let_in(fleet) == ["s1"]
    report(fleet, "s1")
    fleet.plan()
    assert let_in(fleet) == ["s0", "s1"]


def test_a_revision_that_changes_nothing_that_runs_comes_everywhere_at_once():
    fleet = start(app(1, "same"))
    fleet.wish(app(2, "same", replicas=total(7), policy=Policy(max_down=1)))
    fleet.plan()
    assert let_in(fleet) == ["s0", "s1", "s2"]


def test_where_each_site_has_its_own_copies_nothing_is_held():
    fleet = start(app(1, replicas=per_site(2)))
    fleet.wish(app(2, replicas=per_site(2)))
    fleet.plan()
    assert let_in(fleet) == ["s0", "s1", "s2"]


def test_a_paused_app_and_one_that_has_only_one_site_wait_for_nothing():
    fleet = start(app(1))
    fleet.wish(app(2), held=True)
    fleet.plan()
    assert let_in(fleet) == ["s0", "s1", "s2"]
    fleet = start(app(1), 1)
    fleet.wish(app(2))
    fleet.plan()
    assert let_in(fleet) == ["s0"]


def test_a_silent_site_gets_it_in_its_turn_when_it_is_heard():
    fleet = start(app(1))
    fleet.change("s0", silent=True)
    fleet.wish(app(2))
    for name in ("s1", "s2"):
        fleet.plan()
        report(fleet, name)
    assert let_in(fleet) == ["s1", "s2"]
    assert "the site is silent" in fleet.plan().reports[0].waiting[SiteName("s0")]
    fleet.change("s0", silent=False)
    fleet.plan()
    assert let_in(fleet) == ["s0", "s1", "s2"]


def test_waves_let_in_first_and_wait_for_those_whose_turn_has_not_come():
    rollout = Rollout(canary=Share(sites=2), bake_us=0, waves=(Share(permille=1000),))
    fleet = start(app(1))
    made = msgspec.structs.replace(app(2), rollout=rollout)
    fleet.wish(made)
    plan = fleet.plan()
    (progress,) = plan.rollouts
    assert (progress.stage, progress.admitted, let_in(fleet)) == (0, ("s0", "s1"), ["s0"])
    assert "revision 2 is at the canary" in plan.reports[0].waiting[SiteName("s2")]
    assert "copies of web are down" in plan.reports[0].waiting[SiteName("s1")]
    # The canary is not over while the second of its sites waits for its turn.
    fleet.wish(made, rollout=progress)
    report(fleet, "s0")
    plan = fleet.plan()
    assert let_in(fleet) == ["s0", "s1"]
    assert not any(each.stage for each in plan.rollouts)


@settings(max_examples=60, deadline=None)
@given(
    copies=st.integers(2, 8),
    allowed=st.integers(1, 4),
    steps=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["take", "well", "fail", "wish"])), max_size=40),
)
@example(copies=7, allowed=2, steps=[(0, "wish"), (2, "fail"), (0, "wish"), (0, "take"), (2, "take")])
def test_never_more_are_down_by_choice(copies, allowed, steps):
    """Sites take revisions and become well in any order; each changes at once as many copies as it may by itself."""
    policy = Policy(max_down=allowed)
    fleet = start(app(1, replicas=total(copies), policy=policy), 4)
    number, failed = 1, set[InstanceId]()
    for index, what in steps:
        name = f"s{index}"
        view = fleet.sites[SiteName(name)]
        facts = {fact.instance: fact for fact in view.instances}
        units = [unit for unit in view.units.values() if isinstance(unit, Assignment)]
        if what == "wish":
            number += 1
            fleet.wish(app(number, replicas=total(copies), policy=policy))
        elif what == "fail" and facts:
            fact = facts[min(facts)]
            failed.add(fact.instance)
            facts[fact.instance] = msgspec.structs.replace(fact, phase="restarting")
        elif what == "well":
            facts = {each: msgspec.structs.replace(fact, phase="ready") for each, fact in facts.items()}
            failed -= facts.keys()
        elif what == "take":
            free = allowed - sum(fact.phase != "ready" for fact in facts.values())
            for unit in units:
                fact = facts[InstanceId(f"default/shop/web/{unit.ordinal}")]
                if fact.revision != unit.revision and (free > 0 or fact.phase != "ready"):
                    free -= fact.phase == "ready"
                    facts[fact.instance] = msgspec.structs.replace(fact, revision=unit.revision, phase="starting")
        fleet.change(name, instances=tuple(facts.values()))
        down = [fact.instance for each in fleet.sites.values() for fact in each.instances if fact.phase != "ready"]
        assert len([each for each in down if each not in failed]) <= allowed
        fleet.plan()
        assert fleet.plan().documents == ()
    for _ in range(20):
        report(fleet)
        fleet.plan()
    assert {place.partition("@")[2] for place in fleet.places()} == {str(number)}
