import json

import pytest

from skerry.cli import output
from skerry.cli.output import Column

COLUMNS = (
    Column("name", lambda each: each["name"]),
    Column("state", lambda each: each["state"]),
    Column("more", lambda each: each["more"], wide=True),
)
ITEMS = [{"name": "a", "state": "online", "more": 1}, {"name": "longer", "state": "silent", "more": 2}]


def test_a_pipe_gets_plain_columns(capsys):
    output.show_list(ITEMS, COLUMNS, "table", lambda each: each["name"])
    assert capsys.readouterr().out == "NAME    STATE\na       online\nlonger  silent\n"


def test_nothing_is_said_on_stderr(capsys):
    output.show_list([], COLUMNS, "table", str)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "nothing here\n")
    output.show_list([], COLUMNS, "json", str)
    assert json.loads(capsys.readouterr().out) == {"items": []}


def test_yaml_quotes_texts_so_that_none_is_read_as_another_type():
    value = {"a": [1, {"b": "no", "c": []}], "d": {}, "e": None, "f": "1", "g": [[2]]}
    assert output.write_yaml(value) == [
        '"a":',
        "  - 1",
        "  -",
        '    "b": "no"',
        '    "c": []',
        '"d": {}',
        '"e": null',
        '"f": "1"',
        '"g":',
        "  -",
        "    - 2",
    ]


def test_a_terminal_gets_a_drawn_table_with_colours(capsys, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    output._draw_table([["a", "online"], ["b", "silent"]], COLUMNS[:2])
    shown = capsys.readouterr().out
    assert "\x1b[32monline" in shown
    assert "\x1b[33msilent" in shown
    monkeypatch.setenv("NO_COLOR", "1")
    output._draw_table([["a", "online"]], COLUMNS[:2])
    assert "\x1b[32m" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (200 << 20, "200 MiB"), (5 << 40, "5.0 TiB")]
)
def test_sizes(count, text):
    assert output.format_bytes(count) == text


@pytest.mark.parametrize(
    ("age", "text"), [(None, "never"), (0, "0s"), (119, "119s"), (120, "2m"), (7200, "2h"), (200_000, "2d")]
)
def test_ages(age, text):
    assert output.format_age(age) == text


def test_times():
    assert output.format_time(0) == ""
    assert output.format_time(1_700_000_000_000_000) == "2023-11-14T22:13:20Z"
    assert output.format_time(2**62) == "?"


def test_progress_into_a_pipe_says_each_thing_once(capsys):
    progress = output.Progress()
    for done in (1, 2048, 4096, 4096):
        progress.bytes("layer", done, 4096)
    progress.line("1 of 2 ready")
    progress.line("1 of 2 ready")
    progress.end()
    assert capsys.readouterr().err == "layer  4.0 KiB\n1 of 2 ready\n"
