"""What the schema of Compose does not allow is told in words, all at once, of the branch that was meant."""

import hashlib
import importlib.resources

import pytest
from tests.manifest.texts import lines_of, read, wrap

from skerry.manifest.findings import Findings
from skerry.manifest.nodes import Place
from skerry.manifest.schema import check_schema
from skerry.manifest.tree import read_documents


def find(text):
    documents, problems = read_documents(text.encode(), "x.yaml")
    assert problems == []
    findings = Findings()
    check_schema(Place(documents[0]), findings)
    return [f"{one.pointer} {one.column} {one.code}: {one.detail}" for one in findings.problems]


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("imagee: x", ['5 E-UNKNOWN-WORD: unknown word. Did you mean "image"?']),
        ("replicas: 2", ['5 E-UNKNOWN-WORD: unknown word here. It belongs to "deploy"']),
        ("wibble: 2", ["5 E-UNKNOWN-WORD: unknown word"]),
        ("working_dir: 5", ['18 E-TYPE: 5 is not text: write "5" in quotes']),
        ("command: {a: b}", ["14 E-TYPE: a mapping is not text or a list"]),
        ("command: [1]", ['15 E-TYPE: 1 is not text: write "1" in quotes']),
        ("environment: 5", ["18 E-TYPE: 5 is not a list or a mapping"]),
        ("environment: {A: [1]}", ["22 E-TYPE: a list is not text or true or false or a number"]),
        ("ports: [{target: 80, publishd: 1}]", ['26 E-UNKNOWN-WORD: unknown word. Did you mean "published"?']),
        ("ports: [[80]]", ["13 E-TYPE: a list is not text or a number or a mapping"]),
        ("depends_on: {db: {}}", ['18 E-TYPE: "condition" must be given here']),
        (
            "depends_on: {db: {condition: up}}",
            ['34 E-TYPE: "up" is none of service_started, service_healthy, service_completed_successfully'],
        ),
        ("volumes: [{target: /x}]", ['15 E-TYPE: "type" must be given here']),
        ("cap_add: [A, B, A]", ['21 E-TYPE: "A" stands in this list twice']),
        ("oom_score_adj: 2000", ["20 E-RANGE: 2000 is out of range: at most 1000"]),
        ("oom_score_adj: -2000", ["20 E-RANGE: -2000 is out of range: at least -1000"]),
        ("container_name: x", ['21 E-TYPE: "x" does not have the form [a-zA-Z0-9][a-zA-Z0-9_.-]+']),
        ('networks: {"a+b": }', ['16 E-TYPE: "a+b" cannot be a name: letters, digits, ".", "_" and "-" only']),
        ("healthcheck:", ["5 E-TYPE: nothing is not a mapping"]),
        ("ulimits: {nofile: {soft: 1}}", ['15 E-TYPE: "hard" must be given here']),
        ("deploy: {resources: {limits: {memory: 5}}}", ['43 E-TYPE: 5 is not text: write "5" in quotes']),
        ("x-anything: [1, {a: b}]", []),
    ],
)
def test_messages(field, told):
    assert [line.partition(" ")[2] for line in find(wrap(field))] == told


def test_everything_is_told_at_once():
    told = find("services: {a: {imge: x, tty: []}, b: 5}\nvolums: {}\nversion: 3\n")
    assert [line.partition(":")[0] for line in told] == [
        "/services/a/imge 16 E-UNKNOWN-WORD",
        "/services/a/tty 30 E-TYPE",
        "/services/b 38 E-TYPE",
        "/volums 1 E-UNKNOWN-WORD",
        "/version 10 E-TYPE",
    ]


def test_a_fault_of_the_schema_is_not_told_again_by_its_reader():
    assert len(lines_of(read(wrap("ports: [{target: [], publishd: 1}, 5x]\nenvironment: 7")))) == 3


def test_the_schema_is_the_pinned_one():
    content = importlib.resources.files("skerry.manifest").joinpath("compose-spec.json").read_bytes()
    assert hashlib.sha256(content).hexdigest().startswith("1f91e091f16b2dd5")
