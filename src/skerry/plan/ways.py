"""By which place a tunnel looks for its peer: directly while that goes, through a relay while it does not, and back.

Pure. Rules:

1. A place that works is kept, wherever the tunnel has found it; one that is silent gives way to the next, relays last.
2. A relayed pair looks for the direct way beside it, at the second interface of each end: so nothing is lost. Both ends
   listen there all the time, and speak in the same few seconds of each five minutes, so that two NATs that keep ports
   open for each other; a wrong clock costs that, and nothing else.
3. What has been heard there is used at once, and the relayed way stays warm beside it. In such seconds the first
   interface is then told the direct place as well, and used again once it is heard there. The second one goes when it
   is quiet: the other end may still send by it.
4. A direct way that was lost is not used again before it was heard again.
"""

from collections.abc import Sequence

import msgspec

from skerry.model.document import Peer
from skerry.model.observed import TunnelSeen

#: A tunnel's keys are agreed anew every two minutes while it is used, and are void after three (WireGuard, section 6.1
#: of its paper): a peer that was heard within this is there.
FRESH_S = 180
#: A way into which something is sent and out of which nothing has come for so long is lost: whoever has something to
#: hear answers within 10 s (WireGuard, section 6.5), and an idle relayed one is kept open every 25 s by both ends.
LOST_S = 30
#: One that was never heard needs no such patience: two handshakes went unanswered.
NEVER_S = 12
#: How long one place is tried before the next: WireGuard begins again every five seconds.
TRY_US = 6_000_000
#: The direct way is looked for so often and for so long: three handshakes of 176 bytes, 6 kB an hour.
LOOK_EVERY_US = 300_000_000
LOOK_US = 2 * TRY_US


def is_heard(tunnel: TunnelSeen | None) -> bool:
    """Say whether the other end of a way is there: heard lately, and not silent to what is sent."""
    return tunnel is not None and tunnel.heard_s is not None and tunnel.heard_s < FRESH_S and tunnel.silent_s < LOST_S


def is_in_vain(tunnel: TunnelSeen) -> bool:
    """Say whether something is sent into a way and nobody answers."""
    return tunnel.silent_s >= (NEVER_S if tunnel.heard_s is None else LOST_S)


def is_relayed(tunnel: TunnelSeen | None, peer: Peer) -> bool:
    """Say whether a way goes through a relay of its pair."""
    return tunnel is not None and (tunnel.place or tunnel.told) in peer.relays


def is_direct(tunnel: TunnelSeen | None, peer: Peer) -> bool:
    """Say whether the other end is heard by a way, and through nobody."""
    return is_heard(tunnel) and not is_relayed(tunnel, peer) and (tunnel is None or tunnel.answered)


class Looking(msgspec.Struct, frozen=True):
    """When the direct way is looked for; ``now_us`` is the time of the day where one is known."""

    now_us: int
    every_us: int = LOOK_EVERY_US

    @property
    def is_on(self) -> bool:
        """It is looked for now."""
        return self.now_us % self.every_us < LOOK_US

    @property
    def left_us(self) -> int:
        """How long it is until it begins or ends."""
        at_us = self.now_us % self.every_us
        return (LOOK_US if at_us < LOOK_US else self.every_us) - at_us

    def choose(self, places: Sequence[str]) -> str:
        """Return the place that is tried now: all in turn, as many at a time as there is time for."""
        turn, at_us = divmod(self.now_us, self.every_us)
        return places[(turn * (LOOK_US // TRY_US) + at_us // TRY_US) % len(places)] if places else ""


def choose_place(places: Sequence[str], tunnel: TunnelSeen | None, now_us: int) -> str:
    """Return where a tunnel is to look for its peer, of places with the best first; empty where there are none."""
    if not places:
        return ""
    if tunnel is None:
        return places[0]
    if tunnel.trying and not is_heard(tunnel):
        return places[(now_us // TRY_US) % len(places)]
    if is_heard(tunnel) and tunnel.place in places:
        return tunnel.place
    return tunnel.told if tunnel.told in places else places[0]


def choose_second_place(
    places: Sequence[str], tunnel: TunnelSeen | None, looking: Looking, *, is_over: bool = False
) -> str:
    """Return where the second interface looks for a peer; empty where it only listens. ``is_over``: it was found."""
    if tunnel is not None and (is_over or is_heard(tunnel)):
        return tunnel.told
    return looking.choose(places) if looking.is_on else ""


def describe_way(peer: Peer, tunnel: TunnelSeen | None) -> str:
    """Say in words by which way a peer is reached, for people."""
    if tunnel is None or not is_heard(tunnel):
        return (
            f"{peer.site} is not heard" if tunnel is not None and tunnel.trying else f"nothing is sent to {peer.site}"
        )
    if not is_relayed(tunnel, peer):
        return f"{peer.site} is heard directly"
    place = tunnel.place or tunnel.told
    third = next((each.site for each in peer.through or () if each.place == place), "")
    return f"{peer.site} is heard through {third or 'the relay of the core'}: it does not answer directly"
