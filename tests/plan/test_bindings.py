"""Who may speak by the links of running instances, and where those of several networks lead."""

from collections.abc import Mapping

import msgspec
import pytest
from tests.plan import scenery

from skerry.model.chain import Chain, ChainEnd
from skerry.model.document import NetworkMember, NetworkPart, Unit, unit_id
from skerry.model.ids import AppName, Digest, InstanceId, NetworkName, ServiceName, SiteName, TenantName, digest_of
from skerry.model.network import part_ranges
from skerry.model.observed import ContainerSeen, Observation
from skerry.plan.actions import BindLinks, InsideRoute
from skerry.plan.bindings import plan_bindings
from skerry.plan.history import History
from skerry.plan.instances import Wanted
from skerry.plan.site import derive_wanted
from skerry.plan.site_plan import Now, PlanDraft

ALPHA, SHOP = TenantName("alpha"), AppName("shop")
MESH, FRONT = NetworkName("mesh"), NetworkName("front")
PART = NetworkPart(ALPHA, SHOP, MESH, 1)
MEMBERS = [NetworkMember(ALPHA, SHOP, MESH, SiteName(name), index) for name, index in (("bergen", 2), ("voss", 3))]
HERE = part_ranges(PART)
OWN = (str(HERE.v4[2]), str(HERE.v6[2]))
MAC = "02:00:00:00:00:07"


def container(*networks: NetworkName, **words: object) -> ContainerSeen:
    addresses = {MESH: OWN, FRONT: ("10.176.0.2",)}
    base = ContainerSeen(
        container="c" * 64,
        instance=InstanceId("alpha/shop/web/0"),
        tenant=ALPHA,
        app=SHOP,
        service=ServiceName("web"),
        ordinal=0,
        spec=digest_of(b"spec"),
        image_config=digest_of(b"image"),
        state="running",
        addresses={name: addresses[name] for name in networks},
        macs=dict.fromkeys(networks, MAC),
    )
    return msgspec.structs.replace(base, **words)


def look(
    seen: ContainerSeen,
    *,
    ours: bool = False,
    kept: Mapping[str, Digest] | None = None,
    members: int = 2,
    wanted: Mapping[InstanceId, Wanted] | None = None,
) -> list[BindLinks]:
    """What is planned; ``ours``: Skerry makes the links."""
    units: list[Unit] = [PART, *MEMBERS[:members]]
    observed = Observation(
        driver="node", containers=(seen,), bindings=dict(kept or {}), translation="" if ours else None
    )
    draft = PlanDraft(History(boot="b"), Now(boot_us=0))
    plan_bindings(draft, wanted or {}, observed, {unit_id(each): each for each in units})
    return [action for action in draft.actions if isinstance(action, BindLinks)]


def test_links_that_the_runtime_made_are_bound_to_what_it_gave_them_once():
    (action,) = look(container(MESH))
    ((network, mac, addresses, passes),) = ((e.network, e.mac, e.addresses, e.passes) for e in action.guards)
    assert (network, mac, addresses, passes) == (MESH, MAC, OWN, False)
    assert action.routes == ()
    assert look(container(MESH), kept={"c" * 64: action.digest}) == []


def test_links_of_our_own_are_bound_already():
    assert look(container(MESH), ours=True) == []


@pytest.mark.parametrize("words", [{"state": "exited"}, {"joined": digest_of(b"other")}, {"macs": {}}])
def test_what_does_not_run_or_has_no_link_of_its_own_is_left_alone(words: dict[str, object]):
    assert look(container(MESH, **words)) == []


def test_an_instance_in_several_networks_reaches_the_other_parts_of_each_by_that_network():
    (action,) = look(container(MESH, FRONT), ours=True)
    ranges = [part_ranges(member) for member in MEMBERS]
    assert set(action.routes) == {
        *(InsideRoute(str(each.v4), str(HERE.v4[1]), OWN[0]) for each in ranges),
        *(InsideRoute(str(each.v6), str(HERE.v6[1]), OWN[1]) for each in ranges),
    }
    (fewer,) = look(container(MESH, FRONT), ours=True, kept={"c" * 64: action.digest}, members=1)
    assert len(fewer.routes) == 2
    # Without a member nothing is kept, and what was there goes.
    (none,) = look(container(MESH, FRONT), ours=True, kept={"c" * 64: action.digest}, members=0)
    assert (none.routes, none.digest) == ((), Digest(""))


def test_one_that_has_no_address_of_a_family_has_no_routes_of_it():
    (action,) = look(container(MESH, FRONT, addresses={MESH: OWN[:1], FRONT: ("10.176.0.2",)}), ours=True)
    assert all(":" not in route.range for route in action.routes)


def test_a_step_of_a_chain_passes_on_what_others_sent():
    revision = scenery.revision(1, web=scenery.service())
    wanted, _ = derive_wanted(scenery.hold(revision, scenery.assign(revision, "web")))
    (instance,) = wanted
    item = wanted[instance]
    spec = item.derived.spec
    step = container(MESH, tenant=spec.tenant, app=spec.app, service=spec.service, instance=instance)
    assert [each.passes for each in look(step, wanted=wanted)[0].guards] == [False]
    start, end = ChainEnd(kind="network", name=MESH), ChainEnd(kind="uplink")
    chain = Chain(name="inspect", start=start, through=(spec.service,), end=end)
    steps = {instance: msgspec.structs.replace(item, chains=(chain,))}
    assert [each.passes for each in look(step, wanted=steps)[0].guards] == [True]


def test_where_no_driver_keeps_anything_nothing_is_planned():
    observed = Observation(driver="node", containers=(container(MESH),))
    draft = PlanDraft(History(boot="b"), Now(boot_us=0))
    plan_bindings(draft, {}, observed, {})
    assert draft.actions == []
