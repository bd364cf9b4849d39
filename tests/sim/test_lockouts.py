"""Uplinks in storms: a wish that cuts a site off for good is noticed, one that is taken back in time is not."""

import msgspec
import pytest
from tests.sim.town import ONE, broken, freeze, in_town, pass_time

from skerry.model.uplinks import Uplink
from skerry.sim.script import Script


@pytest.mark.sim
@in_town
async def test_a_wish_that_is_taken_back_and_a_site_that_stays_away(script: Script):
    site = script.world.sites[ONE]
    script.weather.kill_device(ONE, "wwan0")
    await script.world.sign_uplinks(ONE, {"sky": Uplink(device="wwan0")})
    await pass_time(script, 700)
    assert broken(script) == set()
    assert script.checker.lockouts.judged > 0
    assert site.agent.link.is_up
    await freeze(script, ONE)
    site.agent.link = msgspec.structs.replace(site.agent.link, state="down")
    script.weather.kill_device(ONE, "eth0")
    await pass_time(script, 600)
    assert "I49" not in broken(script)
    script.weather.mend_device(ONE, "eth0")
    await pass_time(script, 600)
    assert "I49" in broken(script)
