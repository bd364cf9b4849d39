import json

import pytest
from tests.cli.town import Town
from tests.sdk.image_bytes import Image, layout, tar

SHOP = """
services:
  web: {image: "web:1", secrets: [till]}
secrets:
  till: {external: true}
"""


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """A town with a site and an image."""
    town = Town(tmp_path_factory.mktemp("town"))
    archive = town.folder / "web.tar"
    archive.write_bytes(tar(layout(Image(), names=("web:1",))))
    town.ok("image", "push", archive)
    town.add_site("oslo", labels={"tier": "store"})
    yield town
    town.close()


def test_a_secret_is_set_from_stdin_or_a_file_listed_and_forgotten(town, tmp_path):
    assert "version 1 is sealed" in town.run("secret", "set", "key", stdin=b"hush\n").err
    assert "is so already" in town.run("secret", "set", "key", stdin=b"hush").err
    file = tmp_path / "value"
    file.write_bytes(b"louder")
    assert "version 2 is sealed" in town.run("secret", "set", "key", "--file", file, "--sites", "tier=store").err
    assert "version 3 is sealed" in town.run("secret", "set", "key", "--file", file, "--again").err
    (row,) = [row for row in json.loads(town.ok("secret", "list", "-o", "json"))["items"] if row["name"] == "key"]
    assert (row["number"], len(row["sealed_for"])) == (3, 2)
    listed = town.run("secret", "ls")
    assert "hush" not in listed.out
    assert "louder" not in listed.out
    assert "would forget secret key, version 3" in town.run("secret", "rm", "key", "--dry-run").err
    town.ok("secret", "rm", "key", "--yes")
    gone = town.run("secret", "remove", "key", "--yes")
    assert (gone.code, "Hint: skerry secret list" in gone.err) == (5, True)
    assert "version 4 is sealed" in town.run("secret", "set", "key", stdin=b"again").err


def test_a_secret_in_use_is_not_forgotten_and_is_never_an_argument(town, tmp_path):
    folder = tmp_path / "till"
    folder.mkdir()
    (folder / "compose.yaml").write_text(SHOP)
    assert town.run("apply", "-f", folder / "compose.yaml").code == 1
    town.ok("secret", "set", "till", stdin=b"1234")
    town.ok("apply", "-f", folder / "compose.yaml")
    refused = town.run("secret", "remove", "till", "--yes")
    assert refused.code == 6
    assert "is used by till" in refused.err
    assert town.run("secret", "set", "till", "1234").code == 64


def test_what_is_wrong_with_a_value_or_a_name_is_said(town, tmp_path):
    assert town.run("secret", "set", "key", "--file", tmp_path / "nothing").code == 1
    assert "'Key!' is no name for a secret" in town.run("secret", "set", "Key!", stdin=b"x").err
    assert "E-SELECTOR" in town.run("secret", "set", "key", "--sites", "tier in", stdin=b"x").err
    assert "would seal 1 bytes" in town.run("secret", "set", "dry", "--dry-run", stdin=b"x").err
    assert town.run("secret", "remove", "dry", "--yes").code == 5


def test_a_secret_is_shown_without_its_value(town):
    town.ok("secret", "set", "shown", "--file", "-", stdin=b"not for eyes")
    shown = town.ok("secret", "show", "shown")
    assert "shown" in shown
    assert "not for eyes" not in shown
    gone = town.run("secret", "show", "nothing")
    assert gone.code == 5
    assert "skerry secret list" in gone.err
