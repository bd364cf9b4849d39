"""What a sample says of networks, ways and uplinks."""

import msgspec
from tests.trust import people

from skerry.agent.ways import list_networks, list_peers, list_uplinks
from skerry.model.document import Peer
from skerry.model.ids import Digest, SiteName, UnitId
from skerry.model.network import PeerHeld
from skerry.model.observed import NamesSeen, Observation, OverlaySeen, QueuesSeen, TunnelSeen
from skerry.model.signed import OverlayKey
from skerry.model.uplinks import Uplink
from skerry.plan.history import History, Kept, Traffic
from skerry.plan.site_plan import HeldSite

ROME = SiteName("rome")
KEYS = tuple(OverlayKey(site=ROME, node=people.NODE, number=number, key=bytes([number]) * 32) for number in (1, 2))
HELD = HeldSite(
    site=people.SITE,
    node=people.NODE,
    record=msgspec.structs.replace(
        people.make_record(), uplinks={"fibre": Uplink(device="eth0"), "sat": Uplink(device="wwan0")}
    ),
    units={UnitId("peer/rome"): Peer(ROME, Digest("sha256:r"), (), ("192.0.2.9:51820",), "192.0.2.1:4000")},
    peers={ROME: PeerHeld(people.make_record(), KEYS)},
    way="wwan0",
    link_moved={"wwan0/documents": 30, "/reports": 4},
)


def tunnel(key: int, told: str, heard_s: int | None) -> TunnelSeen:
    return TunnelSeen(own=1, key=bytes([key]) * 32, told=told, heard_s=heard_s, received_bytes=10, sent_bytes=1)


def test_a_way_is_as_good_as_its_best_tunnel_and_all_its_bytes_count():
    tunnels = (tunnel(1, "192.0.2.9:51820", None), tunnel(2, "192.0.2.1:4000", 7), tunnel(9, "192.0.2.8:51820", 1))
    names = NamesSeen(rtt_us={ROME: 4_000}, asked={ROME: (20, 1)})
    (peer,) = list_peers(HELD, Observation(driver="n", overlay=OverlaySeen(tunnels=tunnels), names=names))
    assert (peer.site, peer.relayed, peer.heard_s) == (ROME, True, 7)
    assert (peer.received_bytes, peer.sent_bytes, peer.rtt_us, peer.asked, peer.unanswered) == (20, 2, 4_000, 20, 1)
    (peer,) = list_peers(HELD, Observation(driver="n", overlay=OverlaySeen(tunnels=tunnels[:1])))
    assert (peer.relayed, peer.heard_s, peer.rtt_us, peer.asked) == (False, -1, 0, 0)
    assert list_peers(HELD, Observation(driver="n")) == ()


def test_uplinks_have_what_this_month_moved_up_to_now():
    kept = Traffic(month="2026-11", used={"wwan0": 500}, boot="b", marks={"wwan0": 1_000, "wwan0/documents": 10})
    history = History(boot="b", kept=Kept(traffic=kept))
    seen = Observation(driver="n", queues=QueuesSeen(moved={"wwan0": 1_200, "lo": 9}))
    november_us = 1_795_000_000 * 1_000_000
    fibre, satellite = list_uplinks(HELD, seen, history, november_us)
    assert (fibre.uplink, fibre.has_link, fibre.used_bytes, fibre.purposes) == ("fibre", False, 0, {})
    assert (satellite.has_link, satellite.month, satellite.used_bytes) == (True, "2026-11", 700)
    assert satellite.purposes == {"documents": 20}


def test_a_node_that_counts_nothing_says_nothing():
    assert list_networks(Observation(driver="n")) == ()
