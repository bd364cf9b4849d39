"""How long a site that is cut off gives secrets to instances that it starts (manifest.md §6.7). Pure.

What runs keeps what it was given: only starts wait. Time is counted as for autonomy (``autonomy.py``).
"""

from collections.abc import Mapping

import msgspec

from skerry.model.app import AppRevision
from skerry.model.ids import InstanceId, SecretName
from skerry.plan.instances import Wanted


class Withheld(msgspec.Struct, frozen=True, kw_only=True):
    """What follows for the instances of a node."""

    #: Instances that are not to be started now, each with the reason.
    reasons: dict[InstanceId, str] = {}
    #: Time away in microseconds after which that changes; 0 for never.
    next_us: int = 0


def read_limits(revision: AppRevision) -> dict[SecretName, int]:
    """Return the secrets that a site cut off does not give out for ever, each with its time in microseconds."""
    return {
        use.name: use.policy.max_offline_us
        for use in revision.secrets.values()
        if use.policy and use.policy.max_offline_us
    }


def judge_secrets(wanted: Mapping[InstanceId, Wanted], away_us: int) -> Withheld:
    """Say which starts wait; ``away_us`` is how long the parent has been away, 0 while it is heard."""
    reasons: dict[InstanceId, str] = {}
    ahead: list[int] = []
    for name in sorted(wanted):
        item = wanted[name]
        for secret in item.derived.spec.secrets:
            limit_us = item.secret_limits.get(secret.name)
            if limit_us is None:
                continue
            if away_us < limit_us:
                ahead.append(limit_us)
            else:
                reasons.setdefault(name, f"secret {secret.name} is not given out by a site cut off for so long")
    return Withheld(reasons=reasons, next_us=min(ahead, default=0))
