"""What profiles grant: one table for the client, which explains a refusal, and the site, which refuses.

``default`` gives what Docker gives, so that files written for it run unchanged; ``strict`` drops every capability and
makes the root read only. Neither grants anything of the node; what an operator's own profile adds to ``default`` says
``model/grants.py``. Neighbours: ``manifest/isolation.py`` tells people, ``trust/wellformed.py`` holds a signed revision
against it, ``cli/profiles.py`` lists it.
"""

import ipaddress
import re

import msgspec

from skerry.model.grants import WALLS

DEFAULT = "default"
STRICT = "strict"
PROFILES = (DEFAULT, STRICT)

#: The capabilities that Docker gives to every container.
CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "NET_RAW",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)

#: Parameters of the kernel that each instance has for itself.
_OWN_SYSCTLS = frozenset(
    {
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shm_rmid_forced",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
    }
)
_OWN_SYSCTL_TREES = ("fs.mqueue.", "net.")

_TMPFS_OPTION = re.compile(r"exec|noexec|mode=[0-7]{1,4}", re.ASCII)
_VOLUME_OPTIONS = ("nocopy",)


class Grants(msgspec.Struct, frozen=True, kw_only=True):
    """What one profile grants, in words for people."""

    profile: str
    capabilities: tuple[str, ...]
    #: Instances may change their own root.
    writable_root: bool
    #: Parameters of the kernel, and trees of them, that each instance has for itself.
    sysctls: tuple[str, ...]
    mount_options: tuple[str, ...]
    #: A network of the app may have a range within these.
    ranges: tuple[str, ...]
    #: What holds for every instance, whatever it asks for.
    walls: tuple[str, ...]


Range = ipaddress.IPv4Network | ipaddress.IPv6Network
_PRIVATE: tuple[Range, ...] = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)


def grants_capability(profile: str, name: str) -> bool:
    """Say whether every app of the profile may have a capability, named without ``CAP_``."""
    return profile != STRICT and name in CAPABILITIES


def owns_sysctl(name: str) -> bool:
    """Say whether each instance has the kernel parameter for itself; all others belong to the whole node."""
    return name in _OWN_SYSCTLS or name.startswith(_OWN_SYSCTL_TREES)


def grants_mount_option(kind: str, option: str) -> bool:
    """Say whether a mount may have an option: none that would weaken what holds for every mount."""
    return _TMPFS_OPTION.fullmatch(option) is not None if kind == "tmpfs" else option in _VOLUME_OPTIONS


def holds_range(outer: Range, inner: Range) -> bool:
    """Say whether every address of one range is in the other."""
    return outer.version == inner.version and inner[0] in outer and inner[-1] in outer


def grants_range(found: Range) -> bool:
    """Say whether an app's network may have a range: only a private one, which cuts the node off from nobody."""
    return any(holds_range(one, found) for one in _PRIVATE)


def describe_profile(profile: str) -> Grants:
    """Return what a built-in profile grants; raises ``KeyError`` for another name."""
    if profile not in PROFILES:
        raise KeyError(profile)
    return Grants(
        profile=profile,
        capabilities=tuple(sorted(name for name in CAPABILITIES if grants_capability(profile, name))),
        writable_root=profile != STRICT,
        sysctls=(*sorted(_OWN_SYSCTLS), *(f"{tree}*" for tree in _OWN_SYSCTL_TREES)),
        mount_options=("tmpfs: exec, noexec, mode=", *(f"volume: {option}" for option in _VOLUME_OPTIONS)),
        ranges=tuple(map(str, _PRIVATE)),
        walls=("no new privileges", "the default filter of system calls", "nothing of the node", *WALLS),
    )
