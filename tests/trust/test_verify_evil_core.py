"""I33: an evil core with every online key makes no site run, open or delete anything (trust.md T1, T3, T4, T5)."""

import pytest
from tests.trust import people
from tests.trust.evil_core import OTHER_SITE, EvilCore, Loot
from tests.trust.people import assign, bury, by_digest, hold_secret, pack, revise, seal

from skerry.model.app import Sites
from skerry.model.document import unit_id
from skerry.model.ids import digest_of
from skerry.trust.held import AcceptedDocument, Held
from skerry.trust.verdict import Denied
from skerry.trust.verify import verify_document, verify_envelope


def make_scene() -> tuple[Held, Loot]:
    """A site in its second epoch that has followed four documents, and what the core saw of it."""
    old, current = revise(4), revise(5)
    old_secret, secret, other_secret = seal(1), seal(2), seal(9, secret="other")
    ally_secret = people.sign("secret", people.make_secret(3, tenant=people.BETA), people.DEPLOY[people.BETA])
    held = people.hold()
    documents = []
    story = [
        (1, 1, [assign(old), hold_secret(old_secret)]),
        (2, 1, [assign(old), hold_secret(old_secret)]),
        (2, 2, [assign(current), hold_secret(secret)]),
        (2, 3, [assign(current), hold_secret(secret)]),
    ]
    objects = by_digest(old, current, old_secret, secret)
    for epoch, generation, units in story:
        bodies = pack(units)
        head = people.make_head(bodies, generation, epoch=epoch)
        accepted = verify_document(head, bodies, objects, held, people.SITE)
        assert isinstance(accepted, AcceptedDocument)
        assert accepted.refused == {}
        held = people.hold_next(held, accepted)
        documents.append((head, bodies))
    loot = Loot(
        site=people.SITE,
        node=people.NODE,
        record=people.make_record(),
        epoch=2,
        generation=3,
        time_s=1_700_000_001,
        head=documents[3][0],
        units=(assign(current), hold_secret(secret)),
        old_head=documents[1][0],
        old_bodies=documents[1][1],
        revision=current,
        old_revision=old,
        secret=secret,
        old_secret=old_secret,
        other_secret=other_secret,
        old_tombstone=bury(3),
        foreign_tombstone=bury(6, sites=Sites(names=(OTHER_SITE,))),
        ally=people.BETA,
        ally_key=people.DEPLOY[people.BETA],
        ally_revision=revise(5, tenant=people.BETA),
        ally_secret=ally_secret,
        ally_tombstone=bury(6, tenant=people.BETA),
    )
    return held, loot


HELD, LOOT = make_scene()
EVIL = EvilCore(LOOT, people.DELIVERY)
ATTEMPTS = {attempt.name: attempt for attempt in EVIL.attempts()}
HONEST = {digest_of(LOOT.revision.payload), digest_of(LOOT.secret.payload)}


def test_there_are_enough_kinds_of_attack():
    assert len(ATTEMPTS) >= 40


@pytest.mark.parametrize("name", ATTEMPTS)
def test_no_attempt_makes_a_site_act(name: str):
    attempt = ATTEMPTS[name]
    verdict = verify_document(attempt.head, attempt.bodies, attempt.objects, HELD, people.SITE)
    if isinstance(verdict, Denied):
        assert name.startswith("whole_")
        return
    # The document as such may stand, for the core may order what it likes: then its evil unit is refused by itself,
    assert isinstance(verdict, AcceptedDocument), verdict
    assert not name.startswith("whole_")
    assert verdict.refused
    # nothing comes into force that the victim did not sign for this purpose,
    assert verdict.revisions.keys() | verdict.secrets.keys() <= HONEST
    assert verdict.tombstones == {}
    # what ran goes on, unless the core took its object away,
    honest = {unit_id(unit): unit for unit in LOOT.units}
    robbed = any(attempt.objects[digest] not in (LOOT.revision, LOOT.secret) for digest in HONEST)
    assert verdict.units.items() <= honest.items() if robbed else verdict.units == honest
    # and no number line is burnt.
    assert {line: floor.number for line, floor in verdict.floors.items()} == {"document/oslo/2": LOOT.generation + 1}


def test_the_honest_document_behind_the_attempts_is_accepted_whole():
    """Each attempt differs from this one in its evil alone, so refusals are not for some other reason."""
    bodies = pack(LOOT.units)
    head = people.make_head(bodies, LOOT.generation + 1, epoch=LOOT.epoch)
    objects = by_digest(LOOT.revision, LOOT.secret)
    verdict = verify_document(head, bodies, objects, HELD, people.SITE)
    assert isinstance(verdict, AcceptedDocument)
    assert verdict.refused == {}


def test_no_forged_record_is_accepted():
    forged = EVIL.forged_records()
    assert len(forged) == 4
    for name, envelope in forged.items():
        assert isinstance(verify_envelope(envelope, HELD, expect="site", site=people.SITE), Denied), name


def test_forgeries_are_reported_and_old_or_unknown_words_are_not():
    for name, attempt in ATTEMPTS.items():
        verdict = verify_document(attempt.head, attempt.bodies, attempt.objects, HELD, people.SITE)
        denials = [verdict] if isinstance(verdict, Denied) else list(getattr(verdict, "refused", {}).values())
        reported = any(denied.security for denied in denials)
        if any(word in name for word in ("signed_", "altered", "tenant", "ally", "huge", "swapped", "borrowed")):
            assert reported, name
        # A restored core repeats old numbers, a newer one uses new words: no alarm, but no action either.
        if any(word in name for word in ("older_revision", "older_secret", "older_document", "lower_", "future")):
            assert not reported, name
