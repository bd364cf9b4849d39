"""Images are named when all their parts are here; secrets follow their number line and are opened by nobody here."""

import msgspec
import pytest
from tests.core.cores import Rig, key, sealing, sign

from skerry.core.refusals import Clash, Missing, Stale
from skerry.core.wishes import Expected
from skerry.model.app import FileMount, SecretUse
from skerry.model.asks import PageQuery, RegisterImage, VolumeQuery
from skerry.model.document import SecretHold
from skerry.model.errors import Invalid, NotFound
from skerry.model.facts import VolumeFact
from skerry.model.ids import SecretName, VolumeId, digest_of
from skerry.model.signed import Secret
from skerry.trust.keys import key_id


@pytest.fixture
async def rig():
    rig = await Rig().begin()
    yield rig
    await rig.close()


# --- images ----------------------------------------------------------------------------------------------------------


async def test_a_registered_image_says_what_a_revision_must_say(rig):
    image = await rig.push_image("web:1")
    view = await rig.service.show_image(rig.admin, digest=image.digest)
    assert (view.name, view.architecture, view.size_bytes) == ("web:1", "amd64", len(b"layerweb:1"))
    assert view.blobs[0] == image.digest
    assert len(view.blobs) == 3
    with pytest.raises(NotFound):
        await rig.service.show_image(rig.caller("other"), digest=image.digest)
    await rig.push_image("app:1")
    names = [each.name for each in (await rig.service.list_images(rig.admin, query=PageQuery())).items]
    assert names == ["app:1", "web:1"]


def _manifest(**words) -> dict:
    part = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest_of(b"c"), "size": 1}
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest_of(b"l"), "size": 1}
    kind = "application/vnd.oci.image.manifest.v1+json"
    return {"schemaVersion": 2, "mediaType": kind, "config": part, "layers": [layer]} | words


async def test_an_image_with_missing_or_foreign_parts_is_not_registered(rig):
    config = msgspec.json.encode({"architecture": "amd64", "rootfs": {"diff_ids": [digest_of(b"layer")]}})
    made = _manifest(
        config={"mediaType": "x", "digest": digest_of(config), "size": len(config)},
        layers=[_manifest()["layers"][0] | {"digest": digest_of(b"layer"), "size": 5}],
    )
    manifest = await rig.put_blob(msgspec.json.encode(made))
    ask = RegisterImage(name="x", digest=manifest)
    with pytest.raises(Invalid):
        await rig.service.register_image(rig.admin, body=ask)
    await rig.put_blob(config)
    await rig.put_blob(b"layer", rig.caller("other"))
    with pytest.raises(Invalid) as refused:
        await rig.service.register_image(rig.admin, body=ask)
    assert [problem.detail for problem in refused.value.problems] == [f"{digest_of(b'layer')} was not uploaded"]
    await rig.put_blob(b"layer")
    assert (await rig.service.register_image(rig.admin, body=ask)).digest == manifest


async def test_layers_other_than_the_configuration_names_are_refused(rig):
    config = msgspec.json.encode({"architecture": "amd64", "rootfs": {"diff_ids": [digest_of(b"other")]}})
    await rig.put_blob(config)
    await rig.put_blob(b"layer")
    made = _manifest(
        config={"mediaType": "x", "digest": digest_of(config), "size": len(config)},
        layers=[_manifest()["layers"][0] | {"digest": digest_of(b"layer"), "size": 5}],
    )
    manifest = await rig.put_blob(msgspec.json.encode(made))
    with pytest.raises(Invalid) as refused:
        await rig.service.register_image(rig.admin, body=RegisterImage(name="x", digest=manifest))
    assert refused.value.code == "E-IMAGE"


# --- secrets ---------------------------------------------------------------------------------------------------------


def _secret(number: int = 1, sites: tuple[str, ...] = ("oslo",), **words):
    boxes = {key_id(sealing(name)): b"box" for name in sites}
    base = {"tenant": "default", "name": "pw", "number": number, "content": b"sealed", "boxes": boxes}
    return Secret(**(base | words))


async def _put(rig, made: Secret, number: int, by: str = "deploy default"):
    body = sign("secret", made, key(by))
    return await rig.service.put_secret(rig.admin, secret="pw", body=body, expect=Expected(number))


async def test_a_secret_follows_its_number_line_and_reaches_the_sites_it_is_sealed_for(rig):
    site = await rig.add_site("oslo")
    await site.connect()
    assert (await _put(rig, _secret(), 0)).number == 1
    assert (await _put(rig, _secret(), 0)).number == 1, "asked again after a lost answer"
    with pytest.raises(Stale):
        await _put(rig, _secret(content=b"other"), 0)
    made = rig.revision(
        "shop", 1, image=await rig.push_image(), secrets=(FileMount(source="pw", target="/run/secrets/pw"),)
    )
    made = msgspec.structs.replace(made, secrets={"pw": SecretUse(name=SecretName("pw"))})
    await rig.apply("shop", 1, envelope=sign("revision", made, key("deploy default")))
    await rig.plan()
    patch = await site.fetch()
    assert [unit for unit in site.units.values() if isinstance(unit, SecretHold)]
    assert len(patch.objects) == 2
    second = _secret(2, content=b"newer")
    await _put(rig, second, 1)
    await rig.plan()
    await site.fetch()
    held = [unit.digest for unit in site.units.values() if isinstance(unit, SecretHold)]
    assert held == [digest_of(sign("secret", second, key("deploy default")).payload)]
    view = await rig.service.show_secret(rig.admin, secret="pw")
    assert (view.number, view.used_by, view.sealed_for) == (2, ("shop",), (key_id(sealing("oslo")),))
    with pytest.raises(Clash):
        await rig.service.remove_secret(rig.admin, secret="pw", expect=Expected(2))
    await rig.delete("shop", 2)
    await rig.service.remove_secret(rig.admin, secret="pw", expect=Expected(2))
    with pytest.raises(NotFound):
        await rig.service.show_secret(rig.admin, secret="pw")
    assert (await _put(rig, _secret(3), 2)).number == 3, "a forgotten secret keeps its line"


@pytest.mark.parametrize(
    ("made", "by"),
    [
        (_secret(), "stranger"),
        (_secret(), "deploy other"),
        (_secret(2), "deploy default"),
        (_secret(name="other"), "deploy default"),
        (_secret(tenant="other"), "deploy default"),
    ],
)
async def test_a_secret_that_is_not_rightly_signed_is_refused(rig, made, by):
    with pytest.raises(Invalid):
        await _put(rig, made, 0, by)
    with pytest.raises(Missing):
        await rig.service.put_secret(rig.admin, secret="pw", body=sign("secret", made, key(by)), expect=None)
    assert (await rig.service.list_secrets(rig.admin, query=PageQuery())).items == ()


# --- volumes ---------------------------------------------------------------------------------------------------------


async def test_volumes_are_listed_as_their_sites_report_them(rig):
    for name in ("rome", "oslo"):
        site = await rig.add_site(name)
        await site.connect()
        await site.report(
            VolumeFact(volume=VolumeId("default/shop/data"), born=1, size_bytes=7, in_use=True),
            VolumeFact(volume=VolumeId("other/shop/data"), born=1),
        )
    page = await rig.service.list_volumes(rig.admin, query=VolumeQuery(page_size=1))
    assert [(view.app, view.volume, view.site) for view in page.items] == [("shop", "data", "oslo")]
    rest = await rig.service.list_volumes(rig.admin, query=VolumeQuery(page_token=page.next_page_token))
    assert [(view.site, view.size_bytes, view.in_use) for view in rest.items] == [("rome", 7, True)]
    narrow = await rig.service.list_volumes(rig.admin, query=VolumeQuery(site="rome", app="shop"))
    assert [view.site for view in narrow.items] == ["rome"]


async def test_the_configuration_of_an_image_is_read_as_its_bytes_are_and_by_its_tenant_alone(rig):
    image = await rig.push_image("web:1")
    view = await rig.service.read_image_config(rig.admin, digest=image.digest)
    assert digest_of(view.content) == image.config
    with pytest.raises(NotFound):
        await rig.service.read_image_config(rig.caller("other"), digest=image.digest)
