"""Copies that stand in for those of a silent site, and which of the two stays."""

import msgspec
import pytest
from msgspec import UNSET
from tests.plan import fleets
from tests.plan.fleets import Fleet, per_site, revision, service, total
from tests.plan.placement.test_drain import report

from skerry.model.document import Assignment, assignment_instance
from skerry.model.facts import InstanceFact
from skerry.model.policy import Autonomy, Policy

MINUTE = 60_000_000


def wished(on_return="keep-original", after=10, replicas=None):
    autonomy = Autonomy(replace_after_us=after * MINUTE, on_return=on_return)
    return revision("shop", web=service(replicas=replicas or total(1), policy=Policy(autonomy=autonomy)))


def fleet(*names, **words):
    """Sites of which the first has the one copy, and which all report that they are well."""
    made = Fleet(*(fleets.site(name, at) for at, name in enumerate(names)))
    made.wish(wished(**words))
    made.plan()
    report(made)
    return made


def silence(made, name, minutes):
    made.change(name, silent=minutes > 0, away_us=minutes * MINUTE if minutes > 0 else None)


def test_a_copy_is_replaced_once_its_site_was_silent_for_so_long():
    made = fleet("a", "b")
    silence(made, "a", 9)
    plan = made.plan()
    assert (plan.documents, plan.wake_us) == ((), MINUTE)
    silence(made, "a", 10)
    plan = made.plan()
    assert made.places() == ["a/n1 web.0@1", "b/n1 web.0@1"]
    details = [change.detail for change in plan.changes if change.kind == "add"]
    assert details == ["on n1, in place of the one at a, which is silent"]
    assert plan.replaced == {("b", "default/shop/web/0"): "a"}
    assert made.plan().documents == ()


@pytest.mark.parametrize(("on_return", "stays"), [("keep-original", "a"), ("keep-replacement", "b")])
def test_one_of_the_two_stays_when_the_site_is_heard_and_the_one_that_stays_is_well(on_return, stays):
    made = fleet("a", "b", on_return=on_return)
    silence(made, "a", 10)
    made.plan()
    report(made, "starting")
    silence(made, "a", 0)
    made.plan()
    assert len(made.places()) == 2
    report(made)
    made.plan()
    assert made.places() == [f"{stays}/n1 web.0@1"]
    assert made.plan().documents == ()
    (unit,) = [unit for unit in made.units(stays).values() if hasattr(unit, "ordinal")]
    assert not unit.instead_of


def test_a_core_that_has_not_heard_a_site_yet_ends_nothing():
    made = fleet("a", "b")
    silence(made, "a", 10)
    made.plan()
    report(made)
    made.change("a", silent=False, away_us=5 * MINUTE)
    made.plan()
    assert len(made.places()) == 2


def test_nobody_gets_a_third_copy_and_what_stands_in_is_not_replaced():
    made = fleet("a", "b", "c")
    silence(made, "a", 10)
    made.plan()
    silence(made, "b", 60)
    silence(made, "a", 90)
    made.plan()
    assert made.places() == ["a/n1 web.0@1", "b/n1 web.0@1"]


def test_what_does_not_bear_two_copies_is_left_alone():
    for words in ({"after": 0}, {"replicas": per_site()}):
        made = fleet("a", **words)
        made.sites |= Fleet(fleets.site("b", 1)).sites
        if "after" in words:
            silence(made, "a", 1000)
            assert made.plan().replaced == {}
    made = fleet("a", "b")
    made.wish(wished(), held=True)
    silence(made, "a", 1000)
    assert made.plan().replaced == {}


def test_without_room_elsewhere_the_reason_is_told():
    made = fleet("a")
    silence(made, "a", 10)
    (refused,) = [one for each in made.plan().reports for one in each.refused]
    assert refused.reason == "it is to stand in for the copy at a, which is silent: there is no node to look at"


def test_a_pair_lives_through_a_new_revision_and_ends_with_its_app():
    made = fleet("a", "b")
    silence(made, "a", 10)
    made.plan()
    made.wish(msgspec.structs.replace(wished(), number=2))
    made.plan()
    assert made.places() == ["a/n1 web.0@2", "b/n1 web.0@2"]
    made.end("shop", 3)
    made.plan()
    assert made.places() == []


def tell(made, name, up_s, phase="ready"):
    """Let a site tell of its copy, and for how long it runs."""
    (unit,) = [unit for unit in made.units(name).values() if isinstance(unit, Assignment)]
    instance = assignment_instance(unit)
    words = {"instance": instance, "node": unit.node, "revision": unit.revision, "number": 1, "phase": phase}
    made.change(name, instances=(InstanceFact(**words, up_s=up_s),))


def pair(on_return):
    """Two sites with a copy each, of which the first is heard again."""
    made = fleet("a", "b", on_return=on_return)
    silence(made, "a", 10)
    made.plan()
    silence(made, "a", 0)
    return made


@pytest.mark.parametrize(
    ("original", "replacement", "newest", "longest"),
    [
        ((3_600, "ready"), (640, "ready"), "b", "a"),
        # It began anew while it was cut off.
        ((64, "ready"), (640, "ready"), "a", "b"),
        # Of equals the one that stands in was wished for later.
        ((640, "ready"), (640, "ready"), "b", "a"),
        ((0, "ready"), (0, "ready"), "b", "a"),
        # One that does not run is neither.
        ((UNSET, "restarting"), (64, "ready"), "b", "b"),
        ((3_600, "ready"), (UNSET, "waiting"), "a", "a"),
        # The one that is to stay must be well, and both do until it is.
        ((3_600, "unhealthy"), (640, "ready"), "b", "ab"),
        ((3_600, "ready"), (640, "unhealthy"), "ab", "a"),
        ((UNSET, "waiting"), (UNSET, "waiting"), "ab", "ab"),
        # A site whose agent cannot tell.
        ((UNSET, "ready"), (640, "ready"), "a", "a"),
        ((UNSET, "done"), (UNSET, "done"), "a", "a"),
    ],
)
def test_which_stays_by_how_long_each_has_run(original, replacement, newest, longest):
    for word, stays in (("newest", newest), ("longest-running", longest)):
        made = pair(word)
        tell(made, "a", *original)
        tell(made, "b", *replacement)
        made.plan()
        assert made.places() == [f"{site}/n1 web.0@1" for site in stays], word
        assert made.plan().documents == ()


@pytest.mark.parametrize("words", [{"facts_current": False}, {"silent": True, "away_us": MINUTE}])
@pytest.mark.parametrize("name", ["a", "b"])
def test_ages_are_compared_only_when_both_sites_have_told_them_anew(name, words):
    made = pair("longest-running")
    tell(made, "a", 3_600)
    tell(made, "b", 640)
    made.change(name, **words)
    made.plan()
    assert len(made.places()) == 2
