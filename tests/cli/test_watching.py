import json

import click
import pytest

from skerry.cli.output import Column
from skerry.cli.watching import show_again, wait_until
from skerry.sdk.errors import Timeout

COLUMNS = (Column("name", lambda each: each[0]), Column("state", lambda each: each[1]))


class Stop(Exception):
    pass


def watch(pictures, output):
    left = list(pictures)

    def rest(seconds):
        if not left:
            raise Stop

    with pytest.raises(Stop):
        show_again(lambda: left.pop(0), COLUMNS, output, lambda each: each[0], watch=True, rest=rest)


def test_a_pipe_gets_one_object_for_each_change(capsys):
    one, two = [("a", "x"), ("b", "x")], [("a", "x"), ("b", "y")]
    watch([one, one, two], "jsonl")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [["a", "x"], ["b", "x"], ["b", "y"]]


def test_a_whole_document_cannot_be_watched():
    with pytest.raises(click.UsageError):
        show_again(list, COLUMNS, "json", str, watch=True)


def test_a_wait_that_ends_says_what_it_saw_last():
    with pytest.raises(Timeout, match=r"app x is not so after 0 s: 1 of 2 ready\."):
        wait_until(lambda: "1 of 2 ready", 0, "app x")
    wait_until(lambda: "", 0, "app x")
