"""Verification of signed objects and of whole documents (trust.md §6, steps 1 to 9, without chains and delegations).

Pure: bytes, keys and floors in, a value out; site, core, signer and simulator call the same functions. Rules: (1) only
this file makes ``Verified`` and ``AcceptedDocument``; (2) a refusal changes nothing; (3) a document is accepted whole,
but a unit that names something bad is refused by itself and its former version stays in force; (4) whatever a document
says, volumes are in danger only from a tombstone that is newer than everything else known of its app.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Literal, overload

import msgspec

from skerry.model.app import AppRevision
from skerry.model.document import (
    Assignment,
    ImageHold,
    NetworkMember,
    NetworkPart,
    Peer,
    RelayDuty,
    RelayEnd,
    RevisionNotice,
    SecretHold,
    TombstoneNotice,
    Unit,
    decode_unit,
    digest_bodies,
    digest_units,
    named_objects,
    unit_id,
)
from skerry.model.ids import Digest, SiteName, UnitId, digest_of, is_digest, is_name
from skerry.model.limits import DOCUMENT_UNITS_MAX, REPLICAS_MAX, UNIT_BYTES_MAX
from skerry.model.network import ENDPOINTS_MAX, OVERLAY_KEYS_MAX, PARTS_MAX, RELAYS_MAX, PeerHeld, is_endpoint
from skerry.model.relay import PAIR_PORTS
from skerry.model.signed import (
    Area,
    Call,
    DocumentHead,
    Envelope,
    Kind,
    OverlayKey,
    Root,
    Secret,
    SiteRecord,
    Tombstone,
    UserGroup,
)
from skerry.model.site_match import site_unmet
from skerry.trust.authority import open_envelope, reopen_envelope
from skerry.trust.envelope import check_form
from skerry.trust.floors import floor_key, judge_floor, number_of, raised_floors, stale_tombstone
from skerry.trust.held import AcceptedDocument, Held, Missing, Verified
from skerry.trust.parse import parse_payload
from skerry.trust.stretched import Stretched, find_strays
from skerry.trust.verdict import Denied
from skerry.trust.withdrawal import CODE, Place, find_needed, find_unsigned_ends

#: Bytes of the root document's SHA-256 that a join token carries.
ROOT_PIN_BYTES = 20


@overload
def verify_envelope(
    envelope: Envelope, held: Held, *, expect: Literal["root"], site: SiteName | None = None
) -> Verified[Root] | Denied: ...
@overload
def verify_envelope(
    envelope: Envelope, held: Held, *, expect: Literal["site"], site: SiteName | None = None
) -> Verified[SiteRecord] | Denied: ...
@overload
def verify_envelope(
    envelope: Envelope, held: Held, *, expect: Literal["revision"], site: SiteName | None = None
) -> Verified[AppRevision] | Denied: ...
@overload
def verify_envelope(
    envelope: Envelope, held: Held, *, expect: Literal["tombstone"], site: SiteName | None = None
) -> Verified[Tombstone] | Denied: ...
@overload
def verify_envelope(
    envelope: Envelope, held: Held, *, expect: Literal["secret"], site: SiteName | None = None
) -> Verified[Secret] | Denied: ...
@overload
def verify_envelope(
    envelope: Envelope, held: Held, *, expect: Literal["area", "user-group"], site: SiteName | None = None
) -> Verified[Area] | Verified[UserGroup] | Denied: ...
@overload
def verify_envelope(
    envelope: Envelope, held: Held, *, expect: Literal["call"], site: SiteName | None = None
) -> Verified[Call] | Denied: ...
@overload
def verify_envelope(
    envelope: Envelope, held: Held, *, expect: Literal["overlay-key"], site: SiteName | None = None
) -> Verified[OverlayKey] | Denied: ...
@overload
def verify_envelope(
    envelope: Envelope, held: Held, *, expect: Literal["document"], site: SiteName | None = None
) -> Verified[DocumentHead] | Denied: ...
def verify_envelope(
    envelope: Envelope, held: Held, *, expect: Kind, site: SiteName | None = None
) -> Verified[Any] | Denied:
    """Verify one signed object of kind ``expect``; ``site`` is the verifier's own name, None at the core.

    A document verified so is only its head: ``verify_document`` comes before acting on one. A call's node
    and nonce are checked by the node that gave the nonce out. For an overlay key ``held.site_record`` is the record of
    the site whose node signed it.
    """
    payload = open_envelope(envelope, held, expect)
    if isinstance(payload, Denied):
        return payload
    digest = digest_of(envelope.payload)
    if site is not None and isinstance(payload, SiteRecord | DocumentHead | Call) and payload.site != site:
        return Denied("E-SITE", f"meant for site {payload.site}, this is {site}", security=True)
    return judge_floor(held.floors, payload, digest) or Verified(payload, digest, envelope)


def verify_pinned_root(envelope: Envelope, pin: bytes) -> Verified[Root] | Denied:
    """Verify the root document of a core that a box is about to join, by the digest that its join token carries."""
    denied = check_form(envelope)
    if denied is not None:
        return denied
    if len(pin) != ROOT_PIN_BYTES or hashlib.sha256(envelope.payload).digest()[:ROOT_PIN_BYTES] != pin:
        return Denied("E-KEY", "this core has another root than the join token names", security=True)
    root = parse_payload(envelope.payload, Root)
    # The digest gave the bytes authority; the signature shows that whoever made them holds the root key.
    return root if isinstance(root, Denied) else verify_envelope(envelope, Held(root=root), expect="root")


def verify_document(
    head: Envelope,
    bodies: Mapping[UnitId, bytes],
    objects: Mapping[Digest, Envelope],
    held: Held,
    site: SiteName,
    *,
    partly: bool = False,
) -> AcceptedDocument | Denied | Missing:
    """Verify a whole document: its head, the exact map of units it names, and every signed object that they name.

    ``objects`` are those at hand by the digest of their payload; where one is held already, pass the held one, for the
    digest does not cover the signatures. ``Missing`` asks for more and is no refusal; with ``partly`` the units that
    name what is missing are refused instead, for a site whose own journal has lost it.
    """
    verified = verify_envelope(head, held, expect="document", site=site)
    if isinstance(verified, Denied):
        return verified
    if held.site_record is None:
        return Denied("E-SITE", "a site without a record follows no documents")
    if len(bodies) > DOCUMENT_UNITS_MAX:
        return Denied("E-SIZE", f"{len(bodies)} units, at most {DOCUMENT_UNITS_MAX} are allowed")
    if digest_units(digest_bodies(dict(bodies))) != verified.payload.units:
        return Denied("E-UNITS", "the units are not those that the head names")
    readings = {name: _read_unit(name, bodies[name]) for name in sorted(bodies)}
    named = {digest for unit in readings.values() if not isinstance(unit, Denied) for digest in named_objects(unit)}
    missing = named - objects.keys()
    if missing and not partly:
        return Missing(tuple(sorted(missing)))
    lost = Denied("E-DIGEST", "the signed object that it names is not here any more")
    readings = {
        name: reading if isinstance(reading, Denied) or missing.isdisjoint(named_objects(reading)) else lost
        for name, reading in readings.items()
    }
    return _Weighing(held, objects, held.site_record).accept(verified, readings)


class _Weighed(msgspec.Struct, frozen=True):
    """A unit found good so far, with the signed object that it names."""

    unit: Unit
    payload: msgspec.Struct | None = None
    digest: Digest = Digest("")
    #: Of a peer: itself; of a duty to relay: both ends.
    sites: tuple[PeerHeld, ...] = ()

    def named(self) -> tuple[tuple[msgspec.Struct, Digest], ...]:
        """Every signed object that the unit names, with its digest."""
        if not self.sites:
            return () if self.payload is None else ((self.payload, self.digest),)
        opened = (each for held in self.sites for each in (held.record, *held.keys))
        return tuple(zip(opened, named_objects(self.unit), strict=True))


class _Weighing:
    """One document on the scales: each unit first by itself, then the units of an app against each other."""

    def __init__(self, held: Held, objects: Mapping[Digest, Envelope], record: SiteRecord) -> None:
        self._held = held
        self._objects = objects
        self._record = record
        #: Digests that stand on a floor: only what was accepted gets there.
        self._accepted = {floor.digest for floor in held.floors.values()}
        self._opened: dict[tuple[Kind, Digest], msgspec.Struct | Denied] = {}

    def accept(self, head: Verified[DocumentHead], readings: Mapping[UnitId, Unit | Denied]) -> AcceptedDocument:
        good: dict[UnitId, _Weighed] = {}
        refused: dict[UnitId, Denied] = {}
        for name, reading in readings.items():
            weighed = reading if isinstance(reading, Denied) else self._weigh(name, reading)
            if isinstance(weighed, Denied):
                refused[name] = weighed
            else:
                good[name] = weighed
        for judge in (_find_forks, _find_stale_tombstones, _find_ended):
            denied = judge(good)
            refused.update(denied)
            good = {name: weighed for name, weighed in good.items() if name not in denied}
        unsigned = self._find_unsigned_ends(readings, good)
        refused.update(unsigned)
        good = {name: weighed for name, weighed in good.items() if name not in unsigned}
        floors = raised_floors(
            self._held.floors,
            [(head.payload, head.digest), *(named for weighed in good.values() for named in weighed.named())],
        )
        kept = {name: former for name in sorted(refused) if (former := self._keep(name)) is not None}
        kept = {name: former for name, former in kept.items() if name not in _find_ended({**good, **kept})}
        good.update(kept)
        needed = find_needed(_list_places(good), self._held.units, readings)
        refused.update(dict.fromkeys(needed, Denied(CODE, "the core leaves it out, and what is here needs it")))
        kept.update({name: former for name in sorted(needed) if (former := self._keep(name)) is not None})
        good.update(kept)
        # Last, and over what is kept too: a tunnel leads only to where the revisions in force let it lead.
        stray = find_strays(_list_stretched(good), self._record.site)
        refused.update(stray)
        good = {name: weighed for name, weighed in good.items() if name not in stray}
        kept = {name: weighed for name, weighed in kept.items() if name not in stray}
        return AcceptedDocument(
            head=head.payload,
            digest=head.digest,
            units={name: good[name].unit for name in sorted(good)},
            refused={name: refused[name] for name in sorted(refused)},
            kept=frozenset(kept),
            revisions={it.digest: it.payload for it in good.values() if isinstance(it.payload, AppRevision)},
            secrets={it.digest: it.payload for it in good.values() if isinstance(it.payload, Secret)},
            tombstones={it.digest: it.payload for it in good.values() if isinstance(it.payload, Tombstone)},
            peers={it.sites[0].record.site: it.sites[0] for it in good.values() if isinstance(it.unit, Peer)},
            relayed={name: it.sites for name, it in good.items() if isinstance(it.unit, RelayDuty)},
            floors=floors,
            time_floor_s=max(self._held.time_floor_s, head.payload.time_s),
        )

    def _weigh(self, name: UnitId, unit: Unit) -> _Weighed | Denied:
        """Judge one unit by what it names and by what the site held before this document."""
        weighed = self._open_unit(unit)
        if isinstance(weighed, Denied) or not weighed.named():
            return weighed
        former = self._held.units.get(name)
        # What runs, and whom tunnels lead to, stays good although its line moved on; a tombstone does not.
        again: set[Digest] = set()
        if former is not None and isinstance(unit, Assignment | Peer | RelayDuty):
            again.update(named_objects(former))
        for payload, digest in weighed.named():
            denied = None if digest in again else judge_floor(self._held.floors, payload, digest)
            if denied is not None:
                return denied
        return weighed

    def _find_unsigned_ends(
        self, readings: Mapping[UnitId, Unit | Denied], good: Mapping[UnitId, _Weighed]
    ) -> dict[UnitId, Denied]:
        """Name the instances in force that the document would end or stop, and that only their tenant may end."""
        former: dict[UnitId, Place] = {}
        for name, unit in self._held.units.items():
            is_changed = name in good and good[name].unit != unit
            if isinstance(unit, Assignment) and (is_changed or name not in readings):
                weighed = self._keep(name)
                if weighed is not None and isinstance(weighed.payload, AppRevision):
                    former[name] = Place(unit, weighed.payload)
        wished = {name: item.unit for name, item in good.items() if isinstance(item.unit, Assignment)}
        shown = (item.payload for item in good.values() if item.payload is not None)
        return find_unsigned_ends(former, wished, shown, self._record)

    def _keep(self, name: UnitId) -> _Weighed | None:
        """Return the former version of a refused unit; tombstones are never kept, so that doubt deletes nothing."""
        former = self._held.units.get(name)
        if former is None or isinstance(former, TombstoneNotice | RevisionNotice):
            return None
        if not all(digest in self._objects for digest in named_objects(former)):
            return None
        weighed = self._open_unit(former)
        return None if isinstance(weighed, Denied) else weighed

    def _open_unit(self, unit: Unit) -> _Weighed | Denied:
        """Open the object that a unit names and check that both speak of the same thing."""
        match unit:
            case ImageHold() | NetworkPart() | NetworkMember():
                return _Weighed(unit)
            case Peer():
                peer = self._open_peer(unit)
                return peer if isinstance(peer, Denied) else _Weighed(unit, sites=(peer,))
            case RelayDuty():
                return self._open_duty(unit)
            case Assignment():
                digest, payload = unit.revision, self._open(unit.revision, "revision")
            case SecretHold():
                digest, payload = unit.digest, self._open(unit.digest, "secret")
            case TombstoneNotice():
                digest, payload = unit.digest, self._open(unit.digest, "tombstone")
            case RevisionNotice():
                digest, payload = unit.digest, self._open(unit.digest, "revision")
        if isinstance(payload, Denied):
            return payload
        return _judge_subject(unit, payload, self._record) or _Weighed(unit, payload, digest)

    def _open_duty(self, unit: RelayDuty) -> _Weighed | Denied:
        """Open both ends that this site is to relay for, if its own record lets it."""
        relay = self._record.relay
        if not relay:
            return Denied("E-RELAY", "this site's record does not let it relay for others", security=True)
        if not 0 <= unit.slot < (relay.last - relay.first + 1) // PAIR_PORTS:
            return Denied("E-RELAY", f"there are no ports {unit.slot} of those that this site's record lends")
        found: list[PeerHeld] = []
        for end in unit.ends:
            held = self._open_peer(end)
            if isinstance(held, Denied):
                return held
            found.append(held)
        return _Weighed(unit, sites=tuple(found))

    def _open_peer(self, unit: Peer | RelayEnd) -> PeerHeld | Denied:
        """Open the record of another site by the registrar's key, and its overlay keys by its nodes' own."""
        record = self._open(unit.record, "site")
        if isinstance(record, Denied):
            return record
        if not isinstance(record, SiteRecord) or record.site != unit.site or unit.site == self._record.site:
            return Denied("E-SITE", f"the record of {unit.site} is of another site", security=True)
        keys: list[OverlayKey] = []
        theirs = msgspec.structs.replace(self._held, site_record=record)
        for digest in unit.keys:
            envelope = self._objects[digest]
            if digest_of(envelope.payload) != digest:
                return Denied("E-DIGEST", "the overlay key is not the one named by digest", security=True)
            key = open_envelope(envelope, theirs, "overlay-key")
            if isinstance(key, Denied):
                return key
            if isinstance(key, OverlayKey):
                keys.append(key)
        return PeerHeld(record, tuple(keys))

    def _open(self, digest: Digest, kind: Kind) -> msgspec.Struct | Denied:
        key = (kind, digest)
        if key not in self._opened:
            envelope = self._objects[digest]
            if digest_of(envelope.payload) != digest:
                self._opened[key] = Denied("E-DIGEST", f"the {kind} is not the one named by digest", security=True)
            elif digest in self._accepted:
                self._opened[key] = reopen_envelope(envelope, self._held, kind)
            else:
                self._opened[key] = open_envelope(envelope, self._held, kind)
        return self._opened[key]


def _read_unit(name: UnitId, body: bytes) -> Unit | Denied:
    """Decode a unit that is what its place in the map says."""
    if len(body) > UNIT_BYTES_MAX:
        return Denied("E-UNIT", f"{len(body)} bytes, at most {UNIT_BYTES_MAX} are allowed")
    try:
        unit = decode_unit(body)
    except (msgspec.DecodeError, RecursionError) as error:
        return Denied("E-UNIT", f"not a unit of this release: {error}")
    match unit:
        case Assignment():
            sound = all(map(is_name, (unit.tenant, unit.app, unit.service, unit.node))) and is_digest(unit.revision)
            sound = sound and 0 <= unit.ordinal < REPLICAS_MAX and unit.restart >= 0
            sound = sound and (not unit.instead_of or is_name(unit.instead_of))
        case ImageHold():
            sound = is_digest(unit.digest) and is_digest(unit.config) and unit.size_bytes >= 0
        case SecretHold():
            sound = is_name(unit.tenant) and is_name(unit.name) and is_digest(unit.digest)
        case TombstoneNotice() | RevisionNotice():
            sound = is_name(unit.tenant) and is_name(unit.app) and is_digest(unit.digest)
        case NetworkPart():
            sound = all(map(is_name, (unit.tenant, unit.app, unit.network))) and 0 <= unit.index < PARTS_MAX
        case NetworkMember():
            sound = all(map(is_name, (unit.tenant, unit.app, unit.network, unit.site))) and 0 <= unit.index < PARTS_MAX
        case Peer():
            sound = is_name(unit.site) and is_digest(unit.record) and all(map(is_digest, unit.keys))
            sound = sound and 0 < len(unit.keys) <= OVERLAY_KEYS_MAX and len(unit.endpoints) <= ENDPOINTS_MAX
            sound = sound and all(map(is_endpoint, (*unit.endpoints, *unit.relays)))
            sound = sound and len(unit.through or ()) <= RELAYS_MAX
            sound = sound and all(is_name(each.site) for each in unit.through or ())
        case RelayDuty():
            sound = unit.ends[0].site < unit.ends[1].site
            sound = sound and all(
                is_name(end.site)
                and is_digest(end.record)
                and all(map(is_digest, end.keys))
                and 0 < len(end.keys) <= OVERLAY_KEYS_MAX
                and len(end.addresses) <= ENDPOINTS_MAX
                and all(is_endpoint(f"[{each}]:1" if ":" in each else f"{each}:1") for each in end.addresses)
                for end in unit.ends
            )
    if not sound or unit_id(unit) != name:
        return Denied("E-UNIT", "the unit is not what its name says", security=True)
    return unit


def _judge_subject(unit: Unit, payload: msgspec.Struct, record: SiteRecord) -> Denied | None:
    """Check that unit and signed object are about the same tenant's same thing, and meant for this site."""
    match unit, payload:
        case Assignment() | RevisionNotice(), AppRevision():
            same = (unit.tenant, unit.app) == (payload.tenant, payload.app)
        case SecretHold(), Secret():
            same = (unit.tenant, unit.name) == (payload.tenant, payload.name)
        case TombstoneNotice(), Tombstone():
            same = (unit.tenant, unit.app) == (payload.tenant, payload.app)
            unmet = site_unmet(payload.sites, record)
            if same and unmet:
                return Denied("E-SITE", f"the tombstone is not for this site: {unmet}", security=True)
        case _:
            same = False
    return None if same else Denied("E-TENANT", "the unit names an object of something else", security=True)


def _list_places(good: Mapping[UnitId, _Weighed]) -> list[Place]:
    return [
        Place(item.unit, item.payload)
        for item in good.values()
        if isinstance(item.unit, Assignment) and isinstance(item.payload, AppRevision)
    ]


def _list_stretched(good: Mapping[UnitId, _Weighed]) -> Stretched:
    """Gather what speaks of networks over several sites."""
    return Stretched(
        units={name: weighed.unit for name, weighed in good.items()},
        revisions=tuple(it.payload for it in good.values() if isinstance(it.payload, AppRevision)),
        peers={it.sites[0].record.site: it.sites[0].record for it in good.values() if isinstance(it.unit, Peer)},
    )


def _find_forks(good: Mapping[UnitId, _Weighed]) -> dict[UnitId, Denied]:
    """Find units whose objects have one number and different bytes: nobody can say which the tenant meant."""
    seen: dict[tuple[str, int], set[Digest]] = {}
    places: dict[UnitId, tuple[str, int]] = {}
    for name, weighed in good.items():
        line = None if weighed.payload is None else floor_key(weighed.payload)
        if weighed.payload is not None and line is not None:
            places[name] = (line, number_of(weighed.payload))
            seen.setdefault(places[name], set()).add(weighed.digest)
    return {
        name: Denied("E-FORK", f"number {place[1]} of {place[0]} was signed twice with different bytes", security=True)
        for name, place in places.items()
        if len(seen[place]) > 1
    }


def _find_stale_tombstones(good: Mapping[UnitId, _Weighed]) -> dict[UnitId, Denied]:
    """Find tombstones that the same document's revisions overtake: the app came back, its volumes are in use."""
    newest = _newest(item.payload for item in good.values() if isinstance(item.payload, AppRevision))
    return {
        name: stale_tombstone(weighed.payload, present)
        for name, weighed in good.items()
        if isinstance(weighed.payload, Tombstone)
        and weighed.payload.number < (present := newest.get((weighed.payload.tenant, weighed.payload.app), 0))
    }


def _find_ended(good: Mapping[UnitId, _Weighed]) -> dict[UnitId, Denied]:
    """Find assignments of revisions that a tombstone of the same document ends."""
    ends = [item.payload for item in good.values() if isinstance(item.payload, Tombstone) and item.payload.ends_app]
    newest = _newest(ends)
    return {
        name: Denied("E-ENDED", f"the tenant has ended app {weighed.payload.app}")
        for name, weighed in good.items()
        if isinstance(weighed.payload, AppRevision)
        and weighed.payload.number < newest.get((weighed.payload.tenant, weighed.payload.app), 0)
    }


def _newest(payloads: Iterable[AppRevision | Tombstone]) -> dict[tuple[str, str], int]:
    newest: dict[tuple[str, str], int] = {}
    for payload in payloads:
        app = (payload.tenant, payload.app)
        newest[app] = max(payload.number, newest.get(app, 0))
    return newest
