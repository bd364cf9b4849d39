import pytest

from skerry.model.errors import Conflict, Invalid
from skerry.model.ids import digest_of
from skerry.safe.blobs import BlobDirectory
from skerry.safe.errors import TooLarge
from skerry.sim.disk import MemoryDisk
from skerry.store.blobs import BlobStore

CONTENT = b"layer" * 100_000
DIGEST = digest_of(CONTENT)


@pytest.fixture(params=[True, False], ids=["inline", "thread"])
def blobs(request):
    store = BlobStore(BlobDirectory(MemoryDisk().root), inline=request.param)
    yield store
    store.close()


async def put(blobs: BlobStore, content: bytes, offset: int = 0, size: int = len(CONTENT)) -> bool:
    async with blobs.upload(DIGEST, offset, size) as upload:
        await upload.write(content)
        return await upload.finish()


async def test_a_whole_upload_is_there_and_is_read_in_pieces(blobs):
    assert await put(blobs, CONTENT)
    assert await blobs.size(DIGEST) == len(CONTENT)
    assert await blobs.read(DIGEST, 5, 5) == b"layer"
    assert await blobs.read(digest_of(b"other"), 0, 5) is None


async def test_an_upload_that_was_cut_goes_on_where_it_stopped(blobs):
    async def cut() -> None:
        async with blobs.upload(DIGEST, 0, len(CONTENT)) as upload:
            await upload.write(CONTENT[:300_000])
            raise ConnectionError

    with pytest.raises(ConnectionError):
        await cut()
    assert await blobs.size(DIGEST) is None
    have = await blobs.unfinished_size(DIGEST)
    assert have == 300_000
    assert await put(blobs, CONTENT[have:], have)


async def test_an_upload_in_parts_is_whole_with_the_last(blobs):
    assert not await put(blobs, CONTENT[:10])
    assert await put(blobs, CONTENT[10:], 10)


async def test_another_offset_is_refused_and_0_begins_anew(blobs):
    await put(blobs, CONTENT[:10])
    with pytest.raises(Conflict) as refused:
        await put(blobs, CONTENT[20:], 20)
    assert refused.value.code == "E-OFFSET"
    assert await blobs.unfinished_size(DIGEST) == 10
    assert await put(blobs, CONTENT)


async def test_other_bytes_are_dropped(blobs):
    with pytest.raises(Invalid):
        await put(blobs, b"x" * len(CONTENT))
    assert await blobs.unfinished_size(DIGEST) == 0


async def test_more_bytes_than_announced_are_refused(blobs):
    with pytest.raises(TooLarge):
        await put(blobs, CONTENT, size=10)


async def test_two_uploads_of_one_blob_do_not_mix(blobs):
    async with blobs.upload(DIGEST, 0, len(CONTENT)) as upload:
        await upload.write(CONTENT[:10])
        with pytest.raises(Conflict) as refused:
            await put(blobs, CONTENT)
        assert refused.value.code == "E-UPLOADING"
    assert await put(blobs, CONTENT[10:], 10)
