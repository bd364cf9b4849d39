"""Manifests for tests: written without indentation of the test, read with one call, problems as short lines."""

import textwrap
from pathlib import Path

from skerry.manifest.load import load_manifest
from skerry.manifest.values import FileRead, FolderRead, Manifest, Options, Rejected, Unreadable
from skerry.model.app import ImageRef
from skerry.model.ids import digest_of

DATA = Path(__file__).parent.parent / "data"


def read(text, variables=None, files=None, **options):
    """Load one text; ``files`` are what lies beside it, a mapping being a folder."""

    def read_file(path):
        if path not in (files or {}):
            return Unreadable("does not exist", is_missing=True)
        content = files[path]
        if isinstance(content, dict):
            return FolderRead({name: FileRead(inner, name.endswith(".sh")) for name, inner in content.items()})
        return FileRead(content, path.endswith(".sh"))

    content = text if isinstance(text, bytes) else textwrap.dedent(text).encode()
    options.setdefault("project", "app")
    return load_manifest([("x.yaml", content)], variables or {}, options=Options(**options), read_file=read_file)


def accept(text, variables=None, files=None, **options):
    """Load a text that must be sound."""
    manifest = read(text, variables, files, **options)
    assert isinstance(manifest, Manifest), "\n".join(lines_of(manifest))
    return manifest


def service(fields, variables=None, files=None, top="", **options):
    """Load a text with one service ``web``, whose further fields are given, and return the service."""
    return accept(wrap(fields, top), variables, files, **options).services["web"]


def wrap(fields, top=""):
    """Return the text of an app with one service ``web``."""
    inner = textwrap.indent(textwrap.dedent(fields).strip("\n"), "    ")
    return "\n".join(filter(None, ("services:\n  web:\n    image: nginx", inner, textwrap.dedent(top))))


def reject(text, variables=None, files=None, **options):
    """Load a text that must not be sound; return ``line code pointer`` for each problem."""
    rejected = read(text, variables, files, **options)
    assert isinstance(rejected, Rejected)
    return [f"{one.line} {one.code} {one.pointer}" for one in rejected.problems]


def refuse(fields, variables=None, files=None, top="", **options):
    """Load a service ``web`` that must not be sound; return ``code pointer`` for each problem, seen from ``web``."""
    rejected = read(wrap(fields, top), variables, files, **options)
    assert isinstance(rejected, Rejected)
    return [f"{one.code} {one.pointer.removeprefix('/services/web/')}" for one in rejected.problems]


def tell(text):
    """Load a text that must not be sound; return ``column code: message`` for each problem."""
    rejected = read(text)
    assert isinstance(rejected, Rejected)
    return [f"{one.column} {one.code}: {one.detail}" for one in rejected.problems]


def lines_of(rejected):
    """Return problems in full."""
    return [f"{one.line}:{one.column} {one.code} {one.pointer}: {one.detail}" for one in rejected.problems]


def image_of(name):
    """Return a made-up resolved image."""
    return ImageRef(name=name, digest=digest_of(name.encode()), config=digest_of(b"c" + name.encode()), size_bytes=1000)
