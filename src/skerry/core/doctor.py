"""What a core's doctor looks at: database, rows, disk, clock, the delivery key, the bytes of images.

Each check ends in a verdict, and each bad one names the next command. Pure where it can be: reading is done by whoever
hands the values in.
"""

import shutil
from pathlib import Path
from typing import Literal

import msgspec

from skerry.clock import SECOND_US
from skerry.core.delivery import Delivery
from skerry.model.signed import Envelope, Root
from skerry.store import Connection, access, health
from skerry.trust.parse import parse_payload
from skerry.trust.verdict import Denied

Verdict = Literal["good", "warning", "bad", "unknown"]

#: Free room below which a core should be looked after, and below which it soon cannot write.
FREE_WARNING_BYTES, FREE_BAD_BYTES = 1024**3, 128 * 1024**2
#: The wall clock may be this much behind what was written last: two machines of a failover differ by less.
CLOCK_BEHIND_US = 300 * SECOND_US
#: No core ran before it was written: 2026-01-01.
CLOCK_FLOOR_US = 1_767_225_600 * SECOND_US


class Check(msgspec.Struct, frozen=True):
    """One thing looked at, what was found, and what to do about it."""

    name: str
    verdict: Verdict
    detail: str
    hint: str = ""


class Findings(msgspec.Struct, frozen=True):
    """What one reading of the database gave."""

    damage: str
    foreign: list[str]
    blobs: list[str]
    newest_us: int
    root: Envelope | None


def read_findings(connection: Connection) -> Findings:
    """Read what the checks of the database need."""
    roots = access.list_roots(connection, 0)
    return Findings(
        damage=health.check_integrity(connection),
        foreign=health.find_foreign_rows(connection),
        blobs=health.list_whole_blobs(connection),
        newest_us=health.newest_time_us(connection),
        root=roots[-1] if roots else None,
    )


def judge_findings(found: Findings, delivery: Delivery | None, absent: int, now_us: int) -> list[Check]:
    """Judge what the database says. ``absent`` counts blobs whose bytes are not on the disk."""
    return [
        _judge("integrity", found.damage, "pages and indexes are sound", "skerry core restore FILE --overwrite"),
        _judge("rows", "; ".join(found.foreign), "every row stands on what it names", "skerry core backup FILE"),
        judge_clock(found.newest_us, now_us),
        judge_key(found.root, delivery),
        _judge(
            "images",
            f"{absent} of {len(found.blobs)} blobs are not on the disk" if absent else "",
            f"the bytes of all {len(found.blobs)} blobs are on the disk",
            "skerry image push ARCHIVE",
        ),
    ]


def judge_clock(newest_us: int, now_us: int) -> Check:
    """Judge the wall clock by what this core has written before."""
    if now_us < CLOCK_FLOOR_US:
        return Check("clock", "bad", "the clock stands before this program was written", "timedatectl")
    behind_us = newest_us - now_us
    if behind_us > CLOCK_BEHIND_US:
        return Check("clock", "bad", f"the clock is {behind_us // SECOND_US} s behind the newest event", "timedatectl")
    return Check("clock", "good", "not behind what was written before")


def judge_key(root: Envelope | None, delivery: Delivery | None) -> Check:
    """Judge whether sites would follow this core: its key and certificate are those that their root names."""
    if delivery is None:
        return Check("certificates", "bad", "there is no delivery key", "skerry core restore FILE --overwrite")
    if root is None:
        return Check("certificates", "good", "there is a delivery key, and no root document names one yet")
    named = parse_payload(root.payload, Root)
    right = not isinstance(named, Denied) and delivery.public in named.delivery.keys
    if right and not isinstance(named, Denied) and named.delivery_ca == delivery.authority.certificate_der:
        return Check("certificates", "good", "delivery key and certificate are those that sites trust")
    return Check(
        "certificates", "bad", "sites trust another delivery key or certificate", "skerry core restore FILE --overwrite"
    )


def judge_schema(found: int, known: int) -> Check:
    """Judge the number of the schema."""
    if found == known:
        return Check("schema", "good", f"number {found}")
    if found > known:
        return Check("schema", "bad", f"number {found}; this program knows {known}", "skerry version")
    return Check("schema", "warning", f"number {found}, the next start takes it to {known}", "skerry core backup FILE")


def check_disk(folder: Path) -> Check:
    """Judge the free room where the core writes."""
    usage = shutil.disk_usage(folder)
    detail = f"{usage.free // 1024**2} MiB free at {folder}"
    if usage.free < FREE_BAD_BYTES:
        return Check("disk", "bad", detail, "skerry image list")
    return Check("disk", "warning" if usage.free < FREE_WARNING_BYTES else "good", detail)


def _judge(name: str, complaint: str, praise: str, hint: str) -> Check:
    return Check(name, "bad", complaint, hint) if complaint else Check(name, "good", praise)
