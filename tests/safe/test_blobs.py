from pathlib import Path

import pytest

from skerry.model.ids import digest_of
from skerry.safe.blobs import BlobDirectory
from skerry.safe.errors import StoreFull, TooLarge, UnsafeName
from skerry.safe.paths import RealDirectory
from skerry.sim.disk import MemoryDisk

CONTENT = b"layer" * 1000
DIGEST = digest_of(CONTENT)


@pytest.fixture(params=["real", "memory"])
def root(request, tmp_path):
    return RealDirectory.open_root(tmp_path) if request.param == "real" else MemoryDisk().root


def put(blobs, content):
    writer = blobs.begin(digest_of(content), size_max=len(content))
    writer.write(content)
    assert writer.finish()
    return digest_of(content)


def test_a_blob_is_there_once_it_is_whole(root):
    blobs = BlobDirectory(root)
    assert blobs.size(DIGEST) is None
    assert blobs.open(DIGEST) is None
    assert not blobs.verify(DIGEST)
    put(blobs, CONTENT)
    assert blobs.size(DIGEST) == len(CONTENT)
    source = blobs.open(DIGEST)
    assert source.read(10_000) == CONTENT
    source.close()
    assert blobs.verify(DIGEST)


def test_a_blob_is_resumed_where_it_stands(root):
    blobs = BlobDirectory(root)
    writer = blobs.begin(DIGEST, size_max=len(CONTENT))
    writer.write(CONTENT[:1234])
    writer.pause()
    assert blobs.size(DIGEST) is None
    assert blobs.digests(unfinished=True) == [DIGEST]
    writer = blobs.begin(DIGEST, size_max=len(CONTENT))
    assert writer.offset == 1234
    writer.write(CONTENT[1234:])
    assert writer.finish()
    assert blobs.digests(unfinished=True) == []
    assert blobs.verify(DIGEST)


def test_other_bytes_do_not_get_the_name(root):
    blobs = BlobDirectory(root)
    writer = blobs.begin(DIGEST, size_max=len(CONTENT))
    writer.write(CONTENT[:-1] + b"!")
    assert not writer.finish()
    assert blobs.size(DIGEST) is None
    assert blobs.begin(DIGEST, size_max=len(CONTENT)).offset == 0


def test_a_blob_has_a_size_limit(root):
    writer = BlobDirectory(root).begin(DIGEST, size_max=10)
    writer.write(CONTENT[:10])
    with pytest.raises(TooLarge):
        writer.write(b"x")
    writer.drop()
    assert BlobDirectory(root).digests(unfinished=True) == []


def test_a_damaged_blob_is_removed_when_verified(tmp_path):
    blobs = BlobDirectory(RealDirectory.open_root(tmp_path))
    put(blobs, CONTENT)
    (path,) = tmp_path.glob("sha256/*/*")
    path.write_bytes(CONTENT[:-1])
    assert not blobs.verify(DIGEST)
    assert blobs.size(DIGEST) is None


def test_blobs_are_listed_and_removed(root):
    blobs = BlobDirectory(root)
    digests = sorted(put(blobs, b"%d" % number) for number in range(20))
    assert blobs.digests() == digests
    blobs.remove(digests[0])
    blobs.remove(digests[0])
    blobs.remove(DIGEST)
    assert blobs.digests() == digests[1:]
    blobs.settle()


def test_a_full_disk_keeps_what_was_there():
    disk = MemoryDisk()
    blobs = BlobDirectory(disk.root)
    disk.capacity = 2000
    writer = blobs.begin(DIGEST, size_max=len(CONTENT))
    writer.write(CONTENT[:2000])
    with pytest.raises(StoreFull):
        writer.write(CONTENT[2000:])
    writer.pause()
    assert blobs.begin(DIGEST, size_max=len(CONTENT)).offset == 2000


def test_only_digests_name_blobs(root):
    for bad in ("sha256:../../etc", "sha256:" + "g" * 64, ""):
        with pytest.raises(UnsafeName):
            BlobDirectory(root).begin(bad, size_max=1)


def test_no_handle_is_leaked(tmp_path):
    def count():
        return len(list(Path("/proc/self/fd").iterdir()))

    blobs = BlobDirectory(RealDirectory.open_root(tmp_path))
    put(blobs, CONTENT)
    before = count()
    for number in range(20):
        put(blobs, b"%d" % number)
        blobs.verify(DIGEST)
        blobs.size(digest_of(b"%d" % number))
        blobs.digests()
        blobs.settle()
    assert count() == before
