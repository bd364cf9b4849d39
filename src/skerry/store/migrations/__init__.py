"""Steps that bring a store of any older schema number to the present one, in order; steps are only ever appended.

Each runs in a transaction of its own that also raises the number, so an interrupted one has simply not happened
(faults.md U4). A store with a higher number than there are steps is refused by whoever opens it. One step serves both
databases (``step.py``).
"""

from skerry.safe.sqlite import Options
from skerry.store.migrations import (
    m0001_spine,
    m0002_rollouts,
    m0003_answers,
    m0004_cordons,
    m0005_people,
    m0006_definitions,
    m0007_seen_from,
)
from skerry.store.migrations.step import Step

STEPS: tuple[Step, ...] = (
    m0001_spine.STEP,
    m0002_rollouts.STEP,
    m0003_answers.STEP,
    m0004_cordons.STEP,
    m0005_people.STEP,
    m0006_definitions.STEP,
    m0007_seen_from.STEP,
)


def core_options(steps: tuple[Step, ...]) -> Options:
    """Say how a core's SQLite file with these steps is kept: everything in it may have been acknowledged."""
    return Options(
        migrations=tuple(step.migration() for step in steps),
        reversals=tuple(step.reversal() for step in steps),
        synchronous="FULL",
    )


#: How ``core.db`` is kept.
CORE_OPTIONS = core_options(STEPS)
