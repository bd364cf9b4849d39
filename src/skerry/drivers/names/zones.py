"""unbound's files, as text: one response policy zone for each network, and its settings. Pure.

A policy zone answers before anything is asked upstream: ``CNAME *.`` says that a name is known and has no address now,
``CNAME .`` that there is no such name, ``CNAME rpz-drop.`` leaves a question unanswered. Which zones a question meets
is said by tags of the address that it came to, or, for an instance of several networks, that it came from. File and
zone names are digests; names of tenants stand only inside the files, and were checked (``plan/names.py``).
"""

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping, Sequence

from skerry.drivers.base import bridge_name
from skerry.plan.actions import ApplyNames, Named, Zone
from skerry.plan.names import OWN_SUFFIX

#: How long whoever asked may keep an answer: as a dead instance must be out of names within 2 s.
TTL_S = 2
#: Tag and zone of networks without a way out, and of all.
SHUT, REST = "shut", "rest"
#: Where nothing answers: a node without resolvers asks nobody (RFC 863's port is closed everywhere).
_NOBODY = "127.0.0.1@9"
#: Reverse names of private addresses (RFC 6303): unbound would answer for them before it looks at any zone of ours.
PRIVATE_REVERSE = (
    "10.in-addr.arpa",
    *(f"{number}.172.in-addr.arpa" for number in range(16, 32)),
    "168.192.in-addr.arpa",
    "c.f.ip6.arpa",
    "d.f.ip6.arpa",
)


def tag(zone: Zone) -> str:
    """Name a network in unbound's settings and files."""
    return bridge_name(zone.tenant, zone.app, zone.network)


def write_zones(action: ApplyNames) -> dict[str, str]:
    """Return the content of each zone file, by its tag."""
    files = {tag(zone): _write_zone(tag(zone), _list_lines(zone)) for zone in action.zones}
    files[SHUT] = _write_zone(SHUT, ["* CNAME ."])
    ours = ["skerry CNAME .", "*.skerry CNAME ."]
    files[REST] = _write_zone(REST, [*ours, *(f"*.{each} CNAME ." for each in PRIVATE_REVERSE)])
    return files


def _write_zone(name: str, lines: Sequence[str]) -> str:
    body = "\n".join(lines)
    serial = int.from_bytes(hashlib.sha256(body.encode()).digest()[:4], "big")
    return (
        f"$ORIGIN {name}.names.\n$TTL {TTL_S}\n"
        f"@ SOA ns.skerry. root.skerry. {serial} 60 60 600 {TTL_S}\n@ NS ns.skerry.\n{body}\n"
    )


def _list_lines(zone: Zone) -> list[str]:
    lines = [line for each in zone.names for line in _lead(each.name, each.addresses)]
    for each in zone.own:
        lines += _lead(f"{each.name}.{OWN_SUFFIX}", each.addresses)
    known = {each.name for each in zone.names}
    ports: dict[str, list[str]] = {}
    for port in zone.ports:
        name = f"_{port.port}._{port.protocol}.{port.service}"
        if name in known:
            continue  # somebody calls a service so
        leads = [f"{name} SRV 0 10 {port.port} {port.target}."] if port.target else []
        ports.setdefault(name, []).extend(leads)
    for name, leads in ports.items():
        lines += leads or [f"{name} CNAME *."]
    lines += [f"{_reverse(address)} PTR {name}." for address, name in zone.reverse]
    return lines + [f"{name} CNAME rpz-drop." for name in zone.unsaid]


def _lead(name: str, addresses: Iterable[str]) -> list[str]:
    return [f"{name} {'AAAA' if ':' in each else 'A'} {each}" for each in addresses] or [f"{name} CNAME *."]


def _reverse(address: str) -> str:
    return ipaddress.ip_address(address).reverse_pointer


def write_settings(action: ApplyNames, resolvers: Sequence[str], paths: Mapping[str, str]) -> str:
    """Return the server's settings; ``paths`` are its ``folder`` of zones, ``pid`` file and ``control`` socket."""
    tags = {(zone.tenant, zone.app, zone.network): tag(zone) for zone in action.zones}
    shut = {tag(zone) for zone in action.zones if zone.shut}
    lines = ["server:", f'  define-tag: "{" ".join((*tags.values(), SHUT))}"']
    for zone in action.zones:
        words = f"{tag(zone)} {SHUT}" if zone.shut else tag(zone)
        for gateway in zone.gateways:
            lines += [
                f"  interface: {gateway}",
                f"  interface-action: {gateway} allow",
                f'  interface-tag: {gateway} "{words}"',
            ]
    for asker in action.askers:
        own = [tags[key] for network in asker.networks if (key := (asker.tenant, asker.app, network)) in tags]
        # One that has a way out by another network may ask for everything.
        words = [*own, SHUT] if own and shut.issuperset(own) else own
        bits = 128 if ":" in asker.address else 32
        lines += [
            f"  access-control: {asker.address}/{bits} allow",
            f'  access-control-tag: {asker.address}/{bits} "{" ".join(words)}"',
        ]
    lines += [f'  local-zone: "{each}." nodefault' for each in PRIVATE_REVERSE]
    lines += [_FIXED, f'  pidfile: "{paths["pid"]}"', "remote-control:", "  control-enable: yes"]
    lines += [f'  control-interface: "{paths["control"]}"', "  control-use-cert: no", "forward-zone:", '  name: "."']
    lines += [f"  forward-addr: {each}" for each in resolvers or (_NOBODY,)]
    for name in (*tags.values(), SHUT, REST):
        lines += ["rpz:", f"  name: {name}.names", f'  zonefile: "{paths["folder"]}/{name}.zone"']
        lines += [] if name == REST else [f'  tags: "{name}"']
    return "\n".join(lines) + "\n"


#: One thread, small caches and no checking of signatures, which the node's own resolvers do: 11 to 17 MB in all. The
#: bridge of a network appears with its first instance, so addresses are bound before they are there; and while one
#: process takes the place of another both listen.
_FIXED = """\
  ip-freebind: yes
  so-reuseport: yes
  do-daemonize: yes
  username: ""
  chroot: ""
  directory: ""
  use-syslog: no
  verbosity: 0
  hide-identity: yes
  hide-version: yes
  num-threads: 1
  module-config: "respip iterator"
  msg-cache-size: 1m
  rrset-cache-size: 1m
  key-cache-size: 256k
  neg-cache-size: 64k
  infra-cache-numhosts: 500
  outgoing-range: 128
  num-queries-per-thread: 256
  rrset-roundrobin: yes
  minimal-responses: yes
  cache-max-negative-ttl: 2
  edns-buffer-size: 1232
  max-udp-size: 1232
  do-not-query-localhost: no"""


def read_resolvers(text: str) -> tuple[str, ...]:
    """Return the name servers of a ``resolv.conf(5)``; unbound has no word for one of a link alone."""
    found: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0] != "nameserver":
            continue
        try:
            found.append(str(ipaddress.ip_address(words[1])))
        except ValueError:
            continue
    return tuple(dict.fromkeys(each for each in found if "%" not in each))


def list_answered(zones: Iterable[Zone]) -> frozenset[str]:
    """Return the addresses of this site's instances that zones answer with."""
    owns: list[Named] = [each for zone in zones for each in zone.own]
    return frozenset(address for each in owns for address in each.addresses)
