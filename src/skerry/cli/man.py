"""``skerry man``: pages for man, one for ``skerry`` and one for each noun, made from the commands themselves.

Rule: plain man macros and no date, so that a page changes only when a command does. The packages install the same pages
(``tools/gen/man.py``).
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from skerry.cli.tree import EVERYDAY, NOUNS, Noun, Verb

#: What a command ends with (interfaces.md §1.3).
_EXITS = (
    ("0", "done; for plan and diff: nothing to do"),
    ("1", "failed"),
    ("2", "plan and diff: there are changes"),
    ("3", "status: something is not as wanted"),
    ("4", "a wait timed out"),
    ("5", "not found"),
    ("6", "conflict: a plan or revision is stale"),
    ("7", "not allowed"),
    ("8", "the core cannot be reached"),
    ("64", "usage"),
    ("130", "interrupted"),
)


@click.command()
@click.argument("noun", required=False, metavar="[NOUN]")
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write every page into this folder, such as ~/.local/share/man/man1.",
)
@click.pass_context
def man(context: click.Context, noun: str | None, folder: Path | None) -> None:
    """Show the page of skerry, or of a noun, as man shows it; into a pipe goes its source.

    `skerry man site | man -l -` is the same as `skerry man site` in a terminal. With --to all pages are written.
    """
    from skerry.cli.output import tell
    from skerry.model.errors import NotFound

    root = context.find_root()
    assert isinstance(root.command, click.Group)
    pages = write_pages(root.command)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in pages.items():
            (folder / name).write_text(text)
        tell(f"{len(pages)} pages are in {folder}")
        return
    name = f"skerry-{noun}.1" if noun else "skerry.1"
    if name not in pages:
        hint = "skerry --help"
        raise NotFound("E-TOPIC", f"There is no page about {noun!r}: pages are about skerry and its nouns.", hint=hint)
    if sys.stdout.isatty() and _show(pages[name]):
        return
    click.echo(pages[name], nl=False)


def _show(page: str) -> bool:
    """Have man show a page; False where there is no man."""
    import subprocess

    try:
        subprocess.run(("man", "-l", "-"), input=page.encode(), check=False)
    except FileNotFoundError:
        return False
    return True


def write_pages(root: click.Group) -> dict[str, str]:
    """Write every page, by the name of its file."""
    context = click.Context(root, info_name="skerry")
    built = [noun for noun in NOUNS if noun.built]
    pages = {"skerry.1": _format_main(context, built)}
    for noun in built:
        inner = click.Context(_find(noun, context), info_name=noun.name, parent=context)
        lines = [*_head(f"skerry-{noun.name}", noun.line), ".SH COMMANDS", *_format_verbs(noun.verbs, inner)]
        pages[f"skerry-{noun.name}.1"] = "\n".join([*lines, ".SH SEE ALSO", ".BR skerry (1)"]) + "\n"
    return pages


def _find(member: Verb | Noun, context: click.Context) -> click.Command:
    assert isinstance(context.command, click.Group)
    command = context.command.get_command(context, member.name)
    assert command is not None, f"{member.name} is declared and built"
    return command


def escape(text: str) -> str:
    """Return a text as roff takes it: every letter itself, and no line a request."""
    text = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text.startswith((".", "'")) else text


def _head(name: str, line: str) -> list[str]:
    about = escape(line.rstrip("."))
    return [f'.TH "{escape(name.upper())}" 1 "" Skerry', ".SH NAME", f"{escape(name)} \\- {about}"]


def _format_main(context: click.Context, nouns: list[Noun]) -> str:
    lines = [*_head("skerry", "a cloud for the edge"), ".SH SYNOPSIS", ".B skerry", "[options] command [arguments]"]
    lines += [".SH OPTIONS", *_format_options(context.command, context)]
    lines += [".SH COMMANDS", *_format_verbs(EVERYDAY, context), ".SH NOUNS"]
    for noun in nouns:
        lines += [".TP", f".BR skerry\\-{escape(noun.name)} (1)", escape(noun.line)]
    lines += [".SH EXIT STATUS"]
    for code, meaning in _EXITS:
        lines += [".TP", f".B {code}", escape(meaning)]
    return "\n".join(lines) + "\n"


def _format_verbs(verbs: tuple[Verb, ...], context: click.Context) -> Iterator[str]:
    for verb in verbs:
        if not verb.built:
            continue
        command = _find(verb, context)
        inner = click.Context(command, info_name=verb.name, parent=context)
        yield f'.SS "{escape(" ".join([inner.command_path, *command.collect_usage_pieces(inner)]))}"'
        yield escape((command.help or "").replace("``", "`"))
        yield from _format_options(command, inner)


def _format_options(command: click.Command, context: click.Context) -> Iterator[str]:
    for option in command.get_params(context):
        record = option.get_help_record(context) if isinstance(option, click.Option) else None
        if record is not None and "--help" not in option.opts:
            yield from (".TP", f".B {escape(record[0])}", escape(record[1]) or "\\&")
