"""Host names and ports that two ask for at one node: another site takes the one, or it waits and is told why."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plan import fleets
from tests.plan.fleets import Fleet, revision, service, total

from skerry.model.app import Port
from skerry.model.entrance import Entrance
from skerry.model.ids import AppName, ServiceName, TenantName
from skerry.model.policy import Policy, Priority
from skerry.plan.placement.doors import Doors

SHOP = Entrance(host="shop.example", port=80)


def wants(*entrance: Entrance, copies: int = 1, **words: object):
    return service(replicas=total(copies), entrance=entrance, **words)


def publishes(port: int):
    return msgspec.structs.replace(service(replicas=total(1)), ports=(Port(target=80, published=port),))


def refused(plan):
    return [each.rejections[0] for report in plan.reports for each in report.refused]


@pytest.mark.parametrize(
    ("second", "detail"),
    [
        (wants(SHOP), "shop.example/ is given to a/web on oslo/n1"),
        (wants(Entrance(tcp=80, port=1)), "port 80/tcp is given to something else of the entrance on oslo/n1"),
        (publishes(80), "80/tcp is taken on oslo/n1"),
        (wants(Entrance(host="shop.example", path="/b", port=1)), ""),
        (wants(Entrance(host="zoo.example", port=1)), ""),
        (wants(Entrance(udp=80, port=1)), ""),
        (publishes(81), ""),
    ],
)
def test_what_one_has_another_takes_at_another_site_or_waits_for(second, detail: str):
    made = Fleet(fleets.site("oslo", 1))
    made.wish(revision("a", web=wants(SHOP)))
    made.plan()
    made.wish(revision("b", web=second))
    assert [each.detail for each in refused(made.plan())] == ([detail] if detail else [])
    assert made.places("a") == ["oslo/n1 web.0@1"]
    assert bool(made.places("b")) == (not detail)
    wider = Fleet(fleets.site("oslo", 1), fleets.site("rome", 2))
    for name, wish in (("a", wants(SHOP)), ("b", second)):
        wider.wish(revision(name, web=wish))
        wider.plan()
    assert len(wider.places("b")) == 1
    if detail:
        assert wider.places("b") == ["rome/n1 web.0@1"]


def test_a_published_port_keeps_an_entrance_away_as_well():
    made = Fleet(fleets.site("oslo", 1))
    made.wish(revision("a", web=publishes(443)))
    made.plan()
    made.wish(revision("b", web=wants(Entrance(host="b.example", tls="acme", port=1))))
    (found,) = refused(made.plan())
    assert (found.constraint, found.detail) == ("entrance", "port 443 is published by an instance on oslo/n1")


def test_copies_of_one_service_share_their_place_and_a_new_revision_keeps_it():
    made = Fleet(fleets.site("oslo", 1))
    made.wish(revision("a", web=wants(SHOP, copies=2)))
    assert refused(made.plan()) == []
    made.wish(revision("a", number=2, web=wants(SHOP, Entrance(tcp=25, port=25), copies=3)))
    assert refused(made.plan()) == []
    assert made.places("a") == [f"oslo/n1 web.{ordinal}@2" for ordinal in range(3)]


def test_a_place_is_free_again_when_who_had_it_is_gone():
    made = Fleet(fleets.site("oslo", 1))
    made.wish(revision("a", web=wants(SHOP)))
    made.plan()
    made.wish(revision("b", web=wants(SHOP)))
    assert refused(made.plan())
    made.wish(revision("a", number=2, web=wants(Entrance(host="other.example", port=80))))
    made.plan()
    assert made.places("b") == ["oslo/n1 web.0@1"]


def test_no_priority_takes_a_name_from_who_has_it():
    made = Fleet(fleets.site("oslo", 1))
    made.wish(revision("a", web=wants(SHOP, policy=Policy(priority=Priority(value=1), max_down=1))))
    made.plan()
    made.wish(revision("b", web=wants(SHOP, policy=Policy(priority=Priority(value=999)))))
    assert [each.constraint for each in refused(made.plan())] == ["entrance"]
    assert made.places("a") == ["oslo/n1 web.0@1"]


def group(tenant: str, app: str):
    return TenantName(tenant), AppName(app), ServiceName("web")


def test_another_tenants_names_are_not_told():
    doors = Doors()
    doors.add(group("acme", "secret-plan"), (SHOP, Entrance(tcp=25, port=1)), 1)
    for entrance, said in (
        (SHOP, "shop.example is given to another tenant"),
        (msgspec.structs.replace(SHOP, path="/b"), "shop.example is given to another tenant"),
        (Entrance(tcp=25, port=2), "tcp/25 is given to another tenant"),
        (Entrance(tcp=80, port=2), "port 80/tcp is given to something else of the entrance"),
    ):
        assert doors.find_clash(group("other", "shop"), (entrance,)) == said


_ENTRANCES = st.lists(
    st.sampled_from([SHOP, Entrance(host="shop.example", path="/b", port=1), Entrance(tcp=80, port=1)]), unique=True
)


@given(st.lists(st.tuples(st.sampled_from(["acme", "zeta"]), st.sampled_from("ab"), _ENTRANCES), max_size=6))
def test_what_is_taken_back_leaves_nothing(asked: list[tuple[str, str, list[Entrance]]]):
    doors = Doors()
    for sign in (1, -1):
        for tenant, app, entrances in asked:
            doors.add(group(tenant, app), tuple(entrances), sign)
    for entrance in (SHOP, Entrance(tcp=80, port=1)):
        assert doors.find_clash(group("other", "c"), (entrance,)) == ""
    assert not doors.has_port(Port(target=1, published=80))
