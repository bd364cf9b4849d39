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
from skerry.model.lan import VLAN_ID_MAX
from skerry.model.limits import MTU_MAX, MTU_MIN

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
        "bridge: one of each site; overlay: one over sites, encrypted between them; vlan, macvlan, ipvlan, and bridge"
        " with a parent: at a device of the node, which a profile has to grant; sriov is not built yet",
        "bridge",
        built=True,
    ),
    Word("scope", Choice(("site", "app")), "one at each site, or one over all sites of the app", "site", built=True),
    Word("id", whole(1, VLAN_ID_MAX), "number of the VLAN", built=True),
    Word("parent", TEXT, "device of the node that it is at, as lan0", built=True),
    Word("mtu", whole(MTU_MIN, MTU_MAX), "bytes of the largest packet", "what its devices take", built=True),
    *unbuilt_words(
        2,
        egress=_TRAFFIC,
        ingress=_TRAFFIC,
        bandwidth=RATE,
        encrypt=SWITCH,
    ),
)
