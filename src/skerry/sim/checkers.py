"""The invariants of a simulated world, each a function named by its id with the invariant's sentence as docstring.

Checks of effects are in ``effects.py``; here are those of states, run after every step and every few seconds, and those
at the end, after healing (I22 to I26 are what ``Weather.converge`` looks for). Not checked yet because their nouns do
not exist: I9, I10 and I12 (leases, moving volumes), I13 (restorable backups), I29 (quotas), I30 (the end of a tenant),
I31 (revocation), I35 (updates of the agent). I33 is I4, I5, I11, I27 and I28 under tests/sim's evil core.
"""

from collections.abc import Callable

import msgspec

from skerry.agent import journal
from skerry.agent.status import StatusDesk
from skerry.core.auth import Caller
from skerry.model.asks import InstanceQuery, PageQuery
from skerry.model.document import digest_bodies, digest_units
from skerry.model.event import Event
from skerry.model.ids import AppName, SiteName, TenantName, digest_of
from skerry.model.signed import DocumentHead
from skerry.plan.actions import Action
from skerry.safe.errors import StoreFailed
from skerry.sim import detours, endings, keeping, policies
from skerry.sim.answers import Answers
from skerry.sim.bonds import Bonds
from skerry.sim.crossing import check_i27_packets_stay_in_their_network, talk
from skerry.sim.effects import EFFECT_CHECKS, Run, name_of
from skerry.sim.lockouts import Lockouts
from skerry.sim.parts import SimSite
from skerry.sim.stillness import Stillness
from skerry.sim.weather import Weather
from skerry.sim.world import World
from skerry.store import apps, events, sites
from skerry.store.events import EventFilter
from skerry.store.scope import Scope
from skerry.sync.outbox import fit_event

_ALL_EFFECT_CHECKS = (
    *EFFECT_CHECKS,
    *policies.EFFECT_CHECKS,
    *endings.EFFECT_CHECKS,
    *detours.EFFECT_CHECKS,
    *keeping.EFFECT_CHECKS,
)
#: Breaks kept of one run: the first tells most, the rest only repeat it.
BREAKS_MAX = 20
_EVENTS_READ = 1_000
#: A pair of copies ends when its sites have told how they are: looked for so often, ten seconds apart.
_PAIR_LOOKS = 60
#: What is still begun by a wish of a moment ago is no answer to a restart: so long nothing may happen before one.
_QUIET_S, _QUIET_LOOKS = 60, 15


class Break(msgspec.Struct, frozen=True):
    """One broken invariant."""

    invariant: str
    detail: str
    at_us: int


class _Seen(msgspec.Struct):
    """What was seen of one site so far."""

    held: tuple[int, int] = (0, 0)
    heads: dict[tuple[int, int], str] = {}
    session_epoch: int = 0
    #: The process seen last, and the session epoch of the one before it.
    starts: int = 0
    epoch_before: int = 0
    time_floor_s: int = 0
    floors: dict[str, int] = {}
    #: Events by sequence as the site wrote them, and the highest that the core was seen to hold.
    events: dict[int, tuple[str, bool]] = {}
    through: int = 0
    event_last: int = 0
    #: Events up to here may be missing at a core that was set back.
    forgiven: int = 0
    #: Its disk was set back: what it writes since may change its numbers, and is known by what it says.
    was_set_back: bool = False
    #: Of such a disk: what it knew the core to have when its events were last read.
    acknowledged: int = 0
    #: Up to here its events are at the core, and gone with its disk.
    gone_through: int = 0
    #: What it wrote since, to the number it had last.
    said: dict[str, int] = {}
    checked_document: tuple[int, int, int] = (-1, -1, -1)
    #: How its journal was when its events, and what it dropped of them, were last read.
    read: tuple[object, ...] = ()
    dropped: tuple[object, ...] = ()


class Checker:
    """Watches one world; ``breaks`` is the verdict."""

    def __init__(self, world: World, weather: Weather) -> None:
        self.world = world
        self.weather = weather
        self.run = Run(world, weather)
        self.decisions = policies.Decisions(world)
        self.stillness = Stillness(world)
        self.bonds = Bonds(world, self.stillness)
        self.answers = Answers(world, self.stillness)
        self.detours = detours.Detours(world, self.stillness)
        self.lockouts = Lockouts(world)
        self._crossed: tuple[object, ...] = ()
        self.breaks: list[Break] = []
        self.seen: dict[SiteName, _Seen] = {}
        #: Confirmed numbers that a core set back has lost: outside the promise of I1.
        self.forgiven: set[tuple[TenantName, AppName, int]] = set()
        self.verified: set[tuple[TenantName, AppName, int]] = set()
        self._restores = 0
        self.core_starts = 0
        world.on_effect = self.check_effect
        world.on_frame = self.read_events
        weather.on_set_back = self._note_set_back

    def complain(self, invariant: str, detail: str) -> None:
        """Note a broken invariant, once."""
        if len(self.breaks) < BREAKS_MAX and all((b.invariant, b.detail) != (invariant, detail) for b in self.breaks):
            self.breaks.append(Break(invariant, detail, self.world.loop.now_us))
            self.world.tell(f"BROKEN {invariant}: {detail}")

    def check_effect(self, site: SimSite, action: Action) -> None:
        """Check an effect before it happens."""
        for check in _ALL_EFFECT_CHECKS:
            complaint = check(self.run, site, action)
            if complaint:
                self.complain(name_of(check), complaint)

    def check_step(self) -> None:
        """Check what is true now."""
        self._note_restores()
        policies.forget_what_left(self.world)
        for check in STATE_CHECKS:
            complaint = check(self)
            if complaint:
                self.complain(name_of(check), complaint)
        lost = keeping.find_lost_snapshot(self.world)
        if lost:
            self.complain("I52", lost)
        self._check_crossing()
        self.stillness.look()
        for judge in (self.decisions, self.bonds, self.answers, self.detours, self.lockouts):
            for invariant, complaint in judge.judge():
                self.complain(invariant, complaint)
        failed = [*self.world.core.tasks.failed]
        for site in self.world.sites.values():
            failed += site.tasks.failed
        for name, error in failed:
            if isinstance(error, StoreFailed) and self.world.on_disk:
                continue  # the process ends by it, as it should
            self.complain("crash", f"task {name} ended with {type(error).__name__}: {error}")

    def _note_set_back(self, name: SiteName) -> None:
        """A site whose disk is an old one begins anew; what it wrote since and never sent is gone with its disk."""
        self.run.forget_disk(self.world.sites[name])
        before = self.look_at(name)
        through = sites.read_state(self.world.core.view, name).event_acknowledged
        kept = {sequence: event for sequence, event in before.events.items() if sequence <= through}
        self.seen[name] = _Seen(
            heads={} if self._restores else before.heads,
            events=kept,
            forgiven=before.forgiven,
            was_set_back=True,
            gone_through=through,
        )

    def _note_restores(self) -> None:
        count = self.weather.faults.get("core-restored", 0)
        if count == self._restores:
            return
        self._restores = count
        self.decisions.forget()
        self.verified.clear()
        for key, known in self.world.confirmed.items():
            for number, digest in known.numbers.items():
                row = apps.find_revision(self.world.core.view, *key, number)
                if row is None or row.digest != digest:
                    self.forgiven.add((*key, number))
        for name in self.world.sites:
            seen = self.look_at(name)
            if seen.was_set_back:
                seen.heads = {}  # neither end knows any more which numbers were given
            seen.forgiven = max(seen.events, default=0)
            seen.said = {}
            seen.through = 0

    def _check_crossing(self) -> None:
        """Look where packets would go, whenever anything that decides it has changed, and let instances talk."""
        if not self.world.is_quiet:
            talk(self.world)
        sites = self.world.sites.values()
        now = (
            frozenset(self.world.sea.parted),
            *((each.tunnels.digest, each.tunnels.address, each.machine.guard, each.record) for each in sites),
        )
        if now == self._crossed:
            return
        self._crossed = now
        complaint = check_i27_packets_stay_in_their_network(self.world)
        if complaint:
            self.complain("I27", complaint)

    def read_events(self, site: SimSite) -> None:
        """Take in what a site has written into its outbox; at each frame, for what is acknowledged goes from there."""
        if not site.running:
            return
        seen = self.look_at(site.name)
        now = (_tell_changes(site), seen.was_set_back)
        if seen.read == now:
            return
        after = seen.event_last
        acknowledged = journal.read_counters(site.file.raw).event_acknowledged if seen.was_set_back else 0
        if acknowledged != seen.acknowledged:
            # What waits may have moved up: it is read again.
            seen.acknowledged, after = acknowledged, acknowledged
        events_read = journal.read_outbox(site.file.raw, after, _EVENTS_READ)
        seen.read = now if len(events_read) < _EVENTS_READ else ()
        for event in events_read:
            # As it is sent: an event that is too long for the link loses its end, and says so.
            sent = fit_event(event)[0]
            said = (sent.time_us, sent.type, sent.subject, sent.message)
            self.world.record("written", site.name, sent.sequence, sent.klass == "security", said)
            if seen.was_set_back:
                seen.said[digest_said(sent)] = event.sequence
            else:
                seen.events[event.sequence] = (digest_event(sent), event.klass == "security")
            seen.event_last = event.sequence

    def look_at(self, name: SiteName) -> _Seen:
        """What was seen of a site."""
        return self.seen.setdefault(name, _Seen())

    def running(self) -> list[tuple[SimSite, _Seen]]:
        """Sites whose agent runs and has joined."""
        return [
            (site, self.look_at(name))
            for name, site in sorted(self.world.sites.items())
            if site.running and site.agent.holdings is not None
        ]

    async def check_calm(self) -> None:
        """Check what needs to ask the programs themselves."""
        for check in CALM_CHECKS:
            complaint = await check(self)
            if complaint:
                self.complain(name_of(check), complaint)


# --- states ----------------------------------------------------------------------------------------------------------


def check_i01_no_acknowledged_write_is_lost(checker: Checker) -> str:
    """No acknowledged API write is lost by any set of crashes within the fault model."""
    if not checker.world.core.running:
        return ""
    if checker.world.core.starts != checker.core_starts:
        checker.core_starts = checker.world.core.starts
        checker.verified.clear()
    for key, known in checker.world.confirmed.items():
        for number, digest in known.numbers.items():
            name = (*key, number)
            if name in checker.verified or name in checker.forgiven:
                continue
            checker.verified.add(name)
            row = apps.find_revision(checker.world.core.view, *key, number)
            if row is None or row.digest != digest:
                return f"{key[0]}/{key[1]} number {number} was confirmed and is gone"
            if checker.world.app_row(key).known_number < number:
                return f"{key[0]}/{key[1]} is at {checker.world.app_row(key).known_number}, {number} was confirmed"
    return ""


def check_i02_no_acknowledged_event_is_lost(checker: Checker) -> str:
    """No acknowledged site event is lost; each is in the core's log exactly once, in order per site."""
    for site, seen in checker.running():
        checker.read_events(site)
        acknowledged = site.agent.counters.event_acknowledged
        if checker.world.core.running and acknowledged > seen.through:
            state = sites.read_state(checker.world.core.view, site.name)
            if acknowledged > state.event_acknowledged and not checker.weather.restored:
                return f"{site.name} was told that {acknowledged} are kept, the core says {state.event_acknowledged}"
            seen.through = acknowledged
    return ""


def check_i03_generations_never_fall(checker: Checker) -> str:
    """Generations seen by a site never fall within an epoch; an epoch changes only with a signed reason."""
    for site, seen in checker.running():
        stored = site.agent.holdings.stored if site.agent.holdings is not None else None
        held = (0, 0) if stored is None else (stored.epoch, stored.generation)
        if held < seen.held:
            return f"{site.name} held {seen.held} and now {held}"
        if seen.held[0] and held[0] != seen.held[0]:
            return f"{site.name} went from epoch {seen.held[0]} to {held[0]}"
        seen.held = held
        if stored is not None:
            head = digest_of(stored.head.payload)
            if seen.heads.setdefault(held, head) != head:
                return f"{site.name} has seen two documents with the numbers {held}"
    return ""


def check_i06_documents_are_whole(checker: Checker) -> str:
    """A unit is applied whole or not at all; after a crash it is old or new, never a third thing."""
    for site, seen in checker.running():
        stored = site.agent.holdings.stored if site.agent.holdings is not None else None
        if stored is None or seen.checked_document == (site.starts, stored.epoch, stored.generation):
            continue
        seen.checked_document = (site.starts, stored.epoch, stored.generation)
        head = msgspec.json.decode(stored.head.payload, type=DocumentHead)
        if head.units != digest_units(digest_bodies(stored.bodies)):
            return f"{site.name}: the units of generation {stored.generation} are not those that its head names"
        kept = journal.read_all(site.file.raw).document
        # A slow disk may have the next one before the agent knows that it is kept.
        if kept is None or (kept.epoch, kept.generation) < (stored.epoch, stored.generation):
            return f"{site.name} follows generation {stored.generation}, its journal has another one"
    return ""


def check_i08_sessions_are_never_shared(checker: Checker) -> str:
    """Two planners never act on one object with the same fence."""
    for site, seen in checker.running():
        epoch = site.agent.counters.session_epoch
        if site.starts != seen.starts:
            seen.starts, seen.epoch_before = site.starts, seen.session_epoch
        if epoch < seen.session_epoch:
            return f"{site.name}: session epoch {epoch} after {seen.session_epoch}"
        if site.session.sessions and epoch <= seen.epoch_before:
            return f"{site.name}: two processes use session epoch {epoch}"
        seen.session_epoch = epoch
    return ""


def check_i16_security_events_are_never_dropped(checker: Checker) -> str:
    """The outbox drops only by class, counts each drop, and never drops class ``security``."""
    for site, seen in checker.running():
        now = (_tell_changes(site), len(seen.events), seen.gone_through)
        if not site.flooded or seen.dropped == now:
            continue
        seen.dropped = now
        counters = journal.read_counters(site.file.raw)
        kept = {event.sequence for event in journal.read_outbox(site.file.raw, 0, 1_000_000)}
        expected = counters.event_last - counters.event_acknowledged
        if expected - len(kept) > counters.dropped:
            return f"{site.name}: {expected} events wait, {len(kept)} are there, {counters.dropped} counted as dropped"
        for sequence, (_, security) in seen.events.items():
            if security and sequence > max(counters.event_acknowledged, seen.gone_through) and sequence not in kept:
                return f"{site.name}: security event {sequence} was dropped"
    return ""


def check_i32_floors_never_fall(checker: Checker) -> str:
    """The time floor never falls; no one-time grant is accepted twice."""
    for site, seen in checker.running():
        assert site.agent.holdings is not None
        floor_s = site.agent.holdings.time_floor_s
        if floor_s < seen.time_floor_s:
            return f"{site.name}: time floor {floor_s} after {seen.time_floor_s}"
        seen.time_floor_s = floor_s
        for line, floor in site.agent.holdings.floors.items():
            if floor.number < seen.floors.get(line, 0):
                return f"{site.name}: floor {line} at {floor.number} after {seen.floors[line]}"
            seen.floors[line] = floor.number
        lost = sorted(seen.floors.keys() - site.agent.holdings.floors.keys())
        if lost:
            return f"{site.name}: floors {lost} are gone"
    for token, devices in checker.world.joined.items():
        if len(devices) > 1:
            return f"join token {token} let {len(devices)} boxes in"
    return ""


def _tell_changes(site: SimSite) -> tuple[object, int]:
    """Return what is another one after each change of a site's journal: the open file, and how often it was changed."""
    raw = site.file.raw
    return raw, raw.total_changes()


STATE_CHECKS: tuple[Callable[[Checker], str], ...] = (
    check_i01_no_acknowledged_write_is_lost,
    check_i02_no_acknowledged_event_is_lost,
    check_i03_generations_never_fall,
    check_i08_sessions_are_never_shared,
    check_i06_documents_are_whole,
    check_i16_security_events_are_never_dropped,
    check_i32_floors_never_fall,
)


# --- at the end ------------------------------------------------------------------------------------------------------


async def check_i02_events_are_in_the_log_once(checker: Checker) -> str:
    """No acknowledged site event is lost; each is in the core's log exactly once, in order per site."""
    scope = Scope(platform=True)
    everything: list[events.LoggedEvent] = []
    for tenant in (None, *checker.world.people.tenants):
        seen_scope = scope if tenant is None else Scope(tenant=tenant)
        after = 0
        while page := events.list_events(checker.world.core.view, seen_scope, after, 10_000, EventFilter()):
            everything += page
            after = page[-1].id
    for name in sorted(checker.world.sites):
        seen = checker.look_at(name)
        of_site = [each for each in everything if each.site == name]
        logged = sorted((each.id, each.event.sequence, digest_event(each.event)) for each in of_site)
        rows = [(each.id, each.event) for each in of_site]
        said_by = tuple((id_, e.sequence, (e.time_us, e.type, e.subject, e.message)) for id_, e in rows)
        checker.world.record("log", name, said_by)
        numbers = [sequence for _, sequence, _ in logged]
        if numbers != sorted(set(numbers)):
            return f"{name}: the log has its events as {numbers[:50]}"
        there = {sequence: digest for _, sequence, digest in logged}
        state = sites.read_state(checker.world.core.view, name)
        lost = 0
        for sequence, (digest, security) in sorted(seen.events.items()):
            if sequence > state.event_acknowledged or sequence <= seen.forgiven:
                continue
            if sequence not in there and security:
                return f"{name}: security event {sequence} is not in the log"
            if sequence not in there:
                lost += 1
            elif there[sequence] != digest:
                return f"{name}: event {sequence} is another one in the log"
        # What the site itself counted: a gap that only the core explained to itself is a loss.
        dropped = journal.read_all(checker.world.sites[name].file.raw).counters.dropped
        said = {digest_said(each.event) for each in of_site}
        lost += sum(words not in said and number <= state.event_acknowledged for words, number in seen.said.items())
        if lost > dropped:
            return f"{name}: {lost} events are not in the log, the site has dropped {dropped}"
    return ""


async def check_i07_the_same_again_changes_nothing(checker: Checker) -> str:
    """Applying the same document twice changes nothing observable."""
    before = await _wait_for_quiet(checker)
    for name in sorted(checker.world.sites):
        await checker.weather.stop_agent(name)
        await checker.weather.start_agent(name)
    await checker.weather.stop_core()
    await checker.weather.start_core()
    await checker.weather.advance(120)
    for name, site in sorted(checker.world.sites.items()):
        poisoned = any(seen.image_config for seen in site.machine.containers.values()) and site.machine.poison
        if len(site.machine.story) != before[name] and not poisoned:
            return f"{name}: {site.machine.story[before[name] :][:5]} after nothing but a restart of the programs"
    return ""


async def _wait_for_quiet(checker: Checker) -> dict[SiteName, int]:
    """Wait until a core that lets one site in after the other has come to the end; return how much each has done."""
    done: dict[SiteName, int] = {}
    for _ in range(_QUIET_LOOKS):
        before, done = done, {name: len(site.machine.story) for name, site in checker.world.sites.items()}
        if done == before:
            break
        await checker.weather.advance(_QUIET_S)
    return done


async def check_i21_the_local_api_answers(checker: Checker) -> str:
    """The local API answers to local credentials, break-glass included."""
    for site, _ in checker.running():
        status = await StatusDesk(site.agent, site.db, site.clock).status({})
        if not status.joined or status.site != site.name:
            return f"{site.name} says locally that it is {status.site!r}"
    return ""


async def check_i27_tenants_see_only_their_own(checker: Checker) -> str:
    """No bytes of tenant A reach a credential, process, network or log stream of tenant B."""
    service = checker.world.core.service
    for tenant in sorted(checker.world.people.tenants):
        caller = Caller(tenant=tenant, tenant_role="admin")
        mine = {key[1] for key in checker.world.confirmed if key[0] == tenant}
        shown = {row.app for row in (await service.list_apps(caller, query=PageQuery(page_size=1000))).items}
        shown |= {row.app for row in (await service.list_instances(caller, query=InstanceQuery(page_size=1000))).items}
        if shown - mine:
            return f"{tenant} is shown {sorted(shown - mine)}"
        for logged in events.list_events(checker.world.core.view, caller.scope, 0, 10_000, EventFilter()):
            if logged.event.tenant != tenant:
                return f"{tenant} is shown an event of {logged.event.tenant!r}"
    return ""


async def check_i39_no_copy_stays_twice(checker: Checker) -> str:
    """A copy gets a second one only where its owner bears that, after the silence that he named, and never for good."""
    # What breaks its runtime never becomes well, and the one that is to end waits for that.
    if any(site.machine.poison for site in checker.world.sites.values()):
        return ""
    for _ in range(_PAIR_LOOKS):
        if not policies.find_doubles(checker.world):
            return ""
        await checker.weather.advance(10)
    return policies.find_doubles(checker.world)


CALM_CHECKS = (
    check_i39_no_copy_stays_twice,
    check_i21_the_local_api_answers,
    check_i27_tenants_see_only_their_own,
    check_i02_events_are_in_the_log_once,
    check_i07_the_same_again_changes_nothing,
)


def digest_said(event: Event) -> str:
    """Name an event by what it says without its number."""
    return digest_of(msgspec.msgpack.encode((event.time_us, event.type, event.klass, event.message)))


def digest_event(event: Event) -> str:
    """Name an event by what it says; its tenant is the core's to judge."""
    return digest_of(msgspec.msgpack.encode((event.sequence, event.time_us, event.type, event.klass, event.message)))
