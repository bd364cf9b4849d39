"""Waiting and looking again: until work is done, or for as long as somebody watches."""

import itertools
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import click
import msgspec

from skerry.cli.output import Column, Progress, is_drawn, show_list, tell, write_table
from skerry.clock import SECOND_US, SystemClock, pause
from skerry.sdk.acts import Published, Rollout
from skerry.sdk.client import Client
from skerry.sdk.errors import Timeout

T = TypeVar("T")

#: Between two looks: a site's change reaches the core within 5 s, so a second more matters to nobody.
LOOK_S = 1.0
REDRAW_S = 2.0
#: Long work is listed newest first: what stands behind so much is long over.
OPERATIONS_READ_MAX = 1000


def wait_until(look: Callable[[], str], limit_s: int, what: str, hint: str = "") -> None:
    """Look again and again until ``look`` returns nothing; raises ``Timeout`` with what it said last and ``hint``."""
    clock = SystemClock()
    end_us = clock.boot_us() + limit_s * SECOND_US
    progress = Progress()
    try:
        while said := look():
            progress.line(said)
            if clock.boot_us() >= end_us:
                raise Timeout("E-TIMEOUT", f"{what} is not so after {limit_s} s: {said}.", hint=hint)
            pause(LOOK_S)
    finally:
        progress.end()


def wait_for_operation(client: Client, operation: str, limit_s: int) -> None:
    """Wait until sites have done long work, with progress; raises ``Timeout`` or ``Refused``."""
    progress = Progress()
    try:
        view = client.operations.wait(operation, limit_s, progress.line)
    finally:
        progress.end()
    rest = f", {view.silent} at silent sites follow when these are heard again" if view.silent else ""
    tell(f"{view.kind} {view.app}: {view.ready} of {view.wanted} ready{rest}")


def wait_for_newest_operation(client: Client, app: str, limit_s: int) -> None:
    """Wait for the newest long work on an app, so that an apply that is repeated waits as the first one did."""
    looked_at = itertools.islice(client.operations.list(page_size=1000), OPERATIONS_READ_MAX)
    newest = next((view.operation for view in looked_at if view.app == app), None)
    if newest is not None:
        wait_for_operation(client, newest, limit_s)


def tell_handed_in(done: Published[Rollout]) -> None:
    """Say that a restored core was given again what it had lost."""
    if done.handed_in:
        numbers = ", ".join(map(str, done.handed_in))
        tell(f"app {done.app}: the core had lost {numbers}, as after a restore; handed in again first")


def show_again(
    read: Callable[[], Sequence[T]],
    columns: Sequence[Column[T]],
    output: str,
    name: Callable[[T], str],
    *,
    watch: bool,
    rest: Callable[[float], None] = pause,
) -> None:
    """Show a listing; with ``watch`` redraw it on a terminal, and write one object per change into a pipe."""
    if not watch:
        show_list(read(), columns, output, name)
        return
    if output not in ("table", "wide", "jsonl"):
        raise click.UsageError("--watch goes with -o table, wide or jsonl.")
    before: dict[str, T] = {}
    while True:
        items = read()
        if is_drawn() and output != "jsonl":
            click.clear()
            shown = [column for column in columns if output == "wide" or not column.wide]
            write_table(items, [_mark(column, before, name) for column in shown], cut=True)
        else:
            for item in items:
                if before.get(name(item)) != item:
                    click.echo(msgspec.json.encode(item).decode())
            sys.stdout.flush()
        before = {name(item): item for item in items}
        rest(REDRAW_S)


def _mark(column: Column[T], before: dict[str, T], name: Callable[[T], str]) -> Column[T]:
    """Mark the cells that differ from the drawing before."""

    def read(item: T) -> object:
        cell = column.read(item)
        old = before.get(name(item))
        return f"{cell} *" if old is not None and column.read(old) != cell else cell

    return Column(column.title, read)
