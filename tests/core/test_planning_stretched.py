"""Networks over several sites, at the core: whose keys it keeps, and what a site can verify of what it is told."""

import msgspec
import pytest
from tests.core.cores import Rig, key, sign

from skerry.model.app import Network, NetworkWords
from skerry.model.document import NetworkMember, NetworkPart, Peer, named_objects
from skerry.model.facts import OverlayFact
from skerry.model.ids import Digest, NetworkName, NodeName, SiteName, digest_of
from skerry.model.signed import Envelope, OverlayKey
from skerry.trust.held import AcceptedDocument, Held
from skerry.trust.keys import SigningKey
from skerry.trust.verify import verify_document

MESH = NetworkName("mesh")


@pytest.fixture
async def rig():
    rig = await Rig().begin()
    yield rig
    await rig.close()


def overlay(site: str, number: int = 1, *, node: str = "n1", by: SigningKey | None = None) -> OverlayFact:
    payload = OverlayKey(
        site=SiteName(site), node=NodeName(node), number=number, key=digest_of(site.encode()).encode()[-32:]
    )
    signed = sign("overlay-key", payload, by or key(f"device {site}"))
    return OverlayFact(node=NodeName("n1"), keys=(signed,), port=51820, addresses=("192.0.2.1",))


async def start(rig: Rig, *names: str) -> list:
    sites = [await rig.add_site(name) for name in names]
    image = await rig.push_image()
    plain = rig.revision("shop", 1, image=image, networks={MESH: ()})
    revision = msgspec.structs.replace(plain, networks={MESH: Network(words=NetworkWords(kind="overlay", scope="app"))})
    for site in sites:
        await site.connect()
    await rig.apply("shop", 1, envelope=sign("revision", revision, key("deploy default")))
    await rig.plan()
    return sites


async def test_sites_that_said_their_keys_see_each_other_and_can_verify_it(rig: Rig):
    oslo, bergen = await start(rig, "oslo", "bergen")
    await oslo.fetch()
    assert not any(isinstance(unit, Peer) for unit in oslo.units.values())
    for site in (oslo, bergen):
        assert await site.report(overlay(site.name))
    await rig.plan()
    patch = await oslo.fetch()
    kinds = {type(unit) for unit in oslo.units.values() if isinstance(unit, NetworkPart | NetworkMember | Peer)}
    assert kinds == {NetworkMember, NetworkPart, Peer}
    peer = next(unit for unit in oslo.units.values() if isinstance(unit, Peer))
    assert peer.endpoints == ("192.0.2.1:51820",)
    named = await _give(rig, oslo.name, oslo.units.values())
    held = Held(root=rig.root(), site_record=rig.record("oslo", 1))
    accepted = verify_document(patch.head, oslo.bodies, named, held, oslo.name)
    assert isinstance(accepted, AcceptedDocument)
    assert accepted.refused == {}
    assert accepted.peers.keys() == {"bergen"}


@pytest.mark.parametrize(
    "fact",
    [
        overlay("oslo", by=key("device bergen")),
        overlay("oslo", by=key("registrar")),
        overlay("bergen"),
        overlay("oslo", node="n2"),
        OverlayFact(node=NodeName("n1"), keys=(), port=51820),
    ],
    ids=["another device", "another role", "another site", "another node", "no key"],
)
async def test_a_site_speaks_for_its_own_nodes_keys_only(rig: Rig, fact: OverlayFact):
    oslo, bergen = await start(rig, "oslo", "bergen")
    await oslo.report(fact)
    await bergen.report(overlay("bergen"))
    await rig.plan()
    await bergen.fetch()
    assert not any(isinstance(unit, Peer) for unit in bergen.units.values())


async def test_a_new_record_of_a_site_reaches_its_peers(rig: Rig):
    oslo, bergen = await start(rig, "oslo", "bergen")
    for site in (oslo, bergen):
        await site.report(overlay(site.name))
    await rig.plan()
    await oslo.fetch()
    before = next(unit for unit in oslo.units.values() if isinstance(unit, Peer))
    await rig.add_site("bergen", labels={"tier": "store"})
    await rig.plan()
    await oslo.fetch()
    after = next(unit for unit in oslo.units.values() if isinstance(unit, Peer))
    assert before.record != after.record
    assert after.record in await _give(rig, oslo.name, oslo.units.values())


async def _give(rig: Rig, site: SiteName, units) -> dict[Digest, Envelope]:
    wanted = tuple(digest for unit in units for digest in named_objects(unit))
    return await rig.desk.read_objects(site, wanted)
