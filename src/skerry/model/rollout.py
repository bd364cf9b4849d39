"""How a new revision comes to the sites of an app: the signed words of ``x-skerry.rollout`` (manifest.md §6.4).

Part of the revision that its tenant signs, so a core can neither hurry a rollout past a site's health gate nor send a
site back where the tenant has not allowed it. Without these words a revision goes to all chosen sites at once.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

#: Minutes of a day.
DAY_MIN = 1_440


class Share(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", omit_defaults=True):
    """A number of sites, or so many thousandths of all of them; one of the two is above 0, or both are 0 for none."""

    sites: int = 0
    permille: int = 0

    def of(self, total: int) -> int:
        """Return how many of ``total`` sites this is, rounded up, so that a share of some is at least one."""
        return min(total, self.sites or -(-self.permille * total // 1000))

    def at_most(self, total: int) -> int:
        """Return how many of ``total`` sites this allows, rounded down, so that a share of few allows none."""
        return min(total, self.sites or self.permille * total // 1000)


class Gate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", omit_defaults=True):
    """A site's health gate: every service well for ``healthy_us`` without a break, before ``timeout_us`` are over.

    Both are counted from the moment at which the site has what the revision needs, images above all: a slow link is no
    fault of a revision.
    """

    healthy_us: int = 120_000_000
    timeout_us: int = 600_000_000


class TimeWindow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", omit_defaults=True):
    """A time of the day at which a site may begin with a revision, in minutes after midnight.

    One that ends before it begins goes on into the next day; ``days`` are those on which it begins.
    """

    start_min: int
    end_min: int
    #: Days of the week from 0 for Monday; empty for each.
    days: tuple[int, ...] = ()
    zone: Literal["site-local", "utc"] = "site-local"


class InSite(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", omit_defaults=True):
    """In which order the copies of a service are changed at one site."""

    #: ``start-first``: the old copy is stopped when the new one is well, where nothing is in the way of two.
    order: Literal["stop-first", "start-first"] = "stop-first"
    #: Copies of a service under change at once.
    parallel: int = 1
    #: How long a changed copy must have been well before it counts as changed.
    settle_us: int = 0
    #: Thousandths of a service's copies at the site that may fail without holding up the others.
    failed_permille: int = 0


class Rollout(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """The rollout that a tenant signed."""

    #: First sites; none of them may fail.
    canary: Share = Share(sites=1)
    #: Selectors of the canary sites; where given they are the canary, and ``canary`` says nothing.
    canary_sites: tuple[str, ...] = ()
    #: How long the canary must have stood before the first wave.
    bake_us: int = 600_000_000
    #: Sizes after the canary, cumulative and rising; the last wave is everybody, whatever it says.
    waves: tuple[Share, ...] = (Share(permille=100), Share(permille=500), Share(permille=1000))
    #: The only size is that of every wave, and there are as many waves as that takes.
    repeats: bool = False
    #: Share of the sites that count so far that may fail.
    max_failed: Share = Share(permille=20)
    on_failure: Literal["rollback", "pause", "continue"] = "rollback"
    gate: Gate = Gate()
    #: After what the rollout waits for a person.
    approve: Literal["none", "canary", "each-wave"] = "none"
    #: ``skip``: sites that are cut off do not count and hold nothing up.
    offline_sites: Literal["skip", "wait"] = "skip"
    #: Sites that still wait fetch the images already.
    prefetch: bool = True
    #: When a site may begin, by its own trust clock; left out for always.
    windows: tuple[TimeWindow, ...] | UnsetType = UNSET
    #: Left out where nothing is said: then all copies at a site change at once, each stopped before it is started.
    in_site: InSite | UnsetType = UNSET

    def count_waves(self, total: int) -> int:
        """Return how many waves bring the revision to ``total`` sites; at least one."""
        return max(1, -(-total // max(1, self.waves[0].of(total)))) if self.repeats else len(self.waves)

    def size_of(self, stage: int, total: int) -> int:
        """Return at how many of ``total`` sites a stage ends; stage 0 is the canary."""
        if stage == 0:
            return self.canary.of(total)
        return min(total, stage * self.waves[0].of(total)) if self.repeats else self.waves[stage - 1].of(total)
