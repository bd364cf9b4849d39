"""The JSON Schema of a manifest, for editors: the pinned schema of Compose with our words in it, from the same tables.

A document of a kind has its own part, chosen by its ``kind``; of a stream every document is held against the whole.

Draft 7, because Compose's own part is written in it and every editor reads it. It says what has the form of a manifest;
whether it makes sense is for ``skerry validate``. Where a value is not text, a variable may stand for it.
"""

import copy
import functools
from typing import Any

import msgspec

from skerry.manifest.schema import compose_schema
from skerry.manifest.word_types import Anything, Choice, Either, Form, Group, Many, Named, Type, Word
from skerry.manifest.words import HEAD, SECTIONS, TOP
from skerry.manifest.words_kinds import API_VERSION, KINDS, KindWords, words_of

#: What the file is called beside a manifest, and how the schema names itself.
FILE = "skerry.schema.json"
#: The comment by which editors know the schema of a file.
LINE = f"# yaml-language-server: $schema=./{FILE}"
_VARIABLE = {"$ref": "#/definitions/variable"}


@functools.cache
def write_schema() -> str:
    """Return the schema as text; the same for one release wherever it runs."""
    text = msgspec.json.format(msgspec.json.encode(make_schema()), indent=1)
    return text.decode() + "\n"


def make_schema() -> dict[str, Any]:
    """Return the schema of Compose files with ``x-skerry``, of overlays and of documents of kinds."""
    compose = copy.deepcopy(compose_schema())
    definitions: dict[str, Any] = compose.pop("definitions")
    for name in ("$schema", "$id"):
        compose.pop(name)
    writer = _Writer(definitions)
    compose["properties"]["x-skerry"] = writer.describe(Group(TOP), "app")
    inner: dict[str, Any] = {}
    for section, words in SECTIONS.items():
        noun = section.removesuffix("s")
        inner[section] = {"type": "object", "additionalProperties": writer.describe(Group(words), noun)}
        definitions[noun]["properties"]["x-skerry"] = writer.describe(Group(words), noun)
    overlay: dict[str, Any] = {
        "type": "object",
        "properties": {**writer.list_words(HEAD, "overlay"), **inner, **writer.list_words(TOP, "app")},
        "additionalProperties": False,
    }
    overlay["properties"]["compose"]["type"] = ["string", "array", "object"]
    kinds = {name: _describe_kind(writer, name, kind) for name, kind in KINDS.items() if kind.signed is not None}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": FILE,
        "title": "A Skerry manifest: a Compose file with x-skerry, an overlay of one, or a document of a kind",
        "type": "object",
        "if": {"required": ["apiVersion"]},
        "then": {"$ref": "#/definitions/kind"},
        "else": {
            "if": {"required": ["app"]},
            "then": {"$ref": "#/definitions/overlay"},
            "else": {"$ref": "#/definitions/compose"},
        },
        "definitions": {
            **definitions,
            **{f"kind-{name}": described for name, described in kinds.items()},
            "compose": compose,
            "overlay": overlay,
            "kind": {
                "type": "object",
                "properties": {"apiVersion": {"enum": [API_VERSION]}, "kind": {"enum": list(kinds)}},
                "required": ["apiVersion", "kind"],
                "allOf": [
                    {
                        "if": {"properties": {"kind": {"enum": [name]}}},
                        "then": {"$ref": f"#/definitions/kind-{name}"},
                    }
                    for name in kinds
                ],
            },
            "variable": {"description": "a variable", "type": "string", "pattern": "\\$[{A-Za-z_]"},
        },
    }


def _describe_kind(writer: "_Writer", name: str, kind: KindWords) -> dict[str, Any]:
    return {
        "description": kind.about,
        "properties": writer.list_words(words_of(kind), f"kind-{name}"),
        "required": ["metadata", "spec"],
        "additionalProperties": False,
    }


class _Writer:
    """Describes types; each mapping with words of ours becomes a definition, however often it is meant."""

    def __init__(self, definitions: dict[str, Any]) -> None:
        self._definitions = definitions
        #: By the identity of a table of words: tables live as long as the program.
        self._names: dict[int, str] = {}

    def describe(self, wanted: Type, name: str) -> dict[str, Any]:
        """Return the schema of one type; ``name`` is its word's, with those around it."""
        match wanted:
            case Form():
                is_free = wanted.shape == {"type": "string"}
                return wanted.shape if is_free else {"anyOf": [wanted.shape, _VARIABLE]}
            case Choice():
                return {"anyOf": [{"enum": list(wanted.words)}, _VARIABLE]}
            case Many():
                item = self.describe(wanted.item, name)
                return {"anyOf": [{"type": "array", "items": item}, item]}
            case Named():
                return {"type": "object", "additionalProperties": self.describe(wanted.item, name)}
            case Group():
                return {"$ref": f"#/definitions/{self._define(wanted.words, name)}"}
            case Either():
                return {"anyOf": [self.describe(one, name) for one in wanted.types]}
            case Anything():
                return {}

    def list_words(self, words: tuple[Word, ...], name: str) -> dict[str, Any]:
        """Return the schema of each word."""
        found: dict[str, Any] = {}
        for word in words:
            parts = [word.about] if word.about else []
            parts += [f"Without it: {word.default}"] if word.default else []
            parts += [] if word.built else ["Not built yet, and refused as such"]
            described = self.describe(word.type, f"{name}-{word.name}")
            # Beside a reference nothing else counts in this draft.
            described = {"allOf": [described]} if "$ref" in described else dict(described)
            found[word.name] = {"description": ". ".join(parts), **described} if parts else described
        return found

    def _define(self, words: tuple[Word, ...], name: str) -> str:
        if id(words) not in self._names:
            self._names[id(words)] = whole = f"x-skerry-{name}"
            assert whole not in self._definitions, "two tables of words at one place"
            schema = {"type": ["object", "null"], "properties": self.list_words(words, name)}
            self._definitions[whole] = {**schema, "additionalProperties": False}
        return self._names[id(words)]
