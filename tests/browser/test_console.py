"""The stories of stories.mjs against one town, each a test of its own; they are played once, in their order."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.browser.town import Door, Town, furnish

from skerry.api.pages import BUILT

pytestmark = pytest.mark.browser

HERE = Path(__file__).resolve().parent
STORIES = HERE / "stories.mjs"
CHROMIUM = "/usr/bin/chromium"
LIMIT_S = 300
NAMES = re.findall(r'^story\("([^"]+)"', STORIES.read_text(), re.MULTILINE)
SIZES = ["at 360 pixels, light", "at 360 pixels, dark", "at 1360 pixels, light"]


@pytest.fixture(scope="module")
def told():
    """What became of each story."""
    for need in (CHROMIUM, shutil.which("node") or "/usr/bin/node", str(BUILT / "index.html")):
        assert Path(need).exists(), f"{need} is missing: ./dev test browser brings it"
    town = Town()
    door = Door(town)
    try:
        furnish(town)
        given = json.dumps({"url": town.url, "token": town.token, "viewer": town.viewer, "door": door.url})
        done = subprocess.run(
            ["node", str(STORIES)],
            input=given,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
            env={**os.environ, "SKERRY_CHROMIUM": CHROMIUM},
        )
    finally:
        door.close()
        town.close()
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines, done.stderr
    return {line["name"]: line["problem"] for line in lines}


@pytest.mark.parametrize("name", NAMES)
def test_story(told, name):
    assert told.get(name, "it was not played") == ""


@pytest.mark.parametrize("size", SIZES)
def test_every_page_fits(told, size):
    assert told.get(f"{size}, nothing is wider than the screen", "it was not played") == ""


def test_every_story_has_its_test(told):
    assert len(told) == len(NAMES) + len(SIZES)
