"""Test packets of service chains: what is sent, when, and what it means where they were seen. Pure.

A test packet is one of those that the chain is about, with a hop limit that ends exactly at the node behind the last
step: it passes the node once more often than there are steps, so nothing of it leaves the site. Packets are seen by the
kernel at the bridges, with its time: a step's latency is from the node's giving a packet out to having it back. That
covers bridge, link and step, and no program of Skerry. What a step does to real packets that it does not do to test
packets, such as keeping them for a cache, is not in it.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from statistics import median
from typing import Literal

import msgspec

from skerry.model.chain import ChainMatch
from skerry.model.ids import AppName, InstanceId, ServiceName, TenantName
from skerry.model.observed import ChainProbed, ChainStepProbed, ProbePass
from skerry.plan.actions import ProbeChain, ProbeHop

#: A chain's latency is measured this often; a link's use must not show it, and a slow step is news for minutes.
PROBE_EVERY_US = 60_000_000
#: Chains of one node are measured at least so far apart, however many there are: each costs a look at the node.
PROBE_PAUSE_US = 10_000_000
#: Packets that count of each measuring; their median does not mind one that met something else.
PROBES = 3
#: And where a person asks.
PROBES_ASKED = 10
#: A chain is late, or leads packets nowhere, when so many measurings in a row say it, and well again after as many.
ROUNDS = 2
#: What is told of latency changes at most so often while its bound is kept: it is told in steps, and jitters at edges.
TOLD_US = 600_000_000
#: Chains of a node that are remembered: those of a hundred apps.
PROBED_MAX = 1_000

#: Whose packets they are at the bridge by which they come in: of the range for local use, above all that kernels and
#: runtimes choose.
PROBE_MAC = "fe:ff:ff:ff:53:50"

#: Nobody's addresses (RFC 5737, RFC 3849): where test packets seem to go that go beyond the site.
_BEYOND = {
    "ip": ("192.0.2.1", "198.51.100.1", "203.0.113.1"),
    "ip6": ("2001:db8::1", "2001:db8:ffff::1"),
}
#: Of a protocol with ports where the chain names none: the service that throws everything away.
_DISCARD = 9
Verdict = Literal["", "passed", "late", "lost"]


class PathOutline(msgspec.Struct, frozen=True, kw_only=True):
    """What a chain of one family leads through on its way out."""

    tenant: TenantName
    app: AppName
    chain: str
    family: Literal["ip", "ip6"]
    match: ChainMatch
    #: At which end of what goes out the ports of the match are.
    ports_of: Literal["to", "from"] = "to"
    max_us: int = 0
    #: Bridge of the near end, ranges of it, and who runs there.
    bridge: str
    sources: tuple[str, ...]
    #: Devices of the node that lead to the ends, of those that are devices.
    source_by: str = ""
    target_by: str = ""
    people: tuple[str, ...]
    #: Ranges of the far end, none for all that is not ``near``, and who runs there.
    targets: tuple[str, ...]
    near: tuple[str, ...]
    far_people: tuple[str, ...]
    hops: tuple[ProbeHop, ...]


class ProbeNote(msgspec.Struct, frozen=True, kw_only=True):
    """What a node remembers of the test packets of one chain."""

    at_us: int
    #: Instances of its steps.
    through: tuple[InstanceId, ...]
    probed: ChainProbed
    verdict: Verdict = ""
    #: Measurings in a row that say something else than the verdict.
    against: int = 0
    #: What is told, and since when.
    latency_us: dict[ServiceName, int] = {}
    path_us: int = 0
    told_us: int = 0


def probe_key(tenant: TenantName, app: AppName, chain: str) -> str:
    """Name a chain of this node."""
    return f"{tenant}/{app}/{chain}"


def choose_probe(outline: PathOutline, count: int) -> ProbeChain | str:
    """Return what to send, or why nothing can be sent."""
    match = outline.match
    if match.protocol == "sctp":
        return "test packets of SCTP are not made"
    if not outline.hops:
        return "no step takes traffic"
    source = _choose(outline.sources, outline.people)
    target = _choose(outline.targets, outline.far_people)
    if not outline.targets and not outline.target_by:
        shut = [ipaddress.ip_network(each) for each in outline.near]
        free = (each for each in _BEYOND[outline.family] if not _is_in(each, shut))
        target = next(free, "")
    if not (source or outline.source_by) or not (target or outline.target_by):
        return "no address at its ends is free for test packets"
    protocol = match.protocol or "icmp"
    port = 0 if protocol == "icmp" else match.ports[0][0] if match.ports else _DISCARD
    return ProbeChain(
        tenant=outline.tenant,
        app=outline.app,
        chain=outline.chain,
        family=outline.family,
        protocol=protocol,
        port=port,
        ports_of=outline.ports_of,
        max_us=outline.max_us,
        bridge=outline.bridge,
        source=source,
        target=target,
        source_by=outline.source_by,
        target_by=outline.target_by,
        hops=outline.hops,
        count=count,
    )


def hop_limit(action: ProbeChain) -> int:
    """Return with what hop limit a packet is sent: the node takes one first and last, and each step one."""
    return 2 * len(action.hops) + 1


def describe_probe(action: ProbeChain) -> str:
    """Say what is sent, for people."""
    words = {"tcp": "SYN {} TCP port {}", "udp": "datagram {} UDP port {}", "icmp": "echo request"}
    what = words[action.protocol].format(action.ports_of, action.port)
    source = action.source or f"somebody at {action.source_by}"
    return f"{what}, {source} to {action.target or f'somebody at {action.target_by}'}"


def judge_probe(action: ProbeChain, passes: Iterable[ProbePass]) -> ChainProbed:
    """Say what came of the packets that count; one that was seen out of its order has not arrived."""
    seen: dict[int, list[ProbePass]] = {}
    for each in sorted(passes):
        seen.setdefault(each.number, []).append(each)
    given, passed = [0] * len(action.hops), [0] * len(action.hops)
    spans: list[list[int]] = [[] for _ in action.hops]
    whole: list[int] = []
    entered = 0
    for number in range(1, action.count + 1):
        begun, at = 0, -1
        for each in seen.get(number, ()):
            if not begun and each.inward and each.bridge == action.bridge:
                begun, at = each.at_ns, 0
                continue
            place = at // 2
            if at < 0 or place >= len(action.hops) or (each.bridge, each.mac) not in action.hops[place].links:
                continue
            if not each.inward and at % 2 == 0:
                given[place] += 1
                left, at = each.at_ns, at + 1
            elif each.inward and at % 2 == 1:
                passed[place] += 1
                spans[place].append((each.at_ns - left) // 1_000)  # type: ignore[possibly-unbound]
                at += 1
                if place == len(action.hops) - 1:
                    whole.append((each.at_ns - begun) // 1_000)
        entered += begun > 0
    steps = tuple(
        ChainStepProbed(
            service=hop.service,
            instance=hop.instance,
            given=given[place],
            passed=passed[place],
            median_us=max(round(median(spans[place])), 1) if spans[place] else 0,
            most_us=max(max(spans[place]), 1) if spans[place] else 0,
        )
        for place, hop in enumerate(action.hops)
    )
    return ChainProbed(
        sent=action.count,
        arrived=len(whole),
        steps=steps,
        median_us=max(round(median(whole)), 1) if whole else 0,
        most_us=max(*whole, 1) if whole else 0,
        reason="" if len(whole) == action.count else _explain(steps, action.count, entered),
        what=describe_probe(action),
    )


def _explain(steps: tuple[ChainStepProbed, ...], sent: int, entered: int) -> str:
    """Say where the first packets were lost."""
    if entered < sent:
        return f"{sent - entered} of {sent} did not come as far as the node"
    left, whose = sent, "the node"
    for step in steps:
        if step.given < left:
            return (
                f"{left - step.given} of {sent} were not given to {step.service} after {whose}: something else has them"
            )
        if step.passed < step.given:
            lost = step.given - step.passed
            return (
                f"{lost} of {sent} were not passed on by {step.service}: it drops such packets or answers them itself"
            )
        left, whose = step.passed, step.service
    return "they were not seen in their order"


def note_probe(before: ProbeNote | None, action: ProbeChain, probed: ChainProbed, now_us: int) -> ProbeNote:
    """Remember a measuring; what is told of it changes in steps, and seldom."""
    through = tuple(hop.instance for hop in action.hops)
    if before is not None and before.through != through:
        before = None
    said = judge_round(probed, action.max_us)
    verdict, against = said, 0
    if before is not None and before.verdict and before.verdict != said:
        against = before.against + 1
        verdict, against = (said, 0) if against >= ROUNDS else (before.verdict, against)
    latency_us = {step.service: round_up(step.median_us) for step in probed.steps if step.median_us}
    path_us, told_us = round_up(probed.median_us), now_us
    if before is not None and before.verdict == verdict and now_us - before.told_us < TOLD_US:
        latency_us, path_us, told_us = before.latency_us, before.path_us, before.told_us
    return ProbeNote(
        at_us=now_us,
        through=through,
        probed=probed,
        verdict=verdict,
        against=against,
        latency_us=latency_us,
        path_us=path_us,
        told_us=told_us,
    )


def judge_round(probed: ChainProbed, max_us: int) -> Verdict:
    """Say what one measuring says by itself; nothing where no packet could be sent."""
    if not probed.sent:
        return ""
    if not probed.arrived:
        return "lost"
    return "late" if 0 < max_us < probed.median_us else "passed"


def describe_flaw(note: ProbeNote, max_us: int) -> str:
    """Say what test packets met, for people; empty where all is well."""
    match note.verdict:
        case "late":
            return (
                f"test packets take up to {note.path_us / 1000:g} ms through it, its owner allows {max_us / 1000:g} ms"
            )
        case "lost" | "":
            return note.probed.reason and f"test packets: {note.probed.reason}"
        case "passed":
            return ""


def find_due(notes: dict[str, ProbeNote], probes: Iterable[ProbeChain], now_us: int) -> tuple[ProbeChain | None, int]:
    """Return the chain that is to be measured now, and when the next one is; 0 for none."""
    due: list[tuple[int, str, ProbeChain]] = []
    newest = max((note.at_us for note in notes.values()), default=-PROBE_PAUSE_US)
    for action in probes:
        key = probe_key(action.tenant, action.app, action.chain)
        note = notes.get(key)
        is_same = note is not None and note.through == tuple(hop.instance for hop in action.hops)
        due.append((note.at_us + PROBE_EVERY_US if note and is_same else 0, key, action))
    if not due:
        return None, 0
    at_us, _, action = min(due, key=lambda each: each[:2])
    at_us = max(at_us, newest + PROBE_PAUSE_US)
    return (action, 0) if at_us <= now_us else (None, at_us)


def forget_probes(notes: dict[str, ProbeNote], now_us: int) -> dict[str, ProbeNote]:
    """Drop what is older than any chain that is still measured, and the oldest beyond a bound."""
    life_us = PROBE_EVERY_US + PROBED_MAX * PROBE_PAUSE_US
    young = {key: note for key, note in notes.items() if now_us - note.at_us <= life_us}
    return dict(sorted(young.items(), key=lambda each: each[1].at_us)[-PROBED_MAX:])


def round_up(value_us: int) -> int:
    """Return a time in microseconds as the next 1, 2 or 5 times a power of ten; not below 10, which is no news."""
    if value_us <= 0:
        return 0
    step = 10
    for factor in _steps():
        step = factor
        if step >= value_us:
            break
    return step


def _steps() -> Iterator[int]:
    power = 10
    while True:
        yield from (power, 2 * power, 5 * power)
        power *= 10


def _choose(ranges: tuple[str, ...], people: tuple[str, ...]) -> str:
    """Return an address of a range: that of somebody who runs there, or the last that a machine may have."""
    nets = [ipaddress.ip_network(each) for each in ranges]
    for address in people:
        if _is_in(address, nets):
            return address
    for net in nets:
        last = net.num_addresses - 1 - (net.version == 4 and net.num_addresses > 2)
        return str(net[last])
    return ""


def _is_in(address: str, nets: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    ours = ipaddress.ip_address(address)
    return any(ours.version == net.version and ours in net for net in nets)
