"""What networks cost: the overlay, names, a dead instance, a whole site's memory, and many apps and sites at once.

Each part has a module of its own, which says how it measures: ``net_overlay``, ``net_names``, ``net_site`` and
``net_plans``. Rows with a ratio have their baseline from the same run. ``--json FILE`` writes the rows, ``--page FILE``
the same for people, ``--only PART`` runs one part.
"""

import argparse
import json
import pathlib
import signal
import sys
from typing import Any

from bench import net_names, net_overlay, net_plans, net_site
from bench.rows import show, write_page

PARTS = {
    "overlay": net_overlay.measure,
    "names": net_names.measure,
    "site": net_site.measure,
    "plans": net_plans.measure,
}
INTRO = (
    "Written by `./dev long bench-net`: real namespaces and real programs of Debian, on one machine. The baseline of a "
    "row was measured in the same run; nobody set a goal for a row without one."
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--page", type=pathlib.Path, metavar="FILE", help="the rows for people, as Markdown")
    parser.add_argument("--only", choices=PARTS, metavar="PART", help=f"one of {', '.join(PARTS)}")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    rows: list[dict[str, Any]] = []
    for name, measure in PARTS.items():
        if options.only not in (None, name):
            continue
        for row in measure():
            rows.append(row)
            show(row)
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}, indent=2) + "\n")
    if options.page:
        options.page.write_text(write_page("Benchmarks of networks", INTRO, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
