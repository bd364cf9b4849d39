"""What the top level says of networks: Compose's section of them, and our words beside it.

A network is one of each site by itself, or one over all sites of its app; then its addresses are the fleet's, and what
goes between sites is encrypted. Neighbours: ``networking.py`` reads how services stand in them, ``addresses.py`` their
ranges.
"""

import msgspec

from skerry.manifest.addresses import read_plan
from skerry.manifest.nodes import Place
from skerry.manifest.process import read_labels
from skerry.manifest.reading import Reading
from skerry.manifest.wishes import Given
from skerry.model.app import Network, NetworkPlan, NetworkWords

_KINDS_TO_COME = ("vlan", "macvlan", "ipvlan", "sriov")


def read_network(reading: Reading, place: Place, words: Given) -> Network:
    """Return one network of the top level; ``words`` are its words of ``x-skerry``."""
    said = _read_words(reading, reading.find(place, "driver"), words)
    plan = read_plan(reading, place)
    ranges = reading.find(place, "ipam")
    if said.scope == "app" and plan.subnets and ranges is not None:
        detail = "a network over all sites has addresses of the fleet's plan, which no two networks share"
        reading.findings.complain(ranges, "E-CONFLICT", detail, at_key=True)
    return Network(
        internal=reading.switch(reading.find(place, "internal")),
        labels=read_labels(reading, reading.find(place, "labels")),
        plan=plan if plan != NetworkPlan() else msgspec.UNSET,
        words=said if said != NetworkWords() else msgspec.UNSET,
    )


def _read_words(reading: Reading, driver: Place | None, words: Given) -> NetworkWords:
    stretched = driver is not None and _judge_driver(reading, driver)
    kind_place, scope_place = reading.find(words.get("kind")), reading.find(words.get("scope"))
    kind = reading.text(kind_place) or ("overlay" if stretched else "bridge")
    if kind_place is not None and kind in _KINDS_TO_COME:
        reading.findings.not_yet(kind_place, f'"kind: {kind}"')
    scope = reading.text(scope_place) or ("app" if kind == "overlay" else "site")
    if kind == "overlay" and scope == "app":
        return NetworkWords(kind="overlay", scope="app")
    if kind == "overlay" and scope_place is not None:
        detail = "a network of kind overlay is one over all sites: write scope: app, or kind: bridge"
        reading.findings.complain(scope_place, "E-CONFLICT", detail, at_key=True)
    elif scope == "app" and scope_place is not None:
        detail = "a network over all sites is of kind overlay: write kind: overlay, or scope: site"
        reading.findings.complain(scope_place, "E-CONFLICT", detail, at_key=True)
    return NetworkWords()


def _judge_driver(reading: Reading, place: Place) -> bool:
    """Say whether Compose's driver means a network over all sites."""
    name = reading.text(place)
    match name:
        case "" | "bridge":
            pass
        case "overlay":
            reading.findings.note(place, "translated", "kind: overlay, scope: app: one network over all sites")
            return True
        case "macvlan" | "ipvlan":
            reading.findings.not_yet(place, f'the network driver "{name}"')
        case "host" | "none":
            reading.findings.refuse(place, f'networks are private to the app, and "{name}" is not')
        case _:
            reading.findings.refuse(place, f'the network driver "{name[:40]}" is none that a site has')
    return False
