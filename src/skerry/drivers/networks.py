"""The node's own firewall table, and repair of port rules that a crash left (decision 0010).

One nftables table, ``inet skerry``, replaced whole in one transaction beside whatever else the node has. Ingress to
instances is denied but for published ports and their own network; egress is open but to the node itself, to other
tenants' networks, and to link-local and metadata addresses. A chain named by the digest says what the table was made
from, so observing is one read.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable

from skerry.drivers.base import bridge_name, is_ours
from skerry.model.observed import Observation
from skerry.plan.actions import DONE, Action, ApplyRules, AppRules, Outcome, failed

TABLE = "skerry"
#: Never reachable from an instance: link-local and cloud metadata.
REFUSED_V4 = ("169.254.0.0/16",)
REFUSED_V6 = ("fe80::/10",)
#: nft and iptables answer in milliseconds; a locked table in seconds.
_COMMAND_S = 20.0
_OUTPUT_BYTES_MAX = 8 * 1024 * 1024
#: What was read of the table is believed for so long; looks at the node come much more often.
_BELIEVED_S = 25.0
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
        code, output = await _run("nft", "-j", "list", "chains", "inet")
        mark = _MARK.search(output.decode("ascii", "replace")) if code == 0 else None
        if mark is None or await self._dead_port_rules():
            return ""  # not as it should be: made again, dead port rules are cleared away with it
        return f"sha256:{mark[1]}"

    async def perform(self, action: Action) -> Outcome:
        """Replace the table, and clear away port rules that lead to no running container."""
        if not isinstance(action, ApplyRules):
            return failed("E-DRIVER", f"the network driver does not do {type(action).__name__}")
        self._rules = ""
        code, output = await _run("nft", "-f", "-", given=build_table(action, self._refused).encode())
        if code != 0:
            return failed("E-NETWORK", f"nft refused the table: {output[:300].decode('utf-8', 'replace')}")
        await self._drop_dead_ports()
        return DONE

    async def _drop_dead_ports(self) -> None:
        for words in await self._dead_port_rules():
            await _run("iptables", "-t", "nat", "-D", *words)

    async def _dead_port_rules(self) -> list[list[str]]:
        """Port rules that lead to no running container of ours: the next container at that port would not be reached.

        The rules are read first: one that appears meanwhile belongs to a container that starts.
        """
        code, output = await _run("iptables-save", "-t", "nat")
        lines = output.decode("ascii", "replace").splitlines() if code == 0 else []
        rules = {line: rule[2] for line in lines if (rule := _PORT_RULE.match(line)) and is_ours(rule[2])}
        alive = await self._read_addresses() if rules else None
        if alive is None:
            return []
        return [line.split()[1:] for line, address in rules.items() if address not in alive]


def build_table(action: ApplyRules, refused: tuple[str, ...] = ()) -> str:
    """Return the whole table as nft's own text; every word in it is a constant, a digest or a bridge's digest name."""
    bridges = sorted({_bridge(rules) for rules in action.networks})
    internal = sorted({_bridge(rules) for rules in action.networks if rules.internal})
    lines = [
        f"table inet {TABLE} {{}}",
        f"delete table inet {TABLE}",
        f"table inet {TABLE} {{",
        f"  chain made_from_{action.digest.removeprefix('sha256:')} {{ }}",
        "  chain forward {",
        "    type filter hook forward priority filter - 10; policy accept;",
    ]
    ours = "{ " + ", ".join(f'"{name}"' for name in bridges) + " }"
    if bridges:
        lines += [
            "    ct state established,related accept",
            f"    iifname {ours} ip daddr {{ {', '.join((*REFUSED_V4, *refused))} }} drop",
            f"    iifname {ours} ip6 daddr {{ {', '.join(REFUSED_V6)} }} drop",
            *(f'    iifname "{name}" oifname "{name}" accept' for name in bridges),
            f"    iifname {ours} oifname {ours} drop",
            *(f'    iifname "{name}" drop' for name in internal),
            f"    oifname {ours} ct status dnat accept",
            f"    oifname {ours} drop",
        ]
    lines += ["  }", "  chain input {", "    type filter hook input priority filter - 10; policy accept;"]
    if bridges:
        lines += [
            "    ct state established,related accept",
            f"    iifname {ours} udp dport 53 accept",
            f"    iifname {ours} tcp dport 53 accept",
            f"    iifname {ours} drop",
        ]
    lines += ["  }", "}"]
    return "\n".join(lines) + "\n"


def _bridge(rules: AppRules) -> str:
    return bridge_name(rules.tenant, rules.app, rules.network)


async def _run(*argv: str, given: bytes = b"") -> tuple[int, bytes]:
    """Run a program with fixed words and return its exit code and output; 127 when it is not there, 124 too slow."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError as error:
        return 127, f"{argv[0]}: {error}".encode()
    try:
        async with asyncio.timeout(_COMMAND_S):
            output, _ = await process.communicate(given)
    except asyncio.CancelledError:
        process.kill()
        raise
    except TimeoutError:
        process.kill()
        await process.wait()
        return 124, f"{argv[0]} did not end within {_COMMAND_S:.0f} s".encode()
    return process.returncode or 0, output[:_OUTPUT_BYTES_MAX]
