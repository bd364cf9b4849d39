"""What goes into reading a manifest and what comes out: the values that other rooms hold.

Rule: a ``Manifest`` is complete but for the images' digests, which the caller looks up; ``canonical.py`` puts them in.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from skerry.manifest.findings import FieldNote
from skerry.model.app import Config, Network, SecretUse, Service
from skerry.model.chain import Chain
from skerry.model.errors import Problem
from skerry.model.geography import Region, UserPoint
from skerry.model.grants import Profile
from skerry.model.ids import AppName, Digest, NetworkName, SecretName, ServiceName, VolumeName
from skerry.model.rollout import Rollout
from skerry.model.signed import DefinitionKind
from skerry.model.volume import Volume


class FileRead(msgspec.Struct, frozen=True):
    """A file beside the manifest, as the caller read it."""

    content: bytes
    #: Whether its owner may execute it: the copy at the site may be executed too.
    is_executable: bool = False


class FolderRead(msgspec.Struct, frozen=True):
    """A folder beside the manifest with every file below it, by paths whose steps are parted by ``/``."""

    files: dict[str, FileRead]


class Unreadable(msgspec.Struct, frozen=True):
    """The caller did not read a path."""

    #: As the end of a sentence about the path, for example ``is a directory``.
    reason: str
    #: Nothing is there, as opposed to something that cannot be read.
    is_missing: bool = False


#: Reads a file or folder named by the manifest, its path as written there. The caller decides which folder it is
#: relative to and which paths it reads at all. It reads at most one byte more than ``limits.INLINE_BYTES_MAX``, in all
#: of a folder too, and at most one file more than ``limits.FOLDER_FILES_MAX``.
ReadFile = Callable[[str], FileRead | FolderRead | Unreadable]


def read_nothing(path: str) -> FileRead | FolderRead | Unreadable:
    """Be a ``ReadFile`` for callers without files."""
    return Unreadable("cannot be read: no files came with the manifest", is_missing=True)


class Options(msgspec.Struct, frozen=True):
    """What the command line says beside the files."""

    #: Name of the app; wins over the one in the file.
    project: str | None = None
    #: Name of the folder the manifest is in: what the app is called when nothing else names it, as in Compose.
    folder: str = ""
    #: Absolute path of that folder: a path below it in a manifest is one beside it, as ``$PWD/x`` says.
    root: str = ""
    #: Selectors of ``--sites``, any one of which may match; win over ``placement.sites`` of the top.
    sites: tuple[str, ...] = ()
    #: Compose profiles that are switched on; ``*`` switches on all.
    profiles: frozenset[str] = frozenset()
    #: Names of images that the core has: a service that is only built is one of them once it was pushed.
    pushed: frozenset[str] = frozenset()
    #: What an operator's own profile grants, once for each way in which sites have it: those that were asked for.
    grants: Mapping[str, tuple[Profile, ...]] = {}


class ImageUse(msgspec.Struct, frozen=True):
    """An image that a service names, and where."""

    name: str
    service: ServiceName
    pointer: str
    file: str
    line: int
    column: int


#: What a definition says: the ground of an area, or where the users of a group are.
Content = Region | tuple[UserPoint, ...]


class HealthWords(msgspec.Struct, frozen=True, kw_only=True):
    """What a service says of the check in its image, where it has none of its own; 0 for what it leaves as it is."""

    interval_us: int = 0
    timeout_us: int = 0
    retries: int = 0
    start_period_us: int = 0
    start_interval_us: int = 0
    #: Where it stands; an empty pointer where nothing is said.
    pointer: str = ""
    file: str = ""
    line: int = 0
    column: int = 0


class HealthWait(msgspec.Struct, frozen=True):
    """A service whose health another waits for, and that has no check of its own in the files."""

    service: ServiceName
    pointer: str
    file: str
    line: int
    column: int


class Defined(msgspec.Struct, frozen=True, kw_only=True):
    """An area or a group of users that stands in the files themselves."""

    kind: DefinitionKind
    name: str
    content: Content
    report: tuple[FieldNote, ...] = ()
    file: str = ""
    line: int = 0
    column: int = 0


class DefinitionUse(msgspec.Struct, frozen=True):
    """An area or a group of users that a manifest names, and where."""

    kind: DefinitionKind
    name: str
    pointer: str
    file: str
    line: int
    column: int


class SecretNeed(msgspec.Struct, frozen=True):
    """A secret that the app uses: one that exists (``external``) or one whose value the client seals at apply."""

    name: SecretName
    origin: Literal["external", "file", "environment"]
    #: What to seal; None for an external one. Never printed.
    value: bytes | None = None

    def __repr__(self) -> str:
        return f"SecretNeed(name={self.name!r}, origin={self.origin!r})"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """An app as its files say it."""

    app: AppName
    #: Digest of the text, files in the order given.
    source: Digest
    description: str = ""
    labels: dict[str, str] = {}
    profile: str = "default"
    rollout: Rollout | UnsetType = UNSET
    #: The images in them have names and empty digests.
    services: dict[ServiceName, Service]
    volumes: dict[VolumeName, Volume] = {}
    networks: dict[NetworkName, Network] = {}
    configs: dict[str, Config] = {}
    secrets: dict[str, SecretUse] = {}
    withdraw: Literal["core", "tenant"] = "core"
    chains: tuple[Chain, ...] = ()
    #: Every image named, in the order of the services.
    images: tuple[ImageUse, ...] = ()
    #: Services that have the check of health in their image, if it has one.
    health: dict[ServiceName, HealthWords] = {}
    health_waits: tuple[HealthWait, ...] = ()
    secrets_needed: tuple[SecretNeed, ...] = ()
    #: What its placement names: put in by ``definitions.py`` before it is signed.
    uses: tuple[DefinitionUse, ...] = ()
    #: What stands in the same files and is to be recorded first.
    brought: tuple[Defined, ...] = ()
    report: tuple[FieldNote, ...] = ()


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that some files hold: definitions, which are recorded first, and apps."""

    definitions: tuple[Defined, ...] = ()
    apps: tuple[Manifest, ...] = ()


class Rejected(msgspec.Struct, frozen=True):
    """The files make no app: every problem found, sorted by place, and how each field was taken."""

    problems: tuple[Problem, ...]
    report: tuple[FieldNote, ...] = ()
    #: Profiles that the apps name.
    profiles: tuple[str, ...] = ()
