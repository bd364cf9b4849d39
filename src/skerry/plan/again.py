"""Results of pure functions that were asked for before: a pass after which nothing has changed derives nothing anew.

Rules: (1) a result is given again only for arguments that are equal to those it was made for; that costs little where
they are the same objects, as they mostly are; (2) arguments and results are values that nobody changes; (3) only so
many are kept, the ones asked for last.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Again(Generic[T]):
    """The newest result under each name, for the ``most`` names that were asked for last."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[Hashable, tuple[tuple[Any, ...], T]] = OrderedDict()

    def get(self, name: Hashable, arguments: tuple[Any, ...], make: Callable[[], T]) -> T:
        """Return what ``make`` makes of ``arguments``, which are all that it reads."""
        known = self._known.pop(name, None)
        if known is None or known[0] != arguments:
            known = arguments, make()
        self._known[name] = known
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return known[1]
