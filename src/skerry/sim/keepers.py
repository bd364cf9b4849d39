"""What owners do about data in a storm: words of volumes, snapshots and restores.

Of a stream of dice of its own, as ``ties.py``: more than half of the worlds have owners who do nothing of it.
"""

import msgspec

from skerry.model.asks import VolumeControlQuery
from skerry.model.ids import NodeName, SiteName
from skerry.model.observed import VolumeSeen
from skerry.model.signed import Call, VolumeVerb
from skerry.model.volume import SnapshotPlan
from skerry.sim.apps import AppWords
from skerry.sim.dice import Dice
from skerry.sim.owners import Owner
from skerry.sim.world import World

#: The share of worlds whose owners care for their data.
KEEPING_SHARE = 0.4
_SAY_SHARE = 0.6
#: The share of machines whose storage knows limits and snapshots.
_SNAPSHOTS_SHARE = 0.6
_MINUTE_US = 60_000_000


class Keepers:
    """The owners of one world, as far as they care for data."""

    def __init__(self, world: World, dice: Dice) -> None:
        self.world = world
        self.dice = dice
        self.is_keeping = dice.chance(KEEPING_SHARE)
        self.serial = 0

    def furnish(self) -> None:
        """Give some machines a storage that knows limits and snapshots."""
        for name in sorted(self.world.sites):
            self.world.sites[name].machine.storage.driver = (
                "btrfs" if self.is_keeping and self.dice.chance(_SNAPSHOTS_SHARE) else "directory"
            )

    def add(self, words: AppWords) -> AppWords:
        """Add to what an owner says of an app: how often what it holds is kept, and how large it may grow."""
        if not self.is_keeping or not words.volume or not self.dice.chance(_SAY_SHARE):
            return words
        plan = SnapshotPlan(
            every_us=_MINUTE_US * (1 + self.dice.below(10)),
            keep=1 + self.dice.below(3),
            before_update=self.dice.chance(0.7),
        )
        return msgspec.structs.replace(words, snapshots=plan, volume_bytes=(1 + self.dice.below(4)) << 30)

    async def happen(self) -> None:
        """Let an owner say something of a volume at a site."""
        site = self.world.sites[self.dice.pick(sorted(self.world.sites))]
        volumes = [each for _, each in sorted(site.machine.volumes.items())]
        if not volumes:
            return
        volume = self.dice.pick(volumes)
        verb: VolumeVerb = self.dice.pick(("snapshot", "snapshot", "restore", "restore", "drop-snapshot"))
        there = [each.name for each in volume.snapshots]
        self.serial += 1
        name = f"asked-{self.serial}" if verb == "snapshot" else self.dice.pick(there) if there else ""
        if name:
            await say(self.world, site.name, volume, verb, name)


async def say(world: World, site: SiteName, volume: VolumeSeen, verb: VolumeVerb, snapshot: str) -> str:
    """Have an owner say something of a volume at a site by a signed call; return why not, empty when the site said yes.

    What was said and what a site said yes to is noted for whoever checks on it.
    """
    query = VolumeControlQuery(site=site, volume=volume.name, snapshot=snapshot, verb=verb)
    call = Call(
        tenant=volume.tenant,
        site=site,
        node=NodeName(""),
        nonce=b"",
        verb=verb,
        app=volume.app,
        volume=volume.name,
        snapshot=snapshot,
    )
    world.keepsakes.said.add((site, volume.volume, verb, snapshot))
    owner, service, caller = Owner(world, call), world.core.service, world.as_tenant(volume.tenant)
    refusals = world.refusals
    await world.ask(
        f"{verb} {snapshot} of {volume.volume} at {site}",
        lambda: service.control_volume(caller, app=volume.app, query=query, socket=owner),
    )
    if owner.is_done and verb == "snapshot":
        world.keepsakes.kept[site, volume.volume, snapshot] = volume.born
    return "" if owner.is_done else "refused" if world.refusals > refusals else "no answer"
