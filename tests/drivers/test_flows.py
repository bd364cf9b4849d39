"""Counters as nft's text, and what is made of nft's answers; that the kernel counts so is tested end to end."""

import asyncio
import shutil
import subprocess
from typing import Any

import msgspec
import pytest

from skerry.drivers.flows import FlowsDriver, write_flows
from skerry.model.ids import Digest
from skerry.model.observed import FlowsSeen
from skerry.plan.actions import ApplyFlows, ApplyRules
from skerry.plan.flows import network_counter, uplink_counter

BRIDGE = "sk0123456789ab"
ACTION = ApplyFlows(
    bridges=(BRIDGE,), devices=("eth0", "wwan0.5"), ports=(51_820, 51_823), digest=Digest(f"sha256:{'a' * 64}")
)
NEXT = msgspec.structs.replace(ACTION, bridges=(), ports=(0, 0), digest=Digest(f"sha256:{'b' * 64}"))


class Nft:
    """Answers as nft would, and keeps what it is told."""

    def __init__(self, listing: Any = None, code: int = 0) -> None:
        self.listing = b"No such file or directory" if listing is None else listing
        self.code = code
        self.told: list[str] = []

    async def run(self, *words: str, given: bytes = b"") -> tuple[int, bytes]:
        if words[:3] == ("nft", "-f", "-"):
            self.told.append(given.decode())
            return self.code, b"because"
        if isinstance(self.listing, bytes):
            return 1, self.listing
        return 0, msgspec.json.encode({"nftables": self.listing})


def listing(digit: str, *chains: str, **counts: int) -> list[dict[str, Any]]:
    names = [*chains, f"made_from_{digit * 64}"]
    counters = [{"counter": {"name": name, "packets": 1, "bytes": size}} for name, size in counts.items()]
    return [{"metainfo": {}}, *({"chain": {"name": name}} for name in names), *counters]


BASES = ("forward_before", "forward_after", "input_before", "input_after", "output_after")


def see(nft: Nft) -> FlowsSeen:
    seen = asyncio.run(FlowsDriver(nft.run).observe()).flows
    assert seen is not None
    return seen


def test_what_is_counted_is_told_with_what_it_was_made_from():
    assert see(Nft()) == FlowsSeen()
    seen = see(Nft(listing("a", *BASES, x=7)))
    assert (seen.digest, seen.counts) == (ACTION.digest, {"x": (1, 7)})
    # A table of which somebody took a chain is made again; what it counted counts.
    assert see(Nft(listing("a", *BASES[1:], x=7))) == FlowsSeen(counts={"x": (1, 7)})


@pytest.mark.parametrize("answer", [b"Operation not permitted", b""])
def test_who_cannot_count_says_why(answer: bytes):
    assert see(Nft(answer)).reason.startswith("nft does not say what it counts")


def test_nonsense_is_no_count():
    assert see(Nft([{"counter": {"name": "x"}}])).reason == "nft said what nobody understands"


def test_counters_that_stay_keep_their_count():
    kept = uplink_counter("eth0", "tunnels")
    nft = Nft(listing("a", *BASES, **{kept: 5, network_counter(BRIDGE, "left"): 9}))
    driver = FlowsDriver(nft.run)
    assert asyncio.run(driver.perform(NEXT)).ok
    (text,) = nft.told
    assert f"add counter inet skerry_flows {kept}\n" not in text
    assert f"delete counter inet skerry_flows {network_counter(BRIDGE, 'left')}\n" in text
    assert f"delete chain inet skerry_flows made_from_{'a' * 64}\n" in text
    assert "delete table" not in text


def test_nothing_to_count_is_no_table():
    assert write_flows(ApplyFlows(bridges=(), devices=(), ports=(0, 0), digest=Digest("")), (), "") == (
        "table inet skerry_flows {}\ndelete table inet skerry_flows\n"
    )


def test_what_nft_refuses_is_told():
    assert "because" in asyncio.run(FlowsDriver(Nft(code=1).run).perform(ACTION)).reason
    assert not asyncio.run(FlowsDriver(Nft(b"no").run).perform(ACTION)).ok
    other = ApplyRules(networks=(), digest=Digest(""))
    assert asyncio.run(FlowsDriver(Nft().run).perform(other)).code == "E-DRIVER"


@pytest.mark.skipif(shutil.which("nft") is None, reason="there is no nft here")
def test_nft_understands_it():
    text = write_flows(ACTION, (), "")
    done = subprocess.run(["nft", "-c", "-f", "-"], input=text, text=True, capture_output=True, check=False)
    assert done.returncode == 0 or "Operation not permitted" in done.stderr, done.stderr
