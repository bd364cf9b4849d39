"""What the entrance of a node is asked for by those who are placed there: host names, paths and ports that can clash.

The rules are those of the site itself (``plan/places.py``): a host name belongs to one tenant, a place to one service,
a port of the node to host names or to one place. What another tenant has is told without saying who that is.
"""

from collections import Counter
from collections.abc import Iterator
from typing import TypeVar

from skerry.model.app import Port
from skerry.model.entrance import Entrance
from skerry.model.ids import AppName, ServiceName, TenantName

Group = tuple[TenantName, AppName, ServiceName]
Item = TypeVar("Item", TenantName, Group, str)

_HOSTS = "host names"


class Doors:
    """The entrance of one node; ``add`` undoes itself with the opposite sign."""

    __slots__ = ("_hosts", "_listens", "_places")

    def __init__(self) -> None:
        self._hosts: dict[str, Counter[TenantName]] = {}
        self._places: dict[str, Counter[Group]] = {}
        #: Protocol and port of the node to what it is for.
        self._listens: dict[tuple[str, int], Counter[str]] = {}

    def add(self, group: Group, entrances: tuple[Entrance, ...], times: int) -> None:
        """Note what an instance asks for, or that it does so no more."""
        for one in entrances:
            self._places.setdefault(one.place, Counter())[group] += times
            if one.host:
                self._hosts.setdefault(one.host, Counter())[group[0]] += times
            for need in list_needs(one):
                self._listens.setdefault(need, Counter())[_kind_of(one)] += times

    def find_clash(self, group: Group, entrances: tuple[Entrance, ...]) -> str:
        """Say what of an instance's entrance is given to somebody else here; empty when nothing is."""
        for one in entrances:
            if any(tenant != group[0] for tenant in _present(self._hosts.get(one.host))):
                return f"{one.host} is given to another tenant"
            other = next((each for each in _present(self._places.get(one.place)) if each != group), None)
            if other is not None:
                whose = f"{other[1]}/{other[2]}" if other[0] == group[0] else "another tenant"
                return f"{one.place.removeprefix('http/')} is given to {whose}"
            for need in list_needs(one):
                if any(kind != _kind_of(one) for kind in _present(self._listens.get(need))):
                    return f"port {need[1]}/{need[0]} is given to something else of the entrance"
        return ""

    def has_port(self, port: Port) -> bool:
        """Say whether the entrance needs a port that an instance would publish."""
        return any(_present(self._listens.get((port.protocol, port.published))))


def list_needs(one: Entrance) -> tuple[tuple[str, int], ...]:
    """Return protocol and port of the node for all that an entry listens at."""
    return (("udp", one.udp),) if one.udp else tuple(("tcp", port) for port in one.listens)


def _kind_of(one: Entrance) -> str:
    return _HOSTS if one.host else one.place


def _present(counts: Counter[Item] | None) -> Iterator[Item]:
    return (item for item, count in sorted(counts.items()) if count > 0) if counts else iter(())
