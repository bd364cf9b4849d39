"""Applying, deleting, pausing: what is recorded, what is refused, and that a repeated request changes nothing."""

import asyncio

import msgspec
import pytest
from tests.core.cores import Rig, key, sign

from skerry.core.refusals import Clash, Missing, Stale
from skerry.core.wishes import Expected
from skerry.model.app import FileMount, SecretUse, Sites, Spread
from skerry.model.asks import AuditQuery, PageQuery, RestartApp
from skerry.model.errors import Invalid, NotFound
from skerry.model.ids import SecretName, VolumeName


@pytest.fixture
async def rig():
    rig = await Rig().begin()
    await rig.add_site("oslo")
    yield rig
    await rig.close()


async def test_revisions_follow_each_other_and_history_keeps_them(rig):
    first = await rig.apply("shop", 1)
    second = await rig.apply("shop", 2, working_dir="/x")
    assert (first.number, second.number) == (1, 2)
    page = await rig.service.list_revisions(rig.admin, app="shop", query=PageQuery())
    assert [(each.number, each.current) for each in page.items] == [(2, True), (1, False)]
    envelope = await rig.service.read_revision(rig.admin, app="shop", number=1)
    assert envelope == await rig.sign_app("shop", 1)


async def test_a_change_must_say_what_it_stands_on(rig):
    envelope = await rig.sign_app("shop", 1)
    with pytest.raises(Missing) as refused:
        await rig.service.apply_app(rig.admin, app="shop", body=envelope, expect=None)
    assert refused.value.status == 428


async def test_a_stale_apply_is_refused_and_told_the_newest_number(rig):
    await rig.apply("shop", 1)
    await rig.apply("shop", 2)
    other = await rig.sign_app("shop", 2, working_dir="/other")
    with pytest.raises(Stale) as refused:
        await rig.service.apply_app(rig.admin, app="shop", body=other, expect=Expected(1))
    assert (refused.value.status, refused.value.number) == (412, 2)
    with pytest.raises(Stale):
        await rig.service.apply_app(rig.admin, app="shop", body=other, expect=Expected(0))


async def test_of_two_applies_at_once_one_wins(rig):
    one, two = await rig.sign_app("shop", 1), await rig.sign_app("shop", 1, working_dir="/two")
    results = await asyncio.gather(
        rig.apply("shop", 1, envelope=one), rig.apply("shop", 1, envelope=two), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in results) == ["Applied", "Stale"]


async def test_an_apply_asked_again_after_a_lost_answer_is_answered_alike(rig):
    envelope = await rig.sign_app("shop", 1)
    first = await rig.apply("shop", 1, envelope=envelope)
    again = await rig.apply("shop", 1, envelope=envelope)
    assert (again.number, again.operation, again.digest) == (1, first.operation, first.digest)
    page = await rig.service.list_revisions(rig.admin, app="shop", query=PageQuery())
    assert len(page.items) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda rig, made: sign("revision", made, key("stranger")), "E-KEY"),
        (lambda rig, made: sign("revision", made, key("deploy other")), "E-KEY"),
        (
            lambda rig, made: sign("revision", msgspec.structs.replace(made, app="blog"), key("deploy default")),
            "E-SUBJECT",
        ),
        (
            lambda rig, made: sign("revision", msgspec.structs.replace(made, number=2), key("deploy default")),
            "E-SUBJECT",
        ),
        (
            lambda rig, made: sign("revision", msgspec.structs.replace(made, number=2**40), key("deploy default")),
            "E-NUMBER",
        ),
        (lambda rig, made: sign("root", rig.root(), key("root")), "E-KIND"),
    ],
)
async def test_what_is_not_rightly_signed_is_refused_and_audited(rig, change, code):
    made = rig.revision("shop", 1, image=await rig.push_image())
    with pytest.raises(Invalid) as refused:
        await rig.apply("shop", 1, envelope=change(rig, made))
    assert refused.value.code == code
    audit = await rig.service.list_audit(rig.admin, query=AuditQuery())
    assert audit.items[-1].outcome == f"refused: {code}"
    with pytest.raises(NotFound):
        await rig.service.show_app(rig.admin, app="shop")


async def test_everything_that_is_not_here_is_named_at_once(rig):
    made = rig.revision(
        "shop",
        1,
        image=msgspec.structs.replace(await rig.push_image(), size_bytes=1),
        sites=Sites(names=("oslo", "atlantis")),
        secrets=(FileMount(source="pw", target="/run/pw"), FileMount(source="none", target="/run/none")),
    )
    service = made.services["web"]
    placement = msgspec.structs.replace(service.placement, spread=(Spread(by="moon", max_skew=0),))
    ghost = msgspec.structs.replace(
        service, placement=placement, image=msgspec.structs.replace(service.image, digest="sha256:" + "0" * 64)
    )
    made = msgspec.structs.replace(
        made, services={"web": service, "ghost": ghost}, secrets={"pw": SecretUse(name=SecretName("db"))}
    )
    with pytest.raises(Invalid) as refused:
        await rig.apply("shop", 1, envelope=sign("revision", made, key("deploy default")))
    assert {(problem.code, problem.pointer) for problem in refused.value.problems} >= {
        ("E-IMAGE", "/services/ghost/image"),
        ("E-IMAGE", "/services/web/image"),
        ("E-SITE", "/services/web/placement/sites/names"),
        ("E-SPREAD", "/services/ghost/placement/spread"),
        ("E-REFERENCE", "/secrets/pw"),
        ("E-REFERENCE", "/services/web/secrets"),
    }


async def test_an_image_of_another_tenant_does_not_exist(rig):
    made = rig.revision("shop", 1, image=await rig.push_image(tenant="other"))
    with pytest.raises(Invalid) as refused:
        await rig.apply("shop", 1, envelope=sign("revision", made, key("deploy default")))
    assert refused.value.problems[0].code == "E-IMAGE"


async def test_a_deleted_app_keeps_its_number_line(rig):
    await rig.apply("shop", 1)
    gone = await rig.delete("shop", 2)
    assert gone.state == "ended"
    assert (await rig.service.list_apps(rig.admin, query=PageQuery())).items == ()
    with pytest.raises(Stale) as refused:
        await rig.apply("shop", 1)
    assert refused.value.number == 2
    back = await rig.apply("shop", 3)
    assert (back.number, back.state) == (3, "run")


async def test_a_tombstone_for_volumes_leaves_the_app(rig):
    await rig.apply("shop", 1)
    done = await rig.delete("shop", 2, ends_app=False, volumes=(VolumeName("data"),))
    assert (done.number, done.state) == (2, "run")
    detail = await rig.service.show_app(rig.admin, app="shop")
    assert (detail.summary.number, detail.summary.revision) == (2, 1)


async def test_a_tombstone_for_no_app_is_not_found(rig):
    with pytest.raises(NotFound):
        await rig.delete("shop", 1)


async def test_what_only_its_tenant_may_end_cannot_be_paused(rig):
    made = rig.revision("shop", 1, image=await rig.push_image())
    kept = sign("revision", msgspec.structs.replace(made, withdraw="tenant"), key("deploy default"))
    await rig.apply("shop", 1, envelope=kept)
    with pytest.raises(Clash) as refused:
        await rig.service.pause_app(rig.admin, app="shop")
    assert (refused.value.code, refused.value.status) == ("E-WITHDRAW", 409)
    await rig.service.restart_app(rig.admin, app="shop", body=RestartApp())


async def test_pause_resume_and_restart_reach_the_plan(rig):
    site = await rig.add_site("oslo")
    await site.connect()
    await rig.apply("shop", 1)
    paused = await rig.service.pause_app(rig.admin, app="shop")
    await rig.plan()
    await site.fetch()
    assert paused.state == "hold"
    assert [unit.state for unit in site.units.values() if hasattr(unit, "ordinal")] == ["hold"]
    await rig.service.resume_app(rig.admin, app="shop")
    await rig.service.restart_app(rig.admin, app="shop", body=RestartApp(service="web"))
    await rig.service.restart_app(rig.admin, app="shop", body=RestartApp())
    await rig.plan()
    await site.fetch()
    assert [(unit.state, unit.restart) for unit in site.units.values() if hasattr(unit, "ordinal")] == [("run", 2)]
    with pytest.raises(NotFound):
        await rig.service.restart_app(rig.admin, app="shop", body=RestartApp(service="nothing"))
    await rig.delete("shop", 2)
    with pytest.raises(Clash) as refused:
        await rig.service.pause_app(rig.admin, app="shop")
    assert refused.value.status == 409
