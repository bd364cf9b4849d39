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
_PLACE = Group(
    (
        Word("lat", NUMBER, "degrees north", built=True),
        Word("lon", NUMBER, "degrees east", built=True),
    )
)
_CIRCLE = Group(
    (
        Word("point", _PLACE, "its middle", built=True),
        Word("km", NUMBER, "its radius", built=True),
    )
)
_GROUND_WORDS = (
    Word("countries", Many(TEXT), "two letters each, as the sites' signed records have them", built=True),
    Word("polygon", Anything(), "GeoJSON of type Polygon or MultiPolygon", built=True),
    Word("around", _CIRCLE, "a circle on the ground", built=True),
    *_words(1, areas=Many(NAME)),
)
_GROUND = (*_GROUND_WORDS, Word("not", Group(_GROUND_WORDS), "what is left out of it", built=True))
_COVERS = Choice(("volumes", "snapshots", "replicas", "backups", "logs", "flows"))

_SITES = Group(
    (
        Word("match", _SELECTORS, "labels that a site must have", built=True),
        Word("names", Many(NAME), "the sites by name", built=True),
        Word("exclude", Many(NAME), "never these sites", built=True),
        Word("nearest", TEXT, "those closest to where this service runs", built=True),
        Word("max-rtt", DURATION, "how far from it, as a round trip", built=True),
        Word("max", whole(1, 100_000), "at most so many of them", built=True),
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
_TARGET = Group(
    (
        Word("place", _PLACE, "a point on the ground", built=True),
        Word("service", TEXT, "a service of the app", built=True),
        Word("any", SWITCH, "whether its nearest copy is enough, or every one counts", "true", built=True),
        Word("site", NAME, "a site", built=True),
        *_words(1, users=NAME),
    )
)
_LATENCY = Group(
    (
        Word("of", TEXT, "the service that is to be near; at a service itself", built=True),
        Word("to", Either((TEXT, _TARGET)), "what it is to be near: core, or one of these", built=True),
        Word("max-rtt", DURATION, "longest round trip, as a constraint", built=True),
        Word("weight", _WEIGHT, "weight of a millisecond, as a preference", built=True),
        Word("basis", Choice(("best", "measured")), "measured: an estimate does not do", "best", built=True),
        *_words(1, quantile=NUMBER),
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
_BETTER = Group(
    (
        Word("match", SELECTOR, "labels and facts of the nodes that are better", built=True),
        Word("weight", _WEIGHT, "by how much", "1", built=True),
    )
)
_PREFER = Group(
    (
        Word("cost", _WEIGHT, "weight of the price", "1", built=True),
        Word("latency", _WEIGHT, "weight of the round trips", "1", built=True),
        Word("spread", _WEIGHT, "weight of an even distribution", "1", built=True),
        Word("moves", _WEIGHT, "weight of images to be fetched", "1", built=True),
        Word("labels", Many(_BETTER), "nodes that are better", built=True),
        Word("fill", Choice(("pack", "level")), "whether full or empty nodes are better", "level", built=True),
        *_words(3, energy=_WEIGHT),
    )
)
_TOGETHER = Many(Many(TEXT))
_APART = Group(
    (
        Word("of", Many(TEXT), "services; one alone means its own copies", built=True),
        Word("by", Choice(("node", "site", "region")), "how far", "node", built=True),
    )
)
_FENCE = Group(
    (
        *_GROUND,
        Word("evidence", Choice(("declared", "attested")), "attested is not built yet", "declared", built=True),
    )
)
_RESIDENCY = Group(
    (
        *_GROUND,
        Word("jurisdictions", Many(TEXT), "under whose law the operator is: the label jurisdiction", "any", built=True),
        Word("covers", Many(_COVERS), "which data", "all", built=True),
    )
)

_PLACEMENT_WORDS = (
    Word("sites", Either((_SELECTORS, _SITES)), "candidate sites", "every site that accepts the app", built=True),
    Word("replicas", _REPLICAS, "copies of each service", "per-site: 1 with sites, else total: 1", built=True),
    Word("node", _SELECTORS, "facts and labels of the node", built=True),
    Word("spread", Many(_SPREAD), "even distribution", "{by: node}", built=True),
    Word("same-site", _TOGETHER, "services kept together at a site", built=True),
    Word("same-node", _TOGETHER, "services kept together on a node", built=True),
    Word("apart", Either((Many(TEXT), _APART)), "services kept away from each other", built=True),
    Word("latency", Many(_LATENCY), "round trips", built=True),
    Word("geofence", _FENCE, "where instances may be; every level holds", built=True),
    Word("residency", _RESIDENCY, "where their data may be; every level holds", "the geofence", built=True),
)
_PLACEMENT_TAIL = (
    Word("prefer", _PREFER, "what is better among the places that will do", built=True),
    Word("max-price", NUMBER, "most that an instance may cost for an hour: the site's label price", built=True),
    Word("if-none", Choice(("wait", "fail")), "whether an apply is refused without a place", "wait", built=True),
    Word("burst", _BURST, stage=2),
)
_PLACEMENT = Group((*_PLACEMENT_WORDS, *_PLACEMENT_TAIL))
_TIERS = Word("tiers", Named(_PLACEMENT), "placements by name", built=True)
_PLACEMENT_OF_APP = Group((*_PLACEMENT_WORDS, _TIERS, *_PLACEMENT_TAIL))

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
_IN_SITE = Group(
    (
        Word("order", Choice(("stop-first", "start-first")), "which copy comes first", "stop-first", built=True),
        Word("parallel", whole(1, REPLICAS_MAX), "copies of a service under change at once", "1", built=True),
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
        Word("window", Many(WINDOW), "times at which a site may begin, by its own clock", "always", built=True),
        Word("prefetch", SWITCH, "whether waiting sites fetch images already", "true", built=True),
        Word("in-site", _IN_SITE, "in which order copies are changed at one site", "all at once", built=True),
    )
)
_PRIORITY = Either(
    (
        _WEIGHT,
        Group(
            (
                Word("value", _WEIGHT, "a higher one keeps its room", "500", built=True),
                Word("preempts", Choice(("lower", "never")), "whose room it takes", "lower", built=True),
                Word("preemptible", SWITCH, "whether a higher one may take its room", "true", built=True),
            )
        ),
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
    Word("priority", _PRIORITY, "who keeps room when room is short", "500", built=True),
    *_words(
        1,
        withdraw=Choice(("core", "tenant")),
        max_down=SHARE,
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
    Word("tier", NAME, "whose placement it takes", built=True),
    Word("autonomy", _AUTONOMY, "what holds while its site is cut off", "the app's", built=True),
    Word("runtime", Choice(("container", "vm")), "what it runs as; vm is not built yet", "container", built=True),
    Word("health", _HEALTH, "how it is asked whether it is well, instead of healthcheck", built=True),
    Word("priority", _PRIORITY, "who keeps room when room is short", "the app's", built=True),
    *_words(
        1,
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
