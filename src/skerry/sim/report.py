"""What many seeds came to: figures for a machine, and the same as a page for people, of which no word is typed.

Neighbours: ``storms.py`` runs a seed, ``__main__.py`` runs many.
"""

import collections
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from skerry.sim import answers, bonds, detours, endings, lockouts, policies
from skerry.sim.checkers import CALM_CHECKS, STATE_CHECKS
from skerry.sim.crossing import check_i27_packets_stay_in_their_network
from skerry.sim.effects import EFFECT_CHECKS, name_of
from skerry.sim.storms import StormResult

#: Lines of the story that a failing seed keeps.
TAIL = 40
#: Looked for after healing, by ``Weather.converge`` and in the loneliness before it.
_AT_THE_END = {
    "I18": "A site without WAN keeps every wanted instance running through any number of reboots.",
    "I22": "Every site reaches the newest deliverable document.",
    "I23": "Every site reconnects.",
    "I24": "No object stays in progress for ever.",
    "I25": "Poison objects delay others by at most one reconcile period.",
    "I26": "After healing the core's picture equals the sites' facts, field by field.",
}
#: Judged from what the core tells of its decisions.
_OF_DECISIONS = {
    "I37": "Room is taken only by a higher priority of the same tenant, of what its owner calls preemptible.",
}
#: Judged from the record of the run alone.
_BY_HISTORY = ("I1", "I2", "I3", "I5", "I8", "I11", "I34")


class Figures:
    """Sums over the seeds of one run."""

    def __init__(self, first_seed: int, asked: int) -> None:
        self.first_seed = first_seed
        #: Seeds that were asked for: more than ran when the run was ended early.
        self.asked = asked
        self.seeds = 0
        self.disk_seeds = 0
        self.site_hours = 0.0
        self.cpu_seconds = 0.0
        self.faults: collections.Counter[str] = collections.Counter()
        #: How many seeds said each word of a manifest.
        self.words: collections.Counter[str] = collections.Counter()
        self.breaks: list[dict[str, int | str | list[str]]] = []

    def add(self, result: StormResult) -> None:
        """Take in one seed."""
        self.seeds += 1
        self.disk_seeds += result.on_disk
        self.site_hours += result.site_hours
        self.cpu_seconds += result.cpu_seconds
        self.faults.update(result.faults)
        self.words.update(result.words)
        story = list(result.story[-TAIL:])
        self.breaks += [
            {"seed": result.seed, "invariant": found.invariant, "detail": found.detail, "story": story}
            for found in result.breaks
        ]

    def as_json(self) -> dict[str, Any]:
        """Return the figures as they are kept."""
        return {
            "seeds": self.seeds,
            "asked": self.asked,
            "first_seed": self.first_seed,
            "disk_seeds": self.disk_seeds,
            "breaks": self.breaks,
            "site_hours": round(self.site_hours, 1),
            "faults": dict(sorted(self.faults.items())),
            "words": dict(sorted(self.words.items())),
            "cpu_seconds": round(self.cpu_seconds, 1),
        }

    def list_words(self) -> list[str]:
        """Return a line for each word of manifests that owners said: in how many of a hundred worlds, and the word."""
        return [f"{100 * count / self.seeds:5.1f} %  {word}" for word, count in sorted(self.words.items())]

    def __str__(self) -> str:
        return (
            f"{self.seeds} seeds from {self.first_seed}: {len(self.breaks)} breaks, {self.site_hours:.0f} site-hours, "
            f"{self.faults.total()} faults of {len(self.faults)} kinds, {self.cpu_seconds:.0f} CPU-seconds"
        )


def list_invariants() -> dict[str, tuple[str, str]]:
    """Return what is checked: id to the invariant's sentence and when it is looked for."""
    found: dict[str, tuple[str, str]] = {}

    def note(check: Callable[..., object], when: str) -> None:
        name = name_of(check)
        sentence = (inspect.getdoc(check) or "").splitlines()[0]
        before = found.get(name, (sentence, ""))
        found[name] = (before[0], ", ".join(part for part in (before[1], when) if part))

    for check in (*EFFECT_CHECKS, *policies.EFFECT_CHECKS, *endings.EFFECT_CHECKS, *detours.EFFECT_CHECKS):
        note(check, "before each effect")
    networks = (check_i27_packets_stay_in_their_network, *bonds.CHECKS, *answers.CHECKS)
    ways = (detours.check_i48_no_packet_passes_a_step_by, lockouts.check_i49_no_wish_cuts_a_site_off)
    for check in (*STATE_CHECKS, *networks, *ways):
        note(check, "at each step")
    for check in CALM_CHECKS:
        note(check, "at the end")
    for name, sentence in _AT_THE_END.items():
        before = found.get(name, (sentence, ""))
        found[name] = (before[0], ", ".join(part for part in (before[1], "after healing") if part))
    for name, sentence in _OF_DECISIONS.items():
        found[name] = (sentence, "at each decision of the core")
    for name in _BY_HISTORY:
        before = found.get(name, ("An evil site cannot change the core's record of another site.", ""))
        found[name] = (before[0], ", ".join(part for part in (before[1], "by the record alone") if part))
    return dict(sorted(found.items(), key=lambda item: int(item[0][1:])))


def write_page(figures: Figures, command: Sequence[str]) -> str:
    """Return the page for docs/results."""
    lines = [
        "# Simulation",
        "",
        "Worlds drawn from seeds: the real core and real agents on simulated time, networks, disks and machines. Each",
        "world is stormed on, then every site is cut off and rebooted, then all is healed and must be as wished.",
        "Written by the command below; nothing here is typed by hand.",
        "",
        f"    {' '.join(command)}",
        "",
        f"* **Worlds:** {figures.seeds} of {figures.asked} asked for, from seed {figures.first_seed}; in",
        f"  {figures.disk_seeds} of them sites keep their files on simulated disks that power cuts tear.",
        f"* **Site-hours:** {figures.site_hours:,.0f}, in {figures.cpu_seconds:,.0f} CPU-seconds.",
        f"* **Faults:** {figures.faults.total():,} of {len(figures.faults)} kinds.",
        f"* **Broken invariants:** {len(figures.breaks)}.",
        "",
    ]
    if figures.breaks:
        lines += ["| Seed | Invariant | What |", "|---|---|---|"]
        lines += [f"| {each['seed']} | {each['invariant']} | {each['detail']} |" for each in figures.breaks]
        lines.append("")
    lines += ["## Faults by kind", "", "| Kind | Times |", "|---|---|"]
    lines += [f"| {kind} | {count} |" for kind, count in sorted(figures.faults.items())]
    lines += ["", "## Words of manifests that owners said", "", "| Word | Worlds |", "|---|---|"]
    lines += [f"| `{word}` | {count} |" for word, count in sorted(figures.words.items())]
    lines += ["", "## Invariants checked", "", "| Id | What | When |", "|---|---|---|"]
    lines += [f"| {name} | {sentence} | {when} |" for name, (sentence, when) in list_invariants().items()]
    return "\n".join(lines) + "\n"
