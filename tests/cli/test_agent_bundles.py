"""Against the real socket server of the agent, with answers of the real shapes."""

import asyncio
import json
import threading

import pytest
from click.testing import CliRunner
from tests.cli.town import Result

from skerry.agent.bundles import BundleAnswer, BundledImage
from skerry.agent.local import LocalProblem, LocalServer
from skerry.cli.main import run
from skerry.cli.session import Session
from skerry.model.ids import Digest

ONE = Digest("sha256:" + "a" * 64)


class Box:
    """An agent's socket whose bundle goes through the states that a test says."""

    def __init__(self, path):
        self.folders = []
        self.states = []
        self.document = "taken"
        self.reason = ""
        self.why = ""
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = LocalServer(path, {"POST /apply-bundle": self.apply, "GET /bundle": self.show})
        self.wait(self.server.start())

    def wait(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    async def apply(self, given):
        self.folders.append(given["folder"])
        if not self.states:
            return LocalProblem("E-BUNDLE", "it has no index.json", "skerry export APP --to FOLDER makes one")
        return await self.show({})

    async def show(self, query):
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        have = {"here": 2048, "coming": 1024}.get(state, 0)
        image = BundledImage(image=ONE, name="web:1", state=state, size_bytes=2048, have_bytes=have, reason=self.why)
        return BundleAnswer(
            folder="/stick",
            site="oslo",
            document=self.document,
            document_reason=self.reason,
            epoch=1,
            generation=9,
            images=(image,),
            done=state not in ("looking", "coming"),
        )

    def close(self):
        self.wait(self.server.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


@pytest.fixture
def box(tmp_path, monkeypatch):
    monkeypatch.setattr("skerry.cli.agent_bundles._LOOK_S", 0.001)
    box = Box(tmp_path / "agent.sock")
    yield box
    box.close()


def bring(tmp_path, *words):
    stick = tmp_path / "stick"
    stick.mkdir(exist_ok=True)
    with CliRunner().isolation() as (out, err, _):
        session = Session({"SKERRY_AGENT_SOCKET": str(tmp_path / "agent.sock")})
        code = run(["agent", "apply-bundle", str(stick), *words], session)
        return Result(code, out.getvalue().decode(), err.getvalue().decode())


def test_it_waits_until_everything_is_here_and_says_what_is(tmp_path, box):
    box.states = ["looking", "coming", "coming", "here"]
    done = bring(tmp_path)
    assert done.code == 0, done
    assert box.folders == [str((tmp_path / "stick").resolve())]
    assert "document 1.9 of site oslo is in force" in done.err
    assert "is here" in done.out
    assert "Next: skerry agent status" in done.err
    shown = bring(tmp_path, "-o", "json")
    assert json.loads(shown.out)["images"][0]["state"] == "here"


def test_a_bad_image_ends_with_its_place_and_the_way_to_a_good_one(tmp_path, box):
    box.states, box.why = ["coming", "wrong"], "blobs/sha256/aa: it is not what its name says"
    done = bring(tmp_path)
    assert done.code == 1
    assert "/stick: blobs/sha256/aa: it is not what its name says" in done.err
    assert "Hint: skerry export web:1 --to FOLDER" in done.err


@pytest.mark.parametrize(
    ("document", "said", "code"),
    [
        ("none", "has no document for site oslo", 0),
        ("held", "has a newer document than the bundle: E-STALE: old", 0),
        ("refused", "document was refused: E-STALE: old", 3),
    ],
)
def test_what_became_of_the_document_is_said(tmp_path, box, document, said, code):
    box.states, box.document, box.reason = ["here"], document, "E-STALE: old"
    done = bring(tmp_path)
    assert said in done.err
    assert done.code == code


def test_an_image_without_room_is_said_by_the_exit_code(tmp_path, box):
    box.states, box.why = ["waits"], "disk full"
    done = bring(tmp_path)
    assert (done.code, "disk full" in done.out) == (3, True)


def test_a_bundle_on_which_nothing_moves_ends_the_wait(tmp_path, box, monkeypatch):
    monkeypatch.setattr("skerry.cli.agent_bundles._STILL_S", 0)
    box.states = ["coming"]
    done = bring(tmp_path)
    assert done.code == 4
    assert "what came is kept" in done.err


def test_a_folder_that_is_no_bundle_is_refused_with_the_agents_words(tmp_path, box):
    done = bring(tmp_path)
    assert done.code == 1
    assert "it has no index.json" in done.err
    assert "skerry export APP --to FOLDER" in done.err
