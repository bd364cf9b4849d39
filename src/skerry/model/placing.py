"""What an app says of its places beyond sites, copies, nodes and spread; left out of the signed form where unsaid.

Constraints are of two sorts. Where an instance is *forbidden* to be (``geofence``, ``residency``), every site judges
for itself by its own signed record, and an instance that is there leaves. All others keep newcomers out: what runs is
never stopped because a price or a round trip has changed. Prices are in millionths of the operator's unit, times in
microseconds.
"""

from typing import Literal

import msgspec

from skerry.model.geography import Point, Region, UserPoint

#: Data that residency is about. Of these a site keeps volumes and logs today; the others come with their words.
Cover = Literal["volumes", "snapshots", "replicas", "backups", "logs", "flows"]


class _Word(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True, omit_defaults=True):
    """Signed structs are closed; defaults are left out."""


class Together(_Word, frozen=True, kw_only=True, omit_defaults=True):
    """The service is kept with these: other services of the app, or ``app/service`` of the same tenant."""

    by: Literal["site", "node"]
    services: tuple[str, ...]


class Apart(_Word, frozen=True, kw_only=True, omit_defaults=True):
    """The service is kept away from these; its own name means its own copies. It binds the others as well."""

    by: Literal["node", "site", "region"]
    services: tuple[str, ...]


class Residency(_Word, frozen=True, kw_only=True, omit_defaults=True):
    """Where data may be, and under whose law."""

    region: Region = Region()
    #: Countries of operators, two capital letters each; empty for any. A site's is its signed label ``jurisdiction``.
    jurisdictions: tuple[str, ...] = ()
    #: Empty for all of them.
    covers: tuple[Cover, ...] = ()


class Latency(_Word, frozen=True, kw_only=True, omit_defaults=True):
    """How far a copy may be from something, as a round trip; a bound, a preference or both."""

    to: Literal["core", "place", "site", "service", "users"]
    #: With ``place``.
    point: Point | None = None
    #: Name of the site, of the service, or, for people only, of the group of users.
    name: str = ""
    #: With ``users``: where they are, as it was when this was signed, and which version of the group that was.
    points: tuple[UserPoint, ...] = ()
    number: int = 0
    #: With ``users``: the part of them, in thousandths, that the round trip counts for.
    quantile_permille: int = 0
    #: With ``service``: every copy of it counts, not the nearest one.
    every: bool = False
    #: 0 for no bound.
    max_rtt_us: int = 0
    #: Weight as a preference; 0 for none.
    weight: int = 0
    #: An estimate does not do.
    measured: bool = False


class Nearest(_Word, frozen=True, kw_only=True, omit_defaults=True):
    """The candidate sites are those closest to where a service of the app runs."""

    service: str
    max_rtt_us: int = 0


class LabelWish(_Word, frozen=True, kw_only=True, omit_defaults=True):
    """Nodes that the selector matches are better by the weight."""

    match: str
    weight: int = 1


class Prefer(_Word, frozen=True, kw_only=True, omit_defaults=True):
    """Weights of the score among places that all fulfil what must hold."""

    cost: int = 1
    latency: int = 1
    spread: int = 1
    #: Bytes that have to be fetched.
    moves: int = 1
    labels: tuple[LabelWish, ...] = ()
    fill: Literal["pack", "level"] = "level"


class PlacementRules(_Word, frozen=True, kw_only=True, omit_defaults=True):
    """The further words of one service, after those of its tier and of the app were merged in."""

    #: Each must hold: that of the app, of the tier and of the service.
    geofence: tuple[Region, ...] = ()
    residency: tuple[Residency, ...] = ()
    together: tuple[Together, ...] = ()
    apart: tuple[Apart, ...] = ()
    latency: tuple[Latency, ...] = ()
    nearest: Nearest | None = None
    #: At most so many sites; 0 for any number.
    sites_max: int = 0
    #: Price of one instance for an hour; a site's is its signed label ``price``.
    max_price_micro: int | None = None
    prefer: Prefer = Prefer()
    #: Whether an apply is refused when a copy of the service has no place.
    if_none: Literal["wait", "fail"] = "wait"
