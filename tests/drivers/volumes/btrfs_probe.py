"""Runs checks of volumes on a real btrfs in a file, in a mount namespace that ends with it; prints their results.

``unshare --mount python -m tests.drivers.volumes.btrfs_probe FOLDER``: one JSON object, name of a check to what broke,
empty where nothing did.
"""

import asyncio
import errno
import json
import os
import shutil
import subprocess
import sys
import traceback
from pathlib import Path

from tests.contract import storage
from tests.contract.storage import DATA, LIMIT, MIB, MORE, OTHER, done, refused, see

from skerry.drivers.base import run_program
from skerry.drivers.volumes import VolumesDriver
from skerry.drivers.volumes.btrfs import Btrfs
from skerry.drivers.volumes.directory import DirectoryStorage
from skerry.model.ids import VolumeId
from skerry.plan.actions import RestoreVolume
from skerry.safe.paths import RealDirectory, descend

IMAGE_BYTES = 256 * MIB
SAID = "note.txt"


class Services:
    """What services write below a root: they are this process."""

    def __init__(self, root: Path, driver: VolumesDriver) -> None:
        self.root = root
        self.driver = driver

    def folder(self, volume: VolumeId) -> Path:
        return self.root / volume

    def write(self, volume: VolumeId, text: str) -> None:
        file = self.folder(volume) / "data" / SAID
        file.write_text(text)
        with file.open("rb") as opened:
            os.fsync(opened.fileno())

    def read(self, volume: VolumeId) -> str:
        file = self.folder(volume) / "data" / SAID
        return file.read_text() if file.exists() else ""

    def fill(self, volume: VolumeId, count: int) -> int:
        written = 0
        with (self.folder(volume) / "data" / f"filler-{os.urandom(4).hex()}").open("wb", buffering=0) as sink:
            try:
                while written < count:
                    written += sink.write(bytes(MIB // 16))
            except OSError as error:
                if error.errno not in (errno.EDQUOT, errno.ENOSPC):
                    raise
        return written


class RealRig(Services):
    """A driver over one folder."""

    def __init__(self, root: Path) -> None:
        self.directory = RealDirectory.open_root(root)
        super().__init__(root, VolumesDriver(self.directory))

    def restart(self) -> None:
        """A new process over the same disk."""
        self.driver = VolumesDriver(self.directory)


async def check_a_restore_that_dies_after_any_step_ends_in_one_tree_and_loses_nothing(rig: RealRig) -> None:
    volume = rig.folder(DATA.id)
    for sweeps in (False, True):
        step = 0
        while True:
            await done(rig, DATA.create())
            rig.write(DATA.id, "before")
            await done(rig, DATA.take("one"))
            rig.write(DATA.id, "after")
            action = DATA.restore("one", "aside-2")
            last = await die_after(rig, action, step)
            rig.restart()
            if sweeps:
                await rig.driver.sweep()
                assert rig.read(DATA.id) in ("before", "after"), step
            await done(rig, action)
            assert rig.read(DATA.id) == "before", step
            seen = await see(rig)
            assert [each.name for each in seen.snapshots] == ["one", "aside-2"], (step, seen)
            assert (volume / "snapshots/aside-2/data" / SAID).read_text() == "after", step
            assert sorted(each.name for each in volume.iterdir()) == ["data", "identity", "snapshots"], step
            assert is_sealed(volume / "snapshots/aside-2/data")
            assert seen.limit_bytes == LIMIT, step
            await done(rig, DATA.delete())
            if last:
                break
            step += 1
        assert step == 8


async def die_after(rig: RealRig, action: RestoreVolume, count: int) -> bool:
    """Do so many steps of a restore and no more; say whether it had no further ones."""
    folder = descend(rig.directory, action.tenant, action.app, action.name)
    assert folder is not None
    steps = rig.driver.btrfs.restore_by_steps(folder, action)
    for _ in range(count + 1):
        if await anext(steps, None) is None:
            return True
    await steps.aclose()
    return False


def is_sealed(path: Path) -> bool:
    try:
        (path / "x").touch()
    except OSError as error:
        return error.errno == errno.EROFS
    return False


async def check_a_snapshot_without_its_note_is_none_and_goes_at_the_start(rig: RealRig) -> None:
    await done(rig, DATA.create(), DATA.take("one"))
    rig.write(DATA.id, "later")
    note = rig.folder(DATA.id) / "snapshots/one/note"
    note.unlink()
    rig.restart()
    assert (await see(rig)).snapshots == ()
    await done(rig, DATA.take("one"))
    assert (rig.folder(DATA.id) / "snapshots/one/data" / SAID).read_text() == "later"
    note.write_bytes(b"skerry-file 1 torn")
    rig.restart()
    await rig.driver.sweep()
    assert not list((rig.folder(DATA.id) / "snapshots").iterdir())
    assert rig.read(DATA.id) == "later"


async def check_a_sweep_leaves_what_is_under_way_alone(rig: RealRig) -> None:
    """Both begin when an agent starts; a snapshot that has no note yet looks like one that was cut."""
    await done(rig, DATA.create())
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def run(*argv: str, limit_s: float) -> tuple[int, bytes]:
        result = await run_program(*argv, limit_s=limit_s)
        if argv[1:3] == ("subvolume", "snapshot"):
            reached.set()
            await go_on.wait()
        return result

    rig.driver = VolumesDriver(rig.directory, commands=Btrfs(run))
    taking = asyncio.create_task(rig.driver.perform(DATA.take("one")))
    await reached.wait()
    sweeping = asyncio.create_task(rig.driver.sweep())
    # Long enough for a sweep that does not wait to reach the end of this one volume.
    await asyncio.sleep(0.1)
    go_on.set()
    assert (await taking).ok
    await sweeping
    assert [each.name for each in (await see(rig)).snapshots] == ["one"]


async def check_one_that_was_half_made_is_made_whole(rig: RealRig) -> None:
    folder = rig.folder(DATA.id)
    folder.mkdir(parents=True)
    subprocess.run(["btrfs", "-q", "subvolume", "create", folder / "data"], check=True)
    assert (await rig.driver.observe()).volumes == ()
    await done(rig, DATA.create())
    assert (await see(rig)).limit_bytes == LIMIT
    assert (folder / "data").stat().st_uid == storage.UID


async def check_a_plain_folder_stays_one(rig: RealRig) -> None:
    await done(rig, DATA.create())
    folder = rig.folder(DATA.id)
    subprocess.run(["btrfs", "-q", "subvolume", "delete", folder / "data"], check=True)
    (folder / "data").mkdir()
    rig.write(DATA.id, "mine")
    rig.restart()
    seen = await see(rig)
    assert (seen.driver, seen.limit_bytes) == (DirectoryStorage.name, 0)
    await refused(rig, "E-STORAGE", DATA.take("one"))
    await done(rig, DATA.create(), DATA.delete())


async def check_the_size_is_what_the_kernel_counts(rig: RealRig) -> None:
    await done(rig, DATA.create())
    rig.fill(DATA.id, 4 * MIB)
    subprocess.run(["btrfs", "filesystem", "sync", rig.root], check=True)
    turn = await rig.driver.measure(3)
    assert turn.ended
    assert 4 * MIB <= turn.sizes[DATA.id] < 5 * MIB


async def check_a_look_starts_no_process(rig: RealRig) -> None:
    await done(rig, DATA.create(), DATA.take("one"), DATA.take("two"))

    async def run(*argv: str, **words: float) -> tuple[int, bytes]:
        raise AssertionError(argv)

    rig.driver = VolumesDriver(rig.directory, commands=Btrfs(run))
    for _ in range(2):
        seen = await see(rig)
        assert (seen.limit_bytes, len(seen.snapshots)) == (LIMIT, 2)


async def check_subvolumes_that_a_service_made_go_with_the_volume(rig: RealRig) -> None:
    await done(rig, DATA.create())
    data = rig.folder(DATA.id) / "data"
    for path in (data / "a", data / "a/b"):
        subprocess.run(["btrfs", "-q", "subvolume", "create", path], check=True)
    (data / "a/b/file").write_text("x")
    subprocess.run(["btrfs", "-q", "subvolume", "snapshot", "-r", data / "a", data / "sealed"], check=True)
    await done(rig, DATA.delete())
    assert not list((rig.root / "alpha/shop").iterdir())


async def check_the_rest_of_a_deletion_is_swept(rig: RealRig) -> None:
    await done(rig, DATA.create(), DATA.take("one"))
    folder = rig.folder(DATA.id)
    folder.rename(folder.with_name("data.gone"))
    rig.restart()
    assert (await rig.driver.observe()).volumes == ()
    await rig.driver.sweep()
    assert not list((rig.root / "alpha/shop").iterdir())


async def check_without_the_right_to_set_limits_somebody_else_is_asked(rig: RealRig) -> None:
    asked: list[tuple[int, int]] = []

    async def run(*argv: str, limit_s: float) -> tuple[int, bytes]:
        if argv[1] == "qgroup":
            return 1, b"ERROR: unable to limit requested quota group: Operation not permitted"
        return await run_program(*argv, limit_s=limit_s)

    async def ask(subvolume: int, limit_bytes: int) -> str:
        asked.append((subvolume, limit_bytes))
        code, said = await run_program("btrfs", "qgroup", "limit", str(limit_bytes), f"0/{subvolume}", str(rig.root))
        return "" if code == 0 else said.decode()

    rig.driver = VolumesDriver(rig.directory, commands=Btrfs(run), ask=ask)
    await done(rig, DATA.create(), DATA.size(MORE))
    assert [limit for _, limit in asked] == [LIMIT, MORE, MORE]
    assert (await see(rig)).limit_bytes == MORE
    rig.driver = VolumesDriver(rig.directory, commands=Btrfs(run))
    await done(rig, OTHER.create())
    assert (await see(rig, OTHER)).limit_bytes == 0
    outcome = await refused(rig, "E-STORAGE", OTHER.size(MORE))
    assert "not permitted" in outcome.reason


async def check_without_quotas_there_are_snapshots_and_no_limits(rig: RealRig) -> None:
    subprocess.run(["btrfs", "quota", "disable", rig.root], check=True)
    try:
        await done(rig, DATA.create(), DATA.take("one"))
        seen = await see(rig)
        assert (seen.driver, seen.limit_bytes, len(seen.snapshots)) == ("btrfs", 0, 1)
        outcome = await refused(rig, "E-STORAGE", DATA.size(MORE))
        assert "quotas are off" in outcome.reason
        assert "quotas are off" in rig.driver.btrfs.flaw
    finally:
        subprocess.run(["btrfs", "quota", "enable", rig.root], check=True)


async def check_what_came_later_is_listed_by_a_handle_that_was_open(rig: RealRig) -> None:
    """Of a folder of any kind; btrfs shows a handle only what was there when it was last at its beginning."""
    assert rig.directory.names() == []
    for name in ("one", "two"):
        rig.directory.enter(name, create=True).close()
        assert name in rig.directory.names()


async def check_without_room_there_is_no_snapshot_and_what_there_is_can_go(rig: RealRig) -> None:
    await done(rig, DATA.create(IMAGE_BYTES), DATA.take("one"))
    with (rig.folder(DATA.id) / "data/filler").open("wb") as sink:
        room = os.fstatvfs(sink.fileno())
        os.posix_fallocate(sink.fileno(), 0, room.f_bavail * room.f_frsize * 31 // 32)
    # What is free is counted anew with each commit, which otherwise comes twice a minute.
    subprocess.run(["btrfs", "filesystem", "sync", rig.root], check=True)
    outcome = await refused(rig, "E-DISK-FULL", DATA.take("two"))
    assert "free" in outcome.reason
    await done(rig, DATA.drop("one"), DATA.delete())


OWN = {name: item for name, item in sorted(globals().items()) if name.startswith("check_")}
CHECKS = {**storage.CHECKS, **OWN}


def mount(image: Path, place: Path) -> None:
    """Make a btrfs with quotas in a file in memory and mount it."""
    image.parent.mkdir()
    subprocess.run(("mount", "-t", "tmpfs", "-o", f"size={IMAGE_BYTES * 2}", "none", image.parent), check=True)
    with image.open("wb") as sink:
        os.posix_fallocate(sink.fileno(), 0, IMAGE_BYTES)
    place.mkdir()
    for words in (
        ("mkfs.btrfs", "--quiet", "--nodiscard", image),
        ("mount", "-o", "loop,nodiscard", image, place),
        ("btrfs", "quota", "enable", place),
    ):
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def run(check: storage.Check, root: Path) -> str:
    root.mkdir()
    rig = RealRig(root)

    async def main() -> None:
        await check(rig)
        rig.restart()
        for volume in (DATA, OTHER):
            await rig.driver.perform(volume.delete())

    try:
        asyncio.run(main())
    except Exception:
        return traceback.format_exc()
    shutil.rmtree(root)
    return ""


def main() -> None:
    """Run all checks, those of the contract on a plain folder too."""
    folder = Path(sys.argv[1])
    mount(folder / "memory/disk.img", folder / "disk")
    found = {f"btrfs {name}": run(check, folder / "disk" / name) for name, check in CHECKS.items()}
    found |= {f"directory {name}": run(check, folder / name) for name, check in storage.CHECKS.items()}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
