"""The field table: what Skerry makes of each field of Compose (manifest.md §5), and the walk that applies it.

Nothing is dropped silently: a field that is not in the table is a defect that a test finds against the pinned schema.
A row judges the field; what only its value can tell is judged where the value is read (``judged``). Neighbours:
``schema.py`` has checked the form before, ``service.py`` and its like read the values after.
"""

from typing import Literal

import msgspec

from skerry.manifest.findings import Findings, Verdict
from skerry.manifest.nodes import Place, Scalar, Value

#: H honoured, T translated (``reason`` says into what), G granted by a profile, R refused (``reason`` says why).
Letter = Literal["H", "T", "G", "R"]
_VERDICTS: dict[Letter, Verdict] = {"H": "honoured", "T": "translated", "G": "granted", "R": "refused"}


class Field(msgspec.Struct, frozen=True):
    """One row of the table."""

    letter: Letter
    reason: str = ""
    #: False: known, and refused as not yet built; ``reason`` says what stands in the way.
    built: bool = True
    #: The value decides, where it is read.
    judged: bool = False
    #: Nothing below it has rows of its own.
    whole: bool = True
    #: Values that ask for nothing and are taken whatever the row says.
    idle: tuple[Value, ...] = ()


_H = Field("H")
_GROUP = Field("H", whole=False)
_OFF = (False, "false")
#: What ``update_config`` and ``rollback_config`` say.
_CHANGE: dict[str, Field] = {
    "delay": Field("T", "a changed copy has to be well for that long before the next one changes"),
    "failure_action": Field("T", "what a copy that fails means for the others at its site", judged=True),
    "max_failure_ratio": Field("T", "the share of the copies at a site that may fail before the others wait"),
    "monitor": Field("T", "a changed copy has to be well for that long before the next one changes"),
    "order": Field("T", "which copy comes first at a site", judged=True),
    "parallelism": Field("T", "copies that change at once at a site; 0 for all"),
}
_NO_CGROUP = "the agent owns the tree of control groups"
_NO_CGROUP_V2 = "control groups of version 2 have nothing like it"
_WINDOWS = "it is for Windows only"
_NO_IMAGE_MOUNT = "podman 4.3 cannot show the files of an image to a namespace of users, which every instance has"
_ONE_RUNTIME = "podman 4.3 runs all instances of a node by one runtime, and takes no word about a single one"
_NO_FOREIGN_NETWORK = (
    "a network belongs to one app, and no other app joins it; the node's ports and the entrance lead from app to app"
)
_NO_FOREIGN_VOLUME = "a volume belongs to one app, and no other app mounts it; what shares data is one app"
_REALTIME = "control groups of version 2 have no real-time budget"

_SERVICE: dict[str, Field] = {
    "annotations": _H,
    "attach": Field("T", "`skerry logs` decides what is shown"),
    "blkio_config": _GROUP,
    "blkio_config.device_read_bps": _H,
    "blkio_config.device_read_iops": _H,
    "blkio_config.device_write_bps": _H,
    "blkio_config.device_write_iops": _H,
    "blkio_config.weight": _H,
    "blkio_config.weight_device": _H,
    "build": Field("T", "nothing is built at apply: the image is used as it was pushed", judged=True),
    "cap_add": Field("G", judged=True),
    "cap_drop": _H,
    "cgroup": Field("R", _NO_CGROUP),
    "cgroup_parent": Field("R", _NO_CGROUP),
    "command": _H,
    "configs": _GROUP,
    "configs[].source": _H,
    "configs[].target": _H,
    "configs[].uid": _H,
    "configs[].gid": _H,
    "configs[].mode": _H,
    "container_name": Field("T", "a further name of the service in its networks", judged=True),
    "cpu_count": Field("R", _WINDOWS),
    "cpu_percent": Field("R", _WINDOWS),
    "cpu_period": _H,
    "cpu_quota": _H,
    "cpu_rt_period": Field("R", _REALTIME),
    "cpu_rt_runtime": Field("R", _REALTIME),
    "cpu_shares": _H,
    "cpus": _H,
    "cpuset": Field("G", judged=True),
    "credential_spec": Field("R", _WINDOWS),
    "depends_on": _GROUP,
    "depends_on.*": _GROUP,
    "depends_on.*.condition": _H,
    "depends_on.*.required": _H,
    "depends_on.*.restart": _H,
    "deploy": _GROUP,
    "deploy.endpoint_mode": Field("T", "names of services are answered by DNS", judged=True),
    "deploy.labels": Field("T", "labels of each instance"),
    "deploy.mode": Field("H", judged=True),
    "deploy.placement": _GROUP,
    "deploy.placement.constraints": Field("T", "conditions on the node", judged=True),
    "deploy.placement.max_replicas_per_node": Field("H", judged=True),
    "deploy.placement.preferences": _GROUP,
    "deploy.placement.preferences[].spread": Field("T", "spread", judged=True),
    "deploy.replicas": Field("T", "replicas of the service"),
    "deploy.resources": _GROUP,
    "deploy.resources.limits": _GROUP,
    "deploy.resources.limits.cpus": _H,
    "deploy.resources.limits.memory": _H,
    "deploy.resources.limits.pids": _H,
    "deploy.resources.reservations": _GROUP,
    "deploy.resources.reservations.cpus": _H,
    "deploy.resources.reservations.memory": _H,
    "deploy.resources.reservations.devices": Field("H", "GPUs, and a condition on the node: it has them", judged=True),
    "deploy.resources.reservations.generic_resources": Field("R", "nodes of a site tell of no resources by number"),
    "deploy.restart_policy": _GROUP,
    "deploy.restart_policy.condition": _H,
    "deploy.restart_policy.max_attempts": _H,
    "deploy.restart_policy.delay": Field("T", "the agent's own back-off"),
    "deploy.restart_policy.window": Field("T", "the agent's own back-off"),
    "deploy.rollback_config": _GROUP,
    **{f"deploy.rollback_config.{name}": row for name, row in _CHANGE.items()},
    "deploy.update_config": _GROUP,
    **{f"deploy.update_config.{name}": row for name, row in _CHANGE.items()},
    "develop": Field("T", "nothing at a site; for the laptop only"),
    "device_cgroup_rules": Field("G", judged=True),
    "devices": Field("G", judged=True),
    "dns": _H,
    "dns_opt": _H,
    "dns_search": _H,
    "domainname": _H,
    "entrypoint": _H,
    "env_file": Field("H", "read at apply"),
    "environment": _H,
    "expose": _H,
    "extends": Field("T", "the other service is put below this one at apply"),
    "external_links": Field(
        "R", "containers of other apps have names of the engine, which differ from site to site; reach their ports"
    ),
    "extra_hosts": Field("H", judged=True),
    "gpus": Field("H", "and a condition on the node: that it has them", judged=True),
    "group_add": _H,
    "healthcheck": _GROUP,
    "healthcheck.disable": _H,
    "healthcheck.interval": _H,
    "healthcheck.retries": _H,
    "healthcheck.start_interval": _H,
    "healthcheck.start_period": _H,
    "healthcheck.test": _H,
    "healthcheck.timeout": _H,
    "hostname": _H,
    "image": Field("H", "resolved to a digest at apply"),
    "init": _H,
    "ipc": Field("H", judged=True),
    "isolation": Field("R", _WINDOWS),
    "label_file": Field("H", "read at apply"),
    "labels": _H,
    "links": Field("T", "further names in the app's networks"),
    "logging": Field("T", "the site's log store", judged=True),
    "mac_address": _H,
    "mem_limit": _H,
    "mem_reservation": _H,
    "mem_swappiness": Field("R", _NO_CGROUP_V2),
    "memswap_limit": _H,
    "models": Field("R", "there is no model runner at a site"),
    "network_mode": Field("H", judged=True),
    "networks": _GROUP,
    "networks.*": _GROUP,
    "networks.*.aliases": _H,
    "networks.*.driver_opts": Field("T", "the name of the network's device", judged=True),
    "networks.*.gw_priority": Field("H", judged=True),
    "networks.*.interface_name": _H,
    "networks.*.ipv4_address": _H,
    "networks.*.ipv6_address": _H,
    "networks.*.link_local_ips": Field("R", "no instance has an address that its network does not have"),
    "networks.*.mac_address": _H,
    "networks.*.priority": _H,
    "oom_kill_disable": Field("R", _NO_CGROUP_V2, idle=_OFF),
    "oom_score_adj": Field("H", judged=True),
    "pid": Field("H", judged=True),
    "pids_limit": _H,
    "platform": Field("H", "a constraint on the node's architecture", judged=True),
    "ports": _GROUP,
    "ports[].app_protocol": Field("T", "nothing: it is for people"),
    "ports[].host_ip": _H,
    "ports[].mode": Field("T", "the node's own port", judged=True),
    "ports[].name": Field("T", "nothing: it is for people"),
    "ports[].protocol": _H,
    "ports[].published": _H,
    "ports[].target": _H,
    "post_start": Field("H", "run by the agent once after each start", judged=True),
    "pre_stop": Field("H", "run by the agent before it stops it, within the grace period", judged=True),
    "privileged": Field("G", judged=True, idle=_OFF),
    "profiles": Field("H", "chosen at apply"),
    "provider": Field("R", "no plug-in runs on the caller's machine"),
    "pull_policy": Field("T", "images are resolved at apply and brought to a site when missing", judged=True),
    "pull_refresh_after": Field("T", "images are resolved at apply"),
    "read_only": _H,
    "restart": Field("H", "done by the agent, with back-off"),
    "runtime": Field("R", _ONE_RUNTIME, idle=("", "runc", "crun", "io.containerd.runc.v2")),
    "scale": Field("T", "replicas of the service"),
    "secrets": _GROUP,
    "secrets[].source": _H,
    "secrets[].target": _H,
    "secrets[].uid": _H,
    "secrets[].gid": _H,
    "secrets[].mode": _H,
    "security_opt": Field("H", judged=True),
    "shm_size": _H,
    "stdin_open": _H,
    "stop_grace_period": _H,
    "stop_signal": _H,
    "storage_opt": Field("T", "a limit of its root, and a condition on the node: root-quota=true", judged=True),
    "sysctls": Field("H", judged=True),
    "tmpfs": _H,
    "tty": _H,
    "ulimits": _H,
    "use_api_socket": Field("R", "no instance gets the engine's socket", idle=_OFF),
    "user": _H,
    "userns_mode": Field("H", judged=True),
    "uts": Field("H", judged=True),
    "volumes": _GROUP,
    "volumes[].bind": Field("T", "nothing: files and folders become configs or volumes", judged=True),
    "volumes[].consistency": Field("T", "nothing: it is for Docker Desktop"),
    "volumes[].image": Field("R", _NO_IMAGE_MOUNT),
    "volumes[].read_only": _H,
    "volumes[].source": _H,
    "volumes[].target": _H,
    "volumes[].tmpfs": _GROUP,
    "volumes[].tmpfs.mode": Field("H", judged=True),
    "volumes[].tmpfs.size": _H,
    "volumes[].type": Field("H", judged=True),
    "volumes[].volume": _GROUP,
    "volumes[].volume.labels": Field("H", judged=True),
    "volumes[].volume.nocopy": _H,
    "volumes[].volume.subpath": Field("T", "a volume of its own", judged=True),
    "volumes_from": Field("T", "the mounts of that service", judged=True),
    "working_dir": _H,
}

_NETWORK: dict[str, Field] = {
    "attachable": Field("T", "nothing: only this app's services are in it"),
    "driver": Field("H", judged=True),
    "driver_opts": Field(
        "T",
        "the size of packets; parent of macvlan and ipvlan; options that name what the node chooses mean nothing",
        judged=True,
    ),
    "enable_ipv4": Field("H", judged=True),
    "enable_ipv6": _H,
    "external": Field("T", _NO_FOREIGN_NETWORK, built=False, idle=_OFF),
    "internal": _H,
    "ipam": Field("H", judged=True),
    "labels": _H,
    "name": Field("T", "nothing: a network's name is its own in each app"),
}

_VOLUME: dict[str, Field] = {
    "driver": Field("H", judged=True),
    "driver_opts": Field("T", "memory, or a bind where it is used", judged=True),
    "external": Field("T", _NO_FOREIGN_VOLUME, built=False, idle=_OFF),
    "labels": _H,
    "name": Field("T", "nothing: a volume's name is its own in each app", judged=True),
}

_SECRET: dict[str, Field] = {
    "driver": Field("R", "secrets are sealed on the client, not fetched by a driver"),
    "driver_opts": Field("R", "secrets are sealed on the client, not fetched by a driver"),
    "environment": Field("H", "read at apply and sealed on the client"),
    "external": _H,
    "file": Field("H", "read at apply and sealed on the client"),
    "labels": Field("T", "nothing: a secret has no labels"),
    "name": Field("T", "the name of a secret that exists; of others, nothing"),
    "template_driver": Field("R", "secrets are never templates"),
}

_CONFIG: dict[str, Field] = {
    "content": _H,
    "environment": Field("H", "read at apply"),
    "external": Field(
        "R",
        "what a service reads is signed with it, so none is kept elsewhere: give it by file, environment or content",
        idle=_OFF,
    ),
    "file": Field("H", "read at apply"),
    "labels": Field("T", "nothing: a config has no labels"),
    "name": Field("T", "nothing: a config belongs to its app"),
    "template_driver": Field("R", "variables stand in the content itself"),
}


def _below(prefix: str, rows: dict[str, Field]) -> dict[str, Field]:
    return {prefix: _GROUP, f"{prefix}.*": _GROUP} | {f"{prefix}.*.{name}": row for name, row in rows.items()}


#: Every field by its path; ``*`` stands for a name that people choose, ``[]`` for the items of a list.
FIELDS: dict[str, Field] = {
    "name": Field("H", "the app's name"),
    "version": Field("T", "nothing: the word is obsolete"),
    "include": Field("T", "read at apply, as if it stood in this file"),
    "models": Field("R", "there is no model runner at a site"),
    **_below("services", _SERVICE),
    **_below("networks", _NETWORK),
    **_below("volumes", _VOLUME),
    **_below("secrets", _SECRET),
    **_below("configs", _CONFIG),
}

#: Dots in the path of a field of a service; honoured fields further down are not listed one by one.
_DOTS_OF_FIELDS = 2

#: Objects whose own ``x-skerry`` is read.
_WITH_WORDS = ("", "services.*", "networks.*", "volumes.*", "secrets.*")


def walk_fields(top: Place, skipped: frozenset[str], findings: Findings) -> None:
    """Judge every field of a Compose document by the table; ``skipped`` are services that are not switched on."""
    _walk(top, "", skipped, findings)


def _walk(place: Place, path: str, skipped: frozenset[str], findings: Findings) -> None:
    for name, child in place.entries():
        if path == "services" and name in skipped:
            findings.note(child, "translated", "left out: none of its profiles is switched on")
            continue
        if name.startswith("x-") and f"{path}.*" not in FIELDS:
            _walk_extension(name, child, path, findings)
            continue
        inner = _inner_path(path, name)
        if inner and _judge(child, inner, findings) and not FIELDS[inner].whole:
            _walk(child, inner, skipped, findings)
            for item in child.elements():
                _walk(item, f"{inner}[]", skipped, findings)


def _inner_path(path: str, name: str) -> str:
    """Return the row's key; empty where the schema has complained already."""
    for found in (f"{path}.{name}" if path else name, f"{path}.*"):
        if found in FIELDS:
            return found
    return ""


def _walk_extension(name: str, place: Place, path: str, findings: Findings) -> None:
    """Extension fields mean nothing, as in Compose, but for our own."""
    if name == "x-skerry" and path not in _WITH_WORDS:
        homes = ", ".join(home.removesuffix(".*").removesuffix("s") for home in _WITH_WORDS if home)
        detail = f"x-skerry has no meaning here, only at the top and in a {homes}"
        findings.complain(place, "E-UNKNOWN-WORD", detail, at_key=True)


def _judge(place: Place, path: str, findings: Findings) -> bool:
    """Tell what its row says of a field that is there; return whether to look below it."""
    row = FIELDS[path]
    if isinstance(place.node, Scalar) and place.value in row.idle:
        findings.note(place, "honoured")
        return False
    if row.letter == "R":
        findings.refuse(place, f'"{place.name}" is refused: {row.reason}')
        return False
    if not row.built:
        findings.not_yet(place, f'"{place.name}"', why=row.reason)
        return False
    is_container = not row.whole and path.count(".") < _DOTS_OF_FIELDS
    if not is_container and (row.letter != "H" or path.count(".") <= _DOTS_OF_FIELDS):
        findings.note(place, _VERDICTS[row.letter], row.reason)
    return True
