"""``skerry instance restart``, ``stop`` and ``start``: what is signed, and what is said of it."""

import msgspec
import pytest
from tests.cli.town import Town

from skerry.model.signed import Call, Envelope
from skerry.trust.envelope import decode_envelope_msgpack
from skerry.wire import CallReply, NonceReply


class FarSites:
    """Sites that draw a nonce, keep the signed call and say yes, or what a test has them say."""

    def __init__(self):
        self.signed = []
        self.reply = CallReply("c", True)

    def nudge(self, site):
        pass

    async def call(self, site, kind, body, allowed_us):
        if kind == "nonce":
            return FarCall(CallReply("c", True, msgspec.msgpack.encode(NonceReply(b"n" * 32))))
        envelope = decode_envelope_msgpack(body)
        assert isinstance(envelope, Envelope)
        self.signed.append((site, kind, msgspec.json.decode(envelope.payload, type=Call)))
        return FarCall(self.reply)


class FarCall:
    def __init__(self, reply):
        self.reply = reply

    async def close(self, reason=""):
        pass


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    town = Town(tmp_path_factory.mktemp("town"))
    town.open_shop()
    town.rig.core.sites = town.far = FarSites()
    yield town
    town.close()


def test_a_stop_is_signed_with_who_and_why_for_the_nodes_nonce(town):
    done = town.run("instance", "stop", "shop/web:0", "--site", "oslo", "--reason", "it smokes", "--yes")
    assert done.code == 0, done
    assert "shop/web.0 at oslo is stopped until it is started again" in done.err
    assert "Next: skerry instance show shop/web --site oslo --ordinal 0" in done.err
    site, kind, call = town.far.signed[-1]
    assert (site, kind, call.verb, call.nonce) == ("oslo", "stop", "stop", b"n" * 32)
    assert (call.app, call.service, call.ordinal, call.reason) == ("shop", "web", 0, "it smokes")
    assert call.by.startswith("token ")


def test_the_person_who_asks_is_named(town):
    token = town.ok("user", "create", "ada", "--role", "deployer").strip()
    context = {"SKERRY_TOKEN": token, "SKERRY_URL": town.url}
    done = town.run("instance", "start", "shop/web", SKERRY_SIGNER=str(town.socket), **context)
    assert done.code == 0, done
    assert town.far.signed[-1][2].by == "ada"


def test_the_only_site_needs_no_naming_and_a_restart_asks_first(town):
    asked = town.run("instance", "restart", "shop/web")
    assert asked.code == 1
    assert "Hint: Add --yes." in asked.err
    dry = town.run("instance", "restart", "shop/web", "--dry-run")
    assert "would restart shop/web.0 at oslo, which is ready" in dry.err
    before = len(town.far.signed)
    town.ok("instance", "restart", "shop/web", "--yes")
    assert [call.verb for _, _, call in town.far.signed[before:]] == ["restart"]


def test_waiting_ends_when_the_site_says_so_or_not_in_time(town):
    late = town.run("instance", "stop", "shop/web", "--yes", "--wait=1s")
    assert late.code == 4
    assert "it is ready" in late.err
    assert town.run("instance", "start", "shop/web", "--wait=5s").code == 0


@pytest.mark.parametrize(
    ("where", "code"), [("shop", 64), ("shop/web:x", 64), ("shop/web:7", 5), ("none/web", 5), ("shop/none", 5)]
)
def test_what_is_not_there_is_refused_before_anything_is_signed(town, where, code):
    before = len(town.far.signed)
    assert town.run("instance", "stop", where, "--site", "oslo", "--yes").code == code
    assert town.run("instance", "stop", "shop/web", "--site", "oslo", "--yes", "--reason", "x" * 201).code == 64
    assert len(town.far.signed) == before


def test_the_sites_no_is_shown_with_the_next_command(town):
    town.far.reply = CallReply("c", False, code="E-NOT-FOUND", reason="it is not to run here")
    try:
        refused = town.run("instance", "start", "shop/web", "--site", "oslo")
    finally:
        town.far.reply = CallReply("c", True)
    assert refused.code != 0
    assert "it is not to run here" in refused.err
    assert "Hint: skerry app show shop" in refused.err
