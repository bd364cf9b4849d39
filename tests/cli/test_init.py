import json

import pytest

VENDOR = """\
# From the vendor.
services:
  db:      # keep me
    image: postgres:15   # and me

"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    folder = tmp_path / "shop"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def validate(town, file):
    return json.loads(town.ok("validate", "-f", file, "-o", "json"))


@pytest.mark.parametrize("more", [(), ("--sites", "tier=store, opening!=soon")])
def test_a_start_is_written_that_validates(town, here, more):
    result = town.run("init", *more)
    assert result.code == 0
    assert "Next: skerry plan -f compose.yaml, once the core has docker.io/library/nginx" in result.err
    assert validate(town, "compose.yaml")["app"] == "shop"
    assert "#" in (here / "compose.yaml").read_text()
    again = town.run("init")
    assert again.code == 6
    assert "Hint: skerry init --from FILE" in again.err


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_compose_file_keeps_every_byte_that_it_has(town, here, ending):
    file = here / "compose.yaml"
    before = VENDOR.replace("\n", ending).encode()
    file.write_bytes(before)
    file.chmod(0o640)
    assert town.run("init", "--from", "compose.yaml").code == 1, "asked, and nobody answers"
    assert file.read_bytes() == before
    town.ok("init", "--from", "compose.yaml", "--yes", "--sites", "tier=store")
    after = file.read_bytes()
    assert after.startswith(before)
    assert after.count(b"\n") == after.count(ending.encode())
    assert file.stat().st_mode & 0o777 == 0o640
    assert validate(town, "compose.yaml")["problems"] == []
    assert sorted(each.name for each in here.iterdir()) == ["compose.yaml", "skerry.schema.json"]
    again = town.run("init", "--from", "compose.yaml", "--yes")
    assert again.code == 6
    assert "has x-skerry already" in again.err


@pytest.mark.parametrize(
    ("more", "written"),
    [
        ((), "compose.yaml"),
        (("--from", "vendor.yaml", "--overlay"), "skerry.yaml"),
        (("--from", "vendor.yaml", "--yes"), "vendor.yaml"),
    ],
)
def test_editors_are_told_of_the_schema_that_is_written_beside(town, here, more, written):
    (here / "vendor.yaml").write_text(VENDOR)
    town.ok("init", *more)
    line = "\n# yaml-language-server: $schema=./skerry.schema.json\n"
    assert [each.name for each in here.glob("*.yaml") if line in "\n" + each.read_text()] == [written]
    schema = here / "skerry.schema.json"
    assert schema.read_text() == town.ok("schema")
    schema.write_text(schema.read_text().replace("a variable", "what an older release said"))
    town.ok("init", "--to", "more.yaml")
    assert schema.read_text() == town.ok("schema")


def test_a_foreign_file_of_that_name_is_left_alone(town, here):
    (here / "skerry.schema.json").write_text("{}")
    again = town.run("init")
    assert again.code == 6
    assert "is no schema of Skerry" in again.err
    assert [each.name for each in here.iterdir()] == ["skerry.schema.json"]


def test_a_file_without_a_last_newline_is_fine(town, here):
    (here / "a.yaml").write_text("services: {db: {image: postgres:15}}")
    town.ok("init", "--from", "a.yaml", "--yes")
    assert validate(town, "a.yaml")["problems"] == []


def test_a_vendors_file_is_left_alone(town, here):
    (here / "compose.yaml").write_text(VENDOR)
    town.ok("init", "--from", "compose.yaml", "--overlay", "--sites", "tier=store")
    assert (here / "compose.yaml").read_text() == VENDOR
    assert validate(town, "skerry.yaml")["app"] == "shop"
    assert town.run("init", "--from", "compose.yaml", "--overlay").code == 6


def test_a_dry_run_prints_and_writes_nothing(town, here):
    (here / "compose.yaml").write_text(VENDOR)
    text = town.ok("init", "--from", "compose.yaml", "--dry-run")
    assert text.startswith(VENDOR)
    assert (here / "compose.yaml").read_text() == VENDOR


def test_what_has_to_be_mended_first_is_said(town, here):
    (here / "compose.yaml").write_text("services:\n  db:\n    image: postgres:15\n    privileged: true\n")
    result = town.run("init", "--from", "compose.yaml", "--yes")
    assert result.code == 0
    assert "compose.yaml:4" in result.err
    assert "Next: mend it, then skerry validate -f compose.yaml" in result.err


@pytest.mark.parametrize(
    ("content", "code", "word"),
    [
        (b"{services: {db: {image: x}}}\n", 1, "--overlay"),
        (b"services: {db: {image: x}}\n...\n", 1, "--overlay"),
        (b"services: {db: {image: x}}\nx-text: |+\n  kept\n", 1, "--overlay"),
        (b"a: 1\n", 1, "no Compose file"),
        (b"- a\n", 1, "no Compose file"),
        (b"services: [\n", 1, "cannot be read"),
        (b"\xff\xfe", 1, "UTF-8"),
        (b"services: {a: {image: b}}\n---\nservices: {}\n", 1, "no Compose file"),
        (b"#" * 2_000_000, 1, "bytes"),
    ],
)
def test_what_cannot_be_extended_is_refused_and_unchanged(town, here, content, code, word):
    file = here / "odd.yaml"
    file.write_bytes(content)
    result = town.run("init", "--from", "odd.yaml", "--yes")
    assert result.code == code
    assert word in result.err
    assert file.read_bytes() == content


def test_wrong_words_are_usage(town, here):
    assert town.run("init", "--overlay").code == 64
    assert town.run("init", "--from", "a", "--to", "b").code == 64
    assert town.run("init", "--sites", "a b c").code == 64
    assert town.run("init", "--from", "gone.yaml").code == 5
    assert town.run("init", "--to", "gone/x.yaml").code == 1
