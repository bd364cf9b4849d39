"""For how long a copy has run, as its site tells it. Pure.

The clocks of two sites are never compared: each site measures by the boot-time clock of its own machine, and what is
told is a duration. It is told to an eighth, so that a copy that runs for a year is told of some 150 times and not with
each look.
"""

from collections.abc import Iterable

import msgspec

from skerry.model.facts import InstanceFact
from skerry.model.observed import ContainerSeen
from skerry.model.policy import Autonomy, Policy
from skerry.plan.history import History
from skerry.plan.instances import Wanted

_SECOND_US = 1_000_000
#: What is younger is told as 0: a restart loop would cost a message each time.
_TOLD_S_MIN = 64
#: Each doubling is told in so many steps, as a power of two.
_STEP_BITS = 3


def compares_ages(autonomy: Autonomy) -> bool:
    """Say whether an owner has two copies compared by how long they have run."""
    return bool(autonomy.replace_after_us) and autonomy.on_return in ("newest", "longest-running")


def round_age(seconds: int) -> tuple[int, int]:
    """Return what is told of an age in seconds, and the age at which something else is told."""
    if seconds < _TOLD_S_MIN:
        return 0, _TOLD_S_MIN
    step = 1 << (seconds.bit_length() - 1 - _STEP_BITS)
    told = seconds // step * step
    return told, told + step


def tell_age(
    fact: InstanceFact, item: Wanted, containers: Iterable[ContainerSeen], history: History, now_us: int
) -> tuple[InstanceFact, int]:
    """Return the fact with the age of what runs, where anybody asks, and the boot time of its change; 0 for never."""
    running = [seen for seen in containers if seen.instance == fact.instance and seen.state == "running"]
    if not running or not compares_ages((item.policy or Policy()).autonomy):
        return fact, 0
    seen = next((each for each in running if each.spec == item.derived.digest), running[0])
    began_us = seen.began_us
    run = history.runs.get(fact.instance)
    if not began_us and run is not None and run.container == seen.container:
        began_us = run.since_us
    if not 0 < began_us <= now_us:
        return msgspec.structs.replace(fact, up_s=0), 0
    told_s, next_s = round_age((now_us - began_us) // _SECOND_US)
    return msgspec.structs.replace(fact, up_s=told_s), began_us + next_s * _SECOND_US
