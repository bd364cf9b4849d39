"""The app of the page about chains is one that Skerry takes."""

import re
from pathlib import Path

import pytest
from tests.manifest.texts import accept

from skerry.model.grants import Profile
from skerry.model.ids import TenantName

PAGE = Path(__file__).parents[2] / "docs/how-to/chain-services.md"


def test_the_app_of_the_page_is_taken():
    found = re.search(r"```yaml[^\n]*\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    manifest = accept(found[1])
    assert [chain.name for chain in manifest.chains] == ["web", "rest"]
    assert manifest.chains[0].through == ("wall", "inspect")


@pytest.mark.parametrize("start", ["interface:lan1", "users"])
def test_so_are_the_chains_of_its_other_examples(start: str):
    app, *others = re.findall(r"```yaml[^\n]*\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (words,) = (each for each in others if start in each)
    text = app.partition("x-skerry:")[0].replace("  till:\n", "  till:\n    ports: ['8080:80']\n") + words
    grant = Profile(tenants=(TenantName("t"),), interfaces=("lan1",))
    (chain,) = accept(text, grants={"branch": (grant,)}).chains
    assert str(chain.start) == start
