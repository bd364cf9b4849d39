"""Who has which part of a stretched network, and who sees whom."""

from collections.abc import Iterable, Sequence

import msgspec
import pytest

from skerry.model.app import AppRevision, ImageRef, Network, NetworkPlan, NetworkWords, Service, Subnet
from skerry.model.document import Assignment, NetworkMember, NetworkPart, Peer, Unit, unit_id
from skerry.model.facts import OverlayFact
from skerry.model.ids import AppName, Digest, NetworkName, NodeName, ServiceName, SiteName, TenantName, digest_of
from skerry.model.network import part_ranges
from skerry.model.relay import RelayOffer
from skerry.model.signed import Envelope, RoleKeys, SiteRecord
from skerry.plan.snapshot import FleetSnapshot, SiteView
from skerry.plan.stretching import FULL_MESH_SITES, NEIGHBOURS_EACH_WAY, stretch_networks

ALPHA, SHOP, WEB, NODE = TenantName("alpha"), AppName("shop"), ServiceName("web"), NodeName("one")
MESH, INSIDE = NetworkName("mesh"), NetworkName("inside")
REVISION = Digest("sha256:" + "1" * 64)
NOBODY = RoleKeys(keys=())


def revision(app: str = "shop") -> AppRevision:
    image = ImageRef(name="web", digest=digest_of(b"m"), config=digest_of(b"c"), size_bytes=1)
    networks = {MESH: Network(words=NetworkWords(kind="overlay", scope="app")), INSIDE: Network()}
    services = {
        WEB: Service(image=image, networks={MESH: (), INSIDE: ()}),
        ServiceName("db"): Service(image=image, networks={INSIDE: ()}),
    }
    return AppRevision(
        tenant=ALPHA, app=AppName(app), number=1, source=digest_of(b"t"), services=services, networks=networks
    )


def view(name: str, enrolment: int, *units: Unit, position: tuple[int, int] | None = None, **words: object) -> SiteView:
    key = Envelope(type="t", payload=f"key of {name}".encode(), signatures=())
    east, north = position or (None, None)
    made = SiteView(
        record=SiteRecord(
            site=SiteName(name), number=1, tenants={ALPHA: NOBODY}, latitude_udeg=north, longitude_udeg=east
        ),
        record_digest=digest_of(name.encode()),
        enrolment=enrolment,
        overlays={NODE: OverlayFact(node=NODE, keys=(key,), port=51820, addresses=(f"192.0.2.{enrolment % 250}",))},
        units={unit_id(unit): unit for unit in units},
    )
    return msgspec.structs.replace(made, **words)


def seat(service: ServiceName = WEB, app: AppName = SHOP) -> Assignment:
    return Assignment(ALPHA, app, service, 0, NODE, REVISION)


def stretch(
    views: Sequence[SiteView], *, without: Iterable[str] = (), relay: RelayOffer | None = None
) -> dict[SiteName, list[Unit]]:
    snapshot = FleetSnapshot(sites=tuple(views), revisions={REVISION: revision()}, relay=relay)
    return stretch_networks(snapshot, {each.site: [seat()] for each in views if each.site not in without})


def members(units: Iterable[Unit]) -> list[SiteName]:
    return [unit.site for unit in units if isinstance(unit, NetworkMember)]


def parts(units: Iterable[Unit]) -> list[NetworkPart]:
    return [unit for unit in units if isinstance(unit, NetworkPart)]


def test_each_site_of_the_app_has_a_part_and_sees_the_others():
    units = stretch([view("oslo", 1), view("bergen", 2), view("voss", 3)], without=["voss"])
    assert units.keys() == {"oslo", "bergen"}
    (mine,), (theirs,) = parts(units[SiteName("oslo")]), parts(units[SiteName("bergen")])
    assert mine.index != theirs.index
    assert NetworkMember(ALPHA, SHOP, MESH, SiteName("bergen"), theirs.index) in units[SiteName("oslo")]
    peer = next(unit for unit in units[SiteName("oslo")] if isinstance(unit, Peer))
    assert peer == Peer(SiteName("bergen"), digest_of(b"bergen"), (digest_of(b"key of bergen"),), ("192.0.2.2:51820",))


def test_addresses_that_a_site_has_on_its_uplinks_are_given_to_no_part():
    (part,) = parts(stretch([view("a", 1)])[SiteName("a")])
    beside = str(part_ranges(part).v4[9])
    there = view("b", 2)
    fact = msgspec.structs.replace(next(iter(there.overlays.values())), addresses=(beside, "nonsense"))
    moved = stretch([view("a", 1), msgspec.structs.replace(there, overlays={fact.node: fact})])
    assert parts(moved[SiteName("a")])[0].index == part.index + 1


def test_no_part_is_put_into_a_range_of_a_manifest_while_there_is_another():
    (part,) = parts(stretch([view("a", 1)])[SiteName("a")])
    wide = NetworkPlan(subnets=(Subnet(subnet=str(part_ranges(part).v4.supernet(new_prefix=24))),))
    others = msgspec.structs.replace(revision(), networks={INSIDE: Network(plan=wide)})

    def place(*holders: NetworkPart) -> int:
        snapshot = FleetSnapshot(
            sites=(view("a", 1, *holders),), revisions={REVISION: revision(), digest_of(b"others"): others}
        )
        seated = stretch_networks(snapshot, {SiteName("a"): [seat()]})[SiteName("a")]
        return next(each.index for each in parts(seated) if each.app == SHOP)

    assert place() == part.index // 4 * 4 + 4
    assert place(part) == part.index, "what has its addresses keeps them"


def test_a_service_that_is_not_in_the_network_makes_no_member():
    views = [view("oslo", 1), view("bergen", 2)]
    snapshot = FleetSnapshot(sites=tuple(views), revisions={REVISION: revision()})
    units = stretch_networks(snapshot, {SiteName("oslo"): [seat()], SiteName("bergen"): [seat(ServiceName("db"))]})
    assert [unit_id(unit) for unit in units[SiteName("oslo")]] == ["network/alpha/shop/mesh"]


def test_parts_keep_their_addresses_and_come_back_to_them():
    views = [view("oslo", 1), view("bergen", 2)]
    first = stretch(views)
    again = stretch([msgspec.structs.replace(each, units=_map(first[each.site])) for each in views])
    assert again == first
    alone = stretch(views, without=["bergen"])
    assert parts(alone[SiteName("oslo")]) == parts(first[SiteName("oslo")])
    assert stretch(views) == first


def test_addresses_that_somebody_has_are_given_to_nobody_else():
    wanted = parts(stretch([view("oslo", 1)])[SiteName("oslo")])[0].index
    holder = NetworkPart(ALPHA, AppName("other"), MESH, wanted)
    units = stretch([view("oslo", 1), view("bergen", 2, holder)], without=["bergen"])
    assert parts(units[SiteName("oslo")])[0].index == wanted + 1


@pytest.mark.parametrize("words", [{"overlays": {}}, {"record_digest": Digest("")}])
def test_a_site_that_has_said_no_key_yet_is_seen_by_nobody_and_has_its_part(words: dict[str, object]):
    units = stretch([view("oslo", 1), msgspec.structs.replace(view("bergen", 2), **words)])
    assert members(units[SiteName("oslo")]) == []
    assert len(parts(units[SiteName("bergen")])) == 1


def test_what_the_core_saw_is_one_more_place_and_nonsense_is_none():
    overlay = OverlayFact(node=NODE, keys=(Envelope(type="t", payload=b"k", signatures=()),), port=7, addresses=("x",))
    seen = view("bergen", 2, overlays={NODE: overlay}, seen_from="2001:db8::1")
    units = stretch([view("oslo", 1), seen])
    peer = next(unit for unit in units[SiteName("oslo")] if isinstance(unit, Peer))
    assert peer.endpoints == ("[2001:db8::1]:7",)


def test_in_a_large_network_each_site_sees_those_near_it_and_all_sight_is_mutual():
    count = FULL_MESH_SITES + 40
    views = [view(f"s{number}", number, position=(1_500_000 * number, 60_000_000)) for number in range(1, count + 1)]
    units = stretch(views[::-1])
    seen = {site: set(members(found)) for site, found in units.items()}
    assert max(map(len, seen.values())) == 2 * NEIGHBOURS_EACH_WAY
    assert all(site in seen[other] for site, others in seen.items() for other in others)
    near = {f"s{number}" for number in range(50 - NEIGHBOURS_EACH_WAY, 51 + NEIGHBOURS_EACH_WAY)} - {"s50"}
    assert len(seen[SiteName("s50")] & near) > NEIGHBOURS_EACH_WAY


def test_without_such_networks_there_is_nothing():
    plain = msgspec.structs.replace(revision(), networks={MESH: Network(), INSIDE: Network()})
    views = [view("oslo", 1), view("bergen", 2)]
    snapshot = FleetSnapshot(sites=tuple(views), revisions={REVISION: plain})
    assert stretch_networks(snapshot, {each.site: [seat()] for each in views}) == {}


def _map(units: Iterable[Unit]) -> dict[str, Unit]:
    return {unit_id(unit): unit for unit in units}
