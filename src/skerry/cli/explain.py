"""``skerry explain``, ``skerry schema``: what words of ``x-skerry``, fields of Compose and error codes mean; offline.

It reads the very tables that judge a manifest (manifest/words.py, manifest/fields.py), so it says of each what will be
done with it. A place may be written whole (``services.web.ports``), as a pointer of a message (``/services/web/ports``)
or by its end (``replicas.per-site``).
"""

import difflib
from collections.abc import Iterator

import click
import msgspec

from skerry.cli.output import show_value, with_output, write_pairs
from skerry.cli.shell import read_topics
from skerry.manifest.editor import write_schema
from skerry.manifest.fields import FIELDS, Field
from skerry.manifest.word_types import Anything, Choice, Either, Form, Group, Many, Named, Type, Word
from skerry.manifest.words import HOMES
from skerry.manifest.words_kinds import KINDS, KindWords, words_of
from skerry.model.errors import NotFound

#: Answers to a short word that stands in many places; the rest is counted.
SHOWN_MAX = 12
#: Where each table of words stands in a Compose file.
_PLACES = {
    "the top": "x-skerry",
    "a service": "services.*.x-skerry",
    "a secret": "secrets.*.x-skerry",
    "a volume": "volumes.*.x-skerry",
    "a network": "networks.*.x-skerry",
}
_LETTERS = {"H": "honoured", "T": "translated", "G": "granted by a profile, otherwise refused", "R": "refused"}


#: What is said of a word that is declared and not built.
_LATER = "not built yet, and refused as such"


class Explained(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One place in a manifest, or one error code."""

    path: str
    about: str = ""
    takes: str = ""
    default: str = ""
    #: What becomes of it.
    verdict: str = ""
    #: Words that may stand below it.
    below: tuple[str, ...] = ()


@click.command()
@click.argument("topic", metavar="WORD|FIELD|CODE")
@with_output
def explain(topic: str, output: str) -> None:
    """Say what a word of x-skerry, a field of Compose or an error code means, and what becomes of it; offline."""
    found = find_topic(topic)
    if not found:
        raise NotFound("E-TOPIC", f"Nothing is called {topic[:80]!r}.", hint=_guess(topic))
    if output in ("json", "yaml", "jsonl"):
        show_value({"items": found}, output, "", lambda: None)
        return
    for place, each in enumerate(found[:SHOWN_MAX]):
        if output == "name":
            click.echo(each.path)
            continue
        if place:
            click.echo()
        _draw(each)
    if len(found) > SHOWN_MAX:
        click.echo(f"\nand {len(found) - SHOWN_MAX} more: skerry explain {topic} -o json", err=True)


@click.command()
def schema() -> None:
    """Print the JSON Schema of manifests, for an editor: of Compose files with x-skerry, and of overlays. Offline."""
    click.echo(write_schema(), nl=False)


def find_topic(topic: str) -> list[Explained]:
    """Return what is known under a topic: the places that it names in whole, otherwise those that end with it."""
    code = topic.upper()
    topics = read_topics()
    if code in topics:
        return [Explained(path=code, about=topics[code])]
    wanted = topic.strip("/").replace("/", ".").split(".")
    # What is built, and a field of the file itself before one far below, is what most people mean.
    known = sorted(_list_places(), key=lambda each: (each.verdict == _LATER, each.path.count(".")))
    whole = [each for each in known if _fits(each.path.split("."), wanted)]
    # `services.ports`: who leaves the name of a service out means the field, not a service of that name.
    inner = [each for each in known if _fits(each.path.split("."), [*wanted[:-1], "*", wanted[-1]])]
    if inner and all(each.path.endswith(".*") for each in whole):
        return inner
    ends = (each for each in known if each.path.rpartition(".")[2] == wanted[-1])
    return whole or [each for each in ends if _fits(each.path.split(".")[-len(wanted) :], wanted)]


def describe_type(wanted: Type) -> str:
    """Say what a value of a type looks like."""
    match wanted:
        case Form():
            return f"{wanted.what}, for example {wanted.example}"
        case Choice():
            return "one of " + ", ".join(wanted.words)
        case Many():
            return f"a list, or one of it: {describe_type(wanted.item)}"
        case Named():
            return f"a mapping from names to: {describe_type(wanted.item)}"
        case Group():
            return "a mapping"
        case Either():
            return "; or ".join(map(describe_type, wanted.types))
        case Anything():
            return "a value that is passed on as it is"


def _list_places() -> Iterator[Explained]:
    for home, words in HOMES.items():
        yield from _list_words(words, _PLACES[home])
    for name, kind in KINDS.items():
        yield _read_kind(name, kind)
        if kind.signed is not None:
            yield from _list_words(words_of(kind), name)
    for path, row in FIELDS.items():
        yield _read_field(path, row)


def _read_kind(name: str, kind: KindWords) -> Explained:
    if kind.signed is None:
        verdict = _LATER + (f"; {kind.hint}" if kind.hint else "")
        return Explained(path=name, about=f"a kind of document: {kind.about}", verdict=verdict)
    below = tuple(word.name for word in words_of(kind))
    return Explained(path=name, about=f"a kind of document: {kind.about}", verdict="honoured", below=below)


def _list_words(words: tuple[Word, ...], prefix: str) -> Iterator[Explained]:
    for word in words:
        path = f"{prefix}.{word.name}"
        yield Explained(
            path=path,
            about=word.about,
            takes=describe_type(word.type),
            default=word.default,
            verdict="honoured" if word.built else _LATER,
            below=tuple(inner.name for group in _list_groups(word.type) for inner in group.words),
        )
        for group in _list_groups(word.type):
            yield from _list_words(group.words, path)


def _list_groups(wanted: Type) -> Iterator[Group]:
    match wanted:
        case Group():
            yield wanted
        case Many() | Named():
            yield from _list_groups(wanted.item)
        case Either():
            for one in wanted.types:
                yield from _list_groups(one)
        case _:
            pass


def _read_field(path: str, row: Field) -> Explained:
    letter = _LETTERS[row.letter] if row.built else _LATER
    parts = [letter + (f": {row.reason}" if row.reason else "")]
    parts += ["its value decides: skerry validate -f FILE says how"] if row.judged else []
    return Explained(path=path, about="a field of Compose", verdict="; ".join(parts))


def _fits(path: list[str], wanted: list[str]) -> bool:
    """Say whether a path is meant; a name that people choose stands for the star."""
    return len(path) == len(wanted) and all(one in ("*", other) for one, other in zip(path, wanted, strict=True))


def _guess(topic: str) -> str:
    names = {each.path.rpartition(".")[2] for each in _list_places()} | set(read_topics())
    last = topic.strip("/").replace("/", ".").rpartition(".")[2]
    near = difflib.get_close_matches(last, names, n=1) or difflib.get_close_matches(last.upper(), names, n=1)
    return f"skerry explain {near[0]}" if near else "skerry explain placement"


def _draw(each: Explained) -> None:
    if each.path.startswith("E-"):
        click.echo(f"{each.path}\n\n{each.about}")
        return
    click.echo(f"{each.path}: {each.about or 'a word of x-skerry'}")
    pairs = (("takes", each.takes), ("without it", each.default), ("becomes", each.verdict), ("words", each.below))
    write_pairs(pairs, indent=2)
