"""Groups that import a command only when it is run, know aliases, and guess what a mistyped name was meant to be."""

import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from skerry.cli.tree import ALIASES, Noun, Verb

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class UnbuiltCommand(click.Command):
    """Stands for a command that is declared and not built: whatever is given to it, it says so."""

    def __init__(self, name: str) -> None:
        super().__init__(
            name,
            callback=_refuse,
            help="Not built yet.",
            hidden=True,
            context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
            add_help_option=False,
        )


@click.pass_context
def _refuse(context: click.Context) -> None:
    from skerry.model.errors import Refused

    raise Refused(
        "E-NOT-YET", f"`{context.command_path}` is not built yet.", hint=f"{context.find_root().command_path} --help"
    )


class LazyGroup(click.Group):
    """A group made from the table in ``tree.py``."""

    def __init__(self, name: str, members: Iterable[Verb | Noun], **more: Any) -> None:
        super().__init__(name, context_settings=CONTEXT_SETTINGS, **more)
        self._members = {member.name: member for member in members}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name what can be used, in the order of the table."""
        return [name for name, member in self._members.items() if member.built]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        member = self._members.get(cmd_name) or self._members.get(ALIASES.get(cmd_name, ""))
        match member:
            case None:
                return None
            case Noun():
                return LazyGroup(member.name, member.verbs, help=member.line, no_args_is_help=True)
            case Verb(place=""):
                return UnbuiltCommand(member.name)
            case Verb():
                module, _, attribute = member.place.partition(":")
                command: click.Command = getattr(importlib.import_module(module), attribute)
                command.name = member.name
                return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first argument names; guess when there is none."""
        command = self.get_command(ctx, args[0])
        if command is not None:
            return command.name, command, args[1:]
        import difflib

        built = self.list_commands(ctx)
        near = difflib.get_close_matches(args[0], [*built, *(word for word in ALIASES if ALIASES[word] in built)], n=1)
        guess = f' Did you mean "{ctx.command_path} {near[0]}"?' if near else f" See {ctx.command_path} --help."
        raise click.UsageError(f'There is no command "{ctx.command_path} {args[0]}".{guess}', ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list from the table, so that help imports no command."""
        built = [member for member in self._members.values() if member.built]
        nouns = [(member.name, member.line) for member in built if isinstance(member, Noun)]
        verbs = [(member.name, member.line) for member in built if isinstance(member, Verb)]
        for title, rows in (("Commands", verbs), ("Nouns", nouns)):
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Complete names from the table, so that completion imports no command either."""
        from click.shell_completion import CompletionItem

        found = [
            CompletionItem(member.name, help=member.line)
            for member in self._members.values()
            if member.built and member.name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]
