"""Asking a person: before something is destroyed, and for secrets. Never when there is nobody, or ``--no-input``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skerry.cli.session import Session

if TYPE_CHECKING:
    from skerry.model.errors import Refused

#: A secret has at most this many bytes (limits.SCALAR_BYTES_MAX); one more is read so that a longer one is seen.
_SECRET_BYTES_MAX = 256 * 1024


def confirm(session: Session, question: str, *, yes: bool) -> None:
    """Return when the person agrees; raises ``Refused`` when they do not or cannot be asked."""
    if yes:
        return
    if session.no_input or not sys.stdin.isatty():
        raise _refuse("E-CONFIRM", f"Nobody was there to agree: {question}", hint="Add --yes.")
    if not click.confirm(question, err=True):
        raise _refuse("E-CONFIRM", "Nothing was done.")


def read_secret(session: Session, prompt: str, file: str | None = None) -> bytes:
    """Return a secret from ``file`` (``-`` is stdin), from a pipe, or from a prompt that shows nothing."""
    if file not in (None, "-"):
        try:
            with Path(file).open("rb") as source:
                return _limit(source.read(_SECRET_BYTES_MAX + 1))
        except OSError as error:
            raise _refuse("E-FILE", f"{file} cannot be read: {error.strerror}.") from error
    if file == "-" or not sys.stdin.isatty():
        return _limit(sys.stdin.buffer.read(_SECRET_BYTES_MAX + 1)).removesuffix(b"\n")
    if session.no_input:
        raise _refuse("E-INPUT", f"{prompt} is needed and nobody may be asked.", hint="Give it on stdin.")
    return click.prompt(prompt, hide_input=True, err=True, type=str).encode()


def _limit(content: bytes) -> bytes:
    if len(content) > _SECRET_BYTES_MAX:
        raise _refuse("E-SIZE", f"A secret has at most {_SECRET_BYTES_MAX} bytes.")
    return content


def _refuse(code: str, detail: str, hint: str = "") -> "Refused":
    from skerry.model.errors import Refused

    return Refused(code, detail, hint=hint)
