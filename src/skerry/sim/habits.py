"""What people do in a storm: which wish comes next, whose, and of which app."""

import msgspec
from msgspec import UNSET

from skerry.model.ids import Digest, TenantName
from skerry.plan.history import HandVerb
from skerry.sim.apps import AppWords
from skerry.sim.dice import Dice
from skerry.sim.grounds import PLACES
from skerry.sim.keepers import Keepers
from skerry.sim.tastes import Tastes
from skerry.sim.ties import Ties
from skerry.sim.world import World

WISHES = ("apply", "apply", "apply", "rollback", "delete", "delete-volumes", "pause", "resume", "restart")
#: What people do more in a world with a theme (``tastes.py``), one time in so many.
THEME_WISHES = {
    "ground": ("move-site",),
    "distance": ("move-site",),
    "leaning": ("move-site",),
    "hands": ("at-box", "at-box", "at-box"),
    "room": ("apply", "apply"),
    "secrets": ("rotate",),
    "waves": ("promote", "promote", "halt", "abort", "move-site"),
}
APPS = ("shop", "till", "wall", "hub")


class Habits:
    """The people of one world."""

    def __init__(self, world: World, dice: Dice, tastes: Tastes, ties: Ties, keepers: Keepers) -> None:
        self.world = world
        self.dice = dice
        self.tastes = tastes
        self.ties = ties
        self.keepers = keepers
        self.tenants = 1
        self.serial = 0

    async def begin(self) -> None:
        """Let the registrar say where sites stand, where their owners heed it."""
        if "move-site" in self._wishes:
            for name in sorted(self.world.sites):
                await self._move_site(name)

    @property
    def _wishes(self) -> tuple[str, ...]:
        return (*WISHES, *(wish for theme in self.tastes.themes for wish in THEME_WISHES.get(theme, ())))

    async def wish_something(self) -> None:
        """Let somebody wish something."""
        await self.wish(self.dice.pick(self._wishes))

    async def wish(self, wish: str) -> None:
        """Let somebody wish this."""
        tenant = self.pick_tenant()
        app = self.dice.pick(APPS[: 1 + self.dice.below(len(APPS))])
        match wish:
            case "apply":
                await self.apply(
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
            case "move-site":
                await self._move_site(self.dice.pick(sorted(self.world.sites)))
            case "rotate":
                await self.world.rotate("key", TenantName(tenant))
            case "at-box":
                await self._go_to_box()
            case _:
                await self.world.switch(wish, app, tenant)

    async def apply(self, app: str, words: AppWords, tenant: str, size: int = 1000) -> None:
        """Let an owner apply an app, with the secrets that it needs."""
        for name in words.secrets:
            if (tenant, name) not in self.world.secrets:
                await self.world.rotate(name, TenantName(tenant))
        await self.world.apply(app, words, tenant, size)

    async def _move_site(self, site: str) -> None:
        place, labels = self.tastes.draw_lot()
        self.world.tell(f"{site} is signed to be in {place}: {labels}")
        await self.world.sign_site(site, PLACES[place], labels)

    async def _go_to_box(self) -> None:
        """Let somebody at a box say something of what runs there, or of what was stopped there."""
        here = self.world.sites[self.dice.pick(sorted(self.world.sites))]
        stopped = sorted(name for site, name in self.world.hands.stopped if site == here.name)
        verb = self.dice.pick(("restart", "stop", "stop", "start"))
        among = stopped if verb == "start" else here.machine.running()
        if here.running and among:
            await self._say(here.name, verb, self.dice.pick(among))

    async def leave_boxes(self) -> None:
        """Let people start again what they have stopped: in half of the worlds all of it, else none."""
        if self.dice.chance(0.5):
            for site, name in sorted(self.world.hands.stopped):
                if self.world.sites[site].running:
                    await self._say(site, "start", name)

    async def _say(self, site: str, verb: HandVerb, what: str) -> None:
        done = await self.world.say_at_box(site, verb, what)
        self.world.tell(f"at {site} somebody says {verb} {what}: {getattr(done, 'code', 'done')}")

    async def open_windows(self) -> None:
        """Let owners take back windows: what waits for one would wait for longer than anybody looks."""
        for tenant, app in sorted(self.world.confirmed):
            signed = self.world.signed.get(Digest(self.world.app_row((tenant, app)).revision_digest))
            words = None if signed is None else signed.words
            if words is not None and words.rollout is not None and words.rollout.windows:
                rollout = msgspec.structs.replace(words.rollout, windows=UNSET)
                await self.apply(app, msgspec.structs.replace(words, rollout=rollout), tenant)

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
        return self.keepers.add(self.ties.add(self.tastes.draw()))
