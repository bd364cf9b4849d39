"""The vocabulary of ``x-skerry``: every word of manifest.md §6, with its type and whether it is built.

This file is data. A word that is not built is refused as such and never ignored; to build one, set ``built`` here and
read it where its like is read. Neighbours: ``words_placement.py`` and ``words_policies.py`` have the words of those
groups, ``word_types.py`` the types; ``placement.py`` reads what is built.
"""

import functools
from collections.abc import Iterator

from skerry.manifest.word_types import (
    BUDGET,
    DURATION,
    LOOSE_TEXT,
    NAME,
    PERCENT,
    RATE,
    SELECTOR,
    SHARE,
    SIZE,
    SWITCH,
    TEXT,
    Anything,
    Choice,
    Either,
    Group,
    Many,
    Named,
    Type,
    Word,
    unbuilt_words,
    whole,
)
from skerry.manifest.words_chains import CHAIN
from skerry.manifest.words_entrance import ENTRANCE
from skerry.manifest.words_networks import NETWORK
from skerry.manifest.words_placement import PLACEMENT, PLACEMENT_OF_APP, SELECTORS, WEIGHT
from skerry.manifest.words_policies import AUTONOMY, PRIORITY, ROLLOUT
from skerry.manifest.words_volumes import VOLUME
from skerry.model.limits import MTU_MAX, MTU_MIN

_PORT = whole(1, 65535)
_ROUNDED = "a percentage is rounded down, and one always may be"

_DATAFLOW = Group(
    (
        *unbuilt_words(
            3,
            name=NAME,
            to=TEXT,
            reduce=Group(
                unbuilt_words(3, window=DURATION, group_by=Many(TEXT), emit=Many(TEXT), filter=TEXT, sample=LOOSE_TEXT)
            ),
            budget=BUDGET,
            when_offline=Choice(("spool", "summarise", "drop")),
            spool_limit=SIZE,
            drop=Choice(("oldest", "newest")),
            priority=WEIGHT,
        ),
        Word("from", TEXT, stage=3),
    )
)
_PRIVACY = Group(
    unbuilt_words(
        3,
        raw_leaves_site=Choice(("allowed", "masked", "never")),
        fields=Many(Group(unbuilt_words(3, match=TEXT, action=Choice(("drop", "hash", "generalise"))))),
        min_group=whole(1, 1_000_000),
        logs=Choice(("full", "masked", "none")),
    )
)
_SLO = Group(
    unbuilt_words(
        3,
        latency=Named(DURATION),
        availability=PERCENT,
        throughput=RATE,
        freshness=DURATION,
        over=DURATION,
        on_breach=Choice(("report", "burst", "relocate")),
    )
)

#: Words at the top of a manifest.
TOP = (
    Word("description", TEXT, "for people", built=True),
    Word("labels", Named(LOOSE_TEXT), "what a site's accepts sees", built=True),
    Word("profile", NAME, "what the app may ask of a site", "default", built=True),
    Word("placement", PLACEMENT_OF_APP, "where instances may be", built=True),
    Word("autonomy", AUTONOMY, "what holds while a site is cut off", built=True),
    Word("rollout", ROLLOUT, "how a new revision comes to the sites", "to all at once", built=True),
    Word("priority", PRIORITY, "who keeps room when room is short", "500", built=True),
    Word("withdraw", Choice(("core", "tenant")), "who may end instances at a site that has them", "core", built=True),
    Word("max-down", SHARE, f"copies of a service that may be down at once by choice; {_ROUNDED}", "1", built=True),
    Word("chain", Many(CHAIN), "paths of traffic through services", "none", built=True),
    *unbuilt_words(
        2,
        logs=Choice(("plain", "sealed")),
        variants=Many(
            Group(
                unbuilt_words(
                    2, sites=SELECTORS, profiles=Many(TEXT), environment=Named(LOOSE_TEXT), services=Named(Anything())
                )
            )
        ),
    ),
    *unbuilt_words(3, dataflow=Many(_DATAFLOW), privacy=_PRIVACY, slo=_SLO),
)

_DISK = Group(unbuilt_words(2, size=SIZE, bus=TEXT, on_image_change=Choice(("replace", "keep"))))
_VM = Group(
    unbuilt_words(
        2,
        cpu=whole(1, 1024),
        memory=SIZE,
        firmware=Choice(("uefi", "bios")),
        secure_boot=SWITCH,
        tpm=SWITCH,
        accel=Choice(("any", "kvm")),
        cpu_model=Choice(("host", "baseline")),
        cpu_pinning=SWITCH,
        hugepages=Choice(("none", "2Mi", "1Gi")),
        disk=_DISK,
        display=Choice(("none", "vnc")),
        guest_agent=SWITCH,
        on_node_shutdown=Choice(("shutdown", "save")),
    )
)
_PAGE = Group(
    (
        Word("port", _PORT, "port of the instance that is asked", built=True),
        Word("path", TEXT, "page that answers with a status of 200 to 399", "/", built=True),
    )
)
_HEALTH = Group(
    (
        Word("tcp", _PORT, "it is well when this port of it takes a connection", built=True),
        Word("http", _PAGE, "it is well when this page of it is there", built=True),
        Word("interval", DURATION, "how often it is asked", "30s", built=True),
        Word("timeout", DURATION, "how long it may take to answer", "30s", built=True),
        Word("retries", whole(1, 1000), "failures in a row that make it unhealthy", "3", built=True),
        Word("start-period", DURATION, "time after its start in which no failure counts", "0s", built=True),
        *unbuilt_words(2, guest_agent=SWITCH),
    )
)
_RATES = Group(
    (
        Word("up", RATE, "what one instance may send", built=True),
        Word("down", RATE, "what one instance may be sent", built=True),
    )
)
_INTERFACE = Group(
    (
        Word("network", TEXT, "a network of the app, or uplink for the way out of the site", built=True),
        Word("address", Many(TEXT), "its address there, one of each version", "the site chooses", built=True),
        Word("mac", TEXT, "its hardware address", "the site chooses", built=True),
        Word("mtu", whole(MTU_MIN, MTU_MAX), "bytes of the largest packet", "the network's", built=True),
        Word("bandwidth", Either((RATE, _RATES)), "all that it sends and is sent there, no more", built=True),
        *unbuilt_words(2, model=Choice(("virtio", "sriov"))),
    )
)

#: Words of a service.
SERVICE = (
    Word("placement", PLACEMENT, "where its instances may be", "the app's", built=True),
    Word("tier", NAME, "whose placement it takes", built=True),
    Word("autonomy", AUTONOMY, "what holds while its site is cut off", "the app's", built=True),
    Word("runtime", Choice(("container", "vm")), "what it runs as; vm is not built yet", "container", built=True),
    Word("health", _HEALTH, "how it is asked whether it is well, instead of healthcheck", built=True),
    ENTRANCE,
    Word("priority", PRIORITY, "who keeps room when room is short", "the app's", built=True),
    Word("max-down", SHARE, f"copies of it that may be down at once by choice; {_ROUNDED}", "the app's", built=True),
    Word(
        "bandwidth",
        _RATES,
        "what an instance has of the uplinks of its site: kept free for it, and no more than that",
        built=True,
    ),
    Word(
        "interfaces",
        Named(Either((TEXT, _INTERFACE))),
        "its network devices by name, in the order of the ways out, instead of networks",
        built=True,
    ),
    *unbuilt_words(
        2,
        vm=_VM,
        cloud_init=Either((TEXT, Group(unbuilt_words(2, user_data=TEXT, network_config=TEXT)))),
    ),
    *unbuilt_words(
        3,
        inputs=Many(Group(unbuilt_words(3, device=TEXT, match=SELECTOR, topic=TEXT))),
        outputs=Many(Group(unbuilt_words(3, topic=TEXT, volume=NAME, keep=DURATION))),
    ),
)

#: Words of a secret.
SECRET = (
    Word(
        "max-offline",
        Either((Choice(("none",)), DURATION)),
        "how long a site cut off gives it to what it starts",
        "none",
        built=True,
    ),
    Word("on-rotate", TEXT, "what a new version does: restart, signal:NAME or none", "restart", built=True),
    Word("sites", SELECTORS, "labels of the sites that may ever have it", "where its users run", built=True),
    Word("env", TEXT, "variable that is set to it too", built=True),
)

#: Places where words stand, as a message names them.
HOMES: dict[str, tuple[Word, ...]] = {
    "the top": TOP,
    "a service": SERVICE,
    "a secret": SECRET,
    "a volume": VOLUME,
    "a network": NETWORK,
}


#: The same for an overlay, where sections of Compose hold our words and nothing else.
SECTIONS: dict[str, tuple[Word, ...]] = {
    "services": SERVICE,
    "volumes": VOLUME,
    "networks": NETWORK,
    "secrets": SECRET,
}

#: First words of an overlay, and all of them.
HEAD = (
    Word("app", NAME, "what the app is called", built=True),
    Word("compose", Anything(), "the Compose file, a list of them, or the text itself", built=True),
)
OVERLAY = (
    *HEAD,
    *(Word(name, Named(Group(words)), "words by name", built=True) for name, words in SECTIONS.items()),
    *TOP,
)


def find_homes(name: str) -> tuple[str, ...]:
    """Return the places where a word exists, for messages about one that stands where it does not."""
    return _index().get(name, ())


@functools.cache
def _index() -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for home, words in HOMES.items():
        for name, place in _list_words(words, home):
            found.setdefault(name, {})[place] = None
    return {name: tuple(places) for name, places in found.items()}


def _list_words(words: tuple[Word, ...], home: str) -> Iterator[tuple[str, str]]:
    for word in words:
        yield word.name, home
        yield from _list_inner(word.type, f'"{word.name}"')


def _list_inner(wanted: Type, home: str) -> Iterator[tuple[str, str]]:
    match wanted:
        case Group():
            yield from _list_words(wanted.words, home)
        case Many() | Named():
            yield from _list_inner(wanted.item, home)
        case Either():
            for one in wanted.types:
                yield from _list_inner(one, home)
        case _:
            pass
