"""Configs and secrets as memory-backed files: laid out under a tmpfs before each start, gone with the power.

Bytes of a secret are on no disk, in no argument and in no log (trust.md §10). Each container has a directory of its own
there; files are named by their position, so no tenant's string becomes a path.
"""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from skerry.drivers.podman.spec import UID_COUNT, container_name
from skerry.model.app import FileMount
from skerry.model.ids import Digest
from skerry.model.instance import InstanceSpec


class FileStage:
    """The directory on tmpfs that holds instances' files."""

    def __init__(self, root: Path, open_secret: Callable[[Digest], bytes]) -> None:
        self._root = root
        self._open_secret = open_secret

    def plan_mounts(self, spec: InstanceSpec, digest: Digest) -> list[tuple[str, str]]:
        """Return (path on the node, path inside) of every file of an instance, without making any."""
        directory = self._root / container_name(spec, digest)
        targets = [file.mount.target for file in spec.files] + [secret.mount.target for secret in spec.secrets]
        return [(str(directory / str(position)), target) for position, target in enumerate(targets)]

    def lay_out(self, spec: InstanceSpec, digest: Digest, uid_start: int) -> None:
        """Write all files of an instance, owned inside its tenant's uid range; raise OSError or what opening raises."""
        if not (spec.files or spec.secrets):
            return
        directory = self._root / container_name(spec, digest)
        directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        contents = [(file.mount, file.content) for file in spec.files]
        contents += [(secret.mount, self._open_secret(secret.version)) for secret in spec.secrets]
        for position, (mount, content) in enumerate(contents):
            self._write(directory / str(position), mount, content, uid_start)

    def sweep(self, present: set[str]) -> None:
        """Forget the files of containers that are not there: once, at start, of those that a killed agent left."""
        if self._root.is_dir():
            for left in self._root.iterdir():
                if left.name not in present:
                    shutil.rmtree(left, ignore_errors=True)

    def clear(self, name: str) -> None:
        """Forget the files of a container."""
        shutil.rmtree(self._root / name, ignore_errors=True)

    def _write(self, path: Path, mount: FileMount, content: bytes, uid_start: int) -> None:
        if not (0 <= mount.uid < UID_COUNT and 0 <= mount.gid < UID_COUNT):
            raise OSError(errno.EINVAL, f"{mount.target} is to belong to a user beyond its tenant's range")
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            left = memoryview(content)
            while left:
                left = left[os.write(descriptor, left) :]
            os.fchown(descriptor, uid_start + mount.uid, uid_start + mount.gid)
            os.fchmod(descriptor, mount.mode & 0o777)
        finally:
            os.close(descriptor)
        fresh.rename(path)
