"""Power cuts of every store on each change, and proof that the harness fails when it should."""

import msgspec
import pytest
from tests.powercut import run
from tests.powercut.file_states import SCRIPTS, HastyDirectory, Script, play
from tests.powercut.harness import Workload, run_cuts
from tests.powercut.sample import SampleWorkload
from tests.powercut.workloads import MISTAKES, WORKLOADS

#: Cuts of each store in CI; `./dev long` does thousands.
CUTS = 200


@pytest.mark.powercut
@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_no_acknowledged_work_is_lost(workload: Workload):
    report = run_cuts(workload, CUTS, seed=1)
    assert report.stories == []
    assert report.cuts == CUTS
    assert report.acknowledged > CUTS
    assert report.cuts_in_recovery > 0
    assert report.kills > 0


@pytest.mark.powercut
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_every_state_of_a_file_is_an_allowed_one(script: Script):
    found = play(script)
    assert found.violations == []
    assert found.states > 20


@pytest.mark.powercut
@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_harness_finds(mistake: str):
    assert MISTAKES[mistake](1) > 0


@pytest.mark.powercut
def test_the_harness_finds_bytes_that_were_not_synced():
    assert all(play(script, HastyDirectory).violations for script in SCRIPTS)


@pytest.mark.powercut
def test_a_seed_repeats_its_cuts_exactly():
    broken = SampleWorkload(synchronous="NORMAL")
    first, second = run_cuts(broken, 50, seed=7), run_cuts(broken, 50, seed=7)
    assert first.stories == second.stories
    assert run_cuts(broken, 50, seed=8).stories != first.stories


@pytest.mark.powercut
def test_the_command_writes_what_it_found(tmp_path, capsys):
    target = tmp_path / "cuts.json"
    assert run.main(["--cuts", "25", "--seed", "3", "--json", str(target)]) == 0
    written = msgspec.json.decode(target.read_bytes())
    assert written["holds"]
    assert [store["cuts"] for store in written["stores"]] == [25] * len(WORKLOADS)
    assert "0 broken promises" in capsys.readouterr().out
