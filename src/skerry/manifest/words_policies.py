"""Words of policies: autonomy, rollout and priority. Part of the vocabulary of ``words.py``, whose rules hold here."""

from skerry.manifest.word_types import (
    DURATION,
    SHARE,
    SWITCH,
    TEXT,
    WINDOW,
    Choice,
    Either,
    Group,
    Many,
    Word,
    unbuilt_words,
    whole,
)
from skerry.manifest.words_placement import SELECTORS, WEIGHT
from skerry.model.limits import REPLICAS_MAX

AUTONOMY = Group(
    (
        Word(
            "offline",
            Choice(("keep-running", "stop-after", "fenced")),
            "while the site is cut off; fenced is not built yet",
            "keep-running",
            built=True,
        ),
        Word("max-offline", DURATION, "at which age it stops, or an alarm is raised", built=True),
        Word("restart-offline", SWITCH, "whether it starts after a reboot while cut off", "true", built=True),
        Word(
            "local-control",
            Choice(("none", "restart", "full")),
            "what a person at the box may do without the core",
            "restart",
            built=True,
        ),
        Word(
            "replace-after",
            Either((Choice(("never",)), DURATION)),
            "when a silent site's copy gets a second one elsewhere",
            "never",
            built=True,
        ),
        Word(
            "on-return",
            Choice(("keep-original", "keep-replacement", "newest", "longest-running")),
            "which of the two stays; the last two are not built yet",
            "keep-original",
            built=True,
        ),
        *unbuilt_words(2, lease=Group(unbuilt_words(2, ttl=DURATION, margin=DURATION, witnesses=Many(TEXT), min=TEXT))),
    )
)
_CANARY = Group(
    (
        Word("sites", SELECTORS, "labels of the first sites", built=True),
        Word("bake", DURATION, "how long they stand before the first wave", "10m", built=True),
    )
)
_HEALTH_GATE = Group(
    (
        Word("for", DURATION, "how long all services must be well", "2m", built=True),
        Word("timeout", DURATION, "within which time", "10m", built=True),
    )
)
_IN_SITE = Group(
    (
        Word("order", Choice(("stop-first", "start-first")), "which copy comes first", "stop-first", built=True),
        Word("parallel", whole(1, REPLICAS_MAX), "copies of a service under change at once", "1", built=True),
    )
)
ROLLOUT = Group(
    (
        Word("canary", Either((SHARE, _CANARY)), "first sites; none may fail", "1", built=True),
        Word("waves", Many(SHARE), "sizes after the canary; one value repeats", "[10%, 50%, 100%]", built=True),
        Word("max-failed", SHARE, "sites that may fail in the waves", "2%", built=True),
        Word("on-failure", Choice(("rollback", "pause", "continue")), "what then", "rollback", built=True),
        Word("health", _HEALTH_GATE, "the gate that each site judges by", built=True),
        Word("approve", Choice(("none", "canary", "each-wave")), "when a person is waited for", "none", built=True),
        Word("offline-sites", Choice(("skip", "wait")), "whether sites cut off hold it up", "skip", built=True),
        Word("window", Many(WINDOW), "times at which a site may begin, by its own clock", "always", built=True),
        Word("prefetch", SWITCH, "whether waiting sites fetch images already", "true", built=True),
        Word("in-site", _IN_SITE, "in which order copies are changed at one site", "as max-down says", built=True),
    )
)
PRIORITY = Either(
    (
        WEIGHT,
        Group(
            (
                Word("value", WEIGHT, "a higher one keeps its room", "500", built=True),
                Word("preempts", Choice(("lower", "never")), "whose room it takes", "lower", built=True),
                Word("preemptible", SWITCH, "whether a higher one may take its room", "true", built=True),
            )
        ),
    )
)
