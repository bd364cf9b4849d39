"""The client of a signer's socket: asks for a signature and waits for it, one line of JSON each way.

Synchronous and of the standard library alone: the command line uses it about once per run. A refusal of the signer is
raised as ``Refused`` with the signer's code and words.
"""

import os
import socket
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import msgspec

from skerry.model.app import Sites
from skerry.model.errors import Refused, Unavailable
from skerry.model.ids import SiteName, TenantName
from skerry.model.signed import Envelope, PublicKey
from skerry.model.signing import (
    SIGNER_LINE_BYTES_MAX,
    Answer,
    Ask,
    BackedUp,
    BackUpKeys,
    MakeRoot,
    MakeTenant,
    Minted,
    MintToken,
    ReadStatus,
    RecoverKeys,
    Refusal,
    SignCall,
    Signed,
    SignerStatus,
    SignRevision,
    SignSecret,
    SignSite,
    SignTombstone,
)

#: Longest wait for one answer: a signature takes a millisecond, a slow disk's sync some hundred.
ANSWER_S_MAX = 30.0

T = TypeVar("T", Signed, Minted, SignerStatus, BackedUp)

_ANSWER: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)


class SignerClient:
    """A connection to a signer, used as ``with SignerClient(path) as signer: signer.sign_revision(payload)``."""

    def __init__(self, path: Path, *, answer_s_max: float = ANSWER_S_MAX) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(answer_s_max)
        self._left = b""
        try:
            self._socket.connect(os.fspath(path))
        except OSError as error:
            self._socket.close()
            raise Unavailable(
                "E-SIGNER",
                f"No signer answers at {path}: {error.strerror or error}.",
                hint="`skerry up` starts one; `skerry doctor` says which one is used.",
            ) from error

    def __enter__(self) -> "SignerClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the signer go."""
        self._socket.close()

    def ask(self, ask: Ask) -> Answer:
        """Send one ask and return its answer. Raise ``Refused`` for a refusal, ``Unavailable`` when none comes."""
        try:
            self._socket.sendall(msgspec.json.encode(ask) + b"\n")
            line = self._read_line()
            answer = _ANSWER.decode(line)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Unavailable("E-SIGNER", f"The signer at {self._path} did not answer: {error}.") from error
        if isinstance(answer, Refusal):
            raise Refused(answer.code, answer.reason, hint=answer.hint)
        return answer

    def read_status(self) -> SignerStatus:
        """Return which keys the signer holds and what it did of late."""
        return self._expect(ReadStatus(), SignerStatus)

    def make_root(self, delivery: PublicKey, delivery_ca: bytes, endpoints: tuple[str, ...]) -> Envelope:
        """Return root document 1, signed for the core that these values describe."""
        return self._sign(MakeRoot(delivery=delivery, delivery_ca=delivery_ca, endpoints=endpoints))

    def make_tenant(self, tenant: TenantName) -> SignerStatus:
        """Make a deploy key for a tenant; its public half is in the status that is returned."""
        return self._expect(MakeTenant(tenant=tenant), SignerStatus)

    def back_up_keys(self, passphrase: bytes) -> bytes:
        """Return all keys in one file that only ``passphrase`` opens."""
        return self._expect(BackUpKeys(passphrase=passphrase), BackedUp).content

    def recover_keys(self, content: bytes, passphrase: bytes) -> SignerStatus:
        """Give a new signer the keys of a backup; raise ``Refused`` for one that has signed anything."""
        return self._expect(RecoverKeys(content=content, passphrase=passphrase), SignerStatus)

    def sign_revision(self, payload: bytes) -> Envelope:
        """Sign an app revision, exactly as these bytes."""
        return self._sign(SignRevision(payload=payload))

    def sign_tombstone(self, payload: bytes) -> Envelope:
        """Sign a tombstone, exactly as these bytes."""
        return self._sign(SignTombstone(payload=payload))

    def sign_secret(self, payload: bytes, sites: Sites) -> Envelope:
        """Sign a sealed secret; with a box for the signer it is sealed again for nodes that join later at ``sites``."""
        return self._sign(SignSecret(payload=payload, sites=sites))

    def sign_call(self, payload: bytes) -> Envelope:
        """Sign one act on what runs."""
        return self._sign(SignCall(payload=payload))

    def sign_site(self, ask: SignSite) -> Envelope:
        """Sign the next record of a site."""
        return self._sign(ask)

    def mint_token(self, site: SiteName, lifetime_s: int) -> Minted:
        """Make a join token; hand ``asks.CreateJoinToken`` to the core before the box uses it."""
        return self._expect(MintToken(site=site, lifetime_s=lifetime_s), Minted)

    def _sign(self, ask: Ask) -> Envelope:
        return self._expect(ask, Signed).envelope

    def _expect(self, ask: Ask, into: type[T]) -> T:
        answer = self.ask(ask)
        if not isinstance(answer, into):
            raise Unavailable("E-SIGNER", f"The signer at {self._path} gave an answer to something else.")
        return answer

    def _read_line(self) -> bytes:
        line = self._left
        while b"\n" not in line:
            if len(line) > SIGNER_LINE_BYTES_MAX:
                raise OSError("the answer is too long")
            received = self._socket.recv(64 * 1024)
            if not received:
                raise OSError("it closed the connection")
            line += received
        line, _, self._left = line.partition(b"\n")
        return line
