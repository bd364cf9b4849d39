"""Sites that are kept free: nothing new comes, what runs stays, and what may move leaves few at a time."""

import pytest
from tests.plan import fleets
from tests.plan.fleets import GIB, Fleet, per_site, revision, service, total

from skerry.model.app import Mount
from skerry.model.document import Assignment, assignment_instance
from skerry.model.facts import InstanceFact
from skerry.model.policy import Policy
from skerry.plan.placement.drain import LOOK_US, find_wait
from skerry.plan.placement.why import explain_site


def fleet(*names, **more):
    return Fleet(*(fleets.site(name, at, **more) for at, name in enumerate(names)))


def report(made, phase="ready", sites=None):
    """Let sites say that what is wished of them runs."""
    for name in sites or tuple(made.sites):
        facts = [
            InstanceFact(
                instance=assignment_instance(unit), node=unit.node, revision=unit.revision, number=1, phase=phase
            )
            for unit in made.units(name).values()
            if isinstance(unit, Assignment)
        ]
        made.change(name, instances=tuple(facts))


def settle(made, turns=10):
    """Plan and report until nothing changes."""
    for _ in range(turns):
        report(made)
        plan = made.plan()
        if not plan.documents:
            return plan
    raise AssertionError("it does not settle")


def staying(plan):
    return [(each.service, each.ordinal, each.site, each.waits) for one in plan.reports for each in one.staying]


def test_a_cordoned_site_gets_nothing_new_and_keeps_what_it_has():
    made = fleet("a", "b")
    made.wish(revision("shop", web=service(replicas=per_site())))
    made.plan()
    made.change("a", cordon="cordon")
    made.wish(revision("wall", web=service(replicas=total(3))))
    made.wish(revision("late", web=service(replicas=per_site())))
    plan = made.plan()
    assert made.places("shop") == ["a/n1 web.0@1", "b/n1 web.0@1"]
    assert made.places("wall") == [f"b/n1 web.{at}@1" for at in range(3)]
    assert made.places("late") == ["b/n1 web.0@1"]
    (refused,) = [one for each in plan.reports for one in each.refused]
    assert (refused.site, refused.reason) == ("a", "a is cordoned: nothing new is placed there")
    assert made.plan().documents == ()


def test_new_revisions_and_fewer_copies_still_reach_a_site_that_is_kept_free():
    for cordon in ("cordon", "drain"):
        made = fleet("a", "b")
        made.wish(revision("shop", web=service(replicas=per_site(2), memory=GIB)))
        made.plan()
        made.change("a", cordon=cordon)
        made.wish(revision("shop", 2, web=service("2", replicas=per_site(2), memory=2 * GIB)))
        made.plan()
        assert made.places() == [f"{at}/n1 web.{copy}@2" for at in "ab" for copy in range(2)]
        made.wish(revision("shop", 3, web=service("2", replicas=per_site(1))))
        made.plan()
        assert made.places() == ["a/n1 web.0@3", "b/n1 web.0@3"]


def test_copies_leave_a_drained_site_one_after_the_other():
    made = fleet("a")
    made.wish(revision("wall", web=service(replicas=total(3))))
    made.plan()
    made.sites |= fleet("a", "b", "c").sites | made.sites
    report(made)
    made.change("a", cordon="drain")
    plan = made.plan()
    assert len([place for place in made.places("wall") if place.startswith("a/")]) == 2
    assert staying(plan) == [("web", 1, "a", True), ("web", 2, "a", True)]
    assert "1 of 3 copies are down or on their way, and 1 may be" in plan.reports[0].staying[0].reason
    assert plan.wake_us == LOOK_US
    assert made.plan().documents == (), "what moved has not started yet"
    plan = settle(made)
    assert not [place for place in made.places("wall") if place.startswith("a/")]
    assert (staying(plan), plan.wake_us) == ([], 0)
    made.change("a", cordon="")
    assert settle(made).documents == (), "nothing comes back by itself"


def test_as_many_leave_at_once_as_the_owner_lets_be_down():
    made = fleet("a")
    made.wish(revision("wall", web=service(replicas=total(4), policy=Policy(max_down_permille=500))))
    made.plan()
    report(made)
    made.sites |= {"b": fleets.site("b", 1)}
    made.change("a", cordon="drain")
    made.plan()
    assert len([place for place in made.places("wall") if place.startswith("b/")]) == 2


def test_copies_that_are_down_or_paused_need_not_wait():
    for phase, words in (("unhealthy", {}), ("held", {"held": True})):
        made = fleet("a")
        made.wish(revision("wall", web=service(replicas=total(3))), **words)
        made.plan()
        report(made, phase)
        made.sites |= {"b": fleets.site("b", 1)}
        made.change("a", cordon="drain")
        made.plan()
        assert all(place.startswith("b/") for place in made.places("wall"))


@pytest.mark.parametrize(
    ("words", "site", "reason"),
    [
        ({"replicas": per_site()}, {}, "at each site that it names"),
        (
            {"replicas": total(1), "mounts": (Mount(kind="volume", source="data", target="/data"),)},
            {},
            "volumes do not move",
        ),
        ({"replicas": total(1)}, {"silent": True}, "the site is silent"),
    ],
)
def test_what_belongs_to_a_site_stays_and_says_why(words, site, reason):
    made = fleet("a")
    made.wish(revision("shop", web=service(**words)))
    made.plan()
    report(made)
    made.sites |= {"b": fleets.site("b", 1)}
    made.change("a", cordon="drain", **site)
    plan = made.plan()
    assert "a/n1 web.0@1" in made.places()
    (stays,) = plan.reports[0].staying
    assert reason in stays.reason
    assert not stays.waits


def test_without_a_place_elsewhere_a_copy_stays_and_nothing_stops():
    made = fleet("a", "b")
    made.change("b", cordon="cordon")
    made.wish(revision("wall", web=service(replicas=total(2), memory=GIB)))
    made.plan()
    report(made)
    before = made.places("wall")
    made.change("a", cordon="drain")
    plan = made.plan()
    assert made.places("wall") == before
    assert {each.reason for each in plan.reports[0].staying} == {
        "there is no other place: none of 2 nodes can hold it: cordon at 2"
    }
    assert plan.wake_us == 0
    made.sites |= {"c": fleets.site("c", 2, memory=GIB)}
    plan = settle(made)
    assert len([place for place in made.places("wall") if place.startswith("c/")]) == 1
    assert "cpu" not in plan.reports[0].staying[0].reason
    assert "memory at 1" in plan.reports[0].staying[0].reason


def test_why_names_the_cordon_and_what_is_still_there():
    made = fleet("a", "b")
    made.change("a", cordon="drain")
    made.wish(revision("wall", web=service(replicas=total(1))))
    made.plan()
    found = explain_site(made.snapshot(), "default", "wall", "a")
    assert [each.constraint for _, each in found.rejections] == ["cordon"]
    assert "drained" in found.rejections[0][1].detail
    made.change("b", cordon="drain")
    report(made)
    made.plan()
    found = explain_site(made.snapshot(), "default", "wall", "b")
    assert any(note.startswith("web.0 is still at b: there is no other place") for note in found.notes)


def test_how_many_may_be_down():
    assert find_wait(Policy(), 3, 0) == ""
    assert find_wait(Policy(), 3, 1) != ""
    assert find_wait(Policy(max_down=2), 3, 1) == ""
    assert find_wait(Policy(max_down_permille=250), 8, 1) == ""
    assert find_wait(Policy(max_down_permille=250), 8, 2) != ""
    assert find_wait(Policy(max_down_permille=1), 3, 0) == "", "one may always be, or nothing would ever move"
