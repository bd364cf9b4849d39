"""What a container runs: command words, environment and labels.

Texts here are per-instance fields: ``$`` of people is ``$$`` in them and ``${SKERRY_…}`` stays, so whatever is put in
from files or variables is escaped first. Neighbours: ``dotenv.py`` reads environment files, ``service.py`` asks.
"""

import re
import shlex
from collections.abc import Iterator

from skerry.manifest.dotenv import DotenvError, parse_dotenv
from skerry.manifest.interpolate import escape_text, read_variable
from skerry.manifest.nodes import Mapping, Place, Sequence
from skerry.manifest.reading import Reading
from skerry.model.variables import INSTANCE_PREFIX, Reference, VariableError, scan

_VARIABLE = re.compile(r"[^=$\s\0]+")
_LABEL = re.compile(r"[^=$\s\0]+")
#: What a shell would act on; no shell reads a command, so these are a sign that one was expected.
_SHELL_SIGNS = frozenset({";", "&", "&&", "|", "||", "<", ">", ">>"})


def read_command(reading: Reading, place: Place | None) -> tuple[str, ...] | None:
    """Return the words of a command; None when the image's own is meant, empty for none at all."""
    if place is None:
        return None
    if isinstance(place.node, Sequence):
        return tuple(reading.text(item) for item in place.elements())
    text = reading.text(place)
    try:
        words = split_words(text)
    except (ValueError, VariableError) as error:
        reading.findings.complain(place, "E-TYPE", f"a command is split into words like a shell does: {error}")
        return None
    signs = sorted(_SHELL_SIGNS.intersection(words))
    if signs:
        hint = 'write ["sh", "-c", "…"], or quote it'
        reading.findings.complain(
            place, "E-TYPE", f"no shell reads this command, so {signs[0]} is a word in it", hint=hint
        )
    return words


def split_words(text: str) -> tuple[str, ...]:
    """Split a command as a shell does, per-instance references being whole; raise ValueError for an open quote."""
    parts = scan(text)
    kept = [part for part in parts if isinstance(part, Reference)]
    # A zero byte cannot stand in any text of a manifest, so it marks the references while the words are split.
    marked = "".join("\0" if isinstance(part, Reference) else part.replace("$", "$$") for part in parts)
    left = iter(kept)
    return tuple("".join(_put_back(word, left)) for word in shlex.split(marked))


def _put_back(word: str, left: Iterator[Reference]) -> Iterator[str]:
    for letter in word:
        yield next(left).source if letter == "\0" else letter


def read_environment(reading: Reading, service: Place) -> dict[str, str]:
    """Return the environment: files in their order, then what the service says itself."""
    found: dict[str, str] = {}
    for item in reading.texts(reading.find(service, "env_file")):
        found.update(_read_env_file(reading, item))
    return {**found, **read_variables(reading, reading.find(service, "environment"))}


def read_variables(reading: Reading, place: Place | None) -> dict[str, str]:
    """Return variables; one without a value has the client's own."""
    found: dict[str, str] = {}
    for pair in reading.pairs(place):
        if _VARIABLE.fullmatch(pair.name) is None:
            reading.findings.complain(pair.place, "E-TYPE", f'"{pair.name[:60]}" cannot be the name of a variable')
        elif pair.text is not None:
            found[pair.name] = pair.text
        else:
            value = _pass_through(reading, pair.name, pair.place)
            if value is not None:
                found[pair.name] = value
    return found


def read_labels(reading: Reading, place: Place | None) -> dict[str, str]:
    """Return labels; one without a value has an empty one."""
    found: dict[str, str] = {}
    for pair in reading.pairs(place):
        if _LABEL.fullmatch(pair.name) is None:
            reading.findings.complain(pair.place, "E-TYPE", f'"{pair.name[:60]}" cannot be the name of a label')
        found[pair.name] = pair.text or ""
    return found


def read_label_file(reading: Reading, place: Place) -> dict[str, str]:
    """Return the labels of a file of ``KEY=value`` lines."""
    path = reading.text(place)
    read = reading.file(place, path)
    if read is None:
        return {}
    try:
        found = parse_dotenv(read.content, lambda name: None, is_raw=True)
    except DotenvError as error:
        reading.findings.complain(place, "E-TYPE", f"{path}, {error}")
        return {}
    reading.findings.note(place, "translated", f"{path} was read")
    return {name: escape_text(value or "") for name, value in found.items()}


def _pass_through(reading: Reading, name: str, place: Place) -> str | None:
    """Return the client's own value of a variable that is only named, or where it comes from at the site."""
    if name.startswith(INSTANCE_PREFIX):
        return f"${{{name}}}"
    try:
        value = read_variable(reading.variables, name)
    except VariableError as error:
        reading.findings.complain(place, "E-INTERPOLATION", str(error))
        return None
    if value is None:
        reading.findings.note(place, "translated", f"left out: {name} is not set where this is applied")
        return None
    reading.findings.note(place, "translated", f"the value that {name} has where this is applied")
    return escape_text(value)


def _read_env_file(reading: Reading, item: Place) -> dict[str, str]:
    is_long = isinstance(item.node, Mapping)
    place = reading.find(item, "path") if is_long else item
    if place is None:
        return {}
    required = reading.find(item, "required")
    form = reading.text(reading.find(item, "format"))
    if form not in ("", "raw"):
        reading.findings.complain(item, "E-TYPE", f'"{form[:40]}" is no format of an environment file: write raw')
        return {}
    path = reading.text(place)
    read = reading.file(place, path, is_optional=required is not None and not reading.switch(required))
    if read is None:
        return {}

    def lookup(name: str) -> str | None:
        if name.startswith(INSTANCE_PREFIX):
            raise VariableError("variables of an instance stand in environment, not in a file")
        return read_variable(reading.variables, name)

    try:
        found = parse_dotenv(read.content, lookup, is_raw=form == "raw")
    except DotenvError as error:
        reading.findings.complain(place, "E-TYPE", f"{path}, {error}")
        return {}
    reading.findings.note(place, "translated", f"{path} was read")
    return {name: escape_text(value) for name, value in found.items() if value is not None}
