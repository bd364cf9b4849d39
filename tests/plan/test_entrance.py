"""The entrance at a site: who has what, who is asked, and that an update leaves nobody standing outside."""

import msgspec
import pytest
from tests.plan.scenery import SECOND, World, assign, digest_revision, hold, revision, service

from skerry.model.app import FileMount, HealthCheck, Port, SecretUse
from skerry.model.document import Assignment, unit_id
from skerry.model.entrance import Entrance
from skerry.model.facts import InstanceFact
from skerry.model.ids import AppName, Digest, NetworkName, SecretName, TenantName
from skerry.model.limits import INTEGER_MAX
from skerry.model.observed import DoorCounts, EntranceSeen
from skerry.model.policy import SecretPolicy
from skerry.model.rollout import InSite
from skerry.plan.actions import Action, ApplyEntrance, Certificate, MakeAccount, ObtainCertificate, StopContainer
from skerry.plan.entrance import server_name
from skerry.plan.history import Trouble, note_outcome
from skerry.plan.places import settle_entrance
from skerry.plan.site import derive_wanted, plan_site
from skerry.plan.site_plan import HeldSite, SitePlan
from skerry.sim.certificates import FakeAuthority, FakeCertificates
from skerry.sim.entrances import FakeEntrance

HOST = Entrance(host="shop.example", port=80)
PLACE = "http/shop.example/"
CHECK = HealthCheck(test=("CMD", "true"), interval_us=SECOND)


class Door(World):
    """A world with an entrance in front of its containers."""

    def __init__(self, held):
        super().__init__(held)
        self.door = FakeEntrance()
        self.stops: list[StopContainer] = []
        #: Times at which nobody who asked was answered, from the first answer on.
        self.closed = 0
        #: What addresses of copies begin with.
        self.nets: tuple[str, ...] = ("10.176.0.",)
        self._opened = False

    def alive(self):
        return {server_name(each.container) for each in self.observed.containers if each.state == "running"}

    def look(self):
        containers = tuple(
            msgspec.structs.replace(
                each,
                addresses={NetworkName("default"): tuple(f"{net}{int(each.container[1:])}" for net in self.nets)}
                if each.state == "running"
                else {},
            )
            for each in self.observed.containers
        )
        seen = self.door.observe(self.alive())
        self.observed = msgspec.structs.replace(self.observed, containers=containers, entrance=seen)
        return super().look()

    def do(self, action: Action) -> None:
        if isinstance(action, StopContainer):
            self.stops.append(action)
        if isinstance(action, ApplyEntrance):
            self.door.apply(action, self.now.boot_us)
        super().do(action)
        answered = self.door.answers(PLACE, self.alive())
        self._opened = self._opened or answered
        self.closed += self._opened and not answered

    def change(self, app, *ordinals: int) -> None:
        units = [assign(app, "web", ordinal=ordinal) for ordinal in ordinals]
        self.held = hold(app, *units)


def shop(number: int = 1, copies: int = 1, **words: object):
    words.setdefault("entrance", (HOST,))
    app = revision(number, web=service(str(number), **words))
    return app, [assign(app, "web", ordinal=ordinal) for ordinal in range(copies)]


def door(copies: int = 1, **words: object) -> Door:
    app, units = shop(1, copies, **words)
    world = Door(hold(app, *units))
    world.settle()
    return world


def test_a_site_without_an_entrance_does_nothing_about_one():
    world = door(entrance=msgspec.UNSET)
    assert not any(isinstance(each, ApplyEntrance) for each in world.performed)


def test_running_copies_are_asked_under_their_name():
    world = door(2)
    assert world.door.answers(PLACE, world.alive())
    assert world.door.applied is not None
    (backend,) = world.door.applied.backends
    assert [(each.address, each.port, each.state) for each in backend.servers] == [
        ("10.176.0.1", 80, "up"),
        ("10.176.0.2", 80, "up"),
    ]


def test_one_that_has_not_passed_its_check_is_not_asked_and_one_found_unwell_is_left():
    world = Door(hold(*shop_with_check()))
    world.healthy = False
    for _ in range(3):
        world.step()
    assert not world.door.answers(PLACE, world.alive())
    world.healthy = True
    world.advance(5)
    world.settle()
    assert world.door.answers(PLACE, world.alive())
    world.healthy = False
    for _ in range(8):
        world.advance(1)
        world.step()
    assert not world.door.answers(PLACE, world.alive())


def shop_with_check():
    app, units = shop(1, healthcheck=msgspec.structs.replace(CHECK, retries=2))
    return app, *units


@pytest.mark.parametrize("checked", [False, True])
def test_two_copies_changed_in_turn_always_leave_one_that_answers(checked: bool):
    words = {"in_site": InSite(parallel=1), "healthcheck": CHECK if checked else None}
    world = door(2, **words)
    world.change(shop(2, 2, **words)[0], 0, 1)
    world.settle(60)
    assert len(world.stops) == 2
    assert world.closed == 0
    assert world.running() == ["web", "web"]


@pytest.mark.parametrize("checked", [False, True])
def test_one_copy_whose_successor_comes_first_leaves_no_gap(checked: bool):
    words = {"in_site": InSite(order="start-first"), "healthcheck": CHECK if checked else None}
    world = door(1, **words)
    world.change(shop(2, **words)[0], 0)
    world.settle(60)
    assert len(world.stops) == 1
    assert world.closed == 0


def test_a_copy_that_is_spoken_with_is_left_in_peace_for_half_its_grace():
    world = door(2, stop_grace_us=10 * SECOND, in_site=InSite(parallel=1))
    world.door.sessions = dict.fromkeys(world.alive(), 3)
    world.change(shop(2, 2, stop_grace_us=10 * SECOND, in_site=InSite(parallel=1))[0], 0, 1)
    began = world.now.boot_us
    while not world.stops:
        world.step()
        world.advance(0.2)
        assert world.now.boot_us - began < 20 * SECOND
    assert world.door.sessions[server_name(world.stops[0].container)] == 0
    assert 5 * SECOND <= world.stops[0].grace_us < 10 * SECOND


def test_who_never_hangs_up_holds_nobody_for_longer():
    world = door(2, stop_grace_us=4 * SECOND, in_site=InSite(parallel=1))
    world.door.sessions = dict.fromkeys(world.alive(), 10_000)
    world.change(shop(2, 2, stop_grace_us=4 * SECOND, in_site=InSite(parallel=1))[0], 0, 1)
    began = world.now.boot_us
    while not world.stops:
        world.step()
        world.advance(0.1)
        assert world.now.boot_us - began < 4 * SECOND
    assert world.now.boot_us - began >= 2 * SECOND
    assert SECOND <= world.stops[0].grace_us <= 2 * SECOND


def test_a_paused_app_ends_although_nothing_takes_its_place():
    world = door(2)
    app, units = shop(1, 2)
    world.held = hold(app, *(msgspec.structs.replace(unit, state="hold") for unit in units))
    world.settle()
    assert world.running() == []


def test_an_entrance_that_does_not_work_holds_up_no_stop():
    world = door(1)
    troubles = {"entrance": Trouble(1, "E-ENTRANCE", "no haproxy", world.now.boot_us + 100 * SECOND)}
    world.history = msgspec.structs.replace(world.history, troubles=troubles)
    world.change(shop(2)[0], 0)
    for _ in range(8):
        world.step()
    assert world.stops
    fact = next(each for each in world.step().facts if isinstance(each, InstanceFact))
    assert fact.phase == "ready"
    assert fact.reason == "entrance: no haproxy (E-ENTRANCE)"


def test_an_entrance_ends_with_the_last_that_asks_for_one():
    world = door(1)
    world.held = hold(shop()[0])
    world.settle()
    assert world.door.applied is None
    assert world.door.holders == {}


def test_what_is_left_of_a_change_that_came_to_no_end_is_made_again_or_taken_back():
    world = door(1)
    for held in (world.held, hold(shop()[0])):
        world.held = held
        plan = world.settle()
        assert not any(isinstance(each, ApplyEntrance) for each in plan.actions)
        seen = msgspec.structs.replace(world.door.observe(world.alive()), left=True)
        observed = msgspec.structs.replace(world.observed, entrance=seen)
        plan = plan_site(world.held, observed, world.history, world.now)
        (again,) = [each for each in plan.actions if isinstance(each, ApplyEntrance)]
        assert again.digest == seen.digest


CERTIFIED = Entrance(host="shop.example", port=80, tls="secret", secret="cert")
VERSION = Digest("sha256:" + "1" * 64)


def certified(*entrance: Entrance, **policy: object) -> HeldSite:
    """A site that is to show a certificate of the tenant's own."""
    app = revision(1, web=service("1", entrance=entrance or (CERTIFIED,)))
    use = SecretUse(name=SecretName("shop-cert"), policy=SecretPolicy(**policy) if policy else msgspec.UNSET)
    app = msgspec.structs.replace(app, secrets={"cert": use})
    return hold(app, assign(app, "web"), secrets={(TenantName("default"), SecretName("shop-cert")): VERSION})


def test_a_certificate_is_that_of_the_newest_sealed_version():
    world = Door(msgspec.structs.replace(certified(), secrets={}))
    for _ in range(8):
        plan = world.step()
    reason = next(each.reason for each in plan.facts if isinstance(each, InstanceFact))
    assert reason == "entrance: the certificate of shop.example (secret cert) is not sealed for this site"
    world.held = certified()
    world.settle()
    assert world.door.applied is not None
    assert [(each.host, each.version) for each in world.door.applied.certificates] == [("shop.example", VERSION)]
    assert world.door.applied.routes[0].secure


def test_a_site_cut_off_for_long_goes_on_showing_a_certificate_and_does_not_begin_to():
    held = certified(max_offline_us=60 * SECOND)
    wanted = derive_wanted(held)[0]
    shown = EntranceSeen(shown={"shop.example": VERSION})
    for seen, away_us, is_given in ((None, 59, True), (None, 60, False), (shown, 60, True)):
        settled = settle_entrance(wanted, seen, away_us=away_us * SECOND)
        assert bool(settled.claims) == is_given
    refused = settle_entrance(wanted, None, away_us=60 * SECOND).refused
    assert list(refused.values()) == [
        "the certificate of shop.example (secret cert) is not given out by a site cut off for so long"
    ]


def two_apps(first: tuple[Entrance, ...], second: tuple[Entrance, ...], tenant: str = "default", **ports: object):
    """Return what is wanted where app ``shop`` and app ``zoo`` ask for something."""
    one, units = shop(entrance=first)
    other = msgspec.structs.replace(
        revision(1, web=service("1", entrance=second, **ports)), app=AppName("zoo"), tenant=TenantName(tenant)
    )
    unit: Assignment = assign(other, "web")
    held = hold(one, *units)
    record = msgspec.structs.replace(
        held.record, tenants={**held.record.tenants, TenantName(tenant): next(iter(held.record.tenants.values()))}
    )
    held = msgspec.structs.replace(
        held,
        record=record,
        units={**held.units, unit_id(unit): unit},
        revisions={**held.revisions, digest_revision(other): other},
    )
    return derive_wanted(held)[0]


def test_of_two_that_ask_for_a_place_one_has_it_and_the_other_is_told():
    settled = settle_entrance(two_apps((HOST,), (HOST,)), None)
    assert [each.owner for each in settled.claims] == [("default", "shop", "web")]
    assert settled.refused == {("default", "zoo", "web"): "shop.example/ is given to another service at this site"}


def test_who_holds_a_place_keeps_it():
    seen = EntranceSeen(holders={PLACE: "default/zoo/web"})
    settled = settle_entrance(two_apps((HOST,), (HOST,)), seen)
    assert [each.owner for each in settled.claims] == [("default", "zoo", "web")]


def test_paths_of_one_host_go_to_several_apps_of_a_tenant_and_never_to_another_tenant():
    below = msgspec.structs.replace(HOST, path="/zoo")
    assert len(settle_entrance(two_apps((HOST,), (below,)), None).claims) == 2
    settled = settle_entrance(two_apps((HOST,), (below,), tenant="other"), None)
    assert settled.refused == {("other", "zoo", "web"): "shop.example is given to another tenant of this site"}


@pytest.mark.parametrize(
    ("first", "second"),
    [(HOST, Entrance(tcp=80, port=1)), (Entrance(tcp=25, port=1), Entrance(tcp=25, port=2))],
)
def test_a_port_of_the_node_has_one_meaning(first: Entrance, second: Entrance):
    settled = settle_entrance(two_apps((first,), (second,)), None)
    assert [each.entrance for each in settled.claims] == [first]
    assert list(settled.refused) == [("default", "zoo", "web")]


def test_tcp_and_udp_of_one_number_are_two_ports():
    settled = settle_entrance(two_apps((Entrance(tcp=53, port=1),), (Entrance(udp=53, port=2),)), None)
    assert len(settled.claims) == 2


@pytest.mark.parametrize(
    ("one", "protocol", "port"),
    [(HOST, "tcp", 80), (Entrance(udp=53, port=1), "udp", 53), (Entrance(tcp=9, port=1), "tcp", 9)],
)
def test_a_published_port_and_an_entrance_the_first_keeps_it(one: Entrance, protocol: str, port: int):
    ports = (Port(target=1, published=port, protocol=protocol),)
    wanted = two_apps((one,), (), ports=ports)
    settled = settle_entrance(wanted, EntranceSeen())
    assert settled.claims == ()
    assert settled.refused == {("default", "shop", "web"): f"port {port} of the node is published by an instance here"}
    settled = settle_entrance(wanted, EntranceSeen(holders={one.place: "default/shop/web"}))
    assert len(settled.claims) == 1
    assert settled.portless == {
        "default/zoo/web/0": f"port {port}/{protocol} of the node belongs to the site's entrance"
    }


OWN = Entrance(host="shop.example", tls="acme", port=80)


class Getting(Door):
    """A site that gets its own certificates."""

    def __init__(self, held):
        super().__init__(held)
        self.authority = FakeAuthority()
        self.certificates = FakeCertificates(self.authority, "oslo")

    @property
    def wall_us(self) -> int:
        return 1_700_000_000 * SECOND + self.now.boot_us

    def look(self):
        seen = self.certificates.observe(self.wall_us)
        self.observed = msgspec.structs.replace(self.observed, certificates=seen)
        return super().look()

    def do(self, action: Action) -> None:
        if isinstance(action, MakeAccount | ObtainCertificate):
            self.performed.append(action)
            outcome = self.certificates.perform(action, self.wall_us)
            self.history = note_outcome(self.history, action, outcome, self.now.boot_us)
            return
        super().do(action)

    def get(self) -> SitePlan:
        """Go on until the authority was asked."""
        while not any(isinstance(each, ObtainCertificate) for each in self.performed):
            self.step()
            self.advance(1)
        return self.settle()


def getting() -> Getting:
    app, units = shop(1, entrance=(OWN,))
    return Getting(hold(app, *units))


def test_an_authority_is_asked_once_the_entrance_answers_it_and_the_certificate_is_shown():
    world = getting()
    plan = world.get()
    kinds = [type(each).__name__ for each in world.performed if type(each).__name__ != "StartContainer"]
    assert kinds.index("MakeAccount") < kinds.index("ObtainCertificate")
    applied = world.door.applied
    assert applied is not None
    asked = kinds.index("ObtainCertificate")
    assert kinds[:asked].count("ApplyEntrance") >= 1
    assert applied.challenge.hosts == ("shop.example",)
    held = world.certificates.observe(0).held["shop.example"]
    assert applied.certificates == (Certificate(host="shop.example", version=held.version),)
    (fact,) = [each for each in plan.facts if isinstance(each, InstanceFact)]
    assert (fact.phase, fact.reason) == ("ready", "")


def test_a_site_without_a_certificate_is_as_wished_and_says_what_is_missing():
    world = getting()
    world.authority.refused["shop.example"] = "it leads elsewhere"
    plan = world.get()
    (fact,) = [each for each in plan.facts if isinstance(each, InstanceFact)]
    assert fact.reason == "entrance: shop.example has no certificate yet; the last try: it leads elsewhere"
    assert plan.settled
    assert world.door.applied is not None
    assert world.door.applied.certificates == ()


def test_an_own_certificate_goes_before_one_that_is_got():
    world = Getting(certified(OWN, msgspec.structs.replace(CERTIFIED, path="/own")))
    world.settle()
    assert world.door.applied is not None
    assert [each.version for each in world.door.applied.certificates] == [VERSION]


def test_a_copy_of_the_revision_before_is_asked_where_it_listens():
    world = door(2, in_site=InSite(parallel=1))
    app, units = shop(2, 2, in_site=InSite(parallel=1), entrance=(msgspec.structs.replace(HOST, port=8080),))
    world.held = hold(app, *units)
    old = {server_name(each.container) for each in world.observed.containers}
    asked: set[tuple[bool, int]] = set()
    for _ in range(60):
        world.step()
        world.advance(0.25)
        assert world.door.applied is not None
        for backend in world.door.applied.backends:
            asked |= {(each.name in old, each.port) for each in backend.servers}
    assert asked == {(True, 80), (False, 8080)}
    assert world.closed == 0


def test_over_udp_a_copy_is_asked_in_both_families_and_leaves_in_both():
    words = {"entrance": (HOST, Entrance(udp=53, port=5353)), "in_site": InSite(parallel=1)}
    app, units = shop(1, 2, **words)
    world = Door(hold(app, *units))
    world.nets = ("10.176.0.", "fd00::")
    world.settle()
    assert world.door.applied is not None
    (port,) = world.door.applied.datagrams
    assert [(each.address, each.port) for each in port.servers] == [
        (f"{net}{copy}", 5353) for copy in (1, 2) for net in world.nets
    ]
    assert [each.address for each in world.door.applied.backends[0].servers] == ["10.176.0.1", "10.176.0.2"]
    world.change(shop(2, 2, **words)[0], 0, 1)
    while not world.stops:
        world.step()
        world.advance(0.2)
    states = {each.address: each.state for each in world.door.applied.datagrams[0].servers}
    left = [address for address, state in states.items() if state == "drain"]
    assert left in ([f"{net}{copy}" for net in world.nets] for copy in (1, 2))
    world.settle(60)
    assert world.running() == ["web", "web"]


def test_what_people_asked_is_told_of_each_service_and_port_once():
    both = (HOST, msgspec.structs.replace(HOST, path="/b"), Entrance(tcp=25, port=80), Entrance(udp=53, port=53))
    app, units = shop(1, entrance=both)
    world = Door(hold(app, *units))
    world.settle()
    assert world.door.applied is not None
    asked = DoorCounts(connections=7, answers=(0, 7, 0, 0, 0, 0), sent_bytes=1 << 80)
    counts = {each.name: asked for each in world.door.applied.backends} | {"strange": asked}
    observed = msgspec.structs.replace(
        world.observed, entrance=msgspec.structs.replace(world.door.observe(world.alive()), counts=counts)
    )
    doors = plan_site(world.held, observed, world.history, world.now).doors
    assert {(each.service, each.port, each.kind, each.connections, each.sent_bytes) for each in doors} == {
        ("web", 80, "http", 7, INTEGER_MAX),
        ("web", 80, "tcp", 7, INTEGER_MAX),
    }
    assert len(doors) == 2


def test_a_service_whose_wishes_cannot_be_followed_keeps_its_place_and_gets_no_other():
    world = door(2)
    more = (HOST, Entrance(host="more.example", port=80))
    use = {"key": SecretUse(name=SecretName("not-sealed"))}
    app = revision(2, web=service("2", entrance=more, secrets=(FileMount(source="key", target="/key"),)))
    app = msgspec.structs.replace(app, secrets=use)
    world.held = hold(app, *(assign(app, "web", ordinal=ordinal) for ordinal in range(2)))
    for _ in range(4):
        world.step()
        world.advance(1)
    assert len([each for each in world.observed.containers if each.state == "running"]) == 2
    assert world.closed == 0
    assert world.door.holders == {PLACE: "default/shop/web"}
    world.held = hold(shop()[0])
    world.settle()
    assert world.door.holders == {}
