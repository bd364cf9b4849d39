"""What a signer has to remember: tokens it minted, numbers and site records it signed, secrets it may seal again,
and what a core has accepted (``accepted.py``).

Durable, beside the keys. Rules: (1) what a signature depends on is durable before the signature leaves; (2) every
change replaces one small file as a whole.
"""

from typing import TypeVar

import msgspec

from skerry.model.app import Sites
from skerry.model.ids import SiteName, TokenId
from skerry.model.signed import Envelope, PublicKey, SiteRecord
from skerry.safe.files import read_durable, settle, write_durable
from skerry.safe.paths import Directory
from skerry.signer.accepted import Accepted
from skerry.trust.floors import Floor
from skerry.trust.parse import parse_payload

#: Tokens that are kept, used and expired ones included until they are forgotten.
TOKENS_MAX = 10_000
#: How long after its end a token is still known by name, in microseconds: long enough to say why a box is refused.
TOKEN_MEMORY_US = 30 * 86_400 * 1_000_000
#: 10,000 tokens and as many number lines, 200 bytes each; a record with a thousand nodes; a sealed secret.
_FILE_BYTES_MAX = 8 * 1024 * 1024

T = TypeVar("T", bound=msgspec.Struct)


class MintedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token this signer minted, with the key that only it and the token's holder know."""

    site: SiteName
    bind_key: bytes
    #: Wall time, microseconds since 1970.
    expires_us: int
    #: The device it was used for.
    device: PublicKey | None = None


class KeptSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A secret this signer signed and may seal again for nodes that join at ``sites``."""

    envelope: Envelope
    sites: Sites
    #: Another version came first by another way: this one is not ours to seal again.
    given_up: bool = False


class _Book(msgspec.Struct, frozen=True, kw_only=True):
    tokens: dict[TokenId, MintedToken] = {}
    floors: dict[str, Floor] = {}


class Ledger:
    """The signer's memory, loaded; each method that changes it returns after the change is durable."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        #: Grows with each record and secret kept: whether there may be something to seal again.
        self.version = 0
        self._sites = directory.enter("sites", create=True)
        self._secrets = directory.enter("secrets", create=True)
        self.accepted = Accepted(directory.enter("accepted", create=True))
        settle(self._sites)
        book = _read(directory, "ledger", _Book) or _Book()
        self.tokens = dict(book.tokens)
        self.floors = dict(book.floors)
        #: Newest record signed of each site, with its envelope.
        self.records: dict[SiteName, tuple[SiteRecord, Envelope]] = {}
        for name in _list_files(self._sites):
            envelope = _read(self._sites, name, Envelope)
            record = None if envelope is None else parse_payload(envelope.payload, SiteRecord)
            if envelope is not None and isinstance(record, SiteRecord):
                self.records[record.site] = (record, envelope)
        #: By number line (``secret/tenant/name``).
        self.secrets: dict[str, KeptSecret] = {}
        for tenant in self._secrets.names():
            folder = self._secrets.enter(tenant)
            settle(folder)
            for name in _list_files(folder):
                kept = _read(folder, name, KeptSecret)
                if kept is not None:
                    self.secrets[f"secret/{tenant}/{name}"] = kept
            folder.close()

    def keep_token(self, token_id: TokenId, token: MintedToken, wall_us: int) -> bool:
        """Remember a token, new or used, and forget those long over; False when there are too many."""
        tokens = {name: held for name, held in self.tokens.items() if wall_us <= held.expires_us + TOKEN_MEMORY_US}
        tokens[token_id] = token
        if len(tokens) > TOKENS_MAX:
            return False
        self.tokens = tokens
        self._write_book()
        return True

    def raise_floors(self, raised: dict[str, Floor]) -> None:
        """Remember numbers that were signed."""
        self.floors = {**self.floors, **raised}
        self._write_book()

    def keep_record(self, record: SiteRecord, envelope: Envelope) -> None:
        """Remember the newest record of a site."""
        write_durable(self._sites, record.site, msgspec.json.encode(envelope))
        self.records[record.site] = (record, envelope)
        self.version += 1

    def keep_secret(self, line: str, kept: KeptSecret) -> None:
        """Remember a secret that may be sealed again; ``line`` is its number line."""
        _, tenant, name = line.split("/")
        folder = self._secrets.enter(tenant, create=True)
        try:
            write_durable(folder, name, msgspec.json.encode(kept))
        finally:
            folder.close()
        self.secrets[line] = kept
        self.version += 1

    def _write_book(self) -> None:
        book = _Book(tokens=self.tokens, floors=self.floors)
        write_durable(self._directory, "ledger", msgspec.json.encode(book))


def _list_files(directory: Directory) -> list[str]:
    """Return the names that were written, without the versions kept beside them."""
    return [name for name in directory.names() if not name.endswith(".prev")]


def _read(directory: Directory, name: str, into: type[T]) -> T | None:
    found = read_durable(directory, name, limit=_FILE_BYTES_MAX)
    return None if found is None else msgspec.json.decode(found.content, type=into)
