"""The way from files to an app: text, tree, variables, schema, field table, vocabulary, meaning (manifest.md §2).

``load_manifest`` is the room's entry. It returns what it found, and raises nothing whatever the bytes are. Neighbour:
``canonical.py`` makes the signed form of what comes out.
"""

from collections.abc import Mapping as Variables
from collections.abc import Sequence

import msgspec

from skerry.manifest.canonical import assemble_revision, find_excess
from skerry.manifest.combine import Combiner
from skerry.manifest.fields import walk_fields
from skerry.manifest.findings import Findings
from skerry.manifest.interpolate import interpolate
from skerry.manifest.meaning import choose_app_name, list_off, read_app
from skerry.manifest.nodes import Entry, Mapping, Place, Scalar, describe_node
from skerry.manifest.nodes import Sequence as ListNode
from skerry.manifest.reading import Reading
from skerry.manifest.schema import check_schema
from skerry.manifest.tree import read_documents
from skerry.manifest.values import Manifest, Options, ReadFile, Rejected, read_nothing
from skerry.manifest.wishes import gather_wishes
from skerry.model import limits
from skerry.model.errors import Problem
from skerry.model.ids import TenantName, digest_of


class _Texts(msgspec.Struct):
    """The documents of the files given: Compose texts in their order, and perhaps an overlay of them."""

    compose: list[Place]
    overlay: Place | None = None


def load_manifest(
    files: Sequence[tuple[str, bytes]],
    variables: Variables[str, str],
    *,
    options: Options | None = None,
    read_file: ReadFile = read_nothing,
) -> Manifest | Rejected:
    """Read an app from its files, each with the name that messages have for it.

    ``variables`` are the client's: what was set on the command line, the environment and ``.env``, already in order.
    """
    options = options or Options()
    findings = Findings()
    contents = [content for _, content in files]
    if sum(map(len, contents)) > limits.MANIFEST_BYTES_MAX:
        detail = f"all files together have at most {limits.MANIFEST_BYTES_MAX} bytes"
        return Rejected((Problem(code="E-LIMIT", detail=detail, file=files[0][0], line=1, column=1),))
    texts = _sort_files(files, findings)
    combiner = Combiner(findings, read_file, variables)
    if texts.overlay is not None:
        _find_compose(texts, combiner, findings)
    if not texts.compose:
        return Rejected(findings.problems, findings.notes)
    top = combiner.combine(texts.compose)
    contents += combiner.contents
    manifest = _understand(top, texts.overlay, Reading(findings, variables, read_file, options.root), options)
    manifest = msgspec.structs.replace(manifest, source=digest_of(b"\0".join(contents)), report=findings.notes)
    if not findings.problems:
        excess = find_excess(assemble_revision(manifest, TenantName(""), 1, {}))
        if excess is not None:
            findings.add(msgspec.structs.replace(excess, file=files[0][0], line=1, column=1))
    return Rejected(findings.problems, findings.notes) if findings.problems else manifest


def _understand(top: Place, overlay: Place | None, reading: Reading, options: Options) -> Manifest:
    findings = reading.findings
    if overlay is not None:
        overlay = interpolate(overlay, reading.variables, findings)
    check_schema(top, findings)
    wishes = gather_wishes(top, overlay, findings)
    findings.profile = reading.text(reading.find(wishes.top.get("profile")), findings.profile)
    off = list_off(top, options, reading)
    walk_fields(top, frozenset(off), findings)
    app = choose_app_name(top, overlay, options, findings)
    if top.find("services") is None:
        findings.complain(top, "E-TYPE", '"services" must be given at the top')
    return read_app(reading, top, app, wishes, off, options)


def _sort_files(files: Sequence[tuple[str, bytes]], findings: Findings) -> _Texts:
    """Read every file and tell by its words at the top what it is."""
    texts = _Texts([])
    for name, content in files:
        for place in _read_tops(name, content, findings):
            _sort_document(place, texts, findings)
    if not files:
        findings.add(Problem(code="E-TYPE", detail="no file was given"))
    return texts


def _sort_document(place: Place, texts: _Texts, findings: Findings) -> None:
    kind = place.find("apiVersion")
    if kind is not None:
        findings.not_yet(kind, "a document of a kind other than an app")
    elif place.find("app") is None:
        texts.compose.append(place)
    elif texts.overlay is not None:
        findings.not_yet(place, "a second overlay")
    else:
        helm = place.find("helm")
        if helm is not None:
            findings.not_yet(helm, '"helm"')
        texts.overlay = place


def _read_tops(name: str, content: bytes, findings: Findings) -> list[Place]:
    documents, problems = read_documents(content, name)
    for problem in problems:
        findings.add(problem)
    tops = [Place(document) for document in documents]
    if len(tops) > 1:
        findings.not_yet(tops[1], "a stream of several documents")
        return []
    if not tops and not problems:
        findings.add(Problem(code="E-TYPE", detail="the file is empty", file=name, line=1, column=1))
    for top in tops:
        if not isinstance(top.node, Mapping):
            shown = "the file is empty" if top.is_null else f"{describe_node(top.node)} is not a mapping with services:"
            findings.complain(top, "E-TYPE", shown)
    return [top for top in tops if isinstance(top.node, Mapping)]


def _find_compose(texts: _Texts, combiner: Combiner, findings: Findings) -> None:
    """Find the Compose text of an overlay: beside it, inside it, or in the files that it names."""
    overlay = texts.overlay
    place = overlay.find("compose") if overlay is not None else None
    if overlay is None or place is None:
        if not texts.compose and overlay is not None and overlay.find("helm") is None:
            findings.complain(overlay, "E-TYPE", '"compose" must be given at the top')
        return
    texts.overlay = _without_compose(overlay)
    if texts.compose:
        findings.note(place, "translated", "the Compose file that was given beside it")
    elif isinstance(place.node, Mapping):
        texts.compose = [place]
    else:
        for path in list(place.elements()) if isinstance(place.node, ListNode) else [place]:
            found = _read_named(path, combiner, findings)
            if found is not None:
                texts.compose.append(found)


def _read_named(place: Place, combiner: Combiner, findings: Findings) -> Place | None:
    path = place.node.text if isinstance(place.node, Scalar) else ""
    if not path or "$" in path:
        findings.complain(place, "E-TYPE", f"{describe_node(place.node)} is not the path of a Compose file")
        return None
    node = combiner.read(place, path)
    return Place(node) if node is not None else None


def _without_compose(overlay: Place) -> Place:
    entries = {name: Entry(place.key_mark or place.node.mark, place.node) for name, place in overlay.entries()}
    entries.pop("compose", None)
    return msgspec.structs.replace(overlay, node=Mapping(entries, overlay.node.mark))
