"""TLS 1.3 contexts of both ends and the check of a parent's name.

The chain is OpenSSL's to verify, against the pinned delivery authority alone and without its clock, because a box may
wake up in 1970 (trust.md §7). The name is ours to check, because OpenSSL knows no SPIFFE. No client certificates.
"""

import contextlib
import hashlib
import os
import ssl
from collections.abc import Generator, Mapping
from typing import cast

from skerry.link.ports import DnsName, SpiffeName, Trust

#: X509_V_FLAG_NO_CHECK_TIME; the standard library has no name for it.
_NO_CHECK_TIME = 0x200000


def make_client_context(trust: Trust) -> ssl.SSLContext:
    """Return a context that accepts only chains to ``trust.authorities``; raise ValueError when one cannot be read."""
    if not trust.authorities:
        raise ValueError("a dialer needs at least one delivery authority")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # check_name does it, for SPIFFE names too
    context.verify_flags |= _NO_CHECK_TIME
    try:
        context.load_verify_locations(cadata=b"".join(trust.authorities))
    except ssl.SSLError as error:
        raise ValueError(f"a pinned delivery authority is no certificate: {error}") from error
    return context


def make_unverified_context() -> ssl.SSLContext:
    """Return a context for ``/v1/roots``, whose answer proves itself: any server will do."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def make_server_context(certificate_pem: bytes, key_pem: bytes) -> ssl.SSLContext:
    """Return the listener's context; raise ValueError when certificate and key do not fit.

    No session tickets: each would cost a reconnecting child 250 bytes, and a session is proved by the device key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    try:
        with _in_memory(certificate_pem + key_pem) as path:
            context.load_cert_chain(path)
    except ssl.SSLError as error:
        raise ValueError(f"the listener's certificate and key do not fit: {error}") from error
    return context


def digest_certificate(certificate_pem: bytes) -> bytes:
    """Return what a connection is bound to: SHA-256 of the DER form of the first certificate."""
    return digest_der(ssl.PEM_cert_to_DER_cert(_first_certificate(certificate_pem)))


def digest_der(certificate_der: bytes) -> bytes:
    """Return the same from a certificate as TLS carries it."""
    return hashlib.sha256(certificate_der).digest()


def list_names(certificate: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """Return the subject alternative names of a verified peer by kind: ``URI``, ``DNS``, ``IP Address``."""
    names: dict[str, tuple[str, ...]] = {}
    for kind, value in cast("tuple[tuple[str, str], ...]", certificate.get("subjectAltName", ())):
        names[kind] = (*names.get(kind, ()), value)
    return names


def is_named(certificate: Mapping[str, object], wanted: SpiffeName | DnsName) -> bool:
    """Say whether a verified certificate names ``wanted``.

    A SPIFFE certificate has exactly one URI; with two it could be several peers, so it is none.
    """
    names = list_names(certificate)
    match wanted:
        case SpiffeName(trust_domain=domain, path=path):
            uris = names.get("URI", ())
            prefix = f"spiffe://{domain}/{path}/"
            return len(uris) == 1 and uris[0].startswith(prefix) and _is_segment(uris[0][len(prefix) :])
        case DnsName(name=name):
            return name.lower() in (held.lower() for held in names.get("DNS", ()))


def _is_segment(text: str) -> bool:
    return bool(text) and "/" not in text and text not in (".", "..")


def _first_certificate(pem: bytes) -> str:
    end = "-----END CERTIFICATE-----"
    text = pem.decode("ascii")
    return text[: text.index(end) + len(end)] + "\n"


@contextlib.contextmanager
def _in_memory(content: bytes) -> Generator[str, None, None]:
    """Show ``content`` as a file that never reaches a disk: OpenSSL's binding reads keys from paths only."""
    descriptor = os.memfd_create("skerry-link")
    try:
        os.write(descriptor, content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
