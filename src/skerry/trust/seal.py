"""Sealing: secrets that only the named nodes can open (trust.md §2 and §10).

HPKE base mode of RFC 9180 with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and ChaCha20-Poly1305, put together from
libsodium's primitives and checked with the RFC's vectors. A secret's value is encrypted once under a random content
key; the content key is sealed to each node. Tenant, name and number are bound to both, so no part fits elsewhere.
"""

from collections.abc import Sequence

from nacl import bindings
from nacl.exceptions import CryptoError

from skerry.model.ids import SecretName, TenantName
from skerry.model.limits import SCALAR_BYTES_MAX
from skerry.model.signed import PublicKey, Secret
from skerry.trust.hkdf import HASH_BYTES, hkdf_expand, hkdf_extract
from skerry.trust.keys import KEY_BYTES, Drawing, key_id
from skerry.trust.verdict import Denied

_AEAD_KEY_BYTES = 32
_AEAD_NONCE_BYTES = 12
_CONTENT_NONCE_BYTES = bindings.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#: Nonce and tag around nothing. PyNaCl raises other errors on less.
_CONTENT_BYTES_MIN = _CONTENT_NONCE_BYTES + bindings.crypto_aead_xchacha20poly1305_ietf_ABYTES
#: KEM 0x0020, KDF 0x0001, AEAD 0x0003 of RFC 9180 §7.
_KEM_SUITE = b"KEM\x00\x20"
_HPKE_SUITE = b"HPKE\x00\x20\x00\x01\x00\x03"
_INFO = b"skerry-secret-v1"


def sealing_public(seed: bytes) -> PublicKey:
    """Return the public half of a sealing key; ``seed`` is its 32 secret bytes."""
    if len(seed) != KEY_BYTES:
        raise ValueError(f"a sealing key has {KEY_BYTES} bytes, not {len(seed)}")
    return PublicKey(type="x25519", key=bindings.crypto_scalarmult_base(seed))


def is_sealing_key(public: PublicKey) -> bool:
    """Say whether one can seal to this key: X25519, and no point that makes every sender's secret the same."""
    return (
        public.type == "x25519"
        and len(public.key) == KEY_BYTES
        and _exchange(b"\x01" * KEY_BYTES, public.key) is not None
    )


def seal_secret(
    value: bytes,
    *,
    tenant: TenantName,
    name: SecretName,
    number: int,
    recipients: Sequence[PublicKey],
    mint: Drawing,
) -> Secret:
    """Seal ``value`` to each recipient's sealing key. Raise ValueError for a value beyond the limit or a wrong key."""
    if len(value) > SCALAR_BYTES_MAX:
        raise ValueError(f"a secret has at most {SCALAR_BYTES_MAX} bytes, this has {len(value)}")
    bound = _bind(tenant, name, number)
    content_key = mint.draw(_AEAD_KEY_BYTES)
    nonce = mint.draw(_CONTENT_NONCE_BYTES)
    content = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(value, bound, nonce, content_key)
    return Secret(
        tenant=tenant,
        name=name,
        number=number,
        content=nonce + content,
        boxes={key_id(key): hpke_seal(key, _INFO, bound, content_key, mint.draw(KEY_BYTES)) for key in recipients},
    )


def open_secret(secret: Secret, sealing_seed: bytes) -> bytes | Denied:
    """Open a secret with one's own sealing key; the value stays in memory and is never logged."""
    box = secret.boxes.get(key_id(sealing_public(sealing_seed)))
    if box is None:
        return Denied("E-SECRET", f"secret {secret.name} is not sealed for this site")
    bound = _bind(secret.tenant, secret.name, secret.number)
    content_key = hpke_open(sealing_seed, _INFO, bound, box)
    if content_key is None or len(content_key) != _AEAD_KEY_BYTES or len(secret.content) < _CONTENT_BYTES_MIN:
        return Denied("E-SEAL", f"the box of secret {secret.name} does not open", security=True)
    nonce, content = secret.content[:_CONTENT_NONCE_BYTES], secret.content[_CONTENT_NONCE_BYTES:]
    try:
        return bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(content, bound, nonce, content_key)
    except CryptoError:
        return Denied("E-SEAL", f"the content of secret {secret.name} does not open", security=True)


def hpke_seal(recipient: PublicKey, info: bytes, bound: bytes, plaintext: bytes, ikm: bytes) -> bytes:
    """Single-shot Seal of RFC 9180 §6.1: the encapsulated key, then the ciphertext.

    ``ikm`` is 32 fresh bytes, from which the ephemeral key is derived. Raise ValueError for a key that is no X25519
    key or lies in a small subgroup.
    """
    if recipient.type != "x25519" or len(recipient.key) != KEY_BYTES:
        raise ValueError("sealing needs an X25519 key")
    secret = _labeled_expand(_KEM_SUITE, _labeled_extract(_KEM_SUITE, b"", b"dkp_prk", ikm), b"sk", b"", KEY_BYTES)
    encapsulated = bindings.crypto_scalarmult_base(secret)
    shared = _exchange(secret, recipient.key)
    if shared is None:
        raise ValueError("sealing to a key that anybody could open")
    key, nonce = _schedule(shared, encapsulated + recipient.key, info)
    return encapsulated + bindings.crypto_aead_chacha20poly1305_ietf_encrypt(plaintext, bound, nonce, key)


def hpke_open(sealing_seed: bytes, info: bytes, bound: bytes, sealed: bytes) -> bytes | None:
    """Single-shot Open of RFC 9180 §6.1; None when the box is not for this key or was changed."""
    encapsulated, ciphertext = sealed[:KEY_BYTES], sealed[KEY_BYTES:]
    if len(ciphertext) < bindings.crypto_aead_chacha20poly1305_ietf_ABYTES:
        return None
    shared = _exchange(sealing_seed, encapsulated)
    if shared is None:
        return None
    key, nonce = _schedule(shared, encapsulated + sealing_public(sealing_seed).key, info)
    try:
        return bindings.crypto_aead_chacha20poly1305_ietf_decrypt(ciphertext, bound, nonce, key)
    except CryptoError:
        return None


def _exchange(secret: bytes, public: bytes) -> bytes | None:
    """Return the Diffie-Hellman value; None for points of small order, which libsodium reports as an error."""
    try:
        return bindings.crypto_scalarmult(secret, public)
    except (CryptoError, RuntimeError):
        return None


def _schedule(exchanged: bytes, kem_context: bytes, info: bytes) -> tuple[bytes, bytes]:
    """Derive AEAD key and first nonce in base mode: RFC 9180 §4.1 (ExtractAndExpand) and §5.1 (KeySchedule)."""
    prk = _labeled_extract(_KEM_SUITE, b"", b"eae_prk", exchanged)
    shared = _labeled_expand(_KEM_SUITE, prk, b"shared_secret", kem_context, HASH_BYTES)
    context = (
        b"\x00"
        + _labeled_extract(_HPKE_SUITE, b"", b"psk_id_hash", b"")
        + _labeled_extract(_HPKE_SUITE, b"", b"info_hash", info)
    )
    secret = _labeled_extract(_HPKE_SUITE, shared, b"secret", b"")
    key = _labeled_expand(_HPKE_SUITE, secret, b"key", context, _AEAD_KEY_BYTES)
    return key, _labeled_expand(_HPKE_SUITE, secret, b"base_nonce", context, _AEAD_NONCE_BYTES)


def _labeled_extract(suite: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
    return hkdf_extract(salt, b"HPKE-v1" + suite + label + ikm)


def _labeled_expand(suite: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    return hkdf_expand(prk, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, length)


def _bind(tenant: str, name: str, number: int) -> bytes:
    """Return the associated data; names hold no NUL, so the parts cannot run into each other."""
    return b"\x00".join((_INFO, tenant.encode(), name.encode(), str(number).encode()))
