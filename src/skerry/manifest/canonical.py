"""The form that is signed: a manifest with its images resolved, every default written out, within a payload's limits.

Neighbours: ``load.py`` makes the manifest; the caller looks up the images, encodes with ``trust.envelope`` and signs.
"""

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from skerry.manifest.definitions import Definitions, fill_services, find_missing
from skerry.manifest.image_health import find_untested, inherit_health
from skerry.manifest.values import Manifest, Rejected
from skerry.model import limits
from skerry.model.app import AppRevision, ImageRef
from skerry.model.errors import Problem
from skerry.model.ids import Digest, ServiceName, TenantName

_NONE: Definitions = {}
_NO_CONFIGS: Mapping[Digest, bytes] = {}


def build_revision(
    manifest: Manifest,
    *,
    tenant: TenantName,
    number: int,
    images: Mapping[str, ImageRef],
    definitions: Definitions = _NONE,
    configs: Mapping[Digest, bytes] = _NO_CONFIGS,
) -> AppRevision | Rejected:
    """Return revision ``number`` of the app, with each image that ``images`` has under the name that people wrote.

    ``configs`` are configurations of images by their digests (``image_health.list_configs``): a service without a
    check of health has its image's. Refused with E-IMAGE for each image that is not there, with E-REFERENCE for each
    area, group of users and check that is not, and with E-LIMIT when no site would take the payload.
    """
    missing = {use: images.get(use.name) for use in manifest.images}
    problems = tuple(
        Problem(
            code="E-IMAGE",
            detail=f"image {use.name} was never pushed",
            pointer=use.pointer,
            file=use.file,
            line=use.line,
            column=use.column,
            hint=f"skerry image push ARCHIVE {use.name}, or skerry image import {use.name}",
        )
        for use, found in missing.items()
        if found is None
    )
    problems += find_missing(manifest, definitions)
    if problems:
        return Rejected(problems, manifest.report)
    resolved = {use.service: images[use.name] for use in manifest.images}
    services = inherit_health(fill_services(manifest.services, definitions), manifest.health, resolved, configs)
    untested = find_untested(services, manifest.health, manifest.health_waits, manifest.images)
    if untested:
        return Rejected(untested, manifest.report)
    manifest = msgspec.structs.replace(manifest, services=services)
    revision = assemble_revision(manifest, tenant, number, resolved)
    excess = find_excess(revision)
    return Rejected((excess,), manifest.report) if excess is not None else revision


def assemble_revision(
    manifest: Manifest, tenant: TenantName, number: int, images: Mapping[ServiceName, ImageRef]
) -> AppRevision:
    """Put a revision together; a service without an entry in ``images`` keeps its unresolved one."""
    services = {
        name: msgspec.structs.replace(
            service,
            image=msgspec.structs.replace(images[name], name=service.image.name) if name in images else service.image,
        )
        for name, service in manifest.services.items()
    }
    return AppRevision(
        tenant=tenant,
        app=manifest.app,
        number=number,
        source=manifest.source,
        description=manifest.description,
        labels=manifest.labels,
        profile=manifest.profile,
        services=services,
        volumes=manifest.volumes,
        networks=manifest.networks,
        configs=manifest.configs,
        secrets=manifest.secrets,
        withdraw=manifest.withdraw if manifest.withdraw != "core" else msgspec.UNSET,
        rollout=manifest.rollout,
        chains=manifest.chains or msgspec.UNSET,
    )


def find_excess(revision: AppRevision) -> Problem | None:
    """Say which limit of a signed payload the revision breaks; None when it breaks none."""
    size = len(msgspec.json.encode(revision))
    if size > limits.PAYLOAD_BYTES_MAX:
        detail = f"the app has {size} bytes in its signed form, at most {limits.PAYLOAD_BYTES_MAX} are allowed"
        return Problem(code="E-LIMIT", detail=detail, hint="put long files into the image or a volume")
    keys = _count_keys(msgspec.to_builtins(revision))
    if keys > limits.PAYLOAD_KEYS_MAX:
        detail = f"the app has {keys} keys in its signed form, at most {limits.PAYLOAD_KEYS_MAX} are allowed"
        return Problem(code="E-LIMIT", detail=detail)
    return None


def _count_keys(value: Any) -> int:
    if isinstance(value, dict):
        inner = cast("dict[str, Any]", value)
        return len(inner) + sum(map(_count_keys, inner.values()))
    return sum(map(_count_keys, cast("list[Any]", value))) if isinstance(value, list | tuple) else 0
