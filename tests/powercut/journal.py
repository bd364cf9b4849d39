"""What an agent does with its journal over some busy days, in an order that dice decide."""

import random
from collections.abc import Sequence

from tests.powercut.reference import Job, StoreWorkload

from skerry.agent import journal
from skerry.model.ids import (
    AppName,
    InstanceId,
    NodeName,
    SiteName,
    TenantName,
    UnitId,
    VolumeName,
    digest_of,
    volume_id,
)
from skerry.model.signed import Envelope, Signature
from skerry.plan.history import Deleting, Ended, Grace, Started
from skerry.trust.floors import Floor


def _envelope(dice: random.Random, size: int) -> Envelope:
    return Envelope("application/vnd.skerry.test", dice.randbytes(size), (Signature("00" * 20, b"s" * 64),))


def _make_document(dice: random.Random, generation: int) -> Job:
    bodies = {
        UnitId(f"assignment/t/app/{number}"): dice.randbytes(dice.choice((50, 400, 5000)))
        for number in range(dice.randint(0, 8))
    }
    document = journal.StoredDocument(1, generation, _envelope(dice, 300), bodies, {})
    objects = {digest_of(found.payload): found for found in (_envelope(dice, 2000) for _ in range(dice.randint(0, 3)))}
    floors = {f"app/t/{dice.randint(0, 3)}": Floor(generation, digest_of(b"%d" % generation))}
    tombstones = {digest_of(b"tombstone %d" % generation): Grace(0, "boot", generation)}
    return lambda c: journal.record_document(c, document, objects, floors, tombstones, generation)


def _make_events(dice: random.Random) -> Job:
    drafts = [
        journal.Draft(time_us=number, type="instance.started", message="x" * dice.choice((10, 300, 3000)))
        for number in range(dice.randint(1, 5))
    ]
    return lambda c: journal.append_events(c, drafts)


def _make_small(dice: random.Random) -> Job:
    instance = InstanceId(f"t/app/web/{dice.randint(0, 5)}")
    spec = digest_of(instance.encode())
    tenant, start = TenantName(f"t{dice.randint(0, 20)}"), dice.randint(1, 10**6)
    through = dice.randint(0, 60)
    volume = volume_id("t", "app", str(dice.randint(0, 3)))
    deleting = Deleting(tenant=tenant, app=AppName("app"), name=VolumeName("data"), tombstone=spec)
    gone = journal.Draft(time_us=start, type="volume.deleted", message=volume)
    return dice.choice(
        (
            lambda c: journal.begin_session(c),
            lambda c: journal.record_started(c, instance, Started(spec, "boot")),
            lambda c: journal.record_changes(c, journal.Changes(ended={instance: Ended(spec, 1)}, volumes={volume: 3})),
            lambda c: journal.record_changes(c, journal.Changes(gone=frozenset((instance,)))),
            lambda c: journal.begin_deletion(c, volume, deleting),
            lambda c: journal.end_deletions(c, {volume: gone}),
            # The second range of a tenant is refused: that job undoes itself, its neighbours stay.
            lambda c: journal.record_uid_ranges(c, {tenant: start}),
            lambda c: journal.trim_outbox(c, through),
            lambda c: journal.drop_objects(c, ()),
        )
    )


def make_groups(dice: random.Random) -> Sequence[Sequence[Job]]:
    """Return an identity, and then documents, events and small notes as they come."""
    identity = journal.Identity(SiteName("s"), NodeName("n"), _envelope(dice, 900), _envelope(dice, 500))
    groups: list[list[Job]] = [[lambda c: journal.record_identity(c, identity, {})]]
    for number in range(40):
        group: list[Job] = []
        for _ in range(dice.choice((1, 1, 2, 4))):
            kind = dice.random()
            group.append(
                _make_document(dice, number)
                if kind < 0.15
                else _make_events(dice)
                if kind < 0.55
                else _make_small(dice)
            )
        groups.append(group)
    return groups


JOURNAL = StoreWorkload("journal", journal.OPTIONS, make_groups)
