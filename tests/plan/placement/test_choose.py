"""Scores and ties of ``choose``: integers, lower is better, the order of enrolment decides."""

import msgspec
from tests.plan.fleets import GIB, name_revision, revision, service, site

from skerry.model.app import AppRevision, Further, Port
from skerry.model.grants import Device, NodeUse, Profile
from skerry.model.ids import ServiceName
from skerry.plan.placement.choose import REJECTIONS_MAX, choose
from skerry.plan.placement.estate import Estate
from skerry.plan.placement.request import Request, make_request
from skerry.plan.report import Placed, Refused
from skerry.plan.snapshot import SiteView


def _request(made: AppRevision) -> Request:
    return make_request(made, name_revision(made), ServiceName("web"))


def _choose(estate: Estate, request: Request) -> Placed | Refused:
    return choose(estate, request, 0, estate.slots, {})


def test_equal_nodes_are_taken_in_order_of_enrolment() -> None:
    estate = Estate((site("a", 2), site("z", 1)))
    found = _choose(estate, _request(revision("shop", web=service())))
    assert isinstance(found, Placed)
    assert found.site == "z"


def test_the_emptier_node_wins_and_a_held_image_decides_between_equals() -> None:
    estate = Estate((site("oslo", 1), site("rome", 2), site("bonn", 3)))
    request = _request(revision("shop", web=service(memory=GIB)))
    other = _request(revision("blog", web=service(memory=2 * GIB)))
    estate.commit(other, estate.slots[0])
    found = _choose(estate, request)
    assert isinstance(found, Placed)
    assert found.site == "rome"
    estate.slots[2].images[request.wish.image.digest] += 1
    found = _choose(estate, request)
    assert isinstance(found, Placed)
    assert found.site == "bonn"


def test_release_undoes_commit() -> None:
    estate = Estate((site("oslo", 1),))
    request = _request(revision("shop", web=service(memory=GIB, cpu=500, port=80)))
    estate.commit(request, estate.slots[0])
    assert isinstance(_choose(estate, request), Refused)
    estate.release(request, estate.slots[0])
    assert isinstance(_choose(estate, request), Placed)
    assert (estate.slots[0].cpu_used_m, estate.slots[0].memory_used_bytes) == (0, 0)
    assert estate.count_by(request.group, "node").total() == 0


def test_ports_of_one_address_and_of_all_addresses_collide() -> None:
    def at(address: str) -> Request:
        wish = msgspec.structs.replace(service(), ports=(Port(target=80, published=80, host_ip=address),))
        return _request(revision("shop", web=wish))

    for first, second, fits in (
        ("", "127.0.0.1", False),
        ("127.0.0.1", "0.0.0.0", False),
        ("127.0.0.1", "127.0.0.2", True),
        ("127.0.0.1", "127.0.0.1", False),
        ("::", "", False),
    ):
        estate = Estate((site("oslo", 1),))
        estate.commit(at(first), estate.slots[0])
        assert isinstance(_choose(estate, at(second)), Placed) is fits, (first, second)


def test_images_that_do_not_fit_on_the_disk_are_refused_once_they_add_up() -> None:
    estate = Estate((site("oslo", 1),))
    big = msgspec.structs.replace(service().image, size_bytes=30 * GIB)
    one = _request(revision("shop", web=msgspec.structs.replace(service(), image=big)))
    estate.commit(one, estate.slots[0])
    assert isinstance(_choose(estate, one), Placed), "the same image is there already"
    other = msgspec.structs.replace(service("2").image, size_bytes=30 * GIB)
    found = _choose(estate, _request(revision("blog", web=msgspec.structs.replace(service(), image=other))))
    assert isinstance(found, Refused)
    assert found.rejections[0].constraint == "disk"


def test_a_refusal_keeps_a_bounded_number_of_rejections_and_counts_all() -> None:
    estate = Estate(tuple(site(f"s{index}", index) for index in range(REJECTIONS_MAX + 50)))
    found = _choose(estate, _request(revision("shop", web=service(memory=2**40))))
    assert isinstance(found, Refused)
    assert len(found.rejections) == REJECTIONS_MAX
    assert found.reason == f"none of {REJECTIONS_MAX + 50} nodes can hold it: memory at {REJECTIONS_MAX + 50}"


def test_a_profile_and_its_devices_keep_newcomers_away_with_the_reason() -> None:
    use = NodeUse(devices=(Device(source="/dev/ttyUSB0", target="/dev/modem"),))
    wish = msgspec.structs.replace(service(), further=Further(node=use))
    request = _request(msgspec.structs.replace(revision("shop", web=wish), profile="modems"))
    granted = Profile(tenants=(request.tenant,), devices=("/dev/ttyUSB*",))

    def with_profile(name: str, devices: tuple[str, ...]) -> SiteView:
        view = site(name, tenants=("default",))
        record = msgspec.structs.replace(view.record, profiles={"modems": granted})
        nodes = {node: msgspec.structs.replace(fact, devices=devices) for node, fact in view.nodes.items()}
        return msgspec.structs.replace(view, record=record, nodes=nodes)

    views = (site("plain", 1), with_profile("empty", ()), with_profile("right", ("/dev/ttyUSB0",)))
    found = _choose(Estate(views), request)
    assert isinstance(found, Placed)
    assert found.site == "right"
    refused = _choose(Estate(views[:2]), request)
    assert isinstance(refused, Refused)
    told = {each.site: (each.constraint, each.detail) for each in refused.rejections}
    assert told == {
        "plain": ("profile", "plain has no profile modems for tenant default"),
        "empty": ("device", "needs /dev/ttyUSB0, which empty/n1 does not have"),
    }
