"""Marks of service chains, and the numbers of their hops: each a mark, and a routing table of the same number. Pure.

Neighbours: ``chain_rules.py`` gives them out, ``drivers/chains.py`` has the kernel know them.
"""

from skerry.model.observed import ChainHop

#: Marks and tables of ours: "SK" in the upper half, and no other number is read or changed.
FIRST = 0x534B_0000
#: Nothing passes: a table that says so to who sent the packet.
CLOSED = FIRST + 1
#: The last of the steps has handed it over: out of the site, or to an instance of it.
PASS_OUT, PASS_IN = FIRST + 2, FIRST + 3
#: Hops have numbers from here to ``LAST``.
HOPS = FIRST + 0x10
LAST = FIRST + 0xFFFF


class Hops:
    """Numbers of next positions: those that the node has keep theirs."""

    def __init__(self, seen: tuple[ChainHop, ...]) -> None:
        self._known = {(hop.bridge, hop.address): hop.number for hop in seen if HOPS <= hop.number <= LAST}
        self._taken = {hop.number for hop in seen}
        self._used: dict[int, ChainHop] = {}

    def number(self, bridge: str, address: str) -> int:
        """Return the number of the hop to an address at a bridge."""
        known = self._known.get((bridge, address))
        if known is None:
            known = next(number for number in range(HOPS, LAST + 1) if number not in self._taken)
            self._known[bridge, address] = known
            self._taken.add(known)
        self._used[known] = ChainHop(known, bridge, address)
        return known

    def list(self) -> tuple[ChainHop, ...]:
        """Return the hops whose numbers were asked for."""
        return tuple(self._used[number] for number in sorted(self._used))
