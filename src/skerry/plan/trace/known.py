"""What the core knows of an app's ways without asking anybody: wishes, documents and facts; and the view that a node
which does not answer should have by them. Values and pure functions.
"""

import ipaddress

import msgspec

from skerry.model.app import AppRevision
from skerry.model.document import Assignment, NetworkMember, NetworkPart, Peer
from skerry.model.facts import ChainFact, InstanceFact
from skerry.model.ids import AppName, NodeName, ServiceName, SiteName
from skerry.model.network import part_ranges
from skerry.model.trace import InstanceLook, NetworkLook, NodeView, TunnelLook
from skerry.model.uplinks import Uplink
from skerry.plan.trace.packet import Told

NetworkUnit = NetworkPart | NetworkMember | Peer


class Placed(msgspec.Struct, frozen=True):
    """A place of an instance, and what its site said of it last."""

    site: SiteName
    unit: Assignment
    fact: InstanceFact | None = None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A site as the core hears it."""

    state: str
    #: Seconds since it was last heard; None when this core has not heard it.
    heard_s: int | None = None
    uplinks: dict[str, Uplink] = {}


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What the core knows."""

    revisions: dict[AppName, AppRevision]
    placed: tuple[Placed, ...] = ()
    sites: dict[SiteName, Standing] = {}
    units: dict[SiteName, tuple[NetworkUnit, ...]] = {}
    chains: dict[SiteName, tuple[ChainFact, ...]] = {}

    def list_places(self, app: AppName, service: ServiceName) -> list[Placed]:
        """Return the places of a service, by site and ordinal."""
        found = [each for each in self.placed if (each.unit.app, each.unit.service) == (app, service)]
        return sorted(found, key=lambda each: (each.site, each.unit.ordinal))


def expect_view(known: Known, revision: AppRevision | None, site: SiteName, other: str) -> Told:
    """Return what a site should have by its document, for one that does not say what it has."""
    units = known.units.get(site, ())
    networks: list[NetworkLook] = []
    for name, network in sorted(revision.networks.items()) if revision is not None else ():
        near = [each for each in units if isinstance(each, NetworkPart) and each.network == name]
        far = [each for each in units if isinstance(each, NetworkMember) and each.network == name]
        here, there = ([text for part in parts for text in _write_ranges(part)] for parts in (near, far))
        networks.append(NetworkLook(name, network.internal, tuple(here), tuple(here), tuple(sorted(there))))
    peer = next((each for each in units if isinstance(each, Peer) and each.site == other), None)
    reached = [
        text for each in units if isinstance(each, NetworkMember) and each.site == other for text in _write_ranges(each)
    ]
    tunnels = ()
    if peer is not None and reached:
        place = peer.endpoints[0] if peer.endpoints else peer.relay
        tunnels = (TunnelLook(True, tuple(reached), place, place == peer.relay and bool(place), None, trying=False),)
    standing = known.sites.get(site)
    placed = [each for each in known.placed if each.site == site and each.fact is not None]
    view = NodeView(
        site=site,
        node=NodeName(""),
        guard="in force",
        networks=tuple(networks),
        instances=tuple(
            InstanceLook(each.fact.instance, "", each.fact.phase, each.fact.reason) for each in placed if each.fact
        ),
        tunnels=tunnels,
        chains=known.chains.get(site, ()),
    )
    heard_s = None if standing is None else standing.heard_s
    return Told(view, f"the core's document for {site}", heard_s, is_seen=False)


def is_sound(view: NodeView) -> bool:
    """Say whether everything in a view that is to be an address or a range is one: a site may say anything."""
    ranges = [text for each in view.networks for text in (*each.ranges, *each.near, *each.far)]
    ranges += [text for each in view.tunnels for text in each.ranges]
    addresses = [text for each in view.instances for some in each.addresses.values() for text in some]
    try:
        for text in ranges:
            ipaddress.ip_network(text)
        for text in addresses:
            ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _write_ranges(part: NetworkPart | NetworkMember) -> tuple[str, str]:
    ranges = part_ranges(part)
    return str(ranges.v4), str(ranges.v6)
