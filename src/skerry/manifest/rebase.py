"""Paths of a Compose file that lies in another folder, written anew as seen from the manifest's own.

What is included or extended names its files relative to its own place; after this everything is relative to one
folder. Neighbour: ``combine.py``.
"""

import posixpath

from skerry.manifest.nodes import Entry, Mapping, Node, Scalar, Sequence

Path = tuple[str, ...]

#: Where a path stands, ``*`` for any name.
_PATHS = {
    ("services", "*", "env_file"),
    ("services", "*", "env_file", "path"),
    ("services", "*", "label_file"),
    ("services", "*", "extends", "file"),
    ("services", "*", "volumes", "source"),
    ("configs", "*", "file"),
    ("secrets", "*", "file"),
    ("volumes", "*", "driver_opts", "device"),
}
_MOUNTS = ("services", "*", "volumes")


def join_path(folder: str, path: str) -> str:
    """Return ``path`` as seen from where ``folder`` lies; absolute ones and those of a home stay."""
    if path.startswith(("/", "~")) or not folder:
        return path
    joined = posixpath.normpath(posixpath.join(folder, path))
    return joined if joined.startswith(("../", "/")) or joined == ".." else f"./{joined.removeprefix('./')}"


def rebase(node: Node, folder: str, path: Path = ()) -> Node:
    """Return a Compose document, or the part of it at ``path``, whose files lie in ``folder``."""
    if folder in ("", "."):
        return node
    match node:
        case Scalar():
            return _rebase_text(node, folder, path)
        case Sequence():
            return Sequence(tuple(rebase(item, folder, path) for item in node.items), node.mark, node.tag)
        case Mapping():
            entries = {
                name: Entry(entry.key_mark, rebase(entry.node, folder, (*path, name if len(path) != 1 else "*")))
                for name, entry in node.entries.items()
            }
            return Mapping(entries, node.mark, node.tag)


def _rebase_text(node: Scalar, folder: str, path: Path) -> Scalar:
    if not isinstance(node.value, str):
        return node
    text = node.text
    if path == _MOUNTS:
        source, sign, rest = text.partition(":")
        if sign and source.startswith("."):
            text = f"{join_path(folder, source)}:{rest}"
    elif path in _PATHS and (text.startswith(".") or path[-1] not in ("source", "device")):
        text = join_path(folder, text)
    return Scalar(text, text, node.mark, node.plain, node.sound, node.tag) if text != node.text else node
