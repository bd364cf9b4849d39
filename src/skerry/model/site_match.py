"""Which sites a tenant's words admit, by the registrar's record alone.

Placement at the core, derivation at the site and the check of tombstones ask the same question, so it has one answer.
Three labels of a site mean something by themselves: ``price``, of one instance for an hour in the operator's unit;
``jurisdiction``, the country under whose law its operator is; ``timezone``, such as ``Europe/Oslo``.
"""

import re
from decimal import ROUND_CEILING, Decimal

from skerry.model import selector
from skerry.model.app import Service, Sites
from skerry.model.geography import Point, Region, Where, region_unmet
from skerry.model.placing import PlacementRules
from skerry.model.signed import SiteRecord

PRICE_LABEL = "price"
JURISDICTION_LABEL = "jurisdiction"
TIMEZONE_LABEL = "timezone"
_PRICE = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?", re.ASCII)


def site_labels(record: SiteRecord) -> dict[str, str]:
    """Labels that site selectors see: the registrar's, and what the record itself says."""
    labels = dict(record.labels)
    labels["site"] = record.site
    if record.region:
        labels["region"] = record.region
    if record.country:
        labels["country"] = record.country
    return labels


def site_unmet(sites: Sites, record: SiteRecord) -> str:
    """Say which word of ``sites`` keeps this site out; empty when it is admitted."""
    if sites.names and record.site not in sites.names:
        return f"sites.names does not list {record.site}"
    if record.site in sites.exclude:
        return f"sites.exclude lists {record.site}"
    if not sites.match:
        return ""
    labels = site_labels(record)
    unmet = ""
    for text in sites.match:
        term = selector.first_unmet(selector.parse_selector(text), labels)
        if term is None:
            return ""
        unmet = (
            f"sites.match wants {selector.describe_term(term)}, the site has {labels.get(term.key, 'no such label')}"
        )
    return unmet


def service_unmet(service: Service, record: SiteRecord) -> str:
    """Say which word keeps every copy of a service away from this site; empty when it is admitted."""
    return site_unmet(service.placement.sites, record) or ground_unmet(service, record)[1]


def ground_unmet(service: Service, record: SiteRecord) -> tuple[str, str]:
    """Say by which word (geofence or residency) a site is forbidden ground for a service, and why; empty when not."""
    rules = service.placement.rules
    if not rules or not (rules.geofence or rules.residency):
        return "", ""
    where = Where(record.country, site_point(record))
    for region in rules.geofence:
        unmet = region_unmet(region, where)
        if unmet:
            return "geofence", unmet
    unmet = _residency_unmet(service, rules, record, where)
    return ("residency", f"data of it would be there: {unmet}") if unmet else ("", "")


def site_point(record: SiteRecord) -> Point | None:
    """Return the signed position of a site."""
    if record.latitude_udeg is None or record.longitude_udeg is None:
        return None
    return Point(latitude_udeg=record.latitude_udeg, longitude_udeg=record.longitude_udeg)


def site_price_micro(record: SiteRecord) -> int | None:
    """Return what an instance costs there for an hour, in millionths, rounded up; None where that is not signed."""
    text = record.labels.get(PRICE_LABEL, "")
    if _PRICE.fullmatch(text) is None:
        return None
    return int((Decimal(text) * 1_000_000).to_integral_value(ROUND_CEILING))


def kept_at_site(service: Service) -> frozenset[str]:
    """Name the sorts of data that a site keeps of a service: its volumes, and what it writes out."""
    kept: set[str] = set()
    if any(mount.kind == "volume" for mount in service.mounts):
        kept.add("volumes")
    if not service.further or service.further.log != "none":
        kept.add("logs")
    return frozenset(kept)


def _residency_unmet(service: Service, rules: PlacementRules, record: SiteRecord, where: Where) -> str:
    kept = kept_at_site(service)
    for words in rules.residency:
        if not kept or (words.covers and kept.isdisjoint(words.covers)):
            continue
        unmet = region_unmet(words.region, where) if words.region != Region() else ""
        if unmet:
            return unmet
        law = record.labels.get(JURISDICTION_LABEL, "")
        if words.jurisdictions and law.upper() not in words.jurisdictions:
            wanted = ", ".join(words.jurisdictions)
            return f"needs an operator under the law of {wanted}, the site's label jurisdiction is {law or 'not given'}"
    return ""
