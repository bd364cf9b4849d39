"""Reading tar archives that others packed: headers are judged one by one, contents are streamed, nothing is extracted.

Rules: (1) every length is compared with its limit before anything is read or allocated; (2) a name stays inside the
archive, and so does what a link points to; (3) devices, pipes, sparse files and set-id bits are refused, not skipped.
Used for OCI archives and layouts; whoever writes a member to disk does so through ``paths.py``.
"""

import tarfile
import zlib
from collections.abc import Generator
from typing import Literal

import msgspec

from skerry.model import limits
from skerry.safe.errors import UnsafeArchive
from skerry.safe.paths import Source

_BLOCK = 512
_CHUNK_BYTES = 64 * 1024
_SET_ID_BITS = 0o6000


class Limits(msgspec.Struct, frozen=True):
    """What one archive may cost."""

    bytes_max: int = limits.ARCHIVE_BYTES_MAX
    members_max: int = limits.ARCHIVE_MEMBERS_MAX
    name_bytes_max: int = limits.ARCHIVE_NAME_BYTES_MAX
    depth_max: int = limits.ARCHIVE_DEPTH_MAX
    header_bytes_max: int = limits.ARCHIVE_HEADER_BYTES_MAX


class Member(msgspec.Struct, frozen=True):
    """One member, with its name made plain: no ``.``, no empty step, no slash at the end; ``""`` is the top."""

    name: str
    kind: Literal["file", "directory", "symlink", "hardlink"]
    size: int
    mode: int
    #: Where a link leads, inside the archive, as a plain name.
    target: str = ""


class Content:
    """The bytes of one member; valid until the next member is asked for."""

    def __init__(self, source: Source, size: int) -> None:
        self._source = source
        self._left = size

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, nothing at the end; raises ``UnsafeArchive`` when the archive is cut off."""
        wanted = min(size, self._left)
        if wanted <= 0:
            return b""
        content = self._source.read(wanted)
        if not content:
            raise UnsafeArchive("The archive ends inside a member.")
        self._left -= len(content)
        return content

    def close(self) -> None:
        """Nothing to let go: the archive belongs to its reader."""

    def skip(self) -> None:
        """Read over what is left."""
        while self.read(_CHUNK_BYTES):
            pass


def read_archive(source: Source, bounds: Limits | None = None) -> Generator[tuple[Member, Content]]:
    """Give the members of a plain tar with their contents, in order; raises ``UnsafeArchive`` for the first bad one."""
    bounds = bounds or Limits()
    count = total = 0
    extended: dict[str, str] = {}
    while True:
        block = _read_exactly(source, _BLOCK)
        if block == bytes(_BLOCK):
            return
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        except (tarfile.HeaderError, UnicodeDecodeError) as error:
            raise UnsafeArchive(f"Not a tar header: {error}.") from error
        if info.type in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
            extended |= _read_extension(source, info, bounds)
            continue
        size = _number(extended.get("size", info.size))
        member = _judge(info, extended, size, bounds)
        extended = {}
        count, total = count + 1, total + member.size
        if count > bounds.members_max:
            raise UnsafeArchive(f"The archive has more than {bounds.members_max} members.")
        if total > bounds.bytes_max:
            raise UnsafeArchive(f"The archive holds more than {bounds.bytes_max} bytes.")
        content = Content(source, member.size)
        yield member, content
        content.skip()
        _read_exactly(source, -member.size % _BLOCK)


def plain_name(name: str, bounds: Limits) -> str:
    """Return a member's name without ``.`` and empty steps; raises ``UnsafeArchive`` when it leads out."""
    if len(name.encode("utf-8", "surrogatepass")) > bounds.name_bytes_max:
        raise UnsafeArchive(f"A name is longer than {bounds.name_bytes_max} bytes.")
    steps = [step for step in name.split("/") if step not in ("", ".")]
    if name.startswith("/") or ".." in steps or "\0" in name or "\\" in name:
        raise UnsafeArchive(f"The name {name[:80]!r} leads out of the archive.")
    if len(steps) > bounds.depth_max:
        raise UnsafeArchive(f"The name {name[:80]!r} has more than {bounds.depth_max} steps.")
    return "/".join(steps)


def _judge(info: tarfile.TarInfo, extended: dict[str, str], size: int, bounds: Limits) -> Member:
    name = plain_name(extended.get("path", info.name), bounds)
    if not name and info.type != tarfile.DIRTYPE:
        raise UnsafeArchive("A member has no name.")
    if info.mode & _SET_ID_BITS:
        raise UnsafeArchive(f"{name} has a set-id bit.")
    target = extended.get("linkpath", info.linkname)
    match info.type:
        case tarfile.REGTYPE | tarfile.AREGTYPE | tarfile.CONTTYPE:
            return Member(name, "file", size, info.mode)
        case tarfile.DIRTYPE:
            return Member(name, "directory", 0, info.mode)
        case tarfile.SYMTYPE:
            return Member(name, "symlink", 0, info.mode, _resolve(name, target, bounds))
        case tarfile.LNKTYPE:
            return Member(name, "hardlink", 0, info.mode, plain_name(target, bounds))
        case _:
            raise UnsafeArchive(f"{name} is of a kind that is not accepted ({info.type!r}).")


def _resolve(name: str, target: str, bounds: Limits) -> str:
    """Return where a symbolic link leads, from the top of the archive."""
    if target.startswith("/"):
        raise UnsafeArchive(f"The link {name} leads out of the archive.")
    steps = name.split("/")[:-1]
    for step in target.split("/"):
        if step == "..":
            if not steps:
                raise UnsafeArchive(f"The link {name} leads out of the archive.")
            steps.pop()
        elif step not in ("", "."):
            steps.append(step)
    return plain_name("/".join(steps), bounds)


def _read_extension(source: Source, info: tarfile.TarInfo, bounds: Limits) -> dict[str, str]:
    """Read a header that speaks about the next member: of pax (x, g) or of GNU tar (L, K)."""
    if not 0 <= info.size <= bounds.header_bytes_max:
        raise UnsafeArchive(f"An extended header is longer than {bounds.header_bytes_max} bytes.")
    raw = _read_exactly(source, info.size)
    _read_exactly(source, -info.size % _BLOCK)
    try:
        if info.type in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
            key = "path" if info.type == tarfile.GNUTYPE_LONGNAME else "linkpath"
            return {key: raw.partition(b"\0")[0].decode()}
        records = _read_pax(raw)
    except UnicodeDecodeError as error:
        raise UnsafeArchive("An extended header is not text.") from error
    if info.type == tarfile.XGLTYPE:
        # Defaults for all members would let one header rename everything; packers write comments there.
        if {"path", "linkpath", "size"} & records.keys():
            raise UnsafeArchive("A global header names members.")
        return {}
    if any(key.startswith("GNU.sparse") for key in records):
        raise UnsafeArchive("Sparse files are not accepted.")
    return records


def _read_pax(raw: bytes) -> dict[str, str]:
    """Read records of the form ``LENGTH KEY=VALUE`` and a newline, where LENGTH counts the whole record."""
    records: dict[str, str] = {}
    while raw:
        digits, _, _ = raw.partition(b" ")
        length = _number(digits.decode()) if len(digits) <= 8 else 0
        record, raw = raw[:length], raw[length:]
        key, equals, value = record[len(digits) + 1 : -1].partition(b"=")
        if not record.endswith(b"\n") or len(record) != length or not equals:
            raise UnsafeArchive("An extended header is damaged.")
        records[key.decode()] = value.decode()
    return records


def _number(value: str | int) -> int:
    """Return a size or length; raises ``UnsafeArchive`` when it is none."""
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() and len(value) <= 18 else -1
    if value < 0:
        raise UnsafeArchive("A length is not a number.")
    return value


def _read_exactly(source: Source, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        content = source.read(size - len(parts))
        if not content:
            raise UnsafeArchive("The archive ends too early.")
        parts += content
    return bytes(parts)


class Inflated:
    """The bytes of a gzip stream, as long as they stay within a size and a ratio; members one after the other."""

    def __init__(self, source: Source, *, bytes_max: int, ratio_max: int = limits.ARCHIVE_RATIO_MAX) -> None:
        """Read from ``source`` up to ``bytes_max``; ``ratio_max`` bounds bytes out per byte in."""
        self._source = source
        self._bytes_max = bytes_max
        self._ratio_max = ratio_max
        self._inflater = zlib.decompressobj(wbits=31)
        self._pending = b""
        self._taken = 0
        self._given = 0

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, nothing at the end; raises ``UnsafeArchive`` for damage and bombs."""
        while size > 0:
            if not self._pending:
                self._pending = self._source.read(_CHUNK_BYTES)
                self._taken += len(self._pending)
            at_end = not self._pending
            if at_end and self._is_between_members():
                return b""
            if self._inflater.eof:
                self._inflater = zlib.decompressobj(wbits=31)
            try:
                content = self._inflater.decompress(self._pending, size)
            except zlib.error as error:
                raise UnsafeArchive(f"The compressed data is damaged: {error}.") from error
            self._pending = self._inflater.unconsumed_tail or self._inflater.unused_data
            if content:
                return self._count(content)
            if at_end and not self._inflater.eof:
                raise UnsafeArchive("The compressed data ends too early.")
        return b""

    def _is_between_members(self) -> bool:
        return self._inflater.eof or self._taken == 0

    def _count(self, content: bytes) -> bytes:
        self._given += len(content)
        if self._given > self._bytes_max:
            raise UnsafeArchive(f"The compressed data holds more than {self._bytes_max} bytes.")
        # A small file may be all zeros: the ratio is asked of what could hurt.
        if self._given > 16 * 1024 * 1024 and self._given > self._ratio_max * self._taken:
            raise UnsafeArchive(f"The compressed data grows more than {self._ratio_max}-fold.")
        return content

    def close(self) -> None:
        """Close what is read from."""
        self._source.close()
