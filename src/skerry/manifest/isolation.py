"""What a service asks of the walls around it: capabilities, security options, namespaces of the node.

Every profile gives no-new-privileges, the default filter of system calls and a namespace of users; ``default`` also
Docker's set of capabilities. What would weaken that needs a grant, and no further profiles are built.
"""

import re

from skerry.manifest.nodes import Place
from skerry.manifest.reading import Reading
from skerry.model.profile import grants_capability

_CAPABILITY = re.compile(r"[A-Z][A-Z_]{2,30}", re.ASCII)
_OPTION = re.compile(r"([a-z-]+)(?:[:=](.*))?", re.ASCII | re.DOTALL)


def read_capabilities(reading: Reading, place: Place | None, *, is_added: bool) -> tuple[str, ...]:
    """Return the names without ``CAP_``, sorted; one that is added needs to be granted."""
    found: set[str] = set()
    for item in reading.texts(place):
        name = reading.text(item).upper().removeprefix("CAP_")
        if _CAPABILITY.fullmatch(name) is None:
            reading.findings.complain(item, "E-TYPE", f'"{name[:40]}" is not a capability')
        elif is_added and not grants_capability(reading.findings.profile, name):
            reading.findings.deny_grant(item, f"cap_add: {name}")
        found.add(name)
    return tuple(sorted(found))


def judge_isolation(reading: Reading, service: Place) -> None:
    """Judge the fields whose value decides whether they are honoured."""
    for item in reading.texts(reading.find(service, "security_opt")):
        _judge_option(reading, item)
    for name, given in (("ipc", ("private", "shareable", "none")), ("pid", ()), ("uts", ())):
        place = reading.find(service, name)
        if place is not None and reading.text(place) not in ("", *given):
            _judge_namespace(reading, place)
    users = reading.find(service, "userns_mode")
    if users is not None and reading.text(users):
        reading.findings.deny_grant(users, f"userns_mode: {reading.text(users)[:40]}")


def _judge_option(reading: Reading, place: Place) -> None:
    text = reading.text(place)
    found = _OPTION.fullmatch(text)
    name, value = (found[1], found[2] or "") if found is not None else (text, "")
    match name, value:
        case "no-new-privileges", "" | "true":
            pass  # The profile gives it to every instance.
        case "no-new-privileges", _:
            reading.findings.deny_grant(place, f"security_opt: {text[:60]}")
        case (("seccomp" | "apparmor" | "label" | "systempaths"), ("unconfined" | "disable")):
            reading.findings.deny_grant(place, f"security_opt: {text[:60]}")
        case _:
            reading.findings.not_yet(place, f'the security option "{text[:60]}"')


def _judge_namespace(reading: Reading, place: Place) -> None:
    text = reading.text(place)
    if text == "host":
        reading.findings.deny_grant(place, f"{place.name}: host")
    elif text.startswith("container:"):
        reading.findings.refuse(place, "containers have names of the engine, which differ from site to site")
    else:
        reading.findings.not_yet(place, f'"{place.name}: {text[:40]}"')
