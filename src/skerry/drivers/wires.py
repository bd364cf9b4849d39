"""Bridges of networks and the links of instances, made with ``ip`` and ``nft`` (decision 0022 says why not by podman).

The kernel holds all there is to know: a bridge's alias says whose it is, the alias of a link's outer end says which
container it belongs to and by which addresses, and a link is gone with its instance. So one reading of ``ip`` is the
whole observation, and nothing is remembered. Each link is guarded at its outer end before it is up: what an instance
sends by another hardware address or another address than its own goes nowhere.
"""

import functools
import hashlib
import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from skerry.drivers.base import bridge_name, run_program
from skerry.drivers.lans import (
    END_PREFIX,
    NodeDevice,
    find_obstacle,
    vlan_name,
    write_direct,
    write_port,
)
from skerry.model.app import Subnet
from skerry.model.ids import AppName, NetworkName, TenantName
from skerry.model.instance import InstanceSpec
from skerry.model.lan import Lan
from skerry.model.observed import NetworkSeen
from skerry.plan.actions import DONE, CreateNetwork, Link, Outcome, failed
from skerry.plan.addresses import choose_mac

#: Of the netdev family: a chain for each link.
GUARDS = "skerry_guards"
_ALIAS = "skerry"
_CONF = Path("/proc/sys/net")
#: What waits for its turn at a limited link, at most.
_WAIT_MS = 200
_LINK_LOCAL = ipaddress.IPv6Network("fe80::/64")
#: Each range of a node is read again at each look; a thousand networks have two each.
_RANGES_MAX = 4096


class _Held(msgspec.Struct):
    local: str = ""
    prefixlen: int = 0
    scope: str = ""


class _Count(msgspec.Struct):
    bytes: int = 0


class _Counts(msgspec.Struct):
    rx: _Count = msgspec.field(default_factory=_Count)
    tx: _Count = msgspec.field(default_factory=_Count)


class _Device(msgspec.Struct):
    ifname: str = ""
    ifalias: str = ""
    master: str = ""
    mtu: int = 0
    flags: list[str] = []
    addr_info: list[_Held] = []
    stats64: _Counts = msgspec.field(default_factory=_Counts)


class Wired(msgspec.Struct):
    """What one container has: addresses and hardware address by network, and bytes that it received and sent."""

    addresses: dict[NetworkName, tuple[str, ...]]
    macs: dict[NetworkName, str]
    received_bytes: int = 0
    sent_bytes: int = 0


class WiresSeen(msgspec.Struct, frozen=True):
    """All bridges and links of ours. ``reason`` says why they could not be read; then the rest means nothing."""

    networks: tuple[NetworkSeen, ...] = ()
    links: dict[str, Wired] = {}
    #: Devices of the node and the ranges at them, ours included.
    ranges: tuple[tuple[str, str], ...] = ()
    devices: dict[str, NodeDevice] = {}
    reason: str = ""


async def observe_wires() -> WiresSeen:
    """Read all devices of the node once."""
    code, output = await run_program("ip", "-json", "-details", "-statistics", "address", "show")
    if code != 0:
        return WiresSeen(reason=f"ip told nothing of the node's devices: {_say(output)}")
    return read_wires(output)


def read_wires(output: bytes) -> WiresSeen:
    """Read what ``ip -json`` says of all devices."""
    try:
        devices = msgspec.json.decode(output, type=list[_Device])
    except msgspec.DecodeError as error:
        return WiresSeen(reason=f"ip does not tell of the node's devices as it should: {error}")
    networks: list[NetworkSeen] = []
    links: dict[str, Wired] = {}
    ranges: list[tuple[str, str]] = []
    # Bridges with a port that is no instance's.
    based = {device.master for device in devices if not device.ifname.startswith(END_PREFIX)}
    for device in devices:
        held = [each for each in device.addr_info if each.local and each.scope != "link"]
        ranges += [(device.ifname, _range_of(each)) for each in held]
        match device.ifalias.split(","):
            case [kind, whose, plan, way, names] if kind == _ALIAS and whose.count("/") == 2:
                tenant, app, name = whose.split("/")
                own = sorted((Subnet(subnet=_range_of(each), gateway=each.local) for each in held), key=_family)
                networks.append(
                    NetworkSeen(
                        tenant=TenantName(tenant),
                        app=AppName(app),
                        name=NetworkName(name),
                        internal=way != "open",
                        plan=plan,
                        names=names == "names",
                        ranges=tuple(own),
                        lan=way == "lan",
                        torn=way == "lan" and device.ifname not in based,
                    )
                )
            case [kind, container, name, mac, *addresses] if kind == _ALIAS and len(container) == 64:
                wired = links.setdefault(container, Wired({}, {}))
                wired.macs[NetworkName(name)] = mac
                wired.addresses[NetworkName(name)] = tuple(each.partition("/")[0] for each in addresses)
                # The outer end receives what the instance sends.
                wired.received_bytes += device.stats64.tx.bytes
                wired.sent_bytes += device.stats64.rx.bytes
            case _:
                pass
    known = {each.ifname: _describe(each) for each in devices}
    return WiresSeen(tuple(networks), links, tuple(ranges), known)


def _describe(device: _Device) -> NodeDevice:
    held = tuple(each.local for each in device.addr_info if each.local and each.scope != "link")
    return NodeDevice(mtu=device.mtu, master=device.master, up="UP" in device.flags, addresses=held)


async def look_inside(seen: WiresSeen, container: str, process: int, networks: frozenset[str]) -> bool:
    """Add the links of a container that stand on a device of the node: they are seen in its own namespace only.

    What the container says of itself there counts for itself alone, and for networks that it is in. Returns whether it
    could be looked at.
    """
    code, output = await run_program(
        "nsenter", f"--net=/proc/{process}/ns/net", "--", "ip", "-json", "-details", "-statistics", "address", "show"
    )
    found = read_wires(output)
    if code != 0 or found.reason:
        return False
    inside = found.links.get(container, Wired({}, {}))
    if not inside.macs:
        return True
    wired = seen.links.setdefault(container, Wired({}, {}))
    for name in sorted(networks & inside.macs.keys() - wired.macs.keys()):
        wired.macs[NetworkName(name)] = inside.macs[NetworkName(name)]
        wired.addresses[NetworkName(name)] = inside.addresses[NetworkName(name)]
    return True


async def make_bridge(action: CreateNetwork) -> Outcome:
    """Make a network's bridge, or make one that is there by half complete."""
    bridge = bridge_name(action.tenant, action.app, action.name)
    seen = await observe_wires()
    if seen.reason:
        return failed("E-NETWORK", seen.reason)
    lan = action.plan.lan or None
    if lan is not None:
        return await _make_part(action, seen, bridge, lan)
    for device, other in seen.ranges:
        if device != bridge and any(_overlap(other, each.subnet) for each in action.ranges):
            return failed("E-NETWORK", f"range {other} is in use at device {device} of the node")
    lines = [f"link set dev {bridge} {word}" for word in _bridge_words(action, bridge)]
    lines += [
        f"address replace {each.gateway}/{each.subnet.partition('/')[2]} dev {bridge}"
        + (" nodad" if ":" in each.gateway else "")
        for each in action.ranges
    ]
    if not await _is_device(bridge):
        # An address of its own: else it has that of a port, and another one when that goes (podman/bridges.py).
        lines = [f"link add name {bridge} address {choose_mac(bridge, 'gateway')} type bridge", *lines]
    # The alias comes last: a bridge that has none is not seen, and is made complete by the next try.
    lines += [f"link set dev {bridge} up", f"link set dev {bridge} alias {network_alias(action)}"]
    if (refusal := await _run_ip(lines)) is not None:
        return refusal
    return _let_forward(bridge, v6=any(":" in each.subnet for each in action.ranges))


async def _make_part(action: CreateNetwork, seen: WiresSeen, bridge: str, lan: Lan) -> Outcome:
    """Make a bridge that has no address of the node, and then its port: without that it is seen as torn."""
    obstacle = find_obstacle(seen.devices, bridge, lan, action.plan.mtu)
    if obstacle:
        return failed("E-NETWORK", obstacle)
    lines = [] if bridge in seen.devices else [f"link add name {bridge} type bridge"]
    lines += [f"link set dev {bridge} {word}" for word in _bridge_words(action, bridge)]
    lines += [f"link set dev {bridge} alias {network_alias(action)}", f"link set dev {bridge} up"]
    return await _run_ip(lines + write_port(seen.devices, bridge, lan)) or DONE


def network_alias(action: CreateNetwork) -> str:
    """Say whose bridge it is: at most 63 bytes for each name and 16 for the plan, of 255 that the kernel keeps."""
    way = "lan" if action.plan.lan else "internal" if action.internal else "open"
    whose = f"{action.tenant}/{action.app}/{action.name}"
    return ",".join((_ALIAS, whose, action.plan_name, way, "names" if action.names else ""))


async def remove_bridge(tenant: str, app: str, name: str) -> Outcome:
    """Remove a network's bridge; one that is not there is removed already."""
    bridge = bridge_name(tenant, app, name)
    # The bridge goes last: while it is there, what is left of the rest is found again.
    present = [each for each in (vlan_name(bridge), bridge) if await _is_device(each)]
    return await _run_ip([f"link delete dev {each}" for each in present]) or DONE


async def attach(container: str, process: int, spec: InstanceSpec, links: tuple[Link, ...]) -> Outcome:
    """Make the links of a container whose namespaces stand and whose process has not begun.

    ``process`` is used once, to open the namespace; whoever calls checks afterwards, by ``confirm``, that it was still
    the container's. Links that an earlier try left are made again.
    """
    seen = await observe_wires()
    if seen.reason:
        return failed("E-NETWORK", seen.reason)
    mine = {address.partition("/")[0]: link.network for link in links for address in link.addresses}
    for other, wired in seen.links.items():
        for name, addresses in wired.addresses.items():
            clash = [each for each in addresses if mine.get(each) == name]
            if other != container and clash:
                return failed("E-ADDRESS-IN-USE", f"{clash[0]} in network {name} is another instance's by now")
    try:
        descriptor = os.open(f"/proc/{process}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return failed("E-RUNTIME", "the container's namespaces have gone")
    except OSError as error:
        return failed("E-NETWORK", f"this agent may not enter the network of an instance: {error.strerror}")
    try:
        if os.fstat(descriptor).st_ino == os.stat("/proc/self/ns/net").st_ino:  # noqa: PTH116 - no disk is asked
            return failed("E-RUNTIME", "the container has no network namespace of its own")
        return await _attach(container, f"/proc/{os.getpid()}/fd/{descriptor}", spec, links)
    finally:
        os.close(descriptor)


async def _attach(container: str, namespace: str, spec: InstanceSpec, links: tuple[Link, ...]) -> Outcome:
    outside: list[str] = []
    inside = ["link set dev lo up"]
    ends: list[str] = []
    enter = ("nsenter", f"--net={namespace}", "--")
    for metric, link in enumerate(links, 100):
        end = end_name(container, link.network)
        mtu = f"mtu {link.mtu} " if link.mtu else ""
        alias = ",".join((_ALIAS, container, link.network, link.mac, *link.addresses))
        inside += _write_inside(link, metric)
        if link.lan is not None and link.lan.is_direct:
            if await _is_device(link.device, enter):
                await _run_ip([f"link delete dev {link.device}"], enter)
            outside.append(write_direct(link.lan, link, namespace))
            inside.append(f"link set dev {link.device} alias {alias}")
            continue
        ends.append(end)
        if await _is_device(end):
            outside.append(f"link delete dev {end}")
        outside += [
            f"link add name {end} {mtu}type veth peer name {link.device} {mtu}address {link.mac} netns {namespace}",
            f"link set dev {end} addrgenmode none",
            f"link set dev {end} master {bridge_name(spec.tenant, spec.app, link.network)}",
            f"link set dev {end} alias {alias}",
        ]
    if (refusal := await _run_ip(outside)) is not None:
        return refusal
    code, output = await run_program("nft", "-f", "-", given=build_guards(container, links).encode())
    if code != 0:
        return failed("E-NETWORK", f"nft refused the guards of its links: {_say(output)}")
    if (refusal := await _limit(container, links, enter)) is not None:
        return refusal
    return await _run_ip(inside, enter) or await _run_ip([f"link set dev {end} up" for end in ends]) or DONE


def _write_inside(link: Link, metric: int) -> list[str]:
    """Return what an instance's device is given; of several ways out the one of the lowest metric is taken."""
    # Without an address of ours an instance asks for one by itself.
    lines = [] if _is_v6(link) or not link.addresses else [f"link set dev {link.device} addrgenmode none"]
    lines.append(f"link set dev {link.device} up")
    lines += [f"address add {each} dev {link.device}" + (" nodad" if ":" in each else "") for each in link.addresses]
    return lines + [f"route add default via {each} dev {link.device} metric {metric}" for each in link.gateways]


def _is_v6(link: Link) -> bool:
    return any(":" in each for each in link.addresses)


async def _limit(container: str, links: tuple[Link, ...], enter: tuple[str, ...]) -> Outcome | None:
    """Limit what instances are sent at the outer end and what they send at the inner one; both go with the link.

    The inner one an instance with rights over its own network can take away; what it sends too much is then dropped by
    the guard, whose measure is a whole second.
    """
    for rate, where in (("down_bps", ()), ("up_bps", enter)):
        lines: list[str] = []
        for link in links:
            device = link.device if where else end_name(container, link.network)
            bps: int = getattr(link, rate)
            if bps:
                lines.append(
                    f"qdisc replace dev {device} root tbf rate {bps}bit burst {_burst(bps)} latency {_WAIT_MS}ms"
                )
        code, output = (0, b"")
        if lines:
            code, output = await run_program(*where, "tc", "-batch", "-", given="\n".join([*lines, ""]).encode())
        if code != 0:
            return failed("E-QUEUES", f"tc refused the rates of its links: {_say(output)}")
    return None


def _burst(rate_bps: int) -> int:
    """Return the bytes that may come at once: a fiftieth of a second, and no less than offloaded packets of 64 KiB."""
    return max(rate_bps // 8 // 50, 65_536)


async def forget_links(container: str, networks: tuple[str, ...]) -> None:
    """Take away the guards of a container that goes; its links went with its last process."""
    lines = [f"add table netdev {GUARDS}"]
    for name in networks:
        end = end_name(container, name)
        lines += [f"add chain netdev {GUARDS} {end}", f"delete chain netdev {GUARDS} {end}"]
    await run_program("nft", "-f", "-", given="\n".join([*lines, ""]).encode())


def end_name(container: str, network: str) -> str:
    """Name the outer end of a link: the kernel allows 15 characters, so it is a digest."""
    return END_PREFIX + hashlib.sha256(f"{container}/{network}".encode()).hexdigest()[:12]


class OuterEnd(NamedTuple):
    """A device of the node that leads to an instance, and the number that the kernel gave it and gives no other."""

    device: str
    number: int


def build_guards(container: str, links: tuple[Link, ...], ends: Mapping[str, OuterEnd] | None = None) -> str:
    """Return nft's text that binds each link to its hardware address and its addresses.

    ``ends`` tells the outer end by network where somebody else has made it. Its name may go to another link later, to
    which newer kernels then move the guard: one with another number is none of its business.
    """
    lines = [f"add table netdev {GUARDS}"]
    for link in links:
        if link.lan is not None and link.lan.is_direct:
            continue
        end = end_name(container, link.network)
        v4 = [each.partition("/")[0] for each in link.addresses if ":" not in each]
        v6 = [each.partition("/")[0] for each in link.addresses if ":" in each]
        chain = f"netdev {GUARDS} {end}"
        # A chain whose device went once may be there still: an instance that starts again has the same names.
        lines += [f"add chain {chain}", f"delete chain {chain}"]
        outer = (ends or {}).get(link.network)
        hook = f'type filter hook ingress device "{outer.device if outer else end}" priority 0; policy drop;'
        lines.append(f"add chain {chain} {{ {hook} }}")
        rules = [f"meta iif != {outer.number} accept"] if outer else []
        rules.append(f"ether saddr != {link.mac} drop")
        if link.up_bps:
            rate = f"{link.up_bps // 8} bytes/second burst {_burst(link.up_bps)} bytes"
            rules.append(f"limit rate over {rate} drop")
        if not link.addresses:
            rules.append("accept")
        if v4:
            addresses = "{ " + ", ".join(v4) + " }"
            rules += [
                "meta protocol ip accept" if link.passes else f"meta protocol ip ip saddr {addresses} accept",
                f"meta protocol arp arp saddr ether {link.mac} arp saddr ip {addresses} accept",
            ]
        if v6:
            own = [*v6, str(_link_local(link.mac))]
            targets = "{ " + ", ".join(hex(int(ipaddress.IPv6Address(each))) for each in own) + " }"
            rules += [
                "icmpv6 type { nd-router-advert, nd-redirect } drop",
                # RFC 4861 section 4.4: the target stands after type, code, checksum and flags.
                f"icmpv6 type nd-neighbor-advert @th,64,128 != {targets} drop",
                "meta protocol ip6 accept"
                if link.passes
                else f"meta protocol ip6 ip6 saddr {{ ::, {', '.join(own)} }} accept",
            ]
        lines += [f"add rule {chain} {rule}" for rule in rules]
    return "\n".join(lines) + "\n"


def _link_local(mac: str) -> ipaddress.IPv6Address:
    """Return the address that the kernel makes of a hardware address (RFC 4291 appendix A)."""
    first, *rest = (int(each, 16) for each in mac.split(":"))
    identifier = bytes([first ^ 2, *rest[:2], 0xFF, 0xFE, *rest[2:]])
    return _LINK_LOCAL[int.from_bytes(identifier, "big")]


def _bridge_words(action: CreateNetwork, bridge: str) -> list[str]:
    # Without a fixed one a bridge takes the lowest hardware address of its ports, and changes it as they come and go.
    words = [f"address {choose_mac(bridge, 'gateway')}"]
    if action.plan.mtu:
        words.append(f"mtu {action.plan.mtu}")
    if not any(":" in each.subnet for each in action.ranges):
        words.append("addrgenmode none")
    return words


def _let_forward(bridge: str, *, v6: bool) -> Outcome:
    """Set what the kernel needs to pass packets on, and to take a visitor of the node itself to a published port."""
    wanted = [("ipv4/ip_forward", "1"), (f"ipv4/conf/{bridge}/route_localnet", "1")]
    if v6:
        wanted.append(("ipv6/conf/all/forwarding", "1"))
    try:
        for name, value in wanted:
            path = _CONF / name
            if path.read_text().strip() != value:
                path.write_text(value)
    except OSError as error:
        return failed("E-NETWORK", f"the kernel lets nobody set {error.filename}: {error.strerror}")
    return DONE


async def _is_device(name: str, enter: tuple[str, ...] = ()) -> bool:
    code, _ = await run_program(*enter, "ip", "link", "show", "dev", name)
    return code == 0


async def _run_ip(lines: list[str], enter: tuple[str, ...] = ()) -> Outcome | None:
    """Run commands of ``ip`` up to the first that fails; None where all went well."""
    code, output = await run_program(*enter, "ip", "-batch", "-", given="\n".join([*lines, ""]).encode())
    return None if code == 0 else failed("E-NETWORK", f"ip could not do its work: {_say(output)}")


def _say(output: bytes) -> str:
    return output[:300].decode("utf-8", "replace").strip()


def _range_of(held: _Held) -> str:
    return _name_range(f"{held.local}/{held.prefixlen}")


@functools.lru_cache(maxsize=_RANGES_MAX)
def _name_range(address: str) -> str:
    return str(ipaddress.ip_interface(address).network)


_read_range = functools.lru_cache(maxsize=_RANGES_MAX)(ipaddress.ip_network)


def _family(subnet: Subnet) -> bool:
    return ":" in subnet.subnet


def _overlap(one: str, other: str) -> bool:
    first, second = _read_range(one), _read_range(other)
    if isinstance(first, ipaddress.IPv4Network):
        return isinstance(second, ipaddress.IPv4Network) and first.overlaps(second)
    return isinstance(second, ipaddress.IPv6Network) and first.overlaps(second)
