"""``skerry init``: the first lines of a manifest, in a file of its own or at the end of a Compose file that is there.

What stands in a Compose file stays byte for byte, comments and all: the words of ``x-skerry`` are put behind it, and
only where the whole still reads as one file with them. A vendor's file is left alone by ``--overlay``. A comment tells
editors of the schema, which is written beside the manifest: so it helps without a network, and for whoever has a copy.
"""

import json
import os
from pathlib import Path

import click

from skerry.cli.asking import confirm
from skerry.cli.options import pass_session, with_dry_run, with_yes
from skerry.cli.output import tell
from skerry.cli.session import Session
from skerry.manifest.editor import FILE, LINE, write_schema
from skerry.manifest.nodes import Mapping, Place, to_plain
from skerry.manifest.report import format_problems
from skerry.manifest.tree import read_documents
from skerry.model import limits
from skerry.model.errors import Conflict, Invalid, NotFound, Refused
from skerry.model.selector import SelectorError, parse_selector
from skerry.sdk.manifests import ManifestRefused, read_manifest

_START = f"""\
{LINE}
# An app: a Compose file, and x-skerry for what many places need. What a word means: skerry explain WORD
services:
  web:
    # Sites run images that the core has: skerry image import IMAGE, or skerry image push FILE
    image: docker.io/library/nginx:1.27
    ports: ["8080:80"]
"""
_WORDS = """\
{indent}placement:
{sites}
{indent}  replicas:
{indent}    per-site: 1  # at each of these sites; or `total: 2`, wherever there is room
"""
_NO_SITES = """\
{indent}  # Which sites, by their labels; without it all sites of yours:
{indent}  # sites: {{match: ["tier=store"]}}"""
_OVERLAY_NAME = "skerry.yaml"
#: The schema says in its first lines what it is.
_SCHEMA_HEAD_BYTES = 512


@click.command()
@click.option("--from", "source", metavar="FILE", help="Add x-skerry to this Compose file; its comments stay.")
@click.option("--overlay", is_flag=True, help="With --from: leave the file alone and write skerry.yaml beside it.")
@click.option("--to", "target", metavar="FILE", help="The file to write; compose.yaml by default.")
@click.option("--sites", default="", metavar="SELECTOR", help="Which sites, for example tier=store.")
@with_yes
@with_dry_run
@pass_session
def init(
    session: Session, source: str | None, overlay: bool, target: str | None, sites: str, yes: bool, dry_run: bool
) -> None:
    """Write a small commented manifest, or add x-skerry to a Compose file. Needs no core."""
    if (overlay and source is None) or (source is not None and target is not None and not overlay):
        raise click.UsageError("--overlay goes with --from; --to with --overlay or alone.")
    _check_sites(sites)
    if source is None:
        path, text, asked = Path(target or "compose.yaml"), _START + "x-skerry:\n" + _write_words(sites, "  "), ""
    elif overlay:
        path = Path(target) if target else Path(source).with_name(_OVERLAY_NAME)
        text, asked = _write_overlay(Path(source), path, sites), ""
    else:
        path, asked = Path(source), f"Add x-skerry to the end of {source}?"
        text = _extend(path, sites)
    if dry_run:
        click.echo(text, nl=False)
        return
    if asked:
        confirm(session, asked, yes=yes)
    elif path.exists():
        raise Conflict("E-EXISTS", f"{path} is there already.", hint="skerry init --from FILE, or --to another file")
    schema = path.with_name(FILE)
    _check_schema(schema)
    _replace(path, text)
    _replace(schema, write_schema())
    tell(f"{path} is written, and {FILE} for editors")
    _tell_next(session, path)


def _check_sites(sites: str) -> None:
    try:
        parse_selector(sites)
    except SelectorError as error:
        raise click.BadParameter(f"{sites!r} is no selector: {error}.") from error


def _write_words(sites: str, indent: str) -> str:
    chosen = f"{indent}  sites: {{match: [{json.dumps(sites)}]}}" if sites else _NO_SITES.format(indent=indent)
    return _WORDS.format(indent=indent, sites=chosen)


def _write_overlay(source: Path, path: Path, sites: str) -> str:
    """Return an overlay of a Compose file, which is only looked at."""
    top = _read_top(source, _read(source))
    if top.find("x-skerry") is not None:
        raise Conflict("E-EXISTS", f"{source} has x-skerry already.", hint=f"skerry validate -f {source}")
    named = top.find("name")
    app = _name_app(source) if named is None else getattr(named.node, "text", "") or _name_app(source)
    beside = os.path.relpath(source, path.parent)
    compose = beside if beside.startswith("../") else f"./{beside}"
    return (
        f"{LINE}\n# Laid over {source.name}, which stays as it is. What a word means: skerry explain WORD\n"
        f"app: {json.dumps(app)}\ncompose: {json.dumps(compose)}\n{_write_words(sites, '')}"
    )


def _extend(path: Path, sites: str) -> str:
    """Return a Compose file with x-skerry behind all that stands in it."""
    content = _read(path)
    top = _read_top(path, content)
    if top.find("x-skerry") is not None:
        raise Conflict("E-EXISTS", f"{path} has x-skerry already.", hint=f"skerry validate -f {path}")
    words = f"\n{LINE}\n# For many places: skerry explain x-skerry\nx-skerry:\n" + _write_words(sites, "  ")
    text = content if content.endswith("\n") else content + "\n"
    text += words.replace("\n", "\r\n") if "\r\n" in content else words
    documents, problems = read_documents(text.encode(), path.name)
    # Behind a flow mapping, a text or the end of a document the same lines are something else.
    after = Place(documents[0]) if len(documents) == 1 and not problems else None
    if after is None or after.find("x-skerry") is None or not _is_kept(top, after):
        detail = f"Nothing can be put at the end of {path}, as it is written."
        raise Refused("E-YAML", detail, hint=f"skerry init --from {path} --overlay")
    return text


def _is_kept(before: Place, after: Place) -> bool:
    """Say whether all that stood at the top reads as it did."""
    now = {name: to_plain(place.node) for name, place in after.entries() if name != "x-skerry"}
    return now == {name: to_plain(place.node) for name, place in before.entries()}


def _read(path: Path) -> str:
    try:
        with path.open("rb") as source:
            content = source.read(limits.MANIFEST_FILE_BYTES_MAX + 1)
    except FileNotFoundError as error:
        raise NotFound("E-FILE", f"{path} is not there.", hint="skerry init") from error
    except OSError as error:
        raise Refused("E-FILE", f"{path} cannot be read: {error.strerror}.", hint="skerry init --to FILE") from error
    if len(content) > limits.MANIFEST_FILE_BYTES_MAX:
        raise Refused("E-SIZE", f"{path} has more than {limits.MANIFEST_FILE_BYTES_MAX} bytes.", hint="skerry init")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Invalid("E-YAML", f"{path} is no text in UTF-8.", hint=f"skerry validate -f {path}") from error


def _read_top(path: Path, content: str) -> Place:
    documents, problems = read_documents(content.encode(), path.name)
    if problems:
        raise Invalid("E-YAML", f"{path} cannot be read.", problems=tuple(problems), hint=f"skerry validate -f {path}")
    top = Place(documents[0]) if len(documents) == 1 else None
    if top is None or not isinstance(top.node, Mapping) or top.find("services") is None:
        raise Invalid("E-TYPE", f"{path} is no Compose file: it has no services.", hint=f"skerry validate -f {path}")
    return top


def _name_app(source: Path) -> str:
    return source.absolute().parent.name.lower()


def _replace(path: Path, text: str) -> None:
    """Write a file whole before it gets its name; what was there keeps its rights."""
    fresh = path.with_name(path.name + ".new")
    try:
        with fresh.open("x", encoding="utf-8", newline="") as sink:
            sink.write(text)
            sink.flush()
            os.fsync(sink.fileno())
        if path.exists():
            fresh.chmod(path.stat().st_mode & 0o777)
        fresh.replace(path)
    except FileExistsError as error:
        raise Conflict("E-EXISTS", f"{fresh} is left over from before.", hint=f"rm {fresh}") from error
    except OSError as error:
        raise Refused("E-FILE", f"{path} cannot be written: {error.strerror}.", hint="skerry init --to FILE") from error


def _check_schema(path: Path) -> None:
    """Refuse to write over a file that is no schema of ours, of whatever release."""
    try:
        with path.open("rb") as source:
            is_ours = f'"$id": "{FILE}"'.encode() in source.read(_SCHEMA_HEAD_BYTES)
    except FileNotFoundError:
        return
    except OSError as error:
        raise Refused("E-FILE", f"{path} cannot be read: {error.strerror}.", hint="skerry init --to FILE") from error
    if not is_ours:
        raise Conflict("E-EXISTS", f"{path} is there, and is no schema of Skerry.", hint=f"mv {path} {path}.old")


def _tell_next(session: Session, path: Path) -> None:
    """Say what has to change first, where anything has to, and the command that goes on."""
    try:
        manifest = read_manifest([str(path)], environment=session.environment)
    except ManifestRefused as error:
        for line in format_problems(error.problems):
            tell(line)
        tell(f"Next: mend it, then skerry validate -f {path}")
        return
    images = ", ".join(sorted({use.name for use in manifest.images}))
    tell(f"Next: skerry plan -f {path}, once the core has {images}")
