r"""Environment files as Compose reads them: ``KEY=value`` lines, comments, quotes, ``export``, variables in values.

Single quotes keep their text as it is; double quotes know ``\n`` and may span lines; elsewhere a comment begins with
`` #``. A key without ``=`` takes its value from the client's variables. The format ``raw`` has neither quotes nor
variables.
"""

import re
from collections.abc import Callable

from skerry.model import limits
from skerry.model.variables import VariableError, expand

_KEY = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*(=|:[ \t]|$|(?=#))", re.ASCII | re.MULTILINE)
_COMMENT = re.compile(r"[ \t]+#.*")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}

Lookup = Callable[[str], str | None]


class DotenvError(ValueError):
    """The file is malformed; ``line`` counts from 1."""

    def __init__(self, line: int, detail: str) -> None:
        super().__init__(f"line {line}: {detail}")
        self.line = line


class _Cursor:
    """Where reading stands: everything before ``at`` is read, and ``line`` is the number of the line there."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1

    def take_line(self) -> str:
        """Return the rest of the line."""
        end = self.text.find("\n", self.at)
        return self.take_until(len(self.text) if end < 0 else end)

    def take_until(self, end: int) -> str:
        """Return the text before ``end`` and go behind the character there."""
        part = self.text[self.at : end]
        self.line += self.text.count("\n", self.at, end + 1)
        self.at = end + 1
        return part

    def skip_blanks(self) -> None:
        """Go to what is neither space nor tab."""
        while self.text[self.at : self.at + 1] in (" ", "\t"):
            self.at += 1


def parse_dotenv(content: bytes, lookup: Lookup, *, is_raw: bool = False) -> dict[str, str | None]:
    """Return the file's variables in order; None for a key that takes its value from ``lookup`` and is not set there.

    Raise ``DotenvError`` for what is no environment file, and for variables in it that cannot be resolved.
    """
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise DotenvError(content.count(b"\n", 0, error.start) + 1, "not UTF-8") from error
    if "\0" in text:
        raise DotenvError(text.count("\n", 0, text.index("\0")) + 1, "a zero byte")
    found: dict[str, str | None] = {}
    spent = 0

    def look(name: str) -> str | None:
        nonlocal spent
        value = found[name] if found.get(name) is not None else lookup(name)
        spent += len(value or "")
        if spent > limits.INLINE_BYTES_MAX:
            raise VariableError(f"the values put in have more than {limits.INLINE_BYTES_MAX} bytes in all")
        return value

    cursor = _Cursor(text)
    while cursor.at < len(text):
        line, key = cursor.line, _KEY.match(text, cursor.at)
        if key is None:
            rest = cursor.take_line().strip()
            if rest and not rest.startswith("#"):
                raise DotenvError(line, f"no variable: {rest[:40]}")
            continue
        cursor.at = key.end()
        try:
            if not key[2]:
                cursor.take_line()
                found[key[1]] = lookup(key[1])
            elif is_raw:
                found[key[1]] = cursor.take_line()
            else:
                found[key[1]] = _read_value(cursor, look)
        except VariableError as error:
            raise DotenvError(line, f"{key[1]}: {error}") from error
    return found


def _read_value(cursor: _Cursor, look: Lookup) -> str:
    cursor.skip_blanks()
    quote = cursor.text[cursor.at : cursor.at + 1]
    if quote not in ("'", '"'):
        return expand(_COMMENT.sub("", " " + cursor.take_line())[1:].strip(), look)
    line = cursor.line
    end = _find_quote(cursor.text, cursor.at + 1, quote)
    if end < 0:
        raise DotenvError(line, f"the quote {quote} is not closed")
    inside = cursor.take_until(end)[1:]
    rest = cursor.take_line().strip()
    if rest and not rest.startswith("#"):
        raise DotenvError(line, "text behind the closing quote")
    # A dollar behind a backslash is plain, as in a shell.
    return inside if quote == "'" else expand(_ESCAPE.sub(_unescape, inside), look)


def _find_quote(text: str, at: int, quote: str) -> int:
    while at < len(text):
        if text[at] == quote:
            return at
        at += 2 if text[at] == "\\" and quote == '"' else 1
    return -1


def _unescape(found: re.Match[str]) -> str:
    letter = found[1]
    if letter == "$":
        return "$$"
    return _ESCAPES.get(letter, letter if letter in "\\\"'" else found[0])
