"""Certificates that a site gets for itself, over ``uacme`` and ``openssl`` (decision 0024).

Rules of this file:

1. The account's key and every host's key are made here, lie in the agent's own folder, and leave the node never: what
   the authority gets is a request signed by them.
2. A certificate that is held is replaced by one that was read, fits its key and names its host, and by nothing else.
3. A host name is a word to ``openssl`` and never part of a path.
4. What a try came to is written down before anything else is tried: limits of the authority outlive this process.

The entrance answers the authority; its answer needs only the name of the account's key (``plan/entrance.py``).
"""

import base64
import hashlib
import json
import os
import re
import shutil
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from skerry.clock import Clock
from skerry.drivers.base import run_program
from skerry.model.ids import Digest, digest_of
from skerry.model.observed import CertificateHeld, CertificatesSeen, Observation, Tried
from skerry.plan.actions import DONE, Action, MakeAccount, ObtainCertificate, Outcome, failed
from skerry.safe.files import read_durable, remove_durable, write_durable
from skerry.safe.paths import Directory

#: Let's Encrypt, as its documentation gives it (letsencrypt.org/docs/acme-protocol-updates).
DIRECTORY = "https://acme-v02.api.letsencrypt.org/directory"
#: uacme asks the authority again and again whether it has looked; that takes seconds, and behind a slow link minutes.
_ORDER_S = 240.0
_BOOK, _ACCOUNT, _HOOK = "book.json", "account.pem", "answer"
#: A book of a thousand hosts is 400 kB; a chain with its key 10 kB.
_BOOK_BYTES_MAX = 4 * 1024 * 1024
_PEM_BYTES_MAX = 256 * 1024
#: Hosts of one site: an entrance of more is no entrance of one site any more.
HOSTS_MAX = 1_000
#: How long a certificate that ended is kept for a host that nobody asks for.
_FORGET_US = 30 * 24 * 3_600_000_000
#: Of the kinds of proof that an authority offers the entrance gives this one. uacme asks: begin, kind, name, …
_HOOK_TEXT = b'#!/bin/sh\n[ "$2" = http-01 ]\n'
_SAID = re.compile(rb'"detail":\s*"((?:[^"\\]|\\.)*)"')
_REASON_MAX = 300
_EC = ("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")

Run = Callable[..., Awaitable[tuple[int, bytes]]]


class Authority(msgspec.Struct, frozen=True, kw_only=True):
    """Whom the site asks, as the node's settings say."""

    #: Where the authority's directory is (RFC 8555, section 7.1.1).
    directory: str = DIRECTORY
    #: An address that the authority may write to; empty for none.
    contact: str = ""
    #: The operator has read and accepted the authority's terms.
    accepted: bool = False


class _Book(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered."""

    thumbprint: str = ""
    #: The directory at which the account's key is known.
    registered: str = ""
    held: dict[str, CertificateHeld] = {}
    tried: dict[str, Tried] = {}
    tried_us: int = 0


class CertificatesDriver:
    """Driver over ``uacme`` and ``openssl``."""

    name = "certificates"
    performs = (MakeAccount, ObtainCertificate)

    def __init__(
        self,
        run: Path,
        state: Directory,
        authority: Authority,
        clock: Clock,
        run_program: Run = run_program,
        find_program: Callable[[str], str | None] = shutil.which,
    ) -> None:
        """``run`` is a folder in memory for what a try needs; ``state`` one that stays."""
        self._folder = run
        self._state = state
        self._authority = authority
        self._clock = clock
        self._run = run_program
        self._find_program = find_program
        self._book: _Book | None = None

    async def observe(self) -> Observation:
        """Say what is held; no program is started."""
        book = self._load()
        seen = CertificatesSeen(
            reason=self._find_lack(),
            thumbprint=book.thumbprint,
            held=book.held,
            tried=book.tried,
            tried_us=book.tried_us,
            wall_us=self._clock.wall_us(),
        )
        return Observation(driver=self.name, certificates=seen)

    async def perform(self, action: Action) -> Outcome:
        """Make the account's key, or get a certificate."""
        lack = self._find_lack()
        if lack:
            return failed("E-CERTIFICATE", lack)
        try:
            match action:
                case MakeAccount():
                    return await self._make_account()
                case ObtainCertificate():
                    return await self._obtain(action.host)
                case _:
                    return failed("E-DRIVER", f"the certificates driver does not do {type(action).__name__}")
        except OSError as error:
            return failed("E-CERTIFICATE", f"no certificate can be got: {error}")

    def open_certificate(self, version: Digest) -> bytes | None:
        """Return chain and key of a certificate that is held; None where it is none of ours."""
        host = next((name for name, each in self._load().held.items() if each.version == version), None)
        stored = None if host is None else read_durable(self._state, _file_of(host), limit=_PEM_BYTES_MAX)
        return stored.content if stored is not None and digest_of(stored.content) == version else None

    def _find_lack(self) -> str:
        if not self._authority.accepted:
            return f"the terms of {self._authority.directory} are not accepted at this node (acme_terms_accepted)"
        missing = [name for name in ("uacme", "openssl") if self._find_program(name) is None]
        return f"{missing[0]} is not installed on this node" if missing else ""

    async def _make_account(self) -> Outcome:
        stored = read_durable(self._state, _ACCOUNT, limit=_PEM_BYTES_MAX)
        key = stored.content if stored is not None else await self._ask_openssl(*_EC)
        if stored is None:
            write_durable(self._state, _ACCOUNT, key)
        shown = await self._ask_openssl("pkey", "-pubout", "-outform", "DER", given=key)
        self._note(msgspec.structs.replace(self._load(), thumbprint=find_thumbprint(shown)))
        return DONE

    async def _obtain(self, host: str) -> Outcome:
        book = self._load()
        now_us = self._clock.wall_us()
        if host not in book.held and len(book.held) >= HOSTS_MAX:
            return failed("E-CERTIFICATE", f"this site has certificates for {HOSTS_MAX} host names already")
        # Written before the authority is asked: a process that dies meanwhile has tried all the same.
        count = book.tried[host].count + 1 if host in book.tried else 1
        begun = Tried(count=count, at_us=now_us, reason="the agent ended while it was asked for")
        self._note(msgspec.structs.replace(book, tried={**book.tried, host: begun}, tried_us=now_us))
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            content = await self._order(host)
            held = await self._read(host, content)
        except OSError as error:
            return self._note_failure(host, str(error), unreached=isinstance(error, _Unreached))
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
        write_durable(self._state, _file_of(host), content)
        book = self._forget(host)
        tried = {name: each for name, each in book.tried.items() if name != host}
        self._note(msgspec.structs.replace(book, held={**book.held, host: held}, tried=tried))
        return DONE

    async def _order(self, host: str) -> bytes:
        """Return chain and key for a host; raise ``OSError`` with what the authority or a program said."""
        account = read_durable(self._state, _ACCOUNT, limit=_PEM_BYTES_MAX)
        if account is None:
            raise OSError("the account's key is gone")
        folder = self._folder
        (folder / "private").mkdir(mode=0o700, exist_ok=True)
        self._write(folder / "private" / "key.pem", account.content)
        await self._register(folder)
        key = await self._ask_openssl(*_EC)
        self._write(folder / "host.key", key)
        request = (
            "req",
            "-new",
            "-key",
            str(folder / "host.key"),
            "-subj",
            "/",
            "-addext",
            f"subjectAltName=DNS:{host}",
        )
        self._write(folder / "host.csr", await self._ask_openssl(*request))
        await self._ask_authority("-n", "-c", str(folder), "-h", self._find_hook(), "issue", str(folder / "host.csr"))
        chain = (folder / "host-cert.pem").read_bytes()
        if len(chain) > _PEM_BYTES_MAX:
            raise OSError("the authority gives a chain without end")
        return chain.strip() + b"\n" + key

    async def _register(self, folder: Path) -> None:
        """Let the authority know the account's key, once."""
        directory = self._authority.directory
        if self._load().registered == directory:
            return
        contact = (self._authority.contact,) if self._authority.contact else ()
        await self._ask_authority("-y", "-c", str(folder), "new", *contact, known=b"already exists")
        self._note(msgspec.structs.replace(self._load(), registered=directory))

    async def _ask_authority(self, *words: str, known: bytes = b"") -> None:
        code, said = await self._run("uacme", "-a", self._authority.directory, *words, limit_s=_ORDER_S)
        if code == 0 or (known and known in said):
            return
        if b"no account associated" in said:
            self._note(msgspec.structs.replace(self._load(), registered=""))
        if b"failed to fetch directory" in said or code == 124:
            raise _Unreached(f"{self._authority.directory} is not reached: {_last_line(said, b'failed: ')}")
        found = _SAID.search(said)
        raise OSError(_clean(_unquote(found[1])) if found else _last_line(said))

    async def _ask_openssl(self, *words: str, given: bytes = b"") -> bytes:
        code, said = await self._run("openssl", *words, given=given)
        if code != 0:
            raise OSError(f"openssl {words[0]}: {_last_line(said)}")
        return said

    async def _read(self, host: str, content: bytes) -> CertificateHeld:
        """Hold a certificate against its key, its host and its time."""
        file = self._folder / "candidate.pem"
        self._write(file, content)
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(file, password=lambda: "")
        except ssl.SSLError as error:
            raise OSError(f"the authority's certificate does not fit its key: {error.reason}") from error
        words = ("x509", "-noout", "-startdate", "-enddate", "-checkhost", host, "-in", str(file))
        said = (await self._ask_openssl(*words)).decode("ascii", "replace")
        dates = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
        if "does match certificate" not in said or not {"notBefore", "notAfter"} <= dates.keys():
            raise OSError("the authority's certificate is for another name")
        from_us, until_us = (
            int(ssl.cert_time_to_seconds(dates[each])) * 1_000_000 for each in ("notBefore", "notAfter")
        )
        return CertificateHeld(version=digest_of(content), from_us=from_us, until_us=until_us)

    def _note_failure(self, host: str, reason: str, *, unreached: bool) -> Outcome:
        book = self._load()
        if not unreached:
            reason += f"; {host} has to lead to this site: of several sites with one name only that one gets it"
        tried = msgspec.structs.replace(book.tried[host], reason=reason, unreached=unreached)
        self._note(msgspec.structs.replace(book, tried={**book.tried, host: tried}))
        return failed("E-CERTIFICATE", f"no certificate for {host}: {reason}")

    def _forget(self, host: str) -> _Book:
        """Drop what ended long ago and was not renewed: nobody asks for it."""
        book, now_us = self._load(), self._clock.wall_us()
        over = {name for name, each in book.held.items() if name != host and now_us > each.until_us + _FORGET_US}
        for name in sorted(over):
            remove_durable(self._state, _file_of(name))
        held = {name: each for name, each in book.held.items() if name not in over}
        tried = {name: each for name, each in book.tried.items() if now_us < each.at_us + _FORGET_US}
        return msgspec.structs.replace(book, held=held, tried=tried)

    def _find_hook(self) -> str:
        """Return a program that accepts the one kind of proof; it lies where programs may be run."""
        path = Path(self._state.path_of(_HOOK))
        if self._state.read(_HOOK, limit=4096) != _HOOK_TEXT:
            self._state.remove(_HOOK)
            sink = self._state.create(_HOOK)
            sink.write(_HOOK_TEXT)
            sink.close()
        path.chmod(0o700)
        return str(path)

    def _load(self) -> _Book:
        if self._book is None:
            stored = read_durable(self._state, _BOOK, limit=_BOOK_BYTES_MAX)
            try:
                self._book = msgspec.json.decode(stored.content, type=_Book) if stored is not None else _Book()
            except msgspec.DecodeError:
                self._book = _Book()
        return self._book

    def _note(self, book: _Book) -> None:
        write_durable(self._state, _BOOK, msgspec.json.encode(book, order="deterministic"))
        self._book = book

    def _write(self, path: Path, content: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)


class _Unreached(OSError):
    """The authority was not reached: nothing was asked of it."""


def find_thumbprint(key: bytes) -> str:
    """Name a public key on the curve P-256, in DER, as RFC 7638 does; raise ``OSError`` for any other."""
    # The point is the last 65 bytes of SubjectPublicKeyInfo (RFC 5480, section 2.2).
    point = key[-65:]
    if len(key) != 91 or point[0] != 4:
        raise OSError("the account's key is none on the curve P-256")
    x, y = (_encode(point[place : place + 32]) for place in (1, 33))
    return _encode(hashlib.sha256(f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'.encode()).digest())


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _file_of(host: str) -> str:
    return "host-" + hashlib.sha256(host.encode()).hexdigest()[:32] + ".pem"


def _last_line(said: bytes, after: bytes = b"") -> str:
    lines = [line.partition(after)[2] if after else line for line in said.splitlines() if after in line]
    return _clean(lines[-1].decode("utf-8", "replace")) if lines else "nothing was said"


def _unquote(said: bytes) -> str:
    try:
        return str(json.loads(b'"' + said + b'"'))
    except ValueError:
        return said.decode("utf-8", "replace")


def _clean(said: str) -> str:
    """Return what somebody outside said as one line of bounded length."""
    return "".join(each if each.isprintable() else " " for each in said)[:_REASON_MAX].strip()
