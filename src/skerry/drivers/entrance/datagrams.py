"""UDP ports of the node shared out over copies by nftables, in a table of its own beside ``inet skerry``. Pure.

Each datagram of a new flow goes to the next copy in turn; a flow stays with its copy. Only what comes from outside is
led: names are asked for at the same port inside app networks.
"""

import hashlib
import ipaddress

import msgspec

from skerry.plan.actions import Datagrams

TABLE = "skerry_entrance"


def mark_of(datagrams: tuple[Datagrams, ...]) -> str:
    """Name a table by what it is made from."""
    return "made_from_" + hashlib.sha256(msgspec.json.encode(datagrams)).hexdigest()


def build_table(datagrams: tuple[Datagrams, ...]) -> str:
    """Return the whole table as nft's own text; every word in it is a constant, a number or an address."""
    lines = [f"table inet {TABLE} {{}}", f"delete table inet {TABLE}"]
    if not datagrams:
        return "\n".join(lines) + "\n"
    lines += [
        f"table inet {TABLE} {{",
        f"  chain {mark_of(datagrams)} {{ }}",
        "  chain outside {",
        "    type nat hook prerouting priority dstnat - 5; policy accept;",
        '    iifname "sk*" return',
    ]
    for each in datagrams:
        for version, family, proto in ((4, "ip", "ipv4"), (6, "ip6", "ipv6")):
            slots = list_slots(each, version)
            if slots:
                # A slot without a copy would lose each datagram that falls into it, so there are as many as copies.
                table = ", ".join(f"{place} : {address} . {port}" for place, (address, port) in enumerate(slots))
                lines.append(
                    f"    meta nfproto {proto} fib daddr type local udp dport {each.port}"
                    f" dnat {family} to numgen inc mod {len(slots)} map {{ {table} }}"
                )
    return "\n".join([*lines, "  }", "}"]) + "\n"


def list_slots(datagrams: Datagrams, version: int) -> list[tuple[str, int]]:
    """Return where datagrams of one family go: the copies of the lowest rank that are to be asked."""
    up = [
        (each.rank, str(ipaddress.ip_address(each.address)), each.port)
        for each in datagrams.servers
        if each.state == "up" and ipaddress.ip_address(each.address).version == version
    ]
    lowest = min((rank for rank, _, _ in up), default=0)
    return [(address, port) for rank, address, port in up if rank == lowest]


def list_left(before: tuple[Datagrams, ...], after: tuple[Datagrams, ...]) -> list[tuple[int, str]]:
    """Return (port of the node, address) of copies that are no longer asked: their flows have to be forgotten."""

    def ask(each: Datagrams) -> set[tuple[int, str]]:
        return {(each.port, address) for version in (4, 6) for address, _ in list_slots(each, version)}

    old = {pair for each in before for pair in ask(each)}
    return sorted(old - {pair for each in after for pair in ask(each)})
