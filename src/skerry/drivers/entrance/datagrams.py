"""UDP ports of the node shared out over copies by nftables, in a table of its own beside ``inet skerry``. Pure.

Who sends is kept with one copy by the source address, over all of his flows, and a flow stays with its copy for as long
as the kernel tracks it. Each port has a fixed number of shares, dealt out to the copies as in Maglev (Eisenbud et al.,
NSDI 2016, section 3.4), so that one that leaves or comes takes its own share of the sources along and hardly any other
(decision 0028). Only what comes from outside is led: names are asked for at the same port inside app networks.

Copies at other sites are spoken to from the node's own address in their network, so that their answers come back here.
"""

import hashlib
import ipaddress
from collections.abc import Iterable, Sequence

import msgspec

from skerry.plan.actions import Datagrams, Server

TABLE = "skerry_entrance"
#: Shares of a port. A prime, so that each step through them meets all; more than a network has copies at a site (253).
SHARES = 257
#: Without one the kernel draws its own for each table, and every source would move with each change.
_SEED = 0x534B
_FAMILIES = ((4, "ip", "ipv4"), (6, "ip6", "ipv6"))


def mark_of(datagrams: tuple[Datagrams, ...]) -> str:
    """Name a table by what it is made from."""
    return "made_from_" + hashlib.sha256(msgspec.json.encode(datagrams)).hexdigest()


def build_table(datagrams: tuple[Datagrams, ...]) -> str:
    """Return the whole table as nft's own text; every word in it is a constant, a number or an address."""
    lines = [f"table inet {TABLE} {{}}", f"delete table inet {TABLE}"]
    if not datagrams:
        return "\n".join(lines) + "\n"
    return "\n".join(
        [
            *lines,
            f"table inet {TABLE} {{",
            f"  chain {mark_of(datagrams)} {{ }}",
            "  chain outside {",
            "    type nat hook prerouting priority dstnat - 5; policy accept;",
            '    iifname "sk*" return',
            *(_lead_in(each, *family) for each in datagrams for family in _FAMILIES),
            "  }",
            # Before the firewall's table has what enters a tunnel keep its address (networks.py).
            "  chain to_others {",
            "    type nat hook postrouting priority srcnat - 15; policy accept;",
            *(line for version, family, _ in _FAMILIES for line in _speak_for(datagrams, version, family)),
            "  }",
            "}",
            "",
        ]
    )


def _lead_in(datagrams: Datagrams, version: int, family: str, proto: str) -> str:
    asked = f"    meta nfproto {proto} fib daddr type local udp dport {datagrams.port}"
    dealt = deal_shares(list_asked(datagrams, version))
    if not dealt:
        # A flow that got past without a copy would never be led to one, for as long as its sender goes on.
        return f"{asked} reject with icmpx port-unreachable"
    shares = ", ".join(f"{place} : {each.address} . {each.port}" for place, each in enumerate(dealt))
    return f"{asked} dnat {family} to jhash {family} saddr mod {SHARES} seed {_SEED} map {{ {shares} }}"


def _speak_for(datagrams: Iterable[Datagrams], version: int, family: str) -> list[str]:
    """Speak with copies at other sites by the node's own address in their network."""
    ways: dict[str, set[str]] = {}
    for each in datagrams:
        for server in list_asked(each, version):
            if server.source:
                source = str(ipaddress.ip_address(server.source))
                ways.setdefault(source, set()).add(f"{server.address} . {server.port}")
    words = f'    oifname "skw*" ct status dnat {family} daddr . udp dport'
    return [f"{words} {{ {', '.join(sorted(ways[each]))} }} snat {family} to {each}" for each in sorted(ways)]


def list_asked(datagrams: Datagrams, version: int) -> list[Server]:
    """Return who of one family has datagrams: the copies of the lowest rank that are to be asked."""
    up = [
        msgspec.structs.replace(each, address=str(address))
        for each in datagrams.servers
        if each.state == "up" and (address := ipaddress.ip_address(each.address)).version == version
    ]
    lowest = min((each.rank for each in up), default=0)
    return [each for each in up if each.rank == lowest]


def deal_shares(servers: Sequence[Server]) -> list[Server]:
    """Return who has each share: the copies choose in turn, each the first in an order of its own that nobody has."""
    dealt: dict[int, Server] = {}
    orders = [(server, *_order(server)) for server in servers]
    steps = [0] * len(orders)
    while len(dealt) < SHARES and orders:
        for number, (server, first, step) in enumerate(orders):
            while (place := (first + steps[number] * step) % SHARES) in dealt:
                steps[number] += 1
            dealt[place] = server
            if len(dealt) == SHARES:
                break
    return [dealt[place] for place in sorted(dealt)]


def _order(server: Server) -> tuple[int, int]:
    """Return where a copy begins and by which step it goes on; a copy that comes back has the same."""
    digest = hashlib.sha256(f"{server.address} {server.port}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % SHARES, int.from_bytes(digest[8:16], "big") % (SHARES - 1) + 1


def list_left(before: tuple[Datagrams, ...], after: tuple[Datagrams, ...]) -> list[tuple[int, str]]:
    """Return (port of the node, address) of copies that are no longer asked: their flows have to be forgotten."""

    def ask(each: Datagrams) -> set[tuple[int, str]]:
        return {(each.port, server.address) for version, _, _ in _FAMILIES for server in list_asked(each, version)}

    old = {pair for each in before for pair in ask(each)}
    return sorted(old - {pair for each in after for pair in ask(each)})
