"""Contexts: which core to talk to, as whom, and which signer signs. One small file each, readable by their owner only.

The caller says where they are (``settings.find_places().config``); nothing here reads the environment.
"""

import contextlib
from collections.abc import Generator
from pathlib import Path

import msgspec

from skerry.model.errors import Invalid, NotFound, Refused
from skerry.model.ids import TenantName, is_name
from skerry.safe.paths import Directory, RealDirectory

#: A certificate authority of a few certificates is the longest part.
_CONTEXT_BYTES_MAX = 256 * 1024
_FOLDER = "contexts"
_CURRENT = "current"


class Context(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to reach a core and whose word one speaks."""

    url: str
    token: str = ""
    #: The tenant of the token, and whose deploy key the signer holds.
    tenant: TenantName = TenantName("default")
    #: Path of the signer's socket; empty where nothing is signed from here.
    signer: str = ""
    #: Certificate authority of the core's API as PEM text; empty means the system's.
    ca: str = ""
    #: The network to the core may be trusted although it is neither this machine nor TLS.
    insecure: bool = False

    def __repr__(self) -> str:
        """Name the core without the token."""
        return f"Context({self.url!r})"


@contextlib.contextmanager
def _folder(config: Path) -> Generator[Directory]:
    root = RealDirectory.open_root(config)
    with contextlib.closing(root), contextlib.closing(root.enter(_FOLDER, create=True)) as folder:
        yield folder


def list_contexts(config: Path) -> list[str]:
    """Return the names of all contexts, sorted."""
    with _folder(config) as folder:
        names = [name.removesuffix(".json") for name in folder.names() if name.endswith(".json")]
        return sorted(name for name in names if is_name(name))


def read_current(config: Path) -> str:
    """Return the name of the context in use; empty when none was chosen."""
    with _folder(config) as folder:
        content = folder.read(_CURRENT, limit=128) or b""
    name = content.decode("ascii", "replace").strip()
    return name if is_name(name) else ""


def read_context(config: Path, name: str = "") -> Context:
    """Return a context, the current one without a name; raises ``NotFound``, or ``Invalid`` for a broken file."""
    name = name or read_current(config)
    if not name:
        raise Refused("E-CONTEXT", "No context is chosen.", hint="skerry up, or skerry context set NAME --url URL")
    with _folder(config) as folder:
        content = folder.read(f"{name}.json", limit=_CONTEXT_BYTES_MAX) if is_name(name) else None
    if content is None:
        raise NotFound("E-CONTEXT", f"There is no context {name!r}.", hint="skerry context list")
    try:
        return msgspec.json.decode(content, type=Context)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid("E-CONTEXT", f"The context {name} cannot be read: {error}.") from error


def write_context(config: Path, name: str, context: Context) -> None:
    """Make or replace a context, durably. Raises ``Invalid`` for a name that is none."""
    if not is_name(name):
        raise Invalid("E-NAME", f"{name!r} is no name: use a-z, 0-9 and -, at most 63.")
    content = msgspec.json.format(msgspec.json.encode(context), indent=2) + b"\n"
    with _folder(config) as folder:
        _replace(folder, f"{name}.json", content)


def use_context(config: Path, name: str) -> None:
    """Choose a context for later; raises ``NotFound``."""
    read_context(config, name)
    with _folder(config) as folder:
        _replace(folder, _CURRENT, name.encode() + b"\n")


def remove_context(config: Path, name: str) -> None:
    """Forget a context; raises ``NotFound``."""
    read_context(config, name)
    with _folder(config) as folder:
        folder.remove(f"{name}.json")
        folder.sync()


def _replace(folder: Directory, name: str, content: bytes) -> None:
    """Write a file whole before it gets its name; files of people, so without the header of ``safe/files.py``."""
    fresh = f"{name}.new"
    folder.remove(fresh)
    sink = folder.create(fresh)
    with contextlib.closing(sink):
        sink.write(content)
        sink.sync()
    folder.rename(fresh, name)
    folder.sync()
