"""What the services of an app share: volumes, configs and secrets of the top level, read when one first uses them.

A config or secret that no service uses is not read: its file need not exist. A secret's value goes out beside the
manifest to be sealed, never into it.
"""

import posixpath
from collections.abc import Mapping

import msgspec

from skerry.manifest.interpolate import read_variable
from skerry.manifest.names import make_name, translate_names
from skerry.manifest.nodes import Place
from skerry.manifest.policies import read_secret_policy
from skerry.manifest.process import read_labels
from skerry.manifest.reading import Reading
from skerry.manifest.tmpfs import read_tmpfs_options
from skerry.manifest.values import FileRead, FolderRead, SecretNeed
from skerry.manifest.volumes import complain_of_words, read_volume
from skerry.manifest.wishes import Wishes
from skerry.model.app import Config, FolderFile, Mount, SecretUse
from skerry.model.ids import AppName, SecretName, ServiceName, VolumeName, is_inner_path, is_name
from skerry.model.limits import FOLDER_FILES_MAX, SCALAR_BYTES_MAX
from skerry.model.policy import SecretPolicy
from skerry.model.variables import Reference, VariableError, expand, scan
from skerry.model.volume import Volume

_ORIGINS = ("content", "file", "environment", "external")


class Asked(msgspec.Struct, frozen=True):
    """One entry of ``volumes``, whichever way it was written."""

    kind: str
    source: str
    target: str
    is_read_only: bool = False
    #: Takes nothing from the image into a volume that is empty.
    is_bare: bool = False
    #: A folder of a bind that is not there is made.
    is_made: bool = True


class _Memory(msgspec.Struct, frozen=True):
    """A volume in memory, and the options of the top level that ask for it."""

    place: Place
    size_bytes: int
    options: tuple[str, ...]


class Parts:
    """Volumes, configs and secrets of one app, growing while its services are read."""

    def __init__(self, reading: Reading, top: Place, app: AppName, wishes: Wishes) -> None:
        """``wishes`` has our own words about secrets and volumes, by their names."""
        self._secret_words = wishes.secrets
        self._volume_words = wishes.volumes
        self.volumes: dict[VolumeName, Volume] = {}
        self.configs: dict[str, Config] = {}
        self.secrets: dict[str, SecretUse] = {}
        self.needs: dict[SecretName, SecretNeed] = {}
        self._reading = reading
        self._top = top
        self._app = app
        self._seen: set[str] = set()
        self._memory: dict[VolumeName, _Memory] = {}
        #: Volume in memory to the one service that has it.
        self._holders: dict[VolumeName, ServiceName | None] = {}
        #: Volumes of the top level that are binds, and of which path.
        self._bound: dict[VolumeName, str] = {}
        names = translate_names(top.find("volumes"), "volume", reading.findings)
        #: Paths at which parts of a volume are mounted; the empty one is the whole.
        self._steps: dict[VolumeName, dict[tuple[str, ...], Place | None]] = {}
        self._top = top
        self.volume_names = {written: VolumeName(name) for written, name in names.items()}
        self._read_volumes(top.find("volumes"))

    def add_unnamed_volume(self, place: Place, name: str) -> VolumeName:
        """Add the volume of a mount that names none."""
        if VolumeName(name) in self.volume_names.values():
            detail = f"the volume of this mount would be called {name}, and there is one of that name"
            self._reading.findings.complain(place, "E-CONFLICT", detail)
        self.volumes[VolumeName(name)] = Volume()
        return VolumeName(name)

    def add_folder_volume(self, path: str) -> VolumeName:
        """Add the volume that stands for an empty folder, the same for every service that binds it."""
        name = VolumeName(make_name("folder", *posixpath.normpath(path).strip("/").split("/")))
        self.volumes.setdefault(name, Volume())
        return name

    def take_part(self, volume: VolumeName, subpath: Place | None) -> VolumeName:
        """Return the volume that stands for what lies at ``subpath`` of another; that one itself without a path.

        A part is a volume of its own, for an instance may plant links in a volume, and podman would follow them out of
        it. So nothing is seen both as a part and as what it is a part of.
        """
        steps = tuple(self._reading.text(subpath).strip("/").split("/")) if subpath is not None else ()
        if subpath is not None and not {"", ".", ".."}.isdisjoint(steps):
            detail = f'"{self._reading.text(subpath)[:60]}" is no path inside a volume: write uploads/images'
            self._reading.findings.complain(subpath, "E-TYPE", detail)
            return volume
        if subpath is not None and volume in self._memory:
            self._reading.findings.refuse(subpath, "a volume in memory has no parts")
            return volume
        known = self._steps.setdefault(volume, {})
        known.setdefault(steps, subpath)
        for other, place in known.items():
            shorter, longer = sorted((steps, other), key=len)
            if shorter != longer and longer[: len(shorter)] == shorter:
                what = "/".join(longer)
                detail = f"{what} of {volume} is a volume of its own, and cannot be seen with what it is a part of too"
                self._reading.findings.refuse(subpath or place or self._top, detail)
        if subpath is None:
            return volume
        part = VolumeName(make_name(volume, *steps))
        whole = self.volumes.get(volume, Volume())
        self.volumes.setdefault(part, msgspec.structs.replace(whole, labels={}))
        self._reading.findings.note(subpath, "translated", f"a volume of its own called {part}")
        return part

    def label_volume(self, volume: VolumeName, labels: Mapping[str, str]) -> None:
        """Add labels that a mount gives to its volume; those of the top level win. One in memory has none."""
        if labels and volume in self.volumes:
            known = self.volumes[volume]
            self.volumes[volume] = msgspec.structs.replace(known, labels={**labels, **known.labels})

    def mount_volume(self, place: Place, volume: VolumeName, asked: Asked, service: ServiceName | None) -> Mount:
        """Return the mount of a volume; one in memory belongs to a single service."""
        memory = self._memory.get(volume)
        if memory is None:
            options = ("nocopy",) if asked.is_bare else msgspec.UNSET
            return Mount(
                kind="volume", target=asked.target, source=volume, read_only=asked.is_read_only, options=options
            )
        if self._holders.setdefault(volume, service) != service:
            self._reading.findings.not_yet(place, "a volume in memory that several services see")
        return Mount(
            kind="tmpfs",
            target=asked.target,
            read_only=asked.is_read_only,
            size_bytes=memory.size_bytes,
            options=memory.options or msgspec.UNSET,
        )

    def add_file(self, place: Place, path: str, read: FileRead) -> str:
        """Add a file of the client as a config; return its key, in which ``/`` tells it from people's own."""
        key = path if path.startswith(".") else f"./{path}"
        if key not in self.configs and self._reading.count_inlined(place, len(read.content), path):
            self.configs[key] = Config(content=read.content)
        return key

    def add_folder(self, place: Place, path: str, read: FolderRead) -> dict[str, FolderFile] | None:
        """Add the files of a folder as configs; return them by their paths in it, None after a complaint."""
        files: dict[str, FolderFile] = {}
        if len(read.files) > FOLDER_FILES_MAX:
            detail = f"{path} has more than {FOLDER_FILES_MAX} files"
            self._reading.findings.complain(place, "E-LIMIT", detail, hint="put them into the image or a volume")
            return None
        for name, file in sorted(read.files.items()):
            if not is_inner_path(name):
                self._reading.findings.complain(place, "E-TYPE", f"{path} has a file that no folder can have here")
                return None
            key = self.add_file(place, posixpath.join(path, name), file)
            if key not in self.configs:
                return None
            files[name] = FolderFile(source=key, executable=file.is_executable)
        return files

    def use_config(self, place: Place, name: str) -> None:
        """Read the config that a service uses."""
        entry = self._find(place, "configs", name, "config")
        if entry is None:
            return
        origin = self._choose_origin(entry, "config")
        if origin is None:
            return
        findings = self._reading.findings
        match origin.name:
            case "content":
                self.configs[name] = _to_config(self._reading.text(origin))
            case "file":
                read = self._reading.file(origin, self._reading.text(origin))
                if read is not None:
                    findings.note(origin, "translated", f"{len(read.content)} bytes were read")
                    self.configs[name] = Config(content=read.content)
            case "environment":
                value = self._read_variable(origin)
                if value is not None:
                    self.configs[name] = Config(content=value.encode())
            case _:
                pass  # The table has refused external ones.

    def use_secret(self, place: Place, name: str) -> None:
        """Read the secret that a service uses, or note that it must exist already."""
        entry = self._find(place, "secrets", name, "secret")
        origin = self._choose_origin(entry, "secret") if entry is not None else None
        if entry is None or origin is None:
            return
        match origin.name:
            case "external":
                self._add_external(entry, origin, name)
            case "file":
                path = self._reading.text(origin)
                read = self._reading.open_path(path)
                if isinstance(read, FileRead):
                    self._add_sealed(entry, SecretNeed(self._local_name(name), "file", read.content), name)
                else:
                    self._reading.findings.complain(origin, "E-REFERENCE", f"{path} {read}")
            case _:
                value = self._read_variable(origin)
                if value is not None:
                    self._add_sealed(entry, SecretNeed(self._local_name(name), "environment", value.encode()), name)

    def _read_volumes(self, place: Place | None) -> None:
        engine_names: dict[str, str] = {}
        for written, item in place.entries() if place is not None else ():
            if written not in self.volume_names:
                continue
            driver = self._reading.find(item, "driver")
            if driver is not None and self._reading.text(driver) not in ("", "local"):
                detail = f'the volume driver "{self._reading.text(driver)[:40]}" is none that a site has'
                self._reading.findings.refuse(driver, detail)
            options = self._reading.find(item, "driver_opts")
            if options is not None and any(options.entries()):
                self._judge_options(options, self.volume_names[written])
            name = self._reading.find(item, "name")
            other = engine_names.setdefault(self._reading.text(name), written) if name is not None else written
            if name is not None and other != written:
                self._reading.findings.complain(name, "E-CONFLICT", f'volume "{other}" has the same name')
            labels = read_labels(self._reading, self._reading.find(item, "labels"))
            words = self._volume_words.get(written, {})
            if self.volume_names[written] not in (self._memory | self._bound):
                self.volumes[self.volume_names[written]] = read_volume(self._reading, labels, words)
            else:
                complain_of_words(self._reading, words, "it is memory or a folder of the node, and no volume of a site")

    def find_bound(self, volume: VolumeName) -> str:
        """Return the path that a volume of the top level binds; empty for one that is a volume."""
        return self._bound.get(volume, "")

    def _judge_options(self, options: Place, volume: VolumeName) -> None:
        kind = self._reading.text(self._reading.find(options, "type"))
        words = self._reading.text(self._reading.find(options, "o"))
        device = self._reading.text(self._reading.find(options, "device"))
        if kind == "tmpfs":
            size, others = read_tmpfs_options(self._reading, options, words)
            self._memory[volume] = _Memory(options, size, others)
            self._reading.findings.note(options, "translated", "memory of the one service that has it")
        elif kind in ("none", "") and "bind" in words.split(",") and device:
            self._bound[volume] = device
            self._reading.findings.note(options, "translated", f"a bind of {device[:60]} where it is used")
        else:
            what = f"driver_opts: {kind[:40]}" if kind else "driver_opts"
            if kind in ("nfs", "nfs4"):
                self._reading.findings.not_yet(options, f'"{what}"')
            else:
                self._reading.findings.refuse(options, f'"{what}" is nothing that a site has')

    def _find(self, place: Place, section: str, name: str, noun: str) -> Place | None:
        """Return the entry of the top level, the first time it is asked for."""
        found = self._top.find(section)
        entry = found.find(name) if found is not None else None
        if entry is None:
            detail = f'there is no {noun} "{name[:80]}" at the top of the file'
            self._reading.findings.complain(place, "E-REFERENCE", detail)
            return None
        if entry.pointer in self._seen:
            return None
        self._seen.add(entry.pointer)
        return self._reading.find(entry)

    def _choose_origin(self, entry: Place, noun: str) -> Place | None:
        given = [child for name in _ORIGINS if (child := self._reading.find(entry, name)) is not None]
        given = [child for child in given if child.name != "external" or self._is_external(child)]
        if len(given) == 1:
            return given[0]
        code = "E-CONFLICT" if given else "E-TYPE"
        wanted = " or ".join(_ORIGINS[:-1] if noun == "config" else _ORIGINS[1:])
        detail = f"exactly one of {wanted} says what it holds"
        if self._reading.findings.is_sound(entry):
            self._reading.findings.complain(entry, code, detail, at_key=True)
        return None

    def _is_external(self, place: Place) -> bool:
        return any(place.entries()) or self._reading.switch(place)

    def _add_external(self, entry: Place, origin: Place, key: str) -> None:
        named = self._reading.find(origin, "name") or self._reading.find(entry, "name")
        name = self._reading.text(named, key)
        if not is_name(name):
            detail = f'"{name[:80]}" cannot be the name of a secret of Skerry: small letters, digits and "-"'
            self._reading.findings.complain(named or entry, "E-TYPE", detail, at_key=named is None)
            return
        self.secrets[key] = SecretUse(name=SecretName(name), policy=self._read_policy(key))
        self.needs[SecretName(name)] = SecretNeed(SecretName(name), "external")

    def _add_sealed(self, entry: Place, need: SecretNeed, key: str) -> None:
        size = len(need.value or b"")
        if size > SCALAR_BYTES_MAX:
            detail = f"a secret has at most {SCALAR_BYTES_MAX} bytes, this has {size}"
            self._reading.findings.complain(entry, "E-LIMIT", detail, at_key=True)
        else:
            self.secrets[key] = SecretUse(name=need.name, policy=self._read_policy(key))
            self.needs[need.name] = need
            self._reading.findings.note(entry, "translated", f"sealed on the client as secret {need.name}")

    def _read_policy(self, key: str) -> SecretPolicy | msgspec.UnsetType:
        policy = read_secret_policy(self._reading, self._secret_words.get(key))
        return policy if policy != SecretPolicy() else msgspec.UNSET

    def _local_name(self, key: str) -> SecretName:
        return SecretName(make_name(self._app, key))

    def _read_variable(self, place: Place) -> str | None:
        name = self._reading.text(place)
        try:
            value = read_variable(self._reading.variables, name)
        except VariableError as error:
            self._reading.findings.complain(place, "E-INTERPOLATION", str(error))
            return None
        if value is None:
            self._reading.findings.complain(place, "E-INTERPOLATION", f"variable {name[:80]} is not set")
        return value


def _to_config(text: str) -> Config:
    """Keep the variables of instances in a content; without any, what is escaped is written out now."""
    if any(isinstance(part, Reference) for part in scan(text)):
        return Config(content=text.encode(), expand=True)
    return Config(content=expand(text, lambda name: None).encode())
