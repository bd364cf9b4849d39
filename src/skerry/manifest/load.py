"""The way from files to apps and definitions: documents are told apart, and each is read (manifest.md §1, §2).

``load_stream`` is the room's entry, ``load_manifest`` the same where one app is meant. They return what they found, and
raise nothing whatever the bytes are. Neighbours: ``apps.py`` reads one app, ``kinds.py`` one document of a kind.
"""

from collections.abc import Mapping as Variables
from collections.abc import Sequence

import msgspec

from skerry.manifest.apps import AppTexts, load_app
from skerry.manifest.findings import FieldNote, Findings
from skerry.manifest.kinds import read_kind
from skerry.manifest.nodes import Mapping, Place, describe_node
from skerry.manifest.tree import read_documents
from skerry.manifest.values import Defined, Manifest, Options, ReadFile, Rejected, Stream, read_nothing
from skerry.model import limits
from skerry.model.errors import Problem


class _Sorted(msgspec.Struct):
    """The documents of all files, by what they are."""

    compose: list[Place]
    overlays: list[Place]
    kinds: list[Place]


def load_manifest(
    files: Sequence[tuple[str, bytes]],
    variables: Variables[str, str],
    *,
    options: Options | None = None,
    read_file: ReadFile = read_nothing,
) -> Manifest | Rejected:
    """Read the one app of some files; see ``load_stream``."""
    found = load_stream(files, variables, options=options, read_file=read_file)
    if isinstance(found, Rejected):
        return found
    if len(found.apps) != 1:
        detail = f"one app is meant here, and there are {len(found.apps)}" if found.apps else "there is no app in it"
        hint = "" if found.apps else "skerry apply -f FILE records what it defines"
        return Rejected((Problem(code="E-TYPE", detail=detail, file=files[0][0], line=1, column=1, hint=hint),))
    return found.apps[0]


def load_stream(
    files: Sequence[tuple[str, bytes]],
    variables: Variables[str, str],
    *,
    options: Options | None = None,
    read_file: ReadFile = read_nothing,
) -> Stream | Rejected:
    """Read everything that some files hold, each with the name that messages have for it.

    Compose texts are merged into one app, as Compose does it. Each overlay is an app; a Compose text given beside one
    is its, beside several each names its own. ``variables`` are the client's: what was set on the command line, the
    environment and ``.env``, already in order.
    """
    options = options or Options()
    findings = Findings()
    contents = [content for _, content in files]
    if sum(map(len, contents)) > limits.MANIFEST_BYTES_MAX:
        detail = f"all files together have at most {limits.MANIFEST_BYTES_MAX} bytes"
        return Rejected((Problem(code="E-LIMIT", detail=detail, file=files[0][0], line=1, column=1),))
    found = _sort_files(files, findings)
    problems, report = list(findings.problems), list(findings.notes)
    definitions: list[Defined] = []
    for place in found.kinds:
        own = Findings()
        defined = read_kind(place, variables, own)
        definitions += [] if defined is None or own.problems else [defined]
        problems += own.problems
        report += own.notes
    apps: list[Manifest] = []
    profiles: list[str] = []
    for texts in _part_apps(found, options, problems):
        app = load_app(texts, contents, variables, options, read_file)
        if isinstance(app, Rejected):
            problems += app.problems
        else:
            apps.append(app)
        profiles += app.profiles if isinstance(app, Rejected) else (app.profile,)
        report += app.report
    problems += _find_doubles(definitions, [each for each in found.overlays if len(found.overlays) > 1], apps)
    if problems:
        ordered = (tuple(sorted(dict.fromkeys(problems), key=_order)), tuple(sorted(report, key=_order)))
        return Rejected(*ordered, tuple(dict.fromkeys(profiles)))
    brought = tuple(definitions)
    return Stream(definitions=brought, apps=tuple(msgspec.structs.replace(app, brought=brought) for app in apps))


def _sort_files(files: Sequence[tuple[str, bytes]], findings: Findings) -> _Sorted:
    """Read every file and tell by its words at the top what each document of it is."""
    found = _Sorted([], [], [])
    count = 0
    for name, content in files:
        tops = _read_tops(name, content, findings)
        count += len(tops)
        for place in tops:
            if place.find("apiVersion") is not None:
                found.kinds.append(place)
            elif place.find("app") is not None:
                found.overlays.append(place)
            elif len(tops) > 1:
                hint = "write it as an overlay: app: NAME, and compose: with its path"
                findings.complain(place, "E-TYPE", "a Compose text stands alone in its file", hint=hint)
            else:
                found.compose.append(place)
    if not files:
        findings.add(Problem(code="E-TYPE", detail="no file was given"))
    if count > limits.MANIFEST_DOCUMENTS_MAX:
        detail = f"all files together have at most {limits.MANIFEST_DOCUMENTS_MAX} documents, these have {count}"
        findings.add(Problem(code="E-LIMIT", detail=detail, file=files[0][0], line=1, column=1))
        return _Sorted([], [], [])
    return found


def _part_apps(found: _Sorted, options: Options, problems: list[Problem]) -> list[AppTexts]:
    """Return the texts of each app."""
    if not found.overlays:
        return [AppTexts(found.compose)] if found.compose else []
    if len(found.overlays) == 1:
        return [AppTexts(found.compose, found.overlays[0])]
    for place in found.compose:
        detail = f"which of the {len(found.overlays)} apps it belongs to is not said"
        problems.append(_problem(place, "E-CONFLICT", detail, "name it in compose: of its app"))
    if options.project is not None:
        detail = f"there are {len(found.overlays)} apps, and one name is given for all"
        problems.append(_problem(found.overlays[1], "E-CONFLICT", detail, "leave --name and COMPOSE_PROJECT_NAME out"))
    return [AppTexts([], place) for place in found.overlays]


def _find_doubles(definitions: list[Defined], overlays: list[Place], apps: list[Manifest]) -> list[Problem]:
    """Find what is defined twice: which one is meant nobody can say."""
    problems: list[Problem] = []
    seen: dict[tuple[str, str], Defined] = {}
    for each in definitions:
        first = seen.setdefault((each.kind, each.name), each)
        if first is not each:
            file = f"{first.file}, " if first.file != each.file else ""
            detail = f"{each.name} is defined twice, first in {file}line {first.line}"
            problems.append(
                Problem(code="E-CONFLICT", detail=detail, file=each.file, line=each.line, column=each.column)
            )
    names = [app.app for app in apps]
    for place in overlays:
        named = place.find("app")
        if named is not None and names.count(named.value) > 1:  # type: ignore[arg-type]
            problems.append(_problem(named, "E-CONFLICT", f"the app {named.value} stands here twice"))
    return problems


def _read_tops(name: str, content: bytes, findings: Findings) -> list[Place]:
    documents, problems = read_documents(content, name)
    for problem in problems:
        findings.add(problem)
    tops = [Place(document) for document in documents]
    if len(tops) > 1:
        # What stands between two lines of --- and says nothing is no document of anything.
        tops = [top for top in tops if not top.is_null]
    if not tops and not problems:
        findings.add(Problem(code="E-TYPE", detail="the file is empty", file=name, line=1, column=1))
    for top in tops:
        if not isinstance(top.node, Mapping):
            shown = "the file is empty" if top.is_null else f"{describe_node(top.node)} is not a mapping with services:"
            findings.complain(top, "E-TYPE", shown)
    return [top for top in tops if isinstance(top.node, Mapping)]


def _problem(place: Place, code: str, detail: str, hint: str = "") -> Problem:
    mark = place.node.mark
    return Problem(code, detail, place.pointer, mark.file, mark.line, mark.column, hint)


def _order(one: Problem | FieldNote) -> tuple[str, int, int, str, str]:
    return (one.file, one.line, one.column, one.pointer, one.code if isinstance(one, Problem) else "")
