"""A fake entrance: what the real one is to planner and agent, with people who stay for a while.

It goes on while no agent is there, forgets its servers when the machine goes off and keeps who holds which place.
"""

import hashlib
import re
from collections.abc import Collection, Iterable

from skerry.model.observed import EntranceSeen, ServerSeen
from skerry.plan.actions import ApplyEntrance, Challenge, Server
from skerry.plan.entrance import list_holders

_CHALLENGE = re.compile(r"http/([^/]+)/\.well-known/acme-challenge/([A-Za-z0-9_-]{16,256})", re.ASCII)


class FakeEntrance:
    """One site's entrance."""

    def __init__(self) -> None:
        self.applied: ApplyEntrance | None = None
        self.holders: dict[str, str] = {}
        #: Connections with a server, by its name; they go down by one with each look while it drains.
        self.sessions: dict[str, int] = {}
        self._since: dict[tuple[str, str], tuple[str, int]] = {}
        self._turn = 0

    def apply(self, action: ApplyEntrance, now_us: int) -> None:
        """Become what the action says."""
        before, self._since = self._since, {}
        for backend, server in list_servers(action):
            state, since_us = before.get((backend, server.name), ("", 0))
            self._since[backend, server.name] = (server.state, since_us if state == server.state else now_us)
        self.applied = action if action.digest else None
        self.holders = list_holders(action)

    def end(self) -> None:
        """The machine goes off."""
        self.applied = None
        self._since.clear()
        self.sessions.clear()

    def observe(self, alive: Collection[str]) -> EntranceSeen:
        """See it; ``alive`` are the servers that answer."""
        if self.applied is None:
            return EntranceSeen(holders=self.holders)
        servers: list[ServerSeen] = []
        for backend, server in list_servers(self.applied):
            left = self.sessions.get(server.name, 0)
            if server.state == "drain" and left:
                self.sessions[server.name] = left - 1
            servers.append(
                ServerSeen(
                    backend=backend,
                    name=server.name,
                    state=server.state,
                    well=server.name in alive,
                    sessions=left,
                    since_us=self._since[backend, server.name][1],
                    port=server.port,
                )
            )
        shown = {each.host: each.version for each in self.applied.certificates}
        return EntranceSeen(digest=self.applied.digest, servers=tuple(servers), holders=self.holders, shown=shown)

    def answers(self, place: str, alive: Collection[str]) -> bool:
        """Say whether who asks for a place is led to a server that answers."""
        return bool(set(self._find(place, alive)) & set(alive))

    def ask(self, place: str, alive: Collection[str], visitor: int = 0) -> str:
        """Return the server that answers who asks at ``http/HOST/PATH``, ``tcp/PORT`` or ``udp/PORT``.

        Requests and connections go to servers in turn, datagrams of one visitor to one server. An authority that asks
        for a token is answered by the entrance itself.
        """
        asked = _CHALLENGE.fullmatch(place)
        challenge = self.applied.challenge if self.applied is not None else Challenge()
        if asked is not None and asked[1] in challenge.hosts:
            return f"{asked[2]}.{challenge.thumbprint}"
        found = self._find(place, alive)
        if place.startswith("udp/"):
            chosen = max(found, key=lambda name: hashlib.sha256(f"{visitor} {name}".encode()).digest(), default="")
            return chosen if chosen in alive else ""
        self._turn += 1
        return found[self._turn % len(found)] if found else ""

    def _find(self, place: str, alive: Collection[str]) -> list[str]:
        if self.applied is None:
            return []
        backends = {backend.name: backend.servers for backend in self.applied.backends}
        # Who asks without TLS where TLS is wished is sent to ask again.
        places = {
            f"http/{each.host}{each.path.rstrip('/')}/": () if each.secure else backends[each.backend]
            for each in self.applied.routes
        }
        places |= {f"tcp/{each.port}/": backends[each.backend] for each in self.applied.listeners}
        places |= {f"udp/{each.port}/": each.servers for each in self.applied.datagrams}
        fitting = max((each for each in places if f"{place}/".startswith(each)), key=len, default="")
        up = [each for each in places.get(fitting, ()) if each.state == "up"]
        # Nobody looks whether who has datagrams answers, and who sends them does so by IPv4 here.
        is_udp = place.startswith("udp/")
        up = [each for each in up if (":" not in each.address if is_udp else each.name in alive)]
        lowest = min((each.rank for each in up), default=0)
        return [each.name for each in up if each.rank == lowest]


def list_servers(action: ApplyEntrance) -> Iterable[tuple[str, Server]]:
    """Return each server with its backend; a UDP port is one called ``u`` and the port."""
    for backend in action.backends:
        yield from ((backend.name, server) for server in backend.servers)
    for each in action.datagrams:
        yield from ((f"u{each.port}", server) for server in each.servers)
