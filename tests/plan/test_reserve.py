"""Copies of other sites that stand by at an entrance: whose, by which addresses, and where none may."""

import msgspec
import pytest
from tests.plan import scenery
from tests.plan.test_names import DEFAULT, FAR, FARTHER, MEMBERS, RTTS, member

from skerry.model.chain import Chain, ChainEnd
from skerry.model.document import NetworkPart, Unit, unit_id
from skerry.model.entrance import Entrance
from skerry.model.ids import ServiceName, SiteName
from skerry.model.network import part_ranges
from skerry.model.observed import Heard, NamesSeen
from skerry.plan.places import Claim, find_lingering, settle_entrance
from skerry.plan.reserve import RESERVE_MAX, list_reserve
from skerry.plan.site import derive_wanted

WEB = ServiceName("web")
OWN = NetworkPart(scenery.TENANT, scenery.APP, DEFAULT, 3)
UNITS = {unit_id(each): each for each in (OWN, *map(member, MEMBERS))}
UDP = Claim((scenery.TENANT, scenery.APP, WEB), Entrance(udp=53, port=5353), networks=(DEFAULT,))
TCP = msgspec.structs.replace(UDP, entrance=Entrance(tcp=25, port=2525))


def at(site: SiteName, last: int, family: str = "v4") -> str:
    return str(getattr(part_ranges(member(site)), family)[last])


def hear(*heard: tuple[SiteName, tuple[str, ...]], service: ServiceName = WEB) -> NamesSeen:
    said = (Heard(scenery.TENANT, scenery.APP, DEFAULT, service, site, addresses) for site, addresses in heard)
    return NamesSeen(rtt_us=RTTS, heard=tuple(said))


def find(claim: Claim, names: NamesSeen | None, **units: Unit) -> list[tuple[str, int, str]]:
    servers = list_reserve(claim, {**UNITS, **units}, names)
    assert {each.rank for each in servers} <= {1}
    assert len({each.name for each in servers}) == len(servers)
    return [(each.address, each.port, each.source) for each in servers]


BOTH = (at(FAR, 5), at(FAR, 5, "v6"))
SOURCES = (str(part_ranges(OWN).v4[1]), str(part_ranges(OWN).v6[1]))


def test_datagrams_are_led_in_their_own_family_and_connections_by_ipv4_where_there_is_one():
    names = hear((FARTHER, (at(FARTHER, 9),)), (FAR, BOTH))
    assert sorted(find(UDP, names)) == [(BOTH[0], 5353, SOURCES[0]), (BOTH[1], 5353, SOURCES[1])]
    assert find(TCP, names) == [(BOTH[0], 2525, SOURCES[0])]
    assert find(TCP, hear((FAR, BOTH[1:]))) == [(BOTH[1], 2525, SOURCES[1])]


def test_those_of_the_nearest_site_that_has_any_stand_by():
    assert find(UDP, hear((FARTHER, (at(FARTHER, 9),)), (FAR, ()))) == [(at(FARTHER, 9), 5353, SOURCES[0])]
    assert find(UDP, hear((FAR, ()))) == []


def test_of_each_family_so_many_stand_by_and_no_more():
    many = tuple(at(FAR, last, family) for family in ("v4", "v6") for last in range(2, 22))
    assert len(find(UDP, hear((FAR, many)))) == 2 * RESERVE_MAX
    assert len(find(TCP, hear((FAR, many)))) == RESERVE_MAX


@pytest.mark.parametrize("claim", [UDP, TCP])
def test_nobody_stands_by_who_is_another_service_or_outside_of_the_part_that_its_site_has(claim: Claim):
    assert find(claim, hear((FAR, BOTH), service=ServiceName("db"))) == []
    assert find(claim, hear((FAR, (at(FARTHER, 5), "192.0.2.1")))) == []
    assert find(claim, hear((SiteName("strange"), BOTH))) == []
    assert find(msgspec.structs.replace(claim, networks=()), hear((FAR, BOTH))) == []
    assert find(claim, None) == []
    assert find(claim, NamesSeen(reason="unbound is not there")) == []


CHAIN = Chain(
    name="out",
    start=ChainEnd(kind="network", name="default"),
    through=(ServiceName("wall"),),
    end=ChainEnd(kind="uplink"),
)


@pytest.mark.parametrize(
    ("start", "end", "chained"),
    [
        (CHAIN.start, CHAIN.end, True),
        (CHAIN.end, ChainEnd(kind="service", name="web"), True),
        (ChainEnd(kind="service", name="wall"), CHAIN.end, False),
        (CHAIN.start, ChainEnd(kind="network", name="aside"), False),
    ],
)
def test_datagrams_do_not_get_around_a_chain_by_way_of_another_site(start: ChainEnd, end: ChainEnd, chained: bool):
    words = {"entrance": (UDP.entrance, TCP.entrance)}
    app = scenery.revision(1, web=scenery.service(**words), wall=scenery.service())
    app = msgspec.structs.replace(app, chains=(msgspec.structs.replace(CHAIN, start=start, end=end),))
    held = scenery.hold(app, scenery.assign(app, "web"))
    claims = settle_entrance(derive_wanted(held)[0], None).claims
    lingering = find_lingering(held, held.units)
    for found in (claims, lingering):
        by_place = {each.entrance.place: each for each in found}
        assert {each.chained for each in found} == {chained}
        assert bool(find(by_place["udp/53"], hear((FAR, BOTH)))) is not chained
        assert find(by_place["tcp/25"], hear((FAR, BOTH)))
