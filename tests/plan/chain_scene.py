"""A town for chains: networks, instances with addresses, and what a node would steer; for planner and kernel alike."""

import msgspec
from tests.plan import scenery

from skerry.model.app import HealthCheck, Network, Port, Subnet
from skerry.model.chain import Chain, ChainEnd
from skerry.model.document import Assignment
from skerry.model.ids import InstanceId, NetworkName, ServiceName
from skerry.model.network import bridge_name, network_prefix
from skerry.model.observed import ChainsSeen, ContainerSeen, NetworkSeen, NodeSeen, Observation
from skerry.plan.actions import ApplyChains
from skerry.plan.chain_probes import ProbeNote
from skerry.plan.chains import plan_chains
from skerry.plan.history import History, Led, Run
from skerry.plan.site import derive_wanted
from skerry.plan.site_plan import Now, PlanDraft

INSIDE, MIDDLE, OUTSIDE = (NetworkName(name) for name in ("inside", "middle", "outside"))
V4 = {INSIDE: "10.176.1.0/24", MIDDLE: "10.176.2.0/24", OUTSIDE: "10.176.3.0/24"}
UPLINK = ChainEnd(kind="uplink")
FROM_INSIDE = ChainEnd(kind="network", name=INSIDE)
#: Who is there, in which networks; the number is the last part of the address.
PEOPLE: dict[str, tuple[int, tuple[NetworkName, ...]]] = {
    "client": (10, (INSIDE,)),
    "wall": (21, (INSIDE, MIDDLE)),
    "look": (22, (MIDDLE,)),
    "store": (23, (MIDDLE, OUTSIDE)),
    "far": (30, (OUTSIDE,)),
}
#: Devices of the node that chains may name, and who is there.
LAN, LAN2 = ("lan1", "lan2")
FROM_LAN = ChainEnd(kind="interface", name=LAN)
LAN_V4, LAN_V6 = "10.177.9.0/24", "2001:db8:77::/64"
DESK = ("10.177.9.10", "2001:db8:77::a")


def v6(network: NetworkName) -> str:
    return str(next(network_prefix(scenery.TENANT, scenery.APP, network).subnets(new_prefix=64)))


def address(network: NetworkName, number: int, *, six: bool = False) -> str:
    return v6(network).removesuffix("/64") + f"{number:x}" if six else f"{V4[network][:-4]}{number}"


def mac(network: NetworkName, number: int) -> str:
    return f"02:00:00:00:{sorted(V4).index(network):02x}:{number:02x}"


def bridge(network: NetworkName) -> str:
    return bridge_name(scenery.TENANT, scenery.APP, network)


def make_chain(*through: str, **words: object) -> Chain:
    steps = tuple(ServiceName(name) for name in through or ("wall", "look", "store"))
    base = Chain(name="out", start=FROM_INSIDE, through=steps, end=UPLINK)
    return msgspec.structs.replace(base, **words)


class Town:
    """What a planner sees: change ``down`` and ``unwell``, then ``plan``."""

    def __init__(self, *chains: Chain, checked: bool = False) -> None:
        self.chains = chains
        self.down: set[str] = set()
        self.unwell: set[str] = set()
        self.checked = checked
        self.seen: ChainsSeen | None = ChainsSeen()
        self.draft = PlanDraft(History(boot="b"), Now(boot_us=1))
        self.guarded = False
        self.devices: tuple[str, ...] = (LAN, LAN2)
        #: Published ports of those who have some.
        self.ports: dict[str, tuple[Port, ...]] = {}
        #: What is known of test packets, and the time of the next plan.
        self.probes: dict[str, ProbeNote] = {}
        self.now_us = 1
        #: ``whole``, ``withdrawn``, or ``shut out`` because it cut the node off.
        self.wished = "whole"
        #: What the plan before has kept in mind.
        self.led: dict[InstanceId, Led] = {}

    def observe(self) -> Observation:
        networks = tuple(
            NetworkSeen(
                tenant=scenery.TENANT,
                app=scenery.APP,
                name=name,
                ranges=(Subnet(subnet=V4[name], gateway=address(name, 1)), Subnet(subnet=v6(name))),
            )
            for name in V4
        )
        containers = tuple(self._see(name) for name in PEOPLE if name not in self.down)
        node = NodeSeen(node=scenery.hold(scenery.revision(1)).node, devices=self.devices)
        return Observation(driver="town", node=node, networks=networks, containers=containers, chains=self.seen)

    def _see(self, name: str) -> ContainerSeen:
        number, networks = PEOPLE[name]
        return ContainerSeen(
            container=name,
            instance=InstanceId(f"{scenery.TENANT}/{scenery.APP}/{name}/0"),
            tenant=scenery.TENANT,
            app=scenery.APP,
            service=ServiceName(name),
            ordinal=0,
            spec=scenery.image("x").digest,
            image_config=scenery.image("x").config,
            state="running",
            addresses={one: (address(one, number), address(one, number, six=True)) for one in networks},
            macs={one: mac(one, number) for one in networks},
        )

    def plan(self) -> ApplyChains | None:
        """Return what there is to do, and take it for done."""
        check = HealthCheck(test=("CMD", "true")) if self.checked else None
        services = {
            name: scenery.service(
                name, networks=dict.fromkeys(networks, ()), healthcheck=check, ports=self.ports.get(name, ())
            )
            for name, (_, networks) in PEOPLE.items()
        }
        app = scenery.revision(1, **services)
        app = msgspec.structs.replace(
            app, networks={name: Network() for name in V4}, chains=self.chains or msgspec.UNSET
        )
        units: list[Assignment] = [scenery.assign(app, name) for name in services]
        wanted, refused = derive_wanted(scenery.hold(app, *units))
        assert not refused, refused
        runs = {
            each.instance: Run(
                spec=each.spec,
                container=each.container,
                health="unhealthy" if each.service in self.unwell else "healthy",
            )
            for each in self.observe().containers
        }
        history = History(boot="b", runs=runs, probes=self.probes, led=self.led)
        self.draft = PlanDraft(history, Now(boot_us=self.now_us))
        wanted, shut_out = (wanted, {}) if self.wished == "whole" else ({}, wanted if self.wished == "shut out" else {})
        self.guarded = plan_chains(self.draft, wanted, self.observe(), history, scenery.hold(app).node, shut_out)
        self.led = self.draft.led
        found = next((action for action in self.draft.actions if isinstance(action, ApplyChains)), None)
        if found is not None:
            self.seen = ChainsSeen(digest=found.digest if found.steers else "", hops=found.hops)
        return found
