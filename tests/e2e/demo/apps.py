"""The apps of the demos: a Compose file of tests/data/compose byte for byte, its images, and how to see that it works.

``mark`` leaves something in the app's data, ``shows`` says whether it is still there; ``edit`` is
the one line that a person adds later: it changes exactly one service, which ``is_changed`` sees from outside.
"""

import json
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.fleet import list_containers
from tests.e2e.lab_site import Site
from tests.e2e.site_http import http_get, http_post

COMPOSE = Path(__file__).resolve().parents[2] / "data" / "compose"
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
#: Two copies of a database that start at once on a small machine keep a request waiting.
ANSWER_S = 15.0


@dataclass(frozen=True)
class DemoApp:
    """One app; functions raise OSError while the app does not answer."""

    name: str
    file: Path
    images: tuple[str, ...]
    services: tuple[str, ...]
    port: int
    mark: Callable[[Site], None]
    shows: Callable[[Site], bool]
    #: The service that ``edit`` changes, and that the demo kills.
    changed: str
    #: A line of the file, and the one that is put after it.
    edit: tuple[str, str]
    is_changed: Callable[[Site], bool]

    def write_second(self, place: Path) -> None:
        """Write the file as it is after a person has added a line."""
        line, added = self.edit
        text = self.file.read_text()
        if text.count(line) != 1:
            raise ValueError(f"{self.file.name} has no single line {line!r}")
        place.write_text(text.replace(line, line + added))


def _mark_blog(site: Site) -> None:
    fields = {
        "weblog_title": f"Harbour {site.name}",
        "user_name": "keeper",
        "admin_password": "lamp-room-7",
        "admin_password2": "lamp-room-7",
        "admin_email": "keeper@example.org",
    }
    body = urllib.parse.urlencode(fields).encode()
    answer = http_post(site.net, 80, "/wp-admin/install.php?step=2", body, FORM, timeout_s=60)
    if answer.status != 200:
        raise OSError(f"WordPress was not set up: {answer.status}")


def _shows_blog(site: Site) -> bool:
    title = f"<title>Harbour {site.name}".encode()
    return title in http_get(site.net, 80, timeout_s=ANSWER_S).body


def _blog_is_changed(site: Site) -> bool:
    return http_get(site.net, 80, timeout_s=ANSWER_S).headers.get("x-harbour") == "second"


_FLOWS: list[dict[str, Any]] = [
    {"id": "tab", "type": "tab", "label": "readings"},
    {"id": "in", "type": "http in", "z": "tab", "url": "/kept", "method": "get", "wires": [["say"]]},
    {"id": "say", "type": "change", "z": "tab", "rules": [{"t": "set", "p": "payload", "pt": "msg", "to": "7 metres"}]}
    | {"wires": [["answer"]]},
    {"id": "answer", "type": "http response", "z": "tab", "wires": []},
]


def _mark_flows(site: Site) -> None:
    answer = http_post(site.net, 1880, "/flows", json.dumps(_FLOWS).encode(), JSON)
    if answer.status not in (200, 204):
        raise OSError(f"the flow engine took no flow: {answer.status}")


def _shows_flows(site: Site) -> bool:
    return b"7 metres" in http_get(site.net, 1880, "/kept", timeout_s=ANSWER_S).body


def _flows_are_changed(site: Site) -> bool:
    found = [each for name, each in list_containers(site).items() if name.split("/")[2] == "flows"]
    states = [site.podman.do("GET", f"/containers/{each['Id']}/json") for each in found]
    return any(
        "NODE_RED_ENABLE_SAFE_MODE=false" in state["Config"]["Env"] and state["State"]["Running"] for state in states
    )


APPS = {
    app.name: app
    for app in (
        DemoApp(
            name="wordpress",
            file=COMPOSE / "docker-awesome-compose__wordpress-mysql-compose.yaml",
            images=("mariadb:10.6.4-focal", "wordpress:latest"),
            services=("db", "wordpress"),
            port=80,
            mark=_mark_blog,
            shows=_shows_blog,
            changed="wordpress",
            edit=(
                "      - WORDPRESS_DB_NAME=wordpress\n",
                "      - \"WORDPRESS_CONFIG_EXTRA=header('X-Harbour: second');\"\n",
            ),
            is_changed=_blog_is_changed,
        ),
        DemoApp(
            name="flows",
            file=COMPOSE / "mqtt-flows-database.compose.yaml",
            images=("eclipse-mosquitto:2", "nodered/node-red:latest", "postgres:15"),
            services=("broker", "database", "flows"),
            port=1880,
            mark=_mark_flows,
            shows=_shows_flows,
            changed="flows",
            edit=("      - TZ=UTC\n", "      - NODE_RED_ENABLE_SAFE_MODE=false\n"),
            is_changed=_flows_are_changed,
        ),
    )
}
