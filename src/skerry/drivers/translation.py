"""Translation of addresses where Skerry makes instances' links: published ports inwards, the node's address outwards.

One nftables table, ``inet skerry_nat``, replaced whole in one transaction. It stands beside the firewall's table
(``networks.py``) and not in it: starts wait for the firewall, and must not wait for each other's ports. What may pass
is the firewall's to say; here is only said where it goes. A chain named by the digest says what it was made from.
"""

import asyncio
import re
from collections.abc import Iterable

from skerry.drivers.base import bridge_name, run_program
from skerry.model.observed import Observation
from skerry.plan.actions import DONE, Action, ApplyTranslation, OpenPort, Outcome, WayOut, failed

TABLE = "skerry_nat"
#: As the firewall's: only a person changes it.
_BELIEVED_S = 25.0
_MARK = re.compile(rf'"table": "{TABLE}", "name": "made_from_([0-9a-f]{{64}})"')


class TranslationDriver:
    """Driver over ``nft``; a node that has it makes the links of its instances itself."""

    name = "translation"
    performs = (ApplyTranslation,)

    def __init__(self, *, is_used: bool = True) -> None:
        """One that is not used only takes away, once, what was left of a time when it was."""
        self._is_used = is_used
        self._is_swept = False
        self._made_from = ""
        self._read_at = float("-inf")

    async def observe(self) -> Observation:
        """Say what the table was made from; empty where there is none, and None where it is not used."""
        if not self._is_used:
            if not self._is_swept:
                self._is_swept = True
                await run_program("nft", "delete", "table", "inet", TABLE)
            return Observation(driver=self.name)
        now = asyncio.get_running_loop().time()
        if not self._made_from or now - self._read_at > _BELIEVED_S:
            code, output = await run_program("nft", "-j", "list", "chains", "inet")
            mark = _MARK.search(output.decode("ascii", "replace")) if code == 0 else None
            self._made_from, self._read_at = f"sha256:{mark[1]}" if mark else "", now
        return Observation(driver=self.name, translation=self._made_from)

    async def perform(self, action: Action) -> Outcome:
        """Replace the table."""
        if not isinstance(action, ApplyTranslation):
            return failed("E-DRIVER", f"the translation driver does not do {type(action).__name__}")
        self._made_from = ""
        code, output = await run_program("nft", "-f", "-", given=build_translation(action).encode())
        if code != 0:
            return failed("E-NETWORK", f"nft refused the translation: {output[:300].decode('utf-8', 'replace')}")
        return DONE


def build_translation(action: ApplyTranslation) -> str:
    """Return the whole table as nft's own text; its words are constants, numbers, addresses and digest names."""
    ways = [(bridge_name(each.tenant, each.app, each.network), each) for each in action.networks]
    lines = [
        f"table inet {TABLE} {{}}",
        f"delete table inet {TABLE}",
        f"table inet {TABLE} {{",
        f"  chain made_from_{action.digest.removeprefix('sha256:')} {{ }}",
        "  chain ports {",
        *_lines(_lead_in(port) for port in action.ports),
        "  }",
        "  chain from_outside {",
        "    type nat hook prerouting priority dstnat; policy accept;",
        "    fib daddr type local jump ports",
        "  }",
        "  chain from_node {",
        "    type nat hook output priority -100; policy accept;",
        "    fib daddr type local jump ports",
        "  }",
        # A bridge takes the node's loopback addresses, for its own visitors' sake; instances have no business there.
        "  chain loopback {",
        "    type filter hook prerouting priority raw; policy accept;",
        *_lines(f'iifname "{bridge}" ip daddr 127.0.0.0/8 drop' for bridge, _ in ways),
        "  }",
        "  chain outwards {",
        "    type nat hook postrouting priority srcnat; policy accept;",
        *_lines(line for bridge, way in ways for line in _lead_out(bridge, way)),
        "  }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _lead_in(port: OpenPort) -> str:
    family = "ip6" if ":" in port.address else "ip"
    nfproto = "ipv6" if ":" in port.address else "ipv4"
    meant = f"{family} daddr {port.host_ip}" if port.host_ip not in ("", "0.0.0.0", "::") else f"meta nfproto {nfproto}"
    address = f"[{port.address}]" if ":" in port.address else port.address
    return f"{meant} {port.protocol} dport {port.published} dnat {family} to {address}:{port.target}"


def _lead_out(bridge: str, way: WayOut) -> list[str]:
    lines = [f'oifname "{bridge}" ip saddr 127.0.0.0/8 masquerade']
    for each in way.ranges:
        family = "ip6" if ":" in each else "ip"
        # Who asks at the node's own port is answered by the node, or the answer would come from a stranger.
        lines.append(f"{family} saddr {each} {family} daddr {each} ct status dnat masquerade")
        if not way.internal:
            # What goes into a tunnel keeps its address.
            lines.append(f'{family} saddr {each} oifname != "{bridge}" oifname != "skw*" masquerade')
    return lines


def _lines(rules: Iterable[str]) -> list[str]:
    return [f"    {rule}" for rule in rules]
