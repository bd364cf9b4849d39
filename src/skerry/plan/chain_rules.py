"""The rules by which a node steers the packets of one service chain: which get which mark. Pure.

From position q a packet goes to q + 1 on its way out and to q - 1 on its way back; which way it goes its addresses say.
What a step sends of its own accord passes the steps beyond it, and the answers come back the same way. Of rules the
first that fits a packet counts.
"""

from collections.abc import Iterable, Iterator

import msgspec

from skerry.plan.actions import Steer
from skerry.plan.chain_marks import CLOSED, PASS_IN, PASS_OUT, Hops
from skerry.plan.chain_path import FAMILIES, End, Family, Path, Place, find_first_bridge, is_of
from skerry.plan.chain_probes import PROBE_MAC


def compile_path(path: Path, hops: Hops, mark: str) -> Iterator[Steer]:
    """Give the rules of a chain; what they count is called by ``mark``."""
    for family in FAMILIES:
        yield from _compile_family(path, family, hops, mark)


def _compile_family(path: Path, family: Family, hops: Hops, mark: str) -> Iterator[Steer]:
    ends = path.find_ends(family)
    if ends is None:
        return
    places = [path.place(step, number, family) for number, step in enumerate(path.steps)]
    for protocol, ports in path.list_kinds():
        base = Steer(family=family, protocol=protocol, ports=ports, mark=0)
        yield from _Rules(path, family, base, *ends, places, hops, mark).list()


class _Rules:
    """The rules of one chain, for one family and one kind of packets."""

    def __init__(
        self,
        path: Path,
        family: Family,
        base: Steer,
        near: End,
        far: End,
        places: list[Place],
        hops: Hops,
        mark: str,
    ) -> None:
        self._path, self._base, self._near, self._far = path, base, near, far
        self._places, self._hops, self._mark = places, hops, mark
        self._is_open = path.chain.fail == "open"
        #: Of what lies beyond the site all but these.
        self._shut = tuple(each for each in path.all_near if is_of(each, family)) if far.is_beyond else ()
        self._macs = tuple(sorted({mac for place in places for _, mac in place.senders}))

    def list(self) -> Iterator[Steer]:
        """Give them."""
        outward, is_symmetric = self._path.outward, self._path.chain.symmetric
        if outward or is_symmetric:
            yield from self._lead_out()
        if not outward or is_symmetric:
            yield from self._lead_back()
        if not self._far.is_beyond and not is_symmetric:
            yield from self._let_answers()

    def _lead_out(self) -> Iterator[Steer]:
        near, far = self._near, self._far
        out = msgspec.structs.replace(
            self._base,
            targets=far.ranges,
            not_targets=self._shut,
            target_by=far.device,
            # What one device leads to passes no chain from it; where the other end is a device, that says as much.
            not_target_by="" if far.device else near.device,
            ports_of="to" if self._path.outward else "from",
        )
        last = PASS_OUT if far.is_beyond else PASS_IN
        for q in range(len(self._places) + 1):
            ways = ((place.way_out, place) for place in self._places[q:])
            target, step = _next_hop(ways, self._hops, last, self._is_open)
            led = msgspec.structs.replace(
                out, mark=target, counter=f"{self._mark}s{step}_out" if step else "", tracked=target == PASS_OUT
            )
            own = tuple(sorted({address for place in self._places[:q] for address in place.own}))
            if q == 0:
                led = msgspec.structs.replace(led, sources=near.ranges)
                if near.device:
                    yield msgspec.structs.replace(led, device=near.device)
                    # What test packets cannot come by, for they begin at a bridge: that of the first step.
                    bridge = find_first_bridge(self._places)
                    tests = msgspec.structs.replace(led, bridge=bridge, macs=(PROBE_MAC,), source_by=near.device)
                    yield from (tests for _ in bridge[:1])
                for bridge in near.bridges:
                    yield msgspec.structs.replace(led, bridge=bridge, not_macs=self._macs)
                continue
            for bridge, macs in _by_bridge(self._places[q - 1].senders):
                led = msgspec.structs.replace(led, bridge=bridge, macs=macs)
                if near.device:
                    yield msgspec.structs.replace(led, sources=near.ranges, source_by=near.device)
                    yield from (msgspec.structs.replace(led, sources=own) for _ in own[:1])
                else:
                    yield msgspec.structs.replace(led, sources=tuple(sorted({*near.ranges, *own})))

    def _lead_back(self) -> Iterator[Steer]:
        near, far = self._near, self._far
        back = msgspec.structs.replace(
            self._base,
            sources=far.ranges,
            not_sources=self._shut,
            ports_of="from" if self._path.outward else "to",
        )
        last = PASS_OUT if near.is_beyond else PASS_IN
        for q in range(len(self._places) + 1, 0, -1):
            if q <= len(self._places):
                senders = [
                    msgspec.structs.replace(back, bridge=bridge, macs=macs, source_by=far.device)
                    for bridge, macs in _by_bridge(self._places[q - 1].senders)
                ]
            elif far.is_beyond:
                is_led_in = self._path.far.kind == "users"
                words = {"device": far.device} if far.device else {"not_device": near.device}
                senders = [msgspec.structs.replace(back, led_in=is_led_in, tracked=True, **words)]
            else:
                senders = [msgspec.structs.replace(back, bridge=bridge, not_macs=self._macs) for bridge in far.bridges]
            before = self._places[: q - 1]
            for sender in senders:
                # What is for a step itself goes back as far as that step.
                for number in range(len(before), -1, -1):
                    ways = ((place.way_back, place) for place in reversed(before[number:]))
                    hop, step = _next_hop(ways, self._hops, last, self._is_open)
                    led = msgspec.structs.replace(sender, mark=hop, counter=f"{self._mark}s{step}_back" if step else "")
                    if not number:
                        yield msgspec.structs.replace(led, targets=near.ranges, target_by=near.device)
                    elif before[number - 1].own:
                        yield msgspec.structs.replace(led, targets=before[number - 1].own)

    def _let_answers(self) -> Iterator[Steer]:
        """Let answers between two networks go straight: nothing else lets them through."""
        for bridge in self._far.bridges:
            yield msgspec.structs.replace(
                self._base,
                bridge=bridge,
                not_macs=self._macs,
                sources=self._far.ranges,
                targets=self._near.ranges,
                ports_of="from",
                mark=PASS_IN,
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
