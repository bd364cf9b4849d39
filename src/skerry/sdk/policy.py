"""What both clients decide alike: where a token may be sent, how long to wait, what to try again and when.

Full jitter: each wait is drawn between nothing and a cap that doubles, so that a thousand clients of a restarted core
do not come back in step. The HTTP library is imported by whoever opens the first connection, not by importing this.
"""

import re
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from skerry.clock import Mint
from skerry.model.asks import ReadBlob
from skerry.model.errors import Conflict, Refused, SkerryError, Unavailable
from skerry.sdk.requests import Request, is_repeatable, make_request

#: Seconds until a connection stands, and until a byte of an answer comes: a planner's dry run of 10,000 sites takes 5.
CONNECT_S = 10.0
ANSWER_S = 60.0
#: Seconds of silence on a stream of events: the core says something every 15.
STREAM_SILENCE_S = 45.0
#: How often one request is tried in all, and for how many seconds.
ATTEMPTS_MAX = 5
ATTEMPTS_S_MAX = 45.0
#: How often one blob is tried in all: cuts of a bad link, or two minutes of somebody else who sends the same layer.
UPLOAD_ATTEMPTS_MAX = 120
UPLOAD_WAIT_S = 1.0
#: Seconds until one looks again whether a change that was sent before, and whose answer was lost, is done.
BUSY_WAIT_S = 1.0
#: First cap of a wait between two tries, and the last.
WAIT_S_FIRST = 0.2
WAIT_S_MAX = 5.0
#: The longest ``Retry-After`` that is obeyed; a longer one is reported instead.
RETRY_AFTER_S_MAX = 30.0
#: Connections in a row that a stream may lose without one item in between.
FRUITLESS_MAX = 8
#: Bytes of one line of a stream: a container's line of 64 KiB, as JSON.
LINE_BYTES_MAX = 1024 * 1024

#: Asks for bytes as they are: their length and offsets count what is stored.
UNPACKED = {"Accept-Encoding": "identity"}

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Backoff:
    """Decides for one request whether a failure is tried again, and after how many seconds."""

    def __init__(self, request: Request[Any], mint: Mint) -> None:
        self._repeatable = is_repeatable(request)
        self._mint = mint
        self._cap_s = WAIT_S_FIRST

    def __call__(self, error: Exception) -> bool | float:
        """Return the seconds to wait, or False to give up; the form that ``stamina`` asks for."""
        if not self._repeatable or not isinstance(error, SkerryError):
            return False
        if error.code == "E-KEY-BUSY":
            return BUSY_WAIT_S
        if not isinstance(error, Unavailable):
            return False
        if error.retry_after_s is not None:
            return error.retry_after_s if error.retry_after_s <= RETRY_AFTER_S_MAX else False
        wait_s = self._mint.uniform() * self._cap_s
        self._cap_s = min(self._cap_s * 2, WAIT_S_MAX)
        return wait_s


def check_address(url: str, *, insecure: bool) -> str:
    """Return ``url`` without a slash at the end; raise ``Refused`` where a token would travel readable by all."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refused("E-ADDRESS", f"{url!r} is no address of a core.", hint="http://127.0.0.1:7410 is one")
    if parts.scheme == "http" and not is_loopback(url) and not insecure:
        detail = f"{url} is not on this machine, and plain http would show the token to the network."
        raise Refused("E-PLAINTEXT", detail, hint="use https, or say that the network may be trusted: --insecure")
    return url.rstrip("/")


def is_loopback(url: str) -> bool:
    """Say whether an address is on this machine by its very form."""
    return urlsplit(url).hostname in _LOOPBACK


def make_tls(url: str, ca_pem: str) -> ssl.SSLContext:
    """Return what checks the server: the given authority, else the system's; cheap where there is no TLS at all."""
    if not url.startswith("https:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return ssl.create_default_context(cadata=ca_pem or None)


def unreachable(url: str, error: Exception) -> Unavailable:
    """Say that nothing, or nothing in time, answers."""
    # The number of an error is the operating system's own and tells people nothing.
    why = re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
    return Unavailable("E-UNREACHABLE", f"No core answers at {url}: {why}.", hint="skerry up")


class Download:
    """How far the bytes of a blob have come over as many connections as it takes, and when that is hopeless."""

    def __init__(self, url: str, digest: str, offset: int) -> None:
        self._url, self._digest = url, digest
        self.offset = offset
        self._end: int | None = None
        self._fruitless = 0

    @property
    def request(self) -> Request[None]:
        """What to ask next."""
        return make_request("read_blob", parameters={"digest": self._digest}, query=ReadBlob(offset=self.offset))

    def begin(self, headers: Mapping[str, str]) -> None:
        """An answer has begun."""
        self._end = self.offset + read_length(headers)

    def take(self, content: bytes) -> bytes:
        """Count bytes that came, and give them back."""
        self._fruitless, self.offset = 0, self.offset + len(content)
        return content

    def is_done(self, cut: Exception | None = None) -> bool:
        """Say after a connection whether all is here; raises ``Unavailable`` after too many that bring nothing."""
        if cut is None and self._end is not None and self.offset >= self._end:
            return True
        self._fruitless += 1
        if self._fruitless > FRUITLESS_MAX:
            if cut is not None:
                raise unreachable(self._url, cut) from cut
            raise Unavailable("E-CUT", f"{self._url} ends the bytes of {self._digest} again and again.")
        return False


def read_length(headers: Mapping[str, str]) -> int:
    """Return how many bytes an answer says it has; raises ``Unavailable`` for one that does not say."""
    text = headers.get("Content-Length", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Unavailable("E-ANSWER", "What answered does not say how long its answer is.", hint="skerry version")
    return int(text)


def note_retry_after(error: SkerryError, value: str) -> SkerryError:
    """Keep the answer's ``Retry-After`` in seconds; dates are not obeyed, because clocks differ."""
    if isinstance(error, Unavailable) and value.isascii() and value.isdigit() and len(value) <= 6:
        error.retry_after_s = float(value)
    return error


def keep_quiet() -> None:
    """Let the retry library log nothing: a command's output is its own. For programs, never for libraries."""
    import stamina

    stamina.instrumentation.set_on_retry_hooks(())


def put_off(error: Conflict) -> Conflict | Unavailable:
    """Return what makes an upload wait while somebody else sends the same blob; other conflicts as they are."""
    if error.code not in ("E-UPLOADING", "E-OFFSET"):
        return error
    later = Unavailable(error.code, error.detail, hint=error.hint)
    later.retry_after_s = UPLOAD_WAIT_S
    return later


class Lines:
    """Cuts a stream of bytes into lines of a limited length."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, content: bytes) -> list[bytes]:
        """Return the lines that are complete now; raises ``Unavailable`` for one that is too long."""
        *lines, self._rest = (self._rest + content).split(b"\n")
        if len(self._rest) > LINE_BYTES_MAX:
            raise Unavailable("E-ANSWER", f"A line of the stream has more than {LINE_BYTES_MAX} bytes.")
        return [line for line in lines if line.strip()]

    def end(self) -> list[bytes]:
        """Return a last line without its end."""
        return [self._rest] if self._rest.strip() else []
