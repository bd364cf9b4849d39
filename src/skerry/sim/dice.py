"""Dice: draws from a stream of their own, so that one more draw here moves none elsewhere."""

from collections.abc import Sequence
from typing import TypeVar

from skerry.clock import SeededMint

T = TypeVar("T")


class Dice:
    """Draws from one stream."""

    def __init__(self, mint: SeededMint) -> None:
        self._mint = mint

    def unit(self) -> float:
        """A number in [0, 1)."""
        return self._mint.uniform()

    def below(self, count: int) -> int:
        """A whole number below ``count``."""
        return int(self._mint.uniform() * count)

    def pick(self, choices: Sequence[T]) -> T:
        """One of them."""
        return choices[self.below(len(choices))]

    def chance(self, probability: float) -> bool:
        """Say yes so often."""
        return self._mint.uniform() < probability
