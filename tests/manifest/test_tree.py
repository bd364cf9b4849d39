"""Nodes with their places, and files that mean harm: refused early, in little memory."""

import tracemalloc

import pytest

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
        ("a: !reset null\nb: !python/object:os.system x", [("E-YAML", 1, 4), ("E-YAML", 2, 4)]),
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


LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + level)}: &{chr(98 + level)} [{','.join(['*' + chr(97 + level)] * 10)}]\n" for level in range(9)
)

#: Each as long as it takes to meet the limit that it is for; what stops at once may be longer.
HOSTILE = {
    "billion laughs": LAUGHS.encode(),
    "merged laughs": b"a: &a {b: {c: 1}}\n"
    + b"".join(b"m%d: {<<: [%s]}\n" % (i, b",".join([b"*a"] * 90)) for i in range(3)),
    "long text by alias": b"a: &a '" + b"x" * 200_000 + b"'\nb: [" + b",".join([b"*a"] * 100) + b"]",
    "deep by alias": b"a: &a " + b"[" * 20 + b"]" * 20 + b"\nb: " + b"[" * 20 + b"*a" + b"]" * 20,
    "a million open brackets": b"[" * 10**6,
    "a million open braces": b"{" * 10**6,
    "half a million dashes": b"- " * 500_000,
    "half a million question marks": b"? " * 500_000,
    "a staircase": b"".join(b" " * depth + b"-\n" for depth in range(1400)),
    "escapes": b'a: "' + b"\\u1234" * 90_000 + b'"',
    "line breaks": b"a: '" + b"\n" * 270_000 + b"'",
    "a folded block": b"a: >\n" + b" x\n" * 135_000,
    "keys": b"".join(b"k%d: v\n" % index for index in range(11_000)),
    "items": b"a: [" + b"1," * 21_000,
    "anchors": b"".join(b"- &a%d x\n" % index for index in range(21_000)),
    "documents": b"---\n" * 250_000,
    "aliases": b"a: &a 1\nb: [" + b"*a," * 300_000 + b"]",
    "a long key": b"x" * 1000 + b": 1",
    "a long tag": b"!" * 10**6,
    "many tags": b"".join(b"- !%s x\n" % (b"a" * 100) for _ in range(9_000)),
    "a cycle": b"a: &a [*a]",
    "not text": bytes(range(256)) * 4000,
    "wide letters": "a: '{}'".format("\U0001f600" * 70_000).encode(),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_little_memory(name):
    tracemalloc.start()
    try:
        documents, problems = read_documents(HOSTILE[name], "x.yaml")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert problems
    assert {one.code for one in problems} <= {"E-LIMIT", "E-YAML", "E-TYPE"}
    assert documents == [] or problems[-1].code == "E-YAML"
    assert peak < 64 * 2**20


def test_a_scalar_of_a_hundred_megabytes_is_not_even_decoded():
    content = b"a: " + b"x" * 100_000_000
    tracemalloc.start()
    try:
        documents, problems = read_documents(content, "x.yaml")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (documents, [one.code for one in problems]) == ([], ["E-LIMIT"])
    assert peak < 2**20
