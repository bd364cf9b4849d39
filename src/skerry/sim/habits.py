"""What people do in a storm: which wish comes next, whose, and of which app."""

from skerry.clock import SECOND_US
from skerry.model.rollout import Gate, Rollout, Share
from skerry.sim.apps import AppWords
from skerry.sim.dice import Dice
from skerry.sim.world import World

WISHES = ("apply", "apply", "apply", "rollback", "delete", "delete-volumes", "pause", "resume", "restart")
APPS = ("shop", "till", "wall", "hub")
#: How revisions come to sites where an app has a rollout: short enough for what the calm leaves of time.
ROLLOUT = Rollout(
    canary=Share(sites=1),
    bake_us=20 * SECOND_US,
    waves=(Share(permille=500), Share(permille=1000)),
    gate=Gate(healthy_us=20 * SECOND_US, timeout_us=120 * SECOND_US),
)


class Habits:
    """The people of one world."""

    def __init__(self, world: World, dice: Dice) -> None:
        self.world = world
        self.dice = dice
        self.tenants = 1
        self.serial = 0

    async def wish_something(self) -> None:
        """Let somebody wish something."""
        await self.wish(self.dice.pick(WISHES))

    async def wish(self, wish: str) -> None:
        """Let somebody wish this."""
        tenant = self.pick_tenant()
        app = self.dice.pick(APPS[: 1 + self.dice.below(len(APPS))])
        match wish:
            case "apply":
                await self.world.apply(
                    app,
                    self.draw_words(),
                    tenant,
                    size=500 + self.dice.below(self.dice.pick((10_000, 30_000, 150_000))),
                )
            case "rollback":
                await self.world.rollback(app, 1 + self.dice.below(2), tenant)
            case "delete" | "delete-volumes":
                grace_s = self.dice.pick((0, 60, 900))
                await self.world.delete(app, tenant, volumes=wish == "delete-volumes", grace_s=grace_s)
            case _:
                await self.world.switch(wish, app, tenant)

    async def grow(self, tenant: str) -> None:
        """Ask for many large images that no site has: they want the link and the disk for a while."""
        self.serial += 1
        names = [f"part-{number}" for number in range(3 + self.dice.below(3))]
        words = AppWords(services={name: f"fresh-{self.serial}-{name}" for name in names}, volume=False)
        await self.world.apply("bulk", words, tenant, size=60_000 + self.dice.below(100_000))

    def pick_tenant(self) -> str:
        """One of the tenants."""
        number = self.dice.below(self.tenants)
        return "default" if number == 0 else f"tenant-{number}"

    def draw_words(self) -> AppWords:
        """What an owner says of an app this time."""
        self.serial += 1
        names = ("web", "db")[: 1 + self.dice.below(2)]
        match = self.dice.pick(((), (), ("side=east",), ("tier=store",)))
        total = self.dice.pick((0, 0, 0, 2))
        rollout = self.dice.pick((None, None, ROLLOUT)) if not total else None
        return AppWords(
            services={name: f"image-{self.dice.below(6)}" for name in names},
            match=match,
            total=total,
            per_site=1 + self.dice.below(2),
            volume=not total and self.dice.chance(0.7),
            health=self.dice.chance(0.3),
            ill=rollout is not None and self.dice.chance(0.3),
            rollout=rollout,
            command=("serve", str(self.dice.below(3))),
        )
