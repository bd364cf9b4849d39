"""The two files of each page about grants fit each other: one grants what the other asks for."""

import re
from pathlib import Path

import pytest

from skerry.manifest.load import load_manifest
from skerry.manifest.profiles import GivenProfile, read_profile
from skerry.manifest.values import Manifest, Options, Rejected
from skerry.model.grants import Profile, find_profile_flaw

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
PAGE = HOW_TO / "let-an-app-use-a-device.md"


def read_app(app: str, **grants: tuple[Profile, ...]) -> Manifest | Rejected:
    return load_manifest([("compose.yaml", app.encode())], {}, options=Options(grants=grants))


@pytest.mark.parametrize(
    ("page", "count"), [("let-an-app-use-a-device.md", 5), ("attach-to-a-network-of-the-site.md", 2)]
)
def test_the_profile_grants_what_the_app_asks_for(page: str, count: int):
    granted, app = re.findall(r"```yaml[^\n]*\n(.*?)```", (HOW_TO / page).read_text(), re.DOTALL)
    given = read_profile(granted.encode(), "profile.yaml", {})
    assert isinstance(given, GivenProfile)
    assert find_profile_flaw(given.profile) == ""
    assert isinstance(read_app(app, **{given.name: (given.profile,)}), Manifest)
    nowhere = read_app(app, **{given.name: ()})
    assert isinstance(nowhere, Rejected)
    # Each thing by itself, and the profile.
    assert len(nowhere.problems) == count


def test_every_word_of_a_profile_is_in_the_table():
    text = PAGE.read_text()
    for word in (
        "capabilities",
        "devices",
        "device-rules",
        "host",
        "binds",
        "privileged",
        "cpuset",
        "security",
        "interfaces",
    ):
        assert f"| `{word}` |" in text
