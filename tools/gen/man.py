"""Pages for `man`: docs/generated/man/skerry.1 and one page for each noun, from the same commands as commands.md.

Rule: plain man macros and no date, so that a page changes only when a command does.
"""

from collections.abc import Iterator
from pathlib import Path

import click

from skerry.cli.main import ROOT
from skerry.cli.tree import EVERYDAY, NOUNS, Noun, Verb
from tools.gen.commands import find

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


def make_man_pages(_: Path) -> dict[str, str]:
    """Make the pages."""
    context = click.Context(ROOT, info_name="skerry")
    built = [noun for noun in NOUNS if noun.built]
    pages = {"man/skerry.1": _format_main(context, built)}
    for noun in built:
        inner = click.Context(find(noun, context), info_name=noun.name, parent=context)
        lines = [*_head(f"skerry-{noun.name}", noun.line), ".SH COMMANDS", *_format_verbs(noun.verbs, inner)]
        pages[f"man/skerry-{noun.name}.1"] = "\n".join([*lines, ".SH SEE ALSO", ".BR skerry (1)"]) + "\n"
    return pages


def escape(text: str) -> str:
    """Return a text as roff takes it: every letter itself, and no line a request."""
    text = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text.startswith((".", "'")) else text


def _head(name: str, line: str) -> list[str]:
    about = escape(line.rstrip("."))
    return [f'.TH "{escape(name.upper())}" 1 "" Skerry', ".SH NAME", f"{escape(name)} \\- {about}"]


def _format_main(context: click.Context, nouns: list[Noun]) -> str:
    lines = [*_head("skerry", "a cloud for the edge"), ".SH SYNOPSIS", ".B skerry", "[options] command [arguments]"]
    lines += [".SH OPTIONS", *_format_options(ROOT, context)]
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
        command = find(verb, context)
        inner = click.Context(command, info_name=verb.name, parent=context)
        yield f'.SS "{escape(" ".join([inner.command_path, *command.collect_usage_pieces(inner)]))}"'
        yield escape((command.help or "").replace("``", "`"))
        yield from _format_options(command, inner)


def _format_options(command: click.Command, context: click.Context) -> Iterator[str]:
    for option in command.get_params(context):
        record = option.get_help_record(context) if isinstance(option, click.Option) else None
        if record is not None and "--help" not in option.opts:
            yield from (".TP", f".B {escape(record[0])}", escape(record[1]) or "\\&")
