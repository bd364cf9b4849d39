"""What an operator's profile grants of the node, as words of podman's create body.

Each was tried with podman 4.3.1 inside a namespace of users (decision 0018): device nodes get the instance's own root
as their owner, a writable bind is mapped so that this root is the node's, and all others show files as strangers see
them.
"""

from typing import Any

from skerry.model.grants import Bind, NodeUse

#: Trees of the kernel's own, whose owners cannot be mapped; devices in them may be opened.
_KERNEL_TREES = ("/dev", "/proc", "/sys")
_NAMESPACES = {"network": "netns", "pid": "pidns", "ipc": "ipcns", "uts": "utsns"}


def add_node_use(body: dict[str, Any], use: NodeUse) -> None:
    """Add to a create body what an instance has of the node."""
    for name in use.host:
        body[_NAMESPACES[name]] = {"nsmode": "host"}
    if "uts" in use.host:
        # The node's own name: podman refuses another one there.
        body.pop("hostname", None)
    body["mounts"] += [
        {"type": "bind", "source": bind.source, "destination": bind.target, "options": _options(bind)}
        for bind in use.binds
    ]
    if use.devices:
        body["devices"] = [{"path": f"{each.source}:{each.target}:{each.access}"} for each in use.devices]
    if use.device_rules:
        body["device_cgroup_rule"] = list(map(_rule, use.device_rules))
    if use.privileged:
        body["privileged"] = True
    if use.cpuset:
        body["resource_limits"].setdefault("cpu", {})["cpus"] = use.cpuset
    for word in use.security:
        _weaken(body, word)


def _options(bind: Bind) -> list[str]:
    is_kernels = any(bind.source == tree or bind.source.startswith(f"{tree}/") for tree in _KERNEL_TREES)
    own = ["nosuid"] if is_kernels else ["nosuid", "nodev"]
    return ["ro" if bind.read_only else "rw", "rbind", *own, *(["idmap"] if bind.mapped and not is_kernels else [])]


def _rule(text: str) -> dict[str, Any]:
    kind, numbers, access = text.split(" ")
    major, _, minor = numbers.partition(":")
    given = {"major": major, "minor": minor}
    known = {name: int(number) for name, number in given.items() if number != "*"}
    return {"allow": True, "type": kind, "access": access, **known}


def _weaken(body: dict[str, Any], word: str) -> None:
    match word:
        case "seccomp=unconfined":
            body["seccomp_profile_path"] = "unconfined"
        case "apparmor=unconfined":
            body["apparmor_profile"] = "unconfined"
        case "label=disable":
            body["selinux_opts"] = ["disable"]
        case "systempaths=unconfined":
            body["unmask"] = ["ALL"]
        case "no-new-privileges=false":
            body["no_new_privileges"] = False
        case _:
            raise ValueError(f"{word!r} is no security option")
