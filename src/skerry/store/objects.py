"""Signed objects by the digest of their payload, exactly as their signers made them."""

from collections.abc import Iterable

import msgspec
from sqlalchemy import Connection, insert, select

from skerry.model.errors import Broken
from skerry.model.ids import Digest, digest_of
from skerry.model.signed import Envelope, Kind
from skerry.store.rows import among, named
from skerry.store.schema import OBJECTS, SITES

_KNOWN = select(OBJECTS.c.digest).where(named(OBJECTS, "digest"))
_SOME = select(OBJECTS.c.digest, OBJECTS.c.envelope).where(among(OBJECTS.c.digest, "digests"))
_RECORDS = select(SITES.c.digest, SITES.c.envelope).where(among(SITES.c.digest, "digests"))

_DECODER: msgspec.msgpack.Decoder[Envelope] = msgspec.msgpack.Decoder(Envelope)


def pack_envelope(envelope: Envelope) -> bytes:
    """Encode an envelope for a row; its payload bytes stay as they are."""
    return msgspec.msgpack.encode(envelope)


def unpack_envelope(content: bytes, digest: str) -> Envelope:
    """Read an envelope from a row and check that it still is what it was; raise ``Broken`` when the disk changed it."""
    try:
        envelope = _DECODER.decode(content)
    except msgspec.DecodeError as error:
        raise Broken("E-RECORD", f"The stored object {digest} cannot be read: {error}.") from error
    if digest_of(envelope.payload) != digest:
        raise Broken("E-RECORD", f"The stored object {digest} is damaged.", hint="Restore the newest snapshot.")
    return envelope


def record_object(connection: Connection, tenant: str, kind: Kind, envelope: Envelope, now_us: int) -> Digest:
    """Keep a signed object; one that is here already stays as it is."""
    digest = digest_of(envelope.payload)
    known = connection.execute(_KNOWN, {"of_digest": digest}).scalar()
    if known is None:
        connection.execute(
            insert(OBJECTS).values(
                digest=digest, tenant=tenant, kind=kind, envelope=pack_envelope(envelope), recorded_us=now_us
            )
        )
    return digest


def read_objects(connection: Connection, digests: Iterable[Digest]) -> dict[Digest, Envelope]:
    """Return those of ``digests`` that are here."""
    wanted = sorted(set(digests))
    found: dict[Digest, Envelope] = {}
    # SQLite allows 32,766 placeholders; pages of a thousand keep the statement cache small.
    for start in range(0, len(wanted), 1000):
        for digest, content in connection.execute(_SOME, {"digests": wanted[start : start + 1000]}):
            found[Digest(digest)] = unpack_envelope(content, digest)
    return found | _read_records(connection, wanted, found)


def _read_records(
    connection: Connection, wanted: list[Digest], found: dict[Digest, Envelope]
) -> dict[Digest, Envelope]:
    """Return site records from before they were kept as objects, too."""
    lacking = [digest for digest in wanted if digest not in found][:1000]
    if not lacking:
        return {}
    rows = connection.execute(_RECORDS, {"digests": lacking})
    return {Digest(digest): unpack_envelope(content, digest) for digest, content in rows}


def read_object(connection: Connection, digest: Digest) -> Envelope | None:
    """Return one signed object, None when it is not here."""
    return read_objects(connection, (digest,)).get(digest)
