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
def test_a_seed_on_disks_breaks_nothing():
    result = run_storm(find_seed(on_disk=True))
    assert result.on_disk
    assert result.breaks == ()


@pytest.mark.sim
def test_the_same_seed_gives_the_same_trace_whatever_the_hash_seed():
    seeds = (find_seed(on_disk=False), find_seed(on_disk=True))
    code = f"from skerry.sim.storms import run_storm; print([run_storm(seed).trace_hash for seed in {seeds}])"
    hashes = []
    for hash_seed in ("1", "77"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=True,
            timeout=120,
        )
        hashes.append(ast.literal_eval(done.stdout.decode()))
    assert hashes[0] == hashes[1]
    assert len(set(hashes[0])) == 2
