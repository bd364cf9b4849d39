"""Certificates that sign themselves, for hosts of tests."""

import datetime
import ipaddress
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def make_certificate(host: str) -> bytes:
    """Return certificate and key for a host name or an address, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    # Two of one host are told apart by their names where both are believed.
    serial = x509.random_serial_number()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{host[:30]} {serial % 10**9}")])
    try:
        subject = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        subject = x509.DNSName(host)
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([subject]), critical=False)
        .sign(key, hashes.SHA256())
    )
    shown = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM) + shown


def trust(*certificates: bytes) -> ssl.SSLContext:
    """Return a client's side that believes these and nobody else."""
    shown = (each.decode().partition("-----BEGIN PRIVATE")[0] for each in certificates)
    return ssl.create_default_context(cadata="".join(shown))
