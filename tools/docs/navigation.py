"""The order of the pages on the site: sections with their pages, by path below docs/ and without `.md`.

Rule: each page stands here or lies beside one of PARENTS. The build fails for a page without a place, and for a name
here that is no page.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """A caption of the side bar, and the pages below it."""

    title: str
    pages: tuple[str, ...]


SECTIONS = (
    Section("Tutorial", ("tutorials/first-app",)),
    Section(
        "How to",
        (
            "how-to/ship-an-app",
            "how-to/say-where",
            "how-to/let-an-app-use-a-device",
            "how-to/find-services-by-name",
            "how-to/find-out-why-a-cannot-reach-b",
            "how-to/let-people-reach-an-app",
            "how-to/run-commands-and-share",
            "how-to/keep-to-an-area",
            "how-to/span-sites-with-one-network",
            "how-to/attach-to-a-network-of-the-site",
            "how-to/chain-services",
            "how-to/keep-it-running",
            "how-to/run-two-uplinks",
            "how-to/act-on-what-runs",
            "how-to/keep-what-a-volume-holds",
            "how-to/give-volumes-a-pool",
            "how-to/install-a-core",
            "how-to/join-a-box",
            "how-to/use-the-console",
            "how-to/debug-a-site-that-is-away",
            "how-to/back-up-a-core",
            "how-to/monitor-with-prometheus",
            "how-to/try-several-sites",
            "how-to/test-with-a-fake-core",
        ),
    ),
    Section(
        "Reference",
        (
            "generated/commands",
            "generated/compose-fields",
            "generated/settings",
            "generated/error-codes",
            "generated/limits",
            "generated/metrics",
            "generated/operations",
            "generated/wire",
            "glossary",
        ),
    ),
    Section(
        "How it works",
        (
            "architecture",
            "walks/apply",
            "walks/three-days-away",
            "walks/a-node-dies",
            "walks/a-packet-to-another-site",
            "decisions/README",
            "weaknesses",
        ),
    ),
    Section("Working on it", ("guides/add-a-kind", "guides/add-a-driver", "guides/bad-input", "results/README")),
)

#: Pages that stand below another one in the side bar: all that lie in its folder.
PARENTS = ("decisions/README", "results/README")


def find_lost(pages: Iterable[str]) -> list[str]:
    """Pages, by path below docs/ and without `.md`, that have no place on the site."""
    placed = {page for section in SECTIONS for page in section.pages}
    folders = tuple(f"{parent.rpartition('/')[0]}/" for parent in PARENTS)
    return [page for page in pages if page not in placed and not page.startswith(folders)]
