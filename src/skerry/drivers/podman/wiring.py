"""Containers whose links Skerry makes: what podman is told of them, their links before they start, and their names.

podman makes the namespaces and nothing in them (decision 0022): a container is created without a network, ``init`` has
its namespaces made, then ``wires.py`` puts the links in, then it is started. podman's own ``restart`` would lose the
links and is never called. podman writes neither ``resolv.conf`` nor ``hosts`` there, so both are ours, bound in from
memory. Where no name server of the node answers for a network, ``hosts`` names the neighbours in it, and is written
over in place as they come and go.
"""

import asyncio
import contextlib
import os
import re
import shutil
import socket
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec

from skerry.drivers import wires
from skerry.drivers.base import bridge_name
from skerry.drivers.podman.alongside import name_pair
from skerry.drivers.podman.answers import ContainerItem, Inspected, NetworkItem
from skerry.drivers.podman.clearing import wait_cleared
from skerry.drivers.podman.http import PodmanHttp, PodmanRefusal, Query
from skerry.drivers.podman.names import LABEL
from skerry.drivers.podman.spec import container_name
from skerry.model.app import Further, Port
from skerry.model.ids import AppName, NetworkName, TenantName
from skerry.model.instance import InstanceSpec
from skerry.model.observed import ContainerSeen, NetworkSeen
from skerry.plan.actions import DONE, CreateNetwork, Outcome, RemoveNetwork, StartContainer, failed

_START_S = 120.0
#: The first may find namespaces that a killed agent has left, and the second meets somebody's hand on podman.
_STARTS_MAX = 3
#: As the firewall's table: only a person changes bridges while no process comes or goes.
_BELIEVED_S = 25.0
#: Labels: whose links we make, further names by network, ports of the node.
WIRED = LABEL + "wired"
_NAMES = LABEL + "names"
_PORTS = LABEL + "ports"
_SERVERS_MAX = 3
_RESOLV_BYTES_MAX = 64 * 1024
#: Where the node keeps its own name servers; the second where the first names a server that only the node reaches.
_RESOLV = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?")
_LOOPBACK = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


_Key = tuple[TenantName, AppName, NetworkName]


class Known(msgspec.Struct, frozen=True):
    """What one running container is called in a network, and where it is."""

    addresses: tuple[str, ...]
    names: tuple[str, ...]


class Wiring:
    """Links and names of one podman service's containers."""

    def __init__(self, root: Path) -> None:
        """``root`` is a folder in memory for the files that containers see."""
        self._root = root
        self._seen = wires.WiresSeen()
        self._as_of: object = None
        self._read_at = float("-inf")
        self._hosts: dict[str, bytes] = {}
        #: Names were written as of the last look.
        self._is_told = False

    # --- looking -----------------------------------------------------------------------------------------------------

    async def look(self, containers: list[ContainerItem]) -> wires.WiresSeen:
        """Return bridges and links; read afresh where processes came or went, or something was done here."""
        as_of = frozenset((item.id, item.pid) for item in containers if item.state == "running")
        now = asyncio.get_running_loop().time()
        if as_of != self._as_of or now - self._read_at > _BELIEVED_S:
            self._seen, self._read_at = await wires.observe_wires(), now
            await self._look_inside(containers)
            self._as_of = None if self._seen.reason else as_of
            self._is_told = False
        return self._seen

    async def _look_inside(self, containers: list[ContainerItem]) -> None:
        """Find links that are not the node's to see: of containers that have fewer than networks."""
        for item in containers:
            labels = item.labels or {}
            if item.state != "running" or WIRED not in labels or not item.pid or self._seen.reason:
                continue
            networks = frozenset(msgspec.json.decode(labels.get(_NAMES, "{}"), type=dict[str, tuple[str, ...]]))
            wired = self._seen.links.get(item.id)
            if wired is not None and not networks - wired.macs.keys():
                continue
            # What cannot be looked at is not taken for absent; one that has ended is told by podman.
            if not await wires.look_inside(self._seen, item.id, item.pid, networks) and _is_process(item.pid):
                reason = f"the network of container {item.id[:12]} cannot be looked at"
                self._seen = msgspec.structs.replace(self._seen, reason=reason)

    def changed(self) -> None:
        """Something was done that the next look must show."""
        self._as_of = None

    def complete(self, seen: ContainerSeen, item: ContainerItem) -> ContainerSeen:
        """Add addresses and ports; one that podman wired is as good as none, so that another takes its place."""
        labels = item.labels or {}
        if WIRED not in labels:
            return msgspec.structs.replace(seen, spec=type(seen.spec)("")) if item.networks else seen
        wired = self._seen.links.get(item.id) if seen.state in ("running", "paused") else None
        networks = msgspec.json.decode(labels.get(_NAMES, "{}"), type=dict[NetworkName, tuple[str, ...]])
        if seen.state == "running" and (wired is None or networks.keys() - wired.macs.keys()):
            # A start of podman's own, by a person's hand, or a device of the node that went and took links with it:
            # it is not reached where it should be, so another takes its place.
            return msgspec.structs.replace(seen, spec=type(seen.spec)(""))
        ports = msgspec.json.decode(labels.get(_PORTS, "[]"), type=tuple[Port, ...])
        addresses, macs = (wired.addresses, wired.macs) if wired else ({}, {})
        return msgspec.structs.replace(seen, addresses=addresses, macs=macs, ports=ports)

    async def find_addresses(self, container: str) -> list[str]:
        """Return the addresses of a container as they are now, those of its first network first."""
        seen = await wires.observe_wires()
        wired = seen.links.get(container)
        # The node reaches nobody in a network at one of its devices.
        apart = {bridge_name(each.tenant, each.app, each.name) for each in seen.networks if each.lan}
        ends = {wires.end_name(container, name): name for name in wired.addresses} if wired else {}
        near = {name for end, name in ends.items() if seen.devices[end].master not in apart}
        return (
            [each for name, found in sorted(wired.addresses.items()) if name in near for each in found] if wired else []
        )

    async def count_bytes(self) -> dict[str, tuple[int, int]]:
        """Return the bytes that each container has received and sent since it started."""
        return {
            name: (wired.received_bytes, wired.sent_bytes)
            for name, wired in (await wires.observe_wires()).links.items()
        }

    # --- making ------------------------------------------------------------------------------------------------------

    async def perform(self, action: CreateNetwork | RemoveNetwork) -> Outcome:
        """Make or remove a network."""
        self.changed()
        if isinstance(action, CreateNetwork):
            return await wires.make_bridge(action)
        return await wires.remove_bridge(action.tenant, action.app, action.name)

    def dress(self, body: dict[str, Any], spec: InstanceSpec) -> None:
        """Tell podman to leave the network of a container alone; nothing where it has none of its own."""
        if spec.further and "network" in spec.further.shares:
            # It asks the names of the one whose network it is in, whose files stay as long as that one is leaned on.
            self._bind_names(body, name_pair(spec))
        if not spec.networks:
            return
        for word in ("networks", "portmappings", "hostadd", "dns_server", "dns_option", "dns_search"):
            body.pop(word, None)
        body["netns"] = {"nsmode": "none"}
        ports = [port for port in spec.ports if port.published]
        body["labels"] |= {
            WIRED: "",
            _NAMES: msgspec.json.encode(spec.networks, order="sorted").decode(),
            _PORTS: msgspec.json.encode(ports).decode(),
        }
        self._bind_names(body, body["name"])
        # podman looks for them when it makes the container; they are filled before it starts.
        for name in ("hosts", "resolv.conf"):
            self._write(body["name"], name, b"")

    def _bind_names(self, body: dict[str, Any], container: str) -> None:
        """Show a container the files with the names that another one, or itself, asks for."""
        folder = self._root / container
        body["mounts"] += [
            {"type": "bind", "source": str(folder / name), "destination": f"/etc/{name}", "options": ["ro", "rbind"]}
            for name in ("hosts", "resolv.conf")
        ]

    async def start(self, http: PodmanHttp, action: StartContainer) -> Outcome:
        """Start a container with its links; one that runs already is left alone.

        A start by podman makes namespaces where there are none, without links: so it is looked at before and after
        whether they are those that were made here, and where they went with their process, all is done again.
        """
        path = f"/containers/{action.container}"
        for _ in range(_STARTS_MAX):
            running = await self._list_running(http)
            if any(item.id == action.container for item in running):
                return DONE
            clash = find_port_clash(action.spec, [read_ports(item) for item in running])
            if clash:
                return failed("E-PORT-IN-USE", clash)
            await self.look(running)
            self.write_names(running, action)
            process = await self._make_links(http, action)
            self.changed()
            if isinstance(process, Outcome):
                return process
            if not process:
                continue
            await http.call("POST", f"{path}/start", deadline_s=_START_S)
            state = (await http.read(Inspected, f"{path}/json")).state
            if not state.pid or state.pid == process:  # it may have ended by itself since
                return DONE
            await http.call("POST", f"{path}/stop", query={"timeout": 0}, deadline_s=_START_S)
        return failed("E-RUNTIME", "the container's namespaces went away each time that they were made")

    async def _make_links(self, http: PodmanHttp, action: StartContainer) -> Outcome | int:
        """Make namespaces and links; return the process that holds them, 0 where they went at once, or what failed."""
        path = f"/containers/{action.container}"
        await wait_cleared(action.container, (await http.read(Inspected, f"{path}/json")).state.conmon_pid)
        try:
            await http.call("POST", f"{path}/init", deadline_s=_START_S)
        except PodmanRefusal as error:
            if error.status != 304:  # made before, by a try that did not come to its end
                raise
        process = (await http.read(Inspected, f"{path}/json")).state.pid
        outcome = await wires.attach(action.container, process, action.spec, action.links) if process else DONE
        # Its number may have been another's by then.
        if (await http.read(Inspected, f"{path}/json")).state.pid != process:
            return 0
        if not outcome.ok and not _is_process(process):
            # Podman learns late of one that has ended, and makes no others before: this tells it.
            with contextlib.suppress(PodmanRefusal):
                await http.call("POST", f"{path}/stop", query={"timeout": 0}, deadline_s=_START_S)
            return 0
        return process if outcome.ok else outcome

    async def _list_running(self, http: PodmanHttp) -> list[ContainerItem]:
        query: Query = {"filters": f'{{"label":["{LABEL}instance"],"status":["running","paused"]}}'}
        return await http.read(list[ContainerItem], "/containers/json", query=query)

    async def drop_podmans(self, http: PodmanHttp, containers: list[ContainerItem]) -> bool:
        """Take away podman's own networks of ours once no container is in one; say whether they are gone."""
        if any(item.networks and LABEL + "instance" in (item.labels or {}) for item in containers):
            return False
        query: Query = {"filters": f'{{"label":["{LABEL}network"]}}'}
        for item in await http.read(list[NetworkItem], "/networks/json", query=query):
            with contextlib.suppress(PodmanRefusal):
                await http.call("DELETE", f"/networks/{item.name}")
        return True

    async def forget(self, container: str, inspected: Inspected) -> None:
        """Take away what stands outside of a container that has gone."""
        self.changed()
        name, labels = inspected.name or container, inspected.config.labels or {}
        networks = msgspec.json.decode(labels.get(_NAMES, "{}"), type=dict[str, tuple[str, ...]])
        self._hosts.pop(name, None)
        shutil.rmtree(self._root / name, ignore_errors=True)
        await wires.forget_links(container, tuple(networks))

    def sweep(self, present: set[str]) -> None:
        """Forget the files of containers that are not there: once, at start."""
        if self._root.is_dir():
            for left in self._root.iterdir():
                if left.name not in present:
                    shutil.rmtree(left, ignore_errors=True)

    # --- names -------------------------------------------------------------------------------------------------------

    def write_names(self, running: list[ContainerItem], starting: StartContainer | None = None) -> None:
        """Write ``hosts`` of all that run, and both files of one that is to start, as of the last look."""
        if self._is_told and starting is None:
            return
        self._is_told = True
        networks = {(each.tenant, each.app, each.name): each for each in self._seen.networks}
        known: dict[_Key, dict[str, Known]] = {}
        for item in running:
            for key, name, one in self._read_known(item):
                known.setdefault(key, {})[name] = one
        for item in running:
            labels = item.labels or {}
            if WIRED in labels and item.names:
                whose = {key: each for key, each in known.items() if item.names[0] in each}
                self._write_hosts(item.names[0], whose, networks, (), "")
        if starting is None or not starting.links:
            return
        spec, name = starting.spec, container_name(starting.spec, starting.spec_digest)
        for link in starting.links:
            key = (spec.tenant, spec.app, link.network)
            own = Known(tuple(each.partition("/")[0] for each in link.addresses), _names_of(spec, link.network))
            known.setdefault(key, {})[name] = own
        whose = {key: each for key, each in known.items() if name in each}
        hostname = spec.hostname or f"{spec.service}-{spec.ordinal}"
        head = "".join(
            f"{address}\t{host}\n" for host, _, address in (each.partition(":") for each in spec.extra_hosts)
        )
        self._write_hosts(name, whose, networks, (hostname,), head)
        self._write(
            name, "resolv.conf", build_resolv(spec, [networks[key] for key in sorted(whose) if key in networks])
        )

    def _read_known(self, item: ContainerItem) -> Iterable[tuple[_Key, str, Known]]:
        labels = item.labels or {}
        wired = self._seen.links.get(item.id)
        if wired is None or not item.names:
            return
        further = msgspec.json.decode(labels.get(_NAMES, "{}"), type=dict[str, tuple[str, ...]])
        for network, addresses in wired.addresses.items():
            key = (TenantName(labels.get(LABEL + "tenant", "")), AppName(labels.get(LABEL + "app", "")), network)
            names = (labels.get(LABEL + "service", ""), *further.get(network, ()))
            yield key, item.names[0], Known(addresses, names)

    def _write_hosts(
        self,
        name: str,
        known: dict[_Key, dict[str, Known]],
        networks: dict[_Key, NetworkSeen],
        hostnames: tuple[str, ...],
        head: str,
    ) -> None:
        """Write a container's ``hosts``; its own head, which only its start knows, is kept afterwards."""
        path = self._root / name / "hosts"
        if not head and not hostnames:
            head = _read_head(path)
        else:
            own = [address for each in known.values() for address in each[name].addresses][:1]
            head = _LOOPBACK + head + "".join(f"{each}\t{' '.join(hostnames)}\n" for each in own) + _MARK
        told = [each for key, each in sorted(known.items()) if key not in networks or not networks[key].names]
        content = (head + build_neighbours(told)).encode()
        if self._hosts.get(name) != content:
            self._write(name, "hosts", content)
            self._hosts[name] = content

    def _write(self, name: str, file: str, content: bytes) -> None:
        """Write over a file that a container may have bound in: the same file, longer or shorter, never absent."""
        folder = self._root / name
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        descriptor = os.open(folder / file, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            os.pwrite(descriptor, content, 0)
            os.ftruncate(descriptor, len(content))
            os.fchmod(descriptor, 0o644)
        finally:
            os.close(descriptor)


#: What stands before this line in ``hosts`` is the container's own.
_MARK = "# neighbours\n"


def _read_head(path: Path) -> str:
    with contextlib.suppress(OSError):
        head, mark, _ = path.read_text("utf-8", "replace").partition(_MARK)
        return head + mark if mark else _LOOPBACK + _MARK
    return _LOOPBACK + _MARK


def build_neighbours(known: list[dict[str, Known]]) -> str:
    """Return the lines of ``hosts`` that name all that run in the networks of one container."""
    lines = [
        f"{address}\t{' '.join(names)}\n"
        for network in known
        for _, one in sorted(network.items())
        for address in one.addresses
        if (names := [each for each in dict.fromkeys(one.names) if _NAME.fullmatch(each)])
    ]
    return "".join(lines)


def build_resolv(spec: InstanceSpec, networks: list[NetworkSeen]) -> bytes:
    """Return ``resolv.conf``: the node at the networks, the service's own servers, else those that the node asks."""
    further = spec.further or Further()
    at_gateways = [network.ranges[0].gateway for network in networks if network.names and network.ranges]
    servers = [*at_gateways, *spec.dns] or list_node_servers()
    lines = [f"search {' '.join(further.dns_search)}"] if further.dns_search else []
    lines += [f"nameserver {each}" for each in servers[:_SERVERS_MAX]]
    lines += [f"options {' '.join(further.dns_options)}"] if further.dns_options else []
    return "\n".join([*lines, ""]).encode()


def list_node_servers(files: tuple[Path, ...] = _RESOLV) -> list[str]:
    """Return the name servers of the node that an instance can reach; none where there are only others."""
    for file in files:
        found: list[str] = []
        with contextlib.suppress(OSError), file.open("rb") as source:
            for line in source.read(_RESOLV_BYTES_MAX).decode("ascii", "replace").splitlines():
                words = line.split()
                if len(words) >= 2 and words[0] == "nameserver" and _is_reachable(words[1]):
                    found.append(words[1])
        if found:
            return found
    return []


def _is_process(number: int) -> bool:
    return Path(f"/proc/{number}").exists()


def _is_reachable(server: str) -> bool:
    try:
        address = ip_address(server)
    except ValueError:
        return False  # a link-local one with the node's own device, for example
    return not (address.is_loopback or address.is_link_local)


def _names_of(spec: InstanceSpec, network: NetworkName) -> tuple[str, ...]:
    return (spec.service, *spec.networks.get(network, ()))


def read_ports(item: ContainerItem) -> tuple[str, tuple[Port, ...]]:
    """Return the instance of a container, and the node's ports that lead to it."""
    labels = item.labels or {}
    return labels.get(LABEL + "instance", ""), msgspec.json.decode(labels.get(_PORTS, "[]"), type=tuple[Port, ...])


def find_port_clash(spec: InstanceSpec, running: list[tuple[str, tuple[Port, ...]]]) -> str:
    """Say who has a port of the node that an instance wants: another instance, or a program of the node itself."""
    for port in spec.ports:
        if not port.published:
            continue
        for other, ports in running:
            if any(_meet(port, each) for each in ports):
                return f"port {port.published}/{port.protocol} is in use by {other}"
        if _is_bound(port):
            return f"port {port.published}/{port.protocol} is in use by a program of the node"
    return ""


def _meet(one: Port, other: Port) -> bool:
    anywhere = ("", "0.0.0.0", "::")
    return (one.protocol, one.published) == (other.protocol, other.published) and (
        one.host_ip == other.host_ip or one.host_ip in anywhere or other.host_ip in anywhere
    )


def _is_bound(port: Port) -> bool:
    """Try the port: packets for it would come to the instance, and no longer to the program that listens there."""
    kind = _KINDS.get(port.protocol)
    if kind is None:
        return False
    family = socket.AF_INET6 if ":" in port.host_ip else socket.AF_INET
    with contextlib.closing(socket.socket(family, kind)) as tried:
        if kind == socket.SOCK_STREAM:
            # Connections of former listeners that have not quite ended are no listeners.
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((port.host_ip, port.published))
        except OSError:
            return True
    return False
