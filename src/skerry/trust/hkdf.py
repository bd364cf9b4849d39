"""HKDF of RFC 5869 with SHA-256, in its two steps."""

import hashlib
import hmac

HASH_BYTES = 32


def hkdf_extract(salt: bytes, ikm: bytes) -> bytes:
    """Concentrate the randomness of ``ikm`` into one key."""
    return hmac.digest(salt or bytes(HASH_BYTES), ikm, hashlib.sha256)


def hkdf_expand(prk: bytes, info: bytes, length: int) -> bytes:
    """Return ``length`` bytes (at most 8,160) for the purpose that ``info`` names."""
    blocks, last = b"", b""
    while len(blocks) < length:
        last = hmac.digest(prk, last + info + bytes((len(blocks) // HASH_BYTES + 1,)), hashlib.sha256)
        blocks += last
    return blocks[:length]
