r"""A keyring in one file that only a passphrase opens.

    file = "skerry-keys-v1\n" salt (16) nonce (24) XChaCha20-Poly1305(Argon2id(passphrase, salt), payload)

Argon2id runs with libsodium's moderate cost, 3 passes over 256 MiB: about a second for the owner, and for each guess.
Cost and algorithm belong to the version in the first line and are never read from the file, so a file that somebody
else made cannot ask for more memory. The first line is bound to the box.
"""

import msgspec
from nacl import bindings, pwhash
from nacl.exceptions import CryptoError

from skerry.model.ids import TenantName
from skerry.model.signed import Envelope
from skerry.trust.keys import KEY_BYTES, Drawing
from skerry.trust.verdict import Denied

HEAD = b"skerry-keys-v1\n"
#: Characters of a passphrase; shorter ones are guessed although each guess costs a second.
PASSPHRASE_BYTES_MIN, PASSPHRASE_BYTES_MAX = 12, 1024
#: Bytes of a backup: a root document and ten thousand deploy keys.
BACKUP_BYTES_MAX = 2 * 1024 * 1024
#: Passes and bytes of memory of Argon2id in files of this version.
COST = (pwhash.argon2id.OPSLIMIT_MODERATE, pwhash.argon2id.MEMLIMIT_MODERATE)
_SALT_BYTES = pwhash.argon2id.SALTBYTES
_NONCE_BYTES = bindings.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES


class KeyBackup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The secret halves of a person's keys, and the root document that names their public halves."""

    root: bytes
    registrar: bytes
    sealing: bytes
    deploy: dict[TenantName, bytes]
    root_document: Envelope

    def __repr__(self) -> str:
        """Say what it is without showing it."""
        return f"KeyBackup({len(self.deploy)} tenants)"


def find_passphrase_flaw(passphrase: bytes) -> str:
    """Say what is wrong with a passphrase; empty when it may be used."""
    if len(passphrase) < PASSPHRASE_BYTES_MIN:
        return f"a passphrase has at least {PASSPHRASE_BYTES_MIN} characters"
    if len(passphrase) > PASSPHRASE_BYTES_MAX:
        return f"a passphrase has at most {PASSPHRASE_BYTES_MAX} bytes"
    return ""


def seal_backup(backup: KeyBackup, passphrase: bytes, mint: Drawing, cost: tuple[int, int] = COST) -> bytes:
    """Return the file; ``passphrase`` has been looked at before. Another ``cost`` than the version's is for tests."""
    salt, nonce = mint.draw(_SALT_BYTES), mint.draw(_NONCE_BYTES)
    payload = msgspec.json.encode(backup)
    box = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(payload, HEAD, nonce, _stretch(passphrase, salt, cost))
    return HEAD + salt + nonce + box


def open_backup(content: bytes, passphrase: bytes, cost: tuple[int, int] = COST) -> KeyBackup | Denied:
    """Return what a file holds; another passphrase, another ``cost`` and a damaged file look the same."""
    if not content.startswith(HEAD) or len(content) > BACKUP_BYTES_MAX:
        return Denied("E-BACKUP", "this is no backup of keys that this release reads")
    rest = content[len(HEAD) :]
    salt, nonce, box = (
        rest[:_SALT_BYTES],
        rest[_SALT_BYTES : _SALT_BYTES + _NONCE_BYTES],
        rest[_SALT_BYTES + _NONCE_BYTES :],
    )
    wrong = Denied("E-BACKUP", "the passphrase is another one, or the file is damaged")
    if len(box) <= bindings.crypto_aead_xchacha20poly1305_ietf_ABYTES or find_passphrase_flaw(passphrase):
        return wrong
    try:
        key = _stretch(passphrase, salt, cost)
        payload = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(box, HEAD, nonce, key)
        backup = msgspec.json.decode(payload, type=KeyBackup)
    except (CryptoError, msgspec.DecodeError):
        return wrong
    seeds = (backup.root, backup.registrar, backup.sealing, *backup.deploy.values())
    return backup if backup.deploy and all(len(seed) == KEY_BYTES for seed in seeds) else wrong


def _stretch(passphrase: bytes, salt: bytes, cost: tuple[int, int]) -> bytes:
    passes, memory_bytes = cost
    return pwhash.argon2id.kdf(KEY_BYTES, passphrase, salt, opslimit=passes, memlimit=memory_bytes)
