"""The working memory of a planning run: bandwidth is reserved on the uplinks of a site, which its nodes share."""

import msgspec
from tests.plan import fleets
from tests.plan.fleets import Fleet, revision, service, total

from skerry.model.placing import PlacementRules, Together
from skerry.model.policy import Policy, Priority
from skerry.model.uplinks import Bandwidth, Uplink

MBIT = 10**6


def site(name, enrolment=0, up=10, down=0, nodes=("n1", "n2")):
    view = fleets.site(name, enrolment, nodes=nodes)
    uplinks = {"fibre": Uplink(device="eth0", up_bps=up * MBIT, down_bps=down * MBIT)}
    return msgspec.structs.replace(view, record=msgspec.structs.replace(view.record, uplinks=uplinks))


def wants(up=0, down=0, copies=1, **words):
    return service(replicas=total(copies), bandwidth=Bandwidth(up_bps=up * MBIT, down_bps=down * MBIT), **words)


def refused(plan):
    return [one for each in plan.reports for one in each.refused]


def test_all_nodes_of_a_site_share_its_uplinks():
    made = Fleet(site("oslo"))
    made.wish(revision("shop", web=wants(up=4, copies=3)))
    plan = made.plan()
    assert len(made.places()) == 2
    (why,) = refused(plan)
    assert {each.constraint for each in why.rejections} == {"uplink"}
    assert why.rejections[0].detail == "the uplinks of oslo: needs 4 Mbit/s up, 2 Mbit/s of 10 Mbit/s left"
    assert len(why.rejections) == 2


def test_another_site_takes_what_the_first_cannot_carry():
    made = Fleet(site("oslo", 1, up=5), site("rome", 2, up=5))
    made.wish(revision("shop", web=wants(up=4, copies=2)))
    made.plan()
    assert [place[:4] for place in made.places()] == ["oslo", "rome"]


def test_a_direction_that_nobody_states_refuses_nothing():
    made = Fleet(site("oslo", up=10, down=0), fleets.site("bare", 1))
    made.wish(revision("shop", web=wants(down=900, copies=8)))
    assert not refused(made.plan())
    assert len(made.places()) == 8


def test_what_runs_stays_when_an_uplink_becomes_thinner():
    made = Fleet(site("oslo", up=10))
    made.wish(revision("shop", web=wants(up=4, copies=2)))
    made.plan()
    thin = site("oslo", up=5).record
    made.change("oslo", record=thin)
    made.plan()
    assert len(made.places()) == 2


def test_a_higher_priority_takes_the_rate_of_a_lower_one():
    made = Fleet(site("oslo", up=10, nodes=("n1",)))
    low = Policy(priority=Priority(value=300), max_down=1)
    made.wish(revision("ads", web=wants(up=8, policy=low)))
    made.plan()
    made.wish(revision("till", web=wants(up=5, policy=Policy(priority=Priority(value=700)))))
    made.plan()
    assert (made.places("till"), made.places("ads")) == (["oslo/n1 web.0@1"], [])


def test_services_that_are_kept_together_are_counted_together():
    made = Fleet(site("oslo", 1, up=5, nodes=("n1",)), site("rome", 2, up=10, nodes=("n1",)))
    with_db, with_web = (PlacementRules(together=(Together(services=(name,), by="site"),)) for name in ("db", "web"))
    made.wish(revision("shop", web=wants(up=3, rules=with_db), db=wants(up=3, rules=with_web)))
    made.plan()
    assert [place[:4] for place in made.places()] == ["rome", "rome"]


def test_a_new_revision_that_asks_for_more_moves_to_where_it_fits():
    made = Fleet(site("oslo", 1, up=5, nodes=("n1",)), site("rome", 2, up=10, nodes=("n1",)))
    made.wish(revision("shop", web=wants(up=3)))
    made.plan()
    assert made.places() == ["oslo/n1 web.0@1"]
    made.wish(revision("shop", number=2, web=wants(up=8)))
    made.plan()
    assert made.places() == ["rome/n1 web.0@2"]
