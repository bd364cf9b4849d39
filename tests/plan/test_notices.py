"""What only the tenant may end: the core neither plans to end it nor to move it, and shows sites the word that does."""

import msgspec
import pytest
from tests.plan.fleets import GIB, Fleet, name_revision, per_site, revision, service, site, total

from skerry.model.app import Sites
from skerry.model.document import Assignment, RevisionNotice
from skerry.model.facts import InstanceFact
from skerry.model.ids import InstanceId, NodeName, SiteName
from skerry.model.placing import PlacementRules
from skerry.model.policy import Autonomy, Policy, Priority
from skerry.model.signed import Tombstone
from skerry.plan.snapshot import SiteView


def kept(number: int = 1, **services):
    return msgspec.structs.replace(revision("shop", number, **services), withdraw="tenant")


def report(fleet: Fleet, *names: str) -> None:
    """The sites say that they have what they were told to have, and that it is well."""
    for name in names or fleet.sites:
        view = fleet.sites[SiteName(name)]
        facts = tuple(
            InstanceFact(
                instance=InstanceId(f"{unit.tenant}/{unit.app}/{unit.service}/{unit.ordinal}"),
                node=NodeName("n1"),
                revision=unit.revision,
                number=fleet.revisions[unit.revision].number,
                phase="ready",
            )
            for unit in view.units.values()
            if isinstance(unit, Assignment)
        )
        fleet.change(name, instances=facts, acknowledged=True)


def notices(fleet: Fleet) -> list[tuple[str, int]]:
    return [
        (view.site, fleet.revisions[unit.digest].number)
        for view in fleet.sites.values()
        for unit in view.units.values()
        if isinstance(unit, RevisionNotice)
    ]


def three(made) -> Fleet:
    fleet = Fleet(*(site(name, index, labels={"tier": "store"}) for index, name in enumerate("abc")))
    fleet.wish(made)
    fleet.plan()
    report(fleet)
    return fleet


def test_a_drain_leaves_it_where_it_is_and_says_why():
    fleet = three(kept(web=service(replicas=total(3))))
    before = fleet.places()
    fleet.change("a", cordon="drain")
    (found,) = fleet.plan().reports
    assert fleet.places() == before
    assert {(each.site, each.reason) for each in found.staying} == {
        ("a", "only its tenant may end it: its manifest says withdraw: tenant")
    }
    assert not any(each.waits for each in found.staying)


def test_nobody_takes_its_room():
    fleet = Fleet(site("a", 0, memory=4 * GIB))
    fleet.wish(kept(web=service(memory=3 * GIB, replicas=per_site(), policy=Policy(priority=Priority(value=1)))))
    fleet.plan()
    report(fleet)
    high = Policy(priority=Priority(value=900))
    fleet.wish(revision("till", web=service(memory=3 * GIB, replicas=per_site(), policy=high)))
    assert fleet.plan().yielded == {}
    assert fleet.places() == ["a/n1 web.0@1"]


def test_a_larger_revision_waits_at_its_site_and_does_not_move():
    fleet = Fleet(site("a", 0, memory=4 * GIB), site("b", 1, memory=16 * GIB, cordon="cordon"))
    fleet.wish(kept(web=service(memory=3 * GIB, replicas=total())))
    fleet.plan()
    report(fleet)
    fleet.change("b", cordon="")
    fleet.wish(kept(2, web=service(memory=8 * GIB, replicas=total())))
    fleet.plan()
    assert fleet.places() == ["a/n1 web.0@1"]
    fleet.wish(msgspec.structs.replace(kept(3, web=service(memory=8 * GIB, replicas=total())), withdraw="core"))
    fleet.plan()
    assert fleet.places() == ["b/n1 web.0@3"]
    assert notices(fleet) == [("a", 3)]


@pytest.mark.parametrize("rules", [PlacementRules(sites_max=1), PlacementRules(sites_max=2)])
def test_fewer_sites_without_naming_them_end_nothing(rules):
    fleet = three(kept(web=service(replicas=per_site())))
    fleet.wish(kept(2, web=service(replicas=per_site(), rules=rules)))
    fleet.plan()
    assert fleet.places() == ["a/n1 web.0@2", "b/n1 web.0@2", "c/n1 web.0@2"]


def test_a_revision_that_wants_fewer_ends_them_and_is_shown_until_they_are_gone():
    fleet = three(kept(web=service(replicas=total(3))))
    fleet.wish(kept(2, web=service(replicas=total(2))))
    fleet.plan()
    assert fleet.places() == ["a/n1 web.0@2", "b/n1 web.1@2"]
    assert notices(fleet) == [("c", 2)]
    assert fleet.plan().documents == ()
    # It is acknowledged, and the instance still runs: it is shown on; a while later there is nothing to say.
    fleet.change("c", acknowledged=True)
    assert fleet.plan().documents == ()
    fleet.change("c", instances=())
    fleet.plan()
    assert notices(fleet) == []
    assert fleet.plan().documents == ()


def test_a_site_that_the_newest_revision_excludes_is_shown_it():
    fleet = three(kept(web=service(replicas=per_site(2))))
    fleet.wish(kept(2, web=service(replicas=per_site(2), sites=Sites(exclude=(SiteName("b"),)))))
    fleet.plan()
    assert notices(fleet) == [("b", 2)]
    # A site that has a copy by the newest revision reads it there.
    fleet.wish(kept(3, web=service(replicas=per_site(1))))
    fleet.plan()
    assert notices(fleet) == []


def test_an_app_whose_instances_the_core_may_end_is_shown_nowhere():
    fleet = three(revision("shop", web=service(replicas=total(3))))
    fleet.wish(revision("shop", 2, web=service(replicas=total(1))))
    fleet.plan()
    assert notices(fleet) == []


def test_copies_that_two_sites_have_both_stay():
    fleet = three(kept(web=service(replicas=total(1))))
    (unit,) = (each for each in fleet.units("a").values() if isinstance(each, Assignment))
    fleet.change("b", units={**fleet.units("b"), "assignment/default/shop/web/0": unit})
    fleet.plan()
    assert fleet.places() == ["a/n1 web.0@1", "b/n1 web.0@1"]


def test_a_stand_in_ends_when_the_original_is_back():
    policy = Policy(autonomy=Autonomy(replace_after_us=1_000_000))
    fleet = three(kept(web=service(replicas=total(1), policy=policy)))
    fleet.change("a", silent=True, away_us=2_000_000)
    fleet.plan()
    assert fleet.places() == ["a/n1 web.0@1", "b/n1 web.0@1"]
    fleet.change("a", silent=False, away_us=None)
    report(fleet)
    fleet.plan()
    assert fleet.places() == ["a/n1 web.0@1"]


def test_a_deleted_app_ends_by_its_tombstone_and_an_older_copy_by_the_revision_after_it():
    made = kept(web=service(replicas=total(1)))
    fleet = three(made)
    stone = Tombstone(tenant=made.tenant, app=made.app, number=2, ends_app=True, volumes=())
    fleet.end("shop", 2, tombstone=stone, tombstone_digest=name_revision(made))
    fleet.plan()
    assert fleet.places() == []
    assert len(fleet.units("a")) == 1
    # The site is cut off and has not read it when the owner applies the app again, and elsewhere.
    again = kept(3, web=service(replicas=total(1), sites=Sites(names=(SiteName("b"),))))
    fleet.wish(again, tombstone=stone, tombstone_digest=name_revision(made))
    fleet.plan()
    assert fleet.places() == ["b/n1 web.0@3"]
    assert notices(fleet) == [("a", 3)]


def test_a_site_that_learns_is_left_as_it_is():
    fleet = three(kept(web=service(replicas=total(3))))
    fleet.change("c", learning=True)
    fleet.wish(kept(2, web=service(replicas=total(1))))
    fleet.plan()
    assert notices(fleet) == [("b", 2)]
    assert isinstance(fleet.sites[SiteName("c")], SiteView)
