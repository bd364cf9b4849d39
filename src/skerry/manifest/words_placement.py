"""Words of a placement: where instances may be. Part of the vocabulary of ``words.py``, whose rules hold here."""

from skerry.manifest.word_types import (
    DURATION,
    NAME,
    NUMBER,
    SELECTOR,
    SWITCH,
    TEXT,
    Anything,
    Choice,
    Either,
    Group,
    Many,
    Named,
    Word,
    unbuilt_words,
    whole,
)
from skerry.model.limits import REPLICAS_MAX

#: Labels or facts that must hold.
SELECTORS = Many(SELECTOR)
#: How much a preference counts.
WEIGHT = whole(0, 1000)

_POINT = Group(unbuilt_words(1, lat=NUMBER, lon=NUMBER))
REGION_WORDS = unbuilt_words(
    1,
    countries=Many(TEXT),
    areas=Many(NAME),
    polygon=Anything(),
    around=Group(unbuilt_words(1, point=_POINT, km=NUMBER)),
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
_SHAPES = (
    Word("countries", Many(TEXT), "two letters each, as the sites' signed records have them", built=True),
    Word("polygon", Anything(), "GeoJSON of type Polygon or MultiPolygon", built=True),
    Word("around", _CIRCLE, "a circle on the ground", built=True),
)
#: Ground of an area.
AREA_WORDS = (*_SHAPES, Word("not", Group(_SHAPES), "what is left out of it", built=True))
_AREAS = Word("areas", Many(NAME), "areas by name; inside one of them is inside", built=True)
_GROUND_WORDS = (*_SHAPES, _AREAS)
_GROUND = (*_GROUND_WORDS, Word("not", Group(_GROUND_WORDS), "what is left out of it", built=True))
_COVERS = Choice(("volumes", "snapshots", "replicas", "backups", "logs", "flows"))

_SITES = Group(
    (
        Word("match", SELECTORS, "labels that a site must have", built=True),
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
        Word("users", NAME, "a group of users by name; each counts with the nearest copy", built=True),
    )
)
_LATENCY = Group(
    (
        Word("of", TEXT, "the service that is to be near; at a service itself", built=True),
        Word("to", Either((TEXT, _TARGET)), "what it is to be near: core, or one of these", built=True),
        Word("max-rtt", DURATION, "longest round trip, as a constraint", built=True),
        Word("weight", WEIGHT, "weight of a millisecond, as a preference", built=True),
        Word("basis", Choice(("best", "measured")), "measured: an estimate does not do", "best", built=True),
        Word("quantile", NUMBER, "the part of the users that it must hold for", "0.95", built=True),
    )
)
_BURST = Group(
    unbuilt_words(
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
        Word("weight", WEIGHT, "by how much", "1", built=True),
    )
)
_PREFER = Group(
    (
        Word("cost", WEIGHT, "weight of the price", "1", built=True),
        Word("latency", WEIGHT, "weight of the round trips", "1", built=True),
        Word("spread", WEIGHT, "weight of an even distribution", "1", built=True),
        Word("moves", WEIGHT, "weight of images to be fetched", "1", built=True),
        Word("labels", Many(_BETTER), "nodes that are better", built=True),
        Word("fill", Choice(("pack", "level")), "whether full or empty nodes are better", "level", built=True),
        *unbuilt_words(3, energy=WEIGHT),
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
    Word("sites", Either((SELECTORS, _SITES)), "candidate sites", "every site that accepts the app", built=True),
    Word("replicas", _REPLICAS, "copies of each service", "per-site: 1 with sites, else total: 1", built=True),
    Word("node", SELECTORS, "facts and labels of the node", built=True),
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
PLACEMENT = Group((*_PLACEMENT_WORDS, *_PLACEMENT_TAIL))
_TIERS = Word("tiers", Named(PLACEMENT), "placements by name", built=True)
PLACEMENT_OF_APP = Group((*_PLACEMENT_WORDS, _TIERS, *_PLACEMENT_TAIL))
