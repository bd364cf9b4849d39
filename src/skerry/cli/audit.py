"""``skerry audit verify``: whether an audit chain is whole, by its hashes alone.

The entries come from the core, or from a file that ``skerry audit list -o json`` or ``-o jsonl`` wrote. A core could
make its whole chain anew, so the head that is printed is worth keeping elsewhere: ``--known`` asks for it again.
"""

import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import click
import msgspec

from skerry.cli.options import pass_session
from skerry.cli.output import show_value, tell, with_output, write_pairs
from skerry.cli.session import Session
from skerry.model.answers import AuditEntry
from skerry.model.errors import Invalid, Refused
from skerry.trust.chain import ChainBreak, ChainHead, follow_chain

#: One entry of a listing; the core's own limit for an object's name is far below.
_LINE_BYTES_MAX = 64 * 1024
#: A whole listing as one JSON document: a hundred thousand entries.
_FILE_BYTES_MAX = 64 * 1024 * 1024
_HEAD = re.compile(r"(\d{1,18}):([0-9a-f]{64})", re.ASCII)


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """A chain that is whole: ``known`` is what ``--known`` takes the next time."""

    chain: str
    records: int
    known: str


class _Listing(msgspec.Struct, frozen=True):
    items: tuple[AuditEntry, ...]


@click.command()
@click.option("--chain", type=click.Choice(("tenant", "operator")), default="tenant", show_default=True)
@click.option("-f", "--file", metavar="FILE", help="A listing instead of the core's: audit list -o json or -o jsonl.")
@click.option("--known", default="", metavar="SEQ:HASH", help="A head that an earlier run printed.")
@with_output
@pass_session
def verify(session: Session, chain: Literal["tenant", "operator"], file: str | None, known: str, output: str) -> None:
    """Check that an audit chain is whole, from its first record on; with -f needs no core."""
    noted = _read_head(known)
    if file is None:
        where, entries = chain, iter(session.client.core.list_audit(page_size=1_000, chain=chain))
    else:
        where, entries = file, _read_entries(Path(file))
    head = follow_chain(entries, noted)
    if isinstance(head, ChainBreak):
        again = f"skerry audit list -o json{'' if file else f' --chain {chain}'}"
        raise Refused("E-AUDIT", f"The chain breaks at record {head.seq}: {head.reason}.", hint=again)
    found = Verified(chain=where, records=head.seq, known=f"{head.seq}:{head.hash.hex()}")
    show_value(found, output, f"audit/{head.seq}", lambda: _draw(found))


def _draw(found: Verified) -> None:
    write_pairs((("chain", found.chain), ("records", found.records), ("head", found.known)))
    tell("the chain is whole; keep its head elsewhere, then next time: skerry audit verify --known HEAD")


def _read_head(text: str) -> ChainHead | None:
    if not text:
        return None
    found = _HEAD.fullmatch(text)
    if found is None:
        raise click.BadParameter(f"{text[:80]!r} is no SEQ:HASH as an earlier run has printed it.")
    return ChainHead(int(found[1]), bytes.fromhex(found[2]))


def _read_entries(path: Path) -> Iterator[AuditEntry]:
    """Read a listing: one JSON document, or an entry in each line."""
    try:
        with path.open("rb") as source:
            first = source.readline(_LINE_BYTES_MAX)
            if first.strip() != b"{":
                yield from _decode_lines(
                    path, itertools.chain([first], iter(lambda: source.readline(_LINE_BYTES_MAX), b""))
                )
                return
            text = first + source.read(_FILE_BYTES_MAX)
    except OSError as error:
        raise Refused(
            "E-FILE", f"{path} cannot be read: {error.strerror}.", hint="skerry audit list -o jsonl"
        ) from error
    try:
        yield from msgspec.json.decode(text, type=_Listing).items
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(path, 1, error) from error


def _decode_lines(path: Path, lines: Iterable[bytes]) -> Iterator[AuditEntry]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield msgspec.json.decode(line, type=AuditEntry)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _unreadable(path, number, error) from error


def _unreadable(path: Path, line: int, error: Exception) -> Invalid:
    return Invalid(
        "E-FILE", f"{path}:{line} is no listing of an audit chain: {error}.", hint="skerry audit list -o jsonl"
    )
