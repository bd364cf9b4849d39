"""Whether podman's storage can limit what an instance writes into its own root.

Podman 4.3 does so for overlays on XFS that is mounted with project quotas, and refuses to make a container with such a
limit anywhere else. Its own answer about its storage names the file system and not the quotas, so the mount is read.
"""

from pathlib import Path, PurePosixPath

from skerry.drivers.podman.answers import InfoItem, StoreItem
from skerry.drivers.podman.http import PodmanHttp
from skerry.model.observed import ROOT_QUOTA

_MOUNTS = Path("/proc/self/mountinfo")

#: Options of a mounted XFS that count blocks by project, as the kernel shows them and as people write them.
_QUOTAS = ("prjquota", "pquota")


async def read_storage(http: PodmanHttp) -> dict[str, str]:
    """Return the facts of the node that follow from how podman stores."""
    store = (await http.read(InfoItem, "/info")).store
    return {ROOT_QUOTA: "true"} if limits_roots(store, _read_mounts()) else {}


def _read_mounts() -> str:
    return _MOUNTS.read_text(errors="replace")


def limits_roots(store: StoreItem, mounts: str) -> bool:
    """Say so of a storage; ``mounts`` is what ``/proc/self/mountinfo`` holds (proc(5))."""
    if store.graph_driver_name != "overlay":
        return False
    kind, options = _find_mount(PurePosixPath(store.graph_root), mounts)
    return kind == "xfs" and any(option in _QUOTAS for option in options)


def _find_mount(path: PurePosixPath, mounts: str) -> tuple[str, list[str]]:
    """Return kind and options of the file system that a path is on: the mount nearest to it, of several the last."""
    found: tuple[str, list[str]] = ("", [])
    depth = -1
    for line in mounts.splitlines():
        fields, _, rest = line.partition(" - ")
        words, kinds = fields.split(), rest.split()
        if len(words) < 5 or len(kinds) < 3:
            continue
        # Blanks of a path are shown as numbers, which the folders of a node do not have.
        point = PurePosixPath(words[4])
        if path.is_relative_to(point) and len(point.parts) >= depth:
            depth, found = len(point.parts), (kinds[0], kinds[2].split(","))
    return found
