"""The vocabulary of a network (manifest.md §6.7): data, as ``words.py`` is, which puts it in its place."""

from skerry.manifest.word_types import (
    LOOSE_TEXT,
    RATE,
    SWITCH,
    TEXT,
    Choice,
    Either,
    Group,
    Many,
    Word,
    unbuilt_words,
    whole,
)

_TRAFFIC = Either(
    (
        Choice(("allow", "deny")),
        Many(Group((*unbuilt_words(2, to=TEXT, ports=Many(LOOSE_TEXT)), Word("from", TEXT, stage=2)))),
    )
)

#: Words of a network.
NETWORK = (
    Word(
        "kind",
        Choice(("bridge", "overlay", "vlan", "macvlan", "ipvlan", "sriov")),
        "bridge: one of each site; overlay: one over sites, encrypted between them; the others are not built yet",
        "bridge",
        built=True,
    ),
    Word("scope", Choice(("site", "app")), "one at each site, or one over all sites of the app", "site", built=True),
    *unbuilt_words(
        2,
        id=whole(0, 2**24 - 1),
        parent=TEXT,
        mtu=whole(68, 65535),
        egress=_TRAFFIC,
        ingress=_TRAFFIC,
        bandwidth=RATE,
        encrypt=SWITCH,
    ),
)
