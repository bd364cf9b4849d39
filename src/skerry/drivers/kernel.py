"""What the node's kernel has for networks, tried once in a network of its own that goes with the program.

Kinds of links are facts by which networks find nodes that can hold them; queue disciplines are told so that an operator
sees what a box can do. Trying is the only way to know: a kernel loads what it needs when asked, or has no modules.
"""

import re
from collections.abc import Awaitable, Callable

from skerry.drivers.base import run_program
from skerry.model.lan import LAN_FACTS

#: Disciplines that share and limit.
_DISCIPLINES = ("htb", "tbf", "fq_codel", "cake")
_KINDS = {"vlan": "vlan id 2", "macvlan": "macvlan mode bridge", "ipvlan": "ipvlan mode l2"}
_WORDS = {"tbf": "tbf rate 1mbit burst 10k latency 50ms"}
_FAILED = re.compile(r"Command failed -:([0-9]+)")
_ENTER = ("unshare", "--net", "--")

Run = Callable[..., Awaitable[tuple[int, bytes]]]


async def probe_kernel(run_program: Run = run_program) -> dict[str, str]:
    """Return facts of the node: ``net.vlan``, ``qdisc.htb`` and the like, each ``true``; what it lacks is not told."""
    facts: dict[str, str] = {}
    # Over a pair of links, as over any other; the kinds are tried one at a time, for two of them exclude each other.
    pair = "link add name probe0 type veth peer name probe1"
    lines = [pair]
    for kind in LAN_FACTS:
        lines += [f"link add link probe0 name probe2 type {_KINDS[kind]}", "link delete dev probe2"]
    wrong = await _try(run_program, "ip", lines)
    if wrong is not None and 1 not in wrong:
        facts |= {fact: "true" for number, fact in enumerate(LAN_FACTS.values()) if 2 + 2 * number not in wrong}
    lines = [f"qdisc replace dev lo root {_WORDS.get(name, name)}" for name in _DISCIPLINES]
    wrong = await _try(run_program, "tc", lines)
    if wrong is not None:
        facts |= {f"qdisc.{name}": "true" for number, name in enumerate(_DISCIPLINES, 1) if number not in wrong}
    return facts


async def _try(run_program: Run, program: str, lines: list[str]) -> frozenset[int] | None:
    """Return the numbers of the lines that failed, from 1; None where the program itself could not be run."""
    code, output = await run_program(*_ENTER, program, "-force", "-batch", "-", given="\n".join([*lines, ""]).encode())
    text = output.decode("utf-8", "replace")
    wrong = frozenset(int(number) for number in _FAILED.findall(text))
    return wrong if code == 0 or wrong else None
