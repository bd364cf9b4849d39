"""Invariants of service chains: packets walked through what steers them at a node, step by step, as a kernel would.

Judged from the signed chain and from who has which address. A step hands on what it is given, by its own network.
"""

import ipaddress
from collections.abc import Callable, Iterator

import msgspec

from skerry.clock import SECOND_US
from skerry.model.app import AppRevision
from skerry.model.chain import Chain
from skerry.model.document import Assignment
from skerry.model.ids import AppName, NetworkName, ServiceName, SiteName, TenantName
from skerry.model.network import bridge_name
from skerry.model.observed import ChainHop, ContainerSeen
from skerry.plan.actions import Action, StartContainer
from skerry.sim.chains import FakeChains, Packet, find_way
from skerry.sim.effects import Run
from skerry.sim.parts import SimSite
from skerry.sim.stillness import Stillness
from skerry.sim.windows import has_windows, list_waiting
from skerry.sim.world import World

#: Of the documentation's addresses (RFC 5737): beyond every site; and a machine at a device of a node.
_BEYOND, _AT_DEVICE = "203.0.113.9", "198.51.100.9"
#: Where clients of the chains of storms are.
_NEAR = NetworkName("default")

_Steered = tuple[SiteName, int, int, TenantName, AppName, int]


class Sent(msgspec.Struct, frozen=True):
    """A packet that a chain wants: whose it is, whom it is to meet, and what becomes of it behind the last step."""

    client: str
    packet: Packet
    order: tuple[ServiceName, ...]
    end: str
    #: It leaves the client, and does not come to it.
    leaves: bool


class Detours:
    """What was seen of the chains of one world."""

    def __init__(self, world: World, stillness: Stillness) -> None:
        self.world = world
        self.stillness = stillness
        #: Chains that were in force at the last look, by site, boot and what was lost there, app and revision.
        self.in_force: set[_Steered] = set()
        #: How often there was something to judge.
        self.judged = 0

    def judge(self) -> Iterator[tuple[str, str]]:
        """Judge what is true now: pairs of invariant and complaint."""
        now: set[_Steered] = set()
        for name, site in sorted(self.world.sites.items()):
            owners: dict[str, tuple[TenantName, AppName]] = {}
            for revision, chain in list_chains(self.world, site):
                app = revision.tenant, revision.app
                if chain.start.kind == "interface" and owners.setdefault(chain.start.name, app) != app:
                    continue  # what comes from a device is the first app's
                complaint = check_i48_no_packet_passes_a_step_by(self, site, revision, chain)
                losses = self.world.losses[name]
                mark = (name, site.machine.boots, losses, revision.tenant, revision.app, revision.number)
                if complaint and (mark in self.in_force or self.stillness.is_still(name)):
                    yield "I48", complaint
                if not complaint and site.machine.steers:
                    now.add(mark)
        self.in_force = now


def check_i48_no_packet_passes_a_step_by(detours: Detours, site: SimSite, revision: AppRevision, chain: Chain) -> str:
    """What leaves or comes back meets all steps of its chain in order; a closed chain ends it where one is not well."""
    is_still = detours.stillness.is_still(site.name)
    steps = {each: _list_running(site, revision, each) for each in chain.through}
    well = [step for step in chain.through if any(site.machine.is_well(seen.container) for seen in steps[step])]
    for sent in list_packets(site, revision, chain):
        detours.judged += 1
        met, ending = walk(site, sent.packet)
        good = [each for each in sent.order if each in well]
        flaw = _find_flaw(chain, list(sent.order), good, met, ending, sent.end, is_still)
        if flaw:
            return f"{site.name}: a packet of {sent.client} by chain {chain.name} met {met}, and {flaw}"
    return ""


def list_packets(site: SimSite, revision: AppRevision, chain: Chain) -> Iterator[Sent]:
    """Give for each client of a chain a packet that leaves and one that comes back, with the steps in their order."""
    turned = chain.through[::-1]
    if chain.start.kind == "interface":
        device = chain.start.name
        plain = Packet(bridge="", mac="", source=_AT_DEVICE, target=_BEYOND, protocol="tcp", to_port=80)
        out = msgspec.structs.replace(plain, device=device, source_by=device)
        yield Sent(device, out, chain.through, "out", True)
        if chain.symmetric:
            yield Sent(device, _answer(plain, target_by=device), turned, "out", False)
        return
    for client in _list_running(site, revision, None):
        for address in client.addresses.get(_NEAR, ()):
            if ":" in address:
                continue
            bridge, mac = _name_port(site, client)
            out = Packet(bridge=bridge, mac=mac, source=address, target=_BEYOND, protocol="tcp", to_port=80)
            come = Packet(bridge="", mac="", source=_BEYOND, target=address, protocol="tcp", to_port=80, led_in=True)
            if chain.start.kind != "users":
                yield Sent(client.instance, out, chain.through, "out", True)
                if chain.symmetric:
                    yield Sent(client.instance, _answer(out), turned, "in", False)
            elif any(port.published and port.target == 80 for port in revision.services[client.service].ports):
                yield Sent(client.instance, come, chain.through, "in", False)
                if chain.symmetric:
                    yield Sent(client.instance, _answer(come, bridge=bridge, mac=mac), turned, "out", True)


def _answer(packet: Packet, **words: object) -> Packet:
    """Return the answer to a packet, as it comes from beyond where ``words`` do not say otherwise."""
    turned = msgspec.structs.replace(
        packet,
        bridge="",
        mac="",
        led_in=False,
        source=packet.target,
        target=packet.source,
        from_port=packet.to_port,
        to_port=packet.from_port,
    )
    return msgspec.structs.replace(turned, **words)


def _find_flaw(
    chain: Chain,
    order: list[ServiceName],
    well: list[ServiceName],
    met: list[ServiceName],
    ending: str,
    end: str,
    is_still: bool,
) -> str:
    """Say what is wrong with where a packet went. ``lost``: it was given to what is no longer there."""
    if ending not in (end, "closed", "lost"):
        return f"was {ending}"
    if [each for each in order if each in met] != met:
        return f"the order is {order}"
    if ending == end and chain.fail == "closed" and met != order:
        return f"went {end} past the others of {order}"
    if not is_still:
        return ""
    if chain.fail == "open":
        return "" if (ending, met) == (end, well) else f"was {ending}, where {well} are well"
    expected = end if well == order else "closed"
    return "" if ending == expected else f"was {ending}, where {well} of {order} are well"


def walk(site: SimSite, packet: Packet) -> tuple[list[ServiceName], str]:
    """Return the steps that a packet which leaves no trace would be given to, and what would become of it at last."""
    machine = site.machine
    ghost = FakeChains(lambda hop: find_way(hop, machine.containers.values(), machine.networks))
    ghost.seen, ghost.steers = machine.chains, machine.steers
    found = ghost.walk(packet)
    met: list[ServiceName] = []
    for hop in found.given:
        seen = _find_speaker(site, hop.bridge, hop.address)
        if seen is None:
            return met, "lost"
        met.append(seen.service)
    return met, found.end


def list_chains(world: World, site: SimSite) -> Iterator[tuple[AppRevision, Chain]]:
    """Give each chain of the newest revision of each app that a site follows, where the site has steps in force.

    Not of an app that waits for a window: its chains may still be those of before. Nor of a device of the node for an
    app that ends because its networks cut the site off: nothing of the app is there.
    """
    held = site.followed() if site.starts and (site.machine.steers or site.machine.containers) else None
    newest: dict[tuple[TenantName, AppName], AppRevision] = {}
    for unit in () if held is None else held.units.values():
        revision = world.revisions.get(unit.revision) if isinstance(unit, Assignment) else None
        if revision is not None:
            key = revision.tenant, revision.app
            newest[key] = max(newest.get(key, revision), revision, key=lambda each: each.number)
    for (tenant, app), revision in sorted(newest.items()):
        if has_windows(revision) and f"{tenant}/{app}" in list_waiting(site, held):
            continue
        is_locked = held is not None and f"{tenant}/{app}" in held.locked
        for chain in revision.chains or ():
            if not is_locked or "interface" not in (chain.start.kind, chain.end.kind):
                yield revision, chain


def _list_running(site: SimSite, revision: AppRevision, service: ServiceName | None) -> list[ContainerSeen]:
    found = (
        each for each in site.machine.containers.values() if (each.tenant, each.app) == (revision.tenant, revision.app)
    )
    running = sorted((each for each in found if each.state == "running"), key=lambda each: each.container)
    return [each for each in running if service is None or each.service == service]


def _find_speaker(site: SimSite, bridge: str, address: str) -> ContainerSeen | None:
    for seen in site.machine.containers.values():
        for network, addresses in seen.addresses.items():
            is_there = address in addresses and bridge_name(seen.tenant, seen.app, network) == bridge
            if is_there and seen.state == "running":
                return seen
    return None


def _name_port(site: SimSite, client: ContainerSeen) -> tuple[str, str]:
    """Return the bridge at which a client hands packets over, and the hardware address by which it does."""
    hop = ChainHop(0, bridge_name(client.tenant, client.app, _NEAR), client.addresses[_NEAR][0])
    alone = msgspec.structs.replace(client, addresses={_NEAR: client.addresses[_NEAR]})
    found = find_way(hop, (alone,), site.machine.networks)
    assert found is not None, "it runs"
    return found


def check_i48_nothing_starts_before_its_chain(run: Run, site: SimSite, action: Action) -> str:
    """What leaves or comes back meets all steps of its chain in order; a closed chain ends it where one is not well."""
    if not isinstance(action, StartContainer) or _NEAR not in action.spec.networks or site.machine.faults.slow_us:
        return ""
    spec = action.spec
    if run.world.loop.now_us - run.world.lost_us.get(site.name, -_SOON_US) < _SOON_US or not _has_held_for_long(
        run, site
    ):
        return ""
    seen = site.machine.networks.get((spec.tenant, spec.app, _NEAR))
    for revision, chain in list_chains(run.world, site):
        is_its = (revision.tenant, revision.app) == (spec.tenant, spec.app) and chain.start.name == _NEAR
        if seen is None or not is_its or chain.fail != "closed":
            continue
        source = next(str(ipaddress.ip_network(each.subnet)[9]) for each in seen.ranges if ":" not in each.subnet)
        bridge = bridge_name(spec.tenant, spec.app, _NEAR)
        packet = Packet(
            bridge=bridge, mac="02:00:00:00:00:00", source=source, target=_BEYOND, protocol="tcp", to_port=80
        )
        if walk(site, packet)[1] == "aside":
            return f"{site.name} starts {spec.id}, and nothing steers its packets into chain {chain.name}"
    return ""


#: What an agent began to do before it heard of something else is done so soon.
_SOON_US = 30 * SECOND_US


def _has_held_for_long(run: Run, site: SimSite) -> bool:
    """Say whether the site has had its document for a while: what it does now follows from that."""
    stored = None if site.agent.holdings is None else site.agent.holdings.stored
    now = None if stored is None else (stored.epoch, stored.generation)
    before, since_us = run.documents.get(site.name, (None, 0))
    if before != now:
        run.documents[site.name] = now, run.world.loop.now_us
        return False
    return run.world.loop.now_us - since_us >= _SOON_US


EFFECT_CHECKS: tuple[Callable[[Run, SimSite, Action], str], ...] = (check_i48_nothing_starts_before_its_chain,)
