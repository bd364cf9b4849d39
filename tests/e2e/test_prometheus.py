"""Debian's Prometheus scrapes a real core with light sites over real links, and is asked for what it stored."""

import json
import re
import socket
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.browser.town import Town, settle
from tests.tidy.sources import ROOT

pytestmark = pytest.mark.e2e

WAIT_S = 90
ALERTS = ROOT / "packaging/prometheus/alerts.yml"
DASHBOARD = ROOT / "packaging/prometheus/dashboard.json"
PAGE = ROOT / "docs/how-to/monitor-with-prometheus.md"


def make_config(target: str, token: Path, rules_file: Path) -> str:
    """All configurations of the how-to page as one, for this core and in a hurry."""
    first, rules, *rest = re.findall(r"^```yaml prometheus\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    blocks = [first, *rest]
    heads = {block.partition("\n")[0] for block in blocks}
    assert (len(blocks), heads) == (2, {"scrape_configs:"})
    assert rules == "rule_files: [/usr/share/skerry/prometheus/alerts.yml]\n"
    text = f"rule_files: [{rules_file}]\nscrape_configs:\n" + "".join(block.partition("\n")[2] for block in blocks)
    for theirs, ours in (("core.example:7710", target), ("/etc/prometheus/skerry.token", str(token)), ("60s", "1s")):
        assert theirs in text
        text = text.replace(theirs, ours)
    return "global: {scrape_timeout: 1s, evaluation_interval: 1s}\n" + text


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Prometheus:
    """One server, as a user without rights, in a folder of its own."""

    def __init__(self, folder: Path, target: str, token: str) -> None:
        (folder / "token").write_text(token)
        config = folder / "prometheus.yml"
        rules = folder / "alerts.yml"
        rules.write_bytes(ALERTS.read_bytes())
        config.write_text(make_config(target, folder / "token", rules))
        checked = subprocess.run(["promtool", "check", "config", config], capture_output=True, text=True, timeout=30)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        for path in (folder, config, rules, folder / "token"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        data = folder / "data"
        data.mkdir()
        data.chmod(0o777)
        self.url = f"http://127.0.0.1:{_free_port()}"
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            [
                *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"),
                *("prometheus", f"--config.file={config}", f"--storage.tsdb.path={data}"),
                f"--web.listen-address={self.url.removeprefix('http://')}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as answer:
            return json.load(answer)["data"]

    def wait_for(self, query: str) -> list[dict[str, Any]]:
        """Return the series a query gives, once there are any."""
        end = time.monotonic() + WAIT_S
        found: list[dict[str, Any]] = []
        while not found and time.monotonic() < end:
            assert self._process.poll() is None, "prometheus has ended"
            try:
                found = self.ask("/api/v1/query?" + urllib.parse.urlencode({"query": query}))["result"]
            except OSError:
                found = []
            time.sleep(0.2)
        assert found, f"no series for {query}"
        return found

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


@pytest.fixture(scope="module")
def scraped() -> Iterator[tuple[Town, Prometheus]]:
    town = Town()
    try:
        for name in ("oslo-1", "bergen-1"):
            town.add_site(name, labels={"tier": "store"})
        town.apply("shop", {"web": "nginx"})
        settle(town, "shop", 2)
        # A folder that a user without rights may enter, which pytest's own are not.
        with tempfile.TemporaryDirectory(prefix="skerry-prometheus-") as folder:
            server = Prometheus(Path(folder), f"127.0.0.1:{town.port}", town.token)
            try:
                yield town, server
            finally:
                server.stop()
    finally:
        town.close()


def test_series_of_the_core_of_sites_and_of_instances_are_stored(scraped):
    _, server = scraped
    assert server.wait_for('skerry_sites{state="online"}')[0]["value"][1] == "2"
    assert {each["metric"]["site"] for each in server.wait_for('skerry_site_up{job="skerry"} == 1')} == {
        "oslo-1",
        "bergen-1",
    }
    used = server.wait_for('skerry_instance_memory_bytes{job="skerry", site="oslo-1"}')[0]
    assert used["metric"] | {"instance": "default/shop/web/0", "app": "shop", "service": "web"} == used["metric"]
    assert 60 << 20 <= int(used["value"][1]) <= 150 << 20


def test_what_sites_use_came_because_somebody_scraped(scraped):
    town, server = scraped
    found = server.wait_for('skerry_host_load1{job="skerry", site="oslo-1"}')
    assert 0 <= float(found[0]["value"][1]) <= 2.5
    assert server.wait_for('skerry_samples_total{job="skerry"} >= 2')
    history = town.api.ask("GET", "/v1/use/history?site=oslo-1")
    assert 2 << 30 <= history["points"][0]["memory_bytes"] <= 4 << 30


def test_targets_are_found_by_http_sd_and_are_all_well(scraped):
    _, server = scraped
    up = server.wait_for('count(up{job="skerry-sites"} == 1) == 3')
    assert up[0]["value"][1] == "3"
    assert server.wait_for('skerry_host_memory_bytes{job="skerry-sites", site="bergen-1"}')
    active = server.ask("/api/v1/targets?state=active")["activeTargets"]
    assert {each["labels"]["instance"] for each in active if each["labels"]["job"] == "skerry-sites"} == {
        "core",
        "site/oslo-1",
        "site/bergen-1",
    }
    assert {each["lastError"] for each in active} <= {""}


def test_the_shipped_rules_are_loaded_and_a_fleet_that_is_well_rings_nothing(scraped):
    _, server = scraped
    server.wait_for("site:skerry_host_memory:ratio")
    groups = server.ask("/api/v1/rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) > 20
    assert {(rule["health"], rule.get("lastError", "")) for rule in rules} == {("ok", "")}
    assert [rule["name"] for rule in rules if rule.get("state") == "firing"] == []


def test_every_panel_of_the_dashboard_is_answered_and_most_have_something_to_show(scraped):
    _, server = scraped
    server.wait_for("skerry_outbox_events")
    server.wait_for("rate(skerry_host_cpu_seconds_total[20s]) > 0")
    shown, blank = 0, set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            query = re.sub(r"\$\w+", ".*", target["expr"].replace("$__rate_interval", "20s"))
            found = server.ask("/api/v1/query?" + urllib.parse.urlencode({"query": query}))["result"]
            shown += bool(found)
            if not found:
                blank.add(re.search(r"(?:skerry|process)_\w+", target["expr"]).group())
    # Nobody here has a network over sites, an entrance, a chain or an uplink.
    unused = ("skerry_chain_", "skerry_entrance_", "skerry_network_", "skerry_peer_", "skerry_relay_", "skerry_uplink_")
    # Nothing is wrong, no volume is measured yet, and heartbeats and counts of bytes take their time.
    assert {each for each in blank if not each.startswith(unused)} <= {
        "skerry_sites_left_out",
        "skerry_site_condition",
        "skerry_volume_disk_bytes",
        "skerry_link_bytes_total",
        "skerry_link_round_trip_seconds",
    }
    assert shown > 30
