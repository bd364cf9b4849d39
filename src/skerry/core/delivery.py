"""The delivery key at work: numbering documents, signing their heads, drawing differences.

A document gets its number when its site asks for it, not when the wish changes. So a site never holds less than the
core has numbered plus one, and a core restored from a backup sees at the next Hello that the site is ahead of it,
instead of numbering past it in ignorance (faults.md U2).
"""

from collections.abc import Mapping

from skerry.model import limits
from skerry.model.document import digest_bodies, digest_units
from skerry.model.ids import Digest, SiteName, UnitId, digest_of
from skerry.model.signed import DocumentHead, Envelope, PublicKey
from skerry.store.documents import DocumentRow, names_of
from skerry.trust.envelope import encode_payload, sign_payload
from skerry.trust.keys import SigningKey
from skerry.trust.x509 import DeliveryAuthority, make_delivery_ca
from skerry.wire import DocumentPatch

#: Bytes of signed objects sent along unasked: what most changes need in one go; the site asks for the rest.
_OBJECT_BYTES_MAX = 512 * 1024


class Delivery:
    """Holds the core's delivery key. Never printed, never stored elsewhere than in the key file."""

    def __init__(self, seed: bytes) -> None:
        self.authority: DeliveryAuthority = make_delivery_ca(seed)
        self._key = SigningKey.from_seed(seed)

    @property
    def public(self) -> PublicKey:
        """The public half, which the root document names."""
        return self._key.public

    def number(
        self,
        site: SiteName,
        bodies: Mapping[UnitId, bytes],
        before: DocumentRow | None,
        *,
        epoch: int,
        generation: int,
        time_s: int,
    ) -> DocumentRow:
        """Sign the next document of a site; ``before`` is the one it follows, None when the core does not have it."""
        digests = digest_bodies(dict(bodies))
        head = DocumentHead(
            site=site,
            epoch=epoch,
            generation=generation,
            parent="" if before is None else digest_of(before.head.payload),
            time_s=time_s,
            units=digest_units(digests),
        )
        return DocumentRow(
            site=site,
            epoch=epoch,
            generation=generation,
            head=sign_payload("document", encode_payload(head), (self._key,)),
            digests=digests,
            objects=names_of(bodies.values()),
        )


def list_lacking(document: DocumentRow, base: DocumentRow | None, *, fresh: bool) -> tuple[Digest, ...]:
    """Name the signed objects that a site probably lacks: what its base did not name.

    A site whose base we do not know any more holds most of them, so none are sent unasked; a ``fresh`` one holds none.
    """
    if base is None and not fresh:
        return ()
    held = set(() if base is None else base.objects)
    return tuple(name for name in document.objects if name not in held)


def make_patch(
    document: DocumentRow,
    base: DocumentRow | None,
    bodies: Mapping[UnitId, bytes],
    objects: Mapping[Digest, Envelope],
) -> DocumentPatch:
    """Write a document as its difference to ``base``, whole without one."""
    before: dict[UnitId, Digest] = {} if base is None else base.digests
    changed = {name: bodies[name] for name, digest in document.digests.items() if before.get(name) != digest}
    return DocumentPatch(
        head=document.head,
        base_epoch=0 if base is None else base.epoch,
        base_generation=0 if base is None else base.generation,
        bodies=changed,
        removed=tuple(sorted(before.keys() - document.digests.keys())),
        objects=_choose_objects(objects),
    )


def _choose_objects(objects: Mapping[Digest, Envelope]) -> tuple[Envelope, ...]:
    chosen: list[Envelope] = []
    size = 0
    for digest in sorted(objects):
        size += len(objects[digest].payload)
        if size > _OBJECT_BYTES_MAX or len(chosen) >= limits.OBJECTS_PER_MESSAGE_MAX:
            break
        chosen.append(objects[digest])
    return tuple(chosen)
