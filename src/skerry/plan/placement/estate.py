"""Every node of every site with what is taken of it: the working memory of one planning run.

``commit`` and ``release`` are the only mutators and undo each other exactly. Amounts a node has not reported are
unknown (None) and refuse nothing. Slots are ordered by enrolment of the site, then by name of the node; that order
breaks every tie. Tallies are made when first asked for and kept current from then on.
"""

from collections import Counter

from skerry.model.app import Port
from skerry.model.geography import UserPoint
from skerry.model.ids import AppName, Digest, KeyId, NodeName, ServiceName, SiteName, TenantName
from skerry.model.signed import SiteRecord
from skerry.model.site_match import site_labels, site_price_micro
from skerry.model.uplinks import Bandwidth, format_rate, sum_rates
from skerry.plan.placement.doors import Doors
from skerry.plan.placement.request import Request, make_request
from skerry.plan.snapshot import SiteView

Group = tuple[TenantName, AppName, ServiceName]


class UplinkRoom:
    """What the uplinks of one site carry together and what of it is given out, each way.

    A direction in which any of them does not say what it carries is unknown, and refuses nothing.
    """

    __slots__ = ("down_used_bps", "rates", "up_used_bps")

    def __init__(self, rates: Bandwidth) -> None:
        self.rates = rates
        self.up_used_bps = 0
        self.down_used_bps = 0

    def add(self, bandwidth: Bandwidth, times: int) -> None:
        """Take what an instance asks for, or give it back."""
        self.up_used_bps += times * bandwidth.up_bps
        self.down_used_bps += times * bandwidth.down_bps

    def find_lack(self, up_bps: int, down_bps: int) -> str:
        """Say what is missing for so much more; empty when nothing is."""
        ways = (
            ("up", up_bps, self.rates.up_bps, self.up_used_bps),
            ("down", down_bps, self.rates.down_bps, self.down_used_bps),
        )
        for word, wanted, there, used in ways:
            if wanted and there and used + wanted > there:
                left = format_rate(max(there - used, 0))
                return f"needs {format_rate(wanted)} {word}, {left} of {format_rate(there)} left"
        return ""


class Slot:
    """One node as a place for instances."""

    __slots__ = (
        "cordon",
        "cpu_m",
        "cpu_used_m",
        "devices",
        "disk_claimed_bytes",
        "disk_free_bytes",
        "doors",
        "images",
        "labels",
        "memory_bytes",
        "memory_used_bytes",
        "node",
        "order",
        "ports",
        "price_micro",
        "record",
        "sealing",
        "silent",
        "site",
        "uplinks",
        "view",
        "zones",
    )

    def __init__(
        self, view: SiteView, node: NodeName, order: int, zones: dict[str, tuple[str, str]], uplinks: UplinkRoom
    ) -> None:
        fact = view.nodes.get(node)
        self.site: SiteName = view.site
        self.node = node
        self.order = order
        self.view = view
        self.record: SiteRecord = view.record
        #: What geofences and residencies were found to say of the site, by their name (``Request.zone``).
        self.zones: dict[str, tuple[str, str]] = zones
        #: What its site's uplinks carry, which all nodes of it share.
        self.uplinks = uplinks
        self.price_micro: int | None = site_price_micro(view.record)
        self.silent = view.silent
        self.cordon = view.cordon_of(node)
        self.sealing: KeyId | None = view.sealing.get(node)
        #: What node selectors see: the node's own facts, overruled by what the registrar signed of the site.
        self.labels: dict[str, str] = {}
        if fact is not None:
            self.labels |= fact.facts
            self.labels |= {"arch": fact.arch} if fact.arch else {}
        self.labels |= site_labels(view.record)
        self.labels["node"] = node
        #: Devices of its profiles that it has; None while it has told nothing.
        self.devices: tuple[str, ...] | None = fact.devices if fact is not None else None
        self.cpu_m = fact.cpu_m if fact is not None and fact.cpu_m else None
        self.memory_bytes = fact.memory_bytes if fact is not None and fact.memory_bytes else None
        self.disk_free_bytes = fact.disk_free_bytes if fact is not None and fact.disk_bytes else None
        self.cpu_used_m = 0
        self.memory_used_bytes = 0
        #: Bytes of images that this plan brings here, by image; those already wished are on the disk or on their way.
        self.disk_claimed_bytes = 0
        self.images: Counter[Digest] = Counter()
        self.ports: Counter[tuple[str, int, str]] = Counter()
        self.doors = Doors()

    def __repr__(self) -> str:
        """Name the place."""
        return f"Slot({self.site}/{self.node})"


class Estate:
    """All slots, and how many instances of each group are where."""

    def __init__(self, sites: tuple[SiteView, ...]) -> None:
        self.slots: list[Slot] = []
        self.by_site: dict[SiteName, list[Slot]] = {}
        self.views: dict[SiteName, SiteView] = {view.site: view for view in sites}
        self._by_name: dict[tuple[SiteName, NodeName], Slot] = {}
        for view in sorted(sites, key=lambda item: (item.enrolment, item.site)):
            here: list[Slot] = []
            zones: dict[str, tuple[str, str]] = {}
            uplinks = UplinkRoom(sum_rates(view.record.uplinks or {}))
            for node in sorted(view.record.nodes):
                slot = Slot(view, node, len(self.slots), zones, uplinks)
                here.append(slot)
                self.slots.append(slot)
                self._by_name[view.site, node] = slot
            self.by_site[view.site] = here
        self._counts: dict[Group, Counter[int]] = {}
        self._tallies: dict[Group, dict[str, Counter[str]]] = {}
        #: Who is kept apart from whom where: group and domain to the groups that are there and forbid it.
        self._shunned: dict[tuple[Group, str, str], Counter[Group]] = {}
        self._partners: dict[tuple[Digest, ServiceName], Request] = {}
        #: Round trips of each site to the points of each group of users that was asked for (``users.py``).
        self.user_rtts: dict[tuple[UserPoint, ...], dict[SiteName, tuple[int, ...]]] = {}

    def find(self, site: SiteName, node: NodeName) -> Slot | None:
        """Return the slot of a node; None when the site's record does not list it."""
        return self._by_name.get((site, node))

    def commit(self, request: Request, slot: Slot, *, present: bool = False) -> None:
        """Take the room; ``present`` says that the image was wished here before and claims no further disk."""
        slot.cpu_used_m += request.cpu_m
        slot.memory_used_bytes += request.memory_bytes
        slot.uplinks.add(request.bandwidth, 1)
        if not slot.images[request.wish.image.digest] and not present:
            slot.disk_claimed_bytes += request.wish.image.size_bytes
        slot.images[request.wish.image.digest] += 1
        for port in request.ports:
            slot.ports[port_key(port)] += 1
        slot.doors.add(request.group, request.entrances, 1)
        self._counts.setdefault(request.group, Counter())[slot.order] += 1
        self._note(request, slot, 1)

    def release(self, request: Request, slot: Slot) -> None:
        """Give the room back. The claim on disk stays: what was fetched once is on the disk."""
        slot.cpu_used_m -= request.cpu_m
        slot.memory_used_bytes -= request.memory_bytes
        slot.uplinks.add(request.bandwidth, -1)
        slot.images[request.wish.image.digest] -= 1
        for port in request.ports:
            slot.ports[port_key(port)] -= 1
        slot.doors.add(request.group, request.entrances, -1)
        self._counts[request.group][slot.order] -= 1
        self._note(request, slot, -1)

    def count_by(self, group: Group, by: str, among: list[Slot] | None = None) -> Counter[str]:
        """Count the group's instances per domain of ``by``: all of them, or those on ``among`` only."""
        orders = self._counts.get(group, Counter())
        counts: Counter[str] = Counter()
        slots = (self.slots[order] for order in orders) if among is None else among
        for slot in slots:
            counts[domain_of(slot, by)] += orders[slot.order]
        return counts

    def tally(self, group: Group, by: str) -> Counter[str]:
        """Return how many of the group's instances are in each domain of ``by``; not to be changed by the caller."""
        tallies = self._tallies.setdefault(group, {})
        if by not in tallies:
            tallies[by] = self.count_by(group, by)
        return tallies[by]

    @property
    def has_shunned(self) -> bool:
        """Somebody here is kept apart from others."""
        return bool(self._shunned)

    def find_shunning(self, group: Group, slot: Slot) -> Group | None:
        """Return a group that has an instance here and is kept apart from ``group``; None when there is none."""
        for by in ("node", "site", "region"):
            domain = domain_of(slot, by)
            here = self._shunned.get((group, by, domain)) if domain else None
            found = min((each for each, count in (here or {}).items() if count > 0), default=None)
            if found is not None:
                return found
        return None

    def partner(self, request: Request, service: ServiceName) -> Request:
        """Return what another service of the same revision asks for."""
        key = (request.digest, service)
        if key not in self._partners:
            self._partners[key] = make_request(request.revision, request.digest, service)
        return self._partners[key]

    def _note(self, request: Request, slot: Slot, change: int) -> None:
        for by, tally in self._tallies.get(request.group, {}).items():
            tally[domain_of(slot, by)] += change
        rules = request.wish.placement.rules
        for words in rules.apart if rules else ():
            for name in words.services:
                key = (group_of(request, name), words.by, domain_of(slot, words.by))
                self._shunned.setdefault(key, Counter())[request.group] += change


def group_of(request: Request, name: str) -> Group:
    """Read a name of a manifest: a service of the same app, or ``app/service`` of the same tenant."""
    app, sign, service = name.partition("/")
    if sign:
        return (request.tenant, AppName(app), ServiceName(service))
    return (request.tenant, request.app, ServiceName(name))


def port_key(port: Port) -> tuple[str, int, str]:
    """Name a published port; every address of the node reads the same."""
    return (port.protocol, port.published, "" if port.host_ip in ("0.0.0.0", "::") else port.host_ip)


def is_published(slot: Slot, protocol: str, port: int) -> bool:
    """Say whether an instance at the node publishes a port, at whichever address."""
    return any(count > 0 and key[:2] == (protocol, port) for key, count in slot.ports.items())


def port_taken(slot: Slot, port: Port) -> bool:
    """Say whether the port is taken at the node: by the same address, by all of them, or by the entrance."""
    if slot.doors.has_port(port):
        return True
    protocol, published, address = port_key(port)
    if not address:
        return is_published(slot, protocol, published)
    return slot.ports[protocol, published, address] > 0 or slot.ports[protocol, published, ""] > 0


def domain_of(slot: Slot, by: str) -> str:
    """Name the domain of a slot for spreading; unknown words were refused when the revision was applied."""
    match by:
        case "node":
            return f"{slot.site}/{slot.node}"
        case "site":
            return slot.site
        case "region":
            return slot.record.region
        case "country":
            return slot.record.country
        case _:
            return slot.labels.get(by.removeprefix("label:"), "")
