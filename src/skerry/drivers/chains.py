"""What steers packets through service chains: one nftables table that marks them, one routing table for each next hop.

Rules of this file:

1. Ours are the table ``inet skerry_chains``, and the routes and rules of our own protocol number; nothing else is read
   or changed.
2. A change is new hops, then all marks in one transaction, then the hops that nobody uses: no packet meets half of it.
3. A hop's table leads to the step and otherwise says that there is no way: what has lost its step goes nowhere else.
4. On its way between steps a packet is not tracked, so nothing changes its addresses there; that the firewall lets it
   pass is up to its mark (``networks.py``), which nobody but this table sets.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import msgspec

from skerry.drivers.base import run_program
from skerry.model.observed import ChainHop, ChainsSeen, Observation
from skerry.plan.actions import DONE, Action, ApplyChains, Outcome, Steer, failed
from skerry.plan.chain_marks import CLOSED, FIRST, LAST

TABLE = "skerry_chains"
#: Names our routes and rules in the kernel; from the range that ``rtnetlink(7)`` leaves to administrators.
PROTOCOL = "218"
#: Before the main table, behind the kernel's own of local addresses.
PRIORITY = "21700"
#: A route that is worse than any other.
_LAST_METRIC = "9999"
_FAMILIES = ("-4", "-6")
#: A look is five processes, so what was seen is believed for some seconds; only a person changes it.
_BELIEVED_S = 10.0
_MADE_FROM = "made_from_"
#: All bridges and tunnels of ours.
_OURS = '"sk*"'

Run = Callable[..., Awaitable[tuple[int, bytes]]]


class _Route(msgspec.Struct):
    """One row of ``ip --json route``."""

    table: str | int = ""
    type: str = "unicast"
    gateway: str = ""
    dev: str = ""


class _Rule(msgspec.Struct):
    """One row of ``ip --json rule``."""

    table: str | int = ""
    priority: int = 0
    fwmark: str = ""
    protocol: str = ""


class _Chain(msgspec.Struct):
    name: str = ""


class _Counter(msgspec.Struct):
    name: str = ""
    packets: int = 0


class _Item(msgspec.Struct):
    chain: _Chain | None = None
    counter: _Counter | None = None


class _Listing(msgspec.Struct):
    nftables: list[_Item] = []


class _Kernel(msgspec.Struct, frozen=True):
    """Our routes and rules, by family."""

    routes: dict[str, list[_Route]]
    rules: dict[str, list[_Rule]]

    def hops(self, *, is_steered: bool) -> tuple[ChainHop, ...]:
        """Return what is whole; of what is not, its number alone, so that it is seen that something is amiss.

        What shuts a chain belongs to the table that steers, and is amiss without it: an agent was killed over it.
        """
        found: set[ChainHop] = set()
        ours = (each for family in _FAMILIES for each in (*self.rules[family], *self.routes[family]))
        if not is_steered and any(_number(each.table) == CLOSED for each in ours):
            found.add(ChainHop(CLOSED, "", ""))
        for family in _FAMILIES:
            ruled = {_number(each.table) for each in self.rules[family]} - {CLOSED}
            routed = {_number(each.table): each for each in self.routes[family] if each.gateway}
            shut = {_number(each.table) for each in self.routes[family] if each.type == "unreachable"} - {CLOSED}
            for number in ruled | routed.keys() | shut:
                whole = number in ruled and number in routed and number in shut
                found.add(ChainHop(number, *((routed[number].dev, routed[number].gateway) if whole else ("", ""))))
        return tuple(sorted(found))


class ChainsDriver:
    """Driver over ``ip`` and ``nft``."""

    name = "chains"
    performs = (ApplyChains,)

    def __init__(self, run: Run = run_program) -> None:
        self._run = run
        self._seen: tuple[float, ChainsSeen] | None = None

    async def observe(self) -> Observation:
        """Say what is in force; where there is nothing, that holds until something is done here."""
        now = asyncio.get_running_loop().time()
        if self._seen is None or (self._seen[1] != ChainsSeen() and now - self._seen[0] > _BELIEVED_S):
            self._seen = now, await self._look()
        return Observation(driver=self.name, chains=self._seen[1])

    async def perform(self, action: Action) -> Outcome:
        """Make it as the action says; whatever came of it, the next look is a fresh one."""
        if not isinstance(action, ApplyChains):
            return failed("E-DRIVER", f"the chains driver does not do {type(action).__name__}")
        self._seen = None
        try:
            await self._apply(action)
        except _RefusedError as refused:
            return failed("E-NETWORK", str(refused))
        finally:
            self._seen = None
        return DONE

    async def _look(self) -> ChainsSeen:
        try:
            kernel = await self._read_kernel()
            code, output = await self._run("nft", "-j", "list", "table", "inet", TABLE)
            listing = msgspec.json.decode(output, type=_Listing) if code == 0 else _Listing()
        except (_RefusedError, msgspec.DecodeError) as error:
            return ChainsSeen(reason=f"what steers packets cannot be read: {error}")
        names = [item.chain.name for item in listing.nftables if item.chain is not None]
        made = next((name for name in names if name.startswith(_MADE_FROM)), "")
        return ChainsSeen(
            digest=f"sha256:{made.removeprefix(_MADE_FROM)}" if made else "",
            hops=kernel.hops(is_steered=bool(made)),
            counts={item.counter.name: item.counter.packets for item in listing.nftables if item.counter is not None},
        )

    async def _read_kernel(self) -> _Kernel:
        routes: dict[str, list[_Route]] = {}
        rules: dict[str, list[_Rule]] = {}
        for family in _FAMILIES:
            words = ("ip", "-json", family, "route", "show", "table", "all", "proto", PROTOCOL)
            found = msgspec.json.decode(await self._must(*words) or b"[]", type=list[_Route])
            routes[family] = [each for each in found if FIRST <= _number(each.table) <= LAST]
            listed = msgspec.json.decode(
                await self._must("ip", "-json", family, "rule", "show") or b"[]", type=list[_Rule]
            )
            rules[family] = [
                each for each in listed if each.protocol == PROTOCOL and FIRST <= _number(each.table) <= LAST
            ]
        return _Kernel(routes, rules)

    async def _apply(self, action: ApplyChains) -> None:
        try:
            kernel = await self._read_kernel()
        except msgspec.DecodeError as error:
            raise _RefusedError(f"ip said what nobody understands: {error}") from None
        for bridge in sorted({hop.bridge for hop in action.hops} | {each.bridge for each in action.steers} - {""}):
            # What a step passes on comes by its bridge from addresses that are elsewhere: a check of sources must be
            # the loose one there (RFC 3704 section 2.4).
            await self._run("tee", f"/proc/sys/net/ipv4/conf/{bridge}/rp_filter", given=b"2")
        for hop in action.hops:
            # A step that was started anew may have its address again and another hardware address, which it tells
            # nobody before somebody asks; what the node remembers would hold for half a minute.
            await self._run("ip", "neigh", "del", hop.address, "dev", hop.bridge)
        for family in _FAMILIES:
            await self._batch(family, list_additions(action, family, kernel.routes[family], kernel.rules[family]))
        await self._must("nft", "-f", "-", given=build_table(action).encode())
        for family in _FAMILIES:
            await self._batch(family, list_removals(action, family, kernel.routes[family], kernel.rules[family]))

    async def _batch(self, family: str, lines: list[str]) -> None:
        if lines:
            await self._must("ip", family, "-batch", "-", given="\n".join(lines).encode())

    async def _must(self, *words: str, given: bytes = b"") -> bytes:
        code, output = await self._run(*words, given=given)
        if code != 0:
            raise _RefusedError(f"{' '.join(words[:3])}: {output.decode('utf-8', 'replace').strip()[:300]}")
        return output


class _RefusedError(Exception):
    """A program does not do it; the text says why."""


def list_additions(action: ApplyChains, family: str, routes: Iterable[_Route], rules: Iterable[_Rule]) -> list[str]:
    """Return the lines for ``ip -batch`` that make what is missing of one family."""
    known = {(_number(each.table), each.dev, each.gateway) for each in routes if each.gateway}
    shut = {_number(each.table) for each in routes if each.type == "unreachable"}
    ruled = {_number(each.table) for each in rules}
    lines = [
        f"route replace unreachable default metric {_LAST_METRIC} table {number} proto {PROTOCOL}"
        for number in _numbers(action, family)
        if number not in shut
    ]
    for hop in action.hops:
        if _family(hop.address) == family and (hop.number, hop.bridge, hop.address) not in known:
            way = f"via {hop.address} dev {hop.bridge} onlink"
            lines.append(f"route replace default {way} table {hop.number} proto {PROTOCOL}")
    return [*lines, *(f"rule add {_rule(number)}" for number in _numbers(action, family) if number not in ruled)]


def list_removals(action: ApplyChains, family: str, routes: Iterable[_Route], rules: Iterable[_Rule]) -> list[str]:
    """Return the lines for ``ip -batch`` that take away what is ours and not wished."""
    wanted = set(_numbers(action, family))
    ruled = [each for each in rules if _number(each.table) not in wanted]
    routed = sorted({_number(each.table) for each in routes} - wanted)
    return [
        *(
            f"rule delete fwmark {each.fwmark} lookup {each.table} priority {each.priority} protocol {PROTOCOL}"
            for each in ruled
        ),
        *(f"route flush table {number} proto {PROTOCOL}" for number in routed),
    ]


def build_table(action: ApplyChains) -> str:
    """Return the whole table as nft's own text; every word in it is a constant, a number, an address or a digest."""
    head = [f"table inet {TABLE} {{}}", f"delete table inet {TABLE}"]
    if not action.steers:
        return "\n".join(head) + "\n"
    lines = [
        *head,
        f"table inet {TABLE} {{",
        f"  chain {_MADE_FROM}{action.digest.removeprefix('sha256:')} {{ }}",
        *(f"  counter {name} {{ }}" for name in sorted({each.counter for each in action.steers} - {""})),
        # Before connections are tracked: what comes from instances, steps and devices at which chains begin.
        "  chain from_networks {",
        "    type filter hook prerouting priority raw - 10; policy accept;",
        *(f"    {write_steer(each)}" for each in action.steers if _is_early(each)),
        "  }",
        # After published ports are led in and answers are led back: what comes from beyond.
        "  chain from_beyond {",
        "    type filter hook prerouting priority dstnat + 10; policy accept;",
        *(f"    {write_steer(each)}" for each in action.steers if not _is_early(each)),
        "  }",
        # Who is led out by the bridge that he came in by must not be told of a shorter way.
        "  chain no_shortcuts {",
        "    type filter hook output priority filter; policy accept;",
        f"    oifname {_OURS} icmp type redirect drop",
        f"    oifname {_OURS} icmpv6 type nd-redirect drop",
        "  }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def write_steer(steer: Steer) -> str:
    """Return one rule."""
    words = [f'iifname "{way}"'] if (way := steer.bridge or steer.device) else [f'iifname != {_OURS} iifname != "lo"']
    words += [f'iifname != "{steer.not_device}"'] if steer.not_device else []
    words += ["ct status dnat ct direction original"] if steer.led_in else []
    for sign, macs in (("", steer.macs), ("!= ", steer.not_macs)):
        if macs:
            words.append(f"ether saddr {sign}{_set(macs)}")
    for field, plain, others in (
        ("saddr", steer.sources, steer.not_sources),
        ("daddr", steer.targets, steer.not_targets),
    ):
        for sign, ranges in (("", plain), ("!= ", others)):
            if ranges:
                words.append(f"{steer.family} {field} {sign}{_set(ranges)}")
    routed = (("saddr oifname", steer.source_by), ("daddr oifname", steer.target_by))
    words += [f'fib {field} "{device}"' for field, device in routed if device]
    words += [f'fib daddr oifname != "{steer.not_target_by}"'] if steer.not_target_by else []
    if way and steer.not_targets:
        words.append("fib daddr type != local")  # the node itself is not beyond it, at whichever address
    if not any((steer.sources, steer.not_sources, steer.targets, steer.not_targets)):
        words.append(f"meta nfproto {'ipv4' if steer.family == 'ip' else 'ipv6'}")
    if steer.ports:
        ports = [str(first) if first == last else f"{first}-{last}" for first, last in steer.ports]
        words.append(f"{steer.protocol} {'dport' if steer.ports_of == 'to' else 'sport'} {_set(ports)}")
    elif steer.protocol:
        protocol = "ipv6-icmp" if (steer.protocol, steer.family) == ("icmp", "ip6") else steer.protocol
        words.append(f"meta l4proto {protocol}")
    if steer.counter:
        words.append(f'counter name "{steer.counter}"')
    words += [] if steer.tracked else ["notrack"]
    return " ".join([*words, f"meta mark set {steer.mark}", "accept"])


def _is_early(steer: Steer) -> bool:
    """Say whether a rule is about packets before the node tracks their connections."""
    return bool(steer.bridge) or not steer.tracked


def _numbers(action: ApplyChains, family: str) -> list[int]:
    hops = [hop.number for hop in action.hops if _family(hop.address) == family]
    return [CLOSED, *hops] if action.steers else hops


def _rule(number: int) -> str:
    return f"fwmark {number} lookup {number} priority {PRIORITY} protocol {PROTOCOL}"


def _set(items: Iterable[str]) -> str:
    return "{ " + ", ".join(items) + " }"


def _number(table: str | int) -> int:
    text = str(table)
    return int(text) if text.isdigit() else 0


def _family(address: str) -> str:
    return "-6" if ":" in address else "-4"
