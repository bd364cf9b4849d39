"""OpenMetrics text from series; pure. https://prometheus.io/docs/specs/om/open_metrics_spec/

A family is declared where its first series is added, and all of its series stand together, as the format wants.
"""

from skerry.core.series import Family

#: What Prometheus asks for by name; one version, because older readers do not know the names of counters.
MEDIA_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Exposition:
    """Collects series and writes them."""

    def __init__(self) -> None:
        self._families: dict[str, list[str]] = {}

    def add(self, family: Family, value: float, *labels: str) -> None:
        """Add one series; values of labels stand in the family's order, empty ones are left out."""
        lines = self._families.get(family.name)
        if lines is None:
            head = [f"# TYPE {family.name} {family.kind}", f"# HELP {family.name} {_escape(family.line)}"]
            lines = self._families[family.name] = head
        named = zip(family.labels, labels, strict=True)
        pairs = ",".join(f'{name}="{_escape(text)}"' for name, text in named if text)
        braces = f"{{{pairs}}}" if pairs else ""
        lines.append(f"{family.series}{braces} {_number(value)}")

    def write(self) -> str:
        """Return the whole text."""
        return "\n".join([*(line for lines in self._families.values() for line in lines), "# EOF", ""])


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))
