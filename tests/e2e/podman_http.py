"""The lab's own few words with podman's REST API, so that tests of the driver do not use the driver."""

import http.client
import json
import socket
import urllib.parse
from pathlib import Path
from typing import Any

API = "/v4.0.0/libpod"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("podman", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class PodmanHttp:
    """One request, one connection."""

    def __init__(self, path: Path, timeout_s: float = 60.0) -> None:
        self._path = path
        self._timeout_s = timeout_s

    def call(self, method: str, path: str, body: Any = None, **query: str | int | bool) -> tuple[int, Any]:
        """Send JSON (or raw bytes) and read JSON (or raw bytes): (status, answer)."""
        target = API + path + ("?" + urllib.parse.urlencode(query) if query else "")
        raw = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        kind = "application/x-tar" if isinstance(body, bytes) else "application/json"
        connection = _UnixConnection(self._path, self._timeout_s)
        try:
            connection.request(method, target, raw, {"Content-Type": kind, "Connection": "close"})
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        try:
            return response.status, json.loads(content) if content else None
        except ValueError:
            return response.status, content

    def do(self, method: str, path: str, body: Any = None, **query: str | int | bool) -> Any:
        """``call`` that must succeed."""
        status, answer = self.call(method, path, body, **query)
        if status >= 400:
            raise OSError(f"podman: {method} {path}: {status}: {answer}")
        return answer

    def ping(self) -> bool:
        """Whether the service answers."""
        try:
            return self.call("GET", "/_ping")[0] == 200
        except (OSError, http.client.HTTPException):
            return False
