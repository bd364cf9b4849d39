"""The console's built files, held in memory, under a policy that lets nothing come from anywhere else.

A file is found by its exact name among those that were there at start, so no path is ever made from a request. Names of
scripts and styles carry their digest and may be kept for ever; the page itself is never kept. Every other path below
``/console/`` is the page too: it has an address for each view.
"""

import functools
import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

#: Built by ``./dev console`` from the sources in ``console/``; packages bring it along.
BUILT = Path(__file__).resolve().parent.parent / "console" / "dist"
PREFIX = "/console/"

#: A page of ours loads from its own origin, talks to its own origin, and stands in nobody's frame.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_GUARDS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_KEEP, _ASK_AGAIN, _KEEP_NOTHING = "public, max-age=31536000, immutable", "no-cache", "no-store"
#: Below this a packed file saves no packet.
_PACKED_FROM = 1_024

_UNBUILT = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Skerry: no console here</title>
<h1>The console is not built</h1>
<p>This core runs from sources, and the pages of its console were not built yet.
In the checkout, run <code>./dev console</code>, install again as before, and start the core again.</p>
<p>Everything works without it: <code>skerry status</code> says how things are.</p></html>
"""


class Served(msgspec.Struct, frozen=True):
    """An answer to a browser that asks for a file."""

    status: int
    content: bytes
    headers: dict[str, str]


class _File(msgspec.Struct, frozen=True):
    content: bytes
    packed: bytes
    media_type: str
    etag: str
    keep: str


class Pages:
    """Answers requests below ``/console/``."""

    def __init__(self, folder: Path = BUILT) -> None:
        self._files = _load(folder)

    def serve(self, path: str, headers: Mapping[str, str]) -> Served:
        """Return the file of ``path``, the page for any other address, 404 for a file that is not there."""
        name = path.removeprefix(PREFIX[:-1]).removeprefix("/")
        found = self._files.get(name)
        if found is None and (name.startswith("assets/") or "index.html" not in self._files):
            is_page = not name.startswith("assets/")
            html = {"Content-Type": _TYPES[".html"], "Cache-Control": _KEEP_NOTHING} | _GUARDS
            return Served(503 if is_page else 404, _UNBUILT if is_page else b"", html)
        file = found or self._files["index.html"]
        told = {"Content-Type": file.media_type, "Cache-Control": file.keep, "Vary": "Accept-Encoding"} | _GUARDS
        if file.keep != _KEEP_NOTHING:
            told["ETag"] = file.etag
            if headers.get("if-none-match") == file.etag:
                return Served(304, b"", told)
        if file.packed and "gzip" in headers.get("accept-encoding", ""):
            return Served(200, file.packed, told | {"Content-Encoding": "gzip"})
        return Served(200, file.content, told)


@functools.cache
def _load(folder: Path) -> dict[str, _File]:
    """Read every file below ``folder``; empty when nothing was built."""
    found: dict[str, _File] = {}
    for path in sorted(folder.rglob("*")):
        media_type = _TYPES.get(path.suffix)
        if media_type is None or not path.is_file():
            continue
        name, content = path.relative_to(folder).as_posix(), path.read_bytes()
        packed = gzip.compress(content, 9, mtime=0) if len(content) >= _PACKED_FROM else b""
        keep = _KEEP if name.startswith("assets/") else _KEEP_NOTHING if path.suffix == ".html" else _ASK_AGAIN
        etag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
        found[name] = _File(content, packed if len(packed) < len(content) else b"", media_type, etag, keep)
    return found
