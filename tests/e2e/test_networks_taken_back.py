"""Networks of an app that lock a real agent out, which takes them back by itself."""

from pathlib import Path

import pytest
from tests.e2e.fleet import Fleet, list_started, wait_until, write_image
from tests.e2e.lab import CORE_ADDRESS, WAN_DEVICE
from tests.e2e.test_uplinks import APP, fleet

pytestmark = pytest.mark.e2e

__all__ = ("fleet",)

#: Covers the core's address: as soon as it stands, a packet from the site to the core ends at the app's own bridge.
LOCKING = """
name: shop
services:
  web: {image: web:1}
  far: {image: web:1, networks: [far]}
networks:
  far: {ipam: {config: [{subnet: 10.99.0.0/26}]}}
"""


def networks_condition(fleet: Fleet) -> str:
    """Why an app's networks are not as wished, as the agent itself says."""
    waits = fleet.agent_status("oslo")["waits"]
    return next((each for each in waits if each.startswith("networks/default/shop:")), "")


def test_networks_that_lock_the_site_out_are_taken_back_by_itself(fleet: Fleet, tmp_path: Path):
    oslo = fleet.lab.sites["oslo"]
    before = list_started(oslo)
    fleet.must("apply", "-f", write_image(tmp_path, "compose", LOCKING.encode()))
    way = ("ip", "route", "get", CORE_ADDRESS)
    wait_until(lambda: WAN_DEVICE not in oslo.run(*way), "a route of the app takes the core's place", 60)
    # What is journaled survives the agent; its next one is not linked from its first moment on.
    fleet.kill_agent("oslo")
    fleet.start_agent("oslo")
    wait_until(lambda: "not heard for 10 s" in networks_condition(fleet), "the way back", 120)
    wait_until(lambda: WAN_DEVICE in oslo.run(*way), "the way to the core", 60)
    wait_until(lambda: fleet.agent_status("oslo")["link"] == "up", "the link", 120)
    assert list_started(oslo) == before
    wait_until(lambda: "networks.reverted" in fleet.must("events", "--site", "oslo", "-o", "jsonl"), "its event", 30)
    fleet.must("apply", "-f", write_image(tmp_path, "compose", APP), "--yes", "--wait=2m")
    # A site that was locked out waits up to a minute before it dials again.
    wait_until(lambda: not networks_condition(fleet), "the end of its reason", 120)
    assert list_started(oslo) == before
