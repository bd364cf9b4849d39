"""Options and arguments that many commands share, and how their texts are read."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from skerry.cli.session import Session

F = TypeVar("F", bound=Callable[..., Any])

#: Hands the session to a command as its first argument.
pass_session = click.make_pass_decorator(Session)

_DURATION = re.compile(r"(\d{1,9})(s|m|h|d)?", re.ASCII)
_SECONDS = {"s": 1, "": 1, "m": 60, "h": 3_600, "d": 86_400}


class Duration(click.ParamType[int]):
    """A time like ``90s``, ``5m``, ``1h`` or ``30d``, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return seconds."""
        if isinstance(value, int):
            return value
        found = _DURATION.fullmatch(str(value))
        if found is None:
            self.fail(f"{value!r} is no duration: write it like 90s, 5m, 1h or 30d.", param, ctx)
        return int(found[1]) * _SECONDS[found[2] or ""]


DURATION = Duration()


def with_yes(function: F) -> F:
    """Add ``--yes``."""
    return click.option("--yes", "-y", is_flag=True, help="Do not ask.")(function)


def with_dry_run(function: F) -> F:
    """Add ``--dry-run``."""
    return click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")(function)


def with_wait(function: F) -> F:
    """Add ``--wait[=5m]``; 0 means not to wait."""
    return click.option(
        "--wait",
        "wait_s",
        type=DURATION,
        is_flag=False,
        flag_value="5m",
        default=0,
        help="Wait until the sites have done it, 5m or as long as is said.",
    )(function)


def with_watch(function: F) -> F:
    """Add ``-w``."""
    return click.option("-w", "--watch", is_flag=True, help="Show it again whenever something changes.")(function)


def split_pair(text: str) -> tuple[str, str]:
    """Read ``KEY=VALUE``; raises ``BadParameter``."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.BadParameter(f"{text!r} is no KEY=VALUE.")
    return key, value


def split_service(text: str) -> tuple[str, str]:
    """Read ``APP`` or ``APP/SERVICE``."""
    app, _, service = text.partition("/")
    return app, service


def split_owned(text: str, noun: str) -> tuple[str, str]:
    """Read ``APP/NAME`` of something that an app has; ``noun`` says what in the complaint."""
    app, slash, name = text.partition("/")
    if not slash or not name:
        raise click.BadParameter(f"{text!r} is no APP/{noun}.")
    return app, name


def split_noun(text: str, *nouns: str) -> tuple[str, str]:
    """Read ``NOUN/NAME`` where the noun is one of ``nouns``; the first one may be left out."""
    noun, slash, name = text.partition("/")
    if not slash:
        return nouns[0], text
    if noun not in nouns or not name:
        raise click.BadParameter(f"{text!r} is no {' or '.join(f'{each}/NAME' for each in nouns)}.")
    return noun, name
