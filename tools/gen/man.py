"""Pages for `man`: docs/generated/man/skerry.1 and one page for each noun, as ``skerry man`` writes them."""

from pathlib import Path

from skerry.cli.main import ROOT
from skerry.cli.man import write_pages


def make_man_pages(_: Path) -> dict[str, str]:
    """Make the pages."""
    return {f"man/{name}": text for name, text in write_pages(ROOT).items()}
