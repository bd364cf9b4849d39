"""Where Swarm's words would put a service: ``deploy.placement`` as selectors over nodes and as spread.

Neighbour: ``placement.py`` joins it with our own words, which win where both speak of spread.
"""

import re

import msgspec

from skerry.manifest.nodes import Place
from skerry.manifest.reading import Reading
from skerry.model.app import Spread
from skerry.model.selector import SelectorError, parse_selector

_CONSTRAINT = re.compile(r"\s*(node\.[A-Za-z0-9_.-]+)\s*(==|!=)\s*(\S+)\s*", re.ASCII)
_LABEL = "node.labels."
#: What Swarm calls a fact of the node, and what it is called here.
_FACTS = {"node.hostname": "node", "node.platform.arch": "arch", "node.platform.os": "os"}
#: Docker's names of processors that differ from ours.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class Swarm(msgspec.Struct, frozen=True):
    """What Swarm's words come to."""

    #: One selector; empty for none.
    node: str = ""
    spread: tuple[Spread, ...] = ()


def read_swarm(reading: Reading, place: Place | None, copies: int) -> Swarm:
    """Return what ``deploy.placement`` asks for; ``copies`` there are at one site at most."""
    terms = [_read_constraint(reading, item) for item in reading.texts(reading.find(place, "constraints"))]
    spread: list[Spread] = []
    for item in reading.texts(reading.find(place, "preferences")):
        word = reading.find(item, "spread")
        text = reading.text(word)
        if word is not None and text.startswith(_LABEL) and _is_term(f"{text.removeprefix(_LABEL)}=x"):
            spread.append(Spread(by=f"label:{text.removeprefix(_LABEL)}"))
        elif word is not None:
            reading.findings.refuse(word, f'copies are not spread by "{text[:60]}": write node.labels.KEY')
    most = reading.find(place, "max_replicas_per_node")
    limit = reading.whole(most, 0, 1_000_000, 0)
    if most is not None and 0 < limit < copies:
        reading.findings.not_yet(most, f"at most {limit} of {copies} copies on one node")
    return Swarm(node=", ".join(filter(None, terms)), spread=tuple(spread))


def _read_constraint(reading: Reading, place: Place) -> str:
    text = reading.text(place)
    found = _CONSTRAINT.fullmatch(text)
    if found is None:
        reading.findings.complain(place, "E-TYPE", f'"{text[:60]}" is not a constraint: write node.labels.KEY == VALUE')
        return ""
    field, sign, value = found[1], found[2], found[3]
    key = field.removeprefix(_LABEL) if field.startswith(_LABEL) else _FACTS.get(field, "")
    if not key:
        reading.findings.refuse(place, f'nodes of a site have nothing like "{field[:60]}"')
        return ""
    value = _ARCHITECTURES.get(value, value) if key == "arch" else value
    term = f"{key}={value}" if sign == "==" else f"{key}!={value}"
    if not _is_term(term):
        reading.findings.complain(place, "E-TYPE", f'"{term[:60]}" is no label of a node')
        return ""
    reading.findings.note(place, "translated", f"node: {term}")
    return term


def _is_term(text: str) -> bool:
    try:
        return len(parse_selector(text).terms) == 1
    except SelectorError:
        return False
