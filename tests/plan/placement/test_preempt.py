"""Who yields when room is short: only the lower, the preemptible and the same tenant's, as few and as low as can be."""

from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plan import fleets
from tests.plan.fleets import GIB, Fleet, per_site, revision, service, total
from tests.plan.placement.test_drain import report

from skerry.model.app import Mount, Sites
from skerry.model.policy import Policy, Priority
from skerry.plan.placement.estate import Estate
from skerry.plan.placement.preempt import SETS_MAX, Tenure, find_yielding
from skerry.plan.placement.request import make_request
from skerry.plan.report import Refused


def ranked(value, memory=GIB, replicas=None, **words):
    """A service of a priority; what else is said of the priority is ``preempts`` and ``preemptible``."""
    said = {name: words.pop(name) for name in ("preempts", "preemptible") if name in words}
    policy = Policy(priority=Priority(value=value, **said), max_down=words.pop("max_down", 0))
    return service(memory=memory, replicas=replicas or total(1), policy=policy, **words)


def fleet(*names, memory=4 * GIB, **more):
    return Fleet(*(fleets.site(name, at, memory=memory, **more) for at, name in enumerate(names)))


def full(**services):
    """One site of 4 GiB, with an app of one service each; the services stand in the order of their arrival."""
    made = fleet("a")
    for name, one in services.items():
        made.wish(revision(name, web=one))
    made.plan()
    report(made)
    return made


def shown(plan):
    return [(change.kind, change.instance, change.detail) for change in plan.changes if change.kind != "keep"]


def test_a_higher_instance_takes_the_room_of_a_lower_one_and_the_plan_says_so():
    made = full(ads=ranked(300, 3 * GIB), wall=ranked(600))
    made.wish(revision("till", web=ranked(700, 2 * GIB)))
    plan = made.plan()
    assert (made.places("till"), made.places("ads"), made.places("wall")) == (["a/n1 web.0@1"], [], ["a/n1 web.0@1"])
    because = "it makes room for default/till/web/0, which has priority 700 over its 300"
    assert shown(plan) == [
        ("remove", "default/ads/web/0", f"from n1: {because}"),
        ("add", "default/till/web/0", "on n1"),
    ]
    (refused,) = [one for each in plan.reports for one in each.refused]
    reason = "it made room for default/till/web/0, which has priority 700: needs 3072Mi, has 1024Mi of 4096Mi free"
    assert refused.reason == reason


def test_planning_again_changes_nothing_and_remembers_who_yielded():
    made = full(ads=ranked(300, 4 * GIB))
    made.wish(revision("till", web=ranked(700)))
    first = made.plan()
    assert first.yielded
    feed(made, first)
    second = made.plan()
    assert (second.documents, second.yielded, second.reports) == ((), {}, first.reports)


def feed(made, plan):
    """Let the next plan know who has yielded, as the core's store does."""
    for each in plan.reports:
        wish = made.wishes[each.tenant, each.app]
        made.wishes[each.tenant, each.app] = msgspec.structs.replace(wish, preempted=each.preempted)


def test_who_yielded_comes_back_when_there_is_room_again():
    made = full(ads=ranked(300, 4 * GIB))
    made.wish(revision("till", web=ranked(700)))
    feed(made, made.plan())
    made.end("till", 2)
    plan = made.plan()
    assert made.places("ads") == ["a/n1 web.0@1"]
    assert [each.preempted for each in plan.reports] == [(), ()]


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        (ranked(700, 4 * GIB), ranked(700)),
        (ranked(800, 4 * GIB), ranked(700)),
        (ranked(300, 4 * GIB, preemptible=False), ranked(700)),
        (ranked(300, 4 * GIB), ranked(700, preempts="never")),
        (ranked(300, 2 * GIB), ranked(700, 5 * GIB)),
        (ranked(300, 4 * GIB, mounts=(Mount(kind="volume", source="data", target="/data"),)), ranked(700)),
    ],
    ids=["equal", "higher", "not preemptible", "preempts never", "in vain", "counted, with a volume"],
)
def test_what_does_not_yield(lower, higher):
    made = full(ads=lower)
    made.wish(revision("till", web=higher))
    plan = made.plan()
    assert (made.places("ads"), made.places("till"), plan.yielded) == (["a/n1 web.0@1"], [], {})


def test_nobody_yields_to_another_tenant_to_a_paused_app_or_at_a_silent_site():
    for words, change in (({"tenant": "other"}, {}), ({}, {"silent": True})):
        made = full(ads=ranked(300, 4 * GIB))
        made.change("a", **change)
        made.wish(revision("till", web=ranked(900), **words))
        assert (made.plan().yielded, made.places("ads")) == ({}, ["a/n1 web.0@1"])
    made = full(ads=ranked(300, 4 * GIB))
    made.wish(revision("till", web=ranked(900)), held=True)
    assert made.plan().yielded == {}


def test_a_copy_with_a_volume_yields_where_it_comes_back_to_it():
    made = full(ads=ranked(300, 4 * GIB, per_site(), mounts=(Mount(kind="volume", source="data", target="/data"),)))
    made.wish(revision("till", web=ranked(700)))
    assert made.plan().yielded
    assert made.places("ads") == []


def test_the_lowest_yield_and_of_those_the_fewest():
    made = full(low=ranked(100), mid=ranked(200, 2 * GIB), high=ranked(300))
    made.wish(revision("till", web=ranked(700)))
    made.plan()
    assert [made.places(app) for app in ("low", "mid", "high")] == [[], ["a/n1 web.0@1"], ["a/n1 web.0@1"]]
    made = full(one=ranked(100), two=ranked(100), three=ranked(100, 2 * GIB))
    made.wish(revision("till", web=ranked(700, 2 * GIB)))
    made.plan()
    assert [made.places(app) for app in ("one", "two", "three")] == [["a/n1 web.0@1"], ["a/n1 web.0@1"], []]


def test_the_place_with_the_lowest_victim_is_taken():
    made = fleet("a", "b")
    made.wish(revision("wall", web=ranked(400, 4 * GIB)))
    made.plan()
    made.wish(revision("ads", web=ranked(300, 4 * GIB)))
    made.plan()
    made.wish(revision("till", web=ranked(700)))
    made.plan()
    assert (made.places("till"), made.places("wall")) == (["b/n1 web.0@1"], ["a/n1 web.0@1"])


def test_who_yields_may_move_where_there_is_room_but_takes_nobodys():
    made = fleet("a", "b")
    made.wish(revision("ads", web=ranked(300, 3 * GIB)))
    made.plan()
    made.wish(revision("toy", web=ranked(100, 4 * GIB)))
    made.plan()
    made.wish(revision("till", web=ranked(700, 4 * GIB, sites=Sites(names=("a",)))))
    plan = made.plan()
    assert (made.places("till"), made.places("toy"), made.places("ads")) == (["a/n1 web.0@1"], ["b/n1 web.0@1"], [])
    feed(made, plan)
    assert made.plan().documents == ()
    made.end("toy", 2)
    made.plan()
    assert made.places("ads") == ["b/n1 web.0@1"]


def test_no_more_copies_yield_than_may_be_down():
    made = fleet("a", "b")
    made.wish(revision("ads", web=ranked(300, 4 * GIB, total(2))))
    made.plan()
    report(made)
    made.wish(revision("till", web=ranked(700, 4 * GIB, total(2))))
    plan = made.plan()
    assert len(made.places("ads")) == len(made.places("till")) == 1
    assert len(plan.yielded) == 1
    feed(made, plan)
    report(made)
    assert made.plan().documents == ()
    made.wish(revision("ads", 2, web=ranked(300, 4 * GIB, total(2), max_down=2)))
    made.plan()
    report(made)
    made.plan()
    assert (made.places("ads"), len(made.places("till"))) == ([], 2)


def test_a_held_port_is_room_too_and_what_is_no_room_is_not():
    made = full(ads=ranked(300, 0, port=80))
    made.wish(revision("till", web=ranked(700, 0, port=80)))
    made.plan()
    assert (made.places("till"), made.places("ads")) == (["a/n1 web.0@1"], [])
    made = full(ads=ranked(300, GIB))
    made.wish(revision("till", web=ranked(700, 0, node=("kvm=maybe",))))
    assert made.plan().yielded == {}


def test_newcomers_come_by_priority_and_equals_as_ever():
    made = fleet("a")
    made.wish(revision("ads", web=ranked(300, 4 * GIB)))
    made.wish(revision("till", web=ranked(700, 4 * GIB)))
    plan = made.plan()
    assert (made.places("till"), made.places("ads"), plan.yielded) == (["a/n1 web.0@1"], [], {})
    made = fleet("a")
    made.wish(revision("b", web=ranked(500, 4 * GIB)))
    made.wish(revision("a", web=ranked(500, 4 * GIB)))
    made.plan()
    assert (made.places("a"), made.places("b")) == (["a/n1 web.0@1"], [])


def tenure(at, memory, priority, slot):
    made = revision(f"app-{at}", web=ranked(priority, memory))
    return Tenure(request=make_request(made, fleets.name_revision(made), "web"), ordinal=0, slot=slot, is_up=True)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 8), st.sampled_from((100, 200, 300, 800))), min_size=1, max_size=7),
    st.integers(1, 30),
)
def test_the_choice_is_the_best_of_all_sets(found, need):
    (slot,) = Estate((fleets.site("a"),)).slots
    tenures = [tenure(at, memory, priority, slot) for at, (memory, priority) in enumerate(found)]
    to = make_request(made := revision("till", web=ranked(700, need)), fleets.name_revision(made), "web")

    def frees(gone):
        return sum(each.request.memory_bytes for each in gone) >= need

    def cost(some):
        return (max(each.priority for each in some), len(some))

    chosen = find_yielding(to, slot, tenures, Counter(), frees)
    able = [each for each in tenures if each.priority < 700]
    sets = [[each for at, each in enumerate(able) if mask >> at & 1] for mask in range(1, 1 << len(able))]
    best = min((cost(some) for some in sets if frees(some)), default=None)
    assert (None if chosen is None else cost(chosen.victims)) == best


def test_many_small_ones_are_spared_one_by_one():
    (slot,) = Estate((fleets.site("a"),)).slots
    tenures = [tenure(at, 1, 100 + at, slot) for at in range(40)]
    to = make_request(made := revision("till", web=ranked(700, 30)), fleets.name_revision(made), "web")
    chosen = find_yielding(to, slot, tenures, Counter(), lambda gone: len(gone) >= 30)
    assert sorted(each.priority for each in chosen.victims) == list(range(100, 130))
    assert len(tenures) ** 5 > SETS_MAX


def test_a_refusal_of_one_that_never_yielded_says_nothing_of_yielding():
    made = full(ads=ranked(800, 4 * GIB))
    made.wish(revision("till", web=ranked(700)))
    (refused,) = [one for each in made.plan().reports for one in each.refused]
    assert isinstance(refused, Refused)
    assert refused.reason == "needs 1024Mi, has 0Mi of 4096Mi free"
