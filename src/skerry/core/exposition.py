"""OpenMetrics text from families of series; pure. https://prometheus.io/docs/specs/om/open_metrics_spec/

A family is declared where its first series is added, and all of its series stand together, as the format wants.
"""

from collections.abc import Mapping
from typing import Literal

#: What Prometheus asks for by name; one version, because older readers do not know the names of counters.
MEDIA_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

Kind = Literal["counter", "gauge", "info"]
_SUFFIXES: dict[Kind, str] = {"counter": "_total", "gauge": "", "info": "_info"}


class Exposition:
    """Collects series and writes them."""

    def __init__(self) -> None:
        self._families: dict[str, list[str]] = {}

    def add(self, kind: Kind, name: str, line: str, value: float, labels: Mapping[str, str] | None = None) -> None:
        """Add one series; ``name`` has no suffix, ``line`` is the family's help, empty labels are left out."""
        family = self._families.get(name)
        if family is None:
            family = self._families[name] = [f"# TYPE {name} {kind}", f"# HELP {name} {_escape(line)}"]
        pairs = ",".join(f'{key}="{_escape(text)}"' for key, text in (labels or {}).items() if text)
        braces = f"{{{pairs}}}" if pairs else ""
        family.append(f"{name}{_SUFFIXES[kind]}{braces} {_number(value)}")

    def write(self) -> str:
        """Return the whole text."""
        return "\n".join([*(line for family in self._families.values() for line in family), "# EOF", ""])


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))
