"""Does everything exist that a revision names? Every problem at once, each with its place in the payload."""

from skerry.model.app import AppRevision, ImageRef, Placement
from skerry.model.errors import Problem
from skerry.model.ids import SiteName, TenantName
from skerry.store import Connection, sites, things

_SPREAD_WORDS = ("site", "node", "region", "country")


def find_problems(connection: Connection, tenant: TenantName, revision: AppRevision) -> tuple[Problem, ...]:
    """Return what a revision names and the core does not have, or cannot understand; empty when all is well."""
    problems: list[Problem] = []
    admitting = sites.list_admitting(connection, tenant)
    for name in sorted(revision.services):
        service = revision.services[name]
        at = f"/services/{name}"
        problems += _check_image(connection, tenant, service.image, f"{at}/image")
        problems += _check_placement(service.placement, admitting, f"{at}/placement")
        problems += [
            Problem(code="E-REFERENCE", detail=f"there is no config {use.source}", pointer=f"{at}/configs")
            for use in service.configs
            if use.source not in revision.configs
        ]
        problems += [
            Problem(code="E-REFERENCE", detail=f"there is no secret {source}", pointer=f"{at}/secrets")
            for source in service.secret_sources
            if source not in revision.secrets
        ]
    for name, use in sorted(revision.secrets.items()):
        found = things.find_secret(connection, tenant, use.name)
        if found is None or found.removed:
            problems.append(
                Problem(
                    code="E-REFERENCE",
                    detail=f"there is no secret {use.name}",
                    pointer=f"/secrets/{name}",
                    hint="skerry apply -f MANIFEST, which seals it",
                )
            )
    return tuple(problems)


def _check_image(connection: Connection, tenant: TenantName, image: ImageRef, at: str) -> list[Problem]:
    found = things.find_image(connection, tenant, image.digest)
    if found is None:
        detail = f"image {image.name} ({image.digest[:19]}…) was never pushed"
        hint = f"skerry image push ARCHIVE {image.name}, or skerry image import {image.name}"
        return [Problem(code="E-IMAGE", detail=detail, pointer=at, hint=hint)]
    if (found.config, found.size_bytes) != (image.config, image.size_bytes):
        detail = f"image {image.name} has configuration {found.config[:19]}… and {found.size_bytes} bytes"
        return [Problem(code="E-IMAGE", detail=detail, pointer=at)]
    return []


def _check_placement(placement: Placement, admitting: frozenset[SiteName], at: str) -> list[Problem]:
    problems: list[Problem] = []
    rules = placement.rules
    near = tuple(wish.name for wish in rules.latency if wish.to == "site") if rules else ()
    for word, names in (
        ("sites/names", placement.sites.names),
        ("sites/exclude", placement.sites.exclude),
        ("latency", near),
    ):
        problems += [
            Problem(
                code="E-SITE",
                detail=f"there is no site {name} that admits this tenant",
                pointer=f"{at}/{word}",
                hint="skerry site list",
            )
            for name in names
            if name not in admitting
        ]
    for spread in placement.spread:
        if spread.by not in _SPREAD_WORDS and not spread.by.startswith("label:"):
            detail = f"spread by {spread.by!r}: it is one of {', '.join(_SPREAD_WORDS)} or label:KEY"
            problems.append(Problem(code="E-SPREAD", detail=detail, pointer=f"{at}/spread"))
        if spread.max_skew < 1:
            problems.append(Problem(code="E-SPREAD", detail="a skew is at least 1", pointer=f"{at}/spread"))
    replicas = placement.replicas
    if (replicas.per_site > 0) == (replicas.total > 0):
        detail = "exactly one of per-site and total is above 0"
        problems.append(Problem(code="E-REPLICAS", detail=detail, pointer=f"{at}/replicas"))
    return problems
