"""The node's own firewall table, and repair of port rules that a crash left (decision 0010).

One nftables table, ``inet skerry``, replaced whole in one transaction beside whatever else the node has. Ingress to
instances is denied but for published ports and their own network; egress is open but to the node itself, to other
tenants' networks, and to link-local and metadata addresses. Between a bridge and the node's tunnels (``skw*``) a packet
passes only from a range of the bridge's network to another range of the same one; that is asked of each packet, so that
a member that is no longer one is out at once, with all its connections. Besides, datagrams that the site's entrance
leads to members pass, at the ports that it has them at. A chain named by the digest says what the table
was made from, so observing is one read.
"""

import asyncio
import ipaddress
import re
from collections.abc import Awaitable, Callable, Iterable

from skerry.drivers.base import bridge_name, is_ours, run_program
from skerry.model.network import STRETCHED_V4, network_prefix
from skerry.model.observed import Observation
from skerry.plan.actions import DONE, Action, ApplyRules, AppRules, Outcome, failed
from skerry.plan.chain_marks import HOPS, LAST, PASS_IN, PASS_OUT

TABLE = "skerry"
#: Never reachable from an instance: link-local and cloud metadata.
REFUSED_V4 = ("169.254.0.0/16",)
REFUSED_V6 = ("fe80::/10",)
#: What was read of the table is believed for so long; looks at the node come much more often.
_BELIEVED_S = 25.0
_TUNNELS = '"skw*"'
_MARK = re.compile(rf'"table": "{TABLE}", "name": "made_from_([0-9a-f]{{64}})"')
_PORT_RULE = re.compile(r"-A (NETAVARK-DN-[A-Z0-9]+) .*--to-destination ([0-9.]+):[0-9]+")


class NetworksDriver:
    """Driver over ``nft`` and ``iptables``."""

    name = "networks"
    performs = (ApplyRules,)

    def __init__(self, read_addresses: Callable[[], Awaitable[set[str] | None]], refused: tuple[str, ...] = ()) -> None:
        """``read_addresses`` gives the addresses of running containers, None when that is not known now.

        ``refused`` are further IPv4 ranges that instances may not reach, such as the network of the BMCs.
        """
        self._read_addresses = read_addresses
        self._refused = refused
        self._rules = ""
        self._read_at = float("-inf")

    async def observe(self) -> Observation:
        """Say what the table was made from; without a working ``nft`` there is none, and the planner says why.

        Each reading is a process, so what was read is believed for some seconds; only a person changes it.
        """
        now = asyncio.get_running_loop().time()
        if not self._rules or now - self._read_at > _BELIEVED_S:
            self._rules, self._read_at = await self._read_rules(), now
        return Observation(driver=self.name, rules=self._rules)

    async def _read_rules(self) -> str:
        code, output = await run_program("nft", "-j", "list", "chains", "inet")
        mark = _MARK.search(output.decode("ascii", "replace")) if code == 0 else None
        if mark is None or await self._dead_port_rules():
            return ""  # not as it should be: made again, dead port rules are cleared away with it
        return f"sha256:{mark[1]}"

    async def perform(self, action: Action) -> Outcome:
        """Replace the table, and clear away port rules that lead to no running container."""
        if not isinstance(action, ApplyRules):
            return failed("E-DRIVER", f"the network driver does not do {type(action).__name__}")
        self._rules = ""
        code, output = await run_program("nft", "-f", "-", given=build_table(action, self._refused).encode())
        if code != 0:
            return failed("E-NETWORK", f"nft refused the table: {output[:300].decode('utf-8', 'replace')}")
        await self._drop_dead_ports()
        return DONE

    async def _drop_dead_ports(self) -> None:
        for words in await self._dead_port_rules():
            await run_program("iptables", "-t", "nat", "-D", *words)

    async def _dead_port_rules(self) -> list[list[str]]:
        """Port rules that lead to no running container of ours: the next container at that port would not be reached.

        The rules are read first: one that appears meanwhile belongs to a container that starts.
        """
        code, output = await run_program("iptables-save", "-t", "nat")
        lines = output.decode("ascii", "replace").splitlines() if code == 0 else []
        rules = {line: rule[2] for line in lines if (rule := _PORT_RULE.match(line)) and is_ours(rule[2])}
        alive = await self._read_addresses() if rules else None
        if alive is None:
            return []
        return [line.split()[1:] for line, address in rules.items() if address not in alive]


def build_table(action: ApplyRules, refused: tuple[str, ...] = ()) -> str:
    """Return the whole table as nft's own text; every word in it is a constant, a digest or a bridge's digest name."""
    bridges = sorted({_bridge(rules) for rules in action.networks if not rules.lan})
    apart = sorted({_bridge(rules) for rules in action.networks if rules.lan})
    internal = sorted({_bridge(rules) for rules in action.networks if rules.internal and not rules.lan})
    stretched = [rules for rules in action.networks if rules.near and rules.far]
    ours = "{ " + ", ".join(f'"{name}"' for name in bridges) + " }"
    lines = [
        f"table inet {TABLE} {{}}",
        f"delete table inet {TABLE}",
        f"table inet {TABLE} {{",
        f"  chain made_from_{action.digest.removeprefix('sha256:')} {{ }}",
        "  chain into_tunnels {",
        *(line for rules in stretched for line in (*_let_out(rules), *_let_people_out(rules, ours))),
        "    drop",
        "  }",
        "  chain from_tunnels {",
        *(line for rules in stretched for line in (*_let_in(rules), *_let_answers_in(rules, ours))),
        "    drop",
        "  }",
        "  chain tunnels_to_node {",
        *(line for rules in stretched for line in _let_to_gateway(rules)),
        "    drop",
        "  }",
        "  chain forward {",
        "    type filter hook forward priority filter - 10; policy accept;",
        *_keep_apart(apart),
        # A connection agrees on packets that fit both of its ends' devices, wherever word of too large ones is lost.
        *(
            f"    {way} {ours} tcp flags syn tcp option maxseg size set rt mtu"
            for way in ("iifname", "oifname")
            if bridges
        ),
        f"    iifname {_TUNNELS} jump from_tunnels",
        f"    oifname {_TUNNELS} jump into_tunnels",
        # Where a tunnel is missing, nothing that was meant for it leaves by another way.
        *_keep_in(action, ours),
    ]
    if bridges:
        lines += [
            "    ct state established,related accept",
            # Where the kernel shows bridged frames to this chain, neighbours find each other all the same.
            f"    iifname {ours} icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept",
            f"    iifname {ours} ip daddr {{ {', '.join((*REFUSED_V4, *refused))} }} drop",
            f"    iifname {ours} ip6 daddr {{ {', '.join(REFUSED_V6)} }} drop",
            # On the path of a service chain: to one of its steps or to its end here, or out of the site.
            f"    oifname {ours} meta mark {{ {PASS_IN}, {HOPS}-{LAST} }} accept",
            f"    iifname {ours} oifname != {ours} meta mark {PASS_OUT} accept",
            # Nobody begins to speak by an address that does not lie at his own bridge.
            f"    iifname {ours} fib saddr . iif oif 0 drop",
            *(f'    iifname "{name}" oifname "{name}" accept' for name in bridges),
            f"    iifname {ours} oifname {ours} drop",
            *(f'    iifname "{name}" drop' for name in internal),
            f"    oifname {ours} ct status dnat accept",
            f"    oifname {ours} drop",
        ]
    lines += [
        "  }",
        "  chain input {",
        "    type filter hook input priority filter - 10; policy accept;",
        *([f"    iifname {_set(map(_quote, apart))} drop"] if apart else []),
        f"    iifname {_TUNNELS} jump tunnels_to_node",
    ]
    if bridges:
        lines += [
            "    ct state established,related accept",
            # Names are asked at one's own bridge: another network's address there would give that network's view.
            f"    iifname {ours} fib daddr . iif type local udp dport 53 accept",
            f"    iifname {ours} fib daddr . iif type local tcp dport 53 accept",
            # Without these no gateway has an IPv6 address (RFC 4861).
            f"    iifname {ours} icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit }} accept",
            f"    iifname {ours} drop",
        ]
    lines += ["  }"]
    if stretched:
        lines += [
            # Who is spoken to sees who speaks: what is made into itself here is not made into the node's address later.
            "  chain own_addresses {",
            "    type nat hook postrouting priority srcnat - 10; policy accept;",
            f"    oifname {_TUNNELS} snat ip to ip saddr",
            f"    oifname {_TUNNELS} snat ip6 to ip6 saddr",
            "  }",
        ]
    return "\n".join([*lines, "}"]) + "\n"


def _keep_apart(bridges: list[str]) -> list[str]:
    """Let nothing through the node that goes to or comes from a bridge at one of its devices.

    Where the kernel shows bridged frames to this chain, they come and go by the same bridge.
    """
    if not bridges:
        return []
    lines = [f'    iifname "{name}" oifname "{name}" accept' for name in bridges]
    words = _set(map(_quote, bridges))
    return [*lines, f"    iifname {words} drop", f"    oifname {words} drop"]


def _keep_in(action: ApplyRules, ours: str) -> list[str]:
    stretched = [each for each in action.networks if each.near]
    if not stretched:
        return []
    words = f"    iifname {_set(sorted(_quote(_bridge(each)) for each in stretched))}"
    prefixes = sorted({str(network_prefix(each.tenant, each.app, each.network)) for each in stretched})
    return [
        # Who asked for a published port gets an answer wherever he is.
        f"{words} ct state established ct status dnat accept",
        f"{words} oifname != {ours} ip daddr {STRETCHED_V4} drop",
        f"{words} oifname != {ours} ip6 daddr {_set(prefixes)} drop",
    ]


def _quote(name: str) -> str:
    return f'"{name}"'


def _let_out(rules: AppRules) -> list[str]:
    words = f'iifname "{_bridge(rules)}"'
    return [f"    {words} {family} saddr {near} {family} daddr {far} accept" for family, near, far in _reach(rules)]


def _let_in(rules: AppRules) -> list[str]:
    words = f'oifname "{_bridge(rules)}"'
    return [f"    {words} {family} saddr {far} {family} daddr {near} accept" for family, near, far in _reach(rules)]


def _let_people_out(rules: AppRules, ours: str) -> list[str]:
    """Let datagrams pass that the site's entrance leads to copies at other sites (``entrance/datagrams.py``)."""
    ports = _set(map(str, rules.doors))
    return [
        f"    iifname != {ours} ct status dnat {family} daddr {far} udp dport {ports} accept"
        for family, _, far in _reach(rules)
        if rules.doors
    ]


def _let_answers_in(rules: AppRules, ours: str) -> list[str]:
    """… and let those who sent them hear what comes back."""
    return [
        f"    oifname != {ours} ct direction reply ct status dnat {family} saddr {far} accept"
        for family, _, far in _reach(rules)
        if rules.doors
    ]


def _let_to_gateway(rules: AppRules) -> list[str]:
    """Let members ask the network's gateway here for names and whether it is there, and answer it."""
    lines: list[str] = []
    for family, near, far in _reach(rules):
        gateways = ", ".join(str(ipaddress.ip_network(each)[1]) for each in near.strip("{ }").split(", "))
        words = f"    {family} saddr {far} {family} daddr {{ {gateways} }}"
        echo = "icmp type echo-request" if family == "ip" else "icmpv6 type echo-request"
        lines += [
            f"{words} udp dport 53 accept",
            f"{words} tcp dport 53 accept",
            f"{words} {echo} accept",
            f"{words} ct state established accept",
        ]
    return lines


def _reach(rules: AppRules) -> list[tuple[str, str, str]]:
    """Return (family, ranges here, ranges at members) for each family that has both."""
    found: list[tuple[str, str, str]] = []
    for family, mark in (("ip", "."), ("ip6", ":")):
        near, far = ([each for each in ranges if mark in each] for ranges in (rules.near, rules.far))
        if near and far:
            found.append((family, _set(near), _set(far)))
    return found


def _set(ranges: Iterable[str]) -> str:
    return "{ " + ", ".join(ranges) + " }"


def _bridge(rules: AppRules) -> str:
    return bridge_name(rules.tenant, rules.app, rules.network)
