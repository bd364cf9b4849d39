"""From an instance's specification to podman's create body. Pure; every field is one that decision 0010 read back."""

import signal
from collections.abc import Mapping
from typing import Any

from skerry.drivers.base import bridge_name
from skerry.drivers.podman.alongside import add_alongside
from skerry.drivers.podman.names import LABEL, name_container
from skerry.drivers.podman.node_use import add_node_use
from skerry.model.app import Address, Further, Mount, Subnet
from skerry.model.ids import Digest
from skerry.model.instance import InstanceSpec
from skerry.plan.actions import CreateNetwork
from skerry.plan.addresses import choose_subnet

UID_COUNT = 65_536

#: What Docker gives by default: files written for it run unchanged under profile ``default`` (manifest.md §5).
DEFAULT_CAPABILITIES = (
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
)
#: Bytes of one container's log before podman starts it afresh.
LOG_BYTES_MAX = 10 * 1024 * 1024
#: No resolver looks at more (resolv.conf(5), MAXNS).
NAME_SERVERS_MAX = 3
#: Processes of one instance where nothing is said: enough for any server, too few for a fork bomb to hurt.
PIDS_DEFAULT = 4_096


def container_name(spec: InstanceSpec, digest: Digest) -> str:
    """Name the container of a specification."""
    return name_container(spec.tenant, spec.app, spec.service, spec.ordinal, digest)


def network_name(tenant: str, app: str, name: str) -> str:
    """Name podman's network of an app; parts are RFC 1123 labels, so dots keep them apart."""
    return f"skerry.{tenant}.{app}.{name}"


def volume_name(tenant: str, app: str, name: str) -> str:
    """Name podman's handle on a volume of ours."""
    return f"skerry.{tenant}.{app}.{name}"


def network_body(action: CreateNetwork, taken: set[str]) -> dict[str, Any]:
    """Return podman's create body of an app network; ``taken`` are the ranges that other networks have."""
    tenant, app, name, plan = action.tenant, action.app, action.name, action.plan
    body: dict[str, Any] = {
        "name": network_name(tenant, app, name),
        "driver": "bridge",
        "network_interface": bridge_name(tenant, app, name),
        "subnets": [_subnet(one) for one in plan.subnets],
        # Where the node's own server answers, podman starts none.
        "dns_enabled": not action.names,
        "internal": action.internal,
        "labels": {LABEL + "tenant": tenant, LABEL + "app": app, LABEL + "network": name},
    }
    if not any("." in one.subnet for one in plan.subnets):
        body["subnets"].append({"subnet": choose_subnet(tenant, app, name, taken)})
    if plan.ipv6:
        body["ipv6_enabled"] = True
    if action.names:
        body["labels"][LABEL + "names"] = "node"
    if plan.mtu:
        body["options"] = {"mtu": str(plan.mtu)}
    if action.plan_name:
        body["labels"][LABEL + "plan"] = action.plan_name
    return body


def _subnet(wanted: Subnet) -> dict[str, Any]:
    body: dict[str, Any] = {"subnet": wanted.subnet}
    if wanted.gateway:
        body["gateway"] = wanted.gateway
    if wanted.first:
        body["lease_range"] = {"start_ip": wanted.first, "end_ip": wanted.last}
    return body


def container_body(
    spec: InstanceSpec,
    digest: Digest,
    uid_start: int,
    file_mounts: list[tuple[str, str]],
    hard_limits: Mapping[str, int] | None = None,
    name_servers: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return podman's create body of an instance.

    ``file_mounts`` are (path on the node, path inside), read-only; ``hard_limits`` are the node's own for ``nofile``
    and ``nproc``; ``name_servers`` are the node's addresses at which it answers for names in the instance's networks.
    """
    further = spec.further or Further()
    ids = [{"container_id": 0, "host_id": uid_start, "size": UID_COUNT}]
    volumes = sorted({mount.source for mount in spec.mounts if mount.kind == "volume"})
    body: dict[str, Any] = {
        "name": container_name(spec, digest),
        "image": spec.image_config.removeprefix("sha256:"),
        "env": dict(spec.environment),
        "labels": {
            **spec.labels,
            "com.docker.compose.project": spec.app,
            "com.docker.compose.service": spec.service,
            LABEL + "instance": spec.id,
            LABEL + "tenant": spec.tenant,
            LABEL + "app": spec.app,
            LABEL + "service": spec.service,
            LABEL + "ordinal": str(spec.ordinal),
            LABEL + "spec": digest,
            LABEL + "volumes": ",".join(volumes),
        },
        "userns": {"nsmode": "private"},
        "idmappings": {"HostUIDMapping": False, "HostGIDMapping": False, "UIDMap": ids, "GIDMap": ids},
        "no_new_privileges": True,
        "cap_drop": ["ALL"],
        "cap_add": sorted((set(DEFAULT_CAPABILITIES) - _caps(spec.cap_drop)) | _caps(spec.cap_add))
        if "ALL" not in _caps(spec.cap_drop)
        else sorted(_caps(spec.cap_add)),
        "read_only_filesystem": spec.read_only,
        "terminal": spec.tty,
        "stdin": spec.stdin_open,
        "init": spec.init,
        "stop_timeout": max(spec.stop_grace_us // 1_000_000, 1),
        "restart_policy": "no",
        "log_configuration": _log(further),
        "mounts": [
            *(
                {"type": "tmpfs", "source": "tmpfs", "destination": mount.target, "options": _tmpfs(mount)}
                for mount in spec.mounts
                if mount.kind == "tmpfs"
            ),
            *(
                {"type": "bind", "source": source, "destination": target, "options": ["ro", "rbind"]}
                for source, target in file_mounts
            ),
        ],
        "volumes": [
            {
                "Name": volume_name(spec.tenant, spec.app, mount.source),
                "Dest": mount.target,
                "Options": ["ro" if mount.read_only else "rw", *(mount.options or ())],
            }
            for mount in spec.mounts
            if mount.kind == "volume"
        ],
        "resource_limits": _limits(spec, further),
    }
    body.update(_networking(spec))
    optional: dict[str, Any] = {
        "command": list(spec.command) if spec.command is not None else None,
        "entrypoint": list(spec.entrypoint) if spec.entrypoint is not None else None,
        "work_dir": spec.working_dir,
        "user": spec.user,
        "groups": list(spec.group_add),
        "stop_signal": _signal(spec.stop_signal) if spec.stop_signal else None,
        "hostadd": list(spec.extra_hosts),
        "dns_server": [*name_servers, *spec.dns][:NAME_SERVERS_MAX],
        "shm_size": spec.shm_bytes,
        "sysctl": spec.sysctls,
        "r_limits": _tree_limits(spec, hard_limits or {}),
        "annotations": further.annotations,
        "dns_option": list(further.dns_options),
        # Else podman puts the node's own search list there, and a service's name is looked for in it first.
        "dns_search": list(further.dns_search) or (["."] if name_servers else []),
        "oom_score_adj": further.oom_score,
        "storage_opts": {"size": str(further.root_bytes)} if further.root_bytes else {},
        "ipcns": {"nsmode": further.ipc} if further.ipc else {},
    }
    body.update({key: value for key, value in optional.items() if value not in (None, "", 0, [], {})})
    if further.node:
        add_node_use(body, further.node)
    add_alongside(body, spec)
    if spec.entrypoint == ():
        body["entrypoint"] = [""]  # podman's word for none; an empty list means the image's own
    if spec.healthcheck is not None and not spec.healthcheck.probe:
        # Interval 0 keeps podman from timers of its own; one failure is one failure: the agent counts.
        body["healthconfig"] = {
            "Test": list(spec.healthcheck.test),
            "Interval": 0,
            "Timeout": spec.healthcheck.timeout_us * 1000,
            "Retries": 1,
        }
    return body


def _networking(spec: InstanceSpec) -> dict[str, Any]:
    hostname = spec.hostname or f"{spec.service}-{spec.ordinal}"
    named = {"hostname": f"{hostname}.{spec.domainname}" if spec.domainname else hostname}
    addresses = spec.further.addresses if spec.further else {}
    if not spec.networks:
        return {"netns": {"nsmode": "none"}, **named}
    return {
        **named,
        "netns": {"nsmode": "bridge"},
        "networks": {
            network_name(spec.tenant, spec.app, name): {
                "aliases": sorted({spec.service, *aliases}),
                **_address(addresses.get(name, Address())),
            }
            for name, aliases in sorted(spec.networks.items())
        },
        "portmappings": [
            {
                "container_port": port.target,
                "host_port": port.published,
                "host_ip": port.host_ip,
                "protocol": port.protocol,
            }
            for port in spec.ports
            if port.published
        ],
    }


def _address(wanted: Address) -> dict[str, Any]:
    body: dict[str, Any] = {
        "static_ips": [address for address in (wanted.ipv4, wanted.ipv6) if address],
        "static_mac": wanted.mac,
        "interface_name": wanted.device,
    }
    return {name: value for name, value in body.items() if value}


def _limits(spec: InstanceSpec, further: Further) -> dict[str, Any]:
    limits: dict[str, Any] = {"pids": {"limit": spec.limits.pids or PIDS_DEFAULT}}
    if spec.limits.memory_bytes:
        limits["memory"] = {"limit": spec.limits.memory_bytes}
    if spec.limits.cpu_m:
        limits["cpu"] = {"period": 100_000, "quota": spec.limits.cpu_m * 100}
    cpu = {"shares": further.cpu_shares, "period": further.cpu_period_us, "quota": further.cpu_quota_us}
    if any(cpu.values()):
        limits["cpu"] = {**limits.get("cpu", {}), **{name: value for name, value in cpu.items() if value}}
    if further.memory_swap_bytes:
        limits.setdefault("memory", {})["swap"] = further.memory_swap_bytes
    if further.io_weight:
        limits["blockIO"] = {"weight": further.io_weight}
    return limits


def _log(further: Further) -> dict[str, Any]:
    if further.log == "none":
        return {"driver": "none"}
    return {"driver": "k8s-file", "size": min(further.log_bytes or LOG_BYTES_MAX, LOG_BYTES_MAX)}


def _tmpfs(mount: Mount) -> list[str]:
    size = [f"size={mount.size_bytes}"] if mount.size_bytes else []
    return ["ro" if mount.read_only else "rw", "nosuid", "nodev", *size, *(mount.options or ())]


def _tree_limits(spec: InstanceSpec, hard_limits: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the limits of the process tree.

    Where any is given podman adds its own of these two, higher than a namespace of users may go, and nothing starts.
    """
    limits = [(limit.name.lower(), limit.soft, limit.hard) for limit in spec.ulimits]
    given = {name for name, _, _ in limits}
    if limits:
        limits += [(name, most, most) for name, most in sorted(hard_limits.items()) if name not in given]
    return [{"type": name, "soft": soft % 2**64, "hard": hard % 2**64} for name, soft, hard in limits]


def _caps(names: tuple[str, ...]) -> set[str]:
    return {name.upper().removeprefix("CAP_") for name in names}


def _signal(name: str) -> int:
    """Return the number of ``SIGTERM``, ``term``, ``15`` or ``SIGRTMIN+3``; ValueError for anything else."""
    word = name.upper().removeprefix("SIG")
    base, plus, offset = word.partition("+")
    try:
        number = int(word) if word.isdigit() else int(signal.Signals[f"SIG{base}"]) + (int(offset) if plus else 0)
    except KeyError:
        number = 0
    if not 0 < number <= signal.SIGRTMAX:
        raise ValueError(f"{name!r} is no signal")
    return number
