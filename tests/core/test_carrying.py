"""What is handed out to be carried: a tenant's own bytes to the tenant, a site's document whole to an operator."""

import pytest
from tests.core.cores import Rig

from skerry.core.auth import Caller
from skerry.core.carrying import Bytes
from skerry.core.refusals import Clash
from skerry.model.asks import AuditQuery, BlobQuery, ReadBlob
from skerry.model.document import decode_unit, named_objects
from skerry.model.errors import Invalid, NotFound
from skerry.model.ids import digest_of
from skerry.wire import decode_carried

OPERATOR = Caller(token_id="op", operator_role="operator")  # type: ignore[arg-type]


@pytest.fixture
async def rig():
    rig = await Rig().begin()
    yield rig
    await rig.close()


async def read(found: Bytes) -> bytes:
    content = b"".join([piece async for piece in found.pieces])
    assert len(content) == found.size
    return content


async def test_a_blob_is_given_whole_and_from_an_offset_on(rig, monkeypatch):
    monkeypatch.setattr("skerry.core.carrying._PIECE_BYTES", 7)
    digest = await rig.put_blob(b"0123456789" * 5)
    for offset in (0, 1, 7, 49, 50):
        found = await rig.service.read_blob(rig.admin, digest=digest, query=ReadBlob(offset=offset))
        assert await read(found) == (b"0123456789" * 5)[offset:]
    with pytest.raises(Invalid, match="50 bytes"):
        await rig.service.read_blob(rig.admin, digest=digest, query=ReadBlob(offset=51))


async def test_a_foreign_an_unfinished_and_a_lost_blob_are_not_there(rig):
    digest = await rig.put_blob(b"mine")
    with pytest.raises(NotFound):
        await rig.service.read_blob(rig.caller("other"), digest=digest, query=ReadBlob())

    async def half():
        yield b"ha"

    begun = digest_of(b"half")
    await rig.service.put_blob(rig.admin, digest=begun, query=BlobQuery(offset=0, size=4), body=half())
    rig.core.blobs._directory.remove(digest)
    for name in (begun, digest, digest_of(b"never")):
        with pytest.raises(NotFound):
            await rig.service.read_blob(rig.admin, digest=name, query=ReadBlob())


async def test_a_blob_that_is_removed_while_it_is_read_ends_short(rig, monkeypatch):
    monkeypatch.setattr("skerry.core.carrying._PIECE_BYTES", 7)
    digest = await rig.put_blob(b"0123456789")
    found = await rig.service.read_blob(rig.admin, digest=digest, query=ReadBlob())
    got = b""
    async for piece in found.pieces:
        got += piece
        rig.core.blobs._directory.remove(digest)
    assert got == b"0123456"


async def test_a_sites_document_goes_whole_with_everything_that_it_names(rig):
    site = await rig.add_site("oslo")
    await site.connect()
    await rig.apply("shop", 1)
    await rig.plan()
    carried = decode_carried(await read(await rig.service.export_site(OPERATOR, site="oslo")))
    assert carried.patch.base_generation == 0
    units = [decode_unit(body) for body in carried.patch.bodies.values()]
    named = {digest for unit in units for digest in named_objects(unit)}
    assert named
    assert {digest_of(each.payload) for each in carried.patch.objects} == named
    assert carried.site_record.payload == (await rig.service.read_site_record(OPERATOR, site="oslo")).payload
    again = decode_carried(await read(await rig.service.export_site(OPERATOR, site="oslo")))
    assert again.patch.head == carried.patch.head, "the same wish keeps its number"
    over_the_link = await site.fetch()
    assert over_the_link is not None
    assert over_the_link.head == carried.patch.head
    audit = await rig.service.list_audit(OPERATOR, query=AuditQuery(chain="operator"))
    assert [each.object for each in audit.items if each.operation == "export_site"] == ["site/oslo"] * 2


async def test_a_site_that_is_not_there_or_has_no_document_says_so(rig):
    with pytest.raises(NotFound):
        await rig.service.export_site(OPERATOR, site="nowhere")
    await rig.add_site("oslo")
    with pytest.raises(Clash, match="no document for site oslo"):
        await rig.service.export_site(OPERATOR, site="oslo")
