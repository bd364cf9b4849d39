"""What people said at simulated boxes and were told is done: instances that they stopped, for whoever checks on it."""

from collections.abc import Iterable

import msgspec

from skerry.model.ids import InstanceId, SiteName


class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """An instance that a person at its box stopped."""

    #: The restart counter of its assignment then: its owner's later restart has the last word.
    counter: int
    at_us: int


class Hands:
    """What holds of what was said, by site and instance."""

    def __init__(self) -> None:
        self.stopped: dict[tuple[SiteName, InstanceId], Stopped] = {}

    def note(
        self, site: SiteName, verb: str, instances: Iterable[InstanceId], counters: dict[InstanceId, int], at_us: int
    ) -> None:
        """A person was told that this is done."""
        for name in instances:
            self.stopped.pop((site, name), None)
            if verb == "stop":
                self.stopped[site, name] = Stopped(counter=counters.get(name, 0), at_us=at_us)

    def forget(self, site: SiteName) -> None:
        """Its disk is an old one: what was said since is gone with it."""
        self.stopped = {key: stopped for key, stopped in self.stopped.items() if key[0] != site}
