"""Rollouts as people see and steer them: what may be said when, and that it is done by whoever may deploy."""

import msgspec
import pytest
from tests.core.cores import Rig, key, sign

from skerry.core.refusals import Clash
from skerry.core.wishes import Expected
from skerry.model.asks import PageQuery
from skerry.model.document import Assignment
from skerry.model.errors import NotFound
from skerry.model.facts import AppFact
from skerry.model.ids import AppName, NodeName, TenantName
from skerry.model.rollout import Rollout
from skerry.store.events import EventFilter, last_events
from skerry.store.scope import Scope

WORDS = Rollout(bake_us=0, approve="each-wave")


class Fleet:
    """Three sites and an app in waves."""

    def __init__(self, rig) -> None:
        self.rig = rig
        self.sites = []

    async def begin(self):
        for name in ("bonn", "oslo", "rome"):
            site = await self.rig.add_site(name)
            await site.connect()
            self.rig.desk.hear(site.name)
            await site.report_ready()
            self.sites.append(site)
        await self.apply(1)
        return self

    async def apply(self, number):
        image = await self.rig.push_image()
        made = msgspec.structs.replace(self.rig.revision("shop", number, image=image), rollout=WORDS)
        body = sign("revision", made, key("deploy default"))
        await self.rig.service.apply_app(self.rig.admin, app="shop", body=body, expect=Expected(number - 1))
        await self.rig.plan()

    async def tell(self, verdict="proven", reason=""):
        """Every site that was given the newest revision says how it went."""
        for site in self.sites:
            await site.fetch()
            for unit in site.units.values():
                if isinstance(unit, Assignment):
                    fact = AppFact(
                        tenant=TenantName("default"),
                        app=AppName("shop"),
                        node=NodeName("n1"),
                        revision=unit.revision,
                        number=1,
                        verdict=verdict,
                        reason=reason,
                    )
                    await site.report(fact)
        await self.rig.plan()

    async def show(self):
        return await self.rig.service.show_rollout(self.rig.admin, app="shop")

    async def told(self):
        found = await self.rig.core.db.read(
            lambda c: last_events(c, Scope(TenantName("default")), 50, EventFilter(app="shop"))
        )
        return [each.event.type for each in found if each.event.type.startswith("rollout.")]


@pytest.fixture
async def fleet():
    rig = await Rig().begin()
    yield await Fleet(rig).begin()
    await rig.close()


async def test_a_rollout_is_shown_site_by_site(fleet):
    view = await fleet.show()
    assert (view.phase, view.stage, view.let_in, view.waiting, view.waves) == ("running", 0, 1, 2, 3)
    assert [(each.site, each.standing) for each in view.sites] == [
        ("bonn", "let-in"),
        ("oslo", "waiting"),
        ("rome", "waiting"),
    ]
    await fleet.tell()
    view = await fleet.show()
    assert (view.phase, view.proven) == ("approval", 1)
    page = await fleet.rig.service.list_rollouts(fleet.rig.admin, query=PageQuery())
    assert [(each.app, each.phase, each.sites) for each in page.items] == [("shop", "approval", ())]


async def test_a_person_lets_it_go_on(fleet):
    await fleet.tell()
    for _ in range(3):
        await fleet.rig.service.promote_rollout(fleet.rig.admin, app="shop")
        await fleet.rig.plan()
        await fleet.tell()
    view = await fleet.show()
    assert (view.phase, view.proven, view.waiting) == ("done", 3, 0)
    told = await fleet.told()
    assert told.count("rollout.promoted") == 3
    assert "rollout.done" in told
    with pytest.raises(Clash, match="nothing to promote"):
        await fleet.rig.service.promote_rollout(fleet.rig.admin, app="shop")


async def test_a_person_pauses_and_ends_it(fleet):
    view = await fleet.rig.service.pause_rollout(fleet.rig.admin, app="shop")
    assert (view.phase, view.reason) == ("paused", f"paused by {fleet.rig.admin.actor}")
    await fleet.tell()
    assert (await fleet.show()).let_in == 1
    view = await fleet.rig.service.abort_rollout(fleet.rig.admin, app="shop")
    assert view.phase == "aborted"
    with pytest.raises(Clash):
        await fleet.rig.service.pause_rollout(fleet.rig.admin, app="shop")


async def test_a_failure_stops_it_and_says_where_and_why(fleet):
    await fleet.tell("failed", "web is unhealthy")
    view = await fleet.show()
    assert (view.phase, view.failed) == ("rolled-back", 1)
    assert view.reason == "canary: 1 of 1 sites failed: bonn: web is unhealthy"
    assert "rollout.rolled-back" in await fleet.told()


async def test_a_site_that_waits_for_its_window_says_so_and_holds_the_canary_up(fleet):
    await fleet.tell("none", "its window is closed for another 2 h")
    view = await fleet.show()
    assert (view.phase, view.stage, view.failed) == ("running", 0, 0)
    assert (view.sites[0].standing, view.sites[0].reason) == ("let-in", "its window is closed for another 2 h")


async def test_a_new_revision_begins_a_new_rollout(fleet):
    await fleet.tell("failed", "why")
    await fleet.apply(2)
    view = await fleet.show()
    assert (view.number, view.phase, view.reason) == (2, "running", "")


async def test_the_rollout_of_another_tenant_is_not_there(fleet):
    other = fleet.rig.caller("other")
    with pytest.raises(NotFound):
        await fleet.rig.service.show_rollout(other, app="shop")
    with pytest.raises(NotFound):
        await fleet.rig.service.abort_rollout(other, app="shop")
    assert (await fleet.rig.service.list_rollouts(other, query=PageQuery())).items == ()


async def test_an_app_that_was_deleted_has_no_rollout_to_steer(fleet):
    await fleet.rig.delete("shop", 2)
    with pytest.raises(Clash, match="another wish"):
        await fleet.rig.service.promote_rollout(fleet.rig.admin, app="shop")


async def test_listing_turns_pages(fleet):
    image = await fleet.rig.push_image()
    made = msgspec.structs.replace(fleet.rig.revision("bar", 1, image=image), rollout=WORDS)
    await fleet.rig.service.apply_app(
        fleet.rig.admin, app="bar", body=sign("revision", made, key("deploy default")), expect=Expected(0)
    )
    await fleet.rig.plan()
    first = await fleet.rig.service.list_rollouts(fleet.rig.admin, query=PageQuery(page_size=1))
    rest = await fleet.rig.service.list_rollouts(
        fleet.rig.admin, query=PageQuery(page_size=1, page_token=first.next_page_token)
    )
    assert [each.app for each in (*first.items, *rest.items)] == ["bar", "shop"]
    assert rest.next_page_token == ""
