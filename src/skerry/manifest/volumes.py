"""The words of a volume as its signed form has them. Neighbours: ``words_volumes.py`` has the vocabulary,
``parts.py`` reads what Compose says of it.
"""

from collections.abc import Mapping

import msgspec
from msgspec import UNSET

from skerry.manifest.nodes import Place
from skerry.manifest.reading import Reading
from skerry.manifest.wishes import Given
from skerry.model.volume import (
    SNAPSHOT_EVERY_US_MIN,
    SNAPSHOTS_MAX,
    VOLUME_BYTES,
    VOLUME_BYTES_MIN,
    SnapshotPlan,
    Volume,
)


def read_volume(reading: Reading, labels: Mapping[str, str], words: Given) -> Volume:
    """Return one volume; ``words`` are its words of ``x-skerry``."""
    size = reading.find(words.get("size"))
    size_bytes = reading.size(size, VOLUME_BYTES)
    if size is not None and 0 <= size_bytes < VOLUME_BYTES_MIN:
        detail = f"{reading.text(size)} is out of range: a volume has at least {VOLUME_BYTES_MIN >> 20}Mi"
        reading.findings.complain(size, "E-RANGE", detail)
    plan = _read_plan(reading, reading.find(words.get("snapshot")))
    goes = reading.text(reading.find(words.get("on-delete")), "keep") == "delete"
    return Volume(
        labels=dict(labels),
        size_bytes=size_bytes if size_bytes != VOLUME_BYTES else UNSET,
        snapshot=plan if plan != SnapshotPlan() else UNSET,
        on_delete="delete" if goes else UNSET,
    )


def complain_of_words(reading: Reading, words: Given, what: str) -> None:
    """Complain of words about what is no volume of a site: ``what`` says why."""
    for name, place in words.items():
        reading.findings.complain(place, "E-CONFLICT", f'"{name}" says nothing here: {what}', at_key=True)


def _read_plan(reading: Reading, place: Place | None) -> SnapshotPlan:
    every, keep = reading.find(place, "every"), reading.find(place, "keep")
    every_us = reading.duration(every, 0)
    if every is not None and 0 <= every_us < SNAPSHOT_EVERY_US_MIN:
        detail = f"{reading.text(every)} is out of range: at most every {SNAPSHOT_EVERY_US_MIN // 1_000_000}s"
        reading.findings.complain(every, "E-RANGE", detail)
    alone = every if keep is None else keep if every is None else None
    if alone is not None:
        detail = "every and keep of a snapshot go together: how often, and how many of them stay"
        hint = "keep: 24" if keep is None else "every: 1h"
        reading.findings.complain(alone, "E-CONFLICT", detail, at_key=True, hint=hint)
    updates = reading.find(place, "before-update")
    return msgspec.structs.replace(
        SnapshotPlan(),
        every_us=every_us,
        keep=reading.whole(keep, 1, SNAPSHOTS_MAX, 0),
        before_update=updates is None or reading.switch(updates),
    )
