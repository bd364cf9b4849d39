"""``deploy.update_config`` and ``rollback_config``: how the copies of a service change at one site.

Swarm's words for a cluster hold for each site by itself; what happens across sites is the matter of
``x-skerry.rollout``. Neighbour: ``rollouts.py`` reads that, and its ``in-site`` holds instead where it is given.
"""

import re
from collections.abc import Mapping as Mapped
from decimal import Decimal
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from skerry.manifest.nodes import Place
from skerry.manifest.reading import Reading
from skerry.manifest.rollouts import find_single
from skerry.model.app import Service
from skerry.model.ids import ServiceName
from skerry.model.limits import REPLICAS_MAX
from skerry.model.rollout import Gate, InSite, Rollout, Share

_RATIO = re.compile(r"0?\.[0-9]{1,9}|[01](?:\.0{0,9})?", re.ASCII)
_ALL = 1000


class _Update(msgspec.Struct, frozen=True):
    """One of the two fields as it was read."""

    in_site: InSite
    goes_back: bool = False
    monitor_us: int = 0


def settle_updates(
    reading: Reading,
    places: Mapped[ServiceName, Place],
    services: Mapped[ServiceName, Service],
    rollout: Rollout | UnsetType,
) -> tuple[dict[ServiceName, Service], Rollout | UnsetType]:
    """Return the services with the order in which their copies change, and the app's rollout.

    Where a service wishes to go back and the manifest has no rollout, the app gets one that brings each revision to
    all sites at once, as without, and from which each site goes back by itself.
    """
    found: dict[ServiceName, Service] = {}
    returning: list[tuple[Service, _Update]] = []
    is_ours = bool(rollout) and bool(rollout.in_site)
    for name, service in services.items():
        forth = reading.find(places[name], "deploy", "update_config")
        back = reading.find(places[name], "deploy", "rollback_config")
        update = _read_update(reading, forth, service)
        undo = _read_update(reading, back, service, may_go_back=False)
        for place in filter(None, (forth, back)) if is_ours else ():
            reading.findings.note(place, "translated", "nothing: in-site of the app's rollout holds instead")
        if update is not None and update.goes_back:
            returning.append((service, update))
        service = msgspec.structs.replace(
            service,
            in_site=UNSET if update is None or is_ours else update.in_site,
            in_site_back=UNSET if undo is None or is_ours else undo.in_site,
        )
        if forth is not None and rollout:
            _check_span(reading, forth, service, rollout.gate)
        found[name] = service
    return found, _make_rollout(returning) if returning and not rollout else rollout


def _read_update(
    reading: Reading, place: Place | None, service: Service, *, may_go_back: bool = True
) -> _Update | None:
    if place is None:
        return None
    copies = reading.whole(reading.find(place, "parallelism"), 0, REPLICAS_MAX, 1)
    delay_us = reading.duration(reading.find(place, "delay"), 0)
    monitor_us = reading.duration(reading.find(place, "monitor"), 0)
    action = reading.find(place, "failure_action")
    word = reading.text(action, "pause")
    if action is not None and word not in ("pause", "continue", *(("rollback",) if may_go_back else ())):
        allowed = "pause, continue, rollback" if may_go_back else "pause, continue"
        reading.findings.complain(action, "E-TYPE", f'"{word[:40]}" is none of {allowed}')
    elif action is not None and word == "rollback":
        reading.findings.note(action, "translated", "rollout.on-failure: each site goes back with the whole app")
    permille = _read_ratio(reading, reading.find(place, "max_failure_ratio"))
    return _Update(
        InSite(
            order=_read_order(reading, reading.find(place, "order"), service),
            parallel=copies or REPLICAS_MAX,
            settle_us=max(delay_us, monitor_us),
            failed_permille=_ALL if word == "continue" else permille,
        ),
        goes_back=word == "rollback",
        monitor_us=monitor_us,
    )


def _read_order(reading: Reading, place: Place | None, service: Service) -> Literal["stop-first", "start-first"]:
    """Return the order; Swarm would run two copies where one node has room for one only."""
    if place is None or reading.text(place) != "start-first":
        return "stop-first"
    single = find_single(service)
    if single:
        detail = f"stop-first: it has {single}, and two copies at one site cannot have that at once"
        reading.findings.note(place, "translated", detail)
    return "stop-first" if single else "start-first"


def _read_ratio(reading: Reading, place: Place | None) -> int:
    """Return thousandths, rounded down."""
    text = reading.text(place)
    if place is None:
        return 0
    if _RATIO.fullmatch(text) is None:
        reading.findings.complain(place, "E-TYPE", f'"{text[:40]}" is no share of the copies: write 0.25')
        return 0
    return int(Decimal(text) * _ALL)


def _check_span(reading: Reading, place: Place, service: Service, gate: Gate) -> None:
    span_us = _span_us(service)
    if span_us + gate.healthy_us > gate.timeout_us:
        detail = (
            f"its copies need {span_us // 1_000_000} s at a site to change one after another, and the rollout gives"
            f" the revision up when it is not well for {gate.healthy_us // 1_000_000} s"
            f" within {gate.timeout_us // 1_000_000} s"
        )
        hint = "raise rollout.health.timeout, or lower delay and monitor"
        reading.findings.complain(place, "E-CONFLICT", detail, at_key=True, hint=hint)


def _span_us(service: Service) -> int:
    """Return how long a site needs at most to change all copies one after another, beside their starts."""
    order = service.in_site or InSite()
    copies = service.placement.replicas.per_site or service.placement.replicas.total
    return -(-copies // order.parallel) * order.settle_us


def _make_rollout(returning: list[tuple[Service, _Update]]) -> Rollout:
    usual = Gate()
    healthy_us = max(update.monitor_us for _, update in returning) or usual.healthy_us
    span_us = max(_span_us(msgspec.structs.replace(service, in_site=update.in_site)) for service, update in returning)
    return Rollout(
        canary=Share(),
        bake_us=0,
        waves=(Share(permille=_ALL),),
        max_failed=Share(permille=_ALL),
        gate=Gate(healthy_us=healthy_us, timeout_us=usual.timeout_us + healthy_us + span_us),
    )
