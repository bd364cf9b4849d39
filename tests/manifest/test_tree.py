"""Nodes with their places, and files that mean harm: refused early, in little memory."""

import json
import subprocess
import sys

import pytest
from tests.manifest import hostile

from skerry.manifest.nodes import to_plain
from skerry.manifest.tree import read_documents


def tree(text):
    documents, problems = read_documents(text.encode(), "x.yaml")
    assert problems == []
    return to_plain(documents[0])


def complaints(content):
    _, problems = read_documents(content if isinstance(content, bytes) else content.encode(), "x.yaml")
    return [(one.code, one.line, one.column) for one in problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: yes", {"a": "yes"}),
        ("a: NO", {"a": "NO"}),
        ("a: true", {"a": True}),
        ("a: ~", {"a": None}),
        ("a:", {"a": None}),
        ("a: 0o17", {"a": 15}),
        ("a: 0x1F", {"a": 31}),
        ("a: 010", {"a": 10}),
        ("a: 1_000", {"a": "1_000"}),
        ("a: 1e3", {"a": 1000.0}),
        ("a: 2001-01-01", {"a": "2001-01-01"}),
        ("a: 80:80", {"a": "80:80"}),
        ("a: '5'", {"a": "5"}),
        ("a: !!str 5", {"a": "5"}),
        ("a: !!float 5", {"a": 5.0}),
        ("a: ! 5", {"a": "5"}),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}", {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}),
        ("a: {<<: [{b: 1}, {b: 2, c: 3}]}", {"a": {"b": 1, "c": 3}}),
        ("a: {'<<': 1}", {"a": {"<<": 1}}),
        ("%YAML 1.2\n---\na: 1", {"a": 1}),
        ("\ufeffa: 1", {"a": 1}),
    ],
)
def test_plain_text_means_what_yaml_1_2_says(text, value):
    assert tree(text) == value


def test_a_node_knows_where_it_begins():
    (top,), _ = read_documents(b"a:\n  - x\n  - {b: 'y'}\n", "x.yaml")
    entry = top.entries["a"]
    assert (entry.key_mark.line, entry.key_mark.column) == (1, 1)
    inner = entry.node.items[1].entries["b"]
    assert (inner.key_mark.line, inner.key_mark.column) == (3, 6)
    assert (inner.node.mark.file, inner.node.mark.line, inner.node.mark.column) == ("x.yaml", 3, 9)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("a: 1\nb: 2\na: 3", [("E-YAML", 3, 1)]),
        ("a: 1\na: 2\nb: {c: 1, c: 2}", [("E-YAML", 2, 1), ("E-YAML", 3, 11)]),
        ("a: !reset null\nb: !python/object:os.system x", [("E-YAML", 2, 4)]),
        ("a: !!int x", [("E-YAML", 1, 4)]),
        ("a: !!set {x}", [("E-YAML", 1, 4)]),
        ("a: [1", [("E-YAML", 1, 6)]),
        ("a: b: c", [("E-YAML", 1, 5)]),
        ("a: *x", [("E-YAML", 1, 4)]),
        ("a: &x [*x]", [("E-YAML", 1, 8)]),
        ("a: &x {b: {c: *x}}", [("E-YAML", 1, 15)]),
        ("? [a]\n: b", [("E-YAML", 1, 3)]),
        ("1: x\nnull: y", [("E-TYPE", 1, 1), ("E-TYPE", 2, 1)]),
        ("a: {<<: 5}", [("E-YAML", 1, 9)]),
        ("%YAML 1.1\n---\na: 1", [("E-YAML", 2, 1)]),
        ('a: "\\0"', [("E-YAML", 1, 4)]),
        ('a: "\\ud800"', [("E-YAML", 1, 4)]),
        ("ok: 1\na: \x01", [("E-YAML", 2, 4)]),
        (b"a: 1\nb: \xff", [("E-YAML", 2, 4)]),
        ("a: 1".encode("utf-16"), [("E-YAML", 1, 1)]),
        ("&a x: 1\n*a : 2", [("E-YAML", 2, 1)]),
    ],
)
def test_what_is_not_sound_yaml_is_refused_where_it_stands(content, found):
    assert complaints(content) == found


def test_a_file_that_repeats_one_fault_is_not_read_for_ever():
    found = complaints("a: {}\n" * 5000)
    assert len(found) == 101


@pytest.fixture(scope="module")
def outcomes():
    """What becomes of the hostile files, in a process that may use 64 MiB more than the room itself."""
    done = subprocess.run([sys.executable, hostile.__file__], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return {name: (kind, codes) for name, kind, codes in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("name", hostile.FILES)
def test_hostile_files_are_refused_in_little_memory(name, outcomes):
    kind, codes = outcomes[name]
    assert kind == "Rejected"
    assert set(codes) <= {"E-LIMIT", "E-YAML", "E-TYPE", "E-UNKNOWN-WORD", "E-REFERENCE"}
    assert name != "a scalar of 100 MB" or codes == ["E-LIMIT"]


def test_the_process_of_the_hostile_files_would_notice_too_much_memory():
    code = f"import runpy; runpy.run_path({hostile.__file__!r})['allow_memory'](64 * 2**20); bytes(80 * 2**20)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert "MemoryError" in done.stderr
