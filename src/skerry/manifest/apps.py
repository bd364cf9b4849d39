"""One app of what was given: its Compose texts and perhaps an overlay, read through every stage (manifest.md §2).

Neighbours: ``load.py`` sorts the documents of files and calls this for each app; ``canonical.py`` makes what is signed.
"""

from collections.abc import Mapping as Variables

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
from skerry.manifest.values import Manifest, Options, ReadFile, Rejected
from skerry.manifest.wishes import gather_wishes
from skerry.model.ids import TenantName, digest_of


class AppTexts(msgspec.Struct):
    """What one app is made of: Compose texts in their order, and perhaps an overlay of them."""

    compose: list[Place]
    overlay: Place | None = None


def load_app(
    texts: AppTexts,
    contents: list[bytes],
    variables: Variables[str, str],
    options: Options,
    read_file: ReadFile,
) -> Manifest | Rejected:
    """Read one app; ``contents`` are the bytes of the files given, for the digest of its source."""
    findings = Findings()
    combiner = Combiner(findings, read_file, variables)
    if texts.overlay is not None:
        _find_compose(texts, combiner, findings)
    if not texts.compose:
        return Rejected(findings.problems, findings.notes)
    top = combiner.combine(texts.compose)
    manifest = _understand(top, texts.overlay, Reading(findings, variables, read_file, options.root), options)
    source = digest_of(b"\0".join((*contents, *combiner.contents)))
    manifest = msgspec.structs.replace(manifest, source=source, report=findings.notes)
    if not findings.problems:
        excess = find_excess(assemble_revision(manifest, TenantName(""), 1, {}))
        if excess is not None:
            file = (texts.overlay or texts.compose[0]).node.mark.file
            findings.add(msgspec.structs.replace(excess, file=file, line=1, column=1))
    return Rejected(findings.problems, findings.notes, (findings.profile,)) if findings.problems else manifest


def _understand(top: Place, overlay: Place | None, reading: Reading, options: Options) -> Manifest:
    findings = reading.findings
    if overlay is not None:
        overlay = interpolate(overlay, reading.variables, findings)
    check_schema(top, findings)
    wishes = gather_wishes(top, overlay, findings)
    findings.profile = reading.text(reading.find(wishes.top.get("profile")), findings.profile)
    findings.own = options.grants.get(findings.profile)
    off = list_off(top, options, reading)
    walk_fields(top, frozenset(off), findings)
    app = choose_app_name(top, overlay, options, findings)
    if top.find("services") is None:
        findings.complain(top, "E-TYPE", '"services" must be given at the top')
    return read_app(reading, top, app, wishes, off, options)


def _find_compose(texts: AppTexts, combiner: Combiner, findings: Findings) -> None:
    """Find the Compose text of an overlay: beside it, inside it, or in the files that it names."""
    overlay = texts.overlay
    helm = overlay.find("helm") if overlay is not None else None
    if helm is not None:
        findings.not_yet(helm, '"helm"')
    place = overlay.find("compose") if overlay is not None else None
    if overlay is None or place is None:
        if not texts.compose and overlay is not None and helm is None:
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
