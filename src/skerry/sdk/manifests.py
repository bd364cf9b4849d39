"""From files on this machine to a revision that can be signed: text, variables, files beside it, images by name.

Reading is the client's alone; the rooms below get bytes. A file that a manifest names is read only from the manifest's
own folder, so that somebody else's Compose file cannot carry a key of ours to the core.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Required, TypedDict, Unpack

import msgspec

from skerry.manifest.canonical import build_revision
from skerry.manifest.definitions import Definitions
from skerry.manifest.dotenv import DotenvError, parse_dotenv
from skerry.manifest.findings import FieldNote
from skerry.manifest.images import choose_images
from skerry.manifest.load import load_stream
from skerry.manifest.values import FileRead, Manifest, Options, Rejected, Stream
from skerry.model import limits
from skerry.model.answers import ImageView
from skerry.model.app import AppRevision, ImageRef
from skerry.model.errors import Invalid, Problem
from skerry.model.grants import Profile
from skerry.model.ids import Digest, TenantName
from skerry.model.profile import PROFILES
from skerry.sdk.beside import read_beside

#: Names under which a manifest is looked for where none is named, as Compose has them.
DEFAULT_FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")

_NONE: Definitions = {}
_NO_CONFIGS: Mapping[Digest, bytes] = {}


class Reader(TypedDict, total=False):
    """How files are read, all of it by name."""

    environment: Required[Mapping[str, str]]
    #: Variables: these, then ``environment``, then ``.env``.
    given: Mapping[str, str] | None
    options: Options | None
    stdin: bytes | None
    #: Is asked for the names of images at the core when a service is only built.
    list_pushed: Callable[[], Iterable[str]] | None
    #: Is asked for what an operator's own profile grants that an app names; without it that is left to whoever places
    #: the app.
    find_grants: Callable[[str], tuple[Profile, ...]] | None


class ManifestRefused(Invalid):
    """A manifest that cannot be applied; ``problems`` says where and why, ``report`` how each field was taken."""

    def __init__(self, files: Sequence[str], rejected: Rejected) -> None:
        count = len(rejected.problems)
        names = ", ".join(files)
        detail = f"{count} error{'' if count == 1 else 's'} in {names}"
        super().__init__("E-MANIFEST", detail, problems=rejected.problems)
        self.report: tuple[FieldNote, ...] = rejected.report


def read_manifest(files: Sequence[str], **how: Unpack[Reader]) -> Manifest:
    """Read the one app of some files; see ``read_stream``. Raises ``Invalid`` where there are several, or none."""
    found = read_stream(files, **how)
    if len(found.apps) != 1:
        detail = f"One app is meant here, and the files hold {len(found.apps)}."
        raise Invalid("E-MANIFEST", detail, hint="skerry apply -f FILE takes all that a file holds.")
    return found.apps[0]


def read_stream(files: Sequence[str], **how: Unpack[Reader]) -> Stream:
    """Read all apps and definitions of some files; ``-`` is ``stdin``.

    Raises ``ManifestRefused`` with every problem at once, and ``Invalid`` for a file that cannot be read.
    """
    names = list(files) or [_find_default()]
    folder = Path.cwd() if names[0] == "-" else Path(names[0]).absolute().parent
    stdin = how.get("stdin") or b""
    texts = [(name if name != "-" else "stdin", stdin if name == "-" else _read_text(name)) for name in names]
    environment = how["environment"]
    variables = {**_read_dotenv(folder, environment), **environment, **(how.get("given") or {})}
    options = how.get("options") or Options()
    project = options.project or variables.get("COMPOSE_PROJECT_NAME")
    options = msgspec.structs.replace(options, project=project or None, folder=folder.name, root=str(folder))
    list_pushed, find_grants = how.get("list_pushed"), how.get("find_grants")
    found = load_stream(texts, variables, options=options, read_file=read_beside(folder))
    own = sorted(_list_profiles(found) - set(PROFILES))
    if find_grants is not None and own:
        options = msgspec.structs.replace(options, grants={name: find_grants(name) for name in own})
        found = load_stream(texts, variables, options=options, read_file=read_beside(folder))
    if isinstance(found, Rejected) and list_pushed is not None and _is_only_built(found):
        options = msgspec.structs.replace(options, pushed=frozenset(list_pushed()))
        found = load_stream(texts, variables, options=options, read_file=read_beside(folder))
    if isinstance(found, Rejected):
        raise ManifestRefused([name for name, _ in texts], found)
    return found


def _list_profiles(found: Stream | Rejected) -> set[str]:
    return set(found.profiles) if isinstance(found, Rejected) else {app.profile for app in found.apps}


def find_images(manifest: Manifest, views: Iterable[ImageView]) -> dict[str, ImageRef]:
    """Look up every image of a manifest among those that the core has; what is missing is left out."""
    known = (
        (
            view.registered_us,
            ImageRef(name=view.name, digest=view.digest, config=view.config, size_bytes=view.size_bytes),
        )
        for view in views
    )
    return choose_images(manifest.images, known)


def make_revision(
    manifest: Manifest,
    tenant: TenantName,
    number: int,
    images: Mapping[str, ImageRef],
    definitions: Definitions = _NONE,
    configs: Mapping[Digest, bytes] = _NO_CONFIGS,
) -> AppRevision:
    """Return the revision that would be signed.

    Raises ``ManifestRefused`` for images, areas and groups of users that are not at the core.
    """
    found = build_revision(
        manifest, tenant=tenant, number=number, images=images, definitions=definitions, configs=configs
    )
    if isinstance(found, Rejected):
        files = sorted({problem.file for problem in found.problems if problem.file}) or [manifest.app]
        raise ManifestRefused(files, found)
    return found


def is_same_content(one: AppRevision, other: AppRevision) -> bool:
    """Say whether two revisions wish the same: numbers and comments in the text apart."""
    return msgspec.structs.replace(one, number=0, source=other.source) == msgspec.structs.replace(other, number=0)


def _is_only_built(rejected: Rejected) -> bool:
    return any(one.code == "E-FIELD-REFUSED" and one.pointer.endswith("/build") for one in rejected.problems)


def _read_text(name: str) -> bytes:
    try:
        with Path(name).open("rb") as source:
            return source.read(limits.MANIFEST_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise Invalid("E-FILE", f"{name} cannot be read: {error.strerror}.") from error


def _read_dotenv(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    found = read_beside(folder)(".env")
    if not isinstance(found, FileRead):
        return {}
    try:
        values = parse_dotenv(found.content, environment.get)
    except DotenvError as error:
        problem = Problem(code="E-INTERPOLATION", detail=str(error), file=".env", line=error.line, column=1)
        raise Invalid("E-INTERPOLATION", "The file .env cannot be read.", problems=(problem,)) from error
    return {name: value for name, value in values.items() if value is not None}


def _find_default() -> str:
    for name in DEFAULT_FILES:
        if Path(name).is_file():
            return name
    raise Invalid("E-FILE", "There is no compose.yaml here.", hint="Name a manifest with -f.")
