"""Networks over sites in storms: a wrong tunnel, a lost bond and a clash of addresses are each noticed."""

import msgspec
from tests.sim.town import ONE, TWO, broken, in_town

from skerry.model.document import NetworkMember, NetworkPart
from skerry.model.ids import UnitId
from skerry.sim.script import Script


@in_town
async def test_wrong_tunnels_and_lost_bonds(script: Script):
    site = script.world.sites[ONE]
    tunnels, networks = site.tunnels.tunnels, dict(site.machine.networks)
    site.tunnels.tunnels = tuple(msgspec.structs.replace(each, ranges=("10.0.0.0/8",)) for each in tunnels)
    assert "I43" in broken(script)
    site.tunnels.tunnels = tunnels
    assert broken(script) == set()
    script.checker.bonds.keys[TWO].clear()
    script.world.sites[TWO].agent.reconciler.observed = msgspec.structs.replace(
        script.world.sites[TWO].agent.reconciler.observed, overlay=None
    )
    assert broken(script) == {"I43"}
    site.tunnels.tunnels = ()
    assert broken(script) == {"I44"}
    script.weather.part(ONE, TWO)
    assert broken(script) == set()
    del site.machine.networks["default", "shop", "mesh"]
    assert broken(script) == {"I44"}
    site.machine.networks = networks


@in_town
async def test_addresses_that_change_or_clash(script: Script):
    holdings = script.world.sites[ONE].agent.holdings
    assert holdings is not None
    document = holdings.document
    assert document is not None
    name = UnitId("network/default/shop/mesh")
    part, member = document.units[name], document.units[UnitId(f"member/tenant-1/till/mesh/{TWO}")]
    assert isinstance(part, NetworkPart)
    assert isinstance(member, NetworkMember)
    for index in (part.index + 1, member.index):
        moved = msgspec.structs.replace(part, index=index)
        holdings.document = msgspec.structs.replace(document, units={**document.units, name: moved})
        assert "I45" in broken(script)
