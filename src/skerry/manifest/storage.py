"""What a service sees in its file tree: volumes, memory, and files that are configs or secrets.

Neighbours: ``binds.py`` says what becomes of a bind, ``parts.py`` keeps what several services share.
"""

import re

import msgspec

from skerry.manifest.binds import Asked, Tree, take_bind
from skerry.manifest.names import make_name
from skerry.manifest.nodes import Mapping, Place
from skerry.manifest.parts import Parts
from skerry.manifest.process import read_labels
from skerry.manifest.reading import Reading
from skerry.manifest.tmpfs import MODE, read_tmpfs_options
from skerry.model.app import FileMount, FolderFile, Mount
from skerry.model.ids import ServiceName, VolumeName

_ID = re.compile(r"[0-9]{1,9}", re.ASCII)
#: Options of a mount that change nothing at a site.
_IDLE_OPTIONS = ("rw", "z", "Z", "cached", "delegated", "consistent", "default")


def read_tree(reading: Reading, service: Place, name: ServiceName, parts: Parts) -> Tree:
    """Return what is mounted, and tell of targets that are used twice."""
    taken: dict[str, str] = {}
    tree = Tree()
    for item in reading.texts(reading.find(service, "volumes")):
        asked = _read_long(reading, item) if isinstance(item.node, Mapping) else _read_short(reading, item)
        if asked is not None and _take_target(reading, item, asked.target, taken):
            _sort_in(reading, item, asked, name, parts, tree)
    for item in reading.texts(reading.find(service, "tmpfs")):
        mount = _read_tmpfs(reading, item)
        if mount is not None and _take_target(reading, item, mount.target, taken):
            tree.mounts.append(mount)
    for section, files in (("configs", tree.configs), ("secrets", tree.secrets)):
        for item in reading.texts(reading.find(service, section)):
            file = _read_file(reading, item, section, parts)
            if file is not None and _take_target(reading, item, file.target, taken):
                files.append(file)
    _nest(reading, service, tree, taken)
    return tree


def _nest(reading: Reading, service: Place, tree: Tree, taken: dict[str, str]) -> None:
    """Put configs that are mounted into a folder of configs among its files: nothing can be made in it otherwise.

    Tell of every other mount inside one that has no place there.
    """
    for folder in sorted(tree.folders, key=lambda each: len(each.target)):
        outer = folder.target.rstrip("/") + "/"
        files = dict(folder.files)
        for config in list(tree.configs):
            inner = config.target.removeprefix(outer)
            if inner != config.target and (config.uid, config.gid) == (0, 0):
                files[inner] = FolderFile(source=config.source, executable=bool(config.mode & 0o111))
                tree.configs.remove(config)
        tree.folders[tree.folders.index(folder)] = msgspec.structs.replace(folder, files=files)
        for target in sorted(taken):
            inner = target.removeprefix(outer)
            if inner != target and not any(f"{path}/".startswith(f"{inner}/") for path in files):
                place = reading.find(service, "volumes") or service
                reading.findings.not_yet(place, f"a mount at {target}, inside the folder {folder.target} of configs,")


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
    asked: Asked,
    name: ServiceName,
    parts: Parts,
    tree: Tree,
) -> None:
    match asked.kind:
        case "volume":
            volume = _find_volume(reading, place, asked, name, parts)
            bound = parts.find_bound(volume) if volume is not None else ""
            subpath = reading.find(place, "volume", "subpath")
            if bound and subpath is not None:
                reading.findings.refuse(
                    subpath, f"the volume is the folder {bound[:60]} of the node: bind what is meant"
                )
            elif bound:
                take_bind(reading, place, msgspec.structs.replace(asked, source=bound), parts, tree)
            elif volume is not None:
                volume = parts.take_part(volume, subpath)
                parts.label_volume(volume, read_labels(reading, reading.find(place, "volume", "labels")))
                tree.mounts.append(parts.mount_volume(place, volume, asked, name))
        case "bind":
            take_bind(reading, place, asked, parts, tree)
        case "tmpfs":
            size = reading.size(reading.find(place, "tmpfs", "size"))
            mode = reading.mode(reading.find(place, "tmpfs", "mode"), MODE)
            options = (f"mode={mode:o}",) if mode != MODE else msgspec.UNSET
            tree.mounts.append(
                Mount(kind="tmpfs", target=asked.target, read_only=asked.is_read_only, size_bytes=size, options=options)
            )
        case "image":
            detail = "podman 4.3 cannot show the files of an image to a namespace of users, which every instance has"
            reading.findings.refuse(place, detail, hint="copy them into a volume when the service starts")
        case _:
            reading.findings.refuse(place, f'mounts of type "{asked.kind}" are for Windows or Swarm')


def _read_short(reading: Reading, place: Place) -> Asked | None:
    """Read ``[SOURCE:]TARGET[:OPTIONS]``."""
    text = reading.text(place)
    words = text.split(":")
    if len(words) == 1:
        return Asked("volume", "", text)
    if len(words[0]) == 1 and words[0].isalpha() and words[1][:1] in ("\\", "/") and len(words) > 2:
        reading.findings.refuse(place, f"{words[0]}:{words[1][:40]} is a path of Windows")
        return None
    if len(words) > 3:
        reading.findings.complain(place, "E-TYPE", f'"{text[:80]}" is not SOURCE:TARGET or SOURCE:TARGET:ro')
        return None
    source, target = words[0], words[1]
    options = [] if len(words) == 2 else words[2].split(",")
    for option in options:
        if option not in ("ro", "nocopy", *_IDLE_OPTIONS):
            reading.findings.complain(place, "E-TYPE", f'"{option[:40]}" is no option of a mount: write ro')
    kind = "bind" if source.startswith((".", "/", "~")) else "volume"
    return Asked(kind, source, target, "ro" in options, is_bare="nocopy" in options)


def _read_long(reading: Reading, place: Place) -> Asked | None:
    target = reading.find(place, "target")
    if target is None:
        if place.find("target") is None:
            reading.findings.complain(place, "E-TYPE", '"target" must be given here')
        return None
    made = reading.find(place, "bind", "create_host_path")
    return Asked(
        reading.text(reading.find(place, "type")),
        reading.text(reading.find(place, "source")),
        reading.text(target),
        reading.switch(reading.find(place, "read_only")),
        is_bare=reading.switch(reading.find(place, "volume", "nocopy")),
        is_made=made is None or reading.switch(made),
    )


def _find_volume(reading: Reading, place: Place, asked: Asked, name: ServiceName, parts: Parts) -> VolumeName | None:
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


def _read_tmpfs(reading: Reading, place: Place) -> Mount | None:
    """Read ``TARGET[:OPTIONS]``."""
    target, _, rest = reading.text(place).partition(":")
    size, options = read_tmpfs_options(reading, place, rest)
    return Mount(kind="tmpfs", target=target, size_bytes=size, options=options or msgspec.UNSET)


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
