"""The generated pages: read from the sources, compared exactly, and nothing left over."""

import pytest
from tools.gen import make_pages
from tools.gen.__main__ import ROOT, find_differences, write_pages
from tools.gen.commands import make_commands_page
from tools.gen.errors import find_codes
from tools.gen.limits import read_limits
from tools.gen.man import make_man_pages
from tools.gen.operations import make_operations_page
from tools.gen.settings import make_settings_page, read_settings
from tools.gen.wire import list_messages

from skerry.cli.man import escape
from skerry.cli.tree import EVERYDAY, NOUNS
from skerry.operations import OPERATIONS

LIMITS = '''"""Limits."""

#: Bytes of one frame: held in memory whole
#: while it is read.
FRAME_BYTES_MAX = 4 * 1024

#: First wait, and its cap.
DELAY_US_MIN = 5
DELAY_US_MAX: int = 300

PLAIN = 1
'''


def test_limits_are_read_with_their_reasons():
    assert read_limits(LIMITS) == [
        ("FRAME_BYTES_MAX", "4 * 1024", "Bytes of one frame: held in memory whole while it is read."),
        ("DELAY_US_MIN", "5", "First wait, and its cap."),
        ("DELAY_US_MAX", "300", "First wait, and its cap."),
        ("PLAIN", "1", ""),
    ]


def test_every_limit_of_the_product_has_a_reason():
    limits = read_limits((ROOT / "src" / "skerry" / "model" / "limits.py").read_text())
    assert len(limits) > 20
    assert [name for name, _, reason in limits if not reason] == []


def test_settings_are_read_with_their_meanings():
    lines = ("#: Where it", "#: lives.", "data: Path", "port: int = 1", "name: str = ''")
    text = "\n    ".join(("class Core(Base, frozen=True):", *lines))
    assert read_settings(text, "Core") == [
        ("data", "Path", "must be given", "Where it lives."),
        ("port", "int", "`1`", "Where it lives."),
        ("name", "str", "empty", "Where it lives."),
    ]


def test_every_setting_of_the_product_has_a_meaning():
    rows = [line for line in make_settings_page(ROOT)["settings.md"].splitlines() if line.startswith("| `")]
    assert len(rows) > 15
    assert [row for row in rows if row.endswith("|  |")] == []


def test_error_codes_are_whole_literals():
    assert find_codes("raise Refused('E-CONFLICT', 'see E-OTHER')\nx = f'E-{y}'") == {"E-CONFLICT"}


def test_what_was_written_is_current_and_every_change_is_found(tmp_path):
    pages = {"a.md": "# A\n\none\n", "deep/b.json": "{}\n"}
    write_pages(tmp_path, pages)
    assert find_differences(tmp_path, pages) == []
    (tmp_path / "a.md").write_text("# A\n\ntwo\n")
    (tmp_path / "old.md").write_text("# Old\n")
    (tmp_path / "deep" / "b.json").unlink()
    found = find_differences(tmp_path, pages)
    assert [line.split()[0] for line in found] == ["old.md", "a.md", "deep/b.json"]
    assert "-two" in found[1]
    assert "+one" in found[1]
    write_pages(tmp_path, pages)
    assert find_differences(tmp_path, pages) == []


def test_two_generators_may_not_write_one_page(tmp_path):
    with pytest.raises(ValueError, match=r"a\.md"):
        make_pages(tmp_path, (lambda _: {"a.md": "1"}, lambda _: {"a.md": "2"}))


def test_messages_are_read_in_the_order_of_their_fields():
    text = '''class Beat(_Message, frozen=True, tag="hb"):
    """Alive.

    More.
    """

    clock_s: int
    well: bool = True

class Other: ...
'''
    assert list_messages(text) == [("Beat", "hb", "Alive.", [("clock_s", "int", ""), ("well", "bool", "True")])]


def test_every_operation_has_its_line():
    page = make_operations_page(ROOT)["operations.md"]
    for operation in OPERATIONS:
        assert f"{operation.method} {operation.path}" in page


def test_the_page_of_commands_has_every_built_command_with_its_options():
    page = make_commands_page(ROOT)["commands.md"]
    built, _, later = page.partition("## Not built yet")
    for name in ("up", "site join-token", "app rollback", "agent join"):
        assert f"### skerry {name}\n" in built
    assert "`--label KEY=VALUE`" in built
    assert "--help" not in built
    assert "`skerry flow`: `list`" in later
    assert "### skerry flow" not in built


def test_every_built_command_has_its_place_in_a_man_page():
    pages = make_man_pages(ROOT)
    for noun in NOUNS:
        page = pages.get(f"man/skerry-{noun.name}.1", "")
        assert bool(page) == noun.built
        for verb in noun.verbs:
            assert (f'.SS "skerry {escape(noun.name)} {escape(verb.name)} ' in page) == verb.built, verb
    for verb in EVERYDAY:
        assert (f'.SS "skerry {escape(verb.name)} ' in pages["man/skerry.1"]) == verb.built, verb


def test_no_text_is_taken_for_a_request_of_roff():
    assert escape(".SH no") == "\\&.SH no"
    assert escape("a\\b --yes\n'x") == "a\\eb \\-\\-yes 'x"
    requests = {"TH", "SH", "SS", "TP", "B", "BR"}
    for name, page in make_man_pages(ROOT).items():
        found = {line[1:].split(" ")[0] for line in page.splitlines() if line.startswith((".", "'"))}
        assert found <= requests, name
