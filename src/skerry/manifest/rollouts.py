"""``x-skerry.rollout`` as the signed form has it. Neighbour: ``wishes.py`` has checked the form of every word."""

from collections.abc import Mapping as Mapped

from msgspec import UNSET, UnsetType

from skerry.manifest.nodes import Mapping, Place, Scalar
from skerry.manifest.reading import Reading
from skerry.model.app import Service
from skerry.model.ids import ServiceName
from skerry.model.limits import REPLICAS_MAX, WINDOWS_MAX
from skerry.model.rollout import DAY_MIN, Gate, InSite, Rollout, Share, TimeWindow

#: More waves than a person would read; one value alone repeats without this limit.
_WAVES_MAX = 50
_DEFAULTS = Rollout()
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def read_rollout(reading: Reading, place: Place | None) -> Rollout | UnsetType:
    """Return the rollout that the manifest asks for; nothing when it does not speak of one."""
    if place is None:
        return UNSET
    canary, sites, bake_us = _read_canary(reading, reading.find(place, "canary"))
    waves, repeats = _read_waves(reading, reading.find(place, "waves"))
    approve = reading.text(reading.find(place, "approve"), _DEFAULTS.approve)
    on_failure = reading.text(reading.find(place, "on-failure"), _DEFAULTS.on_failure)
    offline = reading.text(reading.find(place, "offline-sites"), _DEFAULTS.offline_sites)
    prefetch = reading.find(place, "prefetch")
    windows = tuple(_read_window(reading, item) for item in reading.texts(reading.find(place, "window")))
    if len(windows) > WINDOWS_MAX:
        detail = f"a rollout has at most {WINDOWS_MAX} windows, this has {len(windows)}"
        reading.findings.complain(place, "E-LIMIT", detail, at_key=True)
    return Rollout(
        canary=canary,
        canary_sites=sites,
        bake_us=bake_us,
        waves=waves,
        repeats=repeats,
        max_failed=_read_share(reading, reading.find(place, "max-failed"), _DEFAULTS.max_failed),
        on_failure=on_failure,  # type: ignore[arg-type]
        gate=_read_gate(reading, reading.find(place, "health")),
        approve=approve,  # type: ignore[arg-type]
        offline_sites=offline,  # type: ignore[arg-type]
        prefetch=_DEFAULTS.prefetch if prefetch is None else reading.switch(prefetch),
        windows=windows or UNSET,
        in_site=_read_in_site(reading, reading.find(place, "in-site")),
    )


def _read_canary(reading: Reading, place: Place | None) -> tuple[Share, tuple[str, ...], int]:
    if place is None or not isinstance(place.node, Mapping):
        return _read_share(reading, place, _DEFAULTS.canary), (), _DEFAULTS.bake_us
    sites = tuple(reading.text(item) for item in reading.texts(reading.find(place, "sites")))
    return _DEFAULTS.canary, sites, reading.duration(reading.find(place, "bake"), _DEFAULTS.bake_us)


def _read_waves(reading: Reading, place: Place | None) -> tuple[tuple[Share, ...], bool]:
    """Return the cumulative sizes, and whether the only one stands for as many waves as it takes."""
    if place is None:
        return _DEFAULTS.waves, False
    items = reading.texts(place)
    waves = tuple(_read_share(reading, item, Share(permille=1000)) for item in items)
    if not waves or len(waves) > _WAVES_MAX:
        reading.findings.complain(place, "E-RANGE", f"a rollout has 1 to {_WAVES_MAX} waves, this has {len(waves)}")
        return _DEFAULTS.waves, False
    for item, wave in zip(items, waves, strict=True):
        if wave == Share():
            reading.findings.complain(item, "E-RANGE", "a wave of no sites brings nothing anywhere")
    for item, before, wave in zip(items[1:], waves, waves[1:], strict=False):
        if (wave.sites or before.sites) and not (wave.sites and before.sites):
            continue  # a count beside a percentage: which is more depends on how many sites there are
        if (wave.sites, wave.permille) <= (before.sites, before.permille):
            reading.findings.complain(item, "E-RANGE", "waves are counted in all: each is larger than the one before")
    return waves, len(waves) == 1 and waves[0].permille < 1000


def check_order(reading: Reading, place: Place | None, services: Mapped[ServiceName, Service]) -> None:
    """Tell of services of which no second copy can be started beside the first; ``place`` is that of the rollout."""
    order = reading.find(place, "in-site", "order")
    if order is None or reading.text(order) != "start-first":
        return
    for name, service in services.items():
        single = find_single(service)
        if single:
            detail = f"service {name} has {single}, and two copies of it cannot have that at once"
            reading.findings.complain(order, "E-CONFLICT", detail, hint="order: stop-first")


def find_single(service: Service) -> str:
    """Say what a service has of which two copies at one node cannot have the same at once; empty for nothing."""
    addresses = service.further.addresses.values() if service.further else ()
    if any(mount.kind == "volume" for mount in service.mounts):
        return "a volume"
    if any(port.published or port.among for port in service.ports):
        return "a port of the node"
    if any(each.ipv4 or each.ipv6 or each.mac for each in addresses):
        return "an address of its own"
    return ""


def _read_in_site(reading: Reading, place: Place | None) -> InSite | UnsetType:
    if place is None:
        return UNSET
    return InSite(
        order="start-first" if reading.text(reading.find(place, "order")) == "start-first" else "stop-first",
        parallel=reading.whole(reading.find(place, "parallel"), 1, REPLICAS_MAX, 1),
    )


def _read_window(reading: Reading, place: Place) -> TimeWindow:
    """Read ``sat-sun 02:00-05:00 site-local``; the vocabulary has checked its form, days and hours are checked here."""
    *days, times, zone = reading.text(place).split(" ")
    begin, _, end = times.partition("-")
    start_min, end_min = _read_minutes(begin), _read_minutes(end)
    if start_min >= DAY_MIN or end_min > DAY_MIN or start_min == end_min:
        reading.findings.complain(place, "E-RANGE", f'"{times}" is no time of a day: write 02:00-05:00')
    numbers: set[int] = set()
    for item in days[0].split(",") if days else ():
        first, _, last = item.partition("-")
        if first not in _DAYS or (last and last not in _DAYS):
            reading.findings.complain(place, "E-TYPE", f'"{item[:20]}" is no day: write {", ".join(_DAYS)} or mon-fri')
            continue
        begin_day, end_day = _DAYS.index(first), _DAYS.index(last or first)
        numbers |= {(begin_day + step) % 7 for step in range((end_day - begin_day) % 7 + 1)}
    return TimeWindow(start_min, end_min, tuple(sorted(numbers)), "utc" if zone == "utc" else "site-local")


def _read_minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def _read_gate(reading: Reading, place: Place | None) -> Gate:
    if place is None:
        return _DEFAULTS.gate
    gate = Gate(
        healthy_us=reading.duration(reading.find(place, "for"), _DEFAULTS.gate.healthy_us),
        timeout_us=reading.duration(reading.find(place, "timeout"), _DEFAULTS.gate.timeout_us),
    )
    if gate.healthy_us > gate.timeout_us:
        detail = "what has to be well for longer than its timeout never passes"
        reading.findings.complain(place, "E-CONFLICT", detail, at_key=True, hint="raise timeout above for")
    return gate


def _read_share(reading: Reading, place: Place | None, default: Share) -> Share:
    """Read a count or a percentage; the vocabulary has checked that it is one of them."""
    if place is None or not isinstance(place.node, Scalar):
        return default
    text = reading.text(place)
    if not text.endswith("%"):
        return Share(sites=reading.whole(place, 0, 1_000_000, 0))
    permille = round(float(text[:-1]) * 10)
    if permille > 1000:
        reading.findings.complain(place, "E-RANGE", f"{text} is more than all of them")
        return default
    return Share(permille=permille)
