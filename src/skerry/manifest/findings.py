"""What reading a manifest brings to light: problems with their places, and how each field was taken.

One ``Findings`` goes through all stages. A stage asks ``is_sound`` before it looks into a field, so that one fault is
told once and not again by every later stage.
"""

from typing import Literal

import msgspec

from skerry.manifest.nodes import Mark, Place, Scalar
from skerry.model.errors import Problem
from skerry.model.grants import WORDS, Need, Profile, is_granted
from skerry.model.profile import DEFAULT, PROFILES

Verdict = Literal["honoured", "translated", "granted", "refused", "not-yet"]

#: The graver word stays when a field is judged twice.
_GRAVITY: dict[Verdict, int] = {"honoured": 0, "translated": 1, "granted": 2, "not-yet": 3, "refused": 4}


class FieldNote(msgspec.Struct, frozen=True):
    """How one field of the manifest was taken; ``detail`` says into what, or why not."""

    verdict: Verdict
    pointer: str
    detail: str
    file: str
    line: int
    column: int


class Findings:
    """Collects problems and notes; nothing is raised, so everything is found at once."""

    def __init__(self) -> None:
        self._problems: dict[Problem, None] = {}
        self._notes: dict[str, FieldNote] = {}
        self._unsound: set[str] = set()
        #: Profile that the app asks for.
        self.profile = DEFAULT
        #: What it grants where it is an operator's own, once for each way in which sites have it; None: not known.
        self.own: tuple[Profile, ...] | None = None

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Every problem, sorted by file, line and column."""
        order = sorted(self._problems, key=lambda one: (one.file, one.line, one.column, one.pointer, one.code))
        return tuple(order)

    @property
    def notes(self) -> tuple[FieldNote, ...]:
        """One note for each field, sorted by file, line and column."""
        return tuple(sorted(self._notes.values(), key=lambda one: (one.file, one.line, one.column, one.pointer)))

    def is_sound(self, place: Place) -> bool:
        """Say whether nothing was complained of at the place or below it."""
        return place.pointer not in self._unsound

    def add(self, problem: Problem) -> None:
        """Take a problem as it is."""
        self._problems[problem] = None
        pointer = problem.pointer
        self._unsound.add(pointer)
        while pointer:
            pointer = pointer.rpartition("/")[0]
            self._unsound.add(pointer)

    def complain(self, place: Place, code: str, detail: str, *, hint: str = "", at_key: bool = False) -> None:
        """Tell a problem of the value at ``place``, or of its key; silent where variables already failed."""
        if isinstance(place.node, Scalar) and not place.node.sound and code != "E-INTERPOLATION":
            return
        mark = _mark_of(place, at_key)
        problem = Problem(code, detail, place.pointer, mark.file, mark.line, mark.column, hint)
        self.add(problem)

    def refuse(self, place: Place, detail: str, *, hint: str = "") -> None:
        """Refuse a Compose field for good reason."""
        self.complain(place, "E-FIELD-REFUSED", detail, hint=hint, at_key=True)
        self.note(place, "refused", detail)

    def ask_grant(self, place: Place, need: Need) -> None:
        """Take what the app's profile grants, refuse the rest; an own profile that is not known is asked at apply."""
        if self.grants(need):
            self.note(place, "granted", f'by profile "{self.profile}"')
        elif self.own is None and self.profile not in PROFILES:
            self.note(place, "granted", f'where profile "{self.profile}" grants it, which the core is asked at apply')
        elif self.own is None:
            hint = "leave it out, or name a profile that grants it: skerry profile list"
            self.deny_grant(place, str(need), hint=hint)
        else:
            self.deny_grant(place, str(need), hint=f"ask the operator for {WORDS[need.field]} in that profile")

    def grants(self, need: Need) -> bool:
        """Say whether the app's own profile is known to grant a thing, at some site at least."""
        return any(is_granted(variant, need) for variant in self.own or ())

    def deny_grant(self, place: Place, what: str, *, hint: str) -> None:
        """Refuse what the app's profile does not grant."""
        self.refuse(place, f'profile "{self.profile}" does not grant "{what}"', hint=hint)

    def not_yet(self, place: Place, what: str, *, why: str = "", hint: str = "") -> None:
        """Refuse what Skerry knows and has not built; ``why`` says what stands in the way."""
        detail = f"{what} is not built yet" + (f": {why}" if why else "")
        self.complain(place, "E-NOT-YET", detail, hint=hint, at_key=True)
        self.note(place, "not-yet", detail)

    def note(self, place: Place, verdict: Verdict, detail: str = "") -> None:
        """Keep how a field was taken, for the report."""
        before = self._notes.get(place.pointer)
        if before is not None and _GRAVITY[before.verdict] > _GRAVITY[verdict]:
            return
        if before is not None and before.verdict == verdict and before.detail != detail:
            detail = "; ".join(filter(None, (before.detail, detail)))
        mark = _mark_of(place, at_key=True)
        self._notes[place.pointer] = FieldNote(verdict, place.pointer, detail, mark.file, mark.line, mark.column)


def _mark_of(place: Place, at_key: bool) -> Mark:
    is_empty = isinstance(place.node, Scalar) and place.node.plain and not place.node.text
    return place.key_mark if (at_key or is_empty) and place.key_mark is not None else place.node.mark
