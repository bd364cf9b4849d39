"""Seeds: who may wish them, what sites get of them, and what a tenant sees."""

import pytest
from tests.core.cores import Rig

from skerry.clock import SECOND_US
from skerry.core.loops import Keeper
from skerry.core.refusals import Clash
from skerry.model import limits
from skerry.model.asks import AuditQuery, EventQuery, PageQuery, PruneImages, SeedImage
from skerry.model.document import ImageHold
from skerry.model.errors import Invalid, NotFound
from skerry.model.facts import ImageFact
from skerry.operations import find_operation, is_allowed


@pytest.fixture
async def rig():
    rig = await Rig().begin()
    yield rig
    await rig.close()


async def _add(rig, name, **words):
    site = await rig.add_site(name, **words)
    await site.connect()
    rig.desk.hear(site.name)
    await site.report_ready()
    return site


def _held(site) -> list[str]:
    return [unit.digest for unit in site.units.values() if isinstance(unit, ImageHold)]


async def test_a_seeded_image_comes_into_documents_is_told_held_and_leaves_with_its_end(rig):
    oslo = await _add(rig, "oslo", labels={"tier": "store"})
    rome = await _add(rig, "rome")
    image = await rig.push_image("next:1")
    seeded = await rig.service.seed_image(rig.admin, digest=image.digest, body=SeedImage(label_selector="tier=store"))
    assert (seeded.sites, seeded.held, seeded.have_bytes, seeded.size_bytes) == (1, 0, 0, image.size_bytes)
    await rig.plan()
    for site in (oslo, rome):
        await site.fetch()
    assert _held(oslo) == [image.digest]
    assert _held(rome) == []
    fact = ImageFact(digest=image.digest, size_bytes=image.size_bytes, have_bytes=2, complete=False, reason="so slow")
    await oslo.report(fact)
    (there,) = (await rig.service.list_image_sites(rig.admin, digest=image.digest, query=PageQuery())).items
    assert (there.site, there.seeded, there.used, there.held) == ("oslo", True, False, False)
    assert (there.have_bytes, there.reason, there.state) == (2, "so slow", "online")
    await oslo.report(
        ImageFact(digest=image.digest, size_bytes=image.size_bytes, have_bytes=image.size_bytes, complete=True)
    )
    shown = await rig.service.show_seed(rig.admin, digest=image.digest)
    assert (shown.held, shown.have_bytes) == (1, image.size_bytes)
    assert (await rig.service.list_seeds(rig.admin, query=PageQuery())).items == (shown,)
    await rig.service.end_seed(rig.admin, digest=image.digest)
    await rig.plan()
    await oslo.fetch()
    assert _held(oslo) == []
    for gone in (rig.service.end_seed, rig.service.show_seed):
        with pytest.raises(NotFound):
            await gone(rig.admin, digest=image.digest)
    audited = (await rig.service.list_audit(rig.admin, query=AuditQuery())).items
    assert [entry.operation for entry in audited[-2:]] == ["seed_image", "end_seed"]


async def test_a_seed_said_again_replaces_what_was_said_and_a_dry_run_says_nothing(rig):
    await _add(rig, "oslo")
    await _add(rig, "rome")
    image = await rig.push_image("next:1")
    await rig.service.seed_image(rig.admin, digest=image.digest, body=SeedImage(sites=("oslo",)))
    dry = await rig.service.seed_image(rig.admin, digest=image.digest, body=SeedImage(dry_run=True))
    assert dry.sites == 2
    assert (await rig.service.show_seed(rig.admin, digest=image.digest)).names == ("oslo",)
    await rig.service.seed_image(rig.admin, digest=image.digest, body=SeedImage(sites=("rome",), lifetime_s=60))
    shown = await rig.service.show_seed(rig.admin, digest=image.digest)
    assert (shown.names, shown.ends_us - shown.since_us) == (("rome",), 60 * SECOND_US)


async def test_a_seed_ends_by_itself_and_that_is_told(rig):
    oslo = await _add(rig, "oslo")
    image = await rig.push_image("next:1")
    await rig.service.seed_image(rig.admin, digest=image.digest, body=SeedImage(lifetime_s=60))
    await rig.plan()
    await oslo.fetch()
    await rig.clock.advance(61 * SECOND_US)
    await rig.plan()
    await oslo.fetch()
    assert _held(oslo) == [], "the planner goes by the time, whenever the rows are swept"
    await Keeper(rig.core).turn()
    assert (await rig.service.list_seeds(rig.admin, query=PageQuery())).items == ()
    told = await rig.service.follow_events(rig.admin, query=EventQuery(follow=False))
    assert "dev.skerry.image.seed-ended.v1" in [item.event.type async for item in told if item.event]


async def test_what_is_seeded_or_asked_for_must_be_the_tenants_own(rig):
    await _add(rig, "oslo", tenants=("default",))
    image = await rig.push_image("next:1")
    other = rig.caller("other")
    with pytest.raises(NotFound):
        await rig.service.seed_image(other, digest=image.digest, body=SeedImage())
    with pytest.raises(NotFound):
        await rig.service.list_image_sites(other, digest=image.digest, query=PageQuery())
    theirs = await rig.push_image("theirs:1", tenant="other")
    with pytest.raises(NotFound):
        await rig.service.seed_image(other, digest=theirs.digest, body=SeedImage(sites=("oslo",)))
    with pytest.raises(Invalid) as refused:
        await rig.service.seed_image(other, digest=theirs.digest, body=SeedImage())
    assert refused.value.code == "E-SITE"
    with pytest.raises(Invalid) as refused:
        await rig.service.seed_image(rig.admin, digest=image.digest, body=SeedImage(label_selector="((("))
    assert refused.value.code == "E-SELECTOR"
    assert (await rig.service.list_seeds(rig.admin, query=PageQuery())).items == ()
    for name, role, may in (
        ("seed_image", "viewer", False),
        ("end_seed", "deployer", True),
        ("show_seed", "viewer", True),
    ):
        assert is_allowed(find_operation(name), role, "") == may
        assert not is_allowed(find_operation(name), "", "operator")


async def test_a_tenant_seeds_no_more_images_than_it_may(rig, monkeypatch):
    await _add(rig, "oslo")
    monkeypatch.setattr("skerry.core.seeds.SEEDS_MAX", 1)
    assert limits.SEEDS_MAX > 1
    first, second = await rig.push_image("a:1"), await rig.push_image("b:1")
    await rig.service.seed_image(rig.admin, digest=first.digest, body=SeedImage())
    await rig.service.seed_image(rig.admin, digest=first.digest, body=SeedImage())
    with pytest.raises(Clash) as refused:
        await rig.service.seed_image(rig.admin, digest=second.digest, body=SeedImage())
    assert refused.value.code == "E-TOO-MANY"


async def test_a_seeded_image_is_not_pruned_and_used_ones_are_shown_where_they_run(rig):
    oslo = await _add(rig, "oslo")
    await rig.apply("shop", 1)
    await rig.plan()
    await oslo.fetch()
    image = await rig.push_image("next:1", layer=b"other")
    await rig.service.seed_image(rig.admin, digest=image.digest, body=SeedImage())
    pruned = await rig.service.prune_images(rig.admin, body=PruneImages(age_s=0))
    assert pruned.images == ()
    (hold,) = _held(oslo)
    (there,) = (await rig.service.list_image_sites(rig.admin, digest=hold, query=PageQuery())).items
    assert (there.site, there.used, there.seeded) == ("oslo", True, False)
