"""What an operator grants beyond the walls of every instance, what a service asks for, and whether the one covers it.

A ``Profile`` travels in the registrar's record of each site where it holds, so neither core nor tenant can make, widen
or move one. ``NodeUse`` is a service's wish inside its tenant's signed revision. Client, core and site hold the one
against the other by the same functions; rules:

1. What is not named is not granted, each thing by itself: ``privileged`` grants neither a device nor a bind by name.
2. Every instance keeps its namespace of users. What the kernel gives to nobody inside of one is no grant (``WALLS``).
3. A folder that instances may write is granted whole: below it they could plant links for whoever binds next.
"""

import fnmatch
import re
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from skerry.model.ids import TenantName
from skerry.model.lan import find_grant_flaw, grants_place
from skerry.model.limits import GRANTS_MAX

Namespace = Literal["network", "pid", "ipc", "uts"]
NAMESPACES: tuple[Namespace, ...] = ("network", "pid", "ipc", "uts")
#: What may be taken from an instance's protection, in Compose's words, with the words that others write for the same.
WEAKER: dict[str, str] = {
    "seccomp=unconfined": "seccomp=unconfined",
    "seccomp:unconfined": "seccomp=unconfined",
    "apparmor=unconfined": "apparmor=unconfined",
    "apparmor:unconfined": "apparmor=unconfined",
    "label=disable": "label=disable",
    "label:disable": "label=disable",
    "systempaths=unconfined": "systempaths=unconfined",
    "no-new-privileges=false": "no-new-privileges=false",
    "no-new-privileges:false": "no-new-privileges=false",
}
SECURITY = tuple(sorted(set(WEAKER.values())))

#: Capabilities that the kernel asks for outside of namespaces of users: inside of one they do nothing.
POWERLESS = frozenset(
    {
        "AUDIT_CONTROL",
        "AUDIT_READ",
        "BLOCK_SUSPEND",
        "BPF",
        "LINUX_IMMUTABLE",
        "MAC_ADMIN",
        "MAC_OVERRIDE",
        "PERFMON",
        "SYSLOG",
        "SYS_MODULE",
        "SYS_PACCT",
        "SYS_RAWIO",
        "SYS_TIME",
        "SYS_TTY_CONFIG",
        "WAKE_ALARM",
    }
)
#: What a profile may add to Docker's capabilities.
GRANTABLE = frozenset(
    {
        "CHECKPOINT_RESTORE",
        "DAC_READ_SEARCH",
        "IPC_LOCK",
        "IPC_OWNER",
        "LEASE",
        "NET_ADMIN",
        "NET_BROADCAST",
        "SYS_ADMIN",
        "SYS_BOOT",
        "SYS_NICE",
        "SYS_PTRACE",
        "SYS_RESOURCE",
    }
)
#: What no profile grants, in words for people.
WALLS = (
    "a namespace of users of its own: no userns_mode, and capabilities hold inside of it only",
    "no capability that does nothing inside of it: " + ", ".join(sorted(POWERLESS)),
    "no oom_score_adj below 0 and no real-time budget: the kernel gives them to nobody inside of it",
    "no kernel parameter that the whole node shares",
    "no socket of a container engine and no folder of Skerry's own, nor one that has them in it",
)
_ENGINE = "commands the container engine"
_OTHERS = "holds what is others'"
#: Nothing of these is ever bound, nor what they lie in.
KEPT = {
    "/var/lib/skerry": _OTHERS,
    "/etc/skerry": _OTHERS,
    "/run/skerry": _OTHERS,
    "/run/skerry-podman": _OTHERS,
    "/var/lib/containers": _OTHERS,
    "/var/lib/docker": _OTHERS,
    "/run/containers": _OTHERS,
    "/run/containerd": _ENGINE,
    "/run/crio": _ENGINE,
    "/run/podman": _ENGINE,
    "/run/docker.sock": _ENGINE,
    "/var/run/docker.sock": _ENGINE,
}

_DEVICE_PATTERN = re.compile(r"/dev(?:/[A-Za-z0-9_.*?\[\]:-]{1,64}){1,6}", re.ASCII)
_DEVICE = re.compile(r"/dev(?:/[A-Za-z0-9_.:-]{1,64}){1,6}", re.ASCII)
_RULE = re.compile(r"([abc]) ([0-9]{1,4}|\*):([0-9]{1,7}|\*) ([rwm]{1,3})", re.ASCII)
#: Vendor, class and name of a device (CDI specification 0.5, "Kind" and "Device").
_VENDOR_DEVICE = re.compile(
    r"[A-Za-z][A-Za-z0-9_.-]{0,62}[A-Za-z0-9]/[A-Za-z](?:[A-Za-z0-9_-]{0,62}[A-Za-z0-9])?"
    r"=[A-Za-z0-9](?:[A-Za-z0-9_.:-]{0,62}[A-Za-z0-9])?",
    re.ASCII,
)
_VENDOR_PATTERN = re.compile(
    r"[A-Za-z][A-Za-z0-9_.-]{0,62}[A-Za-z0-9]/[A-Za-z][A-Za-z0-9_-]{0,63}=[A-Za-z0-9_.:*?-]{1,64}", re.ASCII
)
_CPUS = re.compile(r"[0-9]{1,4}(?:-[0-9]{1,4})?(?:,[0-9]{1,4}(?:-[0-9]{1,4})?){0,63}", re.ASCII)
_PATH_BYTES_MAX = 1_024


class _Signed(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True, omit_defaults=True
):
    pass


class BindGrant(_Signed, frozen=True, kw_only=True):
    """A path of the node that instances may see.

    Read-only it covers what lies below, and instances see what everybody on the node may read. Writable it covers
    exactly this path, and the root of an instance is the node's root in it.
    """

    path: str
    writable: bool = False


class Profile(_Signed, frozen=True, kw_only=True):
    """What instances of some tenants may have at one site, beyond what profile ``default`` gives."""

    tenants: tuple[TenantName, ...]
    description: str = ""
    #: Without ``CAP_``.
    capabilities: tuple[str, ...] = ()
    #: Paths below ``/dev``, with ``*``, ``?`` and ``[...]`` inside one step.
    devices: tuple[str, ...] = ()
    #: Rules of the control group, ``c 189:* rwm``: nodes that appear later in a bound part of ``/dev`` may be opened.
    device_rules: tuple[str, ...] = ()
    #: Namespaces of the node that an instance may be in.
    host: tuple[Namespace, ...] = ()
    binds: tuple[BindGrant, ...] = ()
    #: Every capability of its own namespaces and all device nodes, without filter of system calls.
    privileged: bool = False
    #: May choose the processors that it runs on.
    cpuset: bool = False
    #: Of ``SECURITY``.
    security: tuple[str, ...] = ()
    #: Network devices that an app's network may be at, with ``*`` and ``?``, and VLANs on them: ``lan0/100-199``.
    interfaces: tuple[str, ...] = ()


class Device(_Signed, frozen=True, kw_only=True):
    """A device node of the node shown inside."""

    source: str
    target: str
    #: Of ``r``, ``w`` and ``m``.
    access: str = "rwm"


class Bind(_Signed, frozen=True, kw_only=True):
    """A path of the node shown inside."""

    source: str
    target: str
    read_only: bool = False
    #: The instance's root is the node's there. Only derivation sets it: a signed revision does not say it.
    mapped: bool | UnsetType = UNSET


class NodeUse(_Signed, frozen=True, kw_only=True):
    """What a service asks of the node that no built-in profile grants."""

    devices: tuple[Device, ...] = ()
    device_rules: tuple[str, ...] = ()
    host: tuple[Namespace, ...] = ()
    binds: tuple[Bind, ...] = ()
    privileged: bool = False
    #: Processors as ``0-3,8``.
    cpuset: str = ""
    security: tuple[str, ...] = ()


class Need(msgspec.Struct, frozen=True):
    """One thing that a service asks for, to be held against a profile; ``field`` is Compose's word."""

    field: Literal[
        "cap_add",
        "devices",
        "device_cgroup_rules",
        "network_mode",
        "pid",
        "ipc",
        "uts",
        "bind",
        "privileged",
        "cpuset",
        "security_opt",
        "privileged hook",
        "interface",
    ]
    value: str = ""
    #: Of a bind.
    writes: bool = False

    def __str__(self) -> str:
        shown = {"network_mode": "host", "pid": "host", "ipc": "host", "uts": "host"}.get(self.field, self.value)
        return f"{self.field}: {shown[:80]}" if shown else self.field


#: Compose's word for each namespace of the node.
HOST_FIELDS: dict[Namespace, Literal["network_mode", "pid", "ipc", "uts"]] = {
    "network": "network_mode",
    "pid": "pid",
    "ipc": "ipc",
    "uts": "uts",
}
#: Where in a ``Profile`` a need is granted.
WORDS: dict[str, str] = {
    "cap_add": "capabilities",
    "devices": "devices",
    "device_cgroup_rules": "device-rules",
    "network_mode": "host",
    "pid": "host",
    "ipc": "host",
    "uts": "host",
    "bind": "binds",
    "privileged": "privileged",
    "cpuset": "cpuset",
    "security_opt": "security",
    "privileged hook": "privileged",
    "interface": "interfaces",
}


def list_needs(use: NodeUse) -> Iterator[Need]:
    """Yield what a service asks for; capabilities are told apart by whoever knows which are Docker's."""
    yield from (Need("devices", device.source) for device in use.devices)
    yield from (Need("device_cgroup_rules", rule) for rule in use.device_rules)
    yield from (Need(HOST_FIELDS[name]) for name in use.host)
    yield from (Need("bind", bind.source, writes=not bind.read_only) for bind in use.binds)
    if use.privileged:
        yield Need("privileged")
    if use.cpuset:
        yield Need("cpuset", use.cpuset)
    yield from (Need("security_opt", word) for word in use.security)


def is_granted(profile: Profile, need: Need) -> bool:
    """Say whether a profile grants one thing."""
    match need.field:
        case "cap_add":
            return need.value in profile.capabilities
        case "devices":
            return any(matches_device(pattern, need.value) for pattern in profile.devices)
        case "device_cgroup_rules":
            return need.value in profile.device_rules
        case "network_mode" | "pid" | "ipc" | "uts":
            return any(HOST_FIELDS[name] == need.field for name in profile.host)
        case "bind":
            return find_bind(profile, need.value, writes=need.writes) is not None
        case "privileged" | "privileged hook":
            return profile.privileged
        case "cpuset":
            return profile.cpuset
        case "security_opt":
            return need.value in profile.security
        case "interface":
            return any(grants_place(grant, need.value) for grant in profile.interfaces)


def matches_device(pattern: str, path: str) -> bool:
    """Say whether a device is meant by a pattern, step by step: ``*`` is no path."""
    wanted, given = pattern.split("/"), path.split("/")
    return len(wanted) == len(given) and all(map(fnmatch.fnmatchcase, given, wanted))


def find_bind(profile: Profile, path: str, *, writes: bool) -> BindGrant | None:
    """Return the grant that covers a bind; a writable one before others, for it maps the owner too."""
    for grant in sorted(profile.binds, key=lambda each: not each.writable):
        if path == grant.path and (grant.writable or not writes):
            return grant
        if not writes and not grant.writable and is_below(path, grant.path):
            return grant
    return None


def is_below(path: str, folder: str) -> bool:
    """Say whether a path lies below a folder, both absolute and without dots."""
    return path.startswith("/" if folder == "/" else f"{folder}/") and path != folder


def find_planted(profiles: Iterable[Profile], path: str) -> str:
    """Return the folder that some instance of the site may write and in which ``path`` lies; empty where none is."""
    grants = (grant for profile in profiles for grant in profile.binds)
    return next((grant.path for grant in grants if grant.writable and is_below(path, grant.path)), "")


def find_profile_flaw(profile: Profile) -> str:
    """Return what is wrong with a profile, empty when nothing is. Names of tenants are the caller's to check."""
    devices = (profile.devices, profile.device_rules, profile.interfaces)
    lists = (profile.tenants, profile.capabilities, *devices, profile.binds)
    if any(len(each) > GRANTS_MAX for each in lists):
        return f"a list of more than {GRANTS_MAX}"
    if not profile.tenants:
        return "it grants nothing to nobody: tenants is empty"
    return next(_list_flaws(profile), "")


def _list_flaws(profile: Profile) -> Iterator[str]:
    yield from filter(None, map(find_capability_flaw, profile.capabilities))
    yield from filter(None, map(find_pattern_flaw, profile.devices))
    yield from filter(None, map(find_rule_flaw, profile.device_rules))
    yield from filter(None, (find_bind_flaw(grant.path) for grant in profile.binds))
    yield from filter(None, map(find_grant_flaw, profile.interfaces))
    yield from (f"{word[:80]!r} is none of {', '.join(SECURITY)}" for word in profile.security if word not in SECURITY)


def find_capability_flaw(name: str) -> str:
    """Return why a profile cannot grant a capability."""
    if name in POWERLESS:
        return f"{name} does nothing inside a namespace of users, which every instance has"
    return "" if name in GRANTABLE else f"{name[:40]!r} is none of {', '.join(sorted(GRANTABLE))}"


def find_pattern_flaw(pattern: str) -> str:
    """Return why a text names no devices."""
    is_plain = _DEVICE_PATTERN.fullmatch(pattern) is not None and ".." not in pattern
    if not is_plain and _VENDOR_PATTERN.fullmatch(pattern) is None:
        return f"{pattern[:80]!r} names no devices: write /dev/ttyUSB*"
    return ""


def find_device_flaw(path: str) -> str:
    """Return why a text is no device."""
    steps = path.split("/")
    is_device = _DEVICE.fullmatch(path) is not None and not {".", ".."}.intersection(steps)
    return "" if is_device else f"{path[:80]!r} is no device: write /dev/net/tun"


def find_vendor_flaw(name: str) -> str:
    """Return why a text names no device that a vendor describes, by the rules of the Container Device Interface."""
    return "" if _VENDOR_DEVICE.fullmatch(name) else f"{name[:80]!r} is no device of a vendor: write nvidia.com/gpu=0"


def needs_grant(name: str) -> bool:
    """Say whether a device that a vendor describes has to be granted: all but GPUs."""
    return name.partition("=")[0].partition("/")[2] != "gpu"


def find_rule_flaw(rule: str) -> str:
    """Return why a text is no rule of the control group for devices."""
    return "" if _RULE.fullmatch(rule) else f"{rule[:80]!r} is no rule: write c 189:* rwm"


def find_cpuset_flaw(text: str) -> str:
    """Return why a text names no processors."""
    return "" if _CPUS.fullmatch(text) else f"{text[:80]!r} names no processors: write 0-3,8"


def find_path_flaw(path: str) -> str:
    """Return why a text is no plain absolute path."""
    steps = path[1:].split("/")
    fits = path.isprintable() and len(path.encode()) <= _PATH_BYTES_MAX and ":" not in path
    if not fits or not path.startswith("/") or (path != "/" and not {"", ".", ".."}.isdisjoint(steps)):
        return f"{path[:80]!r} is no plain absolute path"
    return ""


def find_bind_flaw(path: str) -> str:
    """Return why a path of the node is never shown to an instance."""
    flaw = find_path_flaw(path)
    if flaw:
        return flaw
    for kept, why in KEPT.items():
        if path == kept or is_below(path, kept):
            return f"{path[:80]} is never bound: it {why}"
        if is_below(kept, path):
            return f"{path[:80]} is never bound: {kept} in it {why}"
    return ""


def find_use_flaw(use: NodeUse) -> str:
    """Return what makes no sense in what a service asks for, whoever grants it."""
    lists = (use.devices, use.device_rules, use.binds)
    if any(len(each) > GRANTS_MAX for each in lists):
        return f"it asks for more than {GRANTS_MAX} of one sort"
    for device in use.devices:
        flaw = find_device_flaw(device.source) or find_path_flaw(device.target)
        if flaw:
            return flaw
        if not device.access or not set(device.access) <= set("rwm"):
            return f"{device.access[:20]!r} is no access to a device: write rwm"
    for bind in use.binds:
        flaw = find_bind_flaw(bind.source) or find_path_flaw(bind.target)
        if flaw:
            return flaw
        if bind.mapped is not UNSET:
            return "only a site says whose files a bind shows"
    flaws = map(find_rule_flaw, use.device_rules)
    odd = (f"{word[:80]!r} is no security option" for word in use.security if word not in SECURITY)
    return next(filter(None, (*flaws, find_cpuset_flaw(use.cpuset) if use.cpuset else "", *odd)), "")


def map_binds(use: NodeUse, profile: Profile) -> NodeUse:
    """Say of each bind whose files it shows, as the grant says that covers it."""
    binds: list[Bind] = []
    for bind in use.binds:
        grant = find_bind(profile, bind.source, writes=not bind.read_only)
        mapped = grant is not None and grant.writable
        binds.append(msgspec.structs.replace(bind, mapped=mapped or UNSET))
    return msgspec.structs.replace(use, binds=tuple(binds))
