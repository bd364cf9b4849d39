"""The stores under the harness, and the mistakes that it must find. A new store is one more line."""

from collections.abc import Callable

from tests.powercut.core import CORE
from tests.powercut.file_states import SCRIPTS, ForgetfulDirectory, play
from tests.powercut.harness import Workload, run_cuts
from tests.powercut.journal import JOURNAL
from tests.powercut.sample import SampleWorkload

WORKLOADS: tuple[Workload, ...] = (SampleWorkload(), JOURNAL, CORE)

#: Cuts within which a planted mistake must show; most show within ten.
CUTS_OF_A_MISTAKE = 50


def count_lost_by_normal(seed: int) -> int:
    """`synchronous=NORMAL` does not sync the log at each commit: acknowledged work is lost."""
    return run_cuts(SampleWorkload(synchronous="NORMAL"), CUTS_OF_A_MISTAKE, seed).violations


def count_lost_by_early_acknowledgement(seed: int) -> int:
    """Work that is acknowledged before its commit may never be committed."""
    return run_cuts(SampleWorkload(acknowledge_early=True), CUTS_OF_A_MISTAKE, seed).violations


def count_lost_by_missing_directory_sync(seed: int) -> int:
    """A file whose entry was never synced is lost, however well its bytes were."""
    return sum(len(play(script, ForgetfulDirectory).violations) for script in SCRIPTS)


#: A harness that stays green on any of these is broken, and so is the run (faults.md §4).
MISTAKES: dict[str, Callable[[int], int]] = {
    "synchronous=NORMAL": count_lost_by_normal,
    "acknowledged before the commit": count_lost_by_early_acknowledgement,
    "no sync of the directory": count_lost_by_missing_directory_sync,
}
