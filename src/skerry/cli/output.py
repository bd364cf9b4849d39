"""How answers are shown: tables for people, JSON, YAML, JSON lines and names for programs.

JSON has the shape of the API and is stable; table columns may change. ``rich`` is imported at the first draw on a
terminal, ``msgspec`` at the first JSON; a pipe gets plain columns.
"""

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

import click

T = TypeVar("T")
#: A column of something general is one of all that is more special.
Shown = TypeVar("Shown", contravariant=True)

FORMATS = ("table", "wide", "json", "yaml", "jsonl", "name")

#: States that are shown in a colour on a terminal: good, worth a look, bad.
_COLOURS = {
    "green": ("online", "ready", "done", "run", "true", "healthy", "live", "open", "up", "good"),
    "yellow": ("silent", "joining", "starting", "waiting", "hold", "held", "restarting", "unknown", "warning", "kept"),
    "red": ("unheard", "unhealthy", "refused", "lost", "revoked", "ended", "failed", "bad", "strange", "doomed"),
}


class Column(Generic[Shown]):
    """One column: its title, how to read its text off an item, and whether only ``-o wide`` shows it."""

    def __init__(self, title: str, read: Callable[[Shown], object], *, wide: bool = False) -> None:
        self.title = title
        self.read = read
        self.wide = wide


def with_output(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option ``-o``."""
    choice = click.Choice(FORMATS)
    return click.option("-o", "--output", type=choice, default="table", show_default=True, help="How to show it.")(
        function
    )


def _encode(value: Any) -> bytes:
    import msgspec

    return msgspec.json.encode(value)


def show_list(items: Iterable[T], columns: Sequence[Column[T]], output: str, name: Callable[[T], str]) -> None:
    """Show a listing; JSON lines and names are written as they come."""
    match output:
        case "json" | "yaml":
            write_value({"items": list(items)}, output)
        case "jsonl":
            for item in items:
                click.echo(_encode(item).decode())
        case "name":
            for item in items:
                click.echo(name(item))
        case _:
            write_table(list(items), [column for column in columns if output == "wide" or not column.wide])


def show_value(value: Any, output: str, name: str, draw: Callable[[], None]) -> None:
    """Show one object; ``draw`` writes it for people."""
    match output:
        case "json" | "yaml":
            write_value(value, output)
        case "jsonl":
            click.echo(_encode(value).decode())
        case "name":
            click.echo(name)
        case _:
            draw()


def write_value(value: Any, output: str) -> None:
    """Write a value as JSON or YAML."""
    encoded = _encode(value)
    if output == "json":
        import msgspec

        click.echo(msgspec.json.format(encoded, indent=2).decode())
    else:
        click.echo("\n".join(write_yaml(json.loads(encoded))))


def write_yaml(value: Any, depth: int = 0) -> list[str]:
    """Return a JSON value as lines of block YAML; texts are quoted as in JSON, so that none is read as another type."""
    pad = "  " * depth
    if isinstance(value, dict) and value:
        lines: list[str] = []
        for key, inner in value.items():  # pyright: ignore[reportUnknownVariableType]
            lines += _nest(f"{pad}{json.dumps(key)}:", inner, depth)
        return lines
    if isinstance(value, list) and value:
        lines = []
        for inner in value:  # pyright: ignore[reportUnknownVariableType]
            lines += _nest(f"{pad}-", inner, depth)
        return lines
    return [pad + json.dumps(value, ensure_ascii=False)]


def _nest(head: str, inner: Any, depth: int) -> list[str]:
    if isinstance(inner, dict | list) and inner:
        return [head, *write_yaml(inner, depth + 1)]
    return [f"{head} {json.dumps(inner, ensure_ascii=False)}"]


def write_table(items: Sequence[T], columns: Sequence[Column[T]], *, cut: bool = False) -> None:
    """Write items as a table; nothing but a word on stderr when there are none.

    A terminal that is too narrow folds cells; with ``cut``, for what is drawn again and again, it leaves out the last
    columns instead and says how many.
    """
    if not items:
        click.echo("nothing here", err=True)
        return
    rows = [[_text(column.read(item)) for column in columns] for item in items]
    if is_drawn():
        fitting = _count_fitting(rows, columns) if cut else len(columns)
        _draw_table([row[:fitting] for row in rows], columns[:fitting])
        if fitting < len(columns):
            tell(f"a wider window shows {len(columns) - fitting} more columns")
        return
    titles = [column.title.upper() for column in columns]
    widths = [max(map(len, cells)) for cells in zip(titles, *rows, strict=True)]
    for row in (titles, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def is_drawn() -> bool:
    """Say whether stdout is a terminal that may be drawn on; ``NO_COLOR`` and ``TERM=dumb`` are asked by ``rich``."""
    return sys.stdout is not None and sys.stdout.isatty()


def _count_fitting(rows: list[list[str]], columns: Sequence[Column[T]]) -> int:
    """Count the leading columns that fit the terminal without folding; the first is always shown."""
    left = shutil.get_terminal_size().columns
    for place, column in enumerate(columns):
        left -= max(len(column.title), *(len(row[place]) for row in rows)) + (2 if place else 0)
        if left < 0:
            return max(place, 1)
    return len(columns)


def _draw_table(rows: list[list[str]], columns: Sequence[Column[T]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.title.upper(), overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=colour_of(cell)) for cell in row))
    Console().print(table)


def colour_of(word: str) -> str:
    """Return the colour of a state; empty for other words. Colour is never the only sign: the word stands there."""
    return next((colour for colour, words in _COLOURS.items() if word in words), "")


def write_pairs(pairs: Iterable[tuple[str, object]], indent: int = 0) -> None:
    """Write aligned ``name: value`` lines; empty values are left out."""
    shown = [(name, _text(value)) for name, value in pairs]
    shown = [(name, text) for name, text in shown if text]
    width = max((len(name) for name, _ in shown), default=0) + 1
    for name, text in shown:
        click.echo(f"{' ' * indent}{name + ':':<{width}} {text}")


def write_section(title: str, items: Sequence[T], columns: Sequence[Column[T]]) -> None:
    """Write a titled table, nothing when it is empty."""
    if items:
        click.echo(f"\n{title}")
        write_table(items, [column for column in columns if not column.wide])


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case dict():
            return ", ".join(f"{key}={inner}" for key, inner in sorted(value.items()))  # pyright: ignore
        case tuple() | list():
            return ", ".join(str(inner) for inner in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        case _:
            return str(value)


def format_bytes(count: int) -> str:
    """Write a size in the largest unit that leaves at least one digit before the point."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def format_time(wall_us: int) -> str:
    """Write microseconds since 1970 as RFC 3339 in seconds; empty for 0."""
    import datetime

    if not wall_us:
        return ""
    try:
        found = datetime.datetime.fromtimestamp(wall_us // 1_000_000, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return "?"
    return found.strftime("%Y-%m-%dT%H:%M:%SZ")


def format_age(seconds: int | None) -> str:
    """Write an age roughly: ``40s``, ``12m``, ``5h``, ``3d``."""
    if seconds is None:
        return "never"
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def short(digest: str) -> str:
    """Return enough of a digest to recognise it."""
    return digest.removeprefix("sha256:")[:12]


def tell(text: str) -> None:
    """Say something to the person; never mixed into data.

    A reader who has gone away, as `head` does, is no reason to give up what is being done.
    """
    try:
        click.echo(text, err=True)
    except BrokenPipeError:
        sys.stderr = None


class Progress:
    """One line on a terminal's stderr that is written over; elsewhere one line when a thing is done."""

    def __init__(self) -> None:
        self._drawn = sys.stderr is not None and sys.stderr.isatty()
        self._last = ""
        self._said: set[str] = set()

    def bytes(self, what: str, done: int, total: int) -> None:
        """Show how far bytes are."""
        if self._drawn:
            share = f" of {format_bytes(total)}" if total else ""
            self.line(f"{what}  {format_bytes(done)}{share}")
        elif total and done >= total and what not in self._said:
            self._said.add(what)
            tell(f"{what}  {format_bytes(total)}")

    def line(self, text: str) -> None:
        """Replace the line; elsewhere than on a terminal a changed line is a further one."""
        if text == self._last:
            return
        self._last = text
        if self._drawn:
            # A line that wraps cannot be written over.
            text = text[: shutil.get_terminal_size().columns - 1]
            click.echo(f"\r\x1b[2K{text}", err=True, nl=False)
        else:
            tell(text)

    def end(self) -> None:
        """Leave the line."""
        if self._drawn and self._last:
            click.echo("\r\x1b[2K", err=True, nl=False)
        self._last = ""
