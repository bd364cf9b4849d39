import pytest

from skerry.manifest.dotenv import DotenvError, parse_dotenv


def parse(text, variables=None, **options):
    return parse_dotenv(text.encode(), (variables or {}).get, **options)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("# comment\n\n  \nA=1", {"A": "1"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("export A=1", {"A": "1"}),
        ("A = 1 ", {"A": "1"}),
        ("A=1 # no\nB=1#yes", {"A": "1", "B": "1#yes"}),
        ("A=", {"A": ""}),
        ("A: yaml", {"A": "yaml"}),
        ("A='$X #'", {"A": "$X #"}),
        ('A="two\nlines\\n\\t\\"\\\\" # end', {"A": 'two\nlines\n\t"\\'}),
        ('A="\\$X"', {"A": "$X"}),
        ("A=1\nB=${A}2\nC=$B", {"A": "1", "B": "12", "C": "12"}),
        ("A=${X:-y}", {"A": "y"}),
        ("A=$$x", {"A": "$x"}),
        ("GIVEN\nMISSING", {"GIVEN": "here", "MISSING": None}),
        ("a.b-c=1", {"a.b-c": "1"}),
        ("A=1\nA=2", {"A": "2"}),
    ],
)
def test_lines(text, found):
    assert parse(text, {"GIVEN": "here"}) == found


def test_raw_lines_have_neither_quotes_nor_variables():
    assert parse("A='$X' # x\nB=$", is_raw=True) == {"A": "'$X' # x", "B": "$"}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"A=1\n=2", 2),
        (b"A=1\nB C", 2),
        (b"1A=1", 1),
        (b"A='x", 1),
        (b"A='x' y", 1),
        (b"\n\nA=$", 3),
        (b"A=1\nB=$NOPE", 2),
        (b"A=${X", 1),
        (b"A=1\nB=\xff", 2),
        (b"A=1\n\x00", 2),
    ],
)
def test_faults_name_their_line(content, line):
    with pytest.raises(DotenvError) as caught:
        parse_dotenv(content, {}.get)
    assert caught.value.line == line


def test_values_that_double_with_each_line_stop():
    text = "A=" + "x" * 1000 + "\n" + "".join(f"{chr(66 + at)}=${chr(65 + at)}${chr(65 + at)}\n" for at in range(20))
    with pytest.raises(DotenvError, match="bytes in all"):
        parse(text)
