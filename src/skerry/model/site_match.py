"""Which sites a tenant's words admit, by the registrar's record alone.

Placement at the core, derivation at the site and the check of tombstones ask the same question, so it has one answer.
"""

from skerry.model import selector
from skerry.model.app import Sites
from skerry.model.signed import SiteRecord


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
