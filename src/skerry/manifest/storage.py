"""What a service sees in its file tree: volumes, memory, and files that are configs, secrets or binds of one file.

A relative bind of a file becomes a config, read at apply; every other bind would show the node's own tree and needs a
grant. Neighbour: ``parts.py`` keeps what several services share.
"""

import re

import msgspec

from skerry.manifest.names import make_name
from skerry.manifest.nodes import Mapping, Place
from skerry.manifest.parts import Parts
from skerry.manifest.reading import Reading
from skerry.manifest.values import FileRead
from skerry.model.app import FileMount, Mount
from skerry.model.ids import ServiceName, VolumeName

_ID = re.compile(r"[0-9]{1,9}", re.ASCII)
#: Options of a mount that change nothing at a site.
_IDLE_OPTIONS = ("rw", "z", "Z", "cached", "delegated", "consistent", "default")
#: Options of a tmpfs that every tmpfs at a site has.
_TMPFS_IDLE_OPTIONS = ("rw", "nosuid", "nodev", "mode=1777", "mode=01777")
_TMPFS_MODE = 0o1777


class Tree(msgspec.Struct, frozen=True):
    """Everything that is mounted into an instance."""

    mounts: tuple[Mount, ...]
    configs: tuple[FileMount, ...]
    secrets: tuple[FileMount, ...]


class _Asked(msgspec.Struct, frozen=True):
    """One entry of ``volumes``, whichever way it was written."""

    kind: str
    source: str
    target: str
    is_read_only: bool = False


def read_tree(reading: Reading, service: Place, name: ServiceName, parts: Parts) -> Tree:
    """Return what is mounted, and tell of targets that are used twice."""
    taken: dict[str, str] = {}
    mounts: list[Mount] = []
    configs: list[FileMount] = []
    secrets: list[FileMount] = []
    for item in reading.texts(reading.find(service, "volumes")):
        asked = _read_long(reading, item) if isinstance(item.node, Mapping) else _read_short(reading, item)
        if asked is not None and _take_target(reading, item, asked.target, taken):
            _sort_in(reading, item, asked, name, parts, mounts, configs)
    for item in reading.texts(reading.find(service, "tmpfs")):
        mount = _read_tmpfs(reading, item)
        if mount is not None and _take_target(reading, item, mount.target, taken):
            mounts.append(mount)
    for section, files in (("configs", configs), ("secrets", secrets)):
        for item in reading.texts(reading.find(service, section)):
            file = _read_file(reading, item, section, parts)
            if file is not None and _take_target(reading, item, file.target, taken):
                files.append(file)
    return Tree(tuple(mounts), tuple(configs), tuple(secrets))


def _take_target(reading: Reading, place: Place, target: str, taken: dict[str, str]) -> bool:
    steps = target.split("/")
    if not target.startswith("/") or ".." in steps or "." in steps[1:-1]:
        reading.findings.complain(place, "E-TYPE", f'"{target[:80]}" is not an absolute path')
        return False
    plain = "/" + "/".join(filter(None, steps))
    first = taken.setdefault(plain, place.pointer)
    if first != place.pointer:
        reading.findings.complain(place, "E-CONFLICT", f"{first} is mounted at {plain} too")
        return False
    return True


def _sort_in(
    reading: Reading,
    place: Place,
    asked: _Asked,
    name: ServiceName,
    parts: Parts,
    mounts: list[Mount],
    configs: list[FileMount],
) -> None:
    match asked.kind:
        case "volume":
            volume = _find_volume(reading, place, asked, name, parts)
            if volume is not None:
                mounts.append(Mount(kind="volume", target=asked.target, source=volume, read_only=asked.is_read_only))
        case "bind":
            file = _take_file(reading, place, asked, parts)
            if file is not None:
                configs.append(file)
        case "tmpfs":
            size = reading.size(reading.find(place, "tmpfs", "size"))
            mode = reading.find(place, "tmpfs", "mode")
            if mode is not None and reading.mode(mode, _TMPFS_MODE) != _TMPFS_MODE:
                reading.findings.not_yet(mode, "a mode of a tmpfs other than 01777")
            mounts.append(Mount(kind="tmpfs", target=asked.target, read_only=asked.is_read_only, size_bytes=size))
        case "image":
            reading.findings.not_yet(place, "a mount of an image")
        case _:
            reading.findings.refuse(place, f'mounts of type "{asked.kind}" are for Windows or Swarm')


def _read_short(reading: Reading, place: Place) -> _Asked | None:
    """Read ``[SOURCE:]TARGET[:OPTIONS]``."""
    text = reading.text(place)
    words = text.split(":")
    if len(words) == 1:
        return _Asked("volume", "", text)
    if len(words[0]) == 1 and words[0].isalpha() and words[1][:1] in ("\\", "/") and len(words) > 2:
        reading.findings.deny_grant(place, f"bind: {words[0]}:{words[1][:40]}")
        return None
    if len(words) > 3:
        reading.findings.complain(place, "E-TYPE", f'"{text[:80]}" is not SOURCE:TARGET or SOURCE:TARGET:ro')
        return None
    source, target = words[0], words[1]
    options = [] if len(words) == 2 else words[2].split(",")
    for option in options:
        if option == "nocopy":
            reading.findings.not_yet(place, "a volume that takes nothing from the image (nocopy)")
        elif option not in ("ro", *_IDLE_OPTIONS):
            reading.findings.complain(place, "E-TYPE", f'"{option[:40]}" is no option of a mount: write ro')
    kind = "bind" if source.startswith((".", "/", "~")) else "volume"
    return _Asked(kind, source, target, "ro" in options)


def _read_long(reading: Reading, place: Place) -> _Asked | None:
    target = reading.find(place, "target")
    if target is None:
        if place.find("target") is None:
            reading.findings.complain(place, "E-TYPE", '"target" must be given here')
        return None
    kind = reading.text(reading.find(place, "type"))
    source = reading.text(reading.find(place, "source"))
    return _Asked(kind, source, reading.text(target), reading.switch(reading.find(place, "read_only")))


def _find_volume(reading: Reading, place: Place, asked: _Asked, name: ServiceName, parts: Parts) -> VolumeName | None:
    if asked.source:
        if asked.source not in parts.volume_names:
            detail = f'there is no volume "{asked.source[:80]}" at the top of the file'
            reading.findings.complain(place, "E-REFERENCE", detail)
        return parts.volume_names.get(asked.source)
    volume = _name_unnamed(name, asked.target)
    reading.findings.note(place, "translated", f"a volume called {volume}")
    return parts.add_unnamed_volume(place, volume)


def _name_unnamed(name: ServiceName, target: str) -> str:
    """Name the volume of a mount without source: by service and target, so that every revision finds it again."""
    return make_name(name, *filter(None, target.split("/")))


def _take_file(reading: Reading, place: Place, asked: _Asked, parts: Parts) -> FileMount | None:
    if not asked.source.startswith("."):
        reading.findings.deny_grant(place, f"bind: {asked.source[:60]}")
        return None
    read = reading.open_path(asked.source)
    if not isinstance(read, FileRead):
        detail = f"{asked.source[:80]} {read}; only single files are taken along, as configs"
        reading.findings.refuse(place, detail, hint="use a named volume")
        return None
    detail = f"a config with the {len(read.content)} bytes of {asked.source}, read only"
    reading.findings.note(place, "translated", detail)
    key = parts.add_file(place, asked.source, read)
    return FileMount(source=key, target=asked.target, mode=0o555 if read.is_executable else 0o444)


def _read_tmpfs(reading: Reading, place: Place) -> Mount | None:
    """Read ``TARGET[:OPTIONS]``."""
    target, _, rest = reading.text(place).partition(":")
    size = 0
    for option in filter(None, rest.split(",")):
        word, _, value = option.partition("=")
        if word == "size":
            size = reading.size_of(place, value)
        elif option not in _TMPFS_IDLE_OPTIONS:
            reading.findings.not_yet(place, f'the option "{option[:40]}" of a tmpfs')
    return Mount(kind="tmpfs", target=target, size_bytes=size)


def _read_file(reading: Reading, place: Place, section: str, parts: Parts) -> FileMount | None:
    is_long = isinstance(place.node, Mapping)
    source = reading.find(place, "source") if is_long else place
    if source is None:
        if place.find("source") is None:
            reading.findings.complain(place, "E-TYPE", '"source" must be given here')
        return None
    name = reading.text(source)
    if section == "secrets":
        parts.use_secret(source, name)
        folder = "/run/secrets/"
    else:
        parts.use_config(source, name)
        folder = "/"
    target = reading.text(reading.find(place, "target") if is_long else None) or name
    return FileMount(
        source=name,
        target=target if target.startswith("/") else folder + target,
        mode=reading.mode(reading.find(place, "mode"), 0o444),
        uid=_read_id(reading, reading.find(place, "uid")),
        gid=_read_id(reading, reading.find(place, "gid")),
    )


def _read_id(reading: Reading, place: Place | None) -> int:
    text = reading.text(place) or "0"
    if _ID.fullmatch(text) is None:
        if place is not None:
            reading.findings.complain(place, "E-TYPE", f'"{text[:40]}" is not the number of a user or group')
        return 0
    return int(text)
