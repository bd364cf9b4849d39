"""The mirror finds strays, and complains of exceptions that excuse nothing."""

from tests.tidy.mirror import find_strays

SOURCES = ["src/skerry/wire.py", "src/skerry/plan/site.py", "src/skerry/plan/placement/__init__.py"]


def test_a_test_of_nothing_is_found():
    found = list(find_strays([*SOURCES, "tests/plan/test_gone.py"], {}, {}))
    assert found == ["tests/plan/test_gone.py: there is no source file that it tests"]


def test_one_source_may_have_several_tests():
    tests = ["tests/test_wire.py", "tests/plan/test_site.py", "tests/plan/test_site_volumes_lost.py"]
    assert list(find_strays([*SOURCES, *tests, "tests/plan/test_placement.py"], {}, {})) == []
    assert list(find_strays([*SOURCES, "tests/plan/placement/test_init.py"], {}, {})) == []


def test_an_exception_excuses_while_it_is_used():
    tests = ["tests/e2e/test_demo.py", "tests/test_docs.py"]
    assert list(find_strays(tests, {"tests/e2e/": "real"}, {"tests/test_docs.py": "pages"})) == []


def test_an_unused_exception_is_found():
    found = list(find_strays(SOURCES, {"tests/e2e/": "real"}, {"tests/test_docs.py": "pages"}))
    assert len(found) == 2
    assert all("excuses nothing" in complaint for complaint in found)
