"""The signed envelope: DSSE v1 over the exact bytes of a payload, its kinds and its two encodings (trust.md §4).

Rules: (1) a payload is signed, stored, forwarded and digested as the bytes the signer made; (2) the kind stands inside
the signed bytes; (3) whatever is decoded here is only well-formed: who signed it is asked in ``verify.py``.
"""

import base64
import binascii
import re
from collections.abc import Sequence

import msgspec

from skerry.model.ids import KeyId
from skerry.model.limits import PAYLOAD_BYTES_MAX, SIGNATURES_MAX
from skerry.model.signed import KINDS, Envelope, Kind, Signature
from skerry.trust.keys import SIGNATURE_BYTES, SigningKey, key_id
from skerry.trust.verdict import Denied

#: Everything around the payload: type, eight key ids and signatures, punctuation.
_FRAME_BYTES_MAX = 4 * 1024
#: Longest encoding of an envelope that is looked at, in bytes.
ENVELOPE_MSGPACK_BYTES_MAX = PAYLOAD_BYTES_MAX + _FRAME_BYTES_MAX
ENVELOPE_JSON_BYTES_MAX = PAYLOAD_BYTES_MAX * 4 // 3 + _FRAME_BYTES_MAX

_KEY_ID = re.compile(r"[0-9a-f]{40}", re.ASCII)
#: Every kind is at version 1; a later version of a kind is a further entry, never a change of this one.
_TYPE_OF: dict[Kind, str] = {kind: f"application/vnd.skerry.{kind}.v1+json" for kind in KINDS}
_KIND_OF: dict[str, Kind] = {text: kind for kind, text in _TYPE_OF.items()}


class _JsonEnvelope(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON form with base64 still as text, because msgspec accepts several texts for one value."""

    type: str
    payload: str
    signatures: tuple[tuple[str, str], ...]


_JSON: msgspec.json.Decoder[_JsonEnvelope] = msgspec.json.Decoder(_JsonEnvelope)
_MSGPACK: msgspec.msgpack.Decoder[Envelope] = msgspec.msgpack.Decoder(Envelope)


def encode_payload(payload: msgspec.Struct) -> bytes:
    """Return the bytes of a payload about to be signed: compact JSON, map keys sorted, defaults written out."""
    return msgspec.json.encode(payload, order="deterministic")


def type_of(kind: Kind) -> str:
    """Return the envelope type of a kind."""
    return _TYPE_OF[kind]


def kind_of(envelope: Envelope) -> Kind | Denied:
    """Return the kind that the envelope says it is; later versions and unknown kinds are refused by name."""
    kind = _KIND_OF.get(envelope.type)
    return Denied("E-KIND", f"this release does not know the type {envelope.type[:80]!r}") if kind is None else kind


def pre_authentication(type_text: str, payload: bytes) -> bytes:
    """Return the bytes that are signed: DSSE's pre-authentication encoding, lengths in bytes."""
    type_bytes = type_text.encode()
    return b"DSSEv1 %d %b %d %b" % (len(type_bytes), type_bytes, len(payload), payload)


def sign_payload(kind: Kind, payload: bytes, keys: Sequence[SigningKey]) -> Envelope:
    """Sign exactly ``payload`` with each key; raise ValueError when a site would refuse its size."""
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise ValueError(f"a payload has at most {PAYLOAD_BYTES_MAX} bytes, this has {len(payload)}")
    if not 1 <= len(keys) <= SIGNATURES_MAX:
        raise ValueError(f"an envelope has 1 to {SIGNATURES_MAX} signatures, not {len(keys)}")
    message = pre_authentication(_TYPE_OF[kind], payload)
    signatures = tuple(Signature(key_id(key.public), key.sign(message)) for key in keys)
    return Envelope(_TYPE_OF[kind], payload, signatures)


def check_form(envelope: Envelope) -> Denied | None:
    """Check sizes and shapes before anything costly is done with an envelope."""
    if len(envelope.payload) > PAYLOAD_BYTES_MAX:
        return Denied("E-SIZE", f"the payload has {len(envelope.payload)} bytes, {PAYLOAD_BYTES_MAX} are allowed")
    if not 1 <= len(envelope.signatures) <= SIGNATURES_MAX:
        return Denied("E-FORM", f"{len(envelope.signatures)} signatures, 1 to {SIGNATURES_MAX} are allowed")
    for signature in envelope.signatures:
        if _KEY_ID.fullmatch(signature.key) is None or len(signature.sig) != SIGNATURE_BYTES:
            return Denied("E-FORM", "a signature is malformed")
    return None


def encode_envelope_json(envelope: Envelope) -> bytes:
    """Return the form for files and the API."""
    return msgspec.json.encode(envelope)


def decode_envelope_json(content: bytes) -> Envelope | Denied:
    """Read the form for files and the API; base64 has one accepted text per value."""
    if len(content) > ENVELOPE_JSON_BYTES_MAX:
        return Denied("E-SIZE", f"an envelope has at most {ENVELOPE_JSON_BYTES_MAX} bytes, this has {len(content)}")
    try:
        read = _JSON.decode(content)
        signatures = tuple(Signature(KeyId(key), _decode_base64(sig)) for key, sig in read.signatures)
        envelope = Envelope(read.type, _decode_base64(read.payload), signatures)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        return Denied("E-FORM", f"not an envelope: {error}")
    return check_form(envelope) or envelope


def encode_envelope_msgpack(envelope: Envelope) -> bytes:
    """Return the form for links and journals."""
    return msgspec.msgpack.encode(envelope)


def decode_envelope_msgpack(content: bytes) -> Envelope | Denied:
    """Read the form for links and journals."""
    if len(content) > ENVELOPE_MSGPACK_BYTES_MAX:
        return Denied("E-SIZE", f"an envelope has at most {ENVELOPE_MSGPACK_BYTES_MAX} bytes, this has {len(content)}")
    try:
        envelope = _MSGPACK.decode(content)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return Denied("E-FORM", f"not an envelope: {error}")
    return check_form(envelope) or envelope


def _decode_base64(text: str) -> bytes:
    content = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    if base64.b64encode(content).decode() != text:
        raise ValueError("base64 with loose bits")
    return content
