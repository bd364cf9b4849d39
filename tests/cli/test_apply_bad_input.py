"""Input that no app can be made of: told with its place, and what ran still runs (docs/guides/bad-input.md)."""

import json
import textwrap

import pytest
from tests.cli.town import Town
from tests.sdk.image_bytes import Image, layout, tar

SHOP = """
    services:
      web:
        image: web:1
        x-skerry: {placement: {replicas: {per-site: 1}}}
"""


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    town = Town(tmp_path_factory.mktemp("town"))
    archive = town.folder / "web.tar"
    archive.write_bytes(tar(layout(Image(), names=("docker.io/library/web:1",))))
    town.ok("image", "push", archive)
    town.sites = [town.add_site(name, labels={"tier": "store"}) for name in ("oslo", "bergen")]
    yield town
    town.close()


@pytest.fixture
def write(tmp_path):
    """Write a manifest; its folder is called as the test wishes the app to be."""

    def write(text, name="shop"):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        file = folder / "compose.yaml"
        file.write_text(textwrap.dedent(text))
        return file

    return write


def show(town, app):
    return json.loads(town.ok("app", "show", app, "-o", "json"))


@pytest.mark.parametrize(
    ("text", "word", "code"),
    [
        ("services: {web: {image: web:1, prots: ['80:80']}}", "prots", 1),
        ("services: {web: {image: [1]}}", "image", 1),
        ("services: {web: {image: web:1, environment: 7}}", "environment", 1),
        ("services: {web: {image: nowhere:1}}", "nowhere:1", 1),
        ("services: {" + "w" * 64 + ": {image: web:1}}", "w" * 20, 1),
        ("services: {web: {image: web:1, x-skerry: {placement: {sites: {names: [atlantis]}}}}}", "atlantis", 1),
        ("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nservices: *c\n", "E-", 1),
        ("\x00\x01", "E-", 1),
    ],
    ids=["field", "type", "types", "image", "name", "site", "bomb", "garbage"],
)
def test_bad_input_is_told_and_what_ran_still_runs(town, write, text, word, code):
    town.ok("apply", "-f", write(SHOP, "steady"))
    town.settle(*town.sites)
    before = show(town, "steady")
    refused = town.run("apply", "-f", write(text, "steady"))
    assert refused.code == code, refused
    assert word in refused.err
    assert "Traceback" not in refused.err
    after = show(town, "steady")
    assert (after["summary"]["number"], after["summary"]["ready"]) == (before["summary"]["number"], 2)
