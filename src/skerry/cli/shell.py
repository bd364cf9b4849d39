"""Housekeeping: completion scripts, the meaning of error codes, versions."""

import difflib
import importlib.resources
import re

import click
from click.shell_completion import get_completion_class

from skerry import __version__
from skerry.cli.options import pass_session
from skerry.cli.output import show_value, with_output, write_pairs
from skerry.cli.session import Session


@click.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a completion script: ``skerry completion bash > ~/.local/share/bash-completion/completions/skerry``."""
    found = get_completion_class(shell)
    assert found is not None, "the choice names the shells that click knows"
    # `source()` asks bash for its version to say that an old one will not do; the script itself needs no answer.
    script = found(context.find_root().command, {}, "skerry", "_SKERRY_COMPLETE")
    click.echo(script.source_template % script.source_vars())


@click.command("help")
@click.argument("words", nargs=-1, metavar="[CODE|COMMAND]")
@click.pass_context
def help_topic(context: click.Context, words: tuple[str, ...]) -> None:
    """Explain an error code, offline, or show the help of a command."""
    from skerry.model.errors import NotFound
    from skerry.model.next_steps import NEXT_STEPS

    command = find_command(context.find_root(), words)
    if command is not None:
        click.echo(command.get_help())
        return
    topic = " ".join(words)
    code = topic.upper()
    topics = read_topics()
    if code not in topics and code in NEXT_STEPS:
        click.echo(f"{code}\n\nThe message says what is wrong. Look next at:\n\n  {NEXT_STEPS[code]}")
        return
    if code not in topics:
        near = difflib.get_close_matches(code, topics, n=1)
        hint = f"skerry help {near[0]}" if near else "skerry --help"
        raise NotFound("E-TOPIC", f"There is no page about {topic!r}.", hint=hint)
    click.echo(f"{code}\n\n{topics[code]}")


def find_command(context: click.Context, words: tuple[str, ...]) -> click.Context | None:
    """Return the context of the command that words name, the root's for none; None when there is no such command."""
    for word in words:
        group = context.command
        found = group.get_command(context, word) if isinstance(group, click.Group) else None
        if found is None:
            return None
        context = click.Context(found, info_name=word, parent=context)
    return context


def read_topics() -> dict[str, str]:
    """Return what is said of each error code: the sections of ``topics.md``."""
    text = importlib.resources.files("skerry.cli").joinpath("topics.md").read_text(encoding="utf-8")
    parts = re.split(r"^## (E-[A-Z-]+)$", text, flags=re.MULTILINE)
    return {code: body.strip() for code, body in zip(parts[1::2], parts[2::2], strict=True)}


@click.command()
@click.option("--client", is_flag=True, help="Only this program; asks no core.")
@with_output
@pass_session
def version(session: Session, client: bool, output: str) -> None:
    """Show the release of this program and of the core of the context, where there is one."""
    from skerry.model.errors import Refused, SkerryError

    found = {"client": __version__}
    missed: SkerryError | None = None
    try:
        if not client:
            answer = session.client.core.show_version()
            found |= {"core": answer.version, "format": str(answer.format)}
    except SkerryError as error:
        # Whoever has no core yet asks for this program's release only.
        missed = None if type(error) is Refused and error.code == "E-CONTEXT" else error
    show_value(found, output, f"version/{__version__}", lambda: write_pairs(found.items()))
    if missed is not None:
        raise missed
