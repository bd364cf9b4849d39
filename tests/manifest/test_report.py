import pytest
from tests.manifest.texts import accept, read, wrap

from skerry.manifest.report import format_problem, format_problems, format_report
from skerry.model.errors import Problem


def problem(**words):
    return Problem(**{"code": "E-TYPE", "detail": "it is wrong", "file": "pos.yaml", "line": 31, "column": 5} | words)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            {
                "code": "E-UNKNOWN-WORD",
                "pointer": "/x-skerry/cannary",
                "detail": 'unknown word. Did you mean "canary"?',
            },
            'pos.yaml:31:5 E-UNKNOWN-WORD /x-skerry/cannary: unknown word. Did you mean "canary"?',
        ),
        ({}, "pos.yaml:31:5 E-TYPE it is wrong"),
        ({"hint": "mend it"}, "pos.yaml:31:5 E-TYPE it is wrong. Hint: mend it"),
        ({"detail": "Mend it.", "hint": "now"}, "pos.yaml:31:5 E-TYPE Mend it. Hint: now"),
        ({"line": 0}, "pos.yaml E-TYPE it is wrong"),
        ({"line": 0, "file": ""}, "E-TYPE it is wrong"),
        ({"detail": "a\x1b[2Jb\nc"}, "pos.yaml:31:5 E-TYPE a�[2Jb�c"),
    ],
)
def test_one_problem_is_one_line(words, line):
    assert format_problem(problem(**words)) == line


def test_problems_stand_in_columns_and_are_counted():
    lines = format_problems([problem(), problem(line=5, code="E-UNKNOWN-WORD"), problem(file="b.yaml")])
    assert lines == [
        "pos.yaml:31:5 E-TYPE         it is wrong",
        "pos.yaml:5:5  E-UNKNOWN-WORD it is wrong",
        "b.yaml:31:5   E-TYPE         it is wrong",
        "3 errors in b.yaml, pos.yaml",
    ]
    assert format_problems([problem()])[-1] == "1 error in pos.yaml"


def test_after_a_hundred_problems_the_rest_is_counted():
    lines = format_problems([problem(line=line) for line in range(1, 251)])
    assert len(lines) == 102
    assert lines[-2:] == ["… and 150 more", "250 errors in pos.yaml"]


def test_the_field_report():
    assert format_report(accept(wrap("attach: false\ninit: true")).report) == [
        "honoured   /services/web/image: resolved to a digest at apply",
        "translated /services/web/attach: `skerry logs` decides what is shown",
        "honoured   /services/web/init",
        "2 honoured, 1 translated",
    ]
    assert format_report(read("").report) == ["no fields"]
