"""What a visitor at a site sees: HTTP from inside the site's network namespace, once or without a pause.

Rule: a request that gets no good answer in time is lost, whatever the reason, and every request is counted once.
Used by the demo and the end-to-end tests through ``lab.py``'s sites.
"""

import http.client
import statistics
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from skerry.berths.namespaces import inside_net

BODY_BYTES_MAX = 8 * 1024 * 1024
#: Enough for a day of requests ten times a second; older latencies are forgotten, counts are not.
LATENCIES_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, body, duration and headers of one request; header names are in lower case."""

    status: int
    body: bytes
    seconds: float
    headers: dict[str, str] = field(default_factory=dict)


def http_get(net: Path, port: int, path: str = "/", *, host: str = "127.0.0.1", timeout_s: float = 5.0) -> Answer:
    """GET from inside the namespace ``net``. Raises OSError or http.client.HTTPException when there is no answer."""
    return _ask(net, port, "GET", path, None, {}, host, timeout_s)


def http_post(net: Path, port: int, path: str, body: bytes, kind: str, *, timeout_s: float = 30.0) -> Answer:
    """POST ``body`` of content type ``kind`` from inside the namespace ``net``; raises as ``http_get``."""
    return _ask(net, port, "POST", path, body, {"Content-Type": kind}, "127.0.0.1", timeout_s)


def _ask(
    net: Path, port: int, method: str, path: str, body: bytes | None, extra: dict[str, str], host: str, timeout_s: float
) -> Answer:
    started = time.monotonic()
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        with inside_net(net):
            connection.connect()
        connection.request(method, path, body, {"Connection": "close", **extra})
        response = connection.getresponse()
        content = response.read(BODY_BYTES_MAX)
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, content, time.monotonic() - started, headers)
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class Count:
    """Requests so far, and latency of the good ones; ``since`` gives what happened between two counts."""

    ok: int
    lost: int
    latency_s_median: float
    latency_s_max: float
    #: Longest time between two good answers.
    gap_s_max: float
    #: What the last lost request met; empty when none was lost.
    last_loss: str

    def since(self, earlier: "Count") -> tuple[int, int]:
        """(ok, lost) after ``earlier``."""
        return self.ok - earlier.ok, self.lost - earlier.lost


class RequestCounter:
    """Keeps asking one published port of a site, from inside the site, until ``stop``.

    Good is a status from 200 to 399. The namespace is entered anew for each request, so the counter goes on counting
    (lost ones) while the site reboots.
    """

    def __init__(
        self,
        net: Path,
        port: int,
        path: str = "/",
        *,
        host: str = "127.0.0.1",
        interval_s: float = 0.1,
        timeout_s: float = 5.0,
    ) -> None:
        self._net, self._port, self._path, self._host = net, port, path, host
        self._interval_s, self._timeout_s = interval_s, timeout_s
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._ok = self._lost = 0
        self._latencies: list[float] = []
        self._gap_s_max = 0.0
        self._last_ok = time.monotonic()
        self._last_loss = ""
        self._thread = threading.Thread(target=self._ask, name=f"requests to {net.stem}:{port}", daemon=True)

    def start(self) -> "RequestCounter":
        """Begin; returns itself."""
        self._last_ok = time.monotonic()
        self._thread.start()
        return self

    def stop(self) -> Count:
        """End after the request that is under way; the last count."""
        self._stop.set()
        self._thread.join(self._timeout_s + 5)
        return self.count()

    def count(self) -> Count:
        """What was counted so far."""
        with self._lock:
            latencies = self._latencies
            return Count(
                ok=self._ok,
                lost=self._lost,
                latency_s_median=statistics.median(latencies) if latencies else 0.0,
                latency_s_max=max(latencies, default=0.0),
                gap_s_max=self._gap_s_max,
                last_loss=self._last_loss,
            )

    def __enter__(self) -> "RequestCounter":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _ask(self) -> None:
        while not self._stop.is_set():
            started = time.monotonic()
            try:
                answer = http_get(self._net, self._port, self._path, host=self._host, timeout_s=self._timeout_s)
                loss = "" if 200 <= answer.status < 400 else f"status {answer.status}"
            except (OSError, http.client.HTTPException) as error:
                loss = f"{type(error).__name__}: {error}"
            self._record(time.monotonic(), started, loss)
            self._stop.wait(max(0.0, started + self._interval_s - time.monotonic()))

    def _record(self, now: float, started: float, loss: str) -> None:
        with self._lock:
            if loss:
                self._lost += 1
                self._last_loss = loss
                return
            self._ok += 1
            self._gap_s_max = max(self._gap_s_max, now - self._last_ok)
            self._last_ok = now
            self._latencies.append(now - started)
            del self._latencies[:-LATENCIES_MAX]
