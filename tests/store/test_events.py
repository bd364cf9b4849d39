"""Events are stored once, in order, and seen by those they belong to."""

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError
from tests.store.stores import fresh_db

from skerry.model.event import Event
from skerry.model.ids import SiteName, TenantName
from skerry.store import events
from skerry.store.scope import Scope

OSLO = SiteName("oslo")
ALL = events.EventFilter()


def _event(sequence: int, **words: object) -> Event:
    return Event(**({"sequence": sequence, "time_us": 1, "type": "instance.started"} | words))  # type: ignore[arg-type]


def _fill(connection: Connection) -> None:
    events.append_site_event(connection, OSLO, _event(1, subject="instance/default/shop/web/0"), "default")
    events.append_site_event(connection, OSLO, _event(2, subject="site", type="disk.full"), "")
    events.append_site_event(connection, OSLO, _event(3, subject="instance/other/shop/web/0"), "other")
    events.append_core_event(connection, "app.applied", time_us=2, subject="app/shop", tenant="default", cause="C")


async def test_each_scope_sees_its_own():
    db = fresh_db()
    await db.run(_fill)

    async def seen(scope: Scope, chosen: events.EventFilter = ALL) -> list[tuple[str, int]]:
        found = await db.read(lambda connection: events.list_events(connection, scope, 0, 100, chosen))
        return [(logged.site, logged.event.sequence) for logged in found]

    tenant = Scope(tenant=TenantName("default"))
    assert await seen(tenant) == [("oslo", 1), ("", 1)]
    assert await seen(Scope(platform=True)) == [("oslo", 2)]
    assert await seen(Scope(tenant=TenantName("default"), platform=True)) == [("oslo", 1), ("oslo", 2), ("", 1)]
    assert await seen(Scope()) == []
    assert await seen(tenant, events.EventFilter(site="oslo")) == [("oslo", 1)]
    assert await seen(tenant, events.EventFilter(app="shop")) == [("oslo", 1), ("", 1)]
    assert await seen(tenant, events.EventFilter(kind="app.")) == [("", 1)]
    assert await seen(tenant, events.EventFilter(cause="C")) == [("", 1)]
    assert await seen(tenant, events.EventFilter(kind="%")) == []
    await db.close()


async def test_the_same_event_cannot_be_stored_twice():
    db = fresh_db()
    await db.run(_fill)
    with pytest.raises(IntegrityError, match=r"(?i)unique"):
        await db.run(lambda connection: events.append_site_event(connection, OSLO, _event(2), ""))
    assert await db.read(events.newest_event_id) == 4
    await db.close()


async def test_trimming_keeps_the_newest_and_all_security_events_and_reuses_no_id():
    db = fresh_db()

    def fill(connection: Connection) -> None:
        for number in range(1, 11):
            klass = "security" if number == 2 else "event"
            events.append_site_event(connection, OSLO, _event(number, klass=klass), "")

    await db.run(fill)
    assert await db.run(lambda connection: events.trim_events(connection, 3)) == 6
    left = await db.read(lambda connection: events.list_events(connection, Scope(platform=True), 0, 100, ALL))
    assert [logged.event.sequence for logged in left] == [2, 8, 9, 10]
    await db.run(lambda connection: events.trim_events(connection, 0))
    fresh = await db.run(lambda connection: events.append_site_event(connection, OSLO, _event(11), ""))
    assert fresh == 11
    await db.close()
