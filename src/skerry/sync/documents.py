"""Documents as differences: made by the parent, applied by the child, objects gathered until all are there.

Rules of this file: a patch is applied whole or not at all, and only to the base it names; whatever does not fit, does
not match or is not held is answered with "whole, please", never with a guess. Envelopes are bytes here: who signed
them, and what they say, is for ``trust/`` and the shells.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from skerry.model.document import digest_bodies, digest_units
from skerry.model.ids import Digest, UnitId, digest_of
from skerry.model.limits import (
    DOCUMENT_UNITS_MAX,
    FRAME_BYTES_MAX,
    OBJECT_BYTES_GATHERED_MAX,
    OBJECTS_PER_MESSAGE_MAX,
    UNIT_BYTES_MAX,
)
from skerry.model.signed import Envelope
from skerry.sync.child_ports import Judged
from skerry.wire import DocumentAnswer, DocumentPatch, Need, Objects

#: Payload bytes after which a message of objects is full; one object more always fits into a frame.
_OBJECTS_BYTES = 1024 * 1024
#: Bytes of a message around a patch: its own array and a site record.
_MESSAGE_BYTES = 64 * 1024


def diff_units(
    base: Mapping[UnitId, Digest], wanted: Mapping[UnitId, bytes]
) -> tuple[dict[UnitId, bytes], list[UnitId]]:
    """Return the unit bodies that ``wanted`` has and ``base`` lacks or has otherwise, and the units that are gone."""
    changed = {name: wanted[name] for name in sorted(wanted) if base.get(name) != digest_of(wanted[name])}
    return changed, sorted(base.keys() - wanted.keys())


def make_patch(
    head: Envelope,
    wanted: Mapping[UnitId, bytes],
    base: tuple[int, int, Mapping[UnitId, Digest]] | None,
    objects: Iterable[Envelope] = (),
) -> DocumentPatch:
    """Make the patch to a document from ``base`` (epoch, generation, its units by digest), or the whole without one."""
    nothing: dict[UnitId, Digest] = {}
    epoch, generation, units = base if base is not None else (0, 0, nothing)
    changed, removed = diff_units(units, wanted)
    return DocumentPatch(head, epoch, generation, changed, tuple(removed), tuple(objects))


def fit_patch(patch: DocumentPatch) -> DocumentPatch | None:
    """Return the patch as it fits a frame, without objects if need be (they are asked for); None if it never fits."""
    for fitting in (patch, msgspec.structs.replace(patch, objects=())):
        if len(msgspec.msgpack.encode(fitting)) + _MESSAGE_BYTES <= FRAME_BYTES_MAX:
            return fitting
    return None


class PatchMismatch(msgspec.Struct, frozen=True):
    """The patch does not make the document that its head names; with ``whole`` another base would help."""

    reason: str
    whole: bool


def apply_patch(
    held: tuple[int, int, Mapping[UnitId, bytes]] | None, patch: DocumentPatch, units: Digest
) -> dict[UnitId, bytes] | PatchMismatch:
    """Return the units that ``patch`` makes of the held document (epoch, generation, units).

    ``units`` is the digest that the verified head names: it alone decides whether the result is the document.
    """
    is_whole = patch.base_generation == 0
    result: dict[UnitId, bytes] = {}
    if not is_whole:
        if held is None or (patch.base_epoch, patch.base_generation) != held[:2]:
            return PatchMismatch("the base of the difference is not held", whole=True)
        result = dict(held[2])
    for name in patch.removed:
        result.pop(name, None)
    result.update(patch.bodies)
    if len(result) > DOCUMENT_UNITS_MAX:
        return PatchMismatch(f"a document has at most {DOCUMENT_UNITS_MAX} units", whole=False)
    if any(len(body) > UNIT_BYTES_MAX for body in patch.bodies.values()):
        return PatchMismatch(f"a unit has at most {UNIT_BYTES_MAX} bytes", whole=False)
    if digest_units(digest_bodies(result)) != units:
        return PatchMismatch("the units are not those that the head names", whole=not is_whole)
    return result


def split_objects(objects: Iterable[Envelope], missing: tuple[Digest, ...]) -> Iterator[Objects]:
    """Put objects into as many messages as they need; what is missing is named in the first."""
    batch: list[Envelope] = []
    size = 0
    for envelope in objects:
        if batch and size + len(envelope.payload) > _OBJECTS_BYTES:
            yield Objects(tuple(batch), missing)
            batch, size, missing = [], 0, ()
        batch.append(envelope)
        size += len(envelope.payload)
    if batch or missing:
        yield Objects(tuple(batch), missing)


class Gathering:
    """The child's work on one document: what it asked for, what came, and when it is hopeless."""

    def __init__(self, patch: DocumentPatch) -> None:
        self.patch = patch
        #: What came so far, by digest of the payload, in the order of arrival.
        self._objects: dict[Digest, Envelope] = {}
        self._asked: set[Digest] = set()
        self._unavailable: list[Digest] = []
        self._bytes = 0

    @property
    def objects(self) -> tuple[Envelope, ...]:
        """What came so far."""
        return tuple(self._objects.values())

    @property
    def is_complete(self) -> bool:
        """Say whether everything asked for has been answered."""
        return not self._asked

    def judge(self, verdict: Judged) -> Need | DocumentAnswer:
        """Say what the verdict on the patch and the objects so far leads to: an answer, or a question that may help."""
        match verdict.state:
            case "accepted":
                return DocumentAnswer(verdict.epoch, verdict.generation, accepted=True)
            case "missing":
                hopeless = self._find_hopeless(verdict.digests)
                if hopeless:
                    return DocumentAnswer(0, 0, accepted=False, code="E-OBJECTS", reason=hopeless)
                need = verdict.digests[:OBJECTS_PER_MESSAGE_MAX]
                self._asked = set(need)
                return Need(need)
            case state:
                return DocumentAnswer(
                    verdict.epoch,
                    verdict.generation,
                    accepted=False,
                    code=verdict.code,
                    reason=verdict.reason,
                    whole=state == "whole",
                )

    def _find_hopeless(self, digests: tuple[Digest, ...]) -> str:
        """Say why asking for these would not help, empty when it may."""
        if not digests:
            return "nothing is missing, and it does not do"
        if self._unavailable:
            return f"the parent does not have {self._unavailable[0]}"
        given = [digest for digest in digests if digest in self._objects]
        return f"object {given[0]} does not do" if given else ""

    def add(self, message: Objects) -> DocumentAnswer | None:
        """Take objects; only what was asked for counts. An answer says that this has no hope."""
        for envelope in message.objects:
            digest = digest_of(envelope.payload)
            if digest in self._asked:
                self._asked.discard(digest)
                self._objects[digest] = envelope
                self._bytes += len(envelope.payload)
        self._unavailable += [digest for digest in message.missing if digest in self._asked]
        self._asked.difference_update(message.missing)
        if self._bytes > OBJECT_BYTES_GATHERED_MAX:
            reason = f"the objects of one document exceed {OBJECT_BYTES_GATHERED_MAX} bytes"
            return DocumentAnswer(0, 0, accepted=False, code="E-OBJECTS", reason=reason)
        return None


#: A refusal may have a passing cause at the site (its disk is full); a standing one must not cost bytes.
_RETRY_US_MIN = 60 * 1_000_000
_RETRY_US_MAX = 3600 * 1_000_000


class Offering:
    """The parent's side of the flow: one document on its way, the newest one next, a refused one not at once again."""

    def __init__(self, held: tuple[int, int]) -> None:
        #: Epoch and generation that the child is known to hold.
        self.base = held
        #: What it was offered and has not answered.
        self.offered: tuple[int, int] | None = None
        self._refused: tuple[int, int] | None = None
        self._refusals = 0
        self._is_held_back = False

    def offer(self, epoch: int, generation: int) -> bool:
        """Say whether this document should go now; it then counts as on its way."""
        number = (epoch, generation)
        if number == self.base or (number == self._refused and self._is_held_back):
            return False
        self.offered = number
        return True

    def accept(self) -> None:
        """The child holds what it was offered."""
        self.base, self.offered = self.offered or self.base, None
        self._refused = None

    def refuse(self) -> int:
        """The child does not want what it was offered; return after how many microseconds it is offered again."""
        self._refusals = self._refusals + 1 if self._refused == self.offered else 1
        self._refused, self.offered = self.offered, None
        self._is_held_back = True
        return min(_RETRY_US_MIN << min(self._refusals - 1, 10), _RETRY_US_MAX)

    def retry(self) -> None:
        """Offer a refused document again at the next draw."""
        self._is_held_back = False
