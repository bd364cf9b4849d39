"""What is drawn again leaves nothing behind: seen through tmux, in narrow windows and ones whose size changes."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tests.cli.town import Town
from tests.tmux import TMUX, Screen

pytestmark = pytest.mark.skipif(TMUX is None, reason="needs Debian's tmux")

#: The second at the end is for the terminal to show the last line before it goes.
PROGRESS = """
import sys, time
from skerry.cli.output import Progress
progress = Progress()
for number in range(3):
    progress.line(f"layer {number} " + "of an image with a long name " * 9)
progress.line("nearly there")
print("shown", file=sys.stderr, flush=True) if len(sys.argv) > 1 else time.sleep(1)
progress.end()
print("done", flush=True)
"""


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    town = Town(tmp_path_factory.mktemp("town"))
    for name in ("bergen", "oslo", "tromsoe"):
        town.add_site(name)
    yield town
    town.close()


@pytest.fixture
def show(town):
    opened = []

    def begin(*words: str, columns: int = 100, rows: int = 20) -> Screen:
        # A socket's path has at most 108 bytes.
        folder = tempfile.TemporaryDirectory(prefix="skt-")
        screen = Screen(Path(folder.name), [sys.executable, *words], town.environment, columns, rows)
        opened.append((screen, folder))
        return screen

    yield begin
    for screen, folder in opened:
        screen.close()
        folder.cleanup()


def _rows(lines: list[str], word: str) -> int:
    return sum(word in line for line in lines)


@pytest.mark.parametrize("words", [("top",), ("site", "list", "--watch")])
def test_a_table_is_drawn_over_itself_and_fits_a_window_that_changes(town, show, words):
    screen = show("-m", "skerry", *words)
    screen.wait(lambda lines: _rows(lines, "SITE") == 1 and _rows(lines, "tromsoe") == 1)
    screen.resize(60, 30)
    # The next drawing is made for the narrow window: one title, each site once, nothing of the wide one.
    narrow = screen.wait(lambda lines: lines[0].startswith("SITE") and max(map(len, lines)) <= 60)
    assert [_rows(narrow, name) for name in ("bergen", "oslo", "tromsoe")] == [1, 1, 1], narrow
    town.ok("site", "remove", "tromsoe", "--yes")
    try:
        left = screen.wait(lambda lines: lines[0].startswith("SITE") and _rows(lines, "tromsoe") == 0)
        assert [_rows(left, name) for name in ("SITE", "bergen", "oslo")] == [1, 1, 1], left
    finally:
        town.add_site("tromsoe")
    screen.resize(100, 20)
    screen.wait(lambda lines: lines[0].startswith("SITE") and _rows(lines, "tromsoe") == 1)
    screen.type("C-c")
    ended = screen.wait(lambda lines: _rows(lines, "exit code 130") == 1)
    assert _rows(ended, "interrupted") == 1
    assert _rows(ended, "Traceback") == 0


def test_progress_longer_than_the_window_leaves_no_line(show):
    screen = show("-c", PROGRESS, columns=40, rows=12)
    lines = screen.wait(lambda lines: _rows(lines, "exit code") == 1)
    assert [line.strip() for line in lines] == ["done", "exit code 0"]


def test_elsewhere_than_on_a_terminal_progress_is_lines(town):
    done = subprocess.run(
        [sys.executable, "-c", PROGRESS, "pipe"], capture_output=True, text=True, env=os.environ | town.environment
    )
    assert done.stdout == "done\n"
    assert len(done.stderr.splitlines()) == 5
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize("words", [("top",), ("site", "list", "--watch", "-o", "jsonl")])
def test_a_pipe_gets_json_lines_and_no_drawing(town, words):
    argv = [sys.executable, "-m", "skerry", *words]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=os.environ | town.environment) as program:
        assert program.stdout is not None
        lines = [program.stdout.readline() for _ in range(3)]
        program.kill()
    assert {json.loads(line)["site"] for line in lines} >= {"bergen", "oslo"}
