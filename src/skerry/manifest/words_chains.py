"""The vocabulary of a service chain (manifest.md §6.8): data, as ``words.py`` is, which puts it in its place."""

from skerry.manifest.word_types import (
    DURATION,
    LOOSE_TEXT,
    NAME,
    RATE,
    SWITCH,
    TEXT,
    Choice,
    Group,
    Many,
    Word,
    unbuilt_words,
)
from skerry.model.chain import PROTOCOLS

_MATCH = Group(
    (
        Word("protocol", Choice(PROTOCOLS), "icmp is that of both families", built=True),
        Word("ports", Many(LOOSE_TEXT), "80 or 8000-8010, at the end that it goes to", built=True),
        Word("from-cidr", Many(TEXT), "ranges of addresses that it comes from", built=True),
        Word("to-cidr", Many(TEXT), "ranges of addresses that it goes to", built=True),
    )
)

_ENDS = "network:NAME, a service, interface:DEVICE of the node, or uplink"
_FAIL = "what a step that is not well means: open, around it; closed, nothing passes"

#: One chain.
CHAIN = Group(
    (
        Word("name", NAME, "what the chain is called", built=True),
        Word("from", TEXT, f"{_ENDS}, or users: where its traffic comes from", built=True),
        Word("through", Many(NAME), "the services that it passes, in this order", built=True),
        Word("to", TEXT, f"{_ENDS}: where its traffic goes to", built=True),
        Word("match", _MATCH, "which of the traffic", "all of it", built=True),
        Word("symmetric", SWITCH, "what comes back passes the same steps the other way round", "true", built=True),
        Word(
            "fail",
            Choice(("open", "closed")),
            _FAIL,
            "closed",
            built=True,
        ),
        Word("max-latency", DURATION, "how long passing all steps may take; longer is told", "no limit", built=True),
        *unbuilt_words(2, bandwidth=RATE),
    )
)
