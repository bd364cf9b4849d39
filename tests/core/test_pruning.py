"""Images go when nothing needs them, and their bytes when nobody knows them."""

import pytest
from tests.core.cores import Rig, key, sign

from skerry.clock import SECOND_US
from skerry.model.asks import AuditQuery, PageQuery, PruneImages
from skerry.model.errors import Conflict, Invalid
from skerry.model.ids import digest_of
from skerry.store import things
from skerry.store.things import UNFINISHED

NOW = PruneImages(age_s=0)


@pytest.fixture
async def rig():
    rig = await Rig().begin()
    yield rig
    await rig.close()


async def _prune(rig, ask: PruneImages = NOW, tenant: str = "") -> list[str]:
    caller = rig.caller(tenant) if tenant else rig.admin
    return [image.name for image in (await rig.service.prune_images(caller, body=ask)).images]


async def _names(rig) -> list[str]:
    return [each.name for each in (await rig.service.list_images(rig.admin, query=PageQuery())).items]


async def _apply(rig, app: str, number: int, image) -> None:
    await rig.apply(
        app, number, envelope=sign("revision", rig.revision(app, number, image=image), key("deploy default"))
    )


async def test_what_was_never_applied_goes_and_what_runs_stays(rig):
    await rig.add_site("oslo")
    await rig.apply("shop", 1)
    await rig.plan()
    idle = await rig.push_image("idle:1")
    asked = await rig.service.prune_images(rig.admin, body=PruneImages(age_s=0, dry_run=True))
    assert ([each.name for each in asked.images], asked.kept) == (["idle:1"], 1)
    assert await _names(rig) == ["idle:1", "web:1"]
    assert await rig.core.blobs.size(idle.digest) is not None
    done = await rig.service.prune_images(rig.admin, body=NOW)
    assert (done.images, done.kept, done.freed_bytes) == (asked.images, 1, asked.freed_bytes)
    assert done.freed_bytes > idle.size_bytes
    assert await _names(rig) == ["web:1"]
    for blob in done.images[0].blobs:
        assert await rig.core.blobs.size(blob) is None
    audit = (await rig.service.list_audit(rig.admin, query=AuditQuery())).items[-1]
    assert (audit.operation, audit.outcome) == ("prune_images", "done")
    assert await _prune(rig) == []


async def test_a_young_image_waits_for_its_apply(rig):
    await rig.push_image("young:1")
    assert await _prune(rig, PruneImages(age_s=3600)) == []
    await rig.clock.advance(3601 * SECOND_US)
    assert await _prune(rig, PruneImages(age_s=3600)) == ["young:1"]


async def test_newest_revisions_keep_their_images_and_older_ones_do_not(rig):
    for number in (1, 2, 3):
        image = await rig.push_image(f"web:{number}", layer=b"layer %d" % number)
        await _apply(rig, "shop", number, image)
    assert await _prune(rig, PruneImages(age_s=0, revisions=2)) == ["web:1"]
    assert await _names(rig) == ["web:2", "web:3"]


async def test_a_site_that_should_still_have_an_old_revision_keeps_its_image(rig):
    await rig.add_site("oslo")
    first = await rig.push_image("web:1", layer=b"old")
    await _apply(rig, "shop", 1, first)
    await rig.plan()
    second = await rig.push_image("web:2", layer=b"new")
    await _apply(rig, "shop", 2, second)
    # The plan for revision 2 is not made yet: the site's wish still names revision 1.
    assert await _prune(rig, PruneImages(age_s=0, revisions=1)) == []


async def test_what_tenants_share_stays_for_the_other(rig):
    mine = await rig.push_image("web:1")
    theirs = await rig.push_image("web:1", tenant="other")
    assert mine.digest == theirs.digest
    assert await _prune(rig) == ["web:1"]
    assert await rig.core.blobs.size(mine.digest) is not None
    assert await _prune(rig, tenant="other") == ["web:1"]
    assert await rig.core.blobs.size(mine.digest) is None


async def test_a_blob_on_its_way_is_nobodys_to_remove(rig):
    content = b"half of something"
    digest = digest_of(content)
    await rig.core.db.run(lambda connection: things.record_blob(connection, "default", digest, UNFINISHED))
    async with rig.core.blobs.upload(digest, 0, len(content)) as upload:
        await upload.write(content)
        assert await upload.finish()
        await _prune(rig)
        assert await rig.core.blobs.size(digest) == len(content)
    # It is whole, and its tenant's row does not say so yet.
    await _prune(rig)
    assert await rig.core.blobs.size(digest) == len(content)


async def test_nobody_uploads_a_blob_while_it_is_judged(rig):
    digest = digest_of(b"x")

    async def judge(name):
        with pytest.raises(Conflict) as refused:
            async with rig.core.blobs.upload(name, 0, 1):
                pass
        assert refused.value.code == "E-UPLOADING"
        return True

    await rig.core.blobs.forget(digest, judge)
    async with rig.core.blobs.upload(digest, 0, 1) as upload:
        await upload.write(b"x")
        assert await upload.finish()


async def test_bytes_that_an_interrupted_run_left_go_with_the_next(rig):
    image = await rig.push_image("idle:1")
    await rig.core.db.run(lambda connection: things.remove_images(connection, "default", (image.digest,)))
    assert await rig.core.blobs.size(image.digest) is not None
    assert await _prune(rig) == []
    assert await rig.core.blobs.size(image.digest) is None


async def test_going_back_to_what_was_removed_is_refused_with_what_to_do(rig):
    image = await rig.push_image("web:1")
    assert await _prune(rig) == ["web:1"]
    with pytest.raises(Invalid) as refused:
        await _apply(rig, "shop", 1, image)
    assert "skerry image push" in refused.value.problems[0].hint
