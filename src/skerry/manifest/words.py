"""The vocabulary of ``x-skerry``: every word of manifest.md §6, with its type and whether it is built.

This file is data. A word that is not built is refused as such and never ignored; to build one, set ``built`` here and
read it where its like is read. Neighbours: ``word_types.py`` has the types, ``placement.py`` reads what is built.
"""

import functools
from collections.abc import Iterator

from skerry.manifest.word_types import (
    BUDGET,
    DURATION,
    LOOSE_TEXT,
    NAME,
    NUMBER,
    PERCENT,
    RATE,
    SELECTOR,
    SHARE,
    SIZE,
    SWITCH,
    TEXT,
    WINDOW,
    Anything,
    Choice,
    Either,
    Group,
    Many,
    Named,
    Type,
    Word,
    whole,
)
from skerry.model.limits import REPLICAS_MAX

_SELECTORS = Many(SELECTOR)
_PORT = whole(1, 65535)
_WEIGHT = whole(0, 1000)


def _words(stage: int, **types: Type) -> tuple[Word, ...]:
    """Make words that are not built; ``_`` in a name stands for ``-``, one at its end for nothing."""
    return tuple(Word(name.rstrip("_").replace("_", "-"), one, stage=stage) for name, one in types.items())


_POINT = Group(_words(1, lat=NUMBER, lon=NUMBER))
_REGION_WORDS = _words(
    1,
    countries=Many(TEXT),
    areas=Many(NAME),
    polygon=Anything(),
    around=Group(_words(1, point=_POINT, km=NUMBER)),
    not_=Anything(),
)

_SITES = Group(
    (
        Word("match", _SELECTORS, "labels that a site must have", built=True),
        Word("names", Many(NAME), "the sites by name", built=True),
        Word("exclude", Many(NAME), "never these sites", built=True),
        *_words(1, nearest=NAME, max_rtt=DURATION, max=whole(1, 100_000)),
    )
)
_REPLICAS = Group(
    (
        Word("per-site", whole(1, REPLICAS_MAX), "copies at each chosen site", built=True),
        Word("total", whole(1, REPLICAS_MAX), "copies in all", built=True),
    )
)
_SPREAD = Group(
    (
        Word("by", TEXT, "site, node, region, country or label:KEY", "node", built=True),
        Word("max-skew", whole(1, REPLICAS_MAX), "largest difference between two of them", "1", built=True),
        Word("require", SWITCH, "whether it must hold", "false", built=True),
    )
)
_LATENCY = Group(
    _words(
        1,
        of=NAME,
        to=Either(
            (TEXT, Group(_words(1, place=_POINT, users=NAME, service=NAME, any=SWITCH, site=NAME))),
        ),
        max_rtt=DURATION,
        weight=_WEIGHT,
        quantile=NUMBER,
        basis=Choice(("best", "measured")),
    )
)
_BURST = Group(
    _words(
        2,
        to=Many(Choice(("never", "neighbours", "core"))),
        when=TEXT,
        max_instances=whole(1, REPLICAS_MAX),
        lease=DURATION,
        max_rtt=DURATION,
        max_price=NUMBER,
        bring_back=Choice(("free", "lease-end")),
    )
)
_PREFER = Group(
    _words(
        1,
        cost=_WEIGHT,
        latency=_WEIGHT,
        spread=_WEIGHT,
        moves=_WEIGHT,
        energy=_WEIGHT,
        labels=Many(Group(_words(1, match=SELECTOR, weight=_WEIGHT))),
        fill=Choice(("pack", "level")),
    )
)
_TOGETHER = Many(Many(TEXT))

_PLACEMENT_WORDS = (
    Word("sites", Either((_SELECTORS, _SITES)), "candidate sites", "every site that accepts the app", built=True),
    Word("replicas", _REPLICAS, "copies of each service", "per-site: 1 with sites, else total: 1", built=True),
    Word("node", _SELECTORS, "facts and labels of the node", built=True),
    Word("spread", Many(_SPREAD), "even distribution", "{by: node}", built=True),
    *_words(
        1,
        same_site=_TOGETHER,
        same_node=_TOGETHER,
        apart=Either((Many(TEXT), Group(_words(1, of=Many(TEXT), by=Choice(("node", "site", "region")))))),
        latency=Many(_LATENCY),
        geofence=Group((*_REGION_WORDS, Word("evidence", Choice(("declared", "attested"))))),
        residency=Group((*_REGION_WORDS, *_words(1, jurisdictions=Many(TEXT), covers=Many(TEXT)))),
    ),
)
_PLACEMENT_TAIL = (
    *_words(1, prefer=_PREFER, max_price=NUMBER, if_none=Choice(("wait", "fail"))),
    Word("burst", _BURST, stage=2),
)
_PLACEMENT = Group((*_PLACEMENT_WORDS, *_PLACEMENT_TAIL))
_PLACEMENT_OF_APP = Group((*_PLACEMENT_WORDS, Word("tiers", Named(_PLACEMENT)), *_PLACEMENT_TAIL))

_AUTONOMY = Group(
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
        *_words(
            1,
            local_control=Choice(("none", "restart", "full")),
            replace_after=Either((Choice(("never",)), DURATION)),
            on_return=Choice(("keep-original", "keep-replacement", "newest", "longest-running")),
        ),
        *_words(2, lease=Group(_words(2, ttl=DURATION, margin=DURATION, witnesses=Many(TEXT), min=TEXT))),
    )
)
_CANARY = Group(
    (
        Word("sites", _SELECTORS, "labels of the first sites", built=True),
        Word("bake", DURATION, "how long they stand before the first wave", "10m", built=True),
    )
)
_HEALTH_GATE = Group(
    (
        Word("for", DURATION, "how long all services must be well", "2m", built=True),
        Word("timeout", DURATION, "within which time", "10m", built=True),
    )
)
_ROLLOUT = Group(
    (
        Word("canary", Either((SHARE, _CANARY)), "first sites; none may fail", "1", built=True),
        Word("waves", Many(SHARE), "sizes after the canary; one value repeats", "[10%, 50%, 100%]", built=True),
        Word("max-failed", SHARE, "sites that may fail in the waves", "2%", built=True),
        Word("on-failure", Choice(("rollback", "pause", "continue")), "what then", "rollback", built=True),
        Word("health", _HEALTH_GATE, "the gate that each site judges by", built=True),
        Word("approve", Choice(("none", "canary", "each-wave")), "when a person is waited for", "none", built=True),
        Word("offline-sites", Choice(("skip", "wait")), "whether sites cut off hold it up", "skip", built=True),
        Word("prefetch", SWITCH, "whether waiting sites fetch images already", "true", built=True),
        *_words(
            1,
            window=Many(WINDOW),
            in_site=Group(_words(1, order=Choice(("stop-first", "start-first")), parallel=whole(1, REPLICAS_MAX))),
        ),
    )
)
_PRIORITY = Either(
    (
        _WEIGHT,
        Group(_words(1, value=_WEIGHT, preempts=Choice(("lower", "never")), preemptible=SWITCH)),
    )
)
_CHAIN = Group(
    (
        *_words(2, name=NAME, to=TEXT, through=Many(NAME), symmetric=SWITCH, max_latency=DURATION, bandwidth=RATE),
        Word("from", TEXT, stage=2),
        Word("fail", Choice(("open", "closed")), stage=2),
        Word(
            "match",
            Group(_words(2, protocol=TEXT, ports=Many(LOOSE_TEXT), from_cidr=Many(TEXT), to_cidr=Many(TEXT))),
            stage=2,
        ),
    )
)
_DATAFLOW = Group(
    (
        *_words(
            3,
            name=NAME,
            to=TEXT,
            reduce=Group(
                _words(3, window=DURATION, group_by=Many(TEXT), emit=Many(TEXT), filter=TEXT, sample=LOOSE_TEXT)
            ),
            budget=BUDGET,
            when_offline=Choice(("spool", "summarise", "drop")),
            spool_limit=SIZE,
            drop=Choice(("oldest", "newest")),
            priority=_WEIGHT,
        ),
        Word("from", TEXT, stage=3),
    )
)
_PRIVACY = Group(
    _words(
        3,
        raw_leaves_site=Choice(("allowed", "masked", "never")),
        fields=Many(Group(_words(3, match=TEXT, action=Choice(("drop", "hash", "generalise"))))),
        min_group=whole(1, 1_000_000),
        logs=Choice(("full", "masked", "none")),
    )
)
_SLO = Group(
    _words(
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
    Word("placement", _PLACEMENT_OF_APP, "where instances may be", built=True),
    Word("autonomy", _AUTONOMY, "what holds while a site is cut off", built=True),
    Word("rollout", _ROLLOUT, "how a new revision comes to the sites", "to all at once", built=True),
    *_words(
        1,
        withdraw=Choice(("core", "tenant")),
        max_down=SHARE,
        priority=_PRIORITY,
    ),
    *_words(
        2,
        logs=Choice(("plain", "sealed")),
        variants=Many(
            Group(
                _words(
                    2, sites=_SELECTORS, profiles=Many(TEXT), environment=Named(LOOSE_TEXT), services=Named(Anything())
                )
            )
        ),
        chain=Many(_CHAIN),
    ),
    *_words(3, dataflow=Many(_DATAFLOW), privacy=_PRIVACY, slo=_SLO),
)

_DISK = Group(_words(2, size=SIZE, bus=TEXT, on_image_change=Choice(("replace", "keep"))))
_VM = Group(
    _words(
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
        *_words(2, guest_agent=SWITCH),
    )
)
_INTERFACE = Group(_words(2, network=NAME, address=TEXT, mac=TEXT, model=Choice(("virtio", "sriov")), bandwidth=RATE))

#: Words of a service.
SERVICE = (
    Word("placement", _PLACEMENT, "where its instances may be", "the app's", built=True),
    Word("autonomy", _AUTONOMY, "what holds while its site is cut off", "the app's", built=True),
    Word("runtime", Choice(("container", "vm")), "what it runs as; vm is not built yet", "container", built=True),
    Word("health", _HEALTH, "how it is asked whether it is well, instead of healthcheck", built=True),
    *_words(
        1,
        tier=NAME,
        priority=_PRIORITY,
        max_down=SHARE,
        bandwidth=Group(_words(1, up=RATE, down=RATE)),
    ),
    *_words(
        2,
        vm=_VM,
        cloud_init=Either((TEXT, Group(_words(2, user_data=TEXT, network_config=TEXT)))),
        interfaces=Named(Either((TEXT, _INTERFACE))),
    ),
    *_words(
        3,
        inputs=Many(Group(_words(3, device=TEXT, match=SELECTOR, topic=TEXT))),
        outputs=Many(Group(_words(3, topic=TEXT, volume=NAME, keep=DURATION))),
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
    Word("sites", _SELECTORS, "labels of the sites that may ever have it", "where its users run", built=True),
    Word("env", TEXT, "variable that is set to it too", built=True),
)

#: Words of a volume.
VOLUME = _words(
    2,
    size=SIZE,
    scope=Choice(("site", "instance", "app")),
    on_delete=Choice(("keep", "delete")),
    class_=TEXT,
    access=Choice(("exclusive", "shared-read", "shared")),
    snapshot=Group(_words(2, every=DURATION, keep=whole(1, 10_000), before_update=SWITCH)),
    replicate=Group(_words(2, to=_SELECTORS, copies=whole(1, 100), max_lag=DURATION, budget=BUDGET)),
    backup=Group(_words(2, to=NAME, every=DURATION, keep=whole(1, 10_000))),
    move=Choice(("never", "with-instance")),
    residency=Group(_REGION_WORDS),
)

_TRAFFIC = Either(
    (
        Choice(("allow", "deny")),
        Many(Group((*_words(2, to=TEXT, ports=Many(LOOSE_TEXT)), Word("from", TEXT, stage=2)))),
    )
)

#: Words of a network.
NETWORK = _words(
    2,
    kind=Choice(("bridge", "overlay", "vlan", "macvlan", "ipvlan", "sriov")),
    scope=Choice(("site", "app")),
    id=whole(0, 2**24 - 1),
    parent=TEXT,
    mtu=whole(68, 65535),
    egress=_TRAFFIC,
    ingress=_TRAFFIC,
    bandwidth=RATE,
    encrypt=SWITCH,
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
