"""The checkout keeps its own rules. Each check is a function of tests/tidy with a test there that it can fail."""

import tomllib
from collections.abc import Iterable

from tests.tidy import code, mirror, texts
from tests.tidy.sources import ROOT, Source, read_checkout, read_product, read_python

#: Pages of others and recorded texts, kept byte for byte.
VERBATIM = ("LICENSE", "tests/data/compose/docker-", "tests/data/compose/licenses/", "tests/data/compose/real/")


def list_own_texts() -> list[Source]:
    return [source for source in read_checkout() if not source.path.startswith(VERBATIM)]


def expect_none(complaints: Iterable[str]) -> None:
    found = list(complaints)
    assert not found, "\n" + "\n".join(found)


def test_pure_rooms_wait_for_nothing():
    expect_none(code.find_impure(read_product()))


def test_every_file_is_imported_or_a_program():
    expect_none(code.find_unimported(read_product(), read_python("tests")))


def test_only_the_command_line_prints():
    expect_none(code.find_prints(read_product()))


def test_no_shell_is_ever_started():
    expect_none(code.find_shells(read_product()))


def test_nothing_is_a_stub():
    expect_none(code.find_stubs(read_product()))


def test_every_room_is_a_package_that_says_what_it_is_for():
    expect_none(code.find_rooms_without_package(read_product()))


def test_every_skipped_test_says_why():
    expect_none(code.find_silent_skips(read_python("tests")))


def test_what_is_unfinished_is_recorded():
    expect_none(texts.find_unfinished(list_own_texts()))


def test_every_page_has_one_title():
    expect_none(texts.find_bad_headings(list_own_texts()))


def test_no_path_of_one_machine_is_written_down():
    expect_none(texts.find_machine_paths(list_own_texts(), ROOT))


def test_test_files_mirror_source_files():
    expect_none(mirror.find_strays(source.path for source in read_checkout()))


def test_the_contract_of_pure_rooms_names_each_of_them():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    named = next(contract for contract in contracts if contract["name"].startswith("Pure rooms"))
    assert set(named["source_modules"]) == {f"skerry.{room}" for room in code.PURE_ROOMS}
