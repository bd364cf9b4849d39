"""Invariants of what leads to instances: names at a site's name server, and places of its entrance.

That nothing leads to another tenant's instances is judged always; where things have to lead, once a site was still.
Who is well is what the machine's own health checks say now, not what an agent has made of them.
"""

import ipaddress
from collections.abc import Callable, Iterable, Iterator

from skerry.model.document import NetworkMember
from skerry.model.entrance import Entrance
from skerry.model.ids import AppName, InstanceId, NetworkName, ServiceName, SiteName, TenantName
from skerry.model.network import part_ranges
from skerry.model.observed import ContainerSeen
from skerry.plan.actions import ApplyEntrance, Server
from skerry.plan.entrance import server_name
from skerry.plan.history import app_id
from skerry.plan.instances import Wanted
from skerry.plan.site import derive_wanted
from skerry.sim.effects import name_of
from skerry.sim.parts import SimSite
from skerry.sim.stillness import Stillness
from skerry.sim.windows import list_former, list_waiting
from skerry.sim.world import World

_Owner = tuple[TenantName, AppName, ServiceName]
_Places = dict[str, tuple[_Owner, list[Server]]]


class Answers:
    """What was seen of what leads to the instances of one world."""

    def __init__(self, world: World, stillness: Stillness) -> None:
        self.world = world
        self.stillness = stillness
        #: Stillnesses that were judged already.
        self._done: dict[tuple[SiteName, str], tuple[int, ...]] = {}
        #: How often there was something to judge.
        self.judged = 0

    def judge(self) -> Iterator[tuple[str, str]]:
        """Judge what is true now: pairs of invariant and complaint."""
        for name in sorted(self.world.sites):
            for check in CHECKS:
                complaint = check(self, name)
                if complaint:
                    yield name_of(check), complaint

    def is_new(self, what: str, name: SiteName, *, all_sites: bool = False) -> bool:
        """Say whether a site is still and was not judged in this stillness; it counts as judged from now on."""
        if not self.stillness.is_still(name):
            return False
        names = self.world.sites if all_sites else (name,)
        mark = tuple(self.stillness.since_us(each) for each in names)
        is_new = self._done.get((name, what)) != mark
        self._done[name, what] = mark
        self.judged += is_new
        return is_new


def check_i46_names_lead_to_the_nearest_that_is_well(answers: Answers, name: SiteName) -> str:
    """A name leads to what is well at its own site, else at the nearest other one, and is never unknown meanwhile."""
    site = answers.world.sites[name]
    if (
        site.tunnels.names is None
        or not site.names.told.zones
        or not all(map(answers.stillness.is_still, answers.world.sites))
    ):
        return ""
    if not answers.is_new("names", name, all_sites=True):
        return ""
    held, wanted = site.followed(), _list_wanted(site)
    waiting = list_waiting(site, held)
    for zone in site.names.told.zones:
        if f"{zone.tenant}/{zone.app}" in waiting:
            continue  # its names may still be those of before
        services = {
            each.assignment.service
            for each in wanted.values()
            if (each.assignment.tenant, each.assignment.app) == (zone.tenant, zone.app)
            and zone.network in each.derived.spec.networks
        }
        for service in sorted(services):
            owner = zone.tenant, zone.app, service
            expected = _expect(answers.world, site, owner, zone.network, wanted)
            said = site.names.answer("", zone.gateways[0], service, "A")
            if expected is not None and said not in [("NOERROR", each) for each in expected]:
                return f"{name}: {service} of {zone.app}/{zone.network} is {said}, it should be among {expected}"
    return ""


def _expect(
    world: World, site: SimSite, owner: _Owner, network: NetworkName, wanted: dict[InstanceId, Wanted]
) -> list[tuple[str, ...]] | None:
    """Return what may be answered for a service; None where that cannot be told."""
    own = _list_well(site, owner, network, wanted)
    if own or own is None:
        return None if own is None else [own]
    held = site.followed()
    assert held is not None
    members = [each for each in held.units.values() if isinstance(each, NetworkMember)]
    found: list[tuple[int, tuple[str, ...]]] = []
    for member in members:
        if (member.tenant, member.app, member.network) != (*owner[:2], network):
            continue
        other = world.sites[member.site]
        far = _list_well(other, owner, network, _list_wanted(other))
        if far is None:
            return None
        if far and _can_ask(world, site, other, (*owner[:2], network), str(part_ranges(member).v4[1])):
            ends = (int(ipaddress.ip_address(each.tunnels.born)) for each in (site, other))
            found.append((abs(next(ends) - next(ends)), far))
    nearest = min((steps for steps, _ in found), default=0)
    return [far for steps, far in found if steps == nearest] or [()]


def _can_ask(world: World, site: SimSite, other: SimSite, key: tuple[str, str, str], server: str) -> bool:
    """Say whether a question gets there and its answer back: only tunnels are between a site and another's gateway."""
    seen = next((each for each in site.machine.guard if (each.tenant, each.app, each.network) == key), None)
    if seen is None or not seen.near or not other.names.is_alive:
        return False
    own = str(ipaddress.ip_network(next(each for each in seen.near if ":" not in each))[1])
    there = world.sea.leads_to(site.tunnels, own, server)
    return there is other.tunnels and world.sea.leads_to(other.tunnels, server, own) is site.tunnels


def _list_wanted(site: SimSite) -> dict[InstanceId, Wanted]:
    held = site.followed()
    return {} if held is None else derive_wanted(held)[0]


def _list_well(
    site: SimSite, owner: _Owner, network: NetworkName, wanted: dict[InstanceId, Wanted]
) -> tuple[str, ...] | None:
    """Return addresses of a service's instances here that run and are well; None while one is being changed."""
    found: list[str] = []
    for seen in _list_running(site, owner):
        item = wanted.get(seen.instance)
        if item is None or item.derived.digest != seen.spec or item.assignment.state != "run" or item.held_why:
            return None
        if site.machine.is_well(seen.container):
            found += [each for each in seen.addresses.get(network, ()) if ":" not in each]
    return tuple(sorted(found))


def _list_running(site: SimSite, owner: _Owner) -> list[ContainerSeen]:
    containers = sorted(site.machine.containers.values(), key=lambda each: each.container)
    return [each for each in containers if (each.tenant, each.app, each.service) == owner and each.state == "running"]


def check_i47_the_entrance_leads_to_the_right_instances(answers: Answers, name: SiteName) -> str:
    """An entrance leads to instances of the app that asked for the place, and to those alone that are well."""
    site = answers.world.sites[name]
    action = site.machine.entrance.applied
    places = {} if action is None else _read_places(action)
    hosts = {
        (place.partition("/")[2].partition("/")[0], owner[0])
        for place, (owner, _) in places.items()
        if "http/" in place
    }
    if len({host for host, _ in hosts}) < len(hosts):
        return f"{name}: a host name is given to two tenants: {sorted(hosts)}"
    here, there = _list_speakers([site]), _list_speakers(answers.world.sites.values())
    for place, (owner, servers) in places.items():
        for server in servers:
            # Addresses of a network of one site are another one's at the next; those over sites are one's alone.
            speaker = (there if server.rank else here).get(server.address)
            if speaker is not None and (speaker.tenant, speaker.app) != owner[:2]:
                return f"{name}: {place} of {'/'.join(owner)} leads to {speaker.instance}"
    if not answers.is_new("entrance", name):
        return ""
    return _find_missing(site, places) or _find_shut(site, places)


def _list_speakers(sites: Iterable[SimSite]) -> dict[str, ContainerSeen]:
    return {
        address: each
        for site in sites
        for each in site.machine.containers.values()
        if each.state == "running"
        for addresses in each.addresses.values()
        for address in addresses
    }


def _find_shut(site: SimSite, places: _Places) -> str:
    """Say which datagrams the firewall stops on their way to another site, and which it lets out for nobody."""
    wished = {
        (item.assignment.tenant, item.assignment.app, each.port)
        for item in _list_wanted(site).values()
        for each in item.entrance
        if each.udp
    }
    for rules in site.machine.guard:
        for port in rules.doors:
            if (rules.tenant, rules.app, port) not in wished:
                return f"{site.name}: port {port} of {rules.app}/{rules.network} is open to outsiders for no service"
    for place, (owner, servers) in places.items():
        for server in servers if place.startswith("udp/") else ():
            mine = [each for each in site.machine.guard if (each.tenant, each.app) == owner[:2]]
            if server.rank and not any(server.port in each.doors and _is_in(server.address, each.far) for each in mine):
                return f"{site.name}: {place} leads to {server.address}, and the firewall stops it"
    return ""


def _is_in(address: str, ranges: Iterable[str]) -> bool:
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(each) for each in ranges)


def _read_places(action: ApplyEntrance) -> _Places:
    """Return who has which place, and the servers there to which new people are led."""
    servers = {backend.name: backend.servers for backend in action.backends}
    given = {f"http/{each.host}{each.path}": (each.holder, servers[each.backend]) for each in action.routes}
    given |= {f"tcp/{each.port}": (each.holder, servers[each.backend]) for each in action.listeners}
    given |= {f"udp/{each.port}": (each.holder, each.servers) for each in action.datagrams}
    return {
        place: (_read_owner(holder), [each for each in these if each.state == "up"])
        for place, (holder, these) in given.items()
    }


def _find_missing(site: SimSite, places: _Places) -> str:
    """Say which place that nobody else asks for is not given, and which leads to what is not well or misses one."""
    held = site.followed()
    wanted = _list_wanted(site)
    newest: dict[_Owner, Wanted] = {}
    for item in wanted.values():
        owner = _owner_of(item)
        if item.entrance and (owner not in newest or newest[owner].number < item.number):
            newest[owner] = item
    waiting = list_waiting(site, held)
    former = [] if held is None else list_former(held, waiting)
    asked: dict[str, set[_Owner]] = {}
    tenants: dict[str, set[TenantName]] = {}
    for item in (*newest.values(), *former):
        for each in item.entrance:
            asked.setdefault(each.place, set()).add(_owner_of(item))
            tenants.setdefault(_subject(each), set()).add(item.assignment.tenant)
    for owner, item in newest.items():
        for each in item.entrance if app_id(item.assignment) not in waiting else ():
            alone = len(asked[each.place]) == 1 and len(tenants[_subject(each)]) == 1
            if alone and (each.place not in places or places[each.place][0] != owner):
                return f"{site.name}: {each.place} is not given to {'/'.join(owner)}, which alone asks for it"
    for place, (owner, servers) in places.items():
        if owner not in asked.get(place, set()):
            return f"{site.name}: {place} is still given to {'/'.join(owner)}, which does not ask for it"
        # Over UDP a copy is asked at an address of each family.
        well, up = _list_asked(site, owner, wanted), sorted({each.name for each in servers if not each.rank})
        if well is not None and up != well:
            return f"{site.name}: {place} leads to {up}, and well of {'/'.join(owner)} are {well}"
    return ""


def _owner_of(item: Wanted) -> _Owner:
    return item.assignment.tenant, item.assignment.app, item.assignment.service


def _subject(one: Entrance) -> str:
    return one.host or one.place


def _list_asked(site: SimSite, owner: _Owner, wanted: dict[InstanceId, Wanted]) -> list[str] | None:
    if _list_well(site, owner, NetworkName("default"), wanted) is None:
        return None
    running = [each for each in _list_running(site, owner) if any(each.addresses.values())]
    return sorted(server_name(each.container) for each in running if site.machine.is_well(each.container))


def _read_owner(holder: str) -> _Owner:
    tenant, app, service = holder.split("/")
    return TenantName(tenant), AppName(app), ServiceName(service)


CHECKS: tuple[Callable[[Answers, SiteName], str], ...] = (
    check_i46_names_lead_to_the_nearest_that_is_well,
    check_i47_the_entrance_leads_to_the_right_instances,
)
