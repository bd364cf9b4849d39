"""What a planner returns besides its actions: reasons. ``skerry why`` and ``skerry plan`` print these values."""

from typing import Literal

import msgspec

from skerry.model.ids import AppName, InstanceId, NodeName, ServiceName, SiteName, TenantName


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """Something that cannot go on yet, and why."""

    subject: str
    reason: str
    #: Boot-time microseconds at which it is worth looking again; 0 when only an event can help.
    until_us: int = 0


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """Why one site or node cannot hold an instance: the constraint that failed first, in the order they are checked."""

    site: SiteName
    node: NodeName | None
    #: One of site, tenant, label, geofence, residency, node, cordon, sites, price, apart, same-site, same-node,
    #: nearest, latency, cpu, memory, uplink, disk, port, entrance, secret, spread, variable.
    constraint: str
    detail: str


class Placed(msgspec.Struct, frozen=True, kw_only=True, tag="placed"):
    """An instance has a place; ``score`` is lower for better, ``runners_up`` are what it was better than."""

    service: ServiceName
    ordinal: int
    site: SiteName
    node: NodeName
    score: int = 0
    kept: bool = False


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """No place for an instance: each candidate's first failed constraint, and a sentence that sums them up."""

    service: ServiceName
    #: Site it was wanted at for per-site replicas; None when any site would do.
    site: SiteName | None
    reason: str
    rejections: tuple[Rejection, ...] = ()


class Staying(msgspec.Struct, frozen=True, kw_only=True):
    """An instance that is still at a site that is drained, and why."""

    service: ServiceName
    ordinal: int
    site: SiteName
    reason: str
    #: It goes later, by itself; otherwise something has to change first.
    waits: bool = False


class Preempted(msgspec.Struct, frozen=True, kw_only=True):
    """An instance that had to make room for one of a higher priority."""

    service: ServiceName
    ordinal: int
    site: SiteName
    priority: int
    #: For which instance, and the priority of that.
    by: InstanceId
    over: int


class AppReport(msgspec.Struct, frozen=True, kw_only=True):
    """How one app was placed."""

    tenant: TenantName
    app: AppName
    number: int
    placed: tuple[Placed, ...] = ()
    refused: tuple[Refused, ...] = ()
    #: Sites that may not have the newest revision yet, and why.
    waiting: dict[SiteName, str] = {}
    #: Instances that sites which are drained still have.
    staying: tuple[Staying, ...] = ()
    #: Instances that made room for others and have no place since.
    preempted: tuple[Preempted, ...] = ()


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One difference between the present and the planned fleet, for people."""

    kind: Literal["add", "remove", "change", "keep"]
    site: SiteName
    instance: InstanceId
    detail: str
