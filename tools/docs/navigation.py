"""The order of the pages on the site: sections with their pages, by path below docs/ and without `.md`.

Rule: each page stands here or lies beside one of PARENTS. The build fails for a page without a place, and for a name
here that is no page.
"""

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
            "how-to/install-a-core",
            "how-to/join-a-box",
            "how-to/use-the-console",
            "how-to/debug-a-site-that-is-away",
            "how-to/back-up-a-core",
            "how-to/monitor-with-prometheus",
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
        ("architecture", "walks/apply", "walks/three-days-away", "walks/a-node-dies", "decisions/README", "weaknesses"),
    ),
    Section("Working on it", ("guides/add-a-kind", "guides/add-a-driver", "guides/bad-input", "results/README")),
)

#: Pages that stand below another one in the side bar: all that lie in its folder.
PARENTS = ("decisions/README", "results/README")
