"""A whole agent on a fake machine and virtual time, with a courier that hands it signed documents."""

import asyncio

import msgspec
from tests.agent.shelf import Shelf
from tests.trust import people

from skerry.agent import journal
from skerry.agent.agent import Agent
from skerry.agent.desk import DocumentVerdict
from skerry.clock import SECOND_US, SeededMint, Tasks
from skerry.drivers.images import ImagesDriver
from skerry.model.app import AppRevision, FileMount, ImageRef, Mount, Restart, SecretUse, Service
from skerry.model.document import Unit
from skerry.model.ids import AppName, Digest
from skerry.model.signed import Envelope
from skerry.safe.db import Db, plain
from skerry.safe.sqlite import open_memory
from skerry.sim.disk import MemoryDisk
from skerry.sim.loop import SimClock, SimLoop, run_virtual
from skerry.sim.machines import FakeDriver, FakeMachine
from skerry.wire import DocumentPatch


class Site:
    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        self.clock = SimClock(loop)
        self.machine = FakeMachine(people.NODE, SeededMint("machine"))
        self.shelf = Shelf()
        self.images = ImagesDriver(MemoryDisk().root, self.shelf)
        self.db = Db(open_memory(journal.OPTIONS), plain, group_s=0, inline=True)
        self.generation = 0
        self.tasks = Tasks()
        self.agent: Agent
        self.build()

    def build(self) -> None:
        driver = FakeDriver(self.machine, self.clock, lambda image: sum(map(len, self.images.read_archive(image))))
        self.agent = Agent(
            clock=self.clock,
            mint=SeededMint("agent"),
            db=self.db,
            drivers=(self.images, driver),
            console=driver,
            tasks=self.tasks,
            device=people.DEVICE,
            sealing_seed=people.SEALING_SEED,
            boot=self.machine.boot,
        )

    async def start(self) -> None:
        await self.agent.load()
        self.agent.start()

    async def join(self) -> None:
        identity = journal.Identity(
            people.SITE,
            people.NODE,
            people.sign("root", people.make_root(), people.ROOT),
            people.sign("site", people.make_record(), people.REGISTRAR),
        )
        assert await self.agent.adopt_identity(identity) is None

    async def restart(self, *, reboot: bool = False) -> None:
        await self.tasks.stop()
        self.tasks = Tasks()
        if reboot:
            self.machine.reboot()
            self.clock.reboot()
        self.build()
        await self.start()

    async def deliver(
        self, units: list[Unit], *objects: Envelope, generation: int = 0, time_s: int = 1_700_000_000
    ) -> DocumentVerdict:
        self.generation = generation or self.generation + 1
        bodies = people.pack(units)
        patch = DocumentPatch(people.make_head(bodies, self.generation, time_s=time_s), 0, 0, bodies, (), objects)
        return await self.agent.accept_document(patch, ())

    async def wait(self, seconds: float) -> None:
        await self.clock.sleep_until(self.clock.boot_us() + int(seconds * SECOND_US))
        assert self.tasks.failed == []

    async def settle(self, seconds: int = 300) -> None:
        passes = self.agent.reconciler.passes
        for _ in range(seconds):
            self.agent.reconciler.nudge()
            await self.wait(1)
            if self.agent.reconciler.plan.settled and self.agent.reconciler.passes > passes + 1:
                return
        raise AssertionError(f"not settled: {self.agent.reconciler.plan}")

    def events(self) -> list[str]:
        return [event.type for event in journal.read_outbox(self.db.file.connection, 0, 10_000)]


def make_app(image: ImageRef, number: int, app: str = "shop", **words: object) -> AppRevision:
    service = Service(
        image=image,
        restart=Restart(policy="always"),
        mounts=(Mount(kind="volume", source="data", target="/data"),),
    )
    return AppRevision(
        tenant=people.ALPHA,
        app=AppName(app),
        number=number,
        source=Digest("sha256:" + "0" * 64),
        services={people.WEB: msgspec.structs.replace(service, **words)},
        volumes={people.DATA: people.make_revision(1).volumes[people.DATA]},
        secrets={"key": SecretUse(name="till-key")} if "secrets" in words else {},
    )


def revise(app: AppRevision) -> Envelope:
    return people.sign("revision", app, people.DEPLOY[people.ALPHA])


SECRET_MOUNT = FileMount(source="key", target="/run/secrets/key")


def virtually(test):
    def run() -> None:
        async def main() -> None:
            site = Site()
            try:
                await site.start()
                await site.join()
                await test(site)
            finally:
                await site.tasks.stop()
                await site.db.close()

        run_virtual(SeededMint("scene"), main())

    run.__name__ = test.__name__
    return run


__all__ = ["SECRET_MOUNT", "Site", "make_app", "revise", "virtually"]
