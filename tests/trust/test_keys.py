import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.model.signed import PublicKey
from skerry.trust.keys import SigningKey, device_message, key_id, trust_domain, verify_signature

# RFC 8032 §7.1, tests 1, 2, 3 and SHA(abc): seed, public key, message, signature.
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
        "387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
        "4a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd"
        "454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e030"
        "3dca179c138ac17ad9bef1177331a704",
    ),
]

# Edge cases of "Taming the many EdDSAs" (novifinancial/ed25519-speccheck, cases 0-9): public key, message, signature.
# Libsodium's published row takes case 3 alone: small order, malleable s and encodings that are not canonical fall.
SPECCHECK = [
    (
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"
        "0000000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43"
        "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
    ),
    (
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"
        "8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e",
    ),
    (
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        "9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f"
        "87909e14428a7a1d62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009",
    ),
    (
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
        "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed512"
        "5ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09",
    ),
    (
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
        "21122a84e0b5fca4052f5b1235c80a537878b38f3142356b2c2384ebad4668b7"
        "e40bc836dac0f71076f9abe3a53f9c03c1ceeeddb658d0030494ace586687405",
    ),
    (
        "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
        "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
        "e96f66be976d82e60150baecff9906684aebb1ef181f67a7189ac78ea23b6c0e"
        "547f7690a0e2ddcd04d87dbc3490dc19b3b3052f7ff0538cb68afb369ba3a514",
    ),
    (
        "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
        "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
        "8ce5b96c8f26d0ab6c47958c9e68b937104cd36e13c33566acd2fe8d38aa1942"
        "7e71f98a473474f2f13f06f97c20d58cc3f54b8bd0d272f42b695dd7e89a8c22",
    ),
    (
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "fdaebc429f4a735932a160da1301080c13280eea8bc280d1b392c6b9e6ba3a5a",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
        "454d370c8d9fc323a41450f8d513eafeb5b0697390c1e505a0d4ddc71f566607",
    ),
    (
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "84b698d39be126ff55fe45079e6c8bf64a0d7db6994560b4e96b7021eb39c1a1",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
        "084d5b99c2a9463d9c8bd5026916996984eeec87ddf1d3be329006ace1b37b09",
    ),
]

ORDER = 2**252 + 27742317777372353535851937790883648493


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC_8032)
def test_signatures_are_those_of_rfc_8032(seed: str, public: str, message: str, signature: str):
    key = SigningKey.from_seed(bytes.fromhex(seed))
    assert key.public == PublicKey(type="ed25519", key=bytes.fromhex(public))
    assert key.sign(bytes.fromhex(message)).hex() == signature
    assert verify_signature(key.public, bytes.fromhex(message), bytes.fromhex(signature))


def test_edge_cases_fall_as_libsodium_publishes():
    verdicts = [
        verify_signature(
            PublicKey(type="ed25519", key=bytes.fromhex(public)), bytes.fromhex(message), bytes.fromhex(signature)
        )
        for public, message, signature in SPECCHECK
    ]
    assert verdicts == [index == 3 for index in range(10)]


@given(st.binary(max_size=200))
def test_a_signature_has_no_second_form(message: bytes):
    key = SigningKey.from_seed(b"s" * 32)
    signature = key.sign(message)
    s = int.from_bytes(signature[32:], "little") + ORDER
    assert verify_signature(key.public, message, signature)
    assert not verify_signature(key.public, message, signature[:32] + s.to_bytes(32, "little"))


def test_a_key_type_fixes_its_algorithm():
    key = SigningKey.from_seed(b"s" * 32)
    signature = key.sign(b"m")
    for other in ("x25519", "p256-tpm"):
        assert not verify_signature(PublicKey(type=other, key=key.public.key), b"m", signature)


@pytest.mark.parametrize("length", [0, 1, 31, 33, 64])
def test_keys_and_signatures_of_a_wrong_length_are_no_keys_and_no_signatures(length: int):
    key = SigningKey.from_seed(b"s" * 32)
    signature = key.sign(b"m")
    assert not verify_signature(PublicKey(type="ed25519", key=(key.public.key * 2)[:length]), b"m", signature)
    assert not verify_signature(key.public, b"m", (signature * 2)[:length] if length != 64 else signature + b"\x00")
    with pytest.raises(ValueError, match="32 bytes"):
        SigningKey.from_seed(b"s" * length)


def test_a_key_id_depends_on_the_type():
    key = b"k" * 32
    ids = {key_id(PublicKey(type=kind, key=key)) for kind in ("ed25519", "x25519", "p256-tpm")}
    assert len(ids) == 3
    assert all(len(text) == 40 for text in ids)


def test_a_trust_domain_is_a_name_of_the_root_document():
    assert trust_domain(b"{}") == "iqjw7i2vwntyuekgvulpp2dety"
    assert trust_domain(b"{}") != trust_domain(b"{ }")


def test_purposes_of_a_device_key_are_apart_from_each_other_and_from_envelopes():
    messages = {device_message("hello", b"x"), device_message("join", b"x")}
    assert len(messages) == 2
    assert not any(message.startswith(b"DSSEv1") for message in messages)


def test_a_key_is_not_printed():
    key = SigningKey.from_seed(b"s" * 32)
    assert (b"s" * 32).hex() not in repr(key)
    assert repr(key) == f"SigningKey({key_id(key.public)})"
