"""Private keys as files of class ``file``: readable by their owner alone, written once, never overwritten.

Rules: (1) a key file that is there and cannot be read is damage, and damage is never answered with a new key: a node
would become a stranger, an operator would lose every site; (2) a key is durable before its public half is shown.
The TPM class comes with its own file beside this one.
"""

import msgspec

from skerry.clock import Mint
from skerry.model.errors import Unavailable
from skerry.safe.files import read_durable, write_durable
from skerry.safe.paths import Directory
from skerry.trust.keys import KEY_BYTES, SigningKey
from skerry.trust.seal import sealing_public

#: A key file holds one short JSON object.
KEY_FILE_BYTES_MAX = 1024


class KeyDamaged(Unavailable):
    """A key file is there but cannot be read; nothing was changed."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "E-KEY-DAMAGED",
            f"The key file {name} is damaged or missing, and a new key would not be the same.",
            hint="Restore it from a backup. Skerry never replaces a key by itself.",
        )


class _KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of a key file; ``type`` fixes the algorithm."""

    type: str
    seed: bytes


class NodeKeys(msgspec.Struct, frozen=True):
    """What a node is: the key that proves it, and the secret half of the key that secrets are sealed to."""

    device: SigningKey
    sealing_seed: bytes

    def __repr__(self) -> str:
        """Name the keys without showing them."""
        return f"NodeKeys({self.device!r})"


def open_node_keys(directory: Directory, mint: Mint) -> NodeKeys:
    """Return the node's keys, made at first use. Raise ``KeyDamaged`` when one was there and is not readable."""
    device = read_seed(directory, "device.key", "ed25519") or make_seed(directory, "device.key", "ed25519", mint)
    sealing = read_seed(directory, "sealing.key", "x25519") or make_seed(directory, "sealing.key", "x25519", mint)
    sealing_public(sealing)
    return NodeKeys(SigningKey.from_seed(device), sealing)


def read_seed(directory: Directory, name: str, kind: str) -> bytes | None:
    """Return the secret bytes of a key file, None when there is none; raise ``KeyDamaged`` for a bad one."""
    found = read_durable(directory, name, limit=KEY_FILE_BYTES_MAX)
    if found is None:
        if directory.size(name) is not None or directory.size(f"{name}.prev") is not None:
            raise KeyDamaged(name)
        return None
    try:
        read = msgspec.json.decode(found.content, type=_KeyFile)
    except msgspec.DecodeError as error:
        raise KeyDamaged(name) from error
    if read.type != kind or len(read.seed) != KEY_BYTES:
        raise KeyDamaged(name)
    return read.seed


def make_seed(directory: Directory, name: str, kind: str, mint: Mint) -> bytes:
    """Make a key, write it durably and return its secret bytes; raise ``KeyDamaged`` when the file is there already."""
    if directory.size(name) is not None:
        raise KeyDamaged(name)
    seed = mint.draw(KEY_BYTES)
    keep_seed(directory, name, kind, seed)
    return seed


def keep_seed(directory: Directory, name: str, kind: str, seed: bytes) -> None:
    """Write a key that is known, from a backup; the one before stays beside it."""
    write_durable(directory, name, msgspec.json.encode(_KeyFile(kind, seed)))
