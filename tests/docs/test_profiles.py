"""The two files of docs/how-to/let-an-app-use-a-device.md fit each other: one grants what the other asks for."""

import re
from pathlib import Path

from skerry.manifest.load import load_manifest
from skerry.manifest.profiles import GivenProfile, read_profile
from skerry.manifest.values import Manifest, Options, Rejected
from skerry.model.grants import find_profile_flaw

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "let-an-app-use-a-device.md"
GRANTED, APP = re.findall(r"```yaml[^\n]*\n(.*?)```", PAGE.read_text(), re.DOTALL)


def read_app(**grants):
    return load_manifest([("compose.yaml", APP.encode())], {}, options=Options(grants=grants))


def test_the_profile_grants_what_the_app_asks_for():
    given = read_profile(GRANTED.encode(), "modems.yaml", {})
    assert isinstance(given, GivenProfile)
    assert find_profile_flaw(given.profile) == ""
    assert isinstance(read_app(modems=(given.profile,)), Manifest)
    nowhere = read_app(modems=())
    assert isinstance(nowhere, Rejected)
    assert len(nowhere.problems) == 5


def test_every_word_of_a_profile_is_in_the_table():
    text = PAGE.read_text()
    for word in ("capabilities", "devices", "device-rules", "host", "binds", "privileged", "cpuset", "security"):
        assert f"| `{word}` |" in text
