import datetime

import pytest
from cryptography import x509 as library
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from skerry.trust import x509

NAMES = x509.ServerNames("spiffe://td/core/one", ("core.example",), ("192.0.2.1", "2001:db8::1"))
BEGIN = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)


def make(ca: x509.DeliveryAuthority, names: x509.ServerNames = NAMES, seed: bytes = bytes(32)) -> library.Certificate:
    pem, _key = x509.make_server_certificate(ca, names, BEGIN, END, seed=seed)
    return library.load_pem_x509_certificate(pem)


@given(st.binary(min_size=32, max_size=32))
def test_a_seed_makes_one_authority_that_signs_for_itself(seed: bytes):
    ca = x509.make_delivery_ca(seed)
    assert x509.make_delivery_ca(seed) == ca
    certificate = library.load_der_x509_certificate(ca.certificate_der)
    certificate.verify_directly_issued_by(certificate)
    assert certificate.public_key().public_bytes_raw() == ca.public_key
    assert certificate.serial_number > 0


def test_a_server_certificate_is_its_authoritys_and_carries_the_names():
    ca = x509.make_delivery_ca(bytes(32))
    certificate = make(ca)
    certificate.verify_directly_issued_by(library.load_der_x509_certificate(ca.certificate_der))
    names = certificate.extensions.get_extension_for_class(library.SubjectAlternativeName).value
    assert names.get_values_for_type(library.UniformResourceIdentifier) == ["spiffe://td/core/one"]
    assert names.get_values_for_type(library.DNSName) == ["core.example"]
    assert [str(address) for address in names.get_values_for_type(library.IPAddress)] == ["192.0.2.1", "2001:db8::1"]
    assert not certificate.extensions.get_extension_for_class(library.BasicConstraints).value.ca


def test_certificates_of_one_authority_have_serials_of_their_own():
    ca = x509.make_delivery_ca(bytes(32))
    made = [make(ca), make(ca, seed=bytes([1]) * 32), make(ca, x509.ServerNames("spiffe://td/core/two"))]
    assert len({certificate.serial_number for certificate in made}) == 3
    assert make(ca) == made[0]


def test_the_key_is_of_the_certificate():
    ca = x509.make_delivery_ca(bytes(32))
    pem, key = x509.make_server_certificate(ca, NAMES, BEGIN, END, seed=bytes(32))
    public = library.load_pem_x509_certificate(pem).public_key()
    assert serialization.load_pem_private_key(key, None).public_key() == public


def test_an_authority_does_not_print_its_seed():
    seed = b"a secret seed of thirty-two byte"
    text = repr(x509.make_delivery_ca(seed))
    assert "secret" not in text
    assert seed.hex() not in text


@pytest.mark.parametrize("spiffe", ["", "core", "https://td/core/one"])
def test_a_server_without_a_spiffe_identity_is_refused(spiffe: str):
    with pytest.raises(ValueError, match="SPIFFE"):
        make(x509.make_delivery_ca(bytes(32)), x509.ServerNames(spiffe))


def test_a_malformed_address_is_refused():
    with pytest.raises(ValueError, match="address"):
        make(x509.make_delivery_ca(bytes(32)), x509.ServerNames("spiffe://td/core/one", (), ("256.0.0.1",)))


def test_a_short_seed_is_refused():
    with pytest.raises(ValueError, match="32"):
        x509.make_delivery_ca(bytes(31))
