from pathlib import Path

import msgspec
import pytest
from tests.signer import office
from tests.signer.office import StillClock, expect_signed, give_root, mint, open_desk
from tests.trust import people

from skerry.keys.keyring import FIRST_TENANT
from skerry.model.geography import Region
from skerry.model.ids import NodeName, SecretName, SiteName, TenantName
from skerry.model.signed import Area, Call, RoleKeys, Root, SiteRecord, UserGroup
from skerry.model.signing import (
    Answer,
    BackedUp,
    BackUpKeys,
    KeepAccepted,
    LineState,
    MakeRoot,
    MakeTenant,
    Minted,
    MintToken,
    ReadLine,
    ReadStatus,
    RecoverKeys,
    Refusal,
    SignArea,
    SignCall,
    SignerStatus,
    SignRevision,
    SignSecret,
    SignSite,
    SignTombstone,
    SignUserGroup,
)
from skerry.signer.chores import vouch
from skerry.signer.desk import NOTES_MAX, SignerDesk
from skerry.trust.envelope import encode_payload
from skerry.trust.held import Held, Verified, hold_tenants
from skerry.trust.join import JoinToken, core_key, parse_token
from skerry.trust.keys import key_id, trust_domain
from skerry.trust.parse import parse_payload
from skerry.trust.seal import seal_secret
from skerry.trust.verdict import Denied
from skerry.trust.verify import verify_envelope, verify_pinned_root


@pytest.fixture
def desk(tmp_path: Path) -> SignerDesk:
    desk = open_desk(tmp_path)
    give_root(desk)
    return desk


def hold(desk: SignerDesk) -> Held:
    """What a site holds that trusts this signer."""
    root = desk.keyring.root_document
    assert root is not None
    read = parse_payload(root.payload, Root)
    assert isinstance(read, Root)
    tenants = {tenant: RoleKeys(keys=(key.public,)) for tenant, key in desk.keyring.deploy.items()}
    return hold_tenants(read, tenants, {})


def refused(answer: Answer) -> str:
    assert isinstance(answer, Refusal), answer
    return answer.code


def revision(number: int = 1, tag: str = "", tenant: TenantName = FIRST_TENANT) -> bytes:
    return encode_payload(people.make_revision(number, tenant=tenant, tag=tag))


def test_the_root_document_is_signed_once(tmp_path: Path):
    desk = open_desk(tmp_path)
    envelope = give_root(desk)
    token = mint(desk)
    assert isinstance(verify_pinned_root(envelope, token.root_pin), Verified)
    # The same question has the same answer, also after a restart; another core needs another keyring.
    assert give_root(desk) == envelope
    assert give_root(open_desk(tmp_path)) == envelope
    other = MakeRoot(delivery=people.key("other").public, delivery_ca=b"der", endpoints=("core:443",))
    assert refused(desk.answer(other)) == "E-NOT-YET"


def test_a_root_document_that_no_site_would_take_is_not_signed(tmp_path: Path):
    desk = open_desk(tmp_path)
    bad = MakeRoot(delivery=desk.sealing, delivery_ca=b"", endpoints=())
    assert refused(desk.answer(bad)) == "E-PAYLOAD"
    assert desk.keyring.root_document is None


def test_status_shows_what_is_held_and_no_secret(desk: SignerDesk):
    status = desk.answer(ReadStatus())
    assert isinstance(status, SignerStatus)
    assert status.root is not None
    assert status.trust_domain == trust_domain(status.root.payload)
    assert status.tenants == {FIRST_TENANT: RoleKeys(keys=(desk.keyring.deploy[FIRST_TENANT].public,))}
    assert status.sealing == desk.sealing
    shown = msgspec.json.encode(status)
    assert msgspec.json.encode(desk.keyring.sealing_seed)[1:-1] not in shown


def test_a_revision_is_signed_as_the_bytes_that_were_given(desk: SignerDesk):
    payload = revision()
    envelope = expect_signed(desk.answer(SignRevision(payload=payload)))
    assert envelope.payload == payload
    assert isinstance(verify_envelope(envelope, hold(desk), expect="revision"), Verified)


def test_what_a_site_would_refuse_is_refused_at_once(desk: SignerDesk):
    good = revision()
    for payload, code in (
        (b"", "E-PAYLOAD"),
        (good.replace(b'"number":1', b'"number":1,"number":1'), "E-PAYLOAD"),
        (good.replace(b'"profile"', b'"privileged":1,"profile"'), "E-PAYLOAD"),
        (encode_payload(people.make_record()), "E-PAYLOAD"),
        (revision(2**20 + 1), "E-NUMBER"),
        (revision(tenant=people.ALPHA), "E-KEY"),
    ):
        assert refused(desk.answer(SignRevision(payload=payload))) == code
    assert desk.ledger.floors.keys() == set()


def test_numbers_that_were_signed_are_remembered(desk: SignerDesk, tmp_path: Path):
    expect_signed(desk.answer(SignRevision(payload=revision(5))))
    again = open_desk(tmp_path)
    assert refused(again.answer(SignRevision(payload=revision(4)))) == "E-STALE"
    expect_signed(again.answer(SignRevision(payload=revision(5))))
    # The core refused what was signed last: the person mends it and signs the same number again.
    expect_signed(again.answer(SignRevision(payload=revision(5, "mended"))))
    expect_signed(again.answer(SignRevision(payload=revision(6))))
    assert refused(again.answer(SignRevision(payload=revision(5)))) == "E-STALE"


def test_tombstones_and_calls_are_signed_for_tenants_that_are_held(desk: SignerDesk):
    tombstone = people.make_tombstone(2, tenant=FIRST_TENANT)
    envelope = expect_signed(desk.answer(SignTombstone(payload=encode_payload(tombstone))))
    assert isinstance(verify_envelope(envelope, hold(desk), expect="tombstone"), Verified)
    assert refused(desk.answer(SignRevision(payload=revision(1)))) == "E-STALE"
    call = Call(
        tenant=FIRST_TENANT,
        site=people.SITE,
        node=people.NODE,
        nonce=b"n",
        verb="exec",
        app=people.SHOP,
        service=people.WEB,
        argv=("ls",),
    )
    envelope = expect_signed(desk.answer(SignCall(payload=encode_payload(call))))
    assert isinstance(verify_envelope(envelope, hold(desk), expect="call"), Verified)
    foreign = msgspec.structs.replace(call, tenant=people.BETA)
    assert refused(desk.answer(SignCall(payload=encode_payload(foreign)))) == "E-KEY"
    foreign_grave = people.make_tombstone(1, tenant=people.BETA)
    assert refused(desk.answer(SignTombstone(payload=encode_payload(foreign_grave)))) == "E-KEY"


def test_a_second_tenant_gets_a_key_of_its_own(desk: SignerDesk, tmp_path: Path):
    status = desk.answer(MakeTenant(tenant=people.BETA))
    assert isinstance(status, SignerStatus)
    assert status.tenants.keys() == {FIRST_TENANT, people.BETA}
    assert status.tenants[people.BETA] != status.tenants[FIRST_TENANT]
    envelope = expect_signed(desk.answer(SignRevision(payload=revision(tenant=people.BETA))))
    assert isinstance(verify_envelope(envelope, hold(desk), expect="revision"), Verified)
    again = open_desk(tmp_path).answer(MakeTenant(tenant=people.BETA))
    assert isinstance(again, SignerStatus)
    assert again.tenants == status.tenants
    assert refused(desk.answer(MakeTenant(tenant=TenantName("../x")))) == "E-NAME"


def test_a_secret_is_kept_when_the_signer_may_open_it(desk: SignerDesk):
    for number, recipients, kept in ((1, [], 0), (2, [desk.sealing], 1)):
        secret = seal_secret(
            b"hush",
            tenant=FIRST_TENANT,
            name=SecretName("till-key"),
            number=number,
            recipients=recipients,
            mint=desk.mint,
        )
        envelope = expect_signed(desk.answer(SignSecret(payload=encode_payload(secret))))
        assert isinstance(verify_envelope(envelope, hold(desk), expect="secret"), Verified)
        assert len(desk.ledger.secrets) == kept
        assert (key_id(desk.sealing) in secret.boxes) == bool(kept)


# --- sites -----------------------------------------------------------------------------------------------------------


def read_record(answer: Answer) -> SiteRecord:
    record = parse_payload(expect_signed(answer).payload, SiteRecord)
    assert isinstance(record, SiteRecord)
    return record


OSLO = SiteName("oslo")


def test_a_new_site_admits_the_tenants_that_are_held(desk: SignerDesk):
    answer = desk.answer(SignSite(site=OSLO, number=1, labels={"tier": "store"}, country="NO"))
    record = read_record(answer)
    assert record.labels == {"tier": "store"}
    assert record.tenants.keys() == {FIRST_TENANT}
    assert record.nodes == {}
    assert isinstance(verify_envelope(expect_signed(answer), hold(desk), expect="site", site=OSLO), Verified)


def test_a_change_keeps_what_it_does_not_speak_of(desk: SignerDesk, tmp_path: Path):
    desk.answer(SignSite(site=OSLO, number=1, labels={"tier": "store"}, region="north", latitude_udeg=59_900_000))
    joined = vouch(desk, office.knock(mint(desk), record_number=1))
    assert not isinstance(joined, Denied)
    record = read_record(open_desk(tmp_path).answer(SignSite(site=OSLO, number=3, country="NO")))
    assert record.labels == {"tier": "store"}
    assert (record.region, record.country, record.latitude_udeg) == ("north", "NO", 59_900_000)
    assert record.nodes.keys() == {"one"}
    left = read_record(desk.answer(SignSite(site=OSLO, number=4, remove_nodes=(NodeName("one"),))))
    assert left.nodes == {}


def test_a_record_of_a_lower_number_or_without_sense_is_not_signed(desk: SignerDesk):
    desk.answer(SignSite(site=OSLO, number=4))
    assert refused(desk.answer(SignSite(site=OSLO, number=3))) == "E-STALE"
    assert refused(desk.answer(SignSite(site=OSLO, number=2**30))) == "E-NUMBER"
    assert refused(desk.answer(SignSite(site=SiteName("a b"), number=1))) == "E-PAYLOAD"
    assert refused(desk.answer(SignSite(site=OSLO, number=5, tenants={people.BETA: RoleKeys(keys=())}))) == "E-PAYLOAD"
    assert read_record(desk.answer(SignSite(site=OSLO, number=5))).number == 5


def test_a_signer_that_lost_its_memory_goes_on_from_its_own_signature(desk: SignerDesk):
    envelope = expect_signed(desk.answer(SignSite(site=OSLO, number=1, labels={"tier": "store"})))
    desk.ledger.records.clear()
    record = read_record(desk.answer(SignSite(site=OSLO, number=2, base=envelope, country="NO")))
    assert record.labels == {"tier": "store"}
    # A record that the core made itself is no base.
    desk.ledger.records.clear()
    forged = people.sign("site", people.make_record(), people.DELIVERY)
    assert refused(desk.answer(SignSite(site=OSLO, number=3, base=forged))) == "E-KEY"


# --- join tokens -----------------------------------------------------------------------------------------------------


def test_a_minted_token_pins_the_root_and_the_core_gets_its_half(desk: SignerDesk):
    answer = desk.answer(MintToken(site=OSLO))
    assert isinstance(answer, Minted)
    token = parse_token(answer.token)
    assert isinstance(token, JoinToken)
    assert answer.core_key == core_key(token)
    assert answer.token_id == token.id
    assert desk.ledger.tokens[token.id].site == OSLO
    root = desk.keyring.root_document
    assert root is not None
    assert isinstance(verify_pinned_root(root, token.root_pin), Verified)


def test_tokens_have_limits(tmp_path: Path, desk: SignerDesk):
    for lifetime_s in (0, 59, 30 * 86_400 + 1):
        assert refused(desk.answer(MintToken(site=OSLO, lifetime_s=lifetime_s))) == "E-LIMIT"
    assert refused(desk.answer(MintToken(site=SiteName("../x")))) == "E-NAME"
    assert refused(open_desk(tmp_path / "new").answer(MintToken(site=OSLO))) == "E-KEY"


def test_open_tokens_are_counted(tmp_path: Path):
    clock = StillClock()
    desk = open_desk(tmp_path, clock)
    give_root(desk)
    mint(desk)
    mint(desk, lifetime_s=60)
    clock.now_us += 61_000_000
    status = desk.answer(ReadStatus())
    assert isinstance(status, SignerStatus)
    assert status.tokens == 1


def test_notes_are_the_newest_ones_and_do_not_repeat(desk: SignerDesk):
    for number in range(2 * NOTES_MAX):
        desk.note(f"note {number}")
        desk.note(f"note {number}")
    assert len(desk.notes) == NOTES_MAX
    assert desk.notes[-1] == f"note {2 * NOTES_MAX - 1}"


def test_an_accepted_number_is_not_signed_with_other_words(desk: SignerDesk, tmp_path: Path):
    """What was signed and never accepted may be signed anew; what a core has accepted may be at sites."""
    first = expect_signed(desk.answer(SignRevision(payload=revision(1))))
    expect_signed(desk.answer(SignRevision(payload=revision(1, tag="other"))))
    expect_signed(desk.answer(KeepAccepted(envelope=first)))
    again = open_desk(tmp_path)
    assert refused(again.answer(SignRevision(payload=revision(1, tag="other")))) == "E-FORK"
    assert expect_signed(again.answer(SignRevision(payload=revision(1)))) == first
    stone = people.make_tombstone(1, tenant=FIRST_TENANT)
    assert refused(again.answer(SignTombstone(payload=encode_payload(stone)))) == "E-FORK"


def test_a_line_says_what_was_signed_and_accepted(desk: SignerDesk):
    app = people.make_revision(1).app
    ask = ReadLine(tenant=FIRST_TENANT, app=app, number=2)
    assert desk.answer(ask) == LineState(signed=0, accepted=0)
    expect_signed(desk.answer(SignRevision(payload=revision(1))))
    stone = encode_payload(people.make_tombstone(2, tenant=FIRST_TENANT))
    end = expect_signed(desk.answer(SignTombstone(payload=stone)))
    assert desk.answer(ask) == LineState(signed=2, accepted=0)
    desk.answer(KeepAccepted(envelope=end))
    assert desk.answer(ask) == LineState(signed=2, accepted=2, envelope=end)
    assert desk.answer(ReadLine(tenant=FIRST_TENANT, app=app)) == LineState(signed=2, accepted=2)
    assert desk.answer(ReadLine(tenant=FIRST_TENANT, secret=SecretName("x"))) == LineState(signed=0, accepted=0)
    assert refused(desk.answer(ReadLine(tenant=FIRST_TENANT))) == "E-NAME"
    assert refused(desk.answer(ReadLine(tenant=FIRST_TENANT, area="../x"))) == "E-NAME"
    assert refused(desk.answer(ReadLine(tenant=TenantName("../x"), app=app))) == "E-NAME"


def test_areas_and_groups_of_users_have_lines_of_their_own(desk: SignerDesk):
    area = Area(tenant=FIRST_TENANT, name="nordics", number=3, region=Region(countries=("NO",)))
    group = UserGroup(tenant=FIRST_TENANT, name="nordics", number=5, points=((1, 2, 3),))
    signed = expect_signed(desk.answer(SignArea(payload=encode_payload(area))))
    verified = verify_envelope(signed, hold(desk), expect="area")
    assert isinstance(verified, Verified)
    assert verified.payload == area
    expect_signed(desk.answer(SignUserGroup(payload=encode_payload(group))))
    lines = [ReadLine(tenant=FIRST_TENANT, area="nordics"), ReadLine(tenant=FIRST_TENANT, user_group="nordics")]
    assert list(map(desk.answer, lines)) == [LineState(signed=3, accepted=0), LineState(signed=5, accepted=0)]
    older = msgspec.structs.replace(area, number=2)
    assert refused(desk.answer(SignArea(payload=encode_payload(older)))) == "E-STALE"
    empty = msgspec.structs.replace(area, number=4, region=Region())
    assert refused(desk.answer(SignArea(payload=encode_payload(empty)))) == "E-PAYLOAD"


def test_only_what_this_signer_signed_is_kept_as_accepted(desk: SignerDesk):
    ours = expect_signed(desk.answer(SignRevision(payload=revision(1))))
    changed = msgspec.structs.replace(ours, payload=revision(1, tag="other"))
    assert refused(desk.answer(KeepAccepted(envelope=changed))) == "E-KEY"
    foreign = people.sign("revision", people.make_revision(1, tenant=people.ALPHA), people.key("deploy"))
    assert refused(desk.answer(KeepAccepted(envelope=foreign))) == "E-KEY"
    assert refused(desk.answer(KeepAccepted(envelope=desk.keyring.root_document))) == "E-KIND"
    assert refused(desk.answer(KeepAccepted(envelope=msgspec.structs.replace(ours, payload=b"")))) == "E-PAYLOAD"


PASSPHRASE = b"correct horse battery"


def test_a_new_signer_takes_a_backup_and_signs_as_the_old_one_did(desk: SignerDesk, tmp_path: Path):
    desk.answer(MakeTenant(tenant=TenantName("beta")))
    made = desk.answer(BackUpKeys(passphrase=PASSPHRASE))
    assert isinstance(made, BackedUp)
    fresh = open_desk(tmp_path / "fresh", seed="other")
    assert fresh.keyring.root.public != desk.keyring.root.public
    wrong = fresh.answer(RecoverKeys(content=made.content, passphrase=b"another passphrase"))
    assert isinstance(wrong, Refusal)
    assert wrong.code == "E-BACKUP"
    taken = fresh.answer(RecoverKeys(content=made.content, passphrase=PASSPHRASE))
    assert isinstance(taken, SignerStatus)
    was = desk.answer(ReadStatus())
    assert isinstance(was, SignerStatus)
    assert (taken.trust_domain, taken.tenants, taken.sealing) == (was.trust_domain, was.tenants, was.sealing)
    again = open_desk(tmp_path / "fresh", seed="third")
    assert again.keyring.root.public == desk.keyring.root.public
    assert again.keyring.registrar.public == desk.keyring.registrar.public
    assert set(again.keyring.deploy) == set(desk.keyring.deploy)


def test_a_signer_that_has_signed_keeps_its_own_keys(desk: SignerDesk, tmp_path: Path):
    made = desk.answer(BackUpKeys(passphrase=PASSPHRASE))
    assert isinstance(made, BackedUp)
    other = open_desk(tmp_path / "other", seed="other")
    give_root(other)
    before = other.keyring.root.public
    refused = other.answer(RecoverKeys(content=made.content, passphrase=PASSPHRASE))
    assert isinstance(refused, Refusal)
    assert refused.code == "E-EXISTS"
    assert other.keyring.root.public == before


def test_nothing_is_backed_up_weakly_or_before_it_is_worth_it(desk: SignerDesk, tmp_path: Path):
    short = desk.answer(BackUpKeys(passphrase=b"short"))
    assert isinstance(short, Refusal)
    assert short.code == "E-PASSPHRASE"
    early = open_desk(tmp_path / "early", seed="early").answer(BackUpKeys(passphrase=PASSPHRASE))
    assert isinstance(early, Refusal)
    assert early.code == "E-NO-ROOT"
