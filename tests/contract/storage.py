"""What every storage of volumes does alike: run against the fake, plain folders and a real btrfs.

Each check is a coroutine over a ``Rig``; it acts only by the driver's two methods and as a service that writes.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from skerry.drivers.base import Driver
from skerry.model.ids import AppName, Digest, TenantName, VolumeId, VolumeName, volume_id
from skerry.model.observed import VolumeSeen
from skerry.model.volume import SnapshotName, SnapshotSeen
from skerry.plan.actions import (
    Action,
    CreateVolume,
    DeleteVolume,
    DropSnapshot,
    Outcome,
    RestoreVolume,
    SizeVolume,
    TakeSnapshot,
)

UID, MIB = 265_536, 1 << 20
#: Room of the volumes of these checks, and another that is larger.
LIMIT, MORE = 32 * MIB, 64 * MIB
#: What the file system itself takes of a limit, at most.
OWN = MIB


class Rig(Protocol):
    driver: Driver

    def write(self, volume: VolumeId, text: str) -> None:
        """Write as a service does, in place of what was there."""
        ...

    def read(self, volume: VolumeId) -> str:
        """Read what was written; empty where nothing was."""
        ...

    def fill(self, volume: VolumeId, count: int) -> int:
        """Add so many bytes that nobody reads; return how many there was room for."""
        ...


class Named(msgspec.Struct, frozen=True):
    """One volume."""

    name: VolumeName

    @property
    def id(self) -> VolumeId:
        return volume_id(self.words["tenant"], self.words["app"], self.name)

    @property
    def words(self) -> dict[str, str]:
        return {"tenant": TenantName("alpha"), "app": AppName("shop"), "name": self.name}

    def create(self, limit: int = LIMIT) -> CreateVolume:
        return CreateVolume(volume=self.id, **self.words, uid_start=UID, born=3, limit_bytes=limit)

    def size(self, limit: int) -> SizeVolume:
        return SizeVolume(volume=self.id, **self.words, limit_bytes=limit)

    def take(self, snapshot: str, taken_us: int = 7) -> TakeSnapshot:
        return TakeSnapshot(volume=self.id, **self.words, snapshot=SnapshotName(snapshot), taken_us=taken_us)

    def drop(self, snapshot: str) -> DropSnapshot:
        return DropSnapshot(volume=self.id, **self.words, snapshot=SnapshotName(snapshot))

    def restore(self, snapshot: str, aside: str) -> RestoreVolume:
        names = {"snapshot": SnapshotName(snapshot), "aside": SnapshotName(aside)}
        return RestoreVolume(volume=self.id, **self.words, **names, taken_us=9)

    def delete(self) -> DeleteVolume:
        return DeleteVolume(volume=self.id, **self.words, tombstone=Digest("sha256:" + "0" * 64))


DATA, OTHER = Named(VolumeName("data")), Named(VolumeName("other"))


async def find(rig: Rig, volume: Named = DATA) -> VolumeSeen | None:
    seen = await rig.driver.observe()
    assert seen.unavailable == "", seen.unavailable
    return next((each for each in seen.volumes if each.volume == volume.id), None)


async def see(rig: Rig, volume: Named = DATA) -> VolumeSeen:
    seen = await find(rig, volume)
    assert seen is not None
    return seen


async def done(rig: Rig, *actions: Action) -> None:
    """Do each twice: one whose proof holds already is done."""
    for action in actions:
        for _ in range(2):
            outcome = await rig.driver.perform(action)
            assert outcome.ok, (action, outcome)


async def refused(rig: Rig, code: str, action: Action) -> Outcome:
    outcome = await rig.driver.perform(action)
    assert (outcome.ok, outcome.code) == (False, code), outcome
    return outcome


async def check_a_volume_is_made_with_its_limit(rig: Rig) -> None:
    await done(rig, DATA.create())
    seen = await see(rig)
    assert (seen.uid_start, seen.born, seen.strange, seen.snapshots) == (UID, 3, False, ())
    assert seen.limit_bytes == (0 if seen.driver == "directory" else LIMIT)


async def check_a_limit_holds_and_is_that_volumes_own_problem(rig: Rig) -> None:
    await done(rig, DATA.create(), OTHER.create())
    if (await see(rig)).driver == "directory":
        return
    assert LIMIT - OWN <= rig.fill(DATA.id, MORE) <= LIMIT
    rig.write(OTHER.id, "goes on")
    assert rig.read(OTHER.id) == "goes on"
    await done(rig, DATA.size(MORE))
    assert (await see(rig)).limit_bytes == MORE
    assert rig.fill(DATA.id, 16 * MIB) == 16 * MIB


async def check_a_limit_does_not_shrink_below_what_is_held(rig: Rig) -> None:
    await done(rig, DATA.create(MORE))
    if (await see(rig)).driver == "directory":
        return
    rig.fill(DATA.id, LIMIT + MIB)
    outcome = await refused(rig, "E-VOLUME", DATA.size(LIMIT))
    assert "holds" in outcome.reason
    assert (await see(rig)).limit_bytes == MORE
    await done(rig, DATA.size(LIMIT + 8 * MIB))


async def check_a_snapshot_keeps_what_was_held(rig: Rig) -> None:
    await done(rig, DATA.create())
    if (await see(rig)).driver == "directory":
        return
    rig.write(DATA.id, "first")
    await done(rig, DATA.take("one", 5))
    rig.write(DATA.id, "second")
    # It is left as it is, whatever a repeated action says.
    await done(rig, DATA.take("one", 6), DATA.take("two"))
    one, two = (await see(rig)).snapshots
    assert (one, two) == (SnapshotSeen(name="one", order=1, taken_us=5), SnapshotSeen(name="two", order=2, taken_us=7))
    await done(rig, DATA.drop("one"))
    assert (await see(rig)).snapshots == (two,)
    await done(rig, DATA.take("three"))
    assert [each.order for each in (await see(rig)).snapshots] == [2, 3]
    assert rig.read(DATA.id) == "second"


async def check_a_volume_goes_back_and_what_it_held_is_kept(rig: Rig) -> None:
    await done(rig, DATA.create())
    if (await see(rig)).driver == "directory":
        return
    rig.write(DATA.id, "before")
    await done(rig, DATA.take("auto-1"))
    rig.write(DATA.id, "after")
    await done(rig, DATA.restore("auto-1", "aside-2"))
    assert rig.read(DATA.id) == "before"
    seen = await see(rig)
    assert [(each.name, each.order) for each in seen.snapshots] == [("auto-1", 1), ("aside-2", 2)]
    assert (seen.limit_bytes, seen.uid_start) == (LIMIT, UID)
    rig.write(DATA.id, "new work")
    # The way back is open, and repeating the first one loses no work.
    await done(rig, DATA.restore("auto-1", "aside-2"))
    assert rig.read(DATA.id) == "new work"
    await done(rig, DATA.restore("aside-2", "aside-3"))
    assert rig.read(DATA.id) == "after"
    assert LIMIT - 2 * OWN <= rig.fill(DATA.id, MORE) <= LIMIT


async def check_what_is_not_there_is_named(rig: Rig) -> None:
    for action in (DATA.size(MORE), DATA.take("one"), DATA.drop("one"), DATA.restore("one", "aside-1")):
        await refused(rig, "E-VOLUME", action)
    await done(rig, DATA.create(), DATA.delete())
    if (await see_driver(rig)) != "directory":
        outcome = await refused(rig, "E-SNAPSHOT", DATA.restore("nosuch", "aside-1"))
        assert "nosuch" in outcome.reason
        assert (await see(rig)).snapshots == ()


async def see_driver(rig: Rig) -> str:
    await done(rig, DATA.create())
    return (await see(rig)).driver


async def check_a_plain_folder_refuses_and_says_why(rig: Rig) -> None:
    if await see_driver(rig) != "directory":
        return
    rig.write(DATA.id, "stays")
    for action in (DATA.size(MORE), DATA.take("one"), DATA.drop("one"), DATA.restore("one", "aside-1")):
        outcome = await refused(rig, "E-STORAGE", action)
        assert "plain folder" in outcome.reason
    assert rig.read(DATA.id) == "stays"


async def check_deleting_takes_the_snapshots_along(rig: Rig) -> None:
    is_plain = await see_driver(rig) == "directory"
    await done(rig, OTHER.create())
    rig.write(DATA.id, "old")
    rig.write(OTHER.id, "stays")
    if not is_plain:
        await done(rig, DATA.take("one"), DATA.restore("one", "aside-2"), OTHER.take("one"))
    await done(rig, DATA.delete())
    assert await find(rig) is None
    await done(rig, DATA.create())
    assert rig.read(DATA.id) == ""
    assert (await see(rig)).snapshots == ()
    assert rig.read(OTHER.id) == "stays"
    assert len((await see(rig, OTHER)).snapshots) == (0 if is_plain else 1)


Check = Callable[[Rig], Awaitable[None]]
CHECKS: dict[str, Check] = {name: item for name, item in sorted(globals().items()) if name.startswith("check_")}
