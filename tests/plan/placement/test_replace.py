"""Copies that stand in for those of a silent site, and which of the two stays."""

import msgspec
import pytest
from tests.plan import fleets
from tests.plan.fleets import Fleet, per_site, revision, service, total
from tests.plan.placement.test_drain import report

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
