import msgspec
import pytest
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from tests.trust import people

from skerry.clock import SeededMint
from skerry.model.ids import SecretName, TenantName
from skerry.model.limits import SCALAR_BYTES_MAX
from skerry.model.signed import PublicKey, Secret
from skerry.trust.keys import key_id
from skerry.trust.seal import (
    hpke_open,
    hpke_seal,
    is_sealing_key,
    open_secret,
    seal_secret,
    sealing_public,
)
from skerry.trust.verdict import Denied

# RFC 9180, appendix A.2.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305, base mode, sequence number 0.
INFO = bytes.fromhex("4f6465206f6e2061204772656369616e2055726e")
IKM_E = bytes.fromhex("909a9b35d3dc4713a5e72a4da274b55d3d3821a37e5d099e74a647db583a904b")
PK_R = bytes.fromhex("4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a")
SK_R = bytes.fromhex("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb")
ENC = bytes.fromhex("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a")
AAD = bytes.fromhex("436f756e742d30")
PT = bytes.fromhex("4265617574792069732074727574682c20747275746820626561757479")
CT = bytes.fromhex("1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28")

SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
# Points of order 1, 2, 4 and 8, and encodings of them that are not canonical (libsodium's own black list).
SMALL_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]
OTHER_SEED = people.seed("another node")


def test_sealing_gives_the_bytes_of_rfc_9180():
    sealed = hpke_seal(PublicKey(type="x25519", key=PK_R), INFO, AAD, PT, IKM_E)
    assert sealed[:32] == ENC
    assert sealed[32:] == CT
    assert sealing_public(SK_R).key == PK_R


def test_opening_reads_the_bytes_of_rfc_9180():
    assert hpke_open(SK_R, INFO, AAD, ENC + CT) == PT


def test_another_implementation_opens_what_we_seal_and_we_what_it_seals():
    for length in (0, 1, 32, 1000):
        value = b"v" * length
        ours = hpke_seal(sealing_public(OTHER_SEED), b"info", b"", value, people.seed(str(length)))
        assert SUITE.decrypt(ours, X25519PrivateKey.from_private_bytes(OTHER_SEED), b"info") == value
        theirs = SUITE.encrypt(value, X25519PublicKey.from_public_bytes(sealing_public(OTHER_SEED).key), b"info")
        assert hpke_open(OTHER_SEED, b"info", b"", theirs) == value


@pytest.mark.parametrize("place", range(0, len(ENC + CT), 3))
def test_a_changed_box_does_not_open(place: int):
    changed = bytearray(ENC + CT)
    changed[place] ^= 1 << (place % 8)
    # The highest bit of a key is masked by X25519 itself; the key schedule still sees the bytes as they came.
    assert hpke_open(SK_R, INFO, AAD, bytes(changed)) is None


def test_a_box_opens_only_with_what_was_bound_to_it():
    sealed = ENC + CT
    assert hpke_open(SK_R, INFO + b"x", AAD, sealed) is None
    assert hpke_open(SK_R, INFO, AAD + b"x", sealed) is None
    assert hpke_open(OTHER_SEED, INFO, AAD, sealed) is None
    for length in (0, 31, 32, 47, len(sealed) - 1):
        assert hpke_open(SK_R, INFO, AAD, sealed[:length]) is None


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_points_of_small_order_are_no_keys(point: bytes):
    key = PublicKey(type="x25519", key=point)
    assert not is_sealing_key(key)
    with pytest.raises(ValueError, match="anybody"):
        hpke_seal(key, b"", b"", b"", IKM_E)
    assert hpke_open(SK_R, INFO, AAD, point + CT) is None


def test_only_x25519_keys_are_sealed_to():
    assert is_sealing_key(sealing_public(SK_R))
    for key in (people.ROOT.public, PublicKey(type="x25519", key=b"short")):
        assert not is_sealing_key(key)
        with pytest.raises(ValueError, match="X25519"):
            hpke_seal(key, b"", b"", b"", IKM_E)
    with pytest.raises(ValueError, match="32 bytes"):
        sealing_public(b"short")


def make(value: bytes = b"hush", number: int = 1, **words: str) -> Secret:
    return seal_secret(
        value,
        tenant=TenantName(words.get("tenant", "alpha")),
        name=SecretName(words.get("name", "till-key")),
        number=number,
        recipients=[sealing_public(people.SEALING_SEED), sealing_public(OTHER_SEED)],
        mint=SeededMint("sealing"),
    )


@given(st.binary(max_size=200))
def test_every_named_node_opens_a_secret(value: bytes):
    secret = make(value)
    assert open_secret(secret, people.SEALING_SEED) == value
    assert open_secret(secret, OTHER_SEED) == value


def test_a_node_that_is_not_named_is_told_so():
    denied = open_secret(make(), people.seed("stranger"))
    assert isinstance(denied, Denied)
    assert denied.reason == "secret till-key is not sealed for this site"


def test_a_value_appears_nowhere_in_the_sealed_form():
    canary = b"canary-3b1f9d"
    assert canary not in msgspec.json.encode(make(canary))
    assert canary not in msgspec.msgpack.encode(make(canary))


def test_parts_of_secrets_cannot_be_exchanged():
    secret = make()
    others = [make(b"evil", tenant="beta"), make(b"evil", name="other"), make(b"evil", number=2)]
    for other in others:
        for mixed in (
            msgspec.structs.replace(secret, content=other.content),
            msgspec.structs.replace(secret, boxes=other.boxes),
            msgspec.structs.replace(secret, content=other.content, boxes=other.boxes),
        ):
            assert isinstance(open_secret(mixed, people.SEALING_SEED), Denied)
    renamed = msgspec.structs.replace(secret, name=SecretName("other"))
    assert isinstance(open_secret(renamed, people.SEALING_SEED), Denied)
    mine = key_id(sealing_public(people.SEALING_SEED))
    theirs = key_id(sealing_public(OTHER_SEED))
    crossed = msgspec.structs.replace(secret, boxes={mine: secret.boxes[theirs], theirs: secret.boxes[mine]})
    assert isinstance(open_secret(crossed, people.SEALING_SEED), Denied)


def test_damaged_content_does_not_open():
    secret = make()
    for content in (b"", secret.content[:24], secret.content[:-1], secret.content + b"x"):
        assert isinstance(open_secret(msgspec.structs.replace(secret, content=content), people.SEALING_SEED), Denied)
    short = hpke_seal(sealing_public(people.SEALING_SEED), b"skerry-secret-v1", b"", b"short key", IKM_E)
    boxes = {key_id(sealing_public(people.SEALING_SEED)): short}
    assert isinstance(open_secret(msgspec.structs.replace(secret, boxes=boxes), people.SEALING_SEED), Denied)


def test_a_value_beyond_the_limit_is_refused_and_the_limit_itself_fits():
    assert open_secret(make(b"x" * SCALAR_BYTES_MAX), OTHER_SEED) == b"x" * SCALAR_BYTES_MAX
    with pytest.raises(ValueError, match="at most"):
        make(b"x" * (SCALAR_BYTES_MAX + 1))
