"""``skerry exec``: a command in an instance, as a call that the tenant's signer signs for one nonce of the node."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterable

import click

from skerry.cli.calls import find_site, make_sign, say_what_is_missing, split_copy, with_instance
from skerry.cli.options import pass_session
from skerry.cli.session import Session
from skerry.model.asks import ExecQuery
from skerry.model.errors import Unavailable
from skerry.model.signed import Window
from skerry.sdk.commands import INPUT_BYTES_MAX, Command


@click.command()
@with_instance
@click.option("-i", "--stdin", "with_input", is_flag=True, help="Pass our standard input on.")
@click.option("-t", "--tty", "with_terminal", is_flag=True, help="Give the command a terminal; with -i, for a shell.")
@click.argument("argv", nargs=-1, required=True, metavar="-- COMMAND...")
@pass_session
def exec_command(
    session: Session,
    where: str,
    site: str | None,
    ordinal: int,
    with_input: bool,
    with_terminal: bool,
    argv: tuple[str, ...],
) -> int:
    """Run a command in an instance; its exit code is ours.

    With -it every key goes to the command, Ctrl-C among them, and it follows the size of the window. It is hung up on
    when this program or its connection ends before it does.
    """
    app, service, copy = split_copy(where, ordinal)
    query = ExecQuery(service=service, site=site or find_site(session, app, service), ordinal=copy or 0)
    with say_what_is_missing(app, query):
        if with_terminal:
            return _run_in_terminal(session, app, query, argv, with_input)
        sign = make_sign(session, app, query, verb="exec", argv=argv)
        with session.client.run_command(app, query, sign) as command:
            if with_input:
                # Reading blocks, and what comes back must be read meanwhile; the thread ends with the process.
                threading.Thread(target=_pass_input, args=(command,), daemon=True).start()
            else:
                command.end()
            _show_output(command)
        return command.exit_code or 0


def _run_in_terminal(session: Session, app: str, query: ExecQuery, argv: tuple[str, ...], with_input: bool) -> int:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("-t wants a terminal as our input and output. Leave it out in pipes and scripts.")
    from skerry.cli.terminal import borrow_terminal, read_window

    keys, screen = sys.stdin.fileno(), sys.stdout.fileno()
    sign = make_sign(session, app, query, verb="exec", argv=argv, terminal=read_window(screen))
    with (
        session.client.run_command(app, query, sign) as command,
        borrow_terminal(keys, screen, INPUT_BYTES_MAX, raw=with_input) as keyboard,
    ):
        happening = keyboard.read(with_keys=with_input)
        threading.Thread(target=_pass_on, args=(command, happening), daemon=True).start()
        _show_output(command)
    return command.exit_code or 0


def _show_output(command: Command) -> None:
    for channel, data in command.output():
        stream = sys.stderr.buffer if channel == 2 else sys.stdout.buffer
        stream.write(data)
        stream.flush()


def _pass_input(command: Command) -> None:
    # `read` would wait for a whole buffer; what is typed goes out as it comes.
    _pass_on(command, iter(lambda: os.read(sys.stdin.fileno(), INPUT_BYTES_MAX), b""))


def _pass_on(command: Command, happening: Iterable[bytes | Window]) -> None:
    # Whoever reads the output says how the command ended; here it only takes nothing more.
    with contextlib.suppress(Unavailable):
        for each in happening:
            if isinstance(each, bytes):
                command.write(each)
            else:
                command.resize(each)
        command.end()
