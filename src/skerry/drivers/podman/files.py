"""Configs and secrets as memory-backed files: laid out under a tmpfs before each start, gone with the power.

Bytes of a secret are on no disk, in no argument and in no log (trust.md §10). Each container has a directory of its own
there; files are named by their position, so no tenant's string becomes a path.
"""

import contextlib
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from skerry.drivers.podman.spec import UID_COUNT, container_name
from skerry.model.app import FileMount, NodeFile
from skerry.model.ids import Digest, SecretName, is_inner_path
from skerry.model.instance import InlineFolder, InstanceSpec, list_followed
from skerry.model.observed import HooksSeen

#: The largest zone of the time zone database has 4 KiB.
_NODE_FILE_BYTES_MAX = 64 * 1024
#: Names and digests of a hundred secrets take 15 KiB.
_TOLD_BYTES_MAX = 1024 * 1024
#: What a node without settings of its own means: UTC, as a zone file of version 1 and by name.
_UTC = {
    "localtime": b"TZif"
    + bytes(16)
    + bytes(4 * 3)
    + (0).to_bytes(4, "big")
    + (1).to_bytes(4, "big")
    + (4).to_bytes(4, "big")
    + bytes(6)
    + b"UTC\0",
    "timezone": b"Etc/UTC\n",
}


class FileStage:
    """The directory on tmpfs that holds instances' files."""

    def __init__(self, root: Path, open_secret: Callable[[Digest], bytes], settings: Path = Path("/etc")) -> None:
        """``settings`` is where the node keeps ``localtime`` and ``timezone``."""
        self._root = root
        self._settings = settings
        self._open_secret = open_secret

    def plan_mounts(self, spec: InstanceSpec, digest: Digest) -> list[tuple[str, str]]:
        """Return (path on the node, path inside) of every file of an instance, without making any."""
        directory = self._root / container_name(spec, digest)
        targets = [file.mount.target for file in spec.files] + [secret.mount.target for secret in spec.secrets]
        targets += [folder.target for folder in spec.folders or ()] + [file.target for file in _node_files(spec)]
        return [(str(directory / str(position)), target) for position, target in enumerate(targets)]

    def lay_out(self, spec: InstanceSpec, digest: Digest, uid_start: int) -> None:
        """Write all files of an instance, owned inside its tenant's uid range; raise OSError or what opening raises."""
        if not self.plan_mounts(spec, digest):
            return
        directory = self._root / container_name(spec, digest)
        directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        contents = [(file.mount, file.content) for file in spec.files]
        contents += [(secret.mount, self._open_secret(secret.version)) for secret in spec.secrets]
        folders = spec.folders or ()
        for position, (mount, content) in enumerate(contents):
            self._write(directory / str(position), mount, content, uid_start)
        for position, folder in enumerate(folders, len(contents)):
            self._write_folder(directory / str(position), folder, uid_start)
        for position, file in enumerate(_node_files(spec), len(contents) + len(folders)):
            mount = FileMount(source=file.kind, target=file.target)
            self._write(directory / str(position), mount, self._read_node_file(file.kind), uid_start)
        self.note_told(directory.name, list_followed(spec))

    def renew(self, name: str, spec: InstanceSpec, names: tuple[SecretName, ...], uid_start: int) -> None:
        """Write new versions into secrets that a running container sees.

        A container is bound to the files and not to their names, so they are written over, not replaced.
        """
        for position, secret in enumerate(spec.secrets, len(spec.files)):
            if secret.name in names:
                flags = os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW
                descriptor = os.open(self._root / name / str(position), flags)
                _fill(descriptor, secret.mount, self._open_secret(secret.version), uid_start)

    def read_variables(self, spec: InstanceSpec) -> dict[str, str]:
        """Return the secrets that are variables too; raise OSError for one that cannot be."""
        found: dict[str, str] = {}
        for secret in spec.secrets:
            if secret.env:
                try:
                    found[secret.env] = self._open_secret(secret.version).decode()
                except UnicodeDecodeError as error:
                    raise OSError(errno.EINVAL, f"secret {secret.name} is not text, so no variable holds it") from error
                if "\0" in found[secret.env]:
                    raise OSError(errno.EINVAL, f"secret {secret.name} has a zero byte, so no variable holds it")
        return found

    def note_told(self, name: str, told: dict[SecretName, Digest]) -> None:
        """Remember, as long as the files are there, of which versions of its secrets a container was told."""
        if told:
            fresh = self._root / name / "told.new"
            fresh.write_bytes(msgspec.json.encode(told))
            fresh.rename(self._root / name / "told")

    def read_told(self, name: str) -> dict[SecretName, Digest]:
        """Return of which versions a container was told; nothing where that is not known."""
        try:
            with (self._root / name / "told").open("rb") as source:
                return msgspec.json.decode(source.read(_TOLD_BYTES_MAX), type=dict[SecretName, Digest])
        except (OSError, msgspec.DecodeError):
            return {}

    def note_hooks(self, name: str, began_us: int, seen: HooksSeen) -> None:
        """Remember, as long as the files are there, how far the commands after a start have come."""
        directory = self._root / name
        directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        fresh = directory / "hooks.new"
        fresh.write_bytes(msgspec.json.encode((began_us, seen)))
        fresh.rename(directory / "hooks")

    def read_hooks(self, name: str, began_us: int) -> HooksSeen | None:
        """Return that for the process that began then; None where none of the commands has begun."""
        try:
            with (self._root / name / "hooks").open("rb") as source:
                since_us, seen = msgspec.json.decode(source.read(_TOLD_BYTES_MAX), type=tuple[int, HooksSeen])
        except (OSError, msgspec.DecodeError):
            return None
        return seen if since_us == began_us else None

    def sweep(self, present: set[str]) -> None:
        """Forget the files of containers that are not there: once, at start, of those that a killed agent left."""
        if self._root.is_dir():
            for left in self._root.iterdir():
                if left.name not in present:
                    shutil.rmtree(left, ignore_errors=True)

    def clear(self, name: str) -> None:
        """Forget the files of a container."""
        shutil.rmtree(self._root / name, ignore_errors=True)

    def _read_node_file(self, kind: str) -> bytes:
        """Return what the node says about local time; without a word of its own it keeps UTC."""
        try:
            with (self._settings / kind).open("rb") as source:
                return source.read(_NODE_FILE_BYTES_MAX)
        except OSError:
            return _UTC[kind]

    def _write_folder(self, path: Path, folder: InlineFolder, uid_start: int) -> None:
        """Lay out a folder afresh; each step of a path is opened relative to the one above it, and no link followed."""
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(mode=0o755)
        os.chown(path, uid_start, uid_start)
        for name, file in folder.files.items():
            if not is_inner_path(name):
                raise OSError(errno.EINVAL, f"{name[:80]} is no path below {folder.target}")
            *steps, last = name.split("/")
            with contextlib.ExitStack() as stack:
                above = _open_folder(str(path), None, stack)
                for step in steps:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(step, 0o755, dir_fd=above)
                        os.chown(step, uid_start, uid_start, dir_fd=above, follow_symlinks=False)
                    above = _open_folder(step, above, stack)
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
                descriptor = os.open(last, flags, 0o600, dir_fd=above)
                _fill(descriptor, file.mount, file.content, uid_start)

    def _write(self, path: Path, mount: FileMount, content: bytes, uid_start: int) -> None:
        if not (0 <= mount.uid < UID_COUNT and 0 <= mount.gid < UID_COUNT):
            raise OSError(errno.EINVAL, f"{mount.target} is to belong to a user beyond its tenant's range")
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        _fill(descriptor, mount, content, uid_start)
        fresh.rename(path)


def _node_files(spec: InstanceSpec) -> tuple[NodeFile, ...]:
    return spec.further.node_files if spec.further else ()


def _open_folder(name: str, above: int | None, stack: contextlib.ExitStack) -> int:
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    stack.callback(os.close, descriptor)
    return descriptor


def _fill(descriptor: int, mount: FileMount, content: bytes, uid_start: int) -> None:
    """Write a new file, give it its owner and mode, and close it."""
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]
        os.fchown(descriptor, uid_start + mount.uid, uid_start + mount.gid)
        os.fchmod(descriptor, mount.mode & 0o777)
    finally:
        os.close(descriptor)
