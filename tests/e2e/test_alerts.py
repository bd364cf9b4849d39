"""The shipped rules and the dashboard's queries, judged by Debian's own promtool."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from tests.tidy.sources import ROOT

pytestmark = pytest.mark.e2e

ALERTS = ROOT / "packaging/prometheus/alerts.yml"
DASHBOARD = ROOT / "packaging/prometheus/dashboard.json"
STORIES = Path(__file__).with_name("alerts_test.yml")


def promtool(*arguments: object) -> None:
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_sound_and_ring_when_they_should():
    promtool("check", "rules", ALERTS)
    promtool("test", "rules", STORIES)


def test_every_alert_has_its_story():
    alerts = re.findall(r"- alert: (\w+)", ALERTS.read_text())
    assert len(alerts) > 15
    stories = STORIES.read_text()
    rung = set(re.findall(r'alertname=\\"(\w+)\\"\}", value: [1-9]', stories))
    rung |= set(re.findall(r"alertname: (\w+)\n +exp_alerts", stories))
    assert set(alerts) - rung == set()


def test_every_query_of_the_dashboard_can_be_asked(tmp_path):
    queries = [
        target["expr"] for panel in json.loads(DASHBOARD.read_text())["panels"] for target in panel.get("targets", ())
    ]
    assert len(queries) > 30
    rules = [
        {"record": f"panel:{number}", "expr": re.sub(r"\$\w+", ".*", query.replace("$__rate_interval", "5m"))}
        for number, query in enumerate(queries)
    ]
    file = tmp_path / "queries.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", file)
