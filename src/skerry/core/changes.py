"""Which objects changed lately, for screens that follow: names and rising numbers in memory, never the news itself.

Whoever follows reads the newest state of what is named, so a change told twice costs a read, and after a restart of the
core everybody lists again. ``PlatformPart.watch`` is the reader.
"""

import msgspec

from skerry.core.bell import Bell
from skerry.model.ids import AppName, SiteName, TenantName


class LinksOf(msgspec.Struct, frozen=True):
    """The links of a site."""

    site: SiteName


#: A site, a tenant's app, or a site's links.
Changed = SiteName | tuple[TenantName, AppName] | LinksOf


#: Names kept: all sites and apps of the largest core. Sites name apps too, so there is a limit; beyond it the oldest is
#: forgotten, and a screen is late with that one until it lists again.
CHANGES_MAX = 65_536


class Changes:
    """All methods belong to one event loop."""

    def __init__(self) -> None:
        #: Number of the newest change: remember it, then ask for what came ``since``.
        self.number = 0
        self.bell = Bell()
        #: Oldest change first: touching moves to the end.
        self._numbers: dict[Changed, int] = {}

    def touch(self, *changed: Changed) -> None:
        """Say that these may have changed."""
        for each in changed:
            self.number += 1
            self._numbers.pop(each, None)
            self._numbers[each] = self.number
        while len(self._numbers) > CHANGES_MAX:
            del self._numbers[next(iter(self._numbers))]
        if changed:
            self.bell.ring()

    def since(self, number: int) -> list[Changed]:
        """Return what changed after change ``number``, newest first."""
        found: list[Changed] = []
        for each, of in reversed(self._numbers.items()):
            if of <= number:
                break
            found.append(each)
        return found
