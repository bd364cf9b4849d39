"""From the pages of the checkout to the sources of the site: the README as first page, and what orders the rest.

Rule: pure, texts by path below docs/ in and out. A page says nothing else on the site than in the checkout.
"""

import json
import re
from collections.abc import Mapping

from tools.docs.navigation import PARENTS, SECTIONS


def make_toctree(entries: list[str], caption: str = "") -> str:
    """A block that puts pages into the side bar and shows nothing on the page itself."""
    head = [f":caption: {caption}"] if caption else []
    return "\n".join(["```{toctree}", ":hidden:", *head, "", *(f"/{entry}" for entry in entries), "```", ""])


def make_index(readme: str) -> str:
    """The README as first page: its links start at docs/, and one to a file outside becomes plain words."""
    text = re.sub(r"\]\(docs/", "](", readme)
    text = re.sub(r"\[([^\]]+)\]\([A-Z]+\)", r"\1", text)
    return text + "\n" + "\n".join(make_toctree(list(each.pages), each.title) for each in SECTIONS)


def make_runs_table(results: Mapping[str, str]) -> str:
    """One row for each long run: what it is for, and whether it held. Files of other shapes have no row."""
    rows = ["", "| Run | What it is for | Held | Minutes | Made at |", "|---|---|---|---|---|"]
    for name, text in sorted(results.items()):
        told = json.loads(text)
        if "why" in told:
            held = "yes" if told["ok"] else "no"
            minutes = round(told["seconds"] / 60)
            rows.append(f"| [{told['name']}]({name}) | {told['why']} | {held} | {minutes} | `{told['commit']}` |")
    return "\n".join([*rows, ""])


def make_sources(readme: str, pages: Mapping[str, str], results: Mapping[str, str]) -> dict[str, str]:
    """Every text of the site; ``pages`` by path below docs/, ``results`` the JSON files of docs/results/ by name."""
    made = {**pages, "index.md": make_index(readme)}
    for parent in PARENTS:
        folder = parent.rpartition("/")[0]
        below = sorted(
            path.removesuffix(".md")
            for path in pages
            if path.startswith(f"{folder}/") and path.removesuffix(".md") != parent
        )
        made[f"{parent}.md"] += "\n" + make_toctree(below)
    made["results/README.md"] += make_runs_table(results)
    return made
