from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.trust import people

from skerry.clock import SeededMint
from skerry.model.ids import NodeName, SiteName, TokenId
from skerry.model.signed import PublicKey
from skerry.trust.join import (
    TOKEN_LIFETIME_S,
    TOKEN_LIFETIME_S_MAX,
    CoreToken,
    JoinToken,
    Session,
    admit_join,
    bind_key,
    core_key,
    join_transcript,
    make_join_request,
    mint_token,
    parse_token,
    vouch_join,
    write_token,
)
from skerry.trust.keys import SigningKey, device_message
from skerry.trust.seal import sealing_public
from skerry.trust.verdict import Denied
from skerry.trust.verify import verify_pinned_root
from skerry.wire import JoinRequest

ROOT = people.sign("root", people.make_root(), people.ROOT)
TOKEN = mint_token(SeededMint("token"), ROOT.payload)
SESSION = Session(nonce=b"n" * 32, server_digest=b"s" * 32)
SEALING = sealing_public(people.SEALING_SEED)
NOW_US = 1_000_000_000
KEPT = CoreToken(id=TOKEN.id, site=people.SITE, core_key=core_key(TOKEN), expires_us=NOW_US + 3_600_000_000)


def ask(
    *,
    token: JoinToken = TOKEN,
    device: SigningKey = people.DEVICE,
    sealing: PublicKey = SEALING,
    session: Session = SESSION,
    node: str = people.NODE,
    site: str = people.SITE,
) -> JoinRequest:
    names: dict[str, Any] = {"site": SiteName(site), "node": NodeName(node)}
    keys: dict[str, Any] = {"device": device.public, "sealing": sealing}
    transcript = join_transcript(session, token_id=token.id, **names, **keys)
    return make_join_request(token, transcript, device.sign(device_message("join", transcript)), **names, **keys)


def admit(request: JoinRequest, token: CoreToken | None = KEPT, now_us: int = NOW_US) -> CoreToken | Denied:
    return admit_join(token, request, SESSION, now_us)


def test_a_tokens_text_has_the_published_form():
    text = write_token(TOKEN)
    assert [len(part) for part in text.split(".")] == [4, 8, 26, 32]
    assert text.startswith("skj1.")
    assert text == text.lower()
    assert parse_token(text) == TOKEN
    assert parse_token(f"  {text}\n") == TOKEN


@given(st.binary(min_size=5, max_size=5), st.binary(min_size=16, max_size=16), st.binary(min_size=20, max_size=20))
def test_every_token_survives_its_text(identity: bytes, secret: bytes, pin: bytes):
    class Fixed:
        def __init__(self) -> None:
            self.left = [identity, secret]

        def draw(self, count: int) -> bytes:
            return self.left.pop(0)[:count]

    token = msgspec.structs.replace(mint_token(Fixed(), b""), root_pin=pin)
    assert parse_token(write_token(token)) == token


def test_a_damaged_token_is_refused_with_words():
    text = write_token(TOKEN)
    for damaged in ("", "skj1", text[:-1], text + "a", text.replace("skj1", "skj2"), text.upper(), "skj1...", text * 9):
        denied = parse_token(damaged)
        assert isinstance(denied, Denied)
        assert denied.code == "E-TOKEN"
    # The last letter of the secret has two loose bits: only one text is the token.
    head, secret, pin = text.rsplit(".", 2)
    loose = secret[:-1] + ("b" if secret[-1] == "a" else chr(ord(secret[-1]) + 1))
    assert isinstance(parse_token(".".join((head, loose, pin))), Denied)


def test_a_token_is_not_printed():
    assert TOKEN.secret.hex() not in repr(TOKEN)
    assert repr(TOKEN) == f"JoinToken({TOKEN.id})"


def test_a_token_pins_the_root_of_the_operator_who_minted_it():
    assert not isinstance(verify_pinned_root(ROOT, TOKEN.root_pin), Denied)
    other = people.sign("root", msgspec.structs.replace(people.make_root(), endpoints=("evil:1",)), people.ROOT)
    assert isinstance(verify_pinned_root(other, TOKEN.root_pin), Denied)


def test_what_the_core_keeps_says_nothing_of_what_the_signer_keeps():
    assert core_key(TOKEN) != bind_key(TOKEN)
    assert TOKEN.secret not in (core_key(TOKEN)[:16], bind_key(TOKEN)[:16])
    assert 0 < TOKEN_LIFETIME_S < TOKEN_LIFETIME_S_MAX


def test_core_and_signer_accept_an_honest_request():
    burnt = admit(ask())
    assert isinstance(burnt, CoreToken)
    assert burnt.device == people.DEVICE.public
    assert vouch_join(bind_key(TOKEN), ask(), SESSION) is None


def test_a_token_is_burnt_for_one_device_which_may_ask_again():
    burnt = admit(ask())
    assert isinstance(burnt, CoreToken)
    assert admit(ask(), burnt) == burnt
    # The same box asks again after a lost answer, also later than the token's end and over another connection.
    assert admit(ask(), burnt, KEPT.expires_us + 1) == burnt
    other = admit(ask(device=people.key("thief")), burnt)
    assert isinstance(other, Denied)
    assert other.security


def test_an_expired_token_admits_nobody_new():
    assert isinstance(admit(ask(), KEPT, KEPT.expires_us), CoreToken)
    denied = admit(ask(), KEPT, KEPT.expires_us + 1)
    assert isinstance(denied, Denied)
    assert "expired" in denied.reason


def test_a_guessed_token_is_refused_in_the_words_for_a_missing_one():
    guess = JoinToken(TOKEN.id, b"x" * 16, TOKEN.root_pin)
    words = {
        admit(ask(token=guess)),
        admit(ask(), None),
        admit(ask(site="bergen")),
        admit(ask(token=JoinToken(TokenId("aaaaaaaa"), b"x" * 16, TOKEN.root_pin)), None),
        admit(msgspec.structs.replace(ask(), mac_core=b"")),
    }
    assert len(words) == 1


@pytest.mark.parametrize(
    "swap",
    [
        {"device": people.key("core's own").public},
        {"sealing": sealing_public(people.seed("core's own"))},
        {"node": NodeName("two")},
        {"site": SiteName("bergen")},
        {"token_id": "aaaaaaaa"},
        {"mac_bind": b"x" * 32},
        {"mac_bind": ask().mac_core},
        {"proof": b"x" * 64},
    ],
)
def test_whatever_a_hostile_core_swaps_the_signer_does_not_vouch(swap: dict[str, Any]):
    changed = msgspec.structs.replace(ask(), **swap)
    assert isinstance(vouch_join(bind_key(TOKEN), changed, SESSION), Denied)


def test_a_core_cannot_vouch_for_keys_of_its_own_with_what_it_holds():
    own = people.key("core's own")
    request = ask(device=own)
    transcript = join_transcript(
        SESSION, site=people.SITE, node=people.NODE, token_id=TOKEN.id, device=own.public, sealing=SEALING
    )
    # The core knows its key only, so it makes both MACs with that one.
    guess = JoinToken(TOKEN.id, core_key(TOKEN)[:16], TOKEN.root_pin)
    forged = make_join_request(
        guess, transcript, request.proof, site=people.SITE, node=people.NODE, device=own.public, sealing=SEALING
    )
    assert isinstance(vouch_join(bind_key(TOKEN), forged, SESSION), Denied)
    replayed = msgspec.structs.replace(request, mac_bind=ask().mac_bind)
    assert isinstance(vouch_join(bind_key(TOKEN), replayed, SESSION), Denied)


def test_a_request_serves_one_connection():
    for session in (Session(b"m" * 32, SESSION.server_digest), Session(SESSION.nonce, b"t" * 32)):
        assert isinstance(admit_join(KEPT, ask(), session, NOW_US), Denied)
        assert isinstance(vouch_join(bind_key(TOKEN), ask(), session), Denied)


def test_a_box_shows_keys_that_it_holds_and_that_can_be_used():
    stolen = msgspec.structs.replace(ask(), device=people.ROOT.public)
    for request in (
        stolen,
        ask(sealing=people.ROOT.public),
        ask(sealing=PublicKey(type="x25519", key=bytes(32))),
        ask(node="../one"),
        ask(site=""),
    ):
        denied = admit(request)
        assert isinstance(denied, Denied)
        assert denied.code == "E-JOIN"
        assert isinstance(vouch_join(bind_key(TOKEN), request, SESSION), Denied)


def test_names_cannot_run_into_each_other():
    keys: dict[str, Any] = {"token_id": TOKEN.id, "device": people.DEVICE.public, "sealing": SEALING}
    one = join_transcript(SESSION, site=SiteName("ab"), node=NodeName("c"), **keys)
    two = join_transcript(SESSION, site=SiteName("a"), node=NodeName("bc"), **keys)
    assert one != two
