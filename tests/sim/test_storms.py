"""Storms: a few seeds, the same twice and under another hash seed, and what they must notice."""

import ast
import os
import subprocess
import sys

import pytest

from skerry.clock import SeededMint
from skerry.sim.loop import SimLoop
from skerry.sim.storms import Storm, run_storm


@pytest.mark.sim
@pytest.mark.parametrize("seed", [101, 102, 103])
def test_seeds_break_nothing(seed):
    result = run_storm(seed)
    assert result.breaks == ()
    assert result.site_hours > 0
    assert sum(result.faults.values()) > 0


def find_seed(*, on_disk: bool) -> int:
    """The first seed whose sites keep their files on simulated disks, or in memory."""
    for seed in range(1, 200):
        if draw_storm(seed).world.on_disk == on_disk:
            return seed
    raise AssertionError("no such seed")


def draw_storm(seed: int) -> Storm:
    mint = SeededMint(f"storm {seed}")
    loop = SimLoop(mint.split("loop"))
    try:
        return Storm(seed, loop, mint)
    finally:
        loop.close()


@pytest.mark.sim
def test_the_same_seed_in_memory_and_on_disks_breaks_nothing_and_gives_the_same_trace_whatever_the_hash_seed():
    seeds = (find_seed(on_disk=False), find_seed(on_disk=True))
    code = (
        f"from skerry.sim.storms import run_storm; results = map(run_storm, {seeds}); "
        "print([(each.trace_hash, each.on_disk, len(each.breaks)) for each in results])"
    )
    told = []
    for hash_seed in ("1", "77"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=True,
            timeout=120,
        )
        told.append(ast.literal_eval(done.stdout.decode()))
    assert told[0] == told[1]
    assert [(on_disk, breaks) for _, on_disk, breaks in told[0]] == [(False, 0), (True, 0)]
    assert len({trace_hash for trace_hash, _, _ in told[0]}) == 2
