"""The people of the trust tests: an operator, two tenants, a core and a site, all from fixed seeds."""

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from skerry.clock import SeededMint
from skerry.model.app import AppRevision, ImageRef, Service, Sites
from skerry.model.document import (
    Assignment,
    ImageHold,
    SecretHold,
    TombstoneNotice,
    Unit,
    digest_bodies,
    digest_units,
    encode_unit,
    unit_id,
)
from skerry.model.ids import (
    AppName,
    Digest,
    NodeName,
    SecretName,
    ServiceName,
    SiteName,
    TenantName,
    UnitId,
    VolumeName,
    digest_of,
)
from skerry.model.signed import (
    DocumentHead,
    Envelope,
    Kind,
    NodeRecord,
    RoleKeys,
    Root,
    Secret,
    SiteRecord,
    Tombstone,
)
from skerry.model.volume import Volume
from skerry.trust.envelope import encode_payload, sign_payload
from skerry.trust.held import AcceptedDocument, Held
from skerry.trust.keys import SigningKey
from skerry.trust.seal import seal_secret, sealing_public

SITE = SiteName("oslo")
NODE = NodeName("one")
ALPHA = TenantName("alpha")
BETA = TenantName("beta")
SHOP = AppName("shop")
WEB = ServiceName("web")
DATA = VolumeName("data")
EVERYWHERE = Sites()


def seed(word: str) -> bytes:
    return hashlib.sha256(word.encode()).digest()


def key(word: str) -> SigningKey:
    return SigningKey.from_seed(seed(word))


ROOT, REGISTRAR, DELIVERY, DEVICE = key("root"), key("registrar"), key("delivery"), key("device")
DEPLOY = {ALPHA: key("alpha"), BETA: key("beta")}
SEALING_SEED = seed("sealing")


def role(*keys: SigningKey, threshold: int = 1) -> RoleKeys:
    return RoleKeys(keys=tuple(key.public for key in keys), threshold=threshold)


def make_root() -> Root:
    return Root(
        number=1,
        root=role(ROOT),
        registrar=role(REGISTRAR),
        delivery=role(DELIVERY),
        delivery_ca=b"der",
        endpoints=("core.example:443",),
    )


def make_record(number: int = 1, **words: object) -> SiteRecord:
    record = SiteRecord(
        site=SITE,
        number=number,
        labels={"tier": "store"},
        country="NO",
        nodes={NODE: NodeRecord(device=DEVICE.public, sealing=sealing_public(SEALING_SEED))},
        tenants={tenant: role(deploy) for tenant, deploy in DEPLOY.items()},
    )
    return msgspec.structs.replace(record, **words)


def hold(record: SiteRecord | None = None, **words: object) -> Held:
    return Held(root=make_root(), site_record=record or make_record(), **words)  # type: ignore[arg-type]


def hold_next(held: Held, accepted: AcceptedDocument) -> Held:
    """What a site holds after it made an accepted document durable."""
    return msgspec.structs.replace(
        held,
        floors={**held.floors, **accepted.floors},
        time_floor_s=accepted.time_floor_s,
        units=accepted.units,
    )


def sign(kind: Kind, payload: msgspec.Struct, *keys: SigningKey) -> Envelope:
    return sign_payload(kind, encode_payload(payload), keys)


def name(envelope: Envelope) -> Digest:
    return digest_of(envelope.payload)


def make_revision(number: int, *, tenant: TenantName = ALPHA, app: AppName = SHOP, tag: str = "") -> AppRevision:
    image = ImageRef(
        name="web", digest=digest_of(f"m{number}{tag}".encode()), config=digest_of(b"config"), size_bytes=1
    )
    return AppRevision(
        tenant=tenant,
        app=app,
        number=number,
        source=digest_of(b"text"),
        services={WEB: Service(image=image)},
        volumes={DATA: Volume()},
    )


def revise(number: int, *, tenant: TenantName = ALPHA, app: AppName = SHOP, tag: str = "") -> Envelope:
    return sign("revision", make_revision(number, tenant=tenant, app=app, tag=tag), DEPLOY[tenant])


def make_tombstone(
    number: int, *, tenant: TenantName = ALPHA, app: AppName = SHOP, ends: bool = True, sites: Sites = EVERYWHERE
) -> Tombstone:
    return Tombstone(tenant=tenant, app=app, number=number, ends_app=ends, volumes=(DATA,), sites=sites)


def bury(number: int, *, tenant: TenantName = ALPHA, ends: bool = True, sites: Sites = EVERYWHERE) -> Envelope:
    return sign("tombstone", make_tombstone(number, tenant=tenant, ends=ends, sites=sites), DEPLOY[tenant])


def make_secret(number: int, *, tenant: TenantName = ALPHA, secret: str = "till-key", value: bytes = b"hush") -> Secret:
    return seal_secret(
        value,
        tenant=tenant,
        name=SecretName(secret),
        number=number,
        recipients=[sealing_public(SEALING_SEED)],
        mint=SeededMint(f"{tenant}/{secret}/{number}"),
    )


def seal(number: int, *, tenant: TenantName = ALPHA, secret: str = "till-key") -> Envelope:
    return sign("secret", make_secret(number, tenant=tenant, secret=secret), DEPLOY[tenant])


def assign(
    revision: Digest | Envelope, *, tenant: TenantName = ALPHA, app: AppName = SHOP, ordinal: int = 0
) -> Assignment:
    digest = name(revision) if isinstance(revision, Envelope) else revision
    return Assignment(tenant=tenant, app=app, service=WEB, ordinal=ordinal, node=NODE, revision=digest)


def notice(tombstone: Envelope, *, tenant: TenantName = ALPHA, app: AppName = SHOP) -> TombstoneNotice:
    return TombstoneNotice(tenant=tenant, app=app, digest=name(tombstone))


def hold_secret(secret: Envelope, *, tenant: TenantName = ALPHA, called: str = "till-key") -> SecretHold:
    return SecretHold(tenant=tenant, name=SecretName(called), digest=name(secret))


def hold_image(word: str) -> ImageHold:
    return ImageHold(digest=digest_of(word.encode()), config=digest_of(b"config"), size_bytes=1)


def pack(units: Iterable[Unit]) -> dict[UnitId, bytes]:
    return {unit_id(unit): encode_unit(unit) for unit in units}


def make_head(
    bodies: dict[UnitId, bytes],
    generation: int,
    *,
    epoch: int = 1,
    site: SiteName = SITE,
    time_s: int = 1_700_000_000,
    keys: Sequence[SigningKey] = (DELIVERY,),
) -> Envelope:
    head = DocumentHead(
        site=site,
        epoch=epoch,
        generation=generation,
        parent="",
        time_s=time_s,
        units=digest_units(digest_bodies(bodies)),
    )
    return sign("document", head, *keys)


def by_digest(*envelopes: Envelope) -> dict[Digest, Envelope]:
    return {name(envelope): envelope for envelope in envelopes}
