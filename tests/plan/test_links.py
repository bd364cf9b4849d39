"""Links of instances, and where published ports lead."""

import msgspec
import pytest

from skerry.model.app import Address, Further, NetworkPlan, Port, Subnet
from skerry.model.ids import AppName, Digest, InstanceId, NetworkName, ServiceName, TenantName
from skerry.model.instance import InstanceSpec
from skerry.model.observed import ContainerSeen, NetworkSeen, Observation
from skerry.plan.actions import ApplyTranslation
from skerry.plan.addresses import Lease, NoAddress
from skerry.plan.history import History
from skerry.plan.links import make_links, plan_translation
from skerry.plan.site_plan import Now, PlanDraft

TENANT, APP, DEFAULT, LAN = TenantName("alpha"), AppName("shop"), NetworkName("default"), NetworkName("lan")
WEB = ServiceName("web")
DIGEST = Digest(f"sha256:{'0' * 64}")


def network(name: NetworkName, subnet: str, *, internal: bool = False) -> NetworkSeen:
    ranges = (Subnet(subnet=subnet, gateway=subnet.replace("0/24", "1")),)
    return NetworkSeen(tenant=TENANT, app=APP, name=name, internal=internal, ranges=ranges)


NETWORKS = {
    DEFAULT: network(DEFAULT, "10.176.1.0/24"),
    LAN: network(LAN, "10.176.2.0/24", internal=True),
}
SPEC = InstanceSpec(
    tenant=TENANT,
    app=APP,
    service=WEB,
    ordinal=0,
    image=DIGEST,
    image_config=DIGEST,
    image_size_bytes=1,
    networks={LAN: (), DEFAULT: ()},
)


def leases(*taken: str) -> dict[NetworkName, Lease]:
    return {name: Lease(seen.ranges, NetworkPlan(), set(taken)) for name, seen in NETWORKS.items()}


def test_an_instance_has_a_device_in_each_network_and_a_way_out_by_the_open_one():
    links = make_links(SPEC, NETWORKS, leases("10.176.1.2"), {LAN: 1400})
    assert [(each.network, each.device, each.addresses, each.gateways, each.mtu) for each in links] == [
        (DEFAULT, "eth0", ("10.176.1.3/24",), ("10.176.1.1",), 0),
        (LAN, "eth1", ("10.176.2.2/24",), (), 1400),
    ]


def test_what_the_manifest_names_is_taken_as_it_is():
    wish = Address(ipv4="10.176.2.9", mac="02:00:00:00:00:09", device="eth0")
    spec = msgspec.structs.replace(SPEC, further=Further(addresses={LAN: wish}))
    links = make_links(spec, NETWORKS, leases(), {})
    assert [(each.device, each.addresses[0]) for each in links] == [
        ("eth1", "10.176.1.2/24"),
        ("eth0", "10.176.2.9/24"),
    ]
    assert links[1].mac == wish.mac


def test_a_full_network_is_named():
    everything = {f"10.176.2.{last}" for last in range(256)}
    with pytest.raises(NoAddress, match=r"its network lan: no address of 10\.176\.2\.0/24 is free"):
        make_links(SPEC, NETWORKS, leases(*everything), {})


def running(addresses: dict[NetworkName, tuple[str, ...]], *ports: Port, state: str = "running") -> ContainerSeen:
    return ContainerSeen(
        container="c1",
        instance=InstanceId("alpha/shop/web/0"),
        tenant=TENANT,
        app=APP,
        service=WEB,
        ordinal=0,
        spec=DIGEST,
        image_config=DIGEST,
        state=state,  # pyright: ignore[reportArgumentType]
        addresses=addresses,
        ports=ports,
    )


def translate(seen: ContainerSeen, translation: str | None = "") -> ApplyTranslation | None:
    draft = PlanDraft(History(boot="b"), Now(0, 0))
    observed = Observation(
        driver="node", containers=(seen,), networks=tuple(NETWORKS.values()), translation=translation
    )
    plan_translation(draft, observed)
    return next((each for each in draft.actions if isinstance(each, ApplyTranslation)), None)


def test_a_port_leads_to_what_runs_in_a_network_with_a_way_out():
    port = Port(target=80, published=8080)
    seen = running({LAN: ("10.176.2.2",), DEFAULT: ("10.176.1.2", "fd00::2")}, port)
    action = translate(seen)
    assert action is not None
    assert [(each.published, each.address, each.target) for each in action.ports] == [
        (8080, "10.176.1.2", 80),
        (8080, "fd00::2", 80),
    ]
    assert translate(seen, action.digest) is None
    only = translate(running({DEFAULT: ("10.176.1.2", "fd00::2")}, Port(target=80, published=80, host_ip="192.0.2.1")))
    assert only is not None
    assert [each.address for each in only.ports] == ["10.176.1.2"]


def test_no_port_leads_to_what_has_ended_nor_into_a_shut_network():
    port = Port(target=80, published=8080)
    for seen in (running({}, port, state="exited"), running({LAN: ("10.176.2.2",)}, port)):
        action = translate(seen)
        assert action is not None
        assert action.ports == ()


def test_where_the_runtime_translates_nothing_is_planned():
    assert translate(running({DEFAULT: ("10.176.1.2",)}, Port(target=80, published=8080)), None) is None
