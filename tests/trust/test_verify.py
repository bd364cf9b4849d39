import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.trust import people

from skerry.model.geography import Region
from skerry.model.ids import KeyId, SiteName, digest_of
from skerry.model.limits import PAYLOAD_BYTES_MAX
from skerry.model.signed import (
    KINDS,
    Area,
    Call,
    Envelope,
    Kind,
    OverlayKey,
    RoleKeys,
    Signature,
    SiteRecord,
    UserGroup,
)
from skerry.trust.authority import check_kind, role_of
from skerry.trust.envelope import (
    decode_envelope_json,
    decode_envelope_msgpack,
    encode_envelope_json,
    encode_envelope_msgpack,
    encode_payload,
    sign_payload,
    type_of,
)
from skerry.trust.floors import raised_floors
from skerry.trust.held import Held, Verified, hold_tenants
from skerry.trust.verdict import Denied
from skerry.trust.verify import ROOT_PIN_BYTES, verify_envelope, verify_pinned_root

SECOND = people.key("second")
CALL = Call(
    tenant=people.ALPHA,
    site=people.SITE,
    node=people.NODE,
    nonce=b"n" * 32,
    verb="exec",
    app=people.SHOP,
    service=people.WEB,
    argv=("ls",),
)
AREA = Area(tenant=people.ALPHA, name="nordics", number=1, region=Region(countries=("NO", "SE")))
USERS = UserGroup(tenant=people.ALPHA, name="customers", number=1, points=((10_750_000, 59_910_000, 3),))
OVERLAY = OverlayKey(site=people.SITE, node=people.NODE, number=1, key=people.seed("overlay"))


def samples() -> dict[Kind, Envelope]:
    """One good envelope of every kind."""
    return {
        "root": people.sign("root", people.make_root(), people.ROOT),
        "site": people.sign("site", people.make_record(), people.REGISTRAR),
        "revision": people.revise(1),
        "tombstone": people.bury(1),
        "secret": people.seal(1),
        "area": people.sign("area", AREA, people.DEPLOY[people.ALPHA]),
        "user-group": people.sign("user-group", USERS, people.DEPLOY[people.ALPHA]),
        "call": people.sign("call", CALL, people.DEPLOY[people.ALPHA]),
        "overlay-key": people.sign("overlay-key", OVERLAY, people.DEVICE),
        "document": people.make_head({}, 1),
    }


def refuse(envelope: Envelope, expect: Kind = "revision", held: Held | None = None) -> Denied:
    refusal = verify_envelope(envelope, held or people.hold(), expect=expect, site=people.SITE)
    assert isinstance(refusal, Denied)
    return refusal


def test_every_kind_has_a_sample_and_is_verified():
    assert samples().keys() == KINDS.keys()
    for kind, envelope in samples().items():
        verified = verify_envelope(envelope, people.hold(), expect=kind, site=people.SITE)
        assert isinstance(verified, Verified)
        assert isinstance(verified.payload, KINDS[kind].payload)
        assert verified.digest == digest_of(envelope.payload)


@pytest.mark.parametrize("kind", KINDS)
def test_every_flipped_byte_of_every_kind_is_refused(kind: Kind):
    held = people.hold()
    envelope = samples()[kind]
    for encode, decode in (
        (encode_envelope_msgpack, decode_envelope_msgpack),
        (encode_envelope_json, decode_envelope_json),
    ):
        whole = encode(envelope)
        for place in range(len(whole)):
            # A different bit in each place; over the kinds and encodings every bit of a byte has its turn.
            changed = bytearray(whole)
            changed[place] ^= 1 << (place % 8)
            read = decode(bytes(changed))
            verdict = read if isinstance(read, Denied) else verify_envelope(read, held, expect=kind, site=people.SITE)
            assert isinstance(verdict, Denied), (place, whole[place])


@given(st.binary(max_size=300))
def test_no_bytes_become_an_envelope_with_authority(content: bytes):
    for decode in (decode_envelope_msgpack, decode_envelope_json):
        read = decode(content)
        assert isinstance(read, Denied) or isinstance(
            verify_envelope(read, people.hold(), expect="revision", site=people.SITE), Denied
        )


@pytest.mark.parametrize("kind", KINDS)
def test_only_keys_of_the_kinds_role_may_sign_it(kind: Kind):
    owners = {
        "root": people.ROOT,
        "registrar": people.REGISTRAR,
        "delivery": people.DELIVERY,
        "deploy": people.DEPLOY[people.ALPHA],
        "device": people.DEVICE,
    }
    payload = samples()[kind].payload
    for role, key in owners.items():
        verdict = verify_envelope(sign_payload(kind, payload, [key]), people.hold(), expect=kind, site=people.SITE)
        assert isinstance(verdict, Verified) == (role == KINDS[kind].role)


def test_a_kind_is_never_taken_for_another():
    for kind, envelope in samples().items():
        for other in KINDS:
            if other != kind:
                assert refuse(envelope, other).code == "E-KIND"
                # Signed bytes name their kind: a relabelled envelope has no valid signature.
                relabelled = msgspec.structs.replace(envelope, type=type_of(other))
                assert refuse(relabelled, other).code in {"E-SIGNATURE", "E-KEY"}


def test_a_later_version_of_a_kind_is_refused_by_name():
    envelope = people.revise(1)
    later = msgspec.structs.replace(envelope, type="application/vnd.skerry.revision.v2+json")
    assert refuse(later).code == "E-KIND"
    denied = check_kind(later, "revision")
    assert denied is not None
    assert "revision.v2" in denied.reason


def test_a_tenant_speaks_with_its_own_key_only():
    forged = people.sign("revision", people.make_revision(1), people.DEPLOY[people.BETA])
    assert refuse(forged).security
    # A key id is a hint: claiming the right one does not help.
    hinted = msgspec.structs.replace(
        forged, signatures=(Signature(people.revise(1).signatures[0].key, forged.signatures[0].sig),)
    )
    assert refuse(hinted).code == "E-SIGNATURE"


def test_a_tenant_that_is_not_admitted_is_refused():
    record = people.make_record(tenants={people.BETA: people.role(people.DEPLOY[people.BETA])})
    assert refuse(people.revise(1), held=people.hold(record)).code == "E-KEY"
    # Also when a tenant admitted here signs in its name.
    forged = people.sign("revision", people.make_revision(1), people.DEPLOY[people.BETA])
    assert refuse(forged, held=people.hold(record)).code == "E-TENANT"
    assert refuse(people.revise(1), held=Held(root=people.make_root())).code == "E-KEY"


def both_keys() -> SiteRecord:
    return people.make_record(tenants={people.ALPHA: people.role(people.DEPLOY[people.ALPHA], SECOND, threshold=2)})


def test_thresholds_count_distinct_keys():
    held = people.hold(both_keys())
    first = people.DEPLOY[people.ALPHA]
    payload = people.make_revision(1)
    assert refuse(people.sign("revision", payload, first), held=held).code == "E-KEY"
    assert refuse(people.sign("revision", payload, first, first), held=held).code == "E-KEY"
    assert refuse(people.sign("revision", payload, first, first, first, people.ROOT), held=held).code == "E-KEY"
    both = people.sign("revision", payload, first, SECOND)
    assert isinstance(verify_envelope(both, held, expect="revision", site=people.SITE), Verified)


def test_a_bad_signature_by_a_held_key_spoils_the_good_ones_beside_it():
    good = people.revise(1)
    other = people.revise(2)
    spoiled = msgspec.structs.replace(good, signatures=(*good.signatures, *other.signatures))
    assert refuse(spoiled).code == "E-SIGNATURE"


def test_a_signature_by_a_key_not_held_is_passed_over():
    both = people.sign("revision", people.make_revision(1), SECOND, people.DEPLOY[people.ALPHA])
    assert isinstance(verify_envelope(both, people.hold(), expect="revision", site=people.SITE), Verified)


def test_nothing_is_parsed_before_it_was_verified():
    bomb = b"[" * PAYLOAD_BYTES_MAX
    assert refuse(sign_payload("revision", bomb, [people.DEVICE])).code == "E-KEY"
    assert refuse(sign_payload("revision", bomb, [people.DEPLOY[people.ALPHA]])).code == "E-PAYLOAD"


def test_what_is_meant_for_another_site_is_refused():
    other = SiteName("bergen")
    record = people.make_record(site=other)
    call = msgspec.structs.replace(CALL, site=other)
    assert refuse(people.sign("site", record, people.REGISTRAR), "site").code == "E-SITE"
    assert refuse(people.sign("call", call, people.DEPLOY[people.ALPHA]), "call").code == "E-SITE"
    assert refuse(people.make_head({}, 1, site=other), "document").code == "E-SITE"
    # The core is no site and sees all of them.
    verdict = verify_envelope(people.sign("site", record, people.REGISTRAR), people.hold(), expect="site")
    assert isinstance(verdict, Verified)


def test_floors_hold_for_single_objects():
    held = people.hold()
    newer = verify_envelope(people.revise(5), held, expect="revision", site=people.SITE)
    assert isinstance(newer, Verified)
    held = msgspec.structs.replace(held, floors=raised_floors({}, [(newer.payload, newer.digest)]))
    assert refuse(people.revise(4), held=held).code == "E-STALE"
    assert refuse(people.revise(5 + 2**20 + 1), held=held).code == "E-NUMBER"
    again = verify_envelope(people.revise(5), held, expect="revision", site=people.SITE)
    assert isinstance(again, Verified)


def test_duplicate_keys_are_refused_though_the_signature_holds():
    text = encode_payload(people.make_revision(1)).replace(b'"number":1', b'"number":1,"number":2')
    assert refuse(sign_payload("revision", text, [people.DEPLOY[people.ALPHA]])).code == "E-PAYLOAD"


def test_the_first_record_of_a_site_needs_the_registrar_alone():
    envelope = people.sign("site", people.make_record(), people.REGISTRAR)
    held = Held(root=people.make_root())
    assert isinstance(verify_envelope(envelope, held, expect="site", site=people.SITE), Verified)


def test_the_core_verifies_with_the_keys_its_tenants_registered():
    held = hold_tenants(people.make_root(), {people.ALPHA: people.role(people.DEPLOY[people.ALPHA])}, {})
    assert isinstance(verify_envelope(people.revise(1), held, expect="revision"), Verified)
    assert isinstance(verify_envelope(people.revise(1, tenant=people.BETA), held, expect="revision"), Denied)


def test_a_role_is_known_for_every_kind():
    for kind, envelope in samples().items():
        verified = verify_envelope(envelope, people.hold(), expect=kind)
        assert isinstance(verified, Verified)
        assert isinstance(role_of(verified.payload, people.hold()), RoleKeys)
    assert isinstance(role_of(people.EVERYWHERE, people.hold()), Denied)


def pin_of(envelope: Envelope) -> bytes:
    return hashlib.sha256(envelope.payload).digest()[:ROOT_PIN_BYTES]


def test_a_root_is_pinned_by_the_digest_in_the_token():
    envelope = samples()["root"]
    verified = verify_pinned_root(envelope, pin_of(envelope))
    assert isinstance(verified, Verified)
    assert verified.payload == people.make_root()


def test_another_cores_root_is_refused_whatever_its_signatures_say():
    mine, theirs = samples()["root"], msgspec.structs.replace(people.make_root(), root=people.role(SECOND))
    other = people.sign("root", theirs, SECOND)
    assert isinstance(verify_pinned_root(other, pin_of(mine)), Denied)
    assert isinstance(verify_pinned_root(mine, pin_of(mine)[:-1]), Denied)
    assert isinstance(verify_pinned_root(mine, b""), Denied)
    # The right bytes without the root key's signature: somebody copied a document that they do not own.
    copied = sign_payload("root", mine.payload, [SECOND])
    assert isinstance(verify_pinned_root(copied, pin_of(copied)), Denied)
    malformed = msgspec.structs.replace(mine, signatures=(Signature(KeyId("x"), b""),))
    assert isinstance(verify_pinned_root(malformed, pin_of(malformed)), Denied)
    garbage = sign_payload("root", b"{}", [people.ROOT])
    assert isinstance(verify_pinned_root(garbage, pin_of(garbage)), Denied)
