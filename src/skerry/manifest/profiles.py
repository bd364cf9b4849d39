"""A document of kind ``Profile``: what an operator grants some tenants at some sites, read with every problem at once.

It stands in a file of its own, and the operator's signer signs what it says into the records of sites.
"""

from collections.abc import Callable
from collections.abc import Mapping as Variables
from typing import TypeVar

import msgspec

from skerry.manifest.findings import Findings
from skerry.manifest.interpolate import interpolate
from skerry.manifest.nodes import Mapping, Place, describe_node
from skerry.manifest.reading import Reading
from skerry.manifest.tree import read_documents
from skerry.manifest.values import Rejected, read_nothing
from skerry.manifest.word_types import NAME, SELECTOR, SWITCH, TEXT, Choice, Either, Group, Many, Word, check_words
from skerry.manifest.words import find_homes
from skerry.manifest.words_kinds import API_VERSION, HEAD_OF_KIND
from skerry.model.errors import Problem
from skerry.model.grants import (
    NAMESPACES,
    SECURITY,
    WEAKER,
    BindGrant,
    Namespace,
    Profile,
    find_bind_flaw,
    find_capability_flaw,
    find_pattern_flaw,
    find_rule_flaw,
)
from skerry.model.ids import TenantName
from skerry.model.lan import find_grant_flaw
from skerry.model.limits import GRANTS_MAX
from skerry.model.profile import CAPABILITIES, PROFILES

_BIND = Group(
    (
        Word("path", TEXT, "a path of the node", built=True),
        Word("writable", SWITCH, "its files are the instance's own: its root is the node's there", "false", built=True),
    )
)
#: Words of the spec.
SPEC = (
    Word("description", TEXT, "for people", built=True),
    Word("tenants", Many(NAME), "whose apps may name the profile", built=True),
    Word("sites", Many(SELECTOR), "at which of the sites that there are", "all", built=True),
    Word("capabilities", Many(TEXT), "beyond those of profile default, without CAP_", built=True),
    Word("devices", Many(TEXT), "device nodes, as /dev/ttyUSB*, and vendors' devices, as intel.com/vpu=*", built=True),
    Word("device-rules", Many(TEXT), "rules of the control group, as c 189:* rwm", built=True),
    Word("host", Many(Choice(NAMESPACES)), "namespaces of the node that an instance may be in", built=True),
    Word("binds", Many(Either((TEXT, _BIND))), "paths of the node, what is below with them", built=True),
    Word("privileged", SWITCH, "all capabilities in its own namespaces, and all device nodes", "false", built=True),
    Word("cpuset", SWITCH, "may choose its processors", "false", built=True),
    Word("interfaces", Many(TEXT), "network devices that networks may be at, as lan0, and lan0/100-199", built=True),
    Word("security", Many(TEXT), "protection that may be given up, as seccomp=unconfined", built=True),
)
_WORDS = (*HEAD_OF_KIND, Word("spec", Group(SPEC), "what it grants", built=True))

T = TypeVar("T")


class GivenProfile(msgspec.Struct, frozen=True, kw_only=True):
    """A profile as its file says it, and where it is to hold."""

    name: str
    profile: Profile
    #: Selectors of sites, any of which may match; none means every site.
    sites: tuple[str, ...] = ()


def read_profile(content: bytes, file: str, variables: Variables[str, str]) -> GivenProfile | Rejected:
    """Read the one document of a file."""
    findings = Findings()
    nodes, problems = read_documents(content, file)
    for problem in problems:
        findings.add(problem)
    if len(nodes) != 1:
        if not problems:
            detail = f"one document of kind Profile belongs here, this has {len(nodes)}"
            findings.add(Problem("E-TYPE", detail, file=file, line=1, column=1))
        return Rejected(findings.problems)
    place = interpolate(Place(nodes[0]), variables, findings)
    if not isinstance(place.node, Mapping):
        findings.complain(place, "E-TYPE", f"{describe_node(place.node)} is no document of kind Profile")
        return Rejected(findings.problems)
    for word, wanted in (("apiVersion", API_VERSION), ("kind", "Profile")):
        given = place.find(word)
        if given is None or given.value != wanted:
            findings.complain(given or place, "E-TYPE", f"write {word}: {wanted}", at_key=given is None)
    check_words(place, _WORDS, findings, find_homes)
    found = _read(Reading(findings, variables, read_nothing), place)
    return Rejected(findings.problems) if findings.problems else found


def _read(reading: Reading, place: Place) -> GivenProfile:
    name = reading.find(place, "metadata", "name")
    # Not by ``reading.find``: what is wrong with one grant does not hide what is wrong with another.
    spec = place.find("spec")
    for word, found in (("metadata.name", name), ("spec", spec)):
        if found is None and reading.findings.is_sound(place):
            reading.findings.complain(place, "E-TYPE", f'"{word}" must be given')
    if name is not None and reading.text(name) in PROFILES:
        reading.findings.complain(name, "E-CONFLICT", f"{reading.text(name)} is built in and grants what it grants")

    def items(word: str, read: Callable[[Reading, Place], T]) -> tuple[T, ...]:
        places = reading.texts(reading.find(spec, word))
        if len(places) > GRANTS_MAX:
            detail = f"a profile has at most {GRANTS_MAX} of one sort, this has {len(places)}"
            reading.findings.complain(places[GRANTS_MAX], "E-LIMIT", detail)
        return tuple(dict.fromkeys(read(reading, item) for item in places[:GRANTS_MAX]))

    tenants = items("tenants", lambda reading, item: TenantName(reading.text(item)))
    if spec is not None and not tenants and reading.findings.is_sound(spec):
        reading.findings.complain(spec, "E-TYPE", '"tenants" must be given: who may use it', at_key=True)
    profile = Profile(
        tenants=tenants,
        description=reading.text(reading.find(spec, "description")),
        capabilities=items("capabilities", _read_capability),
        devices=items("devices", lambda reading, item: _read_text(reading, item, find_pattern_flaw)),
        device_rules=items("device-rules", _read_rule),
        host=items("host", _read_namespace),
        binds=items("binds", _read_bind),
        privileged=reading.switch(reading.find(spec, "privileged")),
        cpuset=reading.switch(reading.find(spec, "cpuset")),
        security=items("security", _read_security),
        interfaces=items("interfaces", lambda reading, item: _read_text(reading, item, find_grant_flaw)),
    )
    sites = items("sites", lambda reading, item: reading.text(item))
    return GivenProfile(name=reading.text(name), profile=profile, sites=sites)


def _read_text(reading: Reading, place: Place, find_flaw: Callable[[str], str], text: str = "") -> str:
    text = text or reading.text(place)
    flaw = find_flaw(text)
    if flaw:
        reading.findings.complain(place, "E-TYPE", flaw)
    return text


def _read_capability(reading: Reading, place: Place) -> str:
    name = reading.text(place).upper().removeprefix("CAP_")
    if name in CAPABILITIES:
        reading.findings.complain(place, "E-CONFLICT", f"every profile but strict gives {name}: leave it out")
        return name
    return _read_text(reading, place, find_capability_flaw, name)


def _read_rule(reading: Reading, place: Place) -> str:
    text = " ".join(_read_text(reading, place, lambda text: find_rule_flaw(" ".join(text.split()))).split())
    head, _, access = text.rpartition(" ")
    return f"{head} {''.join(letter for letter in 'rwm' if letter in access)}"


def _read_namespace(reading: Reading, place: Place) -> Namespace:
    text = reading.text(place)
    found: list[Namespace] = [name for name in NAMESPACES if name == text]
    return found[0] if found else NAMESPACES[0]  # The vocabulary has complained of it.


def _read_bind(reading: Reading, place: Place) -> BindGrant:
    path = reading.find(place, "path") if isinstance(place.node, Mapping) else place
    if path is None:
        reading.findings.complain(place, "E-TYPE", '"path" must be given here')
        return BindGrant(path="")
    text = reading.text(path)
    plain = text.rstrip("/") or "/"
    writable = isinstance(place.node, Mapping) and reading.switch(reading.find(place, "writable"))
    return BindGrant(path=_read_text(reading, path, find_bind_flaw, plain), writable=writable)


def _read_security(reading: Reading, place: Place) -> str:
    text = reading.text(place)
    if text not in WEAKER:
        reading.findings.complain(place, "E-TYPE", f'"{text[:60]}" is none of {", ".join(SECURITY)}')
    return WEAKER.get(text, text)
