"""The page of metrics and the dashboard that shows them, both from src/skerry/core/series.py.

The dashboard has a panel for each series: a counter as its rate, a gauge as it is. So no panel can name what is gone.
"""

import json
from pathlib import Path
from typing import Any

from skerry.core.series import FAMILIES, Family

DASHBOARD = "packaging/prometheus/dashboard.json"
_READERS = {"operator": "operators", "site": "whoever sees the site", "tenant": "the tenant"}
#: Rows of the dashboard, each with how the names of its series begin; the first that fits has it.
ROWS = (
    ("Sites", ("skerry_site",)),
    ("Machines", ("skerry_host_",)),
    ("Links", ("skerry_link_", "skerry_outbox_")),
    ("Instances", ("skerry_instance_",)),
    ("Volumes", ("skerry_volume_",)),
    ("The core", ("skerry_", "process_")),
)
_UNITS = (("_bytes", "bytes"), ("_seconds", "s"), ("_celsius", "celsius"))
_SOURCE = {"type": "prometheus", "uid": "${source}"}
#: Grafana's grid has 24 columns.
_WIDTH, _HEIGHT, _ACROSS = 8, 8, 3


def make_metrics_page(root: Path) -> dict[str, str]:
    """Make metrics.md."""
    rows = [
        f"| `{family.series}` | {family.kind} | {', '.join(f'`{label}`' for label in family.labels)} |"
        f" {_READERS[family.reader]} | {family.line} |"
        for family in FAMILIES
    ]
    head = (
        "# Metrics",
        "",
        "Made by `./dev gen` from `src/skerry/core/series.py`: what `/metrics` exposes, in base units.",
        "",
        "| Series | Kind | Labels | Shown to | Says |",
        "|---|---|---|---|---|",
    )
    return {"metrics.md": "\n".join([*head, *rows, ""])}


def ask(family: Family) -> str:
    """Return the query of a family's panel."""
    chosen = [f'{label}=~"${label}"' for label in ("site", "app") if label in family.labels]
    series = family.series + (f"{{{', '.join(chosen)}}}" if chosen else "")
    return f"rate({series}[$__rate_interval])" if family.kind == "counter" else series


def _unit(family: Family) -> str:
    found = next((unit for ending, unit in _UNITS if family.name.endswith(ending)), "short")
    if family.kind != "counter":
        return found
    return {"bytes": "Bps", "s": "short"}.get(found, "cps")  # seconds of processor a second are processors


def _title(family: Family) -> str:
    if family.kind != "counter":
        return family.line.rstrip(".")
    return f"{family.line.rstrip('.')}, {'processors' if family.name.endswith('_seconds') else 'per second'}"


def _panel(number: int, family: Family, left: int, top: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": "timeseries",
        "title": _title(family),
        "description": f"{family.series}: {family.line}",
        "datasource": _SOURCE,
        "gridPos": {"x": left, "y": top, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": _unit(family), "min": 0 if "offset" not in family.name else None}},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {
                "refId": "A",
                "datasource": _SOURCE,
                "expr": ask(family),
                "legendFormat": " ".join(f"{{{{{label}}}}}" for label in family.labels if label != "tenant"),
            }
        ],
    }


def list_rows() -> list[tuple[str, list[Family]]]:
    """Say which series stand in which row; facts that are no numbers stand in none."""
    found: dict[str, list[Family]] = {title: [] for title, _ in ROWS}
    for family in FAMILIES:
        if family.kind != "info":
            found[next(title for title, begins in ROWS if family.name.startswith(begins))].append(family)
    return list(found.items())


def make_dashboard(_: Path) -> str:
    """Make the dashboard in Grafana's own format."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, families in list_rows():
        place = {"x": 0, "y": top, "w": _WIDTH * _ACROSS, "h": 1}
        panels.append({"id": len(panels) + 1, "type": "row", "title": title, "gridPos": place, "panels": []})
        top += 1
        for index, family in enumerate(families):
            left, down = index % _ACROSS * _WIDTH, index // _ACROSS * _HEIGHT
            panels.append(_panel(len(panels) + 1, family, left, top + down))
        top += -(-len(families) // _ACROSS) * _HEIGHT
    variables = [
        {"name": "source", "type": "datasource", "query": "prometheus", "label": "Source"},
        _variable("site", "skerry_site_up"),
        _variable("app", "skerry_instance_ready"),
    ]
    dashboard = {
        "title": "Skerry",
        "uid": "skerry",
        "description": "Sites, machines, links and apps. Made by ./dev gen from the table of series.",
        "tags": ["skerry"],
        "schemaVersion": 38,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "1m",
        "templating": {"list": variables},
        "panels": panels,
    }
    return json.dumps(dashboard, indent=1, ensure_ascii=False) + "\n"


def _variable(label: str, series: str) -> dict[str, Any]:
    return {
        "name": label,
        "type": "query",
        "label": label.capitalize(),
        "datasource": _SOURCE,
        "query": {"query": f"label_values({series}, {label})", "refId": "A"},
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }
