"""The projects that ``run.py`` runs: a given Compose file, what lies beside it, its images, and how it is asked.

The files are the projects' own, byte for byte; ``tests/data/compose/beside`` has stand-ins of the files beside them.
Rules: an app is asked in its own protocol (HTTP, SQL, MQTT, Redis'), never Skerry whether it is well; what ``mark``
left is what ``shows`` looks for. Both raise OSError or AssertionError while the app does not answer as it should.
"""

import json
import shutil
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.projects.visit import Visit

COMPOSE = Path(__file__).resolve().parents[2] / "data" / "compose"
FORM, JSON = "application/x-www-form-urlencoded", "application/json"


@dataclass(frozen=True)
class Project:
    """One project."""

    name: str
    file: Path
    #: What the file calls its images, as far as they come from tests/images under the same name.
    images: tuple[str, ...]
    #: Leaves something in the app's data.
    mark: Callable[[Visit], None]
    #: Looks whether it is there, and that the app works.
    shows: Callable[[Visit], None]
    #: The port whose first good answer says that the app can be used.
    port: int
    #: The service whose process is killed.
    killed: str
    #: Folder of tests/data/compose/beside whose files lie beside the Compose file.
    beside: str = ""
    #: A file of ours that is laid over it, in the same folder.
    laid_over: str = ""
    #: Images that Compose would build: the name it gives to them, and the recipe of tests/images.
    built: dict[str, str] = field(default_factory=dict[str, str])
    #: Services that run once and end well.
    jobs: frozenset[str] = frozenset()
    #: Whether the file asks that ``killed`` be started again; otherwise a person does it.
    comes_back: bool = True
    #: What of the file is not shown, for the record.
    detail: str = ""


def lay_out(project: Project, folder: Path) -> list[Path]:
    """Put the project's file, and what lies beside it, into a new folder; the files to apply, in their order."""
    if project.beside:
        shutil.copytree(COMPOSE / "beside" / project.beside, folder)
    folder.mkdir(exist_ok=True)
    shutil.copyfile(project.file, folder / "compose.yaml")
    return [folder / "compose.yaml", *([folder / project.laid_over] if project.laid_over else [])]


def _form(**fields: str) -> bytes:
    return urllib.parse.urlencode(fields).encode()


def _mark_blog(visit: Visit) -> None:
    fields = {"weblog_title": "Harbour", "user_name": "keeper", "admin_email": "keeper@example.org"}
    fields |= {"admin_password": "lamp-room-7", "admin_password2": "lamp-room-7"}
    visit.post(80, "/wp-admin/install.php?step=2", _form(**fields), FORM)


def _blog_shows(visit: Visit) -> None:
    assert b"<title>Harbour" in visit.get(80)


_WIKI_PASSWORD = ("--user=nextcloud", "--password=nextcloud", "nextcloud")


def _mark_wiki(visit: Visit) -> None:
    edit = {"action": "edit", "title": "Harbour", "text": "7 metres deep", "token": "+\\", "format": "json"}
    answer = json.loads(visit.post(80, "/api.php", _form(**edit), FORM))
    assert answer.get("edit", {}).get("result") == "Success", answer


def _wiki_shows(visit: Visit) -> None:
    assert b"7 metres deep" in visit.get(80, "/index.php?title=Harbour")
    found = visit.run("db", "mysql", "--batch", *_WIKI_PASSWORD, "--execute", "SELECT page_title FROM page")
    assert "Harbour" in found.split(), found
    assert int(visit.run("redis", "redis-cli", "dbsize")) > 0, "the wiki keeps nothing in Redis"


def _mark_posts(visit: Visit) -> None:
    visit.post(80, "/", _form(title="Harbour"), FORM)


def _posts_show(visit: Visit) -> None:
    assert json.loads(visit.get(80)) == ["Post 0", "Post 1", "Post 2", "Harbour"]


def _figures(visit: Visit, port: int, query: str) -> list[dict[str, str]]:
    answer = json.loads(visit.get(port, "/api/v1/query?" + urllib.parse.urlencode({"query": query})))
    return [each["metric"] | {"value": each["value"][1]} for each in answer["data"]["result"]]


def _mark_figures(visit: Visit) -> None:
    """Nothing is written: remember when the oldest figure was taken, which only the volume can tell later."""

    def remember() -> None:
        assert float(_figures(visit, 9090, "prometheus_tsdb_head_series")[0]["value"]) > 0
        visit.kept["oldest"] = _figures(visit, 9090, "prometheus_tsdb_lowest_timestamp_seconds")[0]["value"]

    visit.until(remember, "the first figures")


def _figures_show(visit: Visit) -> None:
    up = {each["job"]: each["value"] for each in _figures(visit, 9090, "up")}
    assert up == {"prometheus": "1", "node": "1", "blackbox": "1"}, up
    assert _figures(visit, 9090, "probe_success")[0]["value"] == "1"
    assert _figures(visit, 9090, "node_memory_MemTotal_bytes")
    # Through the data source, in Grafana's place.
    assert _figures(visit, 3000, 'up{job="node"}')[0]["value"] == "1"
    oldest = _figures(visit, 9090, "prometheus_tsdb_lowest_timestamp_seconds")[0]["value"]
    assert oldest == visit.kept["oldest"], "the figures of before are gone"


def _mark_votes(visit: Visit) -> None:
    for choice in ("a", "a", "b"):
        visit.post(8080, "/", _form(vote=choice), FORM)


def _votes_show(visit: Visit) -> None:
    assert b"Cats" in visit.get(8080)
    assert b"socket.io" in visit.get(8081)
    assert json.loads(visit.get(8081, "/api")) == {"a": 2, "b": 1}
    found = visit.run("db", "psql", "-U", "postgres", "-At", "-c", "SELECT count(*) FROM votes")
    assert found.strip() == "3", found


_VECTORS = "SELECT name FROM place ORDER BY at <-> cube(array[7, 7, 7]) LIMIT 1"


def _near(visit: Visit, sql: str) -> str:
    return visit.run("qdrant", "psql", "-U", "postgres", "-At", "-v", "ON_ERROR_STOP=1", "-c", sql)


def _mark_automation(visit: Visit) -> None:
    _near(
        visit,
        "CREATE EXTENSION IF NOT EXISTS cube; CREATE TABLE IF NOT EXISTS place (name TEXT PRIMARY KEY, at CUBE);"
        " INSERT INTO place VALUES ('harbour', cube(array[7, 7, 6])), ('quarry', cube(array[1, 2, 3]))"
        " ON CONFLICT DO NOTHING",
    )


def _automation_shows(visit: Visit) -> None:
    assert visit.get(5678, "/webhook/harbour") == b"7 metres"
    sql = "SELECT kind, name, times FROM imported ORDER BY kind"
    found = visit.run("postgres", "psql", "-U", "root", "-d", "n8n", "-At", "-c", sql).split()
    # Once each: a job that ended well does not run again, not even after a reboot.
    assert found == ["credentials|harbour.json|1", "workflow|harbour.json|1"], found
    assert _near(visit, _VECTORS).strip() == "harbour"


_FLOWS: list[dict[str, Any]] = [
    {"id": "tab", "type": "tab", "label": "readings"},
    {"id": "listener", "type": "mqtt-broker", "broker": "broker", "port": "1883"},
    {"id": "in", "type": "http in", "z": "tab", "url": "/send", "method": "get", "wires": [["out", "answer"]]},
    {"id": "out", "type": "mqtt out", "z": "tab", "topic": "readings", "qos": "1", "broker": "listener"},
    {"id": "answer", "type": "http response", "z": "tab", "wires": []},
    {"id": "heard", "type": "mqtt in", "z": "tab", "topic": "readings", "qos": "1", "broker": "listener"}
    | {"datatype": "json", "wires": [["line"]]},
    {"id": "line", "type": "function", "z": "tab", "func": "return {payload: 'depth metres=' + msg.payload.metres};"}
    | {"outputs": 1, "wires": [["write"]]},
    {"id": "write", "type": "http request", "z": "tab", "method": "POST", "ret": "txt"}
    | {"url": "http://series:8086/write?db=readings", "wires": [[]]},
]


def _mark_series(visit: Visit) -> None:
    """A reading goes from the web to the broker, back to the flow, and into the time series."""
    visit.post(1880, "/flows", json.dumps(_FLOWS).encode(), JSON)
    visit.until(lambda: _send_and_find(visit), "a reading in the time series")


def _send_and_find(visit: Visit) -> None:
    visit.get(1880, "/send?metres=7")
    _series_shows(visit)


def _series_shows(visit: Visit) -> None:
    select = "SELECT max(metres) FROM depth"
    found = visit.run("series", "influx", "-database", "readings", "-format", "json", "-execute", select)
    assert json.loads(found)["results"][0]["series"][0]["values"][0][1] == 7, found
    visit.get(1880, "/send?metres=6")
    visit.run("broker", "mosquitto_pub", "-t", "look", "-m", "here")


PROJECTS = {
    project.name: project
    for project in (
        Project(
            name="wordpress",
            file=COMPOSE / "docker-awesome-compose__wordpress-mysql-compose.yaml",
            images=("mariadb:10.6.4-focal", "wordpress:latest"),
            mark=_mark_blog,
            shows=_blog_shows,
            port=80,
            killed="db",
        ),
        Project(
            name="blog",
            file=COMPOSE / "real/docker-awesome-compose__nginx-golang-mysql-compose.yaml",
            beside="blog",
            images=("mariadb:10-focal", "nginx"),
            built={"blog-backend": "skerry-test/golang-backend:1"},
            mark=_mark_posts,
            shows=_posts_show,
            port=80,
            killed="db",
            detail="the backend is a Go program of ours, compiled with Debian's Go, in place of the folder's",
        ),
        Project(
            name="monitoring",
            file=COMPOSE / "real/docker-awesome-compose__prometheus-grafana-compose.yaml",
            beside="monitoring",
            laid_over="exporters.yaml",
            images=("prom/prometheus", "grafana/grafana", "prom/node-exporter", "prom/blackbox-exporter"),
            mark=_mark_figures,
            shows=_figures_show,
            port=9090,
            killed="prometheus",
            detail="a federating Prometheus in place of Grafana, which Debian lacks; exporters by a file of ours",
        ),
        Project(
            name="voting",
            file=COMPOSE / "real/dockersamples-example-voting-app__docker-compose.images.yaml",
            beside="voting",
            images=(
                "dockersamples/examplevotingapp_vote",
                "dockersamples/examplevotingapp_result",
                "dockersamples/examplevotingapp_worker",
                "redis:alpine",
                "postgres:15-alpine",
            ),
            mark=_mark_votes,
            shows=_votes_show,
            port=8080,
            killed="db",
            comes_back=False,
            detail="its three programs are ours, with its own kinds of servers; the worker is Python in place of .NET",
        ),
        Project(
            name="automation",
            file=COMPOSE / "real/n8n-io-self-hosted-ai-starter-kit__docker-compose.yaml",
            beside="automation",
            images=("postgres:16-alpine", "n8nio/n8n:latest", "qdrant/qdrant"),
            mark=_mark_automation,
            shows=_automation_shows,
            port=5678,
            killed="n8n",
            jobs=frozenset({"n8n-import"}),
            detail="Node-RED in place of n8n, PostgreSQL with its `cube` in place of Qdrant; Ollama's profiles are off",
        ),
        Project(
            name="timeseries",
            file=COMPOSE / "mqtt-flows-timeseries.compose.yaml",
            images=("eclipse-mosquitto:2", "nodered/node-red:latest", "influxdb:1.8"),
            mark=_mark_series,
            shows=_series_shows,
            port=1880,
            killed="series",
            detail="the file is ours: the given ones with a time series want privileges or the engine's socket",
        ),
        Project(
            name="wiki",
            file=COMPOSE / "real/docker-awesome-compose__nextcloud-redis-mariadb-compose.yaml",
            images=("nextcloud:apache", "redis:alpine", "mariadb:10.5"),
            mark=_mark_wiki,
            shows=_wiki_shows,
            port=80,
            killed="redis",
            detail="MediaWiki in place of Nextcloud, which Debian, PyPI and npm do not have",
        ),
    )
}
