"""Joining: the token's text, what core and signer keep of it, and the request of a box (trust.md §8).

    token = "skj1." id(40 bit) "." secret(128 bit) "." root digest(160 bit)     lower-case base32 without padding

Rules: (1) the core gets enough to admit (``core_key``) and not enough to vouch (``bind_key``); (2) both MACs and the
device's signature cover one transcript with every key in it, so keys swapped on the way are never signed; (3) a token
serves one device key: the same box may ask again, no other may.
"""

import base64
import binascii
import hashlib
import hmac

import msgspec

from skerry.model.ids import NodeName, SiteName, TokenId, is_name
from skerry.model.signed import PublicKey
from skerry.trust.hkdf import hkdf_expand, hkdf_extract
from skerry.trust.keys import KEY_BYTES, Drawing, device_message, verify_signature
from skerry.trust.seal import is_sealing_key
from skerry.trust.verdict import Denied
from skerry.trust.verify import ROOT_PIN_BYTES
from skerry.wire import JoinRequest

_PREFIX = "skj1"
_ID_BYTES = 5
_SECRET_BYTES = 16
#: A token's whole text is 73 characters; more is not looked at.
TOKEN_CHARACTERS_MAX = 100
#: A box waits up to 30 days for its first power; an hour is the default of ``skerry site add``.
TOKEN_LIFETIME_S_MAX = 30 * 86_400
TOKEN_LIFETIME_S = 3_600


class JoinToken(msgspec.Struct, frozen=True):
    """The right of one box to join once, as the person at the box holds it."""

    id: TokenId
    secret: bytes
    #: First bytes of the SHA-256 of the root document's payload (``verify.verify_pinned_root``).
    root_pin: bytes

    def __repr__(self) -> str:
        """Name the token without its secret."""
        return f"JoinToken({self.id})"


class CoreToken(msgspec.Struct, frozen=True, kw_only=True):
    """What the core keeps of a token; ``device`` is set in the transaction that burns it."""

    id: TokenId
    site: SiteName
    core_key: bytes
    #: Wall time after which it admits nobody new, in microseconds since 1970.
    expires_us: int
    device: PublicKey | None = None


class Session(msgspec.Struct, frozen=True):
    """The connection that a request came over: the parent's nonce and the digest of the parent's certificate."""

    nonce: bytes
    server_digest: bytes


def mint_token(mint: Drawing, root_payload: bytes) -> JoinToken:
    """Make a token for the operator whose root document 1 is ``root_payload``."""
    return JoinToken(
        id=TokenId(_encode(mint.draw(_ID_BYTES))),
        secret=mint.draw(_SECRET_BYTES),
        root_pin=hashlib.sha256(root_payload).digest()[:ROOT_PIN_BYTES],
    )


def write_token(token: JoinToken) -> str:
    """Return the text that is pasted at the box."""
    return ".".join((_PREFIX, token.id, _encode(token.secret), _encode(token.root_pin)))


def parse_token(text: str) -> JoinToken | Denied:
    """Read a token's text; there is one accepted text per token."""
    text = text.strip()
    parts = text.split(".") if len(text) <= TOKEN_CHARACTERS_MAX else []
    if len(parts) != 4 or parts[0] != _PREFIX:
        return Denied("E-TOKEN", f"a join token begins with {_PREFIX}. and has four parts")
    identity, secret, pin = (_decode(part) for part in parts[1:])
    if len(identity) != _ID_BYTES or len(secret) != _SECRET_BYTES or len(pin) != ROOT_PIN_BYTES:
        return Denied("E-TOKEN", "the join token is damaged: copy all of it")
    return JoinToken(TokenId(parts[1]), secret, pin)


def core_key(token: JoinToken) -> bytes:
    """Return what the core is given: it can admit with it, and cannot vouch."""
    return hkdf_expand(hkdf_extract(b"", token.secret), b"core", KEY_BYTES)


def bind_key(token: JoinToken) -> bytes:
    """Return what the signer keeps, and nobody else."""
    return hkdf_expand(hkdf_extract(b"", token.secret), b"bind", KEY_BYTES)


def join_transcript(
    session: Session, *, site: SiteName, node: NodeName, token_id: str, device: PublicKey, sealing: PublicKey
) -> bytes:
    """Return what is signed and authenticated: every part with its length, so none can run into the next."""
    parts = (
        session.nonce,
        session.server_digest,
        site.encode(),
        node.encode(),
        token_id.encode(),
        device.type.encode(),
        device.key,
        sealing.type.encode(),
        sealing.key,
    )
    return b"skerry-join-v1" + b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def make_join_request(
    token: JoinToken,
    transcript: bytes,
    proof: bytes,
    *,
    site: SiteName,
    node: NodeName,
    device: PublicKey,
    sealing: PublicKey,
) -> JoinRequest:
    """Put a box's request together; ``proof`` is the device key's signature of the transcript, purpose ``join``."""
    return JoinRequest(
        site=site,
        node=node,
        token_id=token.id,
        device=device,
        sealing=sealing,
        proof=proof,
        mac_core=_authenticate(core_key(token), transcript),
        mac_bind=_authenticate(bind_key(token), transcript),
    )


def admit_join(token: CoreToken | None, request: JoinRequest, session: Session, wall_us: int) -> CoreToken | Denied:
    """Check a request at the core. Return the token as it must be stored, burnt for this device, before any answer.

    The reasons are alike for strangers, so that guessing ids tells nothing.
    """
    denied = _check_request(request, session)
    if denied is not None:
        return denied
    key = bytes(KEY_BYTES) if token is None else token.core_key
    authentic = hmac.compare_digest(_authenticate(key, _transcript_of(request, session)), request.mac_core)
    if token is None or not authentic or token.site != request.site:
        return Denied("E-TOKEN", "no such join token for this site", security=True)
    if token.device is not None:
        return token if token.device == request.device else Denied("E-TOKEN", "the join token is used", security=True)
    if wall_us > token.expires_us:
        return Denied("E-TOKEN", "the join token has expired: make a new one with `skerry site join-token`")
    return msgspec.structs.replace(token, device=request.device)


def vouch_join(key: bytes, request: JoinRequest, session: Session) -> Denied | None:
    """Check at the signer, with its own ``bind_key``, that the keys in a request are those of the token's holder."""
    denied = _check_request(request, session)
    if denied is not None:
        return denied
    if hmac.compare_digest(_authenticate(key, _transcript_of(request, session)), request.mac_bind):
        return None
    return Denied("E-JOIN", "the keys in the request are not those of the token's holder", security=True)


def _check_request(request: JoinRequest, session: Session) -> Denied | None:
    """Check names and keys, and that the box holds the device key it shows."""
    if not is_name(request.site) or not is_name(request.node):
        return Denied("E-JOIN", "site or node is no name")
    if not is_sealing_key(request.sealing):
        return Denied("E-JOIN", "nothing can be sealed to the sealing key", security=True)
    message = device_message("join", _transcript_of(request, session))
    if not verify_signature(request.device, message, request.proof):
        return Denied("E-JOIN", "the request is not signed by the device key it shows", security=True)
    return None


def _transcript_of(request: JoinRequest, session: Session) -> bytes:
    return join_transcript(
        session,
        site=request.site,
        node=request.node,
        token_id=request.token_id,
        device=request.device,
        sealing=request.sealing,
    )


def _authenticate(key: bytes, transcript: bytes) -> bytes:
    return hmac.digest(key, transcript, hashlib.sha256)


def _encode(content: bytes) -> str:
    return base64.b32encode(content).decode().rstrip("=").lower()


def _decode(text: str) -> bytes:
    """Return the bytes of a part, empty for anything but its one text."""
    try:
        content = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except (ValueError, binascii.Error):
        return b""
    return content if _encode(content) == text else b""
