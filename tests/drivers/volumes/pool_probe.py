"""Makes, grows and breaks pools in a mount namespace of its own; prints the results as ``btrfs_probe`` does."""

import asyncio
import json
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.contract import storage
from tests.contract.storage import DATA, LIMIT, MIB, OTHER, done, refused, see
from tests.drivers.volumes.btrfs_probe import Services

from skerry.drivers.base import run_program
from skerry.drivers.volumes import VolumesDriver, btrfs
from skerry.drivers.volumes.asking import LimitAsker, answer
from skerry.drivers.volumes.pool import POOL_BYTES_MIN, StatePool, ensure_pool
from skerry.model.errors import SkerryError
from skerry.safe.paths import RealDirectory

SIZE = POOL_BYTES_MIN
UNIT = Path(__file__).parents[3] / "packaging/systemd/skerry-agent.service"


class State:
    """The state folder of an agent, with the volumes that its driver has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.directory = RealDirectory.open_root(folder)
        self.image, self.place = folder / "pool.btrfs", folder / "pool"

    def rig(self, *, is_wished: bool = True) -> Services:
        pool = StatePool(self.directory, is_wished=is_wished)
        return Services(self.place, VolumesDriver(self.directory.enter("volumes", create=True), pool=pool))

    async def ensure(self, size: int = SIZE) -> str:
        return await ensure_pool(self.directory, size)

    async def fail(self, size: int = SIZE) -> str:
        try:
            return f"no failure: {await self.ensure(size)}"
        except SkerryError as error:
            return f"{error.code}: {error.detail} {error.hint}"

    def unmount(self) -> None:
        if os.path.ismount(self.place):
            subprocess.run(["umount", self.place], check=True)

    def list_devices(self) -> list[str]:
        words = ["losetup", "--noheadings", "--output", "NAME", "--associated", self.image]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()


async def check_one_is_made_with_all_its_room_and_holds_limits(state: State) -> None:
    assert "256 MiB" in await state.ensure()
    assert state.image.stat().st_blocks * 512 >= SIZE
    assert await state.ensure() == await state.ensure(0)
    rig = state.rig()
    await done(rig, DATA.create(), DATA.take("one"))
    assert (await see(rig)).limit_bytes == LIMIT
    assert rig.driver.data_path("alpha", "shop", "data") == str(state.place / "alpha/shop/data/data")
    filled = rig.fill(DATA.id, 2 * LIMIT)
    assert filled <= LIMIT
    await done(rig, DATA.drop("one"), DATA.delete())
    subprocess.run(["btrfs", "filesystem", "sync", state.place], check=True)
    # What a volume gives back stays the pool's: else the disk could give it to somebody else.
    assert state.image.stat().st_blocks * 512 >= SIZE
    verdict, detail, _ = rig.driver.diagnose()
    assert (verdict, "256 MiB" in detail) == ("good", True), detail
    assert rig.driver.facts["pool.mib"] == "256"
    assert rig.driver.facts["pool.limits"] == "true"


async def check_it_grows_and_never_shrinks(state: State) -> None:
    await state.ensure()
    rig = state.rig()
    await done(rig, DATA.create())
    rig.write(DATA.id, "stays")
    await state.ensure(SIZE + 64 * MIB)
    assert os.statvfs(state.place).f_blocks * os.statvfs(state.place).f_frsize == SIZE + 64 * MIB
    assert "never becomes smaller" in await state.ensure(SIZE)
    state.unmount()
    assert state.list_devices() == []
    await state.ensure()
    assert rig.read(DATA.id) == "stays"
    assert (await see(rig)).limit_bytes == LIMIT


async def check_growing_goes_on_where_it_was_cut(state: State) -> None:
    await state.ensure()
    with state.image.open("r+b") as sink:
        os.posix_fallocate(sink.fileno(), 0, SIZE + 64 * MIB)
    await state.ensure(SIZE + 64 * MIB)
    assert os.statvfs(state.place).f_blocks * os.statvfs(state.place).f_frsize == SIZE + 64 * MIB


async def check_making_goes_on_after_any_command_was_cut(state: State) -> None:
    """Each program dies once, the last one too; the next run makes it whole over one device."""
    count = 0
    while True:
        left = count

        async def run(*words: str, limit_s: float) -> tuple[int, bytes]:
            nonlocal left
            if left == 0 and words[1:3] != ("qgroup", "clear-stale"):
                return 1, b"killed"
            left -= 1
            return await run_program(*words, limit_s=limit_s)

        try:
            await ensure_pool(state.directory, SIZE, run)
        except SkerryError as error:
            if "killed" not in error.detail:
                raise
        else:
            break
        count += 1
        await state.ensure()
        assert len(state.list_devices()) == 1, count
        pool = StatePool(state.directory).read()
        assert pool is not None
        assert pool.has_limits
        state.unmount()
        assert state.list_devices() == [], count
        state.image.unlink()
    assert count >= 5


async def check_what_is_no_pool_of_ours_is_not_touched(state: State) -> None:
    state.image.write_bytes(b"precious" * 100_000)
    said = await state.fail()
    assert "no pool of ours" in said
    assert state.image.read_bytes() == b"precious" * 100_000
    state.image.unlink()
    with state.image.open("wb") as sink:
        sink.truncate(SIZE)
    subprocess.run(["mkfs.btrfs", "--quiet", "--label", "mine", state.image], check=True, stdout=subprocess.DEVNULL)
    assert "no pool of ours" in await state.fail()


async def check_without_room_there_is_none_and_nothing_is_left(state: State) -> None:
    said = await state.fail(1 << 40)
    assert said.startswith("E-POOL: There is no room for 1048576 MiB"), said
    assert "MiB at most" in said
    assert not [each.name for each in state.folder.iterdir() if each.name.startswith("pool.btrfs")]
    assert "at least" in await state.fail(SIZE - 1)
    assert await state.ensure(0) == "no pool is wished"


async def check_volumes_that_are_folders_stay_and_new_ones_go_to_the_pool(state: State) -> None:
    rig = state.rig(is_wished=False)
    await done(rig, DATA.create())
    plain = state.folder / "volumes" / DATA.id / "data/old"
    plain.write_text("kept")
    await state.ensure()
    await done(rig, DATA.create(), OTHER.create())
    assert [(await see(rig, each)).driver for each in (DATA, OTHER)] == ["directory", "btrfs"]
    assert rig.driver.data_path("alpha", "shop", "data") == str(plain.parent)
    await done(rig, DATA.delete())
    await done(rig, DATA.create())
    assert (await see(rig)).driver == "btrfs"


async def check_while_the_pool_is_away_nothing_is_made_in_its_place(state: State) -> None:
    await state.ensure()
    rig = state.rig(is_wished=False)
    await done(rig, DATA.create())
    state.unmount()
    assert (await rig.driver.observe()).volumes == ()
    outcome = await refused(rig, "E-STORAGE", DATA.create())
    assert "not mounted" in outcome.reason
    assert rig.driver.diagnose()[0] == "bad"
    await state.ensure(0)
    await done(rig, DATA.create())
    assert (await see(rig)).born == 3


async def check_one_volume_in_two_places_is_strange(state: State) -> None:
    rig = state.rig(is_wished=False)
    await done(rig, DATA.create())
    await state.ensure()
    subprocess.run(["cp", "-a", state.folder / "volumes/alpha", state.place], check=True)
    assert (await see(rig)).strange


async def check_a_full_pool_is_no_trouble_of_the_states_own_disk(state: State) -> None:
    await state.ensure()
    rig = state.rig()
    await done(rig, DATA.create(4 * SIZE))
    filled = rig.fill(DATA.id, 4 * SIZE)
    assert filled < SIZE
    subprocess.run(["btrfs", "filesystem", "sync", state.place], check=True)
    sink = state.directory.create("journal")
    sink.write(bytes(MIB))
    sink.sync()
    sink.close()
    verdict, detail, _ = rig.driver.diagnose()
    assert (verdict, "nearly full" in detail) == ("warning", True), detail


async def check_without_quotas_the_doctor_says_so(state: State) -> None:
    await state.ensure()
    subprocess.run(["btrfs", "quota", "disable", state.place], check=True)
    assert state.rig().driver.diagnose()[:1] == ("warning",)
    await state.ensure()
    assert state.rig().driver.diagnose()[:1] == ("good",)


async def check_the_programs_of_the_units_make_it_and_set_limits(state: State) -> None:
    words = [sys.executable, "-m", "skerry", "pool", "--state", str(state.folder), "--run", str(state.folder / "run")]
    code, said = await run_program(*words, "--pool-mib", "256")
    assert (code, said) == (0, f"a pool of 256 MiB is mounted at {state.place}\n".encode())
    rig = state.rig()
    await done(rig, DATA.create())
    place = btrfs.find_place(rig.driver.data_path("alpha", "shop", "data"))
    assert place is not None
    request = b"limit %d %d\n" % (place.subvolume, 48 * MIB)
    assert await run_program(*words, "--do", "limit", given=request) == (0, b"ok\n")
    assert (await see(rig)).limit_bytes == 48 * MIB
    code, said = await run_program(*words, "--do", "limit", given=b"destroy 1\n")
    assert said == b"this is no request\n"
    for mib, reason in (("99999999", "neither 0 nor within"), ("67108864", "no room")):
        code, said = await run_program(*words, "--pool-mib", mib)
        assert code != 0
        assert reason in said.decode(), said


async def check_the_rights_of_the_shipped_unit_do_but_for_limits(state: State) -> None:
    """The contract of storages, by a process with the capabilities of the unit and no others."""
    await state.ensure()
    socket = state.folder.parent / "limits.sock"
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readline())
        writer.write((await answer(requests[-1], str(state.place))).encode() + b"\n")
        writer.close()

    rights = re.findall(r"^CapabilityBoundingSet=(.*)$", UNIT.read_text(), re.MULTILINE)
    names = ",".join(f"+{name.removeprefix('CAP_').lower()}" for line in rights for name in line.split())
    words = ["setpriv", f"--bounding-set=-all,{names}", "--inh-caps=-all", "--no-new-privs", sys.executable]
    async with await asyncio.start_unix_server(serve, socket):
        code, said = await run_program(*words, "-m", __spec__.name, str(state.folder), str(socket), limit_s=120)
    assert (code, said.decode()) == (0, "")
    assert len(requests) > len(storage.CHECKS)


def run_contract(folder: Path, socket: Path) -> None:
    """Run the contract of storages over a pool that is mounted, and break at the first check that fails."""
    state = State(folder)
    try:
        os.setxattr(state.place, "trusted.x", b"1")
    except PermissionError:
        pass  # only CAP_SYS_ADMIN may
    else:
        raise AssertionError("this process has more rights than it should")
    pool = StatePool(state.directory)
    root = state.directory.enter("volumes", create=True)
    rig = Services(state.place, VolumesDriver(root, pool=pool, ask=LimitAsker(socket).ask))

    async def main() -> None:
        for check in storage.CHECKS.values():
            await check(rig)
            for volume in (DATA, OTHER):
                await done(rig, volume.delete())

    asyncio.run(main())


CHECKS: dict[str, Callable[[State], Awaitable[None]]] = {
    name: item for name, item in sorted(globals().items()) if name.startswith("check_")
}


def run(check: Callable[[State], Awaitable[None]], folder: Path) -> str:
    state = State(folder)
    try:
        asyncio.run(check(state))
    except Exception:
        return traceback.format_exc()
    finally:
        state.unmount()
        state.image.unlink(missing_ok=True)
    return ""


def main() -> None:
    """Run all checks below the folder that is given; with a socket too, the contract over the pool in the folder."""
    if len(sys.argv) > 2:
        run_contract(Path(sys.argv[1]), Path(sys.argv[2]))
        return
    memory = Path(sys.argv[1]) / "memory"
    memory.mkdir()
    subprocess.run(("mount", "-t", "tmpfs", "-o", f"size={storage.MIB * 600}", "none", memory), check=True)
    print(json.dumps({name: run(check, memory / name) for name, check in CHECKS.items()}))


if __name__ == "__main__":
    main()
