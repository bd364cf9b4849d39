"""Every planted bug still has its place in the sources, and the sources still compile with it."""

import pytest
from tests.sim.planted.__main__ import ROOT
from tests.sim.planted.bugs import BUGS


def test_there_are_twenty():
    assert len(BUGS) >= 20
    assert len({bug.name for bug in BUGS}) == len(BUGS)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_no_planted_bug_is_stale(bug):
    text = (ROOT / "src" / "skerry" / bug.file).read_text()
    assert text.count(bug.marker) == 1
    compile(text.replace(bug.marker, bug.replacement), bug.file, "exec")
