"""Each check of texts.py finds the breach that it is for."""

from pathlib import Path

import pytest

from tests.tidy import texts
from tests.tidy.sources import Source

MARK = "TO" + "DO"


def test_an_unfinished_mark_is_found_unless_it_says_where_it_is_recorded():
    assert list(texts.find_unfinished([Source("a.py", f"# {MARK}: later")])) != []
    assert list(texts.find_unfinished([Source("a.py", f"# {MARK}(decision 0007): the transport")])) == []
    assert list(texts.find_unfinished([Source("a.py", f"# {MARK}(weakness exec-streams): end to end")])) == []


@pytest.mark.parametrize("text", ["", "no title\n", "# A\n\n# B\n", "## Part\n\n# Title\n"])
def test_a_page_without_exactly_one_first_title_is_found(text):
    assert list(texts.find_bad_headings([Source("docs/a.md", text)])) != []


def test_a_comment_in_a_code_block_is_no_title():
    page = "# Title\n\n```console\n# as root\n```\n\n## Part\n"
    assert list(texts.find_bad_headings([Source("docs/a.md", page)])) == []
    assert texts.list_headings(page) == [(1, "Title"), (2, "Part")]


def test_a_path_of_one_machine_is_found():
    here = Path("/srv/checkout")
    for line in ("see /srv/checkout/src", "cd /ho" + "me/ada/skerry", "HOME=/ro" + "ot/.config"):
        assert list(texts.find_machine_paths([Source("a.md", line)], here)) != [], line


def test_paths_that_every_machine_has_are_fine():
    for line in ("/var/lib/skerry", "/usr/bin/env", "docs/work/plan", "https://example.org/home/page", "~/root/x"):
        assert list(texts.find_machine_paths([Source("a.md", line)], Path("/srv/checkout"))) == [], line
