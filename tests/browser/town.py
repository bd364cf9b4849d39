"""A real core as its own process, filled through its own API, with light sites in this process that talk to it.

A test, a benchmark or a person (``python -m tests.browser.town``) starts it; a small door on loopback lets a script in
the browser's driver make things happen: ``POST /crash``, ``/apply`` and so on. Everything ends with ``close``.
"""

import argparse
import asyncio
import base64
import http.client
import http.server
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from tests.browser import hostile
from tests.browser.sites import NODE, LightSite

from skerry.clock import SeededMint
from skerry.model.app import HealthCheck, Network
from skerry.model.ids import AppName, NetworkName, SecretName, SiteName, TenantName, digest_of
from skerry.model.rollout import Gate, Rollout
from skerry.model.signed import Envelope, PublicKey, RoleKeys, Root, SiteRecord
from skerry.model.uplinks import Uplink
from skerry.sim.apps import AppWords, make_image, make_revision
from skerry.sim.keys import People, sign
from skerry.trust.envelope import encode_envelope_json
from skerry.trust.seal import seal_secret

START_S = 60.0
TENANT = TenantName("default")

#: Name, longitude, latitude, country, region, tier: places that people know, so that a wrong map is seen.
PLACES = (
    ("oslo-1", 10.752, 59.913, "NO", "east", "store"),
    ("oslo-2", 10.79, 59.95, "NO", "east", "store"),
    ("bergen-1", 5.322, 60.392, "NO", "west", "store"),
    ("bergen-2", 5.35, 60.37, "NO", "west", "store"),
    ("trondheim-1", 10.395, 63.43, "NO", "middle", "store"),
    ("stavanger-1", 5.733, 58.97, "NO", "west", "store"),
    ("kristiansand-1", 7.995, 58.147, "NO", "south", "store"),
    ("drammen-1", 10.204, 59.744, "NO", "east", "store"),
    ("tromso-1", 18.955, 69.649, "NO", "north", "store"),
    ("stockholm-1", 18.068, 59.329, "SE", "east", "store"),
    ("goteborg-1", 11.974, 57.708, "SE", "west", "store"),
    ("malmo-1", 13.003, 55.605, "SE", "south", "store"),
    ("uppsala-1", 17.64, 59.858, "SE", "east", "store"),
    ("kobenhavn-1", 12.568, 55.676, "DK", "zealand", "store"),
    ("aarhus-1", 10.203, 56.162, "DK", "jutland", "store"),
    ("odense-1", 10.388, 55.403, "DK", "funen", "store"),
    ("helsinki-1", 24.938, 60.169, "FI", "south", "store"),
    ("tampere-1", 23.76, 61.498, "FI", "middle", "store"),
    ("oulu-1", 25.468, 65.012, "FI", "north", "store"),
    ("reykjavik-1", -21.94, 64.146, "IS", "", "store"),
    ("hamburg-1", 9.993, 53.551, "DE", "north", "depot"),
    ("rotterdam-1", 4.477, 51.924, "NL", "", "depot"),
    ("gdansk-1", 18.646, 54.352, "PL", "north", "depot"),
    ("tallinn-1", 24.753, 59.437, "EE", "", "depot"),
    ("riga-1", 24.105, 56.949, "LV", "", "depot"),
    ("ship-1", 2.1, 61.9, "", "north sea", "vessel"),
    ("ship-2", 3.4, 56.6, "", "north sea", "vessel"),
)
#: The one uplink that an operator has signed.
FIBRE = Uplink(device="eth0", price_micro=1_250_000, budget_bytes=20 * 1024**3)
#: Sites whose boxes never came.
UNBOXED = (("vilnius-1", 25.279, 54.687, "LT", "", "depot"), ("umea-1", 20.263, 63.825, "SE", "north", "store"))


class Api:
    """Plain requests with one token; fails loudly."""

    def __init__(self, port: int, token: str) -> None:
        self.port = port
        self.token = token

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = {"Authorization": f"Bearer {self.token}"} | {
            name.replace("_", "-"): text for name, text in headers.items()
        }
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {content.decode()[:600]}")
        return json.loads(content) if content else None

    def put_next(self, path: str, envelope: Envelope, number: int) -> Any:
        guard = {"If_Match": f'"{number - 1}"'} if number > 1 else {"If_None_Match": "*"}
        return self.ask("PUT", path, encode_envelope_json(envelope), **guard)


class Town:
    """See the module."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="skerry-town-")
        self.folder = Path(self._folder.name)
        self.port, self.link_port = _free_port(), _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = (self.folder / "core.log").open("wb")
        self.people = People(SeededMint("town"))
        self.sites: dict[str, LightSite] = {}
        self._records: dict[str, Envelope] = {}
        self._numbers: dict[str, int] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.start_core()
        try:
            self.operator = Api(self.port, (self.folder / "data" / "bootstrap.token").read_text().strip())
            self.root, self.root_payload = self._found()
        except BaseException:
            self.close()
            raise
        self.api = Api(self.port, self.token)
        #: A token that may look and do nothing else.
        self.viewer = ""

    def start_core(self) -> None:
        """Start the core's process and wait until it answers."""
        command = [
            *(sys.executable, "-m", "skerry", "core", "--data", str(self.folder / "data")),
            *("--api-port", str(self.port), "--link-host", "127.0.0.1", "--link-port", str(self.link_port)),
        ]
        self._core = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        deadline = time.monotonic() + START_S
        while self._core.poll() is None and time.monotonic() < deadline:
            try:
                Api(self.port, "").ask("GET", "/livez")
                return
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)  # between two knocks at a real process that starts
        told = (self.folder / "core.log").read_text()[-2000:]
        self.close()
        raise RuntimeError(f"the core did not start: {told}")

    def stop_core(self) -> None:
        """End the core's process."""
        self._core.terminate()
        try:
            self._core.wait(10)
        except subprocess.TimeoutExpired:
            self._core.kill()
            self._core.wait()

    def _found(self) -> tuple[Envelope, Root]:
        identity = self.operator.ask("GET", "/v1/core")
        key = msgspec.convert(identity["delivery"], PublicKey, strict=False)
        endpoints = (f"127.0.0.1:{self.link_port}",)
        delivery_ca = base64.b64decode(identity["delivery_ca"])
        root = self.people.sign_root(RoleKeys(keys=(key,)), delivery_ca, endpoints)
        self.operator.ask("PUT", "/v1/root", encode_envelope_json(root))
        keys = self.people.add_tenant(TENANT)
        body = {"tenant": TENANT, "deploy_keys": msgspec.to_builtins(keys), "with_operator_role": True}
        made = self.operator.ask("POST", "/v1/tenants", msgspec.json.encode(body))
        self.token: str = made["first"]["token"]
        return root, msgspec.json.decode(root.payload, type=Root)

    def _wait(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    # --- what there is -----------------------------------------------------------------------------------------------

    def add_site(self, name: str, lines: tuple[str, ...] = (), *, start: bool = True, **words: Any) -> None:
        """Sign a site's record, hand it in, and start its agent."""
        site = self.sites[name] = LightSite(name, lines)
        tenants = {tenant: RoleKeys(keys=(key.public,)) for tenant, key in sorted(self.people.tenants.items())}
        record = SiteRecord(site=SiteName(name), number=1, nodes={NODE: site.record}, tenants=tenants, **words)
        envelope = self._records[name] = sign("site", record, self.people.registrar)
        self.api.put_next(f"/v1/sites/{name}", envelope, 1)
        if start:
            self.start(name)

    def start(self, name: str) -> None:
        self._wait(self.sites[name].start(self.root, self.root_payload, self._records[name]))

    def stop(self, name: str) -> None:
        self._wait(self.sites[name].stop())

    def crash(self, name: str, app: str) -> None:
        """End the processes of an app at a site."""

        def act() -> None:
            machine = self.sites[name].machine
            for instance in machine.running():
                if instance.split("/")[1] == app:
                    machine.crash(instance)

        self._loop.call_soon_threadsafe(act)

    def push_image(self, name: str, size: int = 4_000) -> Any:
        image, blobs = make_image(name, size)
        for blob in blobs:
            self.api.ask("PUT", f"/v1/blobs/{digest_of(blob)}?size={len(blob)}", blob)
        self.api.ask("POST", "/v1/images", json.dumps({"name": name, "digest": image.digest}).encode())
        return image

    def apply(
        self, app: str, services: dict[str, str], *, change: Callable[[Any], Any] = lambda it: it, **words: Any
    ) -> None:
        """Sign the next revision of an app and hand it in."""
        number = self._numbers[app] = self._numbers.get(app, 0) + 1
        images = {name: self.push_image(name) for name in services.values()}
        revision = make_revision(TENANT, AppName(app), number, AppWords(services=services, **words), images)
        envelope = self.people.sign_as(TENANT, "revision", change(revision))
        self.api.put_next(f"/v1/apps/{app}", envelope, number)

    def seal(self, name: str, sites: set[str]) -> None:
        """Seal a value to some sites and hand it in."""
        secret = seal_secret(
            b"sealed",
            tenant=TENANT,
            name=SecretName(name),
            number=1,
            recipients=[self.sites[site].record.sealing for site in sorted(sites)],
            mint=SeededMint(f"secret {name}"),
        )
        self.api.put_next(f"/v1/secrets/{name}", self.people.sign_as(TENANT, "secret", secret), 1)

    # --- the end -----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End every process and thread."""
        for site in self.sites.values():
            self._wait(site.stop())
        self.stop_core()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        self._log.close()
        self._folder.cleanup()


def settle(town: Town, app: str, wanted: int, seconds: float = 30) -> None:
    """Wait until so many instances of an app are ready."""
    deadline = time.monotonic() + seconds
    while True:
        summary = town.api.ask("GET", f"/v1/apps/{app}")["summary"]
        if summary["ready"] >= wanted:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{app}: {summary}")
        time.sleep(0.1)  # between two looks at a real core


def roll(town: Town, app: str) -> None:
    """Let the second revision of an app come to the depots in waves, a person being asked after the canary."""
    town.apply(app, {"web": "registry.example/roll:1"}, match=("tier=depot",), volume=False)
    settle(town, app, 5)
    rollout = Rollout(bake_us=0, gate=Gate(healthy_us=1_000_000), approve="canary")
    town.apply(
        app,
        {"web": "registry.example/roll:2"},
        match=("tier=depot",),
        volume=False,
        change=lambda revision: msgspec.structs.replace(revision, rollout=rollout),
    )


def furnish(town: Town, *, planted: bool = True) -> None:
    """Fill a town: stores and depots, apps that run, one that cannot, one at its second revision, hostile text."""
    for index, (name, longitude, latitude, country, region, tier) in enumerate((*PLACES, *UNBOXED)):
        town.add_site(
            name,
            lines=("starting", "listening on :80", *(hostile.LINES if planted and name == "oslo-1" else ())),
            start=name not in [each[0] for each in UNBOXED],
            labels={"tier": tier, "wave": str(index % 4)},
            country=country,
            region=region,
            longitude_udeg=round(longitude * 1e6),
            latitude_udeg=round(latitude * 1e6),
            **({"uplinks": {"fibre": FIBRE}} if name == "oslo-1" else {}),
        )
    if planted:
        town.add_site("hostile", lines=(*hostile.LINES, hostile.TERMINAL), **hostile_words())
    town.apply(
        "till",
        {"web": "registry.example/till/web:4.1", "ledger": "docker.io/library/postgres:16"},
        match=("tier=store",),
    )
    town.apply("stock", {"scan": "registry.example/stock/scan:2.0"}, match=("tier=depot",), port=8080)
    town.apply("beacon", {"agent": "registry.example/beacon:1"}, volume=False, change=_join)
    town.seal("till-key", {"oslo-1", "oslo-2"})
    town.apply("archive", {"keep": "registry.example/archive:1"}, match=("tier=vault",), total=2)
    settle(town, "stock", 5)
    town.apply("stock", {"scan": "registry.example/stock/scan:2.1"}, match=("tier=depot",), port=8080)
    if planted:
        services = {"web": "registry.example/hostile:1"}
        town.apply("hostile", services, match=("tier=hostile",), volume=False, change=_spoil)
    body = json.dumps({"name": "viewer", "tenant_role": "viewer"}).encode()
    town.viewer = town.api.ask("POST", "/v1/tokens", body)["token"]
    settle(town, "till", 40)
    settle(town, "stock", 5)
    settle(town, "beacon", len(PLACES) + planted)


def hostile_words() -> dict[str, Any]:
    """Words of a site's record that are free text."""
    return {
        "labels": {"tier": "hostile", "note": hostile.SCRIPT, hostile.PICTURE: hostile.BREAKOUT, "long": hostile.LONG},
        "country": hostile.LINK,
        "region": hostile.PICTURE,
        "longitude_udeg": -30_000_000,
        "latitude_udeg": 45_000_000,
    }


def _join(revision: Any) -> Any:
    """Say of the app's network that it is there: what it moved is shown by its name."""
    return msgspec.structs.replace(revision, networks={NetworkName("default"): Network()})


def _spoil(revision: Any) -> Any:
    """Put hostile text into what a tenant may write freely, and a health check that says it again at the site."""
    service = revision.services["web"]
    check = HealthCheck(test=("CMD-SHELL", f"echo {hostile.PICTURE}; exit 1"), interval_us=1_000_000, retries=1)
    return msgspec.structs.replace(
        revision,
        description=hostile.PICTURE + hostile.BREAKOUT,
        labels={hostile.SCRIPT: hostile.LINK},
        services={"web": msgspec.structs.replace(service, healthcheck=check)},
    )


class Door:
    """Lets the browser's driver make things happen in the town."""

    def __init__(self, town: Town) -> None:
        acts: dict[str, Callable[[dict[str, str]], None]] = {
            "/crash": lambda words: town.crash(words["site"], words["app"]),
            "/away": lambda words: town.stop(words["site"]),
            "/back": lambda words: town.start(words["site"]),
            "/apply": lambda words: town.apply(words["app"], {"web": words["image"]}, match=(words["match"],)),
            "/roll": lambda words: roll(town, words["app"]),
            "/stop-core": lambda _: town.stop_core(),
            "/start-core": lambda _: town.start_core(),
            "/add": lambda words: town.add_site(words["site"], longitude_udeg=15_000_000, latitude_udeg=62_000_000),
        }

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                words = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))) or b"{}")
                try:
                    acts[self.path](words)
                    status, told = 200, b"{}"
                except Exception as error:
                    status, told = 500, json.dumps(str(error)).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def main() -> int:
    """Show the town to a person until Enter."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--for-s", type=float, default=3600)
    parser.add_argument("--calm", action="store_true", help="no hostile text")
    options = parser.parse_args()
    town = Town()
    door = Door(town)
    try:
        furnish(town, planted=not options.calm)
        sys.stdout.write(
            json.dumps({"url": town.url, "token": town.token, "viewer": town.viewer, "door": door.url}) + "\n"
        )
        sys.stdout.flush()
        time.sleep(options.for_s)  # a person looks meanwhile; Ctrl-C ends it
    except KeyboardInterrupt:
        pass
    finally:
        door.close()
        town.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
