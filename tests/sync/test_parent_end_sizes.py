"""What the protocol costs on the wire: goals of link.md §2 and of the spine, counted after packing."""

import msgspec
from tests.sync.world import NODE, SECOND, SITE, World

from skerry import wire
from skerry.clock import SeededMint
from skerry.link.dictionary import link_compressor
from skerry.model.document import Assignment, digest_bodies, digest_units, encode_unit, unit_id
from skerry.model.event import Event
from skerry.model.facts import SiteFact, encode_fact
from skerry.model.ids import AppName, Digest, NodeName, ServiceName, TenantName
from skerry.model.signed import DocumentHead
from skerry.sync import child_ports as cp
from skerry.sync import parent_ports as pp
from skerry.sync import ports
from skerry.sync.child_end import ChildEnd
from skerry.sync.documents import make_patch
from skerry.sync.facts import digest_facts
from skerry.sync.parent_end import ParentEnd
from skerry.trust.envelope import encode_payload, sign_payload
from skerry.trust.keys import SigningKey
from skerry.trust.proof import sign_proof
from skerry.wire import LinkClass

MINT = SeededMint("sizes")
#: Bytes around each frame: WebSocket (masked one way), TLS 1.3 record, TCP with timestamps, IPv4.
UP_BYTES, DOWN_BYTES, ACK_BYTES = 6 + 22 + 32 + 20, 2 + 22 + 32 + 20, 32 + 20


def sent(commands: list[cp.ChildCommand] | list[pp.ParentCommand]) -> list[wire.Message]:
    return [command.message for command in commands if isinstance(command, ports.Send)]


def test_coming_back_with_one_changed_document():
    """One restart counter was raised meanwhile; the revision is held. One question and one answer after the upgrade."""
    delivery, device = SigningKey.from_seed(MINT.draw(32)), SigningKey.from_seed(MINT.draw(32))
    revision = Digest("sha256:" + MINT.draw(32).hex())
    units = [
        Assignment(TenantName("default"), AppName("shop"), ServiceName(name), 0, NodeName("oslo-1"), revision)
        for name in ("db", "web", "cache", "worker")
    ]
    before = {unit_id(unit): encode_unit(unit) for unit in units}
    after = {**before, unit_id(units[0]): encode_unit(msgspec.structs.replace(units[0], restart=1))}
    head = DocumentHead(
        site=SITE,
        epoch=1,
        generation=18,
        parent="sha256:" + MINT.draw(32).hex(),
        time_s=1_795_000_100,
        units=digest_units(digest_bodies(after)),
    )
    envelope = sign_payload("document", encode_payload(head), [delivery])
    facts = {"site": encode_fact(SiteFact(epoch=1, generation=17, settled=True))}
    claim = wire.HelloClaim(
        format=1,
        site=SITE,
        node=NODE,
        session_epoch=41,
        document_epoch=1,
        document_generation=17,
        facts_digest=digest_facts(facts),
        event_last=1_204,
        event_acknowledged=1_204,
        clock_s=1_795_000_000,
        agent="0.1.0",
        site_record=2,
    )
    content = wire.encode_claim(claim)
    proof = sign_proof(device, MINT.draw(32), MINT.draw(32), content)
    child, parent = ChildEnd(), ParentEnd(1_795_000_100)

    up = sent(child.handle(cp.Linked(claim, content, proof), 0))
    parent.handle(pp.Admitted(claim, 1_204, digest_facts(facts)), 0)
    drawn = pp.PatchDrawn(make_patch(envelope, after, (1, 17, digest_bodies(before))), 1, 18, None, 2)
    down = sent(parent.handle(drawn, 0))
    assert [type(message) for message in (*up, *down)] == [wire.Hello, wire.Welcome]
    child.handle(ports.Received(down[0]), 0)
    up += sent(child.handle(cp.Judged("accepted", 1, 18), 0))
    child.handle(cp.OutboxRead(1_204, ()), 0)
    child.handle(cp.FactsRead(facts), 0)
    pack = link_compressor().pack
    document = sum(len(pack(wire.encode(message))) for message in (*up, *down))
    assert document <= 500

    # What follows of itself: the site says in facts and in an event that it holds it.
    event = Event(
        sequence=1_205,
        time_us=1_795_000_100_000_000,
        type="document.accepted",
        subject="document/1/18",
        message="generation 18 is held",
    )
    child.handle(cp.Changed(), 2 * SECOND)
    more = sent(child.handle(cp.OutboxRead(1_204, (event,)), 2 * SECOND))
    more += sent(
        child.handle(cp.FactsRead({"site": encode_fact(SiteFact(epoch=1, generation=18, settled=True))}), 2 * SECOND)
    )
    assert [type(message) for message in more] == [wire.Events, wire.FactsPatch]
    more += [wire.EventsAnswer(1_205), wire.FactsAnswer(1)]
    whole = document + sum(len(pack(wire.encode(message))) for message in more)
    assert whole <= 650  # the goal is 800


def idle_bytes_per_hour(link_class: LinkClass) -> int:
    world = World()
    world.site.link_class = link_class
    world.link()
    world.advance(60 * SECOND)
    world.story.clear()
    world.advance(3_600 * SECOND)
    pack = link_compressor().pack
    up = [line for line in world.story if line.startswith(">")]
    down = [line for line in world.story if line.startswith("<")]
    assert set(up) == {"> Beat want"}
    assert set(down) == {"< Beat"}
    beat = len(pack(wire.encode(wire.Beat(True))))
    return len(up) * (beat + UP_BYTES + ACK_BYTES) + len(down) * (beat + DOWN_BYTES)


def test_an_idle_link_stays_below_its_goal_with_headers():
    assert idle_bytes_per_hour("wired") <= 30_000
    assert idle_bytes_per_hour("satellite") <= 1_000
