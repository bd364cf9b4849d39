"""What an app wishes of a site that is cut off (manifest.md §6.3): stop after a time, wait after a reboot, or warn.

Pure. By default nothing happens: what runs goes on for ever. Time is counted by the node's own boot-time clock, like a
tombstone's grace, so nobody can move it; what passes while the machine is off does not count, what passes of a boot
before an agent looks does. Sites none of whose apps says a word of this keep no record of their contacts.
"""

import msgspec

from skerry.model.ids import InstanceId
from skerry.model.policy import Autonomy
from skerry.plan.history import Contact, Grace
from skerry.plan.instances import Wanted
from skerry.plan.report import Wait

#: How often the time without a parent is written down: what a cut of the power may cost of it.
AWAY_MARK_US = 600_000_000


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What follows for the instances of a node."""

    #: Instances that are not to run now, each with the reason.
    held: dict[InstanceId, str] = {}
    waits: tuple[Wait, ...] = ()
    #: To be journaled; None when it is as it was.
    contact: Contact | None = None
    #: Boot time at which something changes; 0 for never.
    wake_us: int = 0


def judge_autonomy(
    wanted: dict[InstanceId, Wanted], contact: Contact, *, linked: bool, boot: str, now_us: int, counts: bool = False
) -> Standing:
    """Say which instances may run. ``linked``: the parent is heard right now; ``counts``: its absence counts anyhow."""
    words = {name: autonomy for name, item in wanted.items() if (autonomy := find_autonomy(item)) is not None}
    if not words and not counts:
        return Standing(contact=None if contact == Contact() else Contact())
    noted = note_contact(contact, linked=linked, boot=boot, now_us=now_us)
    away_us = 0 if noted.away is None else noted.away.until(boot, now_us)
    held: dict[InstanceId, str] = {}
    waits: list[Wait] = []
    wakes: list[int] = []
    for name in sorted(words):
        said = words[name]
        if not linked and not said.restart_offline and noted.heard_boot != boot:
            held[name] = "the machine started while cut off: it waits for the core, as its owner wishes"
        if linked or not said.max_offline_us or said.offline == "fenced":
            continue
        if away_us < said.max_offline_us:
            wakes.append(now_us + said.max_offline_us - away_us)
        elif said.offline == "stop-after":
            held.setdefault(name, f"{_tell_away(said)}: it stops, as its owner wishes")
        else:
            waits.append(Wait(subject=f"offline/{name}", reason=f"{_tell_away(said)}; it goes on running"))
    if noted.away is not None:
        wakes.append(now_us + AWAY_MARK_US)
    return Standing(
        held=held,
        waits=tuple(waits),
        contact=None if noted == contact else noted,
        wake_us=min(wakes, default=0),
    )


def note_contact(contact: Contact, *, linked: bool, boot: str, now_us: int) -> Contact:
    """Return what is to be remembered of the parent: heard in this boot, or away for so long."""
    if linked:
        return Contact(heard_boot=boot)
    away = contact.away
    if away is None:
        # A boot in which it was never heard counts from its beginning, when no agent looked yet.
        unheard_us = now_us if contact.heard_boot not in ("", boot) else 0
        return msgspec.structs.replace(contact, away=Grace(unheard_us, boot, now_us))
    if away.boot != boot:
        return msgspec.structs.replace(contact, away=Grace(away.passed_us + now_us, boot, now_us))
    if now_us - away.mark_us < AWAY_MARK_US:
        return contact
    return msgspec.structs.replace(contact, away=Grace(away.until(boot, now_us), boot, now_us))


def find_autonomy(item: Wanted) -> Autonomy | None:
    """Return what the service of an instance wishes, None when it is the usual."""
    policy = item.policy
    return policy.autonomy if policy and policy.autonomy != Autonomy() else None


def _tell_away(said: Autonomy) -> str:
    count, unit = said.max_offline_us // 1_000_000, "s"
    for longer, length in (("m", 60), ("h", 60), ("d", 24)):
        if count % length:
            break
        count, unit = count // length, longer
    return f"cut off for longer than {count}{unit}"
