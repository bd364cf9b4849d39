"""A node's overlay keys: made here, signed by the device key, and shown by their public halves alone.

Rule: a key that cannot be read is damage (``file.py``) and is told; it is never answered with a new key by itself. One
key lives, and the next one beside it while it changes (``plan/overlay.py``).
"""

import re
from collections.abc import Callable

import msgspec
from nacl import bindings

from skerry.clock import Mint
from skerry.keys.file import make_seed, read_seed
from skerry.model.ids import NodeName, SiteName
from skerry.model.observed import OwnKey
from skerry.model.signed import OverlayKey
from skerry.safe.files import remove_durable
from skerry.safe.paths import Directory
from skerry.trust.envelope import encode_payload, sign_payload
from skerry.trust.keys import SigningKey

_FILE = re.compile(r"overlay-([1-9][0-9]{0,8})\.key")


class _Pair(msgspec.Struct, frozen=True):
    seed: bytes
    public: bytes


class OverlayKeys:
    """The keys of one node, in its key folder."""

    def __init__(
        self,
        directory: Directory,
        mint: Mint,
        device: SigningKey,
        whose: Callable[[], tuple[SiteName, NodeName] | None],
    ) -> None:
        """``whose`` says which node of which site this is, None before it has joined."""
        self._directory = directory
        self._mint = mint
        self._device = device
        self._whose = whose
        self._pairs: dict[int, _Pair] | None = None

    def list_own(self) -> tuple[OwnKey, ...]:
        """Return the node's keys with their statements, the oldest first; none before it has joined.

        Raises ``KeyDamaged`` for a file that is there and cannot be read.
        """
        whose = self._whose()
        if whose is None:
            return ()
        site, node = whose
        found: list[OwnKey] = []
        for number, pair in sorted(self._read().items()):
            payload = OverlayKey(site=site, node=node, number=number, key=pair.public)
            # The same bytes and, as Ed25519 draws nothing, the same signature each time.
            found.append(OwnKey(number, sign_payload("overlay-key", encode_payload(payload), (self._device,))))
        return tuple(found)

    def make(self, number: int) -> None:
        """Make the key of a number, durably, unless it is there."""
        pairs = self._read()
        if number not in pairs:
            pairs[number] = _make_pair(make_seed(self._directory, _file(number), "x25519", self._mint))

    def drop(self, number: int) -> None:
        """Forget a key for good."""
        remove_durable(self._directory, _file(number))
        self._read().pop(number, None)

    def public(self, number: int) -> bytes | None:
        """Return the public half of a key; None for one that is not there."""
        pair = self._read().get(number)
        return None if pair is None else pair.public

    def secret(self, number: int) -> bytes | None:
        """Return the secret half of a key, for the tunnel itself and nobody else."""
        pair = self._read().get(number)
        return None if pair is None else pair.seed

    def _read(self) -> dict[int, _Pair]:
        if self._pairs is None:
            pairs: dict[int, _Pair] = {}
            for name in self._directory.names():
                found = _FILE.fullmatch(name)
                seed = read_seed(self._directory, name, "x25519") if found else None
                if found and seed is not None:
                    pairs[int(found[1])] = _make_pair(seed)
            self._pairs = pairs
        return self._pairs


def _file(number: int) -> str:
    return f"overlay-{number}.key"


def _make_pair(seed: bytes) -> _Pair:
    return _Pair(seed, bindings.crypto_scalarmult_base(seed))
