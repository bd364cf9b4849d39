"""Copies that stand in for those of a silent site (``replace-after``), and which of the two stays (``on-return``).

Silence is no proof of death, so only a service whose owner says that it bears two copies gets a second one, and never a
third: what stands in for another is not replaced itself. Both stay until the core hears the site of the original again
and the one that is to stay is well; then the other ends. Neighbour: ``stay.py`` lets go of it.
"""

from typing import Literal, NamedTuple

from msgspec import UNSET

from skerry.model.facts import InstanceFact
from skerry.model.policy import Autonomy, Policy
from skerry.plan.placement.request import Request
from skerry.plan.snapshot import SiteView

#: Which of the two ends.
Ending = Literal["original", "replacement"]


def find_autonomy(request: Request) -> Autonomy:
    """Return what the owner of a service wishes of sites that are cut off."""
    return (request.wish.policy or Policy()).autonomy


def wait_us(request: Request, view: SiteView) -> int | None:
    """Say in how long a copy at ``view`` is replaced, 0 for now; None where it is not, or its site is heard."""
    after_us = find_autonomy(request).replace_after_us
    if not after_us or request.wish.placement.replicas.per_site:
        return None
    if view.learning or not view.silent or view.away_us is None:
        return None
    return max(0, after_us - view.away_us)


class Half(NamedTuple):
    """One copy of a pair: where it is, whether its site says that it is well, and what else it says of it."""

    view: SiteView
    is_up: bool
    fact: InstanceFact | None

    @property
    def is_heard(self) -> bool:
        """Its site is heard now."""
        return self.view.away_us is None and not self.view.silent and not self.view.learning

    @property
    def age_s(self) -> int | None:
        """For how long it has run; None where its site does not tell."""
        return self.fact.up_s if self.fact is not None and self.fact.up_s is not UNSET else None

    @property
    def runs(self) -> bool:
        """It runs now, well or not."""
        return self.age_s is not None or (self.fact is not None and self.fact.phase in ("ready", "unhealthy"))


def find_ending(request: Request, original: Half, replacement: Half) -> Ending | None:
    """Say which of a pair ends; None while both stay."""
    if not original.is_heard:
        return None
    match find_autonomy(request).on_return:
        case "keep-original":
            stays = original
        case "keep-replacement":
            stays = replacement
        case "newest" | "longest-running" as word:
            stays = _choose_by_age(word, original, replacement)
    if stays is None or not stays.is_up or not stays.is_heard:
        return None
    return "replacement" if stays is original else "original"


def _choose_by_age(word: Literal["newest", "longest-running"], original: Half, replacement: Half) -> Half | None:
    """Return the copy that has run for less or for more long; None while that is not known.

    What is compared are durations, each measured by the machine that the copy runs on (``plan/age.py``): the clocks of
    two sites, or of a site and the core, say nothing here. Of equals the one that stands in counts as the newer, for
    the core wished for it later.
    """
    if not (replacement.is_heard and original.view.facts_current and replacement.view.facts_current):
        return None
    running = [half for half in (original, replacement) if half.runs]
    if len(running) < 2:
        return running[0] if running else original
    original_s, replacement_s = original.age_s, replacement.age_s
    if original_s is None or replacement_s is None:
        return original  # an agent from before this word cannot tell
    is_newer = replacement_s <= original_s
    return replacement if is_newer == (word == "newest") else original
