"""Areas and groups of users in the store: one line of versions each, their owner's alone."""

import msgspec
from sqlalchemy import Connection
from tests.store.stores import fresh_db
from tests.trust import people

from skerry.model.geography import Region
from skerry.model.ids import TenantName, digest_of
from skerry.model.signed import Area, Definition, Envelope, Kind, UserGroup
from skerry.store import objects
from skerry.store.definitions import (
    Defined,
    DefinitionRow,
    find_definition,
    list_definitions,
    read_definition,
    record_definition,
)
from skerry.store.scope import Scope


def _sign(payload: Definition) -> Defined:
    kind: Kind = "area" if isinstance(payload, Area) else "user-group"
    envelope = people.sign(kind, payload, people.DEPLOY[payload.tenant])
    row = DefinitionRow(
        tenant=payload.tenant,
        kind="area" if isinstance(payload, Area) else "user-group",
        name=payload.name,
        number=payload.number,
        digest=digest_of(envelope.payload),
        removed=False,
        recorded_us=payload.number,
    )
    return Defined(row, envelope, payload)


def _area(tenant: TenantName, name: str, number: int, *countries: str) -> Defined:
    return _sign(Area(tenant=tenant, name=name, number=number, region=Region(countries=countries)))


def _keep(connection: Connection, found: Defined) -> None:
    envelope: Envelope = found.envelope
    objects.record_object(connection, found.row.tenant, found.row.kind, envelope, found.row.recorded_us)
    record_definition(connection, found.row)


async def test_the_newest_version_stands_by_tenant_kind_and_name() -> None:
    db = fresh_db()
    nordics = _area(people.ALPHA, "nordics", 2, "NO", "SE")
    homes = _area(people.ALPHA, "homes", 1, "DK")
    theirs = _area(people.BETA, "nordics", 1, "DE")
    group = _sign(UserGroup(tenant=people.ALPHA, name="nordics", number=1, points=((1, 2, 3),)))

    def job(connection: Connection) -> None:
        for found in (_area(people.ALPHA, "nordics", 1, "NO"), nordics, homes, theirs, group):
            _keep(connection, found)

    await db.run(job)
    mine = Scope(tenant=people.ALPHA)
    assert await db.read(lambda connection: list_definitions(connection, mine, "area")) == [homes, nordics]
    assert await db.read(lambda connection: list_definitions(connection, mine, "area", "homes")) == [nordics]
    assert await db.read(lambda connection: list_definitions(connection, mine, "area", "", 1)) == [homes]
    assert await db.read(lambda connection: list_definitions(connection, mine, "user-group")) == [group]
    assert await db.read(lambda connection: read_definition(connection, people.BETA, "area", "nordics")) == theirs
    assert await db.read(lambda connection: read_definition(connection, people.BETA, "area", "homes")) is None


async def test_one_that_was_removed_keeps_its_number() -> None:
    db = fresh_db()
    nordics = _area(people.ALPHA, "nordics", 4, "NO")
    gone = msgspec.structs.replace(nordics.row, removed=True)
    await db.run(lambda connection: _keep(connection, nordics))
    await db.run(lambda connection: record_definition(connection, gone))
    assert await db.read(lambda connection: read_definition(connection, people.ALPHA, "area", "nordics")) is None
    assert await db.read(lambda c: list_definitions(c, Scope(tenant=people.ALPHA), "area")) == []
    assert await db.read(lambda connection: find_definition(connection, people.ALPHA, "area", "nordics")) == gone
