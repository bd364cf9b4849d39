"""One node of a site is kept free: newcomers go beside it, and what may move leaves it for another node first."""

from tests.plan.fleets import Fleet, per_site, revision, service, site, total


def _fleet(**words):
    return Fleet(site("oslo", nodes=("n1", "n2")), **words)


def _homes(fleet, name="oslo"):
    return sorted(unit.node for key, unit in fleet.units(name).items() if key.startswith("assignment/"))


def _plan(fleet, rounds=4):
    for _ in range(rounds):
        plan = fleet.plan()
    return plan


def test_a_newcomer_goes_to_the_node_that_is_not_cordoned():
    for mode in ("cordon", "drain"):
        fleet = _fleet()
        fleet.change("oslo", node_cordons={"n1": mode})
        fleet.wish(revision("shop", web=service(replicas=per_site(2))))
        _plan(fleet)
        assert _homes(fleet) == ["n2", "n2"]


def test_a_cordon_moves_nothing_and_a_drain_moves_a_copy_wanted_here_to_the_other_node():
    fleet = _fleet()
    fleet.wish(revision("shop", web=service(replicas=per_site(1))))
    _plan(fleet)
    (home,) = _homes(fleet)
    other = {"n1": "n2", "n2": "n1"}[home]
    fleet.change("oslo", node_cordons={home: "cordon"})
    _plan(fleet)
    assert _homes(fleet) == [home]
    fleet.change("oslo", node_cordons={home: "drain"})
    _plan(fleet)
    assert _homes(fleet) == [other]
    assert _plan(fleet).documents == (), "planned again: nothing to do"


def test_with_both_nodes_drained_a_copy_wanted_here_stays_and_says_why():
    fleet = _fleet()
    fleet.wish(revision("shop", web=service(replicas=per_site(1))))
    _plan(fleet)
    before = _homes(fleet)
    fleet.change("oslo", node_cordons={"n1": "drain", "n2": "drain"})
    plan = _plan(fleet)
    assert _homes(fleet) == before
    ((staying,),) = [report.staying for report in plan.reports]
    assert "wants a copy at each site" in staying.reason


def test_a_copy_counted_in_all_may_go_to_another_site_when_no_node_here_is_left():
    fleet = Fleet(site("oslo", 1), site("rome", 2))
    fleet.wish(revision("shop", web=service(replicas=total(1))))
    _plan(fleet)
    assert _homes(fleet, "oslo") == ["n1"]
    fleet.change("oslo", node_cordons={"n1": "drain"})
    _plan(fleet)
    assert (_homes(fleet, "oslo"), _homes(fleet, "rome")) == ([], ["n1"])


def test_the_word_about_the_site_and_that_about_a_node_are_heard_together():
    view = site("oslo", nodes=("n1", "n2"), cordon="cordon", node_cordons={"n1": "drain"})
    assert (view.cordon_of("n1"), view.cordon_of("n2"), view.is_closed) == ("drain", "cordon", True)
    view = site("oslo", nodes=("n1", "n2"), node_cordons={"n1": "drain"})
    assert (view.cordon_of("n1"), view.cordon_of("n2"), view.is_closed) == ("drain", "", False)
