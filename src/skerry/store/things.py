"""Secrets, images and blobs of tenants: what is here, never the bytes themselves."""

from collections.abc import Collection, Iterator, Sequence

import msgspec
from sqlalchemy import Connection, delete, func, select

from skerry.model.ids import Digest, SecretName, TenantName
from skerry.store.rows import named, put_row
from skerry.store.schema import BLOBS, IMAGE_BLOBS, IMAGES, SECRETS
from skerry.store.scope import Scope, owned

#: ``BlobRow.size_bytes`` of a blob that a tenant has begun to upload.
UNFINISHED = -1


_SECRET = select(SECRETS).where(named(SECRETS, "tenant", "name"))
_ALL_SECRETS = select(SECRETS).where(SECRETS.c.removed.is_(False)).order_by(SECRETS.c.tenant, SECRETS.c.name)
_BLOB = select(BLOBS.c.size_bytes).where(named(BLOBS, "tenant", "digest"))
_IMAGE = select(IMAGES).where(named(IMAGES, "tenant", "digest"))
_IMAGES_WITH = select(IMAGE_BLOBS.c.image).where(named(IMAGE_BLOBS, "blob"))


class SecretRow(msgspec.Struct, frozen=True, kw_only=True):
    """The newest version of a sealed secret."""

    tenant: TenantName
    name: SecretName
    number: int
    digest: Digest
    #: Forgotten: its number line goes on.
    removed: bool
    recorded_us: int


class ImageRow(msgspec.Struct, frozen=True, kw_only=True):
    """A registered image."""

    tenant: TenantName
    digest: Digest
    name: str
    config: Digest
    size_bytes: int
    architecture: str
    registered_us: int


def find_secret(connection: Connection, tenant: TenantName, name: str) -> SecretRow | None:
    """Return a secret of a tenant, a removed one too."""
    row = connection.execute(_SECRET, {"of_tenant": tenant, "of_name": name}).mappings().first()
    return None if row is None else SecretRow(**row)


def list_secrets(connection: Connection, scope: Scope, after: str = "", limit: int = 1_000_000) -> list[SecretRow]:
    """Return a tenant's secrets in the order of their names."""
    query = owned(select(SECRETS), SECRETS.c.tenant, scope)
    query = query.where(SECRETS.c.name > after, SECRETS.c.removed.is_(False))
    return [SecretRow(**row) for row in connection.execute(query.order_by(SECRETS.c.name).limit(limit)).mappings()]


def list_all_secrets(connection: Connection) -> list[SecretRow]:
    """Return every tenant's secrets, for planning."""
    return [SecretRow(**row) for row in connection.execute(_ALL_SECRETS).mappings()]


def record_secret(connection: Connection, row: SecretRow) -> None:
    """Write the newest version of a secret."""
    values = msgspec.structs.asdict(row)
    key = {name: values.pop(name) for name in ("tenant", "name")}
    put_row(connection, SECRETS, key, values)


def record_blob(connection: Connection, tenant: TenantName, digest: Digest, size_bytes: int) -> None:
    """Note that a tenant has begun (``UNFINISHED``) or finished to upload a blob."""
    put_row(connection, BLOBS, {"tenant": tenant, "digest": digest}, {"size_bytes": size_bytes})


def find_blob(connection: Connection, tenant: TenantName, digest: str) -> int | None:
    """Return the size of a tenant's blob, ``UNFINISHED``, or None when the tenant never sent it."""
    return connection.execute(_BLOB, {"of_tenant": tenant, "of_digest": digest}).scalar()


def record_image(connection: Connection, row: ImageRow, blobs: tuple[Digest, ...]) -> None:
    """Keep an image and the blobs it is made of: manifest, configuration, layers."""
    values = msgspec.structs.asdict(row)
    key = {name: values.pop(name) for name in ("tenant", "digest")}
    put_row(connection, IMAGES, key, values)
    for place, blob in enumerate(dict.fromkeys(blobs)):
        put_row(connection, IMAGE_BLOBS, {"tenant": row.tenant, "image": row.digest, "blob": blob}, {"place": place})


def find_image(connection: Connection, tenant: TenantName, digest: str) -> ImageRow | None:
    """Return an image of a tenant."""
    row = connection.execute(_IMAGE, {"of_tenant": tenant, "of_digest": digest}).mappings().first()
    return None if row is None else ImageRow(**row)


def list_images(connection: Connection, scope: Scope, after: tuple[str, str], limit: int) -> list[ImageRow]:
    """Return a tenant's images in the order of name and digest."""
    query = owned(select(IMAGES), IMAGES.c.tenant, scope)
    name, digest = after
    behind = (IMAGES.c.name > name) | ((IMAGES.c.name == name) & (IMAGES.c.digest > digest))
    query = query.where(behind).order_by(IMAGES.c.name, IMAGES.c.digest).limit(limit)
    return [ImageRow(**row) for row in connection.execute(query).mappings()]


def list_image_blobs(connection: Connection, tenant: TenantName, image: Digest) -> tuple[Digest, ...]:
    """Return the blobs of an image: manifest, configuration, layers, in this order."""
    where = IMAGE_BLOBS.c.tenant == tenant, IMAGE_BLOBS.c.image == image
    query = select(IMAGE_BLOBS.c.blob).where(*where).order_by(IMAGE_BLOBS.c.place)
    return tuple(Digest(blob) for blob in connection.execute(query).scalars())


def list_images_with(connection: Connection, blob: Digest) -> frozenset[Digest]:
    """Return the images, of any tenant, that a blob belongs to: for what sites may fetch."""
    images = connection.execute(_IMAGES_WITH, {"of_blob": blob}).scalars()
    return frozenset(Digest(image) for image in images)


def list_all_images(connection: Connection, tenant: TenantName) -> list[ImageRow]:
    """Return all images of a tenant, in the order of name and digest."""
    query = select(IMAGES).where(IMAGES.c.tenant == tenant).order_by(IMAGES.c.name, IMAGES.c.digest)
    return [ImageRow(**row) for row in connection.execute(query).mappings()]


def _list_own_blobs(connection: Connection, tenant: TenantName, images: Collection[Digest]) -> list[Digest]:
    """Return the blobs that only these of a tenant's images have."""
    gone: set[str] = set()
    kept: set[str] = set()
    query = select(IMAGE_BLOBS.c.image, IMAGE_BLOBS.c.blob).where(IMAGE_BLOBS.c.tenant == tenant)
    for image, blob in connection.execute(query):
        (gone if image in images else kept).add(blob)
    return [Digest(blob) for blob in sorted(gone - kept)]


def measure_images(connection: Connection, tenant: TenantName, images: Collection[Digest]) -> int:
    """Count the bytes of blobs that only these of a tenant's images have."""
    total = 0
    for page in _pages(_list_own_blobs(connection, tenant, frozenset(images))):
        query = select(func.sum(BLOBS.c.size_bytes)).where(BLOBS.c.tenant == tenant, BLOBS.c.digest.in_(page))
        total += connection.execute(query).scalar() or 0
    return total


def remove_images(connection: Connection, tenant: TenantName, images: Collection[Digest]) -> None:
    """Forget images of a tenant, and that it has the blobs that only they have."""
    blobs = _list_own_blobs(connection, tenant, frozenset(images))
    for table, column, names in (
        (BLOBS, BLOBS.c.digest, blobs),
        (IMAGE_BLOBS, IMAGE_BLOBS.c.image, sorted(images)),
        (IMAGES, IMAGES.c.digest, sorted(images)),
    ):
        for page in _pages(names):
            connection.execute(delete(table).where(table.c.tenant == tenant, column.in_(page)))


def list_known_blobs(connection: Connection) -> frozenset[Digest]:
    """Return the blobs that any tenant has, or has begun to upload."""
    return frozenset(Digest(digest) for digest in connection.execute(select(BLOBS.c.digest)).scalars())


def is_known_blob(connection: Connection, digest: Digest) -> bool:
    """Say whether any tenant has a blob, or has begun to upload it."""
    return connection.execute(select(BLOBS.c.digest).where(BLOBS.c.digest == digest).limit(1)).first() is not None


def _pages(names: Sequence[Digest]) -> Iterator[Sequence[Digest]]:
    """Cut a list of names into what one statement may hold."""
    for start in range(0, len(names), 1000):
        yield names[start : start + 1000]
