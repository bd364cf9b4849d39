"""The pure half of the image recipes: layers as tar files and OCI image layouts, with the standard library only.

The rule of this file: the same entries give the same bytes. Names are sorted, every mtime is EPOCH, owners are numbers,
and layers are never compressed, so a layer's digest is its diff_id. Nothing here builds software or uses the network;
`debian.py` and `recipes.py` say what goes in, `build.py` puts the two together.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

#: When every file and image was "made": 2023-11-14T22:13:20Z. A real clock would change digests from build to build.
EPOCH = 1_700_000_000
CREATED = "2023-11-14T22:13:20Z"

LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"

_WHITEOUT = ".wh."
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Entry:
    """One path of an image: `name` is relative and has no leading or trailing slash. Kinds: dir, file, symlink."""

    name: str
    kind: str
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    target: str = ""  # of a symlink
    size: int = 0
    sha256: str = ""  # of a file's content
    open: Callable[[], BinaryIO] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        parts = self.name.split("/")
        if not self.name or "" in parts or "." in parts or ".." in parts:
            raise ValueError(f"not a plain relative path: {self.name!r}")
        if self.kind not in ("dir", "file", "symlink"):
            raise ValueError(f"{self.name}: an image cannot hold a {self.kind}")

    def key(self) -> tuple[str, int, int, int, str, int, str]:
        """Everything that makes two entries at one path the same or not."""
        return (self.kind, self.mode, self.uid, self.gid, self.target, self.size, self.sha256)


@dataclass(frozen=True)
class Layer:
    """A finished layer: its blob, and what it holds (so that the next layer can be a difference from it)."""

    path: Path
    digest: str
    size: int
    index: Mapping[str, Entry]


def directory(name: str, mode: int = 0o755, uid: int = 0, gid: int = 0) -> Entry:
    """A folder."""
    return Entry(name, "dir", mode, uid, gid)


def symlink(name: str, target: str) -> Entry:
    """A symbolic link, owned by root."""
    return Entry(name, "symlink", 0o777, target=target)


def data_file(name: str, content: bytes, mode: int = 0o644, uid: int = 0, gid: int = 0) -> Entry:
    """A file from bytes."""
    digest = hashlib.sha256(content).hexdigest()
    return Entry(name, "file", mode, uid, gid, size=len(content), sha256=digest, open=lambda: io.BytesIO(content))


def file_from(name: str, source: Path, mode: int, uid: int = 0, gid: int = 0) -> Entry:
    """A file whose content stays on disk until the layer is written."""
    size, digest = _measure(source.open("rb"))
    return Entry(name, "file", mode, uid, gid, size=size, sha256=digest, open=lambda: source.open("rb"))


def tree_from(source: Path, prefix: str, uid: int = 0, gid: int = 0) -> list[Entry]:
    """A folder of the checkout as entries under `prefix`; of a mode only the executable bit counts, as in git."""
    entries: list[Entry] = []
    for path in sorted(source.rglob("*")):
        name = str(PurePosixPath(prefix) / path.relative_to(source).as_posix())
        if path.is_symlink():
            entries.append(Entry(name, "symlink", 0o777, uid, gid, target=str(path.readlink())))
        elif path.is_dir():
            entries.append(directory(name, 0o755, uid, gid))
        else:
            mode = 0o755 if path.stat().st_mode & 0o111 else 0o644
            entries.append(file_from(name, path, mode, uid, gid))
    return entries


def entries_of(archive: tarfile.TarFile, keep: Callable[[str], bool]) -> list[Entry]:
    """What a tar file of a system tree holds, for the paths that `keep` accepts.

    Hard links become files of their own (their other name may be in another layer, or not kept), a path written twice
    is the later one, and devices, sockets and pipes are left out: the runtime makes its own /dev.
    """
    found: dict[str, Entry] = {}
    for member in archive:
        name = member.name.removeprefix("./").strip("/")
        if name in ("", ".") or not keep(name):
            continue
        owner = (member.mode, member.uid, member.gid)
        if member.isdir():
            found[name] = directory(name, *owner)
        elif member.issym():
            found[name] = Entry(name, "symlink", 0o777, member.uid, member.gid, target=member.linkname)
        elif member.isreg() or member.islnk():
            size, digest = _measure(_reader(archive, member)())
            found[name] = Entry(name, "file", *owner, size=size, sha256=digest, open=_reader(archive, member))
    return list(found.values())


def changes(entries: Iterable[Entry], below: Mapping[str, Entry]) -> tuple[list[Entry], list[str]]:
    """What a layer needs over `below` to look like `entries`: the entries that differ, and the paths to take away."""
    wanted = {entry.name: entry for entry in entries}
    differing = [entry for name, entry in wanted.items() if name not in below or entry.key() != below[name].key()]
    gone = {name for name in below if name not in wanted and not _replaced(name, wanted)}
    return differing, sorted(name for name in gone if not gone.intersection(_parents(name)))


def write_layer(path: Path, entries: Iterable[Entry], below: Mapping[str, Entry], gone: Iterable[str] = ()) -> Layer:
    """Write a layer and return it with the index of the whole tree as it then is.

    Every parent folder is written too, with the owner and mode it has in `below`: a layer that names a file but not its
    folder would let the runtime make that folder anew, owned by root.
    """
    wanted = {entry.name: entry for entry in entries}
    removed = sorted(gone)
    for name in [*wanted, *removed]:
        for parent in _parents(name):
            if parent not in wanted:
                wanted[parent] = below.get(parent) or directory(parent)
            if wanted[parent].kind != "dir":
                raise ValueError(f"{name} lies under {parent}, which is a {wanted[parent].kind}")
    names = sorted([*wanted, *(_whiteout_of(name) for name in removed)])
    with path.open("wb") as raw:
        hashing = _HashingWriter(raw)
        with tarfile.open(fileobj=hashing, mode="w|", format=tarfile.PAX_FORMAT) as archive:
            for name in names:
                _add(archive, wanted.get(name) or data_file(name, b""))
    index = {n: entry for n, entry in below.items() if not _covered(n, removed) and not _replaced(n, wanted)}
    index.update(wanted)
    return Layer(path, "sha256:" + hashing.sha256.hexdigest(), hashing.size, index)


def image_config(
    *, layers: Iterable[Layer], architecture: str, settings: Mapping[str, object], note: str
) -> dict[str, object]:
    """The OCI image configuration; `settings` is its "config" member: Env, Entrypoint, Cmd, Volumes, ..."""
    diff_ids = [layer.digest for layer in layers]
    return {
        "created": CREATED,
        "architecture": architecture,
        "os": "linux",
        "config": dict(settings),
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [{"created": CREATED, "created_by": note} for _ in diff_ids],
    }


def write_layout(out_dir: Path, reference: str, config: Mapping[str, object], layers: Iterable[Layer]) -> Path:
    """Make `out_dir` an OCI image layout that holds exactly this one image; layer blobs are linked where possible."""
    blobs = out_dir / "blobs" / "sha256"
    if out_dir.exists():
        shutil.rmtree(out_dir)
    blobs.mkdir(parents=True)
    descriptors: list[dict[str, object]] = []
    for layer in layers:
        _link(layer.path, blobs / layer.digest.removeprefix("sha256:"))
        descriptors.append({"mediaType": LAYER_TYPE, "digest": layer.digest, "size": layer.size})
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": _write_blob(blobs, CONFIG_TYPE, config),
        "layers": descriptors,
    }
    described = _write_blob(blobs, MANIFEST_TYPE, manifest)
    described["annotations"] = {"org.opencontainers.image.ref.name": reference}
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [described]}
    (out_dir / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
    (out_dir / "index.json").write_bytes(_json(index))
    return out_dir


def write_archive(layout: Path, archive_path: Path) -> Path:
    """The layout as one OCI archive, which podman's `POST /images/load` takes and names by its annotation."""
    names = ["oci-layout", "index.json", *sorted(f"blobs/sha256/{blob.name}" for blob in layout.glob("blobs/sha256/*"))]
    folders = [directory("blobs"), directory("blobs/sha256")]
    with tarfile.open(archive_path, "w", format=tarfile.PAX_FORMAT) as archive:
        for entry in [*folders, *(_unmeasured(name, layout / name) for name in names)]:
            _add(archive, entry)
    return archive_path


class _HashingWriter(io.RawIOBase):
    """Counts and hashes what is written through it, so that a layer is read only once."""

    def __init__(self, below: BinaryIO) -> None:
        self.below = below
        self.sha256 = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes, /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]  bytes is all tarfile writes
        self.sha256.update(data)
        self.size += len(data)
        return self.below.write(data)


def _add(archive: tarfile.TarFile, entry: Entry) -> None:
    member = tarfile.TarInfo(entry.name)
    member.mtime, member.mode, member.uid, member.gid = EPOCH, entry.mode, entry.uid, entry.gid
    if entry.kind == "dir":
        member.type = tarfile.DIRTYPE
        archive.addfile(member)
    elif entry.kind == "symlink":
        member.type, member.linkname = tarfile.SYMTYPE, entry.target
        archive.addfile(member)
    else:
        if entry.open is None:
            raise ValueError(f"{entry.name}: its content is in a finished layer and cannot be written again")
        member.size = entry.size
        with entry.open() as content:
            archive.addfile(member, content)


def _measure(stream: BinaryIO) -> tuple[int, str]:
    size, sha256 = 0, hashlib.sha256()
    with stream:
        while chunk := stream.read(_CHUNK_BYTES):
            size += len(chunk)
            sha256.update(chunk)
    return size, sha256.hexdigest()


def _reader(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Callable[[], BinaryIO]:
    def read() -> BinaryIO:
        stream = archive.extractfile(member)
        if stream is None:
            raise ValueError(f"{member.name}: the tar file names its content but does not hold it")
        return stream  # pyright: ignore[reportReturnType]  typeshed says IO[bytes], which is the same thing

    return read


def _unmeasured(name: str, source: Path) -> Entry:
    return Entry(name, "file", 0o644, size=source.stat().st_size, open=lambda: source.open("rb"))


def _parents(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _replaced(name: str, wanted: Mapping[str, Entry]) -> bool:
    """Whether a folder above `name` has become something else, which takes all it held away."""
    return any(parent in wanted and wanted[parent].kind != "dir" for parent in _parents(name))


def _covered(name: str, removed: Iterable[str]) -> bool:
    return any(name == top or name.startswith(top + "/") for top in removed)


def _whiteout_of(name: str) -> str:
    folder, _, last = name.rpartition("/")
    return f"{folder}/{_WHITEOUT}{last}" if folder else _WHITEOUT + last


def _write_blob(blobs: Path, media_type: str, value: Mapping[str, object]) -> dict[str, object]:
    content = _json(value)
    digest = hashlib.sha256(content).hexdigest()
    (blobs / digest).write_bytes(content)
    return {"mediaType": media_type, "digest": "sha256:" + digest, "size": len(content)}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another filesystem, or one without hard links
        shutil.copyfile(source, target)
