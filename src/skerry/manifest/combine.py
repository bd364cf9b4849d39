"""One Compose document out of many files: variables, ``include``, ``extends``, and files laid over each other.

Each file has its variables put in before anything else is done with it, as in Compose. Only local files are read, by
the caller's reader; how deep and how wide files may name each other is limited. Neighbours: ``merge.py`` has the
rules of merging, ``rebase.py`` those of paths; ``load.py`` asks.
"""

import posixpath
from collections.abc import Mapping as Variables

from skerry.manifest.dotenv import DotenvError, parse_dotenv
from skerry.manifest.findings import Findings
from skerry.manifest.interpolate import Budget, interpolate, read_variable
from skerry.manifest.merge import MergeLimitError, Merger
from skerry.manifest.nodes import Entry, Mapping, Node, Place, Scalar, Sequence, describe_node, to_plain
from skerry.manifest.rebase import join_path, rebase
from skerry.manifest.tree import read_documents
from skerry.manifest.values import FileRead, ReadFile, Unreadable
from skerry.model import limits
from skerry.model.errors import Problem

#: Sections that an included file brings along.
_SECTIONS = ("services", "networks", "volumes", "configs", "secrets")
_REMOTE = ("oci:", "git@", "github.com/", "git:")


class Combiner:
    """Reads the Compose files of one manifest."""

    def __init__(self, findings: Findings, read_file: ReadFile, variables: Variables[str, str]) -> None:
        self._findings = findings
        self._read_file = read_file
        self._variables = variables
        self._budget = Budget()
        self._merger = Merger()
        self._documents: dict[tuple[str, str, int], Place | None] = {}
        #: Keeps them alive, so that their ids stay theirs.
        self._layers: list[Variables[str, str]] = [variables]
        #: Services with their bases put in, by file and name.
        self._extended: dict[tuple[str, str], Node] = {}
        #: Bytes of every file that was read on the way, for the digest of the source.
        self.contents: list[bytes] = []

    def combine(self, tops: list[Place]) -> Place:
        """Return the files as one document, later ones laid over earlier ones; not empty."""
        result: Place | None = None
        for top in tops:
            put = interpolate(top, self._variables, self._findings, self._budget)
            found = self._extend(self._include(put, "", self._variables, ()), result)
            result = found if result is None else self._lay_over(result, found)
        assert result is not None
        return Place(self._merger.strip(result.node), result.pointer, result.key_mark)

    def read(self, place: Place, path: str) -> Mapping | None:
        """Return the one document of a file that ``place`` names, as it stands there; None after a complaint."""
        if "://" in path or path.startswith(_REMOTE):
            self._findings.refuse(place, f"{path[:80]} is not on this machine, and only local files are read")
            return None
        if len(self.contents) >= limits.MANIFEST_FILES_MAX:
            detail = f"a manifest is made of at most {limits.MANIFEST_FILES_MAX} files"
            self._findings.complain(place, "E-LIMIT", detail)
            return None
        read = self._read_file(path)
        if not isinstance(read, FileRead):
            self._findings.complain(place, "E-REFERENCE", f"{path[:80]} {_reason(read)}")
            return None
        self.contents.append(read.content)
        if sum(map(len, self.contents)) > limits.MANIFEST_BYTES_MAX:
            detail = f"all files together have at most {limits.MANIFEST_BYTES_MAX} bytes"
            self._findings.complain(place, "E-LIMIT", detail)
            return None
        documents, problems = read_documents(read.content, path)
        for problem in problems:
            self._findings.add(problem)
        if len(documents) == 1 and isinstance(documents[0], Mapping):
            return documents[0]
        if not problems:
            detail = "a Compose file holds one document, and that is a mapping"
            self._findings.add(Problem(code="E-TYPE", detail=detail, file=path, line=1, column=1))
        return None

    # --- one file ----------------------------------------------------------------------------------------------------

    def _load(self, place: Place, path: str, folder: str, variables: Variables[str, str]) -> Place | None:
        """Read a further file once: variables put in, paths in it as seen from our folder."""
        key = (path, folder, id(variables))
        if key not in self._documents:
            node = self.read(place, path)
            found = None
            if node is not None:
                put = interpolate(Place(node), variables, self._findings, self._budget)
                found = Place(rebase(put.node, folder))
            self._documents[key] = found
        return self._documents[key]

    def _lay_over(self, base: Place, over: Place) -> Place:
        return Place(self._merge(base.node, over, ()), base.pointer, base.key_mark)

    def _merge(self, base: Node, over: Place, path: tuple[str, ...]) -> Node:
        try:
            return self._merger.merge(base, over.node, path)
        except MergeLimitError as error:
            self._findings.complain(over, "E-LIMIT", str(error))
            return base

    # --- include -----------------------------------------------------------------------------------------------------

    def _include(self, top: Place, folder: str, variables: Variables[str, str], chain: tuple[str, ...]) -> Place:
        wanted = top.find("include")
        if wanted is None:
            return top
        rest = _without(top, "include")
        if not isinstance(wanted.node, Sequence):
            self._findings.complain(wanted, "E-TYPE", f"{describe_node(wanted.node)} is not a list")
            return rest
        if len(chain) >= limits.MANIFEST_CHAIN_MAX:
            detail = f"files include each other at most {limits.MANIFEST_CHAIN_MAX} deep"
            self._findings.complain(wanted, "E-LIMIT", detail)
            return rest
        self._findings.note(wanted, "translated", "read at apply, as if it stood here")
        for item in wanted.elements():
            found = self._read_included(item, folder, variables, chain)
            if found is not None:
                rest = self._import(rest, found, item)
        return rest

    def _read_included(
        self, item: Place, folder: str, variables: Variables[str, str], chain: tuple[str, ...]
    ) -> Place | None:
        place = item.find("path") if isinstance(item.node, Mapping) else item
        paths = [join_path(folder, path) for path in _texts(place)]
        if place is None or not paths or not all(paths):
            self._findings.complain(item, "E-TYPE", "an include is the path of a file, or has a path")
            return None
        named = _texts(item.find("project_directory"))
        inner = join_path(folder, named[0]) if named else posixpath.dirname(paths[0])
        variables = self._read_variables(item, folder, inner, variables)
        result: Place | None = None
        for path in paths:
            if path in chain:
                shown = " → ".join((*chain[chain.index(path) :], path))
                self._findings.complain(place, "E-REFERENCE", f"files include each other in a circle: {shown}")
                return None
            top = self._load(place, path, inner, variables)
            if top is None:
                return None
            found = self._extend(self._include(top, inner, variables, (*chain, path)), result)
            result = found if result is None else self._lay_over(result, found)
        return Place(self._merger.strip(result.node)) if result is not None else None

    def _read_variables(
        self, item: Place, folder: str, inner: str, variables: Variables[str, str]
    ) -> Variables[str, str]:
        """Return the variables of an included file: ours, and below them those of its own environment files."""
        named = item.find("env_file")
        paths = [join_path(folder, path) for path in _texts(named)]
        if named is None and inner in ("", ".", folder):
            return variables
        found: dict[str, str] = {}
        for path in paths or [posixpath.join(inner, ".env")]:
            read = self._read_file(path)
            if not isinstance(read, FileRead):
                if named is not None:
                    self._findings.complain(named, "E-REFERENCE", f"{path[:80]} {_reason(read)}")
                continue
            try:
                values = parse_dotenv(read.content, lambda name: read_variable(variables, name))
            except DotenvError as error:
                self._findings.complain(named or item, "E-TYPE", f"{path[:80]}, {error}")
                continue
            found.update({name: value for name, value in values.items() if value is not None})
        if not found:
            return variables
        self._layers.append({**found, **variables})
        return self._layers[-1]

    def _import(self, top: Place, included: Place, item: Place) -> Place:
        """Take in the parts of an included document; what is there already must be the same."""
        entries = dict(_entries(top.node))
        for section in _SECTIONS:
            brought = included.find(section)
            if brought is None or not isinstance(brought.node, Mapping):
                continue
            known = entries.get(section)
            parts = dict(_entries(known.node)) if known is not None else {}
            for name, entry in brought.node.entries.items():
                if name not in parts:
                    parts[name] = entry
                elif to_plain(parts[name].node) != to_plain(entry.node):
                    detail = f'{section.removesuffix("s")} "{name[:80]}" of an included file stands here too'
                    self._findings.complain(item, "E-CONFLICT", detail)
            home = known or Entry(brought.key_mark or brought.node.mark, brought.node)
            entries[section] = Entry(home.key_mark, Mapping(parts, home.node.mark))
        words = included.find("x-skerry")
        if words is not None:
            self._findings.complain(words, "E-CONFLICT", "words at the top belong into the app's own file", at_key=True)
        return Place(Mapping(entries, top.node.mark, top.node.tag), top.pointer, top.key_mark)

    # --- extends -----------------------------------------------------------------------------------------------------

    def _extend(self, top: Place, before: Place | None) -> Place:
        """Put into each service the one that it extends: of this file, of another, or of an earlier one."""
        services = top.find("services")
        if services is None or not any(one.find("extends") is not None for _, one in services.entries()):
            return top
        earlier = before.find("services") if before is not None else None
        self._extended = {key: node for key, node in self._extended.items() if key[0]}
        parts = {
            name: Entry(one.key_mark or one.node.mark, self._resolve(one, services, earlier, "", ()))
            for name, one in services.entries()
        }
        entries = dict(_entries(top.node))
        entries["services"] = Entry(entries["services"].key_mark, Mapping(parts, services.node.mark, services.node.tag))
        return Place(Mapping(entries, top.node.mark, top.node.tag), top.pointer, top.key_mark)

    def _resolve(
        self, service: Place, services: Place, earlier: Place | None, file: str, chain: tuple[tuple[str, str], ...]
    ) -> Node:
        """Return a service with everything that it extends below it."""
        wanted = service.find("extends")
        if wanted is None:
            return service.node
        key = (file, service.name)
        if key in self._extended:
            return self._extended[key]
        own = _without(service, "extends")
        named = _texts(wanted.find("service") if isinstance(wanted.node, Mapping) else wanted)
        base = None
        if key in chain or len(chain) >= limits.MANIFEST_CHAIN_MAX:
            shown = " → ".join(name for _, name in (*chain, key))
            self._findings.complain(wanted, "E-REFERENCE", f"services extend each other in a circle: {shown[:200]}")
        elif len(named) != 1 or not named[0]:
            self._findings.complain(wanted, "E-TYPE", "extends names a service, or has a service and a file")
        else:
            base = self._find_base(wanted, named[0], services, earlier, file, (*chain, key))
        result = own.node
        if base is not None:
            self._findings.note(wanted, "translated", f'service "{named[0][:80]}" is put below this one')
            result = self._merge(base, own, ("services", service.name))
        self._extended[key] = result
        return result

    def _find_base(
        self,
        wanted: Place,
        name: str,
        services: Place,
        earlier: Place | None,
        file: str,
        chain: tuple[tuple[str, str], ...],
    ) -> Node | None:
        other = _texts(wanted.find("file"))
        if other and other[0] != file:
            path = other[0]
            top = self._load(wanted, path, posixpath.dirname(path), self._variables)
            services = (top.find("services") if top is not None else None) or Place(Mapping({}, wanted.node.mark))
            if top is None:
                return None
            earlier, file = None, path
        found = services.find(name)
        if found is not None:
            return self._resolve(found, services, earlier, file, chain)
        found = earlier.find(name) if earlier is not None else None
        if found is None:
            where = f" in {file}" if file else ""
            self._findings.complain(wanted, "E-REFERENCE", f'there is no service "{name[:80]}"{where}')
        return found.node if found is not None else None


def _reason(read: object) -> str:
    return read.reason if isinstance(read, Unreadable) else "is a folder"


def _entries(node: Node) -> dict[str, Entry]:
    return node.entries if isinstance(node, Mapping) else {}


def _without(place: Place, name: str) -> Place:
    entries = {key: entry for key, entry in _entries(place.node).items() if key != name}
    return Place(Mapping(entries, place.node.mark, place.node.tag), place.pointer, place.key_mark)


def _texts(place: Place | None) -> list[str]:
    """Return one text or a list of them; what is neither is empty."""
    if place is None:
        return []
    items = place.node.items if isinstance(place.node, Sequence) else (place.node,)
    return [item.text if isinstance(item, Scalar) and isinstance(item.value, str) else "" for item in items]
