"""Names of images as people write them, taken apart as engines do: host, path, tag or digest."""

import re

import msgspec

from skerry.model.errors import Invalid
from skerry.model.ids import is_digest

#: What a name without a host means.
DEFAULT_REGISTRY = "docker.io"

_PATH = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?:(?P<host>localhost|[A-Za-z0-9.-]+\.[A-Za-z0-9-]+|[A-Za-z0-9.-]+(?=:\d)|\[[0-9a-f:]+\])(?P<port>:\d{{1,5}})?/)?"
    rf"(?P<path>{_PATH}(?:/{_PATH})*)(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}}))?(?:@(?P<digest>sha256:[0-9a-f]{{64}}))?",
    re.ASCII,
)


class Reference(msgspec.Struct, frozen=True):
    """A name of an image as people write it, taken apart; ``registry`` is ``host[:port]``."""

    registry: str
    repository: str
    #: A tag, or a digest.
    version: str

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}{'@' if is_digest(self.version) else ':'}{self.version}"


def parse_reference(text: str) -> Reference:
    """Read ``[host[:port]/]path[:tag][@digest]`` as engines do; raises ``Invalid``."""
    found = _REFERENCE.fullmatch(text) if len(text) <= 512 else None
    if found is None:
        raise Invalid("E-IMAGE", f"{text[:120]!r} is no name of an image.", hint="docker.io/library/nginx:1.27 is one")
    registry = (found["host"] or DEFAULT_REGISTRY) + (found["port"] or "")
    path = found["path"]
    if registry == DEFAULT_REGISTRY and "/" not in path:
        path = f"library/{path}"
    return Reference(registry, path, found["digest"] or found["tag"] or "latest")


def full_name(text: str) -> str:
    """Return the name with registry and tag spelt out; what is no name of an image is returned as it is."""
    try:
        return str(parse_reference(text))
    except Invalid:
        return text
