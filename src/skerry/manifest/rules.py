"""The further words of ``placement`` as the signed form has them: company, distance, price, number of sites, score.

The service's word beats its tier's, and that the app's, word by word; geofence and residency of all levels hold.
Neighbours: ``regions.py`` reads grounds, ``company.py`` looks at what services say of each other.
"""

from collections.abc import Mapping as Names
from decimal import ROUND_CEILING, ROUND_FLOOR
from typing import Literal

import msgspec

from skerry.manifest.nodes import Mapping, Place, Scalar, Sequence
from skerry.manifest.reading import Reading
from skerry.manifest.regions import km_text, read_decimal, read_geofence, read_point, read_residency
from skerry.model.ids import AppName, ServiceName, is_name
from skerry.model.limits import INTEGER_MAX
from skerry.model.placing import Apart, LabelWish, Latency, Nearest, PlacementRules, Prefer, Together

_WEIGHT_MAX = 1_000
_SITES_MAX = 100_000
#: What a bound to users holds for where nothing is said.
_QUANTILE_PERMILLE = 950
#: Words that score; each is 1 where nothing is said.
_WEIGHTS = ("cost", "latency", "spread", "moves")


class Company(msgspec.Struct, frozen=True):
    """Who there is besides a service: what its words may name."""

    own: ServiceName
    app: AppName
    #: By the names that Compose has for them; those that no profile switches on have no copies to be near to.
    services: Names[str, ServiceName]
    off: Names[str, tuple[str, ...]]


class Levels(msgspec.Struct, frozen=True):
    """``placement`` of the service, of its tier and of the app; None where there is none."""

    own: Place | None
    tier: Place | None
    app: Place | None

    def list(self) -> list[Place]:
        """Return those that there are, the strongest first."""
        return [place for place in (self.own, self.tier, self.app) if place is not None]

    def find(self, reading: Reading, *path: str) -> Place | None:
        """Return the strongest level's word."""
        return next(filter(None, (reading.find(place, *path) for place in self.list())), None)


def read_rules(reading: Reading, levels: Levels, sites: Place | None, company: Company) -> PlacementRules:
    """Return the further words of a service; ``sites`` is the word that chose its sites, None where none did."""
    fences = [reading.find(place, "geofence") for place in levels.list()]
    homes = [reading.find(place, "residency") for place in levels.list()]
    return PlacementRules(
        geofence=tuple(filter(None, (read_geofence(reading, each) for each in fences if each is not None))),
        residency=tuple(filter(None, (read_residency(reading, each) for each in homes if each is not None))),
        together=(
            *_read_together(reading, levels, "node", company),
            *_read_together(reading, levels, "site", company),
        ),
        apart=_read_apart(reading, levels, company),
        latency=_read_latencies(reading, levels, company),
        nearest=_read_nearest(reading, sites, company),
        sites_max=reading.whole(reading.find(sites, "max"), 1, _SITES_MAX, 0),
        max_price_micro=_read_price(reading, levels.find(reading, "max-price")),
        prefer=_read_prefer(reading, levels.find(reading, "prefer")),
        if_none="fail" if reading.text(levels.find(reading, "if-none")) == "fail" else "wait",
    )


def read_service_name(reading: Reading, place: Place, company: Company) -> ServiceName | None:
    """Return the service of this app that a word names; None after a complaint, and for one that is switched off."""
    written = reading.text(place)
    if written not in company.services and written not in company.off:
        reading.findings.complain(place, "E-REFERENCE", f'service "{written[:80]}" does not exist')
    return company.services.get(written)


def _read_names(reading: Reading, place: Place, company: Company) -> list[str]:
    """Return the services that a list names: of this app, or ``app/service`` of another one of the tenant."""
    found: list[str] = []
    for item in reading.texts(place):
        app, sign, service = reading.text(item).partition("/")
        if not sign or app == company.app:
            local = Place(Scalar(service, service, item.node.mark), item.pointer) if sign else item
            name: str | None = read_service_name(reading, local, company)
        elif is_name(app) and is_name(service):
            name = f"{app}/{service}"
        else:
            detail = f'"{reading.text(item)[:80]}" is neither a service nor app/service'
            reading.findings.complain(item, "E-REFERENCE", detail)
            name = None
        found += [] if name is None or name in found else [name]
    return found


def _read_together(
    reading: Reading, levels: Levels, by: Literal["site", "node"], company: Company
) -> tuple[Together, ...]:
    place = levels.find(reading, f"same-{by}")
    if place is None:
        return ()
    is_own = levels.own is not None and reading.find(levels.own, f"same-{by}") is not None
    items = list(place.elements())
    groups = items if any(isinstance(item.node, Sequence) for item in items) else [place]
    others: set[str] = set()
    for group in groups:
        names = _read_names(reading, group, company)
        if len(reading.texts(group)) < 2 and not is_own:
            reading.findings.complain(group, "E-TYPE", "one service alone is kept together with nothing")
        if is_own or company.own in names:
            others |= set(names) - {company.own}
    return (Together(by=by, services=tuple(sorted(others))),) if others else ()


def _read_apart(reading: Reading, levels: Levels, company: Company) -> tuple[Apart, ...]:
    place = levels.find(reading, "apart")
    if place is None:
        return ()
    is_own = levels.own is not None and reading.find(levels.own, "apart") is not None
    by = reading.text(reading.find(place, "by"), "node") if isinstance(place.node, Mapping) else "node"
    listed = reading.find(place, "of") if isinstance(place.node, Mapping) else place
    if listed is None:
        reading.findings.complain(place, "E-TYPE", '"of" must be given here', at_key=True)
        return ()
    names = _read_names(reading, listed, company)
    if not is_own:
        if company.own not in names:
            return ()
        names = [name for name in names if name != company.own] or names
    return (Apart(by=by, services=tuple(sorted(names))),) if names else ()  # type: ignore[arg-type]


def _read_latencies(reading: Reading, levels: Levels, company: Company) -> tuple[Latency, ...]:
    place = levels.find(reading, "latency")
    is_own = levels.own is not None and reading.find(levels.own, "latency") is not None
    found: list[Latency] = []
    for item in reading.texts(place):
        of = reading.find(item, "of")
        if of is None and not is_own:
            reading.findings.complain(item, "E-TYPE", '"of" must be given here: which service', at_key=True)
            continue
        name = company.own if of is None else read_service_name(reading, of, company)
        wish = _read_latency(reading, item, company)
        found += [wish] if wish is not None and name == company.own else []
    return tuple(found)


def _read_latency(reading: Reading, place: Place, company: Company) -> Latency | None:
    to, bound, weight = (reading.find(place, word) for word in ("to", "max-rtt", "weight"))
    if to is None or (bound is None and weight is None):
        missing = '"to"' if to is None else '"max-rtt" or "weight"'
        reading.findings.complain(place, "E-TYPE", f"{missing} must be given here", at_key=True)
        return None
    target = _read_target(reading, to, company)
    quantile = reading.find(place, "quantile")
    if quantile is not None and target is not None and target.to != "users":
        reading.findings.complain(quantile, "E-CONFLICT", "quantile is said of users", at_key=True)
    basis = reading.find(place, "basis")
    measured = basis is not None and reading.text(basis) == "measured"
    if target is None:
        return None
    if basis is not None and measured and target.to != "core":
        reading.findings.not_yet(basis, "measuring round trips but those to the core")
    return msgspec.structs.replace(
        target,
        max_rtt_us=_read_bound(reading, bound),
        weight=reading.whole(weight, 0, _WEIGHT_MAX, 0),
        measured=measured,
        quantile_permille=_read_quantile(reading, quantile) if target.to == "users" else 0,
    )


def _read_quantile(reading: Reading, place: Place | None) -> int:
    """Return thousandths; more of them than was written, never fewer."""
    if place is None:
        return _QUANTILE_PERMILLE
    number = read_decimal(place)
    if number is None or not 0 < number <= 1:
        reading.findings.complain(place, "E-RANGE", f"{km_text(place)} is out of range: above 0, at most 1")
        return _QUANTILE_PERMILLE
    return int((number * 1_000).to_integral_value(ROUND_CEILING))


def _read_target(reading: Reading, place: Place, company: Company) -> Latency | None:
    if not isinstance(place.node, Mapping):
        if reading.text(place) == "core":
            return Latency(to="core")
        others = "{service: NAME}, {site: NAME}, {users: NAME} or {place: …}"
        detail = f'"{reading.text(place)[:40]}" is not core: write {others}'
        reading.findings.complain(place, "E-TYPE", detail)
        return None
    targets = (reading.find(place, word) for word in ("place", "service", "site", "users"))
    point, service, site, users = given = tuple(targets)
    if sum(each is not None for each in given) != 1:
        if reading.findings.is_sound(place):
            detail = "exactly one of place, service, site and users is given"
            reading.findings.complain(place, "E-TYPE", detail, at_key=True)
        return None
    nearest = reading.find(place, "any")
    if nearest is not None and service is None:
        reading.findings.complain(nearest, "E-CONFLICT", "any is said of the copies of a service", at_key=True)
    if point is not None:
        middle = read_point(reading, point)
        return None if middle is None else Latency(to="place", point=middle)
    if service is not None:
        name = read_service_name(reading, service, company)
        every = nearest is not None and not reading.switch(nearest)
        return None if name is None else Latency(to="service", name=name, every=every)
    if users is not None:
        return Latency(to="users", name=reading.use("user-group", users))
    return Latency(to="site", name=reading.text(site))


def _read_nearest(reading: Reading, sites: Place | None, company: Company) -> Nearest | None:
    place, bound = reading.find(sites, "nearest"), reading.find(sites, "max-rtt")
    if place is None:
        if bound is not None:
            detail = 'it is how far from "nearest", which is not given'
            reading.findings.complain(bound, "E-CONFLICT", detail, at_key=True)
        return None
    name = read_service_name(reading, place, company)
    return None if name is None else Nearest(service=name, max_rtt_us=_read_bound(reading, bound))


def _read_bound(reading: Reading, place: Place | None) -> int:
    bound = reading.duration(place, 0)
    if place is not None and bound < 1:
        reading.findings.complain(place, "E-RANGE", "a round trip takes longer than nothing")
    return bound


def _read_price(reading: Reading, place: Place | None) -> int | None:
    if place is None:
        return None
    number = read_decimal(place)
    if number is None or not 0 <= number * 1_000_000 <= INTEGER_MAX:
        reading.findings.complain(place, "E-RANGE", f"{km_text(place)} is out of range: 0 and above")
        return None
    # A ceiling is never higher than what was written.
    return int((number * 1_000_000).to_integral_value(ROUND_FLOOR))


def _read_prefer(reading: Reading, place: Place | None) -> Prefer:
    if place is None:
        return Prefer()
    weights = {word: reading.whole(reading.find(place, word), 0, _WEIGHT_MAX, 1) for word in _WEIGHTS}
    labels: list[LabelWish] = []
    for item in reading.texts(reading.find(place, "labels")):
        match = reading.find(item, "match")
        if match is None:
            reading.findings.complain(item, "E-TYPE", '"match" must be given here', at_key=True)
            continue
        weight = reading.whole(reading.find(item, "weight"), 0, _WEIGHT_MAX, 1)
        labels.append(LabelWish(match=reading.text(match), weight=weight))
    fill = "pack" if reading.text(reading.find(place, "fill")) == "pack" else "level"
    return Prefer(**weights, labels=tuple(labels), fill=fill)
