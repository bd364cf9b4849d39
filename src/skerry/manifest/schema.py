"""The pinned JSON Schema of Compose, and its findings in words for people.

Of the branches of a ``oneOf`` only the one that the writer meant is told of: the branch whose type fits. Neighbour:
``compose-spec.json`` is the schema, unchanged, with its notice beside it.
"""

import functools
import importlib.resources
import json
import re
from collections.abc import Iterator
from typing import Any, cast

from jsonschema import Draft7Validator, validators
from jsonschema.exceptions import ValidationError

from skerry.manifest.findings import Findings
from skerry.manifest.nodes import Place, Scalar, describe_node, to_plain
from skerry.manifest.suggest import describe_unknown

#: In the order in which a message names them; that nothing would do as well helps nobody.
_TYPES = {
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "array": "a list",
    "object": "a mapping",
}
#: What the schema calls its parts, and what they are called in a file.
_WORDS = {"deployment": "deploy", "development": "develop"}


@functools.cache
def compose_schema() -> dict[str, Any]:
    """Return the pinned schema."""
    return json.loads(importlib.resources.files("skerry.manifest").joinpath("compose-spec.json").read_bytes())


@functools.cache
def _validator() -> Any:
    extend = cast("Any", validators).extend
    return extend(Draft7Validator, {"uniqueItems": _find_repeated})(compose_schema())


def check_schema(top: Place, findings: Findings) -> None:
    """Tell everything in ``top`` that the schema of Compose does not allow."""
    for error in _validator().iter_errors(to_plain(top.node)):
        for fault in _meant(error):
            _tell(fault, top, findings)


def _find_repeated(validator: Any, wanted: bool, instance: Any, _: Any) -> Iterator[ValidationError]:
    """Find equal items in one pass; the library's own way compares each with each."""
    if not wanted or not validator.is_type(instance, "array"):
        return
    seen: set[str] = set()
    for index, item in enumerate(instance):
        text = json.dumps(item, sort_keys=True)
        if text in seen:
            yield ValidationError("", validator="uniqueItems", path=(index,))
        seen.add(text)


def _meant(error: ValidationError) -> list[ValidationError]:
    """Return what is to be told instead of a failed choice: the faults of the branch that was meant."""
    context: list[ValidationError] = list(error.context or ())
    if error.validator not in ("oneOf", "anyOf") or not context:
        return [error]
    branches: dict[Any, list[ValidationError]] = {}
    for fault in context:
        branches.setdefault(fault.relative_schema_path[0], []).append(fault)
    fitting = [faults for faults in branches.values() if not any(_is_misfit(fault, error) for fault in faults)]
    if not fitting:
        return [error]
    meant = max(fitting, key=lambda faults: max(len(fault.absolute_path) for fault in faults))
    return [deeper for fault in meant for deeper in _meant(fault)]


def _is_misfit(fault: ValidationError, choice: ValidationError) -> bool:
    """Say whether a branch fails at once, because the value is of another type."""
    at_top = len(fault.absolute_path) == len(choice.absolute_path)
    return at_top and (fault.validator == "type" or (fault.validator == "oneOf" and _meant(fault) == [fault]))


def _tell(fault: ValidationError, top: Place, findings: Findings) -> None:
    place = _follow(top, list(fault.absolute_path))
    wanted: Any = fault.validator_value
    shown = describe_node(place.node)
    match fault.validator:
        case "additionalProperties":
            _tell_unknown(fault, place, findings)
        case "type" | "oneOf" | "anyOf":
            findings.complain(place, "E-TYPE", _describe_type(place, _list_types(fault)))
        case "required":
            missing = " and ".join(f'"{name}"' for name in wanted if place.find(name) is None)
            findings.complain(place, "E-TYPE", f"{missing} must be given here", at_key=True)
        case "enum":
            findings.complain(place, "E-TYPE", f"{shown} is none of {', '.join(map(str, wanted))}")
        case "minimum" | "maximum":
            word = "least" if fault.validator == "minimum" else "most"
            findings.complain(place, "E-RANGE", f"{shown} is out of range: at {word} {wanted}")
        case "uniqueItems":
            findings.complain(place, "E-TYPE", f"{shown} stands in this list twice")
        case "pattern":
            findings.complain(place, "E-TYPE", f"{shown} does not have the form {wanted}")
        case _:
            findings.complain(place, "E-TYPE", f"{shown} does not fit: {fault.message[:200]}")


def _tell_unknown(fault: ValidationError, place: Place, findings: Findings) -> None:
    schema: Any = fault.schema
    properties: dict[str, Any] = schema.get("properties", {})
    patterns: list[str] = [pattern for pattern in schema.get("patternProperties", {}) if pattern != "^x-"]
    for name, child in place.entries():
        if name in properties or name.startswith("x-") or any(re.search(pattern, name) for pattern in patterns):
            continue
        if patterns:
            detail = f'"{name}" cannot be a name: letters, digits, ".", "_" and "-" only'
            findings.complain(child, "E-TYPE", detail, at_key=True)
        else:
            detail = describe_unknown(name, properties, _list_homes(name))
            findings.complain(child, "E-UNKNOWN-WORD", detail, at_key=True)


def _follow(top: Place, path: list[Any]) -> Place:
    place = top
    for step in path:
        child = place.find(step) if isinstance(step, str) else next(_skip(place, step), None)
        if child is None:
            return place
        place = child
    return place


def _skip(place: Place, count: int) -> Iterator[Place]:
    return (item for index, item in enumerate(place.elements()) if index == count)


def _list_types(fault: ValidationError) -> set[str]:
    """Return the names of every type that would have done."""
    if fault.validator == "type":
        wanted: Any = fault.validator_value
        return {wanted} if isinstance(wanted, str) else set(wanted)
    return {name for inner in fault.context or () for name in _list_types(inner)}


def _describe_type(place: Place, types: set[str]) -> str:
    wanted = " or ".join(words for name, words in _TYPES.items() if name in types)
    detail = f"{describe_node(place.node)} is not {wanted or 'empty'}"
    if "string" in types and isinstance(place.node, Scalar) and place.value is not None:
        detail += f': write "{place.node.text[:40]}" in quotes'
    return detail


@functools.cache
def _homes() -> dict[str, tuple[str, ...]]:
    """Return each field name of Compose with the names of the objects it belongs to."""
    found: dict[str, set[str]] = {}
    definitions: dict[str, Any] = compose_schema()["definitions"]
    for name, definition in definitions.items():
        for field in definition.get("properties", {}):
            found.setdefault(field, set()).add(_WORDS.get(name, name))
    return {field: tuple(sorted(names)) for field, names in found.items()}


def _list_homes(name: str) -> list[str]:
    homes = _homes().get(name, ())
    return [f'"{home}"' for home in homes] if len(homes) < 4 else []
