"""The evil core against a running simulated site: every attempt of tests/trust/evil_core.py, each from the same start.

The command ``evil SITE`` of a transcript cuts the site off from the honest core, hands it one attempt after the other,
lets it act for a minute each time, and counts what it did.
"""

from collections.abc import Mapping

import msgspec
from tests.trust.evil_core import OTHER_SITE, Attempt, EvilCore, Loot

from skerry.agent import journal
from skerry.clock import SECOND_US, SeededMint
from skerry.model.app import AppRevision, Further, Sites
from skerry.model.document import (
    Assignment,
    SecretHold,
    TombstoneNotice,
    Unit,
    digest_bodies,
    digest_units,
    encode_unit,
    unit_id,
)
from skerry.model.facts import UnitFact
from skerry.model.grants import Device, NodeUse, Profile
from skerry.model.ids import AppName, Digest, NodeName, SecretName, SiteName, TenantName, UnitId, VolumeName, digest_of
from skerry.model.signed import DocumentHead, Envelope, Tombstone
from skerry.plan.actions import Action, CreateContainer, DeleteVolume, StartContainer
from skerry.sim import transcripts
from skerry.sim.keys import sign
from skerry.sim.machines import FakeMachine
from skerry.sim.parts import SimSite
from skerry.sim.script import Script
from skerry.trust.envelope import encode_payload, sign_payload
from skerry.trust.keys import SigningKey
from skerry.trust.seal import seal_secret
from skerry.wire import DocumentPatch

VICTIM, ALLY, SHOP = TenantName("default"), TenantName("tenant-1"), AppName("shop")


def teach(monkeypatch) -> None:
    monkeypatch.setitem(transcripts.COMMANDS, "evil", _evil)
    monkeypatch.setitem(transcripts.COMMANDS, "stale", _stale)
    monkeypatch.setitem(transcripts.COMMANDS, "misplace", _misplace)
    monkeypatch.setitem(transcripts.COMMANDS, "forsake", _forsake)
    monkeypatch.setitem(transcripts.COMMANDS, "grab", _grab)


def register() -> None:
    """For programs, which have no test to clean up after."""
    transcripts.COMMANDS.update(evil=_evil, stale=_stale, misplace=_misplace, forsake=_forsake, grab=_grab)


class Siege:
    """One site, and the core that has turned against it. The victim's app has been ended and applied again."""

    def __init__(self, script: Script, site: SimSite) -> None:
        self.script, self.site = script, site
        self.key: SigningKey = script.world.core.delivery._key
        self.done: list[str] = []

    def _head(self, bodies: dict[UnitId, bytes], epoch: int, generation: int, time_s: int) -> Envelope:
        head = DocumentHead(
            site=self.site.name,
            epoch=epoch,
            generation=generation,
            parent="",
            time_s=time_s,
            units=digest_units(digest_bodies(bodies)),
        )
        return sign_payload("document", encode_payload(head), (self.key,))

    async def give(self, head: Envelope, bodies: dict[UnitId, bytes], objects: dict[Digest, Envelope]) -> str:
        patch = DocumentPatch(head, 0, 0, bodies, (), ())
        return (await self.site.agent.accept_document(patch, tuple(objects.values()))).state

    def _secret(self, tenant: TenantName, number: int, name: str = "till-key") -> Envelope:
        people = self.script.world.people
        secret = seal_secret(
            b"hush",
            tenant=tenant,
            name=SecretName(name),
            number=number,
            recipients=[self.site.sealing],
            mint=SeededMint(f"{tenant}/{name}/{number}"),
        )
        return sign("secret", secret, people.tenants[tenant])

    def _stone(self, tenant: TenantName, number: int, sites: Sites) -> Envelope:
        stone = Tombstone(
            tenant=tenant,
            app=SHOP,
            number=number,
            ends_app=True,
            volumes=(VolumeName("data"),),
            sites=sites,
            grace_us=0,
        )
        return self.script.world.people.sign_as(tenant, "tombstone", stone)

    async def prepare(self) -> EvilCore:
        """Two more honest documents, with a secret, in a second epoch; then everything the core has is loot."""
        world, holdings = self.script.world, self.site.agent.holdings
        assert holdings is not None
        assert holdings.document is not None
        line = [world.signed[digest] for digest in world.confirmed[(VICTIM, SHOP)].numbers.values()]
        revisions = [signed.envelope for signed in line if signed.words is not None]
        stones = [signed.envelope for signed in line if signed.tombstone is not None]
        ally = next(signed.envelope for signed in world.signed.values() if signed.key == (ALLY, SHOP))
        time_s = holdings.document.head.time_s + 1
        secrets = [self._secret(VICTIM, number) for number in (1, 2)]
        documents: list[tuple[Envelope, dict[UnitId, bytes], tuple[Unit, ...]]] = []
        for generation, secret in enumerate(secrets, 1):
            hold = SecretHold(tenant=VICTIM, name=SecretName("till-key"), digest=digest_of(secret.payload))
            units = (*holdings.document.units.values(), hold)
            bodies = {unit_id(unit): encode_unit(unit) for unit in units}
            head = self._head(bodies, 2, generation, time_s)
            assert await self.give(head, bodies, {digest_of(secret.payload): secret}) == "accepted"
            documents.append((head, bodies, units))
        assert self.site.record is not None
        loot = Loot(
            site=self.site.name,
            node=self.site.node,
            record=self.site.record,
            epoch=2,
            generation=2,
            time_s=time_s,
            head=documents[1][0],
            units=documents[1][2],
            old_head=documents[0][0],
            old_bodies=documents[0][1],
            revision=revisions[-1],
            old_revision=revisions[-2],
            secret=secrets[1],
            old_secret=secrets[0],
            other_secret=self._secret(VICTIM, 9, "other"),
            old_tombstone=stones[0],
            foreign_tombstone=self._stone(VICTIM, line[-1].number + 1, Sites(names=(OTHER_SITE,))),
            ally=ALLY,
            ally_key=world.people.tenants[ALLY],
            ally_revision=ally,
            ally_secret=self._secret(ALLY, 3),
            ally_tombstone=self._stone(ALLY, 6, Sites()),
        )
        self.allowed = {digest_of(secrets[1].payload)}
        return EvilCore(loot, self.key)

    def note(self, site: SimSite, action: Action) -> None:
        if isinstance(action, CreateContainer | StartContainer | DeleteVolume):
            self.done.append(type(action).__name__)

    async def run(self, attempts: list[Attempt]) -> list[str]:
        world, site, machine = self.script.world, self.site, self.site.machine
        files, before = site.file.copy(), (dict(machine.containers), dict(machine.specs), machine.storage.image())
        watch, world.on_effect = world.on_effect, self.note
        starts = deletions = secrets = 0
        found: list[str] = []
        for attempt in attempts:
            await site.kill()
            site.file.restore(files)
            _set_back(machine, before)
            await site.start()
            self.done = []
            await self.give(attempt.head, attempt.bodies, attempt.objects)
            await self.script.weather.advance(60)
            held = site.agent.holdings.document if site.agent.holdings is not None else None
            taken = set() if held is None else held.secrets.keys() - self.allowed
            started = sum(name != "DeleteVolume" for name in self.done)
            starts, deletions = starts + started, deletions + len(self.done) - started
            secrets += len(taken)
            strange = self._find_strange()
            if self.done or taken or strange:
                found.append(f"{attempt.name}: {self.done} {sorted(taken)} {strange}")
        found += await self._hurry(files, before)
        world.on_effect = watch
        return [
            f"{'at least 40' if len(attempts) >= 40 else len(attempts)} attempts",
            f"{starts} starts, {secrets} secrets, {deletions} volume deletions",
            *found,
        ]

    def _find_strange(self) -> list[UnitId]:
        """Units in force that speak of one thing and name an object of another, whatever the planner makes of them."""
        held = None if self.site.agent.holdings is None else self.site.agent.holdings.document
        strange: list[UnitId] = []
        for name, unit in () if held is None else held.units.items():
            match unit:
                case Assignment():
                    of = held.revisions[unit.revision]
                    same = (of.tenant, of.app) == (unit.tenant, unit.app)
                case SecretHold():
                    of = held.secrets[unit.digest]
                    same = (of.tenant, of.name) == (unit.tenant, unit.name)
                case TombstoneNotice():
                    of = held.tombstones[unit.digest]
                    same = (of.tenant, of.app) == (unit.tenant, unit.app)
                    same = same and self.site.name in (of.sites.names or (self.site.name,))
                case _:
                    same = True
            if not same:
                strange.append(name)
        return strange

    async def _hurry(self, files: object, before: tuple[dict, ...]) -> list[str]:
        """An hour's grace that the tenant has signed, and documents whose time runs months ahead."""
        site, machine = self.site, self.site.machine
        await site.kill()
        site.file.restore(files)
        _set_back(machine, before)
        await site.start()
        self.done = []
        assert site.agent.holdings is not None
        assert site.agent.holdings.stored is not None
        generation, time_s = site.agent.holdings.stored.generation, site.agent.holdings.time_floor_s
        grave = Tombstone(
            tenant=VICTIM,
            app=SHOP,
            number=max(self.script.world.confirmed[(VICTIM, SHOP)].numbers) + 1,
            ends_app=True,
            volumes=(VolumeName("data"),),
            sites=Sites(),
            grace_us=3600 * SECOND_US,
        )
        signed = self.script.world.people.sign_as(VICTIM, "tombstone", grave)
        notice = TombstoneNotice(tenant=VICTIM, app=SHOP, digest=digest_of(signed.payload))
        bodies = {unit_id(notice): encode_unit(notice)}
        for step in range(1, 7):
            head = self._head(bodies, 2, generation + step, time_s + step * 80 * 86_400)
            given = await self.give(head, bodies, {digest_of(signed.payload): signed})
            assert given == "accepted", "the tombstone is good: only its grace stands between the core and the volume"
            await self.script.weather.advance(300)
            await site.kill()
            await site.start()
        await site.kill()
        _set_back(machine, before)
        early = [name for name in self.done if name == "DeleteVolume"]
        return [f"a grace cut short by the time in documents: {early}"] if early else []


def _set_back(machine: FakeMachine, before: tuple[dict, dict, dict]) -> None:
    """Have a machine's containers and volumes be as they were before an attempt."""
    containers, specs, volumes = before
    machine.containers, machine.specs = dict(containers), dict(specs)
    machine.storage.put_back(volumes)


async def _evil(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    siege = Siege(script, script.world.sites[SiteName(plain[0])])
    script.weather.cut(plain[0])
    files = siege.site.file.copy()
    seen = script.checker.look_at(siege.site.name)
    events, event_last = dict(seen.events), seen.event_last
    answer = await siege.run(list((await siege.prepare()).attempts()))
    await siege.site.kill()
    siege.site.file.restore(files)
    # What the site wrote during the siege is undone with its disk: its numbers come again, for other events.
    seen.events, seen.event_last = events, event_last
    await siege.site.start()
    script.weather.mend(plain[0])
    script.news()
    return answer


async def _stale(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Hand a site the document that it held before its present one."""
    site = script.world.sites[SiteName(plain[0])]
    previous = journal.read_all(site.file.raw).previous
    assert previous is not None
    patch = DocumentPatch(previous.head, 0, 0, previous.bodies, (), ())
    verdict = await site.agent.accept_document(patch, ())
    return [f"{verdict.state}: {verdict.reason}"]


async def _misplace(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Order a site to run the newest revision of an app, as a core does that ignores where its owner forbade it."""
    site, key = script.world.sites[SiteName(plain[0])], (VICTIM, AppName(plain[1]))
    holdings = site.agent.holdings
    assert holdings is not None
    epoch, generation = (1, 0) if holdings.stored is None else (holdings.stored.epoch, holdings.stored.generation)
    digest = Digest(script.world.app_row(key).revision_digest)
    envelope = script.world.signed[digest].envelope
    revision = msgspec.json.decode(envelope.payload, type=AppRevision)
    units = [Assignment(*key, name, 0, site.node, digest) for name in sorted(revision.services)]
    bodies = {unit_id(unit): encode_unit(unit) for unit in units}
    siege = Siege(script, site)
    watch, script.world.on_effect = script.world.on_effect, siege.note
    head = siege._head(bodies, epoch, generation + 1, holdings.time_floor_s + 1)
    verdict = await siege.give(head, bodies, {digest: envelope})
    await script.weather.advance(120)
    script.world.on_effect = watch
    facts = site.agent.reconciler.plan.facts
    told = sorted(f"{fact.unit}: {fact.reason}" for fact in facts if isinstance(fact, UnitFact))
    return [f"{verdict}, {len(siege.done)} starts", *told]


async def _grab(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Order a site to run what its tenant signed and nobody granted; then try to grant it, as a core can try."""
    world, site, key = script.world, script.world.sites[SiteName(plain[0])], (VICTIM, AppName(plain[1]))
    holdings, people = site.agent.holdings, script.world.people
    assert holdings is not None
    assert holdings.record is not None
    assert holdings.stored is not None
    newest, epoch, generation = holdings.record, holdings.stored.epoch, holdings.stored.generation
    use = NodeUse(devices=(Device(source="/dev/net/tun", target="/dev/net/tun"),), privileged=True)
    deep = Profile(tenants=(VICTIM,), capabilities=("NET_ADMIN",), devices=("/dev/net/tun",), privileged=True)
    granting = msgspec.structs.replace(newest, number=newest.number + 1, profiles={"deep": deep})
    older = msgspec.structs.replace(granting, number=newest.number)
    records = {
        "nothing": None,
        "a record of the core's own": sign("site", granting, siege_key(script)),
        "a record of the tenant's": sign("site", granting, people.tenants[VICTIM]),
        "a record with the newest number": people.sign_record(older),
        "the newest signature on other bytes": msgspec.structs.replace(
            people.sign_record(newest), payload=encode_payload(granting)
        ),
    }
    digest = Digest(world.app_row(key).revision_digest)
    current = msgspec.json.decode(world.signed[digest].envelope.payload, type=AppRevision)
    asking = {"cap_add": ("NET_ADMIN",), "further": Further(node=use)}
    services = {name: msgspec.structs.replace(each, **asking) for name, each in current.services.items()}
    siege = Siege(script, site)
    watch, world.on_effect = world.on_effect, siege.note
    said: list[str] = []
    number = current.number
    for how, record in records.items():
        if record is not None:
            await site.agent.accept_site_record(record)
        for profile in ("default", "deep"):
            generation, number = generation + 1, number + 1
            asked = msgspec.structs.replace(current, number=number, profile=profile, services=services)
            envelope = people.sign_as(VICTIM, "revision", asked)
            named_by = digest_of(envelope.payload)
            units = [Assignment(*key, name, 0, site.node, named_by) for name in sorted(services)]
            bodies = {unit_id(unit): encode_unit(unit) for unit in units}
            head = siege._head(bodies, epoch, generation, holdings.time_floor_s + 1)
            verdict = await siege.give(head, bodies, {named_by: envelope})
            await script.weather.advance(60)
            facts = site.agent.reconciler.plan.facts
            told = sorted(f"{fact.reason} ({fact.code})" for fact in facts if isinstance(fact, UnitFact))
            said.append(f"{profile} with {how}: {verdict}, {len(siege.done)} starts: {'; '.join(told)}")
    world.on_effect = watch
    return said


def siege_key(script: Script) -> SigningKey:
    """The core's own key: all that it can sign with."""
    return script.world.core.delivery._key


async def _forsake(script: Script, plain: list[str], named: Mapping[str, str]) -> list[str]:
    """Order a site to end all that it runs, as a core in wrong hands does: ``drop``, ``pause`` or ``move`` it away."""
    site, how = script.world.sites[SiteName(plain[0])], plain[1]
    holdings = site.agent.holdings
    assert holdings is not None
    assert holdings.document is not None
    changes = {"pause": {"state": "hold"}, "move": {"node": NodeName("elsewhere")}}
    wished = [unit for unit in holdings.document.units.values() if isinstance(unit, Assignment) and how != "drop"]
    units = [msgspec.structs.replace(unit, **changes[how]) for unit in wished]
    bodies = {unit_id(unit): encode_unit(unit) for unit in units}
    siege = Siege(script, site)
    head = siege._head(
        bodies,
        holdings.document.head.epoch,
        holdings.document.head.generation + 1,
        holdings.time_floor_s + 1,
    )
    verdict = await siege.give(head, bodies, dict(holdings.objects))
    await script.weather.advance(120)
    facts = site.agent.reconciler.plan.facts
    told = sorted(f"{fact.unit}: {fact.reason} ({fact.code})" for fact in facts if isinstance(fact, UnitFact))
    return [verdict, *told]
