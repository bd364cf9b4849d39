"""The driver of a node's relay over processes; the program itself has tests of its own (tests/link, tests/e2e)."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest
from tests.contract import relay

from skerry.drivers.relay import RelayDriver
from skerry.plan.actions import DropOverlayKey

#: Has the words of the relay, writes its id as the relay does, and waits.
PROGRAM = ("sh", "-c", 'echo $$ > "$6"; while :; do sleep 1; done', "relay")


class ProcessRig:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.driver = self.make_next()

    def make_next(self) -> RelayDriver:
        return RelayDriver(self.folder, program=PROGRAM)

    def kill(self) -> None:
        pid = int((self.folder / "relay.pid").read_text())
        os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                os.sched_yield()  # it ends a moment later


@pytest.fixture
def rig(tmp_path: Path):
    made = ProcessRig(tmp_path / "relay")
    yield made
    asyncio.run(made.driver.perform(relay.wish()))


@pytest.mark.parametrize("name", relay.CHECKS)
def test_a_process_keeps_the_contract(rig: ProcessRig, name: str):
    asyncio.run(relay.CHECKS[name](rig))


def test_what_it_tells_is_passed_on(rig: ProcessRig):
    async def main() -> None:
        await relay.do(rig.driver, relay.wish(1))
        seen = rig.folder / "relay.seen.json"
        seen.write_text(
            '{"taken": [53002], "pairs": [{"sites": ["a", "b"], "passed_bytes": 7, "refused": 1, "crowded": 0}]}'
        )
        told = await relay.see(rig.driver)
        assert told.taken == (53_002,)
        assert [each.passed_bytes for each in told.pairs] == [7]
        seen.write_text("what?")
        assert (await relay.see(rig.driver)).pairs == ()

    asyncio.run(main())


def test_a_number_that_is_another_process_by_now_is_not_the_relay(rig: ProcessRig):
    async def main() -> None:
        await relay.do(rig.driver, relay.wish(1))
        rig.kill()
        (rig.folder / "relay.pid").write_text(str(os.getpid()))
        assert (await relay.see(rig.driver)).digest == ""

    asyncio.run(main())


def test_a_program_that_is_not_there_is_an_outcome(tmp_path: Path):
    async def run(*words: str, given: bytes = b"") -> tuple[int, bytes]:
        return 127, b"setpriv: not found"

    outcome = asyncio.run(RelayDriver(tmp_path / "relay", run).perform(relay.wish(1)))
    assert (outcome.code, "setpriv" in outcome.reason) == ("E-RELAY", True)
    assert asyncio.run(RelayDriver(tmp_path / "relay").perform(DropOverlayKey(number=1))).code == "E-DRIVER"
