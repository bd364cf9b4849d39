"""Which words of manifests a signed revision says: so that a word which storms never draw is seen.

Words are named by their path in a manifest, such as ``placement.geofence.countries``; a choice also by what was chosen,
``autonomy.on-return=keep-replacement``. What stands at its default was not said.
"""

from collections.abc import Iterable, Iterator
from typing import Any, cast

import msgspec

from skerry.model.app import AppRevision, HealthCheck, Placement, Probe, Replicas, SecretUse, Service, Sites, Spread
from skerry.model.geography import Around, NamedArea, Point, Region
from skerry.model.placing import Apart, LabelWish, Latency, Nearest, PlacementRules, Prefer, Residency, Together
from skerry.model.policy import Autonomy, Policy, Priority, SecretPolicy
from skerry.model.rollout import Gate, InSite, Rollout, Share, TimeWindow

#: Of each struct its fields, and the word of the manifest that each is; an empty one adds no step to the path.
_WORDS: dict[type[msgspec.Struct], dict[str, str]] = {
    Service: {"placement": "placement", "policy": "", "healthcheck": "health"},
    HealthCheck: {"probe": ""},
    Probe: {"port": "tcp", "path": "http"},
    SecretUse: {"policy": "secrets"},
    SecretPolicy: {"max_offline_us": "max-offline", "on_rotate": "on-rotate", "sites": "sites", "env": "env"},
    Policy: {"autonomy": "autonomy", "priority": "priority"},
    Autonomy: {
        "offline": "offline",
        "max_offline_us": "max-offline",
        "restart_offline": "restart-offline",
        "local_control": "local-control",
        "replace_after_us": "replace-after",
        "on_return": "on-return",
    },
    Priority: {"value": "value", "preempts": "preempts", "preemptible": "preemptible"},
    Rollout: {
        "canary": "canary",
        "canary_sites": "canary.sites",
        "bake_us": "canary.bake",
        "waves": "waves",
        "repeats": "waves",
        "max_failed": "max-failed",
        "on_failure": "on-failure",
        "gate": "health",
        "approve": "approve",
        "offline_sites": "offline-sites",
        "prefetch": "prefetch",
        "windows": "window",
        "in_site": "in-site",
    },
    Share: {},
    TimeWindow: {},
    Gate: {"healthy_us": "for", "timeout_us": "timeout"},
    InSite: {"order": "order", "parallel": "parallel"},
    Placement: {"sites": "sites", "replicas": "replicas", "node": "node", "spread": "spread", "rules": ""},
    Sites: {"match": "match", "names": "names", "exclude": "exclude"},
    Replicas: {"per_site": "per-site", "total": "total"},
    Spread: {"by": "by", "max_skew": "max-skew", "require": "require"},
    PlacementRules: {
        "geofence": "geofence",
        "residency": "residency",
        "together": "",
        "apart": "apart",
        "latency": "latency",
        "nearest": "sites",
        "sites_max": "sites.max",
        "max_price_micro": "max-price",
        "prefer": "prefer",
        "if_none": "if-none",
    },
    Region: {"countries": "countries", "polygon": "polygon", "around": "around", "outside": "not", "areas": "areas"},
    # What an area was when it was signed is its own file's word, not the app's.
    NamedArea: {},
    Around: {"point": "point", "metres": "km"},
    Point: {"latitude_udeg": "lat", "longitude_udeg": "lon"},
    Residency: {"region": "", "jurisdictions": "jurisdictions", "covers": "covers"},
    Together: {"by": ""},
    Apart: {"by": "by", "services": "of"},
    Latency: {
        "to": "to",
        "point": "to.place",
        "every": "to.any",
        "max_rtt_us": "max-rtt",
        "weight": "weight",
        "measured": "basis",
        "quantile_permille": "quantile",
    },
    Nearest: {"service": "nearest", "max_rtt_us": "max-rtt"},
    Prefer: {
        "cost": "cost",
        "latency": "latency",
        "spread": "spread",
        "moves": "moves",
        "labels": "labels",
        "fill": "fill",
    },
    LabelWish: {"match": "match", "weight": "weight"},
}


def list_words(revision: AppRevision) -> frozenset[str]:
    """Name every word that a revision says."""
    found: set[str] = set()
    for service in revision.services.values():
        found.update(_walk(service, ""))
    for use in revision.secrets.values():
        found.update(_walk(use, ""))
    if revision.rollout:
        found.update(("rollout", *_walk(revision.rollout, "rollout")))
    return frozenset(found)


def _walk(said: msgspec.Struct, path: str) -> Iterator[str]:
    if isinstance(said, Together):
        yield f"{path}.same-{said.by}"
        return
    if isinstance(said, Latency) and said.name:
        yield f"{path}.to.{said.to}"
    words = _WORDS[type(said)]
    for field in msgspec.structs.fields(said):
        value = getattr(said, field.name)
        if field.name not in words or (not field.required and value == field.default):
            continue
        name = ".".join(filter(None, (path, words[field.name])))
        if words[field.name]:
            yield name
        if isinstance(value, str) and words[field.name] and len(value) < _CHOICE_LETTERS:
            yield f"{name}={value}"
        for part in _parts(value):
            yield from _walk(part, name)


#: Longer texts are no choices.
_CHOICE_LETTERS = 20


def _parts(value: object) -> Iterable[msgspec.Struct]:
    if isinstance(value, msgspec.Struct):
        return (value,)
    if isinstance(value, tuple):
        return (each for each in cast("tuple[Any, ...]", value) if isinstance(each, msgspec.Struct))
    return ()
