"""Signing keys, their ids, and the one verification of each key type (trust.md §2).

Rules: (1) the key's type fixes the algorithm, nothing in a message does; (2) Ed25519 is strict, as libsodium does it:
points of small order, encodings that are not canonical and s ≥ L are refused; (3) a key id is a hint for look-up only.
Key files are read and written by ``keys/``.
"""

import base64
import hashlib
from typing import Literal, Protocol

from nacl import bindings
from nacl.exceptions import BadSignatureError

from skerry.model.ids import KeyId
from skerry.model.signed import PublicKey

#: Bytes of an Ed25519 seed, of an Ed25519 or X25519 public key, and of an X25519 secret key.
KEY_BYTES = 32
SIGNATURE_BYTES = 64
_KEY_ID_BYTES = 20
_TRUST_DOMAIN_BYTES = 16

#: What a device key may sign besides nothing: the purpose is part of the signed bytes, so one cannot pass as another.
Purpose = Literal["hello", "join"]


class Drawing(Protocol):
    """The part of ``skerry.clock.Mint`` that this room needs."""

    def draw(self, count: int) -> bytes:
        """Return ``count`` unpredictable bytes."""
        ...


class SigningKey:
    """An Ed25519 key pair. Never printed, never encoded."""

    __slots__ = ("_secret", "public")

    def __init__(self, secret: bytes, public: PublicKey) -> None:
        self._secret = secret
        #: The public half.
        self.public = public

    @classmethod
    def from_seed(cls, seed: bytes) -> "SigningKey":
        """Make the pair of a 32-byte seed; raise ValueError on another length."""
        if len(seed) != KEY_BYTES:
            raise ValueError(f"an Ed25519 seed has {KEY_BYTES} bytes, not {len(seed)}")
        public, secret = bindings.crypto_sign_seed_keypair(seed)
        return cls(secret, PublicKey(type="ed25519", key=public))

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature over ``message``."""
        return bindings.crypto_sign(message, self._secret)[:SIGNATURE_BYTES]

    def __repr__(self) -> str:
        """Name the key without showing it."""
        return f"SigningKey({key_id(self.public)})"


def verify_signature(public: PublicKey, message: bytes, signature: bytes) -> bool:
    """Say whether ``signature`` over ``message`` is by ``public``; a key type that does not sign here never is."""
    if public.type != "ed25519" or len(public.key) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        bindings.crypto_sign_open(signature + message, public.key)
    except BadSignatureError:
        return False
    return True


def key_id(public: PublicKey) -> KeyId:
    """Return the look-up hint of a key: 20 bytes of SHA-256(type, 0x00, key) in hexadecimal."""
    digest = hashlib.sha256(public.type.encode() + b"\x00" + public.key).digest()
    return KeyId(digest[:_KEY_ID_BYTES].hex())


def trust_domain(root_payload: bytes) -> str:
    """Return the self-certifying name of an operator's domain: base32 of 16 bytes of SHA-256(root document 1)."""
    digest = hashlib.sha256(root_payload).digest()[:_TRUST_DOMAIN_BYTES]
    return base64.b32encode(digest).decode().rstrip("=").lower()


def device_message(purpose: Purpose, message: bytes) -> bytes:
    """Return the bytes that a device key signs for ``message``; never the beginning of an envelope's."""
    return b"skerry-device-v1\x00" + purpose.encode() + b"\x00" + message
