"""What ``wg`` says and what it is told: the difference between tunnels that are wished and those that are there. Pure.

Rule: of a peer that is as it should be nothing is set again, and its place only where it is another one than was told
before: a peer that moved has told its new place itself, and to be told the old one again would lose it.
"""

import base64
from collections.abc import Iterable, Mapping

import msgspec

from skerry.plan.actions import Tunnel

#: Our interfaces are called so, and nobody else's: two for each of two keys that may live side by side.
INTERFACES = ("skw0", "skw1", "skw2", "skw3")
#: Peers in one call of ``wg``: far below what a command line may hold (128 KiB a word, 2 MiB in all).
PEERS_A_CALL = 200


class PeerSeen(msgspec.Struct, frozen=True):
    """One peer, as ``wg show … dump`` tells it."""

    ranges: frozenset[str]
    keepalive_s: int
    #: Where it is; empty before anybody knows.
    place: str
    #: Wall time of the last handshake in seconds; 0 for never.
    heard_at_s: int
    received_bytes: int
    sent_bytes: int


class InterfaceSeen(msgspec.Struct, frozen=True):
    """One interface."""

    public: bytes
    port: int
    peers: dict[bytes, PeerSeen]


def interface_name(own: int, *, aside: bool) -> str:
    """Name the interface of an own key; the order is that of the ports (``plan/overlay.py``)."""
    return INTERFACES[2 * (own % 2) + aside]


def read_dump(text: str) -> InterfaceSeen:
    """Read ``wg show INTERFACE dump``; raises ``ValueError`` for anything else. Secret keys are passed over."""
    first, *others = (line.split("\t") for line in text.splitlines())
    if len(first) != 4 or any(len(words) != 8 for words in others):
        raise ValueError("this is no dump of a WireGuard interface")
    peers = {
        _read_key(words[0]): PeerSeen(
            ranges=frozenset(words[3].split(",")) - {"(none)"},
            keepalive_s=0 if words[7] == "off" else int(words[7]),
            place="" if words[2] == "(none)" else words[2],
            heard_at_s=int(words[4]),
            received_bytes=int(words[5]),
            sent_bytes=int(words[6]),
        )
        for words in others
    }
    public = b"" if first[1] == "(none)" else _read_key(first[1])
    return InterfaceSeen(public, int(first[2]), peers)


def by_interface(tunnels: Iterable[Tunnel]) -> dict[str, dict[bytes, Tunnel]]:
    """Sort tunnels into their interfaces, each by its peer's key."""
    found: dict[str, dict[bytes, Tunnel]] = {}
    for tunnel in tunnels:
        found.setdefault(interface_name(tunnel.own, aside=tunnel.aside), {})[tunnel.key] = tunnel
    return found


def matches(wanted: Mapping[bytes, Tunnel], seen: InterfaceSeen, public: bytes, port: int) -> bool:
    """Say whether an interface is as wished; where its peers were told to look is not read back."""
    if (seen.public, seen.port) != (public, port) or wanted.keys() != seen.peers.keys():
        return False
    return all(_is_like(tunnel, seen.peers[key]) for key, tunnel in wanted.items())


def list_calls(
    wanted: Mapping[bytes, Tunnel], seen: InterfaceSeen, told: Mapping[bytes, str]
) -> list[tuple[list[str], list[bytes]]]:
    """Return the words that make an interface's peers as wished, in calls, and of which peers each call speaks.

    ``told`` are the places that were told before. Those that go come first, so that their ranges are free.
    """
    peers: list[tuple[bytes, list[str]]] = [
        (key, ["peer", write_key(key), "remove"]) for key in sorted(seen.peers.keys() - wanted.keys())
    ]
    for key, tunnel in sorted(wanted.items()):
        present = seen.peers.get(key)
        words: list[str] = []
        if present is not None and told.get(key) and not tunnel.endpoint:
            # It is only to listen: a place is forgotten with the peer alone, and with it all that is being tried.
            peers.append((key, ["peer", write_key(key), "remove"]))
            present = None
        if tunnel.endpoint and (present is None or told.get(key) != tunnel.endpoint):
            words += ["endpoint", tunnel.endpoint]
        if present is None or not _is_like(tunnel, present):
            words += ["persistent-keepalive", str(tunnel.keepalive_s), "allowed-ips", ",".join(tunnel.ranges)]
        if words:
            peers.append((key, ["peer", write_key(key), *words]))
    calls: list[tuple[list[str], list[bytes]]] = []
    for first in range(0, len(peers), PEERS_A_CALL):
        some = peers[first : first + PEERS_A_CALL]
        calls.append(([word for _, words in some for word in words], [key for key, _ in some]))
    return calls


def write_key(key: bytes) -> str:
    """Return a key in WireGuard's own form."""
    return base64.b64encode(key).decode()


def _read_key(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _is_like(tunnel: Tunnel, seen: PeerSeen) -> bool:
    return (frozenset(tunnel.ranges), tunnel.keepalive_s) == (seen.ranges, seen.keepalive_s)
