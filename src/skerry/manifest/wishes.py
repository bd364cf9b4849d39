"""Where the words of ``x-skerry`` stand in the files at hand: in the Compose text, in an overlay, or in both.

An overlay's word wins whole over the same word of the Compose text, and the report says so. Everything is held against
the vocabulary here, once. Neighbours: ``words.py`` is the vocabulary, ``placement.py`` reads the words that are built.
"""

import msgspec

from skerry.manifest.findings import Findings
from skerry.manifest.nodes import Place
from skerry.manifest.word_types import check_words
from skerry.manifest.words import OVERLAY, SECTIONS, TOP, find_homes

#: Word of the vocabulary to the place of its value.
Given = dict[str, Place]


class Wishes(msgspec.Struct, frozen=True):
    """The words of the whole manifest, whichever file said them."""

    top: Given
    #: By the name that Compose has for the service.
    services: dict[str, Given]
    #: The words of each secret that has any; an overlay's in place of the Compose text's.
    secrets: dict[str, Place] = {}
    #: The words of each network that has any, by Compose's name of it.
    networks: dict[str, Given] = {}
    #: The words of each volume that has any, by Compose's name of it.
    volumes: dict[str, Given] = {}


def gather_wishes(compose: Place, overlay: Place | None, findings: Findings) -> Wishes:
    """Check and collect every word; those of ``overlay`` stand there without ``x-skerry``."""
    top: Given = {}
    services: dict[str, Given] = {}
    secrets: dict[str, Place] = {}
    networks: dict[str, Given] = {}
    volumes: dict[str, Given] = {}
    words = compose.find("x-skerry")
    if words is not None:
        check_words(words, TOP, findings, find_homes)
        top.update(words.entries())
    for section, vocabulary in SECTIONS.items():
        entries = compose.find(section)
        for name, entry in entries.entries() if entries is not None else ():
            words = entry.find("x-skerry")
            if words is not None:
                check_words(words, vocabulary, findings, find_homes)
                if section == "services":
                    services[name] = dict(words.entries())
                elif section == "secrets":
                    secrets[name] = words
                elif section == "networks":
                    networks[name] = dict(words.entries())
                elif section == "volumes":
                    volumes[name] = dict(words.entries())
    if overlay is not None:
        _check_overlay(overlay, compose, findings)
        _lay_over(top, overlay, findings, frozenset(("app", "compose", *SECTIONS)))
        laid = overlay.find("services")
        for name, entry in laid.entries() if laid is not None else ():
            _lay_over(services.setdefault(name, {}), entry, findings, frozenset())
        laid = overlay.find("secrets")
        secrets |= dict(laid.entries()) if laid is not None else {}
        for section, given in (("networks", networks), ("volumes", volumes)):
            laid = overlay.find(section)
            for name, entry in laid.entries() if laid is not None else ():
                _lay_over(given.setdefault(name, {}), entry, findings, frozenset())
    return Wishes(top, services, secrets, networks, volumes)


def _check_overlay(overlay: Place, compose: Place, findings: Findings) -> None:
    check_words(overlay, OVERLAY, findings, find_homes)
    for section in SECTIONS:
        known = compose.find(section)
        laid = overlay.find(section)
        for name, entry in laid.entries() if laid is not None else ():
            if known is None or known.find(name) is None:
                detail = f'the Compose text has no {section.removesuffix("s")} "{name[:80]}"'
                findings.complain(entry, "E-REFERENCE", detail, at_key=True)


def _lay_over(given: Given, overlay: Place, findings: Findings, apart: frozenset[str]) -> None:
    for name, place in overlay.entries():
        if name in apart:
            continue
        if name in given:
            findings.note(given[name], "translated", "the overlay says it instead")
        given[name] = place
