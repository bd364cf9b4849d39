"""Joining in a simulated fleet: tokens, boxes that ask over their own link, and the person who vouches for them.

The box runs the product's ``agent.join``, the core its real admission; only the signer's part is played here, with the
signer's own checks of ``trust/join.py``.
"""

from skerry.agent.join import JoinFailed, join_site
from skerry.core.wishes import Expected
from skerry.keys.file import NodeKeys
from skerry.link.ports import ConnectFailed, ConnectReason, Endpoint
from skerry.model.asks import CreateJoinToken, PageQuery
from skerry.model.ids import SiteName
from skerry.model.signed import Envelope, NodeRecord, Root
from skerry.sim.network import SimDialer
from skerry.sim.parts import ENDPOINT, SimSite
from skerry.sim.world import ADMIN, World
from skerry.trust.join import JoinToken, Session, bind_key, core_key, mint_token, vouch_join, write_token
from skerry.wire import JoinRequest


class _Way:
    """How a simulated box reaches the core."""

    def __init__(self, world: World, site: SimSite) -> None:
        self._world = world
        self._site = site

    async def fetch_roots(self, endpoint: Endpoint) -> bytes:
        """The core's roots, over the box's own link."""
        faults = self._site.link.faults
        if self._world.find_listener(endpoint) is None or not (faults.up and faults.down):
            raise ConnectFailed(ConnectReason.TIMEOUT, f"{endpoint} does not answer")
        return self._world.core.core.encode_roots(0)

    def make_dialer(self, root: Envelope, payload: Root) -> SimDialer:
        """A dialer over the box's link."""
        del root, payload
        return SimDialer(self._site.link, self._world.find_listener)


class Joining:
    """Tokens minted so far, and boxes by name."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._mint = world.mint.split("joining")
        self.tokens: dict[str, JoinToken] = {}
        self.boxes: dict[str, SimSite] = {}

    async def make_token(self, site: str) -> str:
        """Mint a token for a site, and tell the core what it may know of it."""
        token = mint_token(self._mint, self._world.root.payload)
        body = CreateJoinToken(token_id=token.id, site=site, core_key=core_key(token))
        await self._world.core.service.create_join_token(ADMIN, body=body)
        self.tokens[token.id] = token
        return write_token(token)

    async def join(self, box: str, site: str, text: str) -> str:
        """Let a box join; return what the person at it sees."""
        here = self.boxes.setdefault(box, self._world.place_site(box))
        keys = NodeKeys(here.device, here.sealing_seed)
        vouching = self._world.core.tasks.start("signer", self._vouch())
        try:
            identity = await join_site(
                token_text=text,
                site=site,
                node=here.node,
                endpoints=(ENDPOINT,),
                keys=keys,
                way=_Way(self._world, here),
                clock=here.clock,
                tasks=here.tasks,
            )
        except (JoinFailed, ValueError) as error:
            return f"refused: {error}"
        finally:
            vouching.cancel()
        self._world.joined.setdefault(text.split(".")[1], set()).add(here.device.public.key)
        if not here.running:
            here.name, here.identity = SiteName(site), identity
            self._world.sites[here.name] = here
            await here.start()
        return f"joined {site}"

    async def _vouch(self) -> None:
        """Look every second at who waits, and sign for those who hold a token of ours."""
        clock, service = self._world.core.clock, self._world.core.service
        while True:
            for view in (await service.list_join_requests(ADMIN, query=PageQuery())).items:
                token = self.tokens.get(view.token_id)
                if view.state != "pending" or token is None:
                    continue
                request = JoinRequest(
                    site=view.site,
                    node=view.node,
                    token_id=view.token_id,
                    device=view.device,
                    sealing=view.sealing,
                    proof=view.proof,
                    mac_core=view.mac_core,
                    mac_bind=view.mac_bind,
                )
                if vouch_join(bind_key(token), request, Session(view.nonce, view.server_digest)) is not None:
                    continue
                node = NodeRecord(device=view.device, sealing=view.sealing)
                number = view.record_number + 1
                record = self._world.people.sign_site(view.site, number, {view.node: node}, {"tier": "store"})
                await service.put_site(ADMIN, site=view.site, body=record, expect=Expected(view.record_number))
                self._world.labels[view.site] = {"tier": "store"}
            await clock.sleep_until(clock.boot_us() + 1_000_000)
