import json
from datetime import datetime

import pytest
from tests.cli.town import Town
from tests.sdk.image_bytes import Image, layout, tar

from skerry.model.document import Assignment
from skerry.wire import CallReply, NonceReply, StreamData

SHOP = "services:\n  web:\n    image: web:1\n    x-skerry: {placement: {replicas: {per-site: 1}}}\n"


class FakeCalls:
    """The sessions of a core with its sites: answers calls as a site would."""

    def __init__(self):
        self.input = b""
        self.signed = None

    def nudge(self, site):
        pass

    async def call(self, site, kind, body, allowed_us):
        import msgspec

        if kind == "nonce":
            return FakeCall(CallReply("c", True, msgspec.msgpack.encode(NonceReply(b"n" * 32))), [], self)
        if kind == "logs":
            return FakeCall(
                CallReply("c", True), [StreamData("c", 1, b"hello\nwor"), StreamData("c", 2, b"oops\n")], self
            )
        self.signed = body
        items = [StreamData("c", 1, b"out"), StreamData("c", 2, b"err"), StreamData("c", 1, b"", True, 7)]
        return FakeCall(CallReply("c", True), items, self)


class FakeCall:
    def __init__(self, reply, items, calls):
        self.reply = reply
        self._items = items
        self._calls = calls

    async def read(self):
        for item in self._items:
            yield item

    async def write(self, data, *, end=False):
        self._calls.input += data

    async def close(self, reason=""):
        pass


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    town = Town(tmp_path_factory.mktemp("town"))
    archive = town.folder / "web.tar"
    archive.write_bytes(tar(layout(Image(), names=("web:1",))))
    town.ok("image", "push", archive)
    town.site = town.add_site("oslo")
    town.ok("apply", "-f", "-", "--name", "shop", stdin=SHOP.encode())
    town.settle(town.site)
    assert any(isinstance(unit, Assignment) for unit in town.site.units.values())
    town.calls = FakeCalls()
    town.rig.core.sites = town.calls
    yield town
    town.close()


def test_output_comes_line_by_line_with_its_place(town):
    assert town.ok("logs", "shop").splitlines() == [
        "oslo web.0 | hello",
        "oslo web.0 | oops",
        "oslo web.0 | wor",
    ]
    lines = [json.loads(line) for line in town.ok("logs", "shop/web", "--site", "oslo", "-o", "jsonl").splitlines()]
    assert {line["stream"] for line in lines} == {"stdout", "stderr"}
    assert town.run("logs", "gone").code == 5


def test_a_command_is_signed_for_the_nodes_nonce_and_its_exit_code_is_ours(town):
    result = town.run("exec", "shop/web", "--site", "oslo", "--", "ls", "-l", "--all")
    assert (result.code, result.out, result.err) == (7, "out", "err")
    assert b"n" * 32 not in town.calls.signed  # it is base64 inside the signed JSON
    assert b'"argv":["ls","-l","--all"]' in town.calls.signed


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("exec", "shop", "--site", "oslo", "--", "ls"), 64),
        (("exec", "shop/gone", "--", "ls"), 5),
        (("exec", "shop/web", "--site", "oslo"), 64),
        (("exec", "shop/gone", "--site", "oslo", "--", "ls"), 5),
        (("exec", "shop/web", "--site", "gone", "--", "ls"), 5),
    ],
)
def test_what_cannot_be_run_is_said(town, arguments, code):
    assert town.run(*arguments).code == code


def test_events_are_told_in_order_and_chosen(town):
    lines = [json.loads(line) for line in town.ok("events", "-o", "jsonl").splitlines()]
    assert [int(line["id"]) for line in lines] == sorted(int(line["id"]) for line in lines)
    applied = next(line for line in lines if line["type"] == "dev.skerry.app.apply.v1")
    story = [json.loads(line) for line in town.ok("events", "--cause", applied["cause"], "-o", "jsonl").splitlines()]
    assert applied in story
    assert all(line["cause"] == applied["cause"] for line in story)
    assert "app.apply" in town.ok("events", "--kind", "app.", "--tail", "1")
    assert "app.apply" in town.ok("events", "--app", "shop")
    after = town.ok("events", "--after", lines[-1]["id"], "-o", "jsonl")
    assert after == ""
    assert town.ok("events", "--site", "oslo", "-o", "jsonl").count("/core") == 0


def test_times_are_rfc_3339(town):
    line = json.loads(town.ok("events", "-o", "jsonl", "--tail", "1"))
    assert datetime.fromisoformat(line["time"])


def test_a_command_needs_no_site_where_the_service_runs_at_one(town):
    assert town.run("exec", "shop/web", "--", "ls").code == 7
    assert b'"site":"oslo"' in town.calls.signed


def test_logs_of_an_app_that_is_not_there_say_so(town):
    result = town.run("logs", "nowhere")
    assert (result.code, result.out) == (5, "")
    assert "app nowhere" in result.err
    assert "Hint: skerry app list" in result.err


@pytest.mark.parametrize(("where", "site"), [("shop/nothing", "oslo"), ("shop/web", "nowhere")])
def test_a_command_in_what_is_not_there_says_where_it_was_looked_for(town, where, site):
    result = town.run("exec", where, "--site", site, "--", "ls")
    assert result.code == 5
    assert f"{where}, copy 0, at site {site}" in result.err
    assert "Hint: skerry app show shop" in result.err
