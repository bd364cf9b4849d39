"""What becomes of a bind of the client's or the node's own tree.

Files and folders beside the manifest become configs, read at apply; of the node's tree the profile grants what shows
nothing of anybody: local time as a copy, and folders below ``/tmp``, which each app has for itself. Every other path
of the node needs a grant of an operator's own profile. Neighbour: ``storage.py`` reads the other kinds of mounts.
"""

import posixpath
from typing import Literal

import msgspec

from skerry.manifest.nodes import Place
from skerry.manifest.parts import Asked, Parts
from skerry.manifest.reading import Reading
from skerry.manifest.values import FileRead, FolderRead
from skerry.model.app import FileMount, FolderMount, Mount, NodeFile
from skerry.model.grants import Bind, Need, find_bind_flaw

__all__ = ["Asked", "Tree", "take_bind"]

#: What every profile grants of the node's tree, as a copy.
_NODE_FILES: dict[str, Literal["localtime", "timezone"]] = {
    "/etc/localtime": "localtime",
    "/etc/timezone": "timezone",
}
#: Below these each app has a tree of its own; what begins with a dot there is a socket of the node's programs.
_PRIVATE = ("/tmp/", "/var/tmp/")


class Tree(msgspec.Struct):
    """Everything that is mounted into an instance."""

    mounts: list[Mount] = []
    configs: list[FileMount] = []
    secrets: list[FileMount] = []
    folders: list[FolderMount] = []
    node_files: list[NodeFile] = []
    binds: list[Bind] = []


def take_bind(reading: Reading, place: Place, asked: Asked, parts: Parts, tree: Tree) -> None:
    """Put what a bind stands for into ``tree``, or refuse it."""
    source = _relate(asked.source, reading.root)
    if source.startswith("."):
        _take_beside(reading, place, source, asked, parts, tree)
        return
    plain = posixpath.normpath(source)
    need = Need("bind", plain, writes=not asked.is_read_only)
    if plain in _NODE_FILES:
        tree.node_files.append(NodeFile(kind=_NODE_FILES[plain], target=asked.target))
        reading.findings.note(place, "translated", "a copy of what the node says, read only")
    elif reading.findings.grants(need):
        _take_granted(reading, place, plain, asked, tree)
    elif any(plain.startswith(top) and not plain.startswith(f"{top}.") for top in _PRIVATE):
        volume = parts.add_folder_volume(plain)
        reading.findings.note(place, "translated", f"a volume called {volume}: each app has {plain} for itself")
        tree.mounts.append(parts.mount_volume(place, volume, asked, None))
    else:
        _take_granted(reading, place, plain, asked, tree)


def _take_granted(reading: Reading, place: Place, source: str, asked: Asked, tree: Tree) -> None:
    flaw = find_bind_flaw(source)
    if source.startswith("~"):
        flaw = "~ is the home of a person, and a node has none"
    if flaw:
        reading.findings.refuse(place, flaw)
        return
    reading.findings.ask_grant(place, Need("bind", source, writes=not asked.is_read_only))
    target = "/" + "/".join(filter(None, asked.target.split("/")))
    tree.binds.append(Bind(source=source, target=target, read_only=asked.is_read_only))


def _relate(source: str, root: str) -> str:
    """Return a path below the manifest's folder as relative to it, which ``$PWD/x`` in a file means."""
    if not root or not source.startswith("/"):
        return source
    inner = posixpath.relpath(posixpath.normpath(source), root)
    return source if inner == ".." or inner.startswith("../") else f"./{inner}"


def _take_beside(reading: Reading, place: Place, source: str, asked: Asked, parts: Parts, tree: Tree) -> None:
    read = reading.open_tree(source)
    match read:
        case FileRead():
            detail = f"a config with the {len(read.content)} bytes of {source}, read only"
            reading.findings.note(place, "translated", detail)
            key = parts.add_file(place, source, read)
            mode = 0o555 if read.is_executable else 0o444
            tree.configs.append(FileMount(source=key, target=asked.target, mode=mode))
        case FolderRead() if read.files:
            files = parts.add_folder(place, source, read)
            if files is not None:
                size = sum(len(file.content) for file in read.files.values())
                detail = f"{len(files)} configs with the {size} bytes of {source}, read only"
                reading.findings.note(place, "translated", detail)
                tree.folders.append(FolderMount(target=asked.target, files=files))
        case FolderRead():
            _take_empty(reading, place, f"{source} is empty", asked, parts, tree)
        case _ if read.is_missing and asked.is_made and not _is_like_file(source):
            # Compose would make an empty folder of it, owned by root, and what is written there would last.
            _take_empty(reading, place, f"{source} {read.reason}", asked, parts, tree)
        case _:
            hint = "" if read.is_missing else "use a named volume"
            reading.findings.refuse(place, f"{asked.source[:80]} {read.reason}", hint=hint)


def _take_empty(reading: Reading, place: Place, why: str, asked: Asked, parts: Parts, tree: Tree) -> None:
    volume = parts.add_folder_volume(_relate(asked.source, reading.root))
    reading.findings.note(place, "translated", f"a volume called {volume}: {why[:100]}")
    tree.mounts.append(parts.mount_volume(place, volume, asked, None))


def _is_like_file(path: str) -> bool:
    """Say whether a path that is not there was meant as a file: its last step has an extension."""
    _, extension = posixpath.splitext(path.rstrip("/"))
    return extension not in ("", ".d") and not path.endswith("/")
