"""The driver where its programs are missing, refuse, or say strange things; that they do is tested with the real ones.

See tests/e2e/certificates_probe.py.
"""

import asyncio
import base64
import hashlib
import json
from pathlib import Path

import pytest

from skerry.clock import SystemClock
from skerry.drivers.certificates import Authority, CertificatesDriver, find_thumbprint
from skerry.model.ids import Digest
from skerry.plan.actions import ApplyEntrance, MakeAccount, ObtainCertificate
from skerry.safe.paths import RealDirectory

HOST = "shop.example"
#: A public key on P-256 in DER: what stands before each, then a point.
KEY = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200") + b"\4" + b"x" * 32 + b"y" * 32


class Programs:
    """Programs that answer as told, and what they were asked."""

    def __init__(self, said: bytes = b"", code: int = 2) -> None:
        self.said, self.code = said, code
        self.calls: list[tuple[str, ...]] = []

    async def __call__(self, *words: str, given: bytes = b"", limit_s: float = 0) -> tuple[int, bytes]:
        self.calls.append(words)
        if words[0] == "uacme" and "issue" in words:
            return self.code, self.said
        return 0, KEY if words[1] == "pkey" else b"PEM"


def make(folder: Path, programs: Programs, *, accepted: bool = True, missing: str = "") -> CertificatesDriver:
    (folder / "state").mkdir(exist_ok=True)
    state = RealDirectory.open_root(folder / "state")
    authority = Authority(directory="https://acme.example/directory", accepted=accepted)
    return CertificatesDriver(
        *(folder / "run", state, authority, SystemClock(), programs), lambda name: None if name == missing else name
    )


def look(driver: CertificatesDriver):
    return asyncio.run(driver.observe()).certificates


def obtain(driver: CertificatesDriver):
    assert asyncio.run(driver.perform(MakeAccount())).ok
    return asyncio.run(driver.perform(ObtainCertificate(host=HOST)))


@pytest.mark.parametrize("missing", ["uacme", "openssl"])
def test_what_is_missing_is_said_and_nothing_is_started(tmp_path: Path, missing: str):
    programs = Programs()
    driver = make(tmp_path, programs, missing=missing)
    assert look(driver).reason == f"{missing} is not installed on this node"
    assert asyncio.run(driver.perform(MakeAccount())).code == "E-CERTIFICATE"
    assert programs.calls == []


def test_terms_are_accepted_by_the_operator_and_by_nobody_else(tmp_path: Path):
    programs = Programs()
    driver = make(tmp_path, programs, accepted=False)
    terms = "the terms of https://acme.example/directory are not accepted at this node (acme_terms_accepted)"
    assert look(driver).reason == terms
    assert asyncio.run(driver.perform(ObtainCertificate(host=HOST))).code == "E-CERTIFICATE"
    assert programs.calls == []


def test_a_host_is_never_part_of_a_path_and_keys_are_roots_alone(tmp_path: Path):
    programs = Programs()
    driver = make(tmp_path, programs)
    obtain(driver)
    said = [word for words in programs.calls for word in words if HOST in word]
    assert said == [f"subjectAltName=DNS:{HOST}"]
    assert not any(HOST in path.name for path in tmp_path.rglob("*"))
    assert not (tmp_path / "run").exists()
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "state").iterdir()}
    assert modes.pop("answer") == 0o700
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize(
    ("said", "wanted", "unreached"),
    [
        (
            b'uacme: no\n{ "type": "x", "detail": "the \\"name\\"\\nleads elsewhere" }\n',
            'the "name" leads elsewhere',
            False,
        ),
        (b"uacme: GET failed: Couldn't connect to server\nuacme: failed to fetch directory at x\n", "connect", True),
        (b"\xff\x1b[31m", "[31m", False),
        (b"", "nothing was said", False),
        (b"x" * 10_000, "xxx", False),
    ],
)
def test_what_the_authority_says_is_one_line_of_bounded_length(
    tmp_path: Path, said: bytes, wanted: str, unreached: bool
):
    driver = make(tmp_path, Programs(said))
    outcome = obtain(driver)
    assert (outcome.ok, outcome.code) == (False, "E-CERTIFICATE")
    tried = look(driver).tried[HOST]
    assert wanted in tried.reason
    assert tried.reason.isprintable()
    assert len(tried.reason) < 450
    assert tried.unreached == unreached
    assert ("has to lead to this site" in tried.reason) != unreached


def test_a_certificate_that_is_none_is_not_taken(tmp_path: Path):
    class Lying(Programs):
        async def __call__(self, *words: str, given: bytes = b"", limit_s: float = 0) -> tuple[int, bytes]:
            if "issue" in words:
                Path(words[-1]).with_name("host-cert.pem").write_bytes(b"no certificate")
                return 0, b""
            return await super().__call__(*words, given=given, limit_s=limit_s)

    driver = make(tmp_path, Lying())
    assert not obtain(driver).ok
    seen = look(driver)
    assert seen.held == {}
    assert "does not fit its key" in seen.tried[HOST].reason


def test_a_try_is_written_down_before_it_is_made(tmp_path: Path):
    class Dying(Programs):
        async def __call__(self, *words: str, given: bytes = b"", limit_s: float = 0) -> tuple[int, bytes]:
            if "issue" in words:
                raise KeyboardInterrupt
            return await super().__call__(*words, given=given, limit_s=limit_s)

    with pytest.raises(KeyboardInterrupt):
        obtain(make(tmp_path, Dying()))
    seen = look(make(tmp_path, Programs()))
    assert (seen.tried[HOST].count, seen.tried_us > 0) == (1, True)


def test_an_account_that_the_authority_has_forgotten_is_made_known_again(tmp_path: Path):
    programs = Programs(b"uacme: no account associated with key.pem found\n")
    driver = make(tmp_path, programs)
    obtain(driver)
    asyncio.run(driver.perform(ObtainCertificate(host=HOST)))
    assert sum("new" in words for words in programs.calls) == 2


def test_a_book_that_is_none_begins_anew_with_the_same_account(tmp_path: Path):
    programs = Programs()
    driver = make(tmp_path, programs)
    assert asyncio.run(driver.perform(MakeAccount())).ok
    account = (tmp_path / "state" / "account.pem").read_bytes()
    for path in (tmp_path / "state").glob("book.json*"):
        path.write_bytes(b"{")
    other = make(tmp_path, programs)
    assert look(other).thumbprint == ""
    assert asyncio.run(other.perform(MakeAccount())).ok
    assert look(other).thumbprint == look(driver).thumbprint
    assert (tmp_path / "state" / "account.pem").read_bytes() == account


def test_a_thumbprint_is_that_of_rfc_7638():
    def encode(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).decode().rstrip("=")

    key = {"crv": "P-256", "kty": "EC", "x": encode(b"x" * 32), "y": encode(b"y" * 32)}
    shown = json.dumps(key, separators=(",", ":"), sort_keys=True).encode()
    assert find_thumbprint(KEY) == encode(hashlib.sha256(shown).digest())
    for bad in (b"", KEY[:-1], KEY.replace(b"\4x", b"\2x")):
        with pytest.raises(OSError, match="P-256"):
            find_thumbprint(bad)


def test_other_actions_are_not_its_own(tmp_path: Path):
    assert asyncio.run(make(tmp_path, Programs()).perform(ApplyEntrance(digest=Digest("")))).code == "E-DRIVER"
