"""A simulated fleet: the real core and agents, people who sign, and everything that they may do.

``World`` has one method per thing that people do; what happens to them by itself is in ``weather.py``. Transcripts
(transcripts.py) and storms (storms.py) call both. It remembers what was signed and what the core confirmed, so that
checkers can ask whether it is still true.
"""

import asyncio
import collections
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec

from skerry.agent.journal import Identity
from skerry.agent.local import LocalProblem
from skerry.agent.status import Controlled, StatusDesk
from skerry.clock import SECOND_US, SeededMint
from skerry.core.auth import Caller
from skerry.core.wishes import Expected
from skerry.link.dictionary import link_compressor
from skerry.model import limits
from skerry.model.app import AppRevision, ImageRef, Sites
from skerry.model.asks import BlobQuery, CreateTenant, PageQuery, RegisterImage, RestartApp, SiteUseQuery
from skerry.model.document import Assignment, assignment_instance
from skerry.model.errors import SkerryError
from skerry.model.grants import Profile
from skerry.model.ids import AppName, Digest, InstanceId, SecretName, SiteName, TenantName, VolumeName, digest_of
from skerry.model.signed import Envelope, NodeRecord, RoleKeys, SiteRecord, Tombstone
from skerry.model.site_match import site_unmet
from skerry.model.site_relay import SiteRelay
from skerry.model.uplinks import Uplink
from skerry.plan.actions import Action, DeleteVolume, StartContainer
from skerry.plan.history import HandVerb
from skerry.sim.apps import AppWords, make_image, make_revision
from skerry.sim.grounds import Place
from skerry.sim.hands import Hands
from skerry.sim.history import TAGS, Record, peek_tag
from skerry.sim.keepsakes import Keepsakes
from skerry.sim.keys import People
from skerry.sim.loop import SimLoop
from skerry.sim.network import SimListener
from skerry.sim.overlays import Sea
from skerry.sim.parts import ENDPOINT, SimCore, SimSite
from skerry.sim.silence import Silence
from skerry.store import apps, sites, things
from skerry.sync.classes import LINK_PLANS
from skerry.trust.seal import seal_secret

T = TypeVar("T")

ADMIN = Caller(operator_role="operator")
BOOTSTRAP = Caller(bootstrap=True)
Key = tuple[TenantName, AppName]


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """One revision or tombstone as its owner signed it."""

    key: Key
    number: int
    envelope: Envelope
    digest: Digest
    at_us: int
    words: AppWords | None = None
    tombstone: Tombstone | None = None
    images: frozenset[Digest] = frozenset()


class Confirmed(msgspec.Struct):
    """What the core confirmed of one app: number to digest, in the order of confirmation."""

    numbers: dict[int, Digest] = {}
    held: bool = False
    #: Something other than a first revision was asked for: its instances may stop for a reason.
    touched: bool = False


class World:
    """See the module."""

    def __init__(self, loop: SimLoop, mint: SeededMint) -> None:
        self.loop = loop
        self.mint = mint
        self.people = People(mint.split("people"))
        self.core = SimCore(loop, mint.split("core"))
        #: Whether sites keep their files on simulated disks, which power cuts tear; else in memory.
        self.on_disk = False
        #: Whether sites have name servers.
        self.with_names = False
        #: Skerry makes the links of instances at its sites.
        self.wired = False
        self.sites: dict[SiteName, SimSite] = {}
        #: Instances say nothing by themselves to those at other sites, so that tunnels grow old.
        self.is_quiet = False
        #: Where the tunnels of sites find each other.
        self.sea = Sea(lambda: loop.now_us)
        #: How often somebody took away from a site's node what its agent keeps in force there.
        self.losses: collections.Counter[SiteName] = collections.Counter()
        #: And when it was last.
        self.lost_us: dict[SiteName, int] = {}
        #: What the registrar has signed of sites since they joined, and tenants of their secrets, in order.
        self.registered: dict[SiteName, list[tuple[SiteRecord, Envelope]]] = {}
        self.secrets: dict[tuple[TenantName, SecretName], list[Envelope]] = {}
        self.labels: dict[SiteName, dict[str, str]] = {}
        self.confirmed: dict[Key, Confirmed] = {}
        self.images: dict[tuple[TenantName, str], ImageRef] = {}
        #: Every image ever uploaded, by digest: a name may stand for another one by now.
        self.pushed: dict[Digest, tuple[str, int]] = {}
        #: Everything that a tenant signed, by digest: what a site may act on; and the revisions among it.
        self.signed: dict[Digest, Signed] = {}
        self.revisions: dict[Digest, AppRevision] = {}
        self.hands = Hands()
        self.keepsakes = Keepsakes()
        self.silence = Silence()
        self.story: list[str] = []
        #: What clients, wires, disks and drivers saw, for ``history.py``: plain words only.
        self.records: list[Record] = []
        self.refusals = 0
        self.frames = 0
        #: Samples of use that each site's link was given.
        self.samples: collections.Counter[SiteName] = collections.Counter()
        #: Devices that each join token let in.
        self.joined: dict[str, set[bytes]] = {}
        #: Called with the site and each action before it takes effect.
        self.on_effect: Callable[[SimSite, Action], None] = lambda site, action: None
        #: Called with the site at each frame on its link.
        self.on_frame: Callable[[SimSite], None] = lambda site: None
        self._hash = hashlib.sha256()
        self._unpacker = link_compressor()
        self._root: Envelope | None = None

    # --- the record of the run ---------------------------------------------------------------------------------------

    def tell(self, line: str) -> None:
        """Add a line to the story, with virtual time."""
        told = f"{self.loop.now_us / SECOND_US:>12.3f}  {line}"
        self.story.append(told)
        self._hash.update(told.encode())

    def record(self, kind: str, *words: object) -> None:
        """Add an observation to the record."""
        self.records.append((self.loop.now_us, kind, *words))

    def note(self, *words: object) -> None:
        """Add to the trace what is too small for the story."""
        self._hash.update(f"{self.loop.now_us} {words}\n".encode())

    @property
    def trace_hash(self) -> str:
        """Name of everything that happened so far."""
        return self._hash.hexdigest()

    # --- making it ---------------------------------------------------------------------------------------------------

    async def begin(self, sites: int, tenants: int = 1) -> None:
        """Start a core with tenants, and sites that have joined."""
        await self.core.start()
        delivery = RoleKeys(keys=(self.core.delivery.public,))
        authority = self.core.delivery.authority.certificate_der
        self._root = self.people.sign_root(delivery, authority, (str(ENDPOINT),))
        await self.core.service.put_root(BOOTSTRAP, body=self._root)
        for number in range(tenants):
            tenant = TenantName("default" if number == 0 else f"tenant-{number}")
            keys = self.people.add_tenant(tenant)
            await self.core.service.create_tenant(ADMIN, body=CreateTenant(tenant=tenant, deploy_keys=keys))
        for number in range(sites):
            await self.add_site(f"site-{number + 1}", {"tier": "store", "side": "east" if number % 2 else "west"})

    @property
    def root(self) -> Envelope:
        """The operator's root document."""
        assert self._root is not None, "the world has begun"
        return self._root

    async def add_site(self, name: str, labels: Mapping[str, str]) -> None:
        """Have the registrar sign a site, and start its agent as one that has joined."""
        site = self.place_site(name)
        record = NodeRecord(device=site.device.public, sealing=site.sealing)
        envelope = self.people.sign_site(site.name, 1, {site.node: record}, labels)
        await self.core.service.put_site(ADMIN, site=name, body=envelope, expect=Expected(0))
        site.identity = Identity(site.name, site.node, self.root, envelope)
        self.labels[site.name] = dict(labels)
        self.sites[site.name] = site
        await site.start()

    async def sign_site(self, name: str, place: Place, labels: Mapping[str, str]) -> None:
        """Have the registrar sign a site's record anew, with its place and further labels."""
        before = self._find_record(SiteName(name))
        changes = {
            "country": place.country,
            "latitude_udeg": None if place.point is None else place.point.latitude_udeg,
            "longitude_udeg": None if place.point is None else place.point.longitude_udeg,
            "labels": {**before.labels, **labels},
        }
        await self._sign_anew(before, changes)
        for known in self.confirmed.values():
            known.touched = True  # whether an app may be there is the registrar's word too

    async def sign_uplinks(self, name: str, uplinks: Mapping[str, Uplink]) -> None:
        """Have the registrar sign other uplinks of a site, and nothing else anew."""
        await self._sign_anew(self._find_record(SiteName(name)), {"uplinks": dict(uplinks) or msgspec.UNSET})

    async def sign_profile(self, name: str, profile: Profile) -> None:
        """Have the registrar sign that a site has profile ``edge``, and nothing else anew."""
        await self._sign_anew(self._find_record(SiteName(name)), {"profiles": {"edge": profile}})

    async def sign_relay(self, name: str, relay: SiteRelay | None) -> None:
        """Have the registrar sign that a site may relay for others, or that it may not."""
        await self._sign_anew(self._find_record(SiteName(name)), {"relay": relay or msgspec.UNSET})

    def _find_record(self, name: SiteName) -> SiteRecord:
        line = self.registered.get(name)
        record = line[-1][0] if line else self.sites[name].record
        assert record is not None
        return record

    async def _sign_anew(self, before: SiteRecord, changes: Mapping[str, Any]) -> None:
        record = msgspec.structs.replace(before, number=before.number + 1, **changes)
        self.registered.setdefault(before.site, []).append((record, self.people.sign_record(record)))
        await self.hand_in_sites()

    async def hand_in_sites(self) -> None:
        """Give the core what the registrar has signed and it does not have, in order."""
        for name, line in sorted(self.registered.items()):
            for record, envelope in line:
                row = sites.find_site(self.core.view, name)
                if self.core.running and row is not None and row.number == record.number - 1:
                    await self._hand_in_site(name, envelope, record.number - 1)

    async def _hand_in_site(self, name: SiteName, envelope: Envelope, before: int) -> None:
        await self.ask(
            f"sign {name}",
            lambda: self.core.service.put_site(ADMIN, site=name, body=envelope, expect=Expected(before)),
        )

    async def rotate(self, name: str, tenant: TenantName) -> None:
        """Have a tenant seal a new version of a secret to every site."""
        line = self.secrets.setdefault((tenant, SecretName(name)), [])
        secret = seal_secret(
            f"{name} {len(line) + 1}".encode(),
            tenant=tenant,
            name=SecretName(name),
            number=len(line) + 1,
            recipients=[site.sealing for _, site in sorted(self.sites.items())],
            mint=self.mint.split(f"secret {tenant}/{name}/{len(line) + 1}"),
        )
        line.append(self.people.sign_as(tenant, "secret", secret))
        for known in self.confirmed.values():
            known.touched = True  # what uses it may be made afresh
        await self.hand_in_secrets()

    async def hand_in_secrets(self) -> None:
        """Give the core the versions of secrets that it does not have, in order."""
        for (tenant, name), line in sorted(self.secrets.items()):
            for before, envelope in enumerate(line):
                row = things.find_secret(self.core.view, tenant, name)
                if self.core.running and (0 if row is None else row.number) == before:
                    await self._hand_in_secret(tenant, name, envelope, before)

    async def _hand_in_secret(self, tenant: TenantName, name: SecretName, envelope: Envelope, before: int) -> None:
        caller = self.as_tenant(tenant)
        await self.ask(
            f"rotate {tenant}/{name}",
            lambda: self.core.service.put_secret(caller, secret=name, body=envelope, expect=Expected(before)),
        )

    async def say_at_box(self, site: str, verb: HandVerb, what: str) -> Controlled | LocalProblem:
        """Have a person at a box restart, stop or start something; its agent has to run."""
        here = self.sites[SiteName(site)]
        held = here.followed()
        units = () if held is None else (unit for unit in held.units.values() if isinstance(unit, Assignment))
        counters = {assignment_instance(unit): unit.restart for unit in units}
        done = await StatusDesk(here.agent, here.db, here.clock).control(verb, {"what": what})
        if isinstance(done, Controlled):
            names = [InstanceId(name) for name in done.instances]
            self.hands.note(here.name, verb, names, counters, self.loop.now_us)
        return done

    def place_site(self, name: str) -> SimSite:
        """Set up a site's machine and link; nothing runs there yet."""
        mint = self.mint.split(f"site {name}")
        site = SimSite(
            self.loop,
            mint,
            SiteName(name),
            self.find_listener,
            sea=self.sea,
            address=f"192.0.2.{len(self.sites) + 1}",
            on_disk=self.on_disk,
            with_names=self.with_names,
            wired=self.wired,
        )
        site.link.witness = lambda upward, frame: self._note_frame(site, upward, frame)
        site.link.on_arrival = lambda upward: self.silence.note(site.name, upward, self.loop.now_us)
        site.machine.witness = lambda action: self._note_action(site, action)
        return site

    def _note_frame(self, site: SimSite, upward: bool, frame: bytes) -> None:
        self.frames += 1
        self.note(site.name, "up" if upward else "down", len(frame))
        content = self._unpacker.unpack(frame, limits.FRAME_BYTES_MAX)
        self.samples[site.name] += peek_tag(content) == b"sa"
        if peek_tag(content) in TAGS:
            self.record("frame", site.name, upward, content)
        self.on_frame(site)

    def _note_action(self, site: SimSite, action: Action) -> None:
        self.note(site.name, type(action).__name__)
        match action:
            case DeleteVolume():
                self.record("deleted", site.name, action.tenant, action.app, action.name, action.tombstone)
            case StartContainer():
                self.record("started", site.name, action.spec.tenant, action.spec.app, action.spec.image)
            case _:
                pass
        self.on_effect(site, action)

    def find_listener(self, endpoint: object) -> SimListener | None:
        """The core's listener while it runs."""
        return self.core.listener if self.core.running and endpoint == ENDPOINT else None

    async def end(self) -> None:
        """Stop every process."""
        for site in self.sites.values():
            if site.running:
                await site.kill()
            site.file.close()
        if self.core.running:
            await self.core.kill()
        self.core.file.close()

    # --- what people do ----------------------------------------------------------------------------------------------

    async def ask(self, what: str, request: Callable[[], Awaitable[T]]) -> T | None:
        """Send a request as a client does; None when it was refused or when the core died over it."""
        if not self.core.running:
            self.tell(f"{what}: the core does not answer")
            return None

        async def answer() -> T | SkerryError:
            try:
                return await request()
            except SkerryError as error:
                return error

        task = self.core.tasks.start("request", answer())
        await asyncio.wait([task])
        result = None if task.cancelled() else task.result()
        if task.cancelled():
            self.tell(f"{what}: the core died over it")
        elif isinstance(result, SkerryError):
            self.refusals += 1
            self.tell(f"{what} refused: {result.code}")
            return None
        return result

    def as_tenant(self, tenant: TenantName) -> Caller:
        """The tenant's administrator."""
        return Caller(tenant=tenant, tenant_role="admin")

    def app_row(self, key: Key) -> apps.AppRow:
        """What the core's database says of an app now."""
        return apps.find_app(self.core.view, *key) or apps.AppRow(tenant=key[0], app=key[1])

    async def push_image(self, tenant: TenantName, name: str, size: int = 1000) -> ImageRef:
        """Upload an image, again if the core has forgotten it."""
        image, blobs = make_image(name, size)
        caller, service = self.as_tenant(tenant), self.core.service
        for blob in blobs:
            query = BlobQuery(offset=0, size=len(blob))
            await service.put_blob(caller, digest=digest_of(blob), query=query, body=_once(blob))
        await service.register_image(caller, body=RegisterImage(name=name, digest=image.digest))
        self.images[(tenant, name)] = image
        self.pushed[image.digest] = (name, size)
        return image

    async def apply(self, app: str, words: AppWords, tenant: str = "default", size: int = 1000) -> bool:
        """Sign and apply the next revision; say whether the core confirmed it."""
        key = (TenantName(tenant), AppName(app))
        await self.catch_up(key)

        async def request() -> Signed:
            before = self.app_row(key).number
            images = {name: await self.push_image(key[0], name, size) for name in sorted(set(words.services.values()))}
            revision = make_revision(*key, before + 1, words, images)
            envelope = self.people.sign_as(key[0], "revision", revision)
            self.revisions[digest_of(envelope.payload)] = revision
            signed = self._keep(key, before + 1, envelope, words=words, images=images)
            caller, expect = self.as_tenant(key[0]), Expected(before)
            await self.core.service.apply_app(caller, app=app, body=envelope, expect=expect)
            return signed

        return self._confirm(f"apply {tenant}/{app}", await self.ask(f"apply {tenant}/{app}", request))

    async def rollback(self, app: str, back: int = 1, tenant: str = "default") -> bool:
        """Sign the content of the revision ``back`` steps ago as the next one."""
        key = (TenantName(tenant), AppName(app))
        line = [self.signed[digest] for digest in self.confirmed.get(key, Confirmed()).numbers.values()]
        words = [signed.words for signed in line if signed.words is not None]
        return len(words) > back and await self.apply(app, words[-1 - back], tenant)

    async def delete(self, app: str, tenant: str = "default", *, volumes: bool = False, grace_s: int = 60) -> bool:
        """Sign the app's end; its volumes only when told."""
        key = (TenantName(tenant), AppName(app))
        await self.catch_up(key)

        async def request() -> Signed:
            before = self.app_row(key).number
            stone = Tombstone(
                tenant=key[0],
                app=key[1],
                number=before + 1,
                ends_app=True,
                volumes=(VolumeName("data"),) if volumes else (),
                grace_us=grace_s * SECOND_US,
            )
            envelope = self.people.sign_as(key[0], "tombstone", stone)
            signed = self._keep(key, before + 1, envelope, tombstone=stone)
            caller, expect = self.as_tenant(key[0]), Expected(before)
            await self.core.service.delete_app(caller, app=app, body=envelope, expect=expect)
            return signed

        return self._confirm(f"delete {tenant}/{app}", await self.ask(f"delete {tenant}/{app}", request))

    async def resubmit(self, signed: Signed) -> bool:
        """Hand in once more what was signed earlier, as an owner does whose core has lost it."""
        app, what = signed.key[1], f"resubmit {signed.key[0]}/{signed.key[1]} number {signed.number}"

        async def request() -> Signed:
            caller, expect = self.as_tenant(signed.key[0]), Expected(signed.number - 1)
            if signed.words is None:
                await self.core.service.delete_app(caller, app=app, body=signed.envelope, expect=expect)
            else:
                for digest in sorted(signed.images):
                    await self.push_image(signed.key[0], *self.pushed[digest])
                await self.core.service.apply_app(caller, app=app, body=signed.envelope, expect=expect)
            return signed

        return self._confirm(what, await self.ask(what, request))

    async def catch_up(self, key: Key) -> None:
        """Hand in again what a core that was set back has lost of an app: its owner never signs a number twice."""
        numbers = self.confirmed.get(key, Confirmed()).numbers
        while self.core.running:
            row = self.app_row(key)
            signed = self.signed.get(numbers.get(row.known_number + 1, Digest("")))
            if row.number >= max(numbers, default=0) or row.lost or signed is None or not await self.resubmit(signed):
                return

    async def look(self) -> None:
        """Look at what all sites use: they are asked for quicker samples for a while."""
        await self.ask("look", lambda: self.core.service.list_site_use(ADMIN, query=SiteUseQuery(page_size=1000)))

    def count_samples(self) -> list[tuple[SiteName, int, int]]:
        """Say of each site how many samples it sent, and how many its class of link allows in the time so far."""
        paces = self.loop.now_us // LINK_PLANS["wired"].samples_us_min
        # An agent that starts anew does not know when it sent the last one.
        return [(name, self.samples[name], paces + site.starts + 1) for name, site in sorted(self.sites.items())]

    async def watch(self, seconds: int) -> None:
        """Look again and again, as somebody does at a screen."""
        clock = self.core.clock
        end_us = clock.boot_us() + seconds * SECOND_US
        while clock.boot_us() < end_us:
            await self.look()
            await clock.sleep_until(min(clock.boot_us() + 30 * SECOND_US, end_us))

    async def read(self, app: str, tenant: str = "default") -> None:
        """Look at an app's numbers as its owner does."""
        key = (TenantName(tenant), AppName(app))
        what = f"read {tenant}/{app}"
        query = PageQuery(page_size=1000)
        page = await self.ask(
            what, lambda: self.core.service.list_revisions(self.as_tenant(key[0]), app=app, query=query)
        )
        if page is not None:
            self.record("read", *key, tuple((each.number, each.digest) for each in page.items))

    async def switch(self, verb: str, app: str, tenant: str = "default") -> bool:
        """Pause, resume or restart an app, or steer its rollout: promote, halt, abort."""
        key = (TenantName(tenant), AppName(app))
        self.confirmed.setdefault(key, Confirmed()).touched = True

        async def request() -> bool:
            caller, service = self.as_tenant(key[0]), self.core.service
            match verb:
                case "pause":
                    await service.pause_app(caller, app=app)
                case "resume":
                    await service.resume_app(caller, app=app)
                case "promote" | "abort" | "halt":
                    steer = {"promote": service.promote_rollout, "abort": service.abort_rollout}
                    await steer.get(verb, service.pause_rollout)(caller, app=app)
                case _:
                    await service.restart_app(caller, app=app, body=RestartApp())
            return True

        done = bool(await self.ask(f"{verb} {tenant}/{app}", request))
        if done:
            self.tell(f"{verb} {tenant}/{app} confirmed")
            if verb in ("pause", "resume"):
                self.confirmed[key].held = verb == "pause"
        return done

    def _keep(
        self,
        key: Key,
        number: int,
        envelope: Envelope,
        *,
        words: AppWords | None = None,
        tombstone: Tombstone | None = None,
        images: Mapping[str, ImageRef] | None = None,
    ) -> Signed:
        digests = frozenset(image.digest for image in (images or {}).values())
        digest = digest_of(envelope.payload)
        signed = Signed(
            key=key,
            number=number,
            envelope=envelope,
            digest=digest,
            at_us=self.loop.now_us,
            words=words,
            tombstone=tombstone,
            images=digests,
        )
        known = self.confirmed.setdefault(key, Confirmed())
        known.touched = known.touched or number > 1
        self.signed.setdefault(digest, signed)
        volumes = frozenset[str]() if tombstone is None else frozenset[str](tombstone.volumes)
        self.record("signed", *key, digest, digests, volumes, 0 if tombstone is None else tombstone.grace_us)
        return signed

    def _confirm(self, what: str, signed: Signed | None) -> bool:
        if signed is None:
            return False
        known = self.confirmed[signed.key]
        digest = digest_of(signed.envelope.payload)
        known.numbers[signed.number] = digest
        self.record("confirmed", *signed.key, signed.number, digest)
        if signed.tombstone is not None:
            known.held = False
        self.tell(f"{what} confirmed as number {signed.number}")
        return True

    # --- what is wished of a site ------------------------------------------------------------------------------------

    def wanted_at(self, site: SiteName) -> list[str]:
        """Instances that the core's newest wishes put at a site, for apps with replicas per site."""
        wanted: list[str] = []
        record = self.sites[site].record
        for key in sorted(self.confirmed):
            row = self.app_row(key)
            signed = self.signed.get(Digest(row.revision_digest))
            if signed is None or signed.words is None or row.held or row.lost:
                continue
            if signed.words.is_loose or self._meets_another(key):
                continue
            if record is None or site_unmet(Sites(match=signed.words.match), record):
                continue
            if signed.words.fence and record.country not in signed.words.fence:
                continue
            for name in signed.words.services:
                wanted += [f"{key[0]}/{key[1]}/{name}/{n}" for n in range(signed.words.per_site)]
        return sorted(wanted)

    def loose_apps(self) -> set[Key]:
        """Apps of which the wish alone does not say what runs where."""
        found: set[Key] = set()
        for key in self.confirmed:
            signed = self.signed.get(Digest(self.app_row(key).revision_digest))
            if signed is not None and signed.words is not None and signed.words.is_loose:
                found.add(key)
        return found | {key for key in self.confirmed if self._meets_another(key)}

    def _meets_another(self, key: Key) -> bool:
        """Say whether another app asks for a host name or a port of this one: who came first has it where both are."""
        mine = self._list_asked(key)
        return any(mine & self._list_asked(other) for other in self.confirmed if other != key) if mine else False

    def _list_asked(self, key: Key) -> set[str]:
        signed = self.signed.get(Digest(self.app_row(key).revision_digest))
        doors = signed.words.entrances.values() if signed is not None and signed.words is not None else ()
        return {one.host or one.place for entrances in doors for one in entrances}

    def record_of(self, site: SiteName) -> SiteRecord | None:
        """A site's record as its agent holds it."""
        return self.sites[site].record


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
