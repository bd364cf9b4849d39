"""The page of commands, from the command line's own table and the options that click knows.

Commands that are declared and not built are listed by name at the end, because the command line refuses them by name.
"""

from collections.abc import Iterator
from pathlib import Path

import click

from skerry.cli.main import ROOT
from skerry.cli.tree import ALIASES, EVERYDAY, NOUNS, Noun, Verb

_HEAD = f"""# Commands

Made by `./dev gen` from `src/skerry/cli/`. Every command also takes `-h`. Within a noun there are second names:
{", ".join(f"`{second}` for `{first}`" for second, first in ALIASES.items())}.
"""


def make_commands_page(_: Path) -> dict[str, str]:
    """Make commands.md."""
    context = click.Context(ROOT, info_name="skerry")
    lines = [_HEAD, "## Before any command", "", *format_options(ROOT, context), "", "## Everyday commands", ""]
    for verb in filter(lambda each: each.built, EVERYDAY):
        lines += format_command(verb, context)
    for noun in filter(lambda each: each.built, NOUNS):
        lines += [f"## skerry {noun.name}", "", noun.line, ""]
        inner = click.Context(find(noun, context), info_name=noun.name, parent=context)
        for verb in filter(lambda each: each.built, noun.verbs):
            lines += format_command(verb, inner)
    lines += ["## Not built yet", "", "Refused with `E-NOT-YET`.", "", *list_unbuilt(), ""]
    return {"commands.md": "\n".join(lines)}


def find(member: Verb | Noun, context: click.Context) -> click.Command:
    """Import a command of the group of ``context``."""
    assert isinstance(context.command, click.Group)
    command = context.command.get_command(context, member.name)
    assert command is not None, f"{member.name} is declared and built"
    return command


def format_command(verb: Verb, context: click.Context) -> list[str]:
    """Format one command: how it is typed, what it does, its options."""
    command = find(verb, context)
    inner = click.Context(command, info_name=verb.name, parent=context)
    usage = " ".join([inner.command_path, *command.collect_usage_pieces(inner)])
    about = " ".join((command.help or "").replace("``", "`").split())
    options = format_options(command, inner)
    return [f"### {inner.command_path}", "", f"`{usage}`", "", about, "", *([*options, ""] if options else [])]


def format_options(command: click.Command, context: click.Context) -> list[str]:
    """Format options as a list, `-h` apart."""
    records = [
        record
        for option in command.get_params(context)
        if isinstance(option, click.Option)
        and "--help" not in option.opts
        and (record := option.get_help_record(context))
    ]
    return [f"* `{words}`: {' '.join(text.split())}" for words, text in records]


def list_unbuilt() -> Iterator[str]:
    """List what is refused by name."""
    verbs = [f"`skerry {verb.name}`" for verb in EVERYDAY if not verb.built]
    yield f"* {', '.join(verbs)}"
    for noun in NOUNS:
        names = [f"`{verb.name}`" for verb in noun.verbs if not verb.built]
        if names:
            yield f"* `skerry {noun.name}`: {', '.join(names)}"
