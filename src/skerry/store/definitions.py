"""Areas and groups of users of tenants: which version of each is the newest. The signed bytes are among the objects."""

import msgspec
from sqlalchemy import Connection, select

from skerry.model.ids import Digest, TenantName
from skerry.model.signed import KINDS, Definition, DefinitionKind, Envelope
from skerry.store import objects
from skerry.store.rows import put_row
from skerry.store.schema import DEFINITIONS
from skerry.store.scope import Scope, owned


class DefinitionRow(msgspec.Struct, frozen=True, kw_only=True):
    """The newest version of an area or of a group of users."""

    tenant: TenantName
    kind: DefinitionKind
    name: str
    number: int
    digest: Digest
    #: Forgotten: its number line goes on.
    removed: bool
    recorded_us: int


class Defined(msgspec.Struct, frozen=True):
    """A row with what was signed."""

    row: DefinitionRow
    envelope: Envelope
    payload: Definition


def find_definition(
    connection: Connection, tenant: TenantName, kind: DefinitionKind, name: str
) -> DefinitionRow | None:
    """Return a definition of a tenant, a removed one too."""
    where = DEFINITIONS.c.tenant == tenant, DEFINITIONS.c.kind == kind, DEFINITIONS.c.name == name
    row = connection.execute(select(DEFINITIONS).where(*where)).mappings().first()
    return None if row is None else DefinitionRow(**row)


def list_definitions(
    connection: Connection, scope: Scope, kind: DefinitionKind, after: str = "", limit: int = 1_000_000
) -> list[Defined]:
    """Return a tenant's definitions of a kind, in the order of their names."""
    query = owned(select(DEFINITIONS), DEFINITIONS.c.tenant, scope)
    query = query.where(DEFINITIONS.c.kind == kind, DEFINITIONS.c.name > after, DEFINITIONS.c.removed.is_(False))
    rows = [
        DefinitionRow(**row) for row in connection.execute(query.order_by(DEFINITIONS.c.name).limit(limit)).mappings()
    ]
    envelopes = objects.read_objects(connection, {row.digest for row in rows})
    return [_define(row, envelopes[row.digest]) for row in rows if row.digest in envelopes]


def read_definition(connection: Connection, tenant: TenantName, kind: DefinitionKind, name: str) -> Defined | None:
    """Return a definition that stands, with what was signed; None when there is none."""
    row = find_definition(connection, tenant, kind, name)
    envelope = None if row is None or row.removed else objects.read_object(connection, row.digest)
    return None if row is None or envelope is None else _define(row, envelope)


def record_definition(connection: Connection, row: DefinitionRow) -> None:
    """Write the newest version of a definition."""
    values = msgspec.structs.asdict(row)
    key = {name: values.pop(name) for name in ("tenant", "kind", "name")}
    put_row(connection, DEFINITIONS, key, values)


def _define(row: DefinitionRow, envelope: Envelope) -> Defined:
    """Decode what was verified when it was recorded."""
    payload = msgspec.json.decode(envelope.payload, type=KINDS[row.kind].payload)
    assert isinstance(payload, Definition)
    return Defined(row, envelope, payload)
