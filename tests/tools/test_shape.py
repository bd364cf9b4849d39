"""The notes find what they are for."""

import ast

from tools import shape


def test_declared_names_of_every_form_are_seen():
    tree = ast.parse("def a(): ...\nclass B: ...\nC = 1\nD: int = 2\nasync def e(): ...\nimport f\n")
    assert [name for node in tree.body for name in shape._list_declared(node)] == ["a", "B", "C", "D", "e"]


def test_slow_tests_come_slowest_first(tmp_path):
    report = tmp_path / "unit.xml"
    times = (("a", 0.3), ("b", 2), ("c", 0.1))
    cases = "".join(f'<testcase classname="t" name="{name}" time="{time}"/>' for name, time in times)
    report.write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    assert list(shape.note_slow_tests(report)) == ["t.b: 2.00 s", "t.a: 0.30 s"]
    assert list(shape.note_slow_tests(tmp_path / "none.xml")) == []
