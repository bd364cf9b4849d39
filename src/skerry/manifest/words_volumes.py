"""The vocabulary of a volume (manifest.md §6.7): data, as ``words.py`` is, which puts it in its place."""

from skerry.manifest.word_types import (
    BUDGET,
    DURATION,
    NAME,
    SIZE,
    SWITCH,
    TEXT,
    Choice,
    Group,
    Word,
    unbuilt_words,
    whole,
)
from skerry.manifest.words_placement import REGION_WORDS, SELECTORS
from skerry.model.volume import SNAPSHOTS_MAX

_SNAPSHOT = Group(
    (
        Word("every", DURATION, "time between two that the site takes by itself", "none", built=True),
        Word("keep", whole(1, SNAPSHOTS_MAX), "how many of those are kept, the newest", built=True),
        Word("before-update", SWITCH, "one before each change of a service that mounts it", "true", built=True),
    )
)

#: Words of a volume.
VOLUME = (
    Word("size", SIZE, "how large it may grow, where the node's storage has limits", "10Gi", built=True),
    Word(
        "on-delete",
        Choice(("keep", "delete")),
        "delete: skerry delete names it in the tombstone that it signs, without --volumes",
        "keep",
        built=True,
    ),
    Word("snapshot", _SNAPSHOT, "when the site keeps what it holds, on the same disk", built=True),
    *unbuilt_words(
        2,
        scope=Choice(("site", "instance", "app")),
        class_=TEXT,
        access=Choice(("exclusive", "shared-read", "shared")),
        replicate=Group(unbuilt_words(2, to=SELECTORS, copies=whole(1, 100), max_lag=DURATION, budget=BUDGET)),
        backup=Group(unbuilt_words(2, to=NAME, every=DURATION, keep=whole(1, 10_000))),
        move=Choice(("never", "with-instance")),
        residency=Group(REGION_WORDS),
    ),
)
