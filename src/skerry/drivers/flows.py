"""Counters of networks and uplinks over ``nft``: a table of our own that counts and never drops.

Rules of this file:

1. Ours is the table ``inet skerry_flows``, and nothing else is read or changed.
2. A counter that stays wished keeps its count: chains are written anew around it, in one transaction.
3. Counting comes before the firewall's table and after all others (``networks.py`` has priority filter - 10, others
   filter), so what is between the two counts was dropped by some rule of the node.
4. A node with no network and no uplink of ours has no table.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from skerry.drivers.base import run_program
from skerry.model.observed import FlowsSeen, Observation
from skerry.plan.actions import DONE, Action, ApplyFlows, Outcome, failed
from skerry.plan.flows import NETWORK_COUNTS, UPLINK_COUNTS, network_counter, uplink_counter

TABLE = "skerry_flows"
#: Reading is a process: counts are believed for so long. A look that is asked for by a sample costs none of its own.
_BELIEVED_S = 25.0
_MARK = re.compile(r"made_from_([0-9a-f]{64})")
_MISSING = "No such file or directory"
#: Base chains: hook and priority.
_CHAINS = {
    "forward_before": "forward priority filter - 20",
    "forward_after": "forward priority filter + 20",
    "input_before": "input priority filter - 20",
    "input_after": "input priority filter + 20",
    "output_after": "output priority filter + 20",
}

Run = Callable[..., Awaitable[tuple[int, bytes]]]


class FlowsDriver:
    """Driver over ``nft``."""

    name = "flows"
    performs = (ApplyFlows,)

    def __init__(self, run_program: Run = run_program) -> None:
        """``run_program`` reaches the node's network: for tests it may be another one's."""
        self._run = run_program
        self._seen: tuple[float, FlowsSeen] | None = None
        self._mark = ""

    async def observe(self) -> Observation:
        """See what is counted and how much."""
        now = asyncio.get_running_loop().time()
        if self._seen is None or now - self._seen[0] > _BELIEVED_S:
            self._seen = now, await self._look()
        return Observation(driver=self.name, flows=self._seen[1])

    async def perform(self, action: Action) -> Outcome:
        """Count what is wished, and go on counting what was."""
        if not isinstance(action, ApplyFlows):
            return failed("E-DRIVER", f"the flows driver does not do {type(action).__name__}")
        self._seen = None
        present = await self._look()
        if present.reason:
            return failed("E-NETWORK", present.reason)
        code, output = await self._run("nft", "-f", "-", given=write_flows(action, present.counts, self._mark).encode())
        if code != 0:
            return failed("E-NETWORK", f"nft refused the counters: {output[:300].decode('utf-8', 'replace')}")
        return DONE

    async def _look(self) -> FlowsSeen:
        code, output = await self._run("nft", "-j", "list", "table", "inet", TABLE)
        self._mark = ""
        if code != 0:
            text = output.decode("utf-8", "replace")
            return (
                FlowsSeen() if _MISSING in text else FlowsSeen(reason=f"nft does not say what it counts: {text[:100]}")
            )
        try:
            found: list[dict[str, Any]] = msgspec.json.decode(output)["nftables"]
            counters = [each["counter"] for each in found if "counter" in each]
            counts = {str(each["name"]): (int(each["packets"]), int(each["bytes"])) for each in counters}
            chains = [str(each["chain"]["name"]) for each in found if "chain" in each]
        except (msgspec.DecodeError, KeyError, TypeError, ValueError):
            return FlowsSeen(reason="nft said what nobody understands")
        mark = next((match for name in chains if (match := _MARK.fullmatch(name))), None)
        is_whole = _CHAINS.keys() <= set(chains)
        self._mark = mark[0] if mark else ""
        return FlowsSeen(digest=f"sha256:{mark[1]}" if mark and is_whole else "", counts=counts)


def write_flows(action: ApplyFlows, counts: Iterable[str], mark: str) -> str:
    """Return nft's words; ``counts`` are the counters that are there, ``mark`` is the chain that says what from."""
    present = set(counts)
    if not action.digest:
        return f"table inet {TABLE} {{}}\ndelete table inet {TABLE}\n"
    wanted = {network_counter(bridge, what) for bridge in action.bridges for what in NETWORK_COUNTS}
    wanted |= {uplink_counter(device, what) for device in action.devices for what in UPLINK_COUNTS}
    new = f"made_from_{action.digest.removeprefix('sha256:')}"
    lines = [f"add table inet {TABLE}"]
    for name, hook in _CHAINS.items():
        lines += [
            f"add chain inet {TABLE} {name} {{ type filter hook {hook}; policy accept; }}",
            f"flush chain inet {TABLE} {name}",
        ]
    lines += [f"add counter inet {TABLE} {name}" for name in sorted(wanted - present)]
    lines += [f"delete counter inet {TABLE} {name}" for name in sorted(present - wanted)]
    if mark and mark != new:
        lines.append(f"delete chain inet {TABLE} {mark}")
    lines.append(f"add chain inet {TABLE} {new}")
    rules = [*_count_networks(action), *_count_uplinks(action)]
    lines += [f"add rule inet {TABLE} {chain} {words} counter name {counter}" for chain, words, counter in rules]
    return "\n".join(lines) + "\n"


def _count_networks(action: ApplyFlows) -> Iterable[tuple[str, str, str]]:
    for bridge in action.bridges:
        away, here = f'iifname "{bridge}" oifname != "{bridge}"', f'oifname "{bridge}" iifname != "{bridge}"'
        tried, left, meant, came = (network_counter(bridge, what) for what in NETWORK_COUNTS)
        yield "forward_before", away, tried
        yield "input_before", f'iifname "{bridge}"', tried
        yield "forward_after", away, left
        yield "input_after", f'iifname "{bridge}"', left
        yield "forward_before", here, meant
        yield "forward_after", here, came


def _count_uplinks(action: ApplyFlows) -> Iterable[tuple[str, str, str]]:
    bridges = "{ " + ", ".join(f'"{each}"' for each in action.bridges) + " }"
    first, last = action.ports
    for device in action.devices:
        tunnels, instances = (uplink_counter(device, what) for what in UPLINK_COUNTS)
        if first:
            yield "output_after", f'oifname "{device}" udp sport {first}-{last}', tunnels
            yield "input_before", f'iifname "{device}" udp dport {first}-{last}', tunnels
        if action.bridges:
            yield "forward_after", f'oifname "{device}" iifname {bridges}', instances
            yield "forward_after", f'iifname "{device}" oifname {bridges}', instances
