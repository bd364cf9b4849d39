import pytest
from tests.manifest.texts import read, refuse, service, tell, wrap

from skerry.manifest.process import split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nginx -g 'daemon off;'", ("nginx", "-g", "daemon off;")),
        ('sh -c "a && b"', ("sh", "-c", "a && b")),
        ("a\\ b", ("a b",)),
        ("a # b", ("a", "#", "b")),
        ("", ()),
        ("x ${SKERRY_LABEL_A:-b c} 'd ${SKERRY_SITE}'", ("x", "${SKERRY_LABEL_A:-b c}", "d ${SKERRY_SITE}")),
        ("x $$HOME", ("x", "$$HOME")),
    ],
)
def test_a_command_is_split_like_a_shell_does(text, words):
    assert split_words(text) == words


@pytest.mark.parametrize(
    ("fields", "command", "entrypoint"),
    [
        ("", None, None),
        ("command: a b", ("a", "b"), None),
        ("command: [a b, c]", ("a b", "c"), None),
        ("command: ''", (), None),
        ("command: []", (), None),
        ("command:", None, None),
        ("entrypoint: ''", (), ()),
        ("entrypoint: /run.sh", (), ("/run.sh",)),
        ("entrypoint: /run.sh\ncommand: a", ("a",), ("/run.sh",)),
        ("entrypoint: []", (), ()),
    ],
)
def test_command_and_entrypoint(fields, command, entrypoint):
    web = service(fields)
    assert (web.command, web.entrypoint) == (command, entrypoint)


def test_commands_that_expect_a_shell():
    assert tell(wrap("command: a && b")) == ["14 E-TYPE: no shell reads this command, so && is a word in it"]
    assert refuse("command: a 'b") == ["E-TYPE command"]


@pytest.mark.parametrize(
    ("fields", "environment"),
    [
        ("environment: [A=1, 'B=a=b', C=]", {"A": "1", "B": "a=b", "C": ""}),
        (
            "environment: {A: 1, B: true, C: 1.50, D: '', E: text}",
            {"A": "1", "B": "true", "C": "1.5", "D": "", "E": "text"},
        ),
        ("environment: [GIVEN, MISSING]", {"GIVEN": "a$$b"}),
        ("environment: {GIVEN: , MISSING: }", {"GIVEN": "a$$b"}),
        ("env_file: a.env", {"A": "file", "B": "x$$y"}),
        ("env_file: [a.env, b.env]", {"A": "later", "B": "x$$y"}),
        ("env_file: a.env\nenvironment: {A: own}", {"A": "own", "B": "x$$y"}),
        ("env_file: [{path: b.env}, {path: none.env, required: false}]", {"A": "later"}),
        ("env_file: [{path: raw.env, format: raw}]", {"A": "'$$x'"}),
    ],
)
def test_environment(fields, environment):
    files = {"a.env": b"A=file\nB='x$y'\nMISSING\n", "b.env": b"A=later", "raw.env": b"A='$x'"}
    assert service(fields, {"GIVEN": "a$b"}, files).environment == environment


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ("environment: {A: 0755}", "E-TYPE environment/A"),
        ("environment: ['=x']", "E-TYPE environment/0"),
        ("environment: {'A B': x}", "E-TYPE environment/A B"),
        ("env_file: none.env", "E-REFERENCE env_file"),
        ("env_file: folder", "E-REFERENCE env_file"),
        ("env_file: [bad.env]", "E-TYPE env_file/0"),
        ("env_file: [instance.env]", "E-TYPE env_file/0"),
        ("env_file: [{path: bad.env, format: yaml}]", "E-TYPE env_file/0"),
        ("env_file: long.env", "E-LIMIT env_file"),
        ("labels: ['=x']", "E-TYPE labels/0"),
    ],
)
def test_what_cannot_be_in_an_environment(fields, found):
    files = {"folder": {}, "bad.env": b"\n'", "instance.env": b"A=$SKERRY_SITE", "long.env": b"#" * (2**20 + 1)}
    assert refuse(fields, files=files) == [found]


def test_a_fault_in_a_file_is_told_with_its_line():
    (problem,) = read(wrap("env_file: x.env"), files={"x.env": b"A=1\nB C"}).problems
    assert problem.detail == "x.env, line 2: no variable: B C"


@pytest.mark.parametrize(
    ("fields", "labels"),
    [
        ("labels: {a.b/c: 1, d: }", {"a.b/c": "1", "d": ""}),
        ("labels: [a=1, b, 'c=$$x']", {"a": "1", "b": "", "c": "$$x"}),
    ],
)
def test_labels(fields, labels):
    assert service(fields).labels == labels
