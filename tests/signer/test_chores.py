"""T6: a hostile core in the join; a record is signed for the box that holds the token, or for nobody."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.signer.office import Core, StillClock, expect_signed, give_root, knock, mint, open_desk
from tests.trust import people

from skerry.keys.keyring import FIRST_TENANT
from skerry.model.app import Sites
from skerry.model.ids import SecretName, SiteName
from skerry.model.signed import Secret, SiteRecord
from skerry.model.signing import SignSecret, SignSite
from skerry.signer.chores import Chores, seal_again, vouch
from skerry.signer.desk import SignerDesk
from skerry.trust.envelope import encode_payload
from skerry.trust.join import JoinToken
from skerry.trust.seal import open_secret, seal_secret, sealing_public
from skerry.trust.verdict import Denied

OSLO = SiteName("oslo")


@pytest.fixture
def desk(tmp_path: Path) -> SignerDesk:
    desk = open_desk(tmp_path)
    give_root(desk)
    return desk


def expect_vouched(desk: SignerDesk, view: Any) -> SiteRecord:
    vouched = vouch(desk, view)
    assert isinstance(vouched, tuple), vouched
    return vouched[0]


def test_a_box_that_holds_the_token_becomes_part_of_the_site(desk: SignerDesk):
    token = mint(desk)
    record = expect_vouched(desk, knock(token))
    assert record.number == 1
    assert record.nodes["one"].device == people.DEVICE.public  # type: ignore[index]
    assert record.nodes["one"].sealing == sealing_public(people.seed("one"))  # type: ignore[index]
    assert record.tenants.keys() == {FIRST_TENANT}
    assert desk.ledger.tokens[token.id].device == people.DEVICE.public


def test_a_second_box_is_merged_into_the_present_record(desk: SignerDesk):
    desk.answer(SignSite(site=OSLO, number=1, labels={"tier": "store"}))
    expect_vouched(desk, knock(mint(desk), record_number=1))
    record = expect_vouched(desk, knock(mint(desk), node="two", device=people.key("two"), record_number=2))
    assert record.number == 3
    assert record.nodes.keys() == {"one", "two"}
    assert record.labels == {"tier": "store"}


def test_asking_again_gives_the_same_record(desk: SignerDesk, tmp_path: Path):
    token = mint(desk)
    first = vouch(desk, knock(token))
    assert vouch(desk, knock(token, request="r2", record_number=1)) == first
    assert vouch(open_desk(tmp_path), knock(token, record_number=1)) == first


@pytest.mark.parametrize(
    "swap",
    [
        {"device": people.key("core's own").public},
        {"sealing": sealing_public(people.seed("core's own"))},
        {"node": "two"},
        {"mac_bind": bytes(32)},
        {"proof": bytes(64)},
        {"nonce": bytes(32)},
        {"server_digest": bytes(32)},
    ],
)
def test_whatever_the_core_swaps_nothing_is_signed(desk: SignerDesk, swap: dict[str, Any]):
    denied = vouch(desk, msgspec.structs.replace(knock(mint(desk)), **swap))
    assert isinstance(denied, Denied)
    assert desk.ledger.records == {}
    assert all(token.device is None for token in desk.ledger.tokens.values())


def test_keys_of_the_cores_own_under_a_guessed_secret_are_not_signed(desk: SignerDesk):
    token = mint(desk)
    guess = JoinToken(token.id, b"x" * 16, token.root_pin)
    assert isinstance(vouch(desk, knock(guess, device=people.key("core's own"))), Denied)


def test_a_token_serves_one_box(desk: SignerDesk):
    token = mint(desk)
    expect_vouched(desk, knock(token))
    other = vouch(desk, knock(token, node="two", device=people.key("two"), record_number=1))
    assert isinstance(other, Denied)
    assert other.reason == "the join token was used by another box"


def test_a_token_serves_its_site_and_its_time(tmp_path: Path):
    clock = StillClock()
    desk = open_desk(tmp_path, clock)
    give_root(desk)
    token, used = mint(desk), mint(desk, "bergen")
    elsewhere = vouch(desk, knock(token, site="bergen"))
    assert isinstance(elsewhere, Denied)
    assert "for site oslo" in elsewhere.reason
    expect_vouched(desk, knock(used, site="bergen"))
    clock.now_us += 3_601_000_000
    late = vouch(desk, knock(token))
    assert isinstance(late, Denied)
    assert "expired" in late.reason
    # A box that was in time asks again after a lost answer.
    expect_vouched(desk, knock(used, site="bergen", record_number=1))


def test_a_token_of_another_signer_is_left_to_it(desk: SignerDesk, tmp_path: Path):
    other = open_desk(tmp_path / "other", seed="other")
    give_root(other)
    assert vouch(desk, knock(mint(other))) is None


def test_a_name_or_a_box_that_is_there_already_does_not_join_again(desk: SignerDesk):
    expect_vouched(desk, knock(mint(desk)))
    taken = vouch(desk, knock(mint(desk), device=people.key("two"), record_number=1))
    assert isinstance(taken, Denied)
    assert "choose another name" in taken.reason
    same = vouch(desk, knock(mint(desk), node="two", record_number=1))
    assert isinstance(same, Denied)
    assert "is node one" in same.reason


def test_a_sealing_key_that_anybody_could_open_is_refused(desk: SignerDesk):
    hollow = msgspec.structs.replace(sealing_public(people.seed("x")), key=bytes(32))
    assert isinstance(vouch(desk, knock(mint(desk), sealing=hollow)), Denied)


def test_numbers_the_core_makes_up_do_not_lead_back(desk: SignerDesk):
    desk.answer(SignSite(site=OSLO, number=4))
    for record_number in (0, 2, 2**30):
        denied = vouch(desk, knock(mint(desk), record_number=record_number))
        assert isinstance(denied, Denied)
        assert denied.code in {"E-STALE", "E-NUMBER"}
    assert expect_vouched(desk, knock(mint(desk), record_number=4)).number == 5


# --- the round -------------------------------------------------------------------------------------------------------


async def test_a_round_settles_every_request_by_itself(desk: SignerDesk):
    core = Core()
    token = mint(desk)
    forged = knock(mint(desk), node="evil", request="r-evil", mac_bind=bytes(32))
    done = knock(mint(desk), node="done", request="r-done", state="joined")
    behind = knock(mint(desk, "bergen"), site="bergen", request="r-behind")
    desk.answer(SignSite(site=SiteName("bergen"), number=7))
    core.requests = [forged, done, behind, knock(token)]
    await Chores(desk, core).do_once()
    assert core.rejected == {"r-evil": "the keys in the request are not those of the token's holder"}
    assert [record.nodes.keys() for record in core.records] == [{"one"}]
    assert any("node one of site oslo has joined" in note for note in desk.notes)
    assert any("numbers do not fit" in note for note in desk.notes)


async def test_a_core_that_is_away_is_asked_again(desk: SignerDesk):
    core = Core()
    core.requests = [knock(mint(desk))]
    chores = Chores(desk, core)
    core.away = True
    await chores.do_once()
    assert "the core is away" in desk.notes[-1]
    core.away, core.conflict = False, True
    await chores.do_once()
    assert "did not take the answer" in desk.notes[-1]
    core.conflict = False
    await chores.do_once()
    # What was signed in the round before is handed in, not signed anew.
    assert [record.number for record in core.records] == [1]


# --- sealing again ---------------------------------------------------------------------------------------------------


def set_secret(desk: SignerDesk, number: int = 1, sites: Sites | None = None) -> Secret:
    secret = seal_secret(
        b"hush",
        tenant=FIRST_TENANT,
        name=SecretName("till-key"),
        number=number,
        recipients=[desk.sealing],
        mint=desk.mint,
    )
    expect_signed(desk.answer(SignSecret(payload=encode_payload(secret), sites=sites or Sites())))
    return secret


async def test_a_secret_is_sealed_again_for_a_node_that_joins_later(desk: SignerDesk):
    core = Core()
    chores = Chores(desk, core)
    set_secret(desk)
    await chores.do_once()
    assert core.secrets == []
    core.requests = [knock(mint(desk))]
    await chores.do_once()
    core.requests = []
    assert [secret.number for secret in core.secrets] == [2]
    assert open_secret(core.secrets[0], people.seed("one")) == b"hush"
    # A further node: the next version opens for both, and for the signer.
    core.requests = [knock(mint(desk), node="two", device=people.key("two"), record_number=1)]
    await chores.do_once()
    await chores.do_once()
    assert [secret.number for secret in core.secrets] == [2, 3]
    for opener in (people.seed("one"), people.seed("two"), desk.keyring.sealing_seed):
        assert open_secret(core.secrets[1], opener) == b"hush"


async def test_a_secret_is_not_sealed_for_sites_it_is_not_meant_for(desk: SignerDesk):
    core = Core()
    set_secret(desk, sites=Sites(match=("tier=store",)))
    desk.answer(SignSite(site=OSLO, number=1, labels={"tier": "depot"}))
    desk.answer(SignSite(site=SiteName("bergen"), number=1, labels={"tier": "store"}, tenants={}))
    core.requests = [
        knock(mint(desk), record_number=1),
        knock(mint(desk, "bergen"), site="bergen", node="two", device=people.key("two"), record_number=1),
    ]
    await Chores(desk, core).do_once()
    assert len(core.records) == 2
    assert core.secrets == []


async def test_sealing_again_waits_for_the_core_and_yields_to_whoever_was_faster(desk: SignerDesk, tmp_path: Path):
    core = Core()
    chores = Chores(desk, core)
    set_secret(desk)
    expect_vouched(desk, knock(mint(desk)))
    core.away = True
    await chores.do_once()
    core.away = False
    line = f"secret/{FIRST_TENANT}/till-key"
    assert desk.ledger.floors[line].number == 1
    core.conflict = True
    await chores.do_once()
    assert "was not sealed again" in desk.notes[-1]
    core.conflict = False
    await Chores(open_desk(tmp_path), core).do_once()
    assert core.secrets == []
    # Setting it anew makes it the signer's again.
    set_secret(desk, number=2)
    await chores.do_once()
    assert [secret.number for secret in core.secrets] == [3]


def test_nothing_is_sealed_again_by_whoever_cannot_open_it(desk: SignerDesk):
    set_secret(desk)
    expect_vouched(desk, knock(mint(desk)))
    line = f"secret/{FIRST_TENANT}/till-key"
    assert seal_again(desk, line) is not None
    kept = desk.ledger.secrets[line]
    secret = msgspec.json.decode(kept.envelope.payload, type=Secret)
    spoiled = msgspec.structs.replace(secret, content=b"x" * 60)
    envelope = msgspec.structs.replace(kept.envelope, payload=encode_payload(spoiled))
    desk.ledger.secrets[line] = msgspec.structs.replace(kept, envelope=envelope)
    assert seal_again(desk, line) is None
