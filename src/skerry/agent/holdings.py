"""What a site holds, verified: from signed bytes to what the planner reads. Pure but for its arguments.

Signed bytes are verified when they come and again when the journal is read. A new document is taken whole or not at
all; a unit in it that may not be followed is refused by itself and its former version stays in force.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from skerry.agent.desk import DocumentVerdict
from skerry.agent.journal import Remembered, StoredDocument
from skerry.model.app import AppRevision
from skerry.model.document import Assignment, Unit, decode_unit, encode_unit, named_objects
from skerry.model.ids import Digest, NodeName, SecretName, SiteName, TenantName, UnitId, digest_of
from skerry.model.signed import DocumentHead, Envelope, Root, SiteRecord, Tombstone
from skerry.plan.again import Again
from skerry.plan.site_plan import HeldSite
from skerry.sync.documents import PatchMismatch, apply_patch
from skerry.trust import withdrawal
from skerry.trust.authority import reopen_envelope
from skerry.trust.floors import Floor, raised_floors
from skerry.trust.held import AcceptedDocument, Held, Missing
from skerry.trust.parse import parse_payload
from skerry.trust.verdict import Denied
from skerry.trust.verify import verify_document, verify_envelope
from skerry.wire import DocumentPatch


class Accepted(msgspec.Struct, frozen=True):
    """A document that may be journaled and then applied."""

    stored: StoredDocument
    #: Objects that were not held before.
    objects: dict[Digest, Envelope]
    #: Objects that are needed from now on, new or held.
    needed: frozenset[Digest]
    document: AcceptedDocument


class Holdings:
    """Everything verified that this node holds; replaced field by field as it grows."""

    def __init__(self, site: SiteName, node: NodeName, root: Root) -> None:
        self.site = site
        self.node = node
        self.root = root
        self.record: SiteRecord | None = None
        self.floors: dict[str, Floor] = {}
        self.time_floor_s = 0
        self.stored: StoredDocument | None = None
        self.document: AcceptedDocument | None = None
        self.objects: dict[Digest, Envelope] = {}
        #: Revisions to keep beside what documents name: those that were proven here (plan/gates.py).
        self.proven: frozenset[Digest] = frozenset()
        self._opened: dict[tuple[Digest, int], AppRevision] = {}
        self._sites: Again[HeldSite] = Again(1)
        #: Why the newest document of the journal is not, or not whole, what is in force; until a new one comes.
        self.damage: Denied | None = None

    def as_held(self) -> Held:
        """What the verifier needs to know."""
        return Held(
            root=self.root,
            site_record=self.record,
            floors=self.floors,
            time_floor_s=self.time_floor_s,
            units={} if self.document is None else self.document.units,
        )

    def as_site(self) -> HeldSite | None:
        """What the planner needs to know; None before there is a record and a document."""
        if self.record is None or self.document is None:
            return None
        record, document = self.record, self.document
        arguments = (record, document, self.root, self.floors, self.time_floor_s, self.objects, self.proven)
        return self._sites.get("", arguments, lambda: self._make_site(record, document))

    def _make_site(self, record: SiteRecord, document: AcceptedDocument) -> HeldSite:
        secrets: dict[tuple[TenantName, SecretName], Digest] = {
            (secret.tenant, secret.name): digest for digest, secret in document.secrets.items()
        }
        return HeldSite(
            site=self.site,
            node=self.node,
            record=record,
            epoch=document.head.epoch,
            generation=document.head.generation,
            units=document.units,
            revisions=document.revisions,
            fallbacks=self._open_proven(),
            secrets=secrets,
            tombstones=document.tombstones,
            peers=document.peers,
            relayed=document.relayed,
            refused={
                name: (denied.code, denied.reason)
                for name, denied in document.refused.items()
                if name not in document.kept
            },
            unsigned={
                name: denied.reason
                for name, denied in document.refused.items()
                if name in document.kept and denied.code == withdrawal.CODE
            },
        )

    def _open_proven(self) -> dict[Digest, AppRevision]:
        """Open what is kept to go back to; one that no longer verifies is none."""
        opened: dict[tuple[Digest, int], AppRevision] = {}
        for digest in sorted(self.proven & self.objects.keys()):
            # Once under each site record: it says whose signatures count here.
            place = digest, 0 if self.record is None else self.record.number
            revision = self._opened.get(place) or reopen_envelope(self.objects[digest], self.as_held(), "revision")
            if isinstance(revision, AppRevision):
                opened[place] = revision
        self._opened = opened
        return {digest: revision for (digest, _), revision in opened.items()}

    def claim(self) -> tuple[int, int]:
        """Return the epoch and generation to tell the parent: none while a part is lost, so that it sends the whole."""
        if self.stored is None or (self.damage is not None and self.damage.code == "E-DIGEST"):
            return 0, 0
        return self.stored.epoch, self.stored.generation

    def judge_record(self, envelope: Envelope) -> SiteRecord | Denied:
        """Verify a site record for this site."""
        verified = verify_envelope(envelope, self.as_held(), expect="site", site=self.site)
        return verified if isinstance(verified, Denied) else verified.payload

    def judge_document(
        self, patch: DocumentPatch, objects: tuple[Envelope, ...]
    ) -> Accepted | DocumentVerdict | Denied:
        """Verify a patch and everything it names. A verdict asks for more; a denial changes nothing."""
        head = verify_envelope(patch.head, self.as_held(), expect="document", site=self.site)
        if isinstance(head, Denied):
            return head
        base = None
        if self.stored is not None and self.claim() != (0, 0):
            base = (self.stored.epoch, self.stored.generation, self.stored.bodies)
        bodies = apply_patch(base, patch, head.payload.units)
        if isinstance(bodies, PatchMismatch):
            if bodies.whole:
                return DocumentVerdict(state="whole", reason=bodies.reason)
            return Denied("E-UNITS", bodies.reason, security=True)
        return self._judge_whole(patch.head, bodies, {digest_of(item.payload): item for item in objects})

    def _judge_whole(
        self, head: Envelope, bodies: dict[UnitId, bytes], fresh: Mapping[Digest, Envelope]
    ) -> Accepted | DocumentVerdict | Denied:
        everything = {**fresh, **self.objects}
        accepted = verify_document(head, bodies, everything, self.as_held(), self.site)
        if isinstance(accepted, Denied):
            return accepted
        if isinstance(accepted, Missing):
            return DocumentVerdict(state="missing", digests=accepted.digests)
        # Objects of refused units too: the same verdict must come out when the journal is read again.
        needed = frozenset(_named(accepted.units.values()) | _named(_readable(bodies))) & everything.keys()
        stored = StoredDocument(
            epoch=accepted.head.epoch,
            generation=accepted.head.generation,
            head=head,
            bodies=bodies,
            in_force={name: encode_unit(unit) for name, unit in accepted.units.items()},
            refused={name: (denied.code, denied.reason) for name, denied in accepted.refused.items()},
        )
        new = {digest: everything[digest] for digest in sorted(needed) if digest not in self.objects}
        return Accepted(stored, new, needed, accepted)

    def take_document(self, accepted: Accepted) -> None:
        """The document is durable: it is what is held now."""
        previous = self.named_now()
        self.objects = {
            digest: envelope
            for digest, envelope in {**self.objects, **accepted.objects}.items()
            if digest in accepted.needed or digest in previous or digest in self.proven
        }
        self.stored = accepted.stored
        self.document = accepted.document
        self.damage = None
        self.floors = {**self.floors, **accepted.document.floors}
        self.time_floor_s = max(self.time_floor_s, accepted.document.time_floor_s)

    def named_now(self) -> set[Digest]:
        """Signed objects that the present document names."""
        if self.document is None or self.stored is None:
            return set()
        return _named(self.document.units.values()) | _named(_readable(self.stored.bodies))

    def floors_with(self, record: SiteRecord, envelope: Envelope) -> dict[str, Floor]:
        """Lines that rise with a newly accepted site record."""
        return raised_floors(self.floors, [(record, digest_of(envelope.payload))])


def _named(units: Iterable[Unit]) -> set[Digest]:
    return {digest for unit in units for digest in named_objects(unit)}


def _readable(bodies: Mapping[UnitId, bytes]) -> Iterator[Unit]:
    for body in bodies.values():
        try:
            yield decode_unit(body)
        except msgspec.DecodeError:
            continue


def restore_holdings(remembered: Remembered) -> tuple[Holdings, Denied | None] | None:
    """Verify what the journal holds; None when the node has not joined. The problem is to be told to the owner.

    Of a document of which objects are lost the rest is in force; one that no longer verifies gives way to the one
    before it. Nothing is deleted for it: the parent is asked again, and what nothing speaks of any more is left alone.
    """
    identity = remembered.identity
    if identity is None:
        return None
    root = parse_payload(identity.root.payload, Root)
    if isinstance(root, Denied):
        return None
    holdings = Holdings(identity.site, identity.node, root)
    holdings.time_floor_s = remembered.counters.time_floor_s
    holdings.objects = dict(remembered.objects)
    record = holdings.judge_record(identity.record)
    if isinstance(record, Denied):
        return holdings, record
    holdings.record = record
    holdings.floors = dict(remembered.floors)
    holdings.damage = _restore_document(holdings, remembered)
    return holdings, holdings.damage


def _restore_document(holdings: Holdings, remembered: Remembered) -> Denied | None:
    """Put the best document of the journal in force; return what is wrong with the newest, None when nothing is."""
    current, previous = remembered.document, remembered.previous
    if current is None and previous is None:
        return None
    problem = Denied("E-JOURNAL", "the newest document in the journal was damaged")
    if current is not None:
        accepted = _verify_stored(holdings, current, {})
        if isinstance(accepted, AcceptedDocument):
            _take(holdings, current, accepted)
            return None
        problem = accepted
        if accepted.code == "E-DIGEST":
            # The head and the units are good: what they name is asked for, and what is here goes on.
            former = {} if previous is None else _read_in_force(previous) or {}
            accepted = _verify_stored(holdings, current, former, partly=True)
            if isinstance(accepted, AcceptedDocument):
                _take(holdings, current, accepted)
                lost = sum(denied.code == "E-DIGEST" for denied in accepted.refused.values())
                return Denied(problem.code, f"{problem.reason}; {lost} units wait until they are here again")
    if previous is not None:
        accepted = _verify_stored(holdings, previous, {}, partly=True)
        if isinstance(accepted, AcceptedDocument):
            _take(holdings, previous, _without_ended(holdings, accepted))
            number = f"{previous.epoch}.{previous.generation}"
            return Denied(
                "E-JOURNAL", f"{problem.reason}; {number}, the one before it, is in force until it comes again"
            )
    return problem


def _read_in_force(stored: StoredDocument) -> dict[UnitId, Unit] | None:
    try:
        return {name: decode_unit(body) for name, body in stored.in_force.items()}
    except msgspec.DecodeError:
        return None


def _verify_stored(
    holdings: Holdings, stored: StoredDocument, former: Mapping[UnitId, Unit], *, partly: bool = False
) -> AcceptedDocument | Denied:
    """Verify a journaled document as what it was when it was accepted; ``former`` stands in for units that are lost."""
    in_force = _read_in_force(stored)
    if in_force is None:
        return Denied("E-UNIT", "a journaled unit is not readable")
    lost = {name for name, unit in in_force.items() if not holdings.objects.keys() >= set(named_objects(unit))}
    in_force = {**in_force, **{name: former[name] for name in lost & former.keys()}}
    head = parse_payload(stored.head.payload, DocumentHead)
    if isinstance(head, Denied):
        return head
    # It was at its floors when it was accepted; one that is not the newest stands below them now.
    floors = {**holdings.floors, **raised_floors({}, [(head, digest_of(stored.head.payload))])}
    held = msgspec.structs.replace(holdings.as_held(), units=in_force, floors=floors)
    accepted = verify_document(stored.head, stored.bodies, holdings.objects, held, holdings.site, partly=partly)
    if isinstance(accepted, Missing):
        return Denied("E-DIGEST", f"{len(accepted.digests)} signed objects of the journaled document are missing")
    return accepted


def _without_ended(holdings: Holdings, accepted: AcceptedDocument) -> AcceptedDocument:
    """Leave out apps of an older document that their tenant has ended since, where the journal still knows it."""
    ended: dict[UnitId, Denied] = {}
    for name, unit in accepted.units.items():
        floor = holdings.floors.get(f"app/{unit.tenant}/{unit.app}") if isinstance(unit, Assignment) else None
        envelope = None if floor is None else holdings.objects.get(floor.digest)
        if floor is None or envelope is None:
            continue
        stone = reopen_envelope(envelope, holdings.as_held(), "tombstone")
        if isinstance(stone, Tombstone) and stone.ends_app:
            ended[name] = Denied("E-ENDED", "the tenant has ended the app")
    units = {name: unit for name, unit in accepted.units.items() if name not in ended}
    return msgspec.structs.replace(accepted, units=units, refused={**accepted.refused, **ended})


def _take(holdings: Holdings, stored: StoredDocument, accepted: AcceptedDocument) -> None:
    # By the signed head: the numbers beside it in the journal are there to be looked at.
    holdings.stored = msgspec.structs.replace(stored, epoch=accepted.head.epoch, generation=accepted.head.generation)
    holdings.document = accepted
    # A floor whose record was lost stands where what is held proves it to be; none falls.
    rising = {
        line: floor
        for line, floor in {**accepted.floors, **raised_floors({}, [(accepted.head, accepted.digest)])}.items()
        if line not in holdings.floors or floor.number > holdings.floors[line].number
    }
    holdings.floors = {**holdings.floors, **rising}
    holdings.time_floor_s = max(holdings.time_floor_s, accepted.time_floor_s)
