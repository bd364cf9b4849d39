"""Against the real socket server of the agent, with answers of the real shapes."""

import asyncio
import json
import threading

import pytest
from click.testing import CliRunner
from tests.cli.town import Result

from skerry.agent.host import JoinAnswer
from skerry.agent.local import LocalProblem, LocalServer
from skerry.agent.status import AgentStatus, Check, DoctorAnswer, InstanceStatus, LogsAnswer
from skerry.cli.main import run
from skerry.cli.session import Session
from skerry.model.event import Event


class Box:
    """An agent's socket that answers what a test says."""

    def __init__(self, path):
        self.path = path
        self.joined = []
        self.settled = True
        self.verdict = "good"
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        handlers = {
            "GET /status": self.status,
            "GET /doctor": self.doctor,
            "GET /logs": self.logs,
            "POST /join": self.join,
        }
        self.server = LocalServer(path, handlers)
        self.wait(self.server.start())

    def wait(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    async def status(self, query):
        web = InstanceStatus("default/shop/web/0", "ready", "healthy", "", 2, {"8080/tcp": 80})
        return AgentStatus(
            joined=True,
            site="oslo",
            node="node-1",
            link="down",
            link_reason="name does not resolve",
            link_since_s=40,
            epoch=1,
            generation=7,
            settled=self.settled,
            instances=(web,),
            waits=("image/x: fetching",),
            outbox=3,
            passes=9,
            boot="b",
        )

    async def doctor(self, query):
        return DoctorAnswer((Check("runtime", self.verdict, "no podman", "start it"),))

    async def logs(self, query):
        event = Event(sequence=4, time_us=1, type="instance.started", subject="instance/x", message="It runs.")
        return LogsAnswer((event,) * int(query["tail"]))

    async def join(self, given):
        self.joined.append(given)
        if given["token"] == "bad":
            return LocalProblem("E-TOKEN", "the join token is used", "skerry site join-token oslo")
        return JoinAnswer(given["site"], "node-1", "joined")

    def close(self):
        self.wait(self.server.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


@pytest.fixture
def box(tmp_path):
    box = Box(tmp_path / "agent.sock")
    yield box
    box.close()


@pytest.fixture
def cli(box):
    def call(*arguments, stdin=None):
        with CliRunner().isolation(input=stdin) as (out, err, _):
            code = run(["agent", *arguments], Session({"SKERRY_AGENT_SOCKET": str(box.path)}))
            return Result(code, out.getvalue().decode(), err.getvalue().decode())

    return call


def test_the_site_is_shown_without_a_core(cli, box):
    result = cli("status")
    assert result.code == 0
    assert "oslo" in result.out
    assert "down for 40 s: name does not resolve" in result.out
    assert "default/shop/web/0" in result.out
    assert "waits: image/x: fetching" in result.out
    assert json.loads(cli("status", "-o", "json").out)["generation"] == 7
    box.settled = False
    assert cli("status").code == 3


def test_checks_are_3_when_one_is_bad(cli, box):
    assert cli("doctor").code == 0
    box.verdict = "bad"
    result = cli("doctor")
    assert result.code == 3
    assert "start it" in result.out


def test_events_of_the_site(cli):
    assert cli("logs", "--tail", "2").out.count("It runs.") == 2
    assert json.loads(cli("logs", "--tail", "1", "-o", "jsonl").out)["sequence"] == 4


def test_a_box_joins_with_a_token_that_may_come_from_a_pipe(cli, box):
    assert cli("join", "skj1.x", "--core", "core:1", "--site", "oslo").code == 0
    assert cli("join", "--core", "core:1", "--site", "oslo", stdin=b"skj1.y\n").code == 0
    assert [given["token"] for given in box.joined] == ["skj1.x", "skj1.y"]
    assert box.joined[0] == {"token": "skj1.x", "core": "core:1", "site": "oslo"}


def test_a_refusal_keeps_the_agents_words(cli):
    result = cli("join", "bad", "--core", "core:1", "--site", "oslo")
    assert result.code == 1
    assert "the join token is used" in result.err
    assert "Hint: skerry site join-token oslo" in result.err


def test_a_box_without_an_agent(tmp_path):
    with CliRunner().isolation() as (_, err, _out):
        code = run(["agent", "status"], Session({"SKERRY_AGENT_SOCKET": str(tmp_path / "none.sock")}))
        assert code == 1
        assert b"no agent answers" in err.getvalue()


def test_the_agent_that_up_has_started_is_found_without_being_named(box, tmp_path):
    site = tmp_path / "run" / "skerry" / "site"
    site.mkdir(parents=True)
    (site / "agent.sock").symlink_to(box.path)
    with CliRunner().isolation() as (out, _err, _output):
        code = run(["agent", "status"], Session({"XDG_RUNTIME_DIR": str(tmp_path / "run")}))
        assert (code, b"oslo" in out.getvalue()) == (0, True)
