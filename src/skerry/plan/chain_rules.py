"""The rules by which a node steers the packets of one service chain: which get which mark. Pure.

From position q a packet goes to q + 1 on its way out and to q - 1 on its way back; which way it goes its addresses say.
What a step sends of its own accord passes the steps beyond it, and the answers come back the same way. Of rules the
first that fits a packet counts.
"""

from collections.abc import Iterable, Iterator

import msgspec

from skerry.plan.actions import Steer
from skerry.plan.chain_marks import CLOSED, PASS_IN, PASS_OUT, Hops
from skerry.plan.chain_path import FAMILIES, Family, Path, Place, is_of


def compile_path(path: Path, hops: Hops, mark: str) -> Iterator[Steer]:
    """Give the rules of a chain; what they count is called by ``mark``."""
    for family in FAMILIES:
        yield from _compile_family(path, family, hops, mark)


def _compile_family(path: Path, family: Family, hops: Hops, mark: str) -> Iterator[Steer]:
    match = path.chain.match
    beyond = path.far.kind == "uplink"
    near, is_beyond, wanted_far = path.find_ends(family)
    far = () if beyond else wanted_far
    if not near or not (is_beyond or far):
        return
    places = [path.place(step, number, family) for number, step in enumerate(path.steps)]
    way_out = path.outward or path.chain.symmetric
    way_back = not path.outward or path.chain.symmetric
    shut = tuple(each for each in path.all_near if is_of(each, family)) if beyond else ()
    base = Steer(family=family, protocol=match.protocol, ports=match.ports, mark=0)
    outward, inward = ("to", "from") if path.outward else ("from", "to")
    out = msgspec.structs.replace(base, targets=wanted_far, not_targets=shut, ports_of=outward)
    back = msgspec.structs.replace(base, sources=wanted_far, not_sources=shut, ports_of=inward)
    is_open = path.chain.fail == "open"
    macs = tuple(sorted({mac for place in places for _, mac in place.senders}))
    near_bridges, far_bridges = path.bridges(path.near), path.bridges(path.far)
    last = PASS_OUT if beyond else PASS_IN
    for q in range(len(places) + 1):
        if not way_out:
            break
        own = tuple(address for place in places[:q] for address in place.own)
        senders = [(bridge, ()) for bridge in near_bridges] if q == 0 else _by_bridge(places[q - 1].senders)
        target, step = _next_hop(((place.way_out, place) for place in places[q:]), hops, last, is_open)
        for bridge, from_macs in senders:
            yield msgspec.structs.replace(
                out,
                bridge=bridge,
                macs=from_macs,
                not_macs=macs if q == 0 else (),
                sources=tuple(sorted({*near, *own})),
                mark=target,
                counter=f"{mark}s{step}_out" if step else "",
                tracked=target == PASS_OUT,
            )
    for q in range(len(places) + 1, 0, -1):
        if not way_back:
            break
        if q == len(places) + 1:
            senders = [("", ())] if beyond else [(bridge, ()) for bridge in far_bridges]
        else:
            senders = _by_bridge(places[q - 1].senders)
        before = places[: q - 1]
        for bridge, from_macs in senders:
            # What is for a step itself goes back as far as that step.
            for number in range(len(before), -1, -1):
                targets = before[number - 1].own if number else near
                if not targets:
                    continue
                between = before[number:]
                hop, step = _next_hop(((place.way_back, place) for place in reversed(between)), hops, PASS_IN, is_open)
                yield msgspec.structs.replace(
                    back,
                    bridge=bridge,
                    macs=from_macs,
                    not_macs=macs if q == len(places) + 1 and bridge else (),
                    targets=targets,
                    mark=hop,
                    counter=f"{mark}s{step}_back" if step else "",
                    tracked=not bridge,
                )
    if not beyond and not path.chain.symmetric:
        # Answers between two networks go straight, and nothing else lets them through.
        sources, targets = (far, near) if path.outward else (near, far)
        flipped = "from" if path.outward else "to"
        for bridge in far_bridges if path.outward else near_bridges:
            yield msgspec.structs.replace(
                base, bridge=bridge, not_macs=macs, sources=sources, targets=targets, ports_of=flipped, mark=PASS_IN
            )


def _next_hop(
    ways: Iterable[tuple[tuple[str, str] | None, Place]], hops: Hops, last: int, is_open: bool
) -> tuple[int, int]:
    """Return the mark for the first position that can take the packet, and that position; 0 for none."""
    for way, place in ways:
        if way is not None:
            return hops.number(*way), place.position
        if not is_open:
            return CLOSED, 0
    return last, 0


def _by_bridge(senders: Iterable[tuple[str, str]]) -> list[tuple[str, tuple[str, ...]]]:
    found: dict[str, list[str]] = {}
    for bridge, mac in senders:
        found.setdefault(bridge, []).append(mac)
    return [(bridge, tuple(sorted(macs))) for bridge, macs in sorted(found.items())]
