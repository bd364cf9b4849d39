"""The app of the page about chains is one that Skerry takes."""

import re
from pathlib import Path

from tests.manifest.texts import accept

PAGE = Path(__file__).parents[2] / "docs/how-to/chain-services.md"


def test_the_app_of_the_page_is_taken():
    found = re.search(r"```yaml[^\n]*\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    manifest = accept(found[1])
    assert [chain.name for chain in manifest.chains] == ["web", "rest"]
    assert manifest.chains[0].through == ("wall", "inspect")
