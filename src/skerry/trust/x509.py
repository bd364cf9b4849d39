"""Certificates of the link listener: a delivery key as authority, server certificates under it.

Only the core and the signer import this file, because ``cryptography`` costs 7-10 MB; a site pins the authority's
DER from its root document and verifies with the standard library (link/tls.py). Pure: keys come from seeds and times
from the caller, so the same inputs give the same bytes.
"""

import datetime
import hashlib
import ipaddress

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: The authority has no end, which RFC 5280 §4.1.2.5 writes as the last second of 9999; expiry is for the trust clock.
_BEGINNING = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_NO_END = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)


class DeliveryAuthority(msgspec.Struct, frozen=True):
    """A delivery key in its role as certificate authority. Holds the private seed: never store or send it whole."""

    seed: bytes
    #: 32 raw bytes of the delivery key.
    public_key: bytes
    #: What the root document carries and sites pin (``model.signed.Root.delivery_ca``).
    certificate_der: bytes

    def __repr__(self) -> str:
        """Name the key without the seed, so that a log line cannot leak it."""
        return f"DeliveryAuthority(public_key={self.public_key.hex()})"


class ServerNames(msgspec.Struct, frozen=True):
    """Whom a server certificate names. ``spiffe`` is what sites check; the others serve people's tools."""

    #: For example ``spiffe://<td>/core/<replica>``.
    spiffe: str
    dns: tuple[str, ...] = ()
    #: Literal IPv4 or IPv6 addresses.
    addresses: tuple[str, ...] = ()


def make_delivery_ca(seed: bytes) -> DeliveryAuthority:
    """Return the authority that the 32-byte ``seed`` of a delivery key makes. Raises ValueError on another length."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public = key.public_key().public_bytes_raw()
    fingerprint = hashlib.sha256(public).digest()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"skerry delivery {fingerprint[:16].hex()}")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(_make_serial(public))
        .not_valid_before(_BEGINNING)
        .not_valid_after(_NO_END)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_CERTIFICATES_ONLY, critical=True)
        .add_extension(x509.SubjectKeyIdentifier(fingerprint[:20]), critical=False)
        .sign(key, None)
    )
    return DeliveryAuthority(seed, public, certificate.public_bytes(serialization.Encoding.DER))


def make_server_certificate(
    ca: DeliveryAuthority,
    names: ServerNames,
    not_before: datetime.datetime,
    not_after: datetime.datetime,
    *,
    seed: bytes,
) -> tuple[bytes, bytes]:
    """Return (certificate PEM, private key PEM) of a link listener.

    ``seed`` is 32 fresh bytes and becomes the server's own Ed25519 key. Times are timezone-aware; make them wide,
    since sites do not look at them and no other clients are expected. Raises ValueError on a malformed name or seed.
    """
    if not names.spiffe.startswith("spiffe://"):
        raise ValueError(f"{names.spiffe!r} is no SPIFFE identity")
    authority = x509.load_der_x509_certificate(ca.certificate_der)
    authority_id = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public = key.public_key()
    alternatives: list[x509.GeneralName] = [x509.UniformResourceIdentifier(names.spiffe)]
    alternatives += [x509.DNSName(name) for name in names.dns]
    alternatives += [x509.IPAddress(ipaddress.ip_address(address)) for address in names.addresses]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "skerry link")]))
        .issuer_name(authority.subject)
        .public_key(public)
        .serial_number(_make_serial(public.public_bytes_raw(), repr((names, not_before, not_after)).encode()))
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority_id), critical=False)
        .sign(Ed25519PrivateKey.from_private_bytes(ca.seed), None)
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private


def _make_serial(*distinct: bytes) -> int:
    """Number a certificate by what sets it apart: serials of one authority must differ, which a digest ensures."""
    return int.from_bytes(b"\x01" + hashlib.sha256(b"\x00".join(distinct)).digest()[:15], "big")


_CERTIFICATES_ONLY = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
