"""Networks are made as their revision plans them, and made anew when that changes."""

import msgspec
from tests.plan import scenery

from skerry.model.app import Network, NetworkPlan, NetworkWords, Subnet
from skerry.model.document import NetworkMember, NetworkPart, unit_id
from skerry.model.entrance import Entrance
from skerry.model.ids import NetworkName, SiteName
from skerry.model.network import TUNNEL_MTU, part_ranges
from skerry.plan.actions import ApplyRules, CreateNetwork, RemoveNetwork

PLAN = NetworkPlan(subnets=(Subnet(subnet="10.7.0.0/24"),))


def wish(number: int, plan: NetworkPlan | None):
    app = scenery.revision(number, web=scenery.service())
    network = Network(plan=plan) if plan is not None else Network()
    return msgspec.structs.replace(app, networks={NetworkName("default"): network})


def hold(app):
    return scenery.hold(app, scenery.assign(app, "web"))


def test_a_network_is_made_as_its_plan_says():
    world = scenery.World(hold(wish(1, PLAN)))
    (made,) = [action for action in world.look().actions if isinstance(action, CreateNetwork)]
    assert made.plan == PLAN
    assert len(made.plan_name) == 16


def test_a_network_without_a_plan_is_the_one_of_before():
    world = scenery.World(hold(wish(1, None)))
    (made,) = [action for action in world.look().actions if isinstance(action, CreateNetwork)]
    assert made.plan_name == ""


def test_a_changed_plan_waits_until_nothing_of_the_app_is_here_and_then_the_network_is_made_anew():
    world = scenery.World(hold(wish(1, None)))
    for _ in range(20):
        world.step()
    world.held = hold(wish(2, PLAN))
    plan = world.look()
    assert not [action for action in plan.actions if isinstance(action, RemoveNetwork | CreateNetwork)]
    assert any("addresses change only while no container" in wait.reason for wait in plan.waits)
    world.observed = msgspec.structs.replace(world.observed, containers=())
    assert [action for action in world.look().actions if isinstance(action, RemoveNetwork)]


def test_a_network_that_is_not_wished_any_more_goes_once_no_container_of_before_is_here():
    two = wish(1, None)
    used = {NetworkName("default"): (), NetworkName("far"): ()}
    web = msgspec.structs.replace(two.services["web"], networks=used)
    world = scenery.World(hold(msgspec.structs.replace(two, services={"web": web})))
    for _ in range(20):
        world.step()
    world.held = hold(wish(2, None))
    assert not [action for action in world.look().actions if isinstance(action, RemoveNetwork)]
    for _ in range(10):
        world.step()
    assert ([each.name for each in world.observed.networks], world.running()) == (["default"], ["web"])


def stretch(number: int = 1):
    app = wish(number, None)
    words = NetworkWords(kind="overlay", scope="app")
    return msgspec.structs.replace(app, networks={NetworkName("default"): Network(words=words)})


def test_a_network_over_sites_waits_for_its_addresses_and_then_has_those_of_its_part():
    app = stretch()
    world = scenery.World(hold(app))
    plan = world.look()
    assert not [action for action in plan.actions if isinstance(action, CreateNetwork)]
    assert any("have not come from the core" in wait.reason for wait in plan.waits)
    part = NetworkPart(app.tenant, app.app, NetworkName("default"), 5)
    held = hold(app)
    world.held = msgspec.structs.replace(held, units={**held.units, unit_id(part): part})
    (made,) = [action for action in world.look().actions if isinstance(action, CreateNetwork)]
    assert [subnet.subnet for subnet in made.plan.subnets] == [str(part_ranges(part).v4), str(part_ranges(part).v6)]
    assert (made.plan.ipv6, made.plan.mtu) == (True, TUNNEL_MTU)


def test_people_are_let_to_other_sites_at_the_ports_of_datagrams_that_the_site_leads_in():
    app = stretch()
    asked = (Entrance(udp=53, port=5353), Entrance(udp=54, port=5353), Entrance(tcp=25, port=2525))
    app = msgspec.structs.replace(app, services={"web": scenery.service(entrance=asked)})
    part = NetworkPart(app.tenant, app.app, NetworkName("default"), 5)
    there = NetworkMember(app.tenant, app.app, NetworkName("default"), SiteName("bergen"), 7)
    alone, together = ((part,), (part, there))
    for units, doors in ((alone, ()), (together, (5353,))):
        held = hold(app)
        units = {unit_id(each): each for each in units}
        world = scenery.World(msgspec.structs.replace(held, units={**held.units, **units}))
        world.step()
        (rules,) = [action for action in world.look().actions if isinstance(action, ApplyRules)]
        assert [each.doors for each in rules.networks] == [doors]


def test_that_a_network_over_sites_has_no_way_out_is_up_to_the_firewall():
    app = stretch()
    part = NetworkPart(app.tenant, app.app, NetworkName("default"), 5)
    shut = msgspec.structs.replace(app.networks[NetworkName("default")], internal=True)
    app = msgspec.structs.replace(app, networks={NetworkName("default"): shut})
    held = hold(app)
    world = scenery.World(msgspec.structs.replace(held, units={**held.units, unit_id(part): part}))
    (made,) = [action for action in world.look().actions if isinstance(action, CreateNetwork)]
    assert not made.internal
    world.step()
    (rules,) = [action for action in world.look().actions if isinstance(action, ApplyRules)]
    assert [each.internal for each in rules.networks] == [True]
