"""What a sample says of networks, of the ways to other sites and of uplinks: read off the last look, nothing is asked.

Loss is the share of questions for names that another site's name server left unanswered: they are asked anyway, so
measuring costs the link no byte (``drivers/names/asking.py``). A site of which nothing is asked has no loss and no
round trip.
"""

from skerry.model.document import Peer
from skerry.model.ids import SiteName
from skerry.model.limits import INTEGER_MAX, SAMPLE_PEERS_MAX
from skerry.model.observed import Observation, TunnelSeen
from skerry.model.samples import NetworkUse, PeerUse, UplinkUse
from skerry.plan.flows import list_network_use, sum_purposes
from skerry.plan.history import History
from skerry.plan.site_plan import HeldSite
from skerry.plan.uplinks import name_month, note_moved


def list_networks(observed: Observation) -> tuple[NetworkUse, ...]:
    """Return what each network of the node has moved."""
    counts = observed.flows.counts if observed.flows is not None else {}
    return tuple(list_network_use(observed.networks, counts))


def list_peers(held: HeldSite, observed: Observation) -> tuple[PeerUse, ...]:
    """Return the ways to other sites, those with a tunnel."""
    names, overlay = observed.names, observed.overlay
    tunnels: dict[SiteName, list[TunnelSeen]] = {}
    sites = {key.key: site for site, peer in held.peers.items() for key in peer.keys}
    for each in overlay.tunnels if overlay is not None else ():
        if each.key in sites:
            tunnels.setdefault(sites[each.key], []).append(each)
    relays = {unit.site: unit.relay for unit in held.units.values() if isinstance(unit, Peer)}
    found: list[PeerUse] = []
    for site, ways in sorted(tunnels.items())[:SAMPLE_PEERS_MAX]:
        best = min(ways, key=lambda each: (each.heard_s is None, each.heard_s or 0))
        asked, unanswered = names.asked.get(site, (0, 0)) if names is not None else (0, 0)
        found.append(
            PeerUse(
                site=site,
                relayed=bool(relays.get(site)) and best.told == relays[site],
                heard_s=-1 if best.heard_s is None else min(best.heard_s, INTEGER_MAX),
                trying=best.trying,
                received_bytes=sum(each.received_bytes for each in ways),
                sent_bytes=sum(each.sent_bytes for each in ways),
                rtt_us=names.rtt_us.get(site, 0) if names is not None else 0,
                asked=asked,
                unanswered=unanswered,
            )
        )
    return tuple(found)


def list_uplinks(held: HeldSite, observed: Observation, history: History, trust_us: int) -> tuple[UplinkUse, ...]:
    """Return what went over each uplink this month up to the last look, and which one has the link."""
    uplinks, kept = held.record.uplinks or {}, history.kept.traffic
    purposes = sum_purposes(observed, uplinks, held.link_moved)
    moved = (observed.queues.moved if observed.queues is not None else {}) | purposes
    devices = [*(each.device for each in uplinks.values()), *purposes]
    traffic = note_moved(kept, moved, devices, history.boot, name_month(trust_us))
    found: list[UplinkUse] = []
    for name, each in sorted(uplinks.items()):
        begin = f"{each.device}/"
        mine = {key[len(begin) :]: size for key, size in traffic.used.items() if key.startswith(begin)}
        found.append(
            UplinkUse(
                uplink=name,
                has_link=bool(held.way) and each.device == held.way,
                month=traffic.month,
                used_bytes=traffic.used.get(each.device, 0),
                purposes=dict(sorted(mine.items())),
            )
        )
    return tuple(found)
