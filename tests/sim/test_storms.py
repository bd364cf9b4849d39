"""Storms: a few seeds, the same twice and under another hash seed, and what they must notice."""

import ast
import subprocess
import sys

import pytest

from skerry.sim.storms import run_storm


@pytest.mark.sim
@pytest.mark.parametrize("seed", [101, 102, 103])
def test_seeds_break_nothing(seed):
    result = run_storm(seed)
    assert result.breaks == ()
    assert result.site_hours > 0
    assert sum(result.faults.values()) > 0


@pytest.mark.sim
def test_the_same_seed_gives_the_same_trace_whatever_the_hash_seed():
    code = "from skerry.sim.storms import run_storm; print([run_storm(seed).trace_hash for seed in (3, 4)])"
    hashes = []
    for hash_seed in ("1", "77"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
            timeout=120,
        )
        hashes.append(ast.literal_eval(done.stdout.decode()))
    assert hashes[0] == hashes[1]
    assert len(set(hashes[0])) == 2
