"""The YAML library behind one door: text in, our own typed events out, one kind of refusal for whatever it says.

The library is used as far as its event stream and no further: nothing is composed or constructed by it, so no limit of
``tree.py`` comes too late. Neighbour: ``tree.py``, the only reader of these events.
"""

from collections.abc import Iterator
from typing import Any, Literal, cast

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml import events as library
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scanner import Scanner, ScannerError

from skerry.manifest.nodes import Mark

Kind = Literal["document", "scalar", "alias", "mapping", "sequence", "end", "other"]

#: Characters of one tag; the longest of the core schema has 23.
_TAG_CHARACTERS_MAX = 128

_KINDS: dict[type[library.Event], Kind] = {
    library.DocumentStartEvent: "document",
    library.ScalarEvent: "scalar",
    library.AliasEvent: "alias",
    library.MappingStartEvent: "mapping",
    library.SequenceStartEvent: "sequence",
    library.MappingEndEvent: "end",
    library.SequenceEndEvent: "end",
}


class Event(msgspec.Struct, frozen=True):
    """One step of the stream."""

    kind: Kind
    mark: Mark
    #: Text of a scalar.
    text: str = ""
    #: Name given by ``&`` or used by ``*``; empty for none.
    anchor: str = ""
    #: Tag as the library resolved it; empty for none.
    tag: str = ""
    #: Scalar without quotes and not as a block.
    plain: bool = False
    #: Whether a document's ``%YAML`` line says something else than 1.2.
    is_other_version: bool = False


class RefusedError(Exception):
    """The file is not to be read on; ``code``, text and ``mark`` say why and where."""

    def __init__(self, code: str, detail: str, mark: Mark) -> None:
        super().__init__(detail)
        self.code = code
        self.mark = mark


def read_events(text: str, file: str) -> Iterator[Event]:
    """Yield the events of ``text`` one by one; raise ``RefusedError`` with code E-YAML where it is no YAML."""
    parser = YAML(typ="safe", pure=True)
    parser.Scanner = _Scanner
    try:
        stream: Any = parser.parse(text)  # pyright: ignore[reportUnknownMemberType]
        for event in stream:
            yield _convert(event, file)
    except MarkedYAMLError as error:
        raise RefusedError("E-YAML", *_explain(error, file)) from error
    except ReaderError as error:
        found: Any = error
        before = text[: found.position]
        place = Mark(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise RefusedError("E-YAML", f"the character {found.character:#04x} may not stand in YAML", place) from error
    except (YAMLError, ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
        # The library is not ours, and a text that breaks it is still only a bad text.
        detail = f"not YAML: the parser stopped with {type(error).__name__}"
        raise RefusedError("E-YAML", detail, Mark(file, 1, 1)) from error


class _Scanner(Scanner):
    """The library's scanner, which takes ten microseconds for each character of a tag, however long it is."""

    def scan_tag_uri(self, name: Any, start_mark: Any) -> Any:
        reader = cast("Any", self).reader
        ahead: str = reader.prefix(_TAG_CHARACTERS_MAX + 1)
        if len(ahead) > _TAG_CHARACTERS_MAX and not any(letter.isspace() for letter in ahead):
            detail = f"it has more than {_TAG_CHARACTERS_MAX} characters"
            raise ScannerError("while scanning a tag", start_mark, detail, reader.get_mark())
        return super().scan_tag_uri(name, start_mark)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def _convert(event: Any, file: str) -> Event:
    mark = Mark(file, event.start_mark.line + 1, event.start_mark.column + 1)
    kind = _KINDS.get(cast("type[library.Event]", type(event)), "other")
    match kind:
        case "document":
            version = event.version
            return Event(kind, mark, is_other_version=version is not None and tuple(version) != (1, 2))
        case "scalar":
            return Event(
                kind,
                mark,
                text=str(event.value),
                anchor=str(event.anchor or ""),
                tag=str(event.tag or ""),
                plain=not event.style,
            )
        case "alias":
            return Event(kind, mark, anchor=str(event.anchor))
        case "mapping" | "sequence":
            return Event(kind, mark, anchor=str(event.anchor or ""), tag=str(event.tag or ""))
        case _:
            return Event(kind, mark)


def _explain(error: MarkedYAMLError, file: str) -> tuple[str, Mark]:
    found: Any = error
    words = (" ".join(str(text).split())[:200] for text in (found.context, found.problem) if text)
    mark = found.problem_mark or found.context_mark
    place = Mark(file, 1, 1) if mark is None else Mark(file, mark.line + 1, mark.column + 1)
    return ", ".join(words) or "not YAML", place
