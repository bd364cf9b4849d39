"""Checks of docs/ against the sources: what a page names exists, what exists has its line, and links lead somewhere.

Rule: a line that says "not built yet" may name what is not there; no other line may. Neighbours: `sources.py` reads the
checkout, `texts.py` checks any text.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from tests.tidy.sources import Source
from tests.tidy.texts import list_headings

NOT_BUILT = "not built yet"
_FILE = re.compile(r"\.?[a-z][\w-]*(/[\w.-]+)*/|[\w-]+\.(py|md)|\.?[a-z][\w-]*(/[\w.-]+)+\.[a-z]+")
_DOTTED = re.compile(r"[a-z_]+(\.[A-Za-z_]\w*)+")
_DEV = re.compile(r"\./dev ([a-z]+)")
_COMMAND = re.compile(r"skerry ([a-z]+)(?: ([a-z][a-z-]+))?")


def list_told_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a page that promise something: code blocks and lines about what is not built yet are left out."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        elif not fenced and NOT_BUILT not in line:
            yield number, line


def list_words(text: str) -> Iterator[tuple[int, str]]:
    """The words in backticks of the lines that promise something."""
    for number, line in list_told_lines(text):
        for word in re.findall(r"`([^`]+)`", line):
            yield number, word


def find_missing_files(pages: Iterable[Source], paths: Iterable[str]) -> Iterator[str]:
    """Every file or folder that a page names in backticks exists: from the top, in src/skerry or beside the page."""
    known = set(paths)
    known.update(f"{parent}/" for path in set(known) for parent in PurePosixPath(path).parents)
    names = {PurePosixPath(path).name for path in known}
    for page in pages:
        beside = page.path.rpartition("/")[0]
        for number, word in list_words(page.text):
            if not _FILE.fullmatch(word):
                continue
            places = (word, f"src/skerry/{word}", f"src/{word}", f"docs/{word}", f"tests/{word}", f"{beside}/{word}")
            alone = "/" not in word and word in names
            if not alone and not any(place in known for place in places):
                yield f"{page.path}:{number}: `{word}` does not exist"


def list_declared(sources: Iterable[Source]) -> set[str]:
    """Dotted names that the product declares, without the leading `skerry.`: modules, classes, functions, members."""
    found: set[str] = set()
    for source in sources:
        module = source.module.removeprefix("skerry").lstrip(".")
        found.add(module)
        found.update(f"{module}.{name}".lstrip(".") for name in _list_names(source.tree))
    return found


def _list_names(node: ast.Module | ast.ClassDef) -> Iterator[str]:
    for child in node.body:
        match child:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name):
                yield name
                yield from (f"{name}.{inner}" for inner in _list_names(child))
            case ast.Assign(targets=targets):
                yield from (target.id for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case _:
                pass


def find_missing_names(pages: Iterable[Source], declared: set[str], rooms: set[str]) -> Iterator[str]:
    """Every dotted name of a room that a page gives in backticks is declared, as `plan.site.plan_site(…)` is."""
    for page in pages:
        for number, word in list_words(page.text):
            name = word.removeprefix("skerry.").partition("(")[0].partition(" ")[0]
            is_ours = word.startswith("skerry.") or name.partition(".")[0] in rooms
            if is_ours and _DOTTED.fullmatch(name) and not _FILE.fullmatch(name) and name not in declared:
                yield f"{page.path}:{number}: `{word}` is not declared in src/skerry"


def find_missing_words(pages: Iterable[Source], words: set[str]) -> Iterator[str]:
    """Every word of ./dev that a page names exists."""
    for page in pages:
        for number, line in list_told_lines(page.text):
            for word in _DEV.findall(line):
                if word not in words:
                    yield f"{page.path}:{number}: `./dev {word}` does not exist"


def find_missing_tests(pages: Iterable[Source], sources: Iterable[Source]) -> Iterator[str]:
    """Every test that a page names in backticks is there, in one of the files that its line names."""
    tests = {source.path: set(re.findall(r"def (test_\w+)", source.text)) for source in sources}
    for page in pages:
        for number, line in list_told_lines(page.text):
            words = re.findall(r"`([^`]+)`", line)
            there = {name for word in words for name in tests.get(word, ())}
            for word in words:
                if re.fullmatch(r"test_\w+", word) and word not in there:
                    yield f"{page.path}:{number}: `{word}` is no test of a file that is named beside it"


def find_missing_commands(pages: Iterable[Source], commands: Mapping[str, set[str]]) -> Iterator[str]:
    """Every `skerry NOUN VERB` in backticks is a command; a noun without verbs takes anything after it."""
    for page in pages:
        for number, word in list_words(page.text):
            found = _COMMAND.match(word)
            if not found:
                continue
            noun, verb = found.groups()
            if noun not in commands or (verb and commands[noun] and verb not in commands[noun]):
                yield f"{page.path}:{number}: `{word}` is no command"


def list_hints(source: Source) -> Iterator[Source]:
    """The hints of a source file that are commands, each as a page of its own with the command in backticks."""
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.keyword) or node.arg != "hint":
            continue
        parts = node.value.values if isinstance(node.value, ast.JoinedStr) else [node.value]
        words = "".join(
            part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else "NAME" for part in parts
        )
        if words.startswith("skerry "):
            yield Source(f"{source.path}:{node.value.lineno}", f"`{words}`")


def find_rooms_without_row(page: Source, rooms: Iterable[str]) -> Iterator[str]:
    """Every room of src/skerry has its row in the table of rooms."""
    for room in sorted(rooms):
        if not re.search(rf"^\| [^|]*`{room}(/|\.py)`", page.text, re.MULTILINE):
            yield f"{page.path}: the room {room} has no row"


def list_promised_rooms(page: Source) -> list[str]:
    """Rooms whose row says that they are not built yet, as `cli/` or `app.py`; other pages may name them."""
    return re.findall(rf"^\| `([a-z_]+(?:/|\.py))` \({NOT_BUILT}\)", page.text, re.MULTILINE)


def find_rooms_built_by_now(page: Source, rooms: Iterable[str]) -> Iterator[str]:
    """A row that says its room is not built yet loses that mark when the room is there."""
    there = set(rooms)
    for room in list_promised_rooms(page):
        if re.split(r"[/.]", room)[0] in there:
            yield f"{page.path}: {room} is there by now and its row still says `{NOT_BUILT}`"


def list_glossary(page: Source) -> set[str]:
    """The words that the glossary explains (bold), in small letters."""
    return {word.strip().lower() for word in re.findall(r"\*\*([^*]+)\*\*", page.text)}


def list_nouns(sources: Iterable[Source]) -> dict[str, str]:
    """Public classes of the model -> the words of the name: `SiteRecord` -> `site record`."""
    found: dict[str, str] = {}
    for source in sources:
        for node in source.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name] = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", node.name).lower()
    return found


def find_unexplained(nouns: Mapping[str, str], glossary: set[str], parts: Mapping[str, str]) -> Iterator[str]:
    """Every class of the model has a word of the glossary in its name, or is excused as a part of one."""
    for name, words in sorted(nouns.items()):
        is_explained = any(word in glossary or word.removesuffix("s") in glossary for word in (words, *words.split()))
        if not is_explained and name not in parts:
            yield f"skerry.model: {name} is neither in docs/glossary.md nor a listed part"
        elif is_explained and name in parts:
            yield f"tests/test_docs.py: {name} is in the glossary and needs no excuse"
    for name in sorted(parts.keys() - nouns.keys()):
        yield f"tests/test_docs.py: the excuse for {name} excuses nothing"


def make_anchor(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    plain = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return plain.replace(" ", "-")


def find_dead_links(pages: Iterable[Source], files: Mapping[str, str]) -> Iterator[str]:
    """Every relative link leads to a file or folder, and its anchor to a heading there."""
    folders = {str(parent) for path in files for parent in PurePosixPath(path).parents}
    for page in pages:
        for number, target in _list_links(page.text):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            place = _join(page.path, path) if path else page.path
            if place not in files and place not in folders:
                yield f"{page.path}:{number}: {target} leads nowhere"
            elif anchor and anchor not in {make_anchor(words) for _, words in list_headings(files.get(place, ""))}:
                yield f"{page.path}:{number}: {target} has no such heading"


def _list_links(text: str) -> Iterator[tuple[int, str]]:
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        elif not fenced:
            yield from ((number, target) for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", line))


def _join(page: str, target: str) -> str:
    parts: list[str] = page.split("/")[:-1]
    for part in target.strip("/").split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return "/".join(parts) or "."


def find_unlisted_decisions(index: Source, records: Iterable[Source]) -> Iterator[str]:
    """Decision records are numbered from 0001 without a gap, carry the number in the title and stand in the index."""
    expected = 1
    for record in sorted(records, key=lambda item: item.path):
        name = record.path.rpartition("/")[2]
        number = name[:4]
        if number != f"{expected:04}":
            yield f"{record.path}: the next number is {expected:04}"
        title = next((words for level, words in list_headings(record.text) if level == 1), "")
        if number not in title:
            yield f"{record.path}: the title does not carry the number {number}"
        if f"({name})" not in index.text:
            yield f"{index.path}: {name} is not listed"
        expected += 1
