"""What is written about series names only series that there are, and all of them."""

import json
import re

from tests.tidy.sources import ROOT
from tools.gen.metrics import DASHBOARD, ask, list_rows, make_dashboard, make_metrics_page

from skerry.core.series import FAMILIES, HOST_CPU, INSTANCE_MEMORY, SITES

NAMES = {family.series for family in FAMILIES}


def names_in(text: str) -> set[str]:
    """Series that an expression or a page names; recorded ones have colons and are their own file's affair."""
    return set(re.findall(r"(?<![:\w])(?:skerry|process)_[a-z0-9_]+(?![:\w])", text))


def test_the_page_has_a_line_for_each_series():
    page = make_metrics_page(ROOT)["metrics.md"]
    assert set(re.findall(r"^\| `([a-z0-9_]+)`", page, re.MULTILINE)) == NAMES


def test_a_panel_asks_for_the_chosen_sites_and_apps_and_for_rates_of_counters():
    assert ask(SITES) == "skerry_sites"
    assert ask(HOST_CPU) == 'rate(skerry_host_cpu_seconds_total{site=~"$site"}[$__rate_interval])'
    assert ask(INSTANCE_MEMORY) == 'skerry_instance_memory_bytes{site=~"$site", app=~"$app"}'


def test_the_dashboard_shows_every_number_once_and_overlaps_nowhere():
    dashboard = json.loads(make_dashboard(ROOT))
    panels = dashboard["panels"]
    shown = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    assert shown == [ask(family) for _, families in list_rows() for family in families]
    assert set().union(*map(names_in, shown)) == {family.series for family in FAMILIES if family.kind != "info"}
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels) == len({panel["id"] for panel in panels})


def test_the_shipped_dashboard_is_current():
    assert (ROOT / DASHBOARD).read_text() == make_dashboard(ROOT)


def test_alerts_and_how_to_name_only_what_there_is():
    for name in ("packaging/prometheus/alerts.yml", "docs/how-to/monitor-with-prometheus.md"):
        named = names_in((ROOT / name).read_text())
        assert named - NAMES == set(), name
        assert named
