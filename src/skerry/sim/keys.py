"""The people of a simulated fleet: an operator and tenants with keys from the seed; the core never sees them."""

from collections.abc import Mapping

import msgspec

from skerry.clock import Mint
from skerry.model.ids import NodeName, SiteName, TenantName
from skerry.model.signed import Envelope, Kind, NodeRecord, RoleKeys, Root, SiteRecord
from skerry.trust.envelope import encode_payload, sign_payload
from skerry.trust.keys import SigningKey


class People:
    """Holds every key outside the core, and signs as told."""

    def __init__(self, mint: Mint) -> None:
        self._mint = mint
        self.root_key = self._make("root")
        self.registrar = self._make("registrar")
        self.tenants: dict[TenantName, SigningKey] = {}

    def _make(self, who: str) -> SigningKey:
        return SigningKey.from_seed(self._mint.split(who).draw(32))

    def add_tenant(self, tenant: TenantName) -> RoleKeys:
        """Make a tenant's deploy key and return its public half."""
        self.tenants[tenant] = self._make(f"tenant/{tenant}")
        return RoleKeys(keys=(self.tenants[tenant].public,))

    def sign_root(self, delivery: RoleKeys, delivery_ca: bytes, endpoints: tuple[str, ...]) -> Envelope:
        """Sign root document 1."""
        root = Root(
            number=1,
            root=RoleKeys(keys=(self.root_key.public,)),
            registrar=RoleKeys(keys=(self.registrar.public,)),
            delivery=delivery,
            delivery_ca=delivery_ca,
            endpoints=endpoints,
        )
        return sign("root", root, self.root_key)

    def sign_site(
        self, site: SiteName, number: int, nodes: Mapping[NodeName, NodeRecord], labels: Mapping[str, str]
    ) -> Envelope:
        """Sign a site's record, which admits all tenants there are."""
        record = SiteRecord(
            site=site,
            number=number,
            labels=dict(labels),
            nodes=dict(nodes),
            tenants={tenant: RoleKeys(keys=(key.public,)) for tenant, key in sorted(self.tenants.items())},
        )
        return self.sign_record(record)

    def sign_record(self, record: SiteRecord) -> Envelope:
        """Sign a site's record as it is."""
        return sign("site", record, self.registrar)

    def sign_as(self, tenant: TenantName, kind: Kind, payload: msgspec.Struct) -> Envelope:
        """Sign as a tenant."""
        return sign(kind, payload, self.tenants[tenant])


def sign(kind: Kind, payload: msgspec.Struct, key: SigningKey) -> Envelope:
    """Sign one payload with one key."""
    return sign_payload(kind, encode_payload(payload), (key,))
