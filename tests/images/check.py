"""Start an app's Compose file in a lab from the stand-in images, without Skerry, and see that it answers.

`python -m tests.images.check [--json FILE] [APP...]` builds what the files name and writes sizes and seconds. The rule
of this file: containers run as Skerry runs a tenant's, with a uid range of their own, Docker's capabilities and no new
privileges. Only what the apps of APPS use of Compose is understood here; the product's loader is `src/skerry/manifest`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from tests.e2e.lab import Lab
from tests.e2e.lab_site import Site
from tests.images import build, debian, oci

COMPOSE = Path(__file__).resolve().parents[1] / "data" / "compose"
IMAGE_BYTES_MAX = 250_000_000
#: From the start of the last container; two busy cores need about a tenth of it.
ANSWER_SECONDS_MAX = 120
HEALTH_SECONDS_MAX = 60
CAPABILITIES = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SYS_CHROOT",
    "MKNOD",
    "AUDIT_WRITE",
    "SETFCAP",
]
UID_RANGE = {"container_id": 0, "host_id": 200_000, "size": 65_536}


@dataclass(frozen=True)
class App:
    """A Compose file and how to see that it works: `proof` raises AssertionError if it does not."""

    file: str
    port: int
    proof: Callable[[Lab, Site], None]


@dataclass(frozen=True)
class Result:
    """What one app took; sizes are bytes of unpacked layers, base included."""

    app: str
    image_bytes: dict[str, int]
    build_seconds: float
    answer_seconds: float


def services_of(app: App) -> dict[str, dict[str, Any]]:
    """The services of an app's file, in an order in which each comes after those it depends on."""
    services: dict[str, dict[str, Any]] = YAML(typ="safe").load(COMPOSE / app.file)["services"]
    ordered: dict[str, dict[str, Any]] = {}
    while len(ordered) < len(services):
        ready = [name for name in services if name not in ordered and set(_needs(services[name])) <= set(ordered)]
        assert ready, f"{app.file}: services depend on one another in a circle"
        ordered |= {name: services[name] for name in ready}
    return ordered


def check(lab: Lab, name: str, cache: Path | None = None, say: build.Say = print) -> Result:
    """Build, start and prove one app at the lab's first site. AssertionError says what is wrong."""
    app, site = APPS[name], next(iter(lab.sites.values()))
    services = services_of(app)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="stand-ins-") as scratch:
        sizes: dict[str, int] = {}
        layouts: list[Path] = []
        for image in sorted({service["image"] for service in services.values()}):
            layouts.append(build.build(image, Path(scratch) / f"layout-{len(layouts)}", cache, say))
            sizes[image] = build.size_of(layouts[-1])
            assert sizes[image] <= IMAGE_BYTES_MAX, f"{image} has {sizes[image]} bytes"
        built = time.monotonic() - began
        for layout in layouts:
            archive = oci.write_archive(layout, Path(scratch) / "archive.tar")
            site.podman.do("POST", "/images/load", archive.read_bytes())
    site.podman.do("POST", "/networks/create", {"name": name, "driver": "bridge", "dns_enabled": True})
    for service, settings in services.items():
        for needed, condition in _needs(settings).items():
            if condition == "service_healthy":
                _wait_until_healthy(site, needed, services[needed])
        start(site, name, service, settings)
    began = time.monotonic()
    wait(lambda: answers(lab, site, app.port), ANSWER_SECONDS_MAX, f"{name} does not answer")
    answered = time.monotonic() - began
    for service, settings in services.items():
        _wait_until_healthy(site, service, settings)
    app.proof(lab, site)
    return Result(name, sizes, round(built, 1), round(answered, 2))


def execute(site: Site, container: str, command: Sequence[str]) -> int:
    """Run a command in a container to its end and return its exit code."""
    settings = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True}
    session = site.podman.do("POST", f"/containers/{container}/exec", settings)["Id"]
    site.podman.do("POST", f"/exec/{session}/start", {"Detach": False})
    return site.podman.do("GET", f"/exec/{session}/json")["ExitCode"]


def kill_and_start(site: Site, container: str) -> None:
    """Let a container die as in a crash, and start it again."""
    site.podman.do("POST", f"/containers/{container}/kill", signal="KILL")
    wait(lambda: _state(site, container)["Status"] == "exited", HEALTH_SECONDS_MAX, f"{container} lives")
    site.podman.do("POST", f"/containers/{container}/start")


def _needs(settings: dict[str, Any]) -> dict[str, str]:
    needs = settings.get("depends_on", {})
    return {name: needs[name]["condition"] if isinstance(needs, dict) else "service_started" for name in needs}


def start(site: Site, app: str, name: str, settings: dict[str, Any]) -> None:
    """Start a service in a container of its name, on the network of the app's name."""
    environment = settings.get("environment", {})
    if isinstance(environment, list):
        environment = dict(line.split("=", 1) for line in environment)
    command = settings.get("command", [])
    volumes = [volume.split(":") for volume in settings.get("volumes", ())]
    ports = [str(port).split(":") for port in settings.get("ports", ())]
    spec = {
        "name": name,
        "image": settings["image"],
        "command": command.split() if isinstance(command, str) else command,
        "env": environment,
        "volumes": [{"Name": f"{app}_{volume}", "Dest": folder} for volume, folder in volumes],
        "portmappings": [{"host_port": int(host), "container_port": int(inside)} for host, inside in ports],
        "netns": {"nsmode": "bridge"},
        "networks": {app: {"aliases": [name]}},
        "userns": {"nsmode": "private"},
        "idmappings": {"UIDMap": [UID_RANGE], "GIDMap": [UID_RANGE]},
        "cap_drop": ["ALL"],
        "cap_add": CAPABILITIES,
        "no_new_privileges": True,
    }
    site.podman.do("POST", "/containers/create", spec)
    site.podman.do("POST", f"/containers/{name}/start")


def _wait_until_healthy(site: Site, name: str, settings: dict[str, Any]) -> None:
    wait(lambda: _is_healthy(site, name, settings), HEALTH_SECONDS_MAX, f"{name} is not healthy")


def _is_healthy(site: Site, name: str, settings: dict[str, Any]) -> bool:
    state = _state(site, name)
    assert state["Running"], f"{name} ended with {state['ExitCode']}"
    test = [word.replace("$$", "$") for word in settings.get("healthcheck", {}).get("test", ())]
    if not test:
        return True
    return execute(site, name, ["sh", "-c", test[1]] if test[0] == "CMD-SHELL" else test[1:]) == 0


def _state(site: Site, name: str) -> dict[str, Any]:
    return site.podman.do("GET", f"/containers/{name}/json")["State"]


def answers(lab: Lab, site: Site, port: int) -> bool:
    """Whether a published port answers with a page, or sends on to one."""
    try:
        return lab.http_get(site.name, port, timeout_s=15).status in (200, 302)
    except (OSError, http.client.HTTPException):
        return False


def wait(holds: Callable[[], bool], seconds_max: float, otherwise: str) -> None:
    """Wait until something holds; AssertionError with `otherwise` if it never does."""
    deadline = time.monotonic() + seconds_max
    while not holds():
        assert time.monotonic() < deadline, f"{otherwise} after {seconds_max} s"
        time.sleep(0.2)


def _prove_wordpress(lab: Lab, site: Site) -> None:
    """WordPress installs itself into the database, and what it wrote outlives the death of both."""
    fields = {
        "weblog_title": "Harbour",
        "user_name": "keeper",
        "admin_password": "lamp-room-7",
        "admin_password2": "lamp-room-7",
        "admin_email": "keeper@example.org",
    }
    form = [word for name, value in fields.items() for word in ("--data-urlencode", f"{name}={value}")]
    page = "http://localhost/wp-admin/install.php?step=2"
    assert execute(site, "wordpress", ["curl", "--fail", "--silent", "--show-error", *form, page]) == 0
    for container in ("db", "wordpress"):
        assert b"<title>Harbour" in lab.http_get(site.name, 80, timeout_s=30).body
        kill_and_start(site, container)
        wait(lambda: answers(lab, site, 80), ANSWER_SECONDS_MAX, "WordPress does not come back")
    assert b"<title>Harbour" in lab.http_get(site.name, 80, timeout_s=30).body
    for command in (["mysqladmin", "ping"], ["healthcheck.sh", "--connect", "--innodb_initialized"]):
        assert execute(site, "db", command) == 0, command


def _prove_flows(lab: Lab, site: Site) -> None:
    """A reading sent to a flow comes to the broker; a row outlives the death of the database."""
    flows = [
        {"id": "tab", "type": "tab", "label": "readings"},
        {"id": "listener", "type": "mqtt-broker", "broker": "broker", "port": "1883"},
        {"id": "in", "type": "http in", "z": "tab", "url": "/send", "method": "get", "wires": [["out", "answer"]]},
        {"id": "out", "type": "mqtt out", "z": "tab", "topic": "readings", "retain": "true", "broker": "listener"},
        {"id": "answer", "type": "http response", "z": "tab", "wires": []},
    ]
    json_body = ["--header", "Content-Type: application/json", "--data", json.dumps(flows)]
    assert execute(site, "flows", ["curl", "--fail", "--silent", *json_body, "http://localhost:1880/flows"]) == 0
    listen = "mosquitto_sub -t readings -C 1 -W 2 | grep -q metres"

    def has_arrived() -> bool:
        sent = lab.http_get(site.name, 1880, "/send?metres=7").status == 200
        return sent and execute(site, "broker", ["sh", "-c", listen]) == 0

    wait(has_arrived, HEALTH_SECONDS_MAX, "the reading is not at the broker")
    psql = [
        "psql",
        "postgresql://flows:flows-for-trying-out@database/readings",
        "--quiet",
        "-v",
        "ON_ERROR_STOP=1",
        "-c",
    ]
    assert execute(site, "database", [*psql, "CREATE TABLE reading AS SELECT 7 AS metres"]) == 0
    kill_and_start(site, "database")
    find = [*psql, "SELECT 1 / count(*) FROM reading WHERE metres = 7"]
    wait(lambda: execute(site, "database", find) == 0, HEALTH_SECONDS_MAX, "the row is gone")


APPS = {
    "wordpress": App("docker-awesome-compose__wordpress-mysql-compose.yaml", 80, _prove_wordpress),
    "flows": App("mqtt-flows-database.compose.yaml", 1880, _prove_flows),
}


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Run the demo apps from stand-in images, without Skerry.")
    parser.add_argument("--cache", type=Path, default=build.DEFAULT_CACHE)
    parser.add_argument("--fresh", action="store_true", help="empty the cache first")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("apps", nargs="*", metavar="APP", help=", ".join(APPS))
    asked = parser.parse_args()
    if asked.fresh:
        shutil.rmtree(asked.cache, ignore_errors=True)
    results: list[Result] = []
    problem = ""
    for name in asked.apps or APPS:
        try:
            with Lab(["one"]) as lab:
                results.append(check(lab, name, asked.cache))
            print(results[-1], flush=True)
        except (AssertionError, debian.ToolError) as error:
            problem = f"{name}: {error}"
            print(f"error: {problem}", file=sys.stderr)
    if asked.json:
        report = {"apps": [asdict(one) for one in results], "problem": problem}
        asked.json.write_text(json.dumps(report, indent=1) + "\n")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
