"""Where names lead: to this site first, then to the nearest that has one; and no view holds what is not its own."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plan import scenery

from skerry.model.app import AppRevision, HealthCheck, Network, NetworkWords, Port, Service, Subnet
from skerry.model.document import NetworkMember, NetworkPart, Unit, unit_id
from skerry.model.entrance import Entrance
from skerry.model.ids import (
    AppName,
    Digest,
    InstanceId,
    NetworkName,
    NodeName,
    ServiceName,
    SiteName,
    TenantName,
    UnitId,
)
from skerry.model.instance import spec_digest
from skerry.model.network import part_ranges
from skerry.model.observed import ContainerSeen, ContainerState, Health, Heard, NamesSeen, NetworkSeen, Observation
from skerry.plan.actions import ApplyNames, CreateNetwork, Link, Zone
from skerry.plan.history import History, Run
from skerry.plan.names import TOLD_MAX, explain_names, is_answerable, plan_names
from skerry.plan.site import derive_wanted
from skerry.plan.site_plan import HeldSite, Now, PlanDraft

DEFAULT = NetworkName("default")
CHECK = HealthCheck(test=("CMD", "true"))
FAR, FARTHER = SiteName("bergen"), SiteName("tromso")
RTTS = {FAR: 8_000, FARTHER: 30_000}
MEMBERS = {FAR: 7, FARTHER: 9}


def seen_network(name: str = "default", tenant: str = scenery.TENANT, net: str = "10.176.1", **words: object):
    base = NetworkSeen(
        tenant=TenantName(tenant),
        app=scenery.APP,
        name=NetworkName(name),
        names=True,
        ranges=(Subnet(subnet=f"{net}.0/24", gateway=f"{net}.1"),),
    )
    return msgspec.structs.replace(base, **words)


def address(site: SiteName, last: int) -> str:
    return str(part_ranges(member(site)).v4[last])


def member(site: SiteName) -> NetworkMember:
    return NetworkMember(scenery.TENANT, scenery.APP, DEFAULT, site, MEMBERS[site])


class Node:
    """A site whose containers, health and neighbours can be said."""

    def __init__(self, app: AppRevision | None = None, *, stretched: bool = False, **services: Service) -> None:
        app = app or scenery.revision(1, **(services or {"web": scenery.service()}))
        words = NetworkWords(kind="overlay", scope="app") if stretched else msgspec.UNSET
        self.app = msgspec.structs.replace(app, networks={DEFAULT: Network(words=words), **app.networks})
        units: list[Unit] = [scenery.assign(self.app, name) for name in self.app.services]
        if stretched:
            units += [NetworkPart(scenery.TENANT, scenery.APP, DEFAULT, 3), *map(member, MEMBERS)]
        self.held: HeldSite = scenery.hold(self.app, *units)
        self.wanted = derive_wanted(self.held)[0]
        self.containers: tuple[ContainerSeen, ...] = ()
        self.runs: dict[InstanceId, Run] = {}
        self.networks: tuple[NetworkSeen, ...] = (seen_network(),)
        self.names = NamesSeen(rtt_us=RTTS)
        self.links: dict[InstanceId, tuple[Link, ...]] = {}

    def run(
        self, service: str, *addresses: str, health: Health = "none", state: ContainerState = "running", **networks: str
    ) -> None:
        (instance,) = [name for name in self.wanted if name.split("/")[2] == service]
        where: dict[NetworkName, tuple[str, ...]] = {DEFAULT: addresses} if addresses else {}
        where |= {NetworkName(name): (one,) for name, one in networks.items()}
        spec = self.wanted[instance].derived.spec
        self.containers += (
            ContainerSeen(
                container=f"c{len(self.containers)}",
                instance=instance,
                tenant=spec.tenant,
                app=spec.app,
                service=spec.service,
                ordinal=0,
                spec=spec_digest(spec),
                image_config=spec.image_config,
                state=state,
                addresses=where,
            ),
        )
        self.runs[instance] = Run(
            spec=spec_digest(spec), container=self.containers[-1].container, running=True, health=health
        )

    def hear(self, service: str, site: SiteName, *addresses: str) -> None:
        heard = Heard(scenery.TENANT, scenery.APP, DEFAULT, ServiceName(service), site, addresses)
        kept = [each for each in self.names.heard if (each.service, each.site) != (service, site)]
        self.names = msgspec.structs.replace(self.names, heard=(*kept, heard))

    @property
    def observed(self) -> Observation:
        return Observation(driver="node", containers=self.containers, networks=self.networks, names=self.names)

    @property
    def history(self) -> History:
        return History(boot="b", runs=self.runs)

    def plan(self) -> PlanDraft:
        draft = PlanDraft(self.history, Now(1))
        plan_names(draft, self.held, self.wanted, self.observed, self.links)
        return draft

    def apply(self) -> ApplyNames:
        (action,) = self.plan().actions
        assert isinstance(action, ApplyNames)
        return action

    def zone(self, network: str = "default") -> Zone:
        (zone,) = [each for each in self.apply().zones if each.network == network]
        return zone

    def lead(self, name: str, network: str = "default") -> tuple[str, ...]:
        return {each.name: each.addresses for each in self.zone(network).names}[name]

    def why(self, name: str) -> str:
        (leads,) = explain_names(self.held, self.wanted, self.observed, self.history).values()
        (lead,) = [each for each in leads if each.name == name]
        return lead.why


def test_every_name_of_a_service_leads_to_it():
    web = scenery.service(networks={DEFAULT: ("shop-front", "WWW")}, hostname="till", domainname="example")
    node = Node(web=web)
    node.run("web", "10.176.1.5", "fd00::5")
    for name in ("web", "web.shop", "shop-front", "www", "till", "till.example"):
        assert node.lead(name) == ("10.176.1.5", "fd00::5"), name
    assert dict(node.zone().reverse) == {"10.176.1.5": "web.shop", "fd00::5": "web.shop"}


def test_nothing_is_left_to_do_once_the_server_answers_so():
    node = Node()
    node.run("web", "10.176.1.5")
    node.names = msgspec.structs.replace(node.names, digest=node.apply().digest)
    assert node.plan().actions == []


def test_no_network_no_server():
    node = Node()
    node.networks = ()
    assert node.plan().actions == []
    node.names = NamesSeen(digest="sha256:old")
    assert node.apply() == ApplyNames(zones=(), askers=(), questions=(), digest=Digest(""))


def test_what_is_left_of_a_server_is_taken_away_where_none_is_to_be():
    node = Node()
    node.networks = ()
    assert node.plan().actions == []
    node.names = NamesSeen(left=True)
    assert node.apply().zones == ()


def test_a_network_whose_names_the_runtime_answers_is_left_to_it():
    node = Node()
    node.networks = (seen_network(names=False),)
    assert node.plan().actions == []


def test_a_node_without_a_server_says_that_names_are_missing():
    node = Node()
    node.names = NamesSeen(reason="unbound is not there")
    assert [(wait.subject, wait.reason) for wait in node.plan().waits] == [
        ("names", "instances find no names: unbound is not there")
    ]


def test_a_known_service_without_an_instance_is_known_and_leads_nowhere():
    node = Node(web=scenery.service(ports=(Port(target=80),)))
    assert node.lead("web") == ()
    assert [(port.service, port.target) for port in node.zone().ports] == [("web", ""), ("web.shop", "")]
    node.run("web", "10.176.1.5")
    assert [(port.service, port.target) for port in node.zone().ports] == [
        ("web", "web.shop"),
        ("web.shop", "web.shop"),
    ]


@pytest.mark.parametrize(("health", "leads"), [("healthy", True), ("unhealthy", False), ("starting", False)])
def test_only_what_is_well_is_answered_where_there_is_a_health_check(health: Health, leads: bool):
    node = Node(web=scenery.service(healthcheck=CHECK))
    node.run("web", "10.176.1.5", health=health)
    assert node.lead("web") == (("10.176.1.5",) if leads else ())
    assert node.lead("web-0") == ("10.176.1.5",)


def test_what_was_answered_stays_so_until_a_new_agent_has_judged_it():
    node = Node(web=scenery.service(healthcheck=CHECK))
    node.run("web", "10.176.1.5", health="none")
    assert node.lead("web") == ()
    node.names = msgspec.structs.replace(node.names, answered=frozenset({"10.176.1.5"}))
    assert node.lead("web") == ("10.176.1.5",)
    node.runs = {name: msgspec.structs.replace(run, health="unhealthy") for name, run in node.runs.items()}
    assert node.lead("web") == ()


@pytest.mark.parametrize("state", ["created", "paused", "exited", "stopping"])
def test_what_does_not_run_is_not_answered(state: ContainerState):
    node = Node()
    node.run("web", "10.176.1.5", state=state)
    assert node.lead("web") == ()


def test_what_is_to_stop_is_taken_out_before_it_stops():
    app = Node().app
    node = Node()
    node.held = scenery.hold(app, scenery.assign(app, "web", state="hold"))
    node.wanted = derive_wanted(node.held)[0]
    node.run("web", "10.176.1.5")
    assert node.lead("web") == ()


# Other sites


def test_own_site_first_then_the_nearest_that_has_one_then_nowhere():
    node = Node(stretched=True)
    node.run("web", "10.64.0.200")
    node.hear("web", FARTHER, address(FARTHER, 5))
    node.hear("web", FAR, address(FAR, 5), address(FAR, 6))
    assert node.lead("web") == ("10.64.0.200",)
    assert node.why("web") == "it is well at this site"
    node.containers = ()
    assert node.lead("web") == (address(FAR, 5), address(FAR, 6))
    assert (
        node.why("web")
        == "nothing of it is well here; bergen is the nearest of 2 sites that have one, 8.0 ms there and back"
    )
    node.hear("web", FAR)
    assert node.lead("web") == (address(FARTHER, 5),)
    node.names = msgspec.structs.replace(node.names, heard=())
    assert node.lead("web") == ()
    assert node.why("web") == "nothing of it is well here; bergen, tromso did not answer"


def test_other_sites_are_told_of_this_site_alone():
    node = Node(stretched=True)
    node.hear("web", FAR, address(FAR, 5))
    assert [(each.name, each.addresses) for each in node.zone().own] == [("web", ())]
    node.run("web", *(f"10.64.0.{200 + last}" for last in range(40)))
    (own,) = node.zone().own
    assert len(own.addresses) == TOLD_MAX


def test_a_site_speaks_for_its_own_part_only():
    node = Node(stretched=True)
    node.hear("web", FAR, address(FARTHER, 5), "10.64.0.200", "192.0.2.1", "nonsense", address(FAR, 5))
    assert node.lead("web") == (address(FAR, 5),)
    node.hear("web", SiteName("strange"), "10.64.9.9")
    assert node.lead("web") == (address(FAR, 5),)


def test_only_what_is_not_well_here_is_asked_for_and_what_is_used_is_asked_often():
    node = Node(stretched=True, web=scenery.service(), db=scenery.service())
    node.run("db", "10.64.0.200")
    questions = node.apply().questions
    assert [(each.service, each.site, each.often) for each in questions] == [("web", FAR, True), ("web", FARTHER, True)]
    assert questions[0].server == address(FAR, 1)
    assert questions[0].source == str(part_ranges(NetworkPart(scenery.TENANT, scenery.APP, DEFAULT, 3)).v4[1])
    node.hear("web", FAR, address(FAR, 5))
    assert [each.often for each in node.apply().questions] == [True, False]
    node.run("web", "10.64.0.201")
    assert node.apply().questions == ()


def test_where_people_are_led_to_is_asked_more_often_still():
    door = (Entrance(tcp=25, port=80),)
    node = Node(stretched=True, web=scenery.service(entrance=door))

    def asked() -> list[tuple[SiteName, bool, bool]]:
        return [(each.site, each.often, each.soon) for each in node.apply().questions]

    assert asked() == [(FAR, True, False), (FARTHER, True, False)]
    node.hear("web", FAR, address(FAR, 5))
    assert asked() == [(FAR, True, True), (FARTHER, False, False)]
    node.run("web", "10.64.0.201")
    assert asked() == [(FAR, False, False), (FARTHER, False, False)]


def test_a_network_of_this_site_asks_nobody():
    assert Node().apply().questions == ()


# Several networks


def two_networks() -> Node:
    front, back = NetworkName("default"), NetworkName("back")
    web = scenery.service(networks={front: (), back: ()})
    app = scenery.revision(1, web=web, db=scenery.service(networks={back: ()}), page=scenery.service())
    node = Node(msgspec.structs.replace(app, networks={back: Network()}))
    node.networks = (seen_network(), seen_network("back", net="10.176.2"))
    node.run("db", back="10.176.2.5")
    return node


def test_an_instance_of_two_networks_is_let_ask_for_both():
    node = two_networks()
    node.run("web", "10.176.1.6", back="10.176.2.6")
    action = node.apply()
    assert [(each.address, each.networks) for each in action.askers] == [
        ("10.176.1.6", ("back", "default")),
        ("10.176.2.6", ("back", "default")),
    ]
    assert all(zone.unsaid == () for zone in action.zones)


def test_while_it_begins_its_questions_are_left_open():
    node = two_networks()
    node.run("web", state="created")
    assert node.zone().unsaid == ("db", "db.shop")
    assert node.zone("back").unsaid == ("page", "page.shop")


def test_where_its_addresses_are_known_before_it_starts_it_is_let_ask_at_once():
    node = two_networks()
    node.run("web", state="created")
    links = {"default": "10.176.1.6/24", "back": "10.176.2.6/24"}
    node.links[node.containers[-1].instance] = tuple(
        Link(network=NetworkName(name), device="eth0", mac="", addresses=(address,)) for name, address in links.items()
    )
    assert [each.address for each in node.apply().askers] == ["10.176.1.6", "10.176.2.6"]
    assert node.zone().unsaid == ()


def test_a_view_knows_its_own_network_alone():
    node = two_networks()
    assert "db" not in {each.name for each in node.zone().names}


# Making networks


def test_a_network_is_made_for_the_node_s_server_where_there_is_one():
    world = scenery.World(Node().held)
    for names, expected in ((None, False), (NamesSeen(reason="none"), False), (NamesSeen(), True)):
        world.observed = msgspec.structs.replace(world.observed, names=names)
        (made,) = [action for action in world.look().actions if isinstance(action, CreateNetwork)]
        assert made.names is expected
        assert made.plan_name == ""


def test_networks_of_one_app_do_alike():
    node = two_networks()
    world = scenery.World(node.held)
    old = seen_network(names=False)
    world.observed = msgspec.structs.replace(world.observed, names=NamesSeen(), networks=(old,))
    (made,) = [action for action in world.look().actions if isinstance(action, CreateNetwork)]
    assert (made.name, made.names) == ("back", False)


def test_a_network_of_before_is_not_made_anew_for_names():
    world = scenery.World(Node().held)
    for _ in range(20):
        world.step()
    world.observed = msgspec.structs.replace(world.observed, names=NamesSeen())
    assert world.look().actions == ()
    assert not [wait for wait in world.look().waits if wait.subject.startswith("network")]


# What holds always


@pytest.mark.parametrize("name", ["web", "a.b.c", "_x.y", "a_b", "w" * 63])
def test_a_host_name_can_be_answered(name: str):
    assert is_answerable(name)


@pytest.mark.parametrize(
    "name", ["", ".", "a..b", "-a", "a b", "a\nb", "web.", "w" * 64, "skerry", "x.own.skerry", "é", "*", "$x", "a;b"]
)
def test_what_could_be_more_than_a_name_is_not_answered(name: str):
    assert not is_answerable(name)


names = st.sampled_from(["web", "db", "api"])
anywhere = st.sampled_from(
    [
        *(f"10.176.{net}.{last}" for net in (1, 2, 3) for last in (5, 6)),
        address(FAR, 5),
        address(FARTHER, 6),
        "192.0.2.1",
    ]
)


@given(
    st.lists(st.tuples(st.sampled_from(["alpha", "beta"]), st.sampled_from(["default", "back"]), names, anywhere)),
    st.lists(
        st.tuples(
            st.sampled_from(["alpha", "beta"]),
            st.sampled_from(["default", "back"]),
            names,
            st.sampled_from([FAR, FARTHER]),
            anywhere,
        )
    ),
)
def test_no_view_holds_an_address_of_another_tenant_or_network(
    running: list[tuple[str, ...]], heard: list[tuple[str, ...]]
):
    """Each address belongs to what it was seen at; whatever runs and whatever is heard, it stays there."""
    held: dict[Digest, AppRevision] = {}
    seen: list[ContainerSeen] = []
    units: dict[UnitId, Unit] = {}
    for tenant in ("alpha", "beta"):
        app = scenery.revision(
            1,
            **{name: scenery.service(networks={DEFAULT: (), NetworkName("back"): ()}) for name in ("web", "db", "api")},
        )
        app = msgspec.structs.replace(
            app, tenant=TenantName(tenant), networks={DEFAULT: Network(), NetworkName("back"): Network()}
        )
        held[scenery.digest_revision(app)] = app
        for unit in (scenery.assign(app, name) for name in app.services):
            units[unit_id(unit)] = unit
    for site in MEMBERS:
        one = NetworkMember(TenantName("alpha"), scenery.APP, DEFAULT, site, MEMBERS[site])
        units[unit_id(one)] = one
    record = msgspec.structs.replace(
        scenery.record(),
        tenants={TenantName(each): scenery.record().tenants[scenery.TENANT] for each in ("alpha", "beta")},
    )
    site = HeldSite(
        site=SiteName("oslo"),
        node=NodeName("n1"),
        record=record,
        units=units,
        revisions=held,
    )
    wanted = derive_wanted(site)[0]
    owners: dict[tuple[str, str], set[str]] = {}
    for number, (tenant, network, service, where) in enumerate(running):
        instance = InstanceId(f"{tenant}/shop/{service}/0")
        owners.setdefault((tenant, network), set()).add(where)
        seen.append(
            ContainerSeen(
                container=f"c{number}",
                instance=instance,
                tenant=TenantName(tenant),
                app=AppName("shop"),
                service=ServiceName(service),
                ordinal=0,
                spec=Digest(""),
                image_config=Digest(""),
                state="running",
                addresses={NetworkName(network): (where,)},
            )
        )
    said = tuple(
        Heard(TenantName(tenant), scenery.APP, NetworkName(network), ServiceName(service), SiteName(one), (where,))
        for tenant, network, service, one, where in heard
    )
    networks = tuple(
        seen_network(network, tenant, f"10.{176 + tenant_no}.{net}")
        for tenant_no, tenant in enumerate(("alpha", "beta"))
        for net, network in enumerate(("default", "back"))
    )
    observed = Observation(
        driver="node", containers=tuple(seen), networks=networks, names=NamesSeen(heard=said, rtt_us=RTTS)
    )
    draft = PlanDraft(History(boot="b"), Now(1))
    plan_names(draft, site, wanted, observed)
    (action,) = draft.actions
    assert isinstance(action, ApplyNames)
    for zone in action.zones:
        allowed = owners.get((zone.tenant, zone.network), set())
        answers = {each for lead in zone.names for each in lead.addresses}
        told = {each for own in zone.own for each in own.addresses}
        assert told <= allowed
        assert {each for each, _ in zone.reverse} <= answers
        for each in answers - allowed:
            assert zone.tenant == "alpha"
            assert zone.network == "default"
            assert any(each in (address(one, 5), address(one, 6)) for one in MEMBERS)
            assert any(entry[0] == "alpha" and entry[1] == "default" and entry[4] == each for entry in heard)
