"""The driver where its programs are missing or refuse; that they do is tested with the real ones (tests/e2e)."""

import asyncio
from pathlib import Path

import pytest
from tests.contract.entrance import HOST, entrance, server

from skerry.clock import SystemClock
from skerry.drivers.entrance import EntranceDriver
from skerry.model.ids import Digest
from skerry.model.observed import EntranceSeen
from skerry.plan.actions import DropOverlayKey
from skerry.safe.paths import RealDirectory


class Programs:
    """Programs that answer as told."""

    def __init__(self, code: int, output: bytes = b"") -> None:
        self.code, self.output = code, output
        self.calls: list[tuple[str, ...]] = []

    async def __call__(self, *words: str, given: bytes = b"") -> tuple[int, bytes]:
        self.calls.append(words)
        return self.code, self.output


def make(folder: Path, programs: Programs) -> EntranceDriver:
    (folder / "state").mkdir(exist_ok=True)

    def open_secret(version: Digest) -> bytes:
        raise OSError(f"{version} is not held")

    return EntranceDriver(
        folder / "run", RealDirectory.open_root(folder / "state"), open_secret, SystemClock(), programs
    )


def test_a_node_without_an_entrance_starts_no_program(tmp_path: Path):
    programs = Programs(0)
    seen = asyncio.run(make(tmp_path, programs).observe()).entrance
    assert seen == EntranceSeen()
    assert programs.calls == []
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("code", "said", "wanted"),
    [
        (127, b"", "haproxy is not installed on this node, so nothing leads people in"),
        (1, b"[ALERT] no\n", "haproxy does not start: [ALERT] no"),
    ],
)
def test_a_program_that_does_not_start_is_told_and_nothing_is_taken_for_done(
    tmp_path: Path, code: int, said: bytes, wanted: str
):
    driver = make(tmp_path, Programs(code, said))
    outcome = asyncio.run(driver.perform(entrance(server(1))))
    assert (outcome.ok, outcome.code, outcome.reason) == (False, "E-ENTRANCE", wanted)
    assert asyncio.run(driver.observe()).entrance == EntranceSeen(left=True)
    # Also to the next agent, which takes it back whole where nothing is wished any more.
    programs = Programs(0)
    driver = make(tmp_path, programs)
    assert asyncio.run(driver.observe()).entrance == EntranceSeen(left=True)
    assert asyncio.run(driver.perform(entrance(routes=(), backends=()))).ok
    assert asyncio.run(driver.observe()).entrance == EntranceSeen()
    assert [words[0] for words in programs.calls] == ["nft"]
    assert [path.name for path in (tmp_path / "run").iterdir()] == []


def test_who_holds_a_place_is_known_after_the_power_was_off(tmp_path: Path):
    driver = make(tmp_path, Programs(0))
    assert asyncio.run(driver.perform(entrance(server(1)))).ok
    for path in (tmp_path / "run").iterdir():
        path.unlink()
    seen = asyncio.run(make(tmp_path, Programs(0)).observe()).entrance
    assert seen == EntranceSeen(holders={f"http/{HOST}/": "t/shop/web"})


def test_other_actions_are_not_its_own(tmp_path: Path):
    outcome = asyncio.run(make(tmp_path, Programs(0)).perform(DropOverlayKey(number=1)))
    assert outcome.code == "E-DRIVER"
