"""What happens to a simulated fleet by itself: links, machines, processes, disks and clocks, one method each.

Also the calm after it: ``heal`` mends everything that can be mended, ``repair`` is what owners do whose core has lost
their newest words, ``converge`` waits until all is as wished and says what is not.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from skerry.agent import journal
from skerry.clock import SECOND_US
from skerry.model.ids import AppName, InstanceId, SiteName, TenantName
from skerry.model.observed import ChainsSeen
from skerry.plan.history import app_id
from skerry.plan.images import DISK_RESERVE_BYTES
from skerry.plan.site import derive_wanted
from skerry.safe.errors import StoreFailed, StoreFull
from skerry.sim.machines import MEMORY_BYTES, MachineFaults
from skerry.sim.parts import SimSite
from skerry.sim.relays import FakeRelay
from skerry.sim.rests import find_rest, is_held_up, must_rest
from skerry.sim.windows import has_windows, list_former, list_meanings, list_shut_out
from skerry.sim.world import Signed, World
from skerry.store import facts, sites

#: A supervisor starts a program that ended by itself after so long.
RESTART_US = 2 * SECOND_US
#: A site takes so long to see that it is cut off, and to stop what has to stop then.
AWAY_SLACK_US = 90 * SECOND_US


class Weather:
    """Happenings in one world, counted by kind."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.faults: dict[str, int] = {}
        self.backups: list[tuple[Any, int]] = []
        self.restored = False
        #: Images of sites' disks.
        self.images: dict[SiteName, tuple[Any, Any]] = {}
        #: Called with a site whose disk was set back, before its machine starts again.
        self.on_set_back: Callable[[SiteName], None] = lambda site: None
        #: Agents that somebody has stopped, and those that their disk keeps from starting.
        self.stopped: set[SiteName] = set()
        self.down_by_disk: set[SiteName] = set()

    def _count(self, kind: str, line: str) -> None:
        self.faults[kind] = self.faults.get(kind, 0) + 1
        self.world.tell(line)

    def _site(self, site: str) -> SimSite:
        return self.world.sites[SiteName(site)]

    async def advance(self, seconds: float) -> None:
        """Let time pass; agents that end because of their disks are started again, as their supervisor would."""
        clock = self.world.core.clock
        end_us = clock.boot_us() + int(seconds * SECOND_US)
        while self.world.on_disk and end_us - clock.boot_us() > RESTART_US:
            await clock.sleep_until(clock.boot_us() + RESTART_US)
            await self._supervise()
        await clock.sleep_until(end_us)

    async def _supervise(self) -> None:
        for name, site in sorted(self.world.sites.items()):
            if name in self.down_by_disk or (site.failures and not site.running and name not in self.stopped):
                await self.start_agent(name)

    # --- links -------------------------------------------------------------------------------------------------------

    def cut(self, site: str, way: str = "both") -> None:
        """Cut a site's link: both ways, or only ``up`` or ``down``."""
        self._site(site).link.change(**{name: False for name in ("up", "down") if way in ("both", name)})
        self._count(f"cut-{way}", f"cut {site} {way}")

    def mend(self, site: str) -> None:
        """Mend a site's link."""
        self._site(site).link.change(up=True, down=True)
        self.world.tell(f"heal {site}")

    def slow(self, site: str, delay_ms: int, jitter_ms: int, rate_bit_s: int) -> None:
        """Make a site's link slow."""
        self._site(site).link.change(delay_us=delay_ms * 1000, jitter_us=jitter_ms * 1000, rate_bit_s=rate_bit_s)
        self._count("slow-link", f"slow link at {site}: {delay_ms} ms, {rate_bit_s} bit/s")

    # --- between sites ---------------------------------------------------------------------------------------------

    def part(self, site: str, other: str) -> None:
        """Let nothing pass between two sites."""
        ends = (self._site(site).tunnels, self._site(other).tunnels)
        self.world.sea.part(*ends)
        self._count("part", f"nothing passes between {site} and {other}")

    def unite(self, site: str, other: str) -> None:
        """Let packets pass between two sites again."""
        self.world.sea.unite(self._site(site).tunnels, self._site(other).tunnels)
        self.world.tell(f"{site} and {other} can pass")

    def hide(self, site: str) -> None:
        """Put a site behind a NAT that gives each way another port: two of those never meet."""
        self.world.sea.hidden.add(self._site(site).tunnels.born)
        self._count("nat", f"{site} sits behind NAT")

    def open_up(self, site: str) -> None:
        """Take the NAT before a site away."""
        self.world.sea.hidden.discard(self._site(site).tunnels.born)
        self.world.tell(f"{site} is open")

    def lose_relay(self, place: str) -> None:
        """Let the relay of the core or of a site pass nothing on, and tell nobody."""
        self._find_relay(place).dead = True
        self._count("relay-lost", f"the relay at {place} passes nothing on")

    def mend_relay(self, place: str) -> None:
        """Let it pass on again."""
        self._find_relay(place).dead = False
        self.world.tell(f"the relay at {place} passes on again")

    def _find_relay(self, place: str) -> FakeRelay:
        return self.world.sea.core_relay if place == "core" else self._site(place).tunnels.relay

    def move_site(self, site: str, address: str) -> None:
        """Give a site another address: its line has got one."""
        self.world.sea.move(self._site(site).tunnels, address)
        self._count("move", f"{site} is found at {address} from now on")

    async def change_key(self, site: str) -> None:
        """Somebody at the box asks for the next key of its tunnels."""
        done = await self._site(site).agent.change_overlay_key()
        self._count("rekey", f"{site} changes its key: {getattr(done, 'code', done)}")

    def kill_device(self, site: str, device: str) -> None:
        """Let a network device carry nothing."""
        self._set_device(site, device, dead=True)
        self._count("device-dead", f"{device} of {site} is dead")

    def mend_device(self, site: str, device: str) -> None:
        """Let a network device carry again."""
        self._set_device(site, device, dead=False)
        self.world.tell(f"{device} of {site} is well")

    def _set_device(self, site: str, device: str, *, dead: bool) -> None:
        link = self._site(site).link
        (link.dead.add if dead else link.dead.discard)(device)
        link.change()

    def lose(self, site: str, kind: str) -> None:
        """Let what an agent keeps in force at a node be gone: ``tunnels-lost``, ``steers-lost``, ``door-dead`` …"""
        here = self._site(site)
        self.world.losses[here.name] += 1
        self.world.lost_us[here.name] = self.world.loop.now_us
        match kind:
            case "tunnels-lost":
                here.tunnels.lose_power()
            case "steers-lost":
                here.machine.chains, here.machine.steers = ChainsSeen(), ()
            case "door-dead":
                here.machine.entrance.end()
            case _:
                here.names.is_alive = False
        here.machine.changed()
        self._count(kind, f"{kind} at {site}")

    def sicken(self, site: str, instance: InstanceId) -> None:
        """Let an instance's health check say no."""
        self._site(site).machine.unhealthy.add(instance)
        self._count("sicken", f"{instance} at {site} is not well")

    # --- processes ---------------------------------------------------------------------------------------------------

    async def stop_agent(self, site: str, *, power: bool = False) -> None:
        """Kill an agent, or cut its machine's power."""
        here = self._site(site)
        await here.settle()
        if here.running:
            await here.kill(machine=power)
        elif power:
            here.lose_power()
        self.stopped.add(here.name)
        self.down_by_disk.discard(here.name)
        self._count("power-cut" if power else "agent-kill", f"{'power cut' if power else 'agent killed'} at {site}")

    async def start_agent(self, site: str) -> None:
        """Start an agent again."""
        here = self._site(site)
        self.stopped.discard(here.name)
        self.down_by_disk.discard(here.name)
        if here.running:
            return
        try:
            await here.start()
        except (StoreFailed, StoreFull) as error:
            self.down_by_disk.add(here.name)
            self.world.tell(f"the disk keeps the agent of {site} from starting: {error.code}")
        else:
            self.world.tell(f"agent started at {site}")

    async def stop_core(self) -> None:
        """Kill the core."""
        if self.world.core.running:
            await self.world.core.kill()
        self._count("core-kill", "core killed")

    async def start_core(self) -> None:
        """Start the core again."""
        if not self.world.core.running:
            await self.world.core.start()
            self.world.tell("core started")

    def back_up(self) -> None:
        """Copy the core's database."""
        self.backups.append((self.world.core.back_up(), self.world.loop.now_us))
        self.world.tell("backup of the core")

    async def restore_core(self) -> None:
        """Set the core back to its newest backup; what it confirmed since is lost, and the owners know."""
        backup, at_us = self.backups[-1]
        await self.stop_core()
        self.world.core.restore(backup)
        self.restored = True
        self._count("core-restored", f"core set back to {at_us // SECOND_US} s")
        self.world.record("fault", "core-restored", "")
        await self.start_core()

    def image_disk(self, site: str) -> None:
        """Take an image of a site's disk: journal, containers and volumes."""
        here = self._site(site)
        self.images[here.name] = (here.file.copy(), here.machine.image_disk())
        self.world.tell(f"image of the disk of {site}")

    async def set_back(self, site: str) -> None:
        """Put the image of its disk back into a site's machine (P8); it boots as it was then."""
        here = self._site(site)
        if here.name not in self.images:
            return
        journal_file, machine = self.images.pop(here.name)
        await self.stop_agent(site, power=True)
        here.file.restore(journal_file)
        here.machine.put_back(machine)
        self.on_set_back(here.name)
        self.world.hands.forget(here.name)
        self.world.keepsakes.forget(here.name)
        self._count("site-set-back", f"the disk of {site} is an old one")
        self.world.record("fault", "site-set-back", site)
        await self.start_agent(site)

    # --- machines ----------------------------------------------------------------------------------------------------

    def crash(self, site: str, choice: float = 0.0) -> None:
        """Let one running instance end by itself."""
        machine = self._site(site).machine
        running = machine.running()
        if running:
            instance = running[int(choice * len(running))]
            machine.crash(instance)
            self._count("crash", f"{instance} crashed at {site}")

    def drift(self, site: str, choice: float = 0.0) -> None:
        """Somebody at the machine removes an instance's container by hand."""
        machine = self._site(site).machine
        running = machine.running()
        if running:
            instance = running[int(choice * len(running))]
            machine.remove_by_hand(instance)
            self._count("hand-removed", f"{instance} was removed by hand at {site}")

    def trouble(self, site: str, **faults: float | int | bool) -> None:
        """Give a machine's runtime faults: ``fail``, ``half``, ``slow_us``, ``unavailable``."""
        machine = self._site(site).machine
        machine.faults = msgspec.structs.replace(machine.faults, **faults)
        line = f"runtime at {site}: {dict(sorted(faults.items()))}"
        if any(faults.values()):
            self._count("runtime-" + "-".join(sorted(faults)), line)
        else:
            self.world.tell(line)

    def fill_disk(self, site: str, left: int) -> None:
        """Leave ``left`` bytes above the reserve."""
        machine = self._site(site).machine
        machine.disk_bytes += DISK_RESERVE_BYTES + left - machine.free_bytes()
        self._count("disk-full", f"disk at {site}: {left} bytes above the reserve")

    async def lose_memory(self, site: str, share: float) -> None:
        """Let a machine start again with only a share of its memory."""
        await self.stop_agent(site, power=True)
        self._site(site).machine.memory_bytes = int(MEMORY_BYTES * share)
        self._count("less-memory", f"{site} has {self._site(site).machine.memory_bytes >> 20} MiB of memory left")
        await self.start_agent(site)

    def trouble_disk(self, site: str, kind: str, **trouble: int | bool | None) -> None:
        """Make the disk under a site's files fail, fill up or be slow; see ``disk_file.Trouble``."""
        here = self._site(site)
        for name, value in trouble.items():
            setattr(here.trouble, name, value)
        self._count(kind, f"disk under the files of {site}: {dict(sorted(trouble.items()))}")

    def mend_disk(self, site: str) -> None:
        """Give the disk under a site's files room, speed and health."""
        here = self._site(site).trouble
        here.errors_after, here.errors_stay, here.room, here.slow_us = -1, False, None, 0

    def jump_clock(self, site: str, seconds: int) -> None:
        """Set a wall clock wrong; ``core`` is the core's."""
        clock = self.world.core.clock if site == "core" else self._site(site).clock
        clock.wall_offset_us += seconds * SECOND_US
        self._count("clock-jump", f"wall clock of {site} jumps by {seconds} s")

    def poison(self, tenant: str, image: str) -> None:
        """Make the runtime break on an image, everywhere."""
        digest = self.world.images[(TenantName(tenant), image)].digest
        for site in self.world.sites.values():
            site.machine.poison.add(digest)
        self._count("poison", f"image {image} of {tenant} breaks the runtime")

    async def flood(self, site: str, count: int) -> None:
        """Put many events of both classes into a site's outbox."""
        drafts = [
            journal.Draft(time_us=0, type="test.flood", klass="security" if number % 100 == 0 else "event")
            for number in range(count)
        ]
        here = self._site(site)
        if not here.running:
            return
        here.flooded = True
        self.world.record("fault", "flood", site)
        await here.db.run(lambda connection: journal.append_events(connection, drafts))
        self._count("flood", f"{count} events at {site}")

    # --- the calm ----------------------------------------------------------------------------------------------------

    async def heal_machines(self) -> None:
        """Mend machines and start what is down; links stay as they are."""
        for name in sorted(self.world.sites):
            site = self.world.sites[name]
            site.machine.faults = MachineFaults()
            site.machine.unhealthy.clear()
            site.machine.disk_bytes = 64 << 30
            site.machine.memory_bytes = MEMORY_BYTES
            self.mend_disk(name)
            await self.start_agent(name)
        await self.start_core()

    def heal_links(self) -> None:
        """Mend every link and clock."""
        for site in self.world.sites.values():
            site.link.dead.clear()
            site.link.change(up=True, down=True, delay_us=20_000, jitter_us=0, rate_bit_s=0)
            site.clock.wall_offset_us = 0
        self.world.sea.parted.clear()
        self.world.core.clock.wall_offset_us = 0
        self.world.tell("all links healed")

    async def repair(self) -> None:
        """Owners hand in again what a core that was set back has lost."""
        await self.world.hand_in_sites()
        await self.world.hand_in_secrets()
        for key in sorted(self.world.confirmed):
            await self.world.catch_up(key)
            numbers = self.world.confirmed[key].numbers
            newest = max(numbers, default=0)
            if self.world.app_row(key).lost:
                await self._speak_again(key, self.world.signed[numbers[newest]] if newest else None)

    async def _speak_again(self, key: tuple[TenantName, AppName], signed: Signed | None) -> None:
        tenant, app = key
        if signed is not None and signed.words is not None:
            await self.world.apply(app, signed.words, tenant)
        elif signed is not None:
            await self.world.delete(app, tenant)

    async def converge(self, limit_s: int = 3600, step_s: int = 5) -> str:
        """Wait until every site holds and fulfils the newest document; return what is not so at the limit."""
        late = "nothing was looked at"
        for _ in range(limit_s // step_s):
            await self.advance(step_s)
            late = self.find_late()
            if not late:
                return ""
        return late

    def find_late(self) -> str:
        """Say what is not as wished, beginning with the invariant that says so; empty when all is."""
        if not self.world.core.running:
            return "I23 the core is down"
        for name in sorted(self.world.sites):
            late = self._find_late_at(name, self.world.sites[name])
            if late:
                return f"{late[:3]} {name}: {late[4:]}"
        return ""

    def _find_late_at(self, name: SiteName, site: SimSite) -> str:
        if not site.running:
            return "I23 its agent is down"
        if site.agent.link.state != "up":
            return f"I23 its link is {site.agent.link.state}: {site.agent.link.reason}"
        state = sites.read_state(self.world.core.view, name)
        if state.learning:
            return "I22 the core is still learning from it"
        stored = None if site.agent.holdings is None else site.agent.holdings.stored
        held = (0, 0) if stored is None else (stored.epoch, stored.generation)
        if state.pending or (state.generation and held != (state.epoch, state.generation)):
            return f"I22 it holds {held}, the newest is {(state.epoch, state.generation)}, pending {state.pending}"
        late = self._find_unfulfilled(name, site)
        if late:
            return late
        known = facts.read_raw_facts(self.world.core.view, name)
        if known != site.agent.reconciler.facts:
            differs = sorted(set(known.items()) ^ set(site.agent.reconciler.facts.items()))
            return f"I26 the core's picture differs: {differs[:2]}"
        waiting = journal.count_outbox(site.file.raw)
        return f"I26 {waiting} events wait to be sent" if waiting else ""

    def _find_unfulfilled(self, name: SiteName, site: SimSite) -> str:
        held = site.followed()
        poison = site.machine.poison
        if held is None:
            return (
                f"I22 it holds no document, wanted {self.world.wanted_at(name)}" if self.world.wanted_at(name) else ""
            )
        wanted, _ = derive_wanted(held)
        running = {(seen.instance, seen.spec) for seen in site.machine.containers.values() if seen.state == "running"}
        made = {seen.spec for seen in site.machine.containers.values()}
        shut_out = list_shut_out(self.world, site, held)
        held_up = bool(shut_out)
        for instance, item in sorted(wanted.items()):
            should = item.assignment.state == "run" and item.derived.spec.image not in poison
            should = should and not find_rest(self.world, site, instance, wanted)
            if is_held_up(site, instance, wanted):
                held_up = True
                continue
            if app_id(item.assignment) in shut_out and item.derived.digest not in made:
                continue
            if should and (instance, item.derived.digest) not in running:
                return f"{'I25' if poison else 'I24'} {instance} does not run as wished: {self._explain(site)}"
        former = {item.derived.spec.id for item in list_former(held, shut_out)}
        surplus = sorted({instance for instance, _ in running} - wanted.keys() - former)
        refused = {str(unit).removeprefix("assignment/") for unit in held.refused}
        if set(surplus) - refused:
            return f"I24 {surplus} run and nobody wants them"
        # Apps whose networks were taken back stay so until their owner signs something else.
        verdicts = site.agent.reconciler.history.kept.judged
        locked = tuple(f"{app}/" for app, each in verdicts.items() if each.locked)
        if not poison and not held_up and not locked and not _is_settled(site):
            return f"I24 not settled: {self._explain(site)}"
        totals = self.world.loose_apps()
        held_here = sorted(
            instance
            for instance, item in wanted.items()
            if (item.derived.spec.tenant, item.derived.spec.app) not in totals and item.assignment.state == "run"
            if not instance.startswith(locked)
        )
        wished = [each for each in self.world.wanted_at(name) if not each.startswith(locked)]
        if held_here != wished:
            return f"I22 wished {wished}, its document says {held_here}"
        return ""

    def find_idle(self, site: SimSite) -> str:
        """Say what a site that was rebooted while cut off does not run and could, or runs and must not."""
        held = site.followed()
        if held is None:
            return ""
        running = {(seen.instance, seen.spec) for seen in site.machine.containers.values() if seen.state == "running"}
        made = {seen.spec for seen in site.machine.containers.values()}
        wanted = derive_wanted(held)[0]
        for instance, item in sorted(wanted.items()):
            spec = item.derived.spec
            away_us = site.clock.boot_us() - AWAY_SLACK_US
            rests = [must_rest(each, away_us) for each in list_meanings(self.world, site, item)]
            resting = rests[0] if all(rests) else ""
            if resting and any(name == instance for name, _ in running):
                return f"{instance} runs: {resting}"
            here = spec.image_config in site.machine.images and spec.image not in site.machine.poison
            if item.assignment.state != "run" or (instance, item.derived.digest) in running or not here:
                continue
            revision = self.world.revisions.get(item.assignment.revision)
            waits = revision is not None and has_windows(revision) and item.derived.digest not in made
            waits = waits or is_held_up(site, instance, wanted)
            if not waits and not find_rest(self.world, site, instance, wanted):
                return f"{instance} does not run: {self._explain(site)}"
        return ""

    def _explain(self, site: SimSite) -> str:
        plan = site.agent.reconciler.plan
        return "; ".join(
            [*(f"{wait.subject}: {wait.reason}" for wait in plan.waits[:3])]
            or [type(action).__name__ for action in plan.actions[:3]]
        )


def _is_settled(site: SimSite) -> bool:
    """Say whether a site is as wished; an operator's uplinks that it had to take back wait for other ones."""
    plan = site.agent.reconciler.plan
    return msgspec.structs.replace(plan, waits=tuple(each for each in plan.waits if each.subject != "uplinks")).settled
