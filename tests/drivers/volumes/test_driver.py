"""Volumes as directories: made once, never mistaken, deleted whole."""

import asyncio
import errno
import os
import shutil
from pathlib import Path

import msgspec
import pytest

from skerry.drivers.volumes import Identity, VolumesDriver
from skerry.drivers.volumes.pool import StatePool
from skerry.model.ids import Digest, VolumeId, volume_id
from skerry.model.observed import VolumeSeen
from skerry.plan.actions import CreateVolume, DeleteVolume, Outcome
from skerry.safe.files import write_durable
from skerry.safe.paths import RealDirectory

UID = 265_536
CREATE = CreateVolume(
    volume=volume_id("alpha", "shop", "data"), tenant="alpha", app="shop", name="data", uid_start=UID, born=3
)
DELETE = DeleteVolume(
    volume=CREATE.volume, tenant="alpha", app="shop", name="data", tombstone=Digest("sha256:" + "0" * 64)
)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="volumes belong to users of a tenant's range: needs root")


class Place:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.volume = folder / "alpha/shop/data"
        self.directory = RealDirectory.open_root(folder)
        self.driver = VolumesDriver(self.directory)

    def do(self, action: CreateVolume | DeleteVolume) -> Outcome:
        return asyncio.run(self.driver.perform(action))

    def see(self) -> tuple[VolumeSeen, ...]:
        seen = asyncio.run(self.driver.observe())
        assert seen.unavailable == ""
        return seen.volumes


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "volumes")


def test_a_volume_is_made_once_and_belongs_to_its_range(place: Place):
    assert place.do(CREATE).ok
    (seen,) = place.see()
    assert (seen.volume, seen.uid_start, seen.born, seen.strange) == (CREATE.volume, UID, 3, False)
    status = (place.volume / "data").stat()
    assert (status.st_uid, status.st_gid) == (UID, UID)
    assert place.volume.stat().st_uid == 0
    assert place.driver.data_path("alpha", "shop", "data") == str(place.volume / "data")


def test_making_it_again_changes_neither_data_nor_birth(place: Place):
    place.do(CREATE)
    (place.volume / "data/ledger").write_text("1")
    assert place.do(msgspec.structs.replace(CREATE, born=9)).ok
    assert place.see()[0].born == 3
    assert (place.volume / "data/ledger").read_text() == "1"
    assert place.do(msgspec.structs.replace(CREATE, uid_start=UID * 2)).code == "E-VOLUME"
    assert place.see()[0].uid_start == UID


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_one_that_was_half_made_is_no_volume_yet_and_is_made_whole(place: Place, steps: int):
    place.volume.mkdir(parents=True)
    if steps > 0:
        (place.volume / "data").mkdir()
    if steps > 1:
        (place.volume / "identity.new.1").write_bytes(b"skerry-file 1 ")
    assert place.see() == ()
    assert place.do(CREATE).ok
    assert place.see()[0].born == 3


def test_data_without_an_identity_are_strange_and_left_alone(place: Place):
    place.do(CREATE)
    (place.volume / "data/ledger").write_text("1")
    (place.volume / "identity").unlink()
    assert place.see()[0].strange
    assert place.do(CREATE).code == "E-VOLUME"
    assert (place.volume / "data/ledger").read_text() == "1"


def test_a_damaged_identity_is_strange_even_without_data(place: Place):
    place.do(CREATE)
    (place.volume / "identity").write_bytes(b"x")
    assert place.see()[0].strange
    assert place.do(CREATE).code == "E-VOLUME"


def test_swapped_directories_are_strange_and_not_taken_over(place: Place):
    other = msgspec.structs.replace(CREATE, volume=volume_id("alpha", "shop", "logs"), name="logs")
    place.do(CREATE)
    place.do(other)
    place.volume.rename(place.folder / "x")
    (place.folder / "alpha/shop/logs").rename(place.volume)
    (place.folder / "x").rename(place.folder / "alpha/shop/logs")
    assert [seen.strange for seen in place.see()] == [True, True]
    assert place.do(CREATE).code == "E-VOLUME"


def test_what_is_not_ours_below_the_root_does_not_blind_the_node(place: Place):
    place.do(CREATE)
    (place.folder / "lost+found").mkdir()
    (place.folder / "note").write_text("x")
    (place.folder / "alpha/readme.txt").write_text("x")
    (place.folder / "alpha/shop/link").symlink_to("/etc")
    assert [seen.volume for seen in place.see()] == [CREATE.volume]
    assert asyncio.run(place.driver.sweep()) is None


class Broken(RealDirectory):
    """A disk that answers nothing any more."""

    def names(self) -> list[str]:
        raise OSError(errno.EIO, "input/output error")

    def enter(self, name: str, *, create: bool = False) -> RealDirectory:
        raise OSError(errno.EIO, "input/output error")


class BrokenPool(StatePool):
    def __init__(self, folder: Path) -> None:
        super().__init__(RealDirectory.open_root(folder))
        self.folder = folder

    def enter(self) -> RealDirectory:
        return Broken.open_root(self.folder)

    def read(self) -> None:
        return None


def test_a_pool_that_broke_leaves_the_other_volumes_be(place: Place, tmp_path: Path):
    place.do(CREATE)
    place.driver = VolumesDriver(place.directory, pool=BrokenPool(tmp_path / "state"))
    assert [seen.volume for seen in place.see()] == [CREATE.volume]
    assert place.driver.data_path("alpha", "shop", "data") == str(place.volume / "data")
    asyncio.run(place.driver.sweep())
    # Whether the broken one has it nobody knows.
    other = msgspec.structs.replace(CREATE, volume=volume_id("alpha", "shop", "logs"), name="logs")
    assert place.do(other).code == "E-DISK"
    verdict, detail, _ = place.driver.diagnose()
    assert (verdict, "input/output" in detail) == ("bad", True)
    place.driver = VolumesDriver(Broken.open_root(place.folder))
    assert "input/output" in asyncio.run(place.driver.observe()).unavailable


def test_deleting_removes_everything_and_twice_is_fine(place: Place):
    place.do(CREATE)
    (place.volume / "data/deep/er").mkdir(parents=True)
    (place.volume / "data/deep/way-out").symlink_to(place.folder.parent)
    assert place.do(DELETE).ok
    assert place.do(DELETE).ok
    assert place.see() == ()
    assert list((place.folder / "alpha/shop").iterdir()) == []
    assert place.folder.parent.is_dir()


def test_the_rest_of_an_interrupted_deletion_is_swept(place: Place):
    place.do(CREATE)
    (place.volume / "data/ledger").write_text("1")
    place.volume.rename(place.volume.with_name("data.gone"))
    assert place.see() == ()
    asyncio.run(place.driver.sweep())
    assert list((place.folder / "alpha/shop").iterdir()) == []


def test_a_name_used_again_during_a_deletion_loses_nothing(place: Place):
    place.do(CREATE)
    place.volume.rename(place.volume.with_name("data.gone"))
    assert place.do(msgspec.structs.replace(CREATE, born=7)).ok
    (place.volume / "data/new").write_text("1")
    asyncio.run(place.driver.sweep())
    assert (place.volume / "data/new").read_text() == "1"
    assert place.see()[0].born == 7


def test_an_identity_says_who_it_is_whatever_the_directory_is_called(place: Place):
    place.volume.mkdir(parents=True)
    directory = RealDirectory.open_root(place.volume)
    liar = Identity(tenant="beta", app="shop", name="data", uid_start=UID, born=1)
    write_durable(directory, "identity", msgspec.json.encode(liar))
    (seen,) = place.see()
    assert (seen.strange, seen.uid_start) == (True, 0)


def test_names_that_would_leave_the_root_are_refused(place: Place):
    shutil.rmtree(place.folder)
    place = Place(place.folder)
    for name in ("..", "a/b", ".hidden", "", "UPPER"):
        with pytest.raises(Exception, match="not a name"):
            place.do(msgspec.structs.replace(CREATE, name=name))
    assert list(place.folder.iterdir()) in ([], [place.folder / "alpha"])


def measure(place: Place) -> dict[VolumeId, int]:
    turn = asyncio.run(place.driver.measure(10_000))
    assert turn.ended
    return turn.sizes


def test_the_room_that_data_takes_is_counted_without_following_links_or_endless_folders(place: Place, tmp_path: Path):
    place.do(CREATE)
    data = place.volume / "data"
    empty = measure(place)[CREATE.volume]
    (data / "sub").mkdir()
    (data / "sub/file").write_bytes(bytes(1 << 20))
    (tmp_path / "elsewhere").write_bytes(bytes(8 << 20))
    (data / "link").symlink_to(tmp_path / "elsewhere")
    (data / "loop").symlink_to(data)
    deep = data
    for _ in range(200):
        deep /= "d"
        deep.mkdir()
    (deep / "far").write_bytes(bytes(8 << 20))
    measured = measure(place)[CREATE.volume]
    assert 1 << 20 <= measured - empty < 4 << 20


def test_a_strange_volume_is_not_measured(place: Place):
    place.do(CREATE)
    (place.volume / "identity").unlink()
    assert measure(place) == {}


def test_a_round_is_measured_in_turns_of_so_many_entries_and_then_begins_anew(place: Place):
    place.do(CREATE)
    place.do(msgspec.structs.replace(CREATE, volume=volume_id("alpha", "shop", "more"), name="more"))
    for number in range(10):
        (place.volume / f"data/{number}").write_bytes(bytes(4096))
    whole = measure(place)
    assert set(whole) == {CREATE.volume, "alpha/shop/more"}
    turns = [asyncio.run(place.driver.measure(4)) for _ in range(4)]
    assert [turn.ended for turn in turns] == [False, False, False, True]
    assert {name: size for turn in turns for name, size in turn.sizes.items()} == whole
    assert measure(place) == whole


def test_a_tree_that_vanishes_between_two_turns_is_left_out(place: Place):
    place.do(CREATE)
    for number in range(10):
        (place.volume / f"data/{number}").mkdir()
    assert not asyncio.run(place.driver.measure(3)).sizes
    shutil.rmtree(place.volume)
    turn = asyncio.run(place.driver.measure(100))
    assert turn.ended
    assert measure(place) == {}
