import hashlib
import ssl

import pytest
from tests.link.rig import NAME, make_authority, make_identity, make_trust

from skerry.link.ports import DnsName, SpiffeName, Trust
from skerry.link.tls import digest_certificate, is_named, make_client_context, make_server_context


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext) -> ssl.SSLObject:
    """A TLS handshake in memory; return the client's side of it."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    child = client.wrap_bio(to_client, to_server, server_hostname="core")
    parent = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (child, parent, child, parent):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return child


def test_a_chain_to_the_pinned_authority_holds_whatever_the_time():
    for year in (1971, 2000, 2998):
        certificate, key = make_identity(year=year)
        child = shake_hands(make_client_context(make_trust()), make_server_context(certificate, key))
        assert child.version() == "TLSv1.3"
        assert is_named(child.getpeercert() or {}, NAME)
        seen = child.getpeercert(binary_form=True)
        assert hashlib.sha256(seen).digest() == digest_certificate(certificate)


def test_a_chain_to_another_authority_does_not_hold():
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(make_client_context(make_trust(2)), make_server_context(*make_identity(1)))


def test_either_of_two_authorities_holds():
    trust = Trust((make_authority(2).certificate_der, make_authority(1).certificate_der), NAME)
    for seed in (1, 2):
        assert shake_hands(make_client_context(trust), make_server_context(*make_identity(seed))).version() == "TLSv1.3"


def test_an_older_tls_is_not_spoken():
    old = make_server_context(*make_identity())
    old.minimum_version = ssl.TLSVersion.TLSv1_2
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match=r"(?i)version|protocol"):
        shake_hands(make_client_context(make_trust()), old)


@pytest.mark.parametrize(
    ("uris", "held"),
    [
        (["spiffe://td/core/one"], True),
        (["spiffe://td/core/one/more"], False),
        (["spiffe://td/core/"], False),
        (["spiffe://td/core"], False),
        (["spiffe://td/site/oslo"], False),
        (["spiffe://other/core/one"], False),
        (["spiffe://td/core/.."], False),
        (["spiffe://td/core/one", "spiffe://td/site/oslo"], False),
        ([], False),
    ],
)
def test_a_spiffe_name_is_one_member_of_one_class(uris: list[str], held: bool):
    certificate = {"subjectAltName": tuple(("URI", uri) for uri in uris)}
    assert is_named(certificate, SpiffeName("td", "core")) is held


@pytest.mark.parametrize(("name", "held"), [("LocalHost", True), ("host", False), ("*", False)])
def test_a_dns_name_is_held_exactly(name: str, held: bool):
    certificate = {"subjectAltName": (("DNS", "localhost"), ("IP Address", "host"))}
    assert is_named(certificate, DnsName(name)) is held


def test_a_wildcard_holds_for_nobody():
    assert not is_named({"subjectAltName": (("DNS", "*.example"),)}, DnsName("core.example"))


@pytest.mark.parametrize("authorities", [(), (b"garbage",)])
def test_a_trust_without_a_readable_authority_is_refused(authorities: tuple[bytes, ...]):
    with pytest.raises(ValueError, match="delivery authority"):
        make_client_context(Trust(authorities, NAME))


def test_a_key_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="do not fit"):
        make_server_context(make_identity(1)[0], make_identity(2)[1])
