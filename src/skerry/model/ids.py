"""One id type per noun, declared in one place.

Names that people choose are RFC 1123 labels; ids that machines make are ULIDs or digests. An id never contains "/"
but for the composite ids below, whose parts are names and therefore can be split again without ambiguity.
"""

import hashlib
import re
from typing import NewType

TenantName = NewType("TenantName", str)
SiteName = NewType("SiteName", str)
NodeName = NewType("NodeName", str)
AppName = NewType("AppName", str)
ServiceName = NewType("ServiceName", str)
VolumeName = NewType("VolumeName", str)
NetworkName = NewType("NetworkName", str)
SecretName = NewType("SecretName", str)

#: ``tenant/app/service/ordinal``: one wanted or running copy of a service. Unique within a site.
InstanceId = NewType("InstanceId", str)
#: ``kind/...``: one entry of a document, for example ``assignment/default/shop/db/0``.
UnitId = NewType("UnitId", str)
#: ``tenant/app/volume``: one volume of one app at one site.
VolumeId = NewType("VolumeId", str)
#: ``sha256:`` and 64 lower-case hexadecimal digits.
Digest = NewType("Digest", str)
#: First 20 bytes of SHA-256(type, 0x00, public key) in hexadecimal: a look-up hint, never an identity (trust.md §2).
KeyId = NewType("KeyId", str)
#: ULID that ties events, actions, log lines and errors together.
CauseId = NewType("CauseId", str)
OperationId = NewType("OperationId", str)
PlanId = NewType("PlanId", str)
TokenId = NewType("TokenId", str)
CallId = NewType("CallId", str)

#: RFC 1123 label: what a tenant, site, node, app, service, volume, network, secret or token may be called.
NAME_PATTERN = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
#: Bytes of a path below a folder of configs; the kernel takes four times as many.
PATH_BYTES_MAX = 1024
#: Target of a plain HTTP request, query included.
PAGE_PATTERN = re.compile(r"/[!-~]{0,1023}", re.ASCII)
DIGEST_PATTERN = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


def is_name(text: str) -> bool:
    """Say whether ``text`` is an RFC 1123 label of at most 63 characters."""
    return NAME_PATTERN.fullmatch(text) is not None


def is_inner_path(path: str) -> bool:
    """Say whether ``path`` leads to something below where it begins: steps parted by ``/``, none of them dots only."""
    steps = path.split("/")
    fits = len(path.encode("utf-8", "replace")) <= PATH_BYTES_MAX and "\0" not in path
    return fits and all(step not in ("", ".", "..") and len(step.encode("utf-8", "replace")) <= 255 for step in steps)


def is_page(path: str) -> bool:
    """Say whether ``path`` can be asked for in one line of HTTP: from ``/`` on, without blanks."""
    return PAGE_PATTERN.fullmatch(path) is not None


def is_digest(text: str) -> bool:
    """Say whether ``text`` has the one form of a digest that Skerry uses."""
    return DIGEST_PATTERN.fullmatch(text) is not None


def digest_of(content: bytes) -> Digest:
    """Name ``content`` by its SHA-256."""
    return Digest("sha256:" + hashlib.sha256(content).hexdigest())


def instance_id(tenant: str, app: str, service: str, ordinal: int) -> InstanceId:
    """Compose the id of one copy of a service; the parts are names, so the id splits back without ambiguity."""
    return InstanceId(f"{tenant}/{app}/{service}/{ordinal}")


def volume_id(tenant: str, app: str, volume: str) -> VolumeId:
    """Compose the id of an app's volume at a site."""
    return VolumeId(f"{tenant}/{app}/{volume}")
