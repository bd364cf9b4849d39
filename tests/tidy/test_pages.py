"""Each check of pages.py finds the lie that it is for, and believes the truth beside it."""

import pytest

from tests.tidy import pages
from tests.tidy.sources import Source

PLAN = Source(
    "src/skerry/plan/site.py",
    "LIMIT = 1\nSIZE: int = 2\ndef plan_site(): ...\nclass Waiting:\n    reason: str\n    async def tell(self): ...\n",
)
PATHS = ["dev", "docs/a.md", "docs/walks/b.md", "src/skerry/plan/site.py", "src/skerry/wire.py"]


def page(*lines, path="docs/a.md"):
    return Source(path, "\n".join(lines) + "\n")


@pytest.mark.parametrize(
    "word", ["plan/", "plan/site.py", "src/skerry/wire.py", "wire.py", "walks/b.md", "walks/", "b.md"]
)
def test_files_that_exist_may_be_named_from_anywhere(word):
    assert list(pages.find_missing_files([page(f"see `{word}`")], PATHS)) == []


@pytest.mark.parametrize("word", ["gone/", "plan/gone.py", "gone.py", "docs/gone.md", "docs/gone.json"])
def test_a_file_that_is_not_there_is_found(word):
    assert list(pages.find_missing_files([page(f"see `{word}`")], PATHS)) == [f"docs/a.md:1: `{word}` does not exist"]


def test_only_a_line_about_what_is_not_built_may_name_it():
    told = page("the console in `console/`: not built yet", "```", "`gone.py`", "```", "and `gone.py` here")
    assert list(pages.find_missing_files([told], PATHS)) == ["docs/a.md:5: `gone.py` does not exist"]


def test_addresses_and_commands_are_no_files():
    told = page("`OUR/`, `identity.json`", "`/v1/roots`, `PUT /v1/apps/{name}`, `skerry[agent]`", "`./dev test`")
    assert list(pages.find_missing_files([told], PATHS)) == []


def test_declared_names_are_believed_and_others_found():
    declared = pages.list_declared([PLAN])
    names = "`plan.site.plan_site(a, b) -> X`, `skerry.plan.site.LIMIT`, `plan.site.SIZE`, `plan.site.Waiting.tell`"
    assert list(pages.find_missing_names([page(names)], declared, {"plan"})) == []
    for name in ("plan.site.plan_fleet", "skerry.plan.gone", "plan.site.Waiting.gone"):
        assert list(pages.find_missing_names([page(f"`{name}`")], declared, {"plan"})) != [], name
    assert list(pages.find_missing_names([page("`os.environ`, `site.name`")], declared, {"plan"})) == []


def test_a_word_of_dev_that_is_not_there_is_found():
    assert list(pages.find_missing_words([page("run ./dev test and ./dev tset")], {"test"})) != []
    assert list(pages.find_missing_words([page("run ./dev test")], {"test"})) == []


def test_a_command_that_is_not_there_is_found():
    commands = {"site": {"add", "join-token"}, "apply": set()}
    fine = page("`skerry site add oslo`, `skerry apply -f F`, `skerry site`, `skerry site join-token oslo`")
    assert list(pages.find_missing_commands([fine], commands)) == []
    assert len(list(pages.find_missing_commands([page("`skerry site drop`, `skerry aply`")], commands))) == 2


def test_a_room_without_its_row_is_found():
    table = page("| Room | What |", "| `plan/` | decides |", "| `wire.py` | messages |", "and `core/` in a sentence")
    assert list(pages.find_rooms_without_row(table, ["plan", "wire"])) == []
    assert list(pages.find_rooms_without_row(table, ["core"])) == ["docs/a.md: the room core has no row"]


def test_a_room_that_is_built_by_now_is_found():
    table = page("| `cli/` (not built yet) | commands |", "| `keys/` | TPM: not built yet |")
    assert pages.list_promised_rooms(table) == ["cli/"]
    assert len(list(pages.find_rooms_built_by_now(table, ["cli", "keys"]))) == 1
    assert list(pages.find_rooms_built_by_now(table, ["keys"])) == []


def test_nouns_are_explained_or_excused_and_excuses_are_used():
    text = "class SiteRecord: ...\nclass Ulimit: ...\nclass _Inner: ...\n"
    nouns = pages.list_nouns([Source("src/skerry/model/x.py", text)])
    assert nouns == {"SiteRecord": "site record", "Ulimit": "ulimit"}
    glossary = pages.list_glossary(page("| **site** | a place |"))
    assert glossary == {"site"}
    assert list(pages.find_unexplained(nouns, glossary, {"Ulimit": "Compose's word"})) == []
    assert len(list(pages.find_unexplained(nouns, glossary, {}))) == 1
    assert len(list(pages.find_unexplained(nouns, glossary, {"Ulimit": "a", "SiteRecord": "b", "Gone": "c"}))) == 2


def test_dead_links_and_anchors_are_found():
    files = {"docs/a.md": "# A\n\n## 6. Walks: `plan`\n", "docs/walks/b.md": "# B\n", "README.md": "# R\n"}
    fine = page("[b](walks/b.md) [up](../README.md) [there](a.md#6-walks-plan) [w](walks/) [x](https://example.org/)")
    assert list(pages.find_dead_links([fine], files)) == []
    assert list(pages.find_dead_links([page("[a](../docs/a.md#a)", path="docs/walks/b.md")], files)) != []
    for target in ("gone.md", "../docs/gone/", "a.md#gone", "#gone"):
        assert list(pages.find_dead_links([page(f"[x]({target})")], files)) != [], target


def test_decisions_are_numbered_titled_and_listed():
    one = Source("docs/decisions/0001-a.md", "# 0001. A\n")
    three = Source("docs/decisions/0003-c.md", "# C\n")
    index = Source("docs/decisions/README.md", "[A](0001-a.md)")
    assert list(pages.find_unlisted_decisions(index, [one])) == []
    assert list(pages.find_unlisted_decisions(index, [one, three])) == [
        "docs/decisions/0003-c.md: the next number is 0002",
        "docs/decisions/0003-c.md: the title does not carry the number 0003",
        "docs/decisions/README.md: 0003-c.md is not listed",
    ]


def test_hints_that_are_commands_are_found_with_their_place():
    source = Source("src/skerry/a.py", 'x(hint=f"skerry site gone {name}")\ny(hint="take it out")\nz(hint=other)\n')
    hints = list(pages.list_hints(source))
    assert [hint.text for hint in hints] == ["`skerry site gone NAME`"]
    assert list(pages.find_missing_commands(hints, {"site": {"add"}})) == [
        "src/skerry/a.py:1:1: `skerry site gone NAME` is no command"
    ]


def test_a_test_that_a_page_names_is_in_a_file_beside_it():
    here = Source("tests/a/test_b.py", "def test_c(): ...\nasync def test_d(): ...\n")
    good = Source("docs/a.md", "`tests/a/test_b.py`: `test_c`, `test_d`\n")
    bad = Source("docs/a.md", "`tests/a/test_b.py`: `test_gone`\n`test_c` of no file\n")
    assert list(pages.find_missing_tests([good], [here])) == []
    assert len(list(pages.find_missing_tests([bad], [here]))) == 2
