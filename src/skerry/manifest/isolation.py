"""What a service asks of the walls around it: capabilities, security options, namespaces.

Every profile gives no-new-privileges, the default filter of system calls and a namespace of users; ``default`` also
Docker's set of capabilities. What would weaken that needs a grant of an operator's own profile; some is granted to
nobody. Neighbour: ``node_use.py`` reads what is asked of the node.
"""

import re

from skerry.manifest.nodes import Place
from skerry.manifest.reading import Reading
from skerry.manifest.sharing import is_shared
from skerry.model.grants import GRANTABLE, HOST_FIELDS, POWERLESS, WEAKER, Need
from skerry.model.profile import PROFILES, grants_capability

_CAPABILITY = re.compile(r"[A-Z][A-Z_]{2,30}", re.ASCII)
_OPTION = re.compile(r"([a-z-]+)(?:[:=](.*))?", re.ASCII | re.DOTALL)

#: Why security options that an engine knows are refused, whatever their value.
_OPTIONS = {
    "apparmor": "profiles of AppArmor are loaded into each node's kernel by its owner, and nodes tell of none",
    "label": "labels are of the node's own policy of SELinux, and nodes tell of none",
    "mask": "it is podman's own word, which no other engine takes from a Compose file",
    "unmask": "it is podman's own word, which no other engine takes from a Compose file",
    "proc-opts": "it is podman's own word, which no other engine takes from a Compose file",
    "writable-cgroups": "the agent owns the tree of control groups",
}
#: What Compose knows of each namespace.
_MODES = {
    "ipc": ("private", "shareable", "none", "host", "service:NAME"),
    "pid": ("private", "host", "service:NAME"),
    "uts": ("private", "host"),
}


def read_capabilities(reading: Reading, place: Place | None, *, is_added: bool) -> tuple[str, ...]:
    """Return the names without ``CAP_``, sorted; one that is added needs to be granted."""
    found: set[str] = set()
    for item in reading.texts(place):
        name = reading.text(item).upper().removeprefix("CAP_")
        if _CAPABILITY.fullmatch(name) is None:
            reading.findings.complain(item, "E-TYPE", f'"{name[:40]}" is not a capability')
        elif is_added and not grants_capability(reading.findings.profile, name):
            _judge_capability(reading, item, name)
        found.add(name)
    return tuple(sorted(found))


def _judge_capability(reading: Reading, place: Place, name: str) -> None:
    if name in POWERLESS:
        detail = f"{name} does nothing inside a namespace of users, which every instance has"
        reading.findings.refuse(place, detail, hint="leave it out")
    elif name in GRANTABLE or reading.findings.profile in PROFILES:
        reading.findings.ask_grant(place, Need("cap_add", name))
    else:
        reading.findings.refuse(place, f"no profile grants {name}: name each capability that is needed")


def read_security(reading: Reading, place: Place | None) -> tuple[str, ...]:
    """Return what is taken from the protection, each in one way of writing; the rest is judged and needs nothing."""
    found: dict[str, None] = {}
    for item in reading.texts(place):
        word = WEAKER.get(reading.text(item))
        if word is not None:
            reading.findings.ask_grant(item, Need("security_opt", word))
            found[word] = None
        else:
            _judge_option(reading, item)
    return tuple(found)


def judge_isolation(reading: Reading, service: Place) -> None:
    """Judge the fields whose value decides whether they are honoured."""
    for name, given in (("ipc", ("private", "shareable", "none")), ("pid", ("private",)), ("uts", ("private",))):
        # ``sharing.py`` reads whose namespaces a service shares; of names of the node there is nothing to share.
        if name != "uts" and is_shared(reading, service, name):
            continue
        place = reading.find(service, name)
        if place is not None and reading.text(place) not in ("", *given):
            _judge_namespace(reading, place)
    users = reading.find(service, "userns_mode")
    if users is not None and reading.text(users):
        detail = "every instance keeps a namespace of users: its volumes belong to a range of them"
        reading.findings.refuse(users, detail, hint="leave it out")


def _judge_option(reading: Reading, place: Place) -> None:
    text = reading.text(place)
    found = _OPTION.fullmatch(text)
    name, value = (found[1], found[2] or "") if found is not None else (text, "")
    match name, value:
        case ("no-new-privileges", "" | "true") | ("seccomp", "builtin") | ("apparmor", "docker-default"):
            pass  # Every instance has it, or what its node has in that place.
        case "seccomp", _:
            why = "it would take the place of the default filter, and whether it is stricter is not compared"
            reading.findings.not_yet(place, "a filter of system calls of one's own", why=why, hint="leave it out")
        case _ if name in _OPTIONS:
            reading.findings.refuse(place, f'"{text[:60]}" is refused: {_OPTIONS[name]}', hint="leave it out")
        case _:
            reading.findings.complain(place, "E-TYPE", f'"{text[:60]}" is no security option')


def _judge_namespace(reading: Reading, place: Place) -> None:
    text = reading.text(place)
    if text == "host" and place.name in HOST_FIELDS.values():
        return  # ``node_use.py`` asks for it.
    if text.startswith("container:"):
        reading.findings.refuse(place, "containers have names of the engine, which differ from site to site")
    else:
        known = ", ".join(_MODES[place.name])
        reading.findings.complain(place, "E-TYPE", f'"{text[:40]}" is no mode of {place.name}: there are {known}')
