"""A relay of datagrams between two sites that cannot reach each other: who may use it, and at which ports."""

import ipaddress

import msgspec

from skerry.model.ids import Digest, SiteName
from skerry.model.network import is_endpoint

#: Ports of one pair of sites: one for each side.
PAIR_PORTS = 2
#: Pairs of one relay: each has two sockets open, below the 4,096 that a service may have by default.
PAIRS_MAX = 1_024
#: What a pair may send in a second, both ways together: 100 Mbit, so that no pair has a busy core to itself.
PAIR_BYTES_S = 12_500_000


class RelayOffer(msgspec.Struct, frozen=True):
    """Where a relay is, and the ports that it has."""

    #: A literal address, without brackets.
    host: str
    first: int
    last: int
    #: Bytes a second of each pair, both ways together, and of all pairs; 0 for no limit.
    pair_bytes_s: int = PAIR_BYTES_S
    bytes_s: int = 0

    @property
    def pairs_max(self) -> int:
        """Pairs for which there are ports."""
        return min((self.last - self.first + 1) // PAIR_PORTS, PAIRS_MAX)

    def place(self, slot: int, side: int) -> str:
        """Return where one side of the pair at a slot sends to."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port(slot, side)}"

    def port(self, slot: int, side: int) -> int:
        """Return the port of one side of the pair at a slot."""
        return self.first + PAIR_PORTS * slot + side

    def slot_of(self, place: str) -> int | None:
        """Return the slot of a place; None for one that is not of this relay."""
        host, _, port = place.rpartition(":")
        slot, _ = divmod(int(port or 0) - self.first, PAIR_PORTS)
        return slot if host.strip("[]") == self.host and 0 <= slot < self.pairs_max else None


class RelaySide(msgspec.Struct, frozen=True):
    """One site of a pair."""

    site: SiteName
    #: Port at which the relay hears it.
    port: int
    #: Addresses that it is known by: from these it is believed; from others it must show that it knows its peer's key.
    addresses: tuple[str, ...] = ()
    #: Public overlay keys of the site.
    keys: tuple[bytes, ...] = ()


class RelayPair(msgspec.Struct, frozen=True):
    """Two sites that are relayed to each other."""

    sides: tuple[RelaySide, RelaySide]


class RelayTable(msgspec.Struct, frozen=True):
    """Everything that a relay does; written whole by the core, or by the agent of a site that is a relay."""

    pairs: tuple[RelayPair, ...] = ()
    #: Bytes a second of each pair, both ways together, and of all pairs; 0 for no limit.
    pair_bytes_s: int = PAIR_BYTES_S
    bytes_s: int = 0


def encode_table(table: RelayTable) -> bytes:
    """Return a table as it stands in its file."""
    return msgspec.json.encode(table)


class RelayPairSeen(msgspec.Struct, frozen=True):
    """What went through a relay between two sites since it began, or since they were last given other ports."""

    sites: tuple[SiteName, SiteName]
    passed_bytes: int
    #: Messages that went nowhere: from nobody who may, or no message; and above what may go in a second.
    refused: int
    crowded: int


class RelaySeen(msgspec.Struct, frozen=True):
    """What a relay tells of itself, every 15 seconds."""

    #: Of the table's file that it follows; empty before it has one.
    digest: Digest = Digest("")
    pairs: tuple[RelayPairSeen, ...] = ()
    #: Ports that somebody else has.
    taken: tuple[int, ...] = ()


def read_offer(text: str) -> RelayOffer | None:
    """Read ``ADDRESS:FIRST-LAST``; None for nothing. Raises ``ValueError`` for anything else."""
    if not text:
        return None
    place, _, last = text.rpartition("-")
    host, _, first = place.rpartition(":")
    if not (is_endpoint(place) and last.isascii() and last.isdigit() and int(first) < int(last) <= 65_535):
        raise ValueError(f"{text!r} is no relay: ADDRESS:FIRST-LAST, with a literal address and a range of UDP ports")
    return RelayOffer(str(ipaddress.ip_address(host.strip("[]"))), int(first), int(last))
