"""Every error code leads somewhere: to a command that exists and is built."""

from pathlib import Path

import click
import pytest
from tools.gen.errors import find_codes

from skerry.api import problems
from skerry.cli.main import ROOT, describe_error
from skerry.model.errors import Refused
from skerry.model.next_steps import NEXT_STEPS, next_step

SOURCES = Path(__file__).parents[2] / "src" / "skerry"


@pytest.fixture(scope="module")
def codes():
    sources = (path for path in SOURCES.rglob("*.py") if path.name != "next_steps.py")
    return sorted({code for path in sources for code in find_codes(path.read_text())})


def test_every_code_of_the_product_has_a_next_step(codes):
    assert [code for code in codes if code not in NEXT_STEPS] == []


@pytest.mark.parametrize("line", sorted(set(NEXT_STEPS.values())))
def test_each_step_is_a_command_that_is_built(line):
    program, *words = line.split()
    assert program == "skerry"
    context, command = click.Context(ROOT), ROOT
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        found = command.get_command(context, words.pop(0))
        assert found is not None, line
        command = found
    options = {option for parameter in command.get_params(context) for option in parameter.opts}
    assert all(word in options for word in words if word.startswith("-")), line


def test_a_code_of_a_later_release_leads_somewhere_too():
    assert next_step("E-FROM-THE-FUTURE") == "skerry status"


def test_whoever_meets_an_error_is_told_what_to_run(codes):
    for code in codes:
        error = Refused(code, "Something is wrong.")
        assert f"  Hint: {next_step(code)}\n" in describe_error(error)
        assert problems.describe_error(error).hint == next_step(code)
        nearer = Refused(code, "Something is wrong.", hint="skerry why shop")
        assert "  Hint: skerry why shop\n" in describe_error(nearer)
        assert problems.describe_error(nearer).hint == "skerry why shop"
