"""A chain through containers, from the manifest to the packet: applied, placed, steered, and noticed when it dies."""

import json
import re
import subprocess
from collections.abc import Generator
from typing import Any

import pytest
from tests.e2e.fleet import Fleet, list_containers, wait_until, write_image
from tests.e2e.lab import CHECKOUT, Lab
from tests.e2e.lab_site import CORE_ADDRESS
from tests.e2e.tiny_image import tiny_image

pytestmark = pytest.mark.e2e

#: The app of the page that tells people how, with the smallest image as each of its programs.
PAGE = CHECKOUT / "docs/how-to/chain-services.md"
APP = PAGE.read_text().partition("```yaml")[2].partition("\n")[2].partition("```")[0]
#: What it has people type, in order; their site is called oslo there.
TYPED = re.findall(r"^\$ skerry (.*)$", PAGE.read_text().partition("```console")[2].partition("```")[0], re.MULTILINE)


#: Who makes the links of instances at each site.
LINKS = {"a": "podman", "b": "skerry"}


class Town:
    """One of two sites with the app of the page."""

    def __init__(self, fleet: Fleet, name: str) -> None:
        self.fleet, self.name, self.site = fleet, name, fleet.lab.sites[name]

    def running(self) -> set[str]:
        return {name.split("/")[2] for name, each in list_containers(self.site).items() if each["State"] == "running"}

    def pid(self, service: str) -> int:
        row = list_containers(self.site)[f"default/shop/{service}/0"]
        return self.site.podman.do("GET", f"/containers/{row['Id']}/json")["State"]["Pid"]

    def ping(self, count: int = 4) -> int:
        """Return how many answers of the core's machine, which lies beyond the site, the till had."""
        enter = ["nsenter", f"--net=/proc/{self.pid('till')}/ns/net"]
        words = ["busybox", "ping", "-c", str(count), "-i", "0.1", "-W", "1", CORE_ADDRESS]
        done = subprocess.run([*enter, *words], capture_output=True, text=True, check=False, timeout=60)
        found = re.search(r"(\d+) packets received", done.stdout)
        return int(found[1]) if found else 0

    def gateways(self) -> dict[str, str]:
        """Return the hardware address of each bridge."""
        links = json.loads(self.site.run("ip", "-json", "link", "show", "type", "bridge"))
        return {each["ifname"]: each["address"] for each in links}

    def counts(self) -> dict[str, int]:
        said = json.loads(self.site.run("nft", "-j", "list", "counters", "table", "inet", "skerry_chains"))
        rows = (each["counter"] for each in said["nftables"] if "counter" in each)
        return {row["name"]: row["packets"] for row in rows}

    def type(self, number: int, *more: str) -> str:
        """Type a line of the page, and return what it says."""
        return self.fleet.must(*TYPED[number].replace("--site oslo", f"--site {self.name}").split(), *more)

    def told(self) -> dict[str, Any]:
        """Return what the core was told of the chain at this site."""
        nodes = self.fleet.ask("chain", "show", "shop/rest")["nodes"]
        return next((each for each in nodes if each["site"] == self.name), {"state": "", "path_us": 0})

    def state(self) -> str:
        return self.told()["state"]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Generator[Fleet]:
    folder = tmp_path_factory.mktemp("app")
    (folder / "shop").mkdir()
    text = re.sub(r"image: \S+", "image: tiny:1\n    stop_grace_period: 1s", APP)
    (folder / "shop" / "compose.yaml").write_text(text)
    with Lab([*LINKS]) as lab, Fleet(lab) as fleet:
        fleet.must("image", "push", write_image(folder, "tiny", tiny_image("tiny:1")))
        for name, links in LINKS.items():
            fleet.agent_env["SKERRY_AGENT_LINKS"] = links
            fleet.start_site(name)
        fleet.must(*TYPED[0].replace("shop/", f"{folder}/shop/").split())
        yield fleet


@pytest.fixture(params=LINKS, ids=LINKS.values())
def town(request: pytest.FixtureRequest, fleet: Fleet) -> Town:
    town = Town(fleet, request.param)
    wait_until(lambda: town.running() == {"till", "wall", "inspect"}, "the start of all instances", 120)
    wait_until(lambda: town.state() == "whole", "word of the whole chain", 60)
    return town


def test_what_the_till_sends_passes_the_wall_both_ways(town: Town):
    before = town.counts()
    assert town.ping() == 4
    after = town.counts()
    grown = {name: count - before.get(name, 0) for name, count in after.items() if count != before.get(name, 0)}
    # Pings are in the second chain, which has one step; test packets of a measuring meanwhile are not answered.
    assert {name: count for name, count in grown.items() if name.endswith("_back")} == {"c1s1_back": 4}
    assert grown["c1s1_out"] in (4, 8)


def test_an_owner_tests_the_chain_and_sees_what_it_costs(town: Town):
    assert "whole" in town.type(1)
    found = json.loads(town.type(2, "-o", "json"))
    assert (found["sent"], found["arrived"]) == (10, 10), found
    (step,) = found["steps"]
    assert (step["service"], step["given"], step["passed"]) == ("wall", 10, 10)
    assert 0 < step["median_us"] <= found["median_us"]

    wait_until(lambda: town.told()["path_us"] > 0, "latency at the core", 60)


def test_a_step_that_is_stopped_closes_the_chain_and_its_return_opens_it(town: Town):
    gateways = town.gateways()
    town.type(3)
    wait_until(lambda: town.state() == "closed", "word of the closed chain", 60)
    assert "closed" in town.type(4)
    assert town.ping(1) == 0
    town.type(5)
    wait_until(lambda: town.state() == "whole", "word of the whole chain", 60)
    assert town.ping() == 4
    # Whoever comes and goes: those who stay would send to the old one.
    assert town.gateways() == gateways
