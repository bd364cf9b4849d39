import click
import pytest

from skerry.cli.lazy import LazyGroup
from skerry.cli.main import describe_error, exit_code, run
from skerry.cli.session import Session
from skerry.cli.tree import COMMANDS, EVERYDAY, NOUNS, Noun
from skerry.model import errors
from skerry.model.errors import Problem
from skerry.sdk.errors import Timeout


def list_verbs():
    for member in (*EVERYDAY, *NOUNS):
        if isinstance(member, Noun):
            yield from ((f"{member.name} {verb.name}", verb) for verb in member.verbs)
        else:
            yield member.name, member


@pytest.mark.parametrize(("path", "verb"), [each for each in list_verbs() if each[1].built])
def test_every_built_command_has_its_help(town, path, verb):
    result = town.run(*path.split(), "--help")
    assert result.code == 0, result
    assert result.out.startswith(f"Usage: skerry {path} ")


@pytest.mark.parametrize("path", [path for path, verb in list_verbs() if not verb.built])
def test_every_other_name_is_refused_as_not_built_whatever_is_given(town, path):
    result = town.run(*path.split(), "NAME", "--flag", "-x")
    assert (result.code, result.out) == (64, "")
    assert f"`skerry {path}` is not built yet" in result.err
    assert "E-NOT-YET" in result.err


def test_help_names_what_is_built_and_nothing_else(town):
    shown = town.ok("--help")
    for member in (*EVERYDAY, *NOUNS):
        assert (f"\n  {member.name} " in shown) == member.built, member.name


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [(("sit",), "skerry site"), (("site", "labl"), "skerry site label"), (("aply",), "skerry apply")],
)
def test_a_mistyped_name_is_guessed(town, wrong, meant):
    result = town.run(*wrong)
    assert result.code == 64
    assert f'Did you mean "{meant}"?' in result.err


@pytest.mark.parametrize("words", [("approv",), ("vmm",), ("site", "quarantin"), ("nod", "list")])
def test_what_is_not_built_is_never_suggested(town, words):
    result = town.run(*words)
    assert result.code == 64
    assert "There is no command" in result.err
    assert "approve" not in result.err.partition("There is")[2]
    assert "quarantine" not in result.err


@pytest.mark.parametrize(("alias", "verb"), [("ls", "list"), ("rm", "remove"), ("get", "show"), ("describe", "show")])
def test_second_names_of_verbs(alias, verb):
    noun = next(noun for noun in NOUNS if noun.name == "site")
    group = LazyGroup("site", noun.verbs)
    assert group.get_command(click.Context(group), alias) is group.get_command(click.Context(group), verb)


@pytest.mark.parametrize("arguments", [("site", "show"), ("site", "list", "-o", "xml"), ("--nothing",), ("wait",)])
def test_usage_is_64(town, arguments):
    result = town.run(*arguments)
    assert (result.code, result.out) == (64, "")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.Refused("E-X", "x"), 1),
        (errors.Invalid("E-X", "x"), 1),
        (errors.Broken("E-X", "x"), 1),
        (Timeout("E-TIMEOUT", "x"), 4),
        (errors.NotFound("E-X", "x"), 5),
        (errors.Conflict("E-STALE", "x"), 6),
        (errors.NotAllowed("E-ROLE", "x"), 7),
        (errors.Unavailable("E-UNREACHABLE", "x"), 8),
        (errors.Unavailable("E-SIGNER", "x"), 1),
        (errors.Refused("E-NOT-YET", "x"), 64),
    ],
)
def test_exit_codes(error, code):
    assert exit_code(error) == code


def test_errors_have_four_parts_and_a_limit():
    problems = tuple(Problem(code="E-TYPE", detail=f"no {n}", file="a.yaml", line=n, column=2) for n in range(1, 131))
    text = describe_error(errors.Invalid("E-MANIFEST", "130 errors in a.yaml.", hint="do this", problems=problems))
    lines = text.splitlines()
    assert lines[0] == "error: 130 errors in a.yaml"
    assert lines[1] == "  a.yaml:1:2  E-TYPE  no 1"
    assert lines[-3:] == ["  … and 30 more", "  Hint: do this", "  Docs: skerry help E-MANIFEST"]


def test_a_problem_has_its_hint_on_a_line_of_its_own():
    problem = Problem(code="E-IMAGE", detail="never pushed", file="a.yaml", line=3, column=1, hint="skerry image push")
    lines = describe_error(errors.Invalid("E-MANIFEST", "1 error.", problems=(problem,))).splitlines()
    assert lines[1:3] == ["  a.yaml:3:1  E-IMAGE  never pushed", "    Hint: skerry image push"]


def test_a_hint_about_manifests_names_the_one_that_was_given():
    problem = Problem(code="E-UNKNOWN-WORD", detail="unknown word", file="my shop.yaml", line=6, column=5)
    text = describe_error(errors.Invalid("E-MANIFEST", "1 error.", problems=(problem,)))
    assert "  Hint: skerry validate -f 'my shop.yaml'\n" in text
    elsewhere = Problem(code="E-UNKNOWN-WORD", detail="unknown word")
    text = describe_error(errors.Invalid("E-MANIFEST", "1 error.", problems=(elsewhere,)))
    assert "  Hint: skerry validate -f compose.yaml\n" in text


def test_an_unreachable_core_is_8(town):
    result = town.run("site", "list", SKERRY_URL="http://127.0.0.1:1", SKERRY_TOKEN="x")
    assert result.code == 8
    assert "no core answers at http://127.0.0.1:1: " in result.err
    assert "Errno" not in result.err


def test_a_wrong_token_is_7(town):
    assert town.run("site", "list", SKERRY_URL=town.url, SKERRY_TOKEN="skt_no").code == 7


def test_a_defect_is_told_as_one_and_traced_on_demand(capsys):
    def fail(context):
        raise ZeroDivisionError("ours")

    session = Session({"SKERRY_URL": "http://127.0.0.1:1"}, open_client=fail)
    assert run(["site", "list"], session) == 1
    assert "E-DEFECT" in (shown := capsys.readouterr().err)
    assert "Traceback" not in shown
    session = Session({"SKERRY_URL": "http://127.0.0.1:1"}, open_client=fail)
    assert run(["--debug", "site", "list"], session) == 1
    assert "Traceback" in capsys.readouterr().err


def test_the_table_of_commands_is_whole():
    assert {"list", "show", "add", "join-token", "label", "remove"} <= COMMANDS["site"]
    assert COMMANDS["apply"] == frozenset()
    names = [member.name for member in (*EVERYDAY, *NOUNS)]
    assert len(names) == len(set(names))


def test_a_sentence_goes_on_after_the_word_error_and_a_name_stays_as_it_is():
    assert describe_error(errors.Refused("E-X", "No context.")).startswith("error: no context\n")
    assert describe_error(errors.Refused("E-X", "HTTP is not spoken.")).startswith("error: HTTP is")
    assert describe_error(errors.Broken("E-DEFECT", "KeyError: 'x'")).startswith("error: KeyError")
