"""An ACME authority of our own: Debian's pebble, which is made for testing such clients, with its server of names.

It runs where it is started, in the namespaces of who starts it. Programs believe it once ``believe`` has put its
certificate in place of the system's authorities, in a mount namespace of the caller's own.

``authority FOLDER ADDRESS NAME`` has one at an address believed and lead a name there, and goes on until it is ended;
what it signs by is in ``FOLDER/root.pem``.
"""

import json
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.certificates import make_certificate

BELIEVED = Path("/etc/ssl/certs/ca-certificates.crt")
#: It listens within milliseconds.
START_S_MAX = 10.0


class Pebble:
    """One that runs until it is ended."""

    def __init__(self, folder: Path, address: str, leads: Mapping[str, str]) -> None:
        """``leads`` say to which address a name leads."""
        folder.mkdir(parents=True, exist_ok=True)
        self.directory = f"https://{address}:14000/dir"
        self._address, self._folder = address, folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self.certificate = make_certificate(address)
        shown = folder / "pebble.pem"
        shown.write_bytes(self.certificate)
        settings = {
            "listenAddress": f"{address}:14000",
            "managementListenAddress": f"{address}:15000",
            "certificate": str(shown),
            "privateKey": str(shown),
            "httpPort": 80,
            "tlsPort": 443,
        }
        (folder / "pebble.json").write_text(json.dumps({"pebble": settings}))
        listens = {"dns01": f"{address}:8053", "management": f"{address}:8055"}
        listens |= dict.fromkeys(("http01", "https01", "tlsalpn01", "defaultIPv4", "defaultIPv6"), "")
        self._start("pebble-challtestsrv", *(word for name in listens for word in (f"-{name}", listens[name])))
        # Untold it waits some seconds before it looks, to find clients that cannot wait.
        words = ("-config", str(folder / "pebble.json"), "-dnsserver", f"{address}:8053", "-strict")
        self._start("env", "PEBBLE_VA_NOSLEEP=1", "pebble", *words)
        for name, place in leads.items():
            body = json.dumps({"host": name, "addresses": [place]}).encode()
            self._ask(f"http://{address}:8055/add-a", body)

    def read_root(self) -> bytes:
        """Return the certificate by which it signs; it makes itself a new one at each start."""
        return self._ask(f"https://{self._address}:15000/roots/0")

    def end(self) -> None:
        """End it."""
        for process in self._processes:
            process.kill()
            process.wait()

    def _start(self, *words: str) -> None:
        with (self._folder / "authority.log").open("ab") as log:
            self._processes.append(subprocess.Popen(words, stdout=log, stderr=log))

    def _ask(self, url: str, body: bytes | None = None) -> bytes:
        context = ssl.create_default_context(cadata=self.certificate.decode().partition("-----BEGIN PRIVATE")[0])
        until = time.monotonic() + START_S_MAX
        while True:
            try:
                with urllib.request.urlopen(url, body, 5, context=context) as answer:
                    return answer.read()
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)  # it is about to listen


def believe(certificate: bytes, file: Path) -> None:
    """Let all programs of this mount namespace believe one authority and no other."""
    file.write_bytes(certificate)
    subprocess.run(["mount", "--bind", str(file), str(BELIEVED)], check=True, timeout=10)


if __name__ == "__main__":
    place, own, host = Path(sys.argv[1]), *sys.argv[2:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    pebble = Pebble(place, own, {host: own})
    try:
        believe(pebble.certificate, place / "believed.pem")
        (place / "root.new").write_bytes(pebble.read_root())
        (place / "root.new").rename(place / "root.pem")
        signal.pause()
    finally:
        pebble.end()
