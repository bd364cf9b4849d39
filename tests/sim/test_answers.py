"""Names and entrances in storms: what leads to the wrong instance, or to none, is noticed."""

import ipaddress

import msgspec
import pytest
from tests.sim.town import ONE, broken, freeze, in_town, pass_time

from skerry.model.ids import InstanceId
from skerry.plan.actions import Server
from skerry.sim.script import Script

WEB = InstanceId("default/shop/web/0")


@pytest.mark.sim
@in_town
async def test_who_is_not_well_is_left_out_and_an_agent_that_does_not_look_is_noticed(script: Script):
    site = script.world.sites[ONE]
    before = script.checker.answers.judged
    script.weather.sicken(ONE, WEB)
    await pass_time(script, 260)
    assert broken(script) == set()
    assert script.checker.answers.judged > before
    await freeze(script, ONE)
    site.machine.unhealthy.clear()
    await pass_time(script, 180)
    assert broken(script) == {"I46", "I47"}


@pytest.mark.sim
@in_town
async def test_a_firewall_that_lets_people_out_for_nobody_or_stops_what_the_entrance_leads_out(script: Script):
    machine = script.world.sites[ONE].machine
    action, guard = machine.entrance.applied, machine.guard
    assert action is not None
    assert not any(each.doors for each in guard)  # a chain lies between the app and the outside
    mesh = next(each for each in guard if each.far and each.app == "shop")
    machine.guard = (*(each for each in guard if each != mesh), msgspec.structs.replace(mesh, doors=(9,)))
    script.weather.sicken(ONE, WEB)
    await pass_time(script, 260)
    assert broken(script) == {"I47"}
    machine.guard = guard
    machine.unhealthy.clear()
    await freeze(script, ONE)
    address = str(ipaddress.ip_network(mesh.far[0])[2])
    far = (*action.datagrams[0].servers, Server(name="r1", address=address, port=53, rank=1))
    doors = (msgspec.structs.replace(action.datagrams[0], servers=far),)
    script.weather.lose(ONE, "door-dead")
    machine.entrance.applied = msgspec.structs.replace(action, datagrams=doors)
    await pass_time(script, 180)
    assert any("the firewall stops it" in each.detail for each in script.checker.breaks)


@pytest.mark.sim
@in_town
async def test_an_entrance_that_leads_to_another_tenant_or_nowhere(script: Script):
    machine = script.world.sites[ONE].machine
    (desk,) = (each for each in machine.containers.values() if each.service == "desk")
    action = machine.entrance.applied
    assert action is not None
    wrong = desk.addresses[min(desk.addresses)][0]
    backends = tuple(
        msgspec.structs.replace(
            each, servers=tuple(msgspec.structs.replace(server, address=wrong) for server in each.servers)
        )
        for each in action.backends
    )
    machine.entrance.applied = msgspec.structs.replace(action, backends=backends)
    assert broken(script) == {"I47"}
    await freeze(script, ONE)
    script.weather.lose(ONE, "door-dead")
    await pass_time(script, 180)
    assert broken(script) == {"I47"}
