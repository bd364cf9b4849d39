"""A core that has turned evil: it holds every online key and everything that ever passed through it.

It has the delivery key, the database and the wires; it does not have the keys of tenants, registrar and root.
``EvilCore.attempts`` yields documents that a site must not act on, each under the name of its kind of attack. Used
against ``verify_document`` here and against whole sites end to end: an attempt is a head, the bodies of its units and
the objects it hands out. Whoever uses it gives real objects as loot, so that each attack differs from an honest
document in the one thing that makes it evil.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping

import msgspec

from skerry.model.app import AppRevision
from skerry.model.document import (
    Assignment,
    SecretHold,
    TombstoneNotice,
    Unit,
    digest_bodies,
    digest_units,
    encode_unit,
    unit_id,
)
from skerry.model.ids import AppName, Digest, NodeName, SiteName, TenantName, UnitId, digest_of
from skerry.model.signed import DocumentHead, Envelope, RoleKeys, Secret, Signature, SiteRecord, Tombstone
from skerry.trust.envelope import encode_payload, sign_payload, type_of
from skerry.trust.keys import SigningKey, key_id

OTHER_SITE = SiteName("elsewhere")
FAR_ABOVE = 2**52


class Loot(msgspec.Struct, frozen=True, kw_only=True):
    """What the core has seen. ``current`` is what the site runs now; its numbers are the site's floors."""

    site: SiteName
    node: NodeName
    #: A record of the site as the registrar signed it.
    record: SiteRecord
    #: The document in force: its numbers, its units, and its head as signed.
    epoch: int
    generation: int
    time_s: int
    head: Envelope
    units: tuple[Unit, ...]
    #: An older document of the same site, with its bodies.
    old_head: Envelope
    old_bodies: Mapping[UnitId, bytes]
    #: The victim's revision in force, and an older one.
    revision: Envelope
    old_revision: Envelope
    #: The victim's secret in force, an older version of it, and another secret of the same tenant.
    secret: Envelope
    old_secret: Envelope
    other_secret: Envelope
    #: A tombstone of the victim that is older than the revision in force, and one for volumes at another site.
    old_tombstone: Envelope
    foreign_tombstone: Envelope
    #: Another tenant admitted at the site works with the core: its key and what it signed.
    ally: TenantName
    ally_key: SigningKey
    ally_revision: Envelope
    ally_secret: Envelope
    ally_tombstone: Envelope


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One document that a site must not act on."""

    name: str
    head: Envelope
    bodies: dict[UnitId, bytes]
    objects: dict[Digest, Envelope]


class _Evil(msgspec.Struct, frozen=True):
    """An honest document with something evil in it; ``units`` replace the honest ones of the same name."""

    units: tuple[Unit, ...] = ()
    objects: tuple[Envelope, ...] = ()
    #: Objects handed out under digests that are not theirs.
    misnamed: Mapping[Digest, Envelope] = {}


class EvilCore:
    """Makes attempts out of what the core has."""

    def __init__(self, loot: Loot, delivery: SigningKey) -> None:
        self._loot = loot
        self._delivery = delivery
        self._revision = msgspec.json.decode(loot.revision.payload, type=AppRevision)
        self._secret = msgspec.json.decode(loot.secret.payload, type=Secret)

    def attempts(self) -> Iterator[Attempt]:
        """Yield every attempt, one per kind of attack."""
        for name, make in sorted(self._kinds().items()):
            made = make()
            yield self._dress(name, made) if isinstance(made, _Evil) else msgspec.structs.replace(made, name=name)

    def _kinds(self) -> dict[str, Callable[[], "_Evil | Attempt"]]:
        prefixes = ("unit_", "object_", "whole_")
        return {
            kind: getattr(self, f"_{kind}")
            for kind in (name.removeprefix("_") for name in dir(type(self)))
            if kind.startswith(prefixes)
        }

    # --- objects that no tenant has signed ---------------------------------------------------------------------------

    def _object_foreign_image_in_an_altered_revision(self) -> _Evil:
        """The signed revision with another image, its signature left on."""
        return self._altered(lambda payload: payload.replace(self._image().encode(), digest_of(b"evil").encode()))

    def _object_altered_command(self) -> _Evil:
        return self._altered(lambda payload: payload.replace(b'"command":null', b'"command":["sh","-c","evil"]'))

    def _object_altered_by_white_space(self) -> _Evil:
        """Means the same, but these are not the bytes that were signed."""
        return self._altered(lambda payload: payload.replace(b",", b", ", 1))

    def _object_revision_signed_with_the_delivery_key(self) -> _Evil:
        return self._run(self._sign("revision", self._next_revision(), self._delivery))

    def _object_revision_signed_by_another_tenant(self) -> _Evil:
        return self._run(self._sign("revision", self._next_revision(), self._loot.ally_key))

    def _object_revision_with_the_victims_key_id(self) -> _Evil:
        forged = self._sign("revision", self._next_revision(), self._delivery)
        hint = self._loot.revision.signatures[0].key
        return self._run(msgspec.structs.replace(forged, signatures=(Signature(hint, forged.signatures[0].sig),)))

    def _object_revision_with_a_borrowed_signature(self) -> _Evil:
        """A signature that the tenant made, over something else."""
        forged = self._sign("revision", self._next_revision(), self._delivery)
        return self._run(msgspec.structs.replace(forged, signatures=self._loot.secret.signatures))

    def _object_revision_with_one_signature_many_times(self) -> _Evil:
        forged = self._sign("revision", self._next_revision(), self._delivery)
        return self._run(msgspec.structs.replace(forged, signatures=forged.signatures * 8))

    def _object_revision_with_the_signature_left_out(self) -> _Evil:
        return self._run(Envelope(type_of("revision"), encode_payload(self._next_revision()), ()))

    def _object_revision_with_an_empty_signature(self) -> _Evil:
        forged = Envelope(
            type_of("revision"),
            encode_payload(self._next_revision()),
            (Signature(self._loot.revision.signatures[0].key, b""),),
        )
        return self._run(forged)

    def _object_revision_with_a_small_order_signature(self) -> _Evil:
        """R the identity, s zero: verifies under a sloppy check when the key is of small order."""
        sig = b"\x01" + bytes(63)
        hint = self._loot.revision.signatures[0].key
        return self._run(Envelope(type_of("revision"), encode_payload(self._next_revision()), (Signature(hint, sig),)))

    def _object_revision_of_a_future_version(self) -> _Evil:
        future = msgspec.structs.replace(self._loot.revision, type="application/vnd.skerry.revision.v2+json")
        return self._evil_again(future)

    def _object_revision_of_an_unknown_kind(self) -> _Evil:
        unknown = msgspec.structs.replace(self._loot.revision, type="application/vnd.skerry.glass.v1+json")
        return self._evil_again(unknown)

    def _object_secret_passed_off_as_a_revision(self) -> _Evil:
        return self._run(self._loot.secret)

    def _object_secret_relabelled_as_a_revision(self) -> _Evil:
        return self._run(msgspec.structs.replace(self._loot.secret, type=type_of("revision")))

    def _object_truncated_revision(self) -> _Evil:
        cut = msgspec.structs.replace(self._loot.revision, payload=self._loot.revision.payload[:-1])
        return self._run(cut)

    def _object_under_a_digest_that_is_not_its_own(self) -> _Evil:
        forged = self._sign("revision", self._next_revision(), self._delivery)
        return _Evil(
            units=(self._assign(digest_of(self._loot.revision.payload), ordinal=1),),
            misnamed={digest_of(self._loot.revision.payload): forged},
        )

    def _object_secret_swapped_for_another(self) -> _Evil:
        """A real secret of the tenant under the name of another one of its secrets."""
        return self._give_secret(self._loot.other_secret)

    def _object_secret_of_another_tenant(self) -> _Evil:
        return self._give_secret(self._loot.ally_secret)

    def _object_secret_signed_with_the_delivery_key(self) -> _Evil:
        newer = msgspec.structs.replace(self._secret, number=self._secret.number + 1)
        return self._give_secret(self._sign("secret", newer, self._delivery))

    def _object_secret_with_a_further_box(self) -> _Evil:
        boxes = {**self._secret.boxes, key_id(self._delivery.public): bytes(80)}
        newer = msgspec.structs.replace(self._secret, number=self._secret.number + 1, boxes=boxes)
        return self._give_secret(msgspec.structs.replace(self._loot.secret, payload=encode_payload(newer)))

    # --- deletion ----------------------------------------------------------------------------------------------------

    def _object_tombstone_without_a_signature(self) -> _Evil:
        return self._bury(Envelope(type_of("tombstone"), encode_payload(self._grave()), ()))

    def _object_tombstone_signed_with_the_delivery_key(self) -> _Evil:
        return self._bury(self._sign("tombstone", self._grave(), self._delivery))

    def _object_tombstone_by_another_tenant(self) -> _Evil:
        return self._bury(self._sign("tombstone", self._grave(), self._loot.ally_key))

    def _object_tombstone_of_another_tenant(self) -> _Evil:
        """Well signed, by a tenant for an app of its own, which happens to have the same name."""
        return self._bury(self._loot.ally_tombstone)

    def _object_tombstone_from_before_the_app_came_back(self) -> _Evil:
        return self._bury(self._loot.old_tombstone)

    def _object_tombstone_meant_for_another_site(self) -> _Evil:
        return self._bury(self._loot.foreign_tombstone)

    def _object_tombstone_with_its_number_raised(self) -> _Evil:
        raised = self._loot.old_tombstone.payload.replace(
            b'"number":%d' % self._number_of(self._loot.old_tombstone), b'"number":%d' % (self._revision.number + 1)
        )
        return self._bury(msgspec.structs.replace(self._loot.old_tombstone, payload=raised))

    def _object_tombstone_with_more_volumes(self) -> _Evil:
        more = self._loot.foreign_tombstone.payload.replace(OTHER_SITE.encode(), self._loot.site.encode())
        return self._bury(msgspec.structs.replace(self._loot.foreign_tombstone, payload=more))

    # --- replay ------------------------------------------------------------------------------------------------------

    def _object_older_revision(self) -> _Evil:
        return self._run(self._loot.old_revision, ordinal=0)

    def _object_older_revision_for_a_new_instance(self) -> _Evil:
        return self._run(self._loot.old_revision)

    def _object_older_secret(self) -> _Evil:
        return self._give_secret(self._loot.old_secret)

    def _object_huge_number_by_an_ally(self) -> _Evil:
        """The other tenant's own line, burnt for ever if it were accepted."""
        revision = msgspec.json.decode(self._loot.ally_revision.payload, type=AppRevision)
        signed = self._sign("revision", msgspec.structs.replace(revision, number=FAR_ABOVE), self._loot.ally_key)
        unit = Assignment(
            tenant=self._loot.ally,
            app=revision.app,
            service=next(iter(revision.services)),
            ordinal=7,
            node=self._loot.node,
            revision=digest_of(signed.payload),
        )
        return _Evil(units=(unit,), objects=(signed,))

    # --- units that say more than they may ---------------------------------------------------------------------------

    def _unit_of_another_tenant_names_the_victims_revision(self) -> _Evil:
        unit = msgspec.structs.replace(self._assign(digest_of(self._loot.revision.payload)), tenant=self._loot.ally)
        return _Evil(units=(unit,))

    def _unit_of_the_victim_names_an_allys_revision(self) -> _Evil:
        return self._run(self._loot.ally_revision, ordinal=0)

    def _unit_of_another_app_names_the_victims_revision(self) -> _Evil:
        unit = msgspec.structs.replace(self._assign(digest_of(self._loot.revision.payload)), app=AppName("other"))
        return _Evil(units=(unit,))

    def _unit_that_names_an_image(self) -> Attempt:
        return self._bend(b'"restart":0', b'"restart":0,"image":"%s"' % digest_of(b"evil").encode())

    def _unit_with_a_state_that_is_not_built(self) -> Attempt:
        return self._bend(b'"state":"run"', b'"state":"wipe"')

    def _unit_under_the_name_of_another(self) -> Attempt:
        bodies = self._honest_bodies()
        victim = unit_id(self._assign(digest_of(self._loot.revision.payload), ordinal=0))
        bodies[UnitId(victim + "0")] = bodies[victim]
        return self._publish(bodies, {})

    def _unit_with_a_path_for_a_name(self) -> _Evil:
        unit = msgspec.structs.replace(self._assign(digest_of(self._loot.revision.payload)), node=NodeName("../../etc"))
        return _Evil(units=(unit,))

    # --- whole documents ---------------------------------------------------------------------------------------------

    def _whole_older_document(self) -> Attempt:
        return self._attempt(self._loot.old_head, dict(self._loot.old_bodies), self._objects())

    def _whole_older_units_under_the_newest_head(self) -> Attempt:
        return self._attempt(self._loot.head, dict(self._loot.old_bodies), self._objects())

    def _whole_units_spliced_from_two_documents(self) -> Attempt:
        spliced = {**self._honest_bodies(), **self._loot.old_bodies}
        return self._attempt(self._loot.head, spliced, self._objects())

    def _whole_same_generation_with_other_units(self) -> Attempt:
        head = self._make_head({}, generation=self._loot.generation)
        return self._attempt(head, {}, {})

    def _whole_lower_generation(self) -> Attempt:
        return self._attempt(self._make_head({}, generation=self._loot.generation - 1), {}, {})

    def _whole_lower_epoch(self) -> Attempt:
        head = self._make_head({}, epoch=self._loot.epoch - 1, generation=self._loot.generation + 9)
        return self._attempt(head, {}, {})

    def _whole_huge_generation(self) -> Attempt:
        return self._attempt(self._make_head({}, generation=FAR_ABOVE), {}, {})

    def _whole_huge_epoch(self) -> Attempt:
        return self._attempt(self._make_head({}, epoch=FAR_ABOVE), {}, {})

    def _whole_document_of_another_site(self) -> Attempt:
        return self._attempt(self._make_head({}, site=OTHER_SITE), {}, {})

    def _whole_document_signed_by_an_ally(self) -> Attempt:
        head = self._make_head({}, key=self._loot.ally_key)
        return self._attempt(head, {}, {})

    def _whole_document_that_is_a_revision(self) -> Attempt:
        return self._attempt(self._loot.revision, {}, {})

    def _whole_document_of_a_future_version(self) -> Attempt:
        head = msgspec.structs.replace(self._make_head({}), type="application/vnd.skerry.document.v2+json")
        return self._attempt(head, {}, {})

    def _whole_document_with_a_key_twice(self) -> Attempt:
        text = self._make_head({}).payload.replace(b'"epoch":', b'"epoch":999,"epoch":')
        return self._attempt(sign_payload("document", text, [self._delivery]), {}, {})

    def _whole_document_from_beyond_the_calendar(self) -> Attempt:
        return self._attempt(self._make_head({}, time_s=FAR_ABOVE), {}, {})

    # --- the registrar's word, for verify_envelope -------------------------------------------------------------------

    def forged_records(self) -> dict[str, Envelope]:
        """Site records that would admit a tenant of the core's own making, or exchange a node's keys."""
        mine = RoleKeys(keys=(self._delivery.public,))
        newer = msgspec.structs.replace(self._loot.record, number=self._loot.record.number + 1)
        admits = msgspec.structs.replace(newer, tenants=dict.fromkeys(newer.tenants, mine))
        swapped = msgspec.structs.replace(
            newer,
            nodes={
                name: msgspec.structs.replace(node, device=self._delivery.public) for name, node in newer.nodes.items()
            },
        )
        return {
            "record signed with the delivery key": self._sign("site", admits, self._delivery),
            "record signed by an ally": self._sign("site", admits, self._loot.ally_key),
            "record with a swapped device key": self._sign("site", swapped, self._delivery),
            "record that is a document": msgspec.structs.replace(self._loot.head, type=type_of("site")),
        }

    # --- tools -------------------------------------------------------------------------------------------------------

    def _image(self) -> str:
        return next(iter(self._revision.services.values())).image.digest

    def _next_revision(self) -> AppRevision:
        service, spec = next(iter(self._revision.services.items()))
        image = msgspec.structs.replace(spec.image, digest=digest_of(b"evil"), config=digest_of(b"evil config"))
        return msgspec.structs.replace(
            self._revision,
            number=self._revision.number + 1,
            services={service: msgspec.structs.replace(spec, image=image)},
        )

    def _grave(self) -> Tombstone:
        return Tombstone(
            tenant=self._revision.tenant,
            app=self._revision.app,
            number=self._revision.number + 1,
            ends_app=True,
            volumes=tuple(self._revision.volumes),
        )

    def _number_of(self, envelope: Envelope) -> int:
        return msgspec.json.decode(envelope.payload)["number"]

    def _sign(self, kind: str, payload: msgspec.Struct, key: SigningKey) -> Envelope:
        return sign_payload(kind, encode_payload(payload), [key])  # type: ignore[arg-type]

    def _altered(self, change: Callable[[bytes], bytes]) -> _Evil:
        payload = change(self._loot.revision.payload)
        if payload == self._loot.revision.payload:
            raise AssertionError("the alteration altered nothing")
        return self._run(msgspec.structs.replace(self._loot.revision, payload=payload))

    def _assign(self, revision: Digest, *, ordinal: int = 5) -> Assignment:
        return Assignment(
            tenant=self._revision.tenant,
            app=self._revision.app,
            service=next(iter(self._revision.services)),
            ordinal=ordinal,
            node=self._loot.node,
            revision=revision,
        )

    def _run(self, revision: Envelope, *, ordinal: int = 5) -> _Evil:
        return _Evil(units=(self._assign(digest_of(revision.payload), ordinal=ordinal),), objects=(revision,))

    def _evil_again(self, relabelled: Envelope) -> _Evil:
        """Hand the accepted bytes out under another label, for a new instance."""
        return _Evil(
            units=(self._assign(digest_of(relabelled.payload)),), misnamed={digest_of(relabelled.payload): relabelled}
        )

    def _give_secret(self, secret: Envelope) -> _Evil:
        hold = SecretHold(tenant=self._secret.tenant, name=self._secret.name, digest=digest_of(secret.payload))
        return _Evil(units=(hold,), objects=(secret,))

    def _bury(self, tombstone: Envelope) -> _Evil:
        digest = digest_of(tombstone.payload)
        unit = TombstoneNotice(tenant=self._revision.tenant, app=self._revision.app, digest=digest)
        return _Evil(units=(unit,), objects=(tombstone,))

    def _bend(self, old: bytes, new: bytes) -> Attempt:
        """Put words into the body of an honest unit."""
        bodies = self._honest_bodies()
        victim = unit_id(self._assign(digest_of(self._loot.revision.payload), ordinal=0))
        if old not in bodies[victim]:
            raise AssertionError("there was nothing to bend")
        bodies[victim] = bodies[victim].replace(old, new)
        return self._publish(bodies, {})

    def _honest_bodies(self) -> dict[UnitId, bytes]:
        return {unit_id(unit): encode_unit(unit) for unit in self._loot.units}

    def _objects(self) -> dict[Digest, Envelope]:
        loot = self._loot
        known = (loot.revision, loot.old_revision, loot.secret, loot.old_secret, loot.old_tombstone)
        return {digest_of(envelope.payload): envelope for envelope in known}

    def _dress(self, name: str, evil: _Evil) -> Attempt:
        bodies = self._honest_bodies() | {unit_id(unit): encode_unit(unit) for unit in evil.units}
        objects = {digest_of(envelope.payload): envelope for envelope in evil.objects} | dict(evil.misnamed)
        return msgspec.structs.replace(self._publish(bodies, objects), name=name)

    def _publish(self, bodies: dict[UnitId, bytes], objects: dict[Digest, Envelope]) -> Attempt:
        return self._attempt(self._make_head(bodies), bodies, self._objects() | objects)

    def _attempt(self, head: Envelope, bodies: dict[UnitId, bytes], objects: dict[Digest, Envelope]) -> Attempt:
        return Attempt(name="", head=head, bodies=bodies, objects=objects)

    def _make_head(
        self,
        bodies: dict[UnitId, bytes],
        *,
        epoch: int = 0,
        generation: int = 0,
        site: SiteName | None = None,
        time_s: int = 0,
        key: SigningKey | None = None,
    ) -> Envelope:
        head = DocumentHead(
            site=site or self._loot.site,
            epoch=epoch or self._loot.epoch,
            generation=generation or self._loot.generation + 1,
            parent="sha256:" + hashlib.sha256(self._loot.head.payload).hexdigest(),
            time_s=time_s or self._loot.time_s,
            units=digest_units(digest_bodies(bodies)),
        )
        return self._sign("document", head, key or self._delivery)
