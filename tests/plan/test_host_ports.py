"""Ports that the site chooses: none twice, none that is asked for by number, and the same again after a restart."""

import msgspec
from tests.plan import scenery

from skerry.model.app import Port
from skerry.model.ids import InstanceId
from skerry.model.instance import spec_digest
from skerry.model.limits import HOST_PORT_FIRST, HOST_PORT_LAST
from skerry.plan.derive import Derived
from skerry.plan.host_ports import settle_ports
from skerry.plan.instances import Wanted
from skerry.plan.site import derive_wanted

SPAN = (HOST_PORT_FIRST, HOST_PORT_LAST)


def wanted(**ports: tuple[Port, ...]) -> dict[InstanceId, Wanted]:
    wish = scenery.revision(web=scenery.service())
    (base,) = derive_wanted(scenery.hold(wish, scenery.assign(wish, "web")))[0].values()
    found: dict[InstanceId, Wanted] = {}
    for name, given in ports.items():
        spec = msgspec.structs.replace(base.derived.spec, service=name, ports=given)
        found[spec.id] = msgspec.structs.replace(base, derived=Derived(spec, spec_digest(spec)))
    return found


def settle(items: dict[InstanceId, Wanted]) -> dict[InstanceId, Wanted]:
    settled, refused = settle_ports(items)
    assert not refused
    return settled


def published(items: dict[InstanceId, Wanted]) -> list[int]:
    return [port.published for _, item in sorted(items.items()) for port in item.derived.spec.ports]


def test_nothing_changes_where_nothing_is_chosen():
    items = wanted(a=(Port(target=80, published=8080),))
    assert settle(items) is items


def test_a_chosen_port_is_the_same_each_time_and_part_of_what_runs():
    items = wanted(a=(Port(target=80, among=SPAN),))
    (number,) = published(settle(items))
    assert HOST_PORT_FIRST <= number <= HOST_PORT_LAST
    assert settle(items) == settle(items)
    (item,) = settle(items).values()
    assert item.derived.digest == spec_digest(item.derived.spec) != next(iter(items.values())).derived.digest


def test_a_port_that_somebody_asked_for_is_never_chosen_whoever_comes_first():
    for one, other in (("a", "b"), ("b", "a")):
        items = wanted(**{one: (Port(target=80, among=(8000, 8001)),), other: (Port(target=80, published=8000),)})
        assert sorted(published(settle(items))) == [8000, 8001]


def test_two_that_meet_get_two_ports_and_udp_is_not_tcp():
    items = wanted(
        a=(Port(target=80, among=(8000, 8001)), Port(target=80, protocol="udp", among=(8000, 8000))),
        b=(Port(target=80, among=(8000, 8001)),),
    )
    tcp_a, udp, tcp_b = published(settle(items))
    assert {tcp_a, tcp_b} == {8000, 8001}
    assert udp == 8000


def test_where_none_is_free_the_wish_is_refused_and_nothing_else():
    wish = scenery.revision(
        a=scenery.service(ports=(Port(target=80, among=(8000, 8000)),)),
        b=scenery.service(ports=(Port(target=80, among=(8000, 8000)),)),
    )
    found, refused = derive_wanted(scenery.hold(wish, scenery.assign(wish, "a"), scenery.assign(wish, "b")))
    assert published(found) == [8000]
    assert {name: why.code for name, why in refused.items()} == {"assignment/default/shop/b/0": "E-PORT-IN-USE"}


def test_one_more_instance_seldom_moves_another():
    many = {f"s{index}": (Port(target=80, among=SPAN),) for index in range(20)}
    before = settle(wanted(**many))
    after = settle(wanted(a=(Port(target=80, among=SPAN),), **many))
    moved = [name for name in before if before[name].derived.spec.ports != after[name].derived.spec.ports]
    assert moved == []
