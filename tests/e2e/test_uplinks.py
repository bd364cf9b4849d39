"""Two uplinks of a real agent: one takes over from the other; and what locks a site out is taken back by itself."""

import subprocess
from collections.abc import Generator

import pytest
from tests.e2e.fleet import LINK_PORT, Fleet, wait_until, write_image
from tests.e2e.lab import WAN_DEVICE, Lab
from tests.e2e.tiny_image import tiny_image

pytestmark = pytest.mark.e2e

APP = b"name: shop\nservices: {web: {image: web:1}}\n"
#: The shortest that can be set.
CONFIRM_S = 10
FIREWALL = """
table inet lockout {{
  chain output {{
    type filter hook output priority 0; policy accept;
    oifname {{ {devices} }} tcp dport {port} drop
  }}
}}
"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Generator[Fleet]:
    """A site with a wire and a modem, whose agent tries changes for ten seconds."""
    with Lab(["oslo"]) as lab:
        oslo, fleet = lab.sites["oslo"], Fleet(lab)
        fleet.agent_env["SKERRY_AGENT_CONFIRM_S"] = str(CONFIRM_S)
        oslo.run("ip", "link", "add", "dev", "modem0", "type", "veth", "peer", "name", "to-modem0")
        # From outside of both places, where the files of both namespaces are seen.
        words = ("nsenter", f"--net={oslo.net}", "ip", "link", "set", "dev", "to-modem0", "netns", str(lab.core.net))
        subprocess.run(words, check=True, capture_output=True)
        for place, device, address in ((oslo, "modem0", "10.98.0.2"), (lab.core, "to-modem0", "10.98.0.1")):
            place.run("ip", "address", "add", f"{address}/30", "dev", device)
            place.run("ip", "link", "set", "dev", device, "up")
        oslo.run("ip", "route", "add", "default", "via", "10.98.0.1", "dev", "modem0", "metric", "500")
        try:
            fleet.start_core()
            fleet.start_site("oslo")
            image = write_image(tmp_path_factory.mktemp("app"), "web", tiny_image("docker.io/library/web:1"))
            fleet.must("image", "push", image)
            app = write_image(image.parent, "compose", APP)
            fleet.must("apply", "-f", app, "--wait=2m")
            yield fleet
        finally:
            fleet.stop()


def shut(fleet: Fleet, *devices: str) -> None:
    """Have the site's firewall let nothing to the core out by these devices, and everything by others."""
    oslo = fleet.lab.sites["oslo"]
    oslo.run("sh", "-c", "nft delete table inet lockout 2>/dev/null || true")
    if devices:
        rules = FIREWALL.format(devices=", ".join(devices), port=LINK_PORT)
        oslo.run("sh", "-c", f"nft -f - <<'END'\n{rules}\nEND")


def condition(fleet: Fleet) -> str:
    found = fleet.ask("site", "show", "oslo")["summary"]["conditions"]
    return next((each["reason"] for each in found if each["kind"] == "uplinks"), "")


def uplink(fleet: Fleet) -> str:
    """Which uplink the core was told of, while the link is up."""
    is_up = fleet.agent_status("oslo")["link"] == "up"
    (node,) = fleet.ask("site", "show", "oslo")["node_list"]
    return node["facts"].get("uplink", "") if is_up else ""


def settle(fleet: Fleet) -> None:
    """Wait until what was wished last was tried and holds."""
    wait_until(lambda: "are tried" in condition(fleet), "the trial of a wish", 60)
    wait_until(lambda: not condition(fleet), "the end of the trial", 240)


def test_a_wish_holds_once_the_core_was_heard_under_it(fleet: Fleet):
    fleet.must("uplink", "set", "oslo", "fibre", "--device", WAN_DEVICE)
    settle(fleet)
    wait_until(lambda: uplink(fleet) == "fibre", "word of the uplink")


def test_another_uplink_takes_over_and_gives_back(fleet: Fleet):
    fleet.must("uplink", "set", "oslo", "sky", "--device", "modem0", "--class", "mobile", "--preference", "200")
    settle(fleet)
    shut(fleet, WAN_DEVICE)
    wait_until(lambda: uplink(fleet) == "sky", "the modem takes over", 240)
    shut(fleet)
    wait_until(lambda: uplink(fleet) == "fibre", "the wire takes over again", 240)


def test_a_change_that_locks_the_agent_out_is_taken_back_by_itself(fleet: Fleet):
    fleet.must("uplink", "remove", "oslo", "sky", "--yes")
    settle(fleet)
    shut(fleet, "modem0")
    fleet.must("uplink", "set", "oslo", "fibre", "--device", "modem0")
    wait_until(lambda: fleet.agent_status("oslo")["link"] != "up", "the site is locked out", 60)
    fleet.kill_agent("oslo")
    fleet.start_agent("oslo")
    wait_until(lambda: uplink(fleet) == "fibre" and "not heard for 10 s" in condition(fleet), "the way back", 240)
    wait_until(lambda: "uplinks.reverted" in fleet.must("events", "--site", "oslo", "-o", "jsonl"), "its event", 30)
    # It is not tried again, though nothing is in its way any more, until something else is wished.
    shut(fleet)
    with pytest.raises(TimeoutError):
        wait_until(lambda: not condition(fleet), "a second try", 30)
    fleet.must("uplink", "set", "oslo", "fibre", "--preference", "7")
    settle(fleet)
    wait_until(lambda: uplink(fleet) == "fibre", "word of the uplink")
    oslo = fleet.lab.sites["oslo"]
    sockets = subprocess.run(
        oslo.argv("ss", "-tn", "dport", "=", f":{LINK_PORT}"), capture_output=True, text=True, check=True
    )
    assert "10.98.0.2" in sockets.stdout
