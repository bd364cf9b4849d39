"""Joining with a token against the core's real admission checks, over a simulated link."""

import asyncio

import msgspec
import pytest
from tests.trust import people

from skerry import wire
from skerry.agent.join import JoinFailed, join_site
from skerry.agent.journal import Identity
from skerry.clock import SECOND_US, SeededMint, Tasks
from skerry.keys.file import NodeKeys
from skerry.link.dictionary import link_compressor
from skerry.link.ports import Endpoint
from skerry.link.pump import Pump
from skerry.model.ids import NodeName
from skerry.model.signed import NodeRecord
from skerry.sim.loop import SimClock, SimLoop, run_virtual
from skerry.sim.network import SimDialer, SimLink, SimListener
from skerry.trust.envelope import encode_envelope_json, encode_payload
from skerry.trust.join import CoreToken, Session, admit_join, bind_key, core_key, mint_token, vouch_join, write_token
from skerry.trust.keys import SigningKey
from skerry.trust.seal import sealing_public
from skerry.trust.verdict import Denied

CORE = Endpoint("core.example")
ROOT = people.sign("root", people.make_root(), people.ROOT)
HOUR_US = 3600 * SECOND_US


def keys(word: str) -> NodeKeys:
    return NodeKeys(SigningKey.from_seed(people.seed(word)), people.seed(word + " sealing"))


class Core:
    """Admits by the real rules; the signer's part is played by ``vouch``."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        mint = SeededMint("join")
        self.clock = SimClock(loop)
        self.tasks = Tasks()
        self.token = mint_token(mint, encode_payload(people.make_root()))
        self.kept = CoreToken(
            id=self.token.id,
            site=people.SITE,
            core_key=core_key(self.token),
            expires_us=self.clock.wall_us() + HOUR_US,
        )
        self.roots = b"[" + encode_envelope_json(ROOT) + b"]"
        self.vouch_after_us = 0
        self.swap_keys = False
        self.requests = 0
        self.listener = SimListener(mint, self.tasks)
        self.dialer = SimDialer(SimLink(loop, mint), lambda _: self.listener)

    async def fetch_roots(self, endpoint: Endpoint) -> bytes:
        return self.roots

    def make_dialer(self, root: object, payload: object) -> SimDialer:
        return self.dialer

    async def handle(self, connection) -> None:
        pump = Pump(connection, link_compressor(), self.tasks, "box")
        request = await pump.receive()
        assert isinstance(request, wire.JoinRequest)
        self.requests += 1
        answer = await self.answer(request, Session(connection.nonce, connection.server_digest))
        pump.push(answer)
        if answer.state == "pending":
            await self.clock.sleep_until(self.clock.boot_us() + 5 * SECOND_US)
            return
        await pump.receive()

    async def answer(self, request: wire.JoinRequest, session: Session) -> wire.JoinAnswer:
        admitted = admit_join(self.kept, request, session, self.clock.wall_us())
        if isinstance(admitted, Denied):
            return wire.JoinAnswer("refused", admitted.reason)
        self.kept = admitted
        if self.clock.boot_us() < self.vouch_after_us:
            return wire.JoinAnswer("pending")
        if self.swap_keys:
            request = msgspec.structs.replace(request, device=people.key("thief").public)
        denied = vouch_join(bind_key(self.token), request, session)
        if denied is not None:
            return wire.JoinAnswer("refused", denied.reason)
        node = NodeRecord(device=request.device, sealing=request.sealing)
        record = people.make_record(nodes={request.node: node})
        return wire.JoinAnswer("joined", site_record=people.sign("site", record, people.REGISTRAR))

    async def join(self, box: NodeKeys, text: str = "", site: str = people.SITE) -> Identity:
        return await join_site(
            token_text=text or write_token(self.token),
            site=site,
            node=NodeName("one"),
            endpoints=(CORE,),
            keys=box,
            way=self,
            clock=self.clock,
            tasks=self.tasks,
        )


def scene(test):
    def run() -> None:
        async def main() -> None:
            core = Core()
            await core.listener.serve(core.handle)
            try:
                await test(core)
            finally:
                await core.tasks.stop()

        run_virtual(SeededMint(test.__name__), main())

    run.__name__ = test.__name__
    return run


@scene
async def test_a_box_with_a_token_gets_a_record_of_its_own_keys(core: Core):
    identity = await core.join(keys("box"))
    assert (identity.site, identity.node, identity.root) == (people.SITE, "one", ROOT)


@scene
async def test_the_same_box_may_ask_again_and_no_other(core: Core):
    await core.join(keys("box"))
    await core.join(keys("box"))
    with pytest.raises(JoinFailed) as caught:
        await core.join(keys("other box"))
    assert "the join token is used" in caught.value.detail


@scene
async def test_a_pending_box_asks_until_the_signer_vouches(core: Core):
    core.vouch_after_us = core.clock.boot_us() + 30 * SECOND_US
    await core.join(keys("box"))
    assert core.requests > 3


@scene
async def test_a_signer_that_never_comes_is_said(core: Core):
    core.vouch_after_us = 1 << 60
    with pytest.raises(JoinFailed) as caught:
        await core.join(keys("box"))
    assert caught.value.code == "E-JOIN-PENDING"
    assert "Start the signer" in caught.value.hint


@scene
async def test_a_core_with_another_root_is_sent_nothing(core: Core):
    other = msgspec.structs.replace(people.make_root(), endpoints=("evil.example:443",))
    core.roots = b"[" + encode_envelope_json(people.sign("root", other, people.ROOT)) + b"]"
    with pytest.raises(JoinFailed) as caught:
        await core.join(keys("box"))
    assert caught.value.code == "E-KEY"
    assert core.requests == 0


@scene
async def test_a_core_that_swaps_keys_is_found_out_by_the_signer(core: Core):
    core.swap_keys = True
    with pytest.raises(JoinFailed) as caught:
        await core.join(keys("box"))
    assert "device key" in caught.value.detail


@scene
async def test_a_record_with_other_keys_is_not_believed(core: Core):
    async def lie(request: wire.JoinRequest, session: Session) -> wire.JoinAnswer:
        thief = NodeRecord(device=people.key("thief").public, sealing=sealing_public(people.seed("thief")))
        record = people.make_record(nodes={request.node: thief})
        return wire.JoinAnswer("joined", site_record=people.sign("site", record, people.REGISTRAR))

    core.answer = lie
    with pytest.raises(JoinFailed) as caught:
        await core.join(keys("box"))
    assert caught.value.code == "E-JOIN"


@scene
async def test_words_that_make_no_sense_are_refused_before_anything_is_sent(core: Core):
    for text, site in (("skj1.x", people.SITE), ("", "No Name"), ("skt_1", people.SITE)):
        with pytest.raises(ValueError, match=r"token|name"):
            await core.join(keys("box"), text or write_token(core.token), site)
    assert core.requests == 0


@pytest.mark.parametrize("answer", [b"", b"<html>please log in</html>", b"[]", b"[1]", b"{}"])
def test_what_is_no_core_is_named(answer: bytes):
    @scene
    async def no_core(core: Core):
        core.roots = answer
        with pytest.raises(JoinFailed) as caught:
            await core.join(keys("box"))
        assert caught.value.code == "E-FORM"

    no_core()
