"""The driver of tunnels where no kernel is needed to see what it does; tests/contract/overlay.py says the rest."""

import asyncio
import base64
from pathlib import Path

import msgspec
import pytest

from skerry.clock import SeededMint, SystemClock
from skerry.drivers.overlay import OverlayDriver
from skerry.drivers.overlay.wireguard import write_key
from skerry.keys.overlay import OverlayKeys
from skerry.model.ids import NodeName, SiteName, digest_of
from skerry.model.observed import OverlaySeen
from skerry.model.signed import OverlayKey
from skerry.plan.actions import ApplyOverlay, MakeOverlayKey, Outcome, Tunnel
from skerry.sim.disk import MemoryDisk
from skerry.trust.keys import SigningKey

WAY = Tunnel(1, False, SiteName("bergen"), b"1" * 32, "192.0.2.7:51822", ("10.64.2.64/26",))
LINK = "skw2: 0 0 0 0 0 0 0 0 0 7 0 0 0 0 0 0\n"


class Machine:
    """Answers programs by the beginning of their words; everything else succeeds and says nothing."""

    def __init__(self, **answers: tuple[int, bytes]) -> None:
        self.answers = answers
        self.ran: list[str] = []
        self.devices = ""

    async def run(self, *words: str, given: bytes = b"") -> tuple[int, bytes]:
        self.ran.append(" ".join(words))
        return next((answer for start, answer in self.answers.items() if " ".join(words).startswith(start)), (0, b""))

    def make_driver(self, disk: MemoryDisk | None = None) -> OverlayDriver:
        root = (disk or MemoryDisk()).root
        node = SiteName("oslo"), NodeName("n1")
        keys = OverlayKeys(
            root.enter("keys", create=True), SeededMint("m"), SigningKey.from_seed(b"d" * 32), lambda: node
        )
        return OverlayDriver(keys, root.enter("run", create=True), SystemClock(), 51820, self.run, lambda: self.devices)


async def look(driver: OverlayDriver) -> OverlaySeen:
    seen = (await driver.observe()).overlay
    assert seen is not None
    return seen


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with ``wg`` and ``ip`` and without wireguard-go."""
    for name in ("wg", "ip"):
        (tmp_path / name).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_a_node_without_tunnels_runs_no_process(tools: Path):
    (tools / "wireguard-go").touch(0o755)
    machine = Machine()
    seen = asyncio.run(look(machine.make_driver()))
    assert machine.ran == []
    assert (seen.mode, seen.tunnels, seen.digest) == ("wireguard-go", (), "")


def test_what_the_kernel_can_is_tried_and_leaves_no_link(tools: Path):
    machine = Machine()
    assert asyncio.run(look(machine.make_driver())).mode == "kernel"
    assert machine.ran == ["ip link add dev skw-probe type wireguard", "ip link delete dev skw-probe"]


@pytest.mark.parametrize("missing", ["wg", "wireguard-go"])
def test_what_is_missing_is_said(tools: Path, missing: str):
    (tools / missing).unlink(missing_ok=True)
    machine = Machine(**{"ip link add": (2, b"Error: Unknown device type.\n")})
    seen = asyncio.run(look(machine.make_driver()))
    assert seen.mode == ""
    assert missing in seen.reason


def test_before_it_has_a_key_nothing_is_applied(tools: Path):
    outcome = asyncio.run(Machine().make_driver().perform(ApplyOverlay(tunnels=(WAY,), digest=digest_of(b"x"))))
    assert outcome.code == "E-NETWORK"
    assert "key 1" in outcome.reason


def test_a_port_that_somebody_else_has_is_named(tools: Path):
    machine = Machine(**{"wg show": (0, b"(none)\t(none)\t4711\toff\n")})

    async def main() -> Outcome:
        driver = machine.make_driver()
        await driver.perform(MakeOverlayKey(number=1))
        return await driver.perform(ApplyOverlay(tunnels=(WAY,), digest=digest_of(b"x")))

    outcome = asyncio.run(main())
    assert outcome.code == "E-PORT-IN-USE"
    assert "51822" in outcome.reason


def test_links_that_nobody_remembers_are_told_as_unlike_what_was_applied(tools: Path):
    machine = Machine(**{"wg show": (0, b"(none)\t(none)\t4711\toff\n"), "ip -json": (0, b"[]")})
    machine.devices = LINK
    assert asyncio.run(look(machine.make_driver())).digest == "unlike"


def test_an_answer_that_nobody_understands_is_a_reason_and_no_end(tools: Path):
    machine = Machine(**{"ip -json": (0, b"what?")})
    machine.devices = LINK
    assert "nobody understands" in asyncio.run(look(machine.make_driver())).reason


def dump(own: bytes, received: int, sent: int) -> tuple[int, bytes]:
    """One interface with one peer at a relay, as ``wg`` tells it."""
    public, place = base64.b64encode(own).decode(), "203.0.113.1:4000"
    peer = f"{write_key(WAY.key)}\t(none)\t{place}\t{WAY.ranges[0]}\t0\t{received}\t{sent}\toff"
    return 0, f"(none)\t{public}\t51822\toff\n{peer}\n".encode()


@pytest.mark.parametrize(("received", "is_told"), [(0, True), (92, False)])
def test_a_peer_that_was_heard_after_the_look_keeps_its_place(tools: Path, received: int, is_told: bool):
    machine = Machine(**{"ip -json": (0, b"[]")})
    machine.devices = LINK

    async def main() -> None:
        driver = machine.make_driver()
        await driver.perform(MakeOverlayKey(number=1))
        (key,) = (await look(driver)).keys
        own = msgspec.json.decode(key.statement.payload, type=OverlayKey).key
        machine.answers["wg show"] = dump(own, 0, 0)
        first = msgspec.structs.replace(WAY, endpoint="203.0.113.1:4000")
        assert (await driver.perform(ApplyOverlay(tunnels=(first,), digest=digest_of(b"first")))).ok
        await look(driver)
        machine.ran.clear()
        machine.answers["wg show"] = dump(own, received, 148)
        assert (await driver.perform(ApplyOverlay(tunnels=(WAY,), digest=digest_of(b"next")))).ok

    asyncio.run(main())
    assert any(f"endpoint {WAY.endpoint}" in line for line in machine.ran) is is_told
